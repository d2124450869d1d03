/* runtimes/huggingface/model/architectures.h: what makes a family of decoders differ from the next, as rows of a table.
 * A family is added by a row (and its fixture); nothing else asks for a family's name. */
#pragma once

#include "runtimes/huggingface/model/value_head.h"

#include <paddock/draft/ops.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct expert_rules;

/* What a tensor is for. Those from ROLE_ATTENTION_NORM on come once a layer. */
enum role {
    ROLE_EMBEDDING,
    ROLE_EMBEDDING_NORM,
    ROLE_TYPES, /* added by a token's segment */
    ROLE_POSITIONS,
    ROLE_PROJECT_IN,  /* from the embedding's width to the model's */
    ROLE_PROJECT_OUT, /* and back, before the head */
    ROLE_FINAL_NORM,
    ROLE_HEAD,
    ROLE_ROPE_FACTORS, /* GGUF: what each rope frequency is divided by */
    ROLE_ROPE_LONG,    /* GGUF: the same where the context is longer than the original one */
    ROLE_ROPE_SHORT,   /* and where it is not */
    ROLE_ATTENTION_NORM,
    ROLE_Q,
    ROLE_K,
    ROLE_V,
    ROLE_QKV, /* the three in one, in that order; or as `grouped_qkv` says */
    ROLE_Q_NORM,
    ROLE_K_NORM,
    ROLE_O,
    ROLE_ATTENTION_OUT_NORM, /* of the attention's output, before it joins the residual */
    ROLE_MLP_NORM,
    ROLE_GATE,
    ROLE_UP,
    ROLE_GATE_UP, /* the two in one, in that order */
    ROLE_DOWN,
    ROLE_MLP_OUT_NORM,
    ROLE_SINKS, /* a logit a head that joins attention's softmax */
    ROLE_ROUTER,
    ROLE_CORRECTION,  /* of the router's scores, for the choice alone */
    ROLE_EXPERT_GATE, /* of experts one by one, '#' in a name being the expert */
    ROLE_EXPERT_UP,
    ROLE_EXPERT_DOWN,
    ROLE_EXPERTS_GATE, /* of all experts in a stack */
    ROLE_EXPERTS_UP,
    ROLE_EXPERTS_GATE_UP,
    ROLE_EXPERTS_DOWN,
    ROLE_SHARED_GATE, /* of the experts that all rows share */
    ROLE_SHARED_UP,
    ROLE_SHARED_DOWN,
    ROLE_SHARED_ROUTER, /* what they are weighed by */
    ROLE_Q_A,           /* latent attention: the model's rows to narrow queries */
    ROLE_Q_A_NORM,
    ROLE_Q_B,  /* and those to queries */
    ROLE_KV_A, /* the model's rows to latent vectors and the shared key */
    ROLE_KV_A_NORM,
    ROLE_KV_B, /* latent vectors to each head's key and value */
    ROLE_K_B,  /* GGUF: the two apart, keys the other way round */
    ROLE_V_B,
    ROLE_COUNT
};

#define ROLE_BIT(role) (UINT64_C(1) << (role))

enum positions { POSITIONS_ROPE, POSITIONS_LEARNED, POSITIONS_ALIBI };

/* Values of a configuration that its file may leave out, as the family's first release did; 0: it must say. */
struct architecture_defaults {
    uint32_t heads, kv_heads, head_dim, vocabulary, context;
    uint32_t inner_multiple; /* the MLP's width, in widths of the model */
    double rope_theta;
    double rope_share; /* of a head that turns; 0: all */
    double query_scalar;
};

/* What a model is run for: tokens, or values of its hidden states. */
enum model_use { USE_GENERATE, USE_EMBED, USE_CLASSIFY, USE_CLASSIFY_TOKENS };

/* A dense layer between a hidden state and a class; see value_head.h. */
struct class_layer {
    const char *name;
    const char *norm; /* behind its activation, or NULL */
    enum value_activation activation;
    bool configured_activation; /* the configuration may say another one (classifier_activation) */
};
enum { CLASS_LAYERS_MAX = 3 };

