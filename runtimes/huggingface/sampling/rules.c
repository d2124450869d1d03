/* See the header. Order of defaults: the request, generation_config.json, the field's own. */
#include "config.h"

#include "runtimes/huggingface/sampling/rules.h"

#include "core/base/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double greedy_below = 1e-5, coldest = 0.01;

static double pick_number(const pdk_request *request, const struct sampling_model *model, uint32_t has,
    double (*read)(const pdk_sampling *), double otherwise)
{
    if ((request->sampling.has & has) != 0)
        return read(&request->sampling);
    return (model->defaults.has & has) != 0 ? read(&model->defaults) : otherwise;
}

#define READER(name, field)                          \
    static double name(const pdk_sampling *sampling) \
    {                                                \
        return (double)sampling->field;              \
    }
READER(read_temperature, temperature)
READER(read_top_p, top_p)
READER(read_top_k, top_k)
READER(read_min_p, min_p)
READER(read_repetition, repetition_penalty)
READER(read_frequency, frequency_penalty)
READER(read_presence, presence_penalty)

/* The last defence: the host has checked these, and the kernels index by them. */
static pdk_status check_ids(const char *field, const uint32_t *ids, size_t count, uint32_t vocabulary, pdk_error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i] < vocabulary)
            continue;
        char value[24];
        snprintf(value, sizeof value, "[%" PRIu32 "]", ids[i]);
        return pdk_error_value(err, PDK_INVALID, field, value,
            "token_id(s) %s in %s contain out-of-vocab token ids. Vocabulary size: %" PRIu32, value, field, vocabulary);
    }
    return PDK_OK;
}

