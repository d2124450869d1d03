/* CivetWeb as the one who listens and reads heads; nothing else of it is used. begin_request answers every request, so
 * that none of its file, CGI or WebSocket code is ever reached. Its worker stacks are 100 KiB: big things are on the
 * heap. */
#include "config.h"

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/base/log.h"
#include "core/gateway/civet_head.h"
#include "core/gateway/peer.h"
#include "core/gateway/request.h"
#include "core/gateway/routing.h"
#include "core/gateway/stack.h"
#include "core/gateway/status_map.h"
#include "core/gateway/target.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/socket.h>

enum { HEAD_SLACK = 1024 };

static const struct head_fault
    bad_path = {.status = 400,
        .message = "the path holds a bad escape, an escaped '/', a '..' or bytes that are not UTF-8"},
    coded_body = {.status = 415, .message = "Content-Encoding is not supported: send the body as it is"},
    wrong_type = {.status = 400,
        .message = "1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed"},
    draining = {.status = 503, .message = "the server is shutting down"},
    full = {.status = 503, .message = "all connections are in use (connections)"};

/* ---- the exchange from head to handler ---- */

static bool id_is_plain(const char *id)
{
    size_t length = strlen(id);
    return length >= 1 && length <= 128 &&
           strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == length;
}

static void choose_request_id(struct exchange *exchange)
{
    const char *given = head_field(&exchange->head, "X-Request-Id");
    if (given != NULL && id_is_plain(given)) {
        memcpy(exchange->request_id, given, strlen(given) + 1);
        exchange->request_id_given = true;
        return;
    }
    uint64_t random;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        random = (uint64_t)monotonic_us();
    snprintf(exchange->request_id, sizeof exchange->request_id, "%016" PRIx64, random);
    if (given != NULL)
        exchange_warn(exchange, "X-Request-Id was replaced: it may be 1 to 128 of [A-Za-z0-9._-]");
}

static bool decode_path(struct exchange *exchange)
{
    exchange->path = malloc(strlen(exchange->head.target) + 1);
    if (exchange->path == NULL || !target_decode(exchange->head.target, exchange->path)) {
        free(exchange->path);
        exchange->path = NULL;
        return false;
    }
    exchange->rest = endpoint_service_prefix(
        exchange->path, exchange->service_namespace, exchange->service_name, sizeof exchange->service_name);
    return true;
}

static void reply_not_found(struct exchange *exchange, const char *allow)
{
    bool known = allow[0] != '\0';
    if (known)
        exchange_add_header(exchange, "Allow", allow);
    if (exchange->shape == SHAPE_KUBERNETES) {
        PDK_CLEANUP(buffer_done) struct buffer out = {0};
        status_kubernetes(&out, known ? 405 : 404, known ? "MethodNotAllowed" : "NotFound",
            known ? "the server does not allow this method on the requested resource"
                  : "the server could not find the requested resource",
            NULL, NULL, NULL);
        exchange_reply(exchange, known ? 405 : 404, "application/json", out.data, out.length);
        return;
    }
    static const char not_found[] = "{\"detail\":\"Not Found\"}", not_allowed[] = "{\"detail\":\"Method Not Allowed\"}";
    const char *body = known ? not_allowed : not_found;
    exchange_reply(exchange, known ? 405 : 404, "application/json", body, strlen(body));
}

/* "application/json", in any case, with or without parameters. */
static bool is_json_type(const char *type)
{
    static const char json[] = "application/json";
    if (type == NULL || strncasecmp(type, json, sizeof json - 1) != 0)
        return false;
    const char *rest = type + sizeof json - 1;
    rest += strspn(rest, " \t");
    return *rest == '\0' || *rest == ';';
}

static bool check_body_head(struct exchange *exchange)
{
    const char *coding = exchange_header(exchange, "Content-Encoding");
    if (coding != NULL && strcasecmp(coding, "identity") != 0) {
        exchange_fault(exchange, &coded_body);
        return false;
    }
    if (exchange->endpoint->body == BODY_JSON && !is_json_type(exchange_header(exchange, "Content-Type"))) {
        pdk_error err = {0};
        pdk_error_set(&err, PDK_INVALID, NULL, "%s", wrong_type.message);
        exchange->close = exchange->close || exchange->head.body != HEAD_BODY_NONE;
        exchange_fail_as(exchange, wrong_type.status, "Bad Request", &err);
        return false;
    }
    return true;
}

