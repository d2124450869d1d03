/* kernels/cpu/select.h: the best of a vocabulary. Order: larger values first, then smaller ids. */
#pragma once

#include "kernels/cpu/kernels.h"

/* Writes the ids of all values that are at least the k-th largest (ties at the border are all there), best first, and
 * returns how many. 1 <= k <= n; `ids` has room for n. */
size_t select_best(const struct kernels *kernels, const float *values, size_t n, size_t k, uint32_t *ids);

/* Sorts ids by their values, best first. */
void sort_best(const float *values, uint32_t *ids, size_t count);
