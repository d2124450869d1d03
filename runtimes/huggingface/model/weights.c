/* From the plan to the backend: bytes are counted and compared with the budget first; then each weight is packed and
 * the pages that it was read from are let go. */
#include "config.h"

#include "runtimes/huggingface/model/weight_plan.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "runtimes/huggingface/model/gguf_tokens.h"
#include "runtimes/huggingface/model/mapping.h"
#include "runtimes/huggingface/model/numbers.h"
#include "runtimes/huggingface/model/rope.h"
#include "runtimes/huggingface/model/turned.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The parts as the backend takes them, for counting: data still in the file. */
static void shape_matrices(const struct planned_weight *weight, pdk_matrix matrices[PLAN_PARTS_MAX])
{
    for (uint32_t i = 0; i < weight->part_count; i++)
        matrices[i] = weight_part_shape(&weight->parts[i]);
}

static uint64_t count_bytes(const struct model *model, const struct weight_plan *plan)
{
    uint64_t total = 0;
    for (size_t i = 0; i < plan->weight_count; i++) {
        pdk_matrix matrices[PLAN_PARTS_MAX];
        shape_matrices(&plan->weights[i], matrices);
        total += model->ops->weight_bytes(model->compute, matrices, plan->weights[i].part_count, plan->weights[i].use);
    }
    for (size_t i = 0; i < plan->vector_count; i++)
        for (uint32_t k = 0; k < plan->vectors[i].part_count; k++)
            total += plan->vectors[i].parts[k].count * sizeof(float);
    for (size_t i = 0; i < plan->bias_count; i++)
        total += (uint64_t)plan->biases[i].experts * (2 * (uint64_t)plan->biases[i].inner + plan->biases[i].hidden) *
                 sizeof(float);
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

/* Packs the parts. */
static pdk_status pack(struct model *model, const struct planned_weight *weight, pdk_error *err)
{
    pdk_matrix matrices[PLAN_PARTS_MAX];
    void *buffers[PLAN_PARTS_MAX] = {NULL};
    pdk_status status = PDK_OK;
    for (uint32_t i = 0; i < weight->part_count && status == PDK_OK; i++)
        status = weight_part_read(&model->config, &weight->parts[i], &matrices[i], &buffers[i], err);
    if (status == PDK_OK)
        status = model->ops->weight_load(model->compute, matrices, weight->part_count, weight->use, weight->slot, err);
    for (uint32_t i = 0; i < weight->part_count; i++)
        free(buffers[i]);
    return status;
}

static pdk_status load_weight(struct model *model, const struct planned_weight *weight, pdk_error *err)
{
    bool turned = gather_needs_backend(weight->parts[0].tensor, &weight->parts[0].gather);
    pdk_status status = turned ? turned_load(model, weight, err) : pack(model, weight, err);
    const struct tensor *first = weight->parts[0].tensor;
    if (status != PDK_OK)
        return pdk_error_wrap(
            err, "%.*s", (int)(first->name.length < 100 ? first->name.length : 100), first->name.data);
    for (uint32_t i = 0; i < weight->part_count; i++)
        mapping_release(weight_part_bytes(&weight->parts[i]).data, weight_part_bytes(&weight->parts[i]).length);
    return PDK_OK;
}

static bool read_part(const struct model *model, const struct vector_part *part, float *values)
{
    if (part->layout == LAYOUT_ROWS) {
        numbers_to_floats(part->tensor->type, part->tensor->data, part->count, values);
        return true;
    }
    PDK_AUTO_FREE float *in_file = calloc(part->count, sizeof *in_file);
    if (in_file == NULL)
        return false;
    numbers_to_floats(part->tensor->type, part->tensor->data, part->count, in_file);
    layout_copy(part->layout, &model->config, in_file, part->count, 1, sizeof *in_file, values);
    return true;
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
        const struct vector_part *part = &vector->parts[i];
        if (part->tensor != NULL && !number_is_plain(part->tensor->type))
            return pdk_error_set(err, PDK_UNSUPPORTED, "tensors",
                "%.*s, a vector, is of type %s; known are F32, F16, BF16", (int)part->tensor->name.length,
                part->tensor->name.data, part->tensor->type_name);
        if (part->tensor != NULL && !read_part(model, part, values + at))
            return pdk_error_set(err, PDK_NO_MEMORY, "model", "no memory for a vector of %zu numbers", total);
        at += part->count;
    }
    for (size_t i = 0; i < total; i++)
        values[i] += vector->plus;
    return model->ops->vector_load(model->compute, values, total, vector->slot, err);
}

