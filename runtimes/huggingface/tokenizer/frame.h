/* runtimes/huggingface/tokenizer/frame.h: the special tokens that stand before and behind a text: post-processors. */
#pragma once

#include "core/base/json.h"
#include "runtimes/huggingface/tokenizer/tokenizer.h"

enum { FRAME_MAX = 64 };

struct frame {
    uint32_t before[FRAME_MAX], behind[FRAME_MAX];
    size_t before_count, behind_count;
};

/* `json`: the post_processor of a tokenizer.json, or NULL; ids must be below `size`. */
pdk_status frame_load(struct frame *frame, const struct json *json, size_t size, pdk_error *err);
/* Puts ids around what is there. */
pdk_status frame_add(struct frame *frame, const uint32_t *before, size_t before_count, const uint32_t *behind,
    size_t behind_count, pdk_error *err);
