/* See fields.h. The table's order is that in which wrong types are found. */
#include "config.h"

#include "core/gateway/openai/fields.h"

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/gateway/exchange.h"
#include "core/gateway/openai/coerce.h"
#include "core/gateway/openai/refusal.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum field_type { BOOL, INT, REAL, STRING, ARRAY, INTS, STRINGS, STRING_OR_STRINGS, OBJECT, REALS_BY_NAME, ANY };

enum field_class {
    USED,
    HARMLESS, /* cannot change the answer: accepted, and nothing said */
    IGNORED,  /* would change it elsewhere: accepted, and named in a Warning */
    REFUSED   /* known and not built here: 400, unless null or the default */
};

struct field_row {
    const char *name;
    int in;       /* the endpoints that know it */
    int nullable; /* those that take null */
    enum field_type type;
    enum field_class class;
    size_t to; /* USED: where in struct fields */
    bool bounded;
    int64_t least;        /* bounded INT and INTS */
    const char *standard; /* the default as JSON, beside null, false, "" and what is empty */
    const char *refusal;  /* REFUSED: vLLM's own words, else ours */
};

enum {
    C = ENDPOINT_COMPLETIONS,
    H = ENDPOINT_CHAT,
    T = ENDPOINT_TOKENIZE,
    D = ENDPOINT_DETOKENIZE,
    CH = C | H,
    ALL = C | H | T | D
};

#define TO(member) .to = offsetof(struct fields, member)

enum { LOCATION_MAX = 96 };

