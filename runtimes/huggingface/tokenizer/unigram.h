/* runtimes/huggingface/tokenizer/unigram.h: SentencePiece's Unigram: the pieces whose scores add up to the most. */
#pragma once

#include "core/base/json.h"
#include "runtimes/huggingface/tokenizer/tokenizer.h"
#include "runtimes/huggingface/tokenizer/vocabulary.h"

struct unigram {
    const struct vocabulary *vocabulary;
    double *scores;
    uint32_t *sorted; /* ids by piece; those that start with byte b: starts[b] to starts[b + 1] */
    size_t count, starts[257];
    double unknown_score;
    size_t longest; /* piece, in bytes */
    uint32_t unknown, bytes[256];
    bool byte_fallback;
};

/* Of the best way to each byte: the last piece, and the sum of its scores, which is kept only as far back as a piece is
 * long. */
struct unigram_work {
    uint32_t *last;
    double *scores;
    size_t room, ring;
};

pdk_status unigram_load(struct unigram *model, struct vocabulary *vocabulary, const struct json *json, pdk_error *err);
void unigram_done(struct unigram *model);
void unigram_work_done(struct unigram_work *work);
pdk_status unigram_encode(const struct unigram *model, struct unigram_work *work, const char *word, size_t length,
    struct token_list *list, pdk_error *err);
