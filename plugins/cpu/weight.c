/* Weights as they lie in the file. */
#include "config.h"

#include "plugins/cpu/tables.h"

#include "core/base/error.h"
#include "plugins/cpu/memory.h"

#include <stdlib.h>

static bool matrices_bytes(const pdk_matrix *matrices, size_t count, size_t *ret_bytes)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        size_t bytes;
        if (weight_block(matrices[i].type) == 0 || matrices[i].columns % weight_block(matrices[i].type) != 0)
            return false;
        if (__builtin_mul_overflow(matrices[i].rows, weight_row_bytes(matrices[i].type, matrices[i].columns), &bytes) ||
            __builtin_add_overflow(total, bytes, &total))
            return false;
    }
    *ret_bytes = total;
    return true;
}

uint64_t weight_bytes(void *self, const pdk_matrix *matrices, size_t count, int32_t use)
{
    (void)self;
    (void)use;
    size_t bytes = 0;
    return matrices_bytes(matrices, count, &bytes) ? bytes : 0;
}

pdk_status weight_load(void *self, const pdk_matrix *matrices, size_t count, int32_t use, pdk_weight **ret_weight,
    pdk_error *err)
{
    struct backend *backend = self;
    size_t bytes;
    if (!matrices_bytes(matrices, count, &bytes))
        return pdk_error_set(err, PDK_UNSUPPORTED, "type", "weight type %d is not one that the cpu plugin has", matrices[0].type);
    void *data;
    pdk_status status = memory_new(backend, bytes, "weights", &data, err);
    if (status != PDK_OK)
        return status;
    pdk_weight *weight = calloc(1, sizeof *weight);
    struct reference_matrix *copies = calloc(count, sizeof *copies);
    if (weight == NULL || copies == NULL) {
        free(weight);
        free(copies);
        memory_free(backend, data, bytes);
        return pdk_error_set(err, PDK_NO_MEMORY, "weights", "out of memory");
    }
    *weight = (pdk_weight){.use = use, .count = (uint32_t)count, .matrices = copies, .data = data, .bytes = bytes};
    uint8_t *at = data;
    for (size_t i = 0; i < count; i++) {
        size_t own = matrices[i].rows * weight_row_bytes(matrices[i].type, matrices[i].columns);
        memcpy(at, matrices[i].data, own);
        copies[i] = (struct reference_matrix){matrices[i].type, matrices[i].rows, matrices[i].columns, at};
        at += own;
    }
    *ret_weight = weight;
    return PDK_OK;
}

void weight_free(void *self, pdk_weight *weight)
{
    if (weight == NULL)
        return;
    memory_free(self, weight->data, weight->bytes);
    free(weight->matrices);
    free(weight);
}
