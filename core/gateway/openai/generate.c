/* The way of a request to generate: body, route, checks against the model, then the parts as they come. */
#include "config.h"

#include "core/gateway/openai/openai.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/gateway/exchange.h"
#include "core/gateway/openai/body.h"
#include "core/gateway/openai/call.h"
#include "core/gateway/openai/deliver.h"

#include <string.h>

/* X-Vllm-Priority: an integer, else it is not there. */
static void take_priority_header(struct call *call, const struct exchange *exchange)
{
    const char *text = exchange_header(exchange, "X-Vllm-Priority");
    int64_t priority;
    if (text == NULL)
        return;
    const struct json number = {.type = JSON_NUMBER, .text = text, .length = strlen(text)};
    if (number.length != 0 && strspn(text + (*text == '-'), "0123456789") == number.length - (*text == '-') &&
        json_int64(&number, &priority))
        call->fields.priority = (struct given_int){true, priority};
}

static pdk_status send_requests(struct exchange *exchange, struct call *call, const struct service_view *service,
    struct answers *answers, pdk_error *err)
{
    uint32_t queue = (uint32_t)limit_get(LIMIT_QUEUE);
    for (size_t i = 0; i < call->request_count; i++) {
        call->requests[i].tenant = exchange_tenant(exchange);
        pdk_status status = answers_add(answers, service->channel, &call->requests[i], queue, err);
        if (status == PDK_BUSY)
            return pdk_error_set(err, PDK_BUSY, NULL,
                "The engine is currently busy and cannot accept new requests. Please try again later or on a different "
                "instance.");
        if (status != PDK_OK)
            return status;
    }
    return PDK_OK;
}

static pdk_status run(struct exchange *exchange, struct call *call, const struct service_view *service, pdk_error *err)
{
    PDK_CLEANUP(answer_freep) struct answer *answer = NULL;
    PDK_CLEANUP(answers_freep) struct answers *answers = NULL;
    pdk_status status = answer_new(call, exchange, service, &answer, err);
    if (status == PDK_OK)
        status = answers_new(exchange_loop(exchange), exchange_client_fd(exchange), &answers, err);
    if (status == PDK_OK)
        status = send_requests(exchange, call, service, answers, err);
    if (status != PDK_OK)
        return status;
    return call->stream ? deliver_stream(exchange, answer, answers, err)
                        : deliver_whole(exchange, answer, answers, err);
}

static void generate(struct exchange *exchange, enum endpoint endpoint)
{
    pdk_error err = {0};
    PDK_CLEANUP(call_freep) struct call *call = body_open(exchange, endpoint);
    if (call == NULL)
        return;
    const struct service_view *service = NULL;
    const char *model = call->fields.model == NULL ? NULL : call->fields.model->text;
    take_priority_header(call, exchange);
    pdk_status status = exchange_route(exchange, model, READY_GENERATE, &service, &err);
    if (status == PDK_OK) {
        fields_warn(call->body, endpoint, exchange, service->name);
        status = call_check(call, service->ready, service->ready->names[0], &err);
    }
    if (status == PDK_OK)
        status = run(exchange, call, service, &err);
    if (status != PDK_OK)
        exchange_fail(exchange, &err);
}

void openai_completions(struct exchange *exchange)
{
    generate(exchange, ENDPOINT_COMPLETIONS);
}

void openai_chat_completions(struct exchange *exchange)
{
    generate(exchange, ENDPOINT_CHAT);
}
