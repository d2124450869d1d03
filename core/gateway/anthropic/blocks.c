/* See blocks.h. A user's message may hold results of tools, which are messages of their own in a chat; an assistant's
 * may hold thoughts and calls, which are members of one. */
#include "config.h"

#include "core/gateway/anthropic/blocks.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/gateway/openai/refusal.h"

#include <stdio.h>
#include <string.h>

/* One message being put together; lists without their brackets. */
struct parts {
    struct buffer content, calls, thinking, results;
};

static void parts_done(struct parts *parts)
{
    buffer_done(&parts->content);
    buffer_done(&parts->calls);
    buffer_done(&parts->thinking);
    buffer_done(&parts->results);
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

static void put_string(struct json_writer *writer, const char *key, const struct json *value)
{
    json_write_key(writer, key);
    if (value != NULL && value->type == JSON_STRING)
        json_write_text(writer, value->text, value->length);
    else
        json_write_string(writer, "");
}

static void put_text(struct buffer *out, const struct json *text)
{
    struct json_writer writer = {.out = out};
    next(out);
    json_write_object(&writer);
    json_write_key(&writer, "type");
    json_write_string(&writer, "text");
    put_string(&writer, "text", text);
    json_write_end_object(&writer);
}

/* A call's input is an object here, and its text in a chat. */
static void put_call(struct buffer *out, const struct json *block)
{
    PDK_CLEANUP(buffer_done) struct buffer input = {0};
    struct json_writer writer = {.out = out};
    const struct json *given = json_get(block, "input");
    if (given != NULL)
        json_print(&input, given);
    next(out);
    json_write_object(&writer);
    put_string(&writer, "id", json_get(block, "id"));
    json_write_key(&writer, "type");
    json_write_string(&writer, "function");
    json_write_key(&writer, "function");
    json_write_object(&writer);
    put_string(&writer, "name", json_get(block, "name"));
    json_write_key(&writer, "arguments");
    json_write_text(&writer, input.length == 0 ? "{}" : input.data, input.length == 0 ? 2 : input.length);
    json_write_end_object(&writer);
    json_write_end_object(&writer);
    out->failed |= input.failed;
}

/* The texts of a result, one a line. */
static pdk_status put_result(struct buffer *out, const struct json *block, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    struct json_writer writer = {.out = out};
    const struct json *content = json_get(block, "content");
    bool list = content != NULL && content->type == JSON_ARRAY;
    if (content != NULL && content->type == JSON_STRING)
        buffer_put(&text, content->text, content->length);
    for (const struct json *part = list ? content->child : NULL; part != NULL; part = part->next) {
        const struct json *words = json_get(part, "text");
        if (!is_word(json_get(part, "type"), "text") || words == NULL || words->type != JSON_STRING)
            return refuse(
                err, "messages", NULL, "a tool_result holds a block that is no text; only text is served here");
        buffer_puts(&text, text.length == 0 ? "" : "\n");
        buffer_put(&text, words->text, words->length);
    }
    next(out);
    json_write_object(&writer);
    json_write_key(&writer, "role");
    json_write_string(&writer, "tool");
    put_string(&writer, "tool_call_id", json_get(block, "tool_use_id"));
    json_write_key(&writer, "content");
    json_write_text(&writer, text.length == 0 ? "" : text.data, text.length);
    json_write_end_object(&writer);
    out->failed |= text.failed;
    return PDK_OK;
}

static pdk_status put_block(struct parts *parts, const struct json *block, const char *location, pdk_error *err)
{
    const struct json *type = json_get(block, "type"), *thought = json_get(block, "thinking");
    if (block->type != JSON_OBJECT)
        return refuse_type(err, location, "dict_type", "Input should be a valid dictionary");
    if (is_word(type, "text")) {
        put_text(&parts->content, json_get(block, "text"));
    } else if (is_word(type, "image")) {
        next(&parts->content);
        buffer_puts(&parts->content, "{\"type\":\"image_url\"}"); /* the chat refuses it, naming the model */
    } else if (is_word(type, "tool_use")) {
        put_call(&parts->calls, block);
    } else if (is_word(type, "tool_result")) {
        return put_result(&parts->results, block, err);
    } else if (is_word(type, "thinking")) {
        if (thought != NULL && thought->type == JSON_STRING)
            buffer_put(&parts->thinking, thought->text, thought->length);
    } else if (!is_word(type, "redacted_thinking") && !is_word(type, "tool_reference")) {
        return refuse_type(err, location, "literal_error",
            "Input should be a block of type text, image, tool_use, tool_result, thinking, redacted_thinking or "
            "tool_reference");
    }
    return PDK_OK;
}

/* Results come first, as they answer what was before; then the message itself, if there is anything of it. */
static void put_message(struct buffer *out, const struct json *role, struct parts *parts)
{
    struct json_writer writer = {.out = out};
    if (parts->results.length != 0) {
        next(out);
        buffer_put(out, parts->results.data, parts->results.length);
    }
    if (parts->content.length != 0 || parts->calls.length != 0 || parts->thinking.length != 0 ||
        parts->results.length == 0) {
        next(out);
        json_write_object(&writer);
        put_string(&writer, "role", role);
        json_write_key(&writer, "content");
        if (parts->content.length == 0 && (parts->calls.length != 0 || parts->thinking.length != 0)) {
            json_write_null(&writer);
        } else {
            json_write_array(&writer);
            if (parts->content.length != 0)
                json_write_raw(&writer, parts->content.data, parts->content.length);
            json_write_end_array(&writer);
        }
        if (parts->thinking.length != 0) {
            json_write_key(&writer, "reasoning");
            json_write_text(&writer, parts->thinking.data, parts->thinking.length);
        }
        if (parts->calls.length != 0) {
            json_write_key(&writer, "tool_calls");
            json_write_array(&writer);
            json_write_raw(&writer, parts->calls.data, parts->calls.length);
            json_write_end_array(&writer);
        }
        json_write_end_object(&writer);
    }
    out->failed |= parts->content.failed || parts->calls.failed || parts->thinking.failed || parts->results.failed;
}

static pdk_status read_message(const struct json *message, size_t at, struct buffer *out, pdk_error *err)
{
    PDK_CLEANUP(parts_done) struct parts parts = {0};
    char location[64];
    size_t block = 0;
    const struct json *role = json_get(message, "role"), *content = json_get(message, "content");
    snprintf(location, sizeof location, "body.messages.%zu", at);
    if (message->type != JSON_OBJECT)
        return refuse_type(err, location, "dict_type", "Input should be a valid dictionary");
    snprintf(location, sizeof location, "body.messages.%zu.role", at);
    if (!is_word(role, "user") && !is_word(role, "assistant") && !is_word(role, "system"))
        return refuse_type(err, location, "literal_error", "Input should be \"user\", \"assistant\" or \"system\"");
    snprintf(location, sizeof location, "body.messages.%zu.content", at);
    if (content == NULL)
        return refuse_type(err, location, "missing", "Field required");
    if (content->type == JSON_STRING) {
        struct json_writer writer = {.out = out};
        next(out);
        json_write_object(&writer);
        put_string(&writer, "role", role);
        put_string(&writer, "content", content);
        json_write_end_object(&writer);
        return PDK_OK;
    }
    if (content->type != JSON_ARRAY)
        return refuse_type(err, location, "string_type", "Input should be a valid string");
    for (const struct json *one = content->child; one != NULL; one = one->next) {
        snprintf(location, sizeof location, "body.messages.%zu.content.%zu", at, block++);
        pdk_status status = put_block(&parts, one, location, err);
        if (status != PDK_OK)
            return status;
    }
    put_message(out, role, &parts);
    return PDK_OK;
}

/* The system prompt is a text, or blocks of it, which follow each other without a break. */
static pdk_status read_system(const struct json *system, struct buffer *out, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    struct json_writer writer = {.out = out};
    if (system->type == JSON_STRING)
        buffer_put(&text, system->text, system->length);
    else if (system->type != JSON_ARRAY)
        return refuse_type(err, "body.system", "string_type", "Input should be a valid string");
    for (const struct json *block = system->type == JSON_ARRAY ? system->child : NULL; block != NULL;
         block = block->next) {
        const struct json *words = json_get(block, "text");
        if (!is_word(json_get(block, "type"), "text") || words == NULL || words->type != JSON_STRING)
            return refuse_type(err, "body.system", "literal_error", "Input should be blocks of type text");
        buffer_put(&text, words->text, words->length);
    }
    next(out);
    json_write_object(&writer);
    json_write_key(&writer, "role");
    json_write_string(&writer, "system");
    json_write_key(&writer, "content");
    json_write_text(&writer, text.length == 0 ? "" : text.data, text.length);
    json_write_end_object(&writer);
    out->failed |= text.failed;
    return PDK_OK;
}

pdk_status blocks_translate(const struct json *system, const struct json *messages, struct buffer *out, pdk_error *err)
{
    size_t at = 0;
    pdk_status status = system == NULL ? PDK_OK : read_system(system, out, err);
    if (status == PDK_OK && messages->type != JSON_ARRAY)
        return refuse_type(err, "body.messages", "list_type", "Input should be a valid list");
    for (const struct json *message = messages->child; message != NULL && status == PDK_OK; message = message->next)
        status = read_message(message, at++, out, err);
    return status;
}
