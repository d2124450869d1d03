/* `word` is even while nothing runs and odd while a region is open; it changes with every region, and is what sleepers
 * sleep on. One thread at a time writes it: the starter, then each time the one that finished a region's last item. A
 * region's fields are plain, written before the ranges are released and read after something was taken from a range; so
 * a thread that comes late needs not know which region it helps. */
#include "config.h"

#include "plugins/cpu/team.h"

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/thread.h"

#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SPIN_NS = 20000, CACHE_LINE = 64 };

struct range {
    _Alignas(CACHE_LINE) _Atomic uint64_t left; /* next item << 32 | end */
};

struct helper {
    struct team *team;
    pthread_t thread;
    unsigned number;
};

struct team {
    _Alignas(CACHE_LINE) _Atomic uint32_t word;
    _Atomic uint32_t sleepers;
    _Atomic uint32_t grain; /* a stale one only cuts a piece differently */
    _Atomic bool stopping;
    _Alignas(CACHE_LINE) _Atomic uint32_t done; /* items of this region */
    const struct team_step *step;
    uint32_t items;
    unsigned threads, started;
    struct helper *helpers;
    struct range ranges[];
};

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    atomic_signal_fence(memory_order_seq_cst);
#endif
}

/* Returns when the word is no longer `seen`: spins a futex wake's worth of time, then sleeps. */
static void wait_change(struct team *team, uint32_t seen)
{
    int64_t until = clock_ns(CLOCK_MONOTONIC) + SPIN_NS;
    do
        for (int i = 0; i < 32; i++) {
            if (atomic_load_explicit(&team->word, memory_order_acquire) != seen)
                return;
            pause_briefly();
        }
    while (clock_ns(CLOCK_MONOTONIC) < until);
    /* Partner: publish. Either it sees the sleeper, or the sleeper its word. */
    atomic_fetch_add_explicit(&team->sleepers, 1, memory_order_seq_cst);
    while (atomic_load_explicit(&team->word, memory_order_seq_cst) == seen)
        syscall(SYS_futex, (void *)&team->word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
    atomic_fetch_sub_explicit(&team->sleepers, 1, memory_order_relaxed);
}

/* Changes the word, and wakes as many sleepers as can be of use. */
static void publish(struct team *team, bool open, int wanted)
{
    uint32_t word = atomic_load_explicit(&team->word, memory_order_relaxed);
    atomic_store_explicit(&team->word, ((word >> 1) + 1) << 1 | open, memory_order_seq_cst);
    if (atomic_load_explicit(&team->sleepers, memory_order_seq_cst) != 0)
        syscall(SYS_futex, (void *)&team->word, FUTEX_WAKE_PRIVATE, wanted, NULL, NULL, 0);
}

/* Opens the next region, or ends the step. The region counts one item more, which is done when it is open: else a quick
 * thread could finish it, and open another, while this one still opens it. */
static void advance(struct team *team, unsigned thread)
{
    struct team_region region;
    while (team->step->next(team->step->context, thread, &region)) {
        team->items = region.items + 1;
        atomic_store_explicit(&team->grain, region.grain, memory_order_relaxed);
        atomic_store_explicit(&team->done, 0, memory_order_relaxed);
        for (unsigned i = 0; i < team->threads; i++) {
            uint64_t from = (uint64_t)region.items * i / team->threads;
            uint64_t to = (uint64_t)region.items * (i + 1) / team->threads;
            atomic_store_explicit(&team->ranges[i].left, from << 32 | to, memory_order_release);
        }
        publish(team, true, region.items < INT_MAX ? (int)region.items : INT_MAX);
        if (atomic_fetch_add_explicit(&team->done, 1, memory_order_acq_rel) != region.items)
            return;
    }
    publish(team, false, INT_MAX);
}

/* Takes items from the front of a range, or from its tail; false: it is empty. */
static bool take(struct team *team, unsigned owner, bool tail, uint32_t *ret_first, uint32_t *ret_last)
{
    _Atomic uint64_t *left = &team->ranges[owner].left;
    uint64_t seen = atomic_load_explicit(left, memory_order_relaxed);
    for (;;) {
        uint32_t next = (uint32_t)(seen >> 32), end = (uint32_t)seen;
        if (next >= end)
            return false;
        uint32_t grain = atomic_load_explicit(&team->grain, memory_order_relaxed);
        grain = grain < end - next ? grain : end - next;
        uint64_t rest = tail ? (uint64_t)next << 32 | (end - grain) : (uint64_t)(next + grain) << 32 | end;
        /* Partner: advance's release of the range. */
        if (!atomic_compare_exchange_weak_explicit(left, &seen, rest, memory_order_acq_rel, memory_order_relaxed))
            continue;
        *ret_first = tail ? end - grain : next;
        *ret_last = *ret_first + grain;
        return true;
    }
}

static bool take_any(struct team *team, unsigned thread, uint32_t *ret_first, uint32_t *ret_last)
{
    if (take(team, thread, false, ret_first, ret_last))
        return true;
    for (unsigned i = 1; i < team->threads; i++)
        if (take(team, (thread + i) % team->threads, true, ret_first, ret_last))
            return true;
    return false;
}

static void work(struct team *team, unsigned thread)
{
    uint32_t first, last;
    while (take_any(team, thread, &first, &last)) {
        uint32_t items = team->items; /* before ours are done, after which the region may end */
        team->step->run(team->step->context, first, last, thread);
        uint32_t done = atomic_fetch_add_explicit(&team->done, last - first, memory_order_acq_rel) + (last - first);
        if (done == items)
            advance(team, thread);
    }
}

static void *help(void *argument)
{
    struct helper *helper = argument;
    struct team *team = helper->team;
    for (;;) {
        uint32_t word = atomic_load_explicit(&team->word, memory_order_acquire);
        if (atomic_load_explicit(&team->stopping, memory_order_acquire))
            return NULL;
        work(team, helper->number);
        wait_change(team, word);
    }
}

struct team *team_new(unsigned threads)
{
    size_t bytes = sizeof(struct team) + threads * sizeof(struct range);
    if (threads == 0 || threads > TEAM_THREADS_MAX)
        return NULL;
    struct team *team = aligned_alloc(CACHE_LINE, (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
    struct helper *helpers = calloc(threads, sizeof *helpers);
    if (team == NULL || helpers == NULL) {
        free(team);
        free(helpers);
        return NULL;
    }
    *team = (struct team){.threads = threads, .started = 1, .helpers = helpers};
    for (unsigned i = 0; i < threads; i++)
        atomic_init(&team->ranges[i].left, 0);
    return team;
}

struct team *team_free(struct team *team)
{
    if (team == NULL)
        return NULL;
    atomic_store_explicit(&team->stopping, true, memory_order_release);
    publish(team, false, INT_MAX);
    for (unsigned i = 1; i < team->started; i++)
        pthread_join(team->helpers[i].thread, NULL);
    free(team->helpers);
    free(team);
    return NULL;
}

unsigned team_threads(const struct team *team)
{
    return team->threads;
}

static pdk_status start_helpers(struct team *team, pdk_error *err)
{
    for (; team->started < team->threads; team->started++) {
        struct helper *helper = &team->helpers[team->started];
        char name[16];
        snprintf(name, sizeof name, "team-%u", team->started);
        *helper = (struct helper){.team = team, .number = team->started};
        pdk_status status = thread_start(&helper->thread, THREAD_TEAM, name, help, helper, err);
        if (status != PDK_OK)
            return status;
    }
    return PDK_OK;
}

pdk_status team_start(struct team *team, const struct team_step *step, pdk_error *err)
{
    pdk_status status = start_helpers(team, err);
    if (status != PDK_OK)
        return status;
    team->step = step;
    advance(team, 0);
    return PDK_OK;
}

void team_finish(struct team *team)
{
    for (;;) {
        uint32_t word = atomic_load_explicit(&team->word, memory_order_acquire);
        if ((word & 1) == 0)
            return;
        work(team, 0);
        wait_change(team, word);
    }
}
