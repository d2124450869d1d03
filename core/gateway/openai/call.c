/* See call.h. */
#include "config.h"

#include "core/gateway/openai/call.h"

#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/gateway/openai/coerce.h"
#include "core/gateway/openai/guide.h"
#include "core/gateway/openai/refusal.h"
#include "core/gateway/openai/tools.h"

#include <inttypes.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MEMBERS_MAX = 1000,   /* each is looked for in the table, which is a walk */
    TRANSLATED_DEEPER = 8 /* levels, and as many times the bytes, that a translation may add */
};

struct call_block {
    struct call_block *next;
    alignas(max_align_t) char bytes[];
};

struct call *call_new(enum endpoint endpoint)
{
    struct call *call = calloc(1, sizeof *call);
    if (call != NULL)
        call->endpoint = endpoint;
    return call;
}

struct call *call_free(struct call *call)
{
    if (call == NULL)
        return NULL;
    for (struct call_block *block = call->blocks, *next; block != NULL; block = next) {
        next = block->next;
        free(block);
    }
    json_document_free(call->document);
    free(call);
    return NULL;
}

void call_freep(struct call **call)
{
    call_free(*call);
}

void *call_alloc(struct call *call, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || __builtin_add_overflow(bytes, sizeof(struct call_block), &bytes))
        return NULL;
    struct call_block *block = calloc(1, bytes);
    if (block == NULL)
        return NULL;
    block->next = call->blocks;
    call->blocks = block;
    return block->bytes;
}

