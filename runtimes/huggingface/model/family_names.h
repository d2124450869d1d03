/* runtimes/huggingface/model/family_names.h: pieces that several families' tables of names and biases share; for the
 * families_*.c files. */
#pragma once

#include "runtimes/huggingface/model/architectures.h"

#define LAYER "model.layers.%."
#define ENDS  [ROLE_EMBEDDING] = "model.embed_tokens", [ROLE_FINAL_NORM] = "model.norm", [ROLE_HEAD] = "lm_head"
#define ATTENTION                                                                                                  \
    [ROLE_Q] = LAYER "self_attn.q_proj", [ROLE_K] = LAYER "self_attn.k_proj", [ROLE_V] = LAYER "self_attn.v_proj", \
    [ROLE_O] = LAYER "self_attn.o_proj"
#define HEAD_NORMS [ROLE_Q_NORM] = LAYER "self_attn.q_norm", [ROLE_K_NORM] = LAYER "self_attn.k_norm"
#define NORMS      [ROLE_ATTENTION_NORM] = LAYER "input_layernorm", [ROLE_MLP_NORM] = LAYER "post_attention_layernorm"
#define GATED_MLP \
    [ROLE_GATE] = LAYER "mlp.gate_proj", [ROLE_UP] = LAYER "mlp.up_proj", [ROLE_DOWN] = LAYER "mlp.down_proj"

#define HEAD_NORM_BITS (ROLE_BIT(ROLE_Q_NORM) | ROLE_BIT(ROLE_K_NORM))
#define QKV_BITS       (ROLE_BIT(ROLE_Q) | ROLE_BIT(ROLE_K) | ROLE_BIT(ROLE_V))
#define GATED_BITS     (ROLE_BIT(ROLE_GATE) | ROLE_BIT(ROLE_UP) | ROLE_BIT(ROLE_DOWN))
#define NORM_BITS      (ROLE_BIT(ROLE_ATTENTION_NORM) | ROLE_BIT(ROLE_MLP_NORM) | ROLE_BIT(ROLE_FINAL_NORM))
#define PLAIN_BITS     (QKV_BITS | ROLE_BIT(ROLE_O) | ROLE_BIT(ROLE_UP) | ROLE_BIT(ROLE_DOWN))
