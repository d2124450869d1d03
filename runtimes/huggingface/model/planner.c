/* See the header. A name is tried in all its alternatives, and without the prefix that older files leave out. */
#include "config.h"

#include "runtimes/huggingface/model/planner.h"

#include "core/base/array.h"
#include "core/base/error.h"
#include "runtimes/huggingface/model/numbers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 160 };

pdk_status planner_no_memory(const struct planner *p)
{
    return pdk_error_set(p->err, PDK_NO_MEMORY, "model", "no memory for the plan of the weights");
}

bool planner_has(const struct planner *p, enum role role)
{
    return architecture_has(p->config->row, role) && p->names[role] != NULL &&
           (p->config->absent & ROLE_BIT(role)) == 0;
}

/* "a.%.b|c" and ".weight" of layer 3: "a.3.b.weight", and where `pattern` points behind it. A second '%' is the head,
 * '#' the expert. */
static void make_name(const struct planner *p, const char **pattern, const char *ending, char name[NAME_BYTES])
{
    const uint32_t numbers[] = {p->layer, p->head};
    size_t used = 0, count = 0;
    for (; **pattern != '\0' && **pattern != '|' && used < NAME_BYTES - 1; ++*pattern) {
        if (**pattern == '%' && count < 2)
            used += (size_t)snprintf(name + used, NAME_BYTES - used, "%" PRIu32, numbers[count++]);
        else if (**pattern == '#')
            used += (size_t)snprintf(name + used, NAME_BYTES - used, "%" PRIu32, p->expert);
        else
            name[used++] = **pattern;
    }
    *pattern += **pattern == '|';
    used = used < NAME_BYTES ? used : NAME_BYTES - 1;
    snprintf(name + used, NAME_BYTES - used, "%s", ending);
}

static struct tensor *look_for_name(const struct planner *p, const char *name)
{
    struct tensor *tensor = tensors_find(p->tensors, name);
    const char *prefix = p->config->prefix;
    if (tensor == NULL && prefix != NULL && strncmp(name, prefix, strlen(prefix)) == 0)
        tensor = tensors_find(p->tensors, name + strlen(prefix));
    return tensor;
}

/* The first encoders called a norm's weight and bias gamma and beta. */
static struct tensor *look_for_one(const struct planner *p, const char *name)
{
    static const char *const endings[][2] = {
        {"LayerNorm.weight", "LayerNorm.gamma"}, {"LayerNorm.bias", "LayerNorm.beta"}};
    struct tensor *tensor = look_for_name(p, name);
    size_t length = strlen(name);
    for (size_t i = 0; tensor == NULL && p->config->row->encoder && i < 2; i++) {
        size_t tail = strlen(endings[i][0]);
        char older[NAME_BYTES];
        if (length < tail || strcmp(name + length - tail, endings[i][0]) != 0)
            continue;
        snprintf(older, sizeof older, "%.*s%s", (int)(length - tail), name, endings[i][1]);
        tensor = look_for_name(p, older);
    }
    return tensor;
}

/* Or NULL. `name` gets the name that it was found by, or the first that it was looked for by. */
static struct tensor *look_for(const struct planner *p, enum role role, const char *ending, char name[NAME_BYTES])
{
    const char *pattern = p->names[role];
    name[0] = '\0';
    if (pattern == NULL) /* a table of names of a format need not have every role */
        return NULL;
    make_name(p, &pattern, ending, name);
    struct tensor *tensor = look_for_one(p, name);
    while (tensor == NULL && *pattern != '\0') {
        char other[NAME_BYTES];
        make_name(p, &pattern, ending, other);
        tensor = look_for_one(p, other);
        if (tensor != NULL)
            memcpy(name, other, NAME_BYTES);
    }
    return tensor;
}

struct tensor *planner_look(const struct planner *p, enum role role, const char *ending)
{
    char name[NAME_BYTES];
    return p->names[role] != NULL ? look_for(p, role, ending, name) : NULL;
}

/* "4 x 32 x 56" */
static void shape_text(uint32_t rank, const uint64_t *sizes, char *text, size_t room)
{
    size_t used = (size_t)snprintf(text, room, "%s", rank == 0 ? "a single number" : "");
    for (uint32_t i = 0; i < rank && used < room; i++)
        used += (size_t)snprintf(text + used, room - used, "%s%" PRIu64, i == 0 ? "" : " x ", sizes[i]);
}

