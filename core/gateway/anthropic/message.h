/* core/gateway/anthropic/message.h: an answer as a message, whole or as events. */
#pragma once

#include "core/gateway/openai/stream.h"

/* Appends the whole message. */
void message_write(struct buffer *out, const struct answer *answer);

enum block_kind { BLOCK_NONE, BLOCK_TEXT, BLOCK_THINKING, BLOCK_TOOL };

struct message_events {
    const struct answer *answer;
    enum block_kind open; /* the block that has not ended */
    uint32_t index;       /* of it, or of the next */
};

/* The context is a struct message_events. */
extern const struct event_form message_event_form;
