/* A channel's table of flights is the state machine: what has no flight is unknown, ended, or never was, and a frame
 * about it breaks the protocol. A flight whose client left stays until the worker finishes it. */
#include "config.h"

#include "core/ipc/channel.h"

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/ipc/loop.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { BUCKETS = 512, FILLS_AT_ONCE = 8 };

struct channel {
    _Atomic uint32_t references;
    struct channel_loop *loop;
    struct channel_events events;
    struct frame_reader reader;          /* [channel-thread], as the next line */
    bool is_ready, said_bye, told_stats; /* unasked, as before bye */

    struct mutex lock; /* all below */
    int fd;            /* -1: closed */
    bool draining, closing, waits_to_write;
    uint32_t stats_asked; /* and not answered */
    pdk_error why;        /* closing: the owner's reason */
    struct frame_writer writer;
    struct flight *flights[BUCKETS]; /* by id */
    struct channel_health health;
};

static struct flight **find_flight(struct channel *channel, uint64_t id) PDK_REQUIRES(channel->lock)
{
    struct flight **at = &channel->flights[id % BUCKETS];
    while (*at != NULL && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

/* ---- lifetime ---- */

pdk_status channel_open(struct channel_loop *loop, int fd, const struct channel_events *events,
    struct channel **ret_channel, pdk_error *err)
{
    struct channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL) {
        close(fd);
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for a channel");
    }
    channel->loop = loop;
    channel->events = *events;
    channel->fd = fd;
    mutex_init(&channel->lock);
    frame_reader_init(&channel->reader, fd);
    channel->health.last_frame_ms = channel->health.last_alive_ms = monotonic_ms();
    atomic_store_explicit(&channel->references, 2, memory_order_relaxed); /* the caller's and the loop's */
    pdk_status status = channel_loop_add(loop, channel, fd, err);
    if (status != PDK_OK) {
        close(fd);
        mutex_done(&channel->lock);
        free(channel);
        return status;
    }
    *ret_channel = channel;
    return PDK_OK;
}

struct channel *channel_ref(struct channel *channel)
{
    atomic_fetch_add_explicit(&channel->references, 1, memory_order_relaxed);
    return channel;
}

struct channel *channel_unref(struct channel *channel)
{
    /* Release pairs with the acquire of whoever drops the last one and frees. */
    if (channel == NULL || atomic_fetch_sub_explicit(&channel->references, 1, memory_order_acq_rel) != 1)
        return NULL;
    assert(channel->fd < 0);
    frame_writer_done(&channel->writer);
    mutex_done(&channel->lock);
    free(channel);
    return NULL;
}

void channel_close(struct channel *channel, const char *why)
{
    mutex_lock(&channel->lock);
    if (channel->fd >= 0 && !channel->closing) {
        channel->closing = true;
        pdk_error_set(&channel->why, PDK_UNAVAILABLE, NULL, "%s", why);
        shutdown(channel->fd, SHUT_RDWR); /* wakes the channel thread, which does the rest */
    }
    mutex_unlock(&channel->lock);
}

/* Ends every flight; the lock is held. */
static void fail_flights(struct channel *channel) PDK_REQUIRES(channel->lock)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        struct flight *flight = channel->flights[i];
        channel->flights[i] = NULL;
        while (flight != NULL) {
            struct flight *next = flight->next;
            pdk_error_set(
                &flight->error, PDK_UNAVAILABLE, NULL, "the model's replica ended before the answer was complete");
            if (flight->answers != NULL)
                answers_push(flight->answers, &flight->node);
            else
                free(flight);
            flight = next;
        }
    }
    channel->health.in_flight = 0;
}

/* The last thing that happens on a channel. [channel-thread] */
static void end(struct channel *channel, const pdk_error *why)
{
    mutex_lock(&channel->lock);
    int fd = channel->fd;
    pdk_error reason = channel->closing ? channel->why : *why;
    channel_loop_remove(channel->loop, fd);
    channel->fd = -1;
    fail_flights(channel);
    frame_writer_done(&channel->writer);
    mutex_unlock(&channel->lock);
    frame_reader_done(&channel->reader);
    close(fd);
    channel->events.closed(channel->events.context, &reason);
    channel_unref(channel);
}

/* ---- sending ---- */

/* Sends now what can be; the channel thread does the rest. The lock is held. */
static void flush(struct channel *channel) PDK_REQUIRES(channel->lock)
{
    if (channel->fd < 0 || channel->waits_to_write)
        return;
    if (frame_writer_flush(&channel->writer, channel->fd, NULL) == PDK_BUSY) {
        channel->waits_to_write = true;
        channel_loop_wait_write(channel->loop, channel, channel->fd, true);
    }
}

