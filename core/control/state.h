/* core/control/state.h: what the control thread owns. Files of this folder only. */
#pragma once

#include "core/base/thread.h"
#include "core/control/catalog.h"
#include "core/control/reconcile.h"
#include "core/control/ring_log.h"

#include <sys/types.h>

/* ready_info with counted references: snapshots outlive the replica. */
struct ready_box;
struct ready_box *ready_box_new(struct ready_info *info_take); /* NULL: out of memory */
struct ready_box *ready_box_ref(struct ready_box *box);
struct ready_box *ready_box_unref(struct ready_box *box); /* takes NULL, returns NULL */
const struct ready_info *ready_box_info(const struct ready_box *box);

/* A revision that runs or ran: what Kubernetes would call its pod. Its workers come and go, its name and log stay. */
struct pod {
    char name[192], revision_name[96], uid[37];
    uint32_t revision;
    uint32_t restarts;
    int64_t created; /* Unix seconds */
    char *container; /* its container as JSON, of the plan that it was made by */
    char *image;
    struct ring_log *log;
    struct pod *next;
};

struct service;

struct replica {
    struct replica_view view;
    struct service *service;
    struct pod *pod;
    pid_t pid;
    int pid_fd, log_fd;
    struct channel *channel;
    struct ready_box *ready; /* NULL until it is */
    int64_t ready_ms;        /* monotonic; 0: never was */
    int64_t started;         /* Unix seconds */
    bool expected;           /* its end was asked for */
    bool exited;
    int exit_code, exit_signal;
    enum action_reason killed_for;
    double fraction;
    char what[64];           /* of the load's progress */
    pdk_error load_error;    /* status PDK_OK: none */
    pdk_error channel_error; /* why the channel closed; PDK_OK: bye */
    char line[1024];         /* of its output, up to its newline */
    size_t line_length;
    uint32_t line_dropped;
    struct log_budget {
        int64_t second;
        unsigned seen;
    } log_budget;
};

enum condition_type {
    CONDITION_INGRESS_READY,
    CONDITION_LATEST_DEPLOYMENT_READY,
    CONDITION_MODEL_NAME_CONFLICT,
    CONDITION_PREDICTOR_CONFIGURATION_READY,
    CONDITION_PREDICTOR_READY,
    CONDITION_PREDICTOR_ROUTE_READY,
    CONDITION_READY,
    CONDITION_ROUTES_READY,
    CONDITION_STOPPED,
    CONDITIONS
};

struct failure {
    const char *reason; /* KServe's; NULL: none yet */
    char message[PDK_ERROR_MESSAGE_MAX];
    char revision_name[96];
    int exit_code; /* -1: none */
    int64_t time;  /* Unix seconds */
};

struct service {
    const struct catalog_service *desired; /* NULL: its document is gone, it drains */
    char key[320];
    struct service_state state; /* its replicas' views are filled in for reconcile */
    struct replica *replicas[REPLICAS_MAX];
    size_t replica_count;
    struct pod *pods;
    struct failure failure;            /* of the wanted revision's last worker */
    char latest_ready[96];             /* name of the newest revision that was ready, or "" */
    char condition_status[CONDITIONS]; /* 'T', 'F', 'U'; 0: never set */
    int64_t condition_time[CONDITIONS];
    uint64_t resource_version;
    uint64_t fingerprint; /* of what was last published */
    struct service *next;
};

/* What the channel thread tells. */
enum event_kind { EVENT_PROGRESS, EVENT_READY, EVENT_LOAD_FAILED, EVENT_CLOSED };

struct event {
    struct event *next;
    enum event_kind kind;
    uint32_t replica;
    double fraction;
    char what[64];
    struct ready_info *ready;
    pdk_error error;
};

struct snapshot;
struct metrics_store;

struct control {
    struct control_config config;
    struct channel_loop *loop;
    pthread_t thread;
    bool thread_runs;
    int wake_fd;

