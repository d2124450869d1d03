/* core/gateway/openai/translated.h: a call out of a body that was made of another protocol's. */
#pragma once

#include "core/gateway/openai/call.h"

struct exchange;

/* NULL: it was refused, and the exchange is answered. [gateway-thread] */
struct call *translated_open(struct exchange *exchange, enum endpoint endpoint, const struct buffer *text);
/* Answers with what was refused while translating: a wrong type in the validator's words (its field is "body.…"), or
 * else with this type. */
void translated_fail(struct exchange *exchange, const pdk_error *err, const char *type);
