/* What a schema says of arrays and objects. */
#include "config.h"

#include "runtimes/huggingface/guided/schema_terms.h"

#include "core/base/cleanup.h"

#include <stdlib.h>
#include <string.h>

static pdk_status add_fact(struct schema *schema, enum term_kind kind, const uint32_t values[5], struct term_list *list)
{
    term_id term;
    pdk_status status = term_fact(schema, kind, values, &term);
    return status != PDK_OK ? status : term_list_add(schema, list, term);
}

/* prefixItems and items, or what older drafts call items (an array) and additionalItems. */
static pdk_status read_items(struct schema *schema, const struct json *json, struct term_list *list)
{
    const struct json *prefix = json_get(json, "prefixItems"), *rest = json_get(json, "items");
    uint32_t index = 0;
    term_id term;
    pdk_status status = PDK_OK;
    if (rest != NULL && rest->type == JSON_ARRAY) {
        prefix = prefix != NULL ? prefix : rest;
        rest = json_get(json, "additionalItems");
    }
    if (prefix != NULL && prefix->type != JSON_ARRAY)
        return schema_fail(schema, PDK_INVALID, json, "prefixItems", "it must be an array of schemas");
    for (const struct json *one = prefix != NULL ? prefix->child : NULL; one != NULL && status == PDK_OK;
         one = one->next, index++) {
        status = term_schema(schema, one, &term);
        if (status == PDK_OK)
            status = add_fact(schema, KIND_ITEMS, (uint32_t[5]){index, index, term}, list);
    }
    if (status != PDK_OK || rest == NULL)
        return status;
    status = term_schema(schema, rest, &term);
    if (status != PDK_OK)
        return status;
    return add_fact(schema, KIND_ITEMS, (uint32_t[5]){index, TERM_UNBOUNDED, term}, list);
}

static pdk_status read_contains(struct schema *schema, const struct json *json, struct term_list *list)
{
    const struct json *contains = json_get(json, "contains");
    uint32_t least = 1, most = TERM_UNBOUNDED;
    bool found;
    term_id term;
    if (contains == NULL)
        return PDK_OK;
    pdk_status status = schema_count(schema, json, "minContains", &found, &least);
    if (status == PDK_OK)
        status = schema_count(schema, json, "maxContains", &found, &most);
    if (status == PDK_OK)
        status = term_schema(schema, contains, &term);
    if (status != PDK_OK)
        return status;
    if (least > most) {
        status = term_types(schema, TYPE_ALL & ~TYPE_ARRAY, &term);
        return status != PDK_OK ? status : term_list_add(schema, list, term);
    }
    return add_fact(schema, KIND_HOLDS, (uint32_t[5]){0, TERM_UNBOUNDED, term, least, most}, list);
}

static pdk_status read_window(struct schema *schema, const struct json *json, const char *at_least, const char *at_most,
    enum term_kind kind, struct term_list *list)
{
    uint32_t values[5] = {0, TERM_UNBOUNDED};
    bool found;
    term_id term;
    pdk_status status = schema_count(schema, json, at_least, &found, &values[0]);
    if (status == PDK_OK)
        status = schema_count(schema, json, at_most, &found, &values[1]);
    if (status != PDK_OK)
        return status;
    if (values[0] <= values[1])
        return add_fact(schema, kind, values, list);
    status = term_types(schema, TYPE_ALL & ~(kind == KIND_LENGTH ? TYPE_ARRAY : TYPE_OBJECT), &term);
    return status != PDK_OK ? status : term_list_add(schema, list, term);
}

pdk_status schema_arrays(struct schema *schema, const struct json *json, struct term_list *list)
{
    const struct json *unique = json_get(json, "uniqueItems");
    pdk_status status = read_items(schema, json, list);
    if (status == PDK_OK)
        status = read_contains(schema, json, list);
    if (status == PDK_OK)
        status = read_window(schema, json, "minItems", "maxItems", KIND_LENGTH, list);
    if (status != PDK_OK || unique == NULL || unique->type != JSON_TRUE)
        return status;
    term_id term;
    status = term_add(schema, (struct term){.kind = KIND_UNIQUE, .schema = json}, &term);
    return status != PDK_OK ? status : term_list_add(schema, list, term);
}

