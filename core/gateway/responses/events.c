/* See events.h. Items open and close one after the other; each piece of text or arguments is a delta of the open one.
 */
#include "config.h"

#include "core/gateway/responses/events.h"

#include "core/base/error.h"

#include <stdio.h>
#include <string.h>

static struct output_item *last_item(const struct response_events *events)
{
    const struct output *output = &events->response->output;
    return output->count == 0 ? NULL : &output->items[output->count - 1];
}

static void event_begin(struct buffer *out, struct json_writer *writer, const char *type)
{
    buffer_printf(out, "event: %s\ndata: ", type);
    *writer = (struct json_writer){.out = out};
    json_write_object(writer);
}

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

static void write_sequence(struct json_writer *writer, struct response_events *events)
{
    json_write_key(writer, "sequence_number");
    json_write_uint(writer, events->sequence++);
}

/* Keys come in the order of the alphabet, so that hardly one stands behind these two. */
static void event_end(struct buffer *out, struct json_writer *writer, struct response_events *events, const char *type)
{
    write_sequence(writer, events);
    write_string(writer, "type", type);
    json_write_end_object(writer);
    buffer_puts(out, "\n\n");
}

static void put_response(struct buffer *out, struct response_events *events, const char *type)
{
    struct json_writer writer;
    event_begin(out, &writer, type);
    json_write_key(&writer, "response");
    response_write(&writer, events->response);
    event_end(out, &writer, events, type);
}

/* item_id and output_index of the open item; calls have no content part. */
static void write_place(struct json_writer *writer, const struct response_events *events)
{
    write_string(writer, "item_id", last_item(events)->id.text);
}

static void write_index(struct json_writer *writer, const struct response_events *events)
{
    json_write_key(writer, "output_index");
    json_write_uint(writer, events->response->output.count - 1);
}

static void write_content_index(struct json_writer *writer)
{
    json_write_key(writer, "content_index");
    json_write_uint(writer, 0);
}

static void put_item(struct buffer *out, struct response_events *events, bool whole)
{
    struct json_writer writer;
    const char *type = whole ? "response.output_item.done" : "response.output_item.added";
    event_begin(out, &writer, type);
    json_write_key(&writer, "item");
    output_write_item(&writer, last_item(events), whole, events->response->logprobs);
    write_index(&writer, events);
    event_end(out, &writer, events, type);
}

static void put_content_part(struct buffer *out, struct response_events *events, bool whole)
{
    struct json_writer writer;
    const char *type = whole ? "response.content_part.done" : "response.content_part.added";
    event_begin(out, &writer, type);
    write_content_index(&writer);
    write_place(&writer, events);
    write_index(&writer, events);
    json_write_key(&writer, "part");
    output_write_part(&writer, last_item(events), whole, events->response->logprobs);
    event_end(out, &writer, events, type);
}

static void write_logprobs(struct json_writer *writer, const struct buffer *entries)
{
    json_write_key(writer, "logprobs");
    json_write_array(writer);
    if (entries != NULL && entries->length != 0)
        json_write_raw(writer, entries->data, entries->length);
    json_write_end_array(writer);
}

static void put_done(struct buffer *out, struct response_events *events)
{
    static const char *const types[] = {[OUTPUT_MESSAGE] = "response.output_text.done",
        [OUTPUT_REASONING] = "response.reasoning_text.done",
        [OUTPUT_CALL] = "response.function_call_arguments.done"};
    const struct output_item *item = last_item(events);
    bool call = item->kind == OUTPUT_CALL;
    struct json_writer writer;
    event_begin(out, &writer, types[item->kind]);
    if (call)
        write_text(&writer, "arguments", item->text.data, item->text.length);
    else
        write_content_index(&writer);
    write_place(&writer, events);
    if (item->kind == OUTPUT_MESSAGE)
        write_logprobs(&writer, &item->logprobs);
    if (call)
        write_text(&writer, "name", item->name.data, item->name.length);
    write_index(&writer, events);
    if (call) {
        event_end(out, &writer, events, types[item->kind]);
        return;
    }
    write_sequence(&writer, events);
    write_text(&writer, "text", item->text.data, item->text.length);
    write_string(&writer, "type", types[item->kind]);
    json_write_end_object(&writer);
    buffer_puts(out, "\n\n");
}

static void close_item(struct buffer *out, struct response_events *events)
{
    if (!events->open)
        return;
    put_done(out, events);
    if (last_item(events)->kind != OUTPUT_CALL)
        put_content_part(out, events, true);
    put_item(out, events, true);
    events->open = false;
}

