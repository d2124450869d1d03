/* Families with a mixture of experts, and those whose attention is latent. */
#include "config.h"

#include "runtimes/huggingface/model/experts_config.h"
#include "runtimes/huggingface/model/family_names.h"

#define EXPERTS                                                                                             \
    [ROLE_ROUTER] = LAYER "mlp.gate", [ROLE_EXPERT_GATE] = LAYER "mlp.experts.#.gate_proj",                 \
    [ROLE_EXPERT_UP] = LAYER "mlp.experts.#.up_proj", [ROLE_EXPERT_DOWN] = LAYER "mlp.experts.#.down_proj", \
    [ROLE_EXPERTS_GATE_UP] = LAYER "mlp.experts.gate_up_proj", [ROLE_EXPERTS_DOWN] = LAYER "mlp.experts.down_proj"
#define SHARED(name)                                                                                      \
    [ROLE_SHARED_GATE] = LAYER "mlp." name ".gate_proj", [ROLE_SHARED_UP] = LAYER "mlp." name ".up_proj", \
    [ROLE_SHARED_DOWN] = LAYER "mlp." name ".down_proj"
#define LATENT                                                                                               \
    [ROLE_Q] = LAYER "self_attn.q_proj", [ROLE_Q_A] = LAYER "self_attn.q_a_proj",                            \
    [ROLE_Q_A_NORM] = LAYER "self_attn.q_a_layernorm", [ROLE_Q_B] = LAYER "self_attn.q_b_proj",              \
    [ROLE_KV_A] = LAYER "self_attn.kv_a_proj_with_mqa", [ROLE_KV_A_NORM] = LAYER "self_attn.kv_a_layernorm", \
    [ROLE_KV_B] = LAYER "self_attn.kv_b_proj", [ROLE_O] = LAYER "self_attn.o_proj"

/* Releases and transformers' own tensors differ in a word. */
#define MIXTRAL(name) LAYER "block_sparse_moe." name "|" LAYER "mlp." name
static const char *const mixtral_names[ROLE_COUNT] = {
    ENDS,
    ATTENTION,
    NORMS,
    [ROLE_ROUTER] = MIXTRAL("gate"),
    [ROLE_EXPERT_GATE] = MIXTRAL("experts.#.w1"),
    [ROLE_EXPERT_UP] = MIXTRAL("experts.#.w3"),
    [ROLE_EXPERT_DOWN] = MIXTRAL("experts.#.w2"),
    [ROLE_EXPERTS_GATE_UP] = MIXTRAL("experts.gate_up_proj"),
    [ROLE_EXPERTS_DOWN] = MIXTRAL("experts.down_proj"),
};
static const char *const qwen2_moe_names[ROLE_COUNT] = {ENDS, ATTENTION, NORMS, GATED_MLP, EXPERTS,
    SHARED("shared_expert"), [ROLE_SHARED_ROUTER] = LAYER "mlp.shared_expert_gate"};
static const char *const qwen3_moe_names[ROLE_COUNT] = {ENDS, ATTENTION, HEAD_NORMS, NORMS, GATED_MLP, EXPERTS};
static const char *const gpt_oss_names[ROLE_COUNT] = {
    ENDS,
    ATTENTION,
    NORMS,
    [ROLE_SINKS] = LAYER "self_attn.sinks",
    [ROLE_ROUTER] = LAYER "mlp.router",
    [ROLE_EXPERTS_GATE_UP] = LAYER "mlp.experts.gate_up_proj",
    [ROLE_EXPERTS_DOWN] = LAYER "mlp.experts.down_proj",
};
/* The norm behind attention's residual bears in GGUF the name that other families have for attention's output. */
static const char *const gpt_oss_gguf_names[ROLE_COUNT] = {
    [ROLE_EMBEDDING] = "token_embd",
    [ROLE_FINAL_NORM] = "output_norm",
    [ROLE_HEAD] = "output",
    [ROLE_ATTENTION_NORM] = "blk.%.attn_norm",
    [ROLE_Q] = "blk.%.attn_q",
    [ROLE_K] = "blk.%.attn_k",
    [ROLE_V] = "blk.%.attn_v",
    [ROLE_O] = "blk.%.attn_output",
    [ROLE_SINKS] = "blk.%.attn_sinks",
    [ROLE_MLP_NORM] = "blk.%.post_attention_norm|blk.%.ffn_norm",
    [ROLE_ROUTER] = "blk.%.ffn_gate_inp",
    [ROLE_EXPERTS_GATE] = "blk.%.ffn_gate_exps",
    [ROLE_EXPERTS_UP] = "blk.%.ffn_up_exps",
    [ROLE_EXPERTS_GATE_UP] = "blk.%.ffn_gate_up_exps",
    [ROLE_EXPERTS_DOWN] = "blk.%.ffn_down_exps",
};
static const char *const deepseek_names[ROLE_COUNT] = {ENDS, LATENT, NORMS, GATED_MLP, EXPERTS,
    SHARED("shared_experts"), [ROLE_CORRECTION] = LAYER "mlp.gate.e_score_correction_bias"};

