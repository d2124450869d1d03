/* core/control/metrics.h: the runtimes' figures over all workers that a service ever had. A counter of a worker that is
 * gone is kept and added to the next one's, so that none falls. Has a lock of its own; [any-thread]. */
#pragma once

#include "core/base/json.h"

struct metrics_store;

struct metrics_store *metrics_store_new(void);                         /* NULL: out of memory */
struct metrics_store *metrics_store_free(struct metrics_store *store); /* takes NULL, returns NULL */
/* A worker begins for this service. */
void metrics_store_begin(
    struct metrics_store *store, uint32_t replica, const char *namespace_, const char *service, const char *model_name);
/* What it counts, cumulative since it began: core/ipc/README.md has the form. */
void metrics_store_put(struct metrics_store *store, uint32_t replica, const struct json *payload);
/* It is gone: counters are kept, gauges forgotten. */
void metrics_store_end(struct metrics_store *store, uint32_t replica);
/* The service is gone, and its workers with it. */
void metrics_store_forget(struct metrics_store *store, const char *key);
/* Everything in Prometheus' text form, each name's lines together. */
void metrics_store_print(struct metrics_store *store, struct buffer *out);
