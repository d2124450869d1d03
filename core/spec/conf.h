/* core/spec/conf.h: files in libconfig's syntax (*.conf), into the tree of core/base/json.h.
 *
 * The parser is libconfig's; a scan before it refuses what the library would let pass: integers that wrap, @include,
 * deep nesting, bytes that are no UTF-8. Groups become objects, lists and arrays become arrays. */
#pragma once

#include "core/base/json.h"

/* Gives the tree; its root is an object. On failure the error's field is "conf" and its message ends in the line. */
pdk_status conf_read(const char *text, size_t length, struct json_document **ret_document, pdk_error *err);
