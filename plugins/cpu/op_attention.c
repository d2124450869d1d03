/* Positions, the cache and attention. An item is a row, for attention a row's one key head with the query heads that
 * share it. */
#include "config.h"

#include "plugins/cpu/queue.h"

#include <assert.h>
#include <math.h>

static void need_rope(const pdk_queue *queue, const struct op *op, struct room *room)
{
    size_t turns = (size_t)queue->max_rows * op->rope_kv.rope_dims;
    room->turns = room->turns < turns ? turns : room->turns;
}

/* Cosines and sines are formed once a step and shared by the layers. The angle is a float, as in every published
 * implementation. */
const float *queue_turns(pdk_queue *queue, const pdk_vector *frequencies, uint32_t dims, float magnitude)
{
    for (uint32_t i = 0; i < queue->turns_used; i++) {
        struct turns *turns = &queue->turns[i];
        if (turns->frequencies == frequencies && turns->dims == dims && turns->magnitude == magnitude)
            return turns->values;
    }
    struct turns *turns = &queue->turns[queue->turns_next];
    queue->turns_next = (queue->turns_next + 1) % TURNS_MAX;
    queue->turns_used += queue->turns_used < TURNS_MAX;
    turns->frequencies = frequencies;
    turns->dims = dims;
    turns->magnitude = magnitude;
    size_t half = dims / 2;
    for (uint32_t r = 0; r < queue->batch->row_count; r++) {
        float *cosines = &turns->values[(size_t)r * dims], *sines = cosines + half;
        for (size_t i = 0; i < half; i++) {
            double angle = (float)queue->batch->positions[r] * frequencies->values[i];
            cosines[i] = (float)(cos(angle) * magnitude);
            sines[i] = (float)(sin(angle) * magnitude);
        }
    }
    return turns->values;
}

static void cut_rope(pdk_queue *queue, const struct op *any, struct cut *ret_cut)
{
    const pdk_rope_kv *op = &any->rope_kv;
    bool turns = op->frequencies != NULL && op->rope_dims != 0;
    queue->row_turns = turns ? queue_turns(queue, op->frequencies, op->rope_dims, op->magnitude) : NULL;
    double row_ns = (op->heads * 0.3 + op->kv_heads * 2.5) * op->head_dim;
    uint32_t rows = queue->batch->row_count;
    *ret_cut = (struct cut){.items = rows, .grain = (uint32_t)(20000 / row_ns) + 1, .nanoseconds = rows * row_ns};
}

static void run_rope(pdk_queue *queue, const struct op *any, uint32_t first, uint32_t last, struct scratch *scratch)
{
    (void)scratch;
    const pdk_rope_kv *op = &any->rope_kv;
    size_t n = op->head_dim;
    bool bfloat = op->kv->shape.type == PDK_TYPE_BF16;
    for (uint32_t r = first; r < last; r++) {
        float *row = row_of(op->qkv, r), *keys = row + op->heads * n, *values = keys + op->kv_heads * n;
        for (uint32_t h = 0; queue->row_turns != NULL && h < op->heads + op->kv_heads; h++)
            queue->backend->kernels->rope(row + h * n, queue->row_turns + (size_t)r * op->rope_dims, op->rope_dims / 2,
                op->order == PDK_ROPE_PAIRS);
        uint32_t slot = queue->batch->slots[r];
        assert(slot / BLOCK_TOKENS < op->kv->blocks);
        uint8_t *block = block_of(op->kv, op->layer, slot / BLOCK_TOKENS);
        for (uint32_t h = 0; h < op->kv_heads; h++)
            kv_put(block + h * op->kv->head_bytes, slot % BLOCK_TOKENS, n, bfloat, keys + h * n, values + h * n);
    }
}

static uint32_t last_seen(const pdk_attention *op, const pdk_batch *batch, uint32_t row)
{
    uint32_t own = batch->positions[row];
    if (op->bidirectional == 0)
        return own;
    uint32_t behind = batch->context_lengths[batch->sequence_of[row]] - 1 - own;
    return own + (op->window != 0 && op->window - 1 < behind ? op->window - 1 : behind);
}

static void cut_attention(pdk_queue *queue, const struct op *any, struct cut *ret_cut)
{
    const pdk_attention *op = &any->attention;
    const pdk_batch *batch = queue->batch;
    double seen = 0;
    for (uint32_t r = 0; r < batch->row_count; r++) {
        uint32_t left = batch->positions[r] + 1, right = last_seen(op, batch, r) - batch->positions[r];
        seen += (op->window != 0 && op->window < left ? op->window : left) + right;
    }
    ret_cut->items = batch->row_count * op->kv_heads;
    ret_cut->grain = 1;
    ret_cut->nanoseconds = seen * op->heads * (10 + op->head_dim * 0.1);
}

static void run_attention(
    pdk_queue *queue, const struct op *any, uint32_t first, uint32_t last, struct scratch *scratch)
{
    (void)scratch;
    const pdk_attention *op = &any->attention;
    const pdk_batch *batch = queue->batch;
    const struct kernels *kernels = queue->backend->kernels;
    attend_kernel *attend = op->kv->shape.type == PDK_TYPE_BF16 ? kernels->attend_bf16 : kernels->attend_f32;
    uint32_t group = op->heads / op->kv_heads;
    for (uint32_t item = first; item < last; item++) {
        uint32_t r = item / op->kv_heads, kv_head = item % op->kv_heads, end = (kv_head + 1) * group;
        for (uint32_t head = kv_head * group; head < end; head += GROUP_MAX) {
            struct attend task = {
                .query = row_of(op->qkv, r) + (size_t)head * op->head_dim,
                .out = row_of(op->out, r) + (size_t)head * op->head_dim,
                .slopes = op->slopes != NULL ? op->slopes->values + head : NULL,
                .sinks = op->sinks != NULL ? op->sinks->values + head : NULL,
                .layer = block_of(op->kv, op->layer, 0) + kv_head * op->kv->head_bytes,
                .table = &batch->tables[(size_t)batch->sequence_of[r] * batch->table_stride],
                .block_bytes = op->kv->shape.kv_heads * op->kv->head_bytes,
                .head_dim = op->head_dim,
                .group = end - head < GROUP_MAX ? end - head : GROUP_MAX,
                .position = batch->positions[r],
                .window = op->window,
                .last = last_seen(op, batch, r),
                .scale = op->scale,
                .soft_cap = op->soft_cap,
            };
            attend(&task);
        }
    }
}

static void cut_copy(pdk_queue *queue, const struct op *any, struct cut *ret_cut)
{
    (void)queue;
    const pdk_kv *kv = any->kv_copy.kv;
    double bytes = (double)kv->shape.layers * kv->shape.kv_heads * (double)kv->head_bytes;
    *ret_cut = (struct cut){.items = kv->shape.layers, .grain = 1, .nanoseconds = bytes * 0.1};
}

static void run_copy(pdk_queue *queue, const struct op *any, uint32_t first, uint32_t last, struct scratch *scratch)
{
    (void)queue;
    (void)scratch;
    const struct kv_copy *op = &any->kv_copy;
    size_t bytes = op->kv->shape.kv_heads * op->kv->head_bytes;
    for (uint32_t layer = first; op->from_block != op->to_block && layer < last; layer++)
        memcpy(block_of(op->kv, layer, op->to_block), block_of(op->kv, layer, op->from_block), bytes);
}

const struct op_class op_rope_kv = {.need = need_rope, .cut = cut_rope, .run = run_rope};
const struct op_class op_attention = {.cut = cut_attention, .run = run_attention};
const struct op_class op_kv_copy = {.cut = cut_copy, .run = run_copy};
