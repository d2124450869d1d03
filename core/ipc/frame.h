/* core/ipc/frame.h: frames out of a socket and into it, for both ends.
 *
 * The writer gathers frames and sends them in as few calls as the socket allows; the reader takes as many as lie ready.
 * Neither ever blocks. Not thread-safe: whoever owns one holds its lock. */
#pragma once

#include "core/base/buffer.h"
#include "core/ipc/wire.h"

#include <paddock/abi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A frame as it was read. `body` is borrowed until the reader's next call, or until frame_done if it came as a memfd.
 */
struct frame {
    enum wire_type type;
    uint64_t id;
    const uint8_t *body;
    size_t length;
    void *mapping; /* the memfd's, or NULL */
};

void frame_done(struct frame *frame); /* unmaps; for PDK_CLEANUP too */

enum { FRAME_DESCRIPTORS_MAX = 16 };

struct frame_reader {
    int fd; /* borrowed */
    uint8_t *data;
    size_t start, end, room;
    int descriptors[FRAME_DESCRIPTORS_MAX]; /* came, and not yet claimed by a header */
    unsigned descriptor_count;
};

void frame_reader_init(struct frame_reader *reader, int fd);
void frame_reader_done(struct frame_reader *reader);
/* Reads what the socket has, once. PDK_BUSY: nothing now. PDK_UNAVAILABLE: the peer closed. */
pdk_status frame_reader_fill(struct frame_reader *reader, pdk_error *err);
/* Takes the next whole frame; *ret_there is false when there is none. PDK_INVALID: the stream breaks the protocol. */
pdk_status frame_reader_next(struct frame_reader *reader, struct frame *ret_frame, bool *ret_there, pdk_error *err);

struct frame_mark {
    size_t offset; /* of a header whose body is `fd` */
    int fd;
};

struct frame_writer {
    struct buffer bytes;
    size_t sent; /* of bytes */
    struct frame_mark *marks;
    size_t mark_count, mark_room, mark_next;
};

void frame_writer_done(struct frame_writer *writer);
/* Starts a frame; its body is what the caller then puts into writer->bytes, up to frame_end. Returns where it starts.
 */
size_t frame_begin(struct frame_writer *writer, enum wire_type type, uint64_t id);
/* Ends it, or takes it back after a failure (PDK_NO_MEMORY, PDK_TOO_LARGE, PDK_IO). */
pdk_status frame_end(struct frame_writer *writer, size_t start, pdk_error *err);
void frame_abort(struct frame_writer *writer, size_t start);
/* A whole frame at once. */
pdk_status frame_put(
    struct frame_writer *writer, enum wire_type type, uint64_t id, const void *body, size_t length, pdk_error *err);
/* Appends all that `from`, of which nothing was sent, holds, and empties it. On failure nothing moved. */
pdk_status frame_writer_move(struct frame_writer *to, struct frame_writer *from, pdk_error *err);
bool frame_writer_pending(const struct frame_writer *writer);
/* Sends what the socket takes. PDK_BUSY: some is left. PDK_UNAVAILABLE: the peer is gone. */
pdk_status frame_writer_flush(struct frame_writer *writer, int fd, pdk_error *err);
