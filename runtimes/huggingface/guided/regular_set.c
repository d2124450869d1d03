/* Building an automaton, the simplest sets, and asking what is in one. */
#include "config.h"

#include "runtimes/huggingface/guided/regular_set.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/utf8.h"

#include <string.h>

struct regular *regular_free(struct regular *set)
{
    if (set != NULL) {
        free(set->states);
        free(set->edges);
        free(set);
    }
    return NULL;
}

void regular_freep(struct regular **set)
{
    *set = regular_free(*set);
}

pdk_status regular_too_large(const struct regular_budget *budget, pdk_error *err)
{
    if (thread_ms() > budget->deadline_ms)
        return pdk_error_set(err, PDK_TOO_LARGE, "pattern", "the pattern takes too long to compile");
    return pdk_error_set(
        err, PDK_TOO_LARGE, "pattern", "the pattern needs more than %u states; simplify it", budget->states);
}

void regular_builder_state(struct regular_builder *builder, bool accepts)
{
    if (builder->status != PDK_OK)
        return;
    if (builder->count >= builder->states_max) {
        builder->status = PDK_TOO_LARGE;
        return;
    }
    if (!array_grow(&builder->states, &builder->state_room, (size_t)builder->count + 1)) {
        builder->status = PDK_NO_MEMORY;
        return;
    }
    builder->states[builder->count++] = (struct regular_state){.edge = builder->edge_count, .accepts = accepts};
}

void regular_builder_edge(struct regular_builder *builder, uint32_t first, uint32_t last, uint32_t target)
{
    if (builder->status != PDK_OK)
        return;
    struct regular_state *state = &builder->states[builder->count - 1];
    if (state->edges > 0) {
        struct regular_edge *before = &builder->edges[builder->edge_count - 1];
        if (before->target == target && before->last + 1 == first) {
            before->last = last;
            return;
        }
    }
    if (builder->edge_count >= REGULAR_EDGES_MAX) {
        builder->status = PDK_TOO_LARGE;
        return;
    }
    if (!array_grow(&builder->edges, &builder->edge_room, (size_t)builder->edge_count + 1)) {
        builder->status = PDK_NO_MEMORY;
        return;
    }
    builder->edges[builder->edge_count++] = (struct regular_edge){first, last, target};
    state->edges++;
}

void regular_builder_range(struct regular_builder *builder, uint32_t first, uint32_t last, uint32_t target)
{
    if (first < SURROGATE_FIRST && last >= SURROGATE_FIRST) {
        regular_builder_edge(builder, first, SURROGATE_FIRST - 1, target);
        first = SURROGATE_FIRST;
    }
    if (first >= SURROGATE_FIRST && first <= SURROGATE_LAST)
        first = SURROGATE_LAST + 1;
    if (first <= last)
        regular_builder_edge(builder, first, last, target);
}

void regular_builder_done(struct regular_builder *builder)
{
    free(builder->states);
    free(builder->edges);
    *builder = (struct regular_builder){0};
}

/* Marks in alive[] what leads to an accepting state, walking the edges backwards. */
static bool mark_alive(const struct regular_builder *builder, bool *alive)
{
    uint32_t n = builder->count;
    PDK_AUTO_FREE uint32_t *begin = calloc((size_t)n + 2, sizeof *begin);
    PDK_AUTO_FREE uint32_t *sources = calloc((size_t)builder->edge_count + 1, sizeof *sources);
    PDK_AUTO_FREE uint32_t *stack = calloc((size_t)n + 1, sizeof *stack);
    if (begin == NULL || sources == NULL || stack == NULL)
        return false;
    for (uint32_t e = 0; e < builder->edge_count; e++)
        begin[builder->edges[e].target + 2]++;
    for (uint32_t i = 2; i < n + 2; i++)
        begin[i] += begin[i - 1];
    for (uint32_t s = 0; s < n; s++) {
        const struct regular_state *state = &builder->states[s];
        for (uint32_t e = state->edge; e < state->edge + state->edges; e++)
            sources[begin[builder->edges[e].target + 1]++] = s;
    }
    size_t depth = 0;
    for (uint32_t s = 0; s < n; s++) {
        alive[s] = builder->states[s].accepts;
        if (alive[s])
            stack[depth++] = s;
    }
    while (depth > 0) {
        uint32_t at = stack[--depth];
        for (uint32_t i = begin[at]; i < begin[at + 1]; i++) {
            if (!alive[sources[i]]) {
                alive[sources[i]] = true;
                stack[depth++] = sources[i];
            }
        }
    }
    return true;
}

