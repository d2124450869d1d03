/* core/gateway/openai/body.h: from an exchange to a call whose types are known. */
#pragma once

#include "core/gateway/openai/call.h"

struct exchange;

/* Reads the body; of a `batch` messages is a list of conversations. NULL: it was refused, and the exchange is answered.
 */
struct call *body_open(struct exchange *exchange, enum endpoint endpoint, bool batch);
/* Whether the body is announced as JSON; else the exchange is answered. */
bool body_is_json(struct exchange *exchange);
/* Answers with what is wrong with a body; `malformed`: its types are. */
void body_fail(struct exchange *exchange, const pdk_error *err, bool malformed);
