/* runtimes/huggingface/model/model_config.h: a decoder's configuration, checked, in the same words for every family and
 * both formats. */
#pragma once

#include "runtimes/huggingface/model/architectures.h"
#include "runtimes/huggingface/model/config_reader.h"
#include "runtimes/huggingface/model/experts_config.h"
#include "runtimes/huggingface/model/latent_config.h"
#include "runtimes/huggingface/model/quantisation.h"

enum { MODEL_LAYERS_MAX = 1024, MODEL_STOPS_MAX = 64, ROPE_FACTORS_MAX = 512 };

enum rope_type { ROPE_DEFAULT, ROPE_LINEAR, ROPE_DYNAMIC, ROPE_LLAMA3, ROPE_YARN, ROPE_LONG };

struct rope_config {
    enum rope_type type;
    uint32_t dims; /* of a head that turn: even */
    double theta;
    double factor;
    double original_context;
    double low_frequency_factor, high_frequency_factor; /* LLAMA3 */
    double beta_fast, beta_slow;                        /* YARN, as the rest */
    double attention_factor;                            /* 0: from `factor` and the two below; of LONG, too */
    double mscale, mscale_all_dim;
    bool truncate;
    double trained_context;          /* DYNAMIC and LONG: positions that the model was made for */
    double wanted_context;           /* DYNAMIC and LONG: the longest request to be served */
    uint32_t factor_count;           /* LONG from config.json: dims / 2; else 0 */
    float factors[ROPE_FACTORS_MAX]; /* what each frequency is divided by, chosen by the wanted context */
};

struct model_config {
    const struct architecture *row;
    enum model_use use;
    const char *prefix; /* that names in the file may lack; or NULL */
    bool from_gguf;
    uint32_t hidden, layers, heads, kv_heads, head_dim, inner, embedding_width;
    uint32_t vocabulary;      /* 0: the file does not say; the embedding's rows */
    uint32_t positions;       /* rows of learned positions, without the offset */
    uint32_t position_offset; /* the row of position 0 */
    uint32_t types;           /* segments that an encoder tells apart; 0: none */
    enum value_activation class_activation;
    uint32_t context; /* rope scaling included */
    uint32_t window;
    uint8_t windowed[MODEL_LAYERS_MAX]; /* the layer sees `window` positions */
    uint8_t turned[MODEL_LAYERS_MAX];   /* the layer's queries and keys are turned by position */
    uint8_t sparse[MODEL_LAYERS_MAX];   /* the layer has experts */
    struct experts_config experts;
    struct latent_config latent;
    double epsilon, embedding_scale, residual_scale, attention_scale, logit_scale, attention_cap, logit_cap;
    int32_t activation;
    bool norm_after, final_norm, parallel, tied;
    bool plain_norms;        /* norms have neither weight nor bias */
    bool residual_of_norm;   /* a block's output joins its normed input */
    bool scale_by_depth;     /* the attention's scale is divided by the layer's number, from 1 */
    uint64_t absent;         /* ROLE_BITs of the row's optional tensors that this model does without */
    uint64_t without_biases; /* ROLE_BITs that have none here, whatever the row says */
    enum positions positioning;
    int32_t rope_order;
    struct rope_config rope;
    struct rope_config local_rope; /* of layers with a window, where the row has a local_theta */
    struct quantisation quantisation;
    int64_t bos_id, pad_id; /* -1: none */
    uint32_t eos_ids[MODEL_STOPS_MAX];
    uint32_t eos_count;
};

/* Reads all of it. PDK_UNSUPPORTED names what is not known (architecture, rope type, activation, quantisation). */
pdk_status model_config_read(struct config_reader *reader, struct model_config *ret_config, pdk_error *err);

/* Adds ids of one number or a list of them (JSON), without doubles. `name` for messages. */
pdk_status model_config_add_eos(struct model_config *config, const char *name, const struct json *ids, pdk_error *err);

/* Parts of model_config_read. */
pdk_status encoder_config_read(struct config_reader *reader, struct model_config *config, pdk_error *err);
pdk_status layer_types_read(const struct json *types, struct model_config *config, pdk_error *err);
pdk_status layer_kinds_read(struct config_reader *reader, struct model_config *config, pdk_error *err);
pdk_status rope_config_read(struct config_reader *reader, struct model_config *config, pdk_error *err);
