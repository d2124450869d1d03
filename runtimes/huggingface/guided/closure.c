/* Earley's predictor and completer over one state, until nothing is new. Two things differ from the textbook: a call at
 * the end of a rule does not come back (its item goes on as the callee, in the caller's name), so that right recursion
 * keeps no trail; and a repetition is one item with a count. */
#include "config.h"

#include "core/base/array.h"
#include "runtimes/huggingface/guided/automaton.h"

#include <stdlib.h>
#include <string.h>

struct place {
    uint32_t slot;         /* in the table */
    uint32_t next_waiting; /* index + 1 of the next item that waits for the same rule */
};

struct closure {
    struct item *work;    /* all items of the state, each once */
    struct place *places; /* by item */
    size_t work_count, work_room, place_room;
    uint32_t *table; /* open addressing: index into work + 1 */
    size_t table_room;
    uint32_t *first_waiting; /* by rule: index into work + 1 */
    bool *empty;             /* by rule: it was called here and has ended here */
    uint32_t *called;        /* rules that first_waiting or empty say something of */
    size_t called_count, called_room;
    struct item *steps, *waits;
    size_t step_count, step_room, wait_count, wait_room;
    size_t counted; /* bytes that the automaton was charged for */
};

struct closure *closure_new(const struct program *program)
{
    struct closure *closure = calloc(1, sizeof *closure);
    if (closure == NULL)
        return NULL;
    closure->first_waiting = calloc(program->rule_count, sizeof *closure->first_waiting);
    closure->empty = calloc(program->rule_count, sizeof *closure->empty);
    closure->table_room = 64;
    closure->table = calloc(closure->table_room, sizeof *closure->table);
    if (closure->first_waiting == NULL || closure->empty == NULL || closure->table == NULL)
        return closure_free(closure);
    return closure;
}

struct closure *closure_free(struct closure *closure)
{
    if (closure != NULL) {
        free(closure->work);
        free(closure->places);
        free(closure->table);
        free(closure->first_waiting);
        free(closure->empty);
        free(closure->called);
        free(closure->steps);
        free(closure->waits);
        free(closure);
    }
    return NULL;
}

static bool out_of_memory(struct automaton *automaton)
{
    if (automaton->status == PDK_OK)
        automaton->status = PDK_NO_MEMORY;
    return false;
}

static uint32_t hash_item(const struct item *item)
{
    uint64_t h = item->position * UINT64_C(0x9E3779B97F4A7C15);
    h = (h ^ item->rule ^ (uint64_t)item->origin << 24) * UINT64_C(0xC2B2AE3D27D4EB4F);
    h = (h ^ h >> 29 ^ item->count) * UINT64_C(0x9E3779B97F4A7C15);
    return (uint32_t)(h >> 32);
}

static bool grow_table(struct automaton *automaton, struct closure *closure)
{
    size_t room = closure->table_room * 2;
    uint32_t *table = calloc(room, sizeof *table);
    if (table == NULL)
        return out_of_memory(automaton);
    for (size_t i = 0; i < closure->work_count; i++) {
        size_t at = hash_item(&closure->work[i]) & (room - 1);
        while (table[at] != 0)
            at = (at + 1) & (room - 1);
        table[at] = (uint32_t)i + 1;
        closure->places[i].slot = (uint32_t)at;
    }
    free(closure->table);
    closure->table = table;
    closure->table_room = room;
    return true;
}

