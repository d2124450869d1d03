/* core/gateway/openai/coerce.h: JSON values as Python's validator reads them in its lax mode, which clients rely on:
 * "5" is an integer, "yes" a boolean, 1.0 an integer, 1.5 is not. Each refuses with that validator's words; `location`
 * is the field's path ("body.n"). */
#pragma once

#include "core/base/json.h"

#include <stdbool.h>
#include <stdint.h>

pdk_status coerce_bool(const struct json *value, const char *location, bool *ret_value, pdk_error *err);
pdk_status coerce_int(const struct json *value, const char *location, int64_t *ret_value, pdk_error *err);
/* May give NaN or an infinity, from a string; ranges are the caller's. */
pdk_status coerce_real(const struct json *value, const char *location, double *ret_value, pdk_error *err);
pdk_status coerce_type(const struct json *value, enum json_type type, const char *location, pdk_error *err);