/* Lack of memory for a control frame ends the channel: a lost load or cancel would leave both ends waiting. */
static void send_frame(struct channel *channel, enum wire_type type, uint64_t id, const void *body, size_t length)
    PDK_REQUIRES(channel->lock)
{
    if (channel->fd < 0 || channel->closing)
        return;
    if (frame_put(&channel->writer, type, id, body, length, &channel->why) != PDK_OK) {
        channel->closing = true;
        shutdown(channel->fd, SHUT_RDWR);
        return;
    }
    flush(channel);
}

static void control_frame(struct channel *channel, enum wire_type type, const void *body, size_t length)
{
    mutex_lock(&channel->lock);
    send_frame(channel, type, 0, body, length);
    mutex_unlock(&channel->lock);
}

void channel_load(struct channel *channel, const char *json, size_t length)
{
    control_frame(channel, WIRE_LOAD, json, length);
}

void channel_ask_stats(struct channel *channel)
{
    mutex_lock(&channel->lock);
    channel->stats_asked++;
    send_frame(channel, WIRE_ASK_STATS, 0, NULL, 0);
    mutex_unlock(&channel->lock);
}

void channel_ping(struct channel *channel)
{
    mutex_lock(&channel->lock);
    if (channel->health.ping_sent_ms == 0)
        channel->health.ping_sent_ms = monotonic_ms();
    send_frame(channel, WIRE_PING, 0, NULL, 0);
    mutex_unlock(&channel->lock);
}

void channel_drain(struct channel *channel)
{
    mutex_lock(&channel->lock);
    if (!channel->draining)
        send_frame(channel, WIRE_DRAIN, 0, NULL, 0);
    channel->draining = true;
    mutex_unlock(&channel->lock);
}

void channel_health(struct channel *channel, struct channel_health *ret_health)
{
    mutex_lock(&channel->lock);
    *ret_health = channel->health;
    mutex_unlock(&channel->lock);
}

/* ---- for answers.c ---- */

static pdk_status may_submit(const struct channel *channel, uint32_t queue_limit, pdk_error *err)
    PDK_REQUIRES(channel->lock)
{
    if (channel->fd < 0 || channel->closing)
        return pdk_error_set(err, PDK_UNAVAILABLE, NULL, "the model's replica has ended");
    if (channel->draining)
        return pdk_error_set(err, PDK_UNAVAILABLE, NULL, "the model's replica is being stopped");
    if (channel->health.in_flight >= queue_limit)
        return pdk_error_set(err, PDK_BUSY, NULL, "%" PRIu32 " requests are being answered; the limit is %" PRIu32,
            channel->health.in_flight, queue_limit);
    return PDK_OK;
}

