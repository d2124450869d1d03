/* One table of fields with their ranges, then what follows from them: divisors, windows, multipliers. */
#include "config.h"

#include "runtimes/huggingface/model/model_config.h"

#include "core/base/error.h"
#include "runtimes/huggingface/model/printable.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { HEAD_COLUMNS_MAX = 1 << 20 };

#define MATRIX_BITS                                                                                   \
    (ROLE_BIT(ROLE_Q) | ROLE_BIT(ROLE_K) | ROLE_BIT(ROLE_V) | ROLE_BIT(ROLE_QKV) | ROLE_BIT(ROLE_O) | \
        ROLE_BIT(ROLE_GATE) | ROLE_BIT(ROLE_UP) | ROLE_BIT(ROLE_DOWN))

#define AT(member) offsetof(struct model_config, member)

static const struct uint_field {
    struct config_field field;
    size_t offset;
    bool required;
} uints[] = {
    {{"hidden_size|n_embd|n_embed|d_model|dim", "embedding_length", 1, 262144}, AT(hidden), true},
    {{"num_hidden_layers|n_layer|n_layers", "block_count", 1, MODEL_LAYERS_MAX}, AT(layers), true},
    {{"num_attention_heads|n_head|n_heads", "attention.head_count", 1, 4096}, AT(heads), true},
    {{"num_key_value_heads|num_kv_heads|n_head_kv", "attention.head_count_kv", 1, 4096}, AT(kv_heads), false},
    {{"head_dim", "attention.key_length", 1, 4096}, AT(head_dim), false},
    {{"intermediate_size|ffn_dim|n_inner|ffn_hidden_size|hidden_dim", "feed_forward_length", 1, 1 << 20}, AT(inner),
        true},
    {{"vocab_size", "vocab_size", 1, 1 << 24}, AT(vocabulary), false},
    {{"max_position_embeddings|n_positions|seq_length", "context_length", 1, 1 << 28}, AT(context), true},
    {{"word_embed_proj_dim", NULL, 1, 262144}, AT(embedding_width), false},
    {{"sliding_window", "attention.sliding_window", 0, 1 << 28}, AT(window), false},
};

static const struct {
    struct config_field field;
    size_t offset;
} reals[] = {
    {{"rms_norm_eps|layer_norm_eps|layer_norm_epsilon|norm_epsilon|norm_eps", "attention.layer_norm_rms_epsilon", 0, 1},
        AT(epsilon)},
    {{"embedding_multiplier", "embedding_scale", 1e-6, 1e6}, AT(embedding_scale)},
    {{"residual_multiplier", "residual_scale", 1e-6, 1e6}, AT(residual_scale)},
    {{"attention_multiplier", "attention.scale", 1e-6, 1e6}, AT(attention_scale)},
    {{"logits_scaling|logit_scale", "logit_scale", 1e-6, 1e6}, AT(logit_scale)},
    {{"attn_logit_softcapping", "attn_logit_softcapping", 0, 1e6}, AT(attention_cap)},
    {{"final_logit_softcapping", "final_logit_softcapping", 0, 1e6}, AT(logit_cap)},
};

/* What a class or architecture that is not in the table is told. */
static pdk_status unknown(const char *name, bool gguf, pdk_error *err)
{
    char known[400];
    architectures_list(gguf, known, sizeof known);
    return pdk_error_value(err, PDK_UNSUPPORTED, gguf ? "general.architecture" : "architectures", name,
        "architecture '%s' is not known; known are %s", printable(name).text, known);
}

/* A GGUF of experts may bear the name of the dense family that it grew from. */
static bool has_experts(const struct config_reader *reader)
{
    char key[96];
    uint64_t count;
    snprintf(key, sizeof key, "%s.expert_count", reader->prefix);
    return gguf_uint(reader->gguf, key, &count) && count != 0;
}

