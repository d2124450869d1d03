/* What channels tell, carried from the channel thread to the control thread as a queue of events under control->lock.
 */
#include "config.h"

#include "core/base/error.h"
#include "core/control/metrics.h"
#include "core/control/state.h"

#include <stdio.h>
#include <stdlib.h>

/* What a channel's events are about; freed with the last one. */
struct event_context {
    struct control *control;
    uint32_t replica;
};

static void push_event(struct event_context *context, struct event *event)
{
    struct control *control = context->control;
    event->replica = context->replica;
    mutex_lock(&control->lock);
    *control->events_end = event;
    control->events_end = &event->next;
    mutex_unlock(&control->lock);
    supervisor_wake(control);
}

/* A worker that reports faster than we read only overwrites its own last report. */
static bool overwrite_progress(struct event_context *context, double fraction, const char *what)
{
    struct control *control = context->control;
    bool found = false;
    mutex_lock(&control->lock);
    for (struct event *event = control->events; event != NULL && !found; event = event->next) {
        if (event->kind != EVENT_PROGRESS || event->replica != context->replica)
            continue;
        event->fraction = fraction;
        snprintf(event->what, sizeof event->what, "%s", what);
        found = true;
    }
    mutex_unlock(&control->lock);
    return found;
}

static void on_progress(void *context, double fraction, const char *what)
{
    if (overwrite_progress(context, fraction, what))
        return;
    struct event *event = calloc(1, sizeof *event);
    if (event == NULL)
        return;
    event->kind = EVENT_PROGRESS;
    event->fraction = fraction >= 0 && fraction <= 1 ? fraction : 0;
    snprintf(event->what, sizeof event->what, "%s", what);
    push_event(context, event);
}

static void on_ready(void *context, struct ready_info *info_take)
{
    struct event *event = calloc(1, sizeof *event);
    if (event == NULL) {
        ready_info_free(info_take); /* the load's deadline will tell */
        return;
    }
    event->kind = EVENT_READY;
    event->ready = info_take;
    push_event(context, event);
}

static void on_load_failed(void *context, const pdk_error *err)
{
    struct event *event = calloc(1, sizeof *event);
    if (event == NULL)
        return;
    event->kind = EVENT_LOAD_FAILED;
    event->error = *err;
    push_event(context, event);
}

static void on_stats(void *context, const struct json *payload)
{
    struct event_context *about = context;
    metrics_store_put(about->control->metrics, about->replica, payload);
    mutex_lock(&about->control->lock);
    if (about->control->stats_waited > 0)
        about->control->stats_waited--;
    condition_broadcast(&about->control->changed);
    mutex_unlock(&about->control->lock);
}

static void on_closed(void *context, const pdk_error *err)
{
    struct event *event = calloc(1, sizeof *event);
    if (event != NULL) {
        event->kind = EVENT_CLOSED;
        event->error = *err;
        push_event(context, event);
    } /* else the process's end will tell */
    free(context);
}

pdk_status report_events(struct control *control, uint32_t replica, struct channel_events *ret_events, pdk_error *err)
{
    struct event_context *context = malloc(sizeof *context);
    if (context == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "worker", "no memory to start a worker");
    *context = (struct event_context){control, replica};
    *ret_events = (struct channel_events){.context = context,
        .progress = on_progress,
        .ready = on_ready,
        .load_failed = on_load_failed,
        .stats = on_stats,
        .closed = on_closed};
    return PDK_OK;
}

struct event *report_take(struct control *control)
{
    mutex_lock(&control->lock);
    struct event *events = control->events;
    control->events = NULL;
    control->events_end = &control->events;
    mutex_unlock(&control->lock);
    return events;
}
