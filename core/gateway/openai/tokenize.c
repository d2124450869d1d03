/* /tokenize and /detokenize: one request to the runtime, and what it sends back. */
#include "config.h"

#include "core/gateway/openai/openai.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/gateway/exchange.h"
#include "core/gateway/openai/body.h"
#include "core/gateway/openai/deliver.h"
#include "core/gateway/openai/tokenize.h"

#include <inttypes.h>

/* What came: lists without their brackets, and text. */
struct tokens {
    struct buffer ids, pieces, text;
    size_t count;
};

static void tokens_done(struct tokens *tokens)
{
    buffer_done(&tokens->ids);
    buffer_done(&tokens->pieces);
    buffer_done(&tokens->text);
}

static void tokens_take(struct tokens *tokens, const pdk_part *part)
{
    for (size_t i = 0; i < part->token_count; i++)
        buffer_printf(&tokens->ids, "%s%" PRIu32, tokens->ids.length == 0 ? "" : ",", part->token_ids[i]);
    for (size_t i = 0; i < part->piece_count; i++) {
        struct json_writer writer = {.out = &tokens->pieces};
        buffer_puts(&tokens->pieces, tokens->pieces.length == 0 ? "" : ",");
        json_write_text(&writer, part->pieces[i].data, part->pieces[i].length);
    }
    if (part->text.length != 0)
        buffer_put(&tokens->text, part->text.data, part->text.length);
    tokens->count += part->token_count;
}

static pdk_status ask(struct exchange *exchange, const struct service_view *service, const pdk_request *request,
    struct tokens *tokens, pdk_error *err)
{
    PDK_CLEANUP(answers_freep) struct answers *answers = NULL;
    const pdk_part *part = NULL;
    uint32_t index;
    pdk_status status = answers_new(exchange_loop(exchange), exchange_client_fd(exchange), &answers, err);
    if (status == PDK_OK)
        status = answers_add(answers, service->channel, request, (uint32_t)limit_get(LIMIT_QUEUE), err);
    while (status == PDK_OK) {
        status = deliver_next(answers, &index, &part, err);
        if (status != PDK_OK || part == NULL)
            break;
        tokens_take(tokens, part);
    }
    if (status == PDK_OK && (tokens->ids.failed || tokens->pieces.failed || tokens->text.failed))
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the answer");
    return status;
}

static pdk_status set_tokenize(struct call *call, const struct ready_info *ready, pdk_request *request, pdk_error *err)
{
    const struct fields *fields = &call->fields;
    struct given_bool special = fields->add_special_tokens, opening = fields->add_generation_prompt;
    request->kind = PDK_KIND_TOKENIZE;
    request->flags = fields->return_token_strs.value ? PDK_FLAG_TOKEN_STRINGS : 0;
    if (fields->messages == NULL) {
        request->text = (pdk_string){fields->prompt->text, fields->prompt->length};
        request->flags |= special.set && !special.value ? PDK_FLAG_NO_SPECIAL_TOKENS : 0;
        return PDK_OK;
    }
    pdk_status status = call_check_messages(call, ready, ready->names[0], err);
    if (status != PDK_OK)
        return status;
    request->messages = call->requests->messages;
    request->message_count = call->requests->message_count;
    request->flags |= special.value ? PDK_FLAG_ADD_SPECIAL_TOKENS : 0;
    request->flags |= fields->continue_final_message.value ? PDK_FLAG_CONTINUE_FINAL : 0;
    if (fields->continue_final_message.value || (opening.set && !opening.value))
        request->flags |= PDK_FLAG_NO_GENERATION_PROMPT;
    return call_set_template(call, request, err);
}

/* Ids of no token have no text, and stop nothing. */
static pdk_status set_detokenize(
    struct call *call, const struct ready_info *ready, pdk_request *request, pdk_error *err)
{
    const struct json *bad, *tokens = call->fields.tokens;
    const uint32_t *ids;
    size_t count;
    pdk_status status = call_read_ids(call, tokens, "tokens", ready->vocabulary_size, &ids, &count, &bad, err);
    if (status != PDK_OK)
        return status;
    uint32_t *known = call_alloc(call, count, sizeof *known);
    if (known == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "tokens", "no memory for %zu token ids", count);
    request->kind = PDK_KIND_DETOKENIZE;
    request->flags = PDK_FLAG_KEEP_SPECIAL;
    request->token_ids = known;
    for (size_t i = 0; i < count; i++)
        if (ids[i] != UINT32_MAX)
            known[request->token_count++] = ids[i];
    return PDK_OK;
}

static void write_tokens(struct buffer *out, const struct tokens *tokens, const struct ready_info *ready, bool pieces)
{
    struct json_writer writer = {.out = out};
    json_write_object(&writer);
    json_write_key(&writer, "count");
    json_write_uint(&writer, tokens->count);
    json_write_key(&writer, "max_model_len");
    json_write_uint(&writer, ready->max_model_len);
    json_write_key(&writer, "tokens");
    json_write_array(&writer);
    if (tokens->ids.length != 0)
        json_write_raw(&writer, tokens->ids.data, tokens->ids.length);
    json_write_end_array(&writer);
    json_write_key(&writer, "token_strs");
    if (pieces) {
        json_write_array(&writer);
        if (tokens->pieces.length != 0)
            json_write_raw(&writer, tokens->pieces.data, tokens->pieces.length);
        json_write_end_array(&writer);
    } else {
        json_write_null(&writer);
    }
    json_write_end_object(&writer);
}

