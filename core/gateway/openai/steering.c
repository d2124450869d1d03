/* What steers a generation as a whole: the width of its search, how long it may think, and what of its tail ends it. */
#include "config.h"

#include "core/gateway/openai/call.h"

#include "core/gateway/openai/coerce.h"
#include "core/gateway/openai/refusal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* A member of repetition_detection; absent or null leaves *to. */
static pdk_status read_count(const struct json *given, const char *name, uint32_t *to, pdk_error *err)
{
    char location[64];
    int64_t count;
    const struct json *value = json_get(given, name);
    snprintf(location, sizeof location, "body.repetition_detection.%s", name);
    if (value == NULL || value->type == JSON_NULL)
        return PDK_OK;
    pdk_status status = coerce_int(value, location, &count, err);
    if (status != PDK_OK)
        return status;
    if (count < 0 || count > INT32_MAX)
        return refuse(err, "repetition_detection", value->text, "%s must be in [0, %d], got %" PRId64 ".", name,
            INT32_MAX, count);
    *to = (uint32_t)count;
    return PDK_OK;
}

static pdk_status check_repetition(const struct json *given, pdk_sampling *to, pdk_error *err)
{
    uint32_t most = 0, least = 0, times = 0;
    pdk_status status = read_count(given, "max_pattern_size", &most, err);
    if (status == PDK_OK)
        status = read_count(given, "min_pattern_size", &least, err);
    if (status == PDK_OK)
        status = read_count(given, "min_count", &times, err);
    if (status != PDK_OK || most == 0)
        return status;
    if (least > most)
        return refuse(err, "repetition_detection", NULL,
            "min_pattern_size must be at most max_pattern_size=%" PRIu32 ", got %" PRIu32 ".", most, least);
    if (times < 2)
        return refuse(err, "repetition_detection", NULL, "min_count must be at least 2, got %" PRIu32 ".", times);
    to->repetition_max_pattern = most;
    to->repetition_min_pattern = least == 0 ? 1 : least;
    to->repetition_min_count = times;
    return PDK_OK;
}

/* Clients of other protocols send a budget to every model; where nothing is read for reasoning it bounds nothing. */
static pdk_status check_thinking(
    const struct call *call, const struct ready_info *ready, pdk_sampling *to, pdk_error *err)
{
    struct given_int budget = call->fields.thinking_token_budget;
    if (!budget.set || budget.value == -1)
        return PDK_OK;
    if (budget.value < -1)
        return refuse(err, "thinking_token_budget", NULL,
            "thinking_token_budget must be -1 (no limit) or at least 0, got %" PRId64 ".", budget.value);
    if (!ready->parses_reasoning && call->translated)
        return PDK_OK;
    if (!ready->parses_reasoning)
        return refuse(err, "thinking_token_budget", NULL,
            "thinking_token_budget is set, but this model has no reasoning parser; set --reasoning-parser.");
    to->thinking_budget = budget.value > INT32_MAX ? INT32_MAX : (int32_t)budget.value;
    to->has |= PDK_HAS_THINKING_BUDGET;
    return PDK_OK;
}

pdk_status call_check_steering(struct call *call, const struct ready_info *ready, pdk_sampling *to, pdk_error *err)
{
    const struct fields *fields = &call->fields;
    to->length_penalty = 1;
    if (fields->use_beam_search.value && fields->length_penalty.set) {
        if (!isfinite(fields->length_penalty.value))
            return refuse(err, "length_penalty", NULL, "length_penalty must be a finite number, got %s.",
                real_text(fields->length_penalty.value).text);
        to->length_penalty = fields->length_penalty.value;
    }
    if (fields->stream_interval.set)
        to->stream_interval =
            fields->stream_interval.value > INT32_MAX ? INT32_MAX : (uint32_t)fields->stream_interval.value;
    pdk_status status = check_thinking(call, ready, to, err);
    if (status == PDK_OK && fields->repetition_detection != NULL)
        status = check_repetition(fields->repetition_detection, to, err);
    return status;
}
