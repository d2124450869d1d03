/* kernels/cpu/sample.h: drawing a token without sorting the vocabulary. */
#pragma once

#include "kernels/cpu/kernels.h"
#include "kernels/sample.h"

/* Fills the results of `task`. `values` and `ids` are room for [vocabulary]. */
void cpu_sample(const struct kernels *kernels, struct sample_task *task, float *values, uint32_t *ids);
