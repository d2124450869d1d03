/* Snapshots: what everybody else sees. Made anew by the control thread whenever something changed, never changed after.
 */
#include "config.h"

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/siphash.h"
#include "core/base/utf8.h"
#include "core/control/state.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct ready_box {
    _Atomic unsigned references;
    struct ready_info *info;
};

struct snapshot_row {
    struct ready_box *ready;
    struct ring_log *log;
    bool crash_loops;
};

struct snapshot {
    struct routes routes; /* first: routes_unref gets its address */
    _Atomic unsigned references;
    struct snapshot_row *rows;
};

struct ready_box *ready_box_new(struct ready_info *info_take)
{
    struct ready_box *box = malloc(sizeof *box);
    if (box == NULL) {
        ready_info_free(info_take);
        return NULL;
    }
    atomic_init(&box->references, 1);
    box->info = info_take;
    return box;
}

struct ready_box *ready_box_ref(struct ready_box *box)
{
    atomic_fetch_add_explicit(&box->references, 1, memory_order_relaxed); /* pairs with unref's acq_rel */
    return box;
}

struct ready_box *ready_box_unref(struct ready_box *box)
{
    if (box != NULL && atomic_fetch_sub_explicit(&box->references, 1, memory_order_acq_rel) == 1) {
        ready_info_free(box->info);
        free(box);
    }
    return NULL;
}

const struct ready_info *ready_box_info(const struct ready_box *box)
{
    return box->info;
}

const struct routes *snapshot_routes(const struct snapshot *snapshot)
{
    return &snapshot->routes;
}

struct ring_log *snapshot_log(const struct snapshot *snapshot, size_t service)
{
    return snapshot->rows[service].log;
}

bool snapshot_crash_loops(const struct snapshot *snapshot, size_t service)
{
    return snapshot->rows[service].crash_loops;
}

struct snapshot *snapshot_ref(struct snapshot *snapshot)
{
    atomic_fetch_add_explicit(&snapshot->references, 1, memory_order_relaxed); /* pairs with unref's acq_rel */
    return snapshot;
}

/* The views' strings are copies, whatever their type says. */
static void free_view(struct service_view *view)
{
    const char *const texts[] = {view->name, view->namespace_, view->uid, view->host, view->source, view->json,
        view->pod_json, view->pod_name, view->revision, view->runtime, view->model_name, view->message};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        free((char *)texts[i]);
    channel_unref(view->channel);
}

struct snapshot *snapshot_unref(struct snapshot *snapshot)
{
    if (snapshot == NULL || atomic_fetch_sub_explicit(&snapshot->references, 1, memory_order_acq_rel) != 1)
        return NULL;
    for (size_t i = 0; i < snapshot->routes.count; i++) {
        free_view(&snapshot->routes.services[i]);
        ready_box_unref(snapshot->rows[i].ready);
        ring_log_unref(snapshot->rows[i].log);
    }
    free(snapshot->routes.services);
    free(snapshot->rows);
    free(snapshot);
    return NULL;
}

const struct routes *routes_unref(const struct routes *routes)
{
    if (routes != NULL)
        snapshot_unref((struct snapshot *)((char *)routes - offsetof(struct snapshot, routes)));
    return NULL;
}

/* ---- the picture of one service */

static const struct replica *replica_by_id(const struct service *service, uint32_t id)
{
    for (size_t i = 0; i < service->replica_count; i++)
        if (service->replicas[i]->view.id == id)
            return service->replicas[i];
    return NULL;
}

static const struct replica *latest_replica(const struct service *service)
{
    const struct replica *latest = NULL;
    for (size_t i = 0; i < service->replica_count; i++) {
        const struct replica *replica = service->replicas[i];
        /* One whose channel is gone serves nobody any more, though its process may take a moment to end. */
        bool live = (replica->view.phase == REPLICA_LOADING || replica->view.phase == REPLICA_READY) &&
                    replica->view.closed_ms == 0;
        if (live && replica->view.revision == service->state.revision)
            latest = replica;
    }
    return latest;
}

struct words {
    char revision[96], reason[64], message[PDK_ERROR_MESSAGE_MAX + 256];
};

