/* runtimes/huggingface/guided/automaton.h: runs a program over bytes. A state is what may stand at one place of a text:
 * a set of items (a position, the rule that it will end, the state in which that rule was called, a count). Equal sets
 * are one state, made when it is first met; steps between states are remembered.
 *
 * Invariant: every item of a state leads on to some text, so a state that is there means that the text so far may be
 * completed. States are numbers, good until automaton_sweep. One thread at a time. */
#pragma once

#include "runtimes/huggingface/guided/program.h"

typedef uint32_t state_id;
enum { STATE_UNKNOWN = 0, STATE_DEAD = 1 };

/* Origins that are no state. */
#define ORIGIN_SELF    UINT32_MAX       /* the state that the item is in */
#define ORIGIN_NOWHERE (UINT32_MAX - 1) /* of the whole text */
/* A state that a likeness stands for, by its place among the likeness's origins; see automaton_likeness. */
#define ORIGIN_FIRST_BLANK 0xF0000000u

struct item {
    uint32_t position, rule, origin, count;
};

struct state {
    struct item *kernel; /* what stepping here gave, sorted; all else follows from it */
    struct item *items;  /* [step_count] that want a byte, then [wait_count] that wait for a rule, sorted by it */
    uint32_t kernel_count, step_count, wait_count;
    uint32_t hash;
    uint32_t *row;     /* [class_count] → state, or NULL */
    state_id likeness; /* STATE_UNKNOWN: not asked for yet */
    void *mask;        /* whoever computes masks keeps them here */
    uint64_t loops;    /* whoever computes masks: groups of bytes that lead back here */
    bool looked;       /* `loops` was found */
    bool closed, ends, blank_ended, is_likeness, marked;
};

struct automaton {
    const struct program *program;
    struct state **states;                        /* NULL: free */
    uint32_t state_count, state_room, free_state; /* free ones are found by looking from free_state on */
    uint32_t *index;                              /* open addressing by hash; STATE_UNKNOWN: empty */
    uint32_t index_room, live_count;
    state_id start;
    uint32_t look_ahead;     /* so many bytes are looked at from a state, at most: 600 */
    size_t bytes, bytes_max; /* of memory */
    int64_t deadline_us;     /* CLOCK_THREAD_CPUTIME_ID, of the work at hand; set by whoever calls */
    uint32_t work;           /* since the clock was read */
    pdk_status status;       /* once not PDK_OK, all steps are unknown */
    struct closure *closure; /* memory for closing one state */
};

/* Borrows `program`. `bytes_max` is for states and steps, and for what `bytes` is raised by from outside. */
pdk_status automaton_new(const struct program *program, size_t bytes_max, int64_t deadline_us,
    struct automaton **ret_automaton, pdk_error *err);
struct automaton *automaton_free(struct automaton *automaton); /* takes NULL, returns NULL */

/* The state behind a byte: STATE_DEAD if no text goes on so, STATE_UNKNOWN after a failure. */
state_id automaton_step(struct automaton *automaton, state_id from, uint8_t byte);
/* Computes what may follow, if that was not done. False: failure. */
bool automaton_close(struct automaton *automaton, state_id state);
/* Whether the text may end here, and whether it must. Of a closed state. */
bool automaton_ends(const struct automaton *automaton, state_id state);
bool automaton_must_end(const struct automaton *automaton, state_id state);
/* A state that stands for all that are like this one as far as the rules at hand tell, with blanks for the states that
 * these will return to: what it allows, `state` allows too. Reached from it, a state with `blank_ended` is one where
 * that knowledge ends. STATE_UNKNOWN: failure. */
state_id automaton_likeness(struct automaton *automaton, state_id state);
/* Frees all states that neither `keep` nor, with `likenesses`, a likeness needs; and all rows. `drop_mask` frees a
 * state's mask. */
void automaton_sweep(struct automaton *automaton, const state_id *keep, size_t count, bool likenesses,
    void (*drop_mask)(void *context, void *mask), void *context);
/* Counts memory; false, and the automaton has failed, when it is too much. */
bool automaton_charge(struct automaton *automaton, size_t bytes);
/* So much work was done: looks at the clock now and then. False: the time is over, and the automaton has failed. */
bool automaton_tick(struct automaton *automaton, uint32_t work);
/* The failure in words. */
pdk_status automaton_error(const struct automaton *automaton, pdk_error *err);

/* For automaton_close. */
struct closure *closure_new(const struct program *program);
struct closure *closure_free(struct closure *closure);
/* Fills in the state's items. False: the automaton has failed. */
bool closure_run(struct automaton *automaton, struct state *state);
