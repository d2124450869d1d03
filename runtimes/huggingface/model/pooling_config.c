/* See the header. Names are those of transformers, sentence-transformers and llama.cpp. */
#include "config.h"

#include "runtimes/huggingface/model/pooling_config.h"

#include "core/base/error.h"
#include "runtimes/huggingface/model/printable.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pdk_status no_memory(pdk_error *err)
{
    return pdk_error_set(err, PDK_NO_MEMORY, "id2label", "no memory for the classes' names");
}

/* {"0": "negative", "1": "positive"}; keys are decimal numbers. */
static bool label_number(const char *key, uint32_t *ret_number)
{
    uint32_t number = 0;
    size_t length = strlen(key);
    if (length == 0 || length > 6 || strspn(key, "0123456789") != length)
        return false;
    for (size_t i = 0; i < length; i++)
        number = number * 10 + (uint32_t)(key[i] - '0');
    *ret_number = number;
    return number < POOLING_LABELS_MAX;
}

static pdk_status put_label(
    struct pooling_config *config, uint32_t number, const char *text, size_t length, pdk_error *err)
{
    free(config->labels[number]);
    config->labels[number] = strndup(text, length);
    return config->labels[number] != NULL ? PDK_OK : no_memory(err);
}

static pdk_status read_labels(const struct json *labels, struct pooling_config *config, pdk_error *err)
{
    if (labels->type != JSON_OBJECT || labels->count > POOLING_LABELS_MAX)
        return pdk_error_set(
            err, PDK_INVALID, "id2label", "id2label must be an object of at most %d names", POOLING_LABELS_MAX);
    uint32_t count = 0, number;
    for (const struct json *at = labels->child; at != NULL; at = at->next) {
        if (!label_number(at->key, &number) || at->type != JSON_STRING)
            return pdk_error_value(err, PDK_INVALID, "id2label", at->key,
                "id2label: '%s' is no class number below %d with a name", printable(at->key).text, POOLING_LABELS_MAX);
        count = number + 1 > count ? number + 1 : count;
    }
    config->labels = calloc((size_t)count + 1, sizeof *config->labels);
    if (config->labels == NULL)
        return no_memory(err);
    config->label_count = count;
    pdk_status status = PDK_OK;
    for (const struct json *at = labels->child; at != NULL && status == PDK_OK; at = at->next)
        if (label_number(at->key, &number))
            status = put_label(config, number, at->text, at->length, err);
    return status;
}

static pdk_status read_gguf_labels(struct config_reader *reader, struct pooling_config *config, pdk_error *err)
{
    char key[96];
    snprintf(key, sizeof key, "%s.classifier.output_labels", reader->prefix);
    size_t count = 0;
    const struct gguf_array *array = gguf_array(reader->gguf, key, GGUF_STRING, &count);
    if (array == NULL || count > POOLING_LABELS_MAX)
        return PDK_OK;
    config->labels = calloc(count + 1, sizeof *config->labels);
    if (config->labels == NULL)
        return no_memory(err);
    config->label_count = (uint32_t)count;
    pdk_status status = PDK_OK;
    for (uint32_t i = 0; i < count && status == PDK_OK; i++) {
        pdk_string label = gguf_array_string(array, i);
        status = put_label(config, i, label.data, label.length, err);
    }
    return status;
}

static pdk_status read_dimensions(struct config_reader *reader, struct pooling_config *config, pdk_error *err)
{
    pdk_status status = config_flag(reader, "is_matryoshka", &config->matryoshka, err);
    const struct json *list = config_find(reader, "matryoshka_dimensions");
    if (status != PDK_OK || list == NULL)
        return status;
    if (list->type != JSON_ARRAY || list->count > POOLING_DIMENSIONS_MAX)
        return pdk_error_set(err, PDK_INVALID, "matryoshka_dimensions",
            "matryoshka_dimensions must be a list of at most %d numbers", POOLING_DIMENSIONS_MAX);
    for (const struct json *at = list->child; at != NULL; at = at->next) {
        uint64_t value;
        if (!json_uint64(at, &value) || value == 0 || value > 1 << 20)
            return pdk_error_set(
                err, PDK_INVALID, "matryoshka_dimensions", "matryoshka_dimensions: each must be 1 to 1048576");
        config->dimensions[config->dimension_count++] = (uint32_t)value;
    }
    config->matryoshka |= config->dimension_count > 0;
    return PDK_OK;
}