static pdk_status check_shape(
    const struct planner *p, const struct tensor *tensor, const struct planner_shape *want, const char *name)
{
    if (tensor->rank == want->rank && memcmp(tensor->shape, want->sizes, want->rank * sizeof want->sizes[0]) == 0)
        return PDK_OK;
    char is[100], wanted[100];
    shape_text(tensor->rank, tensor->shape, is, sizeof is);
    shape_text(want->rank, want->sizes, wanted, sizeof wanted);
    return pdk_error_set(p->err, PDK_INVALID, name, "%s is %s; by the configuration it is %s", name, is, wanted);
}

/* `numbers`: of a type that is computed with. */
static pdk_status take(const struct planner *p, enum role role, const char *ending, const struct planner_shape *shape,
    bool required, bool numbers, const struct tensor **ret_tensor)
{
    char name[NAME_BYTES] = "";
    struct tensor *tensor = p->names[role] != NULL ? look_for(p, role, ending, name) : NULL;
    if (tensor == NULL && required && name[0] == '\0')
        return pdk_error_set(p->err, PDK_INVALID, "tensors",
            "layer %" PRIu32 ": the model has no tensor of experts that is known by name", p->layer);
    if (tensor == NULL && required)
        return pdk_error_set(p->err, PDK_INVALID, name, "the model has no tensor %s", name);
    *ret_tensor = tensor;
    if (tensor == NULL)
        return PDK_OK;
    tensor->used = true;
    if (numbers && tensor->type == 0)
        return pdk_error_set(p->err, PDK_UNSUPPORTED, name,
            "%s is of type %s; known are F32, F16, BF16 and GGUF's block types", name, tensor->type_name);
    return check_shape(p, tensor, shape, name);
}

pdk_status planner_take(const struct planner *p, enum role role, const char *ending, struct planner_shape shape,
    const struct tensor **ret_tensor)
{
    return take(p, role, ending, &shape, true, false, ret_tensor);
}

pdk_status planner_take_numbers(const struct planner *p, enum role role, const char *ending, struct planner_shape shape,
    const struct tensor **ret_tensor)
{
    return take(p, role, ending, &shape, true, true, ret_tensor);
}

pdk_status planner_find(const struct planner *p, enum role role, const char *ending, struct planner_shape shape,
    const struct tensor **ret_tensor)
{
    return take(p, role, ending, &shape, false, true, ret_tensor);
}

static enum layout layout_of(const struct planner *p, enum role role)
{
    const struct architecture *row = p->config->row;
    if (p->config->from_gguf) /* its converter has put them straight */
        return LAYOUT_ROWS;
    if ((row->transposed & ROLE_BIT(role)) != 0) { /* codes that words hold are put straight when bound */
        const struct tensor *tensor = planner_look(p, role, ".weight");
        return tensor != NULL && tensor->quantised != NULL ? LAYOUT_ROWS : LAYOUT_TRANSPOSED;
    }
    return role == ROLE_QKV && row->grouped_qkv ? LAYOUT_BY_KEY_HEAD : LAYOUT_ROWS;
}

pdk_status planner_matrix(
    const struct planner *p, enum role role, uint64_t rows, uint64_t columns, const struct tensor **ret_tensor)
{
    bool transposed = layout_of(p, role) == LAYOUT_TRANSPOSED;
    struct planner_shape want = {2, {transposed ? columns : rows, transposed ? rows : columns}};
    pdk_status status = planner_take_numbers(p, role, ".weight", want, ret_tensor);
    if (status == PDK_OK && transposed && ((*ret_tensor)->quantised != NULL || number_block((*ret_tensor)->type) != 1))
        return pdk_error_set(p->err, PDK_UNSUPPORTED, "tensors", "%.*s is transposed and of type %s; that is not read",
            (int)(*ret_tensor)->name.length, (*ret_tensor)->name.data, (*ret_tensor)->type_name);
    return status;
}

pdk_status planner_bias(const struct planner *p, enum role role, uint64_t count, const struct tensor **ret_tensor)
{
    const struct architecture *row = p->config->row;
    /* A file may hold together what another of the same family holds apart. */
    uint64_t bit =
        ROLE_BIT(role == ROLE_QKV && (row->biases | row->optional_biases) & ROLE_BIT(ROLE_Q) ? ROLE_Q : role);
    *ret_tensor = NULL;
    if (((row->biases | row->optional_biases) & ~p->config->without_biases & bit) == 0)
        return PDK_OK;
    return take(p, role, ".bias", &(struct planner_shape){1, {count}}, (row->biases & bit) != 0, true, ret_tensor);
}

