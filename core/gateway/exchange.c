/* An answer goes out once: head and body in one write where it is whole, chunks where it is a stream. What a handler
 * forgets is made good at the end, so that no client waits for ever: no answer is a 500, an open stream is cut. */
#include "config.h"

#include "core/gateway/exchange.h"

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/limits.h"
#include "core/gateway/request.h"
#include "core/gateway/status_map.h"
#include "core/gateway/target.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

static const char json_type[] = "application/json";

struct exchange *exchange_new(struct server *server, struct mg_connection *http)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange == NULL)
        return NULL;
    exchange->gateway = server->gateway;
    exchange->server = server;
    exchange->http = http;
    exchange->client_fd = -1;
    exchange->rest = "";
    exchange->started_ms = monotonic_ms();
    exchange->started_us = monotonic_us();
    return exchange;
}

struct exchange *exchange_free(struct exchange *exchange)
{
    if (exchange->client_fd_owned && exchange->client_fd >= 0)
        close(exchange->client_fd);
    for (size_t i = 0; i < exchange->route_count; i++)
        routes_unref(exchange->routes[i]);
    keys_unref(exchange->keys);
    head_done(&exchange->head);
    atomic_fetch_sub_explicit(&exchange->gateway->body_bytes, exchange->body.length, memory_order_relaxed);
    buffer_done(&exchange->body);
    buffer_done(&exchange->headers);
    free(exchange->path);
    free(exchange);
    return NULL;
}

const char *exchange_method(const struct exchange *exchange)
{
    return exchange->head.method;
}

const char *exchange_path(const struct exchange *exchange)
{
    return exchange->rest;
}

const char *exchange_query(const struct exchange *exchange)
{
    return exchange->head.query;
}

bool exchange_parameter(const struct exchange *exchange, const char *name, char *value, size_t room)
{
    return target_parameter(exchange->head.query, name, value, room);
}

const char *exchange_segment(const struct exchange *exchange, const char *name)
{
    const struct endpoint_segments *segments = &exchange->segments;
    for (size_t i = 0; i < segments->count; i++)
        if (strlen(name) == segments->name_lengths[i] &&
            memcmp(name, segments->names[i], segments->name_lengths[i]) == 0)
            return segments->values[i];
    return NULL;
}

const char *exchange_header(const struct exchange *exchange, const char *name)
{
    return head_field(&exchange->head, name);
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
    *ret_length = exchange->body.length;
    return exchange->body.data != NULL ? exchange->body.data : "";
}

uint64_t exchange_tenant(const struct exchange *exchange)
{
    return exchange->key != NULL ? key_tenant(exchange->key) : 0;
}

int exchange_client_fd(const struct exchange *exchange)
{
    return exchange->client_fd;
}

struct control *exchange_control(const struct exchange *exchange)
{
    return exchange->gateway->control;
}

struct channel_loop *exchange_loop(const struct exchange *exchange)
{
    return exchange->gateway->loop;
}

struct response_store *exchange_responses(const struct exchange *exchange)
{
    return exchange->gateway->responses;
}

int64_t exchange_started_ms(const struct exchange *exchange)
{
    return exchange->started_ms;
}

bool exchange_may_use(const struct exchange *exchange, const struct service_view *service)
{
    return exchange->key == NULL || key_allows(exchange->key, service->namespace_, service->name);
}

void exchange_warn(struct exchange *exchange, const char *format, ...)
{
    if (exchange->begun || exchange->warnings++ >= EXCHANGE_WARNINGS_MAX)
        return;
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    buffer_puts(&exchange->headers, "Warning: 299 - \"");
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            buffer_putc(&exchange->headers, '\\');
        /* Nothing of the client's may end the line, nor may half a character at the cut leave it. */
        buffer_putc(&exchange->headers, (unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7F ? '?' : *c);
    }
    buffer_puts(&exchange->headers, "\"\r\n");
}

void exchange_add_header(struct exchange *exchange, const char *name, const char *value)
{
    if (!exchange->begun)
        buffer_printf(&exchange->headers, "%s: %s\r\n", name, value);
}

/* CivetWeb gives up a write after its own limit without progress, which may be shorter than ours: then it is asked
 * again. */
bool exchange_write(struct exchange *exchange, const void *bytes, size_t length)
{
    const char *at = bytes;
    int64_t moved_ms = monotonic_ms();
    while (length > 0 && !exchange->broken) {
        int64_t before_ms = monotonic_ms();
        int written = mg_write(exchange->http, at, length < (1u << 20) ? length : 1u << 20);
        int64_t now_ms = monotonic_ms();
        if (written > 0) {
            at += written;
            length -= (size_t)written;
            moved_ms = now_ms;
        } else if (now_ms - before_ms < 50 || now_ms - moved_ms >= (int64_t)limit_get(LIMIT_WRITE_IDLE_MS)) {
            exchange->broken = true;
        }
    }
    return !exchange->broken;
}

