/* Mixture of experts. Rows are sorted by expert when an op begins; then an item is a strip of an expert's panels for
 * all rows that go to it (the first half), or a strip of all experts' panels for all rows (the second): so no two items
 * write the same number, and a row's sum runs over its experts from the lowest to the highest. Rows are copied together
 * EXPERT_ROWS at a time. */
#include "config.h"

#include "plugins/cpu/queue.h"

#include <assert.h>

enum { EXPERT_ROWS = 64 };

static void cut_route(pdk_queue *queue, const struct op *op, struct cut *ret_cut)
{
    double row_ns = op->route.experts * (3.0 + op->route.chosen);
    uint32_t rows = queue->batch->row_count;
    *ret_cut = (struct cut){.items = rows, .grain = (uint32_t)(20000 / row_ns) + 1, .nanoseconds = rows * row_ns};
}

static void run_route(pdk_queue *queue, const struct op *any, uint32_t first, uint32_t last, struct scratch *scratch)
{
    (void)scratch;
    const pdk_route *op = &any->route;
    for (uint32_t r = first; r < last; r++) {
        const struct route task = {
            .products = row_of(op->products, r),
            .correction = values_of(op->correction),
            .out = row_of(op->out, r),
            .experts = op->experts,
            .chosen = op->chosen,
            .groups = op->groups,
            .groups_chosen = op->groups_chosen,
            .score = op->score,
            .two_of_group = op->group_score == PDK_GROUP_TOP_TWO,
            .normalise = op->normalise != 0,
            .scale = op->scale,
        };
        queue->backend->kernels->route(&task);
    }
}

static void need_experts(
    const pdk_queue *queue, const pdk_weight *weight, uint32_t experts, uint32_t chosen, struct room *room)
{
    size_t width = weight->cells * CELL_COLUMNS, sums = (size_t)3 * EXPERT_ROWS * PANEL_ROWS;
    size_t entries = (size_t)queue->max_rows * chosen;
    room->unpacked = room->unpacked < weight->cells * CELL_WEIGHTS ? weight->cells * CELL_WEIGHTS : room->unpacked;
    room->sums = room->sums < sums ? sums : room->sums;
    room->inputs = room->inputs < 2 * EXPERT_ROWS * width ? 2 * EXPERT_ROWS * width : room->inputs;
    room->entries = room->entries < entries ? entries : room->entries;
    room->experts = room->experts < experts + 1 ? experts + 1 : room->experts;
}

/* entries[starts[e] .. starts[e + 1]) are row * chosen + choice of those that go to expert e, in order; active[] are
 * the experts that have any. */
static void group_rows(pdk_queue *queue, const pdk_rows *route, uint32_t experts, uint32_t chosen)
{
    uint32_t *starts = queue->expert_starts, *fill = queue->active, rows = queue->batch->row_count, at = 0;
    memset(starts, 0, (experts + 1) * sizeof *starts);
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t c = 0; c < chosen; c++)
            starts[(uint32_t)row_of(route, r)[c] + 1]++;
    for (uint32_t e = 0; e < experts; e++) {
        starts[e + 1] += starts[e];
        fill[e] = starts[e];
    }
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t c = 0; c < chosen; c++)
            queue->entries[fill[(uint32_t)row_of(route, r)[c]]++] = r * chosen + c;
    for (uint32_t e = 0; e < experts; e++)
        if (starts[e + 1] != starts[e])
            queue->active[at++] = e;
    queue->active_count = at;
}

/* Panels of an item, as for a linear: some 50 us, and a few items for each thread. `each`: strips of how many experts
 * there are apart. */
static void cut_strips(pdk_queue *queue, const pdk_weight *weight, uint32_t entries, uint32_t each, struct cut *ret_cut)
{
    const double strip_ns = 50000, product_ns = 0.02;
    size_t panels = panel_count(weight->outputs), step = weight->use == PDK_WEIGHT_GATED ? 2 : 1;
    double panel_ns =
        (double)step * (double)weight->cells * CELL_WEIGHTS * product_ns * (queue->active_count + (double)entries);
    double by_time = strip_ns / (panel_ns / each);
    double by_threads = (double)panels * each / (4 * team_threads(queue->backend->team));
    double strip = by_time < by_threads ? by_time : by_threads;
    queue->strip = strip < 1 ? 1 : strip > (double)panels ? (uint32_t)panels : (uint32_t)strip;
    queue->strips = (uint32_t)((panels + queue->strip - 1) / queue->strip);
    *ret_cut = (struct cut){
        .items = entries == 0 ? 0 : queue->strips * each, .grain = 1, .nanoseconds = (double)panels * panel_ns};
}

/* Some rows of an expert, at most EXPERT_ROWS, and where the one or two links of its weight find them. */
struct group {
    const uint32_t *entries;
    uint32_t count;
    const float *x[2]; /* [count], `stride` apart */
    size_t stride[2];
};

