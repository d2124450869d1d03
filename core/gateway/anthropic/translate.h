/* core/gateway/anthropic/translate.h: a body of the Messages API in a chat's words, so that values are checked in one
 * place. */
#pragma once

#include "core/base/json.h"

#include <stdbool.h>

/* Appends a chat's body to `out`, or `counted`: one for /tokenize. */
pdk_status anthropic_translate(const struct json *body, bool counted, struct buffer *out, pdk_error *err);
