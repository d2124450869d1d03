/* Two rings of bytes. A position counts all bytes ever written to its ring, so a reader that comes back knows what it
 * has. */
#include "config.h"

#include "core/control/ring_log.h"

#include "core/base/thread.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct ring {
    char *bytes;  /* RING_LOG_BYTES, once something was written */
    uint64_t end; /* position behind the last byte */
};

struct ring_log {
    _Atomic unsigned references;
    struct mutex lock; /* guards the rings */
    struct ring now, before;
};

struct ring_log *ring_log_new(void)
{
    struct ring_log *log = calloc(1, sizeof *log);
    if (log == NULL)
        return NULL;
    atomic_init(&log->references, 1);
    mutex_init(&log->lock);
    return log;
}

struct ring_log *ring_log_ref(struct ring_log *log)
{
    atomic_fetch_add_explicit(&log->references, 1, memory_order_relaxed); /* pairs with unref's acq_rel */
    return log;
}

struct ring_log *ring_log_unref(struct ring_log *log)
{
    if (log == NULL || atomic_fetch_sub_explicit(&log->references, 1, memory_order_acq_rel) != 1)
        return NULL;
    free(log->now.bytes);
    free(log->before.bytes);
    mutex_done(&log->lock);
    free(log);
    return NULL;
}

void ring_log_turn(struct ring_log *log)
{
    mutex_lock(&log->lock);
    if (log->now.bytes != NULL) {
        free(log->before.bytes);
        log->before = log->now;
        log->now = (struct ring){0};
    }
    mutex_unlock(&log->lock);
}

static void put_bytes(struct ring *ring, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        ring->bytes[ring->end++ % RING_LOG_BYTES] = bytes[i];
}

void ring_log_put(struct ring_log *log, const char *line, size_t length)
{
    if (length >= RING_LOG_BYTES)
        length = RING_LOG_BYTES - 1;
    mutex_lock(&log->lock);
    if (log->now.bytes == NULL)
        log->now.bytes = malloc(RING_LOG_BYTES);
    if (log->now.bytes != NULL) { /* else the line is lost, nothing more */
        put_bytes(&log->now, line, length);
        put_bytes(&log->now, "\n", 1);
    }
    mutex_unlock(&log->lock);
}

/* The oldest position that begins a whole line. */
static uint64_t oldest(const struct ring *ring)
{
    if (ring->end <= RING_LOG_BYTES)
        return 0;
    uint64_t at = ring->end - RING_LOG_BYTES;
    while (at < ring->end && ring->bytes[at % RING_LOG_BYTES] != '\n')
        at++;
    return at < ring->end ? at + 1 : at;
}

static void copy_out(const struct ring *ring, uint64_t from, struct buffer *out)
{
    while (from < ring->end) {
        size_t at = (size_t)(from % RING_LOG_BYTES), run = RING_LOG_BYTES - at;
        if (run > ring->end - from)
            run = (size_t)(ring->end - from);
        buffer_put(out, ring->bytes + at, run);
        from += run;
    }
}

void ring_log_read(struct ring_log *log, bool previous, uint64_t from, struct buffer *out, uint64_t *ret_next)
{
    mutex_lock(&log->lock);
    const struct ring *ring = previous ? &log->before : &log->now;
    uint64_t first = ring->bytes != NULL ? oldest(ring) : 0;
    if (from > ring->end) /* of the worker before */
        from = 0;
    copy_out(ring, from > first ? from : first, out);
    *ret_next = ring->end;
    mutex_unlock(&log->lock);
}

void ring_log_tail(struct ring_log *log, unsigned lines, struct buffer *out)
{
    mutex_lock(&log->lock);
    const struct ring *ring = &log->now;
    if (ring->bytes != NULL) {
        uint64_t first = oldest(ring), at = ring->end;
        while (at > first && lines > 0)
            if (--at == first || ring->bytes[(at - 1) % RING_LOG_BYTES] == '\n')
                lines--;
        copy_out(ring, at, out);
    }
    mutex_unlock(&log->lock);
}
