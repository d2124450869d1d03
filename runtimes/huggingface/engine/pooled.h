/* runtimes/huggingface/engine/pooled.h: what a pooling sequence keeps of its tokens' hidden states: all of them, the
 * first, the last, or their mean. Rows come in order, in as many steps as the prompt takes; a mean is summed token by
 * token in double, so that the cuts leave no trace in it. A sequence that is computed again starts over. */
#pragma once

#include <paddock/abi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pool_rows { POOL_ALL, POOL_FIRST, POOL_LAST, POOL_MEAN };

struct pooled {
    enum pool_rows rows;
    uint32_t columns; /* 0: the sequence draws tokens, nothing is kept */
    uint32_t tokens;  /* of the sequence */
    uint32_t taken;   /* tokens up to the last whose row came and was wanted */
    uint32_t row_count;
    float *values; /* [row_count][columns]; complete once all tokens are taken */
    double *sums;  /* [columns] of POOL_MEAN */
};

/* `pooled` is zeroed before; pooled_done frees it, after a failure too. */
pdk_status pooled_init(struct pooled *pooled, enum pool_rows rows, uint32_t columns, uint32_t tokens, pdk_error *err);
void pooled_done(struct pooled *pooled);
/* Whether the rows of all tokens are needed, so that none may be skipped because the cache has its keys. */
static inline bool pooled_needs_all(const struct pooled *pooled)
{
    return pooled->columns != 0 && pooled->rows != POOL_LAST;
}
/* Which rows of the tokens [first, first + *count) to read: moves `first` and `count` to them; a count of 0: none. */
void pooled_wants(const struct pooled *pooled, uint32_t *first, uint32_t *count);
/* Takes the rows of tokens [first, first + count), of which pooled_wants said so. */
void pooled_take(struct pooled *pooled, uint32_t first, uint32_t count, const float *rows);
