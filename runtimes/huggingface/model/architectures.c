/* The table. A row stands here only if a model of its family gives the reference's logits in the tests. */
#include "config.h"

#include "runtimes/huggingface/model/architectures.h"

#include <stdio.h>
#include <string.h>

#define LAYER "model.layers.%."
#define ENDS  [ROLE_EMBEDDING] = "model.embed_tokens", [ROLE_FINAL_NORM] = "model.norm", [ROLE_HEAD] = "lm_head"
#define ATTENTION                                                                                                  \
    [ROLE_Q] = LAYER "self_attn.q_proj", [ROLE_K] = LAYER "self_attn.k_proj", [ROLE_V] = LAYER "self_attn.v_proj", \
    [ROLE_O] = LAYER "self_attn.o_proj"
#define HEAD_NORMS [ROLE_Q_NORM] = LAYER "self_attn.q_norm", [ROLE_K_NORM] = LAYER "self_attn.k_norm"
#define NORMS      [ROLE_ATTENTION_NORM] = LAYER "input_layernorm", [ROLE_MLP_NORM] = LAYER "post_attention_layernorm"
#define GATED_MLP \
    [ROLE_GATE] = LAYER "mlp.gate_proj", [ROLE_UP] = LAYER "mlp.up_proj", [ROLE_DOWN] = LAYER "mlp.down_proj"

static const char *const llama_names[ROLE_COUNT] = {ENDS, ATTENTION, NORMS, GATED_MLP};
static const char *const qwen3_names[ROLE_COUNT] = {ENDS, ATTENTION, HEAD_NORMS, NORMS, GATED_MLP};
static const char *const olmo2_names[ROLE_COUNT] = {ENDS, ATTENTION, HEAD_NORMS,
    GATED_MLP, [ROLE_ATTENTION_OUT_NORM] = LAYER "post_attention_layernorm",
    [ROLE_MLP_OUT_NORM] = LAYER "post_feedforward_layernorm"};
static const char *const gemma2_names[ROLE_COUNT] = {ENDS, ATTENTION, GATED_MLP,
    [ROLE_ATTENTION_NORM] = LAYER "input_layernorm", [ROLE_ATTENTION_OUT_NORM] = LAYER "post_attention_layernorm",
    [ROLE_MLP_NORM] = LAYER "pre_feedforward_layernorm", [ROLE_MLP_OUT_NORM] = LAYER "post_feedforward_layernorm"};
static const char *const starcoder2_names[ROLE_COUNT] = {
    ENDS, ATTENTION, NORMS, [ROLE_UP] = LAYER "mlp.c_fc", [ROLE_DOWN] = LAYER "mlp.c_proj"};
static const char *const phi_names[ROLE_COUNT] = {[ROLE_EMBEDDING] = "model.embed_tokens",
    [ROLE_FINAL_NORM] = "model.final_layernorm",
    [ROLE_HEAD] = "lm_head",
    [ROLE_ATTENTION_NORM] = LAYER "input_layernorm",
    [ROLE_Q] = LAYER "self_attn.q_proj",
    [ROLE_K] = LAYER "self_attn.k_proj",
    [ROLE_V] = LAYER "self_attn.v_proj",
    [ROLE_O] = LAYER "self_attn.dense",
    [ROLE_UP] = LAYER "mlp.fc1",
    [ROLE_DOWN] = LAYER "mlp.fc2"};
static const char *const phi3_names[ROLE_COUNT] = {ENDS,
    NORMS, [ROLE_QKV] = LAYER "self_attn.qkv_proj", [ROLE_O] = LAYER "self_attn.o_proj",
    [ROLE_GATE_UP] = LAYER "mlp.gate_up_proj", [ROLE_DOWN] = LAYER "mlp.down_proj"};

