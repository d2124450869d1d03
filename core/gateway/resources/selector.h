/* core/gateway/resources/selector.h: labelSelector and fieldSelector of a list. */
#pragma once

#include "core/base/json.h"

#include <stdbool.h>

/* Whether `object` passes both. Labels: "a=b", "a==b", "a!=b", "a", "!a"; fields: metadata.name, metadata.namespace,
 * status.phase by = and !=; commas mean and. "" passes all. PDK_INVALID: malformed. PDK_UNSUPPORTED: a set
 * ("in", "notin") or another field. */
pdk_status selector_match(
    const char *labels, const char *fields, const struct json *object, bool *ret_matches, pdk_error *err);
