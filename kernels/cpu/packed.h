/* kernels/cpu/packed.h: the layout of a packed matrix, the same for every instruction set.
 *
 * A panel is 16 consecutive output rows, a cell 16 rows x 32 inputs (k); a panel is its cells in order of k. Rows and
 * columns that a matrix lacks are zeros. In a cell, dword r of vector g belongs to row r; vectors are 64 bytes, k
 * counts from the cell's first: f32         32 vectors: k = g f16, bf16   16 vectors: k = 2g in the low half, 2g+1 in
 * the high one q8_0         8 vectors: byte j is k = 4g + j; then f16 d[16], s16 sum of codes[16] q4_0, q4_1   4
 * vectors: byte j holds k = 4g + j in its low half, 16 + 4g + j in its high one (the file's own order); then f16 d[16]
 * and, for q4_1, f16 m[16] A dword so is what an int8 or bf16 dot product of 16 lanes takes, and floats come out of it
 * by shifts alone. */
#pragma once

#include "kernels/types.h"

#include <stdbool.h>

enum { PANEL_ROWS = 16, CELL_COLUMNS = 32, CELL_WEIGHTS = PANEL_ROWS * CELL_COLUMNS };

/* Where the scales begin in a quantised cell. */
enum { CELL_Q8_SCALES = 512, CELL_Q4_SCALES = 256 };

static inline size_t cell_bytes(int type)
{
    static const uint16_t bytes[WEIGHT_TYPES] = {0, 2048, 1024, 1024, 576, 288, 320};
    return bytes[type];
}

static inline size_t panel_cells(size_t columns)
{
    return (columns + CELL_COLUMNS - 1) / CELL_COLUMNS;
}

static inline size_t panel_bytes(int type, size_t columns)
{
    return panel_cells(columns) * cell_bytes(type);
}

static inline size_t panel_count(size_t rows)
{
    return (rows + PANEL_ROWS - 1) / PANEL_ROWS;
}

/* Puts one row as it lies in a file into place r of a panel that was zeros. */
void panel_put(int type, const uint8_t *row, size_t r, size_t columns, uint8_t *panel);

/* One row of a panel as numbers: out[k] = row[k] * scale, or += with `add`. */
void panel_row(int type, const uint8_t *panel, size_t r, size_t columns, float scale, bool add, float *out);
