/* One inner connection for each request: CivetWeb closes it behind the answer, which is how the end of an answer is
 * known without reading it. The client's connection lives on when the gateway has said so through the table. */
#include "config.h"

#include "core/gateway/door_relay.h"

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/gateway/endpoints.h"
#include "core/gateway/status_map.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum {
    BUFFER_BYTES = 65536,
    CLOSING_MS = 2000,
    DROP_HEAD_BYTES = 65536,   /* behind a refused head */
    DROP_BODY_BYTES = 16 << 20 /* of a refused body: its sender reads our answer only behind it */
};

static const struct head_fault bad_body = {.status = 400,
                                   .message = "the body's chunks are malformed or too small to be worth their work"},
                               no_inner = {.status = 503, .message = "the server has no connection left"};

/* Asks epoll for `events` at one end; 0 takes it out of the set. */
static void want(struct relay_host *host, struct relay_end *end, uint32_t events)
{
    if (end->fd < 0 || end->events == events)
        return;
    struct epoll_event event = {.events = events, .data.ptr = end};
    int how = end->events == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    if (epoll_ctl(host->epoll, how, end->fd, &event) == 0)
        end->events = events;
}

static void drop_front(struct buffer *buffer, size_t count)
{
    memmove(buffer->data, buffer->data + count, buffer->length - count);
    buffer->length -= count;
    buffer->data[buffer->length] = '\0';
}

static void close_inner(struct relay_host *host, struct relay *relay)
{
    if (relay->port != 0) {
        host->leave(host->context, relay);
        host->answering--;
    }
    if (relay->inner.fd < 0)
        return;
    want(host, &relay->inner, 0);
    close(relay->inner.fd);
    relay->inner = (struct relay_end){.relay = relay, .fd = -1};
}

static void gone(struct relay_host *host, struct relay *relay)
{
    close_inner(host, relay);
    want(host, &relay->client, 0);
    relay->state = RELAY_GONE;
}

/* Sends what is there. False: the client is gone. */
static bool flush_out(struct relay_host *host, struct relay *relay)
{
    while (relay->out.length > 0) {
        ssize_t sent = send(relay->client.fd, relay->out.data, relay->out.length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return true;
        if (sent <= 0) {
            gone(host, relay);
            return false;
        }
        relay->answered = true;
        drop_front(&relay->out, (size_t)sent);
        relay->deadline_ms = relay->out.length > 0 ? monotonic_ms() + (int64_t)limit_get(LIMIT_WRITE_IDLE_MS) : 0;
    }
    return true;
}

/* Nothing more will be said. */
static void start_closing(struct relay_host *host, struct relay *relay)
{
    relay->drop_left = relay->state == RELAY_HEAD ? DROP_HEAD_BYTES : DROP_BODY_BYTES;
    close_inner(host, relay);
    buffer_done(&relay->in);
    shutdown(relay->client.fd, SHUT_WR);
    relay->state = RELAY_CLOSING;
    relay->deadline_ms = monotonic_ms() + CLOSING_MS;
}

/* The door's own answer to what CivetWeb never sees. */
static void refuse(struct relay_host *host, struct relay *relay, const struct head_fault *fault)
{
    pdk_error err = {.status = PDK_INVALID};
    head_fault_text(fault, err.message, sizeof err.message);
    PDK_CLEANUP(buffer_done) struct buffer body = {0};
    status_openai(&body, fault->status, status_type(fault->status), &err);
    if (!relay->answered) {
        buffer_clear(&relay->out);
        buffer_printf(&relay->out,
            "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n%sConnection: close\r\n\r\n",
            fault->status, status_phrase(fault->status), body.length, fault->status == 503 ? "Retry-After: 1\r\n" : "");
        buffer_put(&relay->out, body.data, body.length);
        if (!flush_out(host, relay))
            return;
    }
    buffer_clear(&relay->out);
    start_closing(host, relay);
}

/* Opens the inner connection and enters the table before a byte goes over it. */
static bool open_inner(struct relay_host *host, struct relay *relay)
{
    PDK_AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(host->inner_port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    /* Peers of unix sockets come from an address of their own, so that none can be taken for one of the network. */
    struct sockaddr_in own = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + (relay->local ? 1 : 0))};
    socklen_t length = sizeof own;
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&own, sizeof own) != 0)
        return false;
    if ((connect(fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS) ||
        getsockname(fd, (struct sockaddr *)&own, &length) != 0)
        return false;
    relay->inner.fd = PDK_STEAL_FD(fd);
    relay->port = ntohs(own.sin_port);
    relay->serial = ++host->serial;
    relay->keep = false;
    relay->inner_ended = false;
    relay->answered = false;
    host->enter(host->context, relay);
    host->answering++;
    return true;
}

