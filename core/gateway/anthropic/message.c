/* See message.h. Blocks come in the order thinking, text, calls; in a stream one opens when the one before has closed.
 */
#include "config.h"

#include "core/gateway/anthropic/message.h"

#include "core/gateway/openai/encode.h"
#include "core/gateway/status_map.h"

#include <string.h>

static void write_string(struct json_writer *writer, const char *key, const char *text)
{
    json_write_key(writer, key);
    json_write_string(writer, text);
}

static void write_text(struct json_writer *writer, const char *key, const char *text, size_t length)
{
    json_write_key(writer, key);
    json_write_text(writer, length == 0 ? "" : text, length);
}

/* A stop string, a call, the length, or the model's own end. */
static const char *stop_reason(const struct answer *answer, const struct choice_answer *choice)
{
    const char *finish = encode_finish_name(answer, choice);
    if (choice->call_count != 0 && choice->finish == PDK_FINISH_STOP)
        return "tool_use"; /* also of a named tool, whose end is a plain stop in a chat */
    if (choice->stop_kind == PDK_STOP_STRING)
        return "stop_sequence";
    return finish != NULL && strcmp(finish, "length") == 0 ? "max_tokens" : "end_turn";
}

/* The three kinds of input add up to the prompt; what of it the cache gave is known once the message has begun. */
static void write_usage(struct json_writer *writer, const struct answer *answer, bool begun)
{
    struct answer_counts counts = answer_count(answer);
    bool details = begun && (answer->ready->api_flags & PDK_API_PROMPT_DETAILS) != 0;
    uint64_t apart = details ? counts.cached + counts.created : 0;
    json_write_key(writer, "usage");
    json_write_object(writer);
    json_write_key(writer, "input_tokens");
    json_write_uint(writer, counts.prompt > apart ? counts.prompt - apart : 0);
    json_write_key(writer, "output_tokens");
    json_write_uint(writer, begun ? counts.completion : 0);
    if (details) {
        json_write_key(writer, "cache_read_input_tokens");
        json_write_uint(writer, counts.cached);
        json_write_key(writer, "cache_creation_input_tokens");
        json_write_uint(writer, counts.created);
    }
    json_write_end_object(writer);
}

/* A thought comes with a signature, which clients send back; nothing here looks at it again. */
static void write_thinking(struct json_writer *writer, const struct choice_answer *choice)
{
    json_write_object(writer);
    write_string(writer, "type", "thinking");
    write_text(writer, "thinking", choice->reasoning.data, choice->reasoning.length);
    write_string(writer, "signature", id_random("").text);
    json_write_end_object(writer);
}

/* A call's arguments are an object here; what the model left unfinished is an empty one. */
static void write_call(struct json_writer *writer, const struct tool_call *call)
{
    struct json_document *document = NULL;
    const struct json_limits limits = {.bytes = call->arguments.length, .depth = 64, .nodes = 1000000};
    bool object = call->arguments.length != 0 &&
                  json_read(call->arguments.data, call->arguments.length, &limits, &document, NULL) == PDK_OK &&
                  json_root(document)->type == JSON_OBJECT;
    json_document_free(document);
    json_write_object(writer);
    write_string(writer, "type", "tool_use");
    write_string(writer, "id", call->id);
    write_text(writer, "name", call->name.data, call->name.length);
    json_write_key(writer, "input");
    json_write_raw(writer, object ? call->arguments.data : "{}", object ? call->arguments.length : 2);
    json_write_end_object(writer);
}

void message_write(struct buffer *out, const struct answer *answer)
{
    struct json_writer writer = {.out = out};
    const struct choice_answer *choice = answer->choices;
    json_write_object(&writer);
    write_string(&writer, "id", answer->id);
    write_string(&writer, "type", "message");
    write_string(&writer, "role", "assistant");
    json_write_key(&writer, "content");
    json_write_array(&writer);
    if (choice->reasoning.length != 0)
        write_thinking(&writer, choice);
    if (choice->text.length != 0) {
        json_write_object(&writer);
        write_string(&writer, "type", "text");
        write_text(&writer, "text", choice->text.data, choice->text.length);
        json_write_end_object(&writer);
    }
    for (size_t i = 0; i < choice->call_count; i++)
        write_call(&writer, &choice->calls[i]);
    json_write_end_array(&writer);
    write_string(&writer, "model", answer->model);
    write_string(&writer, "stop_reason", stop_reason(answer, choice));
    if (choice->stop_kind == PDK_STOP_STRING)
        write_text(&writer, "stop_sequence", choice->stop.data, choice->stop.length);
    write_usage(&writer, answer, true);
    json_write_end_object(&writer);
}

static void event_begin(struct buffer *out, struct json_writer *writer, const char *type)
{
    buffer_printf(out, "event: %s\ndata: ", type);
    *writer = (struct json_writer){.out = out};
    json_write_object(writer);
    write_string(writer, "type", type);
}

static void event_end(struct buffer *out, struct json_writer *writer)
{
    json_write_end_object(writer);
    buffer_puts(out, "\n\n");
}

static void write_index(struct json_writer *writer, const struct message_events *events)
{
    json_write_key(writer, "index");
    json_write_uint(writer, events->index);
}

static void put_delta(
    struct buffer *out, const struct message_events *events, const char *type, const char *key, pdk_string text)
{
    struct json_writer writer;
    event_begin(out, &writer, "content_block_delta");
    json_write_key(&writer, "delta");
    json_write_object(&writer);
    write_string(&writer, "type", type);
    write_text(&writer, key, text.data, text.length);
    json_write_end_object(&writer);
    write_index(&writer, events);
    event_end(out, &writer);
}

