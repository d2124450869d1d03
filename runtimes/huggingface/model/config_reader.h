/* runtimes/huggingface/model/config_reader.h: the fields of a model's configuration, from config.json or a GGUF's
 * metadata, with --hf-overrides before either. Every number has a range; a field's names are alternatives
 * ("hidden_size|n_embd"). */
#pragma once

#include "core/base/json.h"
#include "runtimes/huggingface/model/gguf.h"

enum { OVERRIDES_MAX = 128 };

struct config_reader {
    const struct json *file;      /* config.json's object, or NULL */
    const struct json *outer;     /* the object around it, for what it leaves out; or NULL */
    const struct gguf *gguf;      /* or NULL */
    char prefix[64];              /* of the GGUF's keys: its architecture */
    uint32_t wanted_context;      /* the longest request to be served; 0: the model's own */
    const struct json *overrides; /* an object, or NULL */
    bool used[OVERRIDES_MAX];     /* overrides that a field was read from */
};

/* `config` and `gguf`: one of them. `overrides` is an object or NULL. */
pdk_status config_reader_init(struct config_reader *reader, const struct json *config, const struct gguf *gguf,
    const struct json *overrides, pdk_error *err);
/* An override that nothing read has no effect, so it is refused. */
pdk_status config_reader_finish(const struct config_reader *reader, pdk_error *err);

/* The value of the first name that is there and not null: of the overrides, else of the file. NULL: absent. */
const struct json *config_find(struct config_reader *reader, const char *names);
const struct json *config_override(struct config_reader *reader, const char *names);

struct config_field {
    const char *names; /* in config.json */
    const char *gguf;  /* key behind the prefix; NULL: GGUF has no such field. With a '.' in front: the whole key */
    double minimum, maximum;
};

/* *value stays as it was (the default) where the field is absent; ret_found may be NULL. */
pdk_status config_uint(
    struct config_reader *reader, const struct config_field *field, uint32_t *value, bool *ret_found, pdk_error *err);
pdk_status config_real(
    struct config_reader *reader, const struct config_field *field, double *value, bool *ret_found, pdk_error *err);
pdk_status config_flag(struct config_reader *reader, const char *names, bool *value, pdk_error *err);
/* The same, with a GGUF's key behind the prefix. */
pdk_status config_flag_or_key(
    struct config_reader *reader, const char *names, const char *gguf, bool *value, pdk_error *err);
/* config.json only. */
pdk_status config_text(struct config_reader *reader, const char *names, const char **value, pdk_error *err);

/* A number of a JSON object that is not the configuration's own (rope parameters, generation_config.json). `context`
 * stands before the name in messages. */
pdk_status json_real(const struct json *object, const char *context, const struct config_field *field, double *value,
    bool *ret_found, pdk_error *err);