static const struct field_row rows[] = {
    {"model", ALL, ALL, STRING, .class = USED, TO(model)},
    {"prompt", C | T, C, ANY, .class = USED, TO(prompt)},
    {"messages", H | T, 0, ANY, .class = USED, TO(messages)},
    {"tokens", D, 0, INTS, .class = USED, TO(tokens), .bounded = true, .least = 0},
    {"echo", CH, C, BOOL, .class = USED, TO(echo)},
    {"frequency_penalty", CH, CH, REAL, .class = USED, TO(frequency_penalty)},
    {"logit_bias", CH, CH, REALS_BY_NAME, .class = USED, TO(logit_bias)},
    {"logprobs", C, C, INT, .class = USED, TO(logprobs)},
    {"logprobs", H, H, BOOL, .class = USED, TO(chat_logprobs)},
    {"top_logprobs", H, H, INT, .class = USED, TO(top_logprobs)},
    {"max_tokens", CH, CH, INT, .class = USED, TO(max_tokens)},
    {"max_completion_tokens", H, H, INT, .class = USED, TO(max_completion_tokens)},
    {"n", CH, H, INT, .class = USED, TO(n)},
    {"presence_penalty", CH, CH, REAL, .class = USED, TO(presence_penalty)},
    {"seed", CH, CH, INT, .class = USED, TO(seed)},
    {"stop", CH, CH, STRING_OR_STRINGS, .class = USED, TO(stop)},
    {"stream", CH, CH, BOOL, .class = USED, TO(stream)},
    {"stream_options", CH, CH, OBJECT, .class = HARMLESS}, /* its members are read by read_stream_options */
    {"temperature", CH, CH, REAL, .class = USED, TO(temperature)},
    {"top_p", CH, CH, REAL, .class = USED, TO(top_p)},
    {"top_k", CH, CH, INT, .class = USED, TO(top_k)},
    {"min_p", CH, CH, REAL, .class = USED, TO(min_p)},
    {"repetition_penalty", CH, CH, REAL, .class = USED, TO(repetition_penalty)},
    {"stop_token_ids", CH, CH, INTS, .class = USED, TO(stop_token_ids)},
    {"include_stop_str_in_output", CH, 0, BOOL, .class = USED, TO(include_stop_str_in_output)},
    {"ignore_eos", CH, 0, BOOL, .class = USED, TO(ignore_eos)},
    {"min_tokens", CH, 0, INT, .class = USED, TO(min_tokens)},
    {"skip_special_tokens", CH, CH, BOOL, .class = USED, TO(skip_special_tokens)},
    {"spaces_between_special_tokens", CH, 0, BOOL, .class = USED, TO(spaces_between_special_tokens)},
    {"truncate_prompt_tokens", CH, CH, INT, .class = USED, TO(truncate_prompt_tokens), .bounded = true, .least = -1},
    {"truncation_side", CH, CH, STRING, .class = USED, TO(truncation_side)},
    {"prompt_logprobs", CH, CH, INT, .class = USED, TO(prompt_logprobs)},
    {"logprob_token_ids", CH, CH, INTS, .class = USED, TO(logprob_token_ids)},
    {"allowed_token_ids", CH, CH, INTS, .class = USED, TO(allowed_token_ids)},
    {"bad_words", CH, 0, STRINGS, .class = USED, TO(bad_words)},
    {"add_special_tokens", CH | T, 0, BOOL, .class = USED, TO(add_special_tokens)},
    {"add_generation_prompt", H | T, 0, BOOL, .class = USED, TO(add_generation_prompt)},
    {"continue_final_message", H | T, 0, BOOL, .class = USED, TO(continue_final_message)},
    {"documents", H, H, ARRAY, .class = USED, TO(documents)},
    {"chat_template", H | T, H | T, STRING, .class = USED, TO(chat_template)},
    {"chat_template_kwargs", H | T, H | T, OBJECT, .class = USED, TO(chat_template_kwargs)},
    {"reasoning_effort", H, H, STRING, .class = USED, TO(reasoning_effort)},
    {"tools", H | T, H | T, ARRAY, .class = USED, TO(tools)},
    {"tool_choice", H, H, ANY, .class = USED, TO(tool_choice)},
    {"priority", CH, 0, INT, .class = USED, TO(priority)},
    {"request_id", CH, 0, STRING, .class = USED, TO(request_id)},
    {"cache_salt", CH, CH, STRING, .class = USED, TO(cache_salt)},
    {"return_tokens_as_token_ids", CH, CH, BOOL, .class = USED, TO(return_tokens_as_token_ids)},
    {"return_token_ids", CH, CH, BOOL, .class = USED, TO(return_token_ids)},
    {"return_prompt_text", H, H, BOOL, .class = USED, TO(return_prompt_text)},
    {"return_token_strs", T, T, BOOL, .class = USED, TO(return_token_strs)},

    {"user", CH, CH, STRING, .class = HARMLESS},
    {"safety_identifier", CH, CH, STRING, .class = HARMLESS},
    {"metadata", CH, CH, ANY, .class = HARMLESS},
    {"store", CH, CH, ANY, .class = HARMLESS, .standard = "false"},
    {"prompt_cache_key", CH, CH, ANY, .class = HARMLESS},
    {"session_id", CH, CH, STRING, .class = HARMLESS},
    {"include_reasoning", H, 0, BOOL, .class = HARMLESS},
    {"parallel_tool_calls", H, H, BOOL, .class = HARMLESS},
    {"length_penalty", CH, 0, REAL, .class = HARMLESS}, /* beam search only, which is refused */
    {"return_token_offsets", CH, CH, BOOL, .class = HARMLESS},
    {"return_mm_kwargs", CH, CH, BOOL, .class = HARMLESS},
    {"mm_payload", CH, 0, STRING, .class = HARMLESS},

    {"return_weight_versions", CH, 0, BOOL, .class = IGNORED},
    {"routed_experts_prompt_start", CH, 0, INT, .class = IGNORED, .bounded = true, .least = 0, .standard = "0"},
    {"kv_transfer_params", CH, CH, OBJECT, .class = IGNORED},
    {"ec_transfer_params", CH, CH, OBJECT, .class = IGNORED},
    {"vllm_xargs", CH, CH, OBJECT, .class = IGNORED},
    {"stream_interval", CH, CH, INT, .class = IGNORED, .bounded = true, .least = 1, .standard = "1"},
    {"service_tier", CH, CH, STRING, .class = IGNORED, .standard = "\"auto\""},
    {"modalities", H, H, ANY, .class = IGNORED, .standard = "[\"text\"]"},
    {"prediction", H, H, ANY, .class = IGNORED},
    {"audio", H, H, ANY, .class = IGNORED},
    {"web_search_options", H, H, ANY, .class = IGNORED},
    {"verbosity", H, H, ANY, .class = IGNORED, .standard = "\"medium\""},
    {"guided_decoding_backend", CH, CH, ANY, .class = IGNORED},

    {"suffix", C, C, STRING, .class = REFUSED,
        .refusal = "suffix is only supported for models with FIM completion rendering"},
    {"prompt_embeds", C, C, ANY, .class = REFUSED, .refusal = "prompt_embeds is not supported"},
    {"use_beam_search", CH, 0, BOOL, .class = REFUSED},
    {"best_of", CH, CH, INT, .class = REFUSED, .standard = "1"}, /* n too: see is_default */
    {"watermarking", CH, CH, BOOL, .class = REFUSED},
    {"response_format", CH, CH, OBJECT, .class = REFUSED, .standard = "{\"type\":\"text\"}"},
    {"structured_outputs", CH, CH, OBJECT, .class = REFUSED},
    {"guided_json", CH, CH, ANY, .class = REFUSED},
    {"guided_regex", CH, CH, ANY, .class = REFUSED},
    {"guided_choice", CH, CH, ANY, .class = REFUSED},
    {"guided_grammar", CH, CH, ANY, .class = REFUSED},
    {"guided_whitespace_pattern", CH, CH, ANY, .class = REFUSED},
    {"repetition_detection", CH, CH, OBJECT, .class = REFUSED},
    {"thinking_token_budget", CH, CH, INT, .class = REFUSED, .standard = "-1"},
    {"logits_processors", CH, CH, ANY, .class = REFUSED},
    {"early_stopping", CH, CH, ANY, .class = REFUSED},
    {"media_io_kwargs", H, H, OBJECT, .class = REFUSED},
    {"mm_processor_kwargs", H | T, H | T, OBJECT, .class = REFUSED},
    {"functions", H, H, ANY, .class = REFUSED, .refusal = "functions is not supported; use tools"},
    {"function_call", H, H, ANY, .class = REFUSED, .standard = "\"none\"",
        .refusal = "function_call is not supported; use tool_choice"},
};

