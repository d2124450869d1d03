/* Two writers: threads gather into one while the other is being sent, so that no thread waits for the socket. */
#include "config.h"

#include "core/ipc/link.h"

#include "core/base/clock.h"
#include "core/base/error.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { SOON_MS = 1 };

pdk_status link_open(struct link *link, int fd, pdk_error *err)
{
    *link = (struct link){.fd = fd, .bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (link->bell < 0)
        return pdk_error_errno(err, errno, NULL, "cannot make an eventfd");
    frame_reader_init(&link->reader, fd);
    mutex_init(&link->flush_lock);
    mutex_init(&link->lock);
    return PDK_OK;
}

void link_close(struct link *link)
{
    frame_reader_done(&link->reader);
    frame_writer_done(&link->sending);
    frame_writer_done(&link->gathered);
    mutex_done(&link->flush_lock);
    mutex_done(&link->lock);
    close(link->bell);
    close(link->fd);
}

void link_lock(struct link *link)
{
    mutex_lock(&link->lock);
}

void link_unlock(struct link *link)
{
    mutex_unlock(&link->lock);
}

void link_interrupt(struct link *link)
{
    uint64_t one = 1;
    ssize_t ignored = write(link->bell, &one, sizeof one);
    (void)ignored;
}

void link_urge(struct link *link, enum link_urgency urgency)
{
    if (urgency <= link->urgency)
        return;
    link->urgency = urgency;
    link_interrupt(link);
}

pdk_status link_put(
    struct link *link, enum wire_type type, uint64_t id, const void *body, size_t length, pdk_error *err)
{
    link_lock(link);
    pdk_status status = frame_put(&link->gathered, type, id, body, length, err);
    link_unlock(link);
    return status == PDK_OK ? link_flush(link, err) : status;
}

pdk_status link_flush(struct link *link, pdk_error *err)
{
    mutex_lock(&link->flush_lock);
    link_lock(link);
    pdk_status status = PDK_OK;
    if (!frame_writer_pending(&link->sending)) {
        struct frame_writer empty = link->sending;
        link->sending = link->gathered;
        link->gathered = empty;
        link->urgency = LINK_IDLE;
    } else if (frame_writer_pending(&link->gathered)) {
        status = frame_writer_move(&link->sending, &link->gathered, err);
        link->urgency = LINK_IDLE;
    }
    link_unlock(link);
    if (status == PDK_OK)
        status = frame_writer_flush(&link->sending, link->fd, err);
    bool full = status == PDK_BUSY;
    bool was_full = atomic_exchange_explicit(&link->backlog, full, memory_order_relaxed);
    mutex_unlock(&link->flush_lock);
    if (full && !was_full)
        link_interrupt(link); /* the main thread is to wait for room */
    return full ? PDK_OK : status;
}

void link_flush_all(struct link *link, int timeout_ms)
{
    int64_t end = monotonic_ms() + timeout_ms;
    while (link_flush(link, NULL) == PDK_OK && atomic_load_explicit(&link->backlog, memory_order_relaxed)) {
        int64_t left = end - monotonic_ms();
        struct pollfd socket = {.fd = link->fd, .events = POLLOUT};
        if (left <= 0 || (poll(&socket, 1, (int)left) < 0 && errno != EINTR))
            return;
    }
}

/* How long to wait: not at all when there is something to send now, a little when more is coming. */
static int patience(struct link *link, int timeout_ms)
{
    link_lock(link);
    enum link_urgency urgency = link->urgency;
    link_unlock(link);
    if (urgency == LINK_NOW)
        return 0;
    if (urgency == LINK_SOON && (timeout_ms < 0 || timeout_ms > SOON_MS))
        return SOON_MS;
    return timeout_ms;
}

pdk_status link_wait(struct link *link, int timeout_ms, pdk_error *err)
{
    int wait_ms = patience(link, timeout_ms);
    bool full = atomic_load_explicit(&link->backlog, memory_order_relaxed);
    struct pollfd sources[2] = {
        {.fd = link->fd, .events = (short)(POLLIN | (full ? POLLOUT : 0))}, {.fd = link->bell, .events = POLLIN}};
    int count = poll(sources, 2, full ? timeout_ms : wait_ms);
    if (count < 0 && errno != EINTR)
        return pdk_error_errno(err, errno, NULL, "cannot wait for the daemon");
    if (sources[1].revents != 0) {
        uint64_t rings;
        ssize_t ignored = read(link->bell, &rings, sizeof rings);
        (void)ignored;
    }
    /* The bell rang for "soon": give the others their moment. */
    bool soon = count > 0 && sources[0].revents == 0 && patience(link, -1) == SOON_MS;
    if (!soon && (!full || (sources[0].revents & POLLOUT) != 0)) {
        pdk_status status = link_flush(link, err);
        if (status != PDK_OK)
            return status;
    }
    if ((sources[0].revents & (POLLIN | POLLHUP | POLLERR)) == 0)
        return PDK_OK;
    pdk_status status = frame_reader_fill(&link->reader, err);
    return status == PDK_BUSY ? PDK_OK : status;
}

pdk_status link_next(struct link *link, struct frame *ret_frame, bool *ret_there, pdk_error *err)
{
    return frame_reader_next(&link->reader, ret_frame, ret_there, err);
}
