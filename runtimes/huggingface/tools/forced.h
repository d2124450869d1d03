/* runtimes/huggingface/tools/forced.h: the constraint of a request whose answer must be a call. */
#pragma once

#include "core/base/buffer.h"

#include <paddock/draft/request.h>

/* The guide that stands in the place of the client's: a list of calls, each held to its function's schema, or the named
 * function's arguments. Its text lies in `text`, which is empty before. PDK_NOT_FOUND: no tool has that name. A guide
 * of PDK_GUIDE_NONE: the request forces nothing. */
pdk_status forced_guide(const pdk_request *request, struct buffer *text, pdk_guide *ret_guide, pdk_error *err);