/* A body that was not read must not be taken for the next request. */
static void settle_close(struct exchange *exchange, int status)
{
    const struct server *server = exchange->server;
    bool body = exchange->head.body != HEAD_BODY_NONE;
    /* When threads run short, idle clients must not hold them. */
    bool crowded = !server->inner && server_connections(server) > server->threads - server->threads / 4;
    if (!exchange->head.keep_alive || (status >= 400 && body) || crowded || gateway_is_draining(exchange->gateway))
        exchange->close = true;
}

static void put_head(struct exchange *exchange, struct buffer *out, int status, const char *content_type)
{
    settle_close(exchange, status);
    exchange->begun = true;
    exchange->status = status;
    buffer_printf(out, "HTTP/1.1 %d %s\r\n", status, status_phrase(status));
    if (content_type != NULL)
        buffer_printf(out, "Content-Type: %s\r\n", content_type);
    if (exchange->request_id[0] != '\0')
        buffer_printf(out, "X-Request-Id: %s\r\n", exchange->request_id);
    buffer_put(out, exchange->headers.data, exchange->headers.length);
    buffer_puts(out, exchange->close ? "Connection: close\r\n" : "Connection: keep-alive\r\n");
}

void exchange_reply(struct exchange *exchange, int status, const char *content_type, const void *body, size_t length)
{
    if (exchange->begun)
        return;
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    put_head(exchange, &out, status, content_type);
    buffer_printf(&out, "Content-Length: %zu\r\n\r\n", length);
    exchange->sent = length;
    exchange->finished = true;
    enum { ONE_WRITE = 65536 };
    if (length <= ONE_WRITE)
        buffer_put(&out, body, length);
    if (out.failed) {
        exchange->broken = true;
        return;
    }
    if (exchange_write(exchange, out.data, out.length) && length > ONE_WRITE)
        exchange_write(exchange, body, length);
}

/* Both of a failure's shapes; the third is a plain sentence. */
static void reply_error(
    struct exchange *exchange, int http, const char *type, const char *reason, bool retry, const pdk_error *err)
{
    if (exchange->begun)
        return;
    if (retry)
        exchange_add_header(exchange, "Retry-After", "1");
    PDK_CLEANUP(buffer_done) struct buffer out = {0}, message = {0};
    bool malformed = strcmp(type, "Bad Request") == 0; /* vLLM's validator has one shape for all its APIs */
    if (exchange->shape == SHAPE_OPENAI || (exchange->shape == SHAPE_ANTHROPIC && malformed)) {
        status_openai(&out, http, type, err);
    } else if (exchange->shape == SHAPE_ANTHROPIC) {
        status_anthropic(&out, http, err);
    } else {
        status_blot(&message, err->message);
        if (exchange->shape == SHAPE_KUBERNETES)
            status_kubernetes(&out, http, reason, message.data != NULL ? message.data : "", NULL, NULL, NULL);
        else
            buffer_printf(&out, "%s\n", message.data != NULL ? message.data : "");
    }
    exchange_reply(
        exchange, http, exchange->shape == SHAPE_PLAIN ? "text/plain; charset=utf-8" : json_type, out.data, out.length);
}

void exchange_fail(struct exchange *exchange, const pdk_error *err)
{
    const struct status_row *row = status_row(err->status);
    reply_error(exchange, row->http, row->type, row->reason, row->retry, err);
}

void exchange_fail_as(struct exchange *exchange, int status, const char *type, const pdk_error *err)
{
    reply_error(exchange, status, type, status_row(err->status)->reason, status == 429 || status == 503, err);
}

void exchange_fault(struct exchange *exchange, const struct head_fault *fault)
{
    pdk_error err = {.status = PDK_INVALID};
    head_fault_text(fault, err.message, sizeof err.message);
    exchange->close = true;
    exchange_fail_as(exchange, fault->status, status_type(fault->status), &err);
}

void exchange_error_object(struct buffer *out, int status, const char *type, const pdk_error *err)
{
    status_openai(out, status, type, err);
}

bool exchange_stream_begin(struct exchange *exchange, int status, const char *content_type)
{
    if (exchange->begun)
        return false;
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    exchange->streaming = true;
    exchange->chunked = exchange->head.minor > 0;
    /* HTTP/1.0 knows no chunks: its stream ends with the connection. */
    exchange->close = exchange->close || !exchange->chunked;
    put_head(exchange, &out, status, content_type);
    buffer_puts(&out, "Cache-Control: no-cache\r\n");
    buffer_puts(&out, exchange->chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n");
    return !out.failed && exchange_write(exchange, out.data, out.length);
}

bool exchange_stream_write(struct exchange *exchange, const void *bytes, size_t length)
{
    if (!exchange->streaming || exchange->finished || exchange->broken)
        return false;
    if (length == 0)
        return true;
    exchange->sent += length;
    if (!exchange->chunked)
        return exchange_write(exchange, bytes, length);
    /* One write a chunk: two would be two packets. */
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    buffer_printf(&out, "%zx\r\n", length);
    buffer_put(&out, bytes, length);
    buffer_puts(&out, "\r\n");
    return !out.failed && exchange_write(exchange, out.data, out.length);
}

void exchange_stream_end(struct exchange *exchange)
{
    if (!exchange->streaming || exchange->finished)
        return;
    if (!exchange->chunked || exchange_write(exchange, "0\r\n\r\n", 5))
        exchange->finished = true;
}
