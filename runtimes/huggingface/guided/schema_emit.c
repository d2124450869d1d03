/* Terms as rules, scalars, and lists whose members come in a fixed order. */
#include "config.h"

#include "runtimes/huggingface/guided/schema_emit.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/error.h"

#include <stdlib.h>
#include <string.h>

enum { SEQUENCE_STATES_MAX = 50000, ALIASES_MAX = 64 };

pdk_status emit_term(struct emitter *emitter, term_id term, grammar_node *ret_node)
{
    /* Schemas that say the same are one rule. */
    for (unsigned i = 0; i < ALIASES_MAX && emitter->schema->terms[term].kind == KIND_SCHEMA; i++) {
        pdk_status status = schema_content(emitter->schema, term, &term);
        if (status != PDK_OK)
            return status;
    }
    size_t need = (size_t)term + 1;
    if (need > emitter->rule_count) {
        if (!array_grow(&emitter->rules, &emitter->rule_room, need))
            return schema_no_memory(emitter->schema);
        for (; emitter->rule_count < need; emitter->rule_count++)
            emitter->rules[emitter->rule_count] = GRAMMAR_FAILED;
    }
    if (emitter->rules[term] == GRAMMAR_FAILED) {
        if (!array_grow(&emitter->queue, &emitter->queue_room, emitter->queue_count + 1))
            return schema_no_memory(emitter->schema);
        emitter->rules[term] = grammar_rule(emitter->grammar);
        emitter->queue[emitter->queue_count++] = term;
    }
    *ret_node = emitter->rules[term];
    return PDK_OK;
}

grammar_node emit_strings(struct emitter *emitter, const struct regular *set)
{
    if (set != emitter->schema->all)
        return regular_node(emitter->grammar, set, true);
    if (emitter->any_string == GRAMMAR_FAILED)
        emitter->any_string = regular_node(emitter->grammar, set, true);
    return emitter->any_string;
}

pdk_status emit_numbers(struct emitter *emitter, const struct regular *set, grammar_node *ret_node)
{
    const struct regular *offered;
    if (set == emitter->schema->all && emitter->any_number != GRAMMAR_FAILED) {
        *ret_node = emitter->any_number;
        return PDK_OK;
    }
    pdk_status status = number_offered(emitter->schema, set, &offered);
    if (status != PDK_OK)
        return status;
    *ret_node = regular_node(emitter->grammar, offered, false);
    if (set == emitter->schema->all)
        emitter->any_number = *ret_node;
    return PDK_OK;
}

pdk_status emit_refuse(struct emitter *emitter, const struct term *opaque)
{
    const struct reason *reason = &emitter->schema->reasons[opaque->a];
    return schema_fail(
        emitter->schema, PDK_UNSUPPORTED, reason->schema, reason->keyword, "%s cannot be enforced", reason->why);
}

grammar_node emit_before(const struct emitter *emitter, uint32_t count)
{
    return count == 0 ? emitter->gap : emitter->comma;
}

grammar_node emit_close(const struct emitter *emitter, uint32_t count, const char *bracket)
{
    grammar_node close = grammar_literal(emitter->grammar, bracket, 1);
    if (count == 0)
        return close;
    return grammar_sequence(emitter->grammar, (grammar_node[]){emitter->gap, close}, 2);
}

grammar_node emit_more(
    struct emitter *emitter, grammar_node node, uint32_t least, uint32_t most, uint32_t count, const char *bracket)
{
    struct grammar *grammar = emitter->grammar;
    grammar_node close = emit_close(emitter, 1, bracket);
    grammar_node next = grammar_sequence(grammar, (grammar_node[]){emitter->comma, node}, 2);
    if (most == 0)
        return least == 0 ? emit_close(emitter, count, bracket) : grammar_nothing(grammar);
    uint32_t rest = most >= TERM_UNBOUNDED ? GRAMMAR_UNBOUNDED : most - 1;
    if (count > 0) {
        uint32_t all = most >= TERM_UNBOUNDED ? GRAMMAR_UNBOUNDED : most;
        return grammar_sequence(grammar, (grammar_node[]){grammar_repeat(grammar, next, least, all), close}, 2);
    }
    grammar_node some[] = {emitter->gap, node, grammar_repeat(grammar, next, least > 0 ? least - 1 : 0, rest), close};
    grammar_node ways[] = {grammar_sequence(grammar, some, 4), emit_close(emitter, 0, bracket)};
    return least > 0 ? ways[0] : grammar_either(grammar, ways, 2);
}

pdk_status emit_sequence(struct emitter *emitter, const struct sequence_part *parts, uint32_t count, uint32_t most,
    uint32_t cap, sequence_tail *tail, void *context, grammar_node *ret_node)
{
    struct grammar *grammar = emitter->grammar;
    uint32_t width = cap + 1;
    if (count > SEQUENCE_STATES_MAX || cap > SEQUENCE_STATES_MAX || (uint64_t)(count + 1) * width > SEQUENCE_STATES_MAX)
        return schema_fail(emitter->schema, PDK_TOO_LARGE, emitter->schema->root, "",
            "counting %u members up to %u takes more than %d states", count, cap, SEQUENCE_STATES_MAX);
    /* after[c]: what follows once the parts from i on are decided and c things are there. */
    PDK_AUTO_FREE grammar_node *after = calloc(width, 2 * sizeof *after);
    if (after == NULL)
        return schema_no_memory(emitter->schema);
    grammar_node *now = after + width;
    for (uint32_t c = 0; c < width; c++) {
        pdk_status status = tail(emitter, context, c, &after[c]);
        if (status != PDK_OK)
            return status;
    }
    for (uint32_t i = count; i-- > 0;) {
        for (uint32_t c = 0; c < width; c++) {
            grammar_node ways[2];
            size_t way_count = 0;
            if (c < most) {
                grammar_node here[] = {emit_before(emitter, c), parts[i].node, after[c + 1 < cap ? c + 1 : cap]};
                ways[way_count++] = grammar_sequence(grammar, here, 3);
            }
            if (!parts[i].required)
                ways[way_count++] = after[c];
            now[c] = grammar_either(grammar, ways, way_count);
        }
        memcpy(after, now, width * sizeof *after);
    }
    *ret_node = after[0];
    return PDK_OK;
}

