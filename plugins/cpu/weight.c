/* Packing weights. Matrices that agree in type, groups and order of inputs are packed into one weight; a change of any
 * of them begins another, chained to the first, so that a file's mix of types costs no expansion. */
#include "config.h"

#include "plugins/cpu/tables.h"

#include "core/base/error.h"
#include "plugins/cpu/memory.h"

#include <assert.h>
#include <stdlib.h>

static_assert((int)WEIGHT_F32 == (int)PDK_TYPE_F32 && (int)WEIGHT_Q4_1 == (int)PDK_TYPE_Q4_1 &&
                  (int)WEIGHT_Q5_0 == (int)PDK_TYPE_Q5_0 && (int)WEIGHT_Q2_K == (int)PDK_TYPE_Q2_K &&
                  (int)WEIGHT_Q6_K == (int)PDK_TYPE_Q6_K && (int)WEIGHT_IQ1_S == (int)PDK_TYPE_IQ1_S &&
                  (int)WEIGHT_IQ3_S == (int)PDK_TYPE_IQ3_S && (int)WEIGHT_IQ4_XS == (int)PDK_TYPE_IQ4_XS &&
                  (int)WEIGHT_TQ1_0 == (int)PDK_TYPE_TQ1_0 && (int)WEIGHT_MXFP4 == (int)PDK_TYPE_MXFP4 &&
                  (int)WEIGHT_NVFP4 == (int)PDK_TYPE_NVFP4 && (int)WEIGHT_U4 == (int)PDK_TYPE_U4 &&
                  (int)WEIGHT_F8 == (int)PDK_TYPE_F8 && (int)WEIGHT_TYPES == (int)PDK_TYPE_END,
    "types have one numbering");
static_assert((int)BLOCK_TOKENS == (int)PDK_KV_BLOCK_TOKENS, "blocks have one size");

static struct weight_groups groups_of(const pdk_matrix *matrix)
{
    return (struct weight_groups){.scales = matrix->scales,
        .zeros = matrix->zeros,
        .inputs = matrix->inputs,
        .columns = matrix->group,
        .scale_type = matrix->scale_type};
}

static bool same_order(const pdk_matrix *a, const pdk_matrix *b)
{
    return a->inputs == b->inputs || (a->inputs != NULL && b->inputs != NULL &&
                                         memcmp(a->inputs, b->inputs, a->columns * sizeof *a->inputs) == 0);
}

/* Whether two matrices may share panels. */
static bool alike(const pdk_matrix *a, const pdk_matrix *b)
{
    if (a->type != b->type || a->columns != b->columns)
        return false;
    return !weight_is_grouped(a->type) || (a->group == b->group && a->scale_type == b->scale_type &&
                                              (a->zeros == NULL) == (b->zeros == NULL) && same_order(a, b));
}

/* Groups that are no whole cells are multiplied out when packing. */
static bool is_packed_as_floats(const pdk_matrix *matrix)
{
    struct weight_groups groups = groups_of(matrix);
    return weight_is_grouped(matrix->type) && !panel_can_group(&groups, matrix->columns);
}

static pdk_status check_groups(const pdk_matrix *matrix, int32_t use, pdk_error *err)
{
    if (!weight_is_grouped(matrix->type))
        return PDK_OK;
    if (matrix->scales == NULL || matrix->group == 0)
        return pdk_error_set(err, PDK_INVALID, "scales", "a weight of type %d has no scales", matrix->type);
    if (matrix->scale_type != PDK_TYPE_F32 && matrix->scale_type != PDK_TYPE_F16 && matrix->scale_type != PDK_TYPE_BF16)
        return pdk_error_set(
            err, PDK_UNSUPPORTED, "scales", "scales of type %d; known are f32, f16, bf16", matrix->scale_type);
    if (matrix->inputs != NULL && (use == PDK_WEIGHT_TABLE || use == PDK_WEIGHT_TIED))
        return pdk_error_set(err, PDK_UNSUPPORTED, "inputs", "a table's columns cannot stand in another order");
    for (uint32_t k = 0; matrix->inputs != NULL && k < matrix->columns; k++)
        if (matrix->inputs[k] >= matrix->columns)
            return pdk_error_set(
                err, PDK_INVALID, "inputs", "input %u of a matrix of %u columns", matrix->inputs[k], matrix->columns);
    return PDK_OK;
}

