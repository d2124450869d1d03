/* Reads a regular expression's structure: alternatives, sequences, repeats, groups, anchors. Anchors and word
 * boundaries become lookarounds whose sets are ready, so that those who build automata know one kind of assertion. */
#include "config.h"

#include "runtimes/huggingface/guided/regex_read.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/error.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

pdk_status regex_fail(struct regex_reader *reader, pdk_status status, const char *at, const char *what)
{
    size_t position = (size_t)(at - reader->begin);
    if (status == PDK_UNSUPPORTED)
        return pdk_error_set(
            reader->err, status, "pattern", "%s at byte %zu of the pattern cannot be enforced", what, position);
    return pdk_error_set(reader->err, status, "pattern", "%s at byte %zu of the pattern", what, position);
}

pdk_status regex_no_memory(struct regex_reader *reader)
{
    return pdk_error_set(reader->err, PDK_NO_MEMORY, "pattern", "no memory for the pattern");
}

bool regex_take(struct regex_reader *reader, const char *text)
{
    size_t length = strlen(text);
    if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, text, length) != 0)
        return false;
    reader->at += length;
    return true;
}

pdk_status regex_new_node(struct regex_reader *reader, enum regex_kind kind, uint32_t *ret_node)
{
    struct regex_tree *tree = reader->tree;
    if (!array_grow(&tree->nodes, &tree->node_room, (size_t)tree->count + 1))
        return regex_no_memory(reader);
    tree->nodes[tree->count] = (struct regex_node){.kind = (uint8_t)kind};
    *ret_node = tree->count++;
    return PDK_OK;
}

void regex_tree_done(struct regex_tree *tree)
{
    for (uint32_t i = 0; i < tree->ready_count; i++)
        regular_free(tree->ready[i].set);
    for (uint32_t i = 0; i < tree->class_count; i++)
        free(tree->classes[i].ranges);
    free(tree->nodes);
    free(tree->classes);
    *tree = (struct regex_tree){0};
}

/* Children in the order in which they come. */
struct children {
    uint32_t parent, last;
};

static void add_child(struct regex_reader *reader, struct children *children, uint32_t child)
{
    struct regex_node *nodes = reader->tree->nodes;
    if (children->last == 0)
        nodes[children->parent].first = child;
    else
        nodes[children->last].next = child;
    children->last = child;
}

static pdk_status read_alternatives(struct regex_reader *reader, uint32_t *ret_node);

/* The set of `pattern`, one of ours, or of all other texts, with states. What is surely no text of it is what none of
 * the dialects matches. */
static pdk_status make_ready(struct regex_reader *reader, struct regex_ready *ready)
{
    const struct regular *with_states = NULL;
    PDK_CLEANUP(regular_freep) struct regular *set = NULL;
    PDK_CLEANUP(regular_freep) struct regular *inverse = NULL;
    PDK_CLEANUP(regular_freep) struct regular *states = NULL;
    bool loose = ready->loose != ready->negative;
    pdk_status status = (loose ? regular_of_regex_loosely : regular_of_regex)(
        ready->pattern, strlen(ready->pattern), REGEX_WHOLE, reader->budget, &set, reader->err);
    if (status == PDK_OK && ready->negative)
        status = regular_not(set, &inverse, reader->err);
    if (status == PDK_OK)
        status =
            regular_with_states(ready->negative ? inverse : set, reader->budget, &with_states, &states, reader->err);
    if (status == PDK_OK)
        ready->set = states != NULL ? PDK_STEAL(states) : ready->negative ? PDK_STEAL(inverse) : PDK_STEAL(set);
    return status;
}

