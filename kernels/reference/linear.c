/* Matrix times row: linear, gated linear and the output head. Weights are dequantised a row at a time. */
#include "kernels/reference/reference.h"

#include <math.h>
#include <stdlib.h>

float reference_activate(int activation, float value)
{
    double x = value;
    switch (activation) {
    case REFERENCE_RELU: return x > 0 ? value : 0.0f;
    case REFERENCE_SILU: return (float)(x / (1 + exp(-x)));
    case REFERENCE_GELU: return (float)(0.5 * x * (1 + erf(x * 0.70710678118654752440)));
    case REFERENCE_GELU_TANH: return (float)(0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x))));
    default: return value;
    }
}

double reference_dot(const struct reference_matrix *matrix, size_t row, const float *x)
{
    float *weights = calloc(matrix->columns, sizeof *weights);
    double sum = 0;
    if (weights == NULL)
        return NAN;
    reference_row(matrix, row, weights);
    for (size_t k = 0; k < matrix->columns; k++)
        sum += (double)weights[k] * x[k];
    free(weights);
    return sum;
}

void reference_linear(const struct reference_matrix *matrix, const float *x, const float *bias, int activation,
    float scale, const float *residual, float *out)
{
    for (size_t n = 0; n < matrix->rows; n++) {
        double sum = reference_dot(matrix, n, x) + (bias != NULL ? bias[n] : 0);
        out[n] = reference_activate(activation, (float)sum) * scale + (residual != NULL ? residual[n] : 0);
    }
}

void reference_gated(const struct reference_matrix *gate, const struct reference_matrix *up, const float *x,
    const float *bias, int activation, float scale, const float *residual, float *out)
{
    for (size_t n = 0; n < gate->rows; n++) {
        float g = (float)(reference_dot(gate, n, x) + (bias != NULL ? bias[n] : 0));
        float u = (float)(reference_dot(up, n, x) + (bias != NULL ? bias[gate->rows + n] : 0));
        out[n] = reference_activate(activation, g) * u * scale + (residual != NULL ? residual[n] : 0);
    }
}

void reference_head(
    const struct reference_matrix *matrix, const float *x, const float *bias, float scale, float soft_cap, float *out)
{
    for (size_t n = 0; n < matrix->rows; n++) {
        double logit = (reference_dot(matrix, n, x) + (bias != NULL ? bias[n] : 0)) * scale;
        out[n] = (float)(soft_cap != 0 ? soft_cap * tanh(logit / soft_cap) : logit);
    }
}
