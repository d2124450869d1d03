/* runtimes/huggingface/tokenizer/frame.h: the special tokens that stand around a text, or around and between the two of
 * a pair: post-processors. */
#pragma once

#include "core/base/json.h"
#include "runtimes/huggingface/tokenizer/tokenizer.h"

enum { FRAME_MAX = 64 };

enum frame_kind { FRAME_TOKEN, FRAME_FIRST, FRAME_SECOND }; /* a special token, or one of the pair's texts */

struct frame_item {
    enum frame_kind kind;
    uint32_t id;  /* of FRAME_TOKEN */
    uint8_t type; /* of its tokens: 0 or 1 as a rule */
};

struct frame {
    uint32_t before[FRAME_MAX], behind[FRAME_MAX];
    size_t before_count, behind_count;
    struct frame_item pair[FRAME_MAX]; /* both texts once each; nothing: one text behind the other */
    size_t pair_count;
};

/* `json`: the post_processor of a tokenizer.json, or NULL; ids must be below `size`. */
pdk_status frame_load(struct frame *frame, const struct json *json, size_t size, pdk_error *err);
/* Puts ids around what is there. */
pdk_status frame_add(struct frame *frame, const uint32_t *before, size_t before_count, const uint32_t *behind,
    size_t behind_count, pdk_error *err);
/* [before] first [behind] ([behind] where `twice`) second [behind], as BERT's and RoBERTa's pairs; -1: no such token.
 * `type`: of what stands behind the first text and its token. */
void frame_set_pair(struct frame *frame, int64_t before, int64_t behind, bool twice, uint8_t type);
