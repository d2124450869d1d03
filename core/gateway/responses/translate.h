/* core/gateway/responses/translate.h: a body of the Responses API in a chat's words, so that values are checked in one
 * place. */
#pragma once

#include "core/base/json.h"

/* Whether the raw texts and tokens are to be shown: enable_response_messages. */
bool responses_wants_messages(const struct json *body);
/* Appends a chat's body to `out`, and to `conversation`, which may hold what went before, this request's messages (a
 * list without its brackets, without the instructions). */
pdk_status responses_translate(
    const struct json *body, struct buffer *conversation, struct buffer *out, pdk_error *err);
