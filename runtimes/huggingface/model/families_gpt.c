/* Families of the GPT kind: query, key and value in one tensor, biases, an ungated MLP of four widths; with learned
 * positions, rope or ALiBi. A row stands here only if a model of its family gives the reference's logits in the tests.
 */
#include "config.h"

#include "runtimes/huggingface/model/family_names.h"

#define BLOCK    "transformer.h.%."
#define WIDE_MLP .inner_multiple = 4
/* Matrices of the attention, and of an ungated MLP. */
#define FUSED_BITS   (ROLE_BIT(ROLE_QKV) | ROLE_BIT(ROLE_O))
#define UNGATED_BITS (ROLE_BIT(ROLE_UP) | ROLE_BIT(ROLE_DOWN))

static const char *const gpt2_names[ROLE_COUNT] = {
    [ROLE_EMBEDDING] = "transformer.wte",
    [ROLE_POSITIONS] = "transformer.wpe",
    [ROLE_FINAL_NORM] = "transformer.ln_f",
    [ROLE_HEAD] = "lm_head",
    [ROLE_ATTENTION_NORM] = BLOCK "ln_1",
    [ROLE_QKV] = BLOCK "attn.c_attn",
    [ROLE_O] = BLOCK "attn.c_proj",
    [ROLE_MLP_NORM] = BLOCK "ln_2",
    [ROLE_UP] = BLOCK "mlp.c_fc",
    [ROLE_DOWN] = BLOCK "mlp.c_proj",
};

#define NEOX "gpt_neox.layers.%."
static const char *const neox_names[ROLE_COUNT] = {
    [ROLE_EMBEDDING] = "gpt_neox.embed_in",
    [ROLE_FINAL_NORM] = "gpt_neox.final_layer_norm",
    [ROLE_HEAD] = "embed_out",
    [ROLE_ATTENTION_NORM] = NEOX "input_layernorm",
    [ROLE_QKV] = NEOX "attention.query_key_value",
    [ROLE_O] = NEOX "attention.dense",
    [ROLE_MLP_NORM] = NEOX "post_attention_layernorm",
    [ROLE_UP] = NEOX "mlp.dense_h_to_4h",
    [ROLE_DOWN] = NEOX "mlp.dense_4h_to_h",
};

static const char *const gptj_names[ROLE_COUNT] = {
    [ROLE_EMBEDDING] = "transformer.wte",
    [ROLE_FINAL_NORM] = "transformer.ln_f",
    [ROLE_HEAD] = "lm_head",
    [ROLE_ATTENTION_NORM] = BLOCK "ln_1",
    [ROLE_Q] = BLOCK "attn.q_proj",
    [ROLE_K] = BLOCK "attn.k_proj",
    [ROLE_V] = BLOCK "attn.v_proj",
    [ROLE_O] = BLOCK "attn.out_proj",
    [ROLE_UP] = BLOCK "mlp.fc_in",
    [ROLE_DOWN] = BLOCK "mlp.fc_out",
};

static const char *const bloom_names[ROLE_COUNT] = {
    [ROLE_EMBEDDING] = "transformer.word_embeddings",
    [ROLE_EMBEDDING_NORM] = "transformer.word_embeddings_layernorm",
    [ROLE_FINAL_NORM] = "transformer.ln_f",
    [ROLE_HEAD] = "lm_head",
    [ROLE_ATTENTION_NORM] = BLOCK "input_layernorm",
    [ROLE_QKV] = BLOCK "self_attention.query_key_value",
    [ROLE_O] = BLOCK "self_attention.dense",
    [ROLE_MLP_NORM] = BLOCK "post_attention_layernorm",
    [ROLE_UP] = BLOCK "mlp.dense_h_to_4h",
    [ROLE_DOWN] = BLOCK "mlp.dense_4h_to_h",
};

