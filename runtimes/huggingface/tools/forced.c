/* See the header. Definitions that a function's schema refers to from its root are lifted to the root of the whole,
 * where such references find them. */
#include "config.h"

#include "runtimes/huggingface/tools/forced.h"

#include "core/base/error.h"
#include "runtimes/huggingface/tools/tool_set.h"

#include <string.h>

static const char no_parameters[] = "{\"type\":\"object\",\"properties\":{}}";

static bool is_definitions(const char *key)
{
    return strcmp(key, "$defs") == 0 || strcmp(key, "definitions") == 0;
}

static const struct json *parameters_of(const struct json *function)
{
    const struct json *parameters = json_get(function, "parameters");
    return parameters != NULL && parameters->type == JSON_OBJECT ? parameters : NULL;
}

/* Writes a schema without its definitions. */
static void put_parameters(struct buffer *text, const struct json *parameters)
{
    if (parameters == NULL) {
        buffer_puts(text, no_parameters);
        return;
    }
    bool first = true;
    buffer_putc(text, '{');
    for (const struct json *one = parameters->child; one != NULL; one = one->next) {
        if (is_definitions(one->key))
            continue;
        buffer_puts(text, first ? "" : ",");
        json_escape(text, one->key, one->key_length);
        buffer_putc(text, ':');
        json_print(text, one);
        first = false;
    }
    buffer_putc(text, '}');
}

/* All functions' definitions under `key`; one name twice is the last one's, as nothing else tells them apart. */
static void put_definitions(struct buffer *text, const struct json *tools, const char *key)
{
    bool first = true;
    for (const struct json *tool = tools->child; tool != NULL; tool = tool->next) {
        const struct json *function = tool->type == JSON_OBJECT ? json_get(tool, "function") : NULL;
        const struct json *parameters =
            function != NULL && function->type == JSON_OBJECT ? parameters_of(function) : NULL;
        const struct json *list = parameters != NULL ? json_get(parameters, key) : NULL;
        for (const struct json *one = list != NULL && list->type == JSON_OBJECT ? list->child : NULL; one != NULL;
             one = one->next) {
            if (first)
                buffer_printf(text, ",\"%s\":{", key);
            else
                buffer_putc(text, ',');
            json_escape(text, one->key, one->key_length);
            buffer_putc(text, ':');
            json_print(text, one);
            first = false;
        }
    }
    if (!first)
        buffer_putc(text, '}');
}

/* [{"name": one of them, "parameters": as it wants them}, …] */
static void put_calls(struct buffer *text, const struct json *tools, bool one_call)
{
    bool first = true;
    buffer_printf(text, "{\"type\":\"array\",\"minItems\":1%s,\"items\":{\"type\":\"object\",\"anyOf\":[",
        one_call ? ",\"maxItems\":1" : "");
    for (const struct json *tool = tools->child; tool != NULL; tool = tool->next) {
        const struct json *function = tool->type == JSON_OBJECT ? json_get(tool, "function") : NULL;
        const struct json *name = function != NULL && function->type == JSON_OBJECT ? json_get(function, "name") : NULL;
        if (name == NULL || name->type != JSON_STRING)
            continue;
        buffer_puts(text, first ? "" : ",");
        buffer_puts(text, "{\"type\":\"object\",\"properties\":{\"name\":{\"enum\":[");
        json_escape(text, name->text, name->length);
        buffer_puts(text, "]},\"parameters\":");
        put_parameters(text, parameters_of(function));
        buffer_puts(text, "},\"required\":[\"name\",\"parameters\"],\"additionalProperties\":false}");
        first = false;
    }
    buffer_puts(text, "]}");
    put_definitions(text, tools, "$defs");
    put_definitions(text, tools, "definitions");
    buffer_putc(text, '}');
}

pdk_status forced_guide(const pdk_request *request, struct buffer *text, pdk_guide *ret_guide, pdk_error *err)
{
    *ret_guide = (pdk_guide){.kind = PDK_GUIDE_NONE, .text = {"", 0}, .whitespace = {"", 0}};
    if (request->tools != PDK_TOOLS_REQUIRED && request->tools != PDK_TOOLS_NAMED)
        return PDK_OK;
    struct tool_set set = {0};
    pdk_status status = tool_set_read(&set, request->tools_json, err);
    if (status == PDK_OK && (set.document == NULL || json_root(set.document)->count == 0))
        status = pdk_error_set(err, PDK_INVALID, "tools", "a call was asked for, and there are no tools");
    if (status == PDK_OK && request->tools == PDK_TOOLS_REQUIRED) {
        put_calls(text, json_root(set.document), (request->flags & PDK_FLAG_ONE_TOOL_CALL) != 0);
    } else if (status == PDK_OK) {
        const struct json *function = tool_set_function(&set, request->tool_name.data, request->tool_name.length);
        if (function == NULL)
            status = pdk_error_set(err, PDK_NOT_FOUND, "tool_choice",
                "The tool specified in `tool_choice` does not match any of the specified `tools`");
        else if (parameters_of(function) != NULL)
            json_print(text, parameters_of(function));
        else
            buffer_puts(text, no_parameters);
    }
    tool_set_done(&set);
    if (status == PDK_OK && text->failed)
        status = pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the tools' schema");
    if (status != PDK_OK)
        return status;
    ret_guide->kind = PDK_GUIDE_JSON_SCHEMA;
    ret_guide->text = (pdk_string){text->data, text->length};
    return PDK_OK;
}
