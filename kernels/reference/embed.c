/* Looking up rows of tables. */
#include "kernels/reference/reference.h"

/* Adds scale * row to out, a block at a time, so that no row-sized buffer is needed. */
static void add_row(const struct reference_matrix *table, size_t row, float scale, float *out)
{
    float piece[32];
    size_t block = weight_block(table->type);
    const uint8_t *at = (const uint8_t *)table->data + row * weight_row_bytes(table->type, table->columns);
    for (size_t k = 0; k < table->columns; k += block, at += weight_block_bytes(table->type)) {
        reference_dequantize(table->type, at, block, piece);
        for (size_t i = 0; i < block; i++)
            out[k + i] += piece[i] * scale;
    }
}

void reference_embed(const struct reference_matrix *table, size_t token, float scale,
    const struct reference_matrix *positions, size_t position, const struct reference_matrix *types, size_t type,
    float *out)
{
    memset(out, 0, (table != NULL ? table : positions)->columns * sizeof *out);
    if (table != NULL)
        add_row(table, token, scale, out);
    if (positions != NULL)
        add_row(positions, position, 1.0f, out);
    if (types != NULL)
        add_row(types, type, 1.0f, out);
}
