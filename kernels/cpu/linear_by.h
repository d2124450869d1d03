/* kernels/cpu/linear_by.h: a product whose weights come from a function that unpacks a cell. */
#pragma once

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/lanes.h"

/* Cell c of a panel as float weights [32][16]. */
typedef void unpack(const uint8_t *panel, size_t c, float *weights);

#ifdef ISA
/* linear_kernel with a type's unpacking called, once for 512 weights, not compiled in. */
void KERNEL(linear_by)(unpack *unpack_cell, const uint8_t *panel, size_t cells, const float *x, size_t stride,
    size_t rows, float *unpacked, float *sums);

#define DEFINE_LINEAR_BY(type)                                                                                        \
    void KERNEL(linear_##type)(                                                                                       \
        const uint8_t *panel, size_t cells, const float *x, size_t stride, size_t rows, float *unpacked, float *sums) \
    {                                                                                                                 \
        KERNEL(linear_by)(unpack_##type, panel, cells, x, stride, rows, unpacked, sums);                              \
    }
#endif