static const char *const cohere_names[ROLE_COUNT] = {
    ENDS,
    ATTENTION,
    GATED_MLP,
    [ROLE_ATTENTION_NORM] = LAYER "input_layernorm",
};
static const char *const glm4_names[ROLE_COUNT] = {
    ENDS,
    ATTENTION,
    [ROLE_ATTENTION_NORM] = LAYER "input_layernorm",
    [ROLE_ATTENTION_OUT_NORM] = LAYER "post_self_attn_layernorm",
    [ROLE_MLP_NORM] = LAYER "post_attention_layernorm",
    [ROLE_GATE_UP] = LAYER "mlp.gate_up_proj",
    [ROLE_DOWN] = LAYER "mlp.down_proj",
    [ROLE_MLP_OUT_NORM] = LAYER "post_mlp_layernorm",
};

#define OPT "model.decoder."
static const char *const opt_names[ROLE_COUNT] = {
    [ROLE_EMBEDDING] = OPT "embed_tokens",
    [ROLE_POSITIONS] = OPT "embed_positions",
    [ROLE_PROJECT_IN] = OPT "project_in",
    [ROLE_PROJECT_OUT] = OPT "project_out",
    [ROLE_FINAL_NORM] = OPT "final_layer_norm",
    [ROLE_HEAD] = "lm_head",
    [ROLE_ATTENTION_NORM] = OPT "layers.%.self_attn_layer_norm",
    [ROLE_Q] = OPT "layers.%.self_attn.q_proj",
    [ROLE_K] = OPT "layers.%.self_attn.k_proj",
    [ROLE_V] = OPT "layers.%.self_attn.v_proj",
    [ROLE_O] = OPT "layers.%.self_attn.out_proj",
    [ROLE_MLP_NORM] = OPT "layers.%.final_layer_norm",
    [ROLE_UP] = OPT "layers.%.fc1",
    [ROLE_DOWN] = OPT "layers.%.fc2",
};

const char *const gguf_names[ROLE_COUNT] = {
    [ROLE_EMBEDDING] = "token_embd",
    [ROLE_POSITIONS] = "position_embd",
    [ROLE_FINAL_NORM] = "output_norm",
    [ROLE_HEAD] = "output",
    [ROLE_ROPE_FACTORS] = "rope_freqs",
    [ROLE_ATTENTION_NORM] = "blk.%.attn_norm",
    [ROLE_Q] = "blk.%.attn_q",
    [ROLE_K] = "blk.%.attn_k",
    [ROLE_V] = "blk.%.attn_v",
    [ROLE_QKV] = "blk.%.attn_qkv",
    [ROLE_Q_NORM] = "blk.%.attn_q_norm",
    [ROLE_K_NORM] = "blk.%.attn_k_norm",
    [ROLE_O] = "blk.%.attn_output",
    [ROLE_ATTENTION_OUT_NORM] = "blk.%.post_attention_norm",
    [ROLE_MLP_NORM] = "blk.%.ffn_norm",
    [ROLE_GATE] = "blk.%.ffn_gate",
    [ROLE_UP] = "blk.%.ffn_up",
    [ROLE_DOWN] = "blk.%.ffn_down",
    [ROLE_MLP_OUT_NORM] = "blk.%.post_ffw_norm",
};

#define QKV_BITS   (ROLE_BIT(ROLE_Q) | ROLE_BIT(ROLE_K) | ROLE_BIT(ROLE_V))
#define GATED_BITS (ROLE_BIT(ROLE_GATE) | ROLE_BIT(ROLE_UP) | ROLE_BIT(ROLE_DOWN))
#define NORM_BITS  (ROLE_BIT(ROLE_ATTENTION_NORM) | ROLE_BIT(ROLE_MLP_NORM) | ROLE_BIT(ROLE_FINAL_NORM))
#define PLAIN_BITS (QKV_BITS | ROLE_BIT(ROLE_O) | ROLE_BIT(ROLE_UP) | ROLE_BIT(ROLE_DOWN))

