/* runtimes/huggingface/sampling/sampler.h: what one choice has seen so far, and the pdk_sample_row of its next draw.
 * All memory is taken by sampler_init; a step adds to it without allocating. A row depends on the tokens alone, so that
 * a preempted choice goes on as if nothing had happened. */
#pragma once

#include "runtimes/huggingface/sampling/rules.h"

struct sampler {
    const struct sampling_rules *rules; /* borrowed */
    uint64_t seed;
    uint32_t prompt_count;
    pdk_token_count *counts; /* NULL: no penalty asks for them */
    uint32_t *index;         /* token → place in counts, open addressing; UINT32_MAX: empty */
    uint32_t count_count, count_room, index_mask;
    uint32_t *banned; /* of the next draw */
};

/* `tokens`: the prompt and what was produced before, `total` in all; at most `limit` will come to be. Choice i of a
 * seeded request draws with seed + i. PDK_NO_MEMORY */
pdk_status sampler_init(struct sampler *sampler, const struct sampling_rules *rules, uint64_t seed,
    const uint32_t *tokens, uint32_t prompt_count, uint32_t total, uint32_t limit, pdk_error *err);
void sampler_done(struct sampler *sampler);
/* A token was produced. */
void sampler_add(struct sampler *sampler, uint32_t token);
/* Tokens that may not come next: the ends of bad words, *ret_words of them, then those withheld before min_tokens.
 * Borrowed until the sampler's next use. */
const uint32_t *sampler_banned(
    struct sampler *sampler, const uint32_t *tokens, uint32_t total, size_t *ret_words, size_t *ret_count);
/* Fills `row` for the draw of tokens[total]; the caller sets logits_row and where the results go. Lists are borrowed
 * until the sampler's next use. */
void sampler_draw(struct sampler *sampler, const uint32_t *tokens, uint32_t total, pdk_sample_row *row);
/* Fills `row` to report on `token` as it stands in the prompt. */
void sampler_score(const struct sampler *sampler, uint32_t token, pdk_sample_row *row);
