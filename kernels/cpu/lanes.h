/* kernels/cpu/lanes.h: 16 numbers at once, in one, two or four registers of the instruction set that the file is
 * compiled for. Every operation works on each lane alone, so what a lane holds never depends on the width of a
 * register. A product and a sum become one rounding only in lanes_fma, and only where there is FMA: the compiler's own
 * contraction is off. */
#pragma once

#include "kernels/types.h"

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

#define LANES        16
#define LANES_INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)
typedef float lane_floats __attribute__((vector_size(64)));
typedef int32_t lane_ints __attribute__((vector_size(64)));
typedef uint32_t lane_bits __attribute__((vector_size(64)));
typedef struct {
    lane_floats a;
} lanes;
typedef struct {
    lane_ints a;
} ints;
#define LANES_EACH(part) \
    {                    \
        part(a)          \
    }
#elif defined(__AVX2__)
typedef float lane_floats __attribute__((vector_size(32)));
typedef int32_t lane_ints __attribute__((vector_size(32)));
typedef uint32_t lane_bits __attribute__((vector_size(32)));
typedef struct {
    lane_floats a, b;
} lanes;
typedef struct {
    lane_ints a, b;
} ints;
#define LANES_EACH(part) \
    {                    \
        part(a), part(b) \
    }
#else
typedef float lane_floats __attribute__((vector_size(16)));
typedef int32_t lane_ints __attribute__((vector_size(16)));
typedef uint32_t lane_bits __attribute__((vector_size(16)));
typedef struct {
    lane_floats a, b, c, d;
} lanes;
typedef struct {
    lane_ints a, b, c, d;
} ints;
#define LANES_EACH(part)                   \
    {                                      \
        part(a), part(b), part(c), part(d) \
    }
#endif

/* Register by register: copied as a whole, gcc 12 takes a struct of two through the stack. */
typedef lane_floats lane_floats_anywhere __attribute__((aligned(1), may_alias));
typedef lane_ints lane_ints_anywhere __attribute__((aligned(1), may_alias));
enum { LANES_AT_a, LANES_AT_b, LANES_AT_c, LANES_AT_d };

LANES_INLINE lanes lanes_load(const float *at)
{
#define LOAD(p) ((const lane_floats_anywhere *)at)[LANES_AT_##p]
    return (lanes)LANES_EACH(LOAD);
#undef LOAD
}

LANES_INLINE ints ints_load(const void *at)
{
#define LOAD(p) ((const lane_ints_anywhere *)at)[LANES_AT_##p]
    return (ints)LANES_EACH(LOAD);
#undef LOAD
}

LANES_INLINE void lanes_store(float *at, lanes x)
{
#define STORE(p) ((lane_floats_anywhere *)at)[LANES_AT_##p] = x.p
    (void)(lanes)LANES_EACH(STORE);
#undef STORE
}

/* The first n numbers, zeros behind; and writing the first n. */
LANES_INLINE lanes lanes_load_part(const float *at, size_t n)
{
    float values[LANES] = {0};
    memcpy(values, at, n * sizeof *at);
    return lanes_load(values);
}

LANES_INLINE void lanes_store_part(float *at, lanes x, size_t n)
{
    float values[LANES];
    lanes_store(values, x);
    memcpy(at, values, n * sizeof *at);
}

LANES_INLINE lanes lanes_set(float value)
{
#define SET(p)            \
    value - (lane_floats) \
    {                     \
        0                 \
    }
    return (lanes)LANES_EACH(SET);
#undef SET
}

LANES_INLINE lanes lanes_add(lanes x, lanes y)
{
#define ADD(p) x.p + y.p
    return (lanes)LANES_EACH(ADD);
#undef ADD
}

LANES_INLINE lanes lanes_sub(lanes x, lanes y)
{
#define SUB(p) x.p - y.p
    return (lanes)LANES_EACH(SUB);
#undef SUB
}

LANES_INLINE lanes lanes_mul(lanes x, lanes y)
{
#define MUL(p) x.p *y.p
    return (lanes)LANES_EACH(MUL);
#undef MUL
}

LANES_INLINE lanes lanes_div(lanes x, lanes y)
{
#define DIV(p) x.p / y.p
    return (lanes)LANES_EACH(DIV);
#undef DIV
}

/* x * y + z */
LANES_INLINE lanes lanes_fma(lanes x, lanes y, lanes z)
{
#if defined(__AVX512F__)
#define FMA(p) (lane_floats) _mm512_fmadd_ps((__m512)x.p, (__m512)y.p, (__m512)z.p)
#elif defined(__FMA__)
#define FMA(p) (lane_floats) _mm256_fmadd_ps((__m256)x.p, (__m256)y.p, (__m256)z.p)
#else
#define FMA(p) x.p *y.p + z.p
#endif
    return (lanes)LANES_EACH(FMA);
#undef FMA
}

LANES_INLINE lanes lanes_of_ints(ints x)
{
#define CONVERT(p) __builtin_convertvector(x.p, lane_floats)
    return (lanes)LANES_EACH(CONVERT);
#undef CONVERT
}

LANES_INLINE lanes lanes_of_bits(ints x)
{
#define CAST(p) (lane_floats) x.p
    return (lanes)LANES_EACH(CAST);
#undef CAST
}

LANES_INLINE ints bits_of_lanes(lanes x)
{
#define CAST(p) (lane_ints) x.p
    return (ints)LANES_EACH(CAST);
#undef CAST
}