static enum service_phase latest_phase(const struct service *service, const struct replica *latest, struct words *words)
{
    if (service->desired->stopped) {
        snprintf(words->reason, sizeof words->reason, "Stopped");
        snprintf(words->message, sizeof words->message, "stopped by its annotation serving.kserve.io/stop");
        return SERVICE_STOPPING;
    }
    if (service->desired->refused.status != PDK_OK) {
        snprintf(words->reason, sizeof words->reason, "%s", service->desired->reason);
        snprintf(words->message, sizeof words->message, "%s", service->desired->refused.message);
        return SERVICE_REFUSED;
    }
    if (latest != NULL && latest->view.phase == REPLICA_READY)
        return SERVICE_READY;
    if (service->state.crashes > 0 && (latest == NULL || service->state.crashes >= CRASH_LOOP)) {
        bool loops = service->state.crashes >= CRASH_LOOP;
        snprintf(words->reason, sizeof words->reason, "%s", loops ? "CrashLoopBackOff" : "RevisionFailed");
        snprintf(words->message, sizeof words->message,
            "Revision \"%s\" failed with message: %s (failure %" PRIu32 ", tried again)", words->revision,
            service->failure.message, service->state.crashes);
        return SERVICE_BACKOFF;
    }
    snprintf(words->reason, sizeof words->reason, "RevisionMissing");
    if (latest == NULL) {
        snprintf(words->message, sizeof words->message, "Waiting for runtime Pod to become available");
        return SERVICE_PENDING;
    }
    if (latest->what[0] != '\0')
        snprintf(words->message, sizeof words->message, "%s %d %%", latest->what, (int)(latest->fraction * 100));
    else
        snprintf(words->message, sizeof words->message, "Waiting for runtime Pod to become available");
    return SERVICE_LOADING;
}

static void take_picture(struct control *control, struct service *service, struct picture *picture, struct words *words)
{
    const struct replica_view *serving = reconcile_serving(&service->state);
    *picture = (struct picture){.service = service, .domain = control->config.domain};
    picture->serving = serving != NULL ? replica_by_id(service, serving->id) : NULL;
    picture->latest = latest_replica(service);
    snprintf(words->revision, sizeof words->revision, "%.60s-predictor-%05" PRIu32, service->desired->resource->name,
        service->state.revision);
    picture->latest_phase = latest_phase(service, picture->latest, words);
    utf8_make_plain(words->message);
    picture->phase = !service->state.wanted     ? SERVICE_STOPPING
                     : picture->serving != NULL ? SERVICE_READY
                                                : picture->latest_phase;
    picture->pod_replica = picture->serving != NULL ? picture->serving : picture->latest;
    picture->pod =
        picture->pod_replica != NULL ? picture->pod_replica->pod : pod_find(service, service->state.revision);
    picture->latest_revision = words->revision;
    picture->reason = words->reason;
    picture->message = words->message;
}

/* ---- served names */

static bool shares_name(const struct service_view *a, const struct service_view *b)
{
    size_t a_count = a->ready != NULL ? a->ready->name_count : 1, b_count = b->ready != NULL ? b->ready->name_count : 1;
    for (size_t i = 0; i < a_count; i++)
        for (size_t j = 0; j < b_count; j++)
            if (strcmp(a->ready != NULL ? a->ready->names[i] : a->model_name,
                    b->ready != NULL ? b->ready->names[j] : b->model_name) == 0)
                return true;
    return false;
}

/* The oldest service with a name keeps it. */
static bool has_conflict(const struct snapshot *snapshot, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (shares_name(&snapshot->routes.services[i], &snapshot->routes.services[index]))
            return true;
    return false;
}

/* ---- the snapshot */

static char *copy(const char *text)
{
    return text != NULL ? strdup(text) : NULL;
}