static bool read_body(struct exchange *exchange)
{
    const struct head_fault *fault = body_read(exchange);
    if (fault == NULL)
        return true;
    exchange_fault(exchange, fault);
    return false;
}

static void serve(struct exchange *exchange)
{
    choose_request_id(exchange);
    if (!decode_path(exchange)) {
        exchange_fault(exchange, &bad_path);
        return;
    }
    char allow[ENDPOINT_ALLOW_MAX];
    exchange->endpoint =
        endpoint_find(exchange->head.method, exchange->rest, &exchange->segments, allow, &exchange->shape);
    if (exchange->endpoint == NULL && allow[0] == '\0' && routing_take_root_path(exchange))
        exchange->endpoint =
            endpoint_find(exchange->head.method, exchange->rest, &exchange->segments, allow, &exchange->shape);
    if (exchange->endpoint != NULL)
        exchange->shape = exchange->endpoint->shape;
    bool direct = exchange->endpoint != NULL && exchange->endpoint->direct;
    if (!direct && gateway_is_draining(exchange->gateway)) {
        exchange_fault(exchange, &draining);
        return;
    }
    if (!direct && server_connections(exchange->server) > exchange->server->threads) {
        exchange_fault(exchange, &full);
        return;
    }
    /* The gate stands before the answer about unknown paths too: strangers cannot ask what there is. */
    if (!auth_admit(exchange))
        return;
    if (exchange->endpoint == NULL) {
        reply_not_found(exchange, allow);
        return;
    }
    if (!check_body_head(exchange) || !read_body(exchange))
        return;
    exchange->endpoint->handle(exchange);
    if (!exchange->begun) {
        pdk_error err = {0};
        pdk_error_set(&err, PDK_INTERNAL, NULL, "the request was not answered");
        exchange_fail(exchange, &err);
    }
}

static size_t row_index(const struct exchange *exchange)
{
    return exchange->endpoint != NULL ? (size_t)(exchange->endpoint - endpoint_row(0)) : endpoints_count();
}

/* Gives the connection's fate to CivetWeb or the door, counts and logs. */
static void settle(struct exchange *exchange)
{
    bool keep = exchange->finished && !exchange->close && !exchange->broken;
    if (exchange->server->inner) {
        if (keep)
            door_keep(exchange->gateway->door, &exchange->door_client);
        keep = false; /* the door opens a connection for each request */
    }
    if (!keep)
        mg_disable_connection_keep_alive(exchange->http);
    int64_t took_us = monotonic_us() - exchange->started_us;
    metrics_count(exchange->gateway->metrics, row_index(exchange), exchange->status, took_us, exchange->body.length,
        exchange->sent);
    access_log(exchange, took_us);
}

/* ---- CivetWeb's callbacks ---- */

/* Once a connection. */
static int find_fd(struct connection *connection, const struct mg_request_info *info)
{
    if (!connection->searched) {
        connection->searched = true;
        connection->fd = peer_find(info->remote_addr, (uint16_t)info->remote_port, (uint16_t)info->server_port);
    }
    return connection->fd;
}

/* Behind the door it is the door's duplicate, set by identify: what is done to it the door sees. */
static void find_client(struct exchange *exchange, const struct mg_request_info *info)
{
    if (exchange->server->inner)
        exchange->client_fd_owned = true;
    else
        exchange->client_fd = find_fd(exchange->connection, info);
}

/* False: a peer of the loopback end that the door knows nothing of. */
static bool identify(struct exchange *exchange, const struct mg_request_info *info)
{
    if (!exchange->server->inner)
        return true;
    struct door *door = atomic_load(&exchange->gateway->door);
    if (door == NULL || !door_client(door, info->remote_addr, (uint16_t)info->remote_port, &exchange->door_client))
        return false;
    exchange->client_fd = exchange->door_client.fd;
    exchange->from_unix = exchange->door_client.local;
    return true;
}

static const struct head_fault *check_head(struct exchange *exchange, const struct mg_request_info *info)
{
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    civet_head(info, limit_get(LIMIT_HEAD_BYTES), &text);
    return head_read(&exchange->head, text.data != NULL ? text.data : "", text.length);
}

