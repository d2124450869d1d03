/* Between the rows of a file and panels. Packing is bound by memory; a row is read once and scattered by dwords. */
#include "kernels/cpu/packed.h"

static void pack_f32(const uint8_t *row, size_t r, size_t columns, uint8_t *panel)
{
    for (size_t k = 0; k < columns; k++)
        memcpy(panel + (k * PANEL_ROWS + r) * 4, row + k * 4, 4);
}

static void pack_16(const uint8_t *row, size_t r, size_t columns, uint8_t *panel)
{
    for (size_t k = 0; k < columns; k++)
        memcpy(panel + (k / 2 * PANEL_ROWS + r) * 4 + k % 2 * 2, row + k * 2, 2);
}

static void scatter_codes(const uint8_t *codes, size_t vectors, size_t r, uint8_t *cell)
{
    for (size_t g = 0; g < vectors; g++)
        memcpy(cell + (g * PANEL_ROWS + r) * 4, codes + g * 4, 4);
}

static void pack_q8_0(const uint8_t *row, size_t r, size_t columns, uint8_t *panel)
{
    for (size_t k = 0; k < columns; k += CELL_COLUMNS, row += 34, panel += 576) {
        int16_t sum = 0;
        for (int i = 0; i < CELL_COLUMNS; i++)
            sum = (int16_t)(sum + (int8_t)row[2 + i]);
        scatter_codes(row + 2, 8, r, panel);
        memcpy(panel + CELL_Q8_SCALES + r * 2, row, 2);
        memcpy(panel + CELL_Q8_SCALES + 32 + r * 2, &sum, 2);
    }
}

static void pack_q4(const uint8_t *row, size_t r, size_t columns, size_t scales, uint8_t *panel)
{
    for (size_t k = 0; k < columns; k += CELL_COLUMNS, row += 2 * scales + 16, panel += CELL_Q4_SCALES + 32 * scales) {
        scatter_codes(row + 2 * scales, 4, r, panel);
        for (size_t s = 0; s < scales; s++)
            memcpy(panel + CELL_Q4_SCALES + 32 * s + r * 2, row + 2 * s, 2);
    }
}

void panel_put(int type, const uint8_t *row, size_t r, size_t columns, uint8_t *panel)
{
    switch (type) {
    case WEIGHT_F32: pack_f32(row, r, columns, panel); break;
    case WEIGHT_F16:
    case WEIGHT_BF16: pack_16(row, r, columns, panel); break;
    case WEIGHT_Q8_0: pack_q8_0(row, r, columns, panel); break;
    case WEIGHT_Q4_0: pack_q4(row, r, columns, 1, panel); break;
    case WEIGHT_Q4_1: pack_q4(row, r, columns, 2, panel); break;
    default: pack_blocks(type, row, r, columns, panel); break;
    }
}

/* One weight of a cell. A half has 11 bits and a code at most 8, so their product is exact: the value is the kernels'
 * to the bit, with FMA and without. */
static float cell_weight(int type, const uint8_t *cell, size_t r, size_t k)
{
    const uint8_t *scales = cell + (type == WEIGHT_Q8_0 ? CELL_Q8_SCALES : CELL_Q4_SCALES) + r * 2;
    float value;
    switch (type) {
    case WEIGHT_F32: memcpy(&value, cell + (k * PANEL_ROWS + r) * 4, 4); return value;
    case WEIGHT_F16: return float_of_half(load_u16(cell + (k / 2 * PANEL_ROWS + r) * 4 + k % 2 * 2));
    case WEIGHT_BF16: return float_of_bfloat(load_u16(cell + (k / 2 * PANEL_ROWS + r) * 4 + k % 2 * 2));
    case WEIGHT_Q8_0:
        return float_of_half(load_u16(scales)) * (float)(int8_t)cell[(k / 4 * PANEL_ROWS + r) * 4 + k % 4];
    default: break;
    }
    uint8_t code = cell[(k % 16 / 4 * PANEL_ROWS + r) * 4 + k % 4];
    float q = (float)(k < 16 ? code & 15 : code >> 4), d = float_of_half(load_u16(scales));
    return type == WEIGHT_Q4_0 ? d * (q - 8) : d * q + float_of_half(load_u16(scales + 32));
}

static void cell_row(int type, const uint8_t *panel, size_t c, size_t r, float *out)
{
    if (weight_is_grouped(type))
        group_cell_row(type, panel, c, r, out);
    else if (type > WEIGHT_Q4_1)
        block_cell_row(type, panel, c, r, out);
    else
        for (size_t k = 0; k < CELL_COLUMNS; k++)
            out[k] = cell_weight(type, panel + c * cell_block_bytes(type), r, k);
}

void panel_row(int type, const uint8_t *panel, size_t r, size_t columns, float scale, bool add, float *out)
{
    float values[CELL_COLUMNS];
    for (size_t k = 0; k < columns; k += CELL_COLUMNS) {
        size_t count = columns - k < CELL_COLUMNS ? columns - k : CELL_COLUMNS;
        cell_row(type, panel, k / CELL_COLUMNS, r, values);
        for (size_t i = 0; i < count; i++)
            out[k + i] = add ? out[k + i] + values[i] * scale : values[i] * scale;
    }
}