static void write_text(struct buffer *out, const struct tokens *tokens)
{
    struct json_writer writer = {.out = out};
    json_write_object(&writer);
    json_write_key(&writer, "prompt");
    json_write_text(&writer, tokens->text.length == 0 ? "" : tokens->text.data, tokens->text.length);
    json_write_end_object(&writer);
}

/* `body`, one of endpoint `shown`, is what the client sent. Gives what came, and who said it. */
static pdk_status convert(struct exchange *exchange, struct call *call, const struct json *body, enum endpoint shown,
    struct tokens *tokens, const struct service_view **ret_service, pdk_error *err)
{
    const struct service_view *service = NULL;
    const struct json *model = call->fields.model;
    bool back = call->endpoint == ENDPOINT_DETOKENIZE;
    pdk_status status = exchange_route(exchange, model == NULL ? NULL : model->text, READY_TOKENIZE, &service, err);
    if (status != PDK_OK)
        return status;
    fields_warn(body, shown, exchange, service->name);
    pdk_request *request = call_alloc(call, 1, sizeof *request);
    if (request == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the request");
    *request = (pdk_request){.size = sizeof *request,
        .tenant = exchange_tenant(exchange),
        .sampling = {.size = sizeof request->sampling, .n = 1}};
    status =
        back ? set_detokenize(call, service->ready, request, err) : set_tokenize(call, service->ready, request, err);
    bool nothing = back && request->token_count == 0; /* a prompt that is not there is no request */
    if (status == PDK_OK && !nothing)
        status = ask(exchange, service, request, tokens, err);
    if (status == PDK_OK)
        *ret_service = service;
    return status;
}

pdk_status tokenize_count(struct exchange *exchange, struct call *call, const struct json *body, enum endpoint shown,
    size_t *ret_count, pdk_error *err)
{
    PDK_CLEANUP(tokens_done) struct tokens tokens = {0};
    const struct service_view *service = NULL;
    pdk_status status = convert(exchange, call, body, shown, &tokens, &service, err);
    if (status == PDK_OK)
        *ret_count = tokens.count;
    return status;
}

static void answer_tokens(struct exchange *exchange, enum endpoint endpoint)
{
    pdk_error err = {0};
    PDK_CLEANUP(call_freep) struct call *call = body_open(exchange, endpoint, false);
    PDK_CLEANUP(tokens_done) struct tokens tokens = {0};
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    const struct service_view *service = NULL;
    if (call == NULL)
        return;
    pdk_status status = convert(exchange, call, call->body, endpoint, &tokens, &service, &err);
    if (status == PDK_OK && endpoint == ENDPOINT_DETOKENIZE)
        write_text(&out, &tokens);
    else if (status == PDK_OK)
        write_tokens(&out, &tokens, service->ready, call->fields.return_token_strs.value);
    if (status == PDK_OK && out.failed)
        status = pdk_error_set(&err, PDK_NO_MEMORY, NULL, "no memory for the answer");
    if (status == PDK_OK)
        exchange_reply(exchange, 200, "application/json", out.data, out.length);
    else
        exchange_fail(exchange, &err);
}

void openai_tokenize(struct exchange *exchange)
{
    answer_tokens(exchange, ENDPOINT_TOKENIZE);
}

void openai_detokenize(struct exchange *exchange)
{
    answer_tokens(exchange, ENDPOINT_DETOKENIZE);
}

void openai_tokenizer_info(struct exchange *exchange)
{
    pdk_error err = {0};
    const struct service_view *service = NULL;
    PDK_CLEANUP(tokens_done) struct tokens tokens = {0};
    const pdk_request request = {.size = sizeof request,
        .kind = PDK_KIND_TOKENIZER_INFO,
        .tenant = exchange_tenant(exchange),
        .sampling = {.size = sizeof request.sampling, .n = 1}};
    pdk_status status = exchange_route(exchange, NULL, READY_TOKENIZE, &service, &err);
    if (status == PDK_OK && (service->ready->api_flags & PDK_API_TOKENIZER_INFO) == 0)
        status = pdk_error_set(
            &err, PDK_NOT_FOUND, NULL, "/tokenizer_info is served with --enable-tokenizer-info-endpoint only");
    if (status == PDK_OK)
        status = ask(exchange, service, &request, &tokens, &err);
    if (status != PDK_OK)
        exchange_fail(exchange, &err);
    else
        exchange_reply(exchange, 200, "application/json", tokens.text.length == 0 ? "{}" : tokens.text.data,
            tokens.text.length == 0 ? 2 : tokens.text.length);
}
