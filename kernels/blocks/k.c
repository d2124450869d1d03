/* The k types: scales of 4 to 8 bits for runs of 16 or 32 weights. Bits of a weight may lie in two planes. Weight i of
 * 256 lies in the plane's byte and at the shift that bits_at says. */
#include "kernels/blocks/blocks.h"

/* Codes of `width` bits: 8 / width of them share a byte, `stride` bytes apart in the order of weights. */
static int bits_at(const uint8_t *plane, int width, int stride, int i)
{
    int each = stride * 8 / width; /* weights in a run of `stride` bytes */
    int byte = i / each * stride + i % stride, shift = i % each / stride * width;
    return plane[byte] >> shift & ((1 << width) - 1);
}

/* Six bits each: four scales and four minima in their own bytes, whose upper two bits belong to those after. */
static void read_scales_of_six_bits(const uint8_t *at, struct block_numbers *out)
{
    for (int i = 0; i < 8; i++) {
        int scale = at[i % 4], least = at[4 + i % 4], low = at[8 + i % 4];
        out->scales[2 * i] = (int16_t)(i < 4 ? scale & 63 : (low & 15) | (scale >> 6) << 4);
        out->mins[2 * i] = (int16_t)(i < 4 ? least & 63 : low >> 4 | (least >> 6) << 4);
        out->scales[2 * i + 1] = out->scales[2 * i];
        out->mins[2 * i + 1] = out->mins[2 * i];
    }
}

static void read_q2(const uint8_t *block, struct block_numbers *out)
{
    out->d = load_u16(block + 80);
    out->least = load_u16(block + 82);
    for (int i = 0; i < BLOCK_RUNS; i++) {
        out->scales[i] = block[i] & 15;
        out->mins[i] = block[i] >> 4;
    }
    for (int i = 0; i < BLOCK_WEIGHTS; i++)
        out->codes[i] = (int16_t)bits_at(block + 16, 2, 32, i);
}

static void read_q3(const uint8_t *block, struct block_numbers *out)
{
    const uint8_t *scales = block + 96;
    out->d = load_u16(block + 108);
    for (int i = 0; i < BLOCK_RUNS; i++) {
        int low = i < 8 ? scales[i] & 15 : scales[i - 8] >> 4, high = scales[8 + i % 4] >> (i / 4 * 2) & 3;
        out->scales[i] = (int16_t)((low | high << 4) - 32);
    }
    for (int i = 0; i < BLOCK_WEIGHTS; i++)
        out->codes[i] = (int16_t)(bits_at(block + 32, 2, 32, i) + 4 * bits_at(block, 1, 32, i) - 4);
}

static void read_q4(const uint8_t *block, struct block_numbers *out)
{
    read_scales_of_six_bits(block + 4, out);
    for (int i = 0; i < BLOCK_WEIGHTS; i++)
        out->codes[i] = (int16_t)bits_at(block + 16, 4, 32, i);
}

static void read_q5(const uint8_t *block, struct block_numbers *out)
{
    read_scales_of_six_bits(block + 4, out);
    for (int i = 0; i < BLOCK_WEIGHTS; i++)
        out->codes[i] = (int16_t)(bits_at(block + 48, 4, 32, i) | bits_at(block + 16, 1, 32, i) << 4);
}

static void read_q6(const uint8_t *block, struct block_numbers *out)
{
    out->d = load_u16(block + 208);
    for (int i = 0; i < BLOCK_RUNS; i++)
        out->scales[i] = (int8_t)block[192 + i];
    for (int i = 0; i < BLOCK_WEIGHTS; i++)
        out->codes[i] = (int16_t)((bits_at(block, 4, 64, i) | bits_at(block + 128, 2, 32, i) << 4) - 32);
}

void block_read_k(int type, const uint8_t *block, struct block_numbers *out)
{
    *out = (struct block_numbers){.d = load_u16(block), .unit = 1};
    switch (type) {
    case WEIGHT_Q2_K: read_q2(block, out); break;
    case WEIGHT_Q3_K: read_q3(block, out); break;
    case WEIGHT_Q4_K:
        out->least = load_u16(block + 2);
        read_q4(block, out);
        break;
    case WEIGHT_Q5_K:
        out->least = load_u16(block + 2);
        read_q5(block, out);
        break;
    default: read_q6(block, out); break;
    }
}
