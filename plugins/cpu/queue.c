/* Recording the ops of a step, and walking them. */
#include "config.h"

#include "plugins/cpu/tables.h"

#include "core/base/error.h"
#include "plugins/cpu/queue.h"

#include <assert.h>
#include <stdlib.h>

/* What waking another thread to a region costs and gains is even at about this much work. */
#define SHARE_FROM_NS 3000.0

static const struct op_class *const classes[OP_KINDS] = {
    [OP_EMBED] = &op_embed,
    [OP_NORM] = &op_norm,
    [OP_LINEAR] = &op_linear,
    [OP_ROPE_KV] = &op_rope_kv,
    [OP_ATTENTION] = &op_attention,
    [OP_HEAD] = &op_head,
    [OP_SAMPLE] = &op_sample,
    [OP_KV_COPY] = &op_kv_copy,
    [OP_ROUTE] = &op_route,
    [OP_EXPERTS_UP] = &op_experts_up,
    [OP_EXPERTS_DOWN] = &op_experts_down,
    [OP_LATENT_KV] = &op_latent_kv,
    [OP_LATENT_ATTENTION] = &op_latent_attention,
};

static bool next_region(void *context, unsigned thread, struct team_region *ret_region)
{
    pdk_queue *queue = context;
    bool alone = team_threads(queue->backend->team) == 1;
    while (queue->next_op < queue->op_count) {
        const struct op *op = &queue->ops[queue->next_op++];
        struct cut cut;
        classes[op->kind]->cut(queue, op, &cut);
        if (cut.items > 1 && !alone && cut.nanoseconds >= SHARE_FROM_NS) {
            queue->op = op;
            *ret_region = (struct team_region){.items = cut.items, .grain = cut.grain};
            return true;
        }
        if (cut.items != 0)
            classes[op->kind]->run(queue, op, 0, cut.items, &queue->scratch[thread]);
    }
    return false;
}

static void run_items(void *context, uint32_t first, uint32_t last, unsigned thread)
{
    pdk_queue *queue = context;
    classes[queue->op->kind]->run(queue, queue->op, first, last, &queue->scratch[thread]);
}

pdk_status queue_new(void *self, uint32_t max_rows, uint32_t max_ops, pdk_queue **ret_queue, pdk_error *err)
{
    struct backend *backend = self;
    size_t bytes;
    if (__builtin_mul_overflow((size_t)max_ops, sizeof(struct op), &bytes) ||
        __builtin_add_overflow(bytes, sizeof(pdk_queue), &bytes))
        return pdk_error_set(err, PDK_NO_MEMORY, "queue", "a queue of %u ops does not fit in memory", max_ops);
    pdk_queue *queue = calloc(1, bytes);
    struct scratch *scratch = calloc(team_threads(backend->team), sizeof *scratch);
    if (queue == NULL || scratch == NULL) {
        free(queue);
        free(scratch);
        return pdk_error_set(err, PDK_NO_MEMORY, "queue", "no memory for a queue of %u ops", max_ops);
    }
    queue->backend = backend;
    queue->scratch = scratch;
    queue->max_rows = max_rows;
    queue->max_ops = max_ops;
    queue->step = (struct team_step){.context = queue, .next = next_region, .run = run_items};
    *ret_queue = queue;
    return PDK_OK;
}

void queue_free(void *self, pdk_queue *queue)
{
    (void)self;
    if (queue == NULL)
        return;
    assert(!queue->submitted);
    scratch_free(queue);
    free(queue);
}

void queue_begin(pdk_queue *queue, const pdk_batch *batch)
{
    assert(!queue->submitted && batch->row_count <= queue->max_rows && batch->output_count <= queue->max_rows);
    queue->batch = batch;
    queue->op_count = 0;
}

