/* The control thread: one poll over a wake-up, the workers' pidfds and their output. Each turn takes what happened in, asks
 * reconcile what to do for every service, does it, and publishes what is now. Nothing here waits for a disk or a worker. */
#include "config.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/control/messages.h"
#include "core/control/metrics.h"
#include "core/control/state.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

enum { TAIL_LINES = 3, PROGRESS_EVERY_MS = 200 };

struct turn {
    bool changed;  /* something to publish */
    bool progress; /* only how far loads are */
    int64_t now;
};

void supervisor_wake(struct control *control)
{
    uint64_t one = 1;
    while (write(control->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

static struct log_fields fields_of(const struct replica *replica, const char *message_id)
{
    return (struct log_fields){.message_id = message_id, .service = replica->service->key,
        .revision = replica->pod->revision_name, .replica = replica->pod->name};
}

/* ---- events of the channel thread */

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

/* ---- replicas */

static struct replica *find_replica(struct control *control, uint32_t id)
{
    for (struct service *service = control->services; service != NULL; service = service->next)
        for (size_t i = 0; i < service->replica_count; i++)
            if (service->replicas[i]->view.id == id)
                return service->replicas[i];
    return NULL;
}

static struct replica *replica_free(struct replica *replica)
{
    channel_unref(replica->channel);
    ready_box_unref(replica->ready);
    if (replica->log_fd >= 0)
        close(replica->log_fd);
    if (replica->pid_fd >= 0)
        close(replica->pid_fd);
    free(replica);
    return NULL;
}

static void remember_failure(struct service *service, const struct replica *replica, const char *message)
{
    struct failure *failure = &service->failure;
    failure->reason = REASON_LOAD;
    snprintf(failure->message, sizeof failure->message, "%s", message);
    failure->revision_name[0] = '\0';
    if (replica != NULL)
        snprintf(failure->revision_name, sizeof failure->revision_name, "%s", replica->pod->revision_name);
    failure->exit_code = replica == NULL ? -1 : replica->exit_signal != 0 ? 128 + replica->exit_signal : replica->exit_code;
    failure->time = wall_seconds();
}

static void spawn(struct control *control, struct service *service, struct turn *turn)
{
    pdk_error err = {0};
    struct pod *pod = pod_find(service, service->desired->revision);
    bool again = pod != NULL;
    if (pod == NULL)
        pod = pod_new(service, &err);
    struct replica *replica = calloc(1, sizeof *replica);
    struct event_context *context = malloc(sizeof *context);
    pdk_status status = PDK_NO_MEMORY;
    if (pod != NULL && replica != NULL && context != NULL) {
        *replica = (struct replica){.service = service, .pod = pod, .pid_fd = -1, .log_fd = -1, .started = wall_seconds()};
        replica->view = (struct replica_view){.id = ++control->next_replica, .revision = service->desired->revision,
            .phase = REPLICA_LOADING, .phase_ms = turn->now, .progress_ms = turn->now};
        *context = (struct event_context){control, replica->view.id};
        struct channel_events events = {.context = context, .progress = on_progress, .ready = on_ready,
            .load_failed = on_load_failed, .stats = on_stats, .closed = on_closed};
        ring_log_turn(pod->log);
        metrics_store_begin(control->metrics, replica->view.id, service->desired->resource->namespace_,
            service->desired->resource->name, service->desired->plan->model_name);
        status = worker_spawn(control, replica, &events, &err);
    }
    turn->changed = true;
    if (status != PDK_OK) {
        log_event(LOG_LEVEL_ERROR, &(struct log_fields){.service = service->key}, "cannot start a worker: %s", err.message);
        if (replica != NULL)
            metrics_store_end(control->metrics, replica->view.id);
        free(context);
        free(replica);
        reconcile_crashed(&service->state, 0, turn->now);
        remember_failure(service, NULL, err.message);
        return;
    }
    pod->restarts += again;
    service->replicas[service->replica_count++] = replica;
    struct log_fields fields = fields_of(replica, NULL);
    log_event(LOG_LEVEL_INFO, &fields, "started worker %d", (int)replica->pid);
}

/* Why a worker is gone, for a person. */
static void put_cause(const struct replica *replica, const struct reconcile_deadlines *deadlines, struct buffer *out)
{
    switch (replica->killed_for) {
    case REASON_LOAD_STALLED:
        buffer_printf(out, "the load made no progress in %lld s, and was stopped", (long long)deadlines->load_ms / 1000);
        break;
    case REASON_NO_PONG:
        buffer_printf(out, "the worker answered no ping in %lld s, and was killed", (long long)deadlines->ping_ms / 1000);
        break;
    case REASON_NO_STEP:
        buffer_printf(out, "the engine made no step in %lld s with requests waiting, and was killed", (long long)deadlines->step_ms / 1000);
        break;
    default:
        if (replica->load_error.status != PDK_OK)
            buffer_puts(out, replica->load_error.message);
        else if (replica->killed_for == REASON_CHANNEL_LOST && replica->channel_error.status != PDK_OK)
            buffer_printf(out, "the worker broke the protocol: %s", replica->channel_error.message);
        else if (replica->exit_signal != 0)
            buffer_printf(out, "the worker was ended by signal %d (%s)", replica->exit_signal, strsignal(replica->exit_signal));
        else
            buffer_printf(out, "the worker ended with exit status %d", replica->exit_code);
    }
    if (replica->load_error.status != PDK_OK)
        return;
    PDK_CLEANUP(buffer_done) struct buffer tail = {0};
    ring_log_tail(replica->pod->log, TAIL_LINES, &tail);
    while (tail.length > 0 && tail.data[tail.length - 1] == '\n')
        tail.data[--tail.length] = '\0';
    if (tail.length > 0)
        buffer_printf(out, "; its last lines: %s", tail.data);
}

/* A replica whose process is gone and whose channel is closed. */
static void bury(struct control *control, struct service *service, size_t index, struct turn *turn)
{
    struct replica *replica = service->replicas[index];
    struct reconcile_deadlines deadlines = {control->config.load_deadline_ms, control->config.ping_deadline_ms,
        control->config.step_deadline_ms, control->config.drain_ms};
    PDK_CLEANUP(buffer_done) struct buffer cause = {0};
    put_cause(replica, &deadlines, &cause);
    const char *text = cause.data != NULL ? cause.data : "";
    if (replica->expected) {
        struct log_fields fields = fields_of(replica, MESSAGE_REPLICA_STOPPED);
        log_event(LOG_LEVEL_NOTICE, &fields, "stopped");
    } else {
        struct log_fields fields = fields_of(replica, MESSAGE_REPLICA_FAILED);
        log_event(LOG_LEVEL_ERROR, &fields, "%s", text);
        if (replica->view.revision == service->state.revision && service->state.wanted) {
            reconcile_crashed(&service->state, replica->ready_ms != 0 ? turn->now - replica->ready_ms : 0, turn->now);
            if (service->desired->refused.status != PDK_OK)
                service->state.retry_at_ms = INT64_MAX;
            else
                remember_failure(service, replica, text);
        }
    }
    metrics_store_end(control->metrics, replica->view.id);
    service->replicas[index] = service->replicas[--service->replica_count];
    replica_free(replica);
    turn->changed = true;
}

static void carry_out(struct control *control, struct service *service, const struct action *action, struct turn *turn)
{
    if (action->kind == ACTION_SPAWN) {
        spawn(control, service, turn);
        return;
    }
    struct replica *replica = find_replica(control, action->replica);
    assert(replica != NULL);
    if (action->kind == ACTION_PING) {
        channel_ping(replica->channel);
        replica->view.pinged_ms = turn->now;
        return;
    }
    static const enum replica_phase phases[] = {
        [ACTION_DRAIN] = REPLICA_DRAINING, [ACTION_TERMINATE] = REPLICA_TERMINATING, [ACTION_KILL] = REPLICA_KILLED};
    bool was_leaving = replica->view.phase != REPLICA_LOADING && replica->view.phase != REPLICA_READY;
    replica->view.phase = phases[action->kind];
    replica->view.phase_ms = turn->now;
    replica->killed_for = action->reason;
    replica->expected |= was_leaving || action->kind != ACTION_KILL;
    if (action->kind == ACTION_DRAIN)
        channel_drain(replica->channel);
    else
        worker_signal(replica, action->kind == ACTION_TERMINATE ? SIGTERM : SIGKILL);
    if (action->kind == ACTION_KILL)
        channel_close(replica->channel, "the worker was killed");
    turn->changed = true;
}

/* ---- what happened */

static void take_ready(struct replica *replica, struct ready_info *ready, struct turn *turn)
{
    struct service *service = replica->service;
    if (replica->view.phase != REPLICA_LOADING || replica->ready != NULL) {
        ready_info_free(ready);
        return;
    }
    replica->ready = ready_box_new(ready);
    if (replica->ready == NULL) {
        channel_close(replica->channel, "out of memory");
        return;
    }
    replica->view.phase = REPLICA_READY;
    replica->view.phase_ms = replica->view.pinged_ms = replica->ready_ms = turn->now;
    snprintf(service->latest_ready, sizeof service->latest_ready, "%s", replica->pod->revision_name);
    turn->changed = true;
    struct log_fields fields = fields_of(replica, MESSAGE_REVISION_READY);
    log_event(LOG_LEVEL_NOTICE, &fields, "ready after %.1f s; sandbox: %s", (double)(wall_seconds() - replica->started),
        ready->sandbox != NULL ? ready->sandbox : "not told");
}

static void take_event(struct control *control, struct event *event, struct turn *turn)
{
    struct replica *replica = find_replica(control, event->replica);
    if (replica == NULL) {
        ready_info_free(event->ready);
        return;
    }
    switch (event->kind) {
    case EVENT_PROGRESS:
        replica->view.progress_ms = turn->now;
        replica->fraction = event->fraction;
        snprintf(replica->what, sizeof replica->what, "%s", event->what);
        turn->progress = true;
        break;
    case EVENT_READY: take_ready(replica, event->ready, turn); break;
    case EVENT_LOAD_FAILED: replica->load_error = event->error; break;
    case EVENT_CLOSED:
        replica->channel_error = event->error;
        replica->view.closed_ms = turn->now;
        turn->changed = true;
        break;
    }
}

static void take_events(struct control *control, struct turn *turn)
{
    mutex_lock(&control->lock);
    struct event *events = control->events;
    control->events = NULL;
    control->events_end = &control->events;
    mutex_unlock(&control->lock);
    while (events != NULL) {
        struct event *next = events->next;
        take_event(control, events, turn);
        free(events);
        events = next;
    }
}

/* ---- what is wanted */

static struct service *service_of(struct control *control, const char *key)
{
    for (struct service *service = control->services; service != NULL; service = service->next)
        if (strcmp(service->key, key) == 0)
            return service;
    struct service *service = calloc(1, sizeof *service);
    if (service == NULL)
        return NULL;
    snprintf(service->key, sizeof service->key, "%s", key);
    service->next = control->services;
    control->services = service;
    return service;
}

static void want(struct service *service, const struct catalog_service *desired, int64_t now)
{
    bool refused = desired->refused.status != PDK_OK;
    bool changed = service->desired == NULL || service->state.revision != desired->revision ||
                   (service->desired->refused.status != PDK_OK) != refused;
    service->desired = desired;
    service->state.wanted = true;
    service->state.revision = desired->revision;
    if (!changed)
        return;
    service->state.crashes = 0;
    service->state.retry_at_ms = refused ? INT64_MAX : now; /* what is refused is never started, what serves stays */
    service->failure = (struct failure){.exit_code = -1, .time = wall_seconds()};
    if (!refused)
        return;
    service->failure.reason = desired->reason;
    snprintf(service->failure.message, sizeof service->failure.message, "%s", desired->refused.message);
    log_event(LOG_LEVEL_ERROR, &(struct log_fields){.message_id = MESSAGE_SERVICE_REFUSED, .service = service->key, .reason = desired->reason},
        "cannot run: %s", desired->refused.message);
}

static void take_catalog(struct control *control, struct turn *turn)
{
    mutex_lock(&control->lock);
    struct catalog *catalog = control->pending;
    control->pending = NULL;
    control->taking_over = catalog != NULL; /* until it is published */
    mutex_unlock(&control->lock);
    if (catalog == NULL)
        return;
    /* All services first, so that running out of memory changes nothing. */
    bool good = true;
    for (size_t i = 0; i < catalog->count; i++)
        good &= service_of(control, catalog->services[i].key) != NULL;
    if (!good) {
        log_event(LOG_LEVEL_ERROR, NULL, "out of memory: the configuration stays as it was");
        catalog_free(catalog);
        return;
    }
    struct catalog *old = control->catalog;
    for (struct service *service = control->services; service != NULL; service = service->next) {
        const struct catalog_service *desired = NULL;
        for (size_t i = 0; i < catalog->count; i++)
            if (strcmp(catalog->services[i].key, service->key) == 0)
                desired = &catalog->services[i];
        if (desired != NULL)
            want(service, desired, turn->now);
        service->state.wanted = desired != NULL;
        service->desired = desired;
    }
    control->catalog = catalog;
    catalog_free(old);
    turn->changed = true;
}

/* ---- one turn */

static void look_at_health(struct replica *replica, int64_t now)
{
    if (replica->view.phase != REPLICA_READY || replica->view.closed_ms != 0)
        return;
    struct channel_health health;
    channel_health(replica->channel, &health);
    bool was_idle = replica->view.in_flight == 0;
    replica->view.in_flight = health.in_flight;
    replica->view.unanswered_ms = health.ping_sent_ms;
    if (health.in_flight == 0 || was_idle)
        replica->view.step_ms = now; /* busy from now on, at the latest */
    if (health.last_alive_ms > replica->view.step_ms)
        replica->view.step_ms = health.last_alive_ms;
    if (replica->service->state.crashes != 0 && replica->view.revision == replica->service->state.revision &&
        now - replica->ready_ms >= HEALTHY_MS)
        replica->service->state.crashes = 0;
}

static void run_service(struct control *control, struct service *service, struct turn *turn, int64_t *wake)
{
    const struct control_config *config = &control->config;
    struct reconcile_deadlines deadlines = {
        config->load_deadline_ms, config->ping_deadline_ms, config->step_deadline_ms, config->drain_ms};
    for (size_t i = 0; i < service->replica_count;) {
        struct replica *replica = service->replicas[i];
        if (!replica->exited || replica->view.closed_ms == 0) {
            look_at_health(replica, turn->now);
            i++;
            continue;
        }
        bury(control, service, i, turn);
    }
    service->state.count = service->replica_count;
    for (size_t i = 0; i < service->replica_count; i++)
        service->state.replicas[i] = service->replicas[i]->view;
    struct action actions[ACTIONS_MAX];
    int64_t service_wake;
    size_t count = reconcile(&service->state, &deadlines, turn->now, actions, &service_wake);
    for (size_t i = 0; i < count; i++)
        carry_out(control, service, &actions[i], turn);
    if (count > 0)
        service_wake = turn->now; /* look again at what is there now */
    service->state.count = service->replica_count;
    for (size_t i = 0; i < service->replica_count; i++)
        service->state.replicas[i] = service->replicas[i]->view;
    if (service_wake < *wake)
        *wake = service_wake;
    if (turn->changed)
        pod_prune(service);
}

static void drop_idle_services(struct control *control)
{
    for (struct service **at = &control->services; *at != NULL;) {
        struct service *service = *at;
        if (service->desired != NULL || service->replica_count > 0) {
            at = &service->next;
            continue;
        }
        *at = service->next;
        pod_free_all(service);
        free(service);
    }
}

/* Asks every ready worker for its figures; who waits counts the answers. */
static void ask_stats(struct control *control)
{
    mutex_lock(&control->lock);
    bool wanted = control->ask_stats;
    control->ask_stats = false;
    mutex_unlock(&control->lock);
    if (!wanted)
        return;
    uint32_t asked = 0;
    for (struct service *service = control->services; service != NULL; service = service->next)
        for (size_t i = 0; i < service->replica_count; i++)
            asked += service->replicas[i]->view.phase == REPLICA_READY && service->replicas[i]->view.closed_ms == 0;
    mutex_lock(&control->lock);
    control->stats_waited = asked; /* before the first answer can come */
    control->stats_asked++;
    condition_broadcast(&control->changed);
    mutex_unlock(&control->lock);
    for (struct service *service = control->services; service != NULL; service = service->next)
        for (size_t i = 0; i < service->replica_count; i++)
            if (service->replicas[i]->view.phase == REPLICA_READY && service->replicas[i]->view.closed_ms == 0)
                channel_ask_stats(service->replicas[i]->channel);
}

/* ---- the poll */

struct polled {
    struct pollfd *fds;
    size_t count, room;
};

static bool add_poll(struct polled *polled, int fd)
{
    if (!array_grow(&polled->fds, &polled->room, polled->count + 1))
        return false;
    polled->fds[polled->count++] = (struct pollfd){.fd = fd, .events = POLLIN};
    return true;
}

/* The wake-up first, then two for each replica in the order of the lists; a negative fd is passed over by poll. */
static bool gather(struct control *control, struct polled *polled)
{
    polled->count = 0;
    bool good = add_poll(polled, control->wake_fd);
    for (struct service *service = control->services; service != NULL; service = service->next)
        for (size_t i = 0; good && i < service->replica_count; i++)
            good = add_poll(polled, service->replicas[i]->pid_fd) && add_poll(polled, service->replicas[i]->log_fd);
    return good;
}

static void take_polled(struct control *control, const struct polled *polled, struct turn *turn)
{
    size_t at = 1;
    for (struct service *service = control->services; service != NULL; service = service->next) {
        for (size_t i = 0; i < service->replica_count; i++, at += 2) {
            struct replica *replica = service->replicas[i];
            if (polled->fds[at + 1].revents != 0)
                worker_read_log(replica, false);
            if (polled->fds[at].revents == 0 || replica->exited || !worker_reap(replica))
                continue;
            worker_read_log(replica, true);
            turn->changed = true;
        }
    }
    uint64_t ignored;
    if (polled->fds[0].revents != 0 && read(control->wake_fd, &ignored, sizeof ignored) < 0 && errno != EAGAIN)
        log_event(LOG_LEVEL_ERROR, NULL, "cannot read the control thread's wake-up: %s", strerror(errno));
}

static int timeout_of(int64_t wake, int64_t now)
{
    if (wake == INT64_MAX)
        return -1;
    return wake <= now ? 0 : wake - now > 3600000 ? 3600000 : (int)(wake - now);
}

static bool stop_wanted(struct control *control)
{
    mutex_lock(&control->lock);
    bool stopping = control->stopping;
    mutex_unlock(&control->lock);
    for (struct service *service = control->services; stopping && service != NULL; service = service->next)
        service->state.wanted = false;
    return stopping;
}

static bool has_replicas(const struct control *control)
{
    for (const struct service *service = control->services; service != NULL; service = service->next)
        if (service->replica_count > 0)
            return true;
    return false;
}

void *supervisor_run(void *argument)
{
    struct control *control = argument;
    assert(thread_is(THREAD_CONTROL));
    struct polled polled = {0};
    int64_t wake = monotonic_ms(), published_ms = 0;
    bool unpublished = true;
    for (;;) {
        if (!gather(control, &polled) || poll(polled.fds, polled.count, timeout_of(wake, monotonic_ms())) < 0)
            polled.count = 0; /* out of memory or interrupted: time alone drives this turn */
        struct turn turn = {.now = monotonic_ms()};
        if (polled.count != 0)
            take_polled(control, &polled, &turn);
        take_catalog(control, &turn);
        take_events(control, &turn);
        bool stopping = stop_wanted(control);
        wake = INT64_MAX;
        for (struct service *service = control->services; service != NULL; service = service->next)
            run_service(control, service, &turn, &wake);
        drop_idle_services(control);
        ask_stats(control);
        unpublished |= turn.progress;
        if (turn.changed || (unpublished && turn.now - published_ms >= PROGRESS_EVERY_MS)) {
            snapshot_publish(control);
            published_ms = turn.now;
            unpublished = false;
        }
        if (unpublished && wake > published_ms + PROGRESS_EVERY_MS)
            wake = published_ms + PROGRESS_EVERY_MS;
        if (stopping && !has_replicas(control))
            break;
    }
    free(polled.fds);
    return NULL;
}
