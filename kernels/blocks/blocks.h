/* kernels/blocks/blocks.h: the integers of GGUF's blocks of 256 weights, one shape for all of them:
 *   weight i = (d * unit * scales[i / 16]) * codes[i] - (least * mins[i / 16])
 * The reference multiplies them out, the packer puts them into cells. */
#pragma once

#include "kernels/types.h"

enum { BLOCK_WEIGHTS = 256, BLOCK_RUNS = 16 };

struct block_numbers {
    uint16_t d, least; /* halves; least is 0 where the type has no minima */
    float unit;        /* a power of two that belongs to d */
    int16_t scales[BLOCK_RUNS], mins[BLOCK_RUNS];
    int16_t codes[BLOCK_WEIGHTS];
};

/* Of a type whose block has 256 weights. */
void block_read(int type, const uint8_t *block, struct block_numbers *out);

/* The readers by kind. */
void block_read_k(int type, const uint8_t *block, struct block_numbers *out);
void block_read_ternary(int type, const uint8_t *block, struct block_numbers *out);
void block_read_iq(int type, const uint8_t *block, struct block_numbers *out);

/* Signs and sizes of an iq type's codes, as a table of 16 for codes of 4 bits; `table[i] * unit` are the values. */
const int8_t *block_table(int type);
float block_unit(int type);

/* The grids: an entry holds the places of 8 (iq1, iq2: 2 bits each) or 4 (iq3: 4 bits each) sizes, lowest first. */
extern const uint16_t block_grid_iq1[2048], block_grid_iq2_xxs[256], block_grid_iq2_xs[512], block_grid_iq2_s[1024];
extern const uint16_t block_grid_iq3_xxs[256], block_grid_iq3_s[512];