/* A lookaround for the texts of `pattern`, which is static, or for all others. */
static pdk_status ready_look(
    struct regex_reader *reader, bool behind, bool negative, const char *pattern, uint32_t *ret_node)
{
    struct regex_tree *tree = reader->tree;
    uint32_t i = 0;
    while (i < tree->ready_count && (tree->ready[i].pattern != pattern || tree->ready[i].loose != reader->loose ||
                                        tree->ready[i].negative != negative))
        i++;
    if (i == tree->ready_count) {
        struct regex_ready ready = {.pattern = pattern, .loose = reader->loose, .negative = negative};
        assert(tree->ready_count < REGEX_READY_MAX);
        pdk_status status = make_ready(reader, &ready);
        if (status != PDK_OK)
            return status;
        tree->ready[tree->ready_count++] = ready;
    }
    pdk_status status = regex_new_node(reader, REGEX_LOOK, ret_node);
    if (status != PDK_OK)
        return status;
    struct regex_node *node = &tree->nodes[*ret_node];
    node->ready = tree->ready[i].set;
    node->behind = behind;
    return PDK_OK;
}

static const char no_text[] = "", perhaps_line[] = "\n?", lines_before[] = "((?s:.)*\n)?",
                  lines_behind[] = "(\n(?s:.)*)?";
static const char word_last[] = "(?s:.)*\\w", word_first[] = "\\w(?s:.)*";
static const char other_last[] = "(?s:.)*[^\\w]", other_first[] = "[^\\w](?s:.)*";

/* One way to be at a word's edge or not: what is before and what comes, each in a set or not in it. */
struct boundary_way {
    const char *before;
    bool not_before;
    const char *ahead;
    bool not_ahead;
};

static pdk_status add_boundary_way(struct regex_reader *reader, const struct boundary_way *way, struct children *ways)
{
    uint32_t sequence = 0, before = 0, ahead = 0;
    pdk_status status = regex_new_node(reader, REGEX_SEQUENCE, &sequence);
    if (status == PDK_OK)
        status = ready_look(reader, true, way->not_before, way->before, &before);
    if (status == PDK_OK)
        status = ready_look(reader, false, way->not_ahead, way->ahead, &ahead);
    if (status != PDK_OK)
        return status;
    struct children looks = {.parent = sequence};
    add_child(reader, &looks, before);
    add_child(reader, &looks, ahead);
    add_child(reader, ways, sequence);
    return PDK_OK;
}

static pdk_status read_boundary(struct regex_reader *reader, bool edge, uint32_t *ret_node)
{
    static const struct boundary_way at_edge[] = {
        {word_last, false, word_first, true}, {word_last, true, word_first, false}};
    static const struct boundary_way inside[] = {
        {word_last, false, word_first, false}, {word_last, true, word_first, true}};
    /* Whether the empty text is away from any edge is a question on which dialects differ. */
    static const struct boundary_way surely_inside[] = {{word_last, false, word_first, false},
        {other_last, false, word_first, true}, {word_last, true, other_first, false}};
    const struct boundary_way *ways = edge ? at_edge : reader->loose ? inside : surely_inside;
    size_t count = edge || reader->loose ? 2 : 3;
    pdk_status status = regex_new_node(reader, REGEX_EITHER, ret_node);
    struct children children = {.parent = *ret_node};
    for (size_t i = 0; i < count && status == PDK_OK; i++)
        status = add_boundary_way(reader, &ways[i], &children);
    return status;
}

/* An anchor or a boundary at the reader's place; *ret_found: there was one. */
static pdk_status read_anchor(struct regex_reader *reader, bool *ret_found, uint32_t *ret_node)
{
    *ret_found = true;
    if (regex_take(reader, "^"))
        return ready_look(reader, true, false, reader->flags.multiline ? lines_before : no_text, ret_node);
    if (regex_take(reader, "$"))
        return ready_look(reader, false, false,
            reader->flags.multiline ? lines_behind
            : reader->loose         ? perhaps_line
                                    : no_text,
            ret_node);
    if (regex_take(reader, "\\A"))
        return ready_look(reader, true, false, no_text, ret_node);
    if (regex_take(reader, "\\Z") || regex_take(reader, "\\z"))
        return ready_look(reader, false, false, no_text, ret_node);
    if (regex_take(reader, "\\b"))
        return read_boundary(reader, true, ret_node);
    if (regex_take(reader, "\\B"))
        return read_boundary(reader, false, ret_node);
    *ret_found = false;
    return PDK_OK;
}

