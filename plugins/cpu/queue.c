/* Recording the ops of a step. */
#include "config.h"

#include "plugins/cpu/tables.h"

#include "core/base/error.h"

#include <assert.h>
#include <stdlib.h>

pdk_status queue_new(void *self, uint32_t max_rows, uint32_t max_ops, pdk_queue **ret_queue, pdk_error *err)
{
    size_t bytes;
    if (__builtin_mul_overflow((size_t)max_ops, sizeof(struct op), &bytes) ||
        __builtin_add_overflow(bytes, sizeof(pdk_queue), &bytes))
        return pdk_error_set(err, PDK_NO_MEMORY, "queue", "a queue of %u ops does not fit in memory", max_ops);
    pdk_queue *queue = calloc(1, bytes);
    if (queue == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "queue", "no memory for a queue of %u ops", max_ops);
    queue->backend = self;
    queue->max_rows = max_rows;
    queue->max_ops = max_ops;
    *ret_queue = queue;
    return PDK_OK;
}

void queue_free(void *self, pdk_queue *queue)
{
    (void)self;
    if (queue == NULL)
        return;
    free(queue->sample_values);
    free(queue->sample_order);
    free(queue);
}

void queue_begin(pdk_queue *queue, const pdk_batch *batch)
{
    assert(batch->row_count <= queue->max_rows);
    queue->batch = batch;
    queue->op_count = 0;
}

static struct op *next_op(pdk_queue *queue, enum op_kind kind)
{
    assert(queue->op_count < queue->max_ops);
    struct op *op = &queue->ops[queue->op_count++];
    op->kind = kind;
    return op;
}

void queue_embed(pdk_queue *queue, const pdk_embed *op)
{
    next_op(queue, OP_EMBED)->embed = *op;
}

void queue_norm(pdk_queue *queue, const pdk_norm *op)
{
    next_op(queue, OP_NORM)->norm = *op;
}

void queue_linear(pdk_queue *queue, const pdk_linear *op)
{
    assert(op->in != op->out);
    next_op(queue, OP_LINEAR)->linear = *op;
}

void queue_rope_kv(pdk_queue *queue, const pdk_rope_kv *op)
{
    next_op(queue, OP_ROPE_KV)->rope_kv = *op;
}

void queue_attention(pdk_queue *queue, const pdk_attention *op)
{
    next_op(queue, OP_ATTENTION)->attention = *op;
}

void queue_head(pdk_queue *queue, const pdk_head *op)
{
    next_op(queue, OP_HEAD)->head = *op;
}

void queue_sample(pdk_queue *queue, const pdk_sample *op)
{
    next_op(queue, OP_SAMPLE)->sample = *op;
}

void queue_kv_copy(pdk_queue *queue, pdk_kv *kv, uint32_t from_block, uint32_t to_block)
{
    next_op(queue, OP_KV_COPY)->kv_copy = (struct kv_copy){kv, from_block, to_block};
}

pdk_status queue_submit(pdk_queue *queue, pdk_error *err)
{
    (void)err;
    for (uint32_t i = 0; i < queue->op_count; i++)
        run_op(queue, &queue->ops[i]);
    return PDK_OK;
}

pdk_status queue_wait(pdk_queue *queue, pdk_error *err)
{
    (void)queue;
    (void)err;
    return PDK_OK;
}
