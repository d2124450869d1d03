/* How tokens are chosen and when to stop: every value against its range, the table of limits and the model, in vLLM's
 * order and words. What is not sent stays unset, as the model's own defaults come from the runtime. */
#include "config.h"

#include "core/gateway/openai/call.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/gateway/openai/coerce.h"
#include "core/gateway/openai/refusal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { DEFAULT_MAX_TOKENS = 16, BAD_WORDS_MAX = 128, LOGPROB_IDS_MAX = 128, SHOWN_MAX = 8 };

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
        call->top = to->logprobs;
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

static pdk_status check_truncation(
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
        status = check_truncation(f, ready, to, err);
    if (status != PDK_OK)
        return status;
    if (f->seed.set && f->seed.value != -1) {
        to->seed = f->seed.value;
        to->has |= PDK_HAS_SEED;
    }
    bool own = (ready->defaults.has & PDK_HAS_TEMPERATURE) != 0;
    double temperature = f->temperature.set ? f->temperature.value : own ? ready->defaults.temperature : 1.0;
    if (temperature < GREEDY_BELOW && to->n > 1)
        return refuse(err, NULL, NULL, "n must be 1 when using greedy sampling, got %" PRIu32 ".", to->n);
    return PDK_OK;
}

/* stop (one string or a list of them) and bad_words; fields_read has looked at the types. */
static pdk_status read_strings(struct call *call, const struct json *given, const char *name, size_t most,
    const pdk_string **ret_strings, size_t *ret_count, pdk_error *err)
{
    bool list = given->type == JSON_ARRAY;
    size_t room = list ? given->count : 1, count = 0;
    if (room > most)
        return refuse(err, name, NULL, "%s has %zu strings; the limit is %zu", name, room, most);
    pdk_string *strings = call_alloc(call, room, sizeof *strings);
    if (strings == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, name, "no memory for %zu strings", room);
    for (const struct json *value = list ? given->child : given; value != NULL && count < room; value = value->next) {
        if (value->length == 0)
            return refuse(err, NULL, NULL, "%s cannot contain an empty string.", name);
        strings[count++] = (pdk_string){value->text, value->length};
    }
    *ret_strings = strings;
    *ret_count = count;
    return PDK_OK;
}

static pdk_status check_strings(struct call *call, pdk_request *to, pdk_error *err)
{
    const struct fields *f = &call->fields;
    size_t bytes = limit_get(LIMIT_STOP_BYTES);
    pdk_status status = PDK_OK;
    if (f->stop != NULL)
        status = read_strings(call, f->stop, "stop", limit_get(LIMIT_STOP_STRINGS), &to->stop, &to->stop_count, err);
    for (size_t i = 0; status == PDK_OK && i < to->stop_count; i++)
        if (to->stop[i].length > bytes)
            return refuse(err, "stop", NULL, "stop[%zu] has %zu bytes; the limit is %zu", i, to->stop[i].length, bytes);
    if (status == PDK_OK && f->bad_words != NULL)
        status = read_strings(call, f->bad_words, "bad_words", BAD_WORDS_MAX, &to->bad_words, &to->bad_word_count, err);
    return status;
}

pdk_status call_read_ids(struct call *call, const struct json *list, const char *name, uint32_t vocabulary_size,
    const uint32_t **ret_ids, size_t *ret_count, const struct json **ret_bad, pdk_error *err)
{
    size_t at = 0;
    const struct json *bad = NULL;
    uint32_t *ids = call_alloc(call, list->count, sizeof *ids);
    if (ids == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, name, "no memory for %" PRIu32 " token ids", list->count);
    for (const struct json *value = list->child; value != NULL; value = value->next, at++) {
        int64_t id = -1;
        coerce_int(value, name, &id, NULL); /* cannot fail: fields_read has looked */
        bool outside = id < 0 || id >= UINT32_MAX || (vocabulary_size != 0 && id >= vocabulary_size);
        if (outside && bad == NULL)
            bad = value;
        ids[at] = outside ? UINT32_MAX : (uint32_t)id;
    }
    *ret_ids = ids;
    *ret_count = list->count;
    *ret_bad = bad;
    return PDK_OK;
}

/* The ids of `list` that are outside, as Python prints a list, cut after a few. */
static void put_outside(struct buffer *out, const struct json *list, const uint32_t *ids, size_t count)
{
    const struct json *value = list->child;
    size_t shown = 0;
    buffer_putc(out, '[');
    for (size_t i = 0; i < count; i++, value = value->next) {
        if (ids[i] != UINT32_MAX || shown > SHOWN_MAX)
            continue;
        if (shown++ == SHOWN_MAX)
            buffer_puts(out, ", ...");
        else
            buffer_printf(
                out, "%s%.24s", shown == 1 ? "" : ", ", value->text == NULL ? json_type_name(value) : value->text);
    }
    buffer_putc(out, ']');
}

