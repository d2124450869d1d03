/* Running one op. */
#include "config.h"

#include "plugins/cpu/tables.h"

#include "kernels/reference/sample.h"

#include <assert.h>
#include <stdlib.h>

static float *row_of(const pdk_rows *rows, size_t row)
{
    return &rows->values[row * rows->columns];
}

static const float *values_of(const pdk_vector *vector)
{
    return vector != NULL ? vector->values : NULL;
}

static void run_embed(pdk_queue *queue, const pdk_embed *op)
{
    const pdk_batch *batch = queue->batch;
    for (uint32_t r = 0; r < batch->row_count; r++)
        reference_embed(op->table != NULL ? op->table->matrices : NULL, batch->tokens[r], op->scale,
            op->positions != NULL ? op->positions->matrices : NULL, batch->positions[r] + op->position_offset,
            row_of(op->out, r));
}

static void run_norm(pdk_queue *queue, const pdk_norm *op)
{
    for (uint32_t r = 0; r < queue->batch->row_count; r++) {
        size_t group = op->group != 0 ? op->group : op->in->columns;
        size_t first = op->group != 0 ? op->first : 0, count = op->group != 0 ? op->count : op->in->columns;
        for (size_t at = first; at < first + count; at += group) {
            const float *add = op->add != NULL ? row_of(op->add, r) + at : NULL;
            (op->kind == PDK_NORM_RMS ? reference_norm_rms : reference_norm_layer)(row_of(op->in, r) + at, add,
                values_of(op->weight), values_of(op->bias), group, op->epsilon, row_of(op->out, r) + at);
        }
    }
}

static void run_linear(pdk_queue *queue, const pdk_linear *op)
{
    const pdk_weight *weight = op->weight;
    for (uint32_t r = 0; r < queue->batch->row_count; r++) {
        const float *x = row_of(op->in, r), *bias = values_of(op->bias);
        const float *residual = op->residual != NULL ? row_of(op->residual, r) : NULL;
        float *out = row_of(op->out, r);
        if (weight->use == PDK_WEIGHT_GATED) {
            reference_gated(&weight->matrices[0], &weight->matrices[1], x, bias, op->activation, op->scale, residual, out);
            continue;
        }
        size_t at = 0;
        for (uint32_t i = 0; i < weight->count; at += weight->matrices[i++].rows)
            reference_linear(&weight->matrices[i], x, bias != NULL ? bias + at : NULL, op->activation, op->scale,
                residual != NULL ? residual + at : NULL, out + at);
    }
}

static struct reference_cache cache_of(const pdk_kv *kv, uint32_t layer)
{
    size_t side = (size_t)kv->blocks * BLOCK_TOKENS * kv->shape.kv_heads * kv->shape.head_dim;
    float *keys = &kv->values[2 * layer * side];
    return (struct reference_cache){keys, keys + side, kv->shape.kv_heads, kv->shape.head_dim};
}

static void run_rope_kv(pdk_queue *queue, const pdk_rope_kv *op)
{
    struct reference_cache cache = cache_of(op->kv, op->layer);
    for (uint32_t r = 0; r < queue->batch->row_count; r++) {
        float *row = row_of(op->qkv, r), *keys = row + (size_t)op->heads * op->head_dim;
        for (uint32_t h = 0; op->frequencies != NULL && h < op->heads + op->kv_heads; h++)
            reference_rope(row + (size_t)h * op->head_dim, op->frequencies->values, op->rope_dims,
                queue->batch->positions[r], op->magnitude, op->order == PDK_ROPE_PAIRS);
        reference_kv_write(&cache, queue->batch->slots[r], keys, keys + (size_t)op->kv_heads * op->head_dim,
            op->kv->shape.type == PDK_TYPE_BF16);
    }
}

static void run_attention(pdk_queue *queue, const pdk_attention *op)
{
    const pdk_batch *batch = queue->batch;
    struct reference_cache cache = cache_of(op->kv, op->layer);
    for (uint32_t r = 0; r < batch->row_count; r++) {
        struct reference_attention task = {
            .heads = op->heads,
            .table = &batch->tables[(size_t)batch->sequence_of[r] * batch->table_stride],
            .position = batch->positions[r],
            .window = op->window,
            .scale = op->scale,
            .soft_cap = op->soft_cap,
            .slopes = values_of(op->slopes),
            .sinks = values_of(op->sinks),
        };
        reference_attend(&task, &cache, row_of(op->qkv, r), row_of(op->out, r));
    }
}

