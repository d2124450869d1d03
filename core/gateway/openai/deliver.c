/* See deliver.h. */
#include "config.h"

#include "core/gateway/openai/deliver.h"

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/gateway/exchange.h"
#include "core/gateway/openai/encode.h"

#include <string.h>

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

struct stream {
    struct exchange *exchange;
    struct answer *answer;
    struct buffer out; /* events put together, not yet written */
    bool begun;
};

static void event_begin(struct buffer *out)
{
    buffer_puts(out, "data: ");
}

static void event_end(struct buffer *out)
{
    buffer_puts(out, "\n\n");
}

/* False: the client is gone, or memory is. */
static bool write_out(struct stream *stream)
{
    if (stream->out.failed)
        return false;
    bool there =
        stream->out.length == 0 || exchange_stream_write(stream->exchange, stream->out.data, stream->out.length);
    buffer_clear(&stream->out);
    return there;
}

/* Called with the first part, when no refusal can come any more. */
static bool begin(struct stream *stream)
{
    struct answer *answer = stream->answer;
    stream->begun = true;
    if (!exchange_stream_begin(stream->exchange, 200, "text/event-stream; charset=utf-8"))
        return false;
    if (!answer->form.chat)
        return true;
    for (size_t i = 0; i < answer->choice_count; i++) {
        event_begin(&stream->out);
        encode_chat_role(&stream->out, answer, i);
        event_end(&stream->out);
    }
    for (size_t i = 0; i < answer->choice_count && chat_echo_text(answer->call).length != 0; i++) {
        event_begin(&stream->out);
        encode_chat_echo(&stream->out, answer, i);
        event_end(&stream->out);
    }
    return true;
}

/* An event for what a part has brought. A discarded choice (max_tokens 0) has but one, its end. */
static bool send_choice(struct stream *stream, size_t choice)
{
    struct answer *answer = stream->answer;
    if (answer->call->discard_output && answer->choices[choice].finish == PDK_FINISH_NONE)
        return true;
    event_begin(&stream->out);
    if (answer->form.chat)
        encode_chat_chunk(&stream->out, answer, choice);
    else
        encode_completion_chunk(&stream->out, answer, choice);
    event_end(&stream->out);
    answer_sent(answer, choice);
    return write_out(stream);
}

/* The status and type that the same failure has as an answer of its own. */
static void put_failure(struct buffer *out, pdk_error *err)
{
    int status = 500;
    const char *type = "InternalServerError";
    if (err->status == PDK_UNAVAILABLE) {
        status = 503;
        type = "ServiceUnavailableError";
    } else if (err->status == PDK_INVALID) {
        status = 400;
        type = "BadRequestError";
    }
    event_begin(out);
    exchange_error_object(out, status, type, err);
    event_end(out);
}

static void finish(struct stream *stream, pdk_status status, pdk_error *err)
{
    buffer_clear(&stream->out);
    stream->out.failed = false;
    if (status == PDK_OK && stream->answer->call->include_usage) {
        event_begin(&stream->out);
        encode_usage_chunk(&stream->out, stream->answer);
        event_end(&stream->out);
    }
    if (status != PDK_OK)
        put_failure(&stream->out, err);
    buffer_puts(&stream->out, "data: [DONE]\n\n");
    write_out(stream);
    exchange_stream_end(stream->exchange);
}

/* Until all requests have ended. *ret_gone: nobody listens any more. */
static pdk_status pump(struct stream *stream, struct answers *answers, bool *ret_gone, pdk_error *err)
{
    *ret_gone = false;
    for (size_t left = stream->answer->call->request_count; left != 0;) {
        uint32_t index;
        const pdk_part *part;
        size_t choice = SIZE_MAX;
        pdk_status status = deliver_next(answers, &index, &part, err);
        if (status == PDK_OK && part != NULL)
            status = answer_take(stream->answer, index, part, &choice, err);
        if (status != PDK_OK)
            return status;
        left -= part == NULL;
        if (!stream->begun && !begin(stream)) {
            *ret_gone = true;
            return PDK_OK;
        }
        if (choice != SIZE_MAX && !send_choice(stream, choice)) {
            *ret_gone = true;
            return PDK_OK;
        }
    }
    return PDK_OK;
}

pdk_status deliver_stream(struct exchange *exchange, struct answer *answer, struct answers *answers, pdk_error *err)
{
    struct stream stream = {.exchange = exchange, .answer = answer};
    bool gone;
    pdk_status status = pump(&stream, answers, &gone, err);
    if (status != PDK_OK && !stream.begun) {
        buffer_done(&stream.out);
        return status;
    }
    if (gone || status == PDK_CANCELLED) {
        exchange_stream_end(exchange); /* the client left; answers_free cancels what still runs */
    } else {
        finish(&stream, status, err);
    }
    buffer_done(&stream.out);
    return PDK_OK;
}
