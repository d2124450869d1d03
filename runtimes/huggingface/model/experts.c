/* A layer's mixture of experts: its tensors to weights, and its ops of a step. Files hold experts one by one, or those
 * of one kind in a stack; either becomes a weight for each expert. */
#include "config.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "runtimes/huggingface/model/numbers.h"
#include "runtimes/huggingface/model/planner.h"
#include "runtimes/huggingface/model/step.h"

#include <inttypes.h>
#include <stdlib.h>

/* Numbers of all experts in one tensor, and how one expert's rows are taken from it. */
struct stack {
    const struct tensor *tensor, *scales; /* scales: of MXFP4 */
    bool transposed;
    uint32_t rows; /* of one expert */
};

/* Names of stacked tensors are whole in safetensors; in GGUF they end as all others do. */
static const char *stack_ending(const struct planner *p)
{
    return p->config->from_gguf ? ".weight" : "";
}

static bool is_stacked(const struct planner *p, enum role role)
{
    return planner_look(p, role, stack_ending(p)) != NULL || planner_look(p, role, "_blocks") != NULL;
}

static pdk_status find_mxfp4(
    const struct planner *p, enum role role, uint32_t rows, uint32_t columns, struct stack *ret_stack)
{
    enum { RUN = 32, BYTES = 16 };
    uint64_t count = p->config->experts.count, runs = count * rows * (columns / RUN);
    struct tensor *codes = planner_look(p, role, "_blocks");
    pdk_status status =
        planner_take(p, role, "_scales", (struct planner_shape){3, {count, rows, columns / RUN}}, &ret_stack->scales);
    if (status != PDK_OK)
        return status;
    if (columns % RUN != 0 || codes->bytes != runs * BYTES || ret_stack->scales->bytes != runs)
        return pdk_error_set(p->err, PDK_INVALID, "experts",
            "layer %" PRIu32 ": MXFP4 codes of %" PRIu64 " bytes; by the configuration they are %" PRIu64
            " runs of 32 numbers in %d bytes",
            p->layer, codes->bytes, runs, BYTES);
    codes->used = true;
    ret_stack->tensor = codes;
    return PDK_OK;
}

static pdk_status find_stack(
    const struct planner *p, enum role role, uint32_t rows, uint32_t columns, struct stack *ret_stack)
{
    *ret_stack = (struct stack){.rows = rows};
    if (planner_look(p, role, "_blocks") != NULL)
        return find_mxfp4(p, role, rows, columns, ret_stack);
    bool transposed = !p->config->from_gguf && p->config->row->experts->transposed;
    struct planner_shape shape = {
        3, {p->config->experts.count, transposed ? columns : rows, transposed ? rows : columns}};
    ret_stack->transposed = transposed;
    return planner_take_numbers(p, role, stack_ending(p), shape, &ret_stack->tensor);
}

/* Rows first, first + step, … of one expert. */
static void add_rows(struct planned_weight *weight, const struct stack *stack, uint32_t expert, uint32_t first,
    uint32_t step, uint32_t rows, uint32_t columns)
{
    if (stack->scales == NULL && !stack->transposed) {
        planner_part(weight, stack->tensor, (uint64_t)expert * stack->rows + first, rows, columns);
        return;
    }
    struct gather gather = {.kind = GATHER_MXFP4, .step = step, .scales = stack->scales};
    gather.first = (uint64_t)expert * stack->rows + first;
    if (stack->transposed) {
        gather.kind = GATHER_TRANSPOSED;
        gather.first = (uint64_t)expert * columns;
        gather.width = stack->rows;
        gather.offset = first;
    }
    planner_gather(weight, stack->tensor, &gather, rows, columns);
}

