/* runtimes/huggingface/model/experts_config.h: a mixture of experts by its configuration: a router, experts of which
 * each row goes to a few, and experts that all rows share. */
#pragma once

#include <paddock/draft/ops.h>
#include <stdbool.h>
#include <stdint.h>

enum expert_normalise { NORMALISE_BY_FILE, NORMALISE_ALWAYS, NORMALISE_NEVER };

/* What families differ in, of an architecture's row. */
struct expert_rules {
    const char *method; /* of choice, where the configuration has no topk_method; NULL: the best of all experts */
    int32_t score;      /* PDK_SCORE_…, where the configuration has no scoring_func */
    enum expert_normalise normalise;
    bool normalise_default; /* where config.json does not say */
    bool gguf_normalises;   /* and where a GGUF does not */
    bool clamped;           /* gate and up pass PDK_ACT_CLAMPED */
    bool transposed;        /* stacked tensors of safetensors are inputs x outputs, gate and up by turns */
};

struct experts_config {
    uint32_t count, chosen, inner; /* count 0: the model has none */
    uint32_t shared_inner;         /* of the shared experts together; 0: none */
    uint32_t groups, groups_chosen;
    int32_t score, group_score; /* PDK_SCORE_…, PDK_GROUP_… */
    bool normalise;
    double scale, alpha, limit;
    uint32_t extra_layers; /* behind the last one, which predict further tokens; not used */
};

struct config_reader;
struct model_config;

/* Fills config->experts and ->sparse; leaves them zeros where the row has no experts. */
pdk_status experts_config_read(struct config_reader *reader, struct model_config *config, pdk_error *err);
