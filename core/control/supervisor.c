/* The control thread: one poll over a wake-up, the workers' pidfds and their output. Each turn takes what happened in,
 * asks reconcile what to do for every service, does it, and publishes what is now. Nothing here waits for a disk or a
 * worker. */
#include "config.h"

#include "core/base/array.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/utf8.h"
#include "core/control/messages.h"
#include "core/control/metrics.h"
#include "core/control/state.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROGRESS_EVERY_MS = 200 };

void supervisor_wake(struct control *control)
{
    uint64_t one = 1;
    while (write(control->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

/* ---- what happened */

static void take_event(struct control *control, struct event *event, struct turn *turn)
{
    struct replica *replica = replica_find(control, event->replica);
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
    case EVENT_READY: replica_take_ready(replica, event->ready, turn); break;
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
    struct event *events = report_take(control);
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
    bool changed = service->desired == NULL || service->desired->stopped != desired->stopped ||
                   service->state.revision != desired->revision ||
                   (service->desired->refused.status != PDK_OK) != refused;
    service->desired = desired;
    service->state.wanted = !desired->stopped;
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
    utf8_make_plain(service->failure.message);
    log_event(LOG_LEVEL_ERROR,
        &(struct log_fields){.message_id = MESSAGE_SERVICE_REFUSED, .service = service->key, .reason = desired->reason},
        "cannot run: %s", service->failure.message);
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
        else
            service->state.wanted = false;
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
        replica_bury(control, service, i, turn);
    }
    service->state.count = service->replica_count;
    for (size_t i = 0; i < service->replica_count; i++)
        service->state.replicas[i] = service->replicas[i]->view;
    struct action actions[ACTIONS_MAX];
    int64_t service_wake;
    size_t count = reconcile(&service->state, &deadlines, turn->now, actions, &service_wake);
    for (size_t i = 0; i < count; i++)
        replica_carry_out(control, service, &actions[i], turn);
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
        metrics_store_forget(control->metrics, service->key);
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
