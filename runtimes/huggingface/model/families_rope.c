/* Families of the llama kind: rope, a matrix each for query, key and value (or one plain stack of them), a dense MLP;
 * and OPT. A row stands here only if a model of its family gives the reference's logits in the tests. */
#include "config.h"

#include "runtimes/huggingface/model/family_names.h"

static const char *const llama_names[ROLE_COUNT] = {ENDS, ATTENTION, NORMS, GATED_MLP};
static const char *const qwen3_names[ROLE_COUNT] = {ENDS, ATTENTION, HEAD_NORMS, NORMS, GATED_MLP};
static const char *const olmo2_names[ROLE_COUNT] = {ENDS, ATTENTION, HEAD_NORMS,
    GATED_MLP, [ROLE_ATTENTION_OUT_NORM] = LAYER "post_attention_layernorm",
    [ROLE_MLP_OUT_NORM] = LAYER "post_feedforward_layernorm"};
static const char *const gemma2_names[ROLE_COUNT] = {ENDS, ATTENTION, GATED_MLP,
    [ROLE_ATTENTION_NORM] = LAYER "input_layernorm", [ROLE_ATTENTION_OUT_NORM] = LAYER "post_attention_layernorm",
    [ROLE_MLP_NORM] = LAYER "pre_feedforward_layernorm", [ROLE_MLP_OUT_NORM] = LAYER "post_feedforward_layernorm"};
static const char *const gemma3_names[ROLE_COUNT] = {ENDS, ATTENTION, HEAD_NORMS, GATED_MLP,
    [ROLE_ATTENTION_NORM] = LAYER "input_layernorm", [ROLE_ATTENTION_OUT_NORM] = LAYER "post_attention_layernorm",
    [ROLE_MLP_NORM] = LAYER "pre_feedforward_layernorm", [ROLE_MLP_OUT_NORM] = LAYER "post_feedforward_layernorm"};
static const char *const starcoder2_names[ROLE_COUNT] = {
    ENDS, ATTENTION, NORMS, [ROLE_UP] = LAYER "mlp.c_fc", [ROLE_DOWN] = LAYER "mlp.c_proj"};
static const char *const stablelm_names[ROLE_COUNT] = {ENDS, ATTENTION, NORMS, GATED_MLP,
    [ROLE_Q_NORM] = LAYER "self_attn.q_layernorm.norms.%", [ROLE_K_NORM] = LAYER "self_attn.k_layernorm.norms.%"};
