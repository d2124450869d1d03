/* core/control/reconcile.h: what should be done for a service, as a pure function of what is wanted, what is there and
 * the time. The supervisor carries it out; the tests run it through random histories. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum replica_phase {
    REPLICA_LOADING, /* the worker runs; its model is not ready */
    REPLICA_READY,
    REPLICA_DRAINING,    /* was asked to finish what it has and leave */
    REPLICA_TERMINATING, /* SIGTERM was sent */
    REPLICA_KILLED       /* SIGKILL was sent */
};

/* Times are CLOCK_MONOTONIC ms. */
struct replica_view {
    uint32_t id;
    uint32_t revision;
    enum replica_phase phase;
    int64_t phase_ms;      /* when the phase began */
    int64_t progress_ms;   /* last progress of the load */
    int64_t pinged_ms;     /* last ping sent, answered or not */
    int64_t unanswered_ms; /* when the ping was sent that has no answer yet; 0: none */
    int64_t step_ms;       /* last step of the engine, or when it was first seen to be busy */
    uint32_t in_flight;
    int64_t closed_ms; /* when its channel was lost; 0: it is there */
};

enum { REPLICAS_MAX = 8, ACTIONS_MAX = 2 * REPLICAS_MAX + 2 };

struct service_state {
    bool wanted; /* a replica of `revision` should run */
    uint32_t revision;
    uint32_t crashes;    /* in a row */
    int64_t retry_at_ms; /* no spawn before */
    size_t count;
    struct replica_view replicas[REPLICAS_MAX];
};

struct reconcile_deadlines {
    int64_t load_ms, ping_ms, step_ms, drain_ms;
};

enum action_kind { ACTION_SPAWN, ACTION_PING, ACTION_DRAIN, ACTION_TERMINATE, ACTION_KILL };

/* Why, for log and status. */
enum action_reason {
    REASON_WANTED,
    REASON_REPLACED,   /* a newer revision serves */
    REASON_REMOVED,    /* its service is gone */
    REASON_SUPERSEDED, /* a newer revision is wanted before this one was ready */
    REASON_LOAD_STALLED,
    REASON_NO_PONG,
    REASON_NO_STEP,
    REASON_DRAIN_OVER,
    REASON_TERM_OVER,
    REASON_CHANNEL_LOST
};

struct action {
    enum action_kind kind;
    enum action_reason reason;
    uint32_t replica; /* id; of SPAWN none */
};

/* Fills `actions`; returns how many. *ret_wake_ms: when to ask again at the latest, INT64_MAX: only when something
 * happens. */
size_t reconcile(const struct service_state *state, const struct reconcile_deadlines *deadlines, int64_t now_ms,
    struct action actions[ACTIONS_MAX], int64_t *ret_wake_ms);

/* The replica that takes the traffic: the wanted revision's when it is ready, else the newest ready one before. NULL:
 * none. */
const struct replica_view *reconcile_serving(const struct service_state *state);

/* How long after the n-th crash in a row the next try comes: 0.1 s, doubling to 60 s. */
int64_t reconcile_backoff_ms(uint32_t crashes);
/* A replica of the wanted revision ended by itself or by the watchdog, after `healthy_ms` of being ready. */
void reconcile_crashed(struct service_state *state, int64_t healthy_ms, int64_t now_ms);
/* A replica that was healthy this long has its crashes forgotten. */
enum {
    HEALTHY_MS = 60000,
    PING_EVERY_MS = 2000,
    TERM_GRACE_MS = 5000,
    EXIT_GRACE_MS = 500, /* from the channel's end to the process's, so that its exit status is seen */
    CRASH_LOOP = 5
};
