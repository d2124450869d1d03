/* An answer as server-sent events, each part as it comes. Nothing is sent before the first part of any prompt, so that
 * what a runtime refuses still gets a status of its own. */
#include "config.h"

#include "core/gateway/openai/deliver.h"

#include "core/base/error.h"
#include "core/gateway/exchange.h"
#include "core/gateway/openai/encode.h"
#include "core/gateway/status_map.h"

struct stream {
    struct exchange *exchange;
    struct answer *answer;
    struct buffer out; /* events put together, not yet written */
    bool begun;
};

static void event_begin(struct stream *stream)
{
    buffer_puts(&stream->out, "data: ");
}

static void event_end(struct stream *stream)
{
    buffer_puts(&stream->out, "\n\n");
}

/* PDK_CANCELLED: the client is gone. */
static pdk_status write_out(struct stream *stream, pdk_error *err)
{
    if (stream->out.failed)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for an event");
    bool there =
        stream->out.length == 0 || exchange_stream_write(stream->exchange, stream->out.data, stream->out.length);
    buffer_clear(&stream->out);
    return there ? PDK_OK : pdk_error_set(err, PDK_CANCELLED, NULL, "the client left");
}

/* A chat opens each choice with its role, and by echo with the last message; they leave with the first output. */
static pdk_status begin(struct stream *stream, pdk_error *err)
{
    struct answer *answer = stream->answer;
    stream->begun = true;
    if (!exchange_stream_begin(stream->exchange, 200, "text/event-stream; charset=utf-8"))
        return pdk_error_set(err, PDK_CANCELLED, NULL, "the client left");
    if (!answer->form.chat)
        return PDK_OK;
    for (size_t i = 0; i < answer->choice_count; i++) {
        event_begin(stream);
        encode_chat_role(&stream->out, answer, i);
        event_end(stream);
    }
    for (size_t i = 0; i < answer->choice_count && chat_echo_text(answer->call).length != 0; i++) {
        event_begin(stream);
        encode_chat_echo(&stream->out, answer, i);
        event_end(stream);
    }
    return PDK_OK;
}

/* An event for what a part has brought. A discarded choice (max_tokens 0) has but one, its end. */
static pdk_status send_choice(struct stream *stream, size_t choice, pdk_error *err)
{
    struct answer *answer = stream->answer;
    if (answer->call->discard_output && answer->choices[choice].finish == PDK_FINISH_NONE)
        return PDK_OK;
    event_begin(stream);
    if (answer->form.chat)
        encode_chat_chunk(&stream->out, answer, choice);
    else
        encode_completion_chunk(&stream->out, answer, choice);
    event_end(stream);
    answer_sent(answer, choice);
    return write_out(stream, err);
}

static pdk_status take_part(struct stream *stream, uint32_t index, const pdk_part *part, pdk_error *err)
{
    size_t choice;
    pdk_status status = answer_take(stream->answer, index, part, &choice, err);
    if (status == PDK_OK && !stream->begun)
        status = begin(stream, err);
    if (status == PDK_OK && choice != SIZE_MAX)
        status = send_choice(stream, choice, err);
    return status;
}

/* Until all requests have ended. */
static pdk_status pump(struct stream *stream, struct answers *answers, pdk_error *err)
{
    pdk_status status = PDK_OK;
    for (size_t left = stream->answer->call->request_count; left != 0 && status == PDK_OK;) {
        uint32_t index;
        const pdk_part *part;
        status = deliver_next(answers, &index, &part, err);
        if (status != PDK_OK)
            break;
        if (part != NULL)
            status = take_part(stream, index, part, err);
        else
            left--;
    }
    if (status == PDK_OK && !stream->begun)
        status = begin(stream, err); /* no part at all */
    return status;
}

/* The last events: the usage, or the failure with the status and type that it has as an answer of its own; then [DONE].
 */
static void finish(struct stream *stream, pdk_status status, const pdk_error *err)
{
    pdk_error ignored;
    if (stream->out.failed) {
        buffer_done(&stream->out);
        stream->out = (struct buffer){0};
    }
    if (status != PDK_OK) {
        const struct status_row *row = status_row(status);
        event_begin(stream);
        exchange_error_object(&stream->out, row->http, row->type, err);
        event_end(stream);
    } else if (stream->answer->call->include_usage) {
        event_begin(stream);
        encode_usage_chunk(&stream->out, stream->answer);
        event_end(stream);
    }
    buffer_puts(&stream->out, "data: [DONE]\n\n");
    write_out(stream, &ignored); /* who has left by now has all but the end */
}

pdk_status deliver_stream(struct exchange *exchange, struct answer *answer, struct answers *answers, pdk_error *err)
{
    struct stream stream = {.exchange = exchange, .answer = answer};
    pdk_status status = pump(&stream, answers, err);
    bool begun = stream.begun;
    if (begun && status != PDK_CANCELLED)
        finish(&stream, status, err);
    if (begun)
        exchange_stream_end(exchange);
    buffer_done(&stream.out);
    return begun ? PDK_OK : status;
}