pdk_status call_keep(struct call *call, struct buffer *out, pdk_string *ret_text, pdk_error *err)
{
    char *kept = out->failed ? NULL : call_alloc(call, out->length + 1, 1);
    size_t length = out->length;
    if (kept != NULL && length != 0)
        memcpy(kept, out->data, length);
    buffer_done(out);
    *out = (struct buffer){0};
    if (kept == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the request");
    *ret_text = (pdk_string){kept, length};
    return PDK_OK;
}

/* The reader's message ends in "(byte N)"; Python's validator puts that N into the path. */
static pdk_status refuse_json(const pdk_error *cause, pdk_error *err)
{
    char location[32] = "body";
    const char *byte = strstr(cause->message, "byte ");
    size_t digits = byte == NULL ? 0 : strspn(byte + 5, "0123456789");
    if (digits != 0 && digits < 20)
        snprintf(location, sizeof location, "body.%.*s", (int)digits, byte + 5);
    return pdk_error_set(err, PDK_INVALID, location,
        "1 validation error:\n  {'type': 'json_invalid', 'loc': '%s', 'msg': 'JSON decode error', 'ctx': {'error': "
        "'%.300s'}}",
        location, cause->message);
}

pdk_status call_open(struct call *call, const char *text, size_t length, bool *ret_malformed, pdk_error *err)
{
    *ret_malformed = true;
    if (length == 0)
        return refuse_type(err, "body", "missing", "Field required");
    struct json_limits limits = {
        .bytes = limit_get(LIMIT_BODY_OPENAI_BYTES),
        .depth = limit_get(LIMIT_JSON_DEPTH),
        .nodes = limit_get(LIMIT_JSON_NODES),
    };
    if (call->translated) {
        limits.depth += TRANSLATED_DEEPER;
        limits.bytes *= TRANSLATED_DEEPER;
        limits.nodes *= TRANSLATED_DEEPER;
    }
    pdk_error cause = {0};
    pdk_status status = json_read(text, length, &limits, &call->document, &cause);
    if (status == PDK_INVALID)
        return refuse_json(&cause, err);
    if (status != PDK_OK) {
        *ret_malformed = false;
        return pdk_error_set(err, status, "body", "%s", cause.message);
    }
    call->body = json_root(call->document);
    if (call->body->type != JSON_OBJECT)
        return refuse_type(err, "body", "model_attributes_type",
            "Input should be a valid dictionary or object to extract fields from");
    if (call->body->count > MEMBERS_MAX)
        return pdk_error_set(err, PDK_INVALID, "body",
            "1 validation error:\n  body has %" PRIu32 " fields; the limit is %d", call->body->count, MEMBERS_MAX);
    *ret_malformed = false;
    return fields_check(call->body, call->endpoint, err);
}

pdk_status call_read(struct call *call, pdk_error *err)
{
    pdk_status status = fields_read(call->body, call->endpoint, &call->fields, err);
    if (status != PDK_OK)
        return status;
    const struct fields *fields = &call->fields;
    call->stream = fields->stream.value;
    call->include_usage = fields->include_usage.value;
    call->continuous_usage = call->include_usage && fields->continuous_usage_stats.value;
    call->echo = fields->echo.value;
    call->n = 1;
    if (((int)call->endpoint & ENDPOINTS_TRANSLATED) != 0)
        return PDK_OK; /* what it says becomes a chat's first */
    if (fields->messages != NULL)
        status = call_read_messages(call, err);
    else if (call->endpoint == ENDPOINT_COMPLETIONS)
        status = call_read_prompts(call, fields->prompt, "prompt", limit_get(LIMIT_PROMPTS), err);
    else if (fields->input != NULL)
        status = call_read_prompts(call, fields->input, "input", limit_get(LIMIT_POOL_INPUTS), err);
    else if (call->endpoint == ENDPOINT_TOKENIZE)
        status = coerce_type(fields->prompt, JSON_STRING, "body.prompt", err);
    return status == PDK_OK ? guide_read(call, err) : status;
}

static uint32_t request_flags(const struct call *call)
{
    const struct fields *fields = &call->fields;
    bool chat = call->endpoint == ENDPOINT_CHAT;
    uint32_t flags = 0;
    flags |= call->stream ? PDK_FLAG_STREAM : 0;
    flags |= !chat && call->echo ? PDK_FLAG_ECHO : 0;
    flags |= fields->return_token_ids.value ? PDK_FLAG_PROMPT_IDS : 0;
    flags |= fields->return_prompt_text.value ? PDK_FLAG_PROMPT_TEXT : 0;
    flags |= fields->ignore_eos.value ? PDK_FLAG_IGNORE_EOS : 0;
    flags |= fields->include_stop_str_in_output.value ? PDK_FLAG_INCLUDE_STOP : 0;
    flags |= fields->skip_special_tokens.set && !fields->skip_special_tokens.value ? PDK_FLAG_KEEP_SPECIAL : 0;
    flags |= fields->spaces_between_special_tokens.set && !fields->spaces_between_special_tokens.value
                 ? PDK_FLAG_NO_SPACES_BETWEEN
                 : 0;
    if (fields->truncation_side != NULL && strcmp(fields->truncation_side->text, "right") == 0)
        flags |= PDK_FLAG_TRUNCATE_RIGHT;
    if (chat && fields->add_special_tokens.value)
        flags |= PDK_FLAG_ADD_SPECIAL_TOKENS;
    if (!chat && fields->add_special_tokens.set && !fields->add_special_tokens.value)
        flags |= PDK_FLAG_NO_SPECIAL_TOKENS;
    /* An open last message leaves no room for an opening, also when the client did not say so. */
    if (fields->continue_final_message.value)
        flags |= PDK_FLAG_CONTINUE_FINAL | PDK_FLAG_NO_GENERATION_PROMPT;
    if (fields->add_generation_prompt.set && !fields->add_generation_prompt.value)
        flags |= PDK_FLAG_NO_GENERATION_PROMPT;
    if (fields->include_reasoning.set && !fields->include_reasoning.value)
        flags |= PDK_FLAG_NO_REASONING;
    if (fields->use_beam_search.value)
        flags |= PDK_FLAG_BEAM_SEARCH;
    return flags;
}

void call_set_common(const struct call *call, pdk_request *request)
{
    const struct fields *fields = &call->fields;
    if (fields->priority.set)
        request->priority = fields->priority.value < INT32_MIN   ? INT32_MIN
                            : fields->priority.value > INT32_MAX ? INT32_MAX
                                                                 : (int32_t)fields->priority.value;
    if (fields->cache_salt != NULL)
        request->cache_salt = (pdk_string){fields->cache_salt->text, fields->cache_salt->length};
}

pdk_status call_check(struct call *call, const struct ready_info *ready, const char *model, pdk_error *err)
{
    const struct fields *fields = &call->fields;
    bool chat = call->endpoint == ENDPOINT_CHAT;
    pdk_request shared = {.size = sizeof shared, .kind = PDK_KIND_GENERATE, .flags = request_flags(call)};
    pdk_status status = chat ? tools_set(call, ready, &shared, err) : PDK_OK;
    if (status == PDK_OK)
        status = chat ? call_check_messages(call, ready, model, err) : call_check_prompts(call, ready, err);
    if (status == PDK_OK && chat)
        status = call_take_forwarded(call, ready, err);
    if (status != PDK_OK)
        return status;
    if ((ready->api_flags & PDK_API_FORCE_USAGE) != 0 && call->stream)
        call->include_usage = call->continuous_usage = true;
    call->as_ids = fields->return_tokens_as_token_ids.set ? fields->return_tokens_as_token_ids.value
                                                          : (ready->api_flags & PDK_API_TOKENS_AS_IDS) != 0;
    call_set_common(call, &shared);
    status = call_check_sampling(call, ready, &shared, err);
    if (status == PDK_OK)
        status = guide_set(call, &shared, err);
    if (status == PDK_OK && chat)
        status = call_set_template(call, &shared, err);
    if (status != PDK_OK)
        return status;
    for (size_t i = 0; i < call->request_count; i++) {
        const pdk_request prompt = call->requests[i];
        pdk_request *request = &call->requests[i];
        *request = shared;
        request->token_ids = prompt.token_ids;
        request->token_count = prompt.token_count;
        request->text = prompt.text;
        request->messages = prompt.messages;
        request->message_count = prompt.message_count;
    }
    return PDK_OK;
}