static void run_head(pdk_queue *queue, const pdk_head *op)
{
    for (uint32_t i = 0; i < queue->batch->output_count; i++) {
        size_t at = 0;
        for (uint32_t j = 0; j < op->weight->count; at += op->weight->matrices[j++].rows)
            reference_head(&op->weight->matrices[j], row_of(op->in, queue->batch->output_rows[i]),
                op->bias != NULL ? op->bias->values + at : NULL, op->scale, op->soft_cap, row_of(op->logits, i) + at);
    }
}

static_assert(sizeof(pdk_token_count) == sizeof(struct sample_count), "one layout");
static_assert(sizeof(pdk_bias) == sizeof(struct sample_bias), "one layout");

static void sample_row(pdk_queue *queue, const pdk_rows *logits, pdk_sample_row *row)
{
    struct sample_task task = {
        .logits = row_of(logits, row->logits_row),
        .vocabulary = logits->columns,
        .flags = row->flags,
        .temperature = row->temperature,
        .top_p = row->top_p,
        .min_p = row->min_p,
        .repetition_penalty = row->repetition_penalty,
        .frequency_penalty = row->frequency_penalty,
        .presence_penalty = row->presence_penalty,
        .top_k = row->top_k,
        .seed = row->seed,
        .counter = row->counter,
        .counts = (const struct sample_count *)row->counts,
        .count_count = row->count_count,
        .biases = (const struct sample_bias *)row->biases,
        .bias_count = row->bias_count,
        .banned = row->banned,
        .banned_count = row->banned_count,
        .allowed = row->allowed,
        .report = row->report,
        .report_count = row->report_count,
        .top_wanted = row->top_wanted,
        .token = row->token,
        .top_tokens = row->top_tokens,
        .top_logprobs = row->top_logprobs,
        .report_ranks = row->report_ranks,
        .report_logprobs = row->report_logprobs,
    };
    reference_sample(&task, queue->sample_values, queue->sample_order);
    row->token = task.token;
    row->rank = task.rank;
    row->logprob = task.logprob;
    row->top_count = (uint32_t)task.top_count;
}

static void run_sample(pdk_queue *queue, const pdk_sample *op)
{
    size_t vocabulary = op->logits->columns;
    if (queue->vocabulary_room < vocabulary) {
        free(queue->sample_values);
        free(queue->sample_order);
        queue->sample_values = calloc(vocabulary, sizeof *queue->sample_values);
        queue->sample_order = calloc(vocabulary, sizeof *queue->sample_order);
        assert(queue->sample_values != NULL && queue->sample_order != NULL);
        queue->vocabulary_room = vocabulary;
    }
    for (uint32_t i = 0; i < op->row_count; i++)
        sample_row(queue, op->logits, &op->rows[i]);
}

static void run_kv_copy(const struct kv_copy *op)
{
    for (uint32_t layer = 0; layer < op->kv->shape.layers; layer++) {
        struct reference_cache cache = cache_of(op->kv, layer);
        size_t block = BLOCK_TOKENS * cache.kv_heads * cache.head_dim;
        memcpy(cache.keys + op->to_block * block, cache.keys + op->from_block * block, block * sizeof(float));
        memcpy(cache.values + op->to_block * block, cache.values + op->from_block * block, block * sizeof(float));
    }
}

void run_op(pdk_queue *queue, const struct op *op)
{
    switch (op->kind) {
    case OP_EMBED: run_embed(queue, &op->embed); break;
    case OP_NORM: run_norm(queue, &op->norm); break;
    case OP_LINEAR: run_linear(queue, &op->linear); break;
    case OP_ROPE_KV: run_rope_kv(queue, &op->rope_kv); break;
    case OP_ATTENTION: run_attention(queue, &op->attention); break;
    case OP_HEAD: run_head(queue, &op->head); break;
    case OP_SAMPLE: run_sample(queue, &op->sample); break;
    case OP_KV_COPY: run_kv_copy(&op->kv_copy); break;
    }
}
