/* The dense layers between a hidden state and a class. They are small, and wanted for a row a request, so they stay
 * beside the backend (value_head.h). */
#include "config.h"

#include "runtimes/huggingface/model/decoder.h"

#include "core/base/error.h"

#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 128 };

/* What a decoder has in its head's place. */
static const struct class_layer decoder_classes[CLASS_LAYERS_MAX] = {{"score|classifier", NULL, VALUE_NONE, false}};

static const struct class_layer *layers_of(const struct model_config *config)
{
    const struct class_layer *layers = config->from_gguf                    ? config->row->gguf_classes
                                       : config->use == USE_CLASSIFY_TOKENS ? config->row->token_classes
                                                                            : config->row->classes;
    return layers[0].name != NULL ? layers : decoder_classes;
}

/* The tensor `names` + `ending`, of the first of "a|b" that there is; or NULL. */
static struct tensor *look_for(const struct model *model, const char *names, const char *ending)
{
    const char *prefix = model->config.prefix;
    struct tensor *tensor = NULL;
    while (tensor == NULL && names != NULL && *names != '\0') {
        char name[NAME_BYTES];
        size_t length = strcspn(names, "|");
        snprintf(name, sizeof name, "%.*s%s", (int)length, names, ending);
        tensor = tensors_find(&model->source.tensors, name);
        if (tensor == NULL && prefix != NULL && strncmp(name, prefix, strlen(prefix)) == 0)
            tensor = tensors_find(&model->source.tensors, name + strlen(prefix));
        names += length + (names[length] == '|');
    }
    if (tensor != NULL)
        tensor->used = true;
    return tensor;
}

static pdk_status load_layer(struct model *model, const struct class_layer *layer, uint32_t columns, pdk_error *err)
{
    const struct value_tensors tensors = {.weight = look_for(model, layer->name, ".weight"),
        .bias = look_for(model, layer->name, ".bias"),
        .norm = look_for(model, layer->norm, ".weight"),
        .shift = look_for(model, layer->norm, ".bias")};
    if (tensors.weight == NULL && model->config.from_gguf)
        return PDK_OK; /* some have the last layer only, some all but that */
    if (tensors.weight == NULL || (tensors.norm == NULL && layer->norm != NULL))
        return pdk_error_set(err, PDK_INVALID, "tensors", "the model has no tensor %.*s.weight, which its classes need",
            (int)strcspn(tensors.weight == NULL ? layer->name : layer->norm, "|"),
            tensors.weight == NULL ? layer->name : layer->norm);
    enum value_activation activation =
        layer->configured_activation ? model->config.class_activation : layer->activation;
    return value_head_add(&model->classes, &tensors, columns, activation, model->config.epsilon, err);
}

pdk_status classes_load(struct model *model, pdk_error *err)
{
    if (model->config.use != USE_CLASSIFY && model->config.use != USE_CLASSIFY_TOKENS)
        return PDK_OK;
    const struct class_layer *layers = layers_of(&model->config);
    uint32_t width = model->config.embedding_width;
    pdk_status status = PDK_OK;
    for (size_t i = 0; i < CLASS_LAYERS_MAX && layers[i].name != NULL && status == PDK_OK; i++)
        status = load_layer(model, &layers[i], value_head_width(&model->classes, width), err);
    if (status == PDK_OK && model->classes.count == 0)
        return pdk_error_set(
            err, PDK_INVALID, "tensors", "the model has no tensor cls.weight and no cls.output.weight");
    return status;
}

bool classes_name(const struct model_config *config, pdk_string name)
{
    const struct class_layer *const lists[] = {
        config->row->classes, config->row->token_classes, config->row->gguf_classes, decoder_classes};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        for (size_t k = 0; k < CLASS_LAYERS_MAX && lists[i][k].name != NULL; k++) {
            size_t length = strcspn(lists[i][k].name, "|");
            if (name.length > length && memcmp(name.data, lists[i][k].name, length) == 0 && name.data[length] == '.')
                return true;
        }
    }
    return false;
}
