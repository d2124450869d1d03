/* tests/unit/toy_model.h: a model for tests of the engine: the next token is a hash of all tokens before it, as they
 * stand in the cache's blocks. So a wrong block table, a copy not made, or another's block gives wrong tokens. */
#pragma once

#include <paddock/draft/ops.h>
#include <stdlib.h>
#include <string.h>

enum { TOY_VOCABULARY = 1000 };

struct toy_model {
    uint32_t blocks;
    uint32_t *cache; /* [blocks][PDK_KV_BLOCK_TOKENS] token + 1, 0: never written */
    uint64_t steps, rows, copies, most_rows;
    uint32_t fail_at; /* step that fails, 0: none */
};

static inline void toy_model_init(struct toy_model *toy, uint32_t blocks)
{
    *toy = (struct toy_model){.blocks = blocks, .cache = calloc(blocks, PDK_KV_BLOCK_TOKENS * sizeof(uint32_t))};
}

static inline uint64_t toy_mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 29;
}

/* What comes after `count` tokens, drawn with `seed`. */
static inline uint32_t toy_next(const uint32_t *tokens, size_t count, uint64_t seed)
{
    uint64_t hash = 1;
    for (size_t i = 0; i < count; i++)
        hash = toy_mix(hash, tokens[i]);
    hash = toy_mix(hash, seed);
    return (uint32_t)(toy_mix(hash, count) % TOY_VOCABULARY);
}

/* Makes a step; returns false when a row reads what was not written. */
static inline bool toy_step(struct toy_model *toy, const pdk_batch *batch, const uint32_t (*copies)[2],
    size_t copy_count, pdk_sample_row *samples, uint32_t sample_count)
{
    size_t block_bytes = PDK_KV_BLOCK_TOKENS * sizeof(uint32_t);
    toy->steps++;
    toy->rows += batch->row_count;
    toy->copies += copy_count;
    toy->most_rows = batch->row_count > toy->most_rows ? batch->row_count : toy->most_rows;
    for (size_t i = 0; i < copy_count; i++)
        memcpy(toy->cache + copies[i][1] * PDK_KV_BLOCK_TOKENS, toy->cache + copies[i][0] * PDK_KV_BLOCK_TOKENS,
            block_bytes);
    for (uint32_t row = 0; row < batch->row_count; row++) {
        uint32_t sequence = batch->sequence_of[row];
        const uint32_t *table = batch->tables + (size_t)sequence * batch->table_stride;
        uint32_t position = batch->positions[row];
        if (batch->slots[row] !=
                table[position / PDK_KV_BLOCK_TOKENS] * PDK_KV_BLOCK_TOKENS + position % PDK_KV_BLOCK_TOKENS ||
            position >= batch->context_lengths[sequence])
            return false;
        toy->cache[batch->slots[row]] = batch->tokens[row] + 1;
    }
    for (uint32_t i = 0; i < sample_count; i++) {
        uint32_t row = batch->output_rows[samples[i].logits_row], sequence = batch->sequence_of[row];
        const uint32_t *table = batch->tables + (size_t)sequence * batch->table_stride;
        uint64_t hash = 1;
        for (uint32_t at = 0; at <= batch->positions[row]; at++) {
            uint32_t token =
                toy->cache[table[at / PDK_KV_BLOCK_TOKENS] * PDK_KV_BLOCK_TOKENS + at % PDK_KV_BLOCK_TOKENS];
            if (token == 0)
                return false;
            hash = toy_mix(hash, token - 1);
        }
        hash = toy_mix(hash, samples[i].seed);
        if ((samples[i].flags & PDK_SAMPLE_SCORE) == 0)
            samples[i].token = (uint32_t)(toy_mix(hash, batch->positions[row] + 1) % TOY_VOCABULARY);
        samples[i].rank = (int32_t)(batch->positions[row] + 1);
        samples[i].logprob = -(float)samples[i].token;
        samples[i].top_count = samples[i].top_wanted;
        for (uint32_t top = 0; top < samples[i].top_wanted; top++) {
            samples[i].top_tokens[top] = top;
            samples[i].top_logprobs[top] = -1.0f - (float)top;
        }
    }
    return true;
}