pdk_status queue_submit(pdk_queue *queue, pdk_error *err)
{
    assert(!queue->submitted);
    struct room need = {0};
    for (uint32_t i = 0; i < queue->op_count; i++)
        if (classes[queue->ops[i].kind]->need != NULL)
            classes[queue->ops[i].kind]->need(queue, &queue->ops[i], &need);
    pdk_status status = scratch_reserve(queue, &need, err);
    if (status != PDK_OK)
        return status;
    queue->next_op = 0;
    queue->turns_used = queue->turns_next = 0;
    status = team_start(queue->backend->team, &queue->step, err);
    queue->submitted = status == PDK_OK;
    return status;
}

pdk_status queue_wait(pdk_queue *queue, pdk_error *err)
{
    (void)err;
    if (queue->submitted)
        team_finish(queue->backend->team);
    queue->submitted = false;
    return PDK_OK;
}

static struct op *record(pdk_queue *queue, enum op_kind kind)
{
    assert(!queue->submitted && queue->op_count < queue->max_ops);
    struct op *op = &queue->ops[queue->op_count++];
    op->kind = kind;
    return op;
}

void queue_embed(pdk_queue *queue, const pdk_embed *op)
{
    assert((op->table != NULL || op->positions != NULL) && op->out->max_rows >= queue->batch->row_count);
    assert(op->table == NULL || op->table->columns == op->out->columns);
    assert(op->positions == NULL || op->positions->columns == op->out->columns);
    assert(op->types == NULL || op->types->columns == op->out->columns);
    record(queue, OP_EMBED)->embed = *op;
}

void queue_norm(pdk_queue *queue, const pdk_norm *op)
{
    assert(op->out->columns == op->in->columns && (op->add == NULL || op->add->columns == op->in->columns));
    assert(op->group == 0 || (op->count % op->group == 0 && op->first + op->count <= op->in->columns));
    uint32_t needed = op->group == 0 ? op->in->columns : op->each_group != 0 ? op->count : op->group;
    assert(op->weight == NULL || op->weight->count >= needed);
    (void)needed;
    record(queue, OP_NORM)->norm = *op;
}

void queue_linear(pdk_queue *queue, const pdk_linear *op)
{
    assert(op->in != op->out && op->in->columns == op->weight->columns && op->out->columns == outputs_of(op->weight));
    assert(op->weight->use == PDK_WEIGHT_LINEAR || op->weight->use == PDK_WEIGHT_GATED);
    assert(op->bias == NULL ||
           op->bias->count >= outputs_of(op->weight) * (op->weight->use == PDK_WEIGHT_GATED ? (size_t)2 : 1));
    assert(op->residual == NULL || op->residual->columns == op->out->columns);
    record(queue, OP_LINEAR)->linear = *op;
}

void queue_rope_kv(pdk_queue *queue, const pdk_rope_kv *op)
{
    assert((size_t)op->qkv->columns == ((size_t)op->heads + 2 * (size_t)op->kv_heads) * op->head_dim);
    assert(op->kv->shape.kv_heads == op->kv_heads && op->kv->shape.head_dim == op->head_dim);
    assert(op->layer < op->kv->shape.layers);
    assert(op->frequencies == NULL || (op->rope_dims <= op->head_dim && op->frequencies->count >= op->rope_dims / 2));
    record(queue, OP_ROPE_KV)->rope_kv = *op;
}

void queue_attention(pdk_queue *queue, const pdk_attention *op)
{
    assert(op->kv->shape.kv_heads == op->kv_heads && op->kv->shape.head_dim == op->head_dim);
    assert(op->kv_heads != 0 && op->heads % op->kv_heads == 0 && op->layer < op->kv->shape.layers);
    assert((size_t)op->out->columns == (size_t)op->heads * op->head_dim);
    record(queue, OP_ATTENTION)->attention = *op;
}

void queue_head(pdk_queue *queue, const pdk_head *op)
{
    assert(op->in->columns == op->weight->columns && op->logits->columns == outputs_of(op->weight));
    assert(op->weight->use == PDK_WEIGHT_LINEAR || op->weight->use == PDK_WEIGHT_TIED);
    assert(op->logits->max_rows >= queue->batch->output_count);
    record(queue, OP_HEAD)->head = *op;
}