static void enter_list(struct exchange *exchange)
{
    struct gateway *gateway = exchange->gateway;
    mutex_lock(&gateway->lock);
    exchange->next = gateway->exchanges;
    if (exchange->next != NULL)
        exchange->next->previous = exchange;
    gateway->exchanges = exchange;
    mutex_unlock(&gateway->lock);
}

static void leave_list(struct exchange *exchange)
{
    struct gateway *gateway = exchange->gateway;
    mutex_lock(&gateway->lock);
    if (exchange->previous != NULL)
        exchange->previous->next = exchange->next;
    else
        gateway->exchanges = exchange->next;
    if (exchange->next != NULL)
        exchange->next->previous = exchange->previous;
    mutex_unlock(&gateway->lock);
}

/* A client that still sends the body we refused would lose our answer to a reset: take some of it. */
static void take_rest(struct exchange *exchange)
{
    enum { REST_MS = 1000, REST_BYTES = 16 << 20, PIECE = 16384 };
    int fd = exchange->server->inner ? -1 : exchange->client_fd;
    if (fd < 0 || exchange->broken)
        return;
    PDK_AUTO_FREE char *piece = malloc(PIECE);
    shutdown(fd, SHUT_WR);
    int64_t deadline_ms = monotonic_ms() + REST_MS;
    for (size_t taken = 0; piece != NULL && taken < REST_BYTES;) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        int64_t left_ms = deadline_ms - monotonic_ms();
        if (left_ms <= 0 || poll(&poll_fd, 1, (int)left_ms) <= 0)
            return;
        ssize_t got = recv(fd, piece, PIECE, MSG_DONTWAIT);
        if (got <= 0)
            return;
        taken += (size_t)got;
    }
}

/* Answers one request whose connection is known. */
static void answer(struct exchange *exchange, const struct mg_request_info *info)
{
    find_client(exchange, info);
    enter_list(exchange);
    const struct head_fault *fault = check_head(exchange, info);
    if (fault != NULL)
        exchange_fault(exchange, fault);
    else
        serve(exchange);
    leave_list(exchange);
    settle(exchange);
    if (fault == NULL && exchange->close && exchange->status >= 400 && exchange->head.body != HEAD_BODY_NONE)
        take_rest(exchange);
}

static int begin_request(struct mg_connection *http)
{
    const struct mg_request_info *info = mg_get_request_info(http);
    struct server *server = mg_get_user_context_data(http);
    struct connection *connection = mg_get_user_connection_data(http);
    /* In this order, which gateway_stop has the other way round: either it sees this request, or this sees `closed`. */
    atomic_fetch_add(&server->gateway->in_flight, 1);
    struct exchange *exchange =
        connection != NULL && !atomic_load(&server->gateway->closed) ? exchange_new(server, http) : NULL;
    if (exchange == NULL) {
        mg_disable_connection_keep_alive(http);
        atomic_fetch_sub(&server->gateway->in_flight, 1);
        return 503;
    }
    thread_adopt(THREAD_GATEWAY);
    exchange->connection = connection;
    if (identify(exchange, info))
        answer(exchange, info);
    else
        mg_disable_connection_keep_alive(http);
    int status = exchange->status != 0 ? exchange->status : 503;
    connection->since_ms = monotonic_ms();
    connection->consumed = peer_received(connection->fd);
    exchange_free(exchange);
    atomic_fetch_sub(&server->gateway->in_flight, 1);
    return status;
}

/* CivetWeb calls a head that is too long or late malformed as well; sizes and the clock tell which it was. */
static const struct head_fault *name_fault(const struct mg_connection *http, int status)
{
    struct connection *connection = mg_get_user_connection_data(http);
    const struct mg_request_info *info = mg_get_request_info(http);
    if (status == 505)
        return &head_fault_version;
    if (status == 413 || status == 414 || status == 431)
        return &head_fault_too_large;
    if (connection == NULL || info == NULL)
        return &head_fault_malformed;
    uint64_t received = peer_received(find_fd(connection, info));
    if (received > connection->consumed && received - connection->consumed > limit_get(LIMIT_HEAD_BYTES) + HEAD_SLACK)
        return &head_fault_too_large;
    if (monotonic_ms() - connection->since_ms >= (int64_t)limit_get(LIMIT_HEAD_MS))
        return &head_fault_timeout;
    return &head_fault_malformed;
}

