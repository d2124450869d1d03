/* See translate.h. */
#include "config.h"

#include "core/gateway/responses/translate.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/gateway/openai/coerce.h"
#include "core/gateway/openai/refusal.h"
#include "core/gateway/responses/items.h"

#include <string.h>

static const struct json *given(const struct json *object, const char *name)
{
    const struct json *value = json_get(object, name);
    return value == NULL || value->type == JSON_NULL ? NULL : value;
}

bool responses_wants_messages(const struct json *body)
{
    const struct json *value = given(body, "enable_response_messages");
    bool wanted = false;
    if (value != NULL)
        coerce_bool(value, "enable_response_messages", &wanted, NULL); /* cannot fail: fields_read has looked */
    return wanted;
}

static bool is_word(const struct json *value, const char *word)
{
    const char *text;
    return json_string(value, &text) && strcmp(text, word) == 0;
}

static void put_value(struct json_writer *writer, const char *key, const struct json *value)
{
    PDK_CLEANUP(buffer_done) struct buffer raw = {0};
    if (value == NULL)
        return;
    json_print(&raw, value);
    json_write_key(writer, key);
    json_write_raw(writer, raw.failed ? "null" : raw.data, raw.failed ? 4 : raw.length);
    writer->out->failed |= raw.failed;
}

