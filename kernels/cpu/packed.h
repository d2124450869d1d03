/* kernels/cpu/packed.h: the layout of a packed matrix, the same for every instruction set.
 *
 * A panel is 16 consecutive output rows, a cell 16 rows x 32 inputs (k); a panel is its cells in order of k. Rows and
 * columns that a matrix lacks are zeros. In a cell, dword r of vector g belongs to row r; vectors are 64 bytes, k
 * counts from the cell's first:
 *   f32        32 vectors: k = g
 *   f16, bf16  16 vectors: k = 2g in the low half, 2g+1 in the high one
 *   bytes      8 vectors: byte j is k = 4g + j
 *   nibbles    4 vectors: byte j holds k = 4g + j in its low half, 16 + 4g + j in its high one
 *   pairs      2 vectors: bits 2t of byte j of vector h are k = 16h + 4t + j
 *   bits       1 vector: bit t of byte j is k = 4t + j
 * Wider codes are nibbles and above them bits or pairs, or pairs and above them bits. After the codes come runs of 16
 * bytes with scales of the cell; after the cells of a block (one or eight) runs of 16 halves.
 *   q8_0       bytes; then f16 d[16], s16 sum of codes[16]
 *   q4_0, iq4_nl      nibbles; f16 d          q4_1  nibbles; f16 d, m
 *   q5_0, q5_1        the same with bits
 *   q4_K, q5_K        nibbles (bits), u8 scale, u8 minimum; every 8 cells f16 d, least
 *   q6_K              nibbles, pairs, s8 scale of each half of k; every 8 cells f16 d
 *   q3_K              pairs, bits, then as q6_K
 *   q2_K              pairs, then of each half of k the scale in the low half of a byte and the minimum in the high
 *                     one; every 8 cells f16 d, least. The ternary types are the same with 1 and 1.
 *   iq types          nibbles, which a table turns into codes, s8 scale of the cell or of each half; every 8 cells
 *                     f16 d
 *   mxfp4, nvfp4      nibbles; e8m0 scale, or f16 of each half of k
 *   u4, s8, f8        see struct group_head
 * A dword so is what an int8 or bf16 dot product of 16 lanes takes, and floats come out of it by shifts alone. */
#pragma once

#include "kernels/types.h"

#include <stdbool.h>

enum { PANEL_ROWS = 16, CELL_COLUMNS = 32, CELL_WEIGHTS = PANEL_ROWS * CELL_COLUMNS };

/* Where the scales begin in a quantised cell. */
enum { CELL_Q8_SCALES = 512, CELL_Q4_SCALES = 256 };

/* Bytes of a cell's parts, in their order, and of what follows a block of `span` cells. */
enum { NIBBLES_BYTES = 256, PAIRS_BYTES = 128, BITS_BYTES = 64, BYTES_BYTES = 512 };
struct cell_layout {
    uint16_t codes;   /* nibbles, bytes or floats */
    uint8_t pairs;    /* 0 or PAIRS_BYTES */
    uint8_t bits;     /* 0 or BITS_BYTES */
    uint8_t scales;   /* 16 bytes a run */
    uint8_t tail;     /* 32 bytes a run */
    uint8_t span;     /* cells of a block */
    uint8_t is_table; /* nibbles are places in block_table() */
};

static const struct cell_layout cell_layouts[WEIGHT_TYPES] = {
    [WEIGHT_F32] = {2048, 0, 0, 0, 0, 1, 0},
    [WEIGHT_F16] = {1024, 0, 0, 0, 0, 1, 0},
    [WEIGHT_BF16] = {1024, 0, 0, 0, 0, 1, 0},
    [WEIGHT_Q8_0] = {512, 0, 0, 0, 64, 1, 0},
    [WEIGHT_Q4_0] = {256, 0, 0, 0, 32, 1, 0},
    [WEIGHT_Q4_1] = {256, 0, 0, 0, 64, 1, 0},
    [WEIGHT_Q5_0] = {256, 0, 64, 0, 32, 1, 0},
    [WEIGHT_Q5_1] = {256, 0, 64, 0, 64, 1, 0},
    [WEIGHT_Q2_K] = {0, 128, 0, 32, 64, 8, 0},
    [WEIGHT_Q3_K] = {0, 128, 64, 32, 32, 8, 0},
    [WEIGHT_Q4_K] = {256, 0, 0, 32, 64, 8, 0},
    [WEIGHT_Q5_K] = {256, 0, 64, 32, 64, 8, 0},
    [WEIGHT_Q6_K] = {256, 128, 0, 32, 32, 8, 0},
    [WEIGHT_IQ1_S] = {256, 0, 0, 16, 32, 8, 1},
    [WEIGHT_IQ1_M] = {256, 0, 0, 32, 32, 8, 1},
    [WEIGHT_IQ2_XXS] = {256, 0, 0, 16, 32, 8, 1},
    [WEIGHT_IQ2_XS] = {256, 0, 0, 32, 32, 8, 1},
    [WEIGHT_IQ2_S] = {256, 0, 0, 32, 32, 8, 1},
    [WEIGHT_IQ3_XXS] = {256, 0, 0, 16, 32, 8, 1},
    [WEIGHT_IQ3_S] = {256, 0, 0, 16, 32, 8, 1},
    [WEIGHT_IQ4_NL] = {256, 0, 0, 0, 32, 1, 1},
    [WEIGHT_IQ4_XS] = {256, 0, 0, 16, 32, 8, 1},
    [WEIGHT_TQ1_0] = {0, 128, 0, 32, 64, 8, 0},
    [WEIGHT_TQ2_0] = {0, 128, 0, 32, 64, 8, 0},
    [WEIGHT_MXFP4] = {256, 0, 0, 16, 0, 1, 1},
    [WEIGHT_NVFP4] = {256, 0, 0, 0, 64, 1, 1},
    [WEIGHT_U4] = {256, 0, 0, 0, 0, 1, 0},
    [WEIGHT_S8] = {512, 0, 0, 0, 0, 1, 0},
    [WEIGHT_F8] = {512, 0, 0, 0, 0, 1, 0},
};

