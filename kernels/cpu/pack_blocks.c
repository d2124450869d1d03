/* Rows of GGUF's other block types between file and panel. A block becomes codes of one byte each first, then these are
 * spread over the cell's planes. */
#include "kernels/blocks/blocks.h"
#include "kernels/cpu/packed.h"

/* Where the code of k has its bits in dword r of a plane. */
static size_t nibble_at(size_t r, size_t k)
{
    return (k % 16 / 4 * PANEL_ROWS + r) * 4 + k % 4;
}

static size_t pair_at(size_t r, size_t k)
{
    return (k / 16 * PANEL_ROWS + r) * 4 + k % 4;
}

static void put_codes(const struct cell_layout *layout, const uint8_t *codes, size_t r, uint8_t *cell)
{
    uint8_t *pairs = cell + layout->codes, *bits = pairs + layout->pairs;
    for (size_t k = 0; k < CELL_COLUMNS; k++) {
        unsigned code = codes[k];
        if (layout->codes != 0) {
            cell[nibble_at(r, k)] = (uint8_t)(cell[nibble_at(r, k)] | (code & 15) << (k < 16 ? 0 : 4));
            code >>= 4;
        }
        if (layout->pairs != 0) {
            pairs[pair_at(r, k)] = (uint8_t)(pairs[pair_at(r, k)] | (code & 3) << k % 16 / 4 * 2);
            code >>= 2;
        }
        if (layout->bits != 0)
            bits[r * 4 + k % 4] = (uint8_t)(bits[r * 4 + k % 4] | (code & 1) << k / 4);
    }
}

static unsigned code_of(const struct cell_layout *layout, const uint8_t *cell, size_t r, size_t k)
{
    const uint8_t *pairs = cell + layout->codes, *bits = pairs + layout->pairs;
    unsigned code = 0, shift = 0;
    if (layout->codes != 0) {
        code = cell[nibble_at(r, k)] >> (k < 16 ? 0 : 4) & 15u;
        shift = 4;
    }
    if (layout->pairs != 0) {
        code |= (pairs[pair_at(r, k)] >> k % 16 / 4 * 2 & 3u) << shift;
        shift += 2;
    }
    if (layout->bits != 0)
        code |= (bits[r * 4 + k % 4] >> k / 4 & 1u) << shift;
    return code;
}

/* What is taken from a code to give the integer that is multiplied. */
static int centre_of(int type)
{
    switch (type) {
    case WEIGHT_Q5_0: return 16;
    case WEIGHT_Q6_K: return 32;
    case WEIGHT_Q3_K: return 4;
    default: return 0;
    }
}

/* A block of 32 with codes in nibbles, low halves first: the file's halves of scales go into the tail. */
static void put_32(int type, const uint8_t *block, size_t r, uint8_t *cell)
{
    const struct cell_layout *layout = &cell_layouts[type];
    size_t scales = layout->scales != 0 ? 1 : layout->tail / 16, fifth = layout->bits != 0 ? 4 : 0;
    const uint8_t *nibbles = block + scales + fifth;
    uint32_t high = fifth != 0 ? load_u32(block + scales) : 0;
    uint8_t codes[CELL_COLUMNS];
    for (size_t k = 0; k < CELL_COLUMNS; k++)
        codes[k] = (uint8_t)((k < 16 ? nibbles[k] & 15u : nibbles[k - 16] >> 4u) | (high >> k & 1) << 4);
    put_codes(layout, codes, r, cell);
    if (layout->scales != 0)
        cell[cell_bytes(type) - layout->scales + r] = block[0];
    for (size_t i = 0; i < layout->tail / 32u; i++)
        memcpy(cell + cell_bytes(type) + 32 * i + 2 * r, block + 2 * i, 2);
}

/* Exact: e4m3 is a part of f16, subnormals too. */
static uint16_t half_of_scale(uint8_t code)
{
    unsigned exponent = code >> 3 & 15u, mantissa = code & 7u;
    if (code == 0x7f)
        return 0;
    if (exponent != 0)
        return (uint16_t)((exponent + 7) << 10 | mantissa << 7); /* half of the value: one exponent less */
    if (mantissa == 0)
        return 0;
    for (exponent = 8; (mantissa & 8) == 0; exponent--)
        mantissa <<= 1;
    return (uint16_t)(exponent << 10 | (mantissa & 7) << 7);
}

/* Half a block of 64: 32 columns, in two runs. */
static void put_nvfp4(const uint8_t *block, size_t half, size_t r, uint8_t *cell)
{
    uint8_t codes[CELL_COLUMNS];
    for (size_t k = 0; k < CELL_COLUMNS; k++) {
        uint8_t pair = block[4 + 16 * half + k / 16 * 8 + k % 8];
        codes[k] = k % 16 < 8 ? pair & 15 : pair >> 4;
    }
    put_codes(&cell_layouts[WEIGHT_NVFP4], codes, r, cell);
    for (size_t i = 0; i < 2; i++) {
        uint16_t scale = half_of_scale(block[2 * half + i]);
        memcpy(cell + NIBBLES_BYTES + 32 * i + 2 * r, &scale, 2);
    }
}

