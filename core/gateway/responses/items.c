/* See items.h. What an assistant did in one turn (reasoning, words, calls) are several items, and one message. */
#include "config.h"

#include "core/gateway/responses/items.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/gateway/openai/refusal.h"

#include <stdio.h>
#include <string.h>

/* The assistant's turn that is being put together; lists without their brackets. */
struct turn {
    struct buffer content; /* a JSON value */
    struct buffer reasoning;
    struct buffer calls;
};

static void turn_done(struct turn *turn)
{
    buffer_done(&turn->content);
    buffer_done(&turn->reasoning);
    buffer_done(&turn->calls);
}

static bool is_word(const struct json *value, const char *word)
{
    const char *text;
    return json_string(value, &text) && strcmp(text, word) == 0;
}

static void next(struct buffer *out)
{
    if (out->length != 0)
        buffer_putc(out, ',');
}

static void flush(struct turn *turn, struct buffer *out)
{
    struct json_writer writer = {.out = out};
    if (turn->content.length == 0 && turn->reasoning.length == 0 && turn->calls.length == 0)
        return;
    next(out);
    json_write_object(&writer);
    json_write_key(&writer, "role");
    json_write_string(&writer, "assistant");
    json_write_key(&writer, "content");
    if (turn->content.length != 0)
        json_write_raw(&writer, turn->content.data, turn->content.length);
    else
        json_write_null(&writer);
    if (turn->reasoning.length != 0) {
        json_write_key(&writer, "reasoning");
        json_write_text(&writer, turn->reasoning.data, turn->reasoning.length);
    }
    if (turn->calls.length != 0) {
        json_write_key(&writer, "tool_calls");
        json_write_array(&writer);
        json_write_raw(&writer, turn->calls.data, turn->calls.length);
        json_write_end_array(&writer);
    }
    json_write_end_object(&writer);
    out->failed |= turn->content.failed || turn->reasoning.failed || turn->calls.failed;
    buffer_clear(&turn->content);
    buffer_clear(&turn->reasoning);
    buffer_clear(&turn->calls);
}

/* Parts of text get the type that templates know; what is no text goes on as it is, for the chat to refuse. */
static void put_content(struct buffer *out, const struct json *content)
{
    if (content == NULL || content->type != JSON_ARRAY) {
        if (content == NULL)
            buffer_puts(out, "null");
        else
            json_print(out, content);
        return;
    }
    struct json_writer writer = {.out = out};
    json_write_array(&writer);
    for (const struct json *part = content->child; part != NULL; part = part->next) {
        const struct json *type = json_get(part, "type"), *text = json_get(part, "text");
        bool words = is_word(type, "input_text") || is_word(type, "output_text") || is_word(type, "text");
        PDK_CLEANUP(buffer_done) struct buffer raw = {0};
        if (!words || text == NULL || text->type != JSON_STRING) {
            json_print(&raw, part);
            json_write_raw(&writer, raw.failed ? "null" : raw.data, raw.failed ? 4 : raw.length);
            out->failed |= raw.failed;
            continue;
        }
        json_write_object(&writer);
        json_write_key(&writer, "type");
        json_write_string(&writer, "text");
        json_write_key(&writer, "text");
        json_write_text(&writer, text->text, text->length);
        json_write_end_object(&writer);
    }
    json_write_end_array(&writer);
}

static void put_message(struct turn *turn, const struct json *item, struct buffer *out)
{
    const struct json *role = json_get(item, "role");
    if (is_word(role, "assistant")) {
        if (turn->content.length != 0 || turn->calls.length != 0)
            flush(turn, out);
        put_content(&turn->content, json_get(item, "content"));
        return;
    }
    flush(turn, out);
    next(out);
    buffer_puts(out, "{\"role\":");
    if (role == NULL || is_word(role, "developer")) /* templates know the older name */
        buffer_puts(out, role == NULL ? "null" : "\"system\"");
    else
        json_print(out, role);
    buffer_puts(out, ",\"content\":");
    put_content(out, json_get(item, "content"));
    buffer_putc(out, '}');
}