/* Adds an item that is not there yet. */
static bool push(struct automaton *automaton, struct item item)
{
    struct closure *closure = automaton->closure;
    if (item.position == POSITION_DEAD)
        return true;
    size_t mask = closure->table_room - 1, at = hash_item(&item) & mask;
    for (; closure->table[at] != 0; at = (at + 1) & mask)
        if (memcmp(&closure->work[closure->table[at] - 1], &item, sizeof item) == 0)
            return true;
    if (!array_grow(&closure->work, &closure->work_room, closure->work_count + 1) ||
        !array_grow(&closure->places, &closure->place_room, closure->work_count + 1))
        return out_of_memory(automaton);
    closure->places[closure->work_count] = (struct place){.slot = (uint32_t)at};
    closure->work[closure->work_count++] = item;
    closure->table[at] = (uint32_t)closure->work_count;
    if (closure->work_count * 2 > closure->table_room && !grow_table(automaton, closure))
        return false;
    size_t held = closure->work_room * (sizeof item + sizeof(struct place)) + closure->table_room * sizeof(uint32_t);
    if (held > closure->counted) {
        size_t more = held - closure->counted;
        closure->counted = held;
        if (!automaton_charge(automaton, more))
            return false;
    }
    return automaton_tick(automaton, 1);
}

static bool note_called(struct automaton *automaton, uint32_t rule)
{
    struct closure *closure = automaton->closure;
    if (closure->first_waiting[rule] != 0 || closure->empty[rule])
        return true;
    if (!array_grow(&closure->called, &closure->called_room, closure->called_count + 1))
        return out_of_memory(automaton);
    closure->called[closure->called_count++] = rule;
    return true;
}

/* The rule that `wait` waits for has ended: where it goes on. `origin`: of the state that it waits in. */
static struct item go_on(const struct program *program, const struct item *wait, state_id in)
{
    const struct position *position = &program->positions[wait->position];
    struct item item = {.rule = wait->rule, .origin = wait->origin == ORIGIN_SELF ? in : wait->origin};
    if (position->operation == OP_CALL) {
        item.position = position->next;
        return item;
    }
    uint32_t most = position->b == GRAMMAR_UNBOUNDED ? position->a : position->b;
    item.position = wait->position;
    item.count = wait->count < most ? wait->count + 1 : most;
    return item;
}

/* `index` waits for `rule`, which begins here. A repetition never takes an empty text: its least count is 0 then. */
static bool wait_for(struct automaton *automaton, uint32_t index, uint32_t rule)
{
    const struct program *program = automaton->program;
    struct closure *closure = automaton->closure;
    struct item item = closure->work[index];
    if (!note_called(automaton, rule))
        return false;
    if (!array_grow(&closure->waits, &closure->wait_room, closure->wait_count + 1))
        return out_of_memory(automaton);
    closure->waits[closure->wait_count++] = item;
    closure->places[index].next_waiting = closure->first_waiting[rule];
    closure->first_waiting[rule] = index + 1;
    if (!push(automaton, (struct item){.position = program->rules[rule].start, .rule = rule, .origin = ORIGIN_SELF}))
        return false;
    if (closure->empty[rule] && program->positions[item.position].operation == OP_CALL)
        return push(automaton, go_on(program, &item, ORIGIN_SELF));
    return true;
}

/* A rule that was called in this state has ended in it. */
static bool end_here(struct automaton *automaton, uint32_t rule)
{
    struct closure *closure = automaton->closure;
    if (closure->empty[rule])
        return true;
    if (!note_called(automaton, rule))
        return false;
    closure->empty[rule] = true;
    for (uint32_t at = closure->first_waiting[rule]; at != 0; at = closure->places[at - 1].next_waiting) {
        struct item item = closure->work[at - 1];
        if (automaton->program->positions[item.position].operation == OP_CALL &&
            !push(automaton, go_on(automaton->program, &item, ORIGIN_SELF)))
            return false;
    }
    return true;
}

static uint32_t waited_for(const struct program *program, const struct item *wait)
{
    const struct position *position = &program->positions[wait->position];
    return position->operation == OP_CALL ? position->a : position->next;
}

/* A rule that was called in state `origin` has ended: all that wait for it there go on. */
static bool end_there(struct automaton *automaton, uint32_t rule, state_id origin)
{
    const struct program *program = automaton->program;
    const struct state *state = automaton->states[origin];
    const struct item *waits = state->items + state->step_count;
    size_t low = 0, high = state->wait_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (waited_for(program, &waits[middle]) < rule)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < state->wait_count && waited_for(program, &waits[low]) == rule; low++)
        if (!push(automaton, go_on(program, &waits[low], origin)))
            return false;
    return true;
}