    struct mutex lock; /* guards the block below; never held while another lock is taken */
    struct condition changed;
    struct snapshot *snapshot;
    struct event *events, **events_end;
    struct catalog *pending; /* to be taken over by the control thread */
    bool taking_over;        /* it was, and no snapshot shows it yet */
    bool stopping, ask_stats;
    uint32_t stats_waited; /* workers that were asked and have not answered */
    uint64_t stats_asked;  /* rounds of asking so far */

    struct mutex reload_lock; /* one reader of documents at a time; guards the revisions */
    struct revisions revisions;

    struct metrics_store *metrics; /* has its own lock */

    /* The control thread's own. */
    struct catalog *catalog;
    struct service *services;
    uint32_t next_replica;
    uint64_t resource_version;
};

/* One turn of the control thread. */
struct turn {
    bool changed;  /* something to publish */
    bool progress; /* only how far loads are */
    int64_t now;
};

/* report.c: what channels tell. Gives the events for a channel of `replica`; their context is freed with the last one.
 */
pdk_status report_events(struct control *control, uint32_t replica, struct channel_events *ret_events, pdk_error *err);
struct event *report_take(struct control *control); /* all that came, oldest first; the caller frees each */

/* replica.c [control-thread] */
struct replica *replica_find(struct control *control, uint32_t id); /* NULL: none */
void replica_take_ready(struct replica *replica, struct ready_info *ready_take, struct turn *turn);
void replica_carry_out(
    struct control *control, struct service *service, const struct action *action, struct turn *turn);
/* One whose process is gone and whose channel is closed. */
void replica_bury(struct control *control, struct service *service, size_t index, struct turn *turn);

/* supervisor.c: the control thread. */
void *supervisor_run(void *control);
void supervisor_wake(struct control *control); /* [any-thread] */

/* worker_process.c: starts a worker for `replica`: its process, log pipe, channel. Fills pid, descriptors and channel.
 * [control-thread] */
pdk_status worker_spawn(
    struct control *control, struct replica *replica, const struct channel_events *events, pdk_error *err);
void worker_signal(const struct replica *replica, int number);
/* Reads what its output has; whole lines go to its log and ours. `all`: until it is at its end. */
void worker_read_log(struct replica *replica, bool all);
/* Takes its exit status; false: it still runs. */
bool worker_reap(struct replica *replica);

/* pod.c */
struct pod *pod_find(struct service *service, uint32_t revision); /* NULL: none yet */
struct pod *pod_new(struct service *service, pdk_error *err); /* of the wanted revision; put into the service's list */
void pod_prune(struct service *service);                      /* forgets pods of old revisions without replicas */
void pod_free_all(struct service *service);

/* snapshot.c */
void snapshot_publish(struct control *control);
const struct routes *snapshot_routes(const struct snapshot *snapshot);
struct snapshot *snapshot_ref(struct snapshot *snapshot);
struct snapshot *snapshot_unref(struct snapshot *snapshot);                     /* takes NULL, returns NULL */
struct ring_log *snapshot_log(const struct snapshot *snapshot, size_t service); /* of its pod, or NULL; borrowed */
bool snapshot_crash_loops(const struct snapshot *snapshot, size_t service);

/* status_json.c: gives the resource, or the pod, as the API shows it (free()); NULL: out of memory. */
struct picture {
    const struct service *service;
    const struct replica *serving; /* takes the traffic, or NULL */
    const struct replica *latest;  /* of the wanted revision, or NULL */
    const struct pod *pod;         /* shown, or NULL */
    const struct replica *pod_replica;
    enum service_phase phase;        /* of the service */
    enum service_phase latest_phase; /* of the wanted revision */
    const char *reason, *message;    /* why the wanted revision is not ready */
    const char *latest_revision;     /* its name */
    bool name_conflict;
    const char *domain;
};
char *status_json(const struct picture *picture);
char *pod_json(const struct picture *picture);
/* The container that a plan comes down to, for pod->container. */
char *container_json(const struct plan *plan);
/* Brings the conditions and their times up to date with the picture. */
void status_conditions(struct service *service, const struct picture *picture, int64_t now);