/* Gate and up of all experts: in two stacks, or in one, there one behind the other or row by row in turns. */
static pdk_status plan_stacked_up(struct planner *p, struct expert_layer *layer)
{
    uint32_t inner = p->config->experts.inner, hidden = p->config->hidden;
    bool together = is_stacked(p, ROLE_EXPERTS_GATE_UP);
    bool turns = together && !p->config->from_gguf && p->config->row->experts->transposed;
    struct stack gate, up;
    pdk_status status =
        find_stack(p, together ? ROLE_EXPERTS_GATE_UP : ROLE_EXPERTS_GATE, together ? 2 * inner : inner, hidden, &gate);
    if (status == PDK_OK && !together)
        status = find_stack(p, ROLE_EXPERTS_UP, inner, hidden, &up);
    for (uint32_t e = 0; e < p->config->experts.count && status == PDK_OK; e++) {
        struct planned_weight *weight = planner_weight(p, &layer->up[e], PDK_WEIGHT_GATED);
        if (weight == NULL)
            return planner_no_memory(p);
        uint32_t step = turns ? 2 : 1, second = turns ? 1 : inner;
        add_rows(weight, &gate, e, 0, step, inner, hidden);
        add_rows(weight, together ? &gate : &up, e, together ? second : 0, step, inner, hidden);
    }
    return status;
}

static pdk_status plan_stacked_down(struct planner *p, struct expert_layer *layer)
{
    uint32_t inner = p->config->experts.inner, hidden = p->config->hidden;
    struct stack down;
    pdk_status status = find_stack(p, ROLE_EXPERTS_DOWN, hidden, inner, &down);
    for (uint32_t e = 0; e < p->config->experts.count && status == PDK_OK; e++) {
        struct planned_weight *weight = planner_weight(p, &layer->down[e], PDK_WEIGHT_LINEAR);
        if (weight == NULL)
            return planner_no_memory(p);
        add_rows(weight, &down, e, 0, 1, hidden, inner);
    }
    return status;
}

/* Experts one by one. */
static pdk_status plan_single(struct planner *p, struct expert_layer *layer)
{
    uint32_t inner = p->config->experts.inner, hidden = p->config->hidden;
    static const enum role roles[] = {ROLE_EXPERT_GATE, ROLE_EXPERT_UP, ROLE_EXPERT_DOWN};
    for (p->expert = 0; p->expert < p->config->experts.count; p->expert++) {
        struct planned_weight *weight = NULL;
        for (int i = 0; i < 3; i++) {
            bool down = roles[i] == ROLE_EXPERT_DOWN;
            uint32_t rows = down ? hidden : inner, columns = down ? inner : hidden;
            const struct tensor *tensor;
            pdk_status status =
                planner_take_numbers(p, roles[i], ".weight", (struct planner_shape){2, {rows, columns}}, &tensor);
            if (status != PDK_OK)
                return status;
            if (i != 1)
                weight = planner_weight(p, down ? &layer->down[p->expert] : &layer->up[p->expert],
                    down ? PDK_WEIGHT_LINEAR : PDK_WEIGHT_GATED);
            if (weight == NULL)
                return planner_no_memory(p);
            planner_part(weight, tensor, 0, rows, columns);
        }
    }
    return PDK_OK;
}

/* Biases of all experts, [experts][gate, then up] and [experts][hidden]. */
static pdk_status plan_biases(struct planner *p, struct expert_layer *layer)
{
    const struct experts_config *experts = &p->config->experts;
    uint64_t count = experts->count;
    struct planner_shape inner = {2, {count, experts->inner}}, both = {2, {count, 2 * (uint64_t)experts->inner}},
                         hidden = {2, {count, p->config->hidden}};
    const char *ending = p->config->from_gguf ? ".bias" : "_bias";
    bool together = planner_look(p, ROLE_EXPERTS_GATE_UP, ending) != NULL;
    struct planned_experts_bias bias = {
        .up_slot = &layer->up_bias, .down_slot = &layer->down_bias, .experts = experts->count, .inner = experts->inner};
    if (!together && planner_look(p, ROLE_EXPERTS_GATE, ending) == NULL)
        return PDK_OK;
    bias.by_turns = together && p->config->row->experts->transposed;
    bias.hidden = p->config->hidden;
    pdk_status status = planner_take_numbers(
        p, together ? ROLE_EXPERTS_GATE_UP : ROLE_EXPERTS_GATE, ending, together ? both : inner, &bias.gate);
    if (status == PDK_OK && !together)
        status = planner_take_numbers(p, ROLE_EXPERTS_UP, ending, inner, &bias.up);
    if (status == PDK_OK)
        status = planner_take_numbers(p, ROLE_EXPERTS_DOWN, ending, hidden, &bias.down);
    return status == PDK_OK ? planner_experts_bias(p, &bias) : status;
}

