/* See deliver.h. The stream is in stream.c. */
#include "config.h"

#include "core/gateway/openai/deliver.h"

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/gateway/exchange.h"
#include "core/gateway/openai/encode.h"

/* The channel watches the client and the control the worker; this only bounds one wait. */
enum { WAIT_MS = 60000 };

pdk_status deliver_next(struct answers *answers, uint32_t *ret_index, const pdk_part **ret_part, pdk_error *err)
{
    uint32_t index = UINT32_MAX;
    const pdk_part *part = NULL;
    pdk_status status;
    do
        status = answers_next(answers, monotonic_ms() + WAIT_MS, &index, &part, err);
    while (status == PDK_TIMEOUT && index == UINT32_MAX);
    if (status == PDK_OK) {
        *ret_index = index;
        *ret_part = part;
    }
    return status;
}

pdk_status deliver_whole(struct exchange *exchange, struct answer *answer, struct answers *answers, pdk_error *err)
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
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    if (answer->form.chat)
        encode_chat(&out, answer);
    else
        encode_completion(&out, answer);
    if (out.failed)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the answer");
    exchange_reply(exchange, 200, "application/json", out.data, out.length);
    return PDK_OK;
}