static void put_reasoning(struct turn *turn, const struct json *item, struct buffer *out)
{
    const struct json *list = json_get(item, "content");
    if (turn->content.length != 0 || turn->calls.length != 0)
        flush(turn, out);
    if (list == NULL || list->type != JSON_ARRAY || list->count == 0)
        list = json_get(item, "summary");
    for (const struct json *part = list == NULL ? NULL : list->child; part != NULL; part = part->next) {
        const struct json *text = json_get(part, "text");
        if (text != NULL && text->type == JSON_STRING)
            buffer_put(&turn->reasoning, text->text, text->length);
    }
}

static void put_member(struct json_writer *writer, const char *key, const struct json *value)
{
    json_write_key(writer, key);
    if (value != NULL && value->type == JSON_STRING)
        json_write_text(writer, value->text, value->length);
    else
        json_write_string(writer, "");
}

static void put_call(struct turn *turn, const struct json *item)
{
    struct json_writer writer = {.out = &turn->calls};
    next(&turn->calls);
    json_write_object(&writer);
    put_member(&writer, "id", json_get(item, "call_id"));
    json_write_key(&writer, "type");
    json_write_string(&writer, "function");
    json_write_key(&writer, "function");
    json_write_object(&writer);
    put_member(&writer, "name", json_get(item, "name"));
    put_member(&writer, "arguments", json_get(item, "arguments"));
    json_write_end_object(&writer);
    json_write_end_object(&writer);
}

static void put_result(struct turn *turn, const struct json *item, struct buffer *out)
{
    const struct json *id = json_get(item, "call_id");
    flush(turn, out);
    next(out);
    buffer_puts(out, "{\"role\":\"tool\",\"tool_call_id\":");
    if (id != NULL && id->type == JSON_STRING)
        json_print(out, id);
    else
        buffer_puts(out, "\"\"");
    buffer_puts(out, ",\"content\":");
    put_content(out, json_get(item, "output"));
    buffer_putc(out, '}');
}

static pdk_status put_item(struct turn *turn, const struct json *item, size_t at, struct buffer *out, pdk_error *err)
{
    char location[48];
    const struct json *type = item->type == JSON_OBJECT ? json_get(item, "type") : NULL;
    snprintf(location, sizeof location, "body.input.%zu", at);
    if (item->type != JSON_OBJECT)
        return refuse_type(err, location, "dict_type", "Input should be a valid dictionary");
    if (type == NULL || is_word(type, "message"))
        put_message(turn, item, out);
    else if (is_word(type, "reasoning"))
        put_reasoning(turn, item, out);
    else if (is_word(type, "function_call"))
        put_call(turn, item);
    else if (is_word(type, "function_call_output"))
        put_result(turn, item, out);
    else
        return refuse(err, "input", type->type == JSON_STRING ? type->text : NULL,
            "input[%zu] is neither a message, reasoning, a function_call nor a function_call_output; no other item is "
            "served here",
            at);
    return PDK_OK;
}

pdk_status items_translate(const struct json *input, struct buffer *out, pdk_error *err)
{
    PDK_CLEANUP(turn_done) struct turn turn = {0};
    size_t at = 0;
    pdk_status status = PDK_OK;
    if (input->type == JSON_STRING) {
        next(out);
        buffer_puts(out, "{\"role\":\"user\",\"content\":");
        json_print(out, input);
        buffer_putc(out, '}');
        return PDK_OK;
    }
    if (input->type != JSON_ARRAY)
        return refuse_type(err, "body.input", "string_type", "Input should be a valid string");
    for (const struct json *item = input->child; item != NULL && status == PDK_OK; item = item->next)
        status = put_item(&turn, item, at++, out, err);
    if (status == PDK_OK)
        flush(&turn, out);
    return status;
}