static pdk_status find_row(
    struct config_reader *reader, const struct architecture **ret_row, enum model_use *ret_use, pdk_error *err)
{
    if (reader->gguf != NULL) {
        pdk_string name;
        if (!gguf_string(reader->gguf, "general.architecture", &name))
            return pdk_error_set(err, PDK_INVALID, "general.architecture", "the GGUF has no general.architecture");
        snprintf(reader->prefix, sizeof reader->prefix, "%.*s", (int)(name.length < 64 ? name.length : 63), name.data);
        *ret_row = architecture_find_gguf(reader->prefix, has_experts(reader));
        *ret_use = *ret_row != NULL && (*ret_row)->encoder ? USE_EMBED : USE_GENERATE;
        return *ret_row != NULL ? PDK_OK : unknown(reader->prefix, true, err);
    }
    const char *class_name = NULL, *model_type = NULL;
    const struct json *classes = config_find(reader, "architectures");
    if (classes != NULL &&
        (classes->type != JSON_ARRAY || classes->count != 1 || !json_string(classes->child, &class_name)))
        return pdk_error_set(err, PDK_INVALID, "architectures", "architectures must be a list of one name");
    pdk_status status = config_text(reader, "model_type", &model_type, err);
    if (status != PDK_OK)
        return status;
    if (class_name == NULL && model_type == NULL)
        return pdk_error_set(
            err, PDK_INVALID, "architectures", "config.json has neither 'architectures' nor 'model_type'");
    *ret_row = architecture_find(class_name, model_type, ret_use);
    if (*ret_row == NULL)
        return unknown(class_name != NULL ? class_name : model_type, false, err);
    if (!(*ret_row)->text_config)
        return PDK_OK;
    const struct json *text = json_get(reader->file, "text_config"); /* overrides are of its members */
    if (text == NULL || text->type != JSON_OBJECT)
        return pdk_error_set(err, PDK_INVALID, "text_config", "text_config must be an object");
    reader->outer = reader->file;
    reader->file = text;
    return PDK_OK;
}

static pdk_status read_quantisation(struct config_reader *reader, struct model_config *config, pdk_error *err)
{
    return quantisation_read(reader, &config->quantisation, err);
}

static pdk_status read_uints(struct config_reader *reader, struct model_config *config, pdk_error *err)
{
    const struct architecture_defaults *defaults = &config->row->defaults;
    if (reader->gguf == NULL) { /* a GGUF says all of them */
        config->heads = defaults->heads;
        config->kv_heads = defaults->kv_heads;
        config->head_dim = defaults->head_dim;
        config->vocabulary = defaults->vocabulary;
        config->context = defaults->context;
    }
    for (size_t i = 0; i < sizeof uints / sizeof uints[0]; i++) {
        bool found;
        pdk_status status =
            config_uint(reader, &uints[i].field, (uint32_t *)(void *)((char *)config + uints[i].offset), &found, err);
        if (status != PDK_OK)
            return status;
        uint32_t value = *(const uint32_t *)(const void *)((const char *)config + uints[i].offset);
        if (uints[i].offset == AT(inner) && !found && defaults->inner_multiple != 0) {
            config->inner = config->hidden * defaults->inner_multiple;
            continue;
        }
        if (found || value != 0 || !uints[i].required)
            continue;
        const char *name = reader->gguf != NULL ? uints[i].field.gguf : uints[i].field.names;
        int length = (int)strcspn(name, "|");
        return pdk_error_set(err, PDK_INVALID, uints[i].field.names, "the configuration has no %.*s", length, name);
    }
    return PDK_OK;
}

static pdk_status read_reals(struct config_reader *reader, struct model_config *config, pdk_error *err)
{
    config->epsilon = config->row->norm_epsilon;
    config->embedding_scale = config->row->scaled_embedding ? sqrt(config->hidden) : 1;
    config->residual_scale = config->logit_scale = 1;
    static const struct config_field layer_epsilon = {"layer_norm_eps", "attention.layer_norm_epsilon", 0, 1};
    static const struct config_field query_field = {"query_pre_attn_scalar", NULL, 1e-3, 1e6};
    double query = config->head_dim;
    if (reader->gguf == NULL && config->row->defaults.query_scalar != 0)
        query = config->row->defaults.query_scalar;
    if (reader->gguf != NULL && config->row->width_scaled == config->layers)
        query = (double)config->hidden / config->heads;
    pdk_status status = config_real(reader, &query_field, &query, NULL, err);
    config->attention_scale = 1 / sqrt(query);
    if (status == PDK_OK && reader->gguf != NULL)
        status = config_real(reader, &layer_epsilon, &config->epsilon, NULL, err);
    for (size_t i = 0; i < sizeof reals / sizeof reals[0] && status == PDK_OK; i++)
        status = config_real(reader, &reals[i].field, (double *)(void *)((char *)config + reals[i].offset), NULL, err);
    if (status == PDK_OK && config->row->inverse_logit_scale)
        config->logit_scale = 1 / config->logit_scale;
    return status;
}

