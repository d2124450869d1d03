/* Reading a schema into terms: the applicators here, facts about single types in schema_scalars.c and
 * schema_containers.c. Keywords that only describe (title, default, format's unknown values, …) say nothing. */
#include "config.h"

#include "runtimes/huggingface/guided/schema_terms.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "runtimes/huggingface/guided/schema_normal.h"

#include <stdlib.h>
#include <string.h>

pdk_status schema_content(struct schema *schema, term_id term, term_id *ret_content)
{
    if (schema->expanded[term] == TERM_BEING_READ)
        return schema_fail(
            schema, PDK_CONFLICT, schema->terms[term].schema, "$ref", "a schema refers to itself without end");
    if (schema->expanded[term] == TERM_NOT_READ) {
        term_id content = TERM_FALSE;
        schema->expanded[term] = TERM_BEING_READ;
        pdk_status status = schema_expand(schema, schema->terms[term].schema, &content);
        schema->expanded[term] = TERM_NOT_READ;
        if (status != PDK_OK)
            return status;
        schema->expanded[term] = content;
    }
    *ret_content = schema->expanded[term];
    return PDK_OK;
}

pdk_status schema_count(
    struct schema *schema, const struct json *json, const char *keyword, bool *ret_found, uint32_t *ret_count)
{
    const struct json *value = json_get(json, keyword);
    uint64_t count;
    *ret_found = value != NULL;
    if (value == NULL)
        return PDK_OK;
    if (!json_uint64(value, &count))
        return schema_fail(schema, PDK_INVALID, json, keyword, "it must be a whole number that is not negative");
    *ret_count = count >= TERM_UNBOUNDED ? TERM_UNBOUNDED : (uint32_t)count;
    return PDK_OK;
}

static pdk_status read_type_name(
    struct schema *schema, const struct json *json, const struct json *name, uint32_t *types, bool *integer)
{
    static const struct {
        const char *name;
        uint32_t types;
    } known[] = {{"null", TYPE_NULL}, {"boolean", TYPE_BOOLEAN}, {"number", TYPE_NUMBER}, {"string", TYPE_STRING},
        {"array", TYPE_ARRAY}, {"object", TYPE_OBJECT}, {"any", TYPE_ALL}};
    const char *text;
    if (!json_string(name, &text))
        return schema_fail(schema, PDK_INVALID, json, "type", "it must be a type's name or a list of them");
    if (strcmp(text, "integer") == 0) {
        *integer = true;
        return PDK_OK;
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(text, known[i].name) == 0) {
            *types |= known[i].types;
            return PDK_OK;
        }
    }
    return pdk_error_set(schema->err, PDK_INVALID, "schema", "Invalid type: %.40s", text);
}

static pdk_status read_type(struct schema *schema, const struct json *json, struct term_list *list)
{
    const struct json *type = json_get(json, "type");
    uint32_t types = 0, values[5] = {0};
    bool integer = false;
    term_id term;
    if (type == NULL)
        return PDK_OK;
    pdk_status status = PDK_OK;
    if (type->type != JSON_ARRAY)
        status = read_type_name(schema, json, type, &types, &integer);
    for (const struct json *name = type->type == JSON_ARRAY ? type->child : NULL; name != NULL && status == PDK_OK;
         name = name->next)
        status = read_type_name(schema, json, name, &types, &integer);
    if (status == PDK_OK && integer && !(types & TYPE_NUMBER)) {
        types |= TYPE_NUMBER;
        status = number_integers(schema, &values[0]);
        if (status == PDK_OK)
            status = term_fact(schema, KIND_NUMBER, values, &term);
        if (status == PDK_OK)
            status = term_list_add(schema, list, term);
    }
    if (status == PDK_OK)
        status = term_types(schema, types, &term);
    return status != PDK_OK ? status : term_list_add(schema, list, term);
}

static pdk_status read_values(struct schema *schema, const struct json *json, struct term_list *list)
{
    const struct json *constant = json_get(json, "const"), *values = json_get(json, "enum");
    term_id term;
    pdk_status status = PDK_OK;
    if (constant != NULL) {
        status = schema_value(schema, constant, &term);
        if (status == PDK_OK)
            status = term_list_add(schema, list, term);
    }
    if (status != PDK_OK || values == NULL)
        return status;
    if (values->type != JSON_ARRAY)
        return schema_fail(schema, PDK_INVALID, json, "enum", "it must be an array");
    status = schema_values(schema, values->child, &term);
    return status != PDK_OK ? status : term_list_add(schema, list, term);
}

/* A keyword whose value is a list of schemas. */
static pdk_status schema_list(
    struct schema *schema, const struct json *json, const char *keyword, const struct json **ret_list)
{
    const struct json *list = json_get(json, keyword);
    if (list != NULL && (list->type != JSON_ARRAY || list->count == 0))
        return schema_fail(schema, PDK_INVALID, json, keyword, "it must be an array of schemas that is not empty");
    *ret_list = list;
    return PDK_OK;
}