/* Leaves out dead states; the start keeps number 0, or nothing is left. */
static bool drop_dead(struct regular_builder *builder)
{
    PDK_AUTO_FREE bool *alive = calloc((size_t)builder->count + 1, sizeof *alive);
    PDK_AUTO_FREE uint32_t *number = calloc((size_t)builder->count + 1, sizeof *number);
    if (alive == NULL || number == NULL || !mark_alive(builder, alive))
        return false;
    if (builder->count == 0 || !alive[0]) {
        builder->count = builder->edge_count = 0;
        return true;
    }
    uint32_t states = 0, edges = 0;
    for (uint32_t s = 0; s < builder->count; s++)
        number[s] = alive[s] ? states++ : REGULAR_NONE;
    for (uint32_t s = 0; s < builder->count; s++) {
        struct regular_state state = builder->states[s];
        if (!alive[s])
            continue;
        struct regular_state *kept = &builder->states[number[s]];
        *kept = (struct regular_state){.edge = edges, .accepts = state.accepts};
        for (uint32_t e = state.edge; e < state.edge + state.edges; e++) {
            struct regular_edge edge = builder->edges[e];
            if (number[edge.target] == REGULAR_NONE)
                continue;
            edge.target = number[edge.target];
            builder->edges[edges++] = edge;
            kept->edges++;
        }
    }
    builder->count = states;
    builder->edge_count = edges;
    return true;
}

pdk_status regular_builder_finish(struct regular_builder *builder, struct regular **ret_set, pdk_error *err)
{
    pdk_status status = builder->status;
    /* Arrays are there even when nothing is in them, so that pointers into them are pointers. */
    bool ok =
        array_grow(&builder->edges, &builder->edge_room, 1) && array_grow(&builder->states, &builder->state_room, 1);
    if (status == PDK_OK && (!ok || !drop_dead(builder)))
        status = PDK_NO_MEMORY;
    PDK_CLEANUP(regular_freep) struct regular *set = status == PDK_OK ? calloc(1, sizeof *set) : NULL;
    if (set == NULL) {
        uint32_t most = builder->states_max;
        regular_builder_done(builder);
        if (status == PDK_TOO_LARGE)
            return pdk_error_set(err, status, "pattern", "the pattern needs more than %u states; simplify it", most);
        return pdk_error_set(err, PDK_NO_MEMORY, "pattern", "no memory for a pattern's states");
    }
    set->count = builder->count;
    set->edge_count = builder->edge_count;
    set->states = PDK_STEAL(builder->states);
    set->edges = PDK_STEAL(builder->edges);
    regular_builder_done(builder);
    status = regular_minimise(set, err);
    if (status == PDK_OK)
        *ret_set = PDK_STEAL(set);
    return status;
}

pdk_status regular_of_length(uint32_t least, uint32_t most, struct regular **ret_set, pdk_error *err)
{
    struct regular *set = calloc(1, sizeof *set);
    if (set == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "pattern", "no memory for a set of strings");
    set->lengths = least <= most;
    set->least = least;
    set->most = most;
    *ret_set = set;
    return PDK_OK;
}

pdk_status regular_of_text(const char *text, size_t length, struct regular **ret_set, pdk_error *err)
{
    struct regular_text one = {text, length};
    struct regular_budget budget = {.states = REGULAR_EDGES_MAX, .deadline_ms = INT64_MAX};
    return regular_of_texts(&one, 1, &budget, ret_set, err);
}

static int compare_texts(const void *left, const void *right)
{
    const struct regular_text *a = left, *b = right;
    size_t common = a->length < b->length ? a->length : b->length;
    int order = common == 0 ? 0 : memcmp(a->bytes, b->bytes, common);
    if (order != 0)
        return order;
    return a->length < b->length ? -1 : a->length > b->length;
}

/* A state of the tree of texts: those of [first, last), which agree on their first `depth` bytes. */
struct text_run {
    size_t first, last, depth;
};

static bool add_run(
    struct text_run **runs, size_t *room, size_t count, const struct regular_text *texts, struct text_run run)
{
    (void)texts;
    if (!array_grow(runs, room, count + 1))
        return false;
    (*runs)[count] = run;
    return true;
}

