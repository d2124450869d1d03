/* core/gateway/openai/tools.h: which functions a model may call, and whether it must: `tools` and `tool_choice`. */
#pragma once

#include "core/base/json.h"
#include "core/gateway/openai/call.h"

/* How the two fit together; before types, in vLLM's order and words. [any-thread] */
pdk_status tools_check_body(const struct json *body, pdk_error *err);
/* Types of `tools`: [{"type": "function", "function": {"name": …}}, …]. */
pdk_status tools_read(const struct json *tools, pdk_error *err);
/* Fills what `request` says of tools, where the runtime can do it. */
pdk_status tools_set(const struct call *call, const struct ready_info *ready, pdk_request *request, pdk_error *err);
/* Whether a choice forces calls; then an answer without text has "" for it, not null. */
bool tools_forced(const struct call *call);
/* Whether one function was named: its end is a plain "stop". */
bool tools_named(const struct call *call);
