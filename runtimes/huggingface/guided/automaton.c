/* States are found by a hash of their kernels. Origins always name older states, so that equal kernels mean equal
 * futures and no set is ever compared in depth. */
#include "config.h"

#include "runtimes/huggingface/guided/automaton.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    STATES_MAX = 1 << 20,
    LOOK_AHEAD = 600, /* no token has so many bytes */
    SMALL_SORT = 16,
    CLOCK_EVERY = 2048, /* items */
};

static bool fail(struct automaton *automaton, pdk_status status)
{
    if (automaton->status == PDK_OK)
        automaton->status = status;
    return false;
}

bool automaton_charge(struct automaton *automaton, size_t bytes)
{
    automaton->bytes += bytes;
    return automaton->bytes <= automaton->bytes_max || fail(automaton, PDK_TOO_LARGE);
}

bool automaton_tick(struct automaton *automaton, uint32_t work)
{
    automaton->work += work;
    if (automaton->work < CLOCK_EVERY)
        return automaton->status == PDK_OK;
    automaton->work = 0;
    if (clock_ns(CLOCK_THREAD_CPUTIME_ID) / 1000 > automaton->deadline_us)
        fail(automaton, PDK_TIMEOUT);
    return automaton->status == PDK_OK;
}

pdk_status automaton_error(const struct automaton *automaton, pdk_error *err)
{
    switch (automaton->status) {
    case PDK_OK: return PDK_OK;
    case PDK_NO_MEMORY: return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for what may follow");
    case PDK_TIMEOUT:
        return pdk_error_set(err, PDK_TOO_LARGE, NULL, "finding what may follow takes longer than its time allows");
    default:
        return pdk_error_set(err, PDK_TOO_LARGE, NULL, "finding what may follow needs more than its %zu MiB of memory",
            automaton->bytes_max >> 20);
    }
}

static uint32_t hash_items(const struct item *items, uint32_t count, bool is_likeness)
{
    uint64_t h = is_likeness ? 77 : 1;
    for (uint32_t i = 0; i < count; i++) {
        h = (h ^ items[i].position) * UINT64_C(0x9E3779B97F4A7C15);
        h = (h ^ h >> 31 ^ items[i].rule ^ (uint64_t)items[i].origin << 20) * UINT64_C(0xC2B2AE3D27D4EB4F);
        h = (h ^ h >> 29 ^ items[i].count) * UINT64_C(0x9E3779B97F4A7C15);
    }
    return (uint32_t)(h >> 32);
}

static int by_bytes(const void *left, const void *right)
{
    return memcmp(left, right, sizeof(struct item));
}

/* Sorted, each once; returns how many. */
static uint32_t settle(struct item *items, uint32_t count)
{
    if (count > SMALL_SORT) {
        qsort(items, count, sizeof *items, by_bytes);
    } else {
        for (uint32_t i = 1; i < count; i++) {
            struct item item = items[i];
            uint32_t k = i;
            for (; k > 0 && by_bytes(&items[k - 1], &item) > 0; k--)
                items[k] = items[k - 1];
            items[k] = item;
        }
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++)
        if (kept == 0 || memcmp(&items[kept - 1], &items[i], sizeof *items) != 0)
            items[kept++] = items[i];
    return kept;
}

static void put_in_index(struct automaton *automaton, state_id id)
{
    uint32_t mask = automaton->index_room - 1, at = automaton->states[id]->hash & mask;
    while (automaton->index[at] != STATE_UNKNOWN)
        at = (at + 1) & mask;
    automaton->index[at] = id;
}

static bool grow_index(struct automaton *automaton)
{
    uint32_t room = automaton->index_room == 0 ? 256 : automaton->index_room * 2;
    uint32_t *index = calloc(room, sizeof *index);
    if (index == NULL)
        return fail(automaton, PDK_NO_MEMORY);
    free(automaton->index);
    automaton->index = index;
    automaton->index_room = room;
    for (uint32_t i = STATE_DEAD + 1; i < automaton->state_count; i++)
        if (automaton->states[i] != NULL)
            put_in_index(automaton, i);
    return automaton_charge(automaton, room / 2 * sizeof *index);
}

