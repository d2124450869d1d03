/* Frames gather in one buffer and leave in one call, but for those whose body is a memfd: a descriptor has to stand on
 * its header's first byte, so a call starts there. */
#include "config.h"

#include "core/ipc/frame.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum { KEEP_ROOM = 1 << 20 };

void frame_writer_done(struct frame_writer *writer)
{
    for (size_t i = writer->mark_next; i < writer->mark_count; i++)
        close(writer->marks[i].fd);
    free(writer->marks);
    buffer_done(&writer->bytes);
    *writer = (struct frame_writer){0};
}

size_t frame_begin(struct frame_writer *writer, enum wire_type type, uint64_t id)
{
    size_t start = writer->bytes.length;
    struct wire_header header = {.magic = WIRE_MAGIC, .type = (uint16_t)type, .id = id};
    buffer_put(&writer->bytes, &header, sizeof header);
    return start;
}

void frame_abort(struct frame_writer *writer, size_t start)
{
    writer->bytes.length = start;
    writer->bytes.failed = false;
}

static bool write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t put = write(fd, bytes, length);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        bytes += put;
        length -= (size_t)put;
    }
    return true;
}

/* Moves the body behind the header at `start` into a sealed memfd. It was never mapped here, so sealing cannot fail
 * with EBUSY. */
static pdk_status move_body(struct frame_writer *writer, size_t start, size_t length, pdk_error *err)
{
    PDK_AUTO_CLOSE int fd = memfd_create("paddock-body", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return pdk_error_errno(err, errno, "frame", "cannot make a memfd for %zu bytes", length);
    if (!write_all(fd, writer->bytes.data + start + sizeof(struct wire_header), length) ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)
        return pdk_error_errno(err, errno, "frame", "cannot fill a memfd of %zu bytes", length);
    if (!array_grow(&writer->marks, &writer->mark_room, writer->mark_count + 1))
        return pdk_error_set(err, PDK_NO_MEMORY, "frame", "no memory for a frame");
    writer->marks[writer->mark_count++] = (struct frame_mark){start, PDK_STEAL_FD(fd)};
    writer->bytes.length = start + sizeof(struct wire_header);
    return PDK_OK;
}

pdk_status frame_end(struct frame_writer *writer, size_t start, pdk_error *err)
{
    if (writer->bytes.failed) {
        frame_abort(writer, start);
        return pdk_error_set(err, PDK_NO_MEMORY, "frame", "no memory for a frame");
    }
    struct wire_header header;
    memcpy(&header, writer->bytes.data + start, sizeof header);
    size_t length = writer->bytes.length - start - sizeof header;
    bool movable = header.type == WIRE_REQUEST || header.type == WIRE_PART;
    size_t limit = movable ? (size_t)WIRE_BODY_MAX : (size_t)WIRE_FRAME_MAX;
    pdk_status status = PDK_OK;
    if (length > limit)
        status = pdk_error_set(err, PDK_TOO_LARGE, "frame", "a frame of %zu bytes; the limit is %zu", length, limit);
    else if (movable && length > WIRE_INLINE_MAX)
        status = move_body(writer, start, length, err);
    if (status != PDK_OK) {
        frame_abort(writer, start);
        return status;
    }
    if (movable && length > WIRE_INLINE_MAX)
        header.descriptors = 1;
    else
        header.length = (uint32_t)length;
    memcpy(writer->bytes.data + start, &header, sizeof header);
    return PDK_OK;
}

pdk_status frame_put(
    struct frame_writer *writer, enum wire_type type, uint64_t id, const void *body, size_t length, pdk_error *err)
{
    size_t start = frame_begin(writer, type, id);
    buffer_put(&writer->bytes, body, length);
    return frame_end(writer, start, err);
}

pdk_status frame_writer_move(struct frame_writer *to, struct frame_writer *from, pdk_error *err)
{
    size_t base = to->bytes.length;
    if (!array_grow(&to->marks, &to->mark_room, to->mark_count + from->mark_count) ||
        buffer_reserve(&to->bytes, from->bytes.length) == NULL) {
        to->bytes.failed = false;
        return pdk_error_set(err, PDK_NO_MEMORY, "frame", "no memory for a frame");
    }
    buffer_put(&to->bytes, from->bytes.data, from->bytes.length);
    for (size_t i = 0; i < from->mark_count; i++)
        to->marks[to->mark_count++] = (struct frame_mark){base + from->marks[i].offset, from->marks[i].fd};
    from->mark_count = 0;
    frame_writer_done(from);
    return PDK_OK;
}

bool frame_writer_pending(const struct frame_writer *writer)
{
    return writer->sent < writer->bytes.length;
}

static ssize_t send_piece(int fd, char *bytes, size_t length, int descriptor)
{
    struct iovec piece = {bytes, length};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    if (descriptor >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof descriptor);
        memcpy(CMSG_DATA(c), &descriptor, sizeof descriptor);
    }
    ssize_t sent;
    do
        sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent;
}

static void empty(struct frame_writer *writer)
{
    writer->sent = 0;
    writer->mark_count = writer->mark_next = 0;
    if (writer->bytes.room > KEEP_ROOM)
        buffer_done(&writer->bytes);
    else
        buffer_clear(&writer->bytes);
}

/* Forgets what was sent, so that a writer that is never quite empty does not grow. */
static void drop_sent(struct frame_writer *writer)
{
    size_t left = writer->bytes.length - writer->sent;
    if (writer->sent < left)
        return;
    memmove(writer->bytes.data, writer->bytes.data + writer->sent, left);
    writer->bytes.length = left;
    writer->mark_count -= writer->mark_next;
    if (writer->mark_count != 0)
        memmove(writer->marks, writer->marks + writer->mark_next, writer->mark_count * sizeof *writer->marks);
    for (size_t i = 0; i < writer->mark_count; i++)
        writer->marks[i].offset -= writer->sent;
    writer->mark_next = 0;
    writer->sent = 0;
}

pdk_status frame_writer_flush(struct frame_writer *writer, int fd, pdk_error *err)
{
    while (frame_writer_pending(writer)) {
        size_t end = writer->bytes.length;
        int descriptor = -1;
        size_t next = writer->mark_next;
        if (next < writer->mark_count && writer->marks[next].offset == writer->sent)
            descriptor = writer->marks[next++].fd;
        if (next < writer->mark_count)
            end = writer->marks[next].offset;
        ssize_t sent = send_piece(fd, writer->bytes.data + writer->sent, end - writer->sent, descriptor);
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ETOOMANYREFS)) {
            drop_sent(writer);
            return PDK_BUSY;
        }
        if (sent < 0)
            return pdk_error_set(err, PDK_UNAVAILABLE, "socket", "cannot write to the peer: %s", strerror(errno));
        if (descriptor >= 0) {
            close(descriptor);
            writer->mark_next++;
        }
        writer->sent += (size_t)sent;
    }
    empty(writer);
    return PDK_OK;
}