static pdk_status plan_shared(struct planner *p, struct expert_layer *layer)
{
    uint32_t inner = p->config->experts.shared_inner, hidden = p->config->hidden;
    if (inner == 0)
        return PDK_OK;
    bool weighed = planner_look(p, ROLE_SHARED_ROUTER, ".weight") != NULL;
    pdk_status status = planner_gated(p, ROLE_SHARED_GATE, ROLE_SHARED_UP, inner, hidden, &layer->shared_up);
    if (status == PDK_OK)
        status = planner_linear(p, ROLE_SHARED_DOWN, hidden, inner, PDK_WEIGHT_LINEAR, &layer->shared_down);
    if (status != PDK_OK || !weighed)
        return status;
    /* GGUF has the one row as a vector. */
    const struct tensor *tensor = planner_look(p, ROLE_SHARED_ROUTER, ".weight");
    struct planner_shape row = {2, {1, hidden}}, vector = {1, {hidden}};
    status = planner_take_numbers(p, ROLE_SHARED_ROUTER, ".weight", tensor->rank == 1 ? vector : row, &tensor);
    struct planned_weight *weight =
        status == PDK_OK ? planner_weight(p, &layer->shared_router.weight, PDK_WEIGHT_LINEAR) : NULL;
    if (weight != NULL)
        planner_part(weight, tensor, 0, 1, hidden);
    return status != PDK_OK || weight != NULL ? status : planner_no_memory(p);
}

pdk_status plan_experts(struct planner *p, struct expert_layer *layer)
{
    const struct experts_config *experts = &p->config->experts;
    layer->up = calloc(experts->count, sizeof(pdk_weight *));
    layer->down = calloc(experts->count, sizeof(pdk_weight *));
    if (layer->up == NULL || layer->down == NULL)
        return planner_no_memory(p);
    pdk_status status =
        planner_linear(p, ROLE_ROUTER, experts->count, p->config->hidden, PDK_WEIGHT_LINEAR, &layer->router);
    if (status == PDK_OK)
        status = planner_vector(
            p, ROLE_CORRECTION, p->config->from_gguf ? ".bias" : "", experts->count, false, &layer->correction);
    bool stacked = is_stacked(p, ROLE_EXPERTS_DOWN);
    if (status == PDK_OK && !stacked)
        status = plan_single(p, layer);
    if (status == PDK_OK && stacked)
        status = plan_stacked_up(p, layer);
    if (status == PDK_OK && stacked)
        status = plan_stacked_down(p, layer);
    if (status == PDK_OK)
        status = plan_biases(p, layer);
    return status == PDK_OK ? plan_shared(p, layer) : status;
}

/* One set of experts for the rows of `route`. */
static void record_set(const struct step *s, const pdk_rows *in, const pdk_rows *route, const pdk_experts_up *up,
    const pdk_experts_down *down)
{
    pdk_experts_up first = *up;
    pdk_experts_down second = *down;
    first.in = in;
    first.route = second.route = route;
    first.activation = s->model->config.activation;
    if (s->model->config.row->experts->clamped)
        first.activation = PDK_ACT_CLAMPED;
    first.alpha = (float)s->model->config.experts.alpha;
    first.limit = (float)s->model->config.experts.limit;
    second.in = first.out;
    second.residual = second.out = s->residual;
    second.scale = (float)s->model->config.residual_scale;
    s->model->ops->experts_up(s->queue, &first);
    s->model->ops->experts_down(s->queue, &second);
}

/* Experts that all rows share; where a sigmoid weighs them, they are a mixture of one. */
static void record_shared(const struct step *s, const struct expert_layer *layer, const pdk_rows *in)
{
    const struct activations *rows = &s->model->rows;
    if (layer->shared_up.weight == NULL)
        return;
    if (layer->shared_router.weight == NULL) {
        record_linear(
            s, in, &layer->shared_up, rows->shared, NULL, s->model->config.activation, 1.0f, layer->shared_down.weight);
        record_linear(s, rows->shared, &layer->shared_down, s->residual, s->residual, PDK_ACT_NONE,
            (float)s->model->config.residual_scale, NULL);
        return;
    }
    record_linear(s, in, &layer->shared_router, rows->shared_product, NULL, PDK_ACT_NONE, 1.0f, NULL);
    const pdk_route route = {.products = rows->shared_product,
        .out = rows->shared_route,
        .experts = 1,
        .chosen = 1,
        .score = PDK_SCORE_SIGMOID,
        .scale = 1};
    s->model->ops->route(s->queue, &route);
    const pdk_experts_up up = {
        .weights = (const pdk_weight *const *)&layer->shared_up.weight, .out = rows->shared, .experts = 1, .chosen = 1};
    const pdk_experts_down down = {
        .weights = (const pdk_weight *const *)&layer->shared_down.weight, .experts = 1, .chosen = 1};
    record_set(s, in, rows->shared_route, &up, &down);
}