static pdk_status read_properties(
    struct schema *schema, const struct json *json, struct term_list *list, uint32_t *names, uint32_t *count)
{
    const struct json *properties = json_get(json, "properties");
    pdk_status status = PDK_OK;
    if (properties == NULL)
        return PDK_OK;
    for (const struct json *one = properties->child; one != NULL && status == PDK_OK; one = one->next) {
        uint32_t name, single;
        term_id term;
        status = schema_name(schema, one->key, one->key_length, &name);
        if (status == PDK_OK) {
            names[(*count)++] = name;
            status = schema_key_set(schema, &name, 1, 0, false, &single);
        }
        if (status == PDK_OK)
            status = term_schema(schema, one, &term);
        /* Said even where it says nothing: a property that is named is offered, in its place. */
        if (status == PDK_OK)
            status = term_add(schema, (struct term){.kind = KIND_RULE, .a = single, .b = term}, &term);
        if (status == PDK_OK)
            status = term_list_add(schema, list, term);
    }
    return status;
}

/* Each pattern's rule; *pair becomes all of them together. */
static pdk_status read_patterns(struct schema *schema, const struct json *json, struct term_list *list, uint32_t *pair)
{
    const struct json *patterns = json_get(json, "patternProperties");
    pdk_status status = PDK_OK;
    *pair = 0;
    for (const struct json *one = patterns != NULL ? patterns->child : NULL; one != NULL && status == PDK_OK;
         one = one->next) {
        uint32_t own, set;
        term_id term;
        status = schema_pattern(schema, json, "patternProperties", one->key, one->key_length, &own);
        if (status == PDK_OK)
            status = schema_key_set(schema, NULL, 0, own, false, &set);
        if (status == PDK_OK)
            status = term_schema(schema, one, &term);
        if (status == PDK_OK)
            status = add_fact(schema, KIND_RULE, (uint32_t[5]){set, term}, list);
        if (status == PDK_OK && *pair != 0) {
            struct pair a = schema->pairs[*pair], b = schema->pairs[own];
            status = schema_either(schema, a.sure, b.sure, &a.sure);
            if (status == PDK_OK)
                status = schema_either(schema, a.perhaps, b.perhaps, &a.perhaps);
            if (status == PDK_OK)
                status = schema_pair(schema, a.sure, a.perhaps, &own);
        }
        *pair = own;
    }
    return status;
}

static pdk_status read_additional(struct schema *schema, const struct json *json, uint32_t *names, uint32_t count,
    uint32_t pair, struct term_list *list)
{
    const struct json *additional = json_get(json, "additionalProperties");
    bool closed = additional == NULL && schema->style->closed_objects && json_get(json, "properties") != NULL &&
                  json_get(json, "unevaluatedProperties") == NULL;
    term_id term = TERM_FALSE;
    uint32_t set, reason;
    pdk_status status = PDK_OK;
    if (additional == NULL && !closed)
        return PDK_OK;
    if (additional != NULL)
        status = term_schema(schema, additional, &term);
    if (status == PDK_OK)
        status = schema_key_set(schema, names, count, pair, true, &set);
    if (status == PDK_OK)
        status = term_fact(schema, KIND_RULE, (uint32_t[5]){set, term}, &term);
    if (status == PDK_OK && closed) { /* stricter than the schema, so its opposite is not the schema's */
        status = term_opaque(schema, json, "not", "the opposite of an object that is closed by an option", &reason);
        if (status == PDK_OK)
            status =
                term_add(schema, (struct term){.kind = KIND_ENOUGH, .a = term, .b = schema->terms[reason].a}, &term);
    }
    return status != PDK_OK ? status : term_list_add(schema, list, term);
}

/* Keys that propertyNames refuses may not be there. */
static pdk_status read_property_names(struct schema *schema, const struct json *json, struct term_list *list)
{
    const struct json *names = json_get(json, "propertyNames");
    uint32_t pair, set;
    if (names == NULL)
        return PDK_OK;
    pdk_status status = schema_string_pair(schema, names, &pair);
    if (status == PDK_OK)
        status = schema_key_set(schema, NULL, 0, pair, true, &set);
    return status != PDK_OK ? status : add_fact(schema, KIND_RULE, (uint32_t[5]){set, TERM_FALSE}, list);
}

