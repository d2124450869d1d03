/* JSON texts: of a schema, or any object. */
#include "config.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "runtimes/huggingface/guided/json_schema.h"
#include "runtimes/huggingface/guided/readers.h"

struct json_style json_style_of(const pdk_guide *what)
{
    return (struct json_style){
        .no_whitespace = (what->flags & PDK_GUIDE_NO_WHITESPACE) != 0,
        .closed_objects = (what->flags & PDK_GUIDE_CLOSED_OBJECTS) != 0,
        .whitespace = what->whitespace.length > 0 ? what->whitespace.data : NULL,
        .whitespace_length = what->whitespace.length,
    };
}

pdk_status read_json_schema(struct grammar *grammar, const pdk_guide *what, grammar_node *ret_node, pdk_error *err)
{
    struct json_limits limits = json_limits_default;
    limits.allow_nul = true;
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    struct json_style style = json_style_of(what);
    pdk_status status = json_read(what->text.data, what->text.length, &limits, &document, err);
    return status == PDK_OK ? json_schema_node(grammar, json_root(document), &style, ret_node, err) : status;
}

pdk_status read_json_object(struct grammar *grammar, const pdk_guide *what, grammar_node *ret_node, pdk_error *err)
{
    struct json_style style = json_style_of(what);
    return json_object_node(grammar, &style, ret_node, err);
}
