/* runtimes/huggingface/model/decoder.h: what a loaded model is made of; for the files of this folder. */
#pragma once

#include "runtimes/huggingface/model/model.h"
#include "runtimes/huggingface/model/model_config.h"
#include "runtimes/huggingface/model/source.h"

struct linear {
    pdk_weight *weight;
    pdk_vector *bias; /* or NULL */
};

struct norm {
    pdk_vector *weight; /* NULL: the model has no norm here */
    pdk_vector *bias;   /* or NULL */
    uint32_t group;     /* of norms on query and key heads: the columns that are one row */
    bool each_head;     /* and the weight has numbers for every head, not for one */
};

struct turning {
    pdk_vector *frequencies; /* or NULL */
    float magnitude;
};

/* A mixture of experts; weights that are NULL are what the model lacks. */
struct expert_layer {
    struct linear router;
    pdk_vector *correction;
    pdk_weight **up, **down; /* [experts] */
    pdk_vector *up_bias, *down_bias;
    struct linear shared_router, shared_up, shared_down;
};

/* Latent attention, of which the cache holds `latent`'s rows. */
struct latent_layer {
    struct linear narrow_query, query, latent;
    struct norm query_norm, latent_norm;
    pdk_weight **keys, **values; /* [heads] */
};

struct layer {
    struct norm attention_norm, q_norm, k_norm, attention_out_norm, mlp_norm, mlp_out_norm;
    struct linear qkv, o, up, down; /* `up` is gate and up together where the family is gated */
    pdk_vector *sinks;              /* of attention, or NULL */
    struct expert_layer experts;    /* in place of up and down, where the configuration has the layer sparse */
    struct latent_layer latent;     /* in place of qkv, where it has a latent rank */
};

struct decoder {
    struct linear embedding; /* for the head too where the model is tied */
    struct linear positions, types, project_in, project_out, head;
    struct norm embedding_norm, final_norm;
    struct turning rope, local_rope; /* of all layers; of those with a window, where they differ */
    pdk_vector *slopes;              /* of ALiBi, or NULL */
    struct layer *layers;
};

/* Activations: [max_rows][columns], but logits: [max_outputs][vocabulary]. */
struct activations {
    pdk_rows *residual; /* what layers add to */
    pdk_rows *normed;   /* and its norm */
    pdk_rows *side;     /* a block's output that is normed before it joins; NULL where none is */
    pdk_rows *qkv, *heads, *inner;
    pdk_rows *narrow; /* of the embedding's own width; NULL where it is the model's */
    /* Of experts: what the router gives, who goes where, [rows * chosen] inner ones; and the same of shared ones. */
    pdk_rows *products, *route, *expert_inner, *shared, *shared_product, *shared_route;
    pdk_rows *latent, *narrow_query; /* of latent attention, whose queries are `qkv` */
    pdk_rows *logits;                /* NULL where no token is drawn */
    const pdk_rows *hidden;          /* where the last step left its hidden states: one of the above */
};

struct model {
    struct source source;
    struct model_config config;
    struct pooling_config pooling;
    struct value_head classes;
    struct model_facts facts;
    const pdk_ops *ops;
    void *compute;
    struct decoder decoder;
    struct activations rows;
    pdk_kv *kv;
    pdk_queue *queue;
    uint32_t max_rows, max_outputs, max_copies;
};

/* Finds and checks every tensor against the configuration, compares the bytes with the budget, then packs them on the
 * backend. `config` gets the vocabulary where it had none. */
pdk_status weights_load(struct model *model, const struct model_request *request, pdk_error *err);
void weights_free(struct model *model);
void experts_free(const struct model *model, struct expert_layer *layer);
void latent_free(const struct model *model, struct latent_layer *layer);
/* Parts of weights_load: the layers of the model's classes, where it is run for them; and whether a tensor is of such a
 * layer, wanted or not. */
pdk_status classes_load(struct model *model, pdk_error *err);
bool classes_name(const struct model_config *config, pdk_string name);