static pdk_status define_term(struct emitter *emitter, term_id term)
{
    struct grammar *grammar = emitter->grammar;
    static const struct {
        uint32_t type;
        const char *text;
    } words[] = {{TYPE_NULL, "null"}, {TYPE_FALSE, "false"}, {TYPE_TRUE, "true"}};
    const struct normal *normal;
    pdk_status status = schema_normalise(emitter->schema, term, false, &normal);
    if (status != PDK_OK)
        return status;
    size_t most = normal->arrays.count + (size_t)normal->objects.count + 5, count = 0;
    PDK_AUTO_FREE grammar_node *ways = calloc(most, sizeof *ways);
    if (ways == NULL)
        return schema_no_memory(emitter->schema);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (normal->types & words[i].type)
            ways[count++] = grammar_literal(grammar, words[i].text, strlen(words[i].text));
    }
    if (normal->numbers != emitter->schema->none)
        status = emit_numbers(emitter, normal->numbers, &ways[count++]);
    if (normal->strings != emitter->schema->none)
        ways[count++] = emit_strings(emitter, normal->strings);
    for (uint32_t i = 0; i < normal->objects.count && status == PDK_OK; i++)
        status = emit_object(emitter, normal->objects.items[i], &ways[count++]);
    for (uint32_t i = 0; i < normal->arrays.count && status == PDK_OK; i++)
        status = emit_array(emitter, normal->arrays.items[i], &ways[count++]);
    if (status == PDK_OK)
        grammar_define(grammar, emitter->rules[term], grammar_either(grammar, ways, count));
    return status;
}

/* What may stand between tokens, when nobody says: a space, or a new line and its indentation. */
static grammar_node some_whitespace(struct grammar *grammar)
{
    enum { INDENT_MAX = 32, TABS_MAX = 8 };
    grammar_node line = grammar_literal(grammar, "\n", 1), blank = grammar_literal(grammar, " ", 1);
    grammar_node spaces = grammar_repeat(grammar, blank, 0, INDENT_MAX);
    grammar_node tabs = grammar_repeat(grammar, grammar_literal(grammar, "\t", 1), 1, TABS_MAX);
    grammar_node indent = grammar_either(grammar, (grammar_node[]){spaces, tabs}, 2);
    grammar_node lines = grammar_sequence(grammar, (grammar_node[]){line, indent}, 2);
    return grammar_either(grammar, (grammar_node[]){grammar_empty(grammar), blank, lines}, 3);
}

static pdk_status make_punctuation(struct emitter *emitter, const struct json_style *style)
{
    struct grammar *grammar = emitter->grammar;
    grammar_node between = grammar_empty(grammar), behind_colon = between, before_colon = between;
    if (style->whitespace != NULL) {
        struct regular *set = NULL;
        pdk_status status = regular_of_regex(style->whitespace, style->whitespace_length, REGEX_WHOLE,
            &emitter->schema->budget, &set, emitter->schema->err);
        if (status != PDK_OK) {
            pdk_error_wrap(emitter->schema->err, "whitespace pattern");
            return status;
        }
        between = behind_colon = before_colon = regular_node(grammar, set, false);
        regular_free(set);
    } else if (!style->no_whitespace) {
        grammar_node blank = grammar_literal(grammar, " ", 1);
        between = some_whitespace(grammar);
        behind_colon = grammar_either(grammar, (grammar_node[]){grammar_empty(grammar), blank}, 2);
    }
    grammar_node comma = grammar_literal(grammar, ",", 1), colon = grammar_literal(grammar, ":", 1);
    grammar_node before_comma = style->whitespace != NULL ? between : grammar_empty(grammar);
    emitter->gap = between;
    emitter->comma = grammar_sequence(grammar, (grammar_node[]){before_comma, comma, between}, 3);
    emitter->colon = grammar_sequence(grammar, (grammar_node[]){before_colon, colon, behind_colon}, 3);
    return PDK_OK;
}

static pdk_status emit_all(struct emitter *emitter, term_id root, grammar_node *ret_node)
{
    grammar_node node;
    pdk_status status = make_punctuation(emitter, emitter->schema->style);
    if (status == PDK_OK)
        status = emit_term(emitter, root, &node);
    for (size_t i = 0; i < emitter->queue_count && status == PDK_OK; i++) {
        status = define_term(emitter, emitter->queue[i]);
        if (status == PDK_OK)
            status = grammar_status(emitter->grammar, emitter->schema->err);
        if (status == PDK_OK)
            status = schema_check_time(emitter->schema);
    }
    if (status == PDK_OK)
        *ret_node = node;
    return status;
}

pdk_status schema_emit(struct schema *schema, term_id root, grammar_node *ret_node)
{
    struct emitter emitter = {.schema = schema, .grammar = schema->grammar};
    pdk_status status = emit_all(&emitter, root, ret_node);
    free(emitter.rules);
    free(emitter.queue);
    return status;
}
