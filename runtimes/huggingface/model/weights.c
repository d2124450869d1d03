/* From the plan to the backend: bytes are counted and compared with the budget first; then each weight is packed and
 * the pages that it was read from are let go. */
#include "config.h"

#include "runtimes/huggingface/model/weight_plan.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "runtimes/huggingface/model/gguf_tokens.h"
#include "runtimes/huggingface/model/mapping.h"
#include "runtimes/huggingface/model/numbers.h"
#include "runtimes/huggingface/model/quantised.h"
#include "runtimes/huggingface/model/rope.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t row_bytes(const struct tensor *tensor, uint32_t columns)
{
    return (size_t)columns / number_block(tensor->type) * number_block_bytes(tensor->type);
}

/* The parts as the backend takes them; data still in the file. */
static void make_matrices(const struct planned_weight *weight, pdk_matrix matrices[PLAN_PARTS_MAX])
{
    for (uint32_t i = 0; i < weight->part_count; i++) {
        const struct tensor *tensor = weight->parts[i].tensor;
        if (tensor->quantised != NULL)
            matrices[i] = quantised_shape(tensor, weight->parts[i].rows);
        else
            matrices[i] = (pdk_matrix){.type = tensor->type,
                .rows = weight->parts[i].rows,
                .columns = weight->parts[i].columns,
                .data = tensor->data + weight->parts[i].first_row * row_bytes(tensor, weight->parts[i].columns)};
    }
}

static uint64_t count_bytes(const struct model *model, const struct weight_plan *plan)
{
    uint64_t total = 0;
    for (size_t i = 0; i < plan->weight_count; i++) {
        pdk_matrix matrices[PLAN_PARTS_MAX];
        make_matrices(&plan->weights[i], matrices);
        total += model->ops->weight_bytes(model->compute, matrices, plan->weights[i].part_count, plan->weights[i].use);
    }
    for (size_t i = 0; i < plan->vector_count; i++)
        for (uint32_t k = 0; k < plan->vectors[i].part_count; k++)
            total += plan->vectors[i].parts[k].count * sizeof(float);
    return total;
}

/* "5.1 GiB", "4 GiB", "512 MiB" */
static void bytes_text(uint64_t bytes, char text[32])
{
    bool large = bytes >= 1u << 30;
    double tenths = round((double)bytes * 10 / (large ? 1u << 30 : 1u << 20));
    snprintf(text, 32, fmod(tenths, 10) == 0 ? "%.0f %s" : "%.1f %s", tenths / 10, large ? "GiB" : "MiB");
}

static pdk_status check_budget(uint64_t bytes, uint64_t limit, pdk_error *err)
{
    if (limit == 0 || bytes <= limit)
        return PDK_OK;
    char needs[32], has[32];
    bytes_text(bytes, needs);
    bytes_text(limit, has);
    return pdk_error_set(err, PDK_NO_MEMORY, "memory", "the weights need %s, limit %s", needs, has);
}

/* Copies parts that lie at an odd address, as a safetensors file's may: backends read at even ones. */
static pdk_status align(
    const struct planned_weight *weight, pdk_matrix matrices[PLAN_PARTS_MAX], void **ret_buffer, pdk_error *err)
{
    size_t total = 0, bytes[PLAN_PARTS_MAX] = {0};
    for (uint32_t i = 0; i < weight->part_count; i++) {
        if ((uintptr_t)matrices[i].data % 2 == 0 || weight->parts[i].tensor->quantised != NULL)
            continue;
        if (__builtin_mul_overflow(
                row_bytes(weight->parts[i].tensor, matrices[i].columns), matrices[i].rows, &bytes[i]) ||
            __builtin_add_overflow(total, bytes[i], &total))
            return pdk_error_set(err, PDK_NO_MEMORY, "model", "a weight is too large to copy");
    }
    if (total == 0)
        return PDK_OK;
    uint8_t *buffer = malloc(total), *to = buffer;
    if (buffer == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "model", "no memory for %zu bytes of weights", total);
    for (uint32_t i = 0; i < weight->part_count; to += bytes[i], i++) {
        if (bytes[i] == 0)
            continue;
        memcpy(to, matrices[i].data, bytes[i]);
        matrices[i].data = to;
    }
    *ret_buffer = buffer;
    return PDK_OK;
}

