/* Encoders: every token sees all of its sequence (or what lies within a window to either side), and the answer is made
 * of hidden states. A row serves all classes of its family: *Model, *ForMaskedLM, *ForSequenceClassification,
 * *ForTokenClassification. */
#include "config.h"

#include "runtimes/huggingface/model/family_names.h"

#define BERT_LAYERS(layer)                                                                              \
    [ROLE_Q] = layer "attention.self.query", [ROLE_K] = layer "attention.self.key",                     \
    [ROLE_V] = layer "attention.self.value", [ROLE_O] = layer "attention.output.dense",                 \
    [ROLE_ATTENTION_NORM] = layer "attention.output.LayerNorm", [ROLE_UP] = layer "intermediate.dense", \
    [ROLE_DOWN] = layer "output.dense", [ROLE_MLP_NORM] = layer "output.LayerNorm"
#define BERT_ENDS(prefix)                                                                                          \
    [ROLE_EMBEDDING] = prefix "embeddings.word_embeddings", [ROLE_EMBEDDING_NORM] = prefix "embeddings.LayerNorm", \
    [ROLE_TYPES] = prefix "embeddings.token_type_embeddings",                                                      \
    [ROLE_POSITIONS] = prefix "embeddings.position_embeddings"

static const char *const bert_names[ROLE_COUNT] = {BERT_ENDS("bert."), BERT_LAYERS("bert.encoder.layer.%.")};
static const char *const roberta_names[ROLE_COUNT] = {BERT_ENDS("roberta."), BERT_LAYERS("roberta.encoder.layer.%.")};

static const char *const bert_gguf_names[ROLE_COUNT] = {
    [ROLE_EMBEDDING] = "token_embd",
    [ROLE_EMBEDDING_NORM] = "token_embd_norm",
    [ROLE_TYPES] = "token_types",
    [ROLE_POSITIONS] = "position_embd",
    [ROLE_Q] = "blk.%.attn_q",
    [ROLE_K] = "blk.%.attn_k",
    [ROLE_V] = "blk.%.attn_v",
    [ROLE_QKV] = "blk.%.attn_qkv",
    [ROLE_O] = "blk.%.attn_output",
    [ROLE_ATTENTION_NORM] = "blk.%.attn_output_norm",
    [ROLE_UP] = "blk.%.ffn_up",
    [ROLE_DOWN] = "blk.%.ffn_down",
    [ROLE_MLP_NORM] = "blk.%.layer_output_norm",
};

#define DISTIL "distilbert.transformer.layer.%."
static const char *const distilbert_names[ROLE_COUNT] = {
    [ROLE_EMBEDDING] = "distilbert.embeddings.word_embeddings",
    [ROLE_EMBEDDING_NORM] = "distilbert.embeddings.LayerNorm",
    [ROLE_POSITIONS] = "distilbert.embeddings.position_embeddings",
    [ROLE_Q] = DISTIL "attention.q_lin",
    [ROLE_K] = DISTIL "attention.k_lin",
    [ROLE_V] = DISTIL "attention.v_lin",
    [ROLE_O] = DISTIL "attention.out_lin",
    [ROLE_ATTENTION_NORM] = DISTIL "sa_layer_norm",
    [ROLE_UP] = DISTIL "ffn.lin1",
    [ROLE_DOWN] = DISTIL "ffn.lin2",
    [ROLE_MLP_NORM] = DISTIL "output_layer_norm",
};

#define MODERN "model.layers.%."
static const char *const modernbert_names[ROLE_COUNT] = {
    [ROLE_EMBEDDING] = "model.embeddings.tok_embeddings",
    [ROLE_EMBEDDING_NORM] = "model.embeddings.norm",
    [ROLE_FINAL_NORM] = "model.final_norm",
    [ROLE_ATTENTION_NORM] = MODERN "attn_norm",
    [ROLE_QKV] = MODERN "attn.Wqkv",
    [ROLE_O] = MODERN "attn.Wo",
    [ROLE_MLP_NORM] = MODERN "mlp_norm",
    [ROLE_GATE_UP] = MODERN "mlp.Wi",
    [ROLE_DOWN] = MODERN "mlp.Wo",
};

