/* Vectors and activations. */
#include "config.h"

#include "plugins/cpu/tables.h"

#include "core/base/error.h"
#include "plugins/cpu/memory.h"

#include <assert.h>
#include <stdlib.h>

pdk_status vector_load(void *self, const float *values, size_t count, pdk_vector **ret_vector, pdk_error *err)
{
    (void)self;
    size_t bytes;
    if (__builtin_mul_overflow(count, sizeof *values, &bytes) ||
        __builtin_add_overflow(bytes, sizeof(pdk_vector), &bytes))
        return pdk_error_set(err, PDK_NO_MEMORY, "vector", "%zu numbers do not fit in memory", count);
    pdk_vector *vector = malloc(bytes);
    if (vector == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "vector", "no memory for %zu numbers", count);
    vector->count = count;
    if (count != 0)
        memcpy(vector->values, values, count * sizeof *values);
    *ret_vector = vector;
    return PDK_OK;
}

void vector_free(void *self, pdk_vector *vector)
{
    (void)self;
    free(vector);
}

/* Whole cells; and not a multiple of a page's part that would put tile after tile of rows into the same cache sets. */
static size_t stride_of(uint32_t columns)
{
    size_t stride = panel_cells(columns) * CELL_COLUMNS;
    return stride % 256 == 0 ? stride + CELL_COLUMNS : stride;
}

pdk_status rows_new(void *self, uint32_t max_rows, uint32_t columns, pdk_rows **ret_rows, pdk_error *err)
{
    size_t numbers, bytes;
    if (__builtin_mul_overflow((size_t)max_rows, stride_of(columns), &numbers) ||
        __builtin_mul_overflow(numbers, sizeof(float), &bytes))
        return pdk_error_set(
            err, PDK_NO_MEMORY, "rows", "%u rows of %u numbers do not fit in memory", max_rows, columns);
    pdk_rows *rows = malloc(sizeof *rows);
    if (rows == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "rows", "out of memory");
    void *values;
    pdk_status status = memory_new(self, bytes, "activations", &values, err);
    if (status != PDK_OK) {
        free(rows);
        return status;
    }
    *rows = (pdk_rows){
        .max_rows = max_rows, .columns = columns, .stride = stride_of(columns), .values = values, .bytes = bytes};
    *ret_rows = rows;
    return PDK_OK;
}

void rows_free(void *self, pdk_rows *rows)
{
    if (rows == NULL)
        return;
    memory_free(self, rows->values, rows->bytes);
    free(rows);
}

void rows_read(void *self, const pdk_rows *rows, uint32_t first, uint32_t count, float *out)
{
    (void)self;
    assert(first <= rows->max_rows && count <= rows->max_rows - first);
    for (size_t r = 0; r < count; r++)
        memcpy(out + r * rows->columns, row_of(rows, first + r), rows->columns * sizeof *out);
}

void rows_write(void *self, pdk_rows *rows, uint32_t first, uint32_t count, const float *in)
{
    (void)self;
    assert(first <= rows->max_rows && count <= rows->max_rows - first);
    for (size_t r = 0; r < count; r++)
        memcpy(row_of(rows, first + r), in + r * rows->columns, rows->columns * sizeof *in);
}
