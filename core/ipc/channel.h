/* core/ipc/channel.h: the daemon's end of the workers' sockets.
 *
 * One thread, [channel-thread], reads all of them, sends what does not fit at once, and watches the sockets of clients
 * that wait. Gateway threads put requests in and take parts out through `struct answers`. A worker that breaks the
 * protocol loses its channel (`closed` with the reason), nothing else does. */
#pragma once

#include "core/base/json.h"
#include "core/ipc/ready.h"

#include <paddock/draft/request.h>
#include <stdbool.h>
#include <stdint.h>

struct channel_loop;
struct channel; /* counted references; lives on after it closed */
struct answers;

pdk_status channel_loop_start(struct channel_loop **ret_loop, pdk_error *err); /* [init] */
/* Stops the thread; every channel must have closed and every answers be freed. [main-thread] */
struct channel_loop *channel_loop_stop(struct channel_loop *loop);

/* What a channel tells its owner, all on the [channel-thread]; functions return soon and call no channel function but
 * channel_ref. */
struct channel_events {
    void *context;
    void (*progress)(void *context, double fraction, const char *what);
    void (*ready)(void *context, struct ready_info *info_take);
    /* The load failed; the worker is about to leave. */
    void (*load_failed)(void *context, const pdk_error *err);
    /* Metrics as the worker counts them: {"NAME{LABELS}": …}, see core/ipc/README.md. Also the last ones, at bye. */
    void (*stats)(void *context, const struct json *payload);
    /* The last event: the peer is gone, or broke the protocol (`err` says how), or said bye (err->status PDK_OK). */
    void (*closed)(void *context, const pdk_error *err);
};

/* Takes `fd`, a connected SOCK_STREAM socketpair end. Gives `ret_channel` with one reference. [control-thread] */
pdk_status channel_open(struct channel_loop *loop, int fd, const struct channel_events *events,
    struct channel **ret_channel, pdk_error *err);
struct channel *channel_ref(struct channel *channel);
struct channel *channel_unref(struct channel *channel); /* takes NULL, returns NULL */
/* Ends it from our side: requests in flight fail with PDK_UNAVAILABLE, then `closed`. A second call does nothing. */
void channel_close(struct channel *channel, const char *why);

/* Control frames. They queue and never block; on a closed channel they do nothing. [control-thread] */
void channel_load(struct channel *channel, const char *json, size_t length);
void channel_ask_stats(struct channel *channel);
void channel_ping(struct channel *channel);
void channel_drain(struct channel *channel); /* finish what runs, take no more, say bye */

/* What the watchdog looks at. Times are CLOCK_MONOTONIC ms. [any-thread] */
struct channel_health {
    int64_t last_frame_ms; /* any frame from the worker */
    int64_t last_alive_ms; /* a step was made: pdk_host.alive, carried by pongs and parts */
    int64_t ping_sent_ms;  /* 0: no ping unanswered */
    uint32_t in_flight;    /* requests not yet finished */
};
void channel_health(struct channel *channel, struct channel_health *ret_health);

/* The answers that one client waits for: the parts of one or more requests, as they come. Used by one thread, except
 * answers_cancel. `client_fd` is watched (-1: none): when its peer leaves, half-closes included, everything is
 * cancelled. It is duplicated, not taken. */
pdk_status answers_new(struct channel_loop *loop, int client_fd, struct answers **ret_answers, pdk_error *err);
/* Cancels what has not finished, and frees. Takes NULL, returns NULL. */
struct answers *answers_free(struct answers *answers);
/* Sends a request, whose id is given here, to the channel's worker; its index is the number of requests added before.
 * `request` is borrowed for the call. PDK_UNAVAILABLE: the channel is closed or drains. PDK_BUSY: `queue_limit`
 * requests are in flight on the channel already. */
pdk_status answers_add(
    struct answers *answers, struct channel *channel, const pdk_request *request, uint32_t queue_limit, pdk_error *err);
/* Waits for what comes next.
 * PDK_OK, *ret_part set: a part of request *ret_index, borrowed until the next call.
 * PDK_OK, *ret_part NULL: request *ret_index has ended well.
 * PDK_TIMEOUT with *ret_index UINT32_MAX: nothing until `deadline_ms`.
 * PDK_CANCELLED with *ret_index UINT32_MAX: the client left, or answers_cancel.
 * else: request *ret_index has ended with this error, in `err`. */
pdk_status answers_next(
    struct answers *answers, int64_t deadline_ms, uint32_t *ret_index, const pdk_part **ret_part, pdk_error *err);
void answers_cancel(struct answers *answers); /* [any-thread] */