/* Inputs of a weight lie in place where they stand one after the other and in the weight's order, else are copied to
 * `to`. `share`: entries of one row of `in`. */
static void find_inputs(
    struct group *group, int link, const pdk_rows *in, uint32_t share, const pdk_weight *weight, float *to)
{
    size_t width = weight->cells * CELL_COLUMNS;
    const uint32_t *entries = group->entries;
    group->stride[link] = in->stride;
    group->x[link] = row_of(in, entries[0] / share);
    if (weight->inputs == NULL && entries[group->count - 1] / share - entries[0] / share == group->count - 1)
        return;
    group->stride[link] = width;
    group->x[link] = to;
    for (uint32_t i = 0; i < group->count; i++, to += width) {
        const float *from = row_of(in, entries[i] / share);
        if (weight->inputs == NULL) {
            memcpy(to, from, width * sizeof *to);
            continue;
        }
        for (size_t k = 0; k < weight->columns; k++)
            to[k] = from[weight->inputs[k]];
        memset(to + weight->columns, 0, (width - weight->columns) * sizeof *to);
    }
}

/* Rows entries[0..left), as many as a group takes. */
static struct group group_of(const pdk_rows *in, uint32_t share, const pdk_weight *weight, const uint32_t *entries,
    uint32_t left, struct scratch *scratch)
{
    struct group group = {.entries = entries, .count = left < EXPERT_ROWS ? left : EXPERT_ROWS};
    find_inputs(&group, 0, in, share, weight, scratch->inputs);
    if (weight->rest != NULL)
        find_inputs(
            &group, 1, in, share, weight->rest, scratch->inputs + (size_t)EXPERT_ROWS * weight->cells * CELL_COLUMNS);
    return group;
}

/* The products of panel p with a group, finished into [count][16] numbers, which it returns. A gated weight is pairs of
 * panels, or a link for each half where those differ. */
static const float *multiply_panel(const pdk_queue *queue, const pdk_weight *weight, size_t p,
    const struct group *group, struct scratch *scratch, struct finish *task)
{
    bool gated = weight->use == PDK_WEIGHT_GATED, apart = weight->rest != NULL;
    linear_kernel *const *multiply = queue->backend->kernels->linear;
    float *second = scratch->sums + EXPERT_ROWS * PANEL_ROWS, *results = second + EXPERT_ROWS * PANEL_ROWS;
    const uint8_t *panel = weight->panels + p * (gated && !apart ? 2 : 1) * weight->panel_bytes;
    multiply[weight->type](
        panel, weight->cells, group->x[0], group->stride[0], group->count, scratch->unpacked, scratch->sums);
    if (gated) {
        const pdk_weight *up = apart ? weight->rest : weight;
        panel = apart ? up->panels + p * up->panel_bytes : panel + weight->panel_bytes;
        multiply[up->type](
            panel, up->cells, group->x[apart], group->stride[apart], group->count, scratch->unpacked, second);
    }
    task->sums = scratch->sums;
    task->second = gated ? second : NULL;
    task->rows = group->count;
    task->width = weight->outputs - p * PANEL_ROWS < PANEL_ROWS ? weight->outputs - p * PANEL_ROWS : PANEL_ROWS;
    task->out = results;
    task->out_stride = PANEL_ROWS;
    queue->backend->kernels->finish(task);
    return results;
}

static void need_up(const pdk_queue *queue, const struct op *op, struct room *room)
{
    need_experts(queue, op->experts_up.weights[0], op->experts_up.experts, op->experts_up.chosen, room);
}

static void cut_up(pdk_queue *queue, const struct op *any, struct cut *ret_cut)
{
    const pdk_experts_up *op = &any->experts_up;
    group_rows(queue, op->route, op->experts, op->chosen);
    cut_strips(queue, op->weights[0], queue->batch->row_count * op->chosen, queue->active_count, ret_cut);
}

/* Panels [first, last) of one expert, for a group of its rows. */
static void run_up_rows(const pdk_queue *queue, const pdk_experts_up *op, uint32_t expert, const struct group *group,
    size_t first, size_t last, struct scratch *scratch)
{
    const pdk_weight *weight = op->weights[expert];
    const float *bias = op->bias != NULL ? op->bias->values + (size_t)expert * 2 * weight->outputs : NULL;
    for (size_t p = first; p < last; p++) {
        struct finish task = {
            .bias = bias != NULL ? bias + p * PANEL_ROWS : NULL,
            .second_bias = bias != NULL ? bias + weight->outputs + p * PANEL_ROWS : NULL,
            .activation = op->activation,
            .scale = 1,
            .alpha = op->alpha,
            .limit = op->limit,
        };
        const float *results = multiply_panel(queue, weight, p, group, scratch, &task);
        for (uint32_t i = 0; i < group->count; i++)
            memcpy(row_of(op->out, group->entries[i]) + p * PANEL_ROWS, results + (size_t)i * PANEL_ROWS,
                task.width * sizeof(float));
    }
}

