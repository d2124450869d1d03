/* Dense products, for backends' gemm. */
#include "kernels/reference/reference.h"

void reference_gemm_f32(const struct reference_gemm *shape, const float *a, const float *b, float *c)
{
    for (size_t i = 0; i < shape->m; i++)
        for (size_t j = 0; j < shape->n; j++) {
            double sum = 0;
            for (size_t k = 0; k < shape->k; k++)
                sum += (double)a[shape->transpose_a ? k * shape->a_stride + i : i * shape->a_stride + k] *
                       b[shape->transpose_b ? j * shape->b_stride + k : k * shape->b_stride + j];
            float *out = &c[i * shape->c_stride + j];
            *out = (float)(shape->alpha * sum + (shape->beta != 0 ? shape->beta * *out : 0));
        }
}

void reference_gemm_f64(const struct reference_gemm *shape, const double *a, const double *b, double *c)
{
    for (size_t i = 0; i < shape->m; i++)
        for (size_t j = 0; j < shape->n; j++) {
            double sum = 0;
            for (size_t k = 0; k < shape->k; k++)
                sum += a[shape->transpose_a ? k * shape->a_stride + i : i * shape->a_stride + k] *
                       b[shape->transpose_b ? j * shape->b_stride + k : k * shape->b_stride + j];
            double *out = &c[i * shape->c_stride + j];
            *out = shape->alpha * sum + (shape->beta != 0 ? shape->beta * *out : 0);
        }
}
