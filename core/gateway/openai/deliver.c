/* See deliver.h. */
#include "config.h"

#include "core/gateway/openai/deliver.h"

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/gateway/exchange.h"

/* The channel watches the client and the control the worker; this only bounds one wait. */
enum { WAIT_MS = 60000 };

pdk_status deliver_next_within(
    struct answers *answers, int64_t wait_ms, uint32_t *ret_index, const pdk_part **ret_part, pdk_error *err)
{
    uint32_t index = UINT32_MAX;
    const pdk_part *part = NULL;
    pdk_status status = answers_next(answers, monotonic_ms() + wait_ms, &index, &part, err);
    /* A request may end with PDK_TIMEOUT too, and then it has an index. */
    if (status == PDK_TIMEOUT && index == UINT32_MAX)
        status = PDK_OK;
    if (status == PDK_OK) {
        *ret_index = index;
        *ret_part = part;
    }
    return status;
}

pdk_status deliver_next(struct answers *answers, uint32_t *ret_index, const pdk_part **ret_part, pdk_error *err)
{
    uint32_t index = UINT32_MAX;
    const pdk_part *part = NULL;
    pdk_status status;
    do
        status = deliver_next_within(answers, WAIT_MS, &index, &part, err);
    while (status == PDK_OK && index == UINT32_MAX);
    if (status == PDK_OK) {
        *ret_index = index;
        *ret_part = part;
    }
    return status;
}

pdk_status deliver_collect(struct answer *answer, struct answers *answers, pdk_error *err)
{
    for (size_t left = answer->call->request_count; left != 0;) {
        uint32_t index;
        const pdk_part *part;
        size_t choice;
        pdk_status status = deliver_next(answers, &index, &part, err);
        if (status != PDK_OK)
            return status;
        if (part == NULL)
            left--;
        else
            status = answer_take(answer, index, part, &choice, err);
        if (status != PDK_OK)
            return status;
    }
    return PDK_OK;
}

pdk_status deliver_send(struct exchange *exchange, struct call *call, const struct service_view *service,
    struct answers **ret_answers, pdk_error *err)
{
    uint32_t queue = (uint32_t)limit_get(LIMIT_QUEUE);
    PDK_CLEANUP(answers_freep) struct answers *answers = NULL;
    pdk_status status = answers_new(exchange_loop(exchange), exchange_client_fd(exchange), &answers, err);
    for (size_t i = 0; i < call->request_count && status == PDK_OK; i++) {
        call->requests[i].tenant = exchange_tenant(exchange);
        status = answers_add(answers, service->channel, &call->requests[i], queue, err);
    }
    if (status == PDK_BUSY)
        return pdk_error_set(err, PDK_BUSY, NULL,
            "The engine is currently busy and cannot accept new requests. Please try again later or on a different "
            "instance.");
    if (status == PDK_OK)
        *ret_answers = PDK_STEAL(answers);
    return status;
}
