/* kernels/reference/sample.h: drawing a token, by sorting the whole vocabulary. */
#pragma once

#include "kernels/sample.h"

/* Fills the results of `task`. `values` and `order` are room for [vocabulary]; values is left as the processed logits.
 */
void reference_sample(struct sample_task *task, float *values, uint32_t *order);
