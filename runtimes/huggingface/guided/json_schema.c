/* A schema is read into terms (schema_terms.h), terms are worked out by type (schema_normal.h), and that becomes
 * grammar (schema_emit.h). */
#include "config.h"

#include "runtimes/huggingface/guided/json_schema.h"

#include "core/base/array.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "runtimes/huggingface/guided/schema_emit.h"

#include <string.h>

enum { DEPTH_MAX = 64, TIME_MAX_MS = 800, STATES_MAX = 20000, LOOK_DEPTH = 6 };

static bool deeper_than(const struct json *json, unsigned most)
{
    if (json->type != JSON_ARRAY && json->type != JSON_OBJECT)
        return false;
    if (most == 0)
        return true;
    for (const struct json *child = json->child; child != NULL; child = child->next) {
        if (deeper_than(child, most - 1))
            return true;
    }
    return false;
}

static pdk_status begin(struct schema *schema)
{
    struct regular *all = NULL, *none = NULL;
    term_id constant;
    if (!array_grow(&schema->lists, &schema->list_room, 1))
        return schema_no_memory(schema);
    pdk_status status = regular_of_length(0, GRAMMAR_UNBOUNDED, &all, schema->err);
    if (status == PDK_OK)
        status = schema_keep(schema, all, &schema->all);
    if (status == PDK_OK)
        status = regular_of_length(1, 0, &none, schema->err);
    if (status == PDK_OK)
        status = schema_keep(schema, none, &schema->none);
    if (status == PDK_OK) /* TERM_FALSE and TERM_TRUE */
        status = term_add(schema, (struct term){.kind = KIND_FALSE}, &constant);
    if (status == PDK_OK)
        status = term_add(schema, (struct term){.kind = KIND_TRUE}, &constant);
    return status;
}

static pdk_status compile(struct schema *schema, grammar_node *ret_node)
{
    term_id root;
    bool empty = false;
    pdk_status status = schema_index(schema);
    if (status == PDK_OK)
        status = term_schema(schema, schema->root, &root);
    if (status == PDK_OK)
        status = schema_is_empty(schema, root, LOOK_DEPTH, &empty);
    if (status == PDK_OK && empty)
        return schema_fail(schema, PDK_INVALID, schema->root, "", "no value can satisfy it");
    return status != PDK_OK ? status : schema_emit(schema, root, ret_node);
}

pdk_status json_schema_node(struct grammar *grammar, const struct json *json, const struct json_style *style,
    grammar_node *ret_node, pdk_error *err)
{
    int64_t deadline = thread_ms() + TIME_MAX_MS, theirs = grammar_deadline_ms(grammar);
    struct schema schema = {.grammar = grammar,
        .root = json,
        .style = style,
        .budget = {.states = STATES_MAX, .deadline_ms = deadline < theirs ? deadline : theirs},
        .err = err};
    if (json->type != JSON_OBJECT && json->type != JSON_TRUE && json->type != JSON_FALSE)
        return pdk_error_set(err, PDK_INVALID, "schema",
            "a JSON schema must be an object or a boolean, and this is of type %s", json_type_name(json));
    if (deeper_than(json, DEPTH_MAX))
        return pdk_error_set(err, PDK_INVALID, "schema",
            "The JSON schema is nested too deeply: objects and arrays may nest at most %d levels", DEPTH_MAX);
    pdk_status status = begin(&schema);
    if (status == PDK_OK)
        status = compile(&schema, ret_node);
    /* Within, a conflict says that a schema is defined by itself; nothing can be made of that. */
    if (status == PDK_CONFLICT && err != NULL)
        err->status = PDK_UNSUPPORTED;
    schema_done(&schema);
    return status == PDK_CONFLICT ? PDK_UNSUPPORTED : status;
}

pdk_status json_object_node(
    struct grammar *grammar, const struct json_style *style, grammar_node *ret_node, pdk_error *err)
{
    struct json type = {.type = JSON_STRING, .key = "type", .key_length = 4, .text = "object", .length = 6};
    struct json schema = {.type = JSON_OBJECT, .count = 1, .child = &type, .last = &type};
    return json_schema_node(grammar, &schema, style, ret_node, err);
}
