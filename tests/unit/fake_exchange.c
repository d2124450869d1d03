/* See fake_exchange.h. */
#include "config.h"

#include "fake_exchange.h"

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/gateway/routing.h"
#include "core/gateway/status_map.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct answers {
    struct exchange *exchange;
};

void fake_init(struct exchange *exchange, const char *path, const char *body)
{
    *exchange = (struct exchange){.method = "POST",
        .path = path,
        .body = body,
        .body_length = body == NULL ? 0 : strlen(body),
        .content_type = "application/json",
        .host = "127.0.0.1:8080",
        .request_id = "0123456789abcdef",
        .writes_left = SIZE_MAX,
        .ready = {.extensions = READY_GENERATE | READY_TOKENIZE,
            .vocabulary_size = 49152,
            .max_model_len = 2048,
            .max_logprobs = 20,
            .name_count = 1,
            .has_tokenizer = true,
            .has_template = true,
            .names = {(char *)"m"},
            .root = (char *)"/models/smollm2",
            .fingerprint = (char *)"97fbed86"},
        .service = {.name = "m",
            .namespace_ = "default",
            .host = "m.default.example.com",
            .model_name = "m",
            .created = 1700000000,
            .phase = SERVICE_READY}};
    exchange->service.ready = &exchange->ready;
    exchange->routes = (struct routes){.count = 1, .services = &exchange->service};
}

void fake_done(struct exchange *exchange)
{
    buffer_done(&exchange->reply);
    buffer_done(&exchange->warnings);
    buffer_done(&exchange->headers);
    buffer_done(&exchange->seen);
}

const char *exchange_method(const struct exchange *exchange)
{
    return exchange->method;
}

const char *exchange_path(const struct exchange *exchange)
{
    return exchange->path;
}

const char *exchange_header(const struct exchange *exchange, const char *name)
{
    if (strcasecmp(name, "Content-Type") == 0)
        return exchange->content_type;
    if (strcasecmp(name, "endpoint-load-metrics-format") == 0)
        return exchange->load_format;
    return strcasecmp(name, "Host") == 0 ? exchange->host : NULL;
}

const char *exchange_request_id(const struct exchange *exchange)
{
    return exchange->request_id;
}

bool exchange_request_id_given(const struct exchange *exchange)
{
    return exchange->request_id_given;
}

const char *exchange_body(const struct exchange *exchange, size_t *ret_length)
{
    *ret_length = exchange->body_length;
    return exchange->body == NULL ? "" : exchange->body;
}

uint64_t exchange_tenant(const struct exchange *exchange)
{
    (void)exchange;
    return 0;
}

const char *exchange_segment(const struct exchange *exchange, const char *name)
{
    (void)name;
    return exchange->segment;
}

bool exchange_parameter(const struct exchange *exchange, const char *name, char *value, size_t room)
{
    const char *at = strstr(exchange->path, "?");
    size_t length = strlen(name);
    if (at == NULL || strncmp(at + 1, name, length) != 0 || at[1 + length] != '=')
        return false;
    snprintf(value, room, "%s", at + length + 2);
    return true;
}

struct response_store *exchange_responses(const struct exchange *exchange)
{
    return exchange->responses;
}

int exchange_client_fd(const struct exchange *exchange)
{
    (void)exchange;
    return -1;
}

struct control *exchange_control(const struct exchange *exchange)
{
    return (struct control *)(uintptr_t)exchange;
}

struct channel_loop *exchange_loop(const struct exchange *exchange)
{
    return (struct channel_loop *)(uintptr_t)exchange;
}

pdk_status exchange_route(struct exchange *exchange, const char *model, uint32_t extension,
    const struct service_view **ret_service, pdk_error *err)
{
    snprintf(exchange->routed, sizeof exchange->routed, "%s", model == NULL ? "" : model);
    if (exchange->route_status != PDK_OK)
        return pdk_error_set(err, exchange->route_status, NULL, "not ready");
    if (model != NULL && *model != '\0' && strcmp(model, exchange->ready.names[0]) != 0)
        return pdk_error_set(err, PDK_NOT_FOUND, "model", "The model `%s` does not exist. Valid aliases: m.", model);
    if ((exchange->ready.extensions & extension) == 0)
        return pdk_error_set(err, PDK_UNSUPPORTED, NULL, "The model does not support this API");
    *ret_service = &exchange->service;
    return PDK_OK;
}

bool exchange_may_use(const struct exchange *exchange, const struct service_view *service)
{
    (void)service;
    return !exchange->denied;
}

const struct service_view *routing_named(const struct exchange *exchange, const struct routes *routes)
{
    bool named = exchange->host != NULL && strcmp(exchange->host, routes->services->host) == 0;
    return named ? routes->services : NULL;
}

void exchange_warn(struct exchange *exchange, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    buffer_vprintf(&exchange->warnings, format, arguments);
    va_end(arguments);
    buffer_putc(&exchange->warnings, '\n');
}

void exchange_add_header(struct exchange *exchange, const char *name, const char *value)
{
    buffer_printf(&exchange->headers, "%s: %s\n", name, value);
}

void exchange_reply(struct exchange *exchange, int status, const char *content_type, const void *body, size_t length)
{
    exchange->replies++;
    exchange->status = status;
    snprintf(exchange->type, sizeof exchange->type, "%s", content_type == NULL ? "" : content_type);
    buffer_put(&exchange->reply, body, length);
}

void exchange_error_object(struct buffer *out, int status, const char *type, const pdk_error *err)
{
    status_openai(out, status, type, err);
}

