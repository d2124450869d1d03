/* The list is short (one entry for each body that is being read), so it is walked whole every half second while it is
 * not empty; an idle daemon never wakes. */
#include "config.h"

#include "core/gateway/watch.h"

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/thread.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { TICK_MS = 500 };

struct watch {
    pthread_t thread;
    struct mutex lock; /* first, stopping */
    struct condition changed;
    struct watched *first;
    bool stopping;
};

static void fire_late(struct watch *watch) PDK_REQUIRES(watch->lock)
{
    int64_t now = monotonic_ms();
    for (struct watched *at = watch->first; at != NULL; at = at->next) {
        if (at->fired || now < at->deadline_ms)
            continue;
        at->fired = 1;
        shutdown(at->fd, SHUT_RD);
    }
}

static void *run(void *argument)
{
    struct watch *watch = argument;
    mutex_lock(&watch->lock);
    while (!watch->stopping) {
        if (watch->first == NULL)
            condition_wait(&watch->changed, &watch->lock);
        else
            condition_wait_until(&watch->changed, &watch->lock, monotonic_ms() + TICK_MS);
        fire_late(watch);
    }
    mutex_unlock(&watch->lock);
    return NULL;
}

pdk_status watch_start(struct watch **ret_watch, pdk_error *err)
{
    struct watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "gateway", "out of memory");
    mutex_init(&watch->lock);
    condition_init(&watch->changed);
    pdk_status status = thread_start(&watch->thread, THREAD_GATEWAY, "body-watch", run, watch, err);
    if (status != PDK_OK) {
        condition_done(&watch->changed);
        mutex_done(&watch->lock);
        free(watch);
        return status;
    }
    *ret_watch = watch;
    return PDK_OK;
}

struct watch *watch_stop(struct watch *watch)
{
    if (watch == NULL)
        return NULL;
    mutex_lock(&watch->lock);
    watch->stopping = true;
    mutex_unlock(&watch->lock);
    condition_signal(&watch->changed);
    pthread_join(watch->thread, NULL);
    condition_done(&watch->changed);
    mutex_done(&watch->lock);
    free(watch);
    return NULL;
}

void watch_arm(struct watch *watch, struct watched *watched)
{
    mutex_lock(&watch->lock);
    bool first = watch->first == NULL;
    watched->fired = 0;
    watched->previous = NULL;
    watched->next = watch->first;
    if (watch->first != NULL)
        watch->first->previous = watched;
    watch->first = watched;
    mutex_unlock(&watch->lock);
    if (first)
        condition_signal(&watch->changed);
}

void watch_disarm(struct watch *watch, struct watched *watched)
{
    mutex_lock(&watch->lock);
    if (watched->previous != NULL)
        watched->previous->next = watched->next;
    else
        watch->first = watched->next;
    if (watched->next != NULL)
        watched->next->previous = watched->previous;
    mutex_unlock(&watch->lock);
}
