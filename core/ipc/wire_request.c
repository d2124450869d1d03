/* A request's body; the layout stands in wire.h. */
#include "config.h"

#include "core/ipc/wire.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/span.h"
#include "core/ipc/wire_runs.h"

#include <inttypes.h>
#include <string.h>

static void put_message_lengths(struct buffer *out, const pdk_request *request, bool *ok)
{
    for (size_t i = 0; i < request->message_count; i++) {
        const pdk_message *message = &request->messages[i];
        put_length(out, &message->role, ok);
        if (message->content.data == NULL)
            put_u32(out, WIRE_NONE);
        else
            put_length(out, &message->content, ok);
        put_length(out, &message->json, ok);
    }
}

static void put_message_bytes(struct buffer *out, const pdk_request *request)
{
    for (size_t i = 0; i < request->message_count; i++) {
        const pdk_message *message = &request->messages[i];
        buffer_put(out, message->role.data, message->role.length);
        if (message->content.data != NULL)
            buffer_put(out, message->content.data, message->content.length);
        buffer_put(out, message->json.data, message->json.length);
    }
}

static bool narrow_optional(const pdk_string *string, uint32_t *ret_length)
{
    *ret_length = WIRE_NONE;
    return string->data == NULL || narrow(string->length, ret_length);
}

/* The fixed part; false when a count or length does not fit its field. */
static bool fill(struct wire_request *fixed, const pdk_request *request)
{
    *fixed = (struct wire_request){
        .kind = request->kind,
        .priority = request->priority,
        .flags = request->flags,
        .tenant = request->tenant,
        .deadline_ms = request->deadline_ms,
        .tools_mode = request->tools,
        .sampling = request->sampling,
        .guide_kind = request->guide.kind,
        .guide_flags = request->guide.flags,
        .pooling = request->pooling,
    };
    return narrow(request->token_count, &fixed->tokens) && narrow(request->stop_token_count, &fixed->stop_tokens) &&
           narrow(request->bias_count, &fixed->biases) &&
           narrow(request->allowed_token_count, &fixed->allowed_tokens) &&
           narrow(request->logprob_token_count, &fixed->logprob_tokens) &&
           narrow(request->produced_count, &fixed->produced) && narrow(request->message_count, &fixed->messages) &&
           narrow(request->stop_count, &fixed->stops) && narrow(request->bad_word_count, &fixed->bad_words) &&
           narrow(request->adapter.length, &fixed->adapter) && narrow(request->cache_salt.length, &fixed->cache_salt) &&
           narrow_optional(&request->text, &fixed->text) && narrow_optional(&request->pair_text, &fixed->pair_text) &&
           narrow(request->pair_count, &fixed->pair_tokens) &&
           narrow(request->template_text.length, &fixed->template) &&
           narrow(request->tool_name.length, &fixed->tool_name) && narrow(request->guide.text.length, &fixed->guide) &&
           narrow(request->guide.whitespace.length, &fixed->whitespace) &&
           narrow(request->tools_json.length, &fixed->tools) &&
           narrow(request->documents_json.length, &fixed->documents) &&
           narrow(request->template_vars_json.length, &fixed->template_vars);
}

pdk_status wire_request_encode(struct buffer *out, const pdk_request *request, pdk_error *err)
{
    struct wire_request fixed;
    bool ok = fill(&fixed, request);
    if (ok) {
        buffer_put(out, &fixed, sizeof fixed);
        put_numbers(out, request->token_ids, request->token_count, 4);
        put_numbers(out, request->stop_token_ids, request->stop_token_count, 4);
        put_numbers(out, request->biases, request->bias_count, sizeof(pdk_bias));
        put_numbers(out, request->allowed_token_ids, request->allowed_token_count, 4);
        put_numbers(out, request->logprob_token_ids, request->logprob_token_count, 4);
        put_numbers(out, request->produced_ids, request->produced_count, 4);
        put_numbers(out, request->pair_ids, request->pair_count, 4);
        put_message_lengths(out, request, &ok);
        put_lengths(out, request->stop, request->stop_count, &ok);
        put_lengths(out, request->bad_words, request->bad_word_count, &ok);
    }
    if (!ok)
        return pdk_error_set(
            err, PDK_TOO_LARGE, "request", "a list or string of the request is over %d long", (int)WIRE_COUNT_MAX);
    const pdk_string strings[] = {request->adapter, request->cache_salt, request->text, request->tools_json,
        request->documents_json, request->template_vars_json, request->template_text, request->tool_name,
        request->guide.text, request->guide.whitespace, request->pair_text};
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++)
        if (strings[i].data != NULL)
            buffer_put(out, strings[i].data, strings[i].length);
    put_message_bytes(out, request);
    put_strings(out, request->stop, request->stop_count);
    put_strings(out, request->bad_words, request->bad_word_count);
    return PDK_OK;
}

/* Where the lists of string lengths begin; they are followed once the memory for the strings is there. */
struct lengths {
    const uint32_t *messages, *stops, *bad_words;
};

