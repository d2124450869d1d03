/* core/gateway/pooling/pool_call.h: a body of one of the pooling endpoints, as neutral requests. */
#pragma once

#include "core/gateway/openai/call.h"

struct exchange;
struct service_view;

/* Finds the service, names in a Warning what has no effect. PDK_UNSUPPORTED: the model does none of `tasks` (bits
 * 1 << PDK_POOL_…; PDK_POOL_SCORE also means a cosine of embeddings; 0: any will do). [gateway-thread] */
pdk_status pool_route(struct exchange *exchange, struct call *call, uint32_t tasks, const char *api,
    const struct service_view **ret_service, pdk_error *err);
/* Fills what all requests of the call share; prompts are the caller's. */
pdk_status pool_fill(
    struct call *call, const struct ready_info *ready, int32_t task, pdk_request *ret_shared, pdk_error *err);
/* That, for the inputs or the conversation of the body: call->requests are ready to be sent. */
pdk_status pool_check(struct call *call, const struct ready_info *ready, int32_t task, pdk_error *err);
/* Answers with a failure. A model that cannot do it is answered like a path that is not there, as vLLM does. */
void pool_fail(struct exchange *exchange, const pdk_error *err);
