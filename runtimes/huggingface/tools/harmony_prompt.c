/* See harmony.h. The format's own marks are special text, all that clients say is plain. */
#include "config.h"

#include "runtimes/huggingface/tools/harmony.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "runtimes/huggingface/tools/harmony_types.h"
#include "runtimes/huggingface/tools/tool_reader.h"

#include <string.h>
#include <time.h>

static void put_run(struct template_output *out, const char *text, size_t length, bool special)
{
    if (length == 0)
        return;
    buffer_put(&out->text, text, length);
    if (out->run_count > 0 && out->runs[out->run_count - 1].special == special) {
        out->runs[out->run_count - 1].length += length;
        return;
    }
    if (!array_grow(&out->runs, &out->run_room, out->run_count + 1)) {
        out->text.failed = true;
        return;
    }
    out->runs[out->run_count++] = (struct text_run){.length = length, .special = special};
}

static void mark(struct template_output *out, const char *text)
{
    put_run(out, text, strlen(text), true);
}

static void plain(struct template_output *out, const char *text)
{
    put_run(out, text, strlen(text), false);
}

static void plain_buffer(struct template_output *out, struct buffer *text)
{
    put_run(out, text_of(text).data, text->length, false);
    out->text.failed |= text->failed;
    buffer_done(text);
}

static bool has_tools(const struct json *variables)
{
    const struct json *tools = json_get(variables, "tools");
    return tools != NULL && tools->type == JSON_ARRAY && tools->count > 0;
}

/* A text, or the texts of parts. */
static void put_content(struct template_output *out, const struct json *content)
{
    if (content != NULL && content->type == JSON_STRING)
        put_run(out, content->text, content->length, false);
    if (content == NULL || content->type != JSON_ARRAY)
        return;
    for (const struct json *part = content->child; part != NULL; part = part->next) {
        const struct json *text = part->type == JSON_OBJECT ? json_get(part, "text") : part;
        if (text != NULL && text->type == JSON_STRING)
            put_run(out, text->text, text->length, false);
    }
}

static bool has_content(const struct json *content)
{
    return content != NULL && ((content->type == JSON_STRING && content->length > 0) ||
                                  (content->type == JSON_ARRAY && content->count > 0));
}

static pdk_status put_system(const struct json *variables, int64_t now, struct template_output *out, pdk_error *err)
{
    const char *effort = "medium", *identity = "You are ChatGPT, a large language model trained by OpenAI.";
    char date[16] = "";
    time_t seconds = (time_t)now;
    struct tm parts;
    const struct json *given = json_get(variables, "reasoning_effort"), *who = json_get(variables, "model_identity");
    if (given != NULL)
        (void)json_string(given, &effort);
    if (who != NULL)
        (void)json_string(who, &identity);
    if (strcmp(effort, "none") == 0)
        return pdk_error_set(err, PDK_INVALID, "reasoning_effort", "Harmony does not support reasoning_effort='none'");
    if (gmtime_r(&seconds, &parts) != NULL)
        (void)strftime(date, sizeof date, "%Y-%m-%d", &parts);
    mark(out, "<|start|>system<|message|>");
    plain(out, identity);
    plain(out, "\nKnowledge cutoff: 2024-06\nCurrent date: ");
    plain(out, date);
    plain(out, "\n\nReasoning: ");
    plain(out, effort);
    plain(out, "\n\n# Valid channels: analysis, commentary, final. Channel must be included for every message.");
    if (has_tools(variables))
        plain(out, "\nCalls to these tools must go to the commentary channel: 'functions'.");
    mark(out, "<|end|>");
    return PDK_OK;
}

static bool is_instruction(const struct json *message)
{
    const char *role = "";
    (void)json_string(json_get(message, "role"), &role);
    return strcmp(role, "system") == 0 || strcmp(role, "developer") == 0;
}

/* The first system or developer message is the instructions. */
static void put_developer(const struct json *variables, const struct json *first, struct template_output *out)
{
    const struct json *content = first != NULL && is_instruction(first) ? json_get(first, "content") : NULL;
    bool instructs = has_content(content);
    if (!instructs && !has_tools(variables))
        return;
    mark(out, "<|start|>developer<|message|>");
    if (instructs) {
        plain(out, "# Instructions\n\n");
        put_content(out, content);
    }
    if (has_tools(variables)) {
        struct buffer tools = {0};
        plain(out, instructs ? "\n\n# Tools\n\n" : "# Tools\n\n");
        harmony_put_tools(&tools, json_get(variables, "tools"));
        plain_buffer(out, &tools);
    }
    mark(out, "<|end|>");
}

static const struct json *calls_of(const struct json *message)
{
    const struct json *calls = json_get(message, "tool_calls");
    return calls != NULL && calls->type == JSON_ARRAY && calls->count > 0 ? calls : NULL;
}

/* Whether the assistant gives its answer later on: reasoning before that is not shown again. */
static bool answers_later(const struct json *message)
{
    for (const struct json *at = message->next; at != NULL; at = at->next) {
        const char *role = "";
        (void)json_string(json_get(at, "role"), &role);
        if (strcmp(role, "assistant") == 0 && calls_of(at) == NULL)
            return true;
    }
    return false;
}

