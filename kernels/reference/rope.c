/* Rotary positions. The angle is formed in float, as every published implementation does, so that long contexts agree.
 */
#include "kernels/reference/reference.h"

#include <math.h>

void reference_rope(float *head, const float *frequencies, size_t dims, uint32_t position, float magnitude, bool pairs)
{
    size_t half = dims / 2;
    for (size_t i = 0; i < half; i++) {
        double angle = (float)position * frequencies[i];
        float c = (float)(cos(angle) * magnitude), s = (float)(sin(angle) * magnitude);
        float *a = &head[pairs ? 2 * i : i], *b = &head[pairs ? 2 * i + 1 : i + half];
        float x = *a, y = *b;
        *a = x * c - y * s;
        *b = x * s + y * c;
    }
}
