/* core/cli/pull.h: fetching a model through paddock-fetch, with a progress bar. */
#pragma once

#include "core/base/paths.h"

#include <paddock/abi.h>
#include <stddef.h>

/* Fetches `uri` into the state folder and gives the path of the model. The bar goes to stderr when that is a terminal,
 * else a line a file. */
pdk_status pull_model(const struct paths *paths, const char *uri, char *ret_path, size_t room, pdk_error *err);
/* What a person calls a model: a path as it is; a URI, fetched; a short name of model-aliases.conf, looked up, fetched.
 * Gives an absolute path. */
pdk_status pull_resolve(const struct paths *paths, const char *model, char *ret_path, size_t room, pdk_error *err);
