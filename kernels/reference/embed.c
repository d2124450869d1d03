/* Looking up rows of tables. */
#include "kernels/reference/reference.h"

#include <stdlib.h>

/* Adds scale * row to out. */
static void add_row(const struct reference_matrix *table, size_t row, float scale, float *out)
{
    float *weights = calloc(table->columns, sizeof *weights);
    if (weights == NULL)
        return;
    reference_row(table, row, weights);
    for (size_t k = 0; k < table->columns; k++)
        out[k] += weights[k] * scale;
    free(weights);
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