static bool end_rule(struct automaton *automaton, struct state *state, const struct item *item)
{
    if (item->rule == RULE_TOP) {
        state->ends = true;
        return true;
    }
    if (item->origin == ORIGIN_SELF)
        return end_here(automaton, item->rule);
    if (item->origin >= ORIGIN_FIRST_BLANK) {
        state->blank_ended |= !state->is_likeness; /* the likeness itself has this behind it */
        return true;
    }
    return end_there(automaton, item->rule, item->origin);
}

static bool repeat(struct automaton *automaton, uint32_t index)
{
    struct item item = automaton->closure->work[index];
    const struct position *position = &automaton->program->positions[item.position];
    if (item.count >= position->a &&
        !push(automaton, (struct item){.position = POSITION_END, .rule = item.rule, .origin = item.origin}))
        return false;
    return (position->b != GRAMMAR_UNBOUNDED && item.count >= position->b) ||
           wait_for(automaton, index, position->next);
}

static bool expand(struct automaton *automaton, struct state *state, uint32_t index)
{
    const struct program *program = automaton->program;
    struct closure *closure = automaton->closure;
    struct item item = closure->work[index];
    const struct position *position = &program->positions[item.position];
    switch (position->operation) {
    case OP_END: return end_rule(automaton, state, &item);
    case OP_REPEAT: return repeat(automaton, index);
    case OP_BYTES:
        if (!array_grow(&closure->steps, &closure->step_room, closure->step_count + 1))
            return out_of_memory(automaton);
        closure->steps[closure->step_count++] = item;
        return true;
    case OP_SPLIT:
        for (uint32_t i = 0; i < position->b; i++) {
            item.position = program->targets[position->a + i];
            if (!push(automaton, item))
                return false;
        }
        return true;
    case OP_CALL:
        if (position->next != POSITION_END)
            return wait_for(automaton, index, position->a);
        item.position = program->rules[position->a].start;
        return push(automaton, item);
    default: return true;
    }
}

static int by_rule(const void *left, const void *right, void *argument)
{
    uint32_t a = waited_for(argument, left), b = waited_for(argument, right);
    return a != b ? (a < b ? -1 : 1) : memcmp(left, right, sizeof(struct item));
}

static void clear(struct closure *closure)
{
    for (size_t i = 0; i < closure->called_count; i++) {
        closure->first_waiting[closure->called[i]] = 0;
        closure->empty[closure->called[i]] = false;
    }
    for (size_t i = 0; i < closure->work_count; i++)
        closure->table[closure->places[i].slot] = 0;
    closure->work_count = closure->called_count = closure->step_count = closure->wait_count = 0;
}

bool closure_run(struct automaton *automaton, struct state *state)
{
    struct closure *closure = automaton->closure;
    bool done = true;
    for (uint32_t i = 0; i < state->kernel_count && done; i++)
        done = push(automaton, state->kernel[i]);
    for (uint32_t i = 0; i < closure->work_count && done; i++)
        done = expand(automaton, state, i);
    size_t count = closure->step_count + closure->wait_count;
    if (done && count != 0) {
        done = automaton_charge(automaton, count * sizeof *state->items);
        state->items = done ? calloc(count, sizeof *state->items) : NULL;
        if (done && state->items == NULL)
            done = out_of_memory(automaton);
        if (!done)
            automaton->bytes -= count * sizeof *state->items;
    }
    if (done) {
        if (closure->wait_count > 1)
            qsort_r(closure->waits, closure->wait_count, sizeof *closure->waits, by_rule, (void *)automaton->program);
        if (closure->step_count != 0)
            memcpy(state->items, closure->steps, closure->step_count * sizeof *state->items);
        if (closure->wait_count != 0)
            memcpy(state->items + closure->step_count, closure->waits, closure->wait_count * sizeof *state->items);
        state->step_count = (uint32_t)closure->step_count;
        state->wait_count = (uint32_t)closure->wait_count;
        state->closed = true;
    }
    clear(closure);
    return done;
}
