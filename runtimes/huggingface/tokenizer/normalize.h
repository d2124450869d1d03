/* runtimes/huggingface/tokenizer/normalize.h: rewriting text before it is cut: normalizers.
 *
 * The file's steps, flattened into one row. What a step gives is bounded, so that a row of replacements cannot blow up.
 */
#pragma once

#include "core/base/buffer.h"
#include "core/base/json.h"
#include "runtimes/huggingface/tokenizer/regex.h"

#include <stdbool.h>

enum { NORMALIZERS_MAX = 32 };

/* Text and, where `tracked`, a byte for each of its bytes: 1 where a plain text (a user's) came in. */
struct marked_text {
    struct buffer text, marks;
    bool tracked;
};

void marked_text_done(struct marked_text *text);
void marked_text_put(struct marked_text *text, const char *bytes, size_t length, char mark);

struct normalizer;

/* One step: all of `in` appended to the empty `out`, which may grow to `limit` bytes. PDK_NO_MEMORY, PDK_TOO_LARGE */
typedef pdk_status normalizer_apply(
    const struct normalizer *step, const struct marked_text *in, struct marked_text *out, size_t limit, pdk_error *err);

struct normalizer {
    normalizer_apply *apply;
    int form; /* of Unicode: utf8proc's options */
    bool (*drop)(uint32_t code);
    uint32_t (*map)(uint32_t code);
    struct regex *regex; /* Replace: this or `from` */
    char *from, *to;
    size_t from_length, to_length;
    bool left, right;       /* Strip */
    bool spaced_ideographs; /* BertNormalizer */
    struct charsmap *charsmap;
};

struct normalizers {
    struct normalizer *steps;
    size_t count, room;
};

pdk_status normalizers_load(struct normalizers *steps, const struct json *json, pdk_error *err);
void normalizers_done(struct normalizers *steps);
/* Rewrites *text; `other` is used up. `whole`: the length of the whole request's text, which bounds the growth. */
pdk_status normalizers_apply(
    const struct normalizers *steps, struct marked_text *text, struct marked_text *other, size_t whole, pdk_error *err);

/* The steps, by file. */
normalizer_apply normalize_form, normalize_lowercase, normalize_chars, normalize_strip, normalize_prepend,
    normalize_replace, normalize_charsmap;
/* PDK_NO_MEMORY or PDK_TOO_LARGE when `out` is broken or too long. */
pdk_status normalize_check(const struct marked_text *out, size_t limit, pdk_error *err);

/* SentencePiece's precompiled map, as base64. */
struct charsmap;
pdk_status charsmap_load(const char *base64, size_t length, struct charsmap **ret_map, pdk_error *err);
/* From its bytes, as a GGUF has them. */
pdk_status charsmap_new(const void *bytes, size_t length, struct charsmap **ret_map, pdk_error *err);
struct charsmap *charsmap_free(struct charsmap *map);
