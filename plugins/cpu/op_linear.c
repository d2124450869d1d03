/* Linear and head. An item is a strip of panels, for all rows: a weight comes from memory once, however many rows there
 * are. */
#include "config.h"

#include "plugins/cpu/queue.h"

#include <assert.h>

/* Panels of a chain of weights; of a gated one, pairs of panels. */
static size_t panels_of(const pdk_weight *weight)
{
    size_t panels = panel_count(weight->outputs);
    for (const pdk_weight *w = weight->use == PDK_WEIGHT_GATED ? NULL : weight->rest; w != NULL; w = w->rest)
        panels += panel_count(w->outputs);
    return panels;
}

/* Panels of an item: a strip should last some 50 us, so that a thread that the system keeps from running holds little
 * up, and there should be a few for each thread. */
static void cut_panels(pdk_queue *queue, const pdk_weight *weight, size_t rows, struct cut *ret_cut)
{
    const double strip_ns = 50000, product_ns = 0.02; /* a multiply-add, weights unpacked before */
    unsigned threads = team_threads(queue->backend->team);
    size_t step = weight->use == PDK_WEIGHT_GATED ? 2 : 1, panels = panels_of(weight);
    double panel_ns = (double)step * (double)weight->cells * CELL_WEIGHTS * product_ns * (1 + (double)rows);
    double by_time = strip_ns / panel_ns, by_threads = (double)panels / (4 * threads);
    double strip = by_time < by_threads ? by_time : by_threads;
    queue->strip = strip < 1 ? 1 : (uint32_t)strip;
    ret_cut->items = rows == 0 ? 0 : (uint32_t)((panels + queue->strip - 1) / queue->strip);
    ret_cut->grain = 1;
    ret_cut->nanoseconds = (double)panels * panel_ns;
}

/* Rows whose numbers stand in the order of a weight's columns are kept behind those that a head gathers, a place for
 * each weight of the chain. */
static float *place_of_ordered(const pdk_queue *queue, size_t stride, size_t link)
{
    return queue->gathered + (1 + link) * queue->max_rows * stride;
}

static void need_linear(const pdk_queue *queue, const pdk_weight *weight, size_t stride, struct room *room)
{
    size_t unpacked = weight->cells * CELL_WEIGHTS, sums = (size_t)queue->max_rows * 2 * PANEL_ROWS, link = 0;
    room->unpacked = room->unpacked < unpacked ? unpacked : room->unpacked;
    room->sums = room->sums < sums ? sums : room->sums;
    for (const pdk_weight *w = weight; w != NULL; w = w->rest, link++) {
        size_t gathered = w->inputs != NULL ? (2 + link) * queue->max_rows * stride : 0;
        room->gathered = room->gathered < gathered ? gathered : room->gathered;
    }
}

static void order_inputs(pdk_queue *queue, const pdk_weight *weight, size_t rows)
{
    size_t stride = queue->input_stride, link = 0;
    for (const pdk_weight *w = weight; w != NULL; w = w->rest, link++) {
        if (w->inputs == NULL)
            continue;
        for (size_t r = 0; r < rows; r++) {
            float *to = place_of_ordered(queue, stride, link) + r * stride;
            const float *from = queue->input + r * stride;
            for (size_t k = 0; k < w->columns; k++)
                to[k] = from[w->inputs[k]];
            memset(to + w->columns, 0, (stride - w->columns) * sizeof *to);
        }
    }
}

/* One panel with all rows. */
static void multiply_panel(const pdk_queue *queue, const pdk_weight *weight, size_t link, const uint8_t *panel,
    size_t rows, float *unpacked, float *sums)
{
    const float *x = weight->inputs != NULL ? place_of_ordered(queue, queue->input_stride, link) : queue->input;
    queue->backend->kernels->linear[weight->type](panel, weight->cells, x, queue->input_stride, rows, unpacked, sums);
}

/* The products of a panel (of a gated weight: of both halves) with all rows, finished into `task`'s output, which
 * begins at the chain's first. */