/* Behind "(?", letters of flags: (?i) for the rest of the group, (?i:…) for its own. *ret_group: the latter. */
static pdk_status read_flags(struct regex_reader *reader, bool *ret_group)
{
    const char *start = reader->at - 2;
    bool on = true;
    for (; reader->at != reader->end; reader->at++) {
        switch (*reader->at) {
        case '-': on = false; break;
        case 'i': reader->flags.ignore_case = on; break;
        case 'm': reader->flags.multiline = on; break;
        case 's': reader->flags.dot_all = on; break;
        case 'u':
        case 'a': break;
        case ':':
        case ')': *ret_group = *reader->at++ == ':'; return PDK_OK;
        case 'x': return regex_fail(reader, PDK_UNSUPPORTED, start, "the flag x");
        default: return regex_fail(reader, PDK_UNSUPPORTED, start, "this kind of group");
        }
    }
    return regex_fail(reader, PDK_INVALID, start, "a group without its closing parenthesis");
}

static pdk_status skip_name(struct regex_reader *reader, const char *start)
{
    const char *close = memchr(reader->at, '>', (size_t)(reader->end - reader->at));
    if (close == NULL || close == reader->at)
        return regex_fail(reader, PDK_INVALID, start, "a group's name without its end");
    reader->at = close + 1;
    return PDK_OK;
}

/* What is between the parentheses of a group or lookaround, and the closing one. */
static pdk_status read_inside(struct regex_reader *reader, const char *start, uint32_t *ret_node)
{
    if (++reader->depth > REGEX_NESTING_MAX)
        return pdk_error_set(
            reader->err, PDK_TOO_LARGE, "pattern", "the pattern nests groups more than %d deep", REGEX_NESTING_MAX);
    pdk_status status = read_alternatives(reader, ret_node);
    reader->depth--;
    if (status == PDK_OK && !regex_take(reader, ")"))
        return regex_fail(reader, PDK_INVALID, start, "a group without its closing parenthesis");
    return status;
}

static pdk_status read_look(
    struct regex_reader *reader, const char *start, bool behind, bool negative, uint32_t *ret_node)
{
    uint32_t inside = 0;
    reader->loose = reader->loose != negative;
    pdk_status status = read_inside(reader, start, &inside);
    reader->loose = reader->loose != negative;
    if (status == PDK_OK)
        status = regex_new_node(reader, REGEX_LOOK, ret_node);
    if (status != PDK_OK)
        return status;
    struct regex_node *node = &reader->tree->nodes[*ret_node];
    node->behind = behind;
    node->negative = negative;
    node->first = inside;
    return PDK_OK;
}

