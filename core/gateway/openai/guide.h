/* core/gateway/openai/guide.h: what generated text has to be: response_format, structured_outputs and the older
 * guided_* fields, as one pdk_guide. */
#pragma once

#include "core/base/json.h"
#include "core/gateway/openai/call.h"

/* Combinations, before types; a chat's may meet a named tool. [any-thread] */
pdk_status guide_check_body(const struct json *body, bool chat, pdk_error *err);
/* Types and shapes of the fields, whose own types fields_read has looked at. */
pdk_status guide_read(const struct call *call, pdk_error *err);
/* Fills request->guide; what it borrows lives as long as the call. */
pdk_status guide_set(struct call *call, pdk_request *request, pdk_error *err);
