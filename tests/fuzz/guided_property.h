/* tests/fuzz/guided_property.h: what holds of any grammar that was read: it compiles within its budget or says why not,
 * and whoever stands somewhere in a text can go on, or end it. */
#pragma once

#include "core/base/clock.h"
#include "runtimes/huggingface/guided/automaton.h"

#include <assert.h>
#include <stddef.h>

enum { GUIDED_FUZZ_MEMORY = 16 << 20, GUIDED_FUZZ_STEPS = 48 };

static inline void guided_drop_mask(void *context, void *mask)
{
    (void)context;
    (void)mask;
    assert(!"no masks here");
}

static inline struct grammar *guided_grammar(void)
{
    struct grammar_budget budget = {.memory_bytes = GUIDED_FUZZ_MEMORY, .deadline_ms = monotonic_ms() + 10000};
    struct grammar *grammar = NULL;
    pdk_status status = grammar_new(&budget, &grammar, NULL);
    assert(status == PDK_OK);
    (void)status;
    return grammar;
}

/* The first byte from `first` on that leads on from `state`, or -1; sets *ret_to. */
static inline int guided_next(struct automaton *automaton, state_id state, uint8_t first, state_id *ret_to)
{
    for (int i = 0; i < 256; i++) {
        uint8_t byte = (uint8_t)(first + i);
        *ret_to = automaton_step(automaton, state, byte);
        if (*ret_to != STATE_DEAD)
            return byte;
    }
    return -1;
}

/* Walks on as `choices` say. Sweeping halfway changes nothing: the same bytes lead to a state that ends or not as
 * before. */
static inline void guided_walk(struct automaton *automaton, const uint8_t *choices, size_t count)
{
    uint8_t text[GUIDED_FUZZ_STEPS];
    size_t length = 0;
    state_id state = automaton->start, to = STATE_UNKNOWN;
    while (length < GUIDED_FUZZ_STEPS && automaton_close(automaton, state)) {
        int byte = guided_next(automaton, state, count > 0 ? choices[length % count] : 0, &to);
        assert(byte >= 0 || automaton_must_end(automaton, state));
        if (byte < 0 || to == STATE_UNKNOWN)
            break;
        text[length++] = (uint8_t)byte;
        state = to;
    }
    if (automaton->status != PDK_OK || !automaton_close(automaton, state))
        return;
    bool ends = automaton_ends(automaton, state);
    automaton_sweep(automaton, &state, 1, false, guided_drop_mask, NULL);
    assert(automaton_ends(automaton, state) == ends);
    state_id again = automaton->start;
    for (size_t i = 0; i < length && again > STATE_DEAD; i++)
        again = automaton_step(automaton, again, text[i]);
    assert(again == state || automaton->status != PDK_OK);
}

static inline void guided_check(struct grammar *grammar, const uint8_t *choices, size_t count)
{
    struct program *program = NULL;
    struct automaton *automaton = NULL;
    pdk_error err = {0};
    int64_t deadline_us = clock_ns(CLOCK_THREAD_CPUTIME_ID) / 1000 + 500000;
    pdk_status status = program_new(grammar, &program, &err);
    if (status == PDK_OK)
        status = automaton_new(program, GUIDED_FUZZ_MEMORY, deadline_us, &automaton, &err);
    assert(status == PDK_OK || (err.status == status && err.message[0] != '\0'));
    assert(status == PDK_OK || status == PDK_INVALID || status == PDK_TOO_LARGE);
    if (status == PDK_OK)
        guided_walk(automaton, choices, count);
    automaton_free(automaton);
    program_free(program);
}