static pdk_status load_weight(struct model *model, const struct planned_weight *weight, pdk_error *err)
{
    pdk_matrix matrices[PLAN_PARTS_MAX];
    void *unpacked[PLAN_PARTS_MAX] = {NULL};
    make_matrices(weight, matrices);
    PDK_AUTO_FREE void *buffer = NULL;
    pdk_status status = align(weight, matrices, &buffer, err);
    for (uint32_t i = 0; i < weight->part_count && status == PDK_OK; i++)
        if (weight->parts[i].tensor->quantised != NULL)
            status = quantised_unpack(weight->parts[i].tensor, weight->parts[i].first_row, weight->parts[i].rows,
                &matrices[i], &unpacked[i], err);
    if (status == PDK_OK)
        status = model->ops->weight_load(model->compute, matrices, weight->part_count, weight->use, weight->slot, err);
    for (uint32_t i = 0; i < weight->part_count; i++)
        free(unpacked[i]);
    const struct tensor *first = weight->parts[0].tensor;
    if (status != PDK_OK)
        return pdk_error_wrap(
            err, "%.*s", (int)(first->name.length < 100 ? first->name.length : 100), first->name.data);
    for (uint32_t i = 0; i < weight->part_count; i++)
        mapping_release(weight->parts[i].tensor->data, weight->parts[i].tensor->bytes);
    return PDK_OK;
}

static pdk_status load_vector(struct model *model, const struct planned_vector *vector, pdk_error *err)
{
    size_t total = 0, at = 0;
    for (uint32_t i = 0; i < vector->part_count; i++)
        total += vector->parts[i].count;
    PDK_AUTO_FREE float *values = calloc(total, sizeof *values);
    if (values == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "model", "no memory for a vector of %zu numbers", total);
    for (uint32_t i = 0; i < vector->part_count; i++) {
        const struct tensor *tensor = vector->parts[i].tensor;
        if (tensor != NULL && !number_is_plain(tensor->type))
            return pdk_error_set(err, PDK_UNSUPPORTED, "tensors",
                "%.*s, a vector, is of type %s; known are F32, F16, BF16", (int)tensor->name.length, tensor->name.data,
                tensor->type_name);
        if (tensor != NULL)
            numbers_to_floats(tensor->type, tensor->data, vector->parts[i].count, values + at);
        at += vector->parts[i].count;
    }
    for (size_t i = 0; i < total; i++)
        values[i] += vector->plus;
    return model->ops->vector_load(model->compute, values, total, vector->slot, err);
}

static pdk_status load_frequencies(struct model *model, const struct tensor *factors, pdk_error *err)
{
    const struct rope_config *rope = &model->config.rope;
    if (model->config.row->positions != POSITIONS_ROPE)
        return PDK_OK;
    PDK_AUTO_FREE float *values = calloc(rope->dims, sizeof *values);
    if (values == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "model", "no memory for rope frequencies");
    float *divisors = factors != NULL ? values + rope->dims / 2 : NULL;
    if (factors != NULL)
        numbers_to_floats(factors->type, factors->data, rope->dims / 2, divisors);
    for (uint32_t i = 0; divisors != NULL && i < rope->dims / 2; i++)
        if (!(divisors[i] > 0) || !isfinite(divisors[i]))
            return pdk_error_set(err, PDK_INVALID, "rope_freqs", "rope_freqs[%" PRIu32 "] is %g; it must be above 0", i,
                (double)divisors[i]);
    rope_frequencies(rope, divisors, values);
    model->decoder.magnitude = rope_magnitude(rope);
    return model->ops->vector_load(model->compute, values, rope->dims / 2, &model->decoder.frequencies, err);
}

/* The type that most bytes are of. */
static int32_t main_type(const struct weight_plan *plan)
{
    uint64_t bytes[PDK_TYPE_END] = {0};
    int32_t best = PDK_TYPE_F32;
    for (size_t i = 0; i < plan->weight_count; i++)
        for (uint32_t k = 0; k < plan->weights[i].part_count; k++)
            bytes[plan->weights[i].parts[k].tensor->type] += plan->weights[i].parts[k].tensor->bytes;
    for (int32_t i = 1; i < PDK_TYPE_END; i++)
        if (bytes[i] > bytes[best])
            best = i;
    return best;
}

