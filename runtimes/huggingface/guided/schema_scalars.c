/* What a schema says of numbers and strings, and the values of enum and const. */
#include "config.h"

#include "runtimes/huggingface/guided/schema_terms.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/error.h"

#include <stdlib.h>
#include <string.h>

static pdk_status add_set(struct schema *schema, enum term_kind kind, uint32_t pair, struct term_list *list)
{
    term_id term;
    pdk_status status = term_fact(schema, kind, (uint32_t[5]){pair}, &term);
    return status != PDK_OK ? status : term_list_add(schema, list, term);
}

static pdk_status read_bound(
    struct schema *schema, const struct json *json, const char *keyword, bool greater, struct term_list *list)
{
    const char *exclusive = greater ? "exclusiveMinimum" : "exclusiveMaximum";
    const struct json *bound = json_get(json, keyword), *flag = json_get(json, exclusive);
    bool own = strcmp(keyword, exclusive) == 0;
    uint32_t pair;
    if (bound == NULL)
        return PDK_OK;
    if (own && (bound->type == JSON_TRUE || bound->type == JSON_FALSE))
        return PDK_OK; /* an older draft's: it changes minimum or maximum */
    if (bound->type != JSON_NUMBER)
        return schema_fail(schema, PDK_INVALID, json, keyword, "it must be a number");
    bool equal = !own && (flag == NULL || flag->type != JSON_TRUE);
    pdk_status status = number_bound(schema, json, keyword, bound, greater, equal, &pair);
    return status != PDK_OK ? status : add_set(schema, KIND_NUMBER, pair, list);
}

static pdk_status read_numbers(struct schema *schema, const struct json *json, struct term_list *list)
{
    const struct json *step = json_get(json, "multipleOf");
    uint32_t pair;
    pdk_status status = read_bound(schema, json, "minimum", true, list);
    if (status == PDK_OK)
        status = read_bound(schema, json, "exclusiveMinimum", true, list);
    if (status == PDK_OK)
        status = read_bound(schema, json, "maximum", false, list);
    if (status == PDK_OK)
        status = read_bound(schema, json, "exclusiveMaximum", false, list);
    if (status != PDK_OK || step == NULL)
        return status;
    if (step->type != JSON_NUMBER)
        return schema_fail(schema, PDK_INVALID, json, "multipleOf", "it must be a number");
    status = number_multiples(schema, json, step, &pair);
    return status != PDK_OK ? status : add_set(schema, KIND_NUMBER, pair, list);
}

/* \p{…}, which not all dialects that validators use have: to some the whole schema is then an error. */
static bool has_property(const char *text, size_t length)
{
    for (size_t i = 0; i + 1 < length; i++) {
        if (text[i] != '\\')
            continue;
        i++;
        if (text[i] == 'p' || text[i] == 'P')
            return true;
    }
    return false;
}

pdk_status schema_pattern(struct schema *schema, const struct json *where, const char *keyword, const char *text,
    size_t length, uint32_t *ret_pair)
{
    struct regular *sure = NULL, *perhaps = NULL;
    const struct regular *kept_sure, *kept_perhaps;
    pdk_error why = {0};
    for (uint32_t i = 0; i < schema->pattern_count; i++) {
        const struct known_pattern *known = &schema->patterns[i];
        if (known->text.length == length && memcmp(known->text.bytes, text, length) == 0) {
            *ret_pair = known->pair;
            return PDK_OK;
        }
    }
    if (has_property(text, length))
        return schema_fail(schema, PDK_UNSUPPORTED, where, keyword,
            "Unicode properties cannot be enforced, as validators do not agree on them; list the ranges");
    pdk_status status = regular_of_regex(text, length, REGEX_SEARCH, &schema->budget, &sure, &why);
    if (status == PDK_OK)
        status = schema_keep(schema, sure, &kept_sure);
    if (status == PDK_OK)
        status = regular_of_regex_loosely(text, length, REGEX_SEARCH, &schema->budget, &perhaps, &why);
    if (status == PDK_OK)
        status = schema_keep(schema, perhaps, &kept_perhaps);
    if (status != PDK_OK)
        return schema_fail(schema, status, where, keyword, "%s", why.message);
    if (!array_grow(&schema->patterns, &schema->pattern_room, (size_t)schema->pattern_count + 1))
        return schema_no_memory(schema);
    status = schema_pair(schema, kept_sure, kept_perhaps, ret_pair);
    if (status == PDK_OK)
        schema->patterns[schema->pattern_count++] = (struct known_pattern){{text, length}, *ret_pair};
    return status;
}

