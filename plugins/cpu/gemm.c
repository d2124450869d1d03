/* Dense products through OpenBLAS, with one thread: the team's threads are ours. */
#include "config.h"

#include "plugins/cpu/tables.h"

#include "core/base/error.h"

#include <cblas.h>
#include <limits.h>

static bool fits(const pdk_gemm *op)
{
    const uint64_t sizes[] = {op->m, op->n, op->k, op->a_stride, op->b_stride, op->c_stride};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (sizes[i] > INT_MAX)
            return false;
    return true;
}

pdk_status cpu_gemm(void *self, const pdk_gemm *op, pdk_error *err)
{
    (void)self;
    if (!fits(op))
        return pdk_error_set(err, PDK_TOO_LARGE, "gemm", "a size or stride is over %d", INT_MAX);
    if (op->m == 0 || op->n == 0)
        return PDK_OK;
    CBLAS_TRANSPOSE a = op->transpose_a ? CblasTrans : CblasNoTrans, b = op->transpose_b ? CblasTrans : CblasNoTrans;
    int m = (int)op->m, n = (int)op->n, k = (int)op->k;
    int a_stride = (int)op->a_stride, b_stride = (int)op->b_stride, c_stride = (int)op->c_stride;
    if (op->is_double)
        cblas_dgemm(
            CblasRowMajor, a, b, m, n, k, op->alpha, op->a, a_stride, op->b, b_stride, op->beta, op->c, c_stride);
    else
        cblas_sgemm(CblasRowMajor, a, b, m, n, k, (float)op->alpha, op->a, a_stride, op->b, b_stride, (float)op->beta,
            op->c, c_stride);
    return PDK_OK;
}
