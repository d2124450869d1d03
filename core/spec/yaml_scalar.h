/* core/spec/yaml_scalar.h: what a plain YAML scalar is. The rules are those of the YAML 1.1 reader that kubectl uses,
 * so that a document means the same here: yes and on are booleans, 010 is eight. */
#pragma once

#include "core/base/json.h"

enum { YAML_NUMBER_MAX = 64 };

/* Type of the plain scalar `text` (NULL, FALSE, TRUE, NUMBER or STRING). For NUMBER the number as JSON writes it goes
 * into `number`. PDK_INVALID: a number that has no JSON form (infinity, NaN, beyond 64 bits). */
pdk_status yaml_scalar(
    const char *text, size_t length, enum json_type *ret_type, char number[YAML_NUMBER_MAX], pdk_error *err);