LANES_INLINE ints ints_set(int32_t value)
{
#define SET(p)          \
    value - (lane_ints) \
    {                   \
        0               \
    }
    return (ints)LANES_EACH(SET);
#undef SET
}

LANES_INLINE ints ints_add(ints x, ints y)
{
#define ADD(p) x.p + y.p
    return (ints)LANES_EACH(ADD);
#undef ADD
}

LANES_INLINE ints ints_sub(ints x, ints y)
{
#define SUB(p) x.p - y.p
    return (ints)LANES_EACH(SUB);
#undef SUB
}

LANES_INLINE ints ints_and(ints x, ints y)
{
#define AND(p) x.p &y.p
    return (ints)LANES_EACH(AND);
#undef AND
}

/* Arithmetic: the sign comes in from the left. */
LANES_INLINE ints ints_right(ints x, int bits)
{
#define RIGHT(p) x.p >> bits
    return (ints)LANES_EACH(RIGHT);
#undef RIGHT
}

LANES_INLINE ints ints_left(ints x, int bits)
{
#define LEFT(p) (lane_ints)((lane_bits)x.p << bits)
    return (ints)LANES_EACH(LEFT);
#undef LEFT
}

/* All ones where x < y. */
LANES_INLINE ints lanes_less(lanes x, lanes y)
{
#define LESS(p) x.p < y.p
    return (ints)LANES_EACH(LESS);
#undef LESS
}

/* x where the mask is set, else y. */
LANES_INLINE lanes lanes_pick(ints mask, lanes x, lanes y)
{
#define PICK(p) (lane_floats)(((lane_ints)x.p & mask.p) | ((lane_ints)y.p & ~mask.p))
    return (lanes)LANES_EACH(PICK);
#undef PICK
}

LANES_INLINE lanes lanes_max(lanes x, lanes y)
{
    return lanes_pick(lanes_less(x, y), y, x);
}

LANES_INLINE lanes lanes_min(lanes x, lanes y)
{
    return lanes_pick(lanes_less(y, x), y, x);
}

/* Sixteen half floats. */
LANES_INLINE lanes lanes_of_halves(const void *at)
{
#if defined(__AVX512F__)
    return (lanes){(lane_floats)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)at))};
#elif defined(__F16C__)
    return (lanes){(lane_floats)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)at)),
        (lane_floats)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)at + 1))};
#else
    float values[LANES];
    for (int i = 0; i < LANES; i++)
        values[i] = float_of_half(load_u16((const uint8_t *)at + 2 * i));
    return lanes_load(values);
#endif
}

/* Sixteen bfloats. */
LANES_INLINE lanes lanes_of_bfloats(const void *at)
{
#if defined(__AVX512F__)
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)at));
    return (lanes){(lane_floats)_mm512_slli_epi32(wide, 16)};
#else
    float values[LANES];
    for (int i = 0; i < LANES; i++)
        values[i] = float_of_bfloat(load_u16((const uint8_t *)at + 2 * i));
    return lanes_load(values);
#endif
}

/* Sixteen bytes, without sign and with; sixteen s16. */
LANES_INLINE ints ints_of_bytes(const uint8_t *at)
{
#if defined(__AVX512F__)
    return (ints){(lane_ints)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)at))};
#elif defined(__AVX2__)
    return (ints){(lane_ints)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)at)),
        (lane_ints)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(at + 8)))};
#else
    int32_t values[LANES];
    for (int i = 0; i < LANES; i++)
        values[i] = at[i];
    return ints_load(values);
#endif
}

LANES_INLINE ints ints_of_signed_bytes(const uint8_t *at)
{
    return ints_right(ints_left(ints_of_bytes(at), 24), 24);
}

LANES_INLINE ints ints_of_shorts(const uint8_t *at)
{
#if defined(__AVX512F__)
    return (ints){(lane_ints)_mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)at))};
#else
    int32_t values[LANES];
    for (int i = 0; i < LANES; i++)
        values[i] = (int16_t)load_u16(at + 2 * i);
    return ints_load(values);
#endif
}

/* table[place] of a table of 16, each place in 0..15. */
LANES_INLINE lanes lanes_of_table(const float *table, ints places)
{
#if defined(__AVX512F__)
    return (lanes){(lane_floats)_mm512_permutexvar_ps((__m512i)places.a, _mm512_loadu_ps(table))};
#elif defined(__AVX2__)
    __m256 low = _mm256_loadu_ps(table), high = _mm256_loadu_ps(table + 8);
#define LOOK_UP(p)                                                                           \
    (lane_floats) _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, (__m256i)places.p),         \
        _mm256_permutevar8x32_ps(high, (__m256i)places.p), /* by bit 3, moved to the sign */ \
        _mm256_castsi256_ps(_mm256_slli_epi32((__m256i)places.p, 28)))
    return (lanes)LANES_EACH(LOOK_UP);
#undef LOOK_UP
#else
    int32_t at[LANES];
    float values[LANES];
    memcpy(at, &places, sizeof at);
    for (int i = 0; i < LANES; i++)
        values[i] = table[at[i]];
    return lanes_load(values);
#endif
}

/* Lanes 0+8, 1+9, ..., then 0+4, ..., then 0+2, 1+3, then 0+1: one fixed tree. */
LANES_INLINE float lanes_sum(lanes x)
{
    float v[LANES];
    lanes_store(v, x);
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            v[i] += v[i + width];
    return v[0];
}

LANES_INLINE float lanes_largest(lanes x)
{
    float v[LANES];
    lanes_store(v, x);
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            v[i] = v[i] < v[i + width] ? v[i + width] : v[i];
    return v[0];
}
