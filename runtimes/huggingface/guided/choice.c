/* One of a list of strings. */
#include "config.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "runtimes/huggingface/guided/readers.h"

pdk_status read_choice(struct grammar *grammar, const pdk_guide *what, grammar_node *ret_node, pdk_error *err)
{
    struct json_limits limits = json_limits_default;
    limits.allow_nul = true;
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    pdk_status status = json_read(what->text.data, what->text.length, &limits, &document, err);
    if (status != PDK_OK)
        return status;
    const struct json *list = json_root(document);
    if (list->type != JSON_ARRAY || list->count == 0)
        return pdk_error_set(err, PDK_INVALID, NULL, "the choices are no list of strings, or an empty one");
    PDK_AUTO_FREE grammar_node *nodes = calloc(list->count, sizeof *nodes);
    if (nodes == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the choices");
    size_t count = 0;
    for (const struct json *at = list->child; at != NULL; at = at->next) {
        if (at->type != JSON_STRING)
            return pdk_error_set(err, PDK_INVALID, NULL, "choice %zu is a %s, not a string", count, json_type_name(at));
        nodes[count++] = grammar_literal(grammar, at->text, at->length);
    }
    *ret_node = grammar_either(grammar, nodes, count);
    return grammar_status(grammar, err);
}