static pdk_status read_lengths(struct schema *schema, const struct json *json, struct term_list *list)
{
    uint32_t least = 0, most = TERM_UNBOUNDED, pair;
    bool has_least, has_most;
    struct regular *set = NULL;
    const struct regular *kept;
    pdk_status status = schema_count(schema, json, "minLength", &has_least, &least);
    if (status == PDK_OK)
        status = schema_count(schema, json, "maxLength", &has_most, &most);
    if (status != PDK_OK || (!has_least && !has_most))
        return status;
    status = regular_of_length(least, most, &set, schema->err);
    if (status == PDK_OK)
        status = schema_keep(schema, set, &kept);
    if (status == PDK_OK)
        status = schema_pair(schema, kept, kept, &pair);
    return status != PDK_OK ? status : add_set(schema, KIND_STRING, pair, list);
}

static pdk_status read_strings(struct schema *schema, const struct json *json, struct term_list *list)
{
    const struct json *pattern = json_get(json, "pattern"), *format = json_get(json, "format");
    uint32_t pair;
    pdk_status status = read_lengths(schema, json, list);
    if (status == PDK_OK && pattern != NULL) {
        if (pattern->type != JSON_STRING)
            return schema_fail(schema, PDK_INVALID, json, "pattern", "it must be a string");
        status = schema_pattern(schema, json, "pattern", pattern->text, pattern->length, &pair);
        if (status == PDK_OK)
            status = add_set(schema, KIND_STRING, pair, list);
    }
    const char *name;
    const char *known = format != NULL && json_string(format, &name) ? schema_format(name) : NULL;
    if (status != PDK_OK || known == NULL)
        return status;
    /* To the standard a format only describes: strings that do not have it are perhaps valid. */
    const struct regular *set;
    status = schema_fixed(schema, known, &set);
    if (status == PDK_OK)
        status = schema_pair(schema, set, schema->all, &pair);
    return status != PDK_OK ? status : add_set(schema, KIND_STRING, pair, list);
}

pdk_status schema_scalars(struct schema *schema, const struct json *json, struct term_list *list)
{
    pdk_status status = read_numbers(schema, json, list);
    return status != PDK_OK ? status : read_strings(schema, json, list);
}

/* An array or object with just these elements or members. */
static pdk_status container_value(struct schema *schema, const struct json *value, term_id *ret_term)
{
    bool array = value->type == JSON_ARRAY;
    struct term_list facts = {0};
    PDK_AUTO_FREE uint32_t *names = calloc((size_t)value->count + 1, sizeof *names);
    uint32_t index = 0, others;
    term_id term;
    if (names == NULL)
        return schema_no_memory(schema);
    pdk_status status = term_types(schema, array ? TYPE_ARRAY : TYPE_OBJECT, &term);
    if (status == PDK_OK)
        status = term_list_add(schema, &facts, term);
    for (const struct json *child = value->child; child != NULL && status == PDK_OK; child = child->next, index++) {
        term_id inner;
        uint32_t single, name;
        status = schema_value(schema, child, &inner);
        if (status == PDK_OK && array) {
            status = term_fact(schema, KIND_ITEMS, (uint32_t[5]){index, index, inner}, &term);
        } else if (status == PDK_OK) {
            status = schema_name(schema, child->key, child->key_length, &name);
            names[index] = name;
            if (status == PDK_OK)
                status = schema_key_set(schema, &name, 1, 0, false, &single);
            if (status == PDK_OK)
                status = term_fact(schema, KIND_PRESENT, (uint32_t[5]){name}, &term);
            if (status == PDK_OK)
                status = term_list_add(schema, &facts, term);
            if (status == PDK_OK)
                status = term_fact(schema, KIND_RULE, (uint32_t[5]){single, inner}, &term);
        }
        if (status == PDK_OK)
            status = term_list_add(schema, &facts, term);
    }
    if (status == PDK_OK && array) {
        status = term_fact(schema, KIND_LENGTH, (uint32_t[5]){index, index}, &term);
    } else if (status == PDK_OK) {
        status = schema_key_set(schema, names, index, 0, true, &others);
        if (status == PDK_OK)
            status = term_fact(schema, KIND_RULE, (uint32_t[5]){others, TERM_FALSE}, &term);
    }
    if (status == PDK_OK)
        status = term_list_add(schema, &facts, term);
    if (status == PDK_OK)
        status = term_all(schema, facts.terms, facts.count, ret_term);
    free(facts.terms);
    return status;
}

