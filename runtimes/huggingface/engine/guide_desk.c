/* Most masks take less than a step's planning, so the engine waits for fresh ones a little: a choice that is left out
 * for a step loses the step. One that takes longer holds nobody up: the thread at it counts as late, and another takes
 * over; a guide that is known to be slow is waited for by nobody and gets only some of the threads. In the usual case
 * one thread does it all. Choices of one generation share a guide and its lock, so one thread at a time has them. */
#include "config.h"

#include "runtimes/huggingface/engine/guide_desk.h"

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/thread.h"

#include <assert.h>
#include <stdlib.h>

enum { MOMENT_MS = 2, THREADS = 3, QUICK_THREADS = 2 };

struct desk_thread {
    struct guide_desk *desk;
    pthread_t handle;
    bool takes_slow;
    /* under the desk's lock */
    const struct generation *at; /* whose choice it is at; only compared */
    bool late;
};

struct guide_desk {
    void (*done)(void *context, struct choice *choice);
    void *context;
    struct desk_thread threads[THREADS];
    uint32_t thread_count;

    struct mutex lock; /* guards what follows */
    struct condition asked, answered;
    struct choice *first, *last;
    /* Of those asked for since the last wait, so many have no answer yet. */
    uint64_t round;
    uint32_t awaited;
    bool stopping;
};

static void answer(struct guide_desk *desk, struct choice *choice)
{
    const struct sequence *sequence = &choice->sequence;
    choice->guiding.result = guiding_add(&choice->guiding, &choice->sampler, sequence->tokens, sequence->total, false);
    desk->done(desk->context, choice);
}

static bool may_take(const struct desk_thread *self, const struct choice *choice) PDK_REQUIRES(self->desk->lock)
{
    if (!self->takes_slow && guiding_is_slow(&choice->guiding))
        return false;
    for (uint32_t i = 0; i < THREADS; i++)
        if (self->desk->threads[i].at == choice->generation)
            return false;
    return true;
}

static struct choice *take(struct desk_thread *self) PDK_REQUIRES(self->desk->lock)
{
    struct guide_desk *desk = self->desk;
    struct choice *before = NULL, *choice = desk->first;
    for (; choice != NULL && !may_take(self, choice); choice = choice->guiding.next_pending)
        before = choice;
    if (choice == NULL)
        return NULL;
    *(before != NULL ? &before->guiding.next_pending : &desk->first) = choice->guiding.next_pending;
    if (desk->last == choice)
        desk->last = before;
    return choice;
}

/* Answers one choice without the lock, which is held before and after. */
static void work_on(struct desk_thread *self, struct choice *choice) PDK_REQUIRES(self->desk->lock)
{
    struct guide_desk *desk = self->desk;
    uint64_t round = choice->guiding.round;
    self->at = choice->generation;
    mutex_unlock(&desk->lock);
    answer(desk, choice);
    mutex_lock(&desk->lock);
    self->at = NULL;
    self->late = false;
    if (round == desk->round && --desk->awaited == 0)
        condition_signal(&desk->answered);
}

static void *run(void *argument)
{
    struct desk_thread *self = argument;
    struct guide_desk *desk = self->desk;
    if (self->takes_slow)
        thread_give_way();
    mutex_lock(&desk->lock);
    while (!desk->stopping) {
        struct choice *choice = take(self);
        if (choice != NULL) {
            work_on(self, choice);
            if (desk->first != NULL && !may_take(self, desk->first)) /* which may have waited for this thread's */
                condition_broadcast(&desk->asked);
        } else {
            condition_wait(&desk->asked, &desk->lock);
        }
    }
    mutex_unlock(&desk->lock);
    return NULL;
}

static void stop_threads(struct guide_desk *desk)
{
    mutex_lock(&desk->lock);
    assert(desk->first == NULL);
    desk->stopping = true;
    condition_broadcast(&desk->asked);
    mutex_unlock(&desk->lock);
    for (uint32_t i = 0; i < desk->thread_count; i++)
        pthread_join(desk->threads[i].handle, NULL);
}

static struct guide_desk *desk_free(struct guide_desk *desk)
{
    condition_done(&desk->asked);
    condition_done(&desk->answered);
    mutex_done(&desk->lock);
    free(desk);
    return NULL;
}

pdk_status guide_desk_start(
    void (*done)(void *context, struct choice *choice), void *context, struct guide_desk **ret_desk, pdk_error *err)
{
    struct guide_desk *desk = calloc(1, sizeof *desk);
    if (desk == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the engine");
    desk->done = done;
    desk->context = context;
    mutex_init(&desk->lock);
    condition_init(&desk->asked);
    condition_init(&desk->answered);
    desk->round = 1; /* 0: of those that nobody waits for */
    pdk_status status = PDK_OK;
    for (uint32_t i = 0; i < THREADS && status == PDK_OK; i++) {
        struct desk_thread *thread = &desk->threads[i];
        *thread = (struct desk_thread){.desk = desk, .takes_slow = i >= QUICK_THREADS};
        status = thread_start(&thread->handle, THREAD_GUIDE, "guide", run, thread, err);
        desk->thread_count += status == PDK_OK;
    }
    if (status != PDK_OK) {
        guide_desk_stop(desk);
        return status;
    }
    *ret_desk = desk;
    return PDK_OK;
}

struct guide_desk *guide_desk_stop(struct guide_desk *desk)
{
    if (desk == NULL)
        return NULL;
    stop_threads(desk);
    return desk_free(desk);
}

/* Whether a thread is at work that will look at the queue soon. */
static bool is_served(const struct guide_desk *desk) PDK_REQUIRES(desk->lock)
{
    for (uint32_t i = 0; i < THREADS; i++)
        if (desk->threads[i].at != NULL && !desk->threads[i].late)
            return true;
    return false;
}

void guide_desk_ask(struct guide_desk *desk, struct choice *choice)
{
    bool slow = guiding_is_slow(&choice->guiding);
    atomic_store_explicit(&choice->guiding.pending, true, memory_order_relaxed);
    choice->guiding.next_pending = NULL;
    mutex_lock(&desk->lock);
    *(desk->first != NULL ? &desk->last->guiding.next_pending : &desk->first) = choice;
    desk->last = choice;
    choice->guiding.round = slow ? 0 : desk->round;
    desk->awaited += !slow;
    if (slow)
        condition_broadcast(&desk->asked); /* not every thread takes it */
    else if (!is_served(desk))
        condition_signal(&desk->asked);
    mutex_unlock(&desk->lock);
}

void guide_desk_wait(struct guide_desk *desk)
{
    mutex_lock(&desk->lock);
    int64_t deadline_ms = desk->awaited > 0 ? monotonic_ms() + MOMENT_MS : 0;
    while (desk->awaited > 0)
        if (!condition_wait_until(&desk->answered, &desk->lock, deadline_ms))
            break;
    if (desk->awaited > 0) {
        for (uint32_t i = 0; i < THREADS; i++)
            desk->threads[i].late |= desk->threads[i].at != NULL;
        if (desk->first != NULL)
            condition_broadcast(&desk->asked);
    }
    desk->awaited = 0;
    desk->round++;
    mutex_unlock(&desk->lock);
}