static void put_scales(int type, const struct block_numbers *numbers, size_t c, size_t r, uint8_t *scales)
{
    const int16_t *scale = &numbers->scales[2 * c], *least = &numbers->mins[2 * c];
    switch (type) {
    case WEIGHT_Q4_K:
    case WEIGHT_Q5_K:
        scales[r] = (uint8_t)scale[0];
        scales[16 + r] = (uint8_t)least[0];
        break;
    case WEIGHT_Q2_K:
        scales[r] = (uint8_t)(scale[0] | least[0] << 4);
        scales[16 + r] = (uint8_t)(scale[1] | least[1] << 4);
        break;
    case WEIGHT_TQ1_0:
    case WEIGHT_TQ2_0: scales[r] = scales[16 + r] = 0x11; break;
    default:
        scales[r] = (uint8_t)scale[0];
        if (cell_layouts[type].scales > 16)
            scales[16 + r] = (uint8_t)scale[1];
        break;
    }
}

static void put_256(int type, const uint8_t *row, const uint8_t *places, size_t r, uint8_t *block)
{
    const struct cell_layout *layout = &cell_layouts[type];
    bool ternary = type == WEIGHT_TQ1_0 || type == WEIGHT_TQ2_0;
    int centre = ternary ? 1 : centre_of(type);
    struct block_numbers numbers;
    block_read(type, row, &numbers);
    for (size_t c = 0; c < layout->span; c++) {
        uint8_t *cell = block + c * cell_bytes(type), codes[CELL_COLUMNS];
        for (size_t k = 0; k < CELL_COLUMNS; k++) {
            int code = numbers.codes[c * CELL_COLUMNS + k];
            codes[k] = (uint8_t)(layout->is_table ? places[code + 128] : code + centre);
        }
        put_codes(layout, codes, r, cell);
        put_scales(type, &numbers, c, r, cell + cell_bytes(type) - layout->scales);
    }
    uint8_t *tail = block + layout->span * cell_bytes(type);
    memcpy(tail + 2 * r, &numbers.d, 2);
    if (layout->tail > 32)
        memcpy(tail + 32 + 2 * r, ternary ? &numbers.d : &numbers.least, 2);
}

/* The table backwards: the place of each value. */
static void find_places(int type, uint8_t places[256])
{
    const int8_t *table = block_table(type);
    memset(places, 0, 256);
    for (int i = 15; i >= 0; i--)
        places[table[i] + 128] = (uint8_t)i;
}

void pack_blocks(int type, const uint8_t *row, size_t r, size_t columns, uint8_t *panel)
{
    uint8_t places[256];
    size_t block = weight_block(type), bytes = weight_block_bytes(type);
    find_places(type, places);
    for (size_t k = 0; k < columns; k += block, row += bytes) {
        size_t cell = k / CELL_COLUMNS;
        if (block == 256) {
            put_256(type, row, places, r, panel + cell / 8 * cell_block_bytes(type));
        } else if (block == 64) {
            put_nvfp4(row, 0, r, panel + cell * cell_block_bytes(type));
            put_nvfp4(row, 1, r, panel + (cell + 1) * cell_block_bytes(type));
        } else {
            put_32(type, row, r, panel + cell * cell_block_bytes(type));
        }
    }
}

/* The scale of k and what is added, as the kernels form them. */
static float scale_of(int type, const uint8_t *cell, const uint8_t *tail, size_t r, size_t k, float *ret_added)
{
    const struct cell_layout *layout = &cell_layouts[type];
    const uint8_t *scales = cell + cell_bytes(type) - layout->scales;
    size_t run = layout->scales > 16 ? k / 16 : 0;
    *ret_added = 0;
    if (type == WEIGHT_MXFP4)
        return half_of_e8m0(scales[r]);
    if (type == WEIGHT_NVFP4)
        return float_of_half(load_u16(tail + 32 * (k / 16) + 2 * r));
    float d = float_of_half(load_u16(tail + 2 * r)) * block_unit(type);
    float least = layout->tail > 32 ? float_of_half(load_u16(tail + 32 + 2 * r)) : 0;
    switch (type) {
    case WEIGHT_Q5_0:
    case WEIGHT_IQ4_NL: return d;
    case WEIGHT_Q5_1: *ret_added = least; return d;
    case WEIGHT_Q4_K:
    case WEIGHT_Q5_K: *ret_added = -(least * (float)scales[16 + r]); return d * (float)scales[r];
    case WEIGHT_Q2_K:
    case WEIGHT_TQ1_0:
    case WEIGHT_TQ2_0:
        *ret_added = -(least * (float)(scales[16 * run + r] >> 4));
        return d * (float)(scales[16 * run + r] & 15);
    default: return d * (float)(int8_t)scales[16 * run + r];
    }
}

void block_cell_row(int type, const uint8_t *panel, size_t c, size_t r, float *out)
{
    const struct cell_layout *layout = &cell_layouts[type];
    const uint8_t *block = panel + c / layout->span * cell_block_bytes(type);
    const uint8_t *cell = block + c % layout->span * cell_bytes(type);
    const int8_t *table = layout->is_table ? block_table(type) : NULL;
    for (size_t k = 0; k < CELL_COLUMNS; k++) {
        float added, scale = scale_of(type, cell, block + layout->span * cell_bytes(type), r, k, &added);
        int code = (int)code_of(layout, cell, r, k);
        float value = scale * (float)(table != NULL ? table[code] : code - centre_of(type));
        out[k] = layout->tail > 32 && type != WEIGHT_NVFP4 ? value + added : value;
    }
}
