/* plugins/cpu/team.h: threads that run a step's regions together.
 *
 * A step is a row of regions, a region a number of items; the items of a region may run in any order and on any thread,
 * those of the next begin when all are done. Each thread has a range of its own, so that it finds its weights in its
 * cache again, and takes from the ends of others' ranges when it is done. Nobody waits for a thread, only for items: a
 * helper that the system keeps from running holds up no more than what it has taken. */
#pragma once

#include <paddock/abi.h>
#include <stdbool.h>

struct team;

struct team_region {
    uint32_t items;
    uint32_t grain; /* items taken at once; at least 1 */
};

struct team_step {
    void *context;
    /* Gives the next region; false: there is none. What is too small to share it runs itself, as `thread`. Called by
     * one thread at a time, when all items before are done. */
    bool (*next)(void *context, unsigned thread, struct team_region *ret_region);
    void (*run)(void *context, uint32_t first, uint32_t last, unsigned thread);
};

enum { TEAM_THREADS_MAX = 1024 };

/* A team of `threads`, the caller's own included, which is number 0. Its helpers are made when it first starts. */
struct team *team_new(unsigned threads);
struct team *team_free(struct team *team); /* takes NULL, returns NULL; no step may be under way */
unsigned team_threads(const struct team *team);

/* Lets the helpers begin. `step` is borrowed until team_finish. Fails only where a helper cannot be made.
 * [engine-thread] */
pdk_status team_start(struct team *team, const struct team_step *step, pdk_error *err);
/* Takes part until the step is done. [engine-thread] */
void team_finish(struct team *team);
