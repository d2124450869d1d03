/* All memory that a request needs while it runs is taken here, by the front, so that no step allocates. Token arrays
 * are as long as the answer may become; the kernel gives pages as they are written. */
#include "config.h"

#include "runtimes/huggingface/engine/generation.h"

#include "core/base/error.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Entries of log probabilities that one request may hold: 128 MiB. */
static const size_t entries_max = (size_t)16 << 20;

static pdk_status no_memory(pdk_error *err)
{
    return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the request");
}

/* Lays out `count` results with `top` alternatives and `report` further ids in one block of memory. */
static pdk_status lay_out(
    struct drawn *drawn, size_t count, size_t top, size_t report, void **ret_memory, pdk_error *err)
{
    size_t each = top + report, entries, bytes;
    if (each == 0)
        return PDK_OK;
    if (__builtin_mul_overflow(count, each, &entries) || entries > entries_max)
        return pdk_error_set(err, PDK_INVALID, NULL,
            "%zu log probabilities at %zu positions are more than the %zu that a request may have", each, count,
            entries_max);
    if (__builtin_mul_overflow(entries, sizeof(uint32_t) + sizeof(float), &bytes))
        return no_memory(err);
    uint32_t *words = malloc(bytes);
    if (words == NULL)
        return no_memory(err);
    *ret_memory = words;
    for (size_t i = 0; i < count; i++) {
        uint32_t *at = words + i * 2 * each;
        drawn[i].top_tokens = at;
        drawn[i].top_logprobs = (float *)(at + top);
        drawn[i].report_ranks = (int32_t *)(at + 2 * top);
        drawn[i].report_logprobs = (float *)(at + 2 * top + report);
    }
    return PDK_OK;
}

static pdk_status init_choice(
    struct generation *generation, uint32_t index, const struct generation_spec *spec, pdk_error *err)
{
    struct choice *choice = &generation->choices[index];
    const struct sampling_rules *rules = &generation->rules;
    uint32_t total = spec->prompt_count + spec->produced_count;
    uint32_t *tokens = calloc(spec->limit, sizeof *tokens);
    if (tokens == NULL)
        return no_memory(err);
    memcpy(tokens, spec->prompts != NULL ? spec->prompts[index] : spec->prompt, spec->prompt_count * sizeof *tokens);
    if (spec->produced_count > 0)
        memcpy(tokens + spec->prompt_count, spec->produced, spec->produced_count * sizeof *tokens);
    choice->sequence = (struct sequence){
        .tokens = tokens,
        .prompt_count = spec->prompt_count,
        .limit = spec->limit,
        .scores = rules->wants_prompt_logprobs && index == 0,
        .priority = spec->priority,
        .tenant = spec->tenant,
        .salt = spec->salt,
        .leader = index > 0 && spec->prompts == NULL ? &generation->choices[0].sequence : NULL,
        .total = total,
    };
    choice->generation = generation;
    atomic_init(&choice->published, total);
    atomic_init(&choice->consumed, total);
    atomic_init(&choice->dropped, false);
    atomic_init(&choice->ended, false);
    pdk_status status =
        sampler_init(&choice->sampler, rules, spec->seed + index, tokens, spec->prompt_count, total, spec->limit, err);
    if (status == PDK_OK)
        status = guiding_init(&choice->guiding, spec->guide, &choice->sampler, tokens, spec->prompt_count, total, err);
    if (status != PDK_OK)
        return status;
    return lay_out(choice->results, RESULTS_HELD, rules->wants_logprobs ? rules->top_wanted : 0, rules->report_count,
        &choice->result_memory, err);
}

pdk_status generation_init(struct generation *generation, const struct generation_spec *spec, pdk_error *err)
{
    assert(spec->prompt_count > 0 && spec->choices > 0 && spec->prompt_count + spec->produced_count <= spec->limit);
    generation->prompt_count = spec->prompt_count;
    generation->choices = calloc(spec->choices, sizeof *generation->choices);
    if (generation->choices == NULL)
        return no_memory(err);
    generation->choice_count = spec->choices;
    pdk_status status = PDK_OK;
    for (uint32_t i = 0; i < spec->choices && status == PDK_OK; i++)
        status = init_choice(generation, i, spec, err);
    if (status != PDK_OK || !generation->rules.wants_prompt_logprobs || spec->prompt_count == 1)
        return status;
    generation->scores = calloc(spec->prompt_count - 1, sizeof *generation->scores);
    if (generation->scores == NULL)
        return no_memory(err);
    return lay_out(generation->scores, spec->prompt_count - 1, generation->rules.prompt_top_wanted, 0,
        &generation->score_memory, err);
}

static pdk_status init_pooling_choice(
    struct generation *generation, uint32_t index, const struct pooling_spec *spec, pdk_error *err)
{
    struct choice *choice = &generation->choices[index];
    const struct pooled_prompt *prompt = &spec->prompts[index];
    uint32_t *tokens = calloc(prompt->count, sizeof *tokens);
    choice->types = prompt->types != NULL ? calloc(prompt->count, 1) : NULL;
    choice->sequence = (struct sequence){
        .tokens = tokens,
        .prompt_count = prompt->count,
        .limit = prompt->count,
        .pools = true,
        .whole = spec->rows != POOL_LAST,
        .types = choice->types,
        .priority = spec->priority,
        .tenant = spec->tenant,
        .salt = spec->salt,
        .total = prompt->count,
    };
    if (tokens == NULL || (prompt->types != NULL && choice->types == NULL))
        return no_memory(err);
    memcpy(tokens, prompt->tokens, prompt->count * sizeof *tokens);
    if (prompt->types != NULL)
        memcpy(choice->types, prompt->types, prompt->count);
    choice->generation = generation;
    atomic_init(&choice->published, prompt->count);
    atomic_init(&choice->consumed, prompt->count);
    atomic_init(&choice->dropped, false);
    atomic_init(&choice->ended, false);
    return pooled_init(&choice->pooled, spec->rows, spec->columns, prompt->count, err);
}

pdk_status generation_init_pooling(struct generation *generation, const struct pooling_spec *spec, pdk_error *err)
{
    assert(spec->prompt_count > 0 && spec->columns > 0);
    generation->choices = calloc(spec->prompt_count, sizeof *generation->choices);
    if (generation->choices == NULL)
        return no_memory(err);
    generation->choice_count = spec->prompt_count;
    pdk_status status = PDK_OK;
    for (uint32_t i = 0; i < spec->prompt_count && status == PDK_OK; i++) {
        generation->prompt_count += spec->prompts[i].count;
        status = init_pooling_choice(generation, i, spec, err);
    }
    return status;
}

void generation_done(struct generation *generation)
{
    for (uint32_t i = 0; i < generation->choice_count; i++) {
        struct choice *choice = &generation->choices[i];
        free(choice->sequence.tokens);
        free(choice->result_memory);
        free(choice->types);
        pooled_done(&choice->pooled);
        guiding_done(&choice->guiding);
        sampler_done(&choice->sampler);
    }
    free(generation->choices);
    free(generation->scores);
    free(generation->score_memory);
    rules_done(&generation->rules);
    memset(generation, 0, sizeof *generation);
}
