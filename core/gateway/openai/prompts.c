/* The prompts of a completion: one text, one list of token ids, or a list of either. */
#include "config.h"

#include "core/gateway/openai/call.h"

#include "core/base/error.h"
#include "core/gateway/openai/refusal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Reads `list` as ids of at least 0; one that fits no uint32_t is kept in call->wide_id for call_check_prompts. */
static pdk_status read_prompt_ids(
    struct call *call, const struct json *list, const char *location, pdk_request *to, pdk_error *err)
{
    char place[64];
    size_t at = 0;
    uint32_t *ids = call_alloc(call, list->count, sizeof *ids);
    if (ids == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for %" PRIu32 " tokens", list->count);
    for (const struct json *value = list->child; value != NULL; value = value->next, at++) {
        int64_t id;
        double real;
        snprintf(place, sizeof place, "%s.%zu", location, at);
        if (json_int64(value, &id) && id >= 0 && id < UINT32_MAX) {
            ids[at] = (uint32_t)id;
            continue;
        }
        if (value->type != JSON_NUMBER)
            return refuse_type(err, place, "int_type", "Input should be a valid integer");
        json_double(value, &real);
        if (real < 0)
            return refuse_type(err, place, "greater_than_equal", "Input should be greater than or equal to 0");
        if (real < UINT32_MAX)
            return refuse_type(
                err, place, "int_from_float", "Input should be a valid integer, got a number with a fractional part");
        if (call->wide_id == NULL)
            call->wide_id = value;
    }
    to->token_ids = ids;
    to->token_count = list->count;
    return PDK_OK;
}

static pdk_status read_list(struct call *call, const struct json *list, const char *name, pdk_error *err)
{
    char location[64];
    enum json_type first = list->child != NULL ? list->child->type : JSON_STRING;
    if (first == JSON_NUMBER) {
        call->request_count = 1;
        snprintf(location, sizeof location, "body.%s", name);
        return read_prompt_ids(call, list, location, call->requests, err);
    }
    if (first != JSON_STRING && first != JSON_ARRAY) {
        snprintf(location, sizeof location, "body.%s.0", name);
        return refuse_type(err, location, "string_type", "Input should be a valid string");
    }
    for (const struct json *value = list->child; value != NULL; value = value->next) {
        pdk_request *to = &call->requests[call->request_count];
        snprintf(location, sizeof location, "body.%s.%zu", name, call->request_count++);
        if (value->type != first)
            return first == JSON_STRING ? refuse_type(err, location, "string_type", "Input should be a valid string")
                                        : refuse_type(err, location, "list_type", "Input should be a valid list");
        if (first == JSON_STRING) {
            to->text = (pdk_string){value->text, value->length};
            continue;
        }
        pdk_status status = read_prompt_ids(call, value, location, to, err);
        if (status != PDK_OK)
            return status;
    }
    return PDK_OK;
}

pdk_status call_read_prompts(
    struct call *call, const struct json *prompt, const char *name, uint64_t most, pdk_error *err)
{
    char location[48];
    snprintf(location, sizeof location, "body.%s", name);
    size_t room =
        prompt->type == JSON_ARRAY && prompt->child != NULL && prompt->child->type != JSON_NUMBER ? prompt->count : 1;
    if (room > most)
        return pdk_error_set(err, PDK_INVALID, location,
            "1 validation error:\n  {'type': 'too_long', 'loc': '%s', 'msg': 'List should have at most %" PRIu64
            " items, not %zu'}",
            location, most, room);
    call->requests = call_alloc(call, room, sizeof *call->requests);
    if (call->requests == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, name, "no memory for %zu prompts", room);
    if (prompt->type == JSON_ARRAY)
        return read_list(call, prompt, name, err);
    if (prompt->type != JSON_STRING)
        return refuse_type(err, location, "string_type", "Input should be a valid string");
    call->requests[0].text = (pdk_string){prompt->text, prompt->length};
    call->request_count = 1;
    return PDK_OK;
}

static pdk_status check_ids(
    const struct call *call, const pdk_request *request, const struct ready_info *ready, pdk_error *err)
{
    if (request->token_count == 0)
        return refuse(err, NULL, NULL, "The decoder prompt cannot be empty");
    for (size_t i = 0; ready->vocabulary_size != 0 && i < request->token_count; i++)
        if (request->token_ids[i] >= ready->vocabulary_size)
            return refuse(err, NULL, NULL, "Token id %" PRIu32 " is out of vocabulary", request->token_ids[i]);
    if (ready->max_model_len == 0 || request->token_count <= ready->max_model_len ||
        call->fields.truncate_prompt_tokens.set)
        return PDK_OK;
    char value[24];
    snprintf(value, sizeof value, "%zu", request->token_count);
    return refuse(err, "input_tokens", value,
        "This model's maximum context length is %" PRIu32
        " tokens. However, your prompt contains %zu input tokens, which "
        "exceeds this limit even without any output tokens. Please reduce the length of the input prompt.",
        ready->max_model_len, request->token_count);
}

pdk_status call_check_prompts(const struct call *call, const struct ready_info *ready, pdk_error *err)
{
    if (call->request_count == 0)
        return refuse(err, NULL, NULL, "You must pass at least one prompt");
    if (call->wide_id != NULL)
        return refuse(err, NULL, NULL, "Token id %.64s is out of vocabulary", call->wide_id->text);
    for (size_t i = 0; i < call->request_count; i++) {
        const pdk_request *request = &call->requests[i];
        if (request->text.data != NULL && !ready->has_tokenizer)
            return refuse(err, "prompt", NULL, "This model has no tokenizer; send the prompt as a list of token ids.");
        pdk_status status = request->text.data != NULL ? PDK_OK : check_ids(call, request, ready, err);
        if (status != PDK_OK)
            return status;
    }
    return PDK_OK;
}

/* An echo needs the conversation itself. */
pdk_status call_take_forwarded(struct call *call, const struct ready_info *ready, pdk_error *err)
{
    static const char name[] = "kv_transfer_params.prompt_token_ids";
    const struct json *params = json_get(call->body, "kv_transfer_params");
    const struct json *list =
        params == NULL || params->type != JSON_OBJECT ? NULL : json_get(params, "prompt_token_ids");
    if (list == NULL || list->type == JSON_NULL || call->echo)
        return PDK_OK;
    if (call->batch)
        return refuse(err, name, NULL, "%s is one prompt; it cannot stand for a batch of conversations", name);
    uint32_t *ids = call_alloc(call, list->count, sizeof *ids);
    if (ids == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, name, "no memory for %" PRIu32 " tokens", list->count);
    bool whole = list->type == JSON_ARRAY && list->count != 0;
    size_t at = 0;
    for (const struct json *value = list->child; value != NULL && whole; value = value->next, at++) {
        int64_t id;
        whole =
            value->type == JSON_NUMBER && strspn(value->text, "0123456789") == value->length && json_int64(value, &id);
        if (whole && (id >= UINT32_MAX || (ready->vocabulary_size != 0 && id >= ready->vocabulary_size)))
            return refuse(err, name, NULL, "Token id %" PRId64 " is out of vocabulary", id);
        ids[at] = whole ? (uint32_t)id : 0;
    }
    if (!whole)
        return refuse(err, name, NULL, "%s must be a list of non-negative integers that is not empty", name);
    call->requests->token_ids = ids;
    call->requests->token_count = list->count;
    call->requests->messages = NULL;
    call->requests->message_count = 0;
    return check_ids(call, call->requests, ready, err);
}
