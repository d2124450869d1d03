/* kernels/noise.h: the noise of sampling, a function of (seed, counter, token) alone, so that a draw can be repeated
 * anywhere: in another batch, after preemption, by another backend. */
#pragma once

#include <math.h>
#include <stdint.h>

/* The finaliser of SplitMix64 (Steele, Lea, Flood 2014, variant 13 of Stafford's mixers). */
static inline uint64_t noise_mix64(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static inline uint64_t noise_key(uint64_t seed, uint64_t counter)
{
    return noise_mix64(noise_mix64(seed + 0x9e3779b97f4a7c15u) + counter * 0x9e3779b97f4a7c15u);
}

/* 32 even bits: two rounds of MurmurHash3's 32-bit finaliser, as vectors have no cheap 64-bit product. */
static inline uint32_t noise_bits(uint64_t key, uint32_t token)
{
    uint32_t x = token * 0x9e3779b1u + (uint32_t)key;
    x = (x ^ x >> 16) * 0x85ebca6bu;
    x = (x ^ x >> 13) * 0xc2b2ae35u;
    x ^= x >> 16 ^ (uint32_t)(key >> 32);
    x = (x ^ x >> 16) * 0x85ebca6bu;
    x = (x ^ x >> 13) * 0xc2b2ae35u;
    return x ^ x >> 16;
}

/* Exponential(1). The uniform number is the middle of one of 2^32 equal cells, so never 0 or 1. */
static inline double noise_exponential(uint64_t key, uint32_t token)
{
    return -log1p(-((double)noise_bits(key, token) + 0.5) * 0x1p-32);
}
