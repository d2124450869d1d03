/* One epoll for everything. A channel's event carries its pointer, which is safe because only this thread ends a
 * channel. A watched client's event carries a slot and its generation instead, as gateway threads free their watches at
 * any moment. */
#include "config.h"

#include "core/ipc/loop.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/error.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

struct watch {
    struct answers *answers; /* NULL: free */
    int fd;
    uint32_t generation;
    uint32_t next_free;
};

struct channel_loop {
    int epoll, stop;
    pthread_t thread;
    _Atomic uint64_t next_id;
    _Atomic uint32_t channels;
    struct mutex lock; /* watches, watch_count, watch_room, first_free */
    struct watch *watches;
    size_t watch_count, watch_room;
    uint32_t first_free;
};

enum { EVENTS_AT_ONCE = 64, WATCH_SLOTS_MAX = 1 << 24 };
static const uint64_t WATCH_BIT = UINT64_C(1) << 63; /* no user pointer has it */

static void client_left(struct channel_loop *loop, uint64_t data)
{
    uint32_t slot = (uint32_t)(data & (WATCH_SLOTS_MAX - 1));
    uint32_t generation = (uint32_t)(data >> 24 & 0x7FFFFFFF);
    mutex_lock(&loop->lock);
    struct watch *watch = slot < loop->watch_count ? &loop->watches[slot] : NULL;
    if (watch != NULL && watch->answers != NULL && watch->generation == generation) {
        /* It stays readable for ever: without this the thread would spin until the watch is gone. */
        epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
        answers_cancel(watch->answers);
    }
    mutex_unlock(&loop->lock);
}

static void *run(void *argument)
{
    struct channel_loop *loop = argument;
    struct epoll_event events[EVENTS_AT_ONCE];
    for (;;) {
        int count = epoll_wait(loop->epoll, events, EVENTS_AT_ONCE, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.u64 == 0)
                return NULL;
            if ((events[i].data.u64 & WATCH_BIT) != 0)
                client_left(loop, events[i].data.u64);
            else
                channel_wake(events[i].data.ptr, events[i].events);
        }
    }
}

static void loop_free(struct channel_loop *loop)
{
    if (loop->epoll >= 0)
        close(loop->epoll);
    if (loop->stop >= 0)
        close(loop->stop);
    mutex_done(&loop->lock);
    free(loop->watches);
    free(loop);
}

PDK_DEFINE_CLEANUP(struct channel_loop, loop_free)

pdk_status channel_loop_start(struct channel_loop **ret_loop, pdk_error *err)
{
    PDK_CLEANUP(loop_freep) struct channel_loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the channel thread");
    mutex_init(&loop->lock);
    loop->first_free = LOOP_NO_WATCH;
    atomic_store_explicit(&loop->next_id, 1, memory_order_relaxed);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN};
    if (loop->epoll < 0 || loop->stop < 0 || epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->stop, &event) != 0)
        return pdk_error_errno(err, errno, NULL, "cannot make the channel thread's epoll");
    pdk_status status = thread_start(&loop->thread, THREAD_CHANNEL, "channel", run, loop, err);
    if (status != PDK_OK)
        return status;
    *ret_loop = PDK_STEAL(loop);
    return PDK_OK;
}

struct channel_loop *channel_loop_stop(struct channel_loop *loop)
{
    if (loop == NULL)
        return NULL;
    assert(atomic_load_explicit(&loop->channels, memory_order_relaxed) == 0);
    uint64_t one = 1;
    ssize_t put = write(loop->stop, &one, sizeof one);
    assert(put == sizeof one);
    (void)put;
    pthread_join(loop->thread, NULL);
    for (size_t i = 0; i < loop->watch_count; i++)
        assert(loop->watches[i].answers == NULL);
    loop_free(loop);
    return NULL;
}

uint64_t channel_loop_next_id(struct channel_loop *loop)
{
    return atomic_fetch_add_explicit(&loop->next_id, 1, memory_order_relaxed);
}

pdk_status channel_loop_add(struct channel_loop *loop, struct channel *channel, int fd, pdk_error *err)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = channel};
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        return pdk_error_errno(err, errno, "fd", "cannot watch a worker's socket");
    atomic_fetch_add_explicit(&loop->channels, 1, memory_order_relaxed);
    return PDK_OK;
}

void channel_loop_wait_write(struct channel_loop *loop, struct channel *channel, int fd, bool wait)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | (wait ? EPOLLOUT : 0), .data.ptr = channel};
    epoll_ctl(loop->epoll, EPOLL_CTL_MOD, fd, &event);
}

void channel_loop_remove(struct channel_loop *loop, int fd)
{
    epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, NULL);
    atomic_fetch_sub_explicit(&loop->channels, 1, memory_order_relaxed);
}

/* A free slot, or LOOP_NO_WATCH. The lock is held. */
static uint32_t take_slot(struct channel_loop *loop)
{
    uint32_t slot = loop->first_free;
    if (slot != LOOP_NO_WATCH) {
        loop->first_free = loop->watches[slot].next_free;
        return slot;
    }
    if (loop->watch_count == WATCH_SLOTS_MAX || !array_grow(&loop->watches, &loop->watch_room, loop->watch_count + 1))
        return LOOP_NO_WATCH;
    loop->watches[loop->watch_count] = (struct watch){.fd = -1};
    return (uint32_t)loop->watch_count++;
}

static void give_slot(struct channel_loop *loop, uint32_t slot)
{
    struct watch *watch = &loop->watches[slot];
    watch->answers = NULL;
    watch->generation = (watch->generation + 1) & 0x7FFFFFFF;
    watch->next_free = loop->first_free;
    loop->first_free = slot;
}

uint32_t channel_loop_watch(struct channel_loop *loop, int fd, struct answers *answers)
{
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (own < 0)
        return LOOP_NO_WATCH;
    mutex_lock(&loop->lock);
    uint32_t slot = take_slot(loop);
    if (slot != LOOP_NO_WATCH) {
        struct watch *watch = &loop->watches[slot];
        watch->answers = answers;
        watch->fd = own;
        /* EPOLLERR and EPOLLHUP come unasked. Data that a client sends ahead is none of our business. */
        struct epoll_event event = {
            .events = EPOLLRDHUP, .data.u64 = WATCH_BIT | (uint64_t)watch->generation << 24 | slot};
        if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, own, &event) != 0) {
            give_slot(loop, slot);
            slot = LOOP_NO_WATCH;
        }
    }
    mutex_unlock(&loop->lock);
    if (slot == LOOP_NO_WATCH)
        close(own);
    return slot;
}

void channel_loop_unwatch(struct channel_loop *loop, uint32_t watch)
{
    if (watch == LOOP_NO_WATCH)
        return;
    mutex_lock(&loop->lock);
    int fd = loop->watches[watch].fd;
    epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, NULL);
    give_slot(loop, watch);
    mutex_unlock(&loop->lock);
    close(fd);
}
