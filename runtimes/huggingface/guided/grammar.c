/* Nodes lie in three arrays that only grow: nodes, the lists of children, the bytes of literals. Simple cases are made
 * simple here (a sequence of one, an either of nothing), so that the automaton has fewer of them. */
#include "config.h"

#include "runtimes/huggingface/guided/grammar_nodes.h"

#include "core/base/array.h"
#include "core/base/clock.h"
#include "core/base/error.h"

#include <stdlib.h>
#include <string.h>

enum { CLOCK_EVERY = 256 };

pdk_status grammar_new(const struct grammar_budget *budget, struct grammar **ret_grammar, pdk_error *err)
{
    struct grammar *grammar = calloc(1, sizeof *grammar);
    if (grammar == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for a grammar");
    grammar->budget = *budget;
    grammar->node_count = 1; /* GRAMMAR_FAILED */
    *ret_grammar = grammar;
    return PDK_OK;
}

struct grammar *grammar_free(struct grammar *grammar)
{
    if (grammar != NULL) {
        free(grammar->nodes);
        free(grammar->children);
        free(grammar->bytes);
        free(grammar);
    }
    return NULL;
}

pdk_status grammar_status(const struct grammar *grammar, pdk_error *err)
{
    if (grammar->status == PDK_NO_MEMORY)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the grammar");
    if (grammar->status == PDK_TIMEOUT)
        return pdk_error_set(err, PDK_TOO_LARGE, NULL, "the grammar takes longer to build than its time allows");
    if (grammar->status != PDK_OK)
        return pdk_error_set(err, PDK_TOO_LARGE, NULL,
            "the grammar needs more than the %zu MiB of memory that it may take", grammar->budget.memory_bytes >> 20);
    return PDK_OK;
}

int64_t grammar_deadline_ms(const struct grammar *grammar)
{
    return grammar->budget.deadline_ms;
}

static grammar_node fail(struct grammar *grammar, pdk_status status)
{
    if (grammar->status == PDK_OK)
        grammar->status = status;
    return GRAMMAR_FAILED;
}

/* Grows an array of the grammar by `more` and counts its room. */
static bool grow(struct grammar *grammar, void **array, size_t *room, size_t count, size_t more, size_t size)
{
    size_t before = *room;
    if (more > grammar->budget.memory_bytes / size || count > UINT32_MAX - more) {
        fail(grammar, PDK_TOO_LARGE);
        return false;
    }
    if (count + more <= before)
        return true;
    if ((count + more) * size > grammar->budget.memory_bytes - grammar->used) {
        fail(grammar, PDK_TOO_LARGE);
        return false;
    }
    if (!array_grow_bytes(array, room, count + more, size)) {
        fail(grammar, PDK_NO_MEMORY);
        return false;
    }
    grammar->used += (*room - before) * size;
    if (grammar->used > grammar->budget.memory_bytes) {
        fail(grammar, PDK_TOO_LARGE);
        return false;
    }
    return true;
}

static grammar_node add(struct grammar *grammar, struct node node)
{
    if (grammar->status != PDK_OK)
        return GRAMMAR_FAILED;
    if (++grammar->checks >= CLOCK_EVERY) {
        grammar->checks = 0;
        if (thread_ms() > grammar->budget.deadline_ms)
            return fail(grammar, PDK_TIMEOUT);
    }
    if (!grow(grammar, (void **)&grammar->nodes, &grammar->node_room, grammar->node_count, 1, sizeof *grammar->nodes))
        return GRAMMAR_FAILED;
    grammar->nodes[grammar->node_count] = node;
    return (grammar_node)grammar->node_count++;
}

grammar_node grammar_nothing(struct grammar *grammar)
{
    return add(grammar, (struct node){.kind = NODE_NOTHING});
}

grammar_node grammar_empty(struct grammar *grammar)
{
    return add(grammar, (struct node){.kind = NODE_EMPTY});
}

grammar_node grammar_literal(struct grammar *grammar, const char *bytes, size_t length)
{
    if (length == 0)
        return grammar_empty(grammar);
    if (grammar->status != PDK_OK ||
        !grow(grammar, (void **)&grammar->bytes, &grammar->byte_room, grammar->byte_count, length, 1))
        return GRAMMAR_FAILED;
    memcpy(grammar->bytes + grammar->byte_count, bytes, length);
    struct node node = {.kind = NODE_LITERAL, .a = (uint32_t)grammar->byte_count, .b = (uint32_t)length};
    grammar->byte_count += length;
    return add(grammar, node);
}

grammar_node grammar_bytes(struct grammar *grammar, uint8_t first, uint8_t last)
{
    if (first > last)
        return grammar_nothing(grammar);
    return add(grammar, (struct node){.kind = NODE_BYTES, .a = first, .b = last});
}

static uint32_t kind_of(const struct grammar *grammar, grammar_node node)
{
    return node < grammar->node_count && node != GRAMMAR_FAILED ? grammar->nodes[node].kind : NODE_FAILED;
}

/* A sequence without what is empty, an either without what matches nothing; a list of one is that one. */
static grammar_node add_list(
    struct grammar *grammar, enum node_kind kind, enum node_kind skip, const grammar_node *nodes, size_t count)
{
    size_t kept = 0, start = grammar->child_count;
    grammar_node only = GRAMMAR_FAILED;
    if (grammar->status != PDK_OK || !grow(grammar, (void **)&grammar->children, &grammar->child_room,
                                         grammar->child_count, count, sizeof *grammar->children))
        return GRAMMAR_FAILED;
    for (size_t i = 0; i < count; i++) {
        uint32_t child = kind_of(grammar, nodes[i]);
        if (child == NODE_FAILED)
            return GRAMMAR_FAILED;
        if (child == (uint32_t)skip)
            continue;
        if (kind == NODE_SEQUENCE && child == NODE_NOTHING)
            return grammar_nothing(grammar);
        only = nodes[i];
        grammar->children[start + kept++] = nodes[i];
    }
    if (kept == 0)
        return kind == NODE_SEQUENCE ? grammar_empty(grammar) : grammar_nothing(grammar);
    if (kept == 1)
        return only;
    grammar->child_count = start + kept;
    return add(grammar, (struct node){.kind = kind, .a = (uint32_t)start, .b = (uint32_t)kept});
}

grammar_node grammar_sequence(struct grammar *grammar, const grammar_node *nodes, size_t count)
{
    return add_list(grammar, NODE_SEQUENCE, NODE_EMPTY, nodes, count);
}

grammar_node grammar_either(struct grammar *grammar, const grammar_node *nodes, size_t count)
{
    return add_list(grammar, NODE_EITHER, NODE_NOTHING, nodes, count);
}

grammar_node grammar_repeat(struct grammar *grammar, grammar_node node, uint32_t least, uint32_t most)
{
    uint32_t kind = kind_of(grammar, node);
    if (kind == NODE_FAILED)
        return GRAMMAR_FAILED;
    if (most > GRAMMAR_UNBOUNDED)
        most = GRAMMAR_UNBOUNDED;
    if (least > most)
        return grammar_nothing(grammar);
    if (most == 0 || kind == NODE_EMPTY || (kind == NODE_NOTHING && least == 0))
        return grammar_empty(grammar);
    if (kind == NODE_NOTHING || (least == 1 && most == 1))
        return node;
    return add(grammar, (struct node){.kind = NODE_REPEAT, .a = node, .b = least, .c = most});
}

grammar_node grammar_rule(struct grammar *grammar)
{
    return add(grammar, (struct node){.kind = NODE_RULE});
}

void grammar_define(struct grammar *grammar, grammar_node rule, grammar_node node)
{
    if (kind_of(grammar, rule) == NODE_RULE)
        grammar->nodes[rule].a = node;
}

void grammar_set_root(struct grammar *grammar, grammar_node node)
{
    grammar->root = node;
}
