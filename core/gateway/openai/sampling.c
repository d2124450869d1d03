/* How tokens are chosen and when to stop: every value against its range, the table of limits and the model, in vLLM's
 * order and words. What is not sent stays unset, as the model's own defaults come from the runtime. */
#include "config.h"

#include "core/gateway/openai/call.h"

#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/gateway/openai/coerce.h"
#include "core/gateway/openai/refusal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { DEFAULT_MAX_TOKENS = 16 };

#define GREEDY_BELOW 1e-5

struct int_text {
    char text[24];
};

static struct int_text int_text(int64_t value)
{
    struct int_text out;
    snprintf(out.text, sizeof out.text, "%" PRId64, value);
    return out;
}

/* Copies a real that is in [least, most]; `bit` says that it was given. */
static bool take_real(
    struct given_real given, double least, double most, uint32_t bit, double *to, pdk_sampling *sampling)
{
    if (!given.set)
        return true;
    if (!(given.value >= least && given.value <= most))
        return false;
    *to = given.value;
    sampling->has |= bit;
    return true;
}

static pdk_status check_max_tokens(struct call *call, const struct ready_info *ready, pdk_sampling *to, pdk_error *err)
{
    const struct fields *fields = &call->fields;
    bool completion_name = fields->max_completion_tokens.set;
    struct given_int most = completion_name ? fields->max_completion_tokens : fields->max_tokens;
    const char *name = completion_name ? "max_completion_tokens" : "max_tokens";
    if (call->endpoint == ENDPOINT_COMPLETIONS && !most.set)
        most = (struct given_int){true, DEFAULT_MAX_TOKENS};
    if (!most.set)
        return PDK_OK;
    if (most.value == 0 && call->endpoint == ENDPOINT_COMPLETIONS && call->echo) {
        call->discard_output = true; /* a step is made all the same, and counted */
        most.value = 1;
    }
    int64_t room = ready->max_model_len != 0 ? ready->max_model_len : INT32_MAX;
    if (most.value > room)
        return refuse(err, name, int_text(most.value).text,
            "%s=%" PRId64 " cannot be greater than max_model_len=%" PRId64 ". Please request fewer output tokens.",
            name, most.value, room);
    if (most.value < 1)
        return refuse(err, "max_tokens", int_text(most.value).text, "max_tokens must be at least 1, got %" PRId64 ".",
            most.value);
    to->max_tokens = (int32_t)most.value;
    to->has |= PDK_HAS_MAX_TOKENS;
    return PDK_OK;
}

static pdk_status check_n(struct call *call, pdk_sampling *to, pdk_error *err)
{
    struct given_int n = call->fields.n;
    uint64_t most = limit_get(LIMIT_N);
    to->n = 1;
    if (!n.set)
        return PDK_OK;
    if (n.value < 1)
        return refuse(err, NULL, NULL, "n must be at least 1, got %" PRId64 ".", n.value);
    if ((uint64_t)n.value > most)
        return refuse(
            err, "n", int_text(n.value).text, "n must be at most %" PRIu64 ", got %" PRId64 ".", most, n.value);
    call->n = to->n = (uint32_t)n.value;
    return PDK_OK;
}

static pdk_status check_penalties(const struct fields *f, pdk_sampling *to, pdk_error *err)
{
    if (!take_real(f->presence_penalty, -2, 2, PDK_HAS_PRESENCE_PENALTY, &to->presence_penalty, to))
        return refuse(
            err, NULL, NULL, "presence_penalty must be in [-2, 2], got %s.", real_text(f->presence_penalty.value).text);
    if (!take_real(f->frequency_penalty, -2, 2, PDK_HAS_FREQUENCY_PENALTY, &to->frequency_penalty, to))
        return refuse(err, NULL, NULL, "frequency_penalty must be in [-2, 2], got %s.",
            real_text(f->frequency_penalty.value).text);
    if (!take_real(
            f->repetition_penalty, nextafter(0, 1), 1e308, PDK_HAS_REPETITION_PENALTY, &to->repetition_penalty, to))
        return refuse(err, NULL, NULL, "repetition_penalty must be greater than zero, got %s.",
            real_text(f->repetition_penalty.value).text);
    return PDK_OK;
}

static pdk_status check_filters(const struct fields *f, pdk_sampling *to, pdk_error *err)
{
    if (!take_real(f->temperature, 0, 2, PDK_HAS_TEMPERATURE, &to->temperature, to)) {
        struct real_text got = real_text(f->temperature.value);
        return refuse(err, "temperature", got.text,
            f->temperature.value < 0 ? "temperature must be non-negative, got %s."
                                     : "temperature must be in [0, 2], got %s.",
            got.text);
    }
    if (!take_real(f->top_p, nextafter(0, 1), 1, PDK_HAS_TOP_P, &to->top_p, to)) {
        struct real_text got = real_text(f->top_p.value);
        return refuse(err, "top_p", got.text, "top_p must be in (0, 1], got %s.", got.text);
    }
    if (f->top_k.set) {
        if (f->top_k.value < -1)
            return refuse(
                err, NULL, NULL, "top_k must be 0 (disable), or at least 1, got %" PRId64 ".", f->top_k.value);
        to->top_k = f->top_k.value > INT32_MAX ? 0 : (int32_t)f->top_k.value; /* over any vocabulary: off */
        to->has |= PDK_HAS_TOP_K;
    }
    if (!take_real(f->min_p, 0, 1, PDK_HAS_MIN_P, &to->min_p, to))
        return refuse(err, NULL, NULL, "min_p must be in [0, 1], got %s.", real_text(f->min_p.value).text);
    return PDK_OK;
}