static pdk_status check_matrix(const pdk_matrix *matrix, uint32_t columns, int32_t use, pdk_error *err)
{
    size_t block = weight_block(matrix->type);
    if (block == 0)
        return pdk_error_set(
            err, PDK_UNSUPPORTED, "type", "weight type %d: the cpu plugin has 1 to %d", matrix->type, WEIGHT_TYPES - 1);
    if (matrix->columns == 0 || matrix->columns % block != 0)
        return pdk_error_set(
            err, PDK_INVALID, "columns", "%u columns; the type's blocks have %zu", matrix->columns, block);
    if (matrix->columns != columns)
        return pdk_error_set(
            err, PDK_INVALID, "matrices", "a matrix has %u columns, the first one %u", matrix->columns, columns);
    return check_groups(matrix, use, err);
}

/* What `count` matrices that are alike become, all but the memory. */
static pdk_status shape_of(
    const pdk_matrix *matrices, size_t count, int32_t use, pdk_weight *ret_weight, pdk_error *err)
{
    const pdk_matrix *first = &matrices[0];
    struct weight_groups groups = groups_of(first);
    bool as_floats = is_packed_as_floats(first);
    size_t outputs = 0;
    for (size_t i = 0; i < count; i++)
        outputs += matrices[i].rows;
    bool two = use == PDK_WEIGHT_GATED && count == 2;
    size_t panels = two ? 2 * panel_count(outputs / 2) : panel_count(outputs);
    pdk_weight weight = {.type = as_floats ? WEIGHT_F32 : first->type,
        .use = use,
        .columns = first->columns,
        .outputs = (uint32_t)(two ? outputs / 2 : outputs),
        .cells = panel_cells(first->columns)};
    weight.panel_bytes = weight_is_grouped(weight.type) ? panel_bytes_grouped(weight.type, &groups, first->columns)
                                                        : panel_bytes(weight.type, first->columns);
    if (outputs == 0 || outputs > UINT32_MAX || __builtin_mul_overflow(panels, weight.panel_bytes, &weight.bytes))
        return pdk_error_set(
            err, PDK_INVALID, "rows", "%zu outputs of %u inputs cannot be packed", outputs, first->columns);
    *ret_weight = weight;
    return PDK_OK;
}

/* How many matrices from the first on are alike. */
static size_t run_of(const pdk_matrix *matrices, size_t count)
{
    size_t run = 1;
    while (run < count && alike(&matrices[0], &matrices[run]))
        run++;
    return run;
}

static pdk_status check(const pdk_matrix *matrices, size_t count, int32_t use, pdk_error *err)
{
    if (count == 0)
        return pdk_error_set(err, PDK_INVALID, "matrices", "no matrix to load");
    if (use == PDK_WEIGHT_GATED && (count != 2 || matrices[0].rows != matrices[1].rows))
        return pdk_error_set(err, PDK_INVALID, "matrices", "a gated weight is two matrices of equal shape");
    pdk_status status = PDK_OK;
    for (size_t i = 0; i < count && status == PDK_OK; i++)
        status = check_matrix(&matrices[i], matrices[0].columns, use, err);
    if (status == PDK_OK && (use == PDK_WEIGHT_TABLE || use == PDK_WEIGHT_TIED) && run_of(matrices, count) != count)
        return pdk_error_set(err, PDK_UNSUPPORTED, "matrices", "a table's matrices are of several types");
    return status;
}

uint64_t weight_bytes(void *self, const pdk_matrix *matrices, size_t count, int32_t use)
{
    (void)self;
    uint64_t total = 0;
    if (check(matrices, count, use, NULL) != PDK_OK)
        return 0;
    for (size_t i = 0, run; i < count; i += run) {
        pdk_weight weight;
        run = run_of(matrices + i, count - i);
        if (shape_of(matrices + i, run, use, &weight, NULL) != PDK_OK)
            return 0;
        total += weight.bytes;
    }
    return total;
}

