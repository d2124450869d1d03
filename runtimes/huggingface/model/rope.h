/* runtimes/huggingface/model/rope.h: the angles of rotary positions. */
#pragma once

#include "runtimes/huggingface/model/model_config.h"

/* What position 1 turns each pair by, [dims / 2]. `divisors` (GGUF's rope_freqs, same length) may be NULL. */
void rope_frequencies(const struct rope_config *rope, const float *divisors, float *ret_frequencies);
/* What cosine and sine are multiplied by. */
float rope_magnitude(const struct rope_config *rope);
