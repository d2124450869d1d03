/* kernels/cpu/partial.h: a softmax under way, with the running maximum of Milakov and Gimelshein (2018), for the
 * kernels of attention. */
#pragma once

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/lanes_math.h"

#include <math.h>

/* Numbers seen so far, relative to the largest score. */
struct partial {
    float largest[GROUP_MAX], total[GROUP_MAX];
    _Alignas(64) float out[GROUP_MAX][HEAD_DIM_MAX];
};

static inline void partial_begin(struct partial *partial, size_t group, size_t wide)
{
    for (size_t g = 0; g < group; g++) {
        partial->largest[g] = -INFINITY;
        partial->total[g] = 0;
        memset(partial->out[g], 0, wide * sizeof(float));
    }
}

/* e^(a - b), 0 if a is minus infinity */
static inline float ratio(float a, float b)
{
    float e[LANES];
    lanes_store(e, lanes_exp(lanes_set(a == -INFINITY ? -INFINITY : a - b)));
    return e[0];
}

/* Sixteen scores of head g join; p gets their weights relative to the largest score. What they weigh is the caller's.
 */
LANES_INLINE void partial_join(struct partial *partial, int g, size_t wide, lanes score, float *p)
{
    float largest = fmaxf(partial->largest[g], lanes_largest(score));
    if (largest > partial->largest[g]) {
        float shrink = ratio(partial->largest[g], largest);
        for (size_t i = 0; i < wide; i += LANES)
            lanes_store(&partial->out[g][i], lanes_mul(lanes_load(&partial->out[g][i]), lanes_set(shrink)));
        partial->total[g] *= shrink;
        partial->largest[g] = largest;
    }
    lanes weight = lanes_exp(lanes_sub(score, lanes_set(largest)));
    lanes_store(p, weight);
    partial->total[g] += lanes_sum(weight);
}

/* Puts `next`, which comes to the right, into `partial`. */
static inline void partial_combine(struct partial *partial, const struct partial *next, size_t group, size_t wide)
{
    for (size_t g = 0; g < group; g++) {
        float largest = fmaxf(partial->largest[g], next->largest[g]);
        lanes own = lanes_set(ratio(partial->largest[g], largest)), other = lanes_set(ratio(next->largest[g], largest));
        partial->total[g] =
            partial->total[g] * ratio(partial->largest[g], largest) + next->total[g] * ratio(next->largest[g], largest);
        partial->largest[g] = largest;
        for (size_t i = 0; i < wide; i += LANES)
            lanes_store(&partial->out[g][i],
                lanes_fma(lanes_load(&next->out[g][i]), other, lanes_mul(lanes_load(&partial->out[g][i]), own)));
    }
}

/* 16 numbers of token t, from dimension i on, of values that lie [16 tokens][wide], or in pairs of tokens as bf16. */
LANES_INLINE lanes load_value(const uint8_t *values, bool bfloat, size_t wide, uint32_t t, size_t i)
{
    if (!bfloat)
        return lanes_load((const float *)(const void *)values + t * wide + i);
    ints pair = ints_load(values + (t / 2 * wide + i) * 4);
    return lanes_of_bits(t % 2 == 0 ? ints_left(pair, 16) : ints_and(pair, ints_set((int32_t)0xffff0000u)));
}

/* out[g][0..columns) += p[g][t] * v[t] for tokens from..to of a block */
LANES_INLINE void add_values(const uint8_t *values, bool bfloat, size_t wide, size_t columns, uint32_t from,
    uint32_t to, float (*p)[LANES], const int group, struct partial *partial)
{
    for (size_t i = 0; i < columns; i += LANES) {
        lanes sum[GROUP_MAX];
        for (int g = 0; g < group; g++)
            sum[g] = lanes_load(&partial->out[g][i]);
        for (uint32_t t = from; t <= to; t++) {
            lanes value = load_value(values, bfloat, wide, t, i);
            for (int g = 0; g < group; g++)
                sum[g] = lanes_fma(value, lanes_set(p[g][t]), sum[g]);
        }
        for (int g = 0; g < group; g++)
            lanes_store(&partial->out[g][i], sum[g]);
    }
}
