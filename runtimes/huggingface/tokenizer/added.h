/* runtimes/huggingface/tokenizer/added.h: tokens that are found in the text as they stand, before anything else: the
 * longest at the leftmost place. */
#pragma once

#include "core/base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ADDED_LENGTH_MAX = 512, ADDED_MAX = 1 << 20 };

struct added_token {
    char *text;
    size_t length;
    uint32_t id;
    bool special, single_word, left, right; /* left, right: takes the white space there too */
};

struct added_tokens {
    struct added_token *tokens; /* sorted by text, once ready */
    size_t count, room;
    size_t starts[257];
};

/* PDK_INVALID: empty or over the limits. `text` is copied. */
pdk_status added_tokens_add(
    struct added_tokens *tokens, const char *text, size_t length, const struct added_token *token, pdk_error *err);
void added_tokens_ready(struct added_tokens *tokens);
void added_tokens_done(struct added_tokens *tokens);

/* Whether a special token may stand at [start, end) of the text. */
struct added_filter {
    bool (*allows)(const void *context, size_t start, size_t end);
    const void *context;
};

/* The first token at or behind `from`. */
const struct added_token *added_tokens_find(const struct added_tokens *tokens, const char *text, size_t length,
    size_t from, const struct added_filter *filter, size_t *ret_start, size_t *ret_end);