static state_id free_id(struct automaton *automaton)
{
    while (automaton->free_state < automaton->state_count && automaton->states[automaton->free_state] != NULL)
        automaton->free_state++;
    if (automaton->free_state < automaton->state_count)
        return automaton->free_state;
    uint32_t before = automaton->state_room;
    size_t room = before;
    if (automaton->state_count >= STATES_MAX) {
        fail(automaton, PDK_TOO_LARGE);
        return STATE_UNKNOWN;
    }
    if (!array_grow(&automaton->states, &room, (size_t)automaton->state_count + 1)) {
        fail(automaton, PDK_NO_MEMORY);
        return STATE_UNKNOWN;
    }
    automaton->state_room = (uint32_t)room;
    if (!automaton_charge(automaton, (room - before) * sizeof *automaton->states))
        return STATE_UNKNOWN;
    automaton->states[automaton->state_count] = NULL;
    return automaton->state_count++;
}

static size_t state_bytes(const struct state *state)
{
    return sizeof *state + state->kernel_count * sizeof(struct item);
}

/* The state of a settled kernel, made if need be. */
static state_id intern(struct automaton *automaton, const struct item *kernel, uint32_t count, bool is_likeness)
{
    uint32_t hash = hash_items(kernel, count, is_likeness), mask = automaton->index_room - 1;
    for (uint32_t at = hash & mask; automaton->index[at] != STATE_UNKNOWN; at = (at + 1) & mask) {
        const struct state *state = automaton->states[automaton->index[at]];
        if (state->hash == hash && state->kernel_count == count && state->is_likeness == is_likeness &&
            memcmp(state->kernel, kernel, count * sizeof *kernel) == 0)
            return automaton->index[at];
    }
    state_id id = free_id(automaton);
    if (id == STATE_UNKNOWN)
        return STATE_UNKNOWN;
    struct state *state = calloc(1, sizeof *state + count * sizeof *kernel);
    if (state == NULL) {
        fail(automaton, PDK_NO_MEMORY);
        return STATE_UNKNOWN;
    }
    state->kernel = (struct item *)(state + 1);
    state->kernel_count = count;
    state->hash = hash;
    state->is_likeness = is_likeness;
    memcpy(state->kernel, kernel, count * sizeof *kernel);
    automaton->states[id] = state;
    automaton->live_count++;
    put_in_index(automaton, id);
    if (automaton->live_count * 2 > automaton->index_room && !grow_index(automaton))
        return STATE_UNKNOWN;
    return automaton_charge(automaton, state_bytes(state)) ? id : STATE_UNKNOWN;
}

bool automaton_close(struct automaton *automaton, state_id id)
{
    struct state *state = automaton->states[id];
    return state->closed || (automaton->status == PDK_OK && closure_run(automaton, state));
}

bool automaton_ends(const struct automaton *automaton, state_id state)
{
    return automaton->states[state]->ends;
}

bool automaton_must_end(const struct automaton *automaton, state_id state)
{
    return automaton->states[state]->ends && automaton->states[state]->step_count == 0;
}

static state_id find_step(struct automaton *automaton, state_id from, uint8_t byte)
{
    const struct state *state = automaton->states[from];
    const struct program *program = automaton->program;
    struct item few[SMALL_SORT];
    PDK_AUTO_FREE struct item *many = NULL;
    struct item *kernel = few;
    uint32_t count = 0;
    for (uint32_t i = 0; i < state->step_count; i++) {
        const struct position *position = &program->positions[state->items[i].position];
        if (byte < position->first || byte > position->last)
            continue;
        if (count == SMALL_SORT && many == NULL) {
            many = calloc(state->step_count, sizeof *many);
            if (many == NULL) {
                fail(automaton, PDK_NO_MEMORY);
                return STATE_UNKNOWN;
            }
            memcpy(many, few, sizeof few);
            kernel = many;
        }
        uint32_t origin = state->items[i].origin;
        kernel[count++] = (struct item){
            .position = position->next, .rule = state->items[i].rule, .origin = origin == ORIGIN_SELF ? from : origin};
    }
    if (count == 0)
        return STATE_DEAD;
    return intern(automaton, kernel, settle(kernel, count), false);
}