/* Norms that the row calls optional, by what the configuration says; a GGUF's tensors tell (weight_plan.c). */
static pdk_status read_absent(struct config_reader *reader, struct model_config *config, pdk_error *err)
{
    static const struct config_field norms_field = {"num_ln_in_parallel_attn", NULL, 1, 2};
    bool head_norms = false, grouped = false;
    pdk_status status = config_flag(reader, "use_qk_norm|qk_layernorm", &head_norms, err);
    if (status == PDK_OK)
        status = config_flag(reader, "new_decoder_architecture", &grouped, err);
    uint32_t norms = grouped ? 2 : 1;
    if (status == PDK_OK)
        status = config_uint(reader, &norms_field, &norms, NULL, err);
    if (!head_norms)
        config->absent |= ROLE_BIT(ROLE_Q_NORM) | ROLE_BIT(ROLE_K_NORM);
    if (config->parallel && !(grouped && norms == 2))
        config->absent |= ROLE_BIT(ROLE_MLP_NORM);
    config->absent = config->from_gguf ? 0 : config->absent & config->row->optional;
    return status;
}

/* Parallel blocks, under the names of several families. */
static pdk_status read_parallel(struct config_reader *reader, struct model_config *config, pdk_error *err)
{
    bool grouped = false;
    config->parallel = config->row->parallel;
    pdk_status status = config_flag_or_key(
        reader, "use_parallel_residual|parallel_attn", "use_parallel_residual", &config->parallel, err);
    if (status == PDK_OK)
        status = config_flag(reader, "new_decoder_architecture", &grouped, err);
    config->parallel |= grouped;
    return status;
}

static pdk_status refuse_flag(struct config_reader *reader, const char *name, pdk_error *err)
{
    bool on = false;
    pdk_status status = config_flag(reader, name, &on, err);
    if (status == PDK_OK && on)
        return pdk_error_set(err, PDK_UNSUPPORTED, name, "%s is not supported", name);
    return status;
}

static pdk_status read_flags(struct config_reader *reader, struct model_config *config, pdk_error *err)
{
    bool before = !config->row->norm_after, removed = false, affine = true, biased = true, scaled = true;
    bool alibi = config->row->positions == POSITIONS_ALIBI;
    config->tied = config->row->tied;
    const struct {
        const char *name;
        bool *value;
    } flags[] = {{"do_layer_norm_before", &before}, {"_remove_final_layer_norm", &removed},
        {"tie_word_embeddings", &config->tied}, {"layer_norm_elementwise_affine", &affine}, {"enable_bias", &biased},
        {"scale_attn_weights", &scaled}, {"scale_attn_by_inverse_layer_idx", &config->scale_by_depth},
        {"apply_residual_connection_post_layernorm", &config->residual_of_norm}, {"alibi", &alibi}};
    static const char *const refused[] = {"add_cross_attention", "use_bidirectional_attention"};
    pdk_status status = read_parallel(reader, config, err);
    for (size_t i = 0; i < sizeof flags / sizeof flags[0] && status == PDK_OK; i++)
        status = config_flag(reader, flags[i].name, flags[i].value, err);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0] && status == PDK_OK; i++)
        status = refuse_flag(reader, refused[i], err);
    config->norm_after = !before;
    config->final_norm = before && !removed;
    config->plain_norms = !affine;
    config->without_biases = biased ? 0 : MATRIX_BITS;
    config->positioning = alibi ? POSITIONS_ALIBI : config->row->positions;
    if (!scaled)
        config->attention_scale = 1;
    return status == PDK_OK ? read_absent(reader, config, err) : status;
}

