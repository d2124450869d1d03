/* The events of OpenAI's streams, as vLLM sends them: chunks, then the usage if it was asked for, then [DONE]. */
#include "config.h"

#include "core/gateway/exchange.h"
#include "core/gateway/openai/encode.h"
#include "core/gateway/openai/stream.h"

static void event_begin(struct buffer *out)
{
    buffer_puts(out, "data: ");
}

static void event_end(struct buffer *out)
{
    buffer_puts(out, "\n\n");
}

/* A chat opens each choice with its role, and by echo with the last message; they leave with the first output. */
static void begin(void *context, struct buffer *out)
{
    const struct answer *answer = context;
    for (size_t i = 0; answer->form.chat && i < answer->choice_count; i++) {
        event_begin(out);
        encode_chat_role(out, answer, i);
        event_end(out);
    }
    for (size_t i = 0; answer->form.chat && i < answer->choice_count && chat_echo_text(answer).length != 0; i++) {
        event_begin(out);
        encode_chat_echo(out, answer, i);
        event_end(out);
    }
}

/* Each delta of parsed text is a chunk of its own, and the last carries what else the part has. */
static void put_deltas(struct buffer *out, const struct answer *answer, size_t choice, const pdk_part *part)
{
    size_t count = part->delta_count;
    if (answer_is_silent(answer, part))
        return;
    for (size_t i = 0; i < (count == 0 ? 1 : count); i++) {
        event_begin(out);
        encode_chat_delta(out, answer, choice, count == 0 ? NULL : &part->deltas[i], i + 1 >= count);
        event_end(out);
    }
}

static void put_part(void *context, struct buffer *out, size_t choice, const pdk_part *part)
{
    const struct answer *answer = context;
    if (answer->form.chat && (part->flags & PDK_PART_PARSED) != 0) {
        put_deltas(out, answer, choice, part);
        return;
    }
    event_begin(out);
    if (answer->form.chat)
        encode_chat_chunk(out, answer, choice);
    else
        encode_completion_chunk(out, answer, choice);
    event_end(out);
}

static void end(void *context, struct buffer *out)
{
    const struct answer *answer = context;
    if (answer->call->include_usage) {
        event_begin(out);
        encode_usage_chunk(out, answer);
        event_end(out);
    }
    buffer_puts(out, "data: [DONE]\n\n");
}

static void fail(void *context, struct buffer *out, int http, const char *type, const pdk_error *err)
{
    (void)context;
    event_begin(out);
    exchange_error_object(out, http, type, err);
    event_end(out);
    buffer_puts(out, "data: [DONE]\n\n");
}

const struct event_form events_openai = {.begin = begin, .part = put_part, .end = end, .fail = fail};
