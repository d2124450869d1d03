/* tests/unit/fake_exchange.h: an exchange, a control and a channel that play a script, for tests of protocols without
 * HTTP or workers. One at a time, in one thread. */
#pragma once

#include "core/gateway/exchange.h"

/* What answers_next gives next: a part, the good end of request `index`, or a failure. */
struct fake_event {
    uint32_t index;
    bool is_part;
    pdk_part part;
    pdk_status status; /* PDK_OK: the end, unless is_part */
    const char *field, *message;
};

struct exchange {
    /* The request. */
    const char *method, *path, *body, *content_type, *host, *request_id, *load_format;
    size_t body_length;
    bool request_id_given;
    /* The machine behind. */
    struct ready_info ready;
    struct service_view service;
    struct routes routes;
    bool draining, denied; /* denied: the key may not use the service */
    pdk_status route_status, add_status;
    const struct fake_event *events;
    size_t event_count;
    const char *segment; /* of the path, whatever its name */
    struct response_store *responses;
    size_t writes_left; /* the client leaves after so many */
    /* What came. */
    int status;
    char type[64];
    struct buffer reply, warnings, headers;
    struct buffer seen; /* a line a request: what of it is text */
    unsigned replies;   /* answers begun: exactly 1 is right */
    bool streamed, ended;
    size_t events_used, added, freed;
    uint32_t flags; /* of the last request added */
    pdk_sampling sampling;
    size_t stop_count, bias_count, message_count;
    char routed[256]; /* the model asked for; "" when none */
};

/* A POST of `body` as JSON to a model like the recorded one: "m", 49,152 tokens, 2,048 long, 20 logprobs. */
void fake_init(struct exchange *exchange, const char *path, const char *body);
void fake_done(struct exchange *exchange);
