/* core/gateway/openai/stream.h: an answer as server-sent events, each part as it comes. What the events say is the
 * protocol's: it gives its form. */
#pragma once

#include "core/gateway/openai/answer.h"
#include "core/ipc/channel.h"

struct exchange;

/* Each appends whole events to `out`, or nothing. `context` is the caller's. */
struct event_form {
    void (*begin)(void *context, struct buffer *out);
    /* A part, of which the answer's choice has what was not yet told; it is emptied behind the call. */
    void (*part)(void *context, struct buffer *out, size_t choice, const pdk_part *part);
    void (*end)(void *context, struct buffer *out);
    /* The end after a failure, with the status and type that it has as an answer of its own. */
    void (*fail)(void *context, struct buffer *out, int http, const char *type, const pdk_error *err);
};

/* Waits until every request of `answers` has ended, and answers the exchange. A failure is returned as long as nothing
 * was sent, so that it gets a status of its own; later it becomes an event. [gateway-thread] */
pdk_status stream_answer(struct exchange *exchange, struct answer *answer, struct answers *answers,
    const struct event_form *form, void *context, pdk_error *err);

/* The OpenAI events of a completion or a chat; the context is the answer. events.c */
extern const struct event_form events_openai;
