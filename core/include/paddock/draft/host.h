/* What the worker offers a runtime. */
#ifndef PADDOCK_DRAFT_HOST_H
#define PADDOCK_DRAFT_HOST_H

#include <paddock/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { PDK_LOG_ERROR = 3, PDK_LOG_WARNING = 4, PDK_LOG_NOTICE = 5, PDK_LOG_INFO = 6, PDK_LOG_DEBUG = 7 };

enum { PDK_METRIC_COUNTER = 0, PDK_METRIC_GAUGE = 1, PDK_METRIC_HISTOGRAM = 2 };

/* A metric as a runtime declares it. The daemon adds labels of service and model; a runtime adds only such as come from
 * a fixed list of its own. Borrowed for the call. */
typedef struct pdk_metric {
    uint32_t size;
    int32_t kind;          /* PDK_METRIC_… */
    const char *name;      /* Prometheus name; counters end in _total */
    const char *help;      /* one line */
    const char *labels;    /* `reason="stop"`, or NULL */
    const double *buckets; /* ascending upper bounds of a histogram, +Inf left out */
    size_t bucket_count;   /* at most 64 */
} pdk_metric;

struct pdk_response; /* the host's handle of one request's answer: paddock/draft/request.h */
struct pdk_part;

typedef struct pdk_host {
    uint32_t size;         /* sizeof(pdk_host) as the host was built */
    uint32_t threads;      /* how many threads the runtime and its compute plugin may keep busy, at least 1 */
    uint64_t memory_bytes; /* what this process may use in all, 0: no limit */
    void *context;         /* the host's own; first argument of the functions below */

    /* Writes one finished line to the replica's log, without a newline. [any-thread] */
    void (*log)(void *context, int32_t level, const char *message);

    /* Tells how far a load is, 0 to 1, and at what ("Loading weights"). It also feeds the load's deadline. [any-thread]
     */
    void (*progress)(void *context, double fraction, const char *what);

    /* Declares a metric; the same name and labels give the same id. Gives `ret_id`. PDK_INVALID: a name that is none,
     * or another kind before. [main-thread] */
    pdk_status (*metric)(void *context, const pdk_metric *metric, uint32_t *ret_id, pdk_error *err);
    /* Adds to a counter. [any-thread] */
    void (*metric_add)(void *context, uint32_t id, double value);
    /* Sets a gauge. [any-thread] */
    void (*metric_set)(void *context, uint32_t id, double value);
    /* Puts a value into a histogram. [any-thread] */
    void (*metric_observe)(void *context, uint32_t id, double value);

    /* Further interfaces of the host, by name (PDK_HOST_COMPUTE), or NULL. [any-thread] */
    const void *(*get_extension)(void *context, const char *id);

    /* Sends a part of an answer. PDK_OK, PDK_FULL (taken; send no more until `writable`), PDK_CANCELLED (not taken: the
     * client left; finish the response). `part` is borrowed for the call. [any-thread], one at a time for a response */
    pdk_status (*part_send)(struct pdk_response *response, const struct pdk_part *part);

    /* Ends an answer; `response` is the host's again. Exactly once for each response taken. `err` is NULL for success,
     * else its status says why; PDK_CANCELLED after a cancel. [any-thread] */
    void (*finish)(struct pdk_response *response, const pdk_error *err);

    /* Says that work goes on: the engine calls it once a step. A runtime that has requests and does not call it for the
     * watchdog's time is taken for hung, killed and replaced. [any-thread] */
    void (*alive)(void *context);
} pdk_host;

/* What get_extension(PDK_HOST_COMPUTE) gives: the compute plugin that the worker chose, already started. */
#define PDK_HOST_COMPUTE "paddock.host.compute/1"
struct pdk_compute;
typedef struct pdk_host_compute {
    uint32_t size;
    uint32_t reserved;
    const struct pdk_compute *compute; /* its table: paddock/compute.h */
    void *self;                        /* its state, first argument of its functions */
} pdk_host_compute;

#ifdef __cplusplus
}
#endif
#endif
