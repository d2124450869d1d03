/* runtimes/huggingface/model/model.h: a loaded decoder: its configuration, its weights on the compute plugin, and its
 * forward, one for all families, steered by the architecture's row (architectures.h). */
#pragma once

#include "runtimes/huggingface/model/architectures.h"
#include "runtimes/huggingface/model/gguf.h"
#include "runtimes/huggingface/model/pooling_config.h"

#include <paddock/draft/ops.h>
#include <stdbool.h>
#include <stdint.h>

enum { MODEL_EOS_MAX = 64 };

/* What the rest of the runtime needs to know. */
struct model_facts {
    char architecture[64];
    uint32_t vocabulary_size; /* rows of the head */
    uint32_t context_length;  /* what the model was made for, rope scaling included */
    uint32_t layers, heads, kv_heads, head_dim, hidden;
    enum model_use use;
    bool encoder;                    /* needs a whole sequence in one step, and no cache between steps */
    uint32_t types;                  /* segments of a pair that it tells apart; 0: none */
    uint32_t hidden_columns;         /* of a hidden state, of which model_hidden gives rows */
    int64_t bos_id, pad_id;          /* -1: none */
    uint32_t eos_ids[MODEL_EOS_MAX]; /* config.json's and generation_config.json's, "the" one first */
    uint32_t eos_count;
    int32_t weight_type;      /* PDK_TYPE_… of most weights */
    const char *quantisation; /* config.json's method ("awq"); NULL: none */
    uint64_t weight_bytes;    /* packed */
    uint64_t content_hash;    /* of configuration, tensor names, shapes and sampled data; for the fingerprint */
    pdk_sampling defaults;    /* generation_config.json's */
};

/* What the caller wants a model for; by its class a model knows that itself. */
enum model_purpose {
    MODEL_BY_CLASS,
    MODEL_FOR_TOKENS,
    MODEL_FOR_VALUES,     /* classes where it has them, else embeddings */
    MODEL_FOR_EMBEDDINGS, /* whatever its class */
    MODEL_FOR_CLASSES
};

struct model_request {
    enum model_purpose purpose;
    const char *path;      /* folder or .gguf file */
    const char *overrides; /* --hf-overrides, JSON, or NULL */
    bool use_generation_config;
    uint32_t context_length; /* the longest request to be served, by which some ropes choose; 0: what the model says */
    const struct pdk_ops *ops;
    void *compute;
    /* Called as bytes are packed; may be NULL. */
    void (*progress)(void *context, double fraction);
    void *progress_context;
    /* Told what was accepted without effect, a sentence each; may be NULL. */
    void (*note)(void *progress_context, const char *text);
    uint64_t memory_bytes; /* budget for weights; 0: none. "needs 5.1 GiB, limit 4 GiB" comes before any allocation */
};

struct model;

/* [main-thread] */
pdk_status model_load(const struct model_request *request, struct model **ret_model, pdk_error *err);
struct model *model_free(struct model *model); /* takes NULL, returns NULL */
const struct model_facts *model_facts(const struct model *model);
const struct gguf *model_gguf(
    const struct model *model); /* NULL when it came from safetensors; lives as long as the model */
/* The folder it came from (of the .gguf's, too), where tokenizer files lie. */
const char *model_folder(const struct model *model);

/* Cache and room for steps of up to max_rows rows of which max_outputs are sampled; blocks of PDK_KV_BLOCK_TOKENS. */
uint64_t model_kv_block_bytes(const struct model *model, int32_t kv_type);
/* Bytes of the activations that model_prepare will hold. */
uint64_t model_activation_bytes(const struct model *model, uint32_t max_rows, uint32_t max_outputs);
pdk_status model_prepare(struct model *model, int32_t kv_type, uint32_t blocks, uint32_t max_rows, uint32_t max_outputs,
    pdk_error *err); /* [main-thread] */
/* Records and runs one step: the forward over `batch`, then the sampling of `samples`, whose logits_row counts the
 * batch's output rows. Copies first the blocks of `copies` (from, to pairs). Waits. No allocation. [engine-thread] */
pdk_status model_step(struct model *model, const pdk_batch *batch, const uint32_t (*copies)[2], size_t copy_count,
    pdk_sample_row *samples, uint32_t sample_count, pdk_error *err);
/* Hidden states of the last step's rows [first, first + count), behind the last norm; for models whose use is not
 * USE_GENERATE. [engine-thread] */
void model_hidden(const struct model *model, uint32_t first, uint32_t count, float *out);
/* What its configuration says about values, and what makes classes of a hidden state (no layers: nothing does). Live as
 * long as the model. [any-thread] */
const struct pooling_config *model_pooling(const struct model *model);
const struct value_head *model_classes(const struct model *model);
/* Logits of the last step, [output_count][vocabulary], for tests. */
void model_logits(struct model *model, uint32_t first, uint32_t count, float *out);
