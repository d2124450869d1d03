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
    if (__builtin_mul_overflow(count, sizeof *values, &bytes) || __builtin_add_overflow(bytes, sizeof(pdk_vector), &bytes))
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

pdk_status rows_new(void *self, uint32_t max_rows, uint32_t columns, pdk_rows **ret_rows, pdk_error *err)
{
    struct backend *backend = self;
    size_t numbers, bytes;
    if (__builtin_mul_overflow((size_t)max_rows, columns, &numbers) ||
        __builtin_mul_overflow(numbers, sizeof(float), &bytes))
        return pdk_error_set(err, PDK_NO_MEMORY, "rows", "%u rows of %u numbers do not fit in memory", max_rows, columns);
    pdk_rows *rows = calloc(1, sizeof *rows);
    if (rows == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "rows", "out of memory");
    void *values;
    pdk_status status = memory_new(backend, bytes, "activations", &values, err);
    if (status != PDK_OK) {
        free(rows);
        return status;
    }
    *rows = (pdk_rows){.max_rows = max_rows, .columns = columns, .values = values, .bytes = bytes};
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
    memcpy(out, &rows->values[(size_t)first * rows->columns], (size_t)count * rows->columns * sizeof *out);
}

void rows_write(void *self, pdk_rows *rows, uint32_t first, uint32_t count, const float *in)
{
    (void)self;
    assert(first <= rows->max_rows && count <= rows->max_rows - first);
    memcpy(&rows->values[(size_t)first * rows->columns], in, (size_t)count * rows->columns * sizeof *in);
}
