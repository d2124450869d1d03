/* See stream.h. Nothing is sent before the first part of any prompt, so that what a runtime refuses still gets a status
 * of its own. */
#include "config.h"

#include "core/gateway/openai/stream.h"

#include "core/base/error.h"
#include "core/gateway/exchange.h"
#include "core/gateway/openai/deliver.h"
#include "core/gateway/status_map.h"

struct stream {
    struct exchange *exchange;
    struct answer *answer;
    const struct event_form *form;
    void *context;
    struct buffer out; /* events put together, not yet written */
    bool begun;
};

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

static pdk_status begin(struct stream *stream, pdk_error *err)
{
    stream->begun = true;
    if (!exchange_stream_begin(stream->exchange, 200, "text/event-stream; charset=utf-8"))
        return pdk_error_set(err, PDK_CANCELLED, NULL, "the client left");
    stream->form->begin(stream->context, &stream->out);
    return PDK_OK;
}

/* What a part has brought. A discarded choice (max_tokens 0) has but one event, its end. */
static pdk_status send_choice(struct stream *stream, size_t choice, const pdk_part *part, pdk_error *err)
{
    struct answer *answer = stream->answer;
    if (answer->call->discard_output && answer->choices[choice].finish == PDK_FINISH_NONE)
        return PDK_OK;
    stream->form->part(stream->context, &stream->out, choice, part);
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
        status = send_choice(stream, choice, part, err);
    return status;
}

/* The next part; a comment goes out where a client would take the silence for a broken connection. */
static pdk_status wait_part(
    struct stream *stream, struct answers *answers, uint32_t *ret_index, const pdk_part **ret_part, pdk_error *err)
{
    uint32_t wait_ms = stream->answer->ready->keep_alive_ms;
    if (wait_ms == 0)
        return deliver_next(answers, ret_index, ret_part, err);
    pdk_status status = deliver_next_within(answers, wait_ms, ret_index, ret_part, err);
    while (status == PDK_OK && *ret_index == UINT32_MAX) {
        buffer_puts(&stream->out, stream->begun ? ": keep-alive\n\n" : "");
        status = write_out(stream, err);
        if (status == PDK_OK)
            status = deliver_next_within(answers, wait_ms, ret_index, ret_part, err);
    }
    return status;
}

/* Until all requests have ended. */
static pdk_status pump(struct stream *stream, struct answers *answers, pdk_error *err)
{
    pdk_status status = PDK_OK;
    for (size_t left = stream->answer->call->request_count; left != 0 && status == PDK_OK;) {
        uint32_t index;
        const pdk_part *part;
        status = wait_part(stream, answers, &index, &part, err);
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

static void finish(struct stream *stream, pdk_status status, const pdk_error *err)
{
    pdk_error ignored;
    if (stream->out.failed) {
        buffer_done(&stream->out);
        stream->out = (struct buffer){0};
    }
    if (status != PDK_OK) {
        const struct status_row *row = status_row(status);
        stream->form->fail(stream->context, &stream->out, row->http, row->type, err);
    } else {
        stream->form->end(stream->context, &stream->out);
    }
    write_out(stream, &ignored); /* who has left by now has all but the end */
}

pdk_status stream_answer(struct exchange *exchange, struct answer *answer, struct answers *answers,
    const struct event_form *form, void *context, pdk_error *err)
{
    struct stream stream = {.exchange = exchange, .answer = answer, .form = form, .context = context};
    pdk_status status = pump(&stream, answers, err);
    bool begun = stream.begun;
    if (begun && status != PDK_CANCELLED)
        finish(&stream, status, err);
    if (begun)
        exchange_stream_end(exchange);
    buffer_done(&stream.out);
    return begun ? PDK_OK : status;
}