static pdk_status read_activation(struct config_reader *reader, struct model_config *config, pdk_error *err)
{
    static const struct {
        const char *name;
        int32_t activation;
    } known[] = {{"relu", PDK_ACT_RELU}, {"silu", PDK_ACT_SILU}, {"swish", PDK_ACT_SILU}, {"gelu", PDK_ACT_GELU},
        {"gelu_python", PDK_ACT_GELU}, {"gelu_new", PDK_ACT_GELU_TANH}, {"gelu_pytorch_tanh", PDK_ACT_GELU_TANH},
        {"gelu_fast", PDK_ACT_GELU_TANH}};
    const char *name = NULL;
    config->activation = config->row->activation;
    pdk_status status = config_text(reader, "hidden_activation|hidden_act|activation_function|activation", &name, err);
    if (status != PDK_OK || name == NULL)
        return status;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].name, name) != 0)
            continue;
        config->activation = known[i].activation;
        /* The first files of this family say "gelu" and mean the other one. */
        if (config->row->gelu_is_tanh && config->activation == PDK_ACT_GELU)
            config->activation = PDK_ACT_GELU_TANH;
        return PDK_OK;
    }
    return pdk_error_value(err, PDK_UNSUPPORTED, "hidden_act", name,
        "activation '%s' is not known; known are relu, silu, gelu, gelu_new and gelu_pytorch_tanh",
        printable(name).text);
}

/* All queries of some families share one key head, whatever number stands beside that. */
static pdk_status read_one_key_head(struct config_reader *reader, struct model_config *config, pdk_error *err)
{
    bool one = config->row->one_key_head, grouped = false;
    if (!one || reader->gguf != NULL)
        return PDK_OK;
    pdk_status status = config_flag(reader, "multi_query", &one, err);
    if (status == PDK_OK)
        status = config_flag(reader, "new_decoder_architecture", &grouped, err);
    if (status == PDK_OK && one && !grouped)
        config->kv_heads = 1;
    return status;
}

static pdk_status derive_heads(struct config_reader *reader, struct model_config *config, pdk_error *err)
{
    if (config->row->names[ROLE_KV_A] != NULL)
        return latent_config_read(reader, config, err);
    pdk_status status = read_one_key_head(reader, config, err);
    if (status != PDK_OK)
        return status;
    if (config->kv_heads == 0)
        config->kv_heads = config->heads;
    if (config->heads % config->kv_heads != 0)
        return pdk_error_set(err, PDK_INVALID, "num_key_value_heads",
            "num_key_value_heads is %" PRIu32 "; it must divide the %" PRIu32 " heads", config->kv_heads,
            config->heads);
    if (config->head_dim == 0 && config->hidden % config->heads != 0)
        return pdk_error_set(err, PDK_INVALID, "num_attention_heads",
            "num_attention_heads is %" PRIu32 "; it must divide hidden_size (%" PRIu32 ")", config->heads,
            config->hidden);
    if (config->head_dim == 0)
        config->head_dim = config->hidden / config->heads;
    if ((uint64_t)config->heads * config->head_dim > HEAD_COLUMNS_MAX)
        return pdk_error_set(err, PDK_INVALID, "head_dim",
            "%" PRIu32 " heads of %" PRIu32 " are too wide; the limit is %d", config->heads, config->head_dim,
            HEAD_COLUMNS_MAX);
    static const struct config_field value_length = {"v_head_dim", "attention.value_length", 1, 4096};
    uint32_t values = config->head_dim;
    status = config_uint(reader, &value_length, &values, NULL, err);
    if (status == PDK_OK && values != config->head_dim)
        return pdk_error_set(err, PDK_UNSUPPORTED, "v_head_dim",
            "values of %" PRIu32 " beside keys of %" PRIu32 " numbers a head are not supported", values,
            config->head_dim);
    return status;
}

static pdk_status add_eos(struct model_config *config, const char *name, uint64_t id, pdk_error *err)
{
    for (uint32_t i = 0; i < config->eos_count; i++)
        if (config->eos_ids[i] == id)
            return PDK_OK;
    if (id > INT32_MAX)
        return pdk_error_set(err, PDK_INVALID, name, "%s is %" PRIu64 "; it may be 0 to %d", name, id, INT32_MAX);
    if (config->eos_count == MODEL_STOPS_MAX)
        return pdk_error_set(err, PDK_TOO_LARGE, name, "%s has more than %d ids", name, MODEL_STOPS_MAX);
    config->eos_ids[config->eos_count++] = (uint32_t)id;
    return PDK_OK;
}

