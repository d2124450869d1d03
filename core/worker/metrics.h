/* core/worker/metrics.h: what a runtime counts, until the daemon asks. Values are cumulative; labels of service and
 * model are the daemon's to add. */
#pragma once

#include "core/base/buffer.h"

#include <paddock/draft/host.h>

enum { METRICS_MAX = 1024 };

struct metrics *metrics_new(void);
struct metrics *metrics_free(struct metrics *metrics);
/* The same name and labels give the same id. PDK_INVALID: no metric's name, or of another kind before. [any-thread] */
pdk_status metrics_declare(struct metrics *metrics, const pdk_metric *metric, uint32_t *ret_id, pdk_error *err);
void metrics_add(struct metrics *metrics, uint32_t id, double value); /* [any-thread], as the next two */
void metrics_set(struct metrics *metrics, uint32_t id, double value);
void metrics_observe(struct metrics *metrics, uint32_t id, double value);
/* The payload of a stats frame; core/ipc/README.md has its form. [any-thread] */
void metrics_write(struct metrics *metrics, struct buffer *out);