/* The scalars of a list together: their types, the numbers' set, the strings' set. */
static pdk_status scalar_values(
    struct schema *schema, const struct json *const *values, size_t count, term_id *ret_term)
{
    PDK_AUTO_FREE const struct json **numbers = calloc(count + 1, sizeof *numbers);
    PDK_AUTO_FREE struct regular_text *texts = calloc(count + 1, sizeof *texts);
    size_t number_count = 0, text_count = 0;
    uint32_t types = 0, pair;
    struct term_list facts = {0};
    term_id term;
    if (numbers == NULL || texts == NULL)
        return schema_no_memory(schema);
    for (size_t i = 0; i < count; i++) {
        switch (values[i]->type) {
        case JSON_NULL: types |= TYPE_NULL; break;
        case JSON_FALSE: types |= TYPE_FALSE; break;
        case JSON_TRUE: types |= TYPE_TRUE; break;
        case JSON_NUMBER:
            types |= TYPE_NUMBER;
            numbers[number_count++] = values[i];
            break;
        default: types |= TYPE_STRING; texts[text_count++] = (struct regular_text){values[i]->text, values[i]->length};
        }
    }
    pdk_status status = term_types(schema, types, &term);
    if (status == PDK_OK)
        status = term_list_add(schema, &facts, term);
    if (status == PDK_OK && number_count > 0) {
        status = number_values(schema, numbers, number_count, &pair);
        if (status == PDK_OK)
            status = add_set(schema, KIND_NUMBER, pair, &facts);
    }
    if (status == PDK_OK && text_count > 0) {
        struct regular *set = NULL;
        const struct regular *kept;
        status = regular_of_texts(texts, text_count, &schema->budget, &set, schema->err);
        if (status == PDK_OK)
            status = schema_keep(schema, set, &kept);
        if (status == PDK_OK)
            status = schema_pair(schema, kept, kept, &pair);
        if (status == PDK_OK)
            status = add_set(schema, KIND_STRING, pair, &facts);
    }
    if (status == PDK_OK)
        status = term_all(schema, facts.terms, facts.count, ret_term);
    free(facts.terms);
    return status;
}

pdk_status schema_values(struct schema *schema, const struct json *first, term_id *ret_term)
{
    size_t count = 0, scalars = 0;
    for (const struct json *value = first; value != NULL; value = value->next)
        count++;
    PDK_AUTO_FREE const struct json **list = calloc(count + 1, sizeof *list);
    struct term_list ways = {0};
    term_id term;
    pdk_status status = PDK_OK;
    if (list == NULL)
        return schema_no_memory(schema);
    for (const struct json *value = first; value != NULL && status == PDK_OK; value = value->next) {
        if (value->type != JSON_ARRAY && value->type != JSON_OBJECT) {
            list[scalars++] = value;
            continue;
        }
        status = container_value(schema, value, &term);
        if (status == PDK_OK)
            status = term_list_add(schema, &ways, term);
    }
    if (status == PDK_OK && scalars > 0) {
        status = scalar_values(schema, list, scalars, &term);
        if (status == PDK_OK)
            status = term_list_add(schema, &ways, term);
    }
    if (status == PDK_OK)
        status = term_any(schema, ways.terms, ways.count, ret_term);
    free(ways.terms);
    return status;
}

pdk_status schema_value(struct schema *schema, const struct json *value, term_id *ret_term)
{
    if (value->type == JSON_ARRAY || value->type == JSON_OBJECT)
        return container_value(schema, value, ret_term);
    return scalar_values(schema, &value, 1, ret_term);
}