static pdk_status load_turning(struct model *model, const struct rope_config *rope, const struct tensor *factors,
    struct turning *turning, pdk_error *err)
{
    PDK_AUTO_FREE float *values = calloc(rope->dims, sizeof *values);
    if (values == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "model", "no memory for rope frequencies");
    float *divisors = factors != NULL ? values + rope->dims / 2 : NULL;
    if (factors != NULL)
        numbers_to_floats(factors->type, factors->data, rope->dims / 2, divisors);
    for (uint32_t i = 0; divisors != NULL && i < rope->dims / 2; i++)
        if (!(divisors[i] > 0) || !isfinite(divisors[i]))
            return pdk_error_set(err, PDK_INVALID, "rope_freqs", "%.*s[%" PRIu32 "] is %g; it must be above 0",
                (int)factors->name.length, factors->name.data, i, (double)divisors[i]);
    rope_frequencies(rope, divisors, values);
    turning->magnitude = rope_magnitude(rope);
    return model->ops->vector_load(model->compute, values, rope->dims / 2, &turning->frequencies, err);
}

/* ALiBi's slopes: for a power of two n of heads, 2^(-8/n) to the powers 1, 2, ... n; the heads beyond the largest such
 * n take every other power of twice as many heads (Press et al. 2022, and its authors' code). */
static pdk_status load_slopes(struct model *model, pdk_error *err)
{
    const struct model_config *config = &model->config;
    uint32_t round = 1;
    while (round * 2 <= config->heads)
        round *= 2;
    PDK_AUTO_FREE float *slopes = calloc(config->heads, sizeof *slopes);
    if (slopes == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "model", "no memory for %" PRIu32 " slopes", config->heads);
    for (uint32_t i = 0; i < config->heads; i++) {
        double power = i < round ? 8.0 * (i + 1) / round : 4.0 * (2 * (i - round) + 1) / round;
        slopes[i] = (float)(exp2(-power) * (config->row->scaled_slopes ? config->attention_scale : 1));
    }
    return model->ops->vector_load(model->compute, slopes, config->heads, &model->decoder.slopes, err);
}

static pdk_status load_positions(struct model *model, const struct tensor *factors, pdk_error *err)
{
    const struct model_config *config = &model->config;
    if (config->positioning == POSITIONS_ALIBI)
        return load_slopes(model, err);
    if (config->positioning != POSITIONS_ROPE)
        return PDK_OK;
    pdk_status status = load_turning(model, &config->rope, factors, &model->decoder.rope, err);
    if (status == PDK_OK && config->local_rope.dims != 0)
        status = load_turning(model, &config->local_rope, NULL, &model->decoder.local_rope, err);
    return status;
}

/* The type that most bytes are of. */
static int32_t main_type(const struct weight_plan *plan)
{
    uint64_t bytes[PDK_TYPE_END] = {0};
    int32_t best = PDK_TYPE_F32;
    for (size_t i = 0; i < plan->weight_count; i++)
        for (uint32_t k = 0; k < plan->weights[i].part_count; k++)
            bytes[plan->weights[i].parts[k].tensor->type] += weight_part_bytes(&plan->weights[i].parts[k]).length;
    for (int32_t i = 1; i < PDK_TYPE_END; i++)
        if (bytes[i] > bytes[best])
            best = i;
    return best;
}

static uint64_t planned_bytes(const struct planned_weight *weight)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < weight->part_count; i++)
        total += weight_part_bytes(&weight->parts[i]).length;
    return total;
}

/* Lets the disk read the next weight while this one is packed. */
static void prefetch(const struct planned_weight *weight)
{
    for (uint32_t i = 0; i < weight->part_count; i++)
        mapping_prefetch(weight_part_bytes(&weight->parts[i]).data, weight_part_bytes(&weight->parts[i]).length);
}