static pdk_status check_ids(struct call *call, const struct ready_info *ready, pdk_request *to, pdk_error *err)
{
    const struct fields *f = &call->fields;
    const struct json *bad = NULL;
    pdk_status status = PDK_OK;
    if (f->stop_token_ids != NULL)
        status = call_read_ids(call, f->stop_token_ids, "stop_token_ids", ready->vocabulary_size, &to->stop_token_ids,
            &to->stop_token_count, &bad, err);
    if (status != PDK_OK)
        return status;
    if (bad != NULL) {
        PDK_CLEANUP(buffer_done) struct buffer shown = {0};
        put_outside(&shown, f->stop_token_ids, to->stop_token_ids, to->stop_token_count);
        return refuse(err, "stop_token_ids", shown.data,
            "token_id(s) %s in stop_token_ids contain out-of-vocab token ids. Vocabulary size: %" PRIu32, shown.data,
            ready->vocabulary_size);
    }
    if (f->allowed_token_ids != NULL) {
        if (f->allowed_token_ids->count == 0)
            return refuse(err, "allowed_token_ids", "[]", "allowed_token_ids is not None and empty!");
        status = call_read_ids(call, f->allowed_token_ids, "allowed_token_ids", ready->vocabulary_size,
            &to->allowed_token_ids, &to->allowed_token_count, &bad, err);
        if (status != PDK_OK)
            return status;
        if (bad != NULL)
            return refuse(err, "allowed_token_ids", bad->text, "allowed_token_ids contains out-of-vocab token id!");
        to->sampling.has |= PDK_HAS_ALLOWED_TOKENS;
    }
    if (f->logprob_token_ids == NULL)
        return PDK_OK;
    if (!call->wants_logprobs)
        return refuse(err, "logprob_token_ids", NULL, "when using `logprob_token_ids`, `logprobs` must be set.");
    if (f->logprob_token_ids->count > LOGPROB_IDS_MAX)
        return refuse(err, "logprob_token_ids", NULL, "logprob_token_ids has %" PRIu32 " ids; the limit is %d",
            f->logprob_token_ids->count, LOGPROB_IDS_MAX);
    status = call_read_ids(call, f->logprob_token_ids, "logprob_token_ids", ready->vocabulary_size,
        &to->logprob_token_ids, &to->logprob_token_count, &bad, err);
    if (status == PDK_OK && bad != NULL)
        return refuse(err, "logprob_token_ids", bad->text, "logprob_token_ids contains out-of-vocab token id!");
    return status;
}

/* A key of logit_bias: a decimal token id. */
static bool key_id(const struct json *member, int64_t *ret_id)
{
    const struct json number = {.type = JSON_NUMBER, .text = member->key, .length = member->key_length};
    size_t digits = strspn(member->key, "0123456789");
    return digits != 0 && digits == member->key_length && json_int64(&number, ret_id);
}

static pdk_status check_biases(struct call *call, const struct ready_info *ready, pdk_request *to, pdk_error *err)
{
    const struct json *given = call->fields.logit_bias;
    size_t most = limit_get(LIMIT_LOGIT_BIAS);
    if (given == NULL)
        return PDK_OK;
    if (given->count > most)
        return refuse(
            err, "logit_bias", NULL, "logit_bias has %" PRIu32 " entries; the limit is %zu", given->count, most);
    pdk_bias *biases = call_alloc(call, given->count, sizeof *biases);
    if (biases == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "logit_bias", "no memory for %" PRIu32 " entries", given->count);
    for (const struct json *member = given->child; member != NULL; member = member->next) {
        char shown[48];
        int64_t id = 0;
        double value;
        bool number = key_id(member, &id);
        snprintf(shown, sizeof shown, number ? "[%.40s]" : "['%.40s']", member->key);
        if (!number)
            return refuse(err, "logit_bias", shown,
                "logit_bias contains key(s) that cannot be converted to integer token IDs: %s", shown);
        if (id >= UINT32_MAX || (ready->vocabulary_size != 0 && id >= ready->vocabulary_size))
            return refuse(err, "logit_bias", shown,
                "token_id(s) %s in logit_bias contain out-of-vocab token ids. Vocabulary size: %" PRIu32, shown,
                ready->vocabulary_size);
        if (coerce_real(member, "logit_bias", &value, NULL) != PDK_OK || !isfinite(value))
            return refuse(err, "logit_bias", shown, "logit_bias of token %" PRId64 " must be a finite number", id);
        biases[to->bias_count++] = (pdk_bias){(uint32_t)id, (float)(value < -100 ? -100 : value > 100 ? 100 : value)};
    }
    to->biases = biases;
    return PDK_OK;
}

pdk_status call_check_sampling(struct call *call, const struct ready_info *ready, pdk_request *request, pdk_error *err)
{
    pdk_status status = check_sampling(call, ready, &request->sampling, err);
    if (status == PDK_OK)
        status = check_strings(call, request, err);
    if (status == PDK_OK)
        status = check_ids(call, ready, request, err);
    return status == PDK_OK ? check_biases(call, ready, request, err) : status;
}
