/* core/control/location.h: where a service's model is on this machine. Looks at the file system, downloads nothing. */
#pragma once

#include "core/base/buffer.h"
#include "core/spec/plan.h"

struct location_roots {
    const char *state;      /* models/ is below it */
    const char *aliases[2]; /* model-aliases.conf: /etc's first, then the shipped one */
};

/* Appends the absolute path to `ret_path`; nothing when the service names no model and its runtime needs none.
 * PDK_NOT_FOUND: it is not there, the message says how to get it. PDK_UNSUPPORTED: a kind of address that is not
 * served. PDK_INVALID: what is there is no model that the runtime takes; the message lists what is. */
pdk_status location_find(
    const struct plan *plan, const struct location_roots *roots, struct buffer *ret_path, pdk_error *err);
