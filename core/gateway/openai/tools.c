/* See tools.h. */
#include "config.h"

#include "core/gateway/openai/tools.h"

#include "core/base/cleanup.h"
#include "core/gateway/openai/coerce.h"
#include "core/gateway/openai/refusal.h"

#include <stdio.h>
#include <string.h>

#define CORRECT_USAGE "Correct usage: `{\"type\": \"function\", \"function\": {\"name\": \"my_function\"}}`"

static bool is_given(const struct json *value)
{
    return value != NULL && value->type != JSON_NULL;
}

static bool is_word(const struct json *value, const char *word)
{
    const char *text;
    return json_string(value, &text) && strcmp(text, word) == 0;
}

static bool has_tool(const struct json *tools, const char *name)
{
    for (const struct json *tool = tools->child; tool != NULL; tool = tool->next)
        if (tool->type == JSON_OBJECT && is_word(json_path(tool, "function.name"), name))
            return true;
    return false;
}

static pdk_status check_named(const struct json *tools, const struct json *choice, pdk_error *err)
{
    const struct json *function = json_get(choice, "function"), *name;
    PDK_CLEANUP(buffer_done) struct buffer shown = {0};
    const char *text;
    if (function == NULL || function->type != JSON_OBJECT) {
        if (function != NULL)
            json_print(&shown, function);
        return refuse(err, "tool_choice.function", NULL,
            "Invalid value for `function`: `%.100s` in `tool_choice`! " CORRECT_USAGE,
            shown.data == NULL ? "None" : shown.data);
    }
    name = json_get(function, "name");
    if (name == NULL)
        return refuse(err, "tool_choice.function.name", NULL,
            "Expected field `name` in `function` in `tool_choice`! " CORRECT_USAGE);
    if (!json_string(name, &text) || *text == '\0') {
        json_print(&shown, name);
        return refuse(err, "tool_choice.function.name", NULL,
            "Invalid `name` in `function`: `%.100s` in `tool_choice`! " CORRECT_USAGE,
            shown.data == NULL ? "" : shown.data);
    }
    if (!has_tool(tools, text))
        return refuse(err, "tool_choice", NULL,
            "The tool specified in `tool_choice` does not match any of the specified `tools`");
    return PDK_OK;
}

pdk_status tools_check_body(const struct json *body, pdk_error *err)
{
    const struct json *tools = json_get(body, "tools"), *choice = json_get(body, "tool_choice");
    if (tools != NULL && tools->type == JSON_ARRAY && tools->count == 0)
        return refuse(err, "tools", NULL,
            "`tools` must not be an empty array. Either provide at least one tool or omit the field entirely.");
    if (!is_given(choice) || is_word(choice, "none"))
        return PDK_OK;
    if (!is_given(tools))
        return refuse(err, "tool_choice", NULL, "When using `tool_choice`, `tools` must be set.");
    if (choice->type == JSON_OBJECT)
        return check_named(tools, choice, err);
    if (is_word(choice, "auto") || is_word(choice, "required"))
        return PDK_OK;
    PDK_CLEANUP(buffer_done) struct buffer shown = {0};
    json_print(&shown, choice);
    bool quoted = choice->type == JSON_STRING;
    return refuse(err, "tool_choice", NULL,
        "Invalid value for `tool_choice`: %.100s! Only named tools, \"none\", \"auto\" or \"required\" are supported.",
        quoted               ? choice->text
        : shown.data == NULL ? ""
                             : shown.data);
}

pdk_status tools_read(const struct json *tools, pdk_error *err)
{
    enum { LOCATION_MAX = 64 };
    char location[LOCATION_MAX];
    size_t at = 0;
    for (const struct json *tool = tools == NULL ? NULL : tools->child; tool != NULL; tool = tool->next, at++) {
        const struct json *function = tool->type == JSON_OBJECT ? json_get(tool, "function") : NULL;
        const struct json *type = tool->type == JSON_OBJECT ? json_get(tool, "type") : NULL;
        const char *name;
        snprintf(location, sizeof location, "body.tools.%zu%s", at, function == NULL ? "" : ".function");
        if (tool->type != JSON_OBJECT || (function != NULL && function->type != JSON_OBJECT))
            return refuse_type(err, location, "dict_type", "Input should be a valid dictionary");
        snprintf(location, sizeof location, "body.tools.%zu.type", at);
        if (type != NULL && !is_word(type, "function"))
            return refuse_type(err, location, "literal_error", "Input should be \"function\"");
        snprintf(location, sizeof location, "body.tools.%zu.function%s", at, function == NULL ? "" : ".name");
        if (function == NULL || json_get(function, "name") == NULL)
            return refuse_type(err, location, "missing", "Field required");
        if (!json_string(json_get(function, "name"), &name))
            return refuse_type(err, location, "string_type", "Input should be a valid string");
        const struct json *parameters = json_get(function, "parameters");
        snprintf(location, sizeof location, "body.tools.%zu.function.parameters", at);
        if (is_given(parameters) && parameters->type != JSON_OBJECT)
            return refuse_type(err, location, "dict_type", "Input should be a valid dictionary");
    }
    return PDK_OK;
}

pdk_status tools_set(const struct call *call, const struct ready_info *ready, pdk_request *request, pdk_error *err)
{
    const struct json *choice = call->fields.tool_choice;
    if (call->fields.tools == NULL || is_word(choice, "none"))
        return PDK_OK;
    if (call->fields.parallel_tool_calls.set && !call->fields.parallel_tool_calls.value)
        request->flags |= PDK_FLAG_ONE_TOOL_CALL;
    if (choice != NULL && choice->type == JSON_OBJECT) {
        const struct json *name = json_path(choice, "function.name"); /* a string: tools_check_body has looked */
        if (!ready->forced_tools)
            return refuse(
                err, NULL, NULL, "tool_choice=function \"%.128s\" requires --tool-call-parser to be set", name->text);
        request->tools = PDK_TOOLS_NAMED;
        request->tool_name = (pdk_string){name->text, name->length};
        return PDK_OK;
    }
    if (choice == NULL || is_word(choice, "auto")) {
        if (!ready->auto_tools)
            return refuse(err, NULL, NULL,
                "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set");
        request->tools = PDK_TOOLS_AUTO;
        return PDK_OK;
    }
    if (!ready->forced_tools)
        return refuse(err, NULL, NULL, "tool_choice=\"required\" requires --tool-call-parser to be set");
    request->tools = PDK_TOOLS_REQUIRED;
    return PDK_OK;
}

bool tools_named(const struct call *call)
{
    const struct json *choice = call->fields.tool_choice;
    return call->fields.tools != NULL && choice != NULL && choice->type == JSON_OBJECT;
}

bool tools_forced(const struct call *call)
{
    return tools_named(call) || (call->fields.tools != NULL && is_word(call->fields.tool_choice, "required"));
}
