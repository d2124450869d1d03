/* Descriptors: the kernel ends a read behind the bytes that a descriptor came with, and a sender puts it on its
 * header's first byte. So by the time a header is whole, its descriptor is here, in order; one that is missing or left
 * over is the peer's mistake. */
#include "config.h"

#include "core/ipc/frame.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { READ_ROOM = 64 << 10, KEEP_ROOM = 1 << 20 };

void frame_done(struct frame *frame)
{
    if (frame->mapping != NULL)
        munmap(frame->mapping, frame->length);
    frame->mapping = NULL;
}

void frame_reader_init(struct frame_reader *reader, int fd)
{
    *reader = (struct frame_reader){.fd = fd};
}

void frame_reader_done(struct frame_reader *reader)
{
    for (unsigned i = 0; i < reader->descriptor_count; i++)
        close(reader->descriptors[i]);
    free(reader->data);
    *reader = (struct frame_reader){.fd = -1};
}

/* Bytes of the frame that has begun, as far as its header is known. */
static size_t wanted(const struct frame_reader *reader)
{
    struct wire_header header;
    if (reader->end - reader->start < sizeof header)
        return sizeof header;
    memcpy(&header, reader->data + reader->start, sizeof header);
    return sizeof header + header.length; /* checked by frame_reader_next before it waits for more */
}

static bool make_room(struct frame_reader *reader)
{
    size_t held = reader->end - reader->start, need = wanted(reader);
    need = need > held ? held + (need - held > READ_ROOM ? need - held : READ_ROOM) : held + READ_ROOM;
    if (held == 0 && reader->room > KEEP_ROOM) {
        free(reader->data);
        reader->data = NULL;
        reader->room = 0;
    }
    if (held != 0 && reader->start != 0)
        memmove(reader->data, reader->data + reader->start, held);
    reader->start = 0;
    reader->end = held;
    if (need <= reader->room)
        return true;
    uint8_t *grown = realloc(reader->data, need);
    if (grown == NULL)
        return false;
    reader->data = grown;
    reader->room = need;
    return true;
}

static pdk_status keep_descriptors(struct frame_reader *reader, struct msghdr *message, pdk_error *err)
{
    bool too_many = (message->msg_flags & MSG_CTRUNC) != 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (reader->descriptor_count == FRAME_DESCRIPTORS_MAX) {
                close(fd);
                too_many = true;
            } else {
                reader->descriptors[reader->descriptor_count++] = fd;
            }
        }
    }
    if (too_many)
        return pdk_error_set(err, PDK_INVALID, "descriptors", "the peer sent more than %d descriptors ahead",
            (int)FRAME_DESCRIPTORS_MAX);
    return PDK_OK;
}

pdk_status frame_reader_fill(struct frame_reader *reader, pdk_error *err)
{
    if (!make_room(reader))
        return pdk_error_set(err, PDK_NO_MEMORY, "frame", "no memory to read a frame");
    struct iovec piece = {reader->data + reader->end, reader->room - reader->end};
    union {
        char bytes[CMSG_SPACE(sizeof(int) * FRAME_DESCRIPTORS_MAX)];
        struct cmsghdr align;
    } control;
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t got;
    do
        got = recvmsg(reader->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return PDK_BUSY;
    if (got < 0 && errno != ECONNRESET)
        return pdk_error_errno(err, errno, "socket", "cannot read from the peer");
    if (got <= 0)
        return pdk_error_set(err, PDK_UNAVAILABLE, "socket", "the peer closed its end");
    reader->end += (size_t)got;
    return keep_descriptors(reader, &message, err);
}

static pdk_status check_header(const struct wire_header *header, pdk_error *err)
{
    if (header->magic != WIRE_MAGIC)
        return pdk_error_set(err, PDK_INVALID, "magic", "a frame starts with 0x%08" PRIx32 ", not PDK1", header->magic);
    if (header->length > WIRE_FRAME_MAX)
        return pdk_error_set(err, PDK_INVALID, "length", "a frame of %" PRIu32 " bytes; the limit is %d",
            header->length, (int)WIRE_FRAME_MAX);
    if (header->flags != 0)
        return pdk_error_set(err, PDK_INVALID, "flags", "a frame has flags 0x%04x; none are known", header->flags);
    if (header->descriptors > 1 || (header->descriptors == 1 && header->length != 0))
        return pdk_error_set(err, PDK_INVALID, "descriptors",
            "a frame has %" PRIu32 " descriptors and %" PRIu32 " bytes; it may have one or the other",
            header->descriptors, header->length);
    if (header->descriptors == 1 && header->type != WIRE_REQUEST && header->type != WIRE_PART)
        return pdk_error_set(
            err, PDK_INVALID, "descriptors", "a frame of type %u came with a descriptor", header->type);
    return PDK_OK;
}

/* Maps a memfd that can no longer change. Without all four seals its sender could shrink it and so end this process. */
static pdk_status map_body(int fd, struct frame *frame, pdk_error *err)
{
    const int all = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    int seals = fcntl(fd, F_GET_SEALS);
    struct stat info;
    if (seals < 0 || (seals & all) != all || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
        return pdk_error_set(err, PDK_INVALID, "descriptors", "a frame's body is no memfd with all four seals");
    if (info.st_size <= 0 || info.st_size > WIRE_BODY_MAX)
        return pdk_error_set(err, PDK_INVALID, "descriptors", "a frame's memfd has %lld bytes; the limit is %d",
            (long long)info.st_size, (int)WIRE_BODY_MAX);
    void *mapping = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (mapping == MAP_FAILED)
        return pdk_error_errno(
            err, errno, "descriptors", "cannot map a frame's body of %lld bytes", (long long)info.st_size);
    frame->mapping = mapping;
    frame->body = mapping;
    frame->length = (size_t)info.st_size;
    return PDK_OK;
}

static pdk_status claim_body(struct frame_reader *reader, struct frame *frame, pdk_error *err)
{
    if (reader->descriptor_count == 0)
        return pdk_error_set(err, PDK_INVALID, "descriptors", "a frame's descriptor did not come with it");
    PDK_AUTO_CLOSE int fd = reader->descriptors[0];
    reader->descriptor_count--;
    memmove(reader->descriptors, reader->descriptors + 1, reader->descriptor_count * sizeof(int));
    return map_body(fd, frame, err);
}

pdk_status frame_reader_next(struct frame_reader *reader, struct frame *ret_frame, bool *ret_there, pdk_error *err)
{
    struct wire_header header;
    size_t held = reader->end - reader->start;
    *ret_there = false;
    if (held == 0 && reader->descriptor_count != 0)
        return pdk_error_set(err, PDK_INVALID, "descriptors", "a descriptor came that no frame announced");
    if (held < sizeof header)
        return PDK_OK;
    memcpy(&header, reader->data + reader->start, sizeof header);
    pdk_status status = check_header(&header, err);
    if (status != PDK_OK)
        return status;
    if (held - sizeof header < header.length)
        return PDK_OK;
    struct frame frame = {.type = header.type,
        .id = header.id,
        .body = reader->data + reader->start + sizeof header,
        .length = header.length};
    if (header.descriptors == 1) {
        status = claim_body(reader, &frame, err);
        if (status != PDK_OK)
            return status;
    }
    reader->start += sizeof header + header.length;
    *ret_frame = frame;
    *ret_there = true;
    return PDK_OK;
}