static void run_up(pdk_queue *queue, const struct op *any, uint32_t first, uint32_t last, struct scratch *scratch)
{
    const pdk_experts_up *op = &any->experts_up;
    for (uint32_t item = first; item < last; item++) {
        uint32_t expert = queue->active[item / queue->strips], end = queue->expert_starts[expert + 1];
        const pdk_weight *weight = op->weights[expert];
        size_t panels = panel_count(weight->outputs), from = (size_t)(item % queue->strips) * queue->strip;
        size_t to = from + queue->strip < panels ? from + queue->strip : panels;
        for (uint32_t at = queue->expert_starts[expert]; at < end; at += EXPERT_ROWS) {
            struct group group = group_of(op->in, op->chosen, weight, queue->entries + at, end - at, scratch);
            run_up_rows(queue, op, expert, &group, from, to, scratch);
        }
    }
}

static void need_down(const pdk_queue *queue, const struct op *op, struct room *room)
{
    need_experts(queue, op->experts_down.weights[0], op->experts_down.experts, op->experts_down.chosen, room);
}

static void cut_down(pdk_queue *queue, const struct op *any, struct cut *ret_cut)
{
    const pdk_experts_down *op = &any->experts_down;
    group_rows(queue, op->route, op->experts, op->chosen);
    cut_strips(queue, op->weights[0], queue->batch->row_count * op->chosen, 1, ret_cut);
}

/* Columns [first, last) of all rows: the residual, or zeros. */
static void begin_columns(const pdk_queue *queue, const pdk_experts_down *op, size_t first, size_t last)
{
    for (uint32_t r = 0; op->residual != op->out && r < queue->batch->row_count; r++) {
        float *out = row_of(op->out, r) + first;
        if (op->residual != NULL)
            memcpy(out, row_of(op->residual, r) + first, (last - first) * sizeof *out);
        else
            memset(out, 0, (last - first) * sizeof *out);
    }
}

/* Adds one expert's part to columns of panels [first, last), for a group of its rows. */
static void run_down_rows(const pdk_queue *queue, const pdk_experts_down *op, uint32_t expert,
    const struct group *group, size_t first, size_t last, struct scratch *scratch)
{
    const pdk_weight *weight = op->weights[expert];
    const float *bias = op->bias != NULL ? op->bias->values + (size_t)expert * weight->outputs : NULL;
    for (size_t p = first; p < last; p++) {
        struct finish task = {.bias = bias != NULL ? bias + p * PANEL_ROWS : NULL, .scale = 1};
        const float *results = multiply_panel(queue, weight, p, group, scratch, &task);
        for (uint32_t i = 0; i < group->count; i++, results += PANEL_ROWS) {
            uint32_t row = group->entries[i] / op->chosen, choice = group->entries[i] % op->chosen;
            float *out = row_of(op->out, row) + p * PANEL_ROWS;
            float share = row_of(op->route, row)[op->chosen + choice] * op->scale;
            for (size_t n = 0; n < task.width; n++)
                out[n] += share * results[n];
        }
    }
}

static void run_down(pdk_queue *queue, const struct op *any, uint32_t first, uint32_t last, struct scratch *scratch)
{
    const pdk_experts_down *op = &any->experts_down;
    size_t outputs = op->weights[0]->outputs, panels = panel_count(outputs);
    size_t from = (size_t)first * queue->strip, to = (size_t)last * queue->strip;
    to = to < panels ? to : panels;
    begin_columns(queue, op, from * PANEL_ROWS, to * PANEL_ROWS < outputs ? to * PANEL_ROWS : outputs);
    for (uint32_t a = 0; a < queue->active_count; a++) {
        uint32_t expert = queue->active[a], end = queue->expert_starts[expert + 1];
        for (uint32_t at = queue->expert_starts[expert]; at < end; at += EXPERT_ROWS) {
            struct group group = group_of(op->in, 1, op->weights[expert], queue->entries + at, end - at, scratch);
            run_down_rows(queue, op, expert, &group, from, to, scratch);
        }
    }
}

static_assert((int)ACTIVATION_CLAMPED == (int)PDK_ACT_CLAMPED && (int)ROUTE_EXPERTS_MAX == (int)PDK_EXPERTS_MAX &&
                  (int)ROUTE_SIGMOID == (int)PDK_SCORE_SIGMOID && (int)ROUTE_CHOSEN == (int)PDK_SCORE_CHOSEN,
    "routing has one numbering");

const struct op_class op_route = {.cut = cut_route, .run = run_route};
const struct op_class op_experts_up = {.need = need_up, .cut = cut_up, .run = run_up};
const struct op_class op_experts_down = {.need = need_down, .cut = cut_down, .run = run_down};
