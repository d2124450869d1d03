/* core/gateway/framing.h: where a request's body ends, while it passes by. */
#pragma once

#include "core/gateway/head.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum framing_state {
    FRAMING_DATA,    /* of a body with a length, or of a chunk */
    FRAMING_DATA_CR, /* behind a chunk's data */
    FRAMING_DATA_LF,
    FRAMING_SIZE, /* a chunk's size */
    FRAMING_SIZE_LF,
    FRAMING_LAST_CR, /* behind the last chunk: no trailers */
    FRAMING_LAST_LF,
    FRAMING_DONE
};

struct framing {
    enum framing_state state;
    bool chunked;
    uint8_t digits;
    uint64_t left;   /* of this chunk, or of all */
    uint64_t chunks; /* so far */
    uint64_t bytes;  /* of chunks' data so far */
};

struct framing framing_of(const struct head *head);
/* Takes what belongs to the body off the front of `data`; *ret_used bytes do. False: malformed, or chunks so small that
 * their heads outweigh them (thousands of chunks of under 16 bytes each). */
bool framing_take(struct framing *framing, const char *data, size_t length, size_t *ret_used);