void queue_sample(pdk_queue *queue, const pdk_sample *op)
{
    record(queue, OP_SAMPLE)->sample = *op;
}

void queue_kv_copy(pdk_queue *queue, pdk_kv *kv, uint32_t from_block, uint32_t to_block)
{
    assert(from_block < kv->blocks && to_block < kv->blocks);
    record(queue, OP_KV_COPY)->kv_copy = (struct kv_copy){kv, from_block, to_block};
}

void queue_route(pdk_queue *queue, const pdk_route *op)
{
    assert(op->products->columns == op->experts && op->out->columns == 2 * op->chosen);
    assert(op->experts <= PDK_EXPERTS_MAX && op->chosen != 0 && op->chosen <= op->experts);
    assert(op->correction == NULL || op->correction->count >= op->experts);
    assert(op->groups == 0 || (op->experts % op->groups == 0 && op->groups_chosen <= op->groups &&
                                  op->chosen <= op->experts / op->groups * op->groups_chosen &&
                                  (op->group_score != PDK_GROUP_TOP_TWO || op->experts / op->groups >= 2)));
    record(queue, OP_ROUTE)->route = *op;
}

void queue_experts_up(pdk_queue *queue, const pdk_experts_up *op)
{
    const pdk_weight *first = op->weights[0];
    assert(op->in->columns == first->columns && op->out->columns == first->outputs);
    assert(first->use == PDK_WEIGHT_GATED && op->route->columns == 2 * op->chosen && op->chosen <= op->experts);
    assert(op->out->max_rows / op->chosen >= queue->batch->row_count);
    assert(op->bias == NULL || op->bias->count >= (size_t)op->experts * 2 * first->outputs);
    record(queue, OP_EXPERTS_UP)->experts_up = *op;
}

void queue_experts_down(pdk_queue *queue, const pdk_experts_down *op)
{
    const pdk_weight *first = op->weights[0];
    assert(op->in->columns == first->columns && op->out->columns == first->outputs);
    assert(first->use == PDK_WEIGHT_LINEAR && op->route->columns == 2 * op->chosen && op->chosen <= op->experts);
    assert(op->in->max_rows / op->chosen >= queue->batch->row_count);
    assert(op->residual == NULL || op->residual->columns == op->out->columns);
    assert(op->bias == NULL || op->bias->count >= (size_t)op->experts * first->outputs);
    record(queue, OP_EXPERTS_DOWN)->experts_down = *op;
}

void queue_latent_kv(pdk_queue *queue, const pdk_latent_kv *op)
{
    assert((size_t)op->queries->columns == (size_t)op->heads * (op->nope_dims + op->rope_dims));
    assert(op->latent->columns == op->rank + op->rope_dims && op->kv->shape.latent == op->latent->columns);
    assert(op->layer < op->kv->shape.layers && op->rope_dims % 2 == 0);
    assert(op->frequencies->count >= op->rope_dims / 2);
    record(queue, OP_LATENT_KV)->latent_kv = *op;
}

void queue_latent_attention(pdk_queue *queue, const pdk_latent_attention *op)
{
    assert((size_t)op->queries->columns == (size_t)op->heads * (op->nope_dims + op->rope_dims));
    assert(op->kv->shape.latent == op->rank + op->rope_dims && op->layer < op->kv->shape.layers);
    assert(op->keys[0]->columns == op->nope_dims && op->keys[0]->outputs == op->rank);
    assert(op->values[0]->columns == op->rank && op->values[0]->outputs == op->value_dims);
    assert((size_t)op->out->columns == (size_t)op->heads * op->value_dims && op->rank == op->kv->shape.latent_rank);
    record(queue, OP_LATENT_ATTENTION)->latent_attention = *op;
}
