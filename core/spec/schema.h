/* core/spec/schema.h: every field of the resources, in one table: its KServe name, type, limits and default, what this
 * release does with it, and one line that explains it. Validation, messages and documentation read nothing else. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum field_type {
    FIELD_TEXT,
    FIELD_INTEGER,
    FIELD_BOOLEAN,
    FIELD_QUANTITY,     /* "500m", "4Gi", 4 */
    FIELD_SCALAR,       /* a text or an integer */
    FIELD_OBJECT,       /* fields of `object` */
    FIELD_LIST,         /* of objects with the fields of `object` */
    FIELD_TEXTS,        /* list of texts */
    FIELD_TEXT_MAP,     /* free keys, texts; in *.conf also a list of pairs name, value */
    FIELD_QUANTITY_MAP, /* free keys, quantities; the same */
    FIELD_ANY           /* not looked into */
};

/* What this release does with a field that is there. */
enum field_use {
    FIELD_USED,
    FIELD_KEPT,   /* shown again as it is; nothing depends on it here */
    FIELD_WARNED, /* accepted without effect; a warning says so with the field's doc line */
    FIELD_REFUSED /* an error says so with the field's doc line */
};

struct schema_object;

struct schema_field {
    const char *name;
    enum field_type type;
    enum field_use use;
    const char *doc;
    const struct schema_object *object;
    bool required;
    int64_t minimum, maximum; /* of INTEGER; both 0: a 64-bit integer */
    const char *choices;      /* of TEXT: "all|request|response"; NULL: any */
    const char *standard;     /* default, as a person would write it; NULL: none */
};

struct schema_object {
    const struct schema_field *fields;
    size_t count;
    const struct schema_object *extends; /* whose fields it has too; NULL: none */
};

enum resource_kind {
    RESOURCE_INFERENCE_SERVICE,
    RESOURCE_SERVING_RUNTIME,
    RESOURCE_CLUSTER_SERVING_RUNTIME,
    RESOURCE_KINDS
};

struct schema_kind {
    const char *kind, *api_version;
    enum resource_kind resource;
    bool namespaced;
    const struct schema_object *object;
};

/* The row of a kind, or NULL: not one that is served. */
const struct schema_kind *schema_kind(const char *kind);
const struct schema_kind *schema_kind_at(enum resource_kind resource);
/* NULL: `kind` is not known at all; else why this release does not serve it. */
const char *schema_kind_refused(const char *kind);
/* A field by name, through what the object extends; NULL: none. */
const struct schema_field *schema_field(const struct schema_object *object, const char *name, size_t length);