static const struct expert_rules mixtral_rules = {.score = PDK_SCORE_SOFTMAX, .normalise = NORMALISE_ALWAYS};
static const struct expert_rules qwen2_rules = {.score = PDK_SCORE_SOFTMAX};
static const struct expert_rules qwen3_rules = {.score = PDK_SCORE_SOFTMAX, .gguf_normalises = true};
static const struct expert_rules gpt_oss_rules = {
    .score = PDK_SCORE_CHOSEN, .normalise = NORMALISE_NEVER, .clamped = true, .transposed = true};
static const struct expert_rules deepseek2_rules = {
    .method = "greedy", .score = PDK_SCORE_SOFTMAX, .normalise = NORMALISE_NEVER};
static const struct expert_rules deepseek3_rules = {
    .method = "noaux_tc", .score = PDK_SCORE_SIGMOID, .normalise_default = true};

const struct architecture families_moe[] = {
    {
        .class_name = "MixtralForCausalLM",
        .model_type = "mixtral",
        .gguf_name = "llama",
        .names = mixtral_names,
        .norm = PDK_NORM_RMS,
        .norm_epsilon = 1e-5,
        .gated = true,
        .activation = PDK_ACT_SILU,
        .gguf_rope_order = PDK_ROPE_PAIRS,
        .defaults = {.rope_theta = 1000000},
        .experts = &mixtral_rules,
    },
    {
        .class_name = "Qwen2MoeForCausalLM",
        .model_type = "qwen2_moe",
        .gguf_name = "qwen2moe",
        .names = qwen2_moe_names,
        .optional_biases = QKV_BITS,
        .norm = PDK_NORM_RMS,
        .norm_epsilon = 1e-6,
        .gated = true,
        .window_switch = true,
        .activation = PDK_ACT_SILU,
        .defaults = {.rope_theta = 10000},
        .experts = &qwen2_rules,
    },
    {
        .class_name = "Qwen3MoeForCausalLM",
        .model_type = "qwen3_moe",
        .gguf_name = "qwen3moe",
        .names = qwen3_moe_names,
        .optional_biases = QKV_BITS | ROLE_BIT(ROLE_O),
        .norm = PDK_NORM_RMS,
        .norm_epsilon = 1e-6,
        .gated = true,
        .window_switch = true,
        .activation = PDK_ACT_SILU,
        .defaults = {.rope_theta = 10000},
        .experts = &qwen3_rules,
    },
    {
        .class_name = "GptOssForCausalLM",
        .model_type = "gpt_oss",
        .gguf_name = "gpt-oss",
        .names = gpt_oss_names,
        .gguf_names = gpt_oss_gguf_names,
        .gguf_unrounded = true,
        .biases = ROLE_BIT(ROLE_ROUTER),
        .optional_biases = QKV_BITS | ROLE_BIT(ROLE_O),
        .norm = PDK_NORM_RMS,
        .norm_epsilon = 1e-5,
        .gated = true,
        .window_pattern = 2,
        .activation = PDK_ACT_SILU,
        .defaults = {.rope_theta = 150000},
        .experts = &gpt_oss_rules,
    },
    {
        .class_name = "DeepseekV2ForCausalLM",
        .model_type = "deepseek_v2",
        .gguf_name = "deepseek2",
        .names = deepseek_names,
        .optional_biases = ROLE_BIT(ROLE_Q_A) | ROLE_BIT(ROLE_KV_A) | ROLE_BIT(ROLE_O) | GATED_BITS,
        .norm = PDK_NORM_RMS,
        .norm_epsilon = 1e-6,
        .gated = true,
        .activation = PDK_ACT_SILU,
        .rope_order = PDK_ROPE_PAIRS,
        .gguf_rope_order = PDK_ROPE_PAIRS,
        .defaults = {.rope_theta = 10000},
        .experts = &deepseek2_rules,
    },
    {
        .class_name = "DeepseekV3ForCausalLM",
        .model_type = "deepseek_v3",
        .names = deepseek_names,
        .optional_biases = ROLE_BIT(ROLE_Q_A) | ROLE_BIT(ROLE_KV_A) | ROLE_BIT(ROLE_O),
        .norm = PDK_NORM_RMS,
        .norm_epsilon = 1e-6,
        .gated = true,
        .activation = PDK_ACT_SILU,
        .rope_order = PDK_ROPE_PAIRS,
        .defaults = {.rope_theta = 10000},
        .experts = &deepseek3_rules,
    },
};

const size_t families_moe_count = sizeof families_moe / sizeof families_moe[0];
