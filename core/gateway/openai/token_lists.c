/* Strings and token ids that stop, bar, bias or report tokens: counts, lengths, and that the vocabulary has them. */
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

enum { BAD_WORDS_MAX = 128, LOGPROB_IDS_MAX = 128, SHOWN_MAX = 8 };

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

enum bias_key { BIAS_TOKEN, BIAS_NO_NUMBER, BIAS_NO_TOKEN };

static enum bias_key kind_of_key(const struct json *member, const struct ready_info *ready)
{
    int64_t id = 0;
    if (!key_id(member, &id))
        return BIAS_NO_NUMBER;
    return id >= UINT32_MAX || (ready->vocabulary_size != 0 && id >= ready->vocabulary_size) ? BIAS_NO_TOKEN
                                                                                             : BIAS_TOKEN;
}

/* "['a', 'b']" or "[70000]": the keys of a kind, as Python shows a list of them, cut after some. False: there are none.
 */
static bool list_keys(
    const struct json *given, enum bias_key kind, const struct ready_info *ready, char *text, size_t room)
{
    const char *form = kind == BIAS_NO_NUMBER ? "%s'%.40s'" : "%s%.40s";
    size_t used = 0;
    for (const struct json *member = given->child; member != NULL && used + 60 < room; member = member->next)
        if (kind_of_key(member, ready) == kind)
            used += (size_t)snprintf(text + used, room - used, form, used == 0 ? "[" : ", ", member->key);
    if (used != 0)
        snprintf(text + used, room - used, "]");
    return used != 0;
}

static pdk_status check_bias_keys(const struct json *given, const struct ready_info *ready, pdk_error *err)
{
    char shown[400];
    if (list_keys(given, BIAS_NO_NUMBER, ready, shown, sizeof shown))
        return refuse(err, "logit_bias", shown,
            "logit_bias contains key(s) that cannot be converted to integer token IDs: %s", shown);
    if (list_keys(given, BIAS_NO_TOKEN, ready, shown, sizeof shown))
        return refuse(err, "logit_bias", shown,
            "token_id(s) %s in logit_bias contain out-of-vocab token ids. Vocabulary size: %" PRIu32, shown,
            ready->vocabulary_size);
    return PDK_OK;
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
    pdk_status status = check_bias_keys(given, ready, err);
    if (status != PDK_OK)
        return status;
    pdk_bias *biases = call_alloc(call, given->count, sizeof *biases);
    if (biases == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "logit_bias", "no memory for %" PRIu32 " entries", given->count);
    for (const struct json *member = given->child; member != NULL; member = member->next) {
        int64_t id = 0;
        double value;
        key_id(member, &id);
        if (coerce_real(member, "logit_bias", &value, NULL) != PDK_OK || !isfinite(value))
            return refuse(
                err, "logit_bias", member->key, "logit_bias of token %" PRId64 " must be a finite number", id);
        biases[to->bias_count++] = (pdk_bias){(uint32_t)id, (float)(value < -100 ? -100 : value > 100 ? 100 : value)};
    }
    to->biases = biases;
    return PDK_OK;
}

pdk_status call_check_lists(struct call *call, const struct ready_info *ready, pdk_request *request, pdk_error *err)
{
    pdk_status status = check_strings(call, request, err);
    if (status == PDK_OK)
        status = check_ids(call, ready, request, err);
    return status == PDK_OK ? check_biases(call, ready, request, err) : status;
}
