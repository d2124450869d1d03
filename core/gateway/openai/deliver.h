/* core/gateway/openai/deliver.h: requests to the runtime, and the parts of their answers back. */
#pragma once

#include "core/base/cleanup.h"
#include "core/gateway/openai/answer.h"
#include "core/ipc/channel.h"

struct exchange;
struct service_view;

PDK_DEFINE_CLEANUP(struct answers, answers_free)

/* Sends all requests of a call. PDK_BUSY in vLLM's words. [gateway-thread] */
pdk_status deliver_send(struct exchange *exchange, struct call *call, const struct service_view *service,
    struct answers **ret_answers, pdk_error *err);
/* Waits for the next part of any request. *ret_part NULL: request *ret_index has ended. [gateway-thread] */
pdk_status deliver_next(struct answers *answers, uint32_t *ret_index, const pdk_part **ret_part, pdk_error *err);
/* The same, for at most `wait_ms`; *ret_index is UINT32_MAX where nothing has come. */
pdk_status deliver_next_within(
    struct answers *answers, int64_t wait_ms, uint32_t *ret_index, const pdk_part **ret_part, pdk_error *err);
/* Takes all parts until every request of `answers` has ended. [gateway-thread] */
pdk_status deliver_collect(struct answer *answer, struct answers *answers, pdk_error *err);