pdk_status model_config_add_eos(struct model_config *config, const char *name, const struct json *ids, pdk_error *err)
{
    if (ids == NULL || ids->type == JSON_NULL)
        return PDK_OK;
    pdk_status status = PDK_OK;
    const struct json *at = ids->type == JSON_ARRAY ? ids->child : ids;
    for (; at != NULL && status == PDK_OK; at = ids->type == JSON_ARRAY ? at->next : NULL) {
        uint64_t id;
        if (!json_uint64(at, &id))
            return pdk_error_set(err, PDK_INVALID, name, "%s must be a token id or a list of them", name);
        status = add_eos(config, name, id, err);
    }
    return status;
}

/* One id; -1 (and what lies past the vocabulary, as some files' pad) is none. */
static pdk_status read_id(
    struct config_reader *reader, const char *name, const char *gguf, int64_t *ret_id, pdk_error *err)
{
    const struct json *json = config_find(reader, name);
    uint64_t id;
    int64_t value = -1;
    if (json != NULL && json->type == JSON_ARRAY)
        json = json->child;
    if (json != NULL && !json_int64(json, &value))
        return pdk_error_set(err, PDK_INVALID, name, "%s must be a token id", name);
    if (json == NULL && reader->gguf != NULL && gguf_uint(reader->gguf, gguf, &id))
        value = id <= INT32_MAX ? (int64_t)id : -1;
    *ret_id = value >= 0 && value <= INT32_MAX ? value : -1;
    return PDK_OK;
}

static pdk_status read_ids(struct config_reader *reader, struct model_config *config, pdk_error *err)
{
    static const char *const stops[] = {
        "tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"};
    pdk_status status = read_id(reader, "bos_token_id", "tokenizer.ggml.bos_token_id", &config->bos_id, err);
    if (status == PDK_OK)
        status = read_id(reader, "pad_token_id", "tokenizer.ggml.padding_token_id", &config->pad_id, err);
    if (status == PDK_OK)
        status = model_config_add_eos(config, "eos_token_id", config_find(reader, "eos_token_id"), err);
    for (size_t i = 0; reader->gguf != NULL && i < sizeof stops / sizeof stops[0] && status == PDK_OK; i++) {
        uint64_t id;
        if (gguf_uint(reader->gguf, stops[i], &id))
            status = add_eos(config, stops[i], id, err);
    }
    return status;
}

/* A model saved without its head has lost what its tensors' names began with. */
static const char *inner_prefix(const struct model_config *config)
{
    static const char *const known[] = {"model.", "transformer.", "gpt_neox."};
    const char *embedding = config->row->names[ROLE_EMBEDDING];
    for (size_t i = 0; config->use != USE_GENERATE && i < sizeof known / sizeof known[0]; i++)
        if (strncmp(embedding, known[i], strlen(known[i])) == 0)
            return known[i];
    return NULL;
}

pdk_status model_config_read(struct config_reader *reader, struct model_config *ret_config, pdk_error *err)
{
    struct model_config config = {.from_gguf = reader->gguf != NULL};
    static pdk_status (*const steps[])(struct config_reader *, struct model_config *, pdk_error *) = {read_quantisation,
        read_uints, derive_heads, read_reals, read_flags, read_activation, experts_config_read, layer_kinds_read,
        read_ids, encoder_config_read};
    pdk_status status = find_row(reader, &config.row, &config.use, err);
    if (status == PDK_OK) {
        config.prefix = config.row->prefix != NULL ? config.row->prefix : inner_prefix(&config);
        config.position_offset = config.row->position_offset;
    }
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && status == PDK_OK; i++)
        status = steps[i](reader, &config, err);
    if (status != PDK_OK)
        return status;
    if (config.embedding_width == 0)
        config.embedding_width = config.hidden;
    config.positions = config.context;
    config.rope_order = config.from_gguf ? config.row->gguf_rope_order : config.row->rope_order;
    if (config.positioning == POSITIONS_ROPE)
        status = rope_config_read(reader, &config, err);
    latent_config_finish(&config);
    if (status == PDK_OK)
        *ret_config = config;
    return status;
}