static pdk_status read_problem(struct config_reader *reader, struct pooling_config *config, pdk_error *err)
{
    static const char *const names[] = {[PROBLEM_REGRESSION] = "regression",
        [PROBLEM_ONE_LABEL] = "single_label_classification",
        [PROBLEM_LABELS] = "multi_label_classification"};
    const char *name = NULL;
    pdk_status status = config_text(reader, "problem_type", &name, err);
    if (status != PDK_OK || name == NULL || name[0] == '\0')
        return status;
    for (size_t i = 1; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0)
            config->problem = (enum pooling_problem)i;
    if (config->problem != PROBLEM_UNSAID)
        return PDK_OK;
    return pdk_error_value(
        err, PDK_UNSUPPORTED, "problem_type", name, "problem type '%s' is not known", printable(name).text);
}

/* sentence-transformers' name of it, in either place that its releases have used. */
static pdk_status read_activation(struct config_reader *reader, struct pooling_config *config, pdk_error *err)
{
    const char *name = NULL;
    const struct json *nested = json_get(config_find(reader, "sentence_transformers"), "activation_fn");
    if (nested == NULL || !json_string(nested, &name)) {
        pdk_status status = config_text(reader, "sbert_ce_default_activation_function", &name, err);
        if (status != PDK_OK || name == NULL)
            return status;
    }
    static const char identity[] = "torch.nn.modules.linear.Identity",
                      sigmoid[] = "torch.nn.modules.activation.Sigmoid";
    config->activation_is_sigmoid = strcmp(name, sigmoid) == 0;
    config->activation_said = config->activation_is_sigmoid || strcmp(name, identity) == 0;
    if (config->activation_said)
        return PDK_OK;
    return pdk_error_value(err, PDK_UNSUPPORTED, "sentence_transformers.activation_fn", name,
        "activation '%s' is not known; known are %s and %s", printable(name).text, identity, sigmoid);
}

static pdk_status read_kind(struct config_reader *reader, struct pooling_config *config, pdk_error *err)
{
    static const enum pooling_kind numbered[] = {POOLING_UNSAID, POOLING_MEAN, POOLING_CLS, POOLING_LAST, POOLING_RANK};
    static const struct config_field number_field = {"pooling_type", "pooling_type", 0, 4};
    uint32_t number = 0;
    const char *name = NULL;
    pdk_status status = reader->gguf != NULL ? config_uint(reader, &number_field, &number, NULL, err)
                                             : config_text(reader, "classifier_pooling", &name, err);
    if (status != PDK_OK)
        return status;
    config->kind = numbered[number];
    if (name == NULL)
        return PDK_OK;
    if (strcmp(name, "cls") != 0 && strcmp(name, "mean") != 0)
        return pdk_error_value(err, PDK_UNSUPPORTED, "classifier_pooling", name,
            "classifier_pooling '%s' is not known; known are cls and mean", printable(name).text);
    config->kind = name[0] == 'c' ? POOLING_CLS : POOLING_MEAN;
    return PDK_OK;
}

pdk_status pooling_config_read(struct config_reader *reader, struct pooling_config *ret_config, pdk_error *err)
{
    static pdk_status (*const steps[])(struct config_reader *, struct pooling_config *, pdk_error *) = {
        read_dimensions, read_problem, read_activation, read_kind};
    const struct json *labels = config_find(reader, "id2label");
    pdk_status status = labels != NULL         ? read_labels(labels, ret_config, err)
                        : reader->gguf != NULL ? read_gguf_labels(reader, ret_config, err)
                                               : PDK_OK;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && status == PDK_OK; i++)
        status = steps[i](reader, ret_config, err);
    return status;
}

void pooling_config_done(struct pooling_config *config)
{
    for (uint32_t i = 0; i < config->label_count; i++)
        free(config->labels[i]);
    free(config->labels);
    *config = (struct pooling_config){0};
}
