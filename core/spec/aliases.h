/* core/spec/aliases.h: short names of models, rows of model-aliases.conf:
 * aliases = ( { name = "smollm2"; uri = "hf://HuggingFaceTB/SmolLM2-135M-Instruct"; } ); */
#pragma once

#include "core/base/buffer.h"

#include <paddock/abi.h>

/* Appends the URI that `name` stands for to `out`. PDK_NOT_FOUND: no row. A file that is not there has no rows. */
pdk_status alias_find(const char *path, const char *name, struct buffer *out, pdk_error *err);
