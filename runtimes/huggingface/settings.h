/* runtimes/huggingface/settings.h: what arguments and environment ask for, read once and checked against each other. */
#pragma once

#include "core/base/options.h"
#include "runtimes/huggingface/model/model.h"
#include "runtimes/huggingface/sampling/rules.h"

#include <paddock/draft/model.h>

enum { SETTINGS_NAMES_MAX = 64 };

struct settings {
    struct options *options;               /* owns every text below */
    const char *names[SETTINGS_NAMES_MAX]; /* served names, the first shown */
    uint32_t name_count;
    const char *root;      /* the model's id or path as clients see it */
    const char *tokenizer; /* file or folder, or NULL */
    const char *chat_template;
    const char *template_vars, *hf_overrides, *override_generation_config;
    const char *generation_folder; /* of --generation-config, or NULL */
    bool model_generation_config;  /* use the model's own */
    bool skip_tokenizer;
    enum model_purpose purpose; /* by --runner, --convert and --task */
    bool purpose_given;
    const char *task;          /* KServe's word, or NULL */
    const char *pooler_config; /* JSON */
    bool special_tokens;       /* around texts that are not prompts of a generation */
    bool wants_parts_given, wants_parts;
    int32_t kv_type;        /* PDK_TYPE_…, or 0: by the model */
    bool kv_rounded;        /* float16 was asked for, bfloat16 is what it gets */
    uint32_t max_model_len; /* 0: by the model, or what fits */
    bool fit_model_len, long_model_len;
    uint32_t max_sequences, max_rows, long_prefill, prefill_interval, stream_interval;
    bool rows_given; /* max_rows was asked for */
    bool chunked, reserve_prompt, caching, priorities;
    double watermark;
    uint32_t max_logprobs; /* UINT32_MAX: the vocabulary */
    enum logprobs_mode logprobs_mode;
    uint64_t kv_bytes;  /* 0: by the machine */
    uint32_t kv_blocks; /* 0: by bytes */
    uint64_t seed;
    uint32_t api_flags;       /* PDK_API_… */
    int32_t fingerprint_mode; /* PDK_FINGERPRINT_… */
    const char *fingerprint_text, *response_role, *root_path;
    double keep_alive_s;
    int64_t queued_requests_max, queued_tokens_max; /* -1: none */
};

/* `settings` is zeroed before; settings_done frees it, after a failure too. Borrows `spec` while it is used. */
pdk_status settings_read(struct settings *settings, const pdk_model_spec *spec, pdk_error *err);
void settings_done(struct settings *settings);