/* False: out of memory. */
static bool fill_view(struct service_view *view, struct snapshot_row *row, const struct picture *picture)
{
    const struct catalog_service *desired = picture->service->desired;
    const struct plan *plan = desired->plan;
    view->name = copy(desired->resource->name);
    view->namespace_ = copy(desired->resource->namespace_);
    view->uid = copy(desired->uid);
    view->host = copy(desired->host);
    view->source = copy(desired->resource->file);
    view->revision = copy(picture->serving != NULL ? picture->serving->pod->revision_name : picture->latest_revision);
    view->runtime = plan != NULL ? copy(plan->runtime->name) : NULL;
    view->model_name = copy(plan != NULL ? plan->model_name : desired->resource->name);
    view->message = copy(picture->phase == SERVICE_READY ? "" : picture->message);
    view->created = desired->created;
    view->phase = picture->phase;
    view->status = picture->phase == SERVICE_READY ? PDK_OK : PDK_UNAVAILABLE;
    row->crash_loops = picture->phase == SERVICE_BACKOFF && picture->service->state.crashes >= CRASH_LOOP;
    assert((view->phase == SERVICE_READY) == (picture->serving != NULL));
    if (picture->serving != NULL) {
        view->channel = channel_ref(picture->serving->channel);
        row->ready = ready_box_ref(picture->serving->ready);
        view->ready = ready_box_info(row->ready);
    }
    if (picture->pod != NULL) {
        view->pod_name = copy(picture->pod->name);
        row->log = ring_log_ref(picture->pod->log);
    }
    return view->name != NULL && view->namespace_ != NULL && view->uid != NULL && view->host != NULL &&
           view->source != NULL && view->revision != NULL && (plan == NULL || view->runtime != NULL) &&
           view->model_name != NULL && view->message != NULL && (picture->pod == NULL || view->pod_name != NULL);
}

/* Raises the resource's version when what is shown of it has changed. */
static void version_service(struct control *control, struct service *service, const struct picture *picture)
{
    static const struct siphash_key fixed = {0};
    char shown[PDK_ERROR_MESSAGE_MAX + 512];
    int length = snprintf(shown, sizeof shown, "%d %d %s %s %s %s %d %" PRIu64 " %u", picture->phase,
        picture->latest_phase, picture->latest_revision, picture->serving != NULL ? picture->serving->pod->name : "",
        picture->reason, picture->message, picture->name_conflict, service->desired->generation,
        picture->pod != NULL ? picture->pod->restarts : 0);
    uint64_t hash = siphash64(&fixed, shown, (size_t)length < sizeof shown ? (size_t)length : sizeof shown - 1);
    if (hash == service->fingerprint && service->resource_version != 0)
        return;
    service->fingerprint = hash;
    service->resource_version = ++control->resource_version;
}

static bool add_service(struct control *control, struct snapshot *snapshot, struct service *service)
{
    size_t index = snapshot->routes.count;
    struct service_view *view = &snapshot->routes.services[index];
    struct picture picture;
    struct words words = {0};
    take_picture(control, service, &picture, &words);
    snapshot->routes.count++;
    if (!fill_view(view, &snapshot->rows[index], &picture))
        return false;
    picture.name_conflict = view->name_conflict = has_conflict(snapshot, index);
    version_service(control, service, &picture);
    status_conditions(service, &picture, wall_seconds());
    view->json = status_json(&picture);
    view->pod_json = picture.pod != NULL ? pod_json(&picture) : NULL;
    return view->json != NULL && (picture.pod == NULL || view->pod_json != NULL);
}

/* Services in the order of the catalog: oldest first. */
static bool add_all(struct control *control, struct snapshot *snapshot)
{
    for (size_t i = 0; i < control->catalog->count; i++)
        for (struct service *service = control->services; service != NULL; service = service->next)
            if (service->desired == &control->catalog->services[i] && !add_service(control, snapshot, service))
                return false;
    return true;
}

void snapshot_publish(struct control *control)
{
    size_t count = control->catalog != NULL ? control->catalog->count : 0;
    struct snapshot *snapshot = calloc(1, sizeof *snapshot);
    if (snapshot == NULL)
        return; /* the old one stays; the next change tries again */
    atomic_init(&snapshot->references, 1);
    snapshot->routes.services = calloc(count + 1, sizeof *snapshot->routes.services);
    snapshot->rows = calloc(count + 1, sizeof *snapshot->rows);
    bool good =
        snapshot->routes.services != NULL && snapshot->rows != NULL && (count == 0 || add_all(control, snapshot));
    if (!good) {
        snapshot_unref(snapshot);
        return;
    }
    snapshot->routes.version = ++control->resource_version; /* above that of everything in it */
    mutex_lock(&control->lock);
    struct snapshot *old = control->snapshot;
    control->snapshot = snapshot;
    control->taking_over = false;
    condition_broadcast(&control->changed);
    mutex_unlock(&control->lock);
    snapshot_unref(old);
}
