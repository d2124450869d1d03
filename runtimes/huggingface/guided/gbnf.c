/* name ::= "text" [a-z] other (a | b)* x{2,5} . # comment. A rule ends where the next one begins, so that lines may be
 * broken anywhere. */
#include "config.h"

#include "core/base/array.h"
#include "core/base/buffer.h"
#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/utf8.h"
#include "runtimes/huggingface/guided/rule_names.h"

#include <stdlib.h>
#include <string.h>

static void skip_space(struct grammar_text *text)
{
    while (text->at < text->end) {
        if (*text->at == '#')
            while (text->at < text->end && *text->at != '\n')
                text->at++;
        else if (*text->at == ' ' || *text->at == '\t' || *text->at == '\r' || *text->at == '\n')
            text->at++;
        else
            return;
    }
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
}

/* A dot alone is any character. */
static size_t name_length(const struct grammar_text *text)
{
    const char *at = text->at;
    if (at < text->end && *at == '.')
        return 0;
    while (at < text->end && is_name(*at))
        at++;
    return (size_t)(at - text->at);
}

/* Whether a rule begins here: a name and ::= . */
static bool rule_begins(const struct grammar_text *text)
{
    struct grammar_text ahead = *text;
    size_t length = name_length(&ahead);
    ahead.at += length;
    skip_space(&ahead);
    return length > 0 && ahead.end - ahead.at >= 3 && memcmp(ahead.at, "::=", 3) == 0;
}

static pdk_status read_string(struct grammar_text *text, grammar_node *ret_node, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer bytes = {0};
    const char *start = text->at++;
    while (text->at < text->end && *text->at != '"') {
        uint32_t code = 0;
        char encoded[4];
        if (*text->at == '\n')
            break;
        pdk_status status = grammar_text_character(text, &code, err);
        if (status != PDK_OK)
            return status;
        buffer_put(&bytes, encoded, utf8_encode(code, encoded));
    }
    if (text->at == text->end || *text->at != '"')
        return grammar_text_error(text, start, "a string without its closing quote", err);
    text->at++;
    *ret_node = grammar_literal(text->rules.grammar, bytes.data, bytes.length);
    return bytes.failed ? pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the grammar") : PDK_OK;
}

struct ranges {
    struct code_range *list;
    size_t count, room;
};

static void ranges_done(struct ranges *ranges)
{
    free(ranges->list);
}

static int by_first(const void *left, const void *right)
{
    const struct code_range *a = left, *b = right;
    return a->first < b->first ? -1 : a->first > b->first;
}

/* What the ranges leave out. There is room for one more. */
static void turn_over(struct ranges *ranges)
{
    uint32_t next = 0;
    size_t kept = 0;
    if (ranges->count > 1)
        qsort(ranges->list, ranges->count, sizeof *ranges->list, by_first);
    for (size_t i = 0; i < ranges->count; i++) {
        struct code_range range = ranges->list[i];
        if (range.first > next)
            ranges->list[kept++] = (struct code_range){next, range.first - 1};
        next = range.last >= next ? range.last + 1 : next;
    }
    if (next <= 0x10FFFF)
        ranges->list[kept++] = (struct code_range){next, 0x10FFFF};
    ranges->count = kept;
}

static pdk_status read_class(struct grammar_text *text, grammar_node *ret_node, pdk_error *err)
{
    PDK_CLEANUP(ranges_done) struct ranges ranges = {0};
    const char *start = text->at++;
    bool negated = text->at < text->end && *text->at == '^';
    text->at += negated;
    while (text->at < text->end && *text->at != ']') {
        struct code_range range = {0};
        const char *at = text->at;
        pdk_status status = grammar_text_character(text, &range.first, err);
        range.last = range.first;
        if (status == PDK_OK && text->end - text->at >= 2 && text->at[0] == '-' && text->at[1] != ']') {
            text->at++;
            status = grammar_text_character(text, &range.last, err);
        }
        if (status != PDK_OK)
            return status;
        if (range.first > range.last)
            return grammar_text_error(text, at, "a range that ends before it begins", err);
        if (!array_grow(&ranges.list, &ranges.room, ranges.count + 2))
            return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the grammar");
        ranges.list[ranges.count++] = range;
    }
    if (text->at == text->end)
        return grammar_text_error(text, start, "a class without its closing bracket", err);
    text->at++;
    if (negated && !array_grow(&ranges.list, &ranges.room, 1))
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the grammar");
    if (negated)
        turn_over(&ranges);
    *ret_node = grammar_characters(text->rules.grammar, ranges.list, ranges.count);
    return PDK_OK;
}

