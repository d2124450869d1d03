/* core/spec/resource.h: the resources of a set of files: read, checked, and in the form that KServe stores.
 *
 * A set is filled layer by layer (the shipped runtimes, then the administrator's); a runtime of a later layer replaces
 * the one of its name below. Trees and strings live as long as the set. */
#pragma once

#include "core/base/json.h"
#include "core/spec/schema.h"
#include "core/spec/schema_check.h"

enum { RESOURCES_MAX = 4096, RESOURCE_FILE_BYTES = 1 << 20 };

struct resource {
    const struct schema_kind *kind;
    const char *name;
    const char *namespace_; /* "default" when not given; "" of a cluster's */
    const char *file;       /* path that it stands in */
    uint32_t line;
    unsigned layer;
    const struct json *root; /* after rewriting: old predictor forms are `model` */
};

struct resource_set {
    struct resource *items;
    size_t count, room;
    struct resource_file *files; /* owners of trees and paths */
    struct buffer warnings;      /* a line each */
};

enum resource_syntax { SYNTAX_YAML, SYNTAX_CONF, SYNTAX_JSON };

void resource_set_done(struct resource_set *set);
/* Reads the documents of one text; `file` names it. All or nothing. */
pdk_status resource_set_read_text(struct resource_set *set, const char *file, enum resource_syntax syntax,
    const char *text, size_t length, unsigned layer, pdk_error *err);
/* By its ending: .yaml, .yml, .conf, .json. */
pdk_status resource_set_read_file(struct resource_set *set, const char *path, unsigned layer, pdk_error *err);
/* All files of a folder with one of these endings, by name; a folder that is not there is empty. Names that begin with
 * a dot are left out. */
pdk_status resource_set_read_folder(struct resource_set *set, const char *folder, unsigned layer, pdk_error *err);
/* NULL: none. */
const struct resource *resource_find(
    const struct resource_set *set, enum resource_kind kind, const char *namespace_, const char *name);
/* A label or annotation: `map` is "labels" or "annotations". NULL: none. */
const char *resource_meta(const struct resource *resource, const char *map, const char *key);
