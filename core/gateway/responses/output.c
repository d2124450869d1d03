/* See output.h. */
#include "config.h"

#include "core/gateway/responses/output.h"

#include "core/base/array.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void output_done(struct output *output)
{
    for (size_t i = 0; i < output->count; i++) {
        buffer_done(&output->items[i].text);
        buffer_done(&output->items[i].name);
        buffer_done(&output->items[i].logprobs);
    }
    free(output->items);
    *output = (struct output){0};
}

struct output_item *output_add(struct output *output, enum output_kind kind)
{
    static const char *const prefixes[] = {
        [OUTPUT_MESSAGE] = "msg_", [OUTPUT_REASONING] = "rs_", [OUTPUT_CALL] = "fc_"};
    if (!array_grow(&output->items, &output->room, output->count + 1)) {
        output->failed = true;
        return NULL;
    }
    struct output_item *item = &output->items[output->count++];
    *item = (struct output_item){.kind = kind, .id = id_random(prefixes[kind])};
    return item;
}

static void add_text(
    struct output *output, enum output_kind kind, const struct buffer *text, const struct buffer *logprobs)
{
    struct output_item *item = output_add(output, kind);
    if (item == NULL)
        return;
    buffer_put(&item->text, text->data, text->length);
    if (logprobs != NULL)
        buffer_put(&item->logprobs, logprobs->data, logprobs->length);
}

void output_of_choice(struct output *output, const struct choice_answer *choice)
{
    if (choice->reasoning.length != 0)
        add_text(output, OUTPUT_REASONING, &choice->reasoning, NULL);
    if (choice->text.length != 0 || (choice->reasoning.length == 0 && choice->call_count == 0))
        add_text(output, OUTPUT_MESSAGE, &choice->text, &choice->logprobs.tokens);
    for (size_t i = 0; i < choice->call_count; i++) {
        struct output_item *item = output_add(output, OUTPUT_CALL);
        if (item == NULL)
            return;
        buffer_put(&item->text, choice->calls[i].arguments.data, choice->calls[i].arguments.length);
        buffer_put(&item->name, choice->calls[i].name.data, choice->calls[i].name.length);
        snprintf(item->call_id, sizeof item->call_id, "%s", choice->calls[i].id);
    }
}

static void write_text(struct json_writer *writer, const char *key, const struct buffer *text)
{
    json_write_key(writer, key);
    json_write_text(writer, text->length == 0 ? "" : text->data, text->length);
}

static void write_string(struct json_writer *writer, const char *key, const char *text)
{
    json_write_key(writer, key);
    json_write_string(writer, text);
}

void output_write_part(struct json_writer *writer, const struct output_item *item, bool whole, bool logprobs)
{
    static const struct buffer none = {0};
    json_write_object(writer);
    if (item->kind == OUTPUT_REASONING) {
        write_text(writer, "text", whole ? &item->text : &none);
        write_string(writer, "type", "reasoning_text");
        json_write_end_object(writer);
        return;
    }
    json_write_key(writer, "annotations");
    json_write_raw(writer, "[]", 2);
    write_text(writer, "text", whole ? &item->text : &none);
    write_string(writer, "type", "output_text");
    json_write_key(writer, "logprobs");
    if (whole && !logprobs) {
        json_write_null(writer);
    } else {
        json_write_array(writer);
        if (whole && item->logprobs.length != 0)
            json_write_raw(writer, item->logprobs.data, item->logprobs.length);
        json_write_end_array(writer);
    }
    json_write_end_object(writer);
}

static void write_content(struct json_writer *writer, const struct output_item *item, bool whole, bool logprobs)
{
    json_write_key(writer, "content");
    json_write_array(writer);
    if (whole)
        output_write_part(writer, item, true, logprobs);
    json_write_end_array(writer);
}

static void write_call(struct json_writer *writer, const struct output_item *item, bool whole)
{
    static const struct buffer none = {0};
    write_text(writer, "arguments", whole ? &item->text : &none);
    write_string(writer, "call_id", item->call_id);
    write_text(writer, "name", &item->name);
    write_string(writer, "type", "function_call");
    write_string(writer, "id", item->id.text);
    write_string(writer, "status", whole ? "completed" : "in_progress");
}

void output_write_item(struct json_writer *writer, const struct output_item *item, bool whole, bool logprobs)
{
    json_write_object(writer);
    switch (item->kind) {
    case OUTPUT_MESSAGE:
        write_string(writer, "id", item->id.text);
        write_content(writer, item, whole, logprobs);
        write_string(writer, "role", "assistant");
        write_string(writer, "status", whole ? "completed" : "in_progress");
        write_string(writer, "type", "message");
        write_string(writer, "phase", NULL);
        break;
    case OUTPUT_REASONING:
        write_string(writer, "id", item->id.text);
        json_write_key(writer, "summary");
        json_write_raw(writer, "[]", 2);
        write_string(writer, "type", "reasoning");
        write_content(writer, item, whole, false);
        write_string(writer, "encrypted_content", NULL);
        write_string(writer, "status", whole ? NULL : "in_progress");
        break;
    case OUTPUT_CALL: write_call(writer, item, whole); break;
    }
    json_write_end_object(writer);
}

void output_write_turn(struct json_writer *writer, const struct output *output)
{
    struct buffer text = {0}, reasoning = {0};
    bool calls = false;
    for (size_t i = 0; i < output->count; i++) {
        const struct output_item *item = &output->items[i];
        calls |= item->kind == OUTPUT_CALL;
        if (item->kind != OUTPUT_CALL)
            buffer_put(item->kind == OUTPUT_MESSAGE ? &text : &reasoning, item->text.data, item->text.length);
    }
    json_write_object(writer);
    write_string(writer, "role", "assistant");
    write_text(writer, "content", &text);
    if (reasoning.length != 0)
        write_text(writer, "reasoning", &reasoning);
    if (calls) {
        json_write_key(writer, "tool_calls");
        json_write_array(writer);
    }
    for (size_t i = 0; i < output->count; i++) {
        const struct output_item *item = &output->items[i];
        if (item->kind != OUTPUT_CALL)
            continue;
        json_write_object(writer);
        write_string(writer, "id", item->call_id);
        write_string(writer, "type", "function");
        json_write_key(writer, "function");
        json_write_object(writer);
        write_text(writer, "name", &item->name);
        write_text(writer, "arguments", &item->text);
        json_write_end_object(writer);
        json_write_end_object(writer);
    }
    if (calls)
        json_write_end_array(writer);
    json_write_end_object(writer);
    writer->out->failed |= text.failed || reasoning.failed;
    buffer_done(&text);
    buffer_done(&reasoning);
}