static pdk_status read_either(struct grammar_text *text, uint32_t depth, grammar_node *ret_node, pdk_error *err);

static pdk_status read_group(struct grammar_text *text, uint32_t depth, grammar_node *ret_node, pdk_error *err)
{
    const char *start = text->at++;
    if (depth >= GROUP_DEPTH_MAX)
        return grammar_text_error(text, start, "groups nested more than 64 deep", err);
    if (text->at < text->end && *text->at == '=')
        return grammar_text_error(text, start, "lookahead assertions are not supported", err);
    pdk_status status = read_either(text, depth + 1, ret_node, err);
    if (status != PDK_OK)
        return status;
    if (text->at == text->end || *text->at != ')')
        return grammar_text_error(text, text->at, "a group wants its ')'", err);
    text->at++;
    return PDK_OK;
}

/* One thing without what stands behind it. */
static pdk_status read_primary(struct grammar_text *text, uint32_t depth, grammar_node *ret_node, pdk_error *err)
{
    static const struct code_range any = {0, 0x10FFFF};
    struct rule_name *rule = NULL;
    size_t length = name_length(text);
    switch (*text->at) {
    case '"': return read_string(text, ret_node, err);
    case '[': return read_class(text, ret_node, err);
    case '(': return read_group(text, depth, ret_node, err);
    case '.':
        text->at++;
        *ret_node = grammar_characters(text->rules.grammar, &any, 1);
        return PDK_OK;
    case '<':
    case '!': return grammar_text_error(text, text->at, "tokens by name or number are not supported", err);
    default: break;
    }
    if (length == 0)
        return grammar_text_error(text, text->at, "a string, a class, a rule's name or a group is wanted", err);
    pdk_status status = rule_names_find(text, text->at, length, &rule, err);
    if (status != PDK_OK)
        return status;
    text->at += length;
    *ret_node = rule->rule;
    return PDK_OK;
}

/* {m}, {m,}, {,n} and {m,n}; the brace is next. */
static pdk_status read_counts(struct grammar_text *text, uint32_t *ret_least, uint32_t *ret_most, pdk_error *err)
{
    pdk_status status = PDK_OK;
    const char *start = text->at++;
    *ret_least = 0;
    skip_space(text);
    if (text->at < text->end && *text->at != ',')
        status = grammar_text_number(text, ret_least, err);
    *ret_most = *ret_least;
    skip_space(text);
    if (status == PDK_OK && text->at < text->end && *text->at == ',') {
        text->at++;
        skip_space(text);
        *ret_most = GRAMMAR_UNBOUNDED;
        if (text->at < text->end && *text->at != '}')
            status = grammar_text_number(text, ret_most, err);
        skip_space(text);
    }
    if (status != PDK_OK)
        return status;
    if (text->at == text->end || *text->at != '}')
        return grammar_text_error(text, text->at, "a count wants its '}'", err);
    if (*ret_least > *ret_most)
        return grammar_text_error(text, start, "a count whose least is more than its most", err);
    text->at++;
    return PDK_OK;
}