/* Passes what has come of the present request on to CivetWeb. */
static void forward(struct relay_host *host, struct relay *relay)
{
    if (relay->inner.fd < 0 || relay->inner_ended)
        return;
    size_t checked = relay->head_left + relay->body_ready, fresh;
    if (!framing_take(&relay->framing, relay->in.data + checked, relay->in.length - checked, &fresh)) {
        refuse(host, relay, &bad_body);
        return;
    }
    relay->body_ready += fresh;
    size_t ready = relay->head_left + relay->body_ready;
    if (ready == 0)
        return;
    ssize_t sent = send(relay->inner.fd, relay->in.data, ready, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent <= 0)
        return; /* full, or CivetWeb has closed: its answer or end comes by reading */
    size_t of_head = (size_t)sent < relay->head_left ? (size_t)sent : relay->head_left;
    relay->head_left -= of_head;
    relay->body_ready -= (size_t)sent - of_head;
    drop_front(&relay->in, (size_t)sent);
}

/* Health and metrics are answered by the spare threads when all others work. */
static bool is_direct(const struct head *head)
{
    PDK_AUTO_FREE struct endpoint_segments *segments = calloc(1, sizeof *segments);
    char allow[ENDPOINT_ALLOW_MAX];
    enum endpoint_shape shape;
    const struct endpoint *row =
        segments != NULL ? endpoint_find(head->method, head->target, segments, allow, &shape) : NULL;
    return row != NULL && row->direct;
}

/* Looks for a whole head in what has come. False: none yet, or it was refused. */
static bool start_request(struct relay_host *host, struct relay *relay)
{
    while (relay->in.length > 0 && relay->scanned == 0 && relay->in.data[0] == '\r' && relay->in.length > 1 &&
           relay->in.data[1] == '\n')
        drop_front(&relay->in, 2);
    size_t end = head_end(relay->in.data, relay->in.length, relay->scanned);
    relay->scanned = relay->in.length;
    if (end == 0) {
        if (relay->in.length > limit_get(LIMIT_HEAD_BYTES))
            refuse(host, relay, &head_fault_too_large);
        return false;
    }
    struct head head;
    const struct head_fault *fault = head_read(&head, relay->in.data, end);
    if (fault != NULL) {
        refuse(host, relay, fault);
        return false;
    }
    relay->framing = framing_of(&head);
    bool refused = host->answering >= host->answers_max && !is_direct(&head);
    head_done(&head);
    if (refused) {
        refuse(host, relay, &no_inner);
        return false;
    }
    relay->head_left = end;
    relay->body_ready = relay->scanned = 0;
    if (!open_inner(host, relay)) {
        refuse(host, relay, &no_inner);
        return false;
    }
    relay->state = RELAY_ANSWER;
    relay->deadline_ms = 0;
    return true;
}

/* The answer has gone out whole: on to the client's next request, or the end. */
static void finish_answer(struct relay_host *host, struct relay *relay)
{
    bool whole = relay->framing.state == FRAMING_DONE && relay->head_left + relay->body_ready == 0;
    bool keep = host->may_keep(host->context, relay) && whole && !host->draining;
    close_inner(host, relay);
    if (!keep) {
        start_closing(host, relay);
        return;
    }
    relay->state = RELAY_HEAD;
    relay->scanned = 0;
    if (relay->in.length == 0) {
        buffer_done(&relay->in);
        buffer_done(&relay->out);
    }
    relay->deadline_ms =
        monotonic_ms() + (int64_t)limit_get(relay->in.length == 0 ? LIMIT_KEEP_ALIVE_MS : LIMIT_HEAD_MS);
}

/* Requests that wait behind the present one. */
static size_t count_ahead(const struct relay *relay)
{
    size_t count = 0, at = 0;
    for (;;) {
        size_t end = relay->in.length > at ? head_end(relay->in.data + at, relay->in.length - at, 0) : 0;
        if (end == 0)
            return count;
        at += end;
        count++;
    }
}

static void ask_events(struct relay_host *host, struct relay *relay)
{
    uint32_t client = EPOLLRDHUP, inner = 0;
    bool sending = relay->state == RELAY_ANSWER && relay->head_left + relay->body_ready > 0;
    bool ahead = relay->state == RELAY_ANSWER && relay->framing.state == FRAMING_DONE && !sending;
    bool room = ahead
                    ? count_ahead(relay) < limit_get(LIMIT_PIPELINED) && relay->in.length < limit_get(LIMIT_HEAD_BYTES)
                    : relay->in.length < BUFFER_BYTES;
    if (room || relay->state == RELAY_CLOSING)
        client |= EPOLLIN;
    if (relay->out.length > 0)
        client |= EPOLLOUT;
    if (!relay->inner_ended && relay->out.length < BUFFER_BYTES)
        inner |= EPOLLIN;
    if (sending && !relay->inner_ended)
        inner |= EPOLLOUT;
    want(host, &relay->client, client);
    want(host, &relay->inner, inner);
}