state_id automaton_step(struct automaton *automaton, state_id from, uint8_t byte)
{
    uint8_t class = automaton->program->classes[byte];
    struct state *state = automaton->states[from];
    if (state->row != NULL && state->row[class] != STATE_UNKNOWN)
        return state->row[class];
    if (automaton->status != PDK_OK || !automaton_close(automaton, from))
        return STATE_UNKNOWN;
    if (state->row == NULL) {
        size_t bytes = automaton->program->class_count * sizeof *state->row;
        state->row = calloc(1, bytes);
        if (state->row == NULL)
            fail(automaton, PDK_NO_MEMORY);
        if (state->row == NULL || !automaton_charge(automaton, bytes))
            return STATE_UNKNOWN;
    }
    if (!automaton_tick(automaton, 1 + state->step_count / 16))
        return STATE_UNKNOWN;
    state_id to = find_step(automaton, from, byte);
    state->row[class] = to;
    return to;
}

/* Counts far from their borders are alike: no token gets there. */
static uint32_t likely_count(const struct position *position, uint32_t count, uint32_t look_ahead)
{
    if (position->operation != OP_REPEAT || position->b == GRAMMAR_UNBOUNDED)
        return count;
    if (count < position->a)
        return position->a - count > look_ahead ? position->a - look_ahead - 1 : count;
    uint32_t far = position->b > look_ahead ? position->b - look_ahead - 1 : 0;
    far = far < position->a ? position->a : far;
    return position->b - count > look_ahead ? far : count;
}

/* Items that others called, with blanks in place of where they were called, numbered as they come. */
static uint32_t blank_out(const struct automaton *automaton, const struct state *state, struct item *kernel)
{
    uint32_t count = 0, blanks = 0;
    for (uint32_t i = 0; i < state->step_count + state->wait_count; i++) {
        struct item item = state->items[i];
        if (item.origin == ORIGIN_SELF)
            continue;
        item.count = likely_count(&automaton->program->positions[item.position], item.count, automaton->look_ahead);
        kernel[count++] = item;
    }
    count = settle(kernel, count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t origin = kernel[i].origin, blank = ORIGIN_FIRST_BLANK + blanks;
        if (origin >= ORIGIN_FIRST_BLANK)
            continue;
        blanks++;
        for (uint32_t k = i; k < count; k++)
            if (kernel[k].origin == origin)
                kernel[k].origin = blank;
    }
    return settle(kernel, count);
}

state_id automaton_likeness(struct automaton *automaton, state_id id)
{
    struct state *state = automaton->states[id];
    if (state->likeness != STATE_UNKNOWN)
        return state->likeness;
    if (!automaton_close(automaton, id))
        return STATE_UNKNOWN;
    PDK_AUTO_FREE struct item *kernel = calloc((size_t)state->step_count + state->wait_count + 1, sizeof *kernel);
    if (kernel == NULL) {
        fail(automaton, PDK_NO_MEMORY);
        return STATE_UNKNOWN;
    }
    uint32_t count = blank_out(automaton, state, kernel);
    state_id likeness = intern(automaton, kernel, count, true);
    if (likeness == STATE_UNKNOWN || !automaton_close(automaton, likeness))
        return STATE_UNKNOWN;
    state->likeness = likeness;
    return likeness;
}

static void free_state(struct automaton *automaton, state_id id)
{
    struct state *state = automaton->states[id];
    automaton->bytes -= state_bytes(state);
    automaton->bytes -= ((size_t)state->step_count + state->wait_count) * sizeof *state->items;
    free(state->items);
    free(state);
    automaton->states[id] = NULL;
    automaton->live_count--;
    if (id < automaton->free_state)
        automaton->free_state = id;
}

/* Marks what is reached by origins. Marks are put on before a state is pushed, so that `stack` needs no more room than
 * there are states. */
