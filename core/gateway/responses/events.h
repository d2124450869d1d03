/* core/gateway/responses/events.h: a response as events, each piece as it comes. */
#pragma once

#include "core/gateway/openai/stream.h"
#include "core/gateway/responses/response.h"

struct response_events {
    struct response *response;
    uint64_t sequence;
    bool open; /* the last item of the output has not ended */
};

/* The context is a struct response_events. */
extern const struct event_form response_event_form;
