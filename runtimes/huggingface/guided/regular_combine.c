/* Both, either, not: products of automata; and merging the states that no string tells apart. */
#include "config.h"

#include "runtimes/huggingface/guided/regular_set.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"

#include <string.h>

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 29;
}

/* A chain of least + 1 or most + 1 states. */
static pdk_status lengths_with_states(
    const struct regular *set, const struct regular_budget *budget, struct regular **ret_set, pdk_error *err)
{
    bool open = set->most >= GRAMMAR_UNBOUNDED;
    uint32_t last = open ? set->least : set->most;
    struct regular_builder builder = {.states_max = budget->states};
    for (uint32_t s = 0; s <= last && builder.status == PDK_OK; s++) {
        regular_builder_state(&builder, s >= set->least);
        if (s < last || open)
            regular_builder_range(&builder, 0, CODE_LAST, s < last ? s + 1 : s);
    }
    return regular_builder_finish(&builder, ret_set, err);
}

pdk_status regular_with_states(const struct regular *set, const struct regular_budget *budget,
    const struct regular **ret_set, struct regular **ret_copy, pdk_error *err)
{
    if (!set->lengths) {
        *ret_set = set;
        return PDK_OK;
    }
    pdk_status status = lengths_with_states(set, budget, ret_copy, err);
    if (status == PDK_OK)
        *ret_set = *ret_copy;
    return status;
}

/* Numbers for pairs of states, in the order in which they were first met. */
struct pairs {
    uint64_t *keys;
    size_t key_room;
    uint32_t count;
    uint32_t *slots; /* number + 1, or 0 */
    size_t slot_count;
};

static bool pairs_rehash(struct pairs *pairs, size_t slots)
{
    uint32_t *fresh = calloc(slots, sizeof *fresh);
    if (fresh == NULL)
        return false;
    for (uint32_t i = 0; i < pairs->count; i++) {
        size_t at = mix(1, pairs->keys[i]) & (slots - 1);
        while (fresh[at] != 0)
            at = (at + 1) & (slots - 1);
        fresh[at] = i + 1;
    }
    free(pairs->slots);
    pairs->slots = fresh;
    pairs->slot_count = slots;
    return true;
}

/* The pair's number, or REGULAR_NONE when memory is gone. */
static uint32_t pairs_number(struct pairs *pairs, uint32_t a, uint32_t b)
{
    if ((pairs->count + 1) * 2 > pairs->slot_count &&
        !pairs_rehash(pairs, pairs->slot_count == 0 ? 64 : pairs->slot_count * 2))
        return REGULAR_NONE;
    uint64_t key = (uint64_t)a << 32 | b;
    size_t at = mix(1, key) & (pairs->slot_count - 1);
    for (; pairs->slots[at] != 0; at = (at + 1) & (pairs->slot_count - 1)) {
        if (pairs->keys[pairs->slots[at] - 1] == key)
            return pairs->slots[at] - 1;
    }
    if (!array_grow(&pairs->keys, &pairs->key_room, (size_t)pairs->count + 1))
        return REGULAR_NONE;
    pairs->keys[pairs->count] = key;
    pairs->slots[at] = ++pairs->count;
    return pairs->count - 1;
}

static void pairs_done(struct pairs *pairs)
{
    free(pairs->keys);
    free(pairs->slots);
}

/* A state's edges as a walk over code points: where it stands and what holds from there. */
struct sweep {
    const struct regular_edge *edge, *end;
};

static struct sweep sweep_begin(const struct regular *set, uint32_t state)
{
    if (state == REGULAR_NONE)
        return (struct sweep){NULL, NULL};
    const struct regular_state *from = &set->states[state];
    return (struct sweep){set->edges + from->edge, set->edges + from->edge + from->edges};
}

/* The target at `code`, and in *last until where it holds. */
static uint32_t sweep_at(struct sweep *sweep, uint32_t code, uint32_t *last)
{
    while (sweep->edge != sweep->end && sweep->edge->last < code)
        sweep->edge++;
    if (sweep->edge == sweep->end)
        return REGULAR_NONE;
    if (sweep->edge->first > code) {
        *last = *last < sweep->edge->first - 1 ? *last : sweep->edge->first - 1;
        return REGULAR_NONE;
    }
    *last = *last < sweep->edge->last ? *last : sweep->edge->last;
    return sweep->edge->target;
}

static void product_state(struct regular_builder *builder, struct pairs *pairs, const struct regular *a,
    const struct regular *b, uint64_t key, bool either)
{
    uint32_t left = (uint32_t)(key >> 32), right = (uint32_t)key;
    bool in_a = left != REGULAR_NONE && a->states[left].accepts;
    bool in_b = right != REGULAR_NONE && b->states[right].accepts;
    regular_builder_state(builder, either ? in_a || in_b : in_a && in_b);
    struct sweep over_a = sweep_begin(a, left), over_b = sweep_begin(b, right);
    for (uint64_t code = 0; code <= CODE_LAST && builder->status == PDK_OK;) {
        uint32_t last = CODE_LAST;
        uint32_t to_a = sweep_at(&over_a, (uint32_t)code, &last), to_b = sweep_at(&over_b, (uint32_t)code, &last);
        bool dead =
            either ? to_a == REGULAR_NONE && to_b == REGULAR_NONE : to_a == REGULAR_NONE || to_b == REGULAR_NONE;
        if (!dead) {
            uint32_t target = pairs_number(pairs, to_a, to_b);
            if (target == REGULAR_NONE)
                builder->status = PDK_NO_MEMORY;
            else
                regular_builder_range(builder, (uint32_t)code, last, target);
        }
        code = (uint64_t)last + 1;
    }
}

