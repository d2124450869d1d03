/* core/ipc/link.h: the worker's end of its socket.
 *
 * Any thread puts frames in; they gather. The [main-thread] waits in link_wait, reads, and writes what has gathered, so
 * that a step's parts leave together: link_urge says whether that is soon (within a millisecond, more is coming) or
 * now. */
#pragma once

#include "core/base/thread.h"
#include "core/ipc/frame.h"

#include <paddock/abi.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum link_urgency { LINK_IDLE, LINK_SOON, LINK_NOW };

struct link {
    int fd, bell;               /* the socket; an eventfd that wakes the main thread */
    struct frame_reader reader; /* [main-thread] */
    _Atomic bool backlog;       /* the socket is full: the main thread waits until it is not */

    struct mutex flush_lock; /* sending; taken before `lock` */
    struct frame_writer sending;
    struct mutex lock; /* gathered, urgency */
    struct frame_writer gathered;
    enum link_urgency urgency;
};

/* Takes `fd`. */
pdk_status link_open(struct link *link, int fd, pdk_error *err);
void link_close(struct link *link);

/* Between these frames may be put into link->gathered. [any-thread] */
void link_lock(struct link *link) PDK_ACQUIRES(link->lock);
void link_unlock(struct link *link) PDK_RELEASES(link->lock);
/* Asks the main thread to send what gathered. Needs the lock. */
void link_urge(struct link *link, enum link_urgency urgency) PDK_REQUIRES(link->lock);

/* Puts one frame and has it sent now. [any-thread] */
pdk_status link_put(
    struct link *link, enum wire_type type, uint64_t id, const void *body, size_t length, pdk_error *err);
/* Sends what gathered from the calling thread, as far as the socket takes it. [any-thread] */
pdk_status link_flush(struct link *link, pdk_error *err);
/* Sends all of it, waiting at most `timeout_ms` for a full socket. [main-thread] */
void link_flush_all(struct link *link, int timeout_ms);

/* Wakes the main thread out of link_wait; safe in a signal handler. */
void link_interrupt(struct link *link);
/* Waits for frames, a bell or `timeout_ms` (-1: none), sending meanwhile. PDK_UNAVAILABLE: the daemon is gone.
 * [main-thread] */
pdk_status link_wait(struct link *link, int timeout_ms, pdk_error *err);
/* As frame_reader_next. [main-thread] */
pdk_status link_next(struct link *link, struct frame *ret_frame, bool *ret_there, pdk_error *err);
