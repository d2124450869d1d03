/* Most masks take less than a step's planning, so the engine waits for fresh ones a little: a choice that is left out
 * for a step loses the step. One that takes longer holds nobody up. */
#include "config.h"

#include "runtimes/huggingface/engine/guide_desk.h"

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/thread.h"

#include <assert.h>
#include <stdlib.h>

enum { MOMENT_MS = 2 };

struct guide_desk {
    void (*done)(void *context, struct choice *choice);
    void *context;
    pthread_t thread;

    struct mutex lock; /* guards what follows */
    struct condition asked, answered;
    struct choice *first, *last;
    /* Answers come in the order of asking. `awaited` of those asked for have been waited for. */
    uint64_t asked_count, answered_count, awaited;
    bool stopping;
};

static void answer(struct guide_desk *desk, struct choice *choice)
{
    const struct sequence *sequence = &choice->sequence;
    choice->guiding.result = guiding_add(&choice->guiding, &choice->sampler, sequence->tokens, sequence->total, false);
    desk->done(desk->context, choice);
}

static void *run(void *argument)
{
    struct guide_desk *desk = argument;
    mutex_lock(&desk->lock);
    for (;;) {
        while (desk->first == NULL && !desk->stopping)
            condition_wait(&desk->asked, &desk->lock);
        struct choice *choice = desk->first;
        if (choice == NULL)
            break;
        desk->first = choice->guiding.next_pending;
        mutex_unlock(&desk->lock);
        answer(desk, choice);
        mutex_lock(&desk->lock);
        desk->answered_count++;
        condition_signal(&desk->answered);
    }
    mutex_unlock(&desk->lock);
    return NULL;
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
    pdk_status status = thread_start(&desk->thread, THREAD_GUIDE, "guide", run, desk, err);
    if (status != PDK_OK) {
        desk_free(desk);
        return status;
    }
    *ret_desk = desk;
    return PDK_OK;
}

struct guide_desk *guide_desk_stop(struct guide_desk *desk)
{
    if (desk == NULL)
        return NULL;
    mutex_lock(&desk->lock);
    assert(desk->first == NULL);
    desk->stopping = true;
    condition_signal(&desk->asked);
    mutex_unlock(&desk->lock);
    pthread_join(desk->thread, NULL);
    return desk_free(desk);
}

void guide_desk_ask(struct guide_desk *desk, struct choice *choice)
{
    atomic_store_explicit(&choice->guiding.pending, true, memory_order_relaxed);
    choice->guiding.next_pending = NULL;
    mutex_lock(&desk->lock);
    *(desk->first != NULL ? &desk->last->guiding.next_pending : &desk->first) = choice;
    desk->last = choice;
    desk->asked_count++;
    condition_signal(&desk->asked);
    mutex_unlock(&desk->lock);
}

void guide_desk_wait(struct guide_desk *desk)
{
    mutex_lock(&desk->lock);
    if (desk->awaited != desk->asked_count) {
        int64_t deadline_ms = monotonic_ms() + MOMENT_MS;
        desk->awaited = desk->asked_count;
        while (desk->answered_count != desk->asked_count)
            if (!condition_wait_until(&desk->answered, &desk->lock, deadline_ms))
                break;
    }
    mutex_unlock(&desk->lock);
}
