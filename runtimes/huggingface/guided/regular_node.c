/* A regular set as a grammar: a rule for each state. In JSON strings each character may be written as itself or, where
 * JSON demands it or models do it, escaped. */
#include "config.h"

#include "runtimes/huggingface/guided/regular_set.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"

#include <string.h>

/* The pieces of quoted characters, made once a set. */
struct quoting {
    bool quoted;
    grammar_node any_escape; /* \uXXXX of what is above ASCII, in pairs above U+FFFF; made when first used */
};

/* The node of one code point's escapes, into `nodes`; returns how many. */
static size_t escapes_of(struct grammar *grammar, uint32_t code, grammar_node *nodes)
{
    static const char named[] = "\"\\/\b\f\n\r\t", letters[] = "\"\\/bfnrt";
    static const char hex[] = "0123456789abcdef";
    size_t count = 0;
    const char *found = code == 0 ? NULL : memchr(named, (int)code, sizeof named - 1);
    if (found != NULL) {
        char text[2] = {'\\', letters[found - named]};
        nodes[count++] = grammar_literal(grammar, text, 2);
    } else if (code < 0x20) {
        char text[6] = {'\\', 'u', '0', '0', hex[code >> 4], hex[code & 15]};
        nodes[count++] = grammar_literal(grammar, text, 6);
    }
    return count;
}

static grammar_node hex_class(struct grammar *grammar, unsigned first, unsigned last)
{
    struct code_range ranges[3];
    size_t count = 0;
    if (first < 10)
        ranges[count++] = (struct code_range){'0' + first, '0' + (last < 9 ? last : 9)};
    if (last >= 10) {
        unsigned low = first < 10 ? 10 : first;
        ranges[count++] = (struct code_range){'a' + low - 10, 'a' + last - 10};
        ranges[count++] = (struct code_range){'A' + low - 10, 'A' + last - 10};
    }
    return grammar_characters(grammar, ranges, count);
}

/* \u0080 to \uFFFF without surrogates, and pairs of surrogates. */
static grammar_node any_escape(struct grammar *grammar)
{
    grammar_node any = hex_class(grammar, 0, 15);
    grammar_node u = grammar_literal(grammar, "\\u", 2), d = hex_class(grammar, 13, 13);
    grammar_node zero = grammar_literal(grammar, "0", 1);
    grammar_node low_byte[] = {u, zero, zero, hex_class(grammar, 8, 15), any};
    grammar_node low[] = {u, zero, hex_class(grammar, 1, 15), any, any};
    grammar_node middle[] = {u, hex_class(grammar, 1, 12), any, any, any};
    grammar_node below[] = {u, d, hex_class(grammar, 0, 7), any, any};
    grammar_node above[] = {u, hex_class(grammar, 14, 15), any, any, any};
    grammar_node pair[] = {u, d, hex_class(grammar, 8, 11), any, any, u, d, hex_class(grammar, 12, 15), any, any};
    grammar_node all[] = {grammar_sequence(grammar, low_byte, 5), grammar_sequence(grammar, low, 5),
        grammar_sequence(grammar, middle, 5), grammar_sequence(grammar, below, 5), grammar_sequence(grammar, above, 5),
        grammar_sequence(grammar, pair, 10)};
    return grammar_either(grammar, all, sizeof all / sizeof *all);
}

/* Whether the ranges hold all that \u escapes of any_escape can say. */
static bool holds_all_above_ascii(const struct code_range *ranges, size_t count)
{
    bool below = false, above = false;
    for (size_t i = 0; i < count; i++) {
        below = below || (ranges[i].first <= 0x80 && ranges[i].last >= SURROGATE_FIRST - 1);
        above = above || (ranges[i].first <= SURROGATE_LAST + 1 && ranges[i].last >= CODE_LAST);
    }
    return below && above;
}

