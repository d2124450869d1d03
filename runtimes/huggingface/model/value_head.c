/* Sums run in eight chains of doubles over a row's columns, whatever the machine: a head is small beside the layers
 * before it, and its numbers should not hang on where it runs. */
#include "config.h"

#include "runtimes/huggingface/model/value_head.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "runtimes/huggingface/model/numbers.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH_MAX = 1 << 20 };

static pdk_status copy_values(const struct tensor *tensor, uint64_t count, float **ret_values, pdk_error *err)
{
    float *values = calloc(count, sizeof *values);
    if (values == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "model", "no memory for %" PRIu64 " numbers of a head", count);
    numbers_to_floats(tensor->type, tensor->data, count, values);
    *ret_values = values;
    return PDK_OK;
}

static pdk_status wrong_shape(const struct tensor *tensor, const char *want, pdk_error *err)
{
    return pdk_error_set(err, PDK_INVALID, "tensors", "%.*s %s",
        (int)(tensor->name.length < 120 ? tensor->name.length : 120), tensor->name.data, want);
}

static pdk_status copy_vector(
    const struct tensor *tensor, const struct tensor *weight, float **ret_values, pdk_error *err)
{
    if (tensor == NULL)
        return PDK_OK;
    if (tensor->type == 0 || tensor->rank != 1 || tensor->shape[0] != weight->shape[0])
        return wrong_shape(tensor, "must have a number for each row of its weight", err);
    return copy_values(tensor, tensor->shape[0], ret_values, err);
}

pdk_status value_head_add(struct value_head *head, const struct value_tensors *tensors, uint32_t columns,
    enum value_activation activation, double epsilon, pdk_error *err)
{
    const struct tensor *weight = tensors->weight;
    if (head->count == VALUE_LAYERS_MAX)
        return pdk_error_set(err, PDK_TOO_LARGE, "model", "a head has more than %d layers", VALUE_LAYERS_MAX);
    /* A matrix of one row may be kept as a vector. */
    bool flat = weight->rank == 1 && weight->shape[0] == columns;
    uint64_t rows = flat ? 1 : weight->shape[0];
    if (weight->type == 0 || (!flat && (weight->rank != 2 || weight->shape[1] != columns)))
        return wrong_shape(weight, "is not a matrix of as many columns as what it is given has numbers", err);
    if (rows == 0 || rows > WIDTH_MAX)
        return wrong_shape(weight, "has no row, or more than 1048576", err);
    struct value_layer *layer = &head->layers[head->count++];
    *layer =
        (struct value_layer){.rows = (uint32_t)rows, .columns = columns, .activation = activation, .epsilon = epsilon};
    struct tensor shape = {.shape = {rows}};
    pdk_status status = copy_values(weight, rows * columns, &layer->weight, err);
    if (status == PDK_OK)
        status = copy_vector(tensors->bias, &shape, &layer->bias, err);
    if (status == PDK_OK)
        status = copy_vector(tensors->norm, &shape, &layer->norm, err);
    return status == PDK_OK ? copy_vector(tensors->shift, &shape, &layer->shift, err) : status;
}

void value_head_done(struct value_head *head)
{
    for (uint32_t i = 0; i < head->count; i++) {
        free(head->layers[i].weight);
        free(head->layers[i].bias);
        free(head->layers[i].norm);
        free(head->layers[i].shift);
    }
    *head = (struct value_head){0};
}

uint64_t value_head_bytes(const struct value_head *head)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < head->count; i++)
        total += ((uint64_t)head->layers[i].columns + 3) * head->layers[i].rows * sizeof(float);
    return total;
}

static double activate(enum value_activation activation, double x)
{
    switch (activation) {
    case VALUE_NONE: break;
    case VALUE_TANH: return tanh(x);
    case VALUE_RELU: return x > 0 ? x : 0;
    case VALUE_SILU: return x / (1 + exp(-x));
    case VALUE_GELU: return 0.5 * x * (1 + erf(x * M_SQRT1_2));
    case VALUE_GELU_TANH: return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case VALUE_SIGMOID: return 1 / (1 + exp(-x));
    }
    return x;
}

static double dot(const float *a, const float *b, size_t n)
{
    enum { CHAINS = 8 };
    double sums[CHAINS] = {0};
    size_t i = 0;
    for (; i + CHAINS <= n; i += CHAINS)
        for (size_t k = 0; k < CHAINS; k++)
            sums[k] += (double)a[i + k] * (double)b[i + k];
    for (; i < n; i++)
        sums[i % CHAINS] += (double)a[i] * (double)b[i];
    return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

static void normalise(const struct value_layer *layer, float *out)
{
    double mean = 0, variance = 0;
    for (uint32_t i = 0; i < layer->rows; i++)
        mean += (double)out[i] / layer->rows;
    for (uint32_t i = 0; i < layer->rows; i++)
        variance += (out[i] - mean) * (out[i] - mean) / layer->rows;
    for (uint32_t i = 0; i < layer->rows; i++)
        out[i] = (float)((out[i] - mean) / sqrt(variance + layer->epsilon) * (double)layer->norm[i] +
                         (layer->shift != NULL ? (double)layer->shift[i] : 0));
}

static void apply_layer(const struct value_layer *layer, const float *in, float *out)
{
    for (uint32_t r = 0; r < layer->rows; r++) {
        double sum = dot(layer->weight + (size_t)r * layer->columns, in, layer->columns);
        out[r] = (float)activate(layer->activation, sum + (layer->bias != NULL ? (double)layer->bias[r] : 0));
    }
    if (layer->norm != NULL)
        normalise(layer, out);
}

pdk_status value_head_apply(const struct value_head *head, const float *in, uint32_t width, float *out, pdk_error *err)
{
    if (head->count == 0) {
        memcpy(out, in, width * sizeof *out);
        return PDK_OK;
    }
    uint32_t widest = 0;
    for (uint32_t i = 0; i + 1 < head->count; i++)
        widest = head->layers[i].rows > widest ? head->layers[i].rows : widest;
    PDK_AUTO_FREE float *between = calloc(2 * (size_t)widest + 1, sizeof *between);
    if (between == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the values of a head");
    for (uint32_t i = 0; i < head->count; i++) {
        float *to = i + 1 == head->count ? out : between + i % 2 * (size_t)widest;
        apply_layer(&head->layers[i], in, to);
        in = to;
    }
    return PDK_OK;
}

bool value_activation_named(const char *name, enum value_activation *ret_activation)
{
    static const struct {
        const char *name;
        enum value_activation activation;
    } known[] = {{"Identity", VALUE_NONE}, {"identity", VALUE_NONE}, {"Tanh", VALUE_TANH}, {"tanh", VALUE_TANH},
        {"ReLU", VALUE_RELU}, {"relu", VALUE_RELU}, {"SiLU", VALUE_SILU}, {"silu", VALUE_SILU}, {"swish", VALUE_SILU},
        {"GELU", VALUE_GELU}, {"gelu", VALUE_GELU}, {"gelu_new", VALUE_GELU_TANH},
        {"gelu_pytorch_tanh", VALUE_GELU_TANH}, {"Sigmoid", VALUE_SIGMOID}, {"sigmoid", VALUE_SIGMOID}};
    const char *last = strrchr(name, '.');
    name = last != NULL ? last + 1 : name;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].name, name) != 0)
            continue;
        *ret_activation = known[i].activation;
        return true;
    }
    return false;
}
