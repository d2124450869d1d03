/* core/base/clock.h: the clocks. Waits and deadlines use the monotonic one only. */
#pragma once

#include <stdint.h>
#include <time.h>

static inline int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline int64_t monotonic_ms(void)
{
    return clock_ns(CLOCK_MONOTONIC) / 1000000;
}

static inline int64_t monotonic_us(void)
{
    return clock_ns(CLOCK_MONOTONIC) / 1000;
}

/* How long the calling thread has had the processor: for limits of work that a busy machine must not lower. */
static inline int64_t thread_ms(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID) / 1000000;
}

/* Seconds since 1970, for what clients see. */
static inline int64_t wall_seconds(void)
{
    return clock_ns(CLOCK_REALTIME) / 1000000000;
}