static const char *const falcon_names[ROLE_COUNT] = {
    [ROLE_EMBEDDING] = "transformer.word_embeddings",
    [ROLE_FINAL_NORM] = "transformer.ln_f",
    [ROLE_HEAD] = "lm_head",
    [ROLE_ATTENTION_NORM] = BLOCK "input_layernorm|" BLOCK "ln_attn",
    [ROLE_QKV] = BLOCK "self_attention.query_key_value",
    [ROLE_O] = BLOCK "self_attention.dense",
    [ROLE_MLP_NORM] = BLOCK "post_attention_layernorm|" BLOCK "ln_mlp",
    [ROLE_UP] = BLOCK "mlp.dense_h_to_4h",
    [ROLE_DOWN] = BLOCK "mlp.dense_4h_to_h",
};
/* In GGUF the MLP's norm has the name that is the attention's elsewhere, and may be the attention's as well. */
static const char *const falcon_gguf_names[ROLE_COUNT] = {
    [ROLE_EMBEDDING] = "token_embd",
    [ROLE_FINAL_NORM] = "output_norm",
    [ROLE_HEAD] = "output",
    [ROLE_ROPE_FACTORS] = "rope_freqs",
    [ROLE_ROPE_LONG] = "rope_factors_long",
    [ROLE_ROPE_SHORT] = "rope_factors_short",
    [ROLE_ATTENTION_NORM] = "blk.%.attn_norm_2|blk.%.attn_norm",
    [ROLE_QKV] = "blk.%.attn_qkv",
    [ROLE_O] = "blk.%.attn_output",
    [ROLE_MLP_NORM] = "blk.%.attn_norm",
    [ROLE_UP] = "blk.%.ffn_up",
    [ROLE_DOWN] = "blk.%.ffn_down",
};

const struct architecture families_gpt[] = {
    {
        .class_name = "GPT2LMHeadModel",
        .model_type = "gpt2",
        .gguf_name = "gpt2",
        .names = gpt2_names,
        .prefix = "transformer.",
        .biases = FUSED_BITS | UNGATED_BITS | NORM_BITS,
        .transposed = FUSED_BITS | UNGATED_BITS,
        .norm = PDK_NORM_LAYER,
        .norm_epsilon = 1e-5,
        .tied = true,
        .activation = PDK_ACT_GELU_TANH,
        .positions = POSITIONS_LEARNED,
        .defaults = {WIDE_MLP},
    },
    {
        .class_name = "GPTNeoXForCausalLM",
        .model_type = "gpt_neox",
        .gguf_name = "gptneox",
        .names = neox_names,
        .biases = UNGATED_BITS | NORM_BITS,
        .optional_biases = FUSED_BITS,
        .grouped_qkv = true,
        .norm = PDK_NORM_LAYER,
        .norm_epsilon = 1e-5,
        .parallel = true,
        .activation = PDK_ACT_GELU,
        .defaults = {.rope_theta = 10000, .rope_share = 0.25},
    },
    {
        .class_name = "GPTJForCausalLM",
        .model_type = "gptj",
        .gguf_name = "gptj",
        .names = gptj_names,
        .biases = UNGATED_BITS | ROLE_BIT(ROLE_ATTENTION_NORM) | ROLE_BIT(ROLE_FINAL_NORM) | ROLE_BIT(ROLE_HEAD),
        .norm = PDK_NORM_LAYER,
        .norm_epsilon = 1e-5,
        .parallel = true,
        .activation = PDK_ACT_GELU_TANH,
        .rope_order = PDK_ROPE_PAIRS,
        .gguf_rope_order = PDK_ROPE_PAIRS,
        .defaults = {WIDE_MLP, .rope_theta = 10000},
    },
    {
        .class_name = "BloomForCausalLM",
        .model_type = "bloom",
        .gguf_name = "bloom",
        .names = bloom_names,
        .prefix = "transformer.",
        .biases = FUSED_BITS | UNGATED_BITS | NORM_BITS | ROLE_BIT(ROLE_EMBEDDING_NORM),
        .grouped_qkv = true,
        .norm = PDK_NORM_LAYER,
        .norm_epsilon = 1e-5,
        .tied = true,
        .activation = PDK_ACT_GELU_TANH,
        .positions = POSITIONS_ALIBI,
        .defaults = {WIDE_MLP, .context = 2048},
    },
    {
        .class_name = "FalconForCausalLM",
        .model_type = "falcon",
        .gguf_name = "falcon",
        .names = falcon_names,
        .gguf_names = falcon_gguf_names,
        .biases = NORM_BITS,
        .optional_biases = FUSED_BITS | UNGATED_BITS,
        .optional = ROLE_BIT(ROLE_MLP_NORM),
        .grouped_qkv = true,
        .norm = PDK_NORM_LAYER,
        .norm_epsilon = 1e-5,
        .parallel = true,
        .tied = true,
        .one_key_head = true,
        .scaled_slopes = true,
        .activation = PDK_ACT_GELU,
        .defaults = {WIDE_MLP, .context = 2048, .rope_theta = 10000},
    },
};

const size_t families_gpt_count = sizeof families_gpt / sizeof families_gpt[0];
