/* core/gateway/openai/deliver.h: from the parts of an answer to the client, as one body or as a stream of events. */
#pragma once

#include "core/base/cleanup.h"
#include "core/gateway/openai/answer.h"
#include "core/ipc/channel.h"

struct exchange;

PDK_DEFINE_CLEANUP(struct answers, answers_free)

/* Both wait until every request of `answers` has ended, and answer the exchange. A failure is returned as long as
 * nothing was sent, so that it gets a status of its own; later it becomes an event of the stream. [gateway-thread] */
pdk_status deliver_whole(struct exchange *exchange, struct answer *answer, struct answers *answers, pdk_error *err);
pdk_status deliver_stream(struct exchange *exchange, struct answer *answer, struct answers *answers, pdk_error *err);

/* Waits for the next part of any request. *ret_part NULL: request *ret_index has ended. [gateway-thread] */
pdk_status deliver_next(struct answers *answers, uint32_t *ret_index, const pdk_part **ret_part, pdk_error *err);
