/* See translate.h. */
#include "config.h"

#include "core/gateway/anthropic/translate.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/gateway/anthropic/blocks.h"
#include "core/gateway/openai/refusal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { THINKING_LEAST = 1024 };

static const struct json *given(const struct json *object, const char *name)
{
    const struct json *value = json_get(object, name);
    return value == NULL || value->type == JSON_NULL ? NULL : value;
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

static pdk_status put_tools(struct json_writer *writer, const struct json *tools, pdk_error *err)
{
    size_t at = 0;
    json_write_key(writer, "tools");
    json_write_array(writer);
    for (const struct json *tool = tools->child; tool != NULL; tool = tool->next, at++) {
        const struct json *type = given(tool, "type");
        if (type != NULL && !is_word(type, "custom"))
            return refuse(err, NULL, NULL, "tools.%zu: only tools of type custom are served here, not '%.64s'", at,
                type->type == JSON_STRING ? type->text : "");
        json_write_object(writer);
        json_write_key(writer, "type");
        json_write_string(writer, "function");
        json_write_key(writer, "function");
        json_write_object(writer);
        put_value(writer, "name", given(tool, "name"));
        put_value(writer, "description", given(tool, "description"));
        put_value(writer, "parameters", given(tool, "input_schema"));
        put_value(writer, "strict", given(tool, "strict"));
        json_write_end_object(writer);
        json_write_end_object(writer);
    }
    json_write_end_array(writer);
    return PDK_OK;
}

static pdk_status put_choice(struct json_writer *writer, const struct json *choice, pdk_error *err)
{
    static const struct {
        const char *theirs, *ours;
    } words[] = {{"auto", "auto"}, {"any", "required"}, {"none", "none"}};
    const struct json *type = json_get(choice, "type"), *alone = given(choice, "disable_parallel_tool_use");
    bool disabled = false;
    if (json_bool(alone, &disabled) && disabled) {
        json_write_key(writer, "parallel_tool_calls");
        json_write_bool(writer, false);
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (is_word(type, words[i].theirs)) {
            json_write_key(writer, "tool_choice");
            json_write_string(writer, words[i].ours);
            return PDK_OK;
        }
    if (!is_word(type, "tool"))
        return refuse_type(
            err, "body.tool_choice.type", "literal_error", "Input should be \"auto\", \"any\", \"tool\" or \"none\"");
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

/* Whether the template opens thinking: -1: as it is. */
static pdk_status read_thinking(
    const struct json *body, bool counted, int *ret_enabled, const struct json **ret_budget, pdk_error *err)
{
    const struct json *thinking = given(body, "thinking"), *type = json_get(thinking, "type");
    int64_t budget = 0, most = INT64_MAX;
    *ret_enabled = -1;
    *ret_budget = NULL;
    if (thinking == NULL || is_word(type, "adaptive"))
        return PDK_OK;
    if (is_word(type, "disabled")) {
        *ret_enabled = 0;
        return PDK_OK;
    }
    if (!is_word(type, "enabled"))
        return refuse_type(
            err, "body.thinking.type", "literal_error", "Input should be \"enabled\", \"disabled\" or \"adaptive\"");
    *ret_budget = json_get(thinking, "budget_tokens");
    if (!json_int64(*ret_budget, &budget) || budget < THINKING_LEAST)
        return refuse_type(
            err, "body.thinking.budget_tokens", "greater_than_equal", "Input should be greater than or equal to 1024");
    if (!counted && json_int64(json_get(body, "max_tokens"), &most) && budget >= most)
        return refuse(err, NULL, NULL,
            "thinking.budget_tokens must be less than max_tokens=%" PRId64 ", got %" PRId64 ".", most, budget);
    *ret_enabled = 1;
    return PDK_OK;
}

/* chat_template_kwargs, with enable_thinking unless it is there. */
static void put_variables(struct json_writer *writer, const struct json *body, int thinking)
{
    const struct json *variables = given(body, "chat_template_kwargs");
    if (variables == NULL && thinking < 0)
        return;
    json_write_key(writer, "chat_template_kwargs");
    json_write_object(writer);
    for (const struct json *one = variables == NULL ? NULL : variables->child; one != NULL; one = one->next)
        put_value(writer, one->key, one);
    if (thinking >= 0 && json_get(variables, "enable_thinking") == NULL) {
        json_write_key(writer, "enable_thinking");
        json_write_bool(writer, thinking != 0);
    }
    json_write_end_object(writer);
}

static void put_output(struct json_writer *writer, const struct json *config)
{
    const struct json *format = given(config, "format");
    put_value(writer, "reasoning_effort", given(config, "effort"));
    if (format == NULL)
        return;
    json_write_key(writer, "response_format");
    json_write_object(writer);
    put_value(writer, "type", given(format, "type"));
    json_write_key(writer, "json_schema");
    json_write_object(writer);
    json_write_key(writer, "name");
    json_write_string(writer, "output");
    put_value(writer, "schema", given(format, "schema"));
    json_write_end_object(writer);
    json_write_end_object(writer);
}

pdk_status anthropic_translate(const struct json *body, bool counted, struct buffer *out, pdk_error *err)
{
    static const char *const same[] = {"model", "temperature", "top_p", "top_k", "stream", "cache_salt"};
    PDK_CLEANUP(buffer_done) struct buffer messages = {0};
    struct json_writer writer = {.out = out};
    const struct json *tools = given(body, "tools"), *choice = given(body, "tool_choice"), *budget;
    int thinking;
    pdk_status status = blocks_translate(given(body, "system"), json_get(body, "messages"), &messages, err);
    if (status == PDK_OK)
        status = read_thinking(body, counted, &thinking, &budget, err);
    if (status != PDK_OK)
        return status;
    json_write_object(&writer);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (!counted || i == 0)
            put_value(&writer, same[i], given(body, same[i]));
    json_write_key(&writer, "messages");
    json_write_array(&writer);
    if (messages.length != 0)
        json_write_raw(&writer, messages.data, messages.length);
    json_write_end_array(&writer);
    put_variables(&writer, body, thinking);
    bool has_tools = tools != NULL && tools->count != 0;
    if (has_tools)
        status = put_tools(&writer, tools, err);
    if (status == PDK_OK && has_tools && choice != NULL && !counted)
        status = put_choice(&writer, choice, err);
    if (status != PDK_OK)
        return status;
    if (!counted) {
        put_value(&writer, "max_tokens", given(body, "max_tokens"));
        put_value(&writer, "stop", given(body, "stop_sequences"));
        put_value(&writer, "thinking_token_budget", budget);
        put_output(&writer, given(body, "output_config"));
    }
    json_write_end_object(&writer);
    return out->failed || messages.failed ? pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the request")
                                          : PDK_OK;
}