static pdk_status load_all(
    struct model *model, const struct weight_plan *plan, const struct model_request *request, pdk_error *err)
{
    uint64_t total = 0, done = 0;
    for (size_t i = 0; i < plan->weight_count; i++)
        total += planned_bytes(&plan->weights[i]);
    pdk_status status = load_positions(model, plan->rope_factors, err);
    for (size_t i = 0; i < plan->vector_count && status == PDK_OK; i++)
        status = load_vector(model, &plan->vectors[i], err);
    for (size_t i = 0; i < plan->bias_count && status == PDK_OK; i++)
        status = experts_bias_load(model, &plan->biases[i], err);
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

/* Types that take much more room packed than in the file, so that memory's use is no surprise. */
static void tell_growth(const struct model *model, const struct weight_plan *plan, const struct model_request *request)
{
    uint64_t packed[PDK_TYPE_END] = {0}, stored[PDK_TYPE_END] = {0}, numbers[PDK_TYPE_END] = {0};
    for (size_t i = 0; i < plan->weight_count; i++) {
        pdk_matrix matrices[PLAN_PARTS_MAX];
        shape_matrices(&plan->weights[i], matrices);
        for (uint32_t k = 0; k < plan->weights[i].part_count; k++) {
            const pdk_matrix *m = &matrices[k];
            uint64_t count = (uint64_t)m->rows * m->columns;
            packed[m->type] += model->ops->weight_bytes(model->compute, m, 1, PDK_WEIGHT_LINEAR);
            stored[m->type] += count / number_block(m->type) * number_block_bytes(m->type);
            numbers[m->type] += count;
        }
    }
    for (int32_t type = 1; type < PDK_TYPE_END && request->note != NULL; type++) {
        char text[128];
        if (packed[type] <= stored[type] + stored[type] / 2)
            continue;
        snprintf(text, sizeof text, "weights of type %s are held in %.1f bits each; the file has %.1f",
            number_type_name(type), (double)packed[type] * 8 / (double)numbers[type],
            (double)stored[type] * 8 / (double)numbers[type]);
        request->note(request->progress_context, text);
    }
}

pdk_status weights_load(struct model *model, const struct model_request *request, pdk_error *err)
{
    model->decoder.layers = calloc(model->config.layers, sizeof *model->decoder.layers);
    if (model->decoder.layers == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "model", "no memory for %" PRIu32 " layers", model->config.layers);
    PDK_CLEANUP(weight_plan_done) struct weight_plan plan = {0};
    pdk_status status = classes_load(model, err);
    if (status == PDK_OK)
        status = weight_plan_make(model, &plan, err);
    if (status == PDK_OK && model->source.gguf != NULL)
        status = gguf_tokens_check(model->source.gguf, model->config.vocabulary, err);
    if (status != PDK_OK)
        return status;
    if (plan.has_extra_layer && request->note != NULL)
        request->note(request->progress_context,
            "the layers that predict further tokens (num_nextn_predict_layers) are not used");
    if (plan.ignored != 0 && request->note != NULL) {
        char text[160];
        snprintf(text, sizeof text, "%zu tensors of %s have no effect: they are for %s", plan.ignored,
            model->config.row->class_name,
            model->config.use == USE_GENERATE ? "images" : "a head that is not used here");
        request->note(request->progress_context, text);
    }
    model->facts.weight_bytes = count_bytes(model, &plan) + value_head_bytes(&model->classes);
    model->facts.weight_type = main_type(&plan);
    tell_growth(model, &plan, request);
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
        model->ops->vector_free(model->compute, layer->sinks);
        experts_free(model, &layer->experts);
        latent_free(model, &layer->latent);
    }
    struct linear *ends[] = {&decoder->embedding, &decoder->positions, &decoder->types, &decoder->project_in,
        &decoder->project_out, &decoder->head};
    for (size_t k = 0; k < sizeof ends / sizeof ends[0]; k++)
        free_linear(model, ends[k]);
    free_norm(model, &decoder->embedding_norm);
    free_norm(model, &decoder->final_norm);
    model->ops->vector_free(model->compute, decoder->rope.frequencies);
    model->ops->vector_free(model->compute, decoder->local_rope.frequencies);
    model->ops->vector_free(model->compute, decoder->slopes);
    free(decoder->layers);
    *decoder = (struct decoder){0};
}