#define ENCODER_NORMS                                                                          \
    (ROLE_BIT(ROLE_EMBEDDING_NORM) | ROLE_BIT(ROLE_ATTENTION_NORM) | ROLE_BIT(ROLE_MLP_NORM) | \
        ROLE_BIT(ROLE_FINAL_NORM))
#define BERT_LIKE                                                                                         \
    .encoder = true, .biases = PLAIN_BITS | ENCODER_NORMS, .norm = PDK_NORM_LAYER, .norm_epsilon = 1e-12, \
    .norm_after = true, .activation = PDK_ACT_GELU, .positions = POSITIONS_LEARNED
#define ROBERTA_LIKE                                                                                                  \
    BERT_LIKE,                                                                                                        \
        .names = roberta_names, .prefix = "roberta.", .ignored = "lm_head.|pooler.|roberta.pooler.",                  \
        .positions_behind_pad = true,                                                                                 \
        .classes = {{"classifier.dense", NULL, VALUE_TANH, false}, {"classifier.out_proj", NULL, VALUE_NONE, false}}, \
        .token_classes = {{"classifier", NULL, VALUE_NONE, false}}

const struct architecture families_encoder[] = {
    {
        .class_name = "BertModel",
        .model_type = "bert",
        .gguf_name = "bert",
        .names = bert_names,
        .gguf_names = bert_gguf_names,
        .prefix = "bert.",
        .ignored = "cls.predictions.|cls.seq_relationship.|pooler.|bert.pooler.",
        .classes = {{"bert.pooler.dense", NULL, VALUE_TANH, false}, {"classifier", NULL, VALUE_NONE, false}},
        .token_classes = {{"classifier", NULL, VALUE_NONE, false}},
        .gguf_classes = {{"cls", NULL, VALUE_TANH, false}, {"cls.output", NULL, VALUE_NONE, false}},
        BERT_LIKE,
    },
    {
        .class_name = "DistilBertModel",
        .model_type = "distilbert",
        .names = distilbert_names,
        .prefix = "distilbert.",
        .ignored = "vocab_transform.|vocab_layer_norm.|vocab_projector.",
        .classes = {{"pre_classifier", NULL, VALUE_RELU, false}, {"classifier", NULL, VALUE_NONE, false}},
        .token_classes = {{"classifier", NULL, VALUE_NONE, false}},
        BERT_LIKE,
    },
    {.class_name = "RobertaModel", .model_type = "roberta", ROBERTA_LIKE},
    {.class_name = "XLMRobertaModel", .model_type = "xlm-roberta", ROBERTA_LIKE},
    {.class_name = "CamembertModel", .model_type = "camembert", ROBERTA_LIKE},
    {
        .class_name = "ModernBertModel",
        .model_type = "modernbert",
        .names = modernbert_names,
        .prefix = "model.",
        .ignored = "head.|decoder.",
        .optional = ROLE_BIT(ROLE_ATTENTION_NORM),
        .optional_biases =
            ROLE_BIT(ROLE_QKV) | ROLE_BIT(ROLE_O) | ROLE_BIT(ROLE_GATE_UP) | ROLE_BIT(ROLE_DOWN) | ENCODER_NORMS,
        .encoder = true,
        .norm = PDK_NORM_LAYER,
        .norm_epsilon = 1e-5,
        .gated = true,
        .activation = PDK_ACT_GELU,
        .defaults = {.rope_theta = 160000},
        .local_theta = 10000,
        .classes = {{"head.dense", "head.norm", VALUE_GELU, true}, {"classifier", NULL, VALUE_NONE, false}},
        .token_classes = {{"head.dense", "head.norm", VALUE_GELU, true}, {"classifier", NULL, VALUE_NONE, false}},
    },
};

const size_t families_encoder_count = sizeof families_encoder / sizeof families_encoder[0];