static const struct field_row *row_find(const char *name, enum endpoint endpoint)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if ((rows[i].in & (int)endpoint) != 0 && strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

static bool prints_as(const struct json *value, const char *text)
{
    struct buffer out = {0};
    json_print(&out, value);
    bool same = !out.failed && strcmp(out.data, text) == 0;
    buffer_done(&out);
    return same;
}

/* Whether a value is what the field has when it is not sent, so that it asks for nothing. */
static bool is_default(const struct field_row *row, const struct json *value, const struct json *body)
{
    switch (value->type) {
    case JSON_NULL:
    case JSON_FALSE: return true;
    case JSON_TRUE: return false;
    case JSON_ARRAY:
    case JSON_OBJECT:
        if (value->count == 0)
            return true;
        break;
    case JSON_STRING:
        if (value->length == 0)
            return true;
        break;
    case JSON_NUMBER: break;
    }
    if (strcmp(row->name, "best_of") == 0) {
        int64_t best_of, n;
        return json_int64(value, &best_of) && (best_of == 1 || (json_int64(json_get(body, "n"), &n) && best_of == n));
    }
    return row->standard != NULL && prints_as(value, row->standard);
}

pdk_status fields_refuse(const struct json *body, enum endpoint endpoint, pdk_error *err)
{
    for (const struct json *member = body->child; member != NULL; member = member->next) {
        const struct field_row *row = row_find(member->key, endpoint);
        if (row == NULL || row->class != REFUSED || is_default(row, member, body))
            continue;
        if (row->refusal != NULL)
            return pdk_error_set(err, PDK_INVALID, row->name, "%s", row->refusal);
        return refuse(err, row->name, NULL, "%s is known and not served here yet; leave it out", row->name);
    }
    return PDK_OK;
}

static pdk_status read_int(
    const struct field_row *row, const struct json *value, const char *location, int64_t *ret_value, pdk_error *err)
{
    char least[64];
    pdk_status status = coerce_int(value, location, ret_value, err);
    if (status != PDK_OK || !row->bounded || *ret_value >= row->least)
        return status;
    snprintf(least, sizeof least, "Input should be greater than or equal to %" PRId64, row->least);
    return refuse_type(err, location, "greater_than_equal", least);
}

/* The members of a list or an object, each of the same type. */
static pdk_status check_members(
    const struct field_row *row, const struct json *value, const char *location, pdk_error *err)
{
    char place[LOCATION_MAX];
    int64_t number;
    double real;
    size_t at = 0;
    bool named = row->type == REALS_BY_NAME;
    pdk_status status = coerce_type(value, named ? JSON_OBJECT : JSON_ARRAY, location, err);
    for (const struct json *member = value->child; member != NULL && status == PDK_OK; member = member->next, at++) {
        if (named)
            snprintf(place, sizeof place, "%s.%.48s", location, member->key);
        else
            snprintf(place, sizeof place, "%s.%zu", location, at);
        if (named)
            status = coerce_real(member, place, &real, err);
        else if (row->type == INTS)
            status = read_int(row, member, place, &number, err);
        else
            status = coerce_type(member, JSON_STRING, place, err);
    }
    return status;
}

static pdk_status read_value(const struct field_row *row, const struct json *value, struct fields *to, pdk_error *err)
{
    char location[LOCATION_MAX];
    snprintf(location, sizeof location, "body.%s", row->name);
    struct given_bool flag = {.set = true};
    struct given_int number = {.set = true};
    struct given_real real = {.set = true};
    pdk_status status = PDK_OK;
    switch (row->type) {
    case BOOL: status = coerce_bool(value, location, &flag.value, err); break;
    case INT: status = read_int(row, value, location, &number.value, err); break;
    case REAL: status = coerce_real(value, location, &real.value, err); break;
    case STRING: status = coerce_type(value, JSON_STRING, location, err); break;
    case ARRAY: status = coerce_type(value, JSON_ARRAY, location, err); break;
    case OBJECT: status = coerce_type(value, JSON_OBJECT, location, err); break;
    case STRING_OR_STRINGS:
        status = value->type == JSON_ARRAY ? check_members(row, value, location, err)
                                           : coerce_type(value, JSON_STRING, location, err);
        break;
    case INTS:
    case STRINGS:
    case REALS_BY_NAME: status = check_members(row, value, location, err); break;
    case ANY: break;
    }
    if (status != PDK_OK || row->class != USED)
        return status;
    void *place = (char *)to + row->to;
    switch (row->type) {
    case BOOL: *(struct given_bool *)place = flag; break;
    case INT: *(struct given_int *)place = number; break;
    case REAL: *(struct given_real *)place = real; break;
    default: *(const struct json **)place = value; break;
    }
    return PDK_OK;
}

static bool is_given(const struct json *value)
{
    return value != NULL && value->type != JSON_NULL;
}

static pdk_status read_stream_options(const struct json *body, struct fields *to, pdk_error *err)
{
    const struct json *options = json_get(body, "stream_options");
    const struct json *usage = json_get(options, "include_usage"),
                      *continuous = json_get(options, "continuous_usage_stats");
    pdk_status status = PDK_OK;
    if (is_given(usage))
        status = coerce_bool(usage, "body.stream_options.include_usage", &to->include_usage.value, err);
    if (status == PDK_OK && is_given(continuous))
        status = coerce_bool(
            continuous, "body.stream_options.continuous_usage_stats", &to->continuous_usage_stats.value, err);
    return status;
}

/* The few strings of a closed set. */
static pdk_status read_choices(const struct fields *fields, pdk_error *err)
{
    static const char *const efforts[] = {"none", "minimal", "low", "medium", "high", "xhigh", "max"};
    const struct json *side = fields->truncation_side, *effort = fields->reasoning_effort;
    if (side != NULL && strcmp(side->text, "left") != 0 && strcmp(side->text, "right") != 0)
        return refuse_type(err, "body.truncation_side", "literal_error", "Input should be \"left\" or \"right\"");
    bool known = effort == NULL;
    for (size_t i = 0; !known && i < sizeof efforts / sizeof *efforts; i++)
        known = strcmp(effort->text, efforts[i]) == 0;
    if (!known)
        return refuse_type(err, "body.reasoning_effort", "literal_error",
            "Input should be none, minimal, low, medium, high, xhigh or max");
    if (fields->cache_salt != NULL && fields->cache_salt->length == 0)
        return refuse_type(err, "body.cache_salt", "string_too_short", "String should have at least 1 character");
    return PDK_OK;
}

static pdk_status read_required(const struct fields *fields, enum endpoint endpoint, pdk_error *err)
{
    const char *missing = NULL;
    if (endpoint == ENDPOINT_CHAT && fields->messages == NULL)
        missing = "body.messages";
    else if (endpoint == ENDPOINT_TOKENIZE && fields->messages == NULL && fields->prompt == NULL)
        missing = "body.prompt";
    else if (endpoint == ENDPOINT_DETOKENIZE && fields->tokens == NULL)
        missing = "body.tokens";
    return missing == NULL ? PDK_OK : refuse_type(err, missing, "missing", "Field required");
}

pdk_status fields_read(const struct json *body, enum endpoint endpoint, struct fields *ret_fields, pdk_error *err)
{
    struct fields fields = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct field_row *row = &rows[i];
        const struct json *value = (row->in & (int)endpoint) != 0 ? json_get(body, row->name) : NULL;
        if (value == NULL || (value->type == JSON_NULL && (row->nullable & (int)endpoint) != 0))
            continue;
        pdk_status status = read_value(row, value, &fields, err);
        if (status != PDK_OK)
            return status;
    }
    pdk_status status = read_required(&fields, endpoint, err);
    if (status == PDK_OK)
        status = read_stream_options(body, &fields, err);
    if (status == PDK_OK)
        status = read_choices(&fields, err);
    if (status == PDK_OK)
        *ret_fields = fields;
    return status;
}

