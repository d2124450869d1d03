/* See the header. */
#include "config.h"

#include "runtimes/huggingface/engine/guiding.h"

#include "core/base/clock.h"
#include "core/base/error.h"

#include <stdlib.h>
#include <string.h>

static bool is_set(const uint64_t *bits, uint32_t token)
{
    return (bits[token / 64] >> token % 64 & 1) != 0;
}

static void set(uint64_t *bits, uint32_t token)
{
    bits[token / 64] |= UINT64_C(1) << token % 64;
}

static void unset(uint64_t *bits, uint32_t token)
{
    bits[token / 64] &= ~(UINT64_C(1) << token % 64);
}

static bool is_empty(const struct guiding *guiding)
{
    for (uint32_t i = 0; i < guiding->words; i++)
        if (guiding->allowed[i] != 0)
            return false;
    return true;
}

/* Whether the tokens end in the mark. */
static bool ends_in(const uint32_t *tokens, uint32_t total, const uint32_t *mark, uint32_t count)
{
    return count != 0 && count <= total && memcmp(tokens + total - count, mark, count * sizeof *mark) == 0;
}

enum mark { MARK_NONE, MARK_START, MARK_END };

/* The mark of reasoning that the tokens end in. */
static enum mark mark_at(const struct sampling_model *model, const uint32_t *tokens, uint32_t total)
{
    if (ends_in(tokens, total, model->think_end, model->think_end_count))
        return MARK_END;
    return ends_in(tokens, total, model->think_start, model->think_start_count) ? MARK_START : MARK_NONE;
}

/* Looks at the next token drawn for the marks of reasoning. */
static void look(struct guiding *guiding, const struct sampling_model *model, const uint32_t *tokens)
{
    uint32_t total = ++guiding->seen;
    switch (mark_at(model, tokens, total)) {
    case MARK_END:
        if (guiding->waits)
            guiding->walked = total;
        guiding->thinking = guiding->waits = false;
        break;
    case MARK_START:
        guiding->thinking = true;
        guiding->thought = 0;
        guiding->waits |= guiding->may_think;
        break;
    case MARK_NONE: guiding->thought += guiding->thinking; break;
    }
    guiding->may_think = false;
}

/* The last mark in the prompt says whether reasoning is open. An end far from the prompt's own is that of an earlier
 * answer. Where the prompt says nothing, reasoning may begin with the first token; or, if that is no one token, it is
 * taken to be to come. */
static void look_at_prompt(
    struct guiding *guiding, const struct sampling_rules *rules, const uint32_t *tokens, uint32_t prompt_count)
{
    const struct sampling_model *model = rules->model;
    enum { NEAR = 4 };
    enum mark last = MARK_NONE;
    uint32_t at = prompt_count;
    for (; at > 0 && last == MARK_NONE && model->think_end_count > 0; at -= last == MARK_NONE)
        last = mark_at(model, tokens, at);
    if (last == MARK_END && prompt_count - at > NEAR)
        last = MARK_NONE;
    guiding->seen = guiding->walked = prompt_count;
    bool told = rules->reasoning != RULES_REASONING_BY_PROMPT;
    if (model->think_end_count == 0 || (last == MARK_END && !told) || rules->reasoning == RULES_NO_REASONING)
        return;
    guiding->thinking = told ? rules->reasoning == RULES_REASONING_OPEN : last == MARK_START || model->think_open;
    guiding->thought = guiding->thinking && last == MARK_START ? prompt_count - at : 0;
    guiding->may_think = !guiding->thinking && model->think_start_count == 1;
    guiding->waits = !guiding->may_think;
}

/* Reasoning has had its tokens: the next one of its end's mark. -1: none is due. */
static int64_t token_due(struct guiding *guiding, const struct sampling_rules *rules, const uint32_t *tokens)
{
    const struct sampling_model *model = rules->model;
    if (rules->thinking_budget < 0 || !guiding->thinking || (int64_t)guiding->thought < rules->thinking_budget)
        return -1;
    uint32_t begun = model->think_end_count - 1; /* what was drawn may have begun the mark */
    while (begun > 0 && !ends_in(tokens, guiding->seen, model->think_end, begun))
        begun--;
    return model->think_end[begun];
}

static enum guiding_result fail(struct guiding *guiding, const char *why)
{
    pdk_error_set(&guiding->error, PDK_INVALID, NULL, "structured output: %s", why);
    return GUIDING_FAILED;
}

/* The guide's mask without what else may not come. Ends that min_tokens withholds come back where nothing else is left;
 * with ignore_eos they are no way on, and a text that can only end is over. */
