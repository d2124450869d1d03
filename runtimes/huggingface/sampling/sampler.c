/* See the header. Counts are kept for requests with penalties only: prompt tokens for the repetition penalty, output
 * tokens for all three. */
#include "config.h"

#include "runtimes/huggingface/sampling/sampler.h"

#include "core/base/error.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static bool has_penalties(const struct sampling_rules *rules)
{
    return rules->repetition_penalty != 1 || rules->frequency_penalty != 0 || rules->presence_penalty != 0;
}

static pdk_token_count *count_of(struct sampler *sampler, uint32_t token)
{
    uint32_t at = (token * 2654435761u) & sampler->index_mask;
    while (sampler->index[at] != UINT32_MAX && sampler->counts[sampler->index[at]].token != token)
        at = (at + 1) & sampler->index_mask;
    if (sampler->index[at] == UINT32_MAX) {
        assert(sampler->count_count < sampler->count_room);
        sampler->index[at] = sampler->count_count;
        sampler->counts[sampler->count_count++] = (pdk_token_count){.token = token};
    }
    return &sampler->counts[sampler->index[at]];
}

static pdk_status make_counts(
    struct sampler *sampler, const uint32_t *tokens, uint32_t total, uint32_t limit, pdk_error *err)
{
    sampler->count_room = limit < sampler->rules->vocabulary ? limit : sampler->rules->vocabulary;
    size_t places = 16;
    while (places < 2 * (size_t)sampler->count_room)
        places *= 2;
    sampler->index_mask = (uint32_t)(places - 1);
    sampler->counts = calloc(sampler->count_room, sizeof *sampler->counts);
    sampler->index = calloc(places, sizeof *sampler->index);
    if (sampler->counts == NULL || sampler->index == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the counts of %u tokens", (unsigned)limit);
    memset(sampler->index, 0xFF, places * sizeof *sampler->index);
    if (sampler->rules->repetition_penalty != 1)
        for (uint32_t i = 0; i < sampler->prompt_count; i++)
            count_of(sampler, tokens[i])->in_prompt = 1;
    for (uint32_t i = sampler->prompt_count; i < total; i++)
        count_of(sampler, tokens[i])->in_output++;
    return PDK_OK;
}

pdk_status sampler_init(struct sampler *sampler, const struct sampling_rules *rules, uint64_t seed,
    const uint32_t *tokens, uint32_t prompt_count, uint32_t total, uint32_t limit, pdk_error *err)
{
    *sampler = (struct sampler){.rules = rules, .seed = seed, .prompt_count = prompt_count};
    size_t banned = rules->withheld_count + rules->bad_count;
    if (banned != 0) {
        sampler->banned = calloc(banned, sizeof *sampler->banned);
        if (sampler->banned == NULL)
            return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the tokens that may not come");
    }
    return has_penalties(rules) ? make_counts(sampler, tokens, total, limit, err) : PDK_OK;
}

void sampler_done(struct sampler *sampler)
{
    free(sampler->counts);
    free(sampler->index);
    free(sampler->banned);
    memset(sampler, 0, sizeof *sampler);
}

void sampler_add(struct sampler *sampler, uint32_t token)
{
    if (sampler->counts != NULL)
        count_of(sampler, token)->in_output++;
}

/* Whether the output so far ends in all but the last token of `word`. Only output counts, not the prompt. */
static bool would_complete(
    const uint32_t *tokens, uint32_t total, uint32_t prompt_count, const uint32_t *word, size_t length)
{
    size_t before = length - 1;
    return total - prompt_count >= before && memcmp(tokens + total - before, word, before * sizeof *word) == 0;
}

const uint32_t *sampler_banned(
    struct sampler *sampler, const uint32_t *tokens, uint32_t total, size_t *ret_words, size_t *ret_count)
{
    const struct sampling_rules *rules = sampler->rules;
    size_t count = 0, start = 0;
    for (size_t i = 0; i < rules->bad_count; start = rules->bad_ends[i++])
        if (would_complete(tokens, total, sampler->prompt_count, rules->bad_tokens + start, rules->bad_ends[i] - start))
            sampler->banned[count++] = rules->bad_tokens[rules->bad_ends[i] - 1];
    *ret_words = count;
    if (total - sampler->prompt_count < rules->min_tokens) {
        for (size_t i = 0; i < rules->withheld_count; i++)
            sampler->banned[count++] = rules->withheld[i];
    }
    *ret_count = count;
    return sampler->banned;
}

void sampler_draw(struct sampler *sampler, const uint32_t *tokens, uint32_t total, pdk_sample_row *row)
{
    const struct sampling_rules *rules = sampler->rules;
    size_t words, banned_count;
    const uint32_t *banned = sampler_banned(sampler, tokens, total, &words, &banned_count);
    *row = (pdk_sample_row){
        .flags = rules->row_flags,
        .temperature = rules->temperature,
        .top_p = rules->top_p,
        .min_p = rules->min_p,
        .repetition_penalty = rules->repetition_penalty,
        .frequency_penalty = rules->frequency_penalty,
        .presence_penalty = rules->presence_penalty,
        .top_k = rules->top_k,
        .top_wanted = rules->wants_logprobs ? rules->top_wanted : 0,
        .seed = sampler->seed,
        .counter = total,
        .counts = sampler->counts,
        .count_count = sampler->count_count,
        .biases = rules->biases,
        .bias_count = rules->bias_count,
        .banned = banned,
        .banned_count = banned_count,
        .allowed = rules->allowed,
        .report = rules->report,
        .report_count = rules->report_count,
    };
}

void sampler_score(const struct sampler *sampler, uint32_t token, pdk_sample_row *row)
{
    *row = (pdk_sample_row){
        .flags = sampler->rules->score_flags,
        .top_p = 1,
        .repetition_penalty = 1,
        .top_wanted = sampler->rules->prompt_top_wanted,
        .token = token,
    };
}
