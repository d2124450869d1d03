/* A replica's life: started, ready, asked to go, buried. Each step is one that reconcile decided or that a worker took.
 */
#include "config.h"

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/utf8.h"
#include "core/control/messages.h"
#include "core/control/metrics.h"
#include "core/control/state.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { TAIL_LINES = 3 };

static struct log_fields fields_of(const struct replica *replica, const char *message_id)
{
    return (struct log_fields){.message_id = message_id,
        .service = replica->service->key,
        .revision = replica->pod->revision_name,
        .replica = replica->pod->name};
}

struct replica *replica_find(struct control *control, uint32_t id)
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
    utf8_make_plain(failure->message); /* cut, and a worker's words */
    failure->revision_name[0] = '\0';
    if (replica != NULL)
        snprintf(failure->revision_name, sizeof failure->revision_name, "%s", replica->pod->revision_name);
    failure->exit_code = replica == NULL             ? -1
                         : replica->exit_signal != 0 ? 128 + replica->exit_signal
                                                     : replica->exit_code;
    failure->time = wall_seconds();
}

static pdk_status try_spawn(struct control *control, struct replica *replica, pdk_error *err)
{
    const struct catalog_service *desired = replica->service->desired;
    struct channel_events events;
    pdk_status status = report_events(control, replica->view.id, &events, err);
    if (status != PDK_OK)
        return status;
    metrics_store_begin(control->metrics, replica->view.id, desired->resource->namespace_, desired->resource->name,
        desired->plan->model_name);
    status = worker_spawn(control, replica, &events, err);
    if (status == PDK_OK)
        return PDK_OK;
    free(events.context); /* no channel was opened */
    metrics_store_end(control->metrics, replica->view.id);
    return status;
}

static void spawn(struct control *control, struct service *service, struct turn *turn)
{
    pdk_error err = {0};
    struct pod *pod = pod_find(service, service->desired->revision);
    bool again = pod != NULL;
    struct replica *replica = calloc(1, sizeof *replica);
    pdk_status status = pdk_error_set(&err, PDK_NO_MEMORY, "worker", "no memory to start a worker");
    if (pod == NULL)
        pod = pod_new(service, &err);
    turn->changed = true;
    if (pod != NULL && replica != NULL) {
        *replica =
            (struct replica){.service = service, .pod = pod, .pid_fd = -1, .log_fd = -1, .started = wall_seconds()};
        replica->view = (struct replica_view){.id = ++control->next_replica,
            .revision = service->desired->revision,
            .phase = REPLICA_LOADING,
            .phase_ms = turn->now,
            .progress_ms = turn->now};
        ring_log_turn(pod->log);
        status = try_spawn(control, replica, &err);
    }
    if (status != PDK_OK) {
        log_event(
            LOG_LEVEL_ERROR, &(struct log_fields){.service = service->key}, "cannot start a worker: %s", err.message);
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
        buffer_printf(
            out, "the load made no progress in %lld s, and was stopped", (long long)deadlines->load_ms / 1000);
        break;
    case REASON_NO_PONG:
        buffer_printf(
            out, "the worker answered no ping in %lld s, and was killed", (long long)deadlines->ping_ms / 1000);
        break;
    case REASON_NO_STEP:
        buffer_printf(out, "the engine made no step in %lld s with requests waiting, and was killed",
            (long long)deadlines->step_ms / 1000);
        break;
    default:
        if (replica->load_error.status != PDK_OK)
            buffer_puts(out, replica->load_error.message);
        else if (replica->channel_error.status == PDK_INVALID) /* a breach, after which it may have left by itself */
            buffer_puts(out, replica->channel_error.message);
        else if (replica->killed_for == REASON_CHANNEL_LOST && replica->channel_error.status != PDK_OK)
            buffer_printf(out, "the worker stayed when its channel was gone: %s", replica->channel_error.message);
        else if (replica->exit_signal != 0)
            buffer_printf(
                out, "the worker was ended by signal %d (%s)", replica->exit_signal, strsignal(replica->exit_signal));
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
void replica_bury(struct control *control, struct service *service, size_t index, struct turn *turn)
{
    struct replica *replica = service->replicas[index];
    struct reconcile_deadlines deadlines = {control->config.load_deadline_ms, control->config.ping_deadline_ms,
        control->config.step_deadline_ms, control->config.drain_ms};
    PDK_CLEANUP(buffer_done) struct buffer cause = {0};
    put_cause(replica, &deadlines, &cause);
    if (cause.data != NULL)
        utf8_make_plain(cause.data);
    const char *text = cause.data != NULL ? cause.data : "";
    if (replica->expected) {
        struct log_fields fields = fields_of(replica, MESSAGE_REPLICA_STOPPED);
        log_event(LOG_LEVEL_NOTICE, &fields, "stopped");
    } else {
        bool current = replica->view.revision == service->state.revision && service->state.wanted;
        if (current) {
            reconcile_crashed(&service->state, replica->ready_ms != 0 ? turn->now - replica->ready_ms : 0, turn->now);
            if (service->desired->refused.status != PDK_OK)
                service->state.retry_at_ms = INT64_MAX;
            else
                remember_failure(service, replica, text);
        }
        struct log_fields fields = fields_of(replica, MESSAGE_REPLICA_FAILED);
        if (current && service->state.retry_at_ms != INT64_MAX)
            log_event(LOG_LEVEL_ERROR, &fields, "failed, started again in %.1f s: %s",
                (double)(service->state.retry_at_ms - turn->now) / 1000, text);
        else
            log_event(LOG_LEVEL_ERROR, &fields, "failed: %s", text);
    }
    metrics_store_end(control->metrics, replica->view.id);
    service->replicas[index] = service->replicas[--service->replica_count];
    replica_free(replica);
    turn->changed = true;
}

void replica_carry_out(struct control *control, struct service *service, const struct action *action, struct turn *turn)
{
    if (action->kind == ACTION_SPAWN) {
        spawn(control, service, turn);
        return;
    }
    struct replica *replica = replica_find(control, action->replica);
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

void replica_take_ready(struct replica *replica, struct ready_info *ready, struct turn *turn)
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
    double load_s = (double)(turn->now - replica->view.phase_ms) / 1000;
    replica->view.phase = REPLICA_READY;
    replica->view.phase_ms = replica->view.pinged_ms = replica->ready_ms = turn->now;
    snprintf(service->latest_ready, sizeof service->latest_ready, "%s", replica->pod->revision_name);
    turn->changed = true;
    struct log_fields fields = fields_of(replica, MESSAGE_REVISION_READY);
    log_event(LOG_LEVEL_NOTICE, &fields, "ready after %.1f s; sandbox: %s", load_s,
        ready->sandbox != NULL ? ready->sandbox : "not told");
}
