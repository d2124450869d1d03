/* runtimes/huggingface/engine/cost_model.h: how long a step takes, learnt from the steps made: a fixed part, a part for
 * each row, a part for each token of context read. It sets how much of a prompt may join a step without stalling the
 * others. */
#pragma once

#include <stdint.h>

enum { COST_TERMS = 3 };

struct cost_model {
    double seconds[COST_TERMS]; /* of a step, of 64 rows, of 4096 context tokens */
    double covariance[COST_TERMS][COST_TERMS];
    uint32_t observed;
    uint32_t outliers; /* in a row */
};

void cost_model_init(struct cost_model *model);
/* A step of so many rows and tokens of context took `seconds`. One that is far off counts only when it repeats: on a
 * shared machine single steps are late for no reason of ours. */
void cost_model_observe(struct cost_model *model, uint32_t rows, uint64_t context, double seconds);
double cost_model_predict(const struct cost_model *model, uint32_t rows, uint64_t context);
/* Rows of prompts that may join a step of so many decode rows so that it takes at most twice as long as without them:
 * at least `least`, at most `most`. With no decode row, 512. */
uint32_t cost_model_budget(
    const struct cost_model *model, uint32_t decode_rows, uint64_t decode_context, uint32_t least, uint32_t most);
