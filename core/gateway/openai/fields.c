/* See fields.h. */
#include "config.h"

#include "core/gateway/openai/fields.h"

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/gateway/exchange.h"
#include "core/gateway/openai/coerce.h"
#include "core/gateway/openai/field_rows.h"
#include "core/gateway/openai/refusal.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { LOCATION_MAX = 96 };

pdk_status fields_refuse(const struct json *body, enum endpoint endpoint, pdk_error *err)
{
    for (const struct json *member = body->child; member != NULL; member = member->next) {
        const struct field_row *row = field_row_find(member->key, endpoint);
        if (row == NULL || row->class != REFUSED || field_is_default(row, member, body))
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
    switch (endpoint) {
    case ENDPOINT_CHAT: missing = fields->messages == NULL ? "body.messages" : NULL; break;
    case ENDPOINT_TOKENIZE: missing = fields->messages == NULL && fields->prompt == NULL ? "body.prompt" : NULL; break;
    case ENDPOINT_DETOKENIZE: missing = fields->tokens == NULL ? "body.tokens" : NULL; break;
    case ENDPOINT_EMBEDDINGS:
    case ENDPOINT_CLASSIFY:
    case ENDPOINT_POOLING: missing = fields->messages == NULL && fields->input == NULL ? "body.input" : NULL; break;
    case ENDPOINT_SCORE:
        missing = fields->first == NULL ? "body.text_1" : fields->second == NULL ? "body.text_2" : NULL;
        break;
    case ENDPOINT_RERANK:
        missing = fields->first == NULL ? "body.query" : fields->second == NULL ? "body.documents" : NULL;
        break;
    case ENDPOINT_MESSAGES:
        missing = fields->max_tokens.set ? NULL : "body.max_tokens";
        /* fall through */
    case ENDPOINT_COUNT_TOKENS:
        missing = fields->model == NULL ? "body.model" : fields->messages == NULL ? "body.messages" : missing;
        break;
    case ENDPOINT_RESPONSES: missing = fields->input == NULL ? "body.input" : NULL; break;
    case ENDPOINT_COMPLETIONS: break;
    }
    return missing == NULL ? PDK_OK : refuse_type(err, missing, "missing", "Field required");
}

pdk_status fields_read(const struct json *body, enum endpoint endpoint, struct fields *ret_fields, pdk_error *err)
{
    struct fields fields = {0};
    for (size_t i = 0; i < field_rows_count(); i++) {
        const struct field_row *row = field_row_at(i);
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
        const struct field_row *row = field_row_find(member->key, endpoint);
        if (row != NULL && (row->class != IGNORED || field_is_default(row, member, body)))
            continue;
        if (row != NULL && row->heeded != NULL && json_get(member, row->heeded) != NULL)
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
