/* Scans over the logits of a vocabulary, none of which sorts it. */
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/lanes_math.h"
#include "kernels/noise.h"

float KERNEL(largest)(const float *values, size_t n)
{
    lanes largest = lanes_set(-INFINITY);
    size_t i = 0;
    for (; n - i >= LANES; i += LANES)
        largest = lanes_max(largest, lanes_load(values + i));
    float best = lanes_largest(largest);
    for (; i < n; i++)
        best = values[i] > best ? values[i] : best;
    return best;
}

/* Lanes sum runs of 1,024 numbers in float, which then join in double. */
double KERNEL(mass_from)(const float *values, size_t n, float shift, float border)
{
    enum { RUN = 1024 };
    double mass = 0;
    for (size_t start = 0; start < n; start += RUN) {
        size_t end = n - start < RUN ? n : start + RUN, i = start;
        lanes sum = lanes_set(0);
        for (; end - i >= LANES; i += LANES) {
            lanes value = lanes_load(values + i);
            ints below = lanes_less(value, lanes_set(border));
            sum = lanes_add(sum, lanes_pick(below, lanes_set(0), lanes_exp(lanes_sub(value, lanes_set(shift)))));
        }
        for (; i < end; i++)
            mass += values[i] < border ? 0 : exp((double)values[i] - shift);
        mass += lanes_sum(sum);
    }
    return mass;
}

double KERNEL(mass)(const float *values, size_t n, float shift)
{
    return KERNEL(mass_from)(values, n, shift, -INFINITY);
}

size_t KERNEL(count_above)(const float *values, size_t n, float border)
{
    ints count = ints_set(0);
    size_t i = 0;
    for (; n - i >= LANES; i += LANES)
        count = ints_sub(count, lanes_less(lanes_set(border), lanes_load(values + i)));
    int32_t counts[LANES];
    memcpy(counts, &count, sizeof counts);
    size_t total = 0;
    for (int lane = 0; lane < LANES; lane++)
        total += (size_t)counts[lane];
    for (; i < n; i++)
        total += values[i] > border;
    return total;
}

size_t KERNEL(collect)(const float *values, size_t n, float border, uint32_t *ids)
{
    enum { STEP = 4 * LANES };
    size_t count = 0;
    for (size_t start = 0; start < n; start += STEP) {
        size_t end = n - start < STEP ? n : start + STEP;
        if (end - start == STEP) {
            const float *at = values + start;
            lanes left = lanes_max(lanes_load(at), lanes_load(at + LANES));
            lanes right = lanes_max(lanes_load(at + 2 * LANES), lanes_load(at + 3 * LANES));
            if (lanes_largest(lanes_max(left, right)) < border)
                continue;
        }
        for (size_t i = start; i < end; i++)
            if (values[i] >= border)
                ids[count++] = (uint32_t)i;
    }
    return count;
}

/* The logarithm of 16 tokens' noise, to 1e-5; noise.h says what it is. -log1p(-u) is log(w) * u / (w - 1) with w = 1 -
 * u, by Kahan: the rounding of w cancels. */
LANES_INLINE lanes log_noise(uint64_t key, uint32_t first)
{
    float uniform[LANES];
    for (uint32_t lane = 0; lane < LANES; lane++)
        uniform[lane] = ((float)noise_bits(key, first + lane) + 0.5f) * 0x1p-32f;
    lanes u = lanes_min(lanes_load(uniform), lanes_set(0x1.fffffep-1f));
    lanes w = lanes_sub(lanes_set(1), u), below = lanes_sub(w, lanes_set(1));
    ints tiny = lanes_less(lanes_set(-0x1p-25f), below); /* w is 1 */
    lanes e = lanes_div(lanes_mul(lanes_log(w), u), lanes_pick(tiny, lanes_set(1), below));
    return lanes_log(lanes_pick(tiny, u, e));
}

LANES_INLINE lanes load_or_none(const float *values, size_t n)
{
    if (n == LANES)
        return lanes_load(values);
    float padded[LANES];
    for (size_t lane = 0; lane < LANES; lane++)
        padded[lane] = lane < n ? values[lane] : -INFINITY;
    return lanes_load(padded);
}

/* No noise adds more than 22.9 to a value, so what is further below the best so far needs none. A score near the best
 * is formed again in double, so that every instruction set and the reference draw the same. */
uint32_t KERNEL(draw)(const float *values, size_t n, float shift, uint64_t key)
{
    const float most = 23.0f, margin = 1e-3f;
    double best = -INFINITY;
    uint32_t token = 0;
    for (size_t start = 0; start < n; start += LANES) {
        size_t width = n - start < LANES ? n - start : LANES;
        float score[LANES];
        lanes value = lanes_sub(load_or_none(values + start, width), lanes_set(shift));
        if (lanes_largest(value) + most < best || lanes_largest(value) == -INFINITY)
            continue;
        lanes_store(score, lanes_sub(value, log_noise(key, (uint32_t)start)));
        for (uint32_t lane = 0; lane < width; lane++) {
            if (values[start + lane] == -INFINITY || score[lane] < best - margin)
                continue;
            uint32_t candidate = (uint32_t)start + lane;
            double exact = (double)values[candidate] - shift - log(noise_exponential(key, candidate));
            if (exact > best) {
                best = exact;
                token = candidate;
            }
        }
    }
    return token;
}
