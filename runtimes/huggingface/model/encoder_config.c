/* What only an encoder's configuration says: how many segments its tokens may be of, where its positions begin, and
 * which layers see only their neighbourhood. */
#include "config.h"

#include "runtimes/huggingface/model/model_config.h"

#include "core/base/error.h"
#include "runtimes/huggingface/model/printable.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A decoder under an encoder's name, or positions of a kind that is not here. */
static pdk_status refuse_others(struct config_reader *reader, pdk_error *err)
{
    bool decoder = false, causal = false;
    const char *kind = "absolute";
    char key[96];
    pdk_status status = config_flag(reader, "is_decoder", &decoder, err);
    if (status == PDK_OK)
        status = config_text(reader, "position_embedding_type", &kind, err);
    if (status != PDK_OK)
        return status;
    if (decoder)
        return pdk_error_set(err, PDK_UNSUPPORTED, "is_decoder", "an encoder used as a decoder is not supported");
    if (strcmp(kind, "absolute") != 0 && strcmp(kind, "rope") != 0 && strcmp(kind, "sans_pos") != 0)
        return pdk_error_value(err, PDK_UNSUPPORTED, "position_embedding_type", kind,
            "position_embedding_type '%s' is not supported", printable(kind).text);
    snprintf(key, sizeof key, "%s.attention.causal", reader->prefix);
    if (reader->gguf != NULL && gguf_bool(reader->gguf, key, &causal) && causal)
        return pdk_error_set(err, PDK_UNSUPPORTED, key, "an encoder with causal attention is not supported");
    return PDK_OK;
}

/* The rows up to that of the padding token are no token's positions, though they count in max_position_embeddings. A
 * GGUF has neither. */
static pdk_status take_padding_off(struct model_config *config, pdk_error *err)
{
    if (!config->row->positions_behind_pad || config->from_gguf)
        return PDK_OK;
    uint32_t offset = config->pad_id >= 0 ? (uint32_t)config->pad_id + 1 : 2;
    if (offset >= config->context)
        return pdk_error_set(err, PDK_INVALID, "max_position_embeddings",
            "max_position_embeddings is %" PRIu32 "; the positions behind that of pad_token_id leave none",
            config->context);
    config->position_offset = offset;
    config->context -= offset;
    return PDK_OK;
}

/* Every so many-th layer sees all, the first one on, where layer_types does not say. */
static pdk_status read_neighbourhood(struct config_reader *reader, struct model_config *config, pdk_error *err)
{
    static const struct config_field width_field = {"local_attention", NULL, 1, 1 << 28};
    static const struct config_field every_field = {"global_attn_every_n_layers", NULL, 1, MODEL_LAYERS_MAX};
    uint32_t width = 128, every = 3; /* what the first release had */
    if (config->row->local_theta == 0)
        return PDK_OK;
    pdk_status status = config_uint(reader, &width_field, &width, NULL, err);
    if (status == PDK_OK)
        status = config_uint(reader, &every_field, &every, NULL, err);
    if (status != PDK_OK)
        return status;
    config->window = width / 2 + 1; /* half of it to each side, and the token itself */
    for (uint32_t i = 0; i < config->layers; i++)
        config->windowed[i] = i % every != 0;
    const struct json *types = config_find(reader, "layer_types");
    return types != NULL ? layer_types_read(types, config, err) : PDK_OK;
}

static pdk_status read_class_activation(struct config_reader *reader, struct model_config *config, pdk_error *err)
{
    const char *name = NULL;
    const struct class_layer *first = &config->row->classes[0];
    config->class_activation = first->activation;
    if (!first->configured_activation)
        return PDK_OK;
    pdk_status status = config_text(reader, "classifier_activation", &name, err);
    if (status == PDK_OK && name != NULL && !value_activation_named(name, &config->class_activation))
        return pdk_error_value(err, PDK_UNSUPPORTED, "classifier_activation", name,
            "classifier_activation '%s' is not known", printable(name).text);
    return status;
}

pdk_status encoder_config_read(struct config_reader *reader, struct model_config *config, pdk_error *err)
{
    static const struct config_field types_field = {"type_vocab_size", ".tokenizer.ggml.token_type_count", 1, 256};
    if (!config->row->encoder)
        return PDK_OK;
    config->types = architecture_has(config->row, ROLE_TYPES) ? 2 : 0;
    pdk_status status = refuse_others(reader, err);
    if (status == PDK_OK && config->types != 0)
        status = config_uint(reader, &types_field, &config->types, NULL, err);
    if (status == PDK_OK)
        status = take_padding_off(config, err);
    if (status == PDK_OK)
        status = read_neighbourhood(reader, config, err);
    return status == PDK_OK ? read_class_activation(reader, config, err) : status;
}
