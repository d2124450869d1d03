/* Packing weights. */
#include "config.h"

#include "plugins/cpu/tables.h"

#include "core/base/error.h"
#include "plugins/cpu/memory.h"

#include <assert.h>
#include <stdlib.h>

static_assert((int)WEIGHT_F32 == (int)PDK_TYPE_F32 && (int)WEIGHT_F16 == (int)PDK_TYPE_F16 &&
                  (int)WEIGHT_BF16 == (int)PDK_TYPE_BF16 && (int)WEIGHT_Q8_0 == (int)PDK_TYPE_Q8_0 &&
                  (int)WEIGHT_Q4_0 == (int)PDK_TYPE_Q4_0 && (int)WEIGHT_Q4_1 == (int)PDK_TYPE_Q4_1,
    "types have one numbering");
static_assert((int)BLOCK_TOKENS == (int)PDK_KV_BLOCK_TOKENS, "blocks have one size");

/* Checks the matrices and says what they become, all but the memory. */
static pdk_status shape_of(
    const pdk_matrix *matrices, size_t count, int32_t use, pdk_weight *ret_weight, pdk_error *err)
{
    if (count == 0)
        return pdk_error_set(err, PDK_INVALID, "matrices", "no matrix to load");
    int32_t type = matrices[0].type;
    uint32_t columns = matrices[0].columns;
    if (weight_block(type) == 0)
        return pdk_error_set(
            err, PDK_UNSUPPORTED, "type", "weight type %d: the cpu plugin has f32, f16, bf16, q8_0, q4_0, q4_1", type);
    if (columns == 0 || columns % weight_block(type) != 0)
        return pdk_error_set(
            err, PDK_INVALID, "columns", "%u columns; the type's blocks have %zu", columns, weight_block(type));
    size_t outputs = 0;
    for (size_t i = 0; i < count; i++) {
        if (matrices[i].type != type || matrices[i].columns != columns)
            return pdk_error_set(err, PDK_INVALID, "matrices",
                "matrix %zu is of type %d and width %u, the first of %d and %u", i, matrices[i].type,
                matrices[i].columns, type, columns);
        outputs += matrices[i].rows;
    }
    size_t panels = panel_count(outputs);
    if (use == PDK_WEIGHT_GATED) {
        if (count != 2 || matrices[0].rows != matrices[1].rows)
            return pdk_error_set(err, PDK_INVALID, "matrices", "a gated weight is two matrices of equal shape");
        outputs /= 2;
        panels = 2 * panel_count(outputs);
    }
    pdk_weight weight = {.type = type, .use = use, .columns = columns, .outputs = (uint32_t)outputs};
    weight.cells = panel_cells(columns);
    weight.panel_bytes = panel_bytes(type, columns);
    if (outputs == 0 || outputs > UINT32_MAX || __builtin_mul_overflow(panels, weight.panel_bytes, &weight.bytes))
        return pdk_error_set(err, PDK_INVALID, "rows", "%zu outputs of %u inputs cannot be packed", outputs, columns);
    *ret_weight = weight;
    return PDK_OK;
}

uint64_t weight_bytes(void *self, const pdk_matrix *matrices, size_t count, int32_t use)
{
    (void)self;
    pdk_weight weight;
    return shape_of(matrices, count, use, &weight, NULL) == PDK_OK ? weight.bytes : 0;
}

static void pack(const pdk_weight *weight, const pdk_matrix *matrices, size_t count)
{
    size_t bytes = weight_row_bytes(weight->type, weight->columns), output = 0;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *row = matrices[i].data;
        for (uint32_t n = 0; n < matrices[i].rows; n++, output++, row += bytes) {
            size_t place = weight->use == PDK_WEIGHT_GATED ? n : output, panel = place / PANEL_ROWS;
            if (weight->use == PDK_WEIGHT_GATED)
                panel = 2 * panel + i;
            panel_put(
                weight->type, row, place % PANEL_ROWS, weight->columns, weight->panels + panel * weight->panel_bytes);
        }
    }
}

pdk_status weight_load(
    void *self, const pdk_matrix *matrices, size_t count, int32_t use, pdk_weight **ret_weight, pdk_error *err)
{
    pdk_weight shape;
    pdk_status status = shape_of(matrices, count, use, &shape, err);
    if (status != PDK_OK)
        return status;
    pdk_weight *weight = malloc(sizeof *weight);
    if (weight == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "weights", "out of memory");
    void *panels;
    status = memory_new(self, shape.bytes, "weights", &panels, err);
    if (status != PDK_OK) {
        free(weight);
        return status;
    }
    *weight = shape;
    weight->panels = panels;
    pack(weight, matrices, count);
    *ret_weight = weight;
    return PDK_OK;
}

void weight_free(void *self, pdk_weight *weight)
{
    if (weight == NULL)
        return;
    memory_free(self, weight->panels, weight->bytes);
    free(weight);
}
