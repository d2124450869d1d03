/* The handlers of the Responses API. */
#include "config.h"

#include "core/gateway/responses/responses.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/gateway/exchange.h"
#include "core/gateway/openai/body.h"
#include "core/gateway/openai/deliver.h"
#include "core/gateway/openai/generate.h"
#include "core/gateway/openai/translated.h"
#include "core/gateway/responses/events.h"
#include "core/gateway/responses/store.h"
#include "core/gateway/responses/translate.h"

#include <string.h>

/* This API's own checks have a type of their own. */
static void fail_own(struct exchange *exchange, int status, const pdk_error *err)
{
    exchange_fail_as(exchange, status, "invalid_request_error", err);
}

static void fail_unknown(struct exchange *exchange, const char *id)
{
    pdk_error err = {0};
    pdk_error_set(&err, PDK_NOT_FOUND, "response_id", "Response with id '%.128s' not found.", id);
    fail_own(exchange, 404, &err);
}

/* What went before, where the request goes on from it. False: answered. */
static bool take_previous(struct exchange *exchange, const struct json *body, struct buffer *conversation)
{
    const char *id;
    if (!json_string(json_get(body, "previous_response_id"), &id))
        return true;
    if (response_store_find(exchange_responses(exchange), exchange_tenant(exchange), id, NULL, conversation))
        return true;
    fail_unknown(exchange, id);
    return false;
}

static void keep(struct exchange *exchange, const struct response *response, struct buffer *conversation)
{
    const struct json *store = json_get(response->body, "store");
    PDK_CLEANUP(buffer_done) struct buffer whole = {0};
    struct json_writer writer = {.out = &whole}, turn = {.out = conversation};
    if ((response->answer->ready->api_flags & PDK_API_STORE) == 0 || !response->finished ||
        (store != NULL && store->type == JSON_FALSE))
        return;
    response_write(&writer, response);
    if (conversation->length != 0)
        buffer_putc(conversation, ',');
    output_write_turn(&turn, &response->output);
    if (!whole.failed && !conversation->failed)
        response_store_put(exchange_responses(exchange), exchange_tenant(exchange), response->id, &whole, conversation);
}

static pdk_status reply_whole(
    struct exchange *exchange, struct response *response, struct answers *answers, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    struct json_writer writer = {.out = &out};
    pdk_status status = deliver_collect(response->answer, answers, err);
    if (status != PDK_OK)
        return status;
    output_of_choice(&response->output, response->answer->choices);
    response->finished = true;
    response_write(&writer, response);
    if (out.failed || response->output.failed)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the answer");
    exchange_reply(exchange, 200, "application/json", out.data, out.length);
    return PDK_OK;
}

static pdk_status run(struct exchange *exchange, const struct json *body, struct call *call,
    const struct service_view *service, struct buffer *conversation, pdk_error *err)
{
    PDK_CLEANUP(answer_freep) struct answer *answer = NULL;
    PDK_CLEANUP(answers_freep) struct answers *answers = NULL;
    pdk_status status = answer_new(call, exchange, service, &answer, err);
    if (status == PDK_OK)
        status = deliver_send(exchange, call, service, &answers, err);
    if (status != PDK_OK)
        return status;
    struct response response = {.body = body, .call = call, .answer = answer, .logprobs = call->wants_logprobs};
    struct response_events events = {.response = &response};
    answer_id(call->fields.request_id, exchange, "resp_", response.id, sizeof response.id);
    status = call->stream ? stream_answer(exchange, answer, answers, &response_event_form, &events, err)
                          : reply_whole(exchange, &response, answers, err);
    if (status == PDK_OK)
        keep(exchange, &response, conversation);
    output_done(&response.output);
    return status;
}

void responses_create(struct exchange *exchange)
{
    pdk_error err = {0};
    PDK_CLEANUP(buffer_done) struct buffer conversation = {0}, text = {0};
    PDK_CLEANUP(call_freep) struct call *asked = body_open(exchange, ENDPOINT_RESPONSES, false);
    if (asked == NULL || !take_previous(exchange, asked->body, &conversation))
        return;
    if (responses_translate(asked->body, &conversation, &text, &err) != PDK_OK) {
        translated_fail(exchange, &err, "invalid_request_error");
        return;
    }
    PDK_CLEANUP(call_freep) struct call *call = translated_open(exchange, ENDPOINT_CHAT, &text);
    if (call == NULL)
        return;
    call->keeps_raw = responses_wants_messages(asked->body);
    const struct service_view *service = NULL;
    pdk_status status = generate_prepare(exchange, call, asked->body, ENDPOINT_RESPONSES, "Responses", &service, &err);
    if (status == PDK_OK)
        status = run(exchange, asked->body, call, service, &conversation, &err);
    if (status != PDK_OK)
        exchange_fail(exchange, &err);
}

void responses_get(struct exchange *exchange)
{
    const char *id = exchange_segment(exchange, "id");
    char stream[8];
    pdk_error err = {0};
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    if (exchange_parameter(exchange, "stream", stream, sizeof stream) && strcmp(stream, "true") == 0) {
        pdk_error_set(&err, PDK_INVALID, "stream", "a kept response is not streamed; leave stream out");
        fail_own(exchange, 400, &err);
        return;
    }
    if (id == NULL || !response_store_find(exchange_responses(exchange), exchange_tenant(exchange), id, &out, NULL) ||
        out.failed) {
        fail_unknown(exchange, id == NULL ? "" : id);
        return;
    }
    exchange_reply(exchange, 200, "application/json", out.data, out.length);
}

void responses_cancel(struct exchange *exchange)
{
    const char *id = exchange_segment(exchange, "id");
    pdk_error err = {0};
    if (id == NULL || !response_store_find(exchange_responses(exchange), exchange_tenant(exchange), id, NULL, NULL)) {
        fail_unknown(exchange, id == NULL ? "" : id);
        return;
    }
    pdk_error_set(&err, PDK_INVALID, "response_id", "Cannot cancel a synchronous response.");
    fail_own(exchange, 400, &err);
}
