/* core/control/control.h: what should run, and what does.
 *
 * One thread, [control-thread], owns services and replicas: it reads the documents, decides (core/control/reconcile.h,
 * a pure function), spawns, watches and stops workers. Everybody else sees immutable snapshots. */
#pragma once

#include "core/base/buffer.h"
#include "core/base/json.h"
#include "core/ipc/channel.h"
#include "core/ipc/ready.h"

#include <paddock/abi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where things are. Absolute paths, borrowed until control_stop. */
struct control_config {
    const char *etc;          /* /etc/paddock */
    const char *state;        /* /var/lib/paddock */
    const char *run;          /* /run/paddock */
    const char *shipped;      /* $(pkgdatadir): runtimes.d */
    const char *runtimes;     /* folder of runtime plugins */
    const char *compute;      /* folder of compute plugins */
    const char *worker;       /* the worker's program */
    const char *domain;       /* "example.com" */
    int64_t load_deadline_ms; /* without progress; default 600,000 */
    int64_t ping_deadline_ms; /* default 6,000 */
    int64_t step_deadline_ms; /* default 60,000 */
    int64_t drain_ms;         /* default 60,000 */
    bool sandbox_strict;      /* a missing part of the sandbox is an error */
    bool sandbox_off;         /* for tests that trace a worker */
};

enum service_phase {
    SERVICE_PENDING, /* nothing was tried yet */
    SERVICE_LOADING, /* a worker runs and reads the model */
    SERVICE_READY,
    SERVICE_BACKOFF, /* it crashed or failed to load and is tried again later */
    SERVICE_REFUSED, /* cannot run as its document stands */
    SERVICE_STOPPING /* drains */
};

/* A service as it was when the snapshot was made. Strings live as long as the snapshot. */
struct service_view {
    const char *name;       /* metadata.name */
    const char *namespace_; /* metadata.namespace, "default" */
    const char *uid;
    const char *host;       /* NAME.NAMESPACE.DOMAIN */
    const char *source;     /* the file it stands in */
    const char *json;       /* the whole resource, apiVersion to status, as the API shows it */
    const char *pod_json;   /* its pod as the API shows it, or NULL while it has none */
    const char *pod_name;   /* or NULL */
    const char *revision;   /* NAME-predictor-00001 */
    const char *runtime;    /* name of the (Cluster)ServingRuntime, or NULL */
    const char *model_name; /* the name its model is served under before it is ready: --model_name, else its own */
    const char *message;    /* for a person: why it is not ready; "" when it is */
    int64_t created;        /* Unix seconds */
    enum service_phase phase;
    pdk_status status;              /* why it is not ready: what a request gets; PDK_OK otherwise */
    struct channel *channel;        /* READY only */
    const struct ready_info *ready; /* READY only */
    bool name_conflict;             /* an older service has its served name: reached by Host or path only */
};

/* All services, oldest first. Immutable; counted references. */
struct routes {
    uint64_t version;
    size_t count;
    struct service_view *services;
};

struct control;

pdk_status control_start(const struct control_config *config, struct channel_loop *loop, struct control **ret_control,
    pdk_error *err); /* [init] */
/* Drains every replica for at most drain_ms, stops the thread. [main-thread] */
struct control *control_stop(struct control *control);
/* Reads all documents again. All or nothing: on failure `err` names file, line and field, and nothing changed. Waits
 * for the outcome. [any-thread but control's] */
pdk_status control_reload(struct control *control, pdk_error *err);
/* Whether control_stop has begun. [any-thread] */
bool control_is_draining(const struct control *control);

const struct routes *control_routes(struct control *control);   /* a reference. [any-thread] */
const struct routes *routes_unref(const struct routes *routes); /* takes NULL, returns NULL */
/* Waits while the service `namespace_/name` is pending, loading or in backoff, until it is ready or `deadline_ms`.
 * Gives a snapshot in any case that fits the outcome. PDK_NOT_FOUND: no such service. PDK_UNAVAILABLE, PDK_TIMEOUT, …:
 * not ready; the message says why. [gateway-thread] */
pdk_status control_wait_ready(struct control *control, const char *namespace_, const char *name, int64_t deadline_ms,
    const struct routes **ret_routes, const struct service_view **ret_service, pdk_error *err);

/* The last lines that a pod's worker wrote, oldest first; `follow_from` is the position behind what was read before (0:
 * from the start), *ret_next the new one. PDK_NOT_FOUND: no such pod. `previous`: those of the worker before.
 * [gateway-thread] */
pdk_status control_pod_log(struct control *control, const char *namespace_, const char *pod, bool previous,
    uint64_t follow_from, struct buffer *out, uint64_t *ret_next, pdk_error *err);

/* Writes the runtimes' metrics in Prometheus' text form: asks every worker, waits at most `wait_ms`, adds deltas so
 * that no counter falls when a worker restarts, and labels model_name, engine, namespace, service. [gateway-thread] */
void control_metrics(struct control *control, int64_t wait_ms, struct buffer *out);

/* Reads and checks everything as at start, runs nothing: documents, runtimes, plugins, models, and the arguments of
 * services by what their plugins say they take. `report` gets a line for each warning and for each service that could
 * not run. PDK_INVALID: a document is bad, so the daemon would not start, or a service's arguments would be refused.
 * [any-thread] */
pdk_status control_check(const struct control_config *config, struct buffer *report, pdk_error *err);