static void close_block(struct buffer *out, struct message_events *events)
{
    struct json_writer writer;
    if (events->open == BLOCK_NONE)
        return;
    if (events->open == BLOCK_THINKING) {
        struct id_text signature = id_random("");
        put_delta(out, events, "signature_delta", "signature", (pdk_string){signature.text, strlen(signature.text)});
    }
    event_begin(out, &writer, "content_block_stop");
    write_index(&writer, events);
    event_end(out, &writer);
    events->open = BLOCK_NONE;
    events->index++;
}

static void open_block(struct buffer *out, struct message_events *events, enum block_kind kind,
    const struct tool_call *call, pdk_string name)
{
    struct json_writer writer;
    if (events->open == kind && kind != BLOCK_TOOL)
        return;
    close_block(out, events);
    event_begin(out, &writer, "content_block_start");
    json_write_key(&writer, "content_block");
    json_write_object(&writer);
    if (kind == BLOCK_TEXT) {
        write_string(&writer, "type", "text");
        write_string(&writer, "text", "");
    } else if (kind == BLOCK_THINKING) {
        write_string(&writer, "type", "thinking");
        write_string(&writer, "thinking", "");
        write_string(&writer, "signature", "");
    } else {
        write_string(&writer, "type", "tool_use");
        write_string(&writer, "id", call->id);
        write_text(&writer, "name", name.data, name.length);
        json_write_key(&writer, "input");
        json_write_raw(&writer, "{}", 2);
    }
    json_write_end_object(&writer);
    write_index(&writer, events);
    event_end(out, &writer);
    events->open = kind;
}

static void begin(void *context, struct buffer *out)
{
    const struct message_events *events = context;
    struct json_writer writer;
    event_begin(out, &writer, "message_start");
    json_write_key(&writer, "message");
    json_write_object(&writer);
    write_string(&writer, "id", events->answer->id);
    write_string(&writer, "type", "message");
    write_string(&writer, "role", "assistant");
    json_write_key(&writer, "content");
    json_write_raw(&writer, "[]", 2);
    write_string(&writer, "model", events->answer->model);
    write_string(&writer, "stop_reason", NULL);
    write_string(&writer, "stop_sequence", NULL);
    write_usage(&writer, events->answer, false);
    json_write_end_object(&writer);
    event_end(out, &writer);
}

static void put_text(struct buffer *out, struct message_events *events, pdk_string text)
{
    if (text.length == 0)
        return;
    open_block(out, events, BLOCK_TEXT, NULL, text);
    put_delta(out, events, "text_delta", "text", text);
}

static void put_parsed(
    struct buffer *out, struct message_events *events, const struct choice_answer *choice, const pdk_delta *delta)
{
    switch (delta->kind) {
    case PDK_DELTA_REASONING:
        if (delta->text.length == 0)
            break;
        open_block(out, events, BLOCK_THINKING, NULL, delta->text);
        put_delta(out, events, "thinking_delta", "thinking", delta->text);
        break;
    case PDK_DELTA_CALL: open_block(out, events, BLOCK_TOOL, &choice->calls[delta->call], delta->text); break;
    case PDK_DELTA_ARGUMENTS:
        if (events->open == BLOCK_TOOL && delta->text.length != 0)
            put_delta(out, events, "input_json_delta", "partial_json", delta->text);
        break;
    default: put_text(out, events, delta->text); break;
    }
}

static void put_end(struct buffer *out, struct message_events *events, const struct choice_answer *choice)
{
    struct json_writer writer;
    close_block(out, events);
    event_begin(out, &writer, "message_delta");
    json_write_key(&writer, "delta");
    json_write_object(&writer);
    write_string(&writer, "stop_reason", stop_reason(events->answer, choice));
    if (choice->stop_kind == PDK_STOP_STRING)
        write_text(&writer, "stop_sequence", choice->stop.data, choice->stop.length);
    else
        write_string(&writer, "stop_sequence", NULL);
    json_write_end_object(&writer);
    write_usage(&writer, events->answer, true);
    event_end(out, &writer);
}

static void put_part(void *context, struct buffer *out, size_t index, const pdk_part *part)
{
    struct message_events *events = context;
    const struct choice_answer *choice = &events->answer->choices[index];
    if ((part->flags & PDK_PART_PARSED) == 0)
        put_text(out, events, (pdk_string){choice->text.data, choice->text.length});
    for (size_t i = 0; (part->flags & PDK_PART_PARSED) != 0 && i < part->delta_count; i++)
        put_parsed(out, events, choice, &part->deltas[i]);
    if (choice->finish != PDK_FINISH_NONE)
        put_end(out, events, choice); /* while the matched stop string is still there */
}

static void end(void *context, struct buffer *out)
{
    struct json_writer writer;
    (void)context;
    event_begin(out, &writer, "message_stop");
    event_end(out, &writer);
}

static void fail(void *context, struct buffer *out, int http, const char *type, const pdk_error *err)
{
    (void)context;
    (void)type;
    buffer_puts(out, "event: error\ndata: ");
    status_anthropic(out, http, err);
    buffer_puts(out, "\n\n");
}

const struct event_form message_event_form = {.begin = begin, .part = put_part, .end = end, .fail = fail};