static void put_row(const pdk_weight *weight, const pdk_matrix *matrix, const struct weight_groups *groups,
    uint32_t row, size_t r, float *numbers, uint8_t *panel)
{
    const uint8_t *data = (const uint8_t *)matrix->data + row * weight_row_bytes(matrix->type, matrix->columns);
    if (numbers != NULL) {
        panel_grouped_numbers(matrix->type, groups, data, row, matrix->columns, numbers);
        panel_put(WEIGHT_F32, (const uint8_t *)numbers, r, matrix->columns, panel);
    } else if (weight_is_grouped(weight->type)) {
        panel_put_grouped(weight->type, groups, data, row, r, matrix->columns, panel);
    } else {
        panel_put(weight->type, data, r, matrix->columns, panel);
    }
}

static void pack(const pdk_weight *weight, const pdk_matrix *matrices, size_t count, float *numbers)
{
    bool two = weight->use == PDK_WEIGHT_GATED && count == 2;
    size_t output = 0;
    for (size_t i = 0; i < count; i++) {
        struct weight_groups groups = groups_of(&matrices[i]);
        for (uint32_t n = 0; n < matrices[i].rows; n++, output++) {
            size_t place = two ? n : output, panel = place / PANEL_ROWS;
            panel = two ? 2 * panel + i : panel;
            put_row(weight, &matrices[i], &groups, n, place % PANEL_ROWS, numbers,
                weight->panels + panel * weight->panel_bytes);
        }
    }
}

/* One weight of matrices that are alike. */
static pdk_status load_run(struct backend *backend, const pdk_matrix *matrices, size_t count, int32_t use,
    pdk_weight **ret_weight, pdk_error *err)
{
    bool as_floats = is_packed_as_floats(&matrices[0]), ordered = matrices[0].inputs != NULL && !as_floats;
    size_t columns = matrices[0].columns;
    pdk_weight shape;
    pdk_status status = shape_of(matrices, count, use, &shape, err);
    if (status != PDK_OK)
        return status;
    float *numbers = as_floats ? calloc(columns, sizeof *numbers) : NULL;
    uint32_t *inputs = ordered ? calloc(columns, sizeof *inputs) : NULL;
    pdk_weight *weight = malloc(sizeof *weight);
    void *panels = NULL;
    status = PDK_NO_MEMORY;
    if (weight == NULL || (as_floats && numbers == NULL) || (ordered && inputs == NULL))
        pdk_error_set(err, PDK_NO_MEMORY, "weights", "out of memory");
    else
        status = memory_new(backend, shape.bytes, "weights", &panels, err);
    if (status == PDK_OK) {
        *weight = shape;
        weight->panels = panels;
        pack(weight, matrices, count, numbers);
        if (ordered)
            memcpy(inputs, matrices[0].inputs, columns * sizeof *inputs);
        weight->inputs = inputs;
        *ret_weight = weight;
    } else {
        free(inputs);
        free(weight);
    }
    free(numbers);
    return status;
}

pdk_status weight_load(
    void *self, const pdk_matrix *matrices, size_t count, int32_t use, pdk_weight **ret_weight, pdk_error *err)
{
    pdk_weight *first = NULL, **slot = &first;
    uint32_t outputs = 0;
    pdk_status status = check(matrices, count, use, err);
    for (size_t i = 0, run; i < count && status == PDK_OK; i += run) {
        run = run_of(matrices + i, count - i);
        status = load_run(self, matrices + i, run, use, slot, err);
        if (status != PDK_OK)
            break;
        (*slot)->first_output = use == PDK_WEIGHT_GATED ? 0 : outputs;
        outputs += (*slot)->outputs;
        slot = &(*slot)->rest;
    }
    if (status != PDK_OK) {
        weight_free(self, first);
        return status;
    }
    *ret_weight = first;
    return PDK_OK;
}

void weight_free(void *self, pdk_weight *weight)
{
    while (weight != NULL) {
        pdk_weight *rest = weight->rest;
        memory_free(self, weight->panels, weight->bytes);
        free(weight->inputs);
        free(weight);
        weight = rest;
    }
}
