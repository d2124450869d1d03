/* From the blocks of a file to numbers. */
#include "kernels/reference/reference.h"

static void dequantize_q8_0(const uint8_t *block, float *out)
{
    float d = float_of_half(load_u16(block));
    for (int i = 0; i < 32; i++)
        out[i] = d * (float)(int8_t)block[2 + i];
}

static void dequantize_q4_0(const uint8_t *block, float *out)
{
    float d = float_of_half(load_u16(block));
    for (int i = 0; i < 16; i++) {
        out[i] = d * (float)((block[2 + i] & 15) - 8);
        out[i + 16] = d * (float)((block[2 + i] >> 4) - 8);
    }
}

static void dequantize_q4_1(const uint8_t *block, float *out)
{
    float d = float_of_half(load_u16(block)), m = float_of_half(load_u16(block + 2));
    for (int i = 0; i < 16; i++) {
        out[i] = d * (float)(block[4 + i] & 15) + m;
        out[i + 16] = d * (float)(block[4 + i] >> 4) + m;
    }
}

void reference_dequantize(int type, const void *data, size_t count, float *out)
{
    const uint8_t *at = data;
    size_t block = weight_block(type), bytes = weight_block_bytes(type);
    for (size_t i = 0; i < count; i += block, at += bytes)
        switch (type) {
        case WEIGHT_F32: memcpy(&out[i], at, sizeof(float)); break;
        case WEIGHT_F16: out[i] = float_of_half(load_u16(at)); break;
        case WEIGHT_BF16: out[i] = float_of_bfloat(load_u16(at)); break;
        case WEIGHT_Q8_0: dequantize_q8_0(at, &out[i]); break;
        case WEIGHT_Q4_0: dequantize_q4_0(at, &out[i]); break;
        case WEIGHT_Q4_1: dequantize_q4_1(at, &out[i]); break;
        default: break;
        }
}

void reference_row(const struct reference_matrix *matrix, size_t row, float *out)
{
    size_t bytes = weight_row_bytes(matrix->type, matrix->columns);
    reference_dequantize(matrix->type, (const uint8_t *)matrix->data + row * bytes, matrix->columns, out);
}
