/* runtimes/huggingface/tools/harmony_types.h: tools as the TypeScript that gpt-oss was taught to read. */
#pragma once

#include "core/base/json.h"

/* Appends "namespace functions { … }" of an array of tools. */
void harmony_put_tools(struct buffer *out, const struct json *tools);
