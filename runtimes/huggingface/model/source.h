/* runtimes/huggingface/model/source.h: where a model's parts lie. A folder holds config.json and safetensors, or
 * exactly one GGUF (split parts count as one); or the path names a .gguf file. Pickled weights are never opened. */
#pragma once

#include "core/base/json.h"
#include "runtimes/huggingface/model/tensors.h"

struct source {
    char *folder;
    struct json_document *config;     /* config.json; NULL for a GGUF */
    struct json_document *generation; /* generation_config.json, or NULL */
    struct gguf *gguf;                /* or NULL */
    struct safetensors **files;
    size_t file_count;
    struct tensors tensors;
};

/* Opens and checks all of it. PDK_NOT_FOUND: no model there; the message lists what is. */
pdk_status source_open(const char *path, struct source *ret_source, pdk_error *err);
/* Closes the safetensors and forgets the tensors; a GGUF stays, for its vocabulary. */
void source_drop_weights(struct source *source);
void source_done(struct source *source);