/* What a chat knows by the same name. */
static void put_same(struct json_writer *writer, const struct json *body)
{
    static const char *const names[] = {"model", "temperature", "top_p", "top_k", "min_p", "presence_penalty",
        "frequency_penalty", "repetition_penalty", "seed", "stop", "stop_token_ids", "ignore_eos", "logit_bias",
        "skip_special_tokens", "spaces_between_special_tokens", "include_stop_str_in_output", "priority", "request_id",
        "cache_salt", "structured_outputs", "chat_template_kwargs", "stream", "include_reasoning"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        put_value(writer, names[i], given(body, names[i]));
}

/* {"type": "function", "name": …, …} has the function's members beside its type; a chat has them inside. */
static pdk_status put_tool(struct json_writer *writer, const struct json *tool, size_t at, pdk_error *err)
{
    static const char *const names[] = {"name", "description", "parameters", "strict"};
    const struct json *type = json_get(tool, "type");
    if (!is_word(type, "function"))
        return refuse(err, "tools", type != NULL && type->type == JSON_STRING ? type->text : NULL,
            "tools[%zu] is no function; no other tool is served here", at);
    json_write_object(writer);
    json_write_key(writer, "type");
    json_write_string(writer, "function");
    json_write_key(writer, "function");
    json_write_object(writer);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        put_value(writer, names[i], given(tool, names[i]));
    json_write_end_object(writer);
    json_write_end_object(writer);
    return PDK_OK;
}

static pdk_status put_choice(struct json_writer *writer, const struct json *choice, pdk_error *err)
{
    if (choice->type != JSON_OBJECT) {
        put_value(writer, "tool_choice", choice);
        return PDK_OK;
    }
    if (!is_word(json_get(choice, "type"), "function"))
        return refuse(err, "tool_choice", NULL,
            "tool_choice must be none, auto, required or {\"type\": \"function\", \"name\": …}; no other form is "
            "served "
            "here");
    json_write_key(writer, "tool_choice");
    json_write_object(writer);
    json_write_key(writer, "type");
    json_write_string(writer, "function");
    json_write_key(writer, "function");
    json_write_object(writer);
    put_value(writer, "name", given(choice, "name"));
    json_write_end_object(writer);
    json_write_end_object(writer);
    return PDK_OK;
}

static pdk_status put_tools(struct json_writer *writer, const struct json *body, pdk_error *err)
{
    const struct json *tools = given(body, "tools"), *choice = given(body, "tool_choice");
    size_t at = 0;
    if (tools == NULL || tools->count == 0) {
        if (is_word(choice, "required"))
            return refuse(err, "tool_choice", NULL, "Tool choice 'required' must be specified with 'tools' parameter.");
        if (choice != NULL && choice->type == JSON_OBJECT)
            return refuse(
                err, "tool_choice", NULL, "Tool choice of a function must be specified with 'tools' parameter.");
        return PDK_OK;
    }
    pdk_status status = PDK_OK;
    json_write_key(writer, "tools");
    json_write_array(writer);
    for (const struct json *tool = tools->child; tool != NULL && status == PDK_OK; tool = tool->next)
        status = put_tool(writer, tool, at++, err);
    json_write_end_array(writer);
    if (status == PDK_OK && choice != NULL)
        status = put_choice(writer, choice, err);
    put_value(writer, "parallel_tool_calls", given(body, "parallel_tool_calls"));
    return status;
}

/* text.format: {"type": "json_schema", "name", "schema", "strict"} has a schema's members beside its type. */
static void put_format(struct json_writer *writer, const struct json *format)
{
    static const char *const names[] = {"name", "description", "schema", "strict"};
    if (!is_word(json_get(format, "type"), "json_schema")) {
        put_value(writer, "response_format", format);
        return;
    }
    json_write_key(writer, "response_format");
    json_write_object(writer);
    json_write_key(writer, "type");
    json_write_string(writer, "json_schema");
    json_write_key(writer, "json_schema");
    json_write_object(writer);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        put_value(writer, names[i], given(format, names[i]));
    json_write_end_object(writer);
    json_write_end_object(writer);
}

static bool includes(const struct json *body, const char *what)
{
    const struct json *list = given(body, "include");
    for (const struct json *one = list == NULL ? NULL : list->child; one != NULL; one = one->next)
        if (is_word(one, what))
            return true;
    return false;
}

static void put_messages(struct json_writer *writer, const struct json *body, const struct buffer *conversation)
{
    const struct json *instructions = given(body, "instructions");
    json_write_key(writer, "messages");
    json_write_array(writer);
    if (instructions != NULL) {
        json_write_object(writer);
        json_write_key(writer, "role");
        json_write_string(writer, "system");
        json_write_key(writer, "content");
        json_write_text(writer, instructions->text, instructions->length);
        json_write_end_object(writer);
    }
    if (conversation->length != 0)
        json_write_raw(writer, conversation->data, conversation->length);
    json_write_end_array(writer);
}

pdk_status responses_translate(const struct json *body, struct buffer *conversation, struct buffer *out, pdk_error *err)
{
    struct json_writer writer = {.out = out};
    pdk_status status = items_translate(json_get(body, "input"), conversation, err);
    if (status != PDK_OK)
        return status;
    json_write_object(&writer);
    put_same(&writer, body);
    put_messages(&writer, body, conversation);
    put_value(&writer, "max_completion_tokens", given(body, "max_output_tokens"));
    put_value(&writer, "reasoning_effort", given(given(body, "reasoning"), "effort"));
    if (given(given(body, "text"), "format") != NULL)
        put_format(&writer, given(given(body, "text"), "format"));
    if (is_word(given(body, "truncation"), "auto")) {
        json_write_key(&writer, "truncate_prompt_tokens");
        json_write_int(&writer, -1);
    }
    if (responses_wants_messages(body)) {
        json_write_key(&writer, "return_token_ids");
        json_write_bool(&writer, true);
        json_write_key(&writer, "return_prompt_text");
        json_write_bool(&writer, true);
    }
    if (includes(body, "message.output_text.logprobs")) {
        json_write_key(&writer, "logprobs");
        json_write_bool(&writer, true);
        put_value(&writer, "top_logprobs", given(body, "top_logprobs"));
    }
    status = put_tools(&writer, body, err);
    if (status != PDK_OK)
        return status;
    json_write_end_object(&writer);
    return out->failed || conversation->failed ? pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the request")
                                               : PDK_OK;
}
