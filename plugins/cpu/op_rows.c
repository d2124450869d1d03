/* Ops on single rows: embed and norm. An item is a row. */
#include "config.h"

#include "plugins/cpu/queue.h"

#include <assert.h>

static void cut_rows(const pdk_queue *queue, double nanoseconds, struct cut *ret_cut)
{
    uint32_t rows = queue->batch->row_count;
    uint32_t grain = (uint32_t)(20000 / nanoseconds) + 1;
    *ret_cut = (struct cut){.items = rows, .grain = grain, .nanoseconds = rows * nanoseconds};
}

static void cut_embed(pdk_queue *queue, const struct op *op, struct cut *ret_cut)
{
    cut_rows(queue, 1 + op->embed.out->columns * 2.0, ret_cut);
}

static void look_up(const pdk_weight *table, uint32_t row, float scale, bool add, float *out)
{
    assert(row < table->outputs);
    const uint8_t *panel = table->panels + row / PANEL_ROWS * table->panel_bytes;
    panel_row(table->type, panel, row % PANEL_ROWS, table->columns, scale, add, out);
}

static void run_embed(pdk_queue *queue, const struct op *any, uint32_t first, uint32_t last, struct scratch *scratch)
{
    (void)scratch;
    const pdk_embed *op = &any->embed;
    for (uint32_t r = first; r < last; r++) {
        if (op->table != NULL)
            look_up(op->table, queue->batch->tokens[r], op->scale, false, row_of(op->out, r));
        if (op->positions != NULL)
            look_up(op->positions, queue->batch->positions[r] + op->position_offset, 1, op->table != NULL,
                row_of(op->out, r));
        if (op->types != NULL)
            look_up(op->types, queue->batch->types != NULL ? queue->batch->types[r] : 0, 1, true, row_of(op->out, r));
    }
}

static void cut_norm(pdk_queue *queue, const struct op *op, struct cut *ret_cut)
{
    cut_rows(queue, 20 + (op->norm.group != 0 ? op->norm.count : op->norm.in->columns) * 0.3, ret_cut);
}

static void run_norm(pdk_queue *queue, const struct op *any, uint32_t first, uint32_t last, struct scratch *scratch)
{
    (void)scratch;
    const pdk_norm *op = &any->norm;
    const struct kernels *kernels = queue->backend->kernels;
    norm_kernel *norm = op->kind == PDK_NORM_RMS ? kernels->norm_rms : kernels->norm_layer;
    size_t group = op->group != 0 ? op->group : op->in->columns;
    size_t begin = op->group != 0 ? op->first : 0, end = begin + (op->group != 0 ? op->count : op->in->columns);
    const float *weight = values_of(op->weight), *bias = values_of(op->bias);
    for (uint32_t r = first; r < last; r++)
        for (size_t at = begin; at < end; at += group) {
            size_t own = op->each_group != 0 ? at - begin : 0;
            norm(row_of(op->in, r) + at, op->add != NULL ? row_of(op->add, r) + at : NULL,
                weight != NULL ? weight + own : NULL, bias != NULL ? bias + own : NULL, group, op->epsilon,
                row_of(op->out, r) + at);
        }
}

const struct op_class op_embed = {.cut = cut_embed, .run = run_embed};
const struct op_class op_norm = {.cut = cut_norm, .run = run_norm};