static enum guiding_result combine(
    struct guiding *guiding, struct sampler *sampler, const uint32_t *tokens, uint32_t total)
{
    const struct sampling_rules *rules = sampler->rules;
    const uint64_t *mask = guiding->mask;
    for (uint32_t i = 0; i < guiding->words; i++)
        guiding->allowed[i] = mask[i] & (rules->allowed != NULL ? rules->allowed[i] : UINT64_MAX);
    if (guiding->may_think && total == sampler->prompt_count)
        set(guiding->allowed, rules->model->think_start[0]);
    for (uint32_t i = 0; rules->eos < 0 && i < rules->model->eos_count; i++)
        unset(guiding->allowed, rules->model->eos_ids[i]);
    size_t words, count;
    const uint32_t *banned = sampler_banned(sampler, tokens, total, &words, &count);
    for (size_t i = 0; i < count; i++)
        unset(guiding->allowed, banned[i]);
    guiding->limits = true;
    if (!is_empty(guiding))
        return GUIDING_READY;
    if (rules->eos < 0 && guide_walker_may_end(guiding->walker))
        return GUIDING_OVER;
    for (size_t i = words; i < count; i++)
        if (is_set(mask, banned[i]) && (rules->allowed == NULL || is_set(rules->allowed, banned[i])))
            set(guiding->allowed, banned[i]);
    if (!is_empty(guiding))
        return GUIDING_READY;
    return guide_walker_may_end(guiding->walker) && rules->model->eos_count == 0
               ? GUIDING_OVER
               : fail(guiding, "no token of the vocabulary may come next");
}

static enum guiding_result walk_on(
    struct guiding *guiding, struct sampler *sampler, const uint32_t *tokens, uint32_t total, bool quick)
{
    for (; guiding->walked < total; guiding->walked++) {
        uint32_t token = tokens[guiding->walked];
        if (quick) {
            if (!guide_walker_add_quick(guiding->walker, token, &guiding->mask))
                return GUIDING_LATER;
            continue;
        }
        pdk_error cause = {0};
        guiding->mask = NULL;
        if (guide_walker_add(guiding->walker, token, &cause) != PDK_OK)
            return fail(guiding, cause.message);
    }
    if (guide_walker_ended(guiding->walker))
        return GUIDING_OVER;
    if (guiding->mask == NULL && quick)
        return GUIDING_LATER;
    pdk_error cause = {0};
    if (guiding->mask == NULL && guide_walker_mask(guiding->walker, &guiding->mask, &cause) != PDK_OK)
        return fail(guiding, cause.message);
    return combine(guiding, sampler, tokens, total);
}

/* The same, with a note of the time that it took: the worst, which each later time takes a quarter off. */
static enum guiding_result walk(
    struct guiding *guiding, struct sampler *sampler, const uint32_t *tokens, uint32_t total, bool quick)
{
    if (quick)
        return walk_on(guiding, sampler, tokens, total, true);
    int64_t began_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    enum guiding_result result = walk_on(guiding, sampler, tokens, total, false);
    int64_t took_us = (clock_ns(CLOCK_THREAD_CPUTIME_ID) - began_ns) / 1000;
    guiding->cost_us -= guiding->cost_us / 4;
    if (took_us > guiding->cost_us)
        guiding->cost_us = took_us > UINT32_MAX ? UINT32_MAX : (uint32_t)took_us;
    return result;
}

enum guiding_result guiding_add(
    struct guiding *guiding, struct sampler *sampler, const uint32_t *tokens, uint32_t total, bool quick)
{
    const struct sampling_rules *rules = sampler->rules;
    guiding->limits = false;
    while (guiding->seen < total)
        look(guiding, rules->model, tokens);
    int64_t due = token_due(guiding, rules, tokens);
    if (due >= 0) {
        memset(guiding->allowed, 0, guiding->words * sizeof *guiding->allowed);
        set(guiding->allowed, (uint32_t)due);
        guiding->limits = true;
        return GUIDING_READY;
    }
    if (guiding->walker == NULL || guiding->waits)
        return GUIDING_READY;
    return walk(guiding, sampler, tokens, total, quick);
}

pdk_status guiding_init(struct guiding *guiding, struct guide *guide, struct sampler *sampler, const uint32_t *tokens,
    uint32_t prompt_count, uint32_t total, pdk_error *err)
{
    const struct sampling_rules *rules = sampler->rules;
    if (guide == NULL && rules->thinking_budget < 0)
        return PDK_OK;
    guiding->words = rules->vocabulary / 64 + (rules->vocabulary % 64 != 0);
    guiding->allowed = calloc((size_t)guiding->words + 1, sizeof *guiding->allowed);
    if (guiding->allowed == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the structured output");
    if (guide != NULL) {
        pdk_status status = guide_walker_new(guide, &guiding->walker, err);
        if (status != PDK_OK)
            return status;
    }
    look_at_prompt(guiding, rules, tokens, prompt_count);
    enum guiding_result result = guiding_add(guiding, sampler, tokens, total, false);
    if (result != GUIDING_FAILED)
        return PDK_OK;
    *err = guiding->error;
    return err->status;
}

void guiding_done(struct guiding *guiding)
{
    guide_walker_free(guiding->walker);
    free(guiding->allowed);
    memset(guiding, 0, sizeof *guiding);
}

void guiding_limit(const struct guiding *guiding, pdk_sample_row *row)
{
    if (!guiding->limits)
        return;
    row->allowed = guiding->allowed;
    row->banned = NULL;
    row->banned_count = 0;
}