/* CivetWeb's own refusals, in our words. */
static int http_error(struct mg_connection *http, int status, const char *message)
{
    (void)message;
    const struct head_fault *fault = name_fault(http, status);
    pdk_error err = {0};
    head_fault_text(fault, err.message, sizeof err.message);
    PDK_CLEANUP(buffer_done) struct buffer body = {0}, out = {0};
    status_openai(&body, fault->status, status_type(fault->status), &err);
    buffer_printf(&out,
        "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
        fault->status, status_phrase(fault->status), body.length);
    buffer_put(&out, body.data, body.length);
    mg_disable_connection_keep_alive(http);
    mg_write(http, out.data, out.length);
    struct server *server = mg_get_user_context_data(http);
    metrics_count(server->gateway->metrics, endpoints_count(), fault->status, 0, 0, body.length);
    return 0;
}

static int init_connection(const struct mg_connection *http, void **ret_data)
{
    struct server *server = mg_get_user_context_data(http);
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection != NULL) {
        connection->server = server;
        connection->fd = -1;
        connection->since_ms = monotonic_ms();
        atomic_fetch_add_explicit(&server->connections, 1, memory_order_relaxed);
    }
    *ret_data = connection;
    return 0;
}

static void connection_close(const struct mg_connection *http)
{
    struct connection *connection = mg_get_user_connection_data(http);
    if (connection == NULL)
        return;
    atomic_fetch_sub_explicit(&connection->server->connections, 1, memory_order_relaxed);
    free(connection);
    stack_release();
}

static int log_message(const struct mg_connection *http, const char *message)
{
    static struct log_limit limit;
    (void)http;
    uint32_t dropped;
    if (log_limit_pass(&limit, 5, &dropped))
        log_event(LOG_LEVEL_DEBUG, NULL, "civetweb: %.200s", message);
    return 1;
}

/* CivetWeb's thread allocates its head buffer right after this. Touching that memory now makes what the daemon holds
 * the same from its start, instead of growing until each of the threads has had its first request. */
static void *init_thread(const struct mg_context *context, int kind)
{
    enum { WORKER = 1, TOUCHED_BYTES = 8192 };
    (void)context;
    if (kind != WORKER)
        return NULL;
    thread_adopt(THREAD_GATEWAY);
    size_t size = (size_t)limit_get(LIMIT_HEAD_BYTES) + HEAD_SLACK;
    char *buffer = malloc(size);
    if (buffer != NULL)
        explicit_bzero(buffer, size < TOUCHED_BYTES ? size : TOUCHED_BYTES);
    free(buffer);
    return NULL;
}

pdk_status http_start(struct server *server, const char *ports, unsigned threads, pdk_error *err)
{
    /* Threads beyond `threads` answer the connections above it with 503. */
    enum { SPARE_THREADS = 8 };
    server->threads = threads;
    char thread_text[16], head_text[16], request_ms[24], idle_ms[24];
    snprintf(thread_text, sizeof thread_text, "%u", threads + SPARE_THREADS);
    snprintf(head_text, sizeof head_text, "%u", (unsigned)limit_get(LIMIT_HEAD_BYTES) + HEAD_SLACK);
    snprintf(request_ms, sizeof request_ms, "%" PRIu64, limit_get(LIMIT_HEAD_MS));
    snprintf(idle_ms, sizeof idle_ms, "%" PRIu64, limit_get(LIMIT_KEEP_ALIVE_MS));
    const char *options[] = {"listening_ports", ports, "num_threads", thread_text, "max_request_size", head_text,
        "request_timeout_ms", request_ms, "keep_alive_timeout_ms", idle_ms, "enable_keep_alive", "yes", "tcp_nodelay",
        "1", "decode_url", "no", "decode_query_string", "no", "enable_auth_domain_check", "no",
        "enable_directory_listing", "no", "connection_queue", "64", "listen_backlog", "1024", NULL};
    const struct mg_callbacks callbacks = {
        .init_thread = init_thread,
        .begin_request = begin_request,
        .http_error = http_error,
        .init_connection = init_connection,
        .connection_close = connection_close,
        .log_message = log_message,
    };
    server->context = mg_start(&callbacks, server, options);
    if (server->context == NULL)
        return pdk_error_value(
            err, PDK_IO, "listen", ports, "cannot listen on %s: the address is in use or not this machine's", ports);
    return PDK_OK;
}

int http_port(const struct server *server)
{
    struct mg_server_port ports[1];
    return mg_get_server_ports(server->context, 1, ports) == 1 ? ports[0].port : 0;
}
