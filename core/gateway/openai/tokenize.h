/* core/gateway/openai/tokenize.h: how many tokens a conversation has. */
#pragma once

#include "core/gateway/openai/call.h"

struct exchange;

/* `call` is one of /tokenize, made of `body`, one of endpoint `shown`, which the client sent. [gateway-thread] */
pdk_status tokenize_count(struct exchange *exchange, struct call *call, const struct json *body, enum endpoint shown,
    size_t *ret_count, pdk_error *err);
