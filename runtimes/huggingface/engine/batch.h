/* runtimes/huggingface/engine/batch.h: a plan as the flat arrays that a step takes. The arrays are sized once. */
#pragma once

#include "runtimes/huggingface/engine/generation.h"
#include "runtimes/huggingface/engine/scheduler.h"

/* Where the answer of a sample row goes. */
struct sample_target {
    struct choice *choice;
    uint32_t position; /* of a scored prompt token, or of the token drawn */
    bool scores;
};

struct batch {
    pdk_batch flat;
    pdk_sample_row *samples;
    struct sample_target *targets; /* [flat.output_count] */
    /* the memory behind `flat` */
    uint32_t *tokens, *positions, *slots, *sequence_of, *row_starts, *context_lengths, *tables, *output_rows, *types;
};

pdk_status batch_init(struct batch *batch, uint32_t max_rows, uint32_t max_sequences, uint32_t max_outputs,
    uint32_t table_stride, pdk_error *err);
void batch_done(struct batch *batch); /* of a zeroed or half-made one too */
/* Fills it from `plan`, whose sequences are the first members of choices of generations. Score results go to the
 * choice's generation. */
void batch_fill(struct batch *batch, const struct scheduler *scheduler, const struct plan *plan);
