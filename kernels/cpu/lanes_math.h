/* kernels/cpu/lanes_math.h: functions of 16 numbers, each good to a few units in the last place of a float. */
#pragma once

#include "kernels/cpu/lanes.h"

/* e^x; 0 below -87.3 (so for minus infinity), infinity above 88.7, NaN for NaN. Cody and Waite's reduction to |r| <=
 * ln(2)/2, then Taylor's polynomial of degree 7 (error 5e-9). The exponent goes in by two factors, as 2^128 is no
 * float. */
LANES_INLINE lanes lanes_exp(lanes given)
{
    const lanes magic = lanes_set(0x1.8p23f); /* adding it rounds to an integer, which then stands in the low bits */
    lanes x = lanes_min(lanes_max(given, lanes_set(-88.0f)), lanes_set(89.0f));
    lanes shifted = lanes_fma(x, lanes_set(1.44269504f), magic);
    lanes n = lanes_sub(shifted, magic);
    lanes r = lanes_fma(n, lanes_set(-0.693359375f), x);
    r = lanes_fma(n, lanes_set(2.12194440e-4f), r);
    lanes y = lanes_set(1.0f / 5040);
    y = lanes_fma(y, r, lanes_set(1.0f / 720));
    y = lanes_fma(y, r, lanes_set(1.0f / 120));
    y = lanes_fma(y, r, lanes_set(1.0f / 24));
    y = lanes_fma(y, r, lanes_set(1.0f / 6));
    y = lanes_fma(y, r, lanes_set(0.5f));
    y = lanes_fma(y, r, lanes_set(1.0f));
    y = lanes_fma(y, r, lanes_set(1.0f));
    ints whole = ints_sub(bits_of_lanes(shifted), bits_of_lanes(magic));
    ints first = ints_right(whole, 1), second = ints_sub(whole, first);
    y = lanes_mul(y, lanes_of_bits(ints_left(ints_add(first, ints_set(127)), 23)));
    y = lanes_mul(y, lanes_of_bits(ints_left(ints_add(second, ints_set(127)), 23)));
    return lanes_pick(lanes_less(given, lanes_set(-87.3f)), lanes_set(0), y);
}

/* Natural logarithm of normal positive numbers. Mantissa to [sqrt(1/2), sqrt(2)), then the polynomial of Cephes' logf.
 */
LANES_INLINE lanes lanes_log(lanes x)
{
    ints bits = ints_sub(bits_of_lanes(x), ints_set(0x3f3504f3)); /* sqrt(1/2) */
    lanes n = lanes_of_ints(ints_right(bits, 23));
    lanes m = lanes_of_bits(ints_add(ints_and(bits, ints_set(0x007fffff)), ints_set(0x3f3504f3)));
    lanes f = lanes_sub(m, lanes_set(1));
    lanes square = lanes_mul(f, f);
    lanes y = lanes_set(7.0376836292e-2f);
    y = lanes_fma(y, f, lanes_set(-1.1514610310e-1f));
    y = lanes_fma(y, f, lanes_set(1.1676998740e-1f));
    y = lanes_fma(y, f, lanes_set(-1.2420140846e-1f));
    y = lanes_fma(y, f, lanes_set(1.4249322787e-1f));
    y = lanes_fma(y, f, lanes_set(-1.6668057665e-1f));
    y = lanes_fma(y, f, lanes_set(2.0000714765e-1f));
    y = lanes_fma(y, f, lanes_set(-2.4999993993e-1f));
    y = lanes_fma(y, f, lanes_set(3.3333331174e-1f));
    y = lanes_mul(lanes_mul(y, f), square);
    y = lanes_fma(n, lanes_set(-2.12194440e-4f), y);
    y = lanes_fma(square, lanes_set(-0.5f), y);
    y = lanes_add(f, y);
    return lanes_fma(n, lanes_set(0.693359375f), y);
}

/* 1 / (1 + e^-x) */
LANES_INLINE lanes lanes_sigmoid(lanes x)
{
    lanes one = lanes_set(1);
    return lanes_div(one, lanes_add(one, lanes_exp(lanes_sub(lanes_set(0), x))));
}

/* 2 sigmoid(2x) - 1; near 0 it loses relative precision, never more than 1e-7 of 1. */
LANES_INLINE lanes lanes_tanh(lanes x)
{
    return lanes_fma(lanes_set(2), lanes_sigmoid(lanes_add(x, x)), lanes_set(-1));
}

/* x * Phi(x), Phi from the complementary error function of Abramowitz and Stegun, 7.1.26 (error 1.5e-7). */
LANES_INLINE lanes lanes_gelu(lanes x)
{
    lanes negative = lanes_sub(lanes_set(0), x);
    ints below = lanes_less(x, lanes_set(0));
    lanes z = lanes_mul(lanes_pick(below, negative, x), lanes_set(0.70710678f));
    lanes t = lanes_div(lanes_set(1), lanes_fma(z, lanes_set(0.3275911f), lanes_set(1)));
    lanes y = lanes_set(1.061405429f);
    y = lanes_fma(y, t, lanes_set(-1.453152027f));
    y = lanes_fma(y, t, lanes_set(1.421413741f));
    y = lanes_fma(y, t, lanes_set(-0.284496736f));
    y = lanes_fma(y, t, lanes_set(0.254829592f));
    y = lanes_mul(lanes_mul(y, t), lanes_exp(lanes_mul(lanes_sub(lanes_set(0), z), z))); /* erfc(z) */
    y = lanes_mul(y, lanes_set(0.5f));
    return lanes_mul(x, lanes_pick(below, y, lanes_sub(lanes_set(1), y)));
}

/* x * Phi(x) by the tanh formula, which is x * sigmoid(2u). */
LANES_INLINE lanes lanes_gelu_tanh(lanes x)
{
    lanes square = lanes_mul(x, x);
    lanes inner = lanes_fma(square, lanes_set(0.044715f), lanes_set(1));
    lanes u = lanes_mul(lanes_mul(x, inner), lanes_set(2 * 0.7978845608f));
    return lanes_mul(x, lanes_sigmoid(u));
}
