/* Codes with scales and zeros of their own arrays, columns perhaps in another order than the inputs. */
#include "kernels/reference/dequantize.h"

static float scale_at(const struct weight_groups *groups, size_t i)
{
    const uint8_t *at = groups->scales;
    float value;
    switch (groups->scale_type) {
    case WEIGHT_F16: return float_of_half(load_u16(at + 2 * i));
    case WEIGHT_BF16: return float_of_bfloat(load_u16(at + 2 * i));
    default: memcpy(&value, at + 4 * i, sizeof value); return value;
    }
}

static float code_at(int type, const uint8_t *codes, size_t k)
{
    switch (type) {
    case WEIGHT_U4: return (float)(k % 2 == 0 ? codes[k / 2] & 15 : codes[k / 2] >> 4);
    case WEIGHT_S8: return (float)(int8_t)codes[k];
    default: return float_of_e4m3(codes[k]);
    }
}

void dequantize_grouped(const struct reference_matrix *matrix, size_t row, const uint8_t *codes, float *out)
{
    const struct weight_groups *groups = &matrix->groups;
    size_t count = weight_group_count(groups, matrix->columns);
    for (size_t k = 0; k < matrix->columns; k++) {
        size_t i = row * count + k / groups->columns;
        float zero = groups->zeros != NULL ? (float)groups->zeros[i] : 0;
        size_t input = groups->inputs != NULL ? groups->inputs[k] : k;
        out[input] = scale_at(groups, i) * (code_at(matrix->type, codes, k) - zero);
    }
}
