/* The face of core/control: everybody else's calls. Documents are read by the caller, under the reload lock; the
 * control thread only takes over what is ready. */
#include "config.h"

#include "core/control/control.h"

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/control/metrics.h"
#include "core/control/state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

enum { TAKE_OVER_MS = 5000 };

static void services_file(const struct control *control, char path[4096])
{
    snprintf(path, 4096, "%.4000s/services.json", control->config.state);
}

static void log_warnings(const struct catalog *catalog)
{
    for (const char *line = catalog->warnings.data; line != NULL && *line != '\0';) {
        size_t length = strcspn(line, "\n");
        log_event(LOG_LEVEL_WARNING, NULL, "%.*s", (int)length, line);
        line += length + (line[length] == '\n');
    }
}

static void swap_revisions(struct revisions *a, struct revisions *b)
{
    struct revisions held = *a;
    *a = *b;
    *b = held;
}

/* Reads everything and hands it to the control thread. The numbers of revisions are on disk before anything runs. */
static pdk_status read_all(struct control *control, pdk_error *err)
{
    char path[4096];
    services_file(control, path);
    PDK_CLEANUP(revisions_done) struct revisions revisions = {0};
    PDK_CLEANUP(catalog_freep) struct catalog *catalog = NULL;
    pdk_status status = revisions_copy(&control->revisions, &revisions, err);
    if (status == PDK_OK)
        status = catalog_read(&control->config, &revisions, &catalog, err);
    if (status != PDK_OK)
        return status;
    revisions_prune(&revisions);
    status = revisions_write(&revisions, path, err);
    if (status != PDK_OK)
        return status;
    swap_revisions(&control->revisions, &revisions);
    log_warnings(catalog);
    mutex_lock(&control->lock);
    struct catalog *before = control->pending; /* not yet taken over: never ran */
    control->pending = PDK_STEAL(catalog);
    mutex_unlock(&control->lock);
    catalog_free(before);
    return PDK_OK;
}

static struct control *control_free(struct control *control)
{
    if (control->wake_fd >= 0)
        close(control->wake_fd);
    while (control->events != NULL) {
        struct event *next = control->events->next;
        ready_info_free(control->events->ready);
        free(control->events);
        control->events = next;
    }
    while (control->services != NULL) {
        struct service *next = control->services->next;
        pod_free_all(control->services);
        free(control->services);
        control->services = next;
    }
    snapshot_unref(control->snapshot);
    catalog_free(control->pending);
    catalog_free(control->catalog);
    revisions_done(&control->revisions);
    metrics_store_free(control->metrics);
    condition_done(&control->changed);
    mutex_done(&control->lock);
    mutex_done(&control->reload_lock);
    free(control);
    return NULL;
}

static struct control *control_new(const struct control_config *config, struct channel_loop *loop)
{
    struct control *control = calloc(1, sizeof *control);
    if (control == NULL)
        return NULL;
    control->config = *config;
    struct control_config *c = &control->config;
    c->load_deadline_ms = c->load_deadline_ms != 0 ? c->load_deadline_ms : 600000;
    c->ping_deadline_ms = c->ping_deadline_ms != 0 ? c->ping_deadline_ms : 6000;
    c->step_deadline_ms = c->step_deadline_ms != 0 ? c->step_deadline_ms : 60000;
    control->loop = loop;
    control->events_end = &control->events;
    /* Above every version of an earlier run of the daemon, as clients compare them. */
    control->resource_version = (uint64_t)wall_seconds() * 1000;
    mutex_init(&control->lock);
    mutex_init(&control->reload_lock);
    condition_init(&control->changed);
    control->metrics = metrics_store_new();
    control->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    snapshot_publish(control); /* an empty one, so that there always is one */
    if (control->metrics == NULL || control->wake_fd < 0 || control->snapshot == NULL)
        return control_free(control);
    return control;
}

pdk_status control_start(
    const struct control_config *config, struct channel_loop *loop, struct control **ret_control, pdk_error *err)
{
    struct control *control = control_new(config, loop);
    if (control == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "control", "no memory to start");
    char path[4096];
    services_file(control, path);
    pdk_status status = revisions_read(&control->revisions, path, err);
    if (status == PDK_OK)
        status = read_all(control, err);
    if (status == PDK_OK)
        status = thread_start(&control->thread, THREAD_CONTROL, "control", supervisor_run, control, err);
    if (status != PDK_OK) {
        control_free(control);
        return status;
    }
    *ret_control = control;
    return PDK_OK;
}

struct control *control_stop(struct control *control)
{
    if (control == NULL)
        return NULL;
    mutex_lock(&control->lock);
    control->stopping = true;
    condition_broadcast(&control->changed);
    mutex_unlock(&control->lock);
    supervisor_wake(control);
    pthread_join(control->thread, NULL);
    return control_free(control);
}

bool control_is_draining(const struct control *control)
{
    struct control *own = (struct control *)control; /* a lock is no change */
    mutex_lock(&own->lock);
    bool stopping = own->stopping;
    mutex_unlock(&own->lock);
    return stopping;
}

