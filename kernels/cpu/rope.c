/* Rotary positions from a table of cosines and sines. */
#include "kernels/cpu/kernels.h"

void KERNEL(rope)(float *head, const float *turns, size_t half, bool pairs)
{
    const float *cosines = turns, *sines = turns + half;
    if (pairs) {
        for (size_t i = 0; i < half; i++) {
            float x = head[2 * i], y = head[2 * i + 1];
            head[2 * i] = x * cosines[i] - y * sines[i];
            head[2 * i + 1] = x * sines[i] + y * cosines[i];
        }
        return;
    }
    float *other = head + half;
    for (size_t i = 0; i < half; i++) {
        float x = head[i], y = other[i];
        head[i] = x * cosines[i] - y * sines[i];
        other[i] = x * sines[i] + y * cosines[i];
    }
}
