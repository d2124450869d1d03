/* Linear and head. An item is a strip of panels, for all rows: a weight comes from memory once, however many rows there
 * are. */
#include "config.h"

#include "plugins/cpu/queue.h"

#include <assert.h>

/* Panels of an item: a strip should last some 50 us, so that a thread that the system keeps from running holds little
 * up, and there should be a few for each thread. */
static void cut_panels(pdk_queue *queue, const pdk_weight *weight, size_t rows, struct cut *ret_cut)
{
    const double strip_ns = 50000, product_ns = 0.02; /* a multiply-add, weights unpacked before */
    unsigned threads = team_threads(queue->backend->team);
    size_t step = weight->use == PDK_WEIGHT_GATED ? 2 : 1, panels = panel_count(weight->outputs);
    double panel_ns = (double)step * (double)weight->cells * CELL_WEIGHTS * product_ns * (1 + (double)rows);
    double by_time = strip_ns / panel_ns, by_threads = (double)panels / (4 * threads);
    double strip = by_time < by_threads ? by_time : by_threads;
    queue->strip = strip < 1 ? 1 : (uint32_t)strip;
    ret_cut->items = rows == 0 ? 0 : (uint32_t)((panels + queue->strip - 1) / queue->strip);
    ret_cut->grain = 1;
    ret_cut->nanoseconds = (double)panels * panel_ns;
}

static void need_linear(const pdk_queue *queue, const pdk_weight *weight, struct room *room)
{
    size_t unpacked = weight->cells * CELL_WEIGHTS, sums = (size_t)queue->max_rows * 2 * PANEL_ROWS;
    room->unpacked = room->unpacked < unpacked ? unpacked : room->unpacked;
    room->sums = room->sums < sums ? sums : room->sums;
}

/* The products of panel p (of a gated weight: of both halves) with all rows, finished into `task`'s output. */
static void run_panel(const pdk_queue *queue, const pdk_weight *weight, size_t p, const float *x, size_t stride,
    struct scratch *scratch, struct finish *task)
{
    linear_kernel *multiply = queue->backend->kernels->linear[weight->type];
    float *second = scratch->sums + (size_t)queue->max_rows * PANEL_ROWS;
    bool gated = weight->use == PDK_WEIGHT_GATED;
    const uint8_t *panel = weight->panels + p * (gated ? 2 : 1) * weight->panel_bytes;
    multiply(panel, weight->cells, x, stride, task->rows, scratch->unpacked, scratch->sums);
    if (gated)
        multiply(panel + weight->panel_bytes, weight->cells, x, stride, task->rows, scratch->unpacked, second);
    task->sums = scratch->sums;
    task->second = gated ? second : NULL;
    task->width = weight->outputs - p * PANEL_ROWS < PANEL_ROWS ? weight->outputs - p * PANEL_ROWS : PANEL_ROWS;
    queue->backend->kernels->finish(task);
}

static size_t last_panel(const pdk_queue *queue, const pdk_weight *weight, uint32_t last)
{
    size_t panels = panel_count(weight->outputs), end = (size_t)last * queue->strip;
    return end < panels ? end : panels;
}

static void need_for_linear(const pdk_queue *queue, const struct op *op, struct room *room)
{
    need_linear(queue, op->linear.weight, room);
}

static void cut_linear(pdk_queue *queue, const struct op *op, struct cut *ret_cut)
{
    cut_panels(queue, op->linear.weight, queue->batch->row_count, ret_cut);
}

static void run_linear(pdk_queue *queue, const struct op *any, uint32_t first, uint32_t last, struct scratch *scratch)
{
    const pdk_linear *op = &any->linear;
    size_t outputs = op->weight->outputs;
    for (size_t p = (size_t)first * queue->strip; p < last_panel(queue, op->weight, last); p++) {
        size_t n = p * PANEL_ROWS;
        struct finish task = {
            .bias = op->bias != NULL ? op->bias->values + n : NULL,
            .second_bias =
                op->bias != NULL && op->weight->use == PDK_WEIGHT_GATED ? op->bias->values + outputs + n : NULL,
            .residual = op->residual != NULL ? op->residual->values + n : NULL,
            .residual_stride = op->residual != NULL ? op->residual->stride : 0,
            .out = op->out->values + n,
            .out_stride = op->out->stride,
            .rows = queue->batch->row_count,
            .activation = op->activation,
            .scale = op->scale,
        };
        run_panel(queue, op->weight, p, op->in->values, op->in->stride, scratch, &task);
    }
}

static void need_for_head(const pdk_queue *queue, const struct op *op, struct room *room)
{
    size_t gathered = queue->max_rows * op->head.in->stride;
    need_linear(queue, op->head.weight, room);
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
    if (count == 0 || batch->output_rows[count - 1] - batch->output_rows[0] == count - 1)
        return;
    for (uint32_t i = 0; i < count; i++)
        memcpy(queue->gathered + i * in->stride, row_of(in, batch->output_rows[i]), in->stride * sizeof(float));
    queue->input = queue->gathered;
}

static void run_head(pdk_queue *queue, const struct op *any, uint32_t first, uint32_t last, struct scratch *scratch)
{
    const pdk_head *op = &any->head;
    for (size_t p = (size_t)first * queue->strip; p < last_panel(queue, op->weight, last); p++) {
        struct finish task = {
            .bias = op->bias != NULL ? op->bias->values + p * PANEL_ROWS : NULL,
            .out = op->logits->values + p * PANEL_ROWS,
            .out_stride = op->logits->stride,
            .rows = queue->batch->output_count,
            .scale = op->scale,
            .soft_cap = op->soft_cap,
        };
        run_panel(queue, op->weight, p, queue->input, queue->input_stride, scratch, &task);
    }
}

static_assert((int)ACTIVATION_GELU_TANH == (int)PDK_ACT_GELU_TANH && (int)ACTIVATION_SILU == (int)PDK_ACT_SILU,
    "activations have one numbering");

const struct op_class op_linear = {.need = need_for_linear, .cut = cut_linear, .run = run_linear};
const struct op_class op_head = {.need = need_for_head, .cut = cut_head, .run = run_head};
