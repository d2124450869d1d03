/* core/control/ring_log.h: the last lines of a pod's worker, and of the worker before it. Written by the control
 * thread, read by gateway threads; counted references. */
#pragma once

#include "core/base/buffer.h"

#include <stdbool.h>
#include <stdint.h>

enum { RING_LOG_BYTES = 65536 };

struct ring_log;

struct ring_log *ring_log_new(void); /* NULL: out of memory. One reference */
struct ring_log *ring_log_ref(struct ring_log *log);
struct ring_log *ring_log_unref(struct ring_log *log); /* takes NULL, returns NULL */
/* A new worker writes from now on; what is there becomes the previous. [control-thread] */
void ring_log_turn(struct ring_log *log);
/* Appends a line, without its newline. */
void ring_log_put(struct ring_log *log, const char *line, size_t length); /* [control-thread] */
/* Whole lines from position `from` on, or from the oldest that is kept; *ret_next is the position behind. [any-thread]
 */
void ring_log_read(struct ring_log *log, bool previous, uint64_t from, struct buffer *out, uint64_t *ret_next);
/* The last `lines` lines. [any-thread] */
void ring_log_tail(struct ring_log *log, unsigned lines, struct buffer *out);
