/* runtimes/huggingface/tokenizer/bpe.h: byte-pair encoding: the pair with the lowest rank is joined first, the leftmost
 * among equals. O(n log n) in time; 13 bytes a symbol of memory. */
#pragma once

#include "core/base/json.h"
#include "runtimes/huggingface/model/gguf.h"
#include "runtimes/huggingface/tokenizer/tokenizer.h"
#include "runtimes/huggingface/tokenizer/vocabulary.h"

#define BPE_NONE UINT32_MAX

/* Where a pair's merge is looked for first. */
#define bpe_slot(bpe, pair) (((pair) * (bpe)->seed >> 20) & ((bpe)->room - 1))

struct merge {
    uint64_t pair; /* left << 32 | right */
    uint32_t rank, id;
};

struct bpe {
    const struct vocabulary *vocabulary;
    struct merge *merges; /* open addressing; id BPE_NONE is free */
    size_t room, count;
    uint64_t seed;
    uint32_t bytes[256]; /* piece of each byte: of GPT-2's alphabet, or <0xNN>; BPE_NONE */
    uint32_t unknown;
    struct buffer whole; /* of a merge, while loading */
    bool spelled, byte_fallback, fuse_unknown, whole_words;
};

/* Candidates in order, of which those from `at` to `end` wait; before them, `pushed` new ones of which none is below
 * `least`. */
struct candidate_row {
    bool active;
    size_t at, end, pushed;
    uint64_t least;
};

/* Memory of one encoding, kept from word to word. */
struct bpe_work {
    uint32_t *symbols;
    uint64_t *starts, *heap;
    size_t symbol_room, start_room, heap_room, heap_count;
    struct candidate_row row;
    struct buffer spelled;
    bool failed; /* out of memory */
};

/* `spelled`: words come as bytes and the vocabulary is in GPT-2's alphabet. */
pdk_status bpe_load(
    struct bpe *bpe, const struct vocabulary *vocabulary, const struct json *json, bool spelled, pdk_error *err);
void bpe_done(struct bpe *bpe);
/* Building one by hand: first init (`merges`: how many are expected), then a merge for each pair. */
pdk_status bpe_init(struct bpe *bpe, const struct vocabulary *vocabulary, size_t merges, bool spelled, pdk_error *err);
/* PDK_INVALID: a part or the whole is no token. */
pdk_status bpe_add_merge(struct bpe *bpe, uint32_t rank, const char *left, size_t left_length, const char *right,
    size_t right_length, pdk_error *err);
/* By ids. */
pdk_status bpe_put_merge(struct bpe *bpe, uint32_t rank, uint32_t left, uint32_t right, uint32_t id, pdk_error *err);
/* The text "LEFT RIGHT". */
pdk_status bpe_add_merge_line(struct bpe *bpe, uint32_t rank, const char *line, size_t length, pdk_error *err);

void bpe_work_done(struct bpe_work *work);
pdk_status bpe_encode(const struct bpe *bpe, struct bpe_work *work, const char *word, size_t length,
    struct token_list *list, pdk_error *err);