/* Opens an item, unless one of that kind is open; each call is an item of its own. */
static struct output_item *open_item(struct buffer *out, struct response_events *events, enum output_kind kind,
    const struct tool_call *call, pdk_string name)
{
    if (events->open && kind != OUTPUT_CALL && last_item(events)->kind == kind)
        return last_item(events);
    close_item(out, events);
    struct output_item *item = output_add(&events->response->output, kind);
    if (item == NULL)
        return NULL;
    if (call != NULL)
        snprintf(item->call_id, sizeof item->call_id, "%s", call->id);
    if (name.length != 0)
        buffer_put(&item->name, name.data, name.length);
    events->open = true;
    put_item(out, events, false);
    if (kind != OUTPUT_CALL)
        put_content_part(out, events, false);
    return item;
}

static void put_text(struct buffer *out, struct response_events *events, enum output_kind kind, pdk_string text,
    const struct buffer *logprobs)
{
    static const char *const types[] = {[OUTPUT_MESSAGE] = "response.output_text.delta",
        [OUTPUT_REASONING] = "response.reasoning_text.delta",
        [OUTPUT_CALL] = "response.function_call_arguments.delta"};
    struct output_item *item =
        kind == OUTPUT_CALL ? last_item(events) : open_item(out, events, kind, NULL, (pdk_string){NULL, 0});
    struct json_writer writer;
    if (item == NULL || text.length == 0)
        return;
    buffer_put(&item->text, text.data, text.length);
    if (logprobs != NULL && logprobs->length != 0) {
        buffer_puts(&item->logprobs, item->logprobs.length == 0 ? "" : ",");
        buffer_put(&item->logprobs, logprobs->data, logprobs->length);
    }
    event_begin(out, &writer, types[kind]);
    if (kind != OUTPUT_CALL)
        write_content_index(&writer);
    write_text(&writer, "delta", text.data, text.length);
    write_place(&writer, events);
    if (kind == OUTPUT_MESSAGE)
        write_logprobs(&writer, logprobs);
    write_index(&writer, events);
    event_end(out, &writer, events, types[kind]);
}

static void begin(void *context, struct buffer *out)
{
    put_response(out, context, "response.created");
    put_response(out, context, "response.in_progress");
}

static void put_delta(struct buffer *out, struct response_events *events, const struct choice_answer *choice,
    const pdk_delta *delta, const struct buffer *logprobs)
{
    switch (delta->kind) {
    case PDK_DELTA_REASONING: put_text(out, events, OUTPUT_REASONING, delta->text, NULL); break;
    case PDK_DELTA_CALL: open_item(out, events, OUTPUT_CALL, &choice->calls[delta->call], delta->text); break;
    case PDK_DELTA_ARGUMENTS:
        if (events->open && last_item(events)->kind == OUTPUT_CALL)
            put_text(out, events, OUTPUT_CALL, delta->text, NULL);
        break;
    default: put_text(out, events, OUTPUT_MESSAGE, delta->text, logprobs); break;
    }
}

static void put_part(void *context, struct buffer *out, size_t index, const pdk_part *part)
{
    struct response_events *events = context;
    const struct choice_answer *choice = &events->response->answer->choices[index];
    const struct buffer *logprobs = events->response->logprobs ? &choice->logprobs.tokens : NULL;
    if ((part->flags & PDK_PART_PARSED) == 0) {
        put_text(out, events, OUTPUT_MESSAGE, (pdk_string){choice->text.data, choice->text.length}, logprobs);
        return;
    }
    for (size_t i = 0; i < part->delta_count; i++)
        put_delta(out, events, choice, &part->deltas[i], logprobs);
}

static void end(void *context, struct buffer *out)
{
    struct response_events *events = context;
    if (events->response->output.count == 0)
        open_item(out, events, OUTPUT_MESSAGE, NULL, (pdk_string){NULL, 0});
    close_item(out, events);
    events->response->finished = true;
    put_response(out, events, "response.completed");
    out->failed |= events->response->output.failed;
}

static void fail(void *context, struct buffer *out, int http, const char *type, const pdk_error *err)
{
    struct response_events *events = context;
    struct json_writer writer;
    (void)http;
    event_begin(out, &writer, "error");
    write_string(&writer, "code", type);
    write_string(&writer, "message", err->message);
    write_string(&writer, "param", err->field[0] == '\0' ? NULL : err->field);
    event_end(out, &writer, events, "error");
}

const struct event_form response_event_form = {.begin = begin, .part = put_part, .end = end, .fail = fail};