/* Whether to log of this service for the first time; a few services may share a bit, and then one stays silent. */
static bool first_of_service(const char *service)
{
    static _Atomic uint32_t seen[32];
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (; *service != '\0'; service++)
        hash = (hash ^ (unsigned char)*service) * 16777619u;
    uint32_t bit = 1u << (hash & 31);
    return (atomic_fetch_or_explicit(&seen[hash >> 5 & 31], bit, memory_order_relaxed) & bit) == 0;
}

/* A client's name in a header of ours: what is not plain becomes '?'. */
static void put_name(struct buffer *out, const char *name, size_t length)
{
    for (size_t i = 0; i < length && i < 48; i++) {
        char c = name[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                     c == '-' || c == '.';
        buffer_putc(out, plain ? c : '?');
    }
}

void fields_warn(const struct json *body, enum endpoint endpoint, struct exchange *exchange, const char *service)
{
    enum { NAMES_MAX = 8 };
    struct buffer ignored = {0}, unknown = {0};
    size_t ignored_count = 0, unknown_count = 0;
    for (const struct json *member = body->child; member != NULL; member = member->next) {
        const struct field_row *row = row_find(member->key, endpoint);
        if (row != NULL && (row->class != IGNORED || is_default(row, member, body)))
            continue;
        struct buffer *out = row == NULL ? &unknown : &ignored;
        size_t *count = row == NULL ? &unknown_count : &ignored_count;
        if (*count < NAMES_MAX) {
            buffer_puts(out, *count == 0 ? "" : ", ");
            put_name(out, member->key, member->key_length);
        }
        ++*count;
    }
    if (ignored_count != 0 && !ignored.failed)
        exchange_warn(exchange, "no effect here: %s%s", ignored.data, ignored_count > NAMES_MAX ? ", ..." : "");
    if (unknown_count != 0 && !unknown.failed) {
        exchange_warn(exchange, "unknown and ignored: %s%s", unknown.data, unknown_count > NAMES_MAX ? ", ..." : "");
        if (first_of_service(service))
            log_event(LOG_LEVEL_WARNING, &(struct log_fields){.service = service},
                "a client sends fields that nobody knows: %s", unknown.data);
    }
    buffer_done(&ignored);
    buffer_done(&unknown);
}
