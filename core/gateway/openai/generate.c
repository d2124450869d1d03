/* The way of a request to generate: body, route, checks against the model, then the parts as they come. */
#include "config.h"

#include "core/gateway/openai/openai.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/gateway/exchange.h"
#include "core/gateway/openai/body.h"
#include "core/gateway/openai/call.h"
#include "core/gateway/openai/deliver.h"
#include "core/gateway/openai/encode.h"
#include "core/gateway/openai/generate.h"
#include "core/gateway/openai/load_report.h"
#include "core/gateway/openai/stream.h"

#include <string.h>

void generate_take_priority(struct call *call, const struct exchange *exchange)
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

static pdk_status reply_whole(struct exchange *exchange, const struct service_view *service, struct answer *answer,
    struct answers *answers, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    pdk_status status = deliver_collect(answer, answers, err);
    if (status != PDK_OK)
        return status;
    if (answer->form.chat)
        encode_chat(&out, answer);
    else
        encode_completion(&out, answer);
    if (out.failed)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the answer");
    load_report_add(exchange, service);
    exchange_reply(exchange, 200, "application/json", out.data, out.length);
    return PDK_OK;
}

static pdk_status run(struct exchange *exchange, struct call *call, const struct service_view *service, pdk_error *err)
{
    PDK_CLEANUP(answer_freep) struct answer *answer = NULL;
    PDK_CLEANUP(answers_freep) struct answers *answers = NULL;
    pdk_status status = answer_new(call, exchange, service, &answer, err);
    if (status == PDK_OK)
        status = deliver_send(exchange, call, service, &answers, err);
    if (status != PDK_OK)
        return status;
    return call->stream ? stream_answer(exchange, answer, answers, &events_openai, answer, err)
                        : reply_whole(exchange, service, answer, answers, err);
}

pdk_status generate_prepare(struct exchange *exchange, struct call *call, const struct json *body, enum endpoint shown,
    const char *api, const struct service_view **ret_service, pdk_error *err)
{
    const char *model = call->fields.model == NULL ? NULL : call->fields.model->text;
    const struct service_view *service = NULL;
    generate_take_priority(call, exchange);
    pdk_status status = exchange_route(exchange, model, READY_GENERATE, &service, err);
    if (status == PDK_UNSUPPORTED)
        return pdk_error_set(err, PDK_UNSUPPORTED, NULL, "The model does not support %s API", api);
    if (status != PDK_OK)
        return status;
    fields_warn(body, shown, exchange, service->name);
    *ret_service = service;
    return call_check(call, service->ready, service->ready->names[0], err);
}

static void generate(struct exchange *exchange, enum endpoint endpoint, bool batch)
{
    pdk_error err = {0};
    PDK_CLEANUP(call_freep) struct call *call = body_open(exchange, endpoint, batch);
    if (call == NULL)
        return;
    const struct service_view *service = NULL;
    pdk_status status = generate_prepare(exchange, call, call->body, endpoint,
        endpoint == ENDPOINT_CHAT ? "Chat Completions" : "Completions", &service, &err);
    if (status == PDK_OK)
        status = run(exchange, call, service, &err);
    if (status != PDK_OK)
        exchange_fail(exchange, &err);
}

void openai_completions(struct exchange *exchange)
{
    generate(exchange, ENDPOINT_COMPLETIONS, false);
}

void openai_chat_completions(struct exchange *exchange)
{
    generate(exchange, ENDPOINT_CHAT, false);
}

void openai_chat_batch(struct exchange *exchange)
{
    generate(exchange, ENDPOINT_CHAT, true);
}