void record_experts(const struct step *s, const struct expert_layer *layer, const pdk_rows *in)
{
    const struct experts_config *experts = &s->model->config.experts;
    const struct activations *rows = &s->model->rows;
    record_linear(s, in, &layer->router, rows->products, NULL, PDK_ACT_NONE, 1.0f, NULL);
    const pdk_route route = {
        .products = rows->products,
        .correction = layer->correction,
        .out = rows->route,
        .experts = experts->count,
        .chosen = experts->chosen,
        .groups = experts->groups,
        .groups_chosen = experts->groups_chosen,
        .score = experts->score,
        .group_score = experts->group_score,
        .normalise = experts->normalise,
        .scale = (float)experts->scale,
    };
    s->model->ops->route(s->queue, &route);
    const pdk_experts_up up = {.weights = (const pdk_weight *const *)layer->up,
        .bias = layer->up_bias,
        .out = rows->expert_inner,
        .experts = experts->count,
        .chosen = experts->chosen};
    const pdk_experts_down down = {.weights = (const pdk_weight *const *)layer->down,
        .bias = layer->down_bias,
        .experts = experts->count,
        .chosen = experts->chosen};
    record_set(s, in, rows->route, &up, &down);
    record_shared(s, layer, in);
}

/* [experts][gate, then up] of one stack of both or two stacks, and [experts][hidden]. */
pdk_status experts_bias_load(struct model *model, const struct planned_experts_bias *bias, pdk_error *err)
{
    size_t inner = bias->inner, count = (size_t)bias->experts * 2 * inner, down = (size_t)bias->experts * bias->hidden;
    PDK_AUTO_FREE float *from = calloc(count > down ? count : down, sizeof *from);
    PDK_AUTO_FREE float *to = calloc(count, sizeof *to);
    if (from == NULL || to == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "model", "no memory for the biases of %u experts", bias->experts);
    for (size_t half = 0; half < (bias->up != NULL ? 2 : 1); half++) {
        const struct tensor *tensor = half == 0 ? bias->gate : bias->up;
        size_t width = bias->up != NULL ? inner : 2 * inner;
        numbers_to_floats(tensor->type, tensor->data, bias->experts * width, from);
        for (size_t e = 0; e < bias->experts; e++)
            for (size_t i = 0; i < width; i++)
                to[e * 2 * inner + (bias->by_turns ? i % 2 * inner + i / 2 : half * inner + i)] = from[e * width + i];
    }
    pdk_status status = model->ops->vector_load(model->compute, to, count, bias->up_slot, err);
    if (status != PDK_OK)
        return status;
    numbers_to_floats(bias->down->type, bias->down->data, down, from);
    return model->ops->vector_load(model->compute, from, down, bias->down_slot, err);
}

void experts_free(const struct model *model, struct expert_layer *layer)
{
    const struct linear *linears[] = {&layer->router, &layer->shared_router, &layer->shared_up, &layer->shared_down};
    pdk_vector *vectors[] = {layer->correction, layer->up_bias, layer->down_bias};
    for (uint32_t e = 0; e < model->config.experts.count; e++) {
        if (layer->up != NULL)
            model->ops->weight_free(model->compute, layer->up[e]);
        if (layer->down != NULL)
            model->ops->weight_free(model->compute, layer->down[e]);
    }
    for (size_t i = 0; i < sizeof linears / sizeof linears[0]; i++) {
        model->ops->weight_free(model->compute, linears[i]->weight);
        model->ops->vector_free(model->compute, linears[i]->bias);
    }
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
        model->ops->vector_free(model->compute, vectors[i]);
    free(layer->up);
    free(layer->down);
}
