/* Sampling. An item is a row of logits. */
#include "config.h"

#include "plugins/cpu/queue.h"

#include "kernels/cpu/sample.h"

#include <assert.h>

static_assert(sizeof(pdk_token_count) == sizeof(struct sample_count), "one layout");
static_assert(sizeof(pdk_bias) == sizeof(struct sample_bias), "one layout");
static_assert((int)PDK_SAMPLE_SCORE == (int)SAMPLE_SCORE && (int)PDK_SAMPLE_RAW_LOGITS == (int)SAMPLE_RAW_LOGITS &&
                  (int)PDK_SAMPLE_PROCESSED == (int)SAMPLE_PROCESSED,
    "one numbering");

static void need_sample(const pdk_queue *queue, const struct op *op, struct room *room)
{
    (void)queue;
    size_t vocabulary = op->sample.logits->columns;
    room->vocabulary = room->vocabulary < vocabulary ? vocabulary : room->vocabulary;
}

static void cut_sample(pdk_queue *queue, const struct op *op, struct cut *ret_cut)
{
    (void)queue;
    uint32_t rows = op->sample.row_count;
    *ret_cut = (struct cut){.items = rows, .grain = 1, .nanoseconds = rows * (double)op->sample.logits->columns};
}

static struct sample_task task_of(const pdk_rows *logits, const pdk_sample_row *row)
{
    return (struct sample_task){
        .logits = row_of(logits, row->logits_row),
        .vocabulary = logits->columns,
        .flags = row->flags,
        .temperature = row->temperature,
        .top_p = row->top_p,
        .min_p = row->min_p,
        .repetition_penalty = row->repetition_penalty,
        .frequency_penalty = row->frequency_penalty,
        .presence_penalty = row->presence_penalty,
        .top_k = row->top_k,
        .seed = row->seed,
        .counter = row->counter,
        .counts = (const struct sample_count *)row->counts,
        .count_count = row->count_count,
        .biases = (const struct sample_bias *)row->biases,
        .bias_count = row->bias_count,
        .banned = row->banned,
        .banned_count = row->banned_count,
        .allowed = row->allowed,
        .report = row->report,
        .report_count = row->report_count,
        .top_wanted = row->top_wanted,
        .token = row->token,
        .top_tokens = row->top_tokens,
        .top_logprobs = row->top_logprobs,
        .report_ranks = row->report_ranks,
        .report_logprobs = row->report_logprobs,
    };
}

static void check_ids(const struct sample_task *task)
{
    for (size_t i = 0; i < task->count_count; i++)
        assert(task->counts[i].token < task->vocabulary);
    for (size_t i = 0; i < task->bias_count; i++)
        assert(task->biases[i].token < task->vocabulary);
    for (size_t i = 0; i < task->banned_count; i++)
        assert(task->banned[i] < task->vocabulary);
    for (size_t i = 0; i < task->report_count; i++)
        assert(task->report[i] < task->vocabulary);
    assert((task->flags & SAMPLE_SCORE) == 0 || task->token < task->vocabulary);
}

static void run_sample(pdk_queue *queue, const struct op *op, uint32_t first, uint32_t last, struct scratch *scratch)
{
    for (uint32_t i = first; i < last; i++) {
        pdk_sample_row *row = &op->sample.rows[i];
        struct sample_task task = task_of(op->sample.logits, row);
        check_ids(&task);
        cpu_sample(queue->backend->kernels, &task, scratch->values, scratch->ids);
        row->token = task.token;
        row->rank = task.rank;
        row->logprob = task.logprob;
        row->top_count = (uint32_t)task.top_count;
    }
}

const struct op_class op_sample = {.need = need_sample, .cut = cut_sample, .run = run_sample};
