/* uniqueItems, where the elements are from a short list: an array is then a part of the list, in the list's order; or,
 * where places differ, a walk that remembers which values are taken. */
#include "config.h"

#include "runtimes/huggingface/guided/regular_set.h"
#include "runtimes/huggingface/guided/schema_emit.h"

#include "core/base/array.h"
#include "core/base/buffer.h"
#include "core/base/cleanup.h"
#include "core/base/utf8.h"
#include "runtimes/huggingface/guided/schema_decimal.h"

#include <stdlib.h>
#include <string.h>

enum { VALUES_MAX = 256, PLACED_VALUES_MAX = 10, PLACES_MAX = 16 };

/* Values as JSON texts; different texts are different values. */
struct values {
    char *texts[VALUES_MAX];
    uint32_t count;
    bool too_many;
};

static void values_done(struct values *values)
{
    for (uint32_t i = 0; i < values->count; i++)
        free(values->texts[i]);
}

static pdk_status add_value(struct schema *schema, struct values *values, const char *text, size_t length)
{
    if (values->count == VALUES_MAX) {
        values->too_many = true;
        return PDK_OK;
    }
    for (uint32_t i = 0; i < values->count; i++) {
        if (strlen(values->texts[i]) == length && memcmp(values->texts[i], text, length) == 0)
            return PDK_OK;
    }
    char *copy = strndup(text, length);
    if (copy == NULL)
        return schema_no_memory(schema);
    values->texts[values->count++] = copy;
    return PDK_OK;
}

/* A number's or string's text as a value: numbers in one spelling, so that 1 and 1.0 do not both count. */
static pdk_status add_text(struct schema *schema, struct values *values, bool number, struct buffer *text)
{
    struct buffer out = {0};
    struct decimal decimal;
    buffer_put(text, "", 1);
    if (text->failed)
        return schema_no_memory(schema);
    text->length--;
    struct json json = {.type = JSON_NUMBER, .text = text->data, .length = text->length};
    if (!number)
        json_escape(&out, text->data, text->length);
    else if (!decimal_read(&json, &decimal))
        buffer_put(&out, text->data, text->length);
    else
        buffer_printf(&out, "%s%s%s%s", decimal.negative ? "-" : "", decimal.whole, decimal.part[0] != '\0' ? "." : "",
            decimal.part);
    pdk_status status = out.failed ? schema_no_memory(schema) : add_value(schema, values, out.data, out.length);
    buffer_done(&out);
    return status;
}

/* All strings of a set that has few: `depth` bounds what a loop would repeat. */
static pdk_status add_strings(struct schema *schema, struct values *values, const struct regular *set, bool number,
    uint32_t state, uint32_t depth, struct buffer *text)
{
    pdk_status status = PDK_OK;
    if (set->states[state].accepts)
        status = add_text(schema, values, number, text);
    if (depth > set->count)
        values->too_many = true;
    for (uint32_t e = 0; e < set->states[state].edges && status == PDK_OK && !values->too_many; e++) {
        const struct regular_edge *edge = &set->edges[set->states[state].edge + e];
        for (uint32_t code = edge->first; code <= edge->last && status == PDK_OK && !values->too_many; code++) {
            char bytes[4];
            size_t length = text->length;
            buffer_put(text, bytes, utf8_encode(code, bytes));
            status = add_strings(schema, values, set, number, edge->target, depth + 1, text);
            text->length = length;
        }
    }
    return status;
}

static pdk_status add_set(struct schema *schema, struct values *values, const struct regular *set, bool number)
{
    struct buffer text = {0};
    if (set == schema->none)
        return PDK_OK;
    if (set->lengths || regular_count(set, 2 * VALUES_MAX) > 2 * VALUES_MAX) {
        values->too_many = true;
        return PDK_OK;
    }
    pdk_status status = add_strings(schema, values, set, number, 0, 0, &text);
    buffer_done(&text);
    return status;
}

static pdk_status values_of(struct emitter *emitter, term_id term, struct values *values)
{
    struct schema *schema = emitter->schema;
    const struct normal *normal;
    const struct regular *numbers;
    pdk_status status = schema_normalise(schema, term, false, &normal);
    if (status != PDK_OK)
        return status;
    if (normal->arrays.count > 0 || normal->objects.count > 0 || normal->strings == schema->all ||
        normal->numbers == schema->all) {
        values->too_many = true;
        return PDK_OK;
    }
    if (normal->types & TYPE_NULL)
        status = add_value(schema, values, "null", 4);
    if (status == PDK_OK && normal->types & TYPE_FALSE)
        status = add_value(schema, values, "false", 5);
    if (status == PDK_OK && normal->types & TYPE_TRUE)
        status = add_value(schema, values, "true", 4);
    if (status == PDK_OK)
        status = number_offered(schema, normal->numbers, &numbers);
    if (status == PDK_OK)
        status = add_set(schema, values, numbers, true);
    if (status == PDK_OK)
        status = add_set(schema, values, normal->strings, false);
    return status;
}

