/* See the header. Layouts are those of paddock/draft/ops.h. */
#include "config.h"

#include "runtimes/huggingface/model/numbers.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    uint32_t block, bytes;
} types[] = {
    [PDK_TYPE_F32] = {"F32", 1, 4},
    [PDK_TYPE_F16] = {"F16", 1, 2},
    [PDK_TYPE_BF16] = {"BF16", 1, 2},
    [PDK_TYPE_Q8_0] = {"Q8_0", 32, 34},
    [PDK_TYPE_Q4_0] = {"Q4_0", 32, 18},
    [PDK_TYPE_Q4_1] = {"Q4_1", 32, 20},
    [PDK_TYPE_Q5_0] = {"Q5_0", 32, 22},
    [PDK_TYPE_Q5_1] = {"Q5_1", 32, 24},
    [PDK_TYPE_Q2_K] = {"Q2_K", 256, 84},
    [PDK_TYPE_Q3_K] = {"Q3_K", 256, 110},
    [PDK_TYPE_Q4_K] = {"Q4_K", 256, 144},
    [PDK_TYPE_Q5_K] = {"Q5_K", 256, 176},
    [PDK_TYPE_Q6_K] = {"Q6_K", 256, 210},
    [PDK_TYPE_IQ1_S] = {"IQ1_S", 256, 50},
    [PDK_TYPE_IQ1_M] = {"IQ1_M", 256, 56},
    [PDK_TYPE_IQ2_XXS] = {"IQ2_XXS", 256, 66},
    [PDK_TYPE_IQ2_XS] = {"IQ2_XS", 256, 74},
    [PDK_TYPE_IQ2_S] = {"IQ2_S", 256, 82},
    [PDK_TYPE_IQ3_XXS] = {"IQ3_XXS", 256, 98},
    [PDK_TYPE_IQ3_S] = {"IQ3_S", 256, 110},
    [PDK_TYPE_IQ4_NL] = {"IQ4_NL", 32, 18},
    [PDK_TYPE_IQ4_XS] = {"IQ4_XS", 256, 136},
    [PDK_TYPE_TQ1_0] = {"TQ1_0", 256, 54},
    [PDK_TYPE_TQ2_0] = {"TQ2_0", 256, 66},
    [PDK_TYPE_MXFP4] = {"MXFP4", 32, 17},
    [PDK_TYPE_NVFP4] = {"NVFP4", 64, 36},
    [PDK_TYPE_U4] = {"grouped u4", 2, 1},
    [PDK_TYPE_S8] = {"grouped s8", 1, 1},
    [PDK_TYPE_F8] = {"grouped f8", 1, 1},
};

enum { TYPE_COUNT = sizeof types / sizeof types[0] };

int32_t number_type(const char *name)
{
    for (int32_t i = 1; i < TYPE_COUNT; i++)
        if (strcmp(types[i].name, name) == 0)
            return i;
    return 0;
}

const char *number_type_name(int32_t type)
{
    assert(type > 0 && type < TYPE_COUNT);
    return types[type].name;
}

uint32_t number_block(int32_t type)
{
    assert(type > 0 && type < TYPE_COUNT);
    return types[type].block;
}

uint32_t number_block_bytes(int32_t type)
{
    assert(type > 0 && type < TYPE_COUNT);
    return types[type].bytes;
}

bool number_is_plain(int32_t type)
{
    return type > 0 && type <= PDK_TYPE_Q4_1;
}

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float from_half(const uint8_t *at)
{
    uint16_t half;
    memcpy(&half, at, sizeof half);
    uint32_t sign = (uint32_t)(half >> 15) << 31, exponent = (half >> 10) & 31u, mantissa = half & 1023u;
    if (exponent == 31)
        return from_bits(sign | 0x7f800000u | mantissa << 13);
    if (exponent != 0)
        return from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
    float small = ldexpf((float)mantissa, -24);
    return sign != 0 ? -small : small;
}

static float from_bfloat(const uint8_t *at)
{
    uint16_t bits;
    memcpy(&bits, at, sizeof bits);
    return from_bits((uint32_t)bits << 16);
}

/* One block of 32: value i in the low half of byte i, value i + 16 in its high half. */
static void from_nibbles(const uint8_t *codes, float scale, float least, float *out)
{
    for (int i = 0; i < 16; i++) {
        out[i] = scale * (float)(codes[i] & 15) + least;
        out[i + 16] = scale * (float)(codes[i] >> 4) + least;
    }
}

static void block_to_floats(int32_t type, const uint8_t *at, float *out)
{
    float scale = from_half(at);
    if (type == PDK_TYPE_Q4_0) {
        from_nibbles(at + 2, scale, -8.0f * scale, out);
    } else if (type == PDK_TYPE_Q4_1) {
        from_nibbles(at + 4, scale, from_half(at + 2), out);
    } else {
        for (int i = 0; i < 32; i++)
            out[i] = scale * (float)(int8_t)at[2 + i];
    }
}

void numbers_to_floats(int32_t type, const void *data, size_t count, float *out)
{
    const uint8_t *at = data;
    size_t block = number_block(type), bytes = number_block_bytes(type);
    assert(number_is_plain(type) && count % block == 0);
    if (type == PDK_TYPE_F32) {
        memcpy(out, data, count * sizeof *out);
        return;
    }
    for (size_t i = 0; i < count; i += block, at += bytes) {
        if (type == PDK_TYPE_F16)
            out[i] = from_half(at);
        else if (type == PDK_TYPE_BF16)
            out[i] = from_bfloat(at);
        else
            block_to_floats(type, at, out + i);
    }
}
