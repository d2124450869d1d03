/* core/spec/schema_check.h: a tree against the schema. */
#pragma once

#include "core/base/json.h"
#include "core/spec/schema.h"

/* Where a document comes from, for messages, and where warnings go, one a line: "FILE:LINE: PATH: TEXT". */
struct spec_source {
    const char *file;
    bool pairs;              /* *.conf: a map may be a list of pairs name, value */
    struct buffer *warnings; /* NULL: not wanted */
};

/* Checks all of `root`. Lists of pairs become maps in the tree. On failure err->field is the path, err->value what
 * stands there, and the message begins with FILE:LINE. */
pdk_status schema_check(
    struct json *root, const struct schema_object *object, const struct spec_source *source, pdk_error *err);

/* "FILE:LINE: PATH: " and the rest; the line of `at`, which may be NULL. */
pdk_status spec_fail(const struct spec_source *source, const struct json *at, const char *path, pdk_error *err,
    const char *format, ...) PDK_PRINTF(5, 6);
void spec_warn(const struct spec_source *source, const struct json *at, const char *path, const char *format, ...)
    PDK_PRINTF(4, 5);

/* Whether `text` is one of `choices`, "a|b|c". */
bool schema_is_choice(const char *choices, const char *text);
