/* core/spec/yaml.h: YAML as Kubernetes reads it, into the tree of core/base/json.h.
 *
 * The parser is libyaml's, driven by events under budgets, since a document may be hostile: 1 MiB, 64 levels, 10,000
 * values; no anchors, aliases or merge keys, no tags but the core ones, no key twice. */
#pragma once

#include "core/base/json.h"

/* Reads all documents of `text`. Gives a tree whose root is the array of them; empty documents are left out. On failure
 * the error's field is "yaml" and its message ends in line and column. */
pdk_status yaml_read(const char *text, size_t length, struct json_document **ret_documents, pdk_error *err);
