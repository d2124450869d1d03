/* The handlers of the Messages API. */
#include "config.h"

#include "core/gateway/anthropic/anthropic.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/gateway/anthropic/message.h"
#include "core/gateway/anthropic/translate.h"
#include "core/gateway/exchange.h"
#include "core/gateway/openai/body.h"
#include "core/gateway/openai/deliver.h"
#include "core/gateway/openai/generate.h"
#include "core/gateway/openai/tokenize.h"
#include "core/gateway/openai/translated.h"

#include <inttypes.h>

static pdk_status reply_whole(struct exchange *exchange, struct answer *answer, struct answers *answers, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    pdk_status status = deliver_collect(answer, answers, err);
    if (status != PDK_OK)
        return status;
    message_write(&out, answer);
    if (out.failed)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the answer");
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
    struct message_events events = {.answer = answer};
    return call->stream ? stream_answer(exchange, answer, answers, &message_event_form, &events, err)
                        : reply_whole(exchange, answer, answers, err);
}

/* The body in the words of a chat, or of /tokenize. NULL: refused, and the exchange is answered. */
static struct call *translate(struct exchange *exchange, const struct json *body, bool counted)
{
    pdk_error err = {0};
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    if (anthropic_translate(body, counted, &text, &err) == PDK_OK)
        return translated_open(exchange, counted ? ENDPOINT_TOKENIZE : ENDPOINT_CHAT, &text);
    translated_fail(exchange, &err, "BadRequestError");
    return NULL;
}

void anthropic_messages(struct exchange *exchange)
{
    pdk_error err = {0};
    PDK_CLEANUP(call_freep) struct call *asked = body_open(exchange, ENDPOINT_MESSAGES, false);
    if (asked == NULL)
        return;
    PDK_CLEANUP(call_freep) struct call *call = translate(exchange, asked->body, false);
    const struct service_view *service = NULL;
    if (call == NULL)
        return;
    pdk_status status = generate_prepare(exchange, call, asked->body, ENDPOINT_MESSAGES, "Messages", &service, &err);
    if (status == PDK_OK)
        status = run(exchange, call, service, &err);
    if (status != PDK_OK)
        exchange_fail(exchange, &err);
}

void anthropic_count_tokens(struct exchange *exchange)
{
    pdk_error err = {0};
    PDK_CLEANUP(call_freep) struct call *asked = body_open(exchange, ENDPOINT_COUNT_TOKENS, false);
    if (asked == NULL)
        return;
    PDK_CLEANUP(call_freep) struct call *call = translate(exchange, asked->body, true);
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    size_t count = 0;
    if (call == NULL)
        return;
    if (tokenize_count(exchange, call, asked->body, ENDPOINT_COUNT_TOKENS, &count, &err) != PDK_OK) {
        exchange_fail(exchange, &err);
        return;
    }
    buffer_printf(&out, "{\"input_tokens\":%zu}", count);
    exchange_reply(exchange, 200, "application/json", out.failed ? "{}" : out.data, out.failed ? 2 : out.length);
}
