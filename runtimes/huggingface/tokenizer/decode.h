/* runtimes/huggingface/tokenizer/decode.h: from pieces back to text: decoders. */
#pragma once

#include "core/base/buffer.h"
#include "core/base/json.h"

enum { DECODERS_MAX = 32 };

/* A list of texts: the i-th ends at ends[i]. */
struct texts {
    struct buffer bytes;
    size_t *ends;
    size_t count, room;
};

void texts_done(struct texts *texts);
void texts_clear(struct texts *texts);
pdk_string texts_at(const struct texts *texts, size_t index);
/* Ends the text that was put into `bytes` since the last one. False: out of memory. */
bool texts_end(struct texts *texts);

struct decoder;
typedef bool decoder_apply(
    const struct decoder *decoder, const struct texts *in, struct texts *out); /* false: no memory */

struct decoder {
    decoder_apply *apply;
    char *from, *to;
    size_t from_length, to_length;
    size_t left, right; /* Strip: how many at most */
    bool skip_first, clean_up;
};

struct decoders {
    struct decoder *steps;
    size_t count, room;
};

pdk_status decoders_load(struct decoders *decoders, const struct json *json, pdk_error *err);
void decoders_done(struct decoders *decoders);
/* Rewrites *texts step by step; `other` is used up. */
pdk_status decoders_apply(const struct decoders *decoders, struct texts *texts, struct texts *other, pdk_error *err);

decoder_apply decode_byte_level, decode_replace, decode_byte_fallback, decode_fuse, decode_strip, decode_metaspace,
    decode_wordpiece, decode_bpe;