struct planned_weight *planner_weight(const struct planner *p, pdk_weight **slot, int32_t use)
{
    struct weight_plan *plan = p->plan;
    if (!array_grow(&plan->weights, &plan->weight_room, plan->weight_count + 1))
        return NULL;
    struct planned_weight *weight = &plan->weights[plan->weight_count++];
    *weight = (struct planned_weight){.slot = slot, .use = use};
    return weight;
}

pdk_status planner_add_vector(
    const struct planner *p, pdk_vector **slot, const struct vector_part *parts, uint32_t count, float plus)
{
    struct weight_plan *plan = p->plan;
    if (!array_grow(&plan->vectors, &plan->vector_room, plan->vector_count + 1))
        return planner_no_memory(p);
    struct vector_part *copy = calloc(count, sizeof *copy);
    if (copy == NULL)
        return planner_no_memory(p);
    memcpy(copy, parts, count * sizeof *copy);
    plan->vectors[plan->vector_count++] =
        (struct planned_vector){.slot = slot, .plus = plus, .part_count = count, .parts = copy};
    return PDK_OK;
}

static void add_part(
    struct planned_weight *weight, const struct tensor *tensor, int32_t type, uint32_t rows, uint32_t columns)
{
    uint32_t i = weight->part_count++;
    weight->parts[i].tensor = tensor;
    weight->parts[i].rows = rows;
    weight->parts[i].columns = columns;
    weight->parts[i].type = type;
}

void planner_part(
    struct planned_weight *weight, const struct tensor *tensor, uint64_t first_row, uint32_t rows, uint32_t columns)
{
    add_part(weight, tensor, tensor->type, rows, columns);
    weight->parts[weight->part_count - 1].first_row = first_row;
}

void planner_gather(struct planned_weight *weight, const struct tensor *tensor, const struct gather *gather,
    uint32_t rows, uint32_t columns)
{
    add_part(weight, tensor, gather_type(tensor, gather), rows, columns);
    weight->parts[weight->part_count - 1].gather = *gather;
}

pdk_status planner_matrices(struct planner *p, const enum role *roles, const uint32_t *rows, uint32_t count,
    uint32_t columns, int32_t use, struct linear *linear)
{
    struct planned_weight *weight = planner_weight(p, &linear->weight, use);
    if (weight == NULL)
        return planner_no_memory(p);
    struct vector_part biases[PLAN_PARTS_MAX] = {0};
    bool any = false;
    for (uint32_t i = 0; i < count; i++) {
        const struct tensor *tensor;
        enum layout layout = layout_of(p, roles[i]);
        pdk_status status = planner_matrix(p, roles[i], rows[i], columns, &tensor);
        if (status == PDK_OK)
            status = planner_bias(p, roles[i], rows[i], &biases[i].tensor);
        if (status != PDK_OK)
            return status;
        add_part(weight, tensor, tensor->type, rows[i], columns);
        weight->parts[weight->part_count - 1].layout = layout;
        biases[i].count = rows[i];
        biases[i].layout = layout == LAYOUT_BY_KEY_HEAD ? layout : LAYOUT_ROWS;
        any |= biases[i].tensor != NULL;
    }
    return any ? planner_add_vector(p, &linear->bias, biases, count, 0) : PDK_OK;
}

pdk_status planner_linear(
    struct planner *p, enum role role, uint32_t rows, uint32_t columns, int32_t use, struct linear *linear)
{
    return planner_matrices(p, &role, &rows, 1, columns, use, linear);
}

pdk_status planner_gated(
    struct planner *p, enum role gate, enum role up, uint32_t rows, uint32_t columns, struct linear *linear)
{
    const enum role roles[] = {gate, up};
    const uint32_t both[] = {rows, rows};
    return planner_matrices(p, roles, both, 2, columns, PDK_WEIGHT_GATED, linear);
}

pdk_status planner_vector(
    struct planner *p, enum role role, const char *ending, uint32_t count, bool required, pdk_vector **slot)
{
    const struct tensor *tensor;
    if (!required && planner_look(p, role, ending) == NULL)
        return PDK_OK;
    pdk_status status = planner_take_numbers(p, role, ending, (struct planner_shape){1, {count}}, &tensor);
    if (status != PDK_OK)
        return status;
    return planner_add_vector(p, slot, &(struct vector_part){.tensor = tensor, .count = count}, 1, 0);
}

pdk_status planner_experts_bias(const struct planner *p, const struct planned_experts_bias *bias)
{
    struct weight_plan *plan = p->plan;
    if (!array_grow(&plan->biases, &plan->bias_room, plan->bias_count + 1))
        return planner_no_memory(p);
    plan->biases[plan->bias_count++] = *bias;
    return PDK_OK;
}