/* Does what can be done until something must be waited for. */
static void advance(struct relay_host *host, struct relay *relay)
{
    for (;;) {
        if (relay->state == RELAY_HEAD && (relay->in.length == 0 || !start_request(host, relay)))
            break;
        if (relay->state != RELAY_ANSWER)
            break;
        forward(host, relay);
        if (relay->state != RELAY_ANSWER || !relay->inner_ended || relay->out.length > 0)
            break;
        finish_answer(host, relay);
    }
    if (relay->state != RELAY_GONE)
        ask_events(host, relay);
}

/* Reads once, at most `room` bytes. 0: the end; -1: nothing now. */
static ssize_t read_some(int fd, struct buffer *to, size_t room)
{
    char *at = buffer_reserve(to, room);
    if (at == NULL)
        return 0;
    ssize_t got = recv(fd, at, room, MSG_DONTWAIT);
    if (got > 0) {
        to->length += (size_t)got;
        to->data[to->length] = '\0';
    }
    if (got < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? -1 : 0;
    return got;
}

static void client_readable(struct relay_host *host, struct relay *relay)
{
    if (relay->state == RELAY_CLOSING) {
        char dropped[16384];
        ssize_t got = recv(relay->client.fd, dropped, sizeof dropped, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR) || (got > 0 && (size_t)got > relay->drop_left))
            gone(host, relay);
        else if (got > 0)
            relay->drop_left -= (size_t)got;
        return;
    }
    bool first = relay->state == RELAY_HEAD && relay->in.length == 0;
    size_t room = relay->state == RELAY_HEAD ? 4096 : 16384;
    ssize_t got = read_some(relay->client.fd, &relay->in, room);
    if (got == 0)
        gone(host, relay);
    else if (got > 0 && first)
        relay->deadline_ms = monotonic_ms() + (int64_t)limit_get(LIMIT_HEAD_MS);
}

static void inner_readable(struct relay_host *host, struct relay *relay)
{
    bool waiting = relay->out.length > 0;
    ssize_t got = read_some(relay->inner.fd, &relay->out, 16384);
    if (got == 0) {
        relay->inner_ended = true;
        want(host, &relay->inner, 0);
    } else if (got > 0 && !waiting) {
        relay->deadline_ms = monotonic_ms() + (int64_t)limit_get(LIMIT_WRITE_IDLE_MS);
    }
    flush_out(host, relay);
}

void relay_step(struct relay_host *host, struct relay_end *end, uint32_t events)
{
    struct relay *relay = end->relay;
    if (relay->state == RELAY_GONE)
        return;
    if (end == &relay->inner) {
        if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
            inner_readable(host, relay);
    } else {
        /* A client that has said its last word is gone, as nobody tells a half-closed one from it. */
        bool left = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
        if (left && relay->state != RELAY_CLOSING)
            gone(host, relay);
        else if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
            client_readable(host, relay);
        if (relay->state != RELAY_GONE && (events & EPOLLOUT) != 0)
            flush_out(host, relay);
    }
    if (relay->state != RELAY_GONE)
        advance(host, relay);
}

void relay_late(struct relay_host *host, struct relay *relay, int64_t now_ms)
{
    if (relay->state == RELAY_GONE || relay->deadline_ms == 0 || now_ms < relay->deadline_ms)
        return;
    if (relay->state == RELAY_HEAD && relay->in.length > 0) {
        refuse(host, relay, &head_fault_timeout);
        if (relay->state != RELAY_GONE)
            ask_events(host, relay);
        return;
    }
    gone(host, relay);
}

void relay_drain(struct relay_host *host, struct relay *relay)
{
    if (relay->state == RELAY_HEAD)
        gone(host, relay);
}

struct relay *relay_new(struct relay_host *host, int fd_take, bool local)
{
    struct relay *relay = calloc(1, sizeof *relay);
    if (relay == NULL) {
        close(fd_take);
        return NULL;
    }
    relay->client = (struct relay_end){.relay = relay, .fd = fd_take};
    relay->inner = (struct relay_end){.relay = relay, .fd = -1};
    relay->local = local;
    relay->state = RELAY_HEAD;
    relay->deadline_ms = monotonic_ms() + (int64_t)limit_get(LIMIT_KEEP_ALIVE_MS);
    ask_events(host, relay);
    return relay;
}

void relay_free(struct relay_host *host, struct relay *relay)
{
    close_inner(host, relay);
    close(relay->client.fd);
    buffer_done(&relay->in);
    buffer_done(&relay->out);
    free(relay);
}
