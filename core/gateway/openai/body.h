/* core/gateway/openai/body.h: from an exchange to a call whose types are known. */
#pragma once

#include "core/gateway/openai/call.h"

struct exchange;

/* Reads the body. NULL: it was refused, and the exchange is answered. */
struct call *body_open(struct exchange *exchange, enum endpoint endpoint);