struct architecture {
    const char *class_name; /* config.json's architectures[0] */
    const char *model_type; /* config.json's model_type */
    const char *gguf_name;  /* general.architecture; NULL: not read from GGUF */
    /* Names in safetensors, without ".weight" and ".bias", '%' for the layer (a second one for the head), alternatives
     * as "a|b"; NULL: the family has no such tensor. */
    const char *const *names;
    const char *const *gguf_names; /* and in GGUF, where they are not `gguf_names` */
    const char *prefix;            /* that older files leave out of every name, or NULL */
    const char *ignored;           /* beginnings, "a|b", of tensors that a decoder does not need; or NULL */
    uint64_t biases;               /* ROLE_BITs that have a bias always */
    uint64_t optional_biases;      /* and that may */
    uint64_t optional;             /* ROLE_BITs of norms that a configuration may leave out */
    uint64_t transposed;           /* ROLE_BITs of matrices that safetensors hold as inputs x outputs */
    bool
        grouped_qkv; /* safetensors: of each key head in turn, its queries, its key, its value; no stack of all three */
    bool text_config;          /* the decoder's configuration is the member text_config */
    bool encoder;              /* every token sees all of its sequence; there is no cache and no vocabulary's head */
    bool positions_behind_pad; /* learned positions begin behind the row of pad_token_id and are counted with it */
    /* What stands between a hidden state and a class; ended by a NULL name. */
    struct class_layer classes[CLASS_LAYERS_MAX], token_classes[CLASS_LAYERS_MAX], gguf_classes[CLASS_LAYERS_MAX];
    struct architecture_defaults defaults;
    int32_t norm;        /* PDK_NORM_… */
    double norm_epsilon; /* where the configuration does not say */
    bool norm_plus_one;  /* safetensors hold the norms' weights less 1 */
    bool norm_after;     /* norms stand behind the residual; the configuration may say (do_layer_norm_before) */
    bool parallel;       /* attention and MLP read the same input; the configuration may say (use_parallel_residual) */
    bool gated;
    bool tied;                /* where the configuration does not say */
    bool scaled_embedding;    /* embeddings times the square root of the width */
    bool inverse_logit_scale; /* logits are divided by logits_scaling */
    bool window_switch;       /* sliding_window counts only with use_sliding_window */
    bool gelu_is_tanh;        /* "gelu" in the configuration means gelu_pytorch_tanh */
    bool one_key_head;        /* multi_query without new_decoder_architecture: one key head, whatever is said */
    bool scaled_slopes;       /* ALiBi is added before attention's scale, not behind it */
    uint32_t window_pattern;  /* without layer_types, every so many-th layer sees all and the rest have the window */
    uint32_t width_scaled;    /* GGUF does not say: models of so many layers divide attention by sqrt(width / heads) */
    int32_t activation;       /* PDK_ACT_…, where the configuration does not say */
    uint32_t
        still_every; /* every so many-th layer leaves queries and keys unturned, where the configuration does not say */
    enum positions positions;
    uint32_t position_offset; /* of learned positions: the row of position 0 */
    int32_t rope_order;       /* PDK_ROPE_… in safetensors */
    int32_t gguf_rope_order;  /* and in GGUF, whose converter may have reordered rows */
    double local_theta;       /* of layers that have a window, which turn by a rope of their own; 0: as the others */
    bool gguf_unrounded;      /* yarn's bounds are real numbers, which GGUF does not say */
    const struct expert_rules *experts; /* NULL: the family has none */
};

/* By class and, where the file names none, by model_type; each may be NULL. NULL: not known. A row serves the classes
 * that differ from its own in their ending alone (Model, ForSequenceClassification, …); *ret_use tells what for. */
const struct architecture *architecture_find(const char *class_name, const char *model_type, enum model_use *ret_use);
/* `experts`: the file has them; llama.cpp keeps such families under a dense one's name. */
const struct architecture *architecture_find_gguf(const char *name, bool experts);
/* "a, b, c": what is known, for messages. */
void architectures_list(bool gguf, char *text, size_t room);

/* The rows, by kind of family. */
extern const struct architecture families_rope[];
extern const size_t families_rope_count;
extern const struct architecture families_moe[];
extern const size_t families_moe_count;
extern const struct architecture families_gpt[];
extern const size_t families_gpt_count;
extern const struct architecture families_encoder[];
extern const size_t families_encoder_count;

/* The names in GGUF, the same for nearly all families. */
extern const char *const gguf_names[ROLE_COUNT];

static inline bool architecture_has(const struct architecture *row, enum role role)
{
    return row->names[role] != NULL;
}