static pdk_status read_group(struct regex_reader *reader, uint32_t *ret_node)
{
    const char *start = reader->at++;
    struct regex_flags flags = reader->flags;
    pdk_status status = PDK_OK;
    if (!regex_take(reader, "?")) {
        status = read_inside(reader, start, ret_node);
        reader->flags = flags;
        return status;
    }
    if (regex_take(reader, "#")) {
        const char *close = memchr(reader->at, ')', (size_t)(reader->end - reader->at));
        if (close == NULL)
            return regex_fail(reader, PDK_INVALID, start, "a comment without its closing parenthesis");
        reader->at = close + 1;
        return regex_new_node(reader, REGEX_EMPTY, ret_node);
    }
    static const struct {
        const char *text;
        bool behind, negative;
    } looks[] = {{"=", false, false}, {"!", false, true}, {"<=", true, false}, {"<!", true, true}};
    for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) {
        if (regex_take(reader, looks[i].text)) {
            status = read_look(reader, start, looks[i].behind, looks[i].negative, ret_node);
            reader->flags = flags;
            return status;
        }
    }
    if (regex_take(reader, "P=") || regex_take(reader, "("))
        return regex_fail(reader, PDK_UNSUPPORTED, start, "a back reference");
    if (regex_take(reader, ">"))
        return regex_fail(reader, PDK_UNSUPPORTED, start, "an atomic group");
    bool own = true;
    if (regex_take(reader, "P<") || regex_take(reader, "<"))
        status = skip_name(reader, start);
    else
        status = read_flags(reader, &own);
    if (status != PDK_OK)
        return status;
    if (!own) /* (?i): good until the group around it ends, which puts the flags back */
        return regex_new_node(reader, REGEX_EMPTY, ret_node);
    status = read_inside(reader, start, ret_node);
    reader->flags = flags;
    return status;
}

static bool take_number(struct regex_reader *reader, uint32_t *ret_number)
{
    const char *start = reader->at;
    uint64_t number = 0;
    for (; reader->at != reader->end && *reader->at >= '0' && *reader->at <= '9'; reader->at++)
        number = number > GRAMMAR_UNBOUNDED ? number : number * 10 + (uint64_t)(*reader->at - '0');
    if (reader->at == start)
        return false;
    *ret_number = number > GRAMMAR_UNBOUNDED ? GRAMMAR_UNBOUNDED : (uint32_t)number;
    return true;
}

/* {3}, {3,}, {3,5}, {,5}; anything else after a brace is plain text and nothing is taken. */
static bool take_braces(struct regex_reader *reader, uint32_t *ret_least, uint32_t *ret_most)
{
    const char *start = reader->at;
    uint32_t least = 0, most = GRAMMAR_UNBOUNDED;
    if (!regex_take(reader, "{"))
        return false;
    bool has_least = take_number(reader, &least);
    bool comma = regex_take(reader, ",");
    bool has_most = comma && take_number(reader, &most);
    if ((!has_least && !has_most) || !regex_take(reader, "}")) {
        reader->at = start;
        return false;
    }
    *ret_least = least;
    *ret_most = comma ? most : least;
    return true;
}

/* A possessive repeat gives nothing back: for single characters that is a lookahead saying that none is left. */
static pdk_status make_possessive(struct regex_reader *reader, const char *start, uint32_t *node)
{
    struct regex_node repeat = reader->tree->nodes[*node];
    uint32_t inside = 0, look = 0, sequence = 0;
    if (reader->tree->nodes[repeat.first].kind != REGEX_CLASS || repeat.most < GRAMMAR_UNBOUNDED)
        return regex_fail(reader, PDK_UNSUPPORTED, start, "a possessive quantifier of more than a character");
    pdk_status status = regex_new_node(reader, REGEX_CLASS, &inside);
    if (status == PDK_OK)
        status = regex_new_node(reader, REGEX_LOOK, &look);
    if (status == PDK_OK)
        status = regex_new_node(reader, REGEX_SEQUENCE, &sequence);
    if (status != PDK_OK)
        return status;
    struct regex_node *nodes = reader->tree->nodes;
    nodes[inside].class_number = nodes[repeat.first].class_number;
    nodes[look].negative = true;
    nodes[look].first = inside;
    struct children children = {.parent = sequence};
    add_child(reader, &children, *node);
    add_child(reader, &children, look);
    *node = sequence;
    return PDK_OK;
}