static pdk_status product(const struct regular *a, const struct regular *b, bool either,
    const struct regular_budget *budget, struct regular **ret_set, pdk_error *err)
{
    PDK_CLEANUP(regular_freep) struct regular *a_states = NULL;
    PDK_CLEANUP(regular_freep) struct regular *b_states = NULL;
    pdk_status status = regular_with_states(a, budget, &a, &a_states, err);
    if (status == PDK_OK)
        status = regular_with_states(b, budget, &b, &b_states, err);
    if (status != PDK_OK)
        return status;
    struct regular_builder builder = {.states_max = budget->states};
    struct pairs pairs = {0};
    pairs_number(&pairs, a->count > 0 ? 0 : REGULAR_NONE, b->count > 0 ? 0 : REGULAR_NONE);
    for (uint32_t s = 0; s < pairs.count && builder.status == PDK_OK; s++) {
        if (s % 64 == 63 && thread_ms() > budget->deadline_ms) {
            pairs_done(&pairs);
            regular_builder_done(&builder);
            return regular_too_large(budget, err);
        }
        product_state(&builder, &pairs, a, b, pairs.keys[s], either);
    }
    if (pairs.count == 0)
        builder.status = PDK_NO_MEMORY;
    pairs_done(&pairs);
    return regular_builder_finish(&builder, ret_set, err);
}

static pdk_status copy_set(const struct regular *set, struct regular **ret_set, pdk_error *err)
{
    PDK_CLEANUP(regular_freep) struct regular *copy = calloc(1, sizeof *copy);
    if (copy == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "pattern", "no memory for a set of strings");
    *copy = *set;
    copy->states = calloc((size_t)set->count + 1, sizeof *copy->states);
    copy->edges = calloc((size_t)set->edge_count + 1, sizeof *copy->edges);
    if (copy->states == NULL || copy->edges == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "pattern", "no memory for a set of strings");
    if (set->count > 0)
        memcpy(copy->states, set->states, set->count * sizeof *copy->states);
    if (set->edge_count > 0)
        memcpy(copy->edges, set->edges, set->edge_count * sizeof *copy->edges);
    *ret_set = PDK_STEAL(copy);
    return PDK_OK;
}

pdk_status regular_both(const struct regular *a, const struct regular *b, const struct regular_budget *budget,
    struct regular **ret_set, pdk_error *err)
{
    if (a->lengths && b->lengths)
        return regular_of_length(
            a->least > b->least ? a->least : b->least, a->most < b->most ? a->most : b->most, ret_set, err);
    if (regular_is_all(a) || regular_is_empty(b))
        return copy_set(b, ret_set, err);
    if (regular_is_all(b) || regular_is_empty(a))
        return copy_set(a, ret_set, err);
    return product(a, b, false, budget, ret_set, err);
}

pdk_status regular_either(const struct regular *a, const struct regular *b, const struct regular_budget *budget,
    struct regular **ret_set, pdk_error *err)
{
    if (regular_is_all(b) || regular_is_empty(a))
        return copy_set(b, ret_set, err);
    if (regular_is_all(a) || regular_is_empty(b))
        return copy_set(a, ret_set, err);
    return product(a, b, true, budget, ret_set, err);
}

pdk_status regular_not(const struct regular *a, struct regular **ret_set, pdk_error *err)
{
    struct regular_budget budget = {.states = REGULAR_EDGES_MAX, .deadline_ms = INT64_MAX};
    PDK_CLEANUP(regular_freep) struct regular *a_states = NULL;
    if (regular_is_empty(a))
        return regular_of_length(0, GRAMMAR_UNBOUNDED, ret_set, err);
    if (regular_is_all(a))
        return regular_of_length(1, 0, ret_set, err);
    if (a->lengths && a->least == 0)
        return regular_of_length(a->most + 1, GRAMMAR_UNBOUNDED, ret_set, err);
    if (a->lengths && a->most >= GRAMMAR_UNBOUNDED)
        return regular_of_length(0, a->least - 1, ret_set, err);
    pdk_status status = regular_with_states(a, &budget, &a, &a_states, err);
    if (status != PDK_OK)
        return status;
    struct regular_builder builder = {.states_max = a->count + 2};
    for (uint32_t s = 0; s <= a->count; s++) {
        /* Past the automaton's states: the one where nothing can match any more, and so everything does. */
        struct sweep sweep = sweep_begin(a, s < a->count ? s : REGULAR_NONE);
        regular_builder_state(&builder, s == a->count || !a->states[s].accepts);
        for (uint64_t code = 0; code <= CODE_LAST;) {
            uint32_t last = CODE_LAST;
            uint32_t target = sweep_at(&sweep, (uint32_t)code, &last);
            regular_builder_range(&builder, (uint32_t)code, last, target == REGULAR_NONE ? a->count : target);
            code = (uint64_t)last + 1;
        }
    }
    return regular_builder_finish(&builder, ret_set, err);
}

