/* Norms of one row, with the residual sum that goes before. */
#include "kernels/reference/reference.h"

#include <math.h>

static void add_into(float *in, const float *add, size_t n)
{
    for (size_t i = 0; add != NULL && i < n; i++)
        in[i] += add[i];
}

static void scale_out(
    const float *in, double shift, double factor, const float *weight, const float *bias, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (float)((in[i] - shift) * factor * (weight != NULL ? weight[i] : 1) + (bias != NULL ? bias[i] : 0));
}

void reference_norm_rms(
    float *in, const float *add, const float *weight, const float *bias, size_t n, float epsilon, float *out)
{
    add_into(in, add, n);
    double squares = 0;
    for (size_t i = 0; i < n; i++)
        squares += (double)in[i] * in[i];
    scale_out(in, 0, 1 / sqrt(squares / (double)n + epsilon), weight, bias, n, out);
}

void reference_norm_layer(
    float *in, const float *add, const float *weight, const float *bias, size_t n, float epsilon, float *out)
{
    add_into(in, add, n);
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += in[i];
    double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (in[i] - mean) * (in[i] - mean);
    scale_out(in, mean, 1 / sqrt(squares / (double)n + epsilon), weight, bias, n, out);
}
