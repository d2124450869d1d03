/* kernels/types.h: how weights lie in files, and conversion of 16-bit floats. Values are those of paddock/draft/ops.h;
 * whoever includes both asserts it. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum weight_type {
    WEIGHT_F32 = 1,
    WEIGHT_F16 = 2,
    WEIGHT_BF16 = 3,
    WEIGHT_Q8_0 = 4, /* f16 d, s8 q[32]: d*q */
    WEIGHT_Q4_0 = 5, /* f16 d, u4 q[32], element i in the low half of byte i, i+16 in the high one: d*(q-8) */
    WEIGHT_Q4_1 = 6, /* f16 d, f16 m, u4 q[32] likewise: d*q + m */
    WEIGHT_TYPES = 7
};

/* Tokens of one block of a key-value cache. */
enum { BLOCK_TOKENS = 16 };

/* Weights of one block; 0: no such type. */
static inline size_t weight_block(int type)
{
    static const uint8_t elements[WEIGHT_TYPES] = {0, 1, 1, 1, 32, 32, 32};
    return type > 0 && type < WEIGHT_TYPES ? elements[type] : 0;
}

static inline size_t weight_block_bytes(int type)
{
    static const uint8_t bytes[WEIGHT_TYPES] = {0, 4, 2, 2, 34, 18, 20};
    return type > 0 && type < WEIGHT_TYPES ? bytes[type] : 0;
}

/* Of one row in a file; `columns` is a multiple of the type's block. */
static inline size_t weight_row_bytes(int type, size_t columns)
{
    return columns / weight_block(type) * weight_block_bytes(type);
}

static inline float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t bits_of_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Exact. A subnormal half is an integer of 2^-24, which a float holds without loss. */
static inline float float_of_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = half >> 10 & 31u, mantissa = half & 0x3ffu;
    if (exponent == 31)
        return float_of_bits(sign | 0x7f800000u | mantissa << 13);
    if (exponent != 0)
        return float_of_bits(sign | (exponent + 112) << 23 | mantissa << 13);
    float small = (float)mantissa * 0x1p-24f;
    return sign != 0 ? -small : small;
}

static inline float float_of_bfloat(uint16_t bfloat)
{
    return float_of_bits((uint32_t)bfloat << 16);
}

/* To nearest, ties to even; a NaN stays one. */
static inline uint16_t bfloat_of_float(float value)
{
    uint32_t bits = bits_of_float(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

static inline uint16_t load_u16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}
