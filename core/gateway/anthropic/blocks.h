/* core/gateway/anthropic/blocks.h: messages made of blocks, as a chat's messages. */
#pragma once

#include "core/base/json.h"

/* Appends the messages of `system` (may be NULL) and of `messages` to `out`, a list without its brackets. PDK_INVALID
 * names the block that is not known. */
pdk_status blocks_translate(const struct json *system, const struct json *messages, struct buffer *out, pdk_error *err);
