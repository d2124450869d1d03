/* Latent attention. An item is up to LATENT_ROWS rows and GROUP_MAX heads: the heads share what is read of the cache,
 * the rows what is read of the heads' matrices. */
#include "config.h"

#include "plugins/cpu/queue.h"

#include <assert.h>

enum { LATENT_ROWS = 16 };

static void need_kv(const pdk_queue *queue, const struct op *op, struct room *room)
{
    size_t turns = (size_t)queue->max_rows * op->latent_kv.rope_dims;
    room->turns = room->turns < turns ? turns : room->turns;
}

static void cut_kv(pdk_queue *queue, const struct op *any, struct cut *ret_cut)
{
    const pdk_latent_kv *op = &any->latent_kv;
    queue->row_turns = queue_turns(queue, op->frequencies, op->rope_dims, op->magnitude);
    double row_ns = op->heads * op->rope_dims * 0.3 + op->rank * 0.5;
    uint32_t rows = queue->batch->row_count;
    *ret_cut = (struct cut){.items = rows, .grain = (uint32_t)(20000 / row_ns) + 1, .nanoseconds = rows * row_ns};
}

static void run_kv(pdk_queue *queue, const struct op *any, uint32_t first, uint32_t last, struct scratch *scratch)
{
    (void)scratch;
    const pdk_latent_kv *op = &any->latent_kv;
    rope_kernel *rope = queue->backend->kernels->rope;
    bool bfloat = op->kv->shape.type == PDK_TYPE_BF16, pairs = op->order == PDK_ROPE_PAIRS;
    size_t head = op->nope_dims + op->rope_dims;
    for (uint32_t r = first; r < last; r++) {
        const float *turns = queue->row_turns + (size_t)r * op->rope_dims;
        float *latent = row_of(op->latent, r);
        rope(latent + op->rank, turns, op->rope_dims / 2, pairs);
        for (uint32_t h = 0; h < op->heads; h++)
            rope(row_of(op->queries, r) + h * head + op->nope_dims, turns, op->rope_dims / 2, pairs);
        uint32_t slot = queue->batch->slots[r];
        assert(slot / BLOCK_TOKENS < op->kv->blocks);
        latent_put(block_of(op->kv, op->layer, slot / BLOCK_TOKENS), slot % BLOCK_TOKENS, op->kv->shape.latent, bfloat,
            latent);
    }
}

/* Where an item works, in its thread's `inputs`. */
struct room_of_item {
    size_t nope, wide, sum; /* floats of a row's nope part, of a query against the cache, of a weighted sum */
    float *parts;           /* [rows][nope] */
    float *queries;         /* [rows][group][wide] */
    float *sums;            /* [group][rows][sum] */
};

static size_t divide(const pdk_latent_attention *op, float *numbers, struct room_of_item *ret_room)
{
    size_t nope = panel_cells(op->nope_dims) * CELL_COLUMNS, wide = head_wide(op->rank + op->rope_dims);
    size_t sum = panel_cells(op->rank) * CELL_COLUMNS, heads = (size_t)LATENT_ROWS * GROUP_MAX;
    *ret_room = (struct room_of_item){.nope = nope, .wide = wide, .sum = sum};
    if (numbers != NULL) {
        ret_room->parts = numbers;
        ret_room->queries = numbers + LATENT_ROWS * nope;
        ret_room->sums = ret_room->queries + heads * wide;
    }
    return LATENT_ROWS * nope + heads * (wide + sum);
}

static void need_attention(const pdk_queue *queue, const struct op *any, struct room *room)
{
    (void)queue;
    const pdk_latent_attention *op = &any->latent_attention;
    struct room_of_item unused;
    size_t inputs = divide(op, NULL, &unused), sums = (size_t)LATENT_ROWS * PANEL_ROWS;
    size_t cells = op->keys[0]->cells > op->values[0]->cells ? op->keys[0]->cells : op->values[0]->cells;
    room->inputs = room->inputs < inputs ? inputs : room->inputs;
    room->sums = room->sums < sums ? sums : room->sums;
    room->unpacked = room->unpacked < cells * CELL_WEIGHTS ? cells * CELL_WEIGHTS : room->unpacked;
}

/* Heads stay together where that leaves some items for each thread. */
static void cut_attention(pdk_queue *queue, const struct op *any, struct cut *ret_cut)
{
    const pdk_latent_attention *op = &any->latent_attention;
    uint32_t rows = queue->batch->row_count, pieces = (rows + LATENT_ROWS - 1) / LATENT_ROWS;
    uint32_t wanted = 2 * team_threads(queue->backend->team), group = GROUP_MAX;
    while (group > 1 && pieces * ((op->heads + group - 1) / group) < wanted)
        group--;
    double seen = 0;
    for (uint32_t r = 0; r < rows; r++)
        seen += queue->batch->positions[r] + 1.0;
    queue->head_group = group;
    queue->strips = (op->heads + group - 1) / group;
    ret_cut->items = pieces * queue->strips;
    ret_cut->grain = 1;
    ret_cut->nanoseconds = (seen * 2 + rows * (double)(op->nope_dims + op->value_dims)) * op->heads * op->rank * 0.05;
}

