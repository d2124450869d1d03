/* kernels/reference/dequantize.h: rows whose scales lie apart from their codes. */
#pragma once

#include "kernels/reference/reference.h"

void dequantize_grouped(const struct reference_matrix *matrix, size_t row, const uint8_t *codes, float *out);
