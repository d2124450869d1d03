/* core/gateway/civet_head.h: the bytes of a head, from what CivetWeb made of them. */
#pragma once

#include "core/base/buffer.h"

#include <civetweb.h>
#include <stddef.h>

/* Writes the head as it came over the wire, for head_read. CivetWeb cuts the head into strings where it lies, so what
 * it overlooked (blanks before a colon, a bare LF, lines after its last header) still stands between them. At most
 * `limit` bytes and a little are written; a head that cannot be put together ends early and so is refused. */
void civet_head(const struct mg_request_info *info, size_t limit, struct buffer *out);