pdk_status control_reload(struct control *control, pdk_error *err)
{
    mutex_lock(&control->reload_lock);
    pdk_status status = read_all(control, err);
    mutex_unlock(&control->reload_lock);
    if (status != PDK_OK)
        return status;
    supervisor_wake(control);
    /* Who lists services after a reload sees the new ones. */
    int64_t deadline = monotonic_ms() + TAKE_OVER_MS;
    mutex_lock(&control->lock);
    for (bool in_time = true; in_time && (control->pending != NULL || control->taking_over) && !control->stopping;)
        in_time = condition_wait_until(&control->changed, &control->lock, deadline);
    mutex_unlock(&control->lock);
    return PDK_OK;
}

const struct routes *control_routes(struct control *control)
{
    mutex_lock(&control->lock);
    const struct routes *routes = snapshot_routes(snapshot_ref(control->snapshot));
    mutex_unlock(&control->lock);
    return routes;
}

/* ---- waiting for a service */

static const struct service_view *find_service(
    const struct routes *routes, const char *namespace_, const char *name, size_t *ret_index)
{
    for (size_t i = 0; i < routes->count; i++) {
        if (strcmp(routes->services[i].name, name) != 0 || strcmp(routes->services[i].namespace_, namespace_) != 0)
            continue;
        *ret_index = i;
        return &routes->services[i];
    }
    return NULL;
}

/* Whether waiting can still help. */
static bool may_become_ready(const struct service_view *service, bool crash_loops)
{
    return (service->phase == SERVICE_PENDING || service->phase == SERVICE_LOADING ||
               service->phase == SERVICE_BACKOFF) &&
           !crash_loops;
}

static pdk_status outcome(const struct service_view *service, const char *namespace_, const char *name, pdk_error *err)
{
    if (service == NULL)
        return pdk_error_value(err, PDK_NOT_FOUND, "service", name, "no service %s in namespace %s", name, namespace_);
    if (service->phase == SERVICE_READY)
        return PDK_OK;
    return pdk_error_value(err, service->status != PDK_OK ? service->status : PDK_UNAVAILABLE, "service", name,
        "service %s is not ready: %s", name, service->message);
}

pdk_status control_wait_ready(struct control *control, const char *namespace_, const char *name, int64_t deadline_ms,
    const struct routes **ret_routes, const struct service_view **ret_service, pdk_error *err)
{
    struct snapshot *snapshot = NULL;
    const struct service_view *service = NULL;
    mutex_lock(&control->lock);
    for (bool in_time = true;;) {
        size_t index = 0;
        snapshot = control->snapshot;
        service = find_service(snapshot_routes(snapshot), namespace_, name, &index);
        /* A reload that nobody has taken over yet may bring it. */
        bool coming = service == NULL ? control->pending != NULL || control->taking_over
                                      : may_become_ready(service, snapshot_crash_loops(snapshot, index));
        if (!coming || !in_time || control->stopping)
            break;
        in_time = condition_wait_until(&control->changed, &control->lock, deadline_ms);
    }
    snapshot_ref(snapshot);
    mutex_unlock(&control->lock);
    pdk_status status = outcome(service, namespace_, name, err);
    *ret_routes = snapshot_routes(snapshot);
    *ret_service = service;
    return status;
}

/* ---- logs and metrics */

pdk_status control_pod_log(struct control *control, const char *namespace_, const char *pod, bool previous,
    uint64_t follow_from, struct buffer *out, uint64_t *ret_next, pdk_error *err)
{
    mutex_lock(&control->lock);
    struct snapshot *snapshot = snapshot_ref(control->snapshot);
    mutex_unlock(&control->lock);
    const struct routes *routes = snapshot_routes(snapshot);
    pdk_status status = PDK_NOT_FOUND;
    for (size_t i = 0; i < routes->count && status != PDK_OK; i++) {
        const struct service_view *service = &routes->services[i];
        struct ring_log *log = snapshot_log(snapshot, i);
        if (log == NULL || strcmp(service->namespace_, namespace_) != 0 || strcmp(service->pod_name, pod) != 0)
            continue;
        ring_log_read(log, previous, follow_from, out, ret_next);
        status = PDK_OK;
    }
    snapshot_unref(snapshot);
    if (status != PDK_OK)
        return pdk_error_value(err, PDK_NOT_FOUND, "pod", pod, "pods \"%s\" not found", pod);
    return PDK_OK;
}

void control_metrics(struct control *control, int64_t wait_ms, struct buffer *out)
{
    int64_t deadline = monotonic_ms() + wait_ms;
    mutex_lock(&control->lock);
    uint64_t round = control->stats_asked;
    control->ask_stats = true;
    mutex_unlock(&control->lock);
    supervisor_wake(control);
    mutex_lock(&control->lock);
    bool in_time = true;
    while (in_time && !control->stopping && (control->stats_asked == round || control->stats_waited > 0))
        in_time = condition_wait_until(&control->changed, &control->lock, deadline);
    mutex_unlock(&control->lock);
    metrics_store_print(control->metrics, out);
}