/* One character of the ranges as it stands in a JSON string. */
static grammar_node quoted_characters(
    struct grammar *grammar, struct quoting *quoting, const struct code_range *ranges, size_t count)
{
    enum { ESCAPES_MAX = 40 };
    PDK_AUTO_FREE struct code_range *plain = calloc(count + 2, 2 * sizeof *plain);
    grammar_node nodes[ESCAPES_MAX + 3];
    size_t plain_count = 0, node_count = 0;
    if (plain == NULL)
        return GRAMMAR_FAILED;
    for (size_t i = 0; i < count; i++) {
        uint32_t from = ranges[i].first;
        for (uint32_t code = from; code <= ranges[i].last && code <= '\\'; code++) {
            node_count += escapes_of(grammar, code, nodes + node_count);
            if (code >= 0x20 && code != '"' && code != '\\')
                continue;
            if (code > from)
                plain[plain_count++] = (struct code_range){from, code - 1};
            from = code + 1;
        }
        if (from <= ranges[i].last)
            plain[plain_count++] = (struct code_range){from, ranges[i].last};
    }
    if (plain_count > 0)
        nodes[node_count++] = grammar_characters(grammar, plain, plain_count);
    if (holds_all_above_ascii(ranges, count)) {
        if (quoting->any_escape == GRAMMAR_FAILED)
            quoting->any_escape = any_escape(grammar);
        nodes[node_count++] = quoting->any_escape;
    }
    return node_count == 1 ? nodes[0] : grammar_either(grammar, nodes, node_count);
}

static grammar_node characters(
    struct grammar *grammar, struct quoting *quoting, const struct code_range *ranges, size_t count)
{
    if (quoting->quoted)
        return quoted_characters(grammar, quoting, ranges, count);
    return grammar_characters(grammar, ranges, count);
}

/* What one state may go on with: for each target, the characters that lead there; the loop to itself comes first, as a
 * repeat, so that long texts nest no rules. */
static grammar_node state_node(struct grammar *grammar, struct quoting *quoting, const struct regular *set,
    const grammar_node *rules, uint32_t number, struct code_range *ranges, bool *done)
{
    const struct regular_state *state = &set->states[number];
    const struct regular_edge *edges = set->edges + state->edge;
    PDK_AUTO_FREE grammar_node *ways = calloc((size_t)state->edges + 1, sizeof *ways);
    grammar_node loop = GRAMMAR_FAILED;
    size_t way_count = 0;
    if (ways == NULL)
        return GRAMMAR_FAILED;
    memset(done, 0, state->edges * sizeof *done);
    for (uint32_t e = 0; e < state->edges; e++) {
        size_t count = 0;
        if (done[e])
            continue;
        for (uint32_t i = e; i < state->edges; i++) {
            if (edges[i].target == edges[e].target) {
                done[i] = true;
                ranges[count++] = (struct code_range){edges[i].first, edges[i].last};
            }
        }
        grammar_node piece = characters(grammar, quoting, ranges, count);
        if (edges[e].target == number)
            loop = grammar_repeat(grammar, piece, 0, GRAMMAR_UNBOUNDED);
        else
            ways[way_count++] = grammar_sequence(grammar, (grammar_node[]){piece, rules[edges[e].target]}, 2);
    }
    if (state->accepts)
        ways[way_count++] = grammar_empty(grammar);
    grammar_node rest = way_count == 1 ? ways[0] : grammar_either(grammar, ways, way_count);
    return loop == GRAMMAR_FAILED ? rest : grammar_sequence(grammar, (grammar_node[]){loop, rest}, 2);
}

static grammar_node states_node(struct grammar *grammar, struct quoting *quoting, const struct regular *set)
{
    PDK_AUTO_FREE grammar_node *rules = calloc((size_t)set->count + 1, sizeof *rules);
    PDK_AUTO_FREE struct code_range *ranges = calloc((size_t)set->edge_count + 1, sizeof *ranges);
    PDK_AUTO_FREE bool *done = calloc((size_t)set->edge_count + 1, sizeof *done);
    if (set->count == 0)
        return grammar_nothing(grammar);
    if (rules == NULL || ranges == NULL || done == NULL)
        return GRAMMAR_FAILED;
    for (uint32_t s = 0; s < set->count; s++)
        rules[s] = grammar_rule(grammar);
    for (uint32_t s = 0; s < set->count; s++)
        grammar_define(grammar, rules[s], state_node(grammar, quoting, set, rules, s, ranges, done));
    return rules[0];
}

grammar_node regular_node(struct grammar *grammar, const struct regular *set, bool quoted)
{
    struct quoting quoting = {.quoted = quoted};
    grammar_node text;
    if (set->lengths) {
        struct code_range any[] = {{0, SURROGATE_FIRST - 1}, {SURROGATE_LAST + 1, CODE_LAST}};
        text = grammar_repeat(grammar, characters(grammar, &quoting, any, 2), set->least, set->most);
    } else {
        text = states_node(grammar, &quoting, set);
    }
    if (!quoted)
        return text;
    grammar_node quote = grammar_literal(grammar, "\"", 1);
    return grammar_sequence(grammar, (grammar_node[]){quote, text, quote}, 3);
}
