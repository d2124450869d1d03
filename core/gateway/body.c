/* Pieces are small, so that the clock is looked at between them; each piece has a deadline that core/gateway/watch.h
 * keeps. CivetWeb does not show a chunked body's chunks and reads their heads byte by byte, so half a million one-byte
 * chunks are told from a body worth having by what they cost: this thread's CPU time. */
#include "config.h"

#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/gateway/request.h"

#include <string.h>

enum {
    PIECE = 16384,
    DROPPED_MAX = 65536,        /* of a body that nobody reads */
    ALL_BODIES_MAX = 512 << 20, /* of all requests in flight */
    GRACE_MS = 10000,           /* before the minimum rate counts */
    CHUNK_CPU_MS = 100,         /* for a chunked body of any length … */
    CHUNK_CPU_RATE = 4000       /* … and a millisecond more for each 4,000 bytes */
};

static const struct head_fault
    too_large = {.status = 413, .message = "the body is too large", .over = true, .limit = LIMIT_BODY_OPENAI_BYTES},
    unwanted = {.status = 413, .message = "this endpoint takes no body"},
    late = {.status = 408, .message = "the body stopped coming", .over = true, .limit = LIMIT_BODY_IDLE_MS},
    slow = {.status = 408, .message = "the body comes too slowly", .over = true, .limit = LIMIT_BODY_RATE},
    broken = {.status = 400, .message = "the body ended early or its chunks are malformed"},
    tiny_chunks = {.status = 413, .message = "the body's chunks are too small to be worth their work"},
    too_many = {.status = 503, .message = "the bodies of all requests together take too much memory"},
    no_memory = {.status = 503, .message = "out of memory"};

static int64_t cpu_ms(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID) / 1000000;
}

struct reading {
    struct exchange *exchange;
    uint64_t limit;
    const struct head_fault *over; /* said above it */
    int64_t started_ms, started_cpu_ms;
};

static const struct head_fault *check_pace(const struct reading *reading)
{
    int64_t now_ms = monotonic_ms(), took_ms = now_ms - reading->started_ms;
    uint64_t got = reading->exchange->body.length;
    if (took_ms > GRACE_MS && got < (uint64_t)(took_ms - GRACE_MS) * limit_get(LIMIT_BODY_RATE) / 1000)
        return &slow;
    if (reading->exchange->head.body == HEAD_BODY_CHUNKED &&
        cpu_ms() - reading->started_cpu_ms > CHUNK_CPU_MS + (int64_t)(got / CHUNK_CPU_RATE))
        return &tiny_chunks;
    return NULL;
}

/* One mg_read under a deadline. *ret_got 0 and NULL: the end. */
static const struct head_fault *read_piece(struct reading *reading, char *to, size_t want, size_t *ret_got)
{
    struct exchange *exchange = reading->exchange;
    bool sized = exchange->head.body == HEAD_BODY_LENGTH;
    int64_t deadline_ms = monotonic_ms() + (int64_t)limit_get(LIMIT_BODY_IDLE_MS);
    struct watched watched = {.fd = exchange->client_fd, .deadline_ms = deadline_ms};
    bool armed = watched.fd >= 0;
    int got;
    if (armed)
        watch_arm(exchange->gateway->watch, &watched);
    do
        got = mg_read(exchange->http, to, want);
    while (got == 0 && sized && !watched.fired && monotonic_ms() < deadline_ms); /* 0: CivetWeb's own, shorter limit */
    if (armed)
        watch_disarm(exchange->gateway->watch, &watched);
    if (watched.fired || (sized && got == 0))
        return &late;
    if (got < 0)
        return &broken;
    *ret_got = (size_t)got;
    return NULL;
}

static const struct head_fault *read_all(struct reading *reading)
{
    struct exchange *exchange = reading->exchange;
    bool sized = exchange->head.body == HEAD_BODY_LENGTH;
    for (;;) {
        uint64_t room = reading->limit - exchange->body.length;
        size_t want = sized ? exchange->head.content_length - exchange->body.length : room + 1;
        if (want == 0)
            return NULL;
        if (want > (sized ? PIECE : PIECE / 8))
            want = sized ? PIECE : PIECE / 8;
        size_t got;
        char *to = buffer_reserve(&exchange->body, want);
        if (to == NULL)
            return &no_memory;
        const struct head_fault *fault = read_piece(reading, to, want, &got);
        if (fault != NULL)
            return fault;
        if (got == 0)
            return NULL;
        exchange->body.length += got;
        if (atomic_fetch_add_explicit(&exchange->gateway->body_bytes, got, memory_order_relaxed) > ALL_BODIES_MAX)
            return &too_many;
        exchange->body.data[exchange->body.length] = '\0';
        if (exchange->body.length > reading->limit)
            return reading->over;
        fault = check_pace(reading);
        if (fault != NULL)
            return fault;
    }
}

const struct head_fault *body_read(struct exchange *exchange)
{
    bool wanted = exchange->endpoint->body != BODY_NONE;
    struct reading reading = {.exchange = exchange,
        .limit = wanted ? limit_get(LIMIT_BODY_OPENAI_BYTES) : DROPPED_MAX,
        .over = wanted ? &too_large : &unwanted,
        .started_ms = monotonic_ms(),
        .started_cpu_ms = cpu_ms()};
    if (exchange->head.body == HEAD_BODY_NONE)
        return NULL;
    if (exchange->head.body == HEAD_BODY_LENGTH && exchange->head.content_length > reading.limit)
        return reading.over;
    if (exchange->head.expect_continue && !exchange_write(exchange, "HTTP/1.1 100 Continue\r\n\r\n", 25))
        return &broken;
    return read_all(&reading);
}