static bool take_numbers_of_request(
    struct span *in, const struct wire_request *fixed, pdk_request *request, struct lengths *lengths)
{
    const uint32_t *biases;
    bool ok = take_numbers(in, fixed->tokens, 1, &request->token_ids) &&
              take_numbers(in, fixed->stop_tokens, 1, &request->stop_token_ids) &&
              take_numbers(in, fixed->biases, 2, &biases) &&
              take_numbers(in, fixed->allowed_tokens, 1, &request->allowed_token_ids) &&
              take_numbers(in, fixed->logprob_tokens, 1, &request->logprob_token_ids) &&
              take_numbers(in, fixed->produced, 1, &request->produced_ids) &&
              take_numbers(in, fixed->pair_tokens, 1, &request->pair_ids) &&
              take_numbers(in, fixed->messages, 3, &lengths->messages) &&
              take_numbers(in, fixed->stops, 1, &lengths->stops) &&
              take_numbers(in, fixed->bad_words, 1, &lengths->bad_words);
    if (!ok)
        return false;
    request->biases = (const pdk_bias *)(const void *)biases;
    request->token_count = fixed->tokens;
    request->stop_token_count = fixed->stop_tokens;
    request->bias_count = fixed->biases;
    request->allowed_token_count = fixed->allowed_tokens;
    request->logprob_token_count = fixed->logprob_tokens;
    request->produced_count = fixed->produced;
    request->pair_count = fixed->pair_tokens;
    request->message_count = fixed->messages;
    request->stop_count = fixed->stops;
    request->bad_word_count = fixed->bad_words;
    return true;
}

static bool take_strings_of_request(struct span *in, const struct wire_request *fixed, const struct lengths *lengths,
    pdk_request *request, pdk_message *messages, pdk_string *strings)
{
    bool ok = take_string(in, fixed->adapter, &request->adapter) &&
              take_string(in, fixed->cache_salt, &request->cache_salt) &&
              take_optional(in, fixed->text, &request->text) && take_string(in, fixed->tools, &request->tools_json) &&
              take_string(in, fixed->documents, &request->documents_json) &&
              take_string(in, fixed->template_vars, &request->template_vars_json) &&
              take_string(in, fixed->template, &request->template_text) &&
              take_string(in, fixed->tool_name, &request->tool_name) &&
              take_string(in, fixed->guide, &request->guide.text) &&
              take_string(in, fixed->whitespace, &request->guide.whitespace) &&
              take_optional(in, fixed->pair_text, &request->pair_text);
    for (size_t i = 0; ok && i < fixed->messages; i++)
        ok = take_string(in, lengths->messages[3 * i], &messages[i].role) &&
             take_optional(in, lengths->messages[3 * i + 1], &messages[i].content) &&
             take_string(in, lengths->messages[3 * i + 2], &messages[i].json);
    for (size_t i = 0; ok && i < fixed->stops; i++)
        ok = take_string(in, lengths->stops[i], &strings[i]);
    for (size_t i = 0; ok && i < fixed->bad_words; i++)
        ok = take_string(in, lengths->bad_words[i], &strings[fixed->stops + i]);
    return ok;
}

pdk_status wire_request_decode(
    const void *body, size_t length, pdk_request *ret_request, void **ret_memory, pdk_error *err)
{
    struct span in = span_of(body, length);
    struct wire_request fixed;
    if (!span_copy(&in, &fixed, sizeof fixed))
        return pdk_error_set(err, PDK_INVALID, "request", "a request of %zu bytes is cut short", length);
    pdk_request request = {
        .size = sizeof request,
        .kind = fixed.kind,
        .tenant = fixed.tenant,
        .deadline_ms = fixed.deadline_ms,
        .priority = fixed.priority,
        .flags = fixed.flags,
        .tools = fixed.tools_mode,
        .sampling = fixed.sampling,
        .guide = {.kind = fixed.guide_kind, .flags = fixed.guide_flags},
        .pooling = fixed.pooling,
    };
    request.sampling.size = sizeof request.sampling;
    struct lengths lengths;
    if (!take_numbers_of_request(&in, &fixed, &request, &lengths))
        return pdk_error_set(err, PDK_INVALID, "request", "the lists of a request pass its end (%zu bytes)", length);
    /* The counts were taken from the body, so these sums are far below SIZE_MAX. */
    size_t strings = (size_t)fixed.stops + fixed.bad_words;
    size_t bytes = fixed.messages * sizeof(pdk_message) + strings * sizeof(pdk_string);
    PDK_AUTO_FREE void *memory = bytes != 0 ? malloc(bytes) : NULL;
    if (bytes != 0 && memory == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "request", "no memory for a request's %zu strings", strings);
    pdk_message *messages = memory;
    pdk_string *others = bytes != 0 ? (pdk_string *)(void *)(messages + fixed.messages) : NULL;
    if (!take_strings_of_request(&in, &fixed, &lengths, &request, messages, others) || in.left != 0)
        return pdk_error_set(err, PDK_INVALID, "request", "the strings of a request do not fill its %zu bytes", length);
    request.messages = fixed.messages != 0 ? messages : NULL;
    request.stop = fixed.stops != 0 ? others : NULL;
    request.bad_words = fixed.bad_words != 0 ? others + fixed.stops : NULL;
    *ret_request = request;
    *ret_memory = PDK_STEAL(memory);
    return PDK_OK;
}