static const struct json *function_of(const struct json *call)
{
    const struct json *function = call->type == JSON_OBJECT ? json_get(call, "function") : NULL;
    return function != NULL && function->type == JSON_OBJECT ? function : NULL;
}

static void put_call(const struct json *call, struct template_output *out)
{
    const struct json *function = function_of(call), *arguments = NULL;
    const char *name = "";
    if (function == NULL)
        return;
    struct buffer printed = {0}, text = {0};
    (void)json_string(json_get(function, "name"), &name);
    arguments = json_get(function, "arguments");
    mark(out, "<|start|>assistant");
    plain(out, " to=functions.");
    plain(out, name);
    mark(out, "<|channel|>");
    plain(out, "commentary json");
    mark(out, "<|message|>");
    if (arguments != NULL && arguments->type == JSON_STRING)
        buffer_put(&text, arguments->text, arguments->length);
    else if (arguments != NULL)
        json_print(&printed, arguments);
    if (printed.length > 0)
        (void)value_scan_all(VALUE_JSON, printed.data, printed.length, &text);
    text.failed |= printed.failed;
    buffer_done(&printed);
    plain_buffer(out, &text);
    mark(out, "<|call|>");
}

static void put_thought(const struct json *message, struct template_output *out)
{
    static const char *const keys[] = {"reasoning", "thinking"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const struct json *text = json_get(message, keys[i]);
        if (!has_content(text) || answers_later(message))
            continue;
        mark(out, "<|start|>assistant<|channel|>analysis<|message|>");
        put_content(out, text);
        mark(out, "<|end|>");
        return;
    }
}

static void put_assistant(const struct json *message, struct template_output *out)
{
    const struct json *calls = calls_of(message), *content = json_get(message, "content");
    put_thought(message, out);
    if (has_content(content)) {
        mark(out, "<|start|>assistant<|channel|>");
        plain(out, calls != NULL ? "commentary" : "final");
        mark(out, "<|message|>");
        put_content(out, content);
        mark(out, "<|end|>");
    }
    for (const struct json *call = calls != NULL ? calls->child : NULL; call != NULL; call = call->next)
        put_call(call, out);
}

/* The name of the call that a tool's message answers: by its id, else the last one made. */
static const char *answered(const struct json *first, const struct json *message)
{
    const char *id = "", *name = NULL;
    (void)json_string(json_get(message, "tool_call_id"), &id);
    for (const struct json *at = first; at != NULL && at != message; at = at->next) {
        const struct json *calls = calls_of(at);
        for (const struct json *call = calls != NULL ? calls->child : NULL; call != NULL; call = call->next) {
            const char *own = "";
            if (function_of(call) == NULL)
                continue;
            (void)json_string(json_get(function_of(call), "name"), &name);
            (void)json_string(json_get(call, "id"), &own);
            if (id[0] != '\0' && strcmp(own, id) == 0)
                return name;
        }
    }
    if (name == NULL)
        (void)json_string(json_get(message, "name"), &name);
    return name;
}

static pdk_status put_tool(
    const struct json *first, const struct json *message, struct template_output *out, pdk_error *err)
{
    const char *name = answered(first, message);
    if (name == NULL)
        return pdk_error_set(err, PDK_INVALID, "messages", "a tool message answers no tool call");
    mark(out, "<|start|>");
    plain(out, "functions.");
    plain(out, name);
    plain(out, " to=assistant");
    mark(out, "<|channel|>");
    plain(out, "commentary");
    mark(out, "<|message|>");
    put_content(out, json_get(message, "content"));
    mark(out, "<|end|>");
    return PDK_OK;
}

static pdk_status put_message(
    const struct json *first, const struct json *message, struct template_output *out, pdk_error *err)
{
    const char *role = "";
    (void)json_string(json_get(message, "role"), &role);
    if (strcmp(role, "tool") == 0)
        return put_tool(first, message, out, err);
    if (strcmp(role, "assistant") == 0) {
        put_assistant(message, out);
        return PDK_OK;
    }
    if (role[0] == '\0')
        return pdk_error_set(err, PDK_INVALID, "messages", "a message has no role");
    mark(out, "<|start|>");
    plain(out, strcmp(role, "system") == 0 ? "developer" : role);
    mark(out, "<|message|>");
    put_content(out, json_get(message, "content"));
    mark(out, "<|end|>");
    return PDK_OK;
}

pdk_status harmony_render(const struct json *variables, int64_t now, struct template_output *output, pdk_error *err)
{
    const struct json *messages = json_get(variables, "messages");
    const struct json *first = messages != NULL && messages->type == JSON_ARRAY ? messages->child : NULL;
    pdk_status status = put_system(variables, now, output, err);
    if (status != PDK_OK)
        return status;
    put_developer(variables, first, output);
    bool opens = false;
    for (const struct json *at = first; at != NULL && status == PDK_OK; at = at->next)
        if (at != first || !is_instruction(at))
            status = put_message(first, at, output, err);
    (void)json_bool(json_get(variables, "add_generation_prompt"), &opens);
    if (status == PDK_OK && opens)
        mark(output, "<|start|>assistant");
    if (status == PDK_OK && output->text.failed)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the prompt");
    return status;
}