static inline size_t cell_bytes(int type)
{
    const struct cell_layout *layout = &cell_layouts[type];
    return (size_t)layout->codes + layout->pairs + layout->bits + layout->scales;
}

/* Of `span` cells and what follows them. */
static inline size_t cell_block_bytes(int type)
{
    return cell_bytes(type) * cell_layouts[type].span + cell_layouts[type].tail;
}

static inline size_t panel_cells(size_t columns)
{
    return (columns + CELL_COLUMNS - 1) / CELL_COLUMNS;
}

/* Of a type that is not grouped. */
static inline size_t panel_bytes(int type, size_t columns)
{
    return panel_cells(columns) / cell_layouts[type].span * cell_block_bytes(type);
}

static inline size_t panel_count(size_t rows)
{
    return (rows + PANEL_ROWS - 1) / PANEL_ROWS;
}

/* Puts one row as it lies in a file into place r of a panel that was zeros. */
void panel_put(int type, const uint8_t *row, size_t r, size_t columns, uint8_t *panel);

/* A panel of a grouped type begins with this. Then come its groups: scales[16] as `scale_type` says, zeros[16] of
 * `zero_bytes` bytes each, and `cells` cells; the last group may have fewer. */
struct group_head {
    uint32_t cells;
    int32_t scale_type;
    uint32_t zero_bytes; /* 0: none; 1: u8, of 4-bit codes; 2: s16 */
    uint32_t group_bytes;
};
enum { GROUP_HEAD_BYTES = 64 };

/* Whether groups are whole cells; else the weight is packed as f32. */
bool panel_can_group(const struct weight_groups *groups, size_t columns);
size_t panel_bytes_grouped(int type, const struct weight_groups *groups, size_t columns);
/* Puts row `row` of a grouped matrix whose codes begin at `codes` into place r of a panel that was zeros. */
void panel_put_grouped(int type, const struct weight_groups *groups, const uint8_t *codes, size_t row, size_t r,
    size_t columns, uint8_t *panel);
/* The same as numbers, in the order of inputs. */
void panel_grouped_numbers(
    int type, const struct weight_groups *groups, const uint8_t *codes, size_t row, size_t columns, float *out);

/* One row of a panel as numbers: out[k] = row[k] * scale, or += with `add`. */
void panel_row(int type, const uint8_t *panel, size_t r, size_t columns, float scale, bool add, float *out);

/* For panel_put and panel_row: rows of block types, and of grouped ones; 32 numbers of cell c. */
void pack_blocks(int type, const uint8_t *row, size_t r, size_t columns, uint8_t *panel);
void block_cell_row(int type, const uint8_t *panel, size_t c, size_t r, float *out);
void group_cell_row(int type, const uint8_t *panel, size_t c, size_t r, float *out);
/* Of a group's scales and zeros, rounded up so that cells begin at cache lines. */
static inline size_t group_scales_bytes(int scale_type, size_t zero_bytes)
{
    return (PANEL_ROWS * ((scale_type == WEIGHT_F32 ? 4u : 2u) + zero_bytes) + 63) / 64 * 64;
}

/* Where cell c of a grouped panel lies, and its group's scales. */
static inline const uint8_t *group_cell(int type, const uint8_t *panel, size_t c, const uint8_t **ret_scales)
{
    struct group_head head;
    memcpy(&head, panel, sizeof head);
    const uint8_t *group = panel + GROUP_HEAD_BYTES + c / head.cells * head.group_bytes;
    *ret_scales = group;
    return group + group_scales_bytes(head.scale_type, head.zero_bytes) + c % head.cells * cell_bytes(type);
}
