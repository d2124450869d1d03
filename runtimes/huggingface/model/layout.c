/* See the header. A transposed matrix is walked in squares, so that neither side leaves the cache at each number. */
#include "config.h"

#include "runtimes/huggingface/model/layout.h"

#include <string.h>

uint32_t layout_row_by_key_head(const struct model_config *config, uint32_t row)
{
    uint32_t dim = config->head_dim, queries = config->heads * dim, keys = config->kv_heads * dim;
    uint32_t each = config->heads / config->kv_heads, within = row % dim;
    if (row < queries) {
        uint32_t head = row / dim;
        return (head / each * (each + 2) + head % each) * dim + within;
    }
    uint32_t is_value = row >= queries + keys;
    uint32_t key_head = (row - queries - (is_value ? keys : 0)) / dim;
    return (key_head * (each + 2) + each + is_value) * dim + within;
}

static void copy_transposed(const uint8_t *from, uint32_t rows, uint32_t columns, size_t unit, uint8_t *to)
{
    enum { SQUARE = 32 };
    for (uint32_t row = 0; row < rows; row += SQUARE)
        for (uint32_t column = 0; column < columns; column += SQUARE)
            for (uint32_t r = row; r < rows && r < row + SQUARE; r++)
                for (uint32_t c = column; c < columns && c < column + SQUARE; c++)
                    memcpy(to + ((size_t)r * columns + c) * unit, from + ((size_t)c * rows + r) * unit, unit);
}

void layout_copy(enum layout layout, const struct model_config *config, const void *from, uint32_t rows,
    uint32_t columns, size_t unit, void *to)
{
    size_t row_bytes = columns * unit;
    if (layout == LAYOUT_TRANSPOSED) {
        copy_transposed(from, rows, columns, unit, to);
        return;
    }
    for (uint32_t row = 0; row < rows; row++) {
        uint32_t source = layout == LAYOUT_BY_KEY_HEAD ? layout_row_by_key_head(config, row) : row;
        memcpy((uint8_t *)to + row * row_bytes, (const uint8_t *)from + source * row_bytes, row_bytes);
    }
}
