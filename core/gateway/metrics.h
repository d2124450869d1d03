/* core/gateway/metrics.h: counts of requests and Prometheus' text of everything. Labels come from the table of
 * endpoints alone, so that no client can make a series. */
#pragma once

#include "core/base/buffer.h"

#include <stddef.h>
#include <stdint.h>

struct exchange;
struct metrics;

struct metrics *metrics_new(void); /* NULL: out of memory */
struct metrics *metrics_free(struct metrics *metrics);
/* One finished request. `row`: index in the table, or endpoints_count() for a path that is not in it. [any-thread] */
void metrics_count(
    struct metrics *metrics, size_t row, int status, int64_t took_us, uint64_t request_bytes, uint64_t response_bytes);
void metrics_write(const struct metrics *metrics, struct buffer *out);
void metrics_handle(struct exchange *exchange); /* GET /metrics. [gateway-thread] */