static void mark_all(struct automaton *automaton, state_id *stack, size_t depth)
{
    while (depth > 0) {
        const struct state *state = automaton->states[stack[--depth]];
        for (uint32_t i = 0; i < state->kernel_count + state->step_count + state->wait_count; i++) {
            uint32_t origin =
                i < state->kernel_count ? state->kernel[i].origin : state->items[i - state->kernel_count].origin;
            if (origin >= ORIGIN_FIRST_BLANK || automaton->states[origin]->marked)
                continue;
            automaton->states[origin]->marked = true;
            stack[depth++] = origin;
        }
    }
}

void automaton_sweep(struct automaton *automaton, const state_id *keep, size_t count, bool likenesses,
    void (*drop_mask)(void *context, void *mask), void *context)
{
    PDK_AUTO_FREE state_id *stack = calloc(automaton->state_count, sizeof *stack);
    size_t depth = 0;
    if (stack == NULL)
        return; /* the budget will tell */
    for (uint32_t i = STATE_DEAD + 1; i < automaton->state_count; i++)
        if (automaton->states[i] != NULL) {
            automaton->states[i]->marked = likenesses && automaton->states[i]->is_likeness;
            if (automaton->states[i]->marked)
                stack[depth++] = i;
        }
    for (size_t i = 0; i <= count; i++) {
        state_id id = i < count ? keep[i] : automaton->start;
        if (!automaton->states[id]->marked) {
            automaton->states[id]->marked = true;
            stack[depth++] = id;
        }
    }
    mark_all(automaton, stack, depth);
    for (uint32_t i = STATE_DEAD + 1; i < automaton->state_count; i++) {
        struct state *state = automaton->states[i];
        if (state == NULL)
            continue;
        if (state->row != NULL)
            automaton->bytes -= automaton->program->class_count * sizeof *state->row;
        free(state->row);
        state->row = NULL;
        state->likeness = STATE_UNKNOWN;
        if (state->marked)
            continue;
        if (state->mask != NULL)
            drop_mask(context, state->mask);
        free_state(automaton, i);
    }
    memset(automaton->index, 0, automaton->index_room * sizeof *automaton->index);
    for (uint32_t i = STATE_DEAD + 1; i < automaton->state_count; i++)
        if (automaton->states[i] != NULL)
            put_in_index(automaton, i);
}

pdk_status automaton_new(const struct program *program, size_t bytes_max, int64_t deadline_us,
    struct automaton **ret_automaton, pdk_error *err)
{
    static const struct item first = {.position = 0, .rule = RULE_TOP, .origin = ORIGIN_NOWHERE};
    struct automaton *automaton = calloc(1, sizeof *automaton);
    if (automaton == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for what may follow");
    automaton->program = program;
    automaton->bytes_max = bytes_max;
    automaton->deadline_us = deadline_us;
    automaton->look_ahead = LOOK_AHEAD;
    automaton->free_state = STATE_DEAD + 1;
    automaton->closure = closure_new(program);
    if (automaton->closure == NULL)
        fail(automaton, PDK_NO_MEMORY);
    if (automaton_charge(automaton, program->bytes + program->rule_count * (sizeof(uint32_t) + 1)) &&
        grow_index(automaton)) {
        /* Two ids are no states. */
        automaton->states = calloc(16, sizeof *automaton->states);
        automaton->state_room = 16;
        automaton->state_count = STATE_DEAD + 1;
        struct item item = first;
        item.position = program->rules[RULE_TOP].start;
        if (automaton->states == NULL)
            fail(automaton, PDK_NO_MEMORY);
        else
            automaton->start = intern(automaton, &item, 1, false);
        if (automaton->start != STATE_UNKNOWN)
            automaton_close(automaton, automaton->start);
    }
    pdk_status status = automaton_error(automaton, err);
    if (status == PDK_OK)
        *ret_automaton = automaton;
    else
        automaton_free(automaton);
    return status;
}

struct automaton *automaton_free(struct automaton *automaton)
{
    if (automaton != NULL) {
        for (uint32_t i = STATE_DEAD + 1; i < automaton->state_count; i++)
            if (automaton->states != NULL && automaton->states[i] != NULL) {
                free(automaton->states[i]->items);
                free(automaton->states[i]->row);
                free(automaton->states[i]);
            }
        free(automaton->states);
        free(automaton->index);
        closure_free(automaton->closure);
        free(automaton);
    }
    return NULL;
}
