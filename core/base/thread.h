/* core/base/thread.h: locks, conditions and threads with a role. A role is what the comments' [gateway-thread] means;
 * thread_is lets an assert back it. Locks are pthread's, annotated for clang's -Wthread-safety. */
#pragma once

#include <paddock/abi.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#if defined(__clang__)
#define PDK_CAPABILITY(name) __attribute__((capability(name)))
#define PDK_ACQUIRES(...)    __attribute__((acquire_capability(__VA_ARGS__)))
#define PDK_RELEASES(...)    __attribute__((release_capability(__VA_ARGS__)))
#define PDK_TRIES(...)       __attribute__((try_acquire_capability(true, __VA_ARGS__)))
#define PDK_REQUIRES(...)    __attribute__((requires_capability(__VA_ARGS__)))
#define PDK_NO_ANALYSIS      __attribute__((no_thread_safety_analysis))
#else
#define PDK_CAPABILITY(name)
#define PDK_ACQUIRES(...)
#define PDK_RELEASES(...)
#define PDK_TRIES(...)
#define PDK_REQUIRES(...)
#define PDK_NO_ANALYSIS
#endif

enum thread_role {
    THREAD_ANY = 0,
    THREAD_MAIN,
    THREAD_GATEWAY,
    THREAD_CHANNEL,
    THREAD_CONTROL,
    THREAD_STORE,
    THREAD_DOOR,
    THREAD_FRONT,
    THREAD_ENGINE,
    THREAD_TEAM,
    THREAD_GUIDE
};

struct PDK_CAPABILITY("mutex") mutex {
    pthread_mutex_t raw;
};

void mutex_init(struct mutex *mutex);
void mutex_done(struct mutex *mutex);
void mutex_lock(struct mutex *mutex) PDK_ACQUIRES(*mutex);
bool mutex_try(struct mutex *mutex) PDK_TRIES(*mutex); /* false: another has it */
void mutex_unlock(struct mutex *mutex) PDK_RELEASES(*mutex);

/* Conditions wait on the monotonic clock. */
struct condition {
    pthread_cond_t raw;
};

void condition_init(struct condition *condition);
void condition_done(struct condition *condition);
void condition_wait(struct condition *condition, struct mutex *mutex) PDK_REQUIRES(*mutex);
/* False when `deadline_ms` (CLOCK_MONOTONIC) has passed. */
bool condition_wait_until(struct condition *condition, struct mutex *mutex, int64_t deadline_ms) PDK_REQUIRES(*mutex);
void condition_signal(struct condition *condition);
void condition_broadcast(struct condition *condition);

/* Starts a joinable thread of that role and name (at most 15 letters), with every signal blocked and 1 MiB of stack. */
pdk_status thread_start(pthread_t *ret_thread, enum thread_role role, const char *name, void *(*run)(void *),
    void *argument, pdk_error *err);
/* Gives the calling thread, made by others (CivetWeb's), its role. */
void thread_adopt(enum thread_role role);
/* From now on the calling thread gets a third of the time of others that want the processor. */
void thread_give_way(void);
bool thread_is(enum thread_role role);
