/* core/gateway/openai/field_rows.h: the rows of the one table of fields. Only fields.c reads them. */
#pragma once

#include "core/gateway/openai/fields.h"

#include <stddef.h>

enum field_type { BOOL, INT, REAL, STRING, ARRAY, INTS, STRINGS, STRING_OR_STRINGS, OBJECT, REALS_BY_NAME, ANY };

enum field_class {
    USED,
    HARMLESS, /* cannot change the answer: accepted, and nothing said */
    IGNORED,  /* would change it elsewhere: accepted, and named in a Warning */
    REFUSED   /* known and not built here: 400, unless null or the default */
};

struct field_row {
    const char *name;
    int in;       /* the endpoints that know it */
    int nullable; /* those that take null */
    enum field_type type;
    enum field_class class;
    size_t to; /* USED: where in struct fields */
    bool bounded;
    int64_t least;        /* bounded INT and INTS */
    const char *standard; /* the default as JSON, beside null, false, "" and what is empty */
    const char *refusal;  /* REFUSED: vLLM's own words, else ours */
    const char *heeded;   /* IGNORED: the one member of such an object that has an effect */
};

size_t field_rows_count(void);
const struct field_row *field_row_at(size_t index);
/* The row of a field of that endpoint's body, or NULL: nobody knows it. */
const struct field_row *field_row_find(const char *name, enum endpoint endpoint);
/* Whether a value is what the field has when it is not sent, so that it asks for nothing. */
bool field_is_default(const struct field_row *row, const struct json *value, const struct json *body);