static pdk_status add_present(struct schema *schema, const struct json *json, const char *keyword,
    const struct json *name, struct term_list *list)
{
    uint32_t number;
    if (name->type != JSON_STRING)
        return schema_fail(schema, PDK_INVALID, json, keyword, "it must list names of properties");
    pdk_status status = schema_name(schema, name->text, name->length, &number);
    return status != PDK_OK ? status : add_fact(schema, KIND_PRESENT, (uint32_t[5]){number}, list);
}

pdk_status schema_objects(struct schema *schema, const struct json *json, struct term_list *list)
{
    static const char *const maps[] = {"properties", "patternProperties"};
    const struct json *properties = json_get(json, "properties"), *required = json_get(json, "required");
    uint32_t count = 0, pair = 0;
    for (size_t i = 0; i < 2; i++) {
        const struct json *map = json_get(json, maps[i]);
        if (map != NULL && map->type != JSON_OBJECT)
            return schema_fail(schema, PDK_INVALID, json, maps[i], "it must be an object whose members are schemas");
    }
    PDK_AUTO_FREE uint32_t *names = calloc((properties != NULL ? properties->count : 0) + (size_t)1, sizeof *names);
    if (names == NULL)
        return schema_no_memory(schema);
    pdk_status status = read_properties(schema, json, list, names, &count);
    if (status == PDK_OK)
        status = read_patterns(schema, json, list, &pair);
    if (status == PDK_OK)
        status = read_additional(schema, json, names, count, pair, list);
    if (status == PDK_OK)
        status = read_property_names(schema, json, list);
    /* Draft 3's `required` is a boolean, which means nothing here. */
    for (const struct json *name = required != NULL && required->type == JSON_ARRAY ? required->child : NULL;
         name != NULL && status == PDK_OK; name = name->next)
        status = add_present(schema, json, "required", name, list);
    if (status == PDK_OK)
        status = read_window(schema, json, "minProperties", "maxProperties", KIND_COUNT, list);
    return status;
}

/* If property `key` is there, so is what depends on it: names, or a schema. */
static pdk_status add_dependency(struct schema *schema, const struct json *json, const char *keyword,
    const struct json *dependency, struct term_list *list)
{
    struct term_list needs = {0};
    uint32_t name, single;
    term_id absent = TERM_FALSE, term = TERM_TRUE;
    pdk_status status = schema_name(schema, dependency->key, dependency->key_length, &name);
    if (status == PDK_OK)
        status = schema_key_set(schema, &name, 1, 0, false, &single);
    if (status == PDK_OK)
        status = term_fact(schema, KIND_RULE, (uint32_t[5]){single, TERM_FALSE}, &absent);
    if (dependency->type == JSON_ARRAY) {
        for (const struct json *one = dependency->child; one != NULL && status == PDK_OK; one = one->next)
            status = add_present(schema, json, keyword, one, &needs);
    } else if (status == PDK_OK) {
        status = term_schema(schema, dependency, &term);
        if (status == PDK_OK)
            status = term_list_add(schema, &needs, term);
    }
    if (status == PDK_OK)
        status = term_all(schema, needs.terms, needs.count, &term);
    if (status == PDK_OK)
        status = term_any(schema, (term_id[]){absent, term}, 2, &term);
    if (status == PDK_OK)
        status = term_list_add(schema, list, term);
    free(needs.terms);
    return status;
}

pdk_status schema_dependencies(struct schema *schema, const struct json *json, struct term_list *list)
{
    /* The last is what older drafts have for both. */
    static const char *const keywords[] = {"dependentRequired", "dependentSchemas", "dependencies"};
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        const struct json *map = json_get(json, keywords[i]);
        if (map != NULL && map->type != JSON_OBJECT)
            return schema_fail(schema, PDK_INVALID, json, keywords[i], "it must be an object");
        for (const struct json *one = map != NULL ? map->child : NULL; one != NULL; one = one->next) {
            pdk_status status = add_dependency(schema, json, keywords[i], one, list);
            if (status != PDK_OK)
                return status;
        }
    }
    return PDK_OK;
}
