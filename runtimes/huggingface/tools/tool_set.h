/* runtimes/huggingface/tools/tool_set.h: the tools of a request, for what formats without types need of them. */
#pragma once

#include "core/base/json.h"

#include <paddock/abi.h>

struct tool_set {
    struct json_document *document; /* of tools_json; NULL: there are none */
};

/* Reads the array of tools. "" is none. */
pdk_status tool_set_read(struct tool_set *set, pdk_string tools_json, pdk_error *err);
void tool_set_done(struct tool_set *set);
/* The function's object {"name", "parameters", …}, or NULL. */
const struct json *tool_set_function(const struct tool_set *set, const char *name, size_t length);
/* Writes the value of a parameter as JSON, by what the function's schema says of it: a string stays one; numbers,
 * booleans, objects and lists are read; where the schema says nothing the text is a string, or JSON if `guess`. */
void tool_set_value(const struct tool_set *set, pdk_string function, pdk_string parameter, pdk_string text, bool guess,
    struct buffer *out);
