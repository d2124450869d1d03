/* Handlers in the place of core/gateway/openai/, which make what the HTTP layer does visible: bodies are told back,
 * streams are cut into pieces. Only for the gateway's own tests. */
#include "config.h"

#include "core/base/cleanup.h"
#include "core/base/json.h"
#include "core/gateway/anthropic/anthropic.h"
#include "core/gateway/openai/openai.h"
#include "core/gateway/pooling/pooling.h"
#include "core/gateway/responses/responses.h"

#include "core/gateway/exchange.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static void tell(struct exchange *exchange, const char *handler, const char *service)
{
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    struct json_writer writer = {.out = &out};
    size_t length;
    exchange_body(exchange, &length);
    json_write_object(&writer);
    json_write_key(&writer, "handler");
    json_write_string(&writer, handler);
    json_write_key(&writer, "path");
    json_write_string(&writer, exchange_path(exchange));
    json_write_key(&writer, "model");
    json_write_string(&writer, exchange_segment(exchange, "model"));
    json_write_key(&writer, "service");
    json_write_string(&writer, service);
    json_write_key(&writer, "body_bytes");
    json_write_uint(&writer, length);
    json_write_key(&writer, "watched");
    json_write_bool(&writer, exchange_client_fd(exchange) >= 0);
    json_write_key(&writer, "tenant");
    json_write_bool(&writer, exchange_tenant(exchange) != 0);
    json_write_end_object(&writer);
    exchange_reply(exchange, 200, "application/json", out.data, out.length);
}

static void stream(struct exchange *exchange)
{
    if (!exchange_stream_begin(exchange, 200, "text/event-stream; charset=utf-8"))
        return;
    for (int i = 0; i < 5; i++) {
        char event[64];
        int length = snprintf(event, sizeof event, "data: %d\n\n", i);
        if (!exchange_stream_write(exchange, event, (size_t)length))
            return;
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    exchange_stream_end(exchange);
}

/* The body's "model" decides where it goes; "stream" and "big" how the answer comes. */
static void complete(struct exchange *exchange, const char *handler)
{
    size_t length;
    const char *body = exchange_body(exchange, &length);
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    pdk_error err = {0};
    if (json_read(body, length, &json_limits_default, &document, &err) != PDK_OK) {
        exchange_fail_as(exchange, 400, "Bad Request", &err);
        return;
    }
    const struct json *root = json_root(document);
    const char *model = NULL;
    bool streamed = false, big = false;
    json_string(json_get(root, "model"), &model);
    json_bool(json_get(root, "stream"), &streamed);
    json_bool(json_get(root, "big"), &big);
    const struct service_view *service;
    if (exchange_route(exchange, model, READY_GENERATE, &service, &err) != PDK_OK) {
        exchange_fail(exchange, &err);
    } else if (streamed) {
        stream(exchange);
    } else if (big) {
        enum { BIG = 4 << 20 };
        char *text = calloc(1, BIG);
        memset(text, 'x', BIG);
        exchange_reply(exchange, 200, "text/plain", text, BIG);
        free(text);
    } else {
        tell(exchange, handler, service->name);
    }
}

void openai_models(struct exchange *exchange)
{
    tell(exchange, "models", NULL);
}

void openai_model(struct exchange *exchange)
{
    tell(exchange, "model", NULL);
}

void openai_completions(struct exchange *exchange)
{
    complete(exchange, "completions");
}

void openai_chat_completions(struct exchange *exchange)
{
    complete(exchange, "chat");
}

void openai_tokenize(struct exchange *exchange)
{
    tell(exchange, "tokenize", NULL);
}

void openai_detokenize(struct exchange *exchange)
{
    tell(exchange, "detokenize", NULL);
}

void openai_version(struct exchange *exchange)
{
    tell(exchange, "version", NULL);
}

void openai_health(struct exchange *exchange)
{
    tell(exchange, "health", NULL);
}

void openai_ping(struct exchange *exchange)
{
    tell(exchange, "ping", NULL);
}

void openai_load(struct exchange *exchange)
{
    tell(exchange, "load", NULL);
}

void openai_chat_batch(struct exchange *exchange)
{
    tell(exchange, "chat batch", NULL);
}

void openai_tokenizer_info(struct exchange *exchange)
{
    tell(exchange, "tokenizer info", NULL);
}

void openai_invocations(struct exchange *exchange)
{
    tell(exchange, "invocations", NULL);
}

void openai_refuse_operation(struct exchange *exchange)
{
    tell(exchange, "refuse operation", NULL);
}

void responses_create(struct exchange *exchange)
{
    tell(exchange, "responses create", NULL);
}

void responses_get(struct exchange *exchange)
{
    tell(exchange, "responses get", NULL);
}

void responses_cancel(struct exchange *exchange)
{
    tell(exchange, "responses cancel", NULL);
}

void anthropic_messages(struct exchange *exchange)
{
    tell(exchange, "anthropic messages", NULL);
}

void anthropic_count_tokens(struct exchange *exchange)
{
    tell(exchange, "anthropic count tokens", NULL);
}

void pooling_embeddings(struct exchange *exchange)
{
    tell(exchange, "embeddings", NULL);
}

void pooling_classify(struct exchange *exchange)
{
    tell(exchange, "classify", NULL);
}

void pooling_pool(struct exchange *exchange)
{
    tell(exchange, "pool", NULL);
}

void pooling_score(struct exchange *exchange)
{
    tell(exchange, "score", NULL);
}

void pooling_rerank(struct exchange *exchange)
{
    tell(exchange, "rerank", NULL);
}