pdk_status channel_submit(struct channel *channel, uint64_t id, struct answers *answers, uint32_t index,
    struct frame_writer *encoded, uint32_t queue_limit, pdk_error *err)
{
    PDK_AUTO_FREE struct flight *flight = calloc(1, sizeof *flight);
    if (flight == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for a request");
    flight->node.index = index;
    flight->node.end = true;
    flight->id = id;
    flight->answers = answers;
    mutex_lock(&channel->lock);
    pdk_status status = may_submit(channel, queue_limit, err);
    if (status == PDK_OK)
        status = frame_writer_move(&channel->writer, encoded, err);
    if (status == PDK_OK) {
        struct flight **bucket = &channel->flights[id % BUCKETS];
        flight->next = *bucket;
        *bucket = PDK_STEAL(flight);
        if (channel->health.in_flight++ == 0)
            channel->health.last_alive_ms = monotonic_ms(); /* an idle engine made no step lately, and need not have */
        flush(channel);
    }
    mutex_unlock(&channel->lock);
    return status;
}

void channel_abandon(struct channel *channel, uint64_t id)
{
    mutex_lock(&channel->lock);
    struct flight *flight = *find_flight(channel, id);
    if (flight != NULL) {
        flight->answers = NULL;
        send_frame(channel, WIRE_CANCEL, id, NULL, 0);
    }
    mutex_unlock(&channel->lock);
}

void channel_return_credit(struct channel *channel, uint64_t id, uint64_t bytes)
{
    struct wire_credit credit = {.bytes = bytes};
    mutex_lock(&channel->lock);
    struct flight *flight = *find_flight(channel, id);
    if (flight != NULL) {
        flight->returned += bytes;
        send_frame(channel, WIRE_WRITABLE, id, &credit, sizeof credit);
    }
    mutex_unlock(&channel->lock);
}

/* ---- receiving, all on the [channel-thread] ---- */

static pdk_status unknown_id(uint64_t id, const char *what, pdk_error *err)
{
    return pdk_error_set(err, PDK_INVALID, "id", "%s for request %" PRIu64 ", which is not in flight", what, id);
}

/* Hands a part to who waits for it; the lock is held. Takes the node unless it fails. */
static pdk_status deliver(struct channel *channel, struct flight *flight, uint64_t bytes, struct answer_node **node,
    pdk_error *err) PDK_REQUIRES(channel->lock)
{
    if (flight->received - flight->returned >= WIRE_CREDIT_LIMIT)
        return pdk_error_set(err, PDK_INVALID, "credit", "request %" PRIu64 " has %d bytes unread and gets more",
            flight->id, (int)WIRE_CREDIT_LIMIT);
    flight->received += bytes;
    channel->health.last_alive_ms = channel->health.last_frame_ms;
    if (flight->answers == NULL || flight->lost)
        return PDK_OK;
    if (*node == NULL) {
        flight->lost = true;
        send_frame(channel, WIRE_CANCEL, flight->id, NULL, 0);
        return PDK_OK;
    }
    (*node)->index = flight->node.index;
    answers_push(flight->answers, PDK_STEAL(*node));
    return PDK_OK;
}

static pdk_status take_part(struct channel *channel, struct frame *frame, pdk_error *err)
{
    struct answer_node *node = NULL;
    uint64_t bytes = frame->length;
    pdk_status status = answers_part_new(frame, &node, err);
    if (status != PDK_OK && status != PDK_NO_MEMORY)
        return status;
    mutex_lock(&channel->lock);
    struct flight *flight = *find_flight(channel, frame->id);
    status = flight != NULL ? deliver(channel, flight, bytes, &node, err) : unknown_id(frame->id, "a part", err);
    mutex_unlock(&channel->lock);
    answers_node_free(node);
    return status;
}

static pdk_status take_finish(struct channel *channel, const struct frame *frame, pdk_error *err)
{
    pdk_error error = {0};
    if (frame->length != 0) {
        pdk_status status = wire_error_decode(frame->body, frame->length, &error, err);
        if (status != PDK_OK)
            return status;
    }
    mutex_lock(&channel->lock);
    struct flight **at = find_flight(channel, frame->id), *flight = *at;
    if (flight != NULL) {
        *at = flight->next;
        channel->health.in_flight--;
        channel->health.last_alive_ms = channel->health.last_frame_ms;
        flight->error = error;
        if (flight->lost)
            pdk_error_set(&flight->error, PDK_NO_MEMORY, NULL, "no memory for the answer");
        if (flight->answers != NULL)
            answers_push(flight->answers, &flight->node);
        else
            free(flight);
    }
    mutex_unlock(&channel->lock);
    return flight != NULL ? PDK_OK : unknown_id(frame->id, "a finish", err);
}

static pdk_status take_pong(struct channel *channel, const struct frame *frame, pdk_error *err)
{
    struct wire_pong pong;
    if (frame->length != sizeof pong)
        return pdk_error_set(err, PDK_INVALID, "pong", "a pong of %zu bytes, not %zu", frame->length, sizeof pong);
    memcpy(&pong, frame->body, sizeof pong);
    mutex_lock(&channel->lock);
    channel->health.ping_sent_ms = 0;
    if (pong.alive_ms > channel->health.last_alive_ms && pong.alive_ms <= monotonic_ms())
        channel->health.last_alive_ms = pong.alive_ms;
    mutex_unlock(&channel->lock);
    return PDK_OK;
}

static pdk_status take_ready(struct channel *channel, const struct json *payload, pdk_error *err)
{
    struct ready_info *info = NULL;
    if (channel->is_ready)
        return pdk_error_set(err, PDK_INVALID, "ready", "a second ready");
    pdk_status status = ready_info_read(payload, &info, err);
    if (status != PDK_OK)
        return status;
    channel->is_ready = true;
    channel->events.ready(channel->events.context, info);
    return PDK_OK;
}

static pdk_status take_progress(struct channel *channel, const struct json *payload, pdk_error *err)
{
    double fraction;
    const char *what;
    if (!json_double(json_get(payload, "fraction"), &fraction) || !(fraction >= 0 && fraction <= 1) ||
        !json_string(json_get(payload, "what"), &what))
        return pdk_error_set(err, PDK_INVALID, "progress", "a progress without a fraction of 0 to 1 and a text");
    channel->events.progress(channel->events.context, fraction, what);
    return PDK_OK;
}

/* As often as asked for, and once more before bye: reading them costs more than sending them. */
static pdk_status take_stats(struct channel *channel, const struct json *payload, pdk_error *err)
{
    if (payload->type != JSON_OBJECT)
        return pdk_error_set(err, PDK_INVALID, "stats", "stats are %s, not an object", json_type_name(payload));
    mutex_lock(&channel->lock);
    bool asked = channel->stats_asked > 0;
    channel->stats_asked -= asked;
    mutex_unlock(&channel->lock);
    if (!asked && channel->told_stats)
        return pdk_error_set(err, PDK_INVALID, "stats", "stats that nobody asked for, again");
    channel->told_stats = channel->told_stats || !asked;
    channel->events.stats(channel->events.context, payload);
    return PDK_OK;
}

static pdk_status take_json(struct channel *channel, const struct frame *frame, pdk_error *err)
{
    static const struct json_limits limits = {.bytes = 4 << 20, .depth = 8, .nodes = 200000};
    struct json_document *document = NULL;
    pdk_status status = json_read((const char *)frame->body, frame->length, &limits, &document, err);
    if (status != PDK_OK)
        return status;
    const struct json *root = json_root(document);
    if (frame->type == WIRE_READY)
        status = take_ready(channel, root, err);
    else if (frame->type == WIRE_PROGRESS)
        status = take_progress(channel, root, err);
    else
        status = take_stats(channel, root, err);
    json_document_free(document);
    return status;
}

static pdk_status take_load_failed(struct channel *channel, const struct frame *frame, pdk_error *err)
{
    pdk_error error;
    pdk_status status = wire_error_decode(frame->body, frame->length, &error, err);
    if (status == PDK_OK)
        channel->events.load_failed(channel->events.context, &error);
    return status;
}

static pdk_status take_frame(struct channel *channel, struct frame *frame, pdk_error *err)
{
    if (channel->said_bye)
        return pdk_error_set(err, PDK_INVALID, "type", "a frame of type %d after bye", (int)frame->type);
    switch (frame->type) {
    case WIRE_PART: return take_part(channel, frame, err);
    case WIRE_FINISH: return take_finish(channel, frame, err);
    case WIRE_PONG: return take_pong(channel, frame, err);
    case WIRE_READY:
    case WIRE_PROGRESS:
    case WIRE_STATS: return take_json(channel, frame, err);
    case WIRE_LOAD_FAILED: return take_load_failed(channel, frame, err);
    case WIRE_BYE: channel->said_bye = true; return PDK_OK;
    default:
        return pdk_error_set(err, PDK_INVALID, "type", "a frame of type %d, which no worker sends", (int)frame->type);
    }
}

static pdk_status take_frames(struct channel *channel, pdk_error *err)
{
    for (;;) {
        PDK_CLEANUP(frame_done) struct frame frame = {0};
        bool there;
        pdk_status status = frame_reader_next(&channel->reader, &frame, &there, err);
        if (status != PDK_OK || !there)
            return status;
        status = take_frame(channel, &frame, err);
        if (status != PDK_OK)
            return status;
    }
}

/* Reads what is there. PDK_OK: go on later. */
static pdk_status receive(struct channel *channel, pdk_error *err)
{
    for (int i = 0; i < FILLS_AT_ONCE; i++) {
        pdk_status status = frame_reader_fill(&channel->reader, err);
        if (status == PDK_BUSY)
            return PDK_OK;
        if (status != PDK_OK)
            return status;
        int64_t now = monotonic_ms();
        mutex_lock(&channel->lock);
        channel->health.last_frame_ms = now;
        mutex_unlock(&channel->lock);
        status = take_frames(channel, err);
        if (status != PDK_OK) {
            pdk_error_wrap(err, "the replica broke the protocol");
            return status;
        }
    }
    return PDK_OK;
}

void channel_wake(struct channel *channel, uint32_t events)
{
    pdk_error err = {0};
    mutex_lock(&channel->lock);
    bool closing = channel->closing;
    if ((events & EPOLLOUT) != 0 && channel->waits_to_write) {
        channel->waits_to_write = false;
        flush(channel);
        if (!channel->waits_to_write)
            channel_loop_wait_write(channel->loop, channel, channel->fd, false);
    }
    mutex_unlock(&channel->lock);
    if (closing || receive(channel, &err) != PDK_OK) {
        if (channel->said_bye && err.status == PDK_UNAVAILABLE)
            err = (pdk_error){0};
        end(channel, &err);
    }
}