pdk_status regular_of_texts(struct regular_text *texts, size_t count, const struct regular_budget *budget,
    struct regular **ret_set, pdk_error *err)
{
    struct regular_builder builder = {.states_max = budget->states};
    PDK_AUTO_FREE struct text_run *runs = NULL;
    size_t room = 0, states = 1;
    if (count > 0)
        qsort(texts, count, sizeof *texts, compare_texts);
    if (!add_run(&runs, &room, 0, texts, (struct text_run){0, count, 0}))
        return pdk_error_set(err, PDK_NO_MEMORY, "pattern", "no memory for a set of strings");
    for (size_t s = 0; s < states && builder.status == PDK_OK; s++) {
        struct text_run run = runs[s];
        size_t i = run.first;
        /* The shorter comes first, so those that end here lead. */
        while (i < run.last && texts[i].length == run.depth)
            i++;
        regular_builder_state(&builder, i > run.first);
        while (i < run.last && builder.status == PDK_OK) {
            uint32_t code, other;
            size_t step = utf8_decode(texts[i].bytes + run.depth, texts[i].length - run.depth, &code);
            if (step == 0) {
                regular_builder_done(&builder);
                return pdk_error_set(err, PDK_INVALID, "pattern", "a string is not UTF-8");
            }
            size_t first = i++;
            while (i < run.last && utf8_decode(texts[i].bytes + run.depth, texts[i].length - run.depth, &other) > 0 &&
                   other == code)
                i++;
            if (!add_run(&runs, &room, states, texts, (struct text_run){first, i, run.depth + step}))
                builder.status = PDK_NO_MEMORY;
            regular_builder_edge(&builder, code, code, (uint32_t)states++);
        }
    }
    return regular_builder_finish(&builder, ret_set, err);
}

uint32_t regular_step(const struct regular *set, uint32_t state, uint32_t code)
{
    const struct regular_edge *edges = set->edges + set->states[state].edge;
    uint32_t low = 0, high = set->states[state].edges;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (edges[middle].last < code)
            low = middle + 1;
        else
            high = middle;
    }
    return low < set->states[state].edges && edges[low].first <= code ? edges[low].target : REGULAR_NONE;
}

bool regular_accepts_all(const struct regular *set, uint32_t state)
{
    const struct regular_edge *edges = set->edges + set->states[state].edge;
    return set->states[state].accepts && set->states[state].edges == 2 && edges[0].target == state &&
           edges[1].target == state && edges[0].first == 0 && edges[0].last == SURROGATE_FIRST - 1 &&
           edges[1].first == SURROGATE_LAST + 1 && edges[1].last == CODE_LAST;
}

bool regular_is_empty(const struct regular *set)
{
    return !set->lengths && set->count == 0;
}

bool regular_is_all(const struct regular *set)
{
    if (set->lengths)
        return set->least == 0 && set->most >= GRAMMAR_UNBOUNDED;
    return set->count == 1 && regular_accepts_all(set, 0);
}

bool regular_has(const struct regular *set, const char *text, size_t length)
{
    uint32_t state = 0, characters = 0, code;
    if (regular_is_empty(set))
        return false;
    for (size_t at = 0, step; at < length; at += step, characters++) {
        step = utf8_decode(text + at, length - at, &code);
        if (step == 0)
            return false;
        if (set->lengths)
            continue;
        state = regular_step(set, state, code);
        if (state == REGULAR_NONE)
            return false;
    }
    if (set->lengths)
        return characters >= set->least && (set->most >= GRAMMAR_UNBOUNDED || characters <= set->most);
    return set->states[state].accepts;
}

/* Counts strings from `state` on, each prefix once; a cycle never ends by itself, so `left` strings of any length and a
 * depth stop it. */
static size_t count_from(const struct regular *set, uint32_t state, size_t most, uint32_t depth)
{
    size_t found = set->states[state].accepts;
    if (depth > set->count)
        return most + 1;
    for (uint32_t e = 0; e < set->states[state].edges && found <= most; e++) {
        const struct regular_edge *edge = &set->edges[set->states[state].edge + e];
        size_t width = edge->last - edge->first + 1;
        size_t behind = count_from(set, edge->target, most, depth + 1);
        if (width > most || behind > most || width * behind > most)
            return most + 1;
        found += width * behind;
    }
    return found > most ? most + 1 : found;
}

size_t regular_count(const struct regular *set, size_t most)
{
    enum { DEPTH_MAX = 256 };
    if (regular_is_empty(set))
        return 0;
    if (set->lengths)
        return set->most == 0 ? 1 : most + 1;
    /* Chains longer than this are rare where counting helps, and recursion has its price. */
    if (set->count > DEPTH_MAX)
        return most + 1;
    return count_from(set, 0, most, 0);
}