static const char *const phi_names[ROLE_COUNT] = {[ROLE_EMBEDDING] = "model.embed_tokens",
    [ROLE_FINAL_NORM] = "model.final_layernorm",
    [ROLE_HEAD] = "lm_head",
    [ROLE_ATTENTION_NORM] = LAYER "input_layernorm",
    [ROLE_Q] = LAYER "self_attn.q_proj",
    [ROLE_K] = LAYER "self_attn.k_proj",
    [ROLE_V] = LAYER "self_attn.v_proj",
    [ROLE_Q_NORM] = LAYER "self_attn.q_layernorm",
    [ROLE_K_NORM] = LAYER "self_attn.k_layernorm",
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
    HEAD_NORMS,
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

/* Under an encoder of images: as the first release named them, then as later ones do. */
#define NESTED(name)       "language_model.model." name "|model.language_model." name
#define NESTED_LAYER(name) NESTED("layers.%." name)
static const char *const gemma3_nested_names[ROLE_COUNT] = {
    [ROLE_EMBEDDING] = NESTED("embed_tokens"),
    [ROLE_FINAL_NORM] = NESTED("norm"),
    [ROLE_HEAD] = "language_model.lm_head|lm_head",
    [ROLE_ATTENTION_NORM] = NESTED_LAYER("input_layernorm"),
    [ROLE_Q] = NESTED_LAYER("self_attn.q_proj"),
    [ROLE_K] = NESTED_LAYER("self_attn.k_proj"),
    [ROLE_V] = NESTED_LAYER("self_attn.v_proj"),
    [ROLE_Q_NORM] = NESTED_LAYER("self_attn.q_norm"),
    [ROLE_K_NORM] = NESTED_LAYER("self_attn.k_norm"),
    [ROLE_O] = NESTED_LAYER("self_attn.o_proj"),
    [ROLE_ATTENTION_OUT_NORM] = NESTED_LAYER("post_attention_layernorm"),
    [ROLE_MLP_NORM] = NESTED_LAYER("pre_feedforward_layernorm"),
    [ROLE_GATE] = NESTED_LAYER("mlp.gate_proj"),
    [ROLE_UP] = NESTED_LAYER("mlp.up_proj"),
    [ROLE_DOWN] = NESTED_LAYER("mlp.down_proj"),
    [ROLE_MLP_OUT_NORM] = NESTED_LAYER("post_feedforward_layernorm"),
};

/* What the two classes of Gemma 3 share; the defaults are those of its text_config. */
#define GEMMA3                                                                                                         \
    .optional_biases = QKV_BITS | ROLE_BIT(ROLE_O), .norm = PDK_NORM_RMS, .norm_epsilon = 1e-6, .norm_plus_one = true, \
    .gated = true, .tied = true, .scaled_embedding = true, .window_pattern = 6, .width_scaled = 62,                    \
    .activation = PDK_ACT_GELU_TANH, .local_theta = 10000,                                                             \
    .defaults = {                                                                                                      \
        .heads = 8,                                                                                                    \
        .kv_heads = 4,                                                                                                 \
        .head_dim = 256,                                                                                               \
        .vocabulary = 262208,                                                                                          \
        .context = 131072,                                                                                             \
        .rope_theta = 1e6,                                                                                             \
        .query_scalar = 256,                                                                                           \
    }

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

const struct architecture families_rope[] = {
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
        .defaults = {.rope_theta = 10000},
    },
    {
        .class_name = "MistralForCausalLM",
        .model_type = "mistral",
        .names = llama_names,
        .norm = PDK_NORM_RMS,
        .norm_epsilon = 1e-6,
        .gated = true,
        .activation = PDK_ACT_SILU,
        .defaults = {.rope_theta = 10000},
    },
    {
        .class_name = "Qwen2ForCausalLM",
        .model_type = "qwen2",
        .gguf_name = "qwen2",
        .names = llama_names,
        .biases = QKV_BITS,
        .norm = PDK_NORM_RMS,
        .norm_epsilon = 1e-6,
        .gated = true,
        .window_switch = true,
        .activation = PDK_ACT_SILU,
        .defaults = {.rope_theta = 10000},
    },
    {
        .class_name = "Qwen3ForCausalLM",
        .model_type = "qwen3",
        .gguf_name = "qwen3",
        .names = qwen3_names,
        .optional_biases = QKV_BITS | ROLE_BIT(ROLE_O),
        .norm = PDK_NORM_RMS,
        .norm_epsilon = 1e-6,
        .gated = true,
        .window_switch = true,
        .activation = PDK_ACT_SILU,
        .defaults = {.rope_theta = 10000},
    },
    {
        .class_name = "SmolLM3ForCausalLM",
        .model_type = "smollm3",
        .gguf_name = "smollm3",
        .names = llama_names,
        .optional_biases = QKV_BITS | ROLE_BIT(ROLE_O) | GATED_BITS,
        .norm = PDK_NORM_RMS,
        .norm_epsilon = 1e-6,
        .gated = true,
        .tied = true,
        .window_switch = true,
        .still_every = 4,
        .activation = PDK_ACT_SILU,
        .gguf_rope_order = PDK_ROPE_PAIRS,
        .defaults = {.rope_theta = 2000000},
    },
    {
        .class_name = "GraniteForCausalLM",
        .model_type = "granite",
        .gguf_name = "granite",
        .names = llama_names,
        .optional_biases = QKV_BITS | ROLE_BIT(ROLE_O) | GATED_BITS,
        .norm = PDK_NORM_RMS,
        .norm_epsilon = 1e-6,
        .gated = true,
        .inverse_logit_scale = true,
        .activation = PDK_ACT_SILU,
        .gguf_rope_order = PDK_ROPE_PAIRS,
        .defaults = {.rope_theta = 10000},
    },
    {
        .class_name = "Olmo2ForCausalLM",
        .model_type = "olmo2",
        .gguf_name = "olmo2",
        .names = olmo2_names,
        .optional_biases = QKV_BITS | ROLE_BIT(ROLE_O),
        .norm = PDK_NORM_RMS,
        .norm_epsilon = 1e-5,
        .gated = true,
        .activation = PDK_ACT_SILU,
        .defaults = {.rope_theta = 10000},
    },
    {
        .class_name = "StableLmForCausalLM",
        .model_type = "stablelm",
        .gguf_name = "stablelm",
        .names = stablelm_names,
        .biases = NORM_BITS,
        .optional_biases = QKV_BITS,
        .optional = HEAD_NORM_BITS | ROLE_BIT(ROLE_MLP_NORM),
        .norm = PDK_NORM_LAYER,
        .norm_epsilon = 1e-5,
        .gated = true,
        .activation = PDK_ACT_SILU,
        .defaults = {.rope_theta = 10000, .rope_share = 0.25},
    },
    {
        .class_name = "Starcoder2ForCausalLM",
        .model_type = "starcoder2",
        .gguf_name = "starcoder2",
        .names = starcoder2_names,
        .biases = NORM_BITS,
        .optional_biases = PLAIN_BITS,
        .norm = PDK_NORM_LAYER,
        .norm_epsilon = 1e-5,
        .tied = true,
        .activation = PDK_ACT_GELU_TANH,
        .defaults = {.rope_theta = 10000},
    },
    {
        .class_name = "GemmaForCausalLM",
        .model_type = "gemma",
        .gguf_name = "gemma",
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
        .defaults = {.rope_theta = 10000},
    },
    {
        .class_name = "Gemma2ForCausalLM",
        .model_type = "gemma2",
        .gguf_name = "gemma2",
        .names = gemma2_names,
        .optional_biases = QKV_BITS | ROLE_BIT(ROLE_O),
        .norm = PDK_NORM_RMS,
        .norm_epsilon = 1e-6,
        .norm_plus_one = true,
        .gated = true,
        .tied = true,
        .scaled_embedding = true,
        .window_pattern = 2,
        .width_scaled = 46,
        .activation = PDK_ACT_GELU_TANH,
        .defaults = {.rope_theta = 10000, .query_scalar = 256},
    },
    {
        .class_name = "Gemma3ForCausalLM",
        .model_type = "gemma3_text",
        .gguf_name = "gemma3",
        .names = gemma3_names,
        GEMMA3,
    },
    {
        .class_name = "Gemma3ForConditionalGeneration",
        .model_type = "gemma3",
        .names = gemma3_nested_names,
        .ignored = "vision_tower.|multi_modal_projector.|model.vision_tower.|model.multi_modal_projector.",
        .text_config = true,
        GEMMA3,
    },
    {
        .class_name = "PhiForCausalLM",
        .model_type = "phi",
        .gguf_name = "phi2",
        .names = phi_names,
        .biases = PLAIN_BITS | HEAD_NORM_BITS | ROLE_BIT(ROLE_ATTENTION_NORM) | ROLE_BIT(ROLE_FINAL_NORM) |
                  ROLE_BIT(ROLE_HEAD),
        .optional = HEAD_NORM_BITS,
        .norm = PDK_NORM_LAYER,
        .norm_epsilon = 1e-5,
        .parallel = true,
        .activation = PDK_ACT_GELU_TANH,
        .defaults = {.rope_theta = 10000, .rope_share = 0.5},
    },
    {
        .class_name = "Phi3ForCausalLM",
        .model_type = "phi3",
        .gguf_name = "phi3",
        .names = phi3_names,
        .norm = PDK_NORM_RMS,
        .norm_epsilon = 1e-5,
        .gated = true,
        .activation = PDK_ACT_SILU,
        .defaults = {.rope_theta = 10000},
    },
    {
        .class_name = "CohereForCausalLM",
        .model_type = "cohere",
        .gguf_name = "command-r",
        .names = cohere_names,
        .optional_biases = QKV_BITS | ROLE_BIT(ROLE_O),
        .optional = HEAD_NORM_BITS,
        .norm = PDK_NORM_LAYER,
        .norm_epsilon = 1e-5,
        .parallel = true,
        .gated = true,
        .tied = true,
        .activation = PDK_ACT_SILU,
        .rope_order = PDK_ROPE_PAIRS,
        .gguf_rope_order = PDK_ROPE_PAIRS,
        .defaults = {.rope_theta = 10000},
    },
    {
        .class_name = "Glm4ForCausalLM",
        .model_type = "glm4",
        .gguf_name = "glm4",
        .names = glm4_names,
        .optional_biases = QKV_BITS,
        .norm = PDK_NORM_RMS,
        .norm_epsilon = 1.5625e-7,
        .gated = true,
        .activation = PDK_ACT_SILU,
        .rope_order = PDK_ROPE_PAIRS,
        .gguf_rope_order = PDK_ROPE_PAIRS,
        .defaults = {.rope_theta = 10000, .rope_share = 0.5},
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

const size_t families_rope_count = sizeof families_rope / sizeof families_rope[0];
