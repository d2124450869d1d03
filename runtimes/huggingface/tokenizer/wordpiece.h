/* runtimes/huggingface/tokenizer/wordpiece.h: BERT's words: the longest piece from the left, again and again. */
#pragma once

#include "core/base/json.h"
#include "runtimes/huggingface/tokenizer/tokenizer.h"
#include "runtimes/huggingface/tokenizer/vocabulary.h"

struct wordpiece {
    const struct vocabulary *vocabulary;
    char prefix[16], start[16]; /* of a piece that goes on; of one that starts a word */
    size_t prefix_length, start_length, longest, chars_max;
    uint32_t unknown;
};

/* By hand: `start` and `prefix` of fewer than 16 bytes. */
pdk_status wordpiece_init(struct wordpiece *model, const struct vocabulary *vocabulary, uint32_t unknown,
    const char *start, const char *prefix, pdk_error *err);
pdk_status wordpiece_load(
    struct wordpiece *model, const struct vocabulary *vocabulary, const struct json *json, pdk_error *err);
pdk_status wordpiece_encode(
    const struct wordpiece *model, const char *word, size_t length, struct token_list *list, pdk_error *err);
