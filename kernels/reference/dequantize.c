/* From the blocks of a file to numbers. Products are rounded in the formats' own order. */
#include "kernels/reference/dequantize.h"

#include "kernels/blocks/blocks.h"

static void dequantize_q8_0(const uint8_t *block, float *out)
{
    float d = float_of_half(load_u16(block));
    for (int i = 0; i < 32; i++)
        out[i] = d * (float)(int8_t)block[2 + i];
}

/* Code i of 32 in nibbles, and the fifth bit where there are such. */
static int code_of_32(const uint8_t *codes, uint32_t fifth, int i)
{
    return (i < 16 ? codes[i] & 15 : codes[i - 16] >> 4) | (int)(fifth >> i & 1) << 4;
}

static void dequantize_centred(const uint8_t *codes, uint32_t fifth, int centre, float d, float *out)
{
    for (int i = 0; i < 32; i++)
        out[i] = d * (float)(code_of_32(codes, fifth, i) - centre);
}

static void dequantize_raised(const uint8_t *codes, uint32_t fifth, float d, float m, float *out)
{
    for (int i = 0; i < 32; i++)
        out[i] = d * (float)code_of_32(codes, fifth, i) + m;
}

static void dequantize_table(const uint8_t *codes, const int8_t *table, float d, float *out)
{
    for (int i = 0; i < 32; i++)
        out[i] = d * (float)table[code_of_32(codes, 0, i)];
}

static void dequantize_nvfp4(const uint8_t *block, float *out)
{
    for (int i = 0; i < 64; i++) {
        int run = i / 16, place = i % 16;
        uint8_t pair = block[4 + 8 * run + place % 8];
        out[i] = half_of_ue4m3(block[run]) * (float)weight_table_e2m1[place < 8 ? pair & 15 : pair >> 4];
    }
}

static void dequantize_256(int type, const uint8_t *block, float *out)
{
    struct block_numbers numbers;
    block_read(type, block, &numbers);
    float d = float_of_half(numbers.d) * numbers.unit, least = float_of_half(numbers.least);
    for (int i = 0; i < BLOCK_WEIGHTS; i++) {
        float scale = d * (float)numbers.scales[i / 16], minimum = least * (float)numbers.mins[i / 16];
        out[i] = scale * (float)numbers.codes[i] - minimum;
    }
}

static void dequantize_block(int type, const uint8_t *at, float *out)
{
    switch (type) {
    case WEIGHT_F32: memcpy(out, at, sizeof(float)); break;
    case WEIGHT_F16: *out = float_of_half(load_u16(at)); break;
    case WEIGHT_BF16: *out = float_of_bfloat(load_u16(at)); break;
    case WEIGHT_Q8_0: dequantize_q8_0(at, out); break;
    case WEIGHT_Q4_0: dequantize_centred(at + 2, 0, 8, float_of_half(load_u16(at)), out); break;
    case WEIGHT_Q4_1:
        dequantize_raised(at + 4, 0, float_of_half(load_u16(at)), float_of_half(load_u16(at + 2)), out);
        break;
    case WEIGHT_Q5_0: dequantize_centred(at + 6, load_u32(at + 2), 16, float_of_half(load_u16(at)), out); break;
    case WEIGHT_Q5_1:
        dequantize_raised(at + 8, load_u32(at + 4), float_of_half(load_u16(at)), float_of_half(load_u16(at + 2)), out);
        break;
    case WEIGHT_IQ4_NL: dequantize_table(at + 2, weight_table_iq4, float_of_half(load_u16(at)), out); break;
    case WEIGHT_MXFP4: dequantize_table(at + 1, weight_table_e2m1, half_of_e8m0(at[0]), out); break;
    case WEIGHT_NVFP4: dequantize_nvfp4(at, out); break;
    default: dequantize_256(type, at, out); break;
    }
}

void reference_dequantize(int type, const void *data, size_t count, float *out)
{
    const uint8_t *at = data;
    size_t block = weight_block(type), bytes = weight_block_bytes(type);
    for (size_t i = 0; i < count; i += block, at += bytes)
        dequantize_block(type, at, &out[i]);
}

void reference_row(const struct reference_matrix *matrix, size_t row, float *out)
{
    const uint8_t *at = (const uint8_t *)matrix->data + row * weight_row_bytes(matrix->type, matrix->columns);
    if (weight_is_grouped(matrix->type))
        dequantize_grouped(matrix, row, at, out);
    else
        reference_dequantize(matrix->type, at, matrix->columns, out);
}
