/* runtimes/huggingface/tools/deltas.h: what the parsed text of an answer came to, in stretches: reasoning, content, the
 * names and arguments of calls. Neighbours of a kind are one stretch, so that the list does not depend on how the text
 * arrived. */
#pragma once

#include "core/base/buffer.h"

#include <paddock/draft/request.h>
#include <stdint.h>

enum { CALL_ID_BYTES = 64 };

struct delta {
    int32_t kind; /* PDK_DELTA_… */
    uint32_t call;
    size_t length;          /* of its text, which follows that of the stretch before */
    char id[CALL_ID_BYTES]; /* of a call, "" mostly */
};

struct deltas {
    struct delta *list;
    size_t count, room;
    struct buffer text;
    pdk_delta *shown; /* what deltas_show gave */
    size_t shown_room;
    bool failed; /* out of memory */
};

void deltas_done(struct deltas *deltas);
void deltas_clear(struct deltas *deltas);
/* Adds text of CONTENT, REASONING or ARGUMENTS; nothing for none. */
void deltas_put(struct deltas *deltas, int32_t kind, uint32_t call, const char *text, size_t length);
/* A call begins. `id`: "" or the format's own, cut to CALL_ID_BYTES - 1. */
void deltas_call(struct deltas *deltas, uint32_t call, const char *name, size_t length, const char *id);
/* The stretches as a part carries them; valid until the next change. NULL after a failure. */
const pdk_delta *deltas_show(struct deltas *deltas);
/* Whether memory ran out. */
bool deltas_failed(const struct deltas *deltas);
