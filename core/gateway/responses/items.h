/* core/gateway/responses/items.h: the items of a conversation as the Responses API has them, as a chat's messages. */
#pragma once

#include "core/base/json.h"

/* Appends messages to `out`, a list without its brackets; `input` is a text or a list of items. PDK_INVALID names the
 * item that is not known. */
pdk_status items_translate(const struct json *input, struct buffer *out, pdk_error *err);
