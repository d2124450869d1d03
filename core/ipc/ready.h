/* core/ipc/ready.h: what a worker tells of its model once it is loaded, as the daemon keeps it. */
#pragma once

#include "core/base/buffer.h"
#include "core/base/json.h"

#include <paddock/draft/model.h>
#include <stdbool.h>
#include <stdint.h>

enum ready_extension {
    READY_GENERATE = 1u << 0,
    READY_TOKENIZE = 1u << 1,
    READY_INFER = 1u << 2,
    READY_POOL = 1u << 3
};

enum { READY_NAMES_MAX = 64, READY_EOS_MAX = 64, READY_CLASSES_MAX = 4096, READY_DIMENSIONS_MAX = 64 };

struct ready_info {
    uint32_t extensions;      /* READY_… */
    uint32_t vocabulary_size; /* 0: none */
    uint32_t max_model_len;   /* 0: no limit */
    uint32_t max_logprobs;    /* UINT32_MAX: the whole vocabulary */
    uint32_t name_count;      /* at least 1 */
    uint32_t eos_count;
    bool has_tokenizer, has_template;
    bool auto_tools, forced_tools, parses_reasoning;
    bool scores_pairs_by_cosine, matryoshka;
    uint32_t pooling_tasks; /* bit t: PDK_POOL_… t */
    uint32_t pooled_size, class_count, dimension_count;
    uint32_t dimensions[READY_DIMENSIONS_MAX];
    char **class_labels;          /* [class_count], or NULL */
    char *names[READY_NAMES_MAX]; /* served names; the first is shown in answers */
    uint32_t eos_ids[READY_EOS_MAX];
    uint32_t api_flags; /* PDK_API_… */
    uint32_t fingerprint_mode, keep_alive_ms;
    char *fingerprint_text, *response_role; /* "" where there is none */
    char *root_path;                        /* "/x", or "": requests come below it too */
    char *root;
    char *fingerprint; /* 8 hex digits */
    char *runtime;     /* the plugin's name */
    char *sandbox;     /* what of it is in force, or what is missing */
    uint64_t memory_bytes;
    pdk_sampling defaults;
};

/* Reads the payload of a ready frame. Gives `ret_info`. PDK_INVALID names the field. */
pdk_status ready_info_read(const struct json *payload, struct ready_info **ret_info, pdk_error *err);
/* Writes the payload; the worker's side of ready_info_read. Strings may be NULL: left out. */
void ready_info_write(struct buffer *out, const struct ready_info *info);
struct ready_info *ready_info_free(struct ready_info *info); /* takes NULL, returns NULL */