static pdk_status copy_list(void *ret_list, const void *from, size_t count, size_t size, pdk_error *err)
{
    if (count == 0)
        return PDK_OK;
    void *copy = calloc(count, size);
    if (copy == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the request's lists");
    memcpy(copy, from, count * size);
    *(void **)ret_list = copy;
    return PDK_OK;
}

static void resolve_numbers(
    struct sampling_rules *rules, const pdk_request *request, const struct sampling_model *model)
{
    double temperature = pick_number(request, model, PDK_HAS_TEMPERATURE, read_temperature, 1);
    rules->repetition_penalty = (float)pick_number(request, model, PDK_HAS_REPETITION_PENALTY, read_repetition, 1);
    rules->frequency_penalty = (float)pick_number(request, model, PDK_HAS_FREQUENCY_PENALTY, read_frequency, 0);
    rules->presence_penalty = (float)pick_number(request, model, PDK_HAS_PRESENCE_PENALTY, read_presence, 0);
    rules->top_p = 1;
    if (temperature >= greedy_below) {
        rules->temperature = (float)(temperature < coldest ? coldest : temperature);
        rules->top_p = (float)pick_number(request, model, PDK_HAS_TOP_P, read_top_p, 1);
        rules->min_p = (float)pick_number(request, model, PDK_HAS_MIN_P, read_min_p, 0);
        double top_k = pick_number(request, model, PDK_HAS_TOP_K, read_top_k, 0);
        rules->top_k = top_k < 1 || top_k >= model->vocabulary ? 0 : (int32_t)top_k;
    }
    rules->seeded = (request->sampling.has & PDK_HAS_SEED) != 0 && request->sampling.seed != -1;
    rules->seed = (uint64_t)request->sampling.seed;
    rules->min_tokens = (request->sampling.has & PDK_HAS_MIN_TOKENS) != 0 && request->sampling.min_tokens > 0
                            ? (uint32_t)request->sampling.min_tokens
                            : 0;
}

static pdk_status resolve_top(
    const char *what, int32_t asked, const struct sampling_model *model, uint32_t *ret_top, pdk_error *err)
{
    uint32_t top = asked < 0 ? model->vocabulary : (uint32_t)asked;
    if (model->max_logprobs != UINT32_MAX && top > model->max_logprobs) {
        char value[16];
        snprintf(value, sizeof value, "%" PRIu32, top);
        bool prompt = strcmp(what, "prompt") == 0;
        return pdk_error_value(err, PDK_INVALID, prompt ? "prompt_logprobs" : "logprobs", value,
            "Requested %s logprobs of %" PRIu32 ", which is greater than max allowed: %" PRIu32, what, top,
            model->max_logprobs);
    }
    *ret_top = top < model->vocabulary ? top : model->vocabulary;
    return PDK_OK;
}

static pdk_status resolve_logprobs(
    struct sampling_rules *rules, const pdk_request *request, const struct sampling_model *model, pdk_error *err)
{
    bool logits = model->mode == LOGITS_RAW || model->mode == LOGITS_PROCESSED;
    bool processed = model->mode == LOGPROBS_PROCESSED || model->mode == LOGITS_PROCESSED;
    rules->row_flags = (logits ? PDK_SAMPLE_RAW_LOGITS : 0) | (processed ? PDK_SAMPLE_PROCESSED : 0);
    rules->score_flags = PDK_SAMPLE_SCORE | (logits ? PDK_SAMPLE_RAW_LOGITS : 0);
    const pdk_sampling *sampling = &request->sampling;
    rules->wants_logprobs = (sampling->has & PDK_HAS_LOGPROBS) != 0;
    rules->wants_prompt_logprobs = (sampling->has & PDK_HAS_PROMPT_LOGPROBS) != 0;
    pdk_status status = PDK_OK;
    if (rules->wants_logprobs)
        status = resolve_top("sample", sampling->logprobs, model, &rules->top_wanted, err);
    /* Ids asked for by name come in the place of the likeliest. */
    if (request->logprob_token_count > 0)
        rules->top_wanted = 0;
    if (status == PDK_OK && rules->wants_prompt_logprobs)
        status = resolve_top("prompt", sampling->prompt_logprobs, model, &rules->prompt_top_wanted, err);
    return status;
}

static bool listed(const uint32_t *ids, size_t count, uint32_t id)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

/* Further end ids of the model join the request's stop tokens unless ignore_eos; before min_tokens all of them are
 * withheld, ignore_eos or not. */
static pdk_status resolve_ends(
    struct sampling_rules *rules, const pdk_request *request, const struct sampling_model *model, pdk_error *err)
{
    bool ignore = (request->flags & PDK_FLAG_IGNORE_EOS) != 0;
    rules->eos = model->eos_count > 0 && !ignore ? (int64_t)model->eos_ids[0] : -1;
    size_t most = request->stop_token_count + model->eos_count;
    if (most == 0)
        return PDK_OK;
    rules->stops = calloc(most, sizeof *rules->stops);
    rules->withheld = calloc(most, sizeof *rules->withheld);
    if (rules->stops == NULL || rules->withheld == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "stop_token_ids", "no memory for %zu stop tokens", most);
    for (size_t i = 0; i < request->stop_token_count; i++) {
        uint32_t id = request->stop_token_ids[i];
        if (!listed(rules->stops, rules->stop_count, id))
            rules->stops[rules->stop_count++] = id;
    }
    for (uint32_t i = 1; i < model->eos_count && !ignore; i++)
        if (!listed(rules->stops, rules->stop_count, model->eos_ids[i]))
            rules->stops[rules->stop_count++] = model->eos_ids[i];
    for (size_t i = 0; i < rules->stop_count; i++)
        rules->withheld[rules->withheld_count++] = rules->stops[i];
    for (uint32_t i = 0; i < model->eos_count; i++)
        if (!listed(rules->withheld, rules->withheld_count, model->eos_ids[i]))
            rules->withheld[rules->withheld_count++] = model->eos_ids[i];
    return PDK_OK;
}

static pdk_status resolve_allowed(
    struct sampling_rules *rules, const pdk_request *request, const struct sampling_model *model, pdk_error *err)
{
    if ((request->sampling.has & PDK_HAS_ALLOWED_TOKENS) == 0)
        return PDK_OK;
    if (request->allowed_token_count == 0)
        return pdk_error_value(err, PDK_INVALID, "allowed_token_ids", "[]", "allowed_token_ids is not None and empty!");
    rules->allowed = calloc(model->vocabulary / 64 + 1, sizeof *rules->allowed);
    if (rules->allowed == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "allowed_token_ids", "no memory for the allowed tokens");
    for (size_t i = 0; i < request->allowed_token_count; i++) {
        uint32_t id = request->allowed_token_ids[i];
        if (id >= model->vocabulary)
            return pdk_error_set(
                err, PDK_INVALID, "allowed_token_ids", "allowed_token_ids contains out-of-vocab token id!");
        rules->allowed[id / 64] |= UINT64_C(1) << id % 64;
    }
    return PDK_OK;
}

static pdk_status resolve_lists(
    struct sampling_rules *rules, const pdk_request *request, const struct sampling_model *model, pdk_error *err)
{
    pdk_status status =
        check_ids("stop_token_ids", request->stop_token_ids, request->stop_token_count, model->vocabulary, err);
    if (status == PDK_OK)
        status = check_ids(
            "logprob_token_ids", request->logprob_token_ids, request->logprob_token_count, model->vocabulary, err);
    for (size_t i = 0; status == PDK_OK && i < request->bias_count; i++)
        status = check_ids("logit_bias", &request->biases[i].token, 1, model->vocabulary, err);
    if (status == PDK_OK)
        status = copy_list(&rules->biases, request->biases, request->bias_count, sizeof *request->biases, err);
    if (status == PDK_OK)
        status = copy_list(
            &rules->report, request->logprob_token_ids, request->logprob_token_count, sizeof *rules->report, err);
    if (status != PDK_OK)
        return status;
    rules->bias_count = request->bias_count;
    rules->report_count = request->logprob_token_count;
    return PDK_OK;
}

static pdk_status resolve_endings(
    struct sampling_rules *rules, const pdk_request *request, const struct sampling_model *model, pdk_error *err)
{
    const pdk_sampling *sampling = &request->sampling;
    rules->repeat_most = sampling->repetition_max_pattern;
    rules->repeat_least = sampling->repetition_min_pattern > 0 ? sampling->repetition_min_pattern : 1;
    rules->repeat_times = sampling->repetition_min_count > 2 ? sampling->repetition_min_count : 2;
    rules->thinking_budget = -1;
    if ((sampling->has & PDK_HAS_THINKING_BUDGET) == 0 || sampling->thinking_budget < 0)
        return PDK_OK;
    if (model->think_end_count == 0)
        return pdk_error_set(err, PDK_INVALID, "thinking_token_budget",
            "thinking_token_budget is set but reasoning_config is not configured. Please set --reasoning-config to use "
            "thinking_token_budget.");
    rules->thinking_budget = sampling->thinking_budget;
    return PDK_OK;
}

pdk_status rules_resolve(
    struct sampling_rules *rules, const pdk_request *request, const struct sampling_model *model, pdk_error *err)
{
    rules->vocabulary = model->vocabulary;
    rules->model = model;
    resolve_numbers(rules, request, model);
    pdk_status status = resolve_logprobs(rules, request, model, err);
    if (status == PDK_OK)
        status = resolve_lists(rules, request, model, err);
    if (status == PDK_OK)
        status = resolve_ends(rules, request, model, err);
    if (status == PDK_OK)
        status = resolve_allowed(rules, request, model, err);
    if (status == PDK_OK)
        status = resolve_endings(rules, request, model, err);
    return status;
}

pdk_status rules_ban(struct sampling_rules *rules, const uint32_t *tokens, size_t count, pdk_error *err)
{
    if (rules->bad_tokens == NULL) {
        rules->bad_tokens = calloc(BAD_WORD_TOKENS_MAX, sizeof *rules->bad_tokens);
        rules->bad_ends = calloc(BAD_WORDS_MAX, sizeof *rules->bad_ends);
        if (rules->bad_tokens == NULL || rules->bad_ends == NULL)
            return pdk_error_set(err, PDK_NO_MEMORY, "bad_words", "no memory for bad_words");
    }
    size_t before = rules->bad_count > 0 ? rules->bad_ends[rules->bad_count - 1] : 0;
    if (rules->bad_count == BAD_WORDS_MAX)
        return pdk_error_set(
            err, PDK_INVALID, "bad_words", "bad_words make more than %d token sequences", BAD_WORDS_MAX);
    if (count > BAD_WORD_TOKENS_MAX - before)
        return pdk_error_set(
            err, PDK_INVALID, "bad_words", "bad_words have more than %d tokens in all", BAD_WORD_TOKENS_MAX);
    memcpy(rules->bad_tokens + before, tokens, count * sizeof *tokens);
    rules->bad_ends[rules->bad_count++] = (uint32_t)(before + count);
    return PDK_OK;
}

void rules_done(struct sampling_rules *rules)
{
    free(rules->stops);
    free(rules->withheld);
    free(rules->biases);
    free(rules->allowed);
    free(rules->report);
    free(rules->bad_tokens);
    free(rules->bad_ends);
    memset(rules, 0, sizeof *rules);
}

bool rules_repeats(const struct sampling_rules *rules, const uint32_t *produced, uint32_t count)
{
    if (count < rules->min_tokens)
        return false;
    for (uint32_t pattern = rules->repeat_least; pattern <= rules->repeat_most; pattern++) {
        uint64_t same = (uint64_t)pattern * (rules->repeat_times - 1), i = 0;
        if (same + pattern > count)
            return false; /* longer ones need more tokens still */
        while (i < same && produced[count - 1 - i] == produced[count - 1 - i - pattern])
            i++;
        if (i == same)
            return true;
    }
    return false;
}

bool rules_end(const struct sampling_rules *rules, uint32_t token, uint32_t produced, int32_t *ret_stop_kind)
{
    if (produced < rules->min_tokens)
        return false;
    if ((int64_t)token == rules->eos) {
        *ret_stop_kind = PDK_STOP_NONE;
        return true;
    }
    if (!listed(rules->stops, rules->stop_count, token))
        return false;
    *ret_stop_kind = PDK_STOP_TOKEN;
    return true;
}
