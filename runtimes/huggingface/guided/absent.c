/* Readers that another part brings. */
#include "config.h"

#include "core/base/error.h"
#include "runtimes/huggingface/guided/json_schema.h"
#include "runtimes/huggingface/guided/regular.h"

#pragma GCC diagnostic ignored "-Wunused-parameter"

__attribute__((weak)) pdk_status json_schema_node(struct grammar *grammar, const struct json *schema,
    const struct json_style *style, grammar_node *ret_node, pdk_error *err)
{
    return pdk_error_set(err, PDK_UNSUPPORTED, NULL, "not built");
}
__attribute__((weak)) pdk_status json_object_node(
    struct grammar *grammar, const struct json_style *style, grammar_node *ret_node, pdk_error *err)
{
    return pdk_error_set(err, PDK_UNSUPPORTED, NULL, "not built");
}
__attribute__((weak)) pdk_status regular_of_regex(const char *pattern, size_t length, enum regex_anchoring anchoring,
    const struct regular_budget *budget, struct regular **ret_set, pdk_error *err)
{
    return pdk_error_set(err, PDK_UNSUPPORTED, NULL, "not built");
}
__attribute__((weak)) struct regular *regular_free(struct regular *set)
{
    return NULL;
}
__attribute__((weak)) grammar_node regular_node(struct grammar *grammar, const struct regular *set, bool quoted)
{
    return GRAMMAR_FAILED;
}
