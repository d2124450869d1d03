/* tq1_0 holds five weights of -1, 0, 1 in a byte, as the digits of a fraction to base 3; tq2_0 two bits each. */
#include "kernels/blocks/blocks.h"

/* Digit n of a byte that is a fraction of 256. */
static int digit(uint8_t byte, int n)
{
    static const uint8_t powers[] = {1, 3, 9, 27, 81};
    return (uint8_t)(byte * powers[n]) * 3 >> 8;
}

static int ternary_code(const uint8_t *block, int i)
{
    if (i < 160)
        return digit(block[i % 32], i / 32);
    if (i < 240)
        return digit(block[32 + i % 16], (i - 160) / 16);
    return digit(block[48 + i % 4], (i - 240) / 4);
}

void block_read_ternary(int type, const uint8_t *block, struct block_numbers *out)
{
    bool digits = type == WEIGHT_TQ1_0;
    *out = (struct block_numbers){.d = load_u16(block + weight_block_bytes(type) - 2), .unit = 1};
    for (int i = 0; i < BLOCK_RUNS; i++)
        out->scales[i] = 1;
    for (int i = 0; i < BLOCK_WEIGHTS; i++) {
        int code = digits ? ternary_code(block, i) : block[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
        out->codes[i] = (int16_t)(code - 1);
    }
}