static const struct architecture rows[] = {
    {
        .class_name = "LlamaForCausalLM",
        .model_type = "llama",
        .gguf_name = "llama",
        .names = llama_names,
        .optional_biases = QKV_BITS | ROLE_BIT(ROLE_O) | GATED_BITS,
        .norm = PDK_NORM_RMS,
        .norm_epsilon = 1e-6,
        .gated = true,
        .activation = PDK_ACT_SILU,
        .gguf_rope_order = PDK_ROPE_PAIRS,
        .rope_theta = 10000,
    },
    {
        .class_name = "MistralForCausalLM",
        .model_type = "mistral",
        .names = llama_names,
        .norm = PDK_NORM_RMS,
        .norm_epsilon = 1e-6,
        .gated = true,
        .activation = PDK_ACT_SILU,
        .rope_theta = 10000,
    },
    {
        .class_name = "Qwen2ForCausalLM",
        .model_type = "qwen2",
        .names = llama_names,
        .biases = QKV_BITS,
        .norm = PDK_NORM_RMS,
        .norm_epsilon = 1e-6,
        .gated = true,
        .window_switch = true,
        .activation = PDK_ACT_SILU,
        .rope_theta = 10000,
    },
    {
        .class_name = "Qwen3ForCausalLM",
        .model_type = "qwen3",
        .names = qwen3_names,
        .optional_biases = QKV_BITS | ROLE_BIT(ROLE_O),
        .norm = PDK_NORM_RMS,
        .norm_epsilon = 1e-6,
        .gated = true,
        .window_switch = true,
        .activation = PDK_ACT_SILU,
        .rope_theta = 10000,
    },
    {
        .class_name = "SmolLM3ForCausalLM",
        .model_type = "smollm3",
        .names = llama_names,
        .optional_biases = QKV_BITS | ROLE_BIT(ROLE_O) | GATED_BITS,
        .norm = PDK_NORM_RMS,
        .norm_epsilon = 1e-6,
        .gated = true,
        .tied = true,
        .window_switch = true,
        .still_every = 4,
        .activation = PDK_ACT_SILU,
        .rope_theta = 2000000,
    },
    {
        .class_name = "GraniteForCausalLM",
        .model_type = "granite",
        .names = llama_names,
        .optional_biases = QKV_BITS | ROLE_BIT(ROLE_O) | GATED_BITS,
        .norm = PDK_NORM_RMS,
        .norm_epsilon = 1e-6,
        .gated = true,
        .inverse_logit_scale = true,
        .activation = PDK_ACT_SILU,
        .rope_theta = 10000,
    },
    {
        .class_name = "Olmo2ForCausalLM",
        .model_type = "olmo2",
        .names = olmo2_names,
        .optional_biases = QKV_BITS | ROLE_BIT(ROLE_O),
        .norm = PDK_NORM_RMS,
        .norm_epsilon = 1e-5,
        .gated = true,
        .activation = PDK_ACT_SILU,
        .rope_theta = 10000,
    },
    {
        .class_name = "StableLmForCausalLM",
        .model_type = "stablelm",
        .names = llama_names,
        .biases = NORM_BITS,
        .optional_biases = QKV_BITS,
        .norm = PDK_NORM_LAYER,
        .norm_epsilon = 1e-5,
        .gated = true,
        .activation = PDK_ACT_SILU,
        .rope_theta = 10000,
    },
    {
        .class_name = "Starcoder2ForCausalLM",
        .model_type = "starcoder2",
        .names = starcoder2_names,
        .biases = NORM_BITS,
        .optional_biases = PLAIN_BITS,
        .norm = PDK_NORM_LAYER,
        .norm_epsilon = 1e-5,
        .tied = true,
        .activation = PDK_ACT_GELU_TANH,
        .rope_theta = 10000,
    },
    {
        .class_name = "GemmaForCausalLM",
        .model_type = "gemma",
        .names = llama_names,
        .optional_biases = QKV_BITS | ROLE_BIT(ROLE_O),
        .norm = PDK_NORM_RMS,
        .norm_epsilon = 1e-6,
        .norm_plus_one = true,
        .gated = true,
        .tied = true,
        .scaled_embedding = true,
        .gelu_is_tanh = true,
        .activation = PDK_ACT_GELU_TANH,
        .rope_theta = 10000,
    },
    {
        .class_name = "Gemma2ForCausalLM",
        .model_type = "gemma2",
        .names = gemma2_names,
        .optional_biases = QKV_BITS | ROLE_BIT(ROLE_O),
        .norm = PDK_NORM_RMS,
        .norm_epsilon = 1e-6,
        .norm_plus_one = true,
        .gated = true,
        .tied = true,
        .scaled_embedding = true,
        .alternate_windows = true,
        .activation = PDK_ACT_GELU_TANH,
        .rope_theta = 10000,
    },
    {
        .class_name = "PhiForCausalLM",
        .model_type = "phi",
        .names = phi_names,
        .biases = PLAIN_BITS | ROLE_BIT(ROLE_ATTENTION_NORM) | ROLE_BIT(ROLE_FINAL_NORM) | ROLE_BIT(ROLE_HEAD),
        .norm = PDK_NORM_LAYER,
        .norm_epsilon = 1e-5,
        .parallel = true,
        .activation = PDK_ACT_GELU_TANH,
        .rope_theta = 10000,
    },
    {
        .class_name = "Phi3ForCausalLM",
        .model_type = "phi3",
        .names = phi3_names,
        .norm = PDK_NORM_RMS,
        .norm_epsilon = 1e-5,
        .gated = true,
        .activation = PDK_ACT_SILU,
        .rope_theta = 10000,
    },
    {
        .class_name = "CohereForCausalLM",
        .model_type = "cohere",
        .names = cohere_names,
        .optional_biases = QKV_BITS | ROLE_BIT(ROLE_O),
        .norm = PDK_NORM_LAYER,
        .norm_epsilon = 1e-5,
        .parallel = true,
        .gated = true,
        .tied = true,
        .activation = PDK_ACT_SILU,
        .rope_order = PDK_ROPE_PAIRS,
        .rope_theta = 10000,
    },
    {
        .class_name = "Glm4ForCausalLM",
        .model_type = "glm4",
        .names = glm4_names,
        .optional_biases = QKV_BITS,
        .norm = PDK_NORM_RMS,
        .norm_epsilon = 1.5625e-7,
        .gated = true,
        .activation = PDK_ACT_SILU,
        .rope_order = PDK_ROPE_PAIRS,
        .rope_theta = 10000,
    },
    {
        .class_name = "OPTForCausalLM",
        .model_type = "opt",
        .names = opt_names,
        .prefix = "model.",
        .biases = PLAIN_BITS | NORM_BITS,
        .norm = PDK_NORM_LAYER,
        .norm_epsilon = 1e-5,
        .tied = true,
        .activation = PDK_ACT_RELU,
        .positions = POSITIONS_LEARNED,
        .position_offset = 2,
    },
};

enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

const struct architecture *architecture_find(const char *class_name, const char *model_type)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const char *wanted = class_name != NULL ? class_name : model_type;
        if (wanted != NULL && strcmp(wanted, class_name != NULL ? rows[i].class_name : rows[i].model_type) == 0)
            return &rows[i];
    }
    return NULL;
}

const struct architecture *architecture_find_gguf(const char *name)
{
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (rows[i].gguf_name != NULL && strcmp(rows[i].gguf_name, name) == 0)
            return &rows[i];
    return NULL;
}

void architectures_list(bool gguf, char *text, size_t room)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < ROW_COUNT && used < room; i++) {
        const char *name = gguf ? rows[i].gguf_name : rows[i].class_name;
        if (name != NULL)
            used += (size_t)snprintf(text + used, room - used, "%s%s", used == 0 ? "" : ", ", name);
    }
}