/* One head's matrix times rows that lie `stride` apart. out[r][0..outputs) go `out_stride` apart. */
static void multiply_head(const pdk_queue *queue, const pdk_weight *weight, const float *x, size_t stride,
    uint32_t rows, float *out, size_t out_stride, struct scratch *scratch)
{
    linear_kernel *multiply = queue->backend->kernels->linear[weight->type];
    for (size_t p = 0, n = 0; n < weight->outputs; p++, n += PANEL_ROWS) {
        size_t width = weight->outputs - n < PANEL_ROWS ? weight->outputs - n : PANEL_ROWS;
        multiply(
            weight->panels + p * weight->panel_bytes, weight->cells, x, stride, rows, scratch->unpacked, scratch->sums);
        for (uint32_t r = 0; r < rows; r++)
            memcpy(out + r * out_stride + n, scratch->sums + (size_t)r * PANEL_ROWS, width * sizeof *out);
    }
}

/* Queries as they are compared with the cache: keys[h] * nope part, then the rope part, then zeros. */
static void make_queries(const pdk_queue *queue, const pdk_latent_attention *op, uint32_t first, uint32_t rows,
    uint32_t head, uint32_t group, const struct room_of_item *room, struct scratch *scratch)
{
    size_t width = op->nope_dims + op->rope_dims, row_stride = group * room->wide;
    for (uint32_t g = 0; g < group; g++) {
        for (uint32_t r = 0; r < rows; r++) {
            const float *query = row_of(op->queries, first + r) + (head + g) * width;
            float *part = room->parts + r * room->nope, *end = room->queries + r * row_stride + g * room->wide;
            memset(part, 0, room->nope * sizeof *part);
            memcpy(part, query, op->nope_dims * sizeof *part);
            memset(end + op->rank, 0, (room->wide - op->rank) * sizeof *end);
            memcpy(end + op->rank, query + op->nope_dims, op->rope_dims * sizeof *end);
        }
        multiply_head(queue, op->keys[head + g], room->parts, room->nope, rows, room->queries + g * room->wide,
            row_stride, scratch);
    }
}

static void attend_rows(const pdk_queue *queue, const pdk_latent_attention *op, uint32_t first, uint32_t rows,
    uint32_t group, const struct room_of_item *room)
{
    const pdk_batch *batch = queue->batch;
    const struct kernels *kernels = queue->backend->kernels;
    bool bfloat = op->kv->shape.type == PDK_TYPE_BF16;
    for (uint32_t r = 0; r < rows; r++) {
        const struct attend_latent task = {
            .query = room->queries + r * group * room->wide,
            .out = room->sums + r * room->sum,
            .layer = block_of(op->kv, op->layer, 0),
            .table = &batch->tables[(size_t)batch->sequence_of[first + r] * batch->table_stride],
            .block_bytes = op->kv->head_bytes,
            .out_stride = LATENT_ROWS * room->sum,
            .width = op->kv->shape.latent,
            .rank = op->rank,
            .group = group,
            .position = batch->positions[first + r],
            .scale = op->scale,
        };
        (bfloat ? kernels->attend_latent_bf16 : kernels->attend_latent_f32)(&task);
        for (uint32_t g = 0; g < group; g++)
            memset(task.out + g * task.out_stride + op->rank, 0, (room->sum - op->rank) * sizeof(float));
    }
}

static void run_attention(
    pdk_queue *queue, const struct op *any, uint32_t first, uint32_t last, struct scratch *scratch)
{
    const pdk_latent_attention *op = &any->latent_attention;
    struct room_of_item room;
    divide(op, scratch->inputs, &room);
    for (uint32_t item = first; item < last; item++) {
        uint32_t row = item / queue->strips * LATENT_ROWS, head = item % queue->strips * queue->head_group;
        uint32_t left = queue->batch->row_count - row, rows = left < LATENT_ROWS ? left : LATENT_ROWS;
        uint32_t group = op->heads - head < queue->head_group ? op->heads - head : queue->head_group;
        make_queries(queue, op, row, rows, head, group, &room, scratch);
        attend_rows(queue, op, row, rows, group, &room);
        for (uint32_t g = 0; g < group; g++)
            multiply_head(queue, op->values[head + g], room.sums + g * LATENT_ROWS * room.sum, room.sum, rows,
                row_of(op->out, row) + (size_t)(head + g) * op->value_dims, op->out->stride, scratch);
    }
}

const struct op_class op_latent_kv = {.need = need_kv, .cut = cut_kv, .run = run_kv};
const struct op_class op_latent_attention = {.need = need_attention, .cut = cut_attention, .run = run_attention};