static uint64_t planned_bytes(const struct planned_weight *weight)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < weight->part_count; i++)
        total += weight->parts[i].tensor->bytes;
    return total;
}

/* Lets the disk read the next weight while this one is packed. */
static void prefetch(const struct planned_weight *weight)
{
    for (uint32_t i = 0; i < weight->part_count; i++)
        mapping_prefetch(weight->parts[i].tensor->data, weight->parts[i].tensor->bytes);
}

static pdk_status load_all(
    struct model *model, const struct weight_plan *plan, const struct model_request *request, pdk_error *err)
{
    uint64_t total = 0, done = 0;
    for (size_t i = 0; i < plan->weight_count; i++)
        total += planned_bytes(&plan->weights[i]);
    pdk_status status = load_frequencies(model, plan->rope_factors, err);
    for (size_t i = 0; i < plan->vector_count && status == PDK_OK; i++)
        status = load_vector(model, &plan->vectors[i], err);
    for (size_t i = 0; i < plan->weight_count && status == PDK_OK; i++) {
        if (i + 1 < plan->weight_count)
            prefetch(&plan->weights[i + 1]);
        status = load_weight(model, &plan->weights[i], err);
        done += planned_bytes(&plan->weights[i]);
        if (status == PDK_OK && request->progress != NULL)
            request->progress(request->progress_context, (double)done / (double)total);
    }
    return status;
}

pdk_status weights_load(struct model *model, const struct model_request *request, pdk_error *err)
{
    model->decoder.layers = calloc(model->config.layers, sizeof *model->decoder.layers);
    if (model->decoder.layers == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "model", "no memory for %" PRIu32 " layers", model->config.layers);
    PDK_CLEANUP(weight_plan_done) struct weight_plan plan = {0};
    pdk_status status = weight_plan_make(model, &plan, err);
    if (status == PDK_OK && model->source.gguf != NULL)
        status = gguf_tokens_check(model->source.gguf, model->config.vocabulary, err);
    if (status != PDK_OK)
        return status;
    model->facts.weight_bytes = count_bytes(model, &plan);
    model->facts.weight_type = main_type(&plan);
    status = check_budget(model->facts.weight_bytes, request->memory_bytes, err);
    return status == PDK_OK ? load_all(model, &plan, request, err) : status;
}

static void free_linear(const struct model *model, struct linear *linear)
{
    model->ops->weight_free(model->compute, linear->weight);
    model->ops->vector_free(model->compute, linear->bias);
}

static void free_norm(const struct model *model, struct norm *norm)
{
    model->ops->vector_free(model->compute, norm->weight);
    model->ops->vector_free(model->compute, norm->bias);
}

void weights_free(struct model *model)
{
    struct decoder *decoder = &model->decoder;
    for (uint32_t i = 0; decoder->layers != NULL && i < model->config.layers; i++) {
        struct layer *layer = &decoder->layers[i];
        struct norm *norms[] = {&layer->attention_norm, &layer->q_norm, &layer->k_norm, &layer->attention_out_norm,
            &layer->mlp_norm, &layer->mlp_out_norm};
        struct linear *linears[] = {&layer->qkv, &layer->o, &layer->up, &layer->down};
        for (size_t k = 0; k < sizeof norms / sizeof norms[0]; k++)
            free_norm(model, norms[k]);
        for (size_t k = 0; k < sizeof linears / sizeof linears[0]; k++)
            free_linear(model, linears[k]);
    }
    struct linear *ends[] = {
        &decoder->embedding, &decoder->positions, &decoder->project_in, &decoder->project_out, &decoder->head};
    for (size_t k = 0; k < sizeof ends / sizeof ends[0]; k++)
        free_linear(model, ends[k]);
    free_norm(model, &decoder->final_norm);
    model->ops->vector_free(model->compute, decoder->frequencies);
    free(decoder->layers);
    *decoder = (struct decoder){0};
}
