/* kernels/types.h: how weights lie in files, and conversion of 16-bit floats. Values are those of paddock/draft/ops.h;
 * whoever includes both asserts it. */
#pragma once

#include <stdbool.h>
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
    WEIGHT_Q5_0 = 7, /* f16 d, u32 fifth bits, u4 q[32] likewise: d*(q-16) */
    WEIGHT_Q5_1 = 8, /* f16 d, f16 m, u32 fifth bits, u4 q[32] likewise: d*q + m */
    WEIGHT_Q2_K = 9, /* this and those below up to TQ2_0, but for IQ4_NL: 256 weights a block, see blocks.h */
    WEIGHT_Q3_K = 10,
    WEIGHT_Q4_K = 11,
    WEIGHT_Q5_K = 12,
    WEIGHT_Q6_K = 13,
    WEIGHT_IQ1_S = 14,
    WEIGHT_IQ1_M = 15,
    WEIGHT_IQ2_XXS = 16,
    WEIGHT_IQ2_XS = 17,
    WEIGHT_IQ2_S = 18,
    WEIGHT_IQ3_XXS = 19,
    WEIGHT_IQ3_S = 20,
    WEIGHT_IQ4_NL = 21, /* f16 d, u4 q[32] as q4_0: d*table[q] */
    WEIGHT_IQ4_XS = 22,
    WEIGHT_TQ1_0 = 23,
    WEIGHT_TQ2_0 = 24,
    WEIGHT_MXFP4 = 25, /* e8m0 d, e2m1 q[32] as q4_0: d*q */
    WEIGHT_NVFP4 = 26, /* ue4m3 d[4], e2m1 q[4][16], element i of 16 in the low half of byte i, i+8 in the high one */
    WEIGHT_U4 = 27,    /* u4 q, element 2i in the low half of byte i; scale*(q-zero), both apart from the codes */
    WEIGHT_S8 = 28,    /* s8 q: likewise */
    WEIGHT_F8 = 29,    /* e4m3 q (no infinities): scale*q */
    WEIGHT_TYPES = 30
};

/* Types whose scales lie apart from their codes, one for each run of columns of a row. */
static inline bool weight_is_grouped(int type)
{
    return type == WEIGHT_U4 || type == WEIGHT_S8 || type == WEIGHT_F8;
}

/* What a grouped type's codes are multiplied with: [rows][columns / groups' columns, rounded up]. */
struct weight_groups {
    const void *scales;
    const int16_t *zeros;   /* or NULL: none */
    const uint32_t *inputs; /* [columns] which input a column multiplies; NULL: its own */
    uint32_t columns;       /* of a group */
    int32_t scale_type;     /* WEIGHT_F32, WEIGHT_F16 or WEIGHT_BF16 */
};

static inline size_t weight_group_count(const struct weight_groups *groups, size_t columns)
{
    return (columns + groups->columns - 1) / groups->columns;
}

/* Tokens of one block of a key-value cache. */
enum { BLOCK_TOKENS = 16 };

/* Weights of one block; 0: no such type. */
static inline size_t weight_block(int type)
{
    static const uint16_t elements[WEIGHT_TYPES] = {0, 1, 1, 1, 32, 32, 32, 32, 32, 256, 256, 256, 256, 256, 256, 256,
        256, 256, 256, 256, 256, 32, 256, 256, 256, 32, 64, 2, 1, 1};
    return type > 0 && type < WEIGHT_TYPES ? elements[type] : 0;
}

static inline size_t weight_block_bytes(int type)
{
    static const uint8_t bytes[WEIGHT_TYPES] = {0, 4, 2, 2, 34, 18, 20, 22, 24, 84, 110, 144, 176, 210, 50, 56, 66, 74,
        82, 98, 110, 18, 136, 54, 66, 17, 36, 1, 1, 1};
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

/* e4m3 without infinities; 0x7f and 0xff are no number. */
static inline float float_of_e4m3(uint8_t code)
{
    uint32_t sign = (uint32_t)(code & 0x80u) << 24, exponent = code >> 3 & 15u, mantissa = code & 7u;
    if ((code & 0x7fu) == 0x7fu)
        return float_of_bits(sign | 0x7fc00000u);
    if (exponent != 0)
        return float_of_bits(sign | (exponent + 120) << 23 | mantissa << 20);
    float small = (float)mantissa * 0x1p-9f;
    return sign != 0 ? -small : small;
}

/* Half of 2^(code - 127): the e2m1 codes it scales are counted in halves. */
static inline float half_of_e8m0(uint8_t code)
{
    return float_of_bits(code < 2 ? 0x00200000u << code : (uint32_t)(code - 1) << 23);
}

/* Half of an e4m3 scale, likewise. The sign bit is not looked at; 0x7f counts as 0. */
static inline float half_of_ue4m3(uint8_t code)
{
    uint32_t exponent = code >> 3 & 15u, mantissa = code & 7u;
    if (code == 0x7f)
        return 0;
    return exponent != 0 ? float_of_bits((exponent + 119) << 23 | mantissa << 20) : (float)mantissa * 0x1p-10f;
}

static inline uint16_t load_u16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline uint32_t load_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* What 4-bit codes stand for where they are no integers: e2m1 in halves, and iq4's. */
static const int8_t weight_table_e2m1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
static const int8_t weight_table_iq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
