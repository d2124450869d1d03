/* See the header. */
#include "config.h"

#include "runtimes/huggingface/engine/batch.h"

#include "core/base/error.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(offsetof(struct choice, sequence) == 0, "a choice is found by its sequence");

pdk_status batch_init(struct batch *batch, uint32_t max_rows, uint32_t max_sequences, uint32_t max_outputs,
    uint32_t table_stride, pdk_error *err)
{
    size_t entries;
    if (__builtin_mul_overflow((size_t)max_sequences, (size_t)table_stride, &entries))
        return pdk_error_set(err, PDK_NO_MEMORY, "max_num_seqs", "block tables do not fit in memory");
    batch->tokens = calloc(max_rows, sizeof(uint32_t));
    batch->positions = calloc(max_rows, sizeof(uint32_t));
    batch->slots = calloc(max_rows, sizeof(uint32_t));
    batch->sequence_of = calloc(max_rows, sizeof(uint32_t));
    batch->row_starts = calloc((size_t)max_sequences + 1, sizeof(uint32_t));
    batch->context_lengths = calloc(max_sequences, sizeof(uint32_t));
    batch->tables = calloc(entries, sizeof(uint32_t));
    batch->output_rows = calloc(max_outputs, sizeof(uint32_t));
    batch->types = calloc(max_rows, sizeof(uint32_t));
    batch->samples = calloc(max_outputs, sizeof *batch->samples);
    batch->targets = calloc(max_outputs, sizeof *batch->targets);
    if (batch->tokens == NULL || batch->positions == NULL || batch->slots == NULL || batch->sequence_of == NULL ||
        batch->row_starts == NULL || batch->context_lengths == NULL || batch->tables == NULL ||
        batch->output_rows == NULL || batch->types == NULL || batch->samples == NULL || batch->targets == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for steps of %u rows", (unsigned)max_rows);
    batch->flat = (pdk_batch){
        .table_stride = table_stride,
        .tokens = batch->tokens,
        .positions = batch->positions,
        .slots = batch->slots,
        .sequence_of = batch->sequence_of,
        .row_starts = batch->row_starts,
        .context_lengths = batch->context_lengths,
        .tables = batch->tables,
        .output_rows = batch->output_rows,
        .types = batch->types,
    };
    return PDK_OK;
}

void batch_done(struct batch *batch)
{
    free(batch->tokens);
    free(batch->positions);
    free(batch->slots);
    free(batch->sequence_of);
    free(batch->row_starts);
    free(batch->context_lengths);
    free(batch->tables);
    free(batch->output_rows);
    free(batch->types);
    free(batch->samples);
    free(batch->targets);
    memset(batch, 0, sizeof *batch);
}

static void point_results(pdk_sample_row *row, const struct drawn *drawn)
{
    row->top_tokens = drawn->top_tokens;
    row->top_logprobs = drawn->top_logprobs;
    row->report_ranks = drawn->report_ranks;
    row->report_logprobs = drawn->report_logprobs;
}

/* Row `row` of the batch holds token `position` of the choice: its logits score the next prompt token, or give the
 * token to be drawn, or are not wanted. */
static void add_output(struct batch *batch, struct choice *choice, uint32_t position, uint32_t row)
{
    struct sequence *sequence = &choice->sequence;
    bool scores = sequence->scores && position >= sequence->scored && position + 1 < sequence->prompt_count;
    bool draws = position + 1 == sequence->total && sequence->total < sequence->limit;
    if (!scores && !draws)
        return;
    uint32_t at = batch->flat.output_count++;
    pdk_sample_row *sample = &batch->samples[at];
    batch->output_rows[at] = row;
    batch->targets[at] = (struct sample_target){choice, position + 1, scores};
    if (scores) {
        sampler_score(&choice->sampler, sequence->tokens[position + 1], sample);
        point_results(sample, &choice->generation->scores[position]);
    } else {
        sampler_draw(&choice->sampler, sequence->tokens, sequence->total, sample);
        guiding_limit(&choice->guiding, sample);
        point_results(sample, &choice->results[sequence->total % RESULTS_HELD]);
    }
    sample->logits_row = at;
}

void batch_fill(struct batch *batch, const struct scheduler *scheduler, const struct plan *plan)
{
    pdk_batch *flat = &batch->flat;
    uint32_t row = 0;
    flat->output_count = 0;
    flat->sequence_count = plan->entry_count;
    flat->row_count = plan->rows;
    for (uint32_t i = 0; i < plan->entry_count; i++) {
        const struct plan_entry *entry = &plan->entries[i];
        struct choice *choice = (struct choice *)entry->sequence;
        const uint32_t *table = scheduler_table(scheduler, entry->sequence);
        batch->row_starts[i] = row;
        batch->context_lengths[i] = entry->first + entry->count;
        memcpy(batch->tables + (size_t)i * flat->table_stride, table, entry->sequence->blocks * sizeof *table);
        for (uint32_t at = entry->first; at < entry->first + entry->count; at++, row++) {
            batch->tokens[row] = entry->sequence->tokens[at];
            batch->positions[row] = at;
            batch->slots[row] = table[at / BLOCK_TOKENS] * BLOCK_TOKENS + at % BLOCK_TOKENS;
            batch->sequence_of[row] = i;
            batch->types[row] = entry->sequence->types != NULL ? entry->sequence->types[at] : 0;
            add_output(batch, choice, at, row);
        }
    }
    batch->row_starts[plan->entry_count] = row;
    assert(row == plan->rows && flat->output_count == plan->outputs);
}