static pdk_status check_min_tokens(const struct fields *f, pdk_sampling *to, pdk_error *err)
{
    if (!f->min_tokens.set)
        return PDK_OK;
    if (f->min_tokens.value < 0)
        return refuse(
            err, NULL, NULL, "min_tokens must be greater than or equal to 0, got %" PRId64 ".", f->min_tokens.value);
    int64_t most = (to->has & PDK_HAS_MAX_TOKENS) != 0 ? to->max_tokens : INT32_MAX;
    if (f->min_tokens.value > most)
        return refuse(err, NULL, NULL,
            "min_tokens must be less than or equal to max_tokens=%" PRId64 ", got %" PRId64 ".", most,
            f->min_tokens.value);
    to->min_tokens = (int32_t)f->min_tokens.value;
    to->has |= PDK_HAS_MIN_TOKENS;
    return PDK_OK;
}

/* One of the two counts of alternatives; `what` is "sample" or "prompt". */
static pdk_status take_count(
    int64_t count, const char *field, const char *what, const struct ready_info *ready, int32_t *to, pdk_error *err)
{
    if (count < -1)
        return refuse(err, field, int_text(count).text, "`%s` must be a positive value or -1.", field);
    int64_t asked = count == -1 ? (int64_t)ready->vocabulary_size : count;
    if (ready->max_logprobs != UINT32_MAX && asked > ready->max_logprobs)
        return refuse(err, field, int_text(asked).text,
            "Requested %s logprobs of %" PRId64 ", which is greater than max allowed: %" PRIu32, what, asked,
            ready->max_logprobs);
    *to = asked >= INT32_MAX ? -1 : (int32_t)count;
    return PDK_OK;
}

static pdk_status check_logprobs(struct call *call, const struct ready_info *ready, pdk_sampling *to, pdk_error *err)
{
    const struct fields *f = &call->fields;
    bool chat = call->endpoint == ENDPOINT_CHAT;
    int64_t top = chat ? f->top_logprobs.value : f->logprobs.value;
    call->wants_logprobs = chat ? f->chat_logprobs.value : f->logprobs.set;
    if (call->wants_logprobs) {
        pdk_status status = take_count(top, "logprobs", "sample", ready, &to->logprobs, err);
        if (status != PDK_OK)
            return status;
        to->has |= PDK_HAS_LOGPROBS;
        /* Tokens that were named are all told of, however many alternatives were asked for. */
        bool named = f->logprob_token_ids != NULL && f->logprob_token_ids->count != 0;
        call->top = named ? -1 : to->logprobs;
    }
    /* echo asks for the prompt's logprobs, as many as the answer's: a completion only where it has some. A stream of a
     * chat has no place for them. */
    struct given_int prompt = f->prompt_logprobs;
    if (!prompt.set && call->echo && (chat ? !call->stream : call->wants_logprobs))
        prompt = (struct given_int){true, call->wants_logprobs ? top : 0};
    if (!prompt.set)
        return PDK_OK;
    pdk_status status = take_count(prompt.value, "prompt_logprobs", "prompt", ready, &to->prompt_logprobs, err);
    if (status != PDK_OK)
        return status;
    to->has |= PDK_HAS_PROMPT_LOGPROBS;
    call->wants_prompt_logprobs = true;
    return PDK_OK;
}

pdk_status call_check_truncation(
    const struct fields *f, const struct ready_info *ready, pdk_sampling *to, pdk_error *err)
{
    struct given_int keep = f->truncate_prompt_tokens;
    if (!keep.set)
        return PDK_OK;
    if (ready->max_model_len != 0 && keep.value > ready->max_model_len)
        return refuse(err, "truncate_prompt_tokens", int_text(keep.value).text,
            "truncate_prompt_tokens=%" PRId64 " cannot be greater than max_model_len = %" PRIu32
            ". Please request a smaller truncation size.",
            keep.value, ready->max_model_len);
    to->truncate_prompt = keep.value;
    to->has |= PDK_HAS_TRUNCATE_PROMPT;
    return PDK_OK;
}

static pdk_status check_sampling(struct call *call, const struct ready_info *ready, pdk_sampling *to, pdk_error *err)
{
    const struct fields *f = &call->fields;
    *to = (pdk_sampling){.size = sizeof *to, .n = 1};
    pdk_status status = check_max_tokens(call, ready, to, err);
    if (status == PDK_OK)
        status = check_n(call, to, err);
    if (status == PDK_OK)
        status = check_penalties(f, to, err);
    if (status == PDK_OK)
        status = check_filters(f, to, err);
    if (status == PDK_OK)
        status = check_min_tokens(f, to, err);
    if (status == PDK_OK)
        status = check_logprobs(call, ready, to, err);
    if (status == PDK_OK)
        status = call_check_truncation(f, ready, to, err);
    if (status == PDK_OK)
        status = call_check_steering(call, ready, to, err);
    if (status != PDK_OK)
        return status;
    if (f->seed.set && f->seed.value != -1) {
        to->seed = f->seed.value;
        to->has |= PDK_HAS_SEED;
    }
    bool own = (ready->defaults.has & PDK_HAS_TEMPERATURE) != 0;
    double temperature = f->temperature.set ? f->temperature.value : own ? ready->defaults.temperature : 1.0;
    if (temperature < GREEDY_BELOW && to->n > 1 && !f->use_beam_search.value)
        return refuse(err, NULL, NULL, "n must be 1 when using greedy sampling, got %" PRIu32 ".", to->n);
    return PDK_OK;
}

pdk_status call_check_sampling(struct call *call, const struct ready_info *ready, pdk_request *request, pdk_error *err)
{
    pdk_status status = check_sampling(call, ready, &request->sampling, err);
    return status == PDK_OK ? call_check_lists(call, ready, request, err) : status;
}
