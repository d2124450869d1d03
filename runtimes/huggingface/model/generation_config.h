/* runtimes/huggingface/model/generation_config.h: generation_config.json, or what a person puts over it: how a model's
 * maker wants tokens drawn. */
#pragma once

#include "core/base/json.h"

#include <paddock/draft/request.h>

/* Sets the fields that are there, with their has-bits; the rest of *sampling stays. Keys that are no sampling defaults
 * are left alone. `context` stands before the name in messages. */
pdk_status generation_config_read(
    const struct json *object, const char *context, pdk_sampling *sampling, pdk_error *err);