static void run_panel(
    const pdk_queue *queue, const pdk_weight *first, size_t p, struct scratch *scratch, struct finish *task)
{
    bool gated = first->use == PDK_WEIGHT_GATED;
    const pdk_weight *weight = first;
    size_t link = 0;
    for (; !gated && p >= panel_count(weight->outputs); weight = weight->rest, link++)
        p -= panel_count(weight->outputs);
    float *second = scratch->sums + (size_t)queue->max_rows * PANEL_ROWS;
    size_t step = gated && weight->rest == NULL ? 2 : 1, n = weight->first_output + p * PANEL_ROWS;
    const uint8_t *panel = weight->panels + p * step * weight->panel_bytes;
    multiply_panel(queue, weight, link, panel, task->rows, scratch->unpacked, scratch->sums);
    if (gated && weight->rest == NULL)
        multiply_panel(queue, weight, 0, panel + weight->panel_bytes, task->rows, scratch->unpacked, second);
    else if (gated)
        multiply_panel(queue, weight->rest, 1, weight->rest->panels + p * weight->rest->panel_bytes, task->rows,
            scratch->unpacked, second);
    task->sums = scratch->sums;
    task->second = gated ? second : NULL;
    task->width = weight->outputs - p * PANEL_ROWS < PANEL_ROWS ? weight->outputs - p * PANEL_ROWS : PANEL_ROWS;
    task->out += n;
    task->bias = task->bias != NULL ? task->bias + n : NULL;
    task->second_bias = task->second_bias != NULL ? task->second_bias + n : NULL;
    task->residual = task->residual != NULL ? task->residual + n : NULL;
    queue->backend->kernels->finish(task);
}

static size_t last_panel(const pdk_queue *queue, const pdk_weight *weight, uint32_t last)
{
    size_t panels = panels_of(weight), end = (size_t)last * queue->strip;
    return end < panels ? end : panels;
}

static void need_for_linear(const pdk_queue *queue, const struct op *op, struct room *room)
{
    need_linear(queue, op->linear.weight, op->linear.in->stride, room);
}

static void cut_linear(pdk_queue *queue, const struct op *op, struct cut *ret_cut)
{
    cut_panels(queue, op->linear.weight, queue->batch->row_count, ret_cut);
    queue->input = op->linear.in->values;
    queue->input_stride = op->linear.in->stride;
    order_inputs(queue, op->linear.weight, queue->batch->row_count);
}

static void run_linear(pdk_queue *queue, const struct op *any, uint32_t first, uint32_t last, struct scratch *scratch)
{
    const pdk_linear *op = &any->linear;
    bool gated = op->weight->use == PDK_WEIGHT_GATED;
    for (size_t p = (size_t)first * queue->strip; p < last_panel(queue, op->weight, last); p++) {
        struct finish task = {
            .bias = values_of(op->bias),
            .second_bias = op->bias != NULL && gated ? op->bias->values + op->weight->outputs : NULL,
            .residual = op->residual != NULL ? op->residual->values : NULL,
            .residual_stride = op->residual != NULL ? op->residual->stride : 0,
            .out = op->out->values,
            .out_stride = op->out->stride,
            .rows = queue->batch->row_count,
            .activation = op->activation,
            .scale = op->scale,
        };
        run_panel(queue, op->weight, p, scratch, &task);
    }
}

static void need_for_head(const pdk_queue *queue, const struct op *op, struct room *room)
{
    size_t gathered = queue->max_rows * op->head.in->stride;
    need_linear(queue, op->head.weight, op->head.in->stride, room);
    room->gathered = room->gathered < gathered ? gathered : room->gathered;
}

/* Rows that stand one after the other (decoding: all of them do) are read in place, others are copied together. */
static void cut_head(pdk_queue *queue, const struct op *op, struct cut *ret_cut)
{
    const pdk_batch *batch = queue->batch;
    const pdk_rows *in = op->head.in;
    uint32_t count = batch->output_count;
    cut_panels(queue, op->head.weight, count, ret_cut);
    queue->input_stride = in->stride;
    queue->input = count != 0 ? row_of(in, batch->output_rows[0]) : NULL;
    if (count != 0 && batch->output_rows[count - 1] - batch->output_rows[0] != count - 1) {
        for (uint32_t i = 0; i < count; i++)
            memcpy(queue->gathered + i * in->stride, row_of(in, batch->output_rows[i]), in->stride * sizeof(float));
        queue->input = queue->gathered;
    }
    order_inputs(queue, op->head.weight, count);
}

static void run_head(pdk_queue *queue, const struct op *any, uint32_t first, uint32_t last, struct scratch *scratch)
{
    const pdk_head *op = &any->head;
    for (size_t p = (size_t)first * queue->strip; p < last_panel(queue, op->weight, last); p++) {
        struct finish task = {
            .bias = values_of(op->bias),
            .out = op->logits->values,
            .out_stride = op->logits->stride,
            .rows = queue->batch->output_count,
            .scale = op->scale,
            .soft_cap = op->soft_cap,
        };
        run_panel(queue, op->weight, p, scratch, &task);
    }
}

static_assert((int)ACTIVATION_GELU_TANH == (int)PDK_ACT_GELU_TANH && (int)ACTIVATION_SILU == (int)PDK_ACT_SILU,
    "activations have one numbering");

const struct op_class op_linear = {.need = need_for_linear, .cut = cut_linear, .run = run_linear};
const struct op_class op_head = {.need = need_for_head, .cut = cut_head, .run = run_head};