/* A primary with any number of * + ? { } behind it. */
static pdk_status read_item(struct grammar_text *text, uint32_t depth, grammar_node *ret_node, pdk_error *err)
{
    grammar_node node = GRAMMAR_FAILED;
    pdk_status status = read_primary(text, depth, &node, err);
    while (status == PDK_OK) {
        uint32_t least = 0, most = GRAMMAR_UNBOUNDED;
        const char *before = text->at;
        skip_space(text);
        char c = text->at < text->end ? *text->at : 0;
        if (c == '{') {
            status = read_counts(text, &least, &most, err);
        } else if (c == '*' || c == '+' || c == '?') {
            least = c == '+';
            most = c == '?' ? 1 : GRAMMAR_UNBOUNDED;
            text->at++;
        } else {
            text->at = before;
            break;
        }
        node = grammar_repeat(text->rules.grammar, node, least, most);
    }
    *ret_node = node;
    return status;
}

static pdk_status read_sequence(struct grammar_text *text, uint32_t depth, grammar_node *ret_node, pdk_error *err)
{
    PDK_CLEANUP(node_list_done) struct node_list nodes = {0};
    for (skip_space(text); text->at < text->end; skip_space(text)) {
        grammar_node node = GRAMMAR_FAILED;
        if (*text->at == '|' || *text->at == ')' || (depth == 0 && rule_begins(text)))
            break;
        pdk_status status = read_item(text, depth, &node, err);
        if (status == PDK_OK)
            status = node_list_add(&nodes, node, err);
        if (status == PDK_OK && nodes.count % 1024 == 0)
            status = grammar_status(text->rules.grammar, err);
        if (status != PDK_OK)
            return status;
    }
    *ret_node = grammar_sequence(text->rules.grammar, nodes.nodes, nodes.count);
    return PDK_OK;
}

static pdk_status read_either(struct grammar_text *text, uint32_t depth, grammar_node *ret_node, pdk_error *err)
{
    PDK_CLEANUP(node_list_done) struct node_list nodes = {0};
    for (;;) {
        grammar_node node = GRAMMAR_FAILED;
        pdk_status status = read_sequence(text, depth, &node, err);
        if (status == PDK_OK)
            status = node_list_add(&nodes, node, err);
        if (status != PDK_OK)
            return status;
        if (text->at == text->end || *text->at != '|')
            break;
        text->at++;
    }
    *ret_node = grammar_either(text->rules.grammar, nodes.nodes, nodes.count);
    return PDK_OK;
}

static pdk_status read_rule(struct grammar_text *text, pdk_error *err)
{
    struct rule_name *rule = NULL;
    size_t length = name_length(text);
    const char *start = text->at;
    if (!rule_begins(text))
        return grammar_text_error(text, text->at, "a rule wants a name and '::='", err);
    if (length > RULE_NAME_MAX)
        return grammar_text_error(text, text->at, "a rule's name is longer than 256 bytes", err);
    pdk_status status = rule_names_find(text, text->at, length, &rule, err);
    if (status != PDK_OK)
        return status;
    if (rule->defined)
        return grammar_text_error(text, start, "a rule that was defined before", err);
    rule->defined = true;
    grammar_node node = rule->rule, body = GRAMMAR_FAILED;
    text->at += length;
    skip_space(text);
    text->at += 3;
    status = read_either(text, 0, &body, err);
    if (status == PDK_OK && text->at < text->end && *text->at == ')')
        return grammar_text_error(text, text->at, "a ')' without its '('", err);
    grammar_define(text->rules.grammar, node, body);
    return status == PDK_OK ? grammar_status(text->rules.grammar, err) : status;
}

pdk_status gbnf_read(struct grammar *grammar, const char *bytes, size_t length, grammar_node *ret_node, pdk_error *err)
{
    PDK_CLEANUP(grammar_text_done) struct grammar_text text = {0};
    pdk_status status = grammar_text_init(&text, grammar, bytes, length, err);
    if (status != PDK_OK)
        return status;
    for (skip_space(&text); text.at < text.end; skip_space(&text)) {
        status = read_rule(&text, err);
        if (status != PDK_OK)
            return status;
    }
    return rule_names_check(&text, "root", ret_node, err);
}
