/* Each step of sampling in the order that it happens, on a copy of the logits in which what may not come is minus
 * infinity. */
#include "config.h"

#include "kernels/reference/sample.h"

#include "kernels/noise.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static void copy_logits(const struct sample_task *task, float *values)
{
    for (size_t t = 0; t < task->vocabulary; t++)
        values[t] = isnan(task->logits[t]) ? -INFINITY : task->logits[t];
}

static void mask(const struct sample_task *task, float *values)
{
    for (size_t t = 0; task->allowed != NULL && t < task->vocabulary; t++)
        if ((task->allowed[t / 64] >> t % 64 & 1) == 0)
            values[t] = -INFINITY;
    for (size_t i = 0; i < task->banned_count; i++)
        values[task->banned[i]] = -INFINITY;
}

static void bias_and_penalise(const struct sample_task *task, float *values)
{
    for (size_t i = 0; i < task->bias_count; i++)
        values[task->biases[i].token] += task->biases[i].value;
    for (size_t i = 0; i < task->count_count; i++) {
        const struct sample_count *count = &task->counts[i];
        float *value = &values[count->token];
        if (count->in_output != 0 || count->in_prompt != 0)
            *value = *value > 0 ? *value / task->repetition_penalty : *value * task->repetition_penalty;
        if (count->in_output != 0)
            *value -= task->frequency_penalty * (float)count->in_output + task->presence_penalty;
    }
}

/* Larger values first, then smaller ids. */
static int compare_tokens(const void *a, const void *b, void *values_given)
{
    const float *values = values_given;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    if (values[x] != values[y])
        return values[x] > values[y] ? -1 : 1;
    return x < y ? -1 : x > y;
}

static void sort_tokens(const struct sample_task *task, float *values, uint32_t *order)
{
    for (size_t t = 0; t < task->vocabulary; t++)
        order[t] = (uint32_t)t;
    qsort_r(order, task->vocabulary, sizeof *order, compare_tokens, values);
}

/* Sum of exp(value - largest). */
static double mass_of(const struct sample_task *task, const float *values, float largest)
{
    double mass = 0;
    for (size_t t = 0; t < task->vocabulary; t++)
        mass += exp((double)values[t] - largest);
    return mass;
}

static void filter(const struct sample_task *task, float *values, uint32_t *order)
{
    size_t n = task->vocabulary;
    sort_tokens(task, values, order);
    float largest = values[order[0]];
    if (task->min_p > 0)
        for (size_t t = 0; t < n; t++)
            if ((double)values[t] - largest < log(task->min_p))
                values[t] = -INFINITY;
    if (task->top_k > 0 && (size_t)task->top_k < n) {
        float smallest = values[order[task->top_k - 1]];
        for (size_t t = 0; t < n; t++)
            if (values[t] < smallest)
                values[t] = -INFINITY;
    }
    if (task->top_p < 1) {
        double mass = mass_of(task, values, largest), better = 0;
        for (size_t i = 0; i < n; i++) {
            double own = exp((double)values[order[i]] - largest);
            if (i > 0 && better >= task->top_p * mass)
                values[order[i]] = -INFINITY;
            better += own;
        }
    }
}

static uint32_t first_largest(const struct sample_task *task, const float *values)
{
    uint32_t token = 0;
    for (size_t t = 1; t < task->vocabulary; t++)
        if (values[t] > values[token])
            token = (uint32_t)t;
    return token;
}

/* The token with the largest probability / noise, compared by logarithms; the first of equals. */
static uint32_t draw(const struct sample_task *task, const float *values)
{
    uint64_t key = noise_key(task->seed, task->counter);
    double best = -INFINITY;
    uint32_t token = 0;
    float shift = values[first_largest(task, values)]; /* changes no order; keeps the digits that tell scores apart */
    for (size_t t = 0; t < task->vocabulary; t++) {
        if (values[t] == -INFINITY)
            continue;
        double score = (double)values[t] - shift - log(noise_exponential(key, (uint32_t)t));
        if (score > best) {
            best = score;
            token = (uint32_t)t;
        }
    }
    return token;
}

static int32_t rank_of(const struct sample_task *task, const float *values, uint32_t token)
{
    int32_t rank = 1;
    for (size_t t = 0; t < task->vocabulary; t++)
        rank += values[t] > values[token];
    return rank;
}

static void report(struct sample_task *task, float *values, uint32_t *order)
{
    sort_tokens(task, values, order);
    float largest = values[order[0]];
    bool plain = (task->flags & SAMPLE_RAW_LOGITS) != 0 || largest == -INFINITY; /* nothing may come: all are -inf */
    double shift = plain ? 0 : largest + log(mass_of(task, values, largest));
    task->logprob = (float)(values[task->token] - shift);
    task->rank = rank_of(task, values, task->token);
    task->top_count = task->top_wanted < task->vocabulary ? task->top_wanted : task->vocabulary;
    for (size_t i = 0; i < task->top_count; i++) {
        task->top_tokens[i] = order[i];
        task->top_logprobs[i] = (float)(values[order[i]] - shift);
    }
    for (size_t i = 0; i < task->report_count; i++) {
        task->report_logprobs[i] = (float)(values[task->report[i]] - shift);
        task->report_ranks[i] = rank_of(task, values, task->report[i]);
    }
}

void reference_sample(struct sample_task *task, float *values, uint32_t *order)
{
    copy_logits(task, values);
    mask(task, values);
    bias_and_penalise(task, values);
    bool greedy = task->temperature < SAMPLE_GREEDY_BELOW;
    if (!greedy) {
        float temperature = fmaxf(task->temperature, SAMPLE_TEMPERATURE_FLOOR);
        for (size_t t = 0; t < task->vocabulary; t++)
            values[t] /= temperature;
        filter(task, values, order);
    }
    if ((task->flags & SAMPLE_SCORE) == 0)
        task->token = greedy ? first_largest(task, values) : draw(task, values);
    if ((task->flags & SAMPLE_PROCESSED) == 0)
        copy_logits(task, values);
    report(task, values, order);
}
