/* The steps of kernels/reference/sample.c in their order, each as a scan. Tokens that may not come are minus infinity
 * in a copy of the logits; the fewer are left, the more of the draw's scan is skipped. */
#include "kernels/cpu/sample.h"

#include "kernels/cpu/select.h"
#include "kernels/noise.h"

#include <math.h>

static void copy_logits(const struct sample_task *task, float *values)
{
    for (size_t t = 0; t < task->vocabulary; t++)
        values[t] = task->logits[t] == task->logits[t] ? task->logits[t] : -INFINITY;
}

static void mask(const struct sample_task *task, float *values)
{
    for (size_t start = 0; task->allowed != NULL && start < task->vocabulary; start += 64) {
        uint64_t word = task->allowed[start / 64];
        if (word == UINT64_MAX)
            continue;
        size_t end = task->vocabulary - start < 64 ? task->vocabulary : start + 64;
        for (size_t t = start; t < end; t++)
            if ((word >> (t - start) & 1) == 0)
                values[t] = -INFINITY;
    }
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

static void drop_below(float *values, size_t n, float border)
{
    for (size_t t = 0; t < n; t++)
        values[t] = values[t] < border ? -INFINITY : values[t];
}

static void keep_likely(float *values, size_t n, float largest, float min_p)
{
    double least = log(min_p);
    for (size_t t = 0; t < n; t++)
        values[t] = (double)values[t] - largest < least ? -INFINITY : values[t];
}

/* Of the ids, best first, as many as bring `mass` up to enough; at least one. Drops what stands behind the last of
 * them. */
static bool keep_until(
    float *values, size_t n, float largest, double mass, double enough, const uint32_t *ids, size_t count)
{
    size_t kept = 0;
    do
        mass += exp((double)values[ids[kept++]] - largest);
    while (kept < count && mass < enough);
    if (mass < enough)
        return false;
    uint32_t last = ids[kept - 1];
    float border = values[last];
    for (size_t t = 0; t < n; t++)
        if (values[t] < border || (values[t] == border && t > last))
            values[t] = -INFINITY;
    return true;
}

/* Where the best do not suffice: halves the range of values in which the border must lie, by the mass above its middle,
 * until it holds few; only those are sorted. `above` is the mass of values >= high, which are kept. */
static void keep_by_halving(
    const struct kernels *kernels, float *values, size_t n, float largest, float high, double enough, uint32_t *ids)
{
    enum { FEW = 1024 };
    float low = largest - 104; /* e^-104 is 0 in a float's sums */
    double above = kernels->mass_from(values, n, largest, high);
    size_t count = 0;
    for (;;) {
        float middle = low + (high - low) / 2;
        count = kernels->count_above(values, n, low) - kernels->count_above(values, n, high);
        if (count <= FEW || middle <= low || middle >= high)
            break;
        double mass = kernels->mass_from(values, n, largest, middle);
        if (mass >= enough) {
            low = middle;
        } else {
            high = middle;
            above = mass;
        }
    }
    count = 0;
    for (size_t t = 0; t < n; t++)
        if (values[t] >= low && values[t] < high)
            ids[count++] = (uint32_t)t;
    sort_best(values, ids, count);
    if (count == 0 || !keep_until(values, n, largest, above, enough, ids, count))
        drop_below(values, n, low); /* what is missing is rounding */
}

/* Keeps the smallest set of best tokens whose mass reaches top_p; nearly always it is among the first few. */
static void keep_nucleus(
    const struct kernels *kernels, float *values, size_t n, float largest, float top_p, uint32_t *ids)
{
    enum { FIRST = 1024 };
    double enough = top_p * kernels->mass(values, n, largest);
    size_t count = select_best(kernels, values, n, n < FIRST ? n : FIRST, ids);
    if (keep_until(values, n, largest, 0, enough, ids, count) || count == n)
        return;
    keep_by_halving(kernels, values, n, largest, values[ids[count - 1]], enough, ids);
}

static void filter(const struct kernels *kernels, const struct sample_task *task, float *values, uint32_t *ids)
{
    size_t n = task->vocabulary;
    float largest = kernels->largest(values, n);
    if (largest == -INFINITY)
        return;
    if (task->min_p > 0)
        keep_likely(values, n, largest, task->min_p);
    if (task->top_k > 0 && (size_t)task->top_k < n) {
        size_t count = select_best(kernels, values, n, (size_t)task->top_k, ids);
        drop_below(values, n, values[ids[count - 1]]);
    }
    if (task->top_p < 1)
        keep_nucleus(kernels, values, n, largest, task->top_p, ids);
}

/* The first of the largest; token 0 where nothing may come. */
static uint32_t first_largest(const struct kernels *kernels, const float *values, size_t n)
{
    float largest = kernels->largest(values, n);
    uint32_t token = 0;
    while (token + 1 < n && values[token] != largest)
        token++;
    return token;
}

static void report(
    const struct kernels *kernels, struct sample_task *task, const float *values, double shift, uint32_t *ids)
{
    size_t n = task->vocabulary;
    task->logprob = (float)(values[task->token] - shift);
    task->rank = 1 + (int32_t)kernels->count_above(values, n, values[task->token]);
    task->top_count = task->top_wanted < n ? task->top_wanted : n;
    if (task->top_count != 0)
        select_best(kernels, values, n, task->top_count, ids);
    for (size_t i = 0; i < task->top_count; i++) {
        task->top_tokens[i] = ids[i];
        task->top_logprobs[i] = (float)(values[ids[i]] - shift);
    }
    for (size_t i = 0; i < task->report_count; i++) {
        float value = values[task->report[i]];
        task->report_logprobs[i] = (float)(value - shift);
        task->report_ranks[i] = 1 + (int32_t)kernels->count_above(values, n, value);
    }
}

/* What to take from a value to report it; 0 for plain logits, and where nothing may come. */
static double shift_of(const struct kernels *kernels, const struct sample_task *task, const float *values)
{
    float largest = (task->flags & SAMPLE_RAW_LOGITS) != 0 ? -INFINITY : kernels->largest(values, task->vocabulary);
    return largest == -INFINITY ? 0 : largest + log(kernels->mass(values, task->vocabulary, largest));
}

static uint32_t draw(const struct kernels *kernels, const struct sample_task *task, float *values, uint32_t *ids)
{
    size_t n = task->vocabulary;
    mask(task, values);
    bias_and_penalise(task, values);
    if (task->temperature < SAMPLE_GREEDY_BELOW)
        return first_largest(kernels, values, n);
    float temperature = fmaxf(task->temperature, SAMPLE_TEMPERATURE_FLOOR);
    for (size_t t = 0; t < n; t++)
        values[t] /= temperature;
    filter(kernels, task, values, ids);
    return kernels->draw(values, n, kernels->largest(values, n), noise_key(task->seed, task->counter));
}

void cpu_sample(const struct kernels *kernels, struct sample_task *task, float *values, uint32_t *ids)
{
    bool processed = (task->flags & SAMPLE_PROCESSED) != 0, score = (task->flags & SAMPLE_SCORE) != 0;
    copy_logits(task, values);
    if (score && !processed) {
        report(kernels, task, values, shift_of(kernels, task, values), ids);
        return;
    }
    uint32_t token = draw(kernels, task, values, ids);
    if (!score)
        task->token = token;
    if (!processed)
        copy_logits(task, values);
    report(kernels, task, values, shift_of(kernels, task, values), ids);
}