static pdk_status refuse(struct emitter *emitter, const struct term *unique)
{
    return schema_fail(emitter->schema, PDK_UNSUPPORTED, unique->schema, "uniqueItems",
        "it cannot be enforced but for elements from a list of at most %d values", VALUES_MAX);
}

struct unique_tail {
    uint32_t least, most;
};

static pdk_status unique_tail(struct emitter *emitter, void *context, uint32_t count, grammar_node *ret_node)
{
    const struct unique_tail *bounds = context;
    bool ends = count >= bounds->least && count <= bounds->most;
    *ret_node = ends ? emit_close(emitter, count, "]") : grammar_nothing(emitter->grammar);
    return PDK_OK;
}

static pdk_status emit_ordered(
    struct emitter *emitter, const struct values *values, uint32_t least, uint32_t most, grammar_node *ret_node)
{
    struct sequence_part parts[VALUES_MAX];
    struct unique_tail bounds = {least, most};
    for (uint32_t i = 0; i < values->count; i++)
        parts[i] = (struct sequence_part){
            grammar_literal(emitter->grammar, values->texts[i], strlen(values->texts[i])), false};
    uint32_t cap = most < TERM_UNBOUNDED ? most + 1 : least > 1 ? least : 1;
    if (cap > values->count + 1)
        cap = values->count + 1;
    return emit_sequence(emitter, parts, values->count, most, cap, unique_tail, &bounds, ret_node);
}

/* Elements with facts of their own: by place and by the values taken so far. */
struct places {
    struct values values;
    uint32_t masks[PLACES_MAX]; /* the values that may stand at each place */
    uint32_t count;             /* places; behind the last there is none */
    uint32_t least;
};

static grammar_node emit_place(
    struct emitter *emitter, const struct places *places, grammar_node *rules, uint32_t place, uint32_t taken)
{
    struct grammar *grammar = emitter->grammar;
    grammar_node ways[PLACED_VALUES_MAX + 1];
    size_t count = 0;
    uint32_t slot = place << PLACED_VALUES_MAX | taken;
    if (rules[slot] != GRAMMAR_FAILED)
        return rules[slot];
    if (place >= places->least)
        ways[count++] = emit_close(emitter, place, "]");
    for (uint32_t v = 0; v < places->values.count && place < places->count; v++) {
        const char *text = places->values.texts[v];
        if (!(places->masks[place] >> v & 1) || taken >> v & 1)
            continue;
        grammar_node here[] = {emit_before(emitter, place), grammar_literal(grammar, text, strlen(text)),
            emit_place(emitter, places, rules, place + 1, taken | 1u << v)};
        ways[count++] = grammar_sequence(grammar, here, 3);
    }
    rules[slot] = grammar_either(grammar, ways, count);
    return rules[slot];
}

static pdk_status emit_placed(
    struct emitter *emitter, struct places *places, struct alternative facts, bool *ret_fits, grammar_node *ret_node)
{
    struct schema *schema = emitter->schema;
    *ret_fits = places->count <= PLACES_MAX;
    for (uint32_t i = 0; i < places->count && *ret_fits; i++) {
        struct values here = {0};
        term_id term;
        pdk_status status = element_term(schema, facts, i, &term);
        if (status == PDK_OK)
            status = values_of(emitter, term, &here);
        for (uint32_t v = 0; v < here.count && status == PDK_OK; v++) {
            status = add_value(schema, &places->values, here.texts[v], strlen(here.texts[v]));
            for (uint32_t k = 0; k < places->values.count && k < PLACED_VALUES_MAX; k++) {
                if (strcmp(places->values.texts[k], here.texts[v]) == 0)
                    places->masks[i] |= 1u << k;
            }
        }
        *ret_fits = !here.too_many && places->values.count <= PLACED_VALUES_MAX;
        values_done(&here);
        if (status != PDK_OK)
            return status;
    }
    if (!*ret_fits)
        return PDK_OK;
    PDK_AUTO_FREE grammar_node *rules = calloc((size_t)(PLACES_MAX + 1) << PLACED_VALUES_MAX, sizeof *rules);
    if (rules == NULL)
        return schema_no_memory(schema);
    *ret_node = emit_place(emitter, places, rules, 0, 0);
    return PDK_OK;
}

pdk_status emit_unique(struct emitter *emitter, struct alternative facts, const struct term *unique, uint32_t least,
    uint32_t most, grammar_node *ret_node)
{
    struct term where = *unique;
    if (elements_differ_until(emitter->schema, facts) == 0) {
        struct values values = {0};
        term_id term;
        pdk_status status = element_term(emitter->schema, facts, 0, &term);
        if (status == PDK_OK)
            status = values_of(emitter, term, &values);
        if (status == PDK_OK)
            status = values.too_many ? refuse(emitter, &where) : emit_ordered(emitter, &values, least, most, ret_node);
        values_done(&values);
        return status;
    }
    struct places places = {.count = most < TERM_UNBOUNDED ? most : PLACES_MAX + 1, .least = least};
    bool fits;
    pdk_status status = emit_placed(emitter, &places, facts, &fits, ret_node);
    if (status == PDK_OK && !fits)
        status = refuse(emitter, &where);
    values_done(&places.values);
    return status;
}
