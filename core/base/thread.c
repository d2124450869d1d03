/* See the header. A lock that fails is a bug of ours, so it asserts. */
#include "config.h"

#include "core/base/thread.h"

#include "core/base/error.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static _Thread_local enum thread_role own_role;

void mutex_init(struct mutex *mutex)
{
    int failed = pthread_mutex_init(&mutex->raw, NULL);
    assert(failed == 0);
    (void)failed;
}

void mutex_done(struct mutex *mutex)
{
    pthread_mutex_destroy(&mutex->raw);
}

void mutex_lock(struct mutex *mutex) PDK_NO_ANALYSIS
{
    int failed = pthread_mutex_lock(&mutex->raw);
    assert(failed == 0);
    (void)failed;
}

bool mutex_try(struct mutex *mutex) PDK_NO_ANALYSIS
{
    int failed = pthread_mutex_trylock(&mutex->raw);
    assert(failed == 0 || failed == EBUSY);
    return failed == 0;
}

void mutex_unlock(struct mutex *mutex) PDK_NO_ANALYSIS
{
    int failed = pthread_mutex_unlock(&mutex->raw);
    assert(failed == 0);
    (void)failed;
}

void condition_init(struct condition *condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int failed = pthread_cond_init(&condition->raw, &attributes);
    assert(failed == 0);
    (void)failed;
    pthread_condattr_destroy(&attributes);
}

void condition_done(struct condition *condition)
{
    pthread_cond_destroy(&condition->raw);
}

void condition_wait(struct condition *condition, struct mutex *mutex)
{
    pthread_cond_wait(&condition->raw, &mutex->raw);
}

bool condition_wait_until(struct condition *condition, struct mutex *mutex, int64_t deadline_ms)
{
    struct timespec until = {.tv_sec = deadline_ms / 1000, .tv_nsec = deadline_ms % 1000 * 1000000};
    return pthread_cond_timedwait(&condition->raw, &mutex->raw, &until) != ETIMEDOUT;
}

void condition_signal(struct condition *condition)
{
    pthread_cond_signal(&condition->raw);
}

void condition_broadcast(struct condition *condition)
{
    pthread_cond_broadcast(&condition->raw);
}

struct start {
    enum thread_role role;
    char name[16];
    void *(*run)(void *);
    void *argument;
};

static void *begin(void *argument)
{
    struct start start = *(struct start *)argument;
    free(argument);
    own_role = start.role;
    prctl(PR_SET_NAME, start.name);
    return start.run(start.argument);
}

pdk_status thread_start(pthread_t *ret_thread, enum thread_role role, const char *name, void *(*run)(void *),
    void *argument, pdk_error *err)
{
    struct start *start = calloc(1, sizeof *start);
    if (start == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for thread %s", name);
    *start = (struct start){.role = role, .run = run, .argument = argument};
    memcpy(start->name, name, strnlen(name, sizeof start->name - 1));

    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 1 << 20);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(ret_thread, &attributes, begin, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (failed != 0) {
        free(start);
        return pdk_error_errno(err, failed, NULL, "cannot start thread %s", name);
    }
    return PDK_OK;
}

void thread_give_way(void)
{
    enum { A_THIRD_OF_THE_WEIGHT = 5 };
    setpriority(PRIO_PROCESS, 0, A_THIRD_OF_THE_WEIGHT); /* Linux: of this thread alone */
}

void thread_adopt(enum thread_role role)
{
    own_role = role;
}

bool thread_is(enum thread_role role)
{
    return own_role == role;
}