static pdk_status read_all_and_any(struct schema *schema, const struct json *json, struct term_list *list)
{
    const struct json *schemas = NULL;
    struct term_list any = {0};
    term_id term;
    pdk_status status = schema_list(schema, json, "allOf", &schemas);
    if (status == PDK_OK && schemas != NULL) {
        for (const struct json *one = schemas->child; one != NULL && status == PDK_OK; one = one->next) {
            status = term_schema(schema, one, &term);
            if (status == PDK_OK)
                status = term_list_add(schema, list, term);
        }
    }
    if (status == PDK_OK)
        status = schema_list(schema, json, "anyOf", &schemas);
    if (status != PDK_OK || schemas == NULL)
        return status;
    for (const struct json *one = schemas->child; one != NULL && status == PDK_OK; one = one->next) {
        status = term_schema(schema, one, &term);
        if (status == PDK_OK)
            status = term_list_add(schema, &any, term);
    }
    if (status == PDK_OK)
        status = term_any(schema, any.terms, any.count, &term);
    if (status == PDK_OK)
        status = term_list_add(schema, list, term);
    free(any.terms);
    return status;
}

static pdk_status read_not(struct schema *schema, const struct json *json, struct term_list *list)
{
    const struct json *inner = json_get(json, "not");
    term_id term;
    if (inner == NULL)
        return PDK_OK;
    pdk_status status = term_schema(schema, inner, &term);
    if (status == PDK_OK)
        status = term_not(schema, term, &term);
    return status != PDK_OK ? status : term_list_add(schema, list, term);
}

/* (if and then) or (not if and else). */
static pdk_status read_if(struct schema *schema, const struct json *json, struct term_list *list)
{
    const struct json *condition = json_get(json, "if"), *then = json_get(json, "then"),
                      *otherwise = json_get(json, "else");
    term_id yes, no, then_term = TERM_TRUE, else_term = TERM_TRUE, term;
    if (condition == NULL || (then == NULL && otherwise == NULL))
        return PDK_OK;
    pdk_status status = term_schema(schema, condition, &yes);
    if (status == PDK_OK)
        status = term_not(schema, yes, &no);
    if (status == PDK_OK && then != NULL)
        status = term_schema(schema, then, &then_term);
    if (status == PDK_OK && otherwise != NULL)
        status = term_schema(schema, otherwise, &else_term);
    if (status == PDK_OK)
        status = term_both(schema, yes, then_term, &yes);
    if (status == PDK_OK)
        status = term_both(schema, no, else_term, &no);
    if (status == PDK_OK)
        status = term_any(schema, (term_id[]){yes, no}, 2, &term);
    return status != PDK_OK ? status : term_list_add(schema, list, term);
}

static pdk_status read_references(struct schema *schema, const struct json *json, struct term_list *list)
{
    static const char *const keywords[] = {"$ref", "$dynamicRef", "$recursiveRef"};
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        const struct json *reference = json_get(json, keywords[i]), *target;
        term_id term;
        if (reference == NULL)
            continue;
        pdk_status status = schema_follow(schema, json, reference, keywords[i], &target);
        if (status == PDK_OK)
            status = term_schema(schema, target, &term);
        if (status == PDK_OK)
            status = term_list_add(schema, list, term);
        if (status != PDK_OK)
            return status;
    }
    return PDK_OK;
}

static pdk_status read_one_of(struct schema *schema, const struct json *json, struct term_list *list)
{
    const struct json *schemas = NULL;
    term_id term;
    pdk_status status = schema_list(schema, json, "oneOf", &schemas);
    if (status != PDK_OK || schemas == NULL)
        return status;
    status = schema_one_of(schema, json, schemas, &term);
    return status != PDK_OK ? status : term_list_add(schema, list, term);
}

pdk_status schema_facts(struct schema *schema, const struct json *json, bool applicators, struct term_list *list)
{
    typedef pdk_status reader(struct schema *, const struct json *, struct term_list *);
    static reader *const facts[] = {read_type, read_values, schema_scalars, schema_arrays, schema_objects, read_not};
    static reader *const others[] = {read_references, read_all_and_any, read_one_of, read_if, schema_dependencies};
    pdk_status status = PDK_OK;
    for (size_t i = 0; i < sizeof facts / sizeof *facts && status == PDK_OK; i++)
        status = facts[i](schema, json, list);
    for (size_t i = 0; i < sizeof others / sizeof *others && status == PDK_OK && applicators; i++)
        status = others[i](schema, json, list);
    return status;
}

pdk_status schema_expand(struct schema *schema, const struct json *json, term_id *ret_term)
{
    if (json->type == JSON_TRUE || json->type == JSON_FALSE)
        return term_schema(schema, json, ret_term);
    if (json->type != JSON_OBJECT)
        return schema_fail(schema, PDK_INVALID, json, "",
            "a schema must be an object or a boolean, and this is of type %s", json_type_name(json));
    if (json_get(json, "unevaluatedProperties") != NULL || json_get(json, "unevaluatedItems") != NULL)
        return schema_unevaluated(schema, json, ret_term);
    struct term_list list = {0};
    pdk_status status = schema_facts(schema, json, true, &list);
    if (status == PDK_OK)
        status = term_all(schema, list.terms, list.count, ret_term);
    free(list.terms);
    return status;
}
