/* core/gateway/openai/generate.h: the middle of the way of a request to generate, which other protocols go too once
 * they have put their bodies into a chat's words. */
#pragma once

#include "core/gateway/openai/call.h"

struct exchange;
struct service_view;

/* X-Vllm-Priority: an integer, else it is not there. */
void generate_take_priority(struct call *call, const struct exchange *exchange);
/* Finds the service, names in a Warning what of `body`, one of endpoint `shown`, has no effect, and checks the call
 * against the model; then call->requests are ready. `api` is the endpoint's name in vLLM's words. [gateway-thread] */
pdk_status generate_prepare(struct exchange *exchange, struct call *call, const struct json *body, enum endpoint shown,
    const char *api, const struct service_view **ret_service, pdk_error *err);