/* The quantifiers behind *node. */
static pdk_status read_repeat(struct regex_reader *reader, uint32_t *node)
{
    const char *start = reader->at;
    uint32_t least = 0, most = GRAMMAR_UNBOUNDED, repeat = 0;
    if (regex_take(reader, "+"))
        least = 1;
    else if (regex_take(reader, "?"))
        most = 1;
    else if (!regex_take(reader, "*") && !take_braces(reader, &least, &most))
        return PDK_OK;
    if (least > most)
        return regex_fail(reader, PDK_INVALID, start, "a repeat whose bounds are out of order");
    if (reader->tree->nodes[*node].kind == REGEX_LOOK)
        return regex_fail(reader, PDK_UNSUPPORTED, start, "a repeated assertion");
    pdk_status status = regex_new_node(reader, REGEX_REPEAT, &repeat);
    if (status != PDK_OK)
        return status;
    struct regex_node *made = &reader->tree->nodes[repeat];
    made->first = *node;
    made->least = least;
    made->most = most;
    *node = repeat;
    bool lazy = regex_take(reader, "?");
    const char *possessive = reader->at;
    if (!lazy && regex_take(reader, "+"))
        return make_possessive(reader, possessive, node);
    if (reader->at != reader->end && strchr("*+?", *reader->at) != NULL && *reader->at != '\0')
        return regex_fail(reader, PDK_INVALID, reader->at, "a repeat of a repeat");
    return PDK_OK;
}

static pdk_status read_atom(struct regex_reader *reader, uint32_t *ret_node)
{
    bool anchor = false;
    pdk_status status = read_anchor(reader, &anchor, ret_node);
    if (status != PDK_OK || anchor)
        return status;
    switch (*reader->at) {
    case '(': return read_group(reader, ret_node);
    case '[': return regex_read_class(reader, ret_node);
    case '.': return regex_read_dot(reader, ret_node);
    case '*':
    case '+':
    case '?': return regex_fail(reader, PDK_INVALID, reader->at, "a repeat of nothing");
    default: return regex_read_character(reader, ret_node);
    }
}

static pdk_status read_sequence(struct regex_reader *reader, uint32_t *ret_node)
{
    pdk_status status = regex_new_node(reader, REGEX_SEQUENCE, ret_node);
    struct children children = {.parent = *ret_node};
    while (status == PDK_OK && reader->at != reader->end && *reader->at != '|' && *reader->at != ')') {
        uint32_t atom = 0;
        status = read_atom(reader, &atom);
        if (status == PDK_OK)
            status = read_repeat(reader, &atom);
        if (status == PDK_OK)
            add_child(reader, &children, atom);
    }
    return status;
}

static pdk_status read_alternatives(struct regex_reader *reader, uint32_t *ret_node)
{
    pdk_status status = regex_new_node(reader, REGEX_EITHER, ret_node);
    struct children children = {.parent = *ret_node};
    do {
        uint32_t sequence = 0;
        if (status == PDK_OK)
            status = read_sequence(reader, &sequence);
        if (status == PDK_OK)
            add_child(reader, &children, sequence);
    } while (status == PDK_OK && regex_take(reader, "|"));
    return status;
}

pdk_status regex_read(const char *pattern, size_t length, bool loose, const struct regular_budget *budget,
    struct regex_tree *ret_tree, pdk_error *err)
{
    struct regex_tree tree = {0};
    struct regex_reader reader = {.begin = pattern,
        .at = pattern,
        .end = pattern + length,
        .tree = &tree,
        .budget = budget,
        .loose = loose,
        .err = err};
    uint32_t nothing = 0;
    pdk_status status = regex_new_node(&reader, REGEX_NOTHING, &nothing);
    if (status == PDK_OK)
        status = read_alternatives(&reader, &tree.root);
    if (status == PDK_OK && reader.at != reader.end)
        status = regex_fail(&reader, PDK_INVALID, reader.at, "a closing parenthesis without its opening one");
    for (size_t i = 0; i < 3; i++) {
        free(reader.escapes.lists[i][false].ranges);
        free(reader.escapes.lists[i][true].ranges);
    }
    if (status != PDK_OK) {
        regex_tree_done(&tree);
        return status;
    }
    *ret_tree = tree;
    return PDK_OK;
}