/* One state's edges with neighbours of the same class joined: what Moore's algorithm compares. */
struct joined {
    const struct regular_edge *edge, *end;
    const uint32_t *class_of;
};

static bool joined_next(struct joined *at, struct regular_edge *ret_edge)
{
    if (at->edge == at->end)
        return false;
    *ret_edge = (struct regular_edge){at->edge->first, at->edge->last, at->class_of[at->edge->target]};
    for (at->edge++; at->edge != at->end && at->edge->first == ret_edge->last + 1 &&
                     at->class_of[at->edge->target] == ret_edge->target;
         at->edge++)
        ret_edge->last = at->edge->last;
    return true;
}

static struct joined joined_begin(const struct regular *set, uint32_t state, const uint32_t *class_of)
{
    const struct regular_edge *edges = set->edges + set->states[state].edge;
    return (struct joined){edges, edges + set->states[state].edges, class_of};
}

static uint64_t state_hash(const struct regular *set, uint32_t state, const uint32_t *class_of)
{
    uint64_t hash = mix(7, class_of[state]);
    struct joined at = joined_begin(set, state, class_of);
    struct regular_edge edge;
    while (joined_next(&at, &edge))
        hash = mix(mix(hash, (uint64_t)edge.first << 32 | edge.last), edge.target);
    return hash;
}

static bool same_state(const struct regular *set, uint32_t a, uint32_t b, const uint32_t *class_of)
{
    if (class_of[a] != class_of[b])
        return false;
    struct joined left = joined_begin(set, a, class_of), right = joined_begin(set, b, class_of);
    struct regular_edge one, other;
    for (;;) {
        bool more = joined_next(&left, &one), more_right = joined_next(&right, &other);
        if (more != more_right)
            return false;
        if (!more)
            return true;
        if (one.first != other.first || one.last != other.last || one.target != other.target)
            return false;
    }
}

/* Splits classes by where their states lead; returns how many there are. `slots` is empty and stays so. */
static uint32_t refine(
    const struct regular *set, const uint32_t *class_of, uint32_t *next, uint32_t *slots, size_t slot_count)
{
    uint32_t classes = 0;
    memset(slots, 0, slot_count * sizeof *slots);
    for (uint32_t s = 0; s < set->count; s++) {
        size_t at = state_hash(set, s, class_of) & (slot_count - 1);
        while (slots[at] != 0 && !same_state(set, slots[at] - 1, s, class_of))
            at = (at + 1) & (slot_count - 1);
        if (slots[at] == 0) {
            slots[at] = s + 1;
            next[s] = classes++;
        } else {
            next[s] = next[slots[at] - 1];
        }
    }
    return classes;
}

static void merge_classes(struct regular *set, const uint32_t *class_of, uint32_t classes)
{
    uint32_t edges = 0, made = 0;
    for (uint32_t s = 0; s < set->count; s++) {
        /* Classes are numbered by their first state, so writing never overtakes reading. */
        if (class_of[s] != made)
            continue;
        struct joined at = joined_begin(set, s, class_of);
        struct regular_state state = {.edge = edges, .accepts = set->states[s].accepts};
        struct regular_edge edge;
        while (joined_next(&at, &edge)) {
            set->edges[edges++] = edge;
            state.edges++;
        }
        set->states[made++] = state;
    }
    set->count = classes;
    set->edge_count = edges;
}

pdk_status regular_minimise(struct regular *set, pdk_error *err)
{
    enum { WORK_MAX = 3000000 };
    size_t slot_count = 16;
    while (slot_count < (size_t)set->count * 2)
        slot_count *= 2;
    PDK_AUTO_FREE uint32_t *class_of = calloc((size_t)set->count + 1, sizeof *class_of);
    PDK_AUTO_FREE uint32_t *next = calloc((size_t)set->count + 1, sizeof *next);
    PDK_AUTO_FREE uint32_t *slots = calloc(slot_count, sizeof *slots);
    if (class_of == NULL || next == NULL || slots == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "pattern", "no memory for a pattern's states");
    for (uint32_t s = 0; s < set->count; s++)
        class_of[s] = set->states[s].accepts;
    uint32_t classes = 0;
    for (size_t work = 0; work < WORK_MAX; work += (size_t)set->edge_count + set->count + 1) {
        uint32_t finer = refine(set, class_of, next, slots, slot_count);
        memcpy(class_of, next, set->count * sizeof *class_of);
        if (finer == classes) {
            if (classes < set->count)
                merge_classes(set, class_of, classes);
            return PDK_OK;
        }
        classes = finer;
    }
    return PDK_OK;
}
