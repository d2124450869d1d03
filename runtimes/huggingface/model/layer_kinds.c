/* How layers differ within one model: which see only a window, and which leave queries and keys unturned. */
#include "config.h"

#include "runtimes/huggingface/model/model_config.h"

#include "core/base/error.h"
#include "runtimes/huggingface/model/printable.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

pdk_status layer_types_read(const struct json *types, struct model_config *config, pdk_error *err)
{
    if (types->type != JSON_ARRAY || types->count != config->layers)
        return pdk_error_set(
            err, PDK_INVALID, "layer_types", "layer_types must be a list of %" PRIu32 " names", config->layers);
    uint32_t layer = 0;
    for (const struct json *at = types->child; at != NULL; at = at->next, layer++) {
        const char *name = "";
        json_string(at, &name);
        config->windowed[layer] = strcmp(name, "sliding_attention") == 0;
        if (config->windowed[layer] && config->window == 0)
            return pdk_error_set(err, PDK_INVALID, "sliding_window",
                "layer_types[%" PRIu32 "] is sliding_attention, and sliding_window is not set", layer);
        if (!config->windowed[layer] && strcmp(name, "full_attention") != 0)
            return pdk_error_value(err, PDK_UNSUPPORTED, "layer_types", name,
                "layer type '%s' is not known; known are full_attention and sliding_attention", printable(name).text);
    }
    return PDK_OK;
}

/* GGUF: how many layers make a round, the last of which sees all; or a flag for each layer. */
static pdk_status read_gguf_pattern(
    struct config_reader *reader, struct model_config *config, uint32_t *pattern, bool *ret_listed, pdk_error *err)
{
    static const struct config_field field = {"sliding_window_pattern", "attention.sliding_window_pattern", 0, 1 << 20};
    char key[128];
    size_t count;
    snprintf(key, sizeof key, "%s.%s", reader->prefix, field.gguf);
    const struct gguf_array *flags = gguf_array(reader->gguf, key, GGUF_BOOL, &count);
    *ret_listed = flags != NULL;
    if (flags == NULL)
        return config_uint(reader, &field, pattern, NULL, err);
    if (count != config->layers)
        return pdk_error_set(
            err, PDK_INVALID, key, "%s has %zu flags for %" PRIu32 " layers", key, count, config->layers);
    for (uint32_t i = 0; i < config->layers; i++)
        config->windowed[i] = config->window != 0 && gguf_array_int(flags, i) != 0;
    return PDK_OK;
}

/* Which layers see only a window. */
static pdk_status read_windows(struct config_reader *reader, struct model_config *config, pdk_error *err)
{
    static const struct config_field first_field = {"max_window_layers", NULL, 0, 1 << 20};
    bool on = !config->row->window_switch || reader->gguf != NULL; /* a GGUF has a window or has none */
    uint32_t first = 0;
    pdk_status status = PDK_OK;
    if (!on) {
        first = 28; /* what the first release had */
        status = config_flag(reader, "use_sliding_window", &on, err);
        if (status == PDK_OK)
            status = config_uint(reader, &first_field, &first, NULL, err);
    }
    if (status != PDK_OK)
        return status;
    if (!on)
        config->window = 0;
    const struct json *types = config_find(reader, "layer_types");
    if (types != NULL && !config->row->encoder) /* an encoder's window has another name: encoder_config.c */
        return layer_types_read(types, config, err);
    static const struct config_field pattern_field = {
        "sliding_window_pattern|_sliding_window_pattern", NULL, 0, 1 << 20};
    uint32_t pattern = config->row->window_pattern;
    bool listed = false;
    status = reader->gguf != NULL ? read_gguf_pattern(reader, config, &pattern, &listed, err)
                                  : config_uint(reader, &pattern_field, &pattern, NULL, err);
    for (uint32_t i = 0; i < config->layers && !listed; i++)
        config->windowed[i] = config->window != 0 && i >= first && (pattern == 0 || (i + 1) % pattern != 0);
    return status;
}

/* Which layers leave queries and keys as they are. */
static pdk_status read_turned(struct config_reader *reader, struct model_config *config, pdk_error *err)
{
    static const struct config_field interval_field = {"no_rope_layer_interval", NULL, 1, 1 << 20};
    uint32_t interval = config->row->still_every;
    pdk_status status = config_uint(reader, &interval_field, &interval, NULL, err);
    if (status != PDK_OK)
        return status;
    for (uint32_t i = 0; i < config->layers; i++)
        config->turned[i] = interval == 0 || (i + 1) % interval != 0;
    const struct json *list = config_find(reader, "no_rope_layers");
    if (list == NULL || (list->type == JSON_ARRAY && list->count == 0))
        return PDK_OK;
    if (list->type != JSON_ARRAY || list->count != config->layers)
        return pdk_error_set(
            err, PDK_INVALID, "no_rope_layers", "no_rope_layers must be a list of %" PRIu32 " numbers", config->layers);
    uint32_t layer = 0;
    for (const struct json *at = list->child; at != NULL; at = at->next, layer++) {
        uint64_t value;
        if (!json_uint64(at, &value) || value > 1)
            return pdk_error_set(
                err, PDK_INVALID, "no_rope_layers", "no_rope_layers[%" PRIu32 "] must be 0 or 1", layer);
        config->turned[layer] = (uint8_t)value;
    }
    return PDK_OK;
}

pdk_status layer_kinds_read(struct config_reader *reader, struct model_config *config, pdk_error *err)
{
    pdk_status status = read_windows(reader, config, err);
    return status == PDK_OK ? read_turned(reader, config, err) : status;
}
