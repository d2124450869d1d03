/* See the header. */
#include "config.h"

#include "runtimes/huggingface/engine/pooled.h"

#include "core/base/error.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

pdk_status pooled_init(struct pooled *pooled, enum pool_rows rows, uint32_t columns, uint32_t tokens, pdk_error *err)
{
    size_t count = rows == POOL_ALL ? tokens : 1, numbers;
    if (__builtin_mul_overflow(count, (size_t)columns, &numbers))
        return pdk_error_set(err, PDK_NO_MEMORY, NULL,
            "no memory for the hidden states of %" PRIu32 " tokens of %" PRIu32 " numbers", tokens, columns);
    *pooled = (struct pooled){.rows = rows, .columns = columns, .tokens = tokens, .row_count = (uint32_t)count};
    pooled->values = calloc(numbers, sizeof *pooled->values);
    pooled->sums = rows == POOL_MEAN ? calloc(columns, sizeof *pooled->sums) : NULL;
    if (pooled->values == NULL || (rows == POOL_MEAN && pooled->sums == NULL))
        return pdk_error_set(err, PDK_NO_MEMORY, NULL,
            "no memory for the hidden states of %" PRIu32 " tokens of %" PRIu32 " numbers", tokens, columns);
    return PDK_OK;
}

void pooled_done(struct pooled *pooled)
{
    free(pooled->values);
    free(pooled->sums);
    *pooled = (struct pooled){0};
}

void pooled_wants(const struct pooled *pooled, uint32_t *first, uint32_t *count)
{
    uint32_t only = pooled->rows == POOL_LAST ? pooled->tokens - 1 : 0;
    if (pooled->rows == POOL_ALL || pooled->rows == POOL_MEAN)
        return;
    *count = only >= *first && only < *first + *count;
    *first = only;
}

void pooled_take(struct pooled *pooled, uint32_t first, uint32_t count, const float *rows)
{
    size_t columns = pooled->columns;
    assert(first + count <= pooled->tokens);
    if (pooled->rows == POOL_ALL) {
        memcpy(pooled->values + first * columns, rows, count * columns * sizeof *rows);
    } else if (pooled->rows != POOL_MEAN) {
        memcpy(pooled->values, rows, columns * sizeof *rows);
    } else {
        if (first == 0)
            memset(pooled->sums, 0, columns * sizeof *pooled->sums);
        for (size_t r = 0; r < count; r++)
            for (size_t i = 0; i < columns; i++)
                pooled->sums[i] += (double)rows[r * columns + i];
    }
    pooled->taken = first + count;
    for (size_t i = 0; pooled->rows == POOL_MEAN && pooled->taken == pooled->tokens && i < columns; i++)
        pooled->values[i] = (float)(pooled->sums[i] / pooled->tokens);
}