void exchange_fail_as(struct exchange *exchange, int status, const char *type, const pdk_error *err)
{
    struct buffer out = {0};
    if (strstr(exchange->path, "/v1/messages") != NULL && strcmp(type, "Bad Request") != 0)
        status_anthropic(&out, status, err);
    else
        exchange_error_object(&out, status, type, err);
    exchange_reply(exchange, status, "application/json", out.data, out.length);
    buffer_done(&out);
}

void exchange_fail(struct exchange *exchange, const pdk_error *err)
{
    const struct status_row *row = status_row(err->status);
    exchange_fail_as(exchange, row->http, row->type, err);
}

bool exchange_stream_begin(struct exchange *exchange, int status, const char *content_type)
{
    exchange_reply(exchange, status, content_type, "", 0);
    exchange->streamed = true;
    return exchange->writes_left != 0;
}

bool exchange_stream_write(struct exchange *exchange, const void *bytes, size_t length)
{
    if (exchange->writes_left == 0)
        return false;
    exchange->writes_left -= exchange->writes_left != SIZE_MAX;
    buffer_put(&exchange->reply, bytes, length);
    return true;
}

void exchange_stream_end(struct exchange *exchange)
{
    exchange->ended = true;
}

const struct routes *control_routes(struct control *control)
{
    return &((struct exchange *)control)->routes;
}

const struct routes *routes_unref(const struct routes *routes)
{
    (void)routes;
    return NULL;
}

void control_metrics(struct control *control, int64_t wait_ms, struct buffer *out)
{
    (void)control;
    (void)wait_ms;
    buffer_puts(out,
        "# TYPE vllm:kv_cache_usage_perc gauge\n"
        "vllm:kv_cache_usage_perc{model_name=\"m\",engine=\"0\",namespace=\"default\",service=\"other\"} 0.75\n"
        "vllm:kv_cache_usage_perc{model_name=\"m\",engine=\"0\",namespace=\"default\",service=\"m\"} 0.25\n"
        "vllm:num_requests_waiting{model_name=\"m\",engine=\"0\",namespace=\"default\",service=\"m\"} 3\n");
}

bool control_is_draining(const struct control *control)
{
    return ((const struct exchange *)control)->draining;
}

void channel_health(struct channel *channel, struct channel_health *ret_health)
{
    (void)channel;
    *ret_health = (struct channel_health){.in_flight = 3};
}

pdk_status answers_new(struct channel_loop *loop, int client_fd, struct answers **ret_answers, pdk_error *err)
{
    (void)client_fd;
    struct answers *answers = calloc(1, sizeof *answers);
    if (answers == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory");
    answers->exchange = (struct exchange *)loop;
    *ret_answers = answers;
    return PDK_OK;
}

struct answers *answers_free(struct answers *answers)
{
    if (answers != NULL)
        answers->exchange->freed++;
    free(answers);
    return NULL;
}

static void note(struct buffer *seen, const char *name, pdk_string text)
{
    if (text.length != 0)
        buffer_printf(seen, " %s=%.*s", name, (int)text.length, text.data);
}

/* What a test may look for of a request, which is gone when the handler returns. */
static void note_request(struct buffer *seen, const pdk_request *request)
{
    buffer_printf(seen, "kind=%d", request->kind);
    note(seen, "text", request->text);
    note(seen, "pair", request->pair_text);
    for (size_t i = 0; i < request->message_count; i++)
        note(seen, "message", request->messages[i].json);
    note(seen, "tools", request->tools_json);
    note(seen, "vars", request->template_vars_json);
    note(seen, "template", request->template_text);
    buffer_printf(seen, " choice=%d", request->tools);
    note(seen, "tool", request->tool_name);
    buffer_printf(seen, " guide=%d/%u", request->guide.kind, request->guide.flags);
    note(seen, "guided", request->guide.text);
    note(seen, "whitespace", request->guide.whitespace);
    buffer_printf(seen, " pool=%d/%d/%u/%u/%u", request->pooling.task, request->pooling.use_activation,
        request->pooling.dimensions, request->pooling.max_query_tokens, request->pooling.max_pair_tokens);
    buffer_puts(seen, "\n");
}

pdk_status answers_add(
    struct answers *answers, struct channel *channel, const pdk_request *request, uint32_t queue_limit, pdk_error *err)
{
    struct exchange *exchange = answers->exchange;
    (void)channel;
    if (exchange->add_status != PDK_OK || exchange->added >= queue_limit)
        return pdk_error_set(err, exchange->add_status, NULL, "not now");
    exchange->added++;
    exchange->flags = request->flags;
    exchange->sampling = request->sampling;
    exchange->stop_count = request->stop_count;
    exchange->bias_count = request->bias_count;
    exchange->message_count = request->message_count;
    note_request(&exchange->seen, request);
    return PDK_OK;
}

pdk_status answers_next(
    struct answers *answers, int64_t deadline_ms, uint32_t *ret_index, const pdk_part **ret_part, pdk_error *err)
{
    struct exchange *exchange = answers->exchange;
    (void)deadline_ms;
    *ret_index = UINT32_MAX;
    *ret_part = NULL;
    if (exchange->events_used >= exchange->event_count)
        return pdk_error_set(err, PDK_UNAVAILABLE, NULL, "the script has ended");
    const struct fake_event *event = &exchange->events[exchange->events_used++];
    if (event->status == PDK_TIMEOUT || event->status == PDK_CANCELLED)
        return pdk_error_set(err, event->status, NULL, "nothing");
    *ret_index = event->index;
    if (event->is_part)
        *ret_part = &event->part;
    return event->status == PDK_OK ? PDK_OK : pdk_error_set(err, event->status, event->field, "%s", event->message);
}
