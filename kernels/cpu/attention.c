/* Paged attention of one row and up to four query heads of one key head, a block of 16 tokens at a time, with the
 * running maximum of Milakov and Gimelshein (2018). Keys lie with 16 tokens in the lanes, so that scores need no
 * horizontal sum; each key and value vector is used for all heads of the group. What a row does not see is never read
 * as a value: a block may hold anything there. */
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/lanes_math.h"

#include <math.h>

/* A softmax under way: numbers seen so far, relative to the largest score. */
struct partial {
    float largest[GROUP_MAX], total[GROUP_MAX];
    _Alignas(64) float out[GROUP_MAX][HEAD_DIM_MAX];
};

static void partial_begin(struct partial *partial, size_t group, size_t wide)
{
    for (size_t g = 0; g < group; g++) {
        partial->largest[g] = -INFINITY;
        partial->total[g] = 0;
        memset(partial->out[g], 0, wide * sizeof(float));
    }
}

/* e^(a - b), 0 if a is minus infinity */
static float ratio(float a, float b)
{
    float e[LANES];
    lanes_store(e, lanes_exp(lanes_set(a == -INFINITY ? -INFINITY : a - b)));
    return e[0];
}

/* Puts `next`, which comes to the right, into `partial`. */
static void partial_combine(struct partial *partial, const struct partial *next, size_t group, size_t wide)
{
    for (size_t g = 0; g < group; g++) {
        float largest = fmaxf(partial->largest[g], next->largest[g]);
        lanes own = lanes_set(ratio(partial->largest[g], largest)), other = lanes_set(ratio(next->largest[g], largest));
        partial->total[g] =
            partial->total[g] * ratio(partial->largest[g], largest) + next->total[g] * ratio(next->largest[g], largest);
        partial->largest[g] = largest;
        for (size_t i = 0; i < wide; i += LANES)
            lanes_store(&partial->out[g][i],
                lanes_fma(lanes_load(&next->out[g][i]), other, lanes_mul(lanes_load(&partial->out[g][i]), own)));
    }
}

/* scores[g] = q[g] . k of 16 tokens */
LANES_INLINE void score_block(
    const struct attend *task, const uint8_t *block, bool bfloat, const int group, lanes *scores)
{
    size_t n = task->head_dim;
    for (int g = 0; g < group; g++)
        scores[g] = lanes_set(0);
    for (size_t i = 0; i < n; i += bfloat ? 2 : 1) {
        if (!bfloat) {
            lanes key = lanes_load((const float *)(const void *)block + i * LANES);
            for (int g = 0; g < group; g++)
                scores[g] = lanes_fma(key, lanes_set(task->query[g * n + i]), scores[g]);
            continue;
        }
        ints pair = ints_load(block + i * LANES * 2);
        lanes even = lanes_of_bits(ints_left(pair, 16));
        lanes odd = lanes_of_bits(ints_and(pair, ints_set((int32_t)0xffff0000u)));
        for (int g = 0; g < group; g++) {
            scores[g] = lanes_fma(even, lanes_set(task->query[g * n + i]), scores[g]);
            scores[g] = lanes_fma(odd, lanes_set(task->query[g * n + i + 1]), scores[g]);
        }
    }
}

/* Scale, cap, bias; minus infinity outside [first, last]. `start` is the position of lane 0. */
LANES_INLINE lanes shape_scores(
    const struct attend *task, lanes score, int g, uint32_t start, uint32_t first, uint32_t last)
{
    static const float numbers[LANES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    lanes lane = lanes_load(numbers);
    score = lanes_mul(score, lanes_set(task->scale));
    if (task->soft_cap != 0) {
        lanes cap = lanes_set(task->soft_cap);
        score = lanes_mul(cap, lanes_tanh(lanes_div(score, cap)));
    }
    if (task->slopes != NULL) {
        lanes distance = lanes_add(lane, lanes_set((float)start - (float)task->position));
        score = lanes_fma(distance, lanes_set(task->slopes[g]), score);
    }
    lanes none = lanes_set(-INFINITY);
    score = lanes_pick(lanes_less(lane, lanes_set((float)first - (float)start)), none, score);
    return lanes_pick(lanes_less(lanes_set((float)last - (float)start), lane), none, score);
}

/* 16 numbers of token t's value, from dimension i on */
LANES_INLINE lanes load_value(const uint8_t *values, bool bfloat, size_t wide, uint32_t t, size_t i)
{
    if (!bfloat)
        return lanes_load((const float *)(const void *)values + t * wide + i);
    ints pair = ints_load(values + (t / 2 * wide + i) * 4);
    return lanes_of_bits(t % 2 == 0 ? ints_left(pair, 16) : ints_and(pair, ints_set((int32_t)0xffff0000u)));
}

/* out[g] += p[g][t] * v[t] for tokens from..to of a block */
LANES_INLINE void add_values(const uint8_t *values, bool bfloat, size_t wide, uint32_t from, uint32_t to,
    float (*p)[LANES], const int group, struct partial *partial)
{
    for (size_t i = 0; i < wide; i += LANES) {
        lanes sum[GROUP_MAX];
        for (int g = 0; g < group; g++)
            sum[g] = lanes_load(&partial->out[g][i]);
        for (uint32_t t = from; t <= to; t++) {
            lanes value = load_value(values, bfloat, wide, t, i);
            for (int g = 0; g < group; g++)
                sum[g] = lanes_fma(value, lanes_set(p[g][t]), sum[g]);
        }
        for (int g = 0; g < group; g++)
            lanes_store(&partial->out[g][i], sum[g]);
    }
}

LANES_INLINE void attend_block(
    const struct attend *task, uint32_t number, uint32_t first, bool bfloat, const int group, struct partial *partial)
{
    const uint8_t *block = task->layer + task->table[number] * task->block_bytes;
    size_t wide = head_wide(task->head_dim);
    uint32_t start = number * BLOCK_TOKENS;
    lanes scores[GROUP_MAX];
    float p[GROUP_MAX][LANES];
    score_block(task, block, bfloat, group, scores);
    for (int g = 0; g < group; g++) {
        lanes score = shape_scores(task, scores[g], g, start, first, task->last);
        float largest = fmaxf(partial->largest[g], lanes_largest(score));
        if (largest > partial->largest[g]) {
            float shrink = ratio(partial->largest[g], largest);
            for (size_t i = 0; i < wide; i += LANES)
                lanes_store(&partial->out[g][i], lanes_mul(lanes_load(&partial->out[g][i]), lanes_set(shrink)));
            partial->total[g] *= shrink;
            partial->largest[g] = largest;
        }
        lanes weight = lanes_exp(lanes_sub(score, lanes_set(largest)));
        lanes_store(p[g], weight);
        partial->total[g] += lanes_sum(weight);
    }
    uint32_t from = first > start ? first - start : 0;
    uint32_t to = task->last - start < LANES ? task->last - start : LANES - 1;
    add_values(block + task->head_dim * BLOCK_TOKENS * (bfloat ? 2 : 4), bfloat, wide, from, to, p, group, partial);
}

/* out = o / l, after the sink has joined */
static void write_out(const struct attend *task, struct partial *partial)
{
    for (size_t g = 0; g < task->group; g++) {
        float total = partial->total[g], shrink = 1;
        if (task->sinks != NULL) {
            float largest = fmaxf(partial->largest[g], task->sinks[g]);
            shrink = ratio(partial->largest[g], largest);
            total = total * shrink + ratio(task->sinks[g], largest);
        }
        for (size_t i = 0; i < task->head_dim; i++)
            task->out[g * task->head_dim + i] = partial->out[g][i] * shrink / total;
    }
}

LANES_INLINE void attend_all(const struct attend *task, bool bfloat, const int group)
{
    struct partial whole, part;
    size_t wide = head_wide(task->head_dim);
    uint32_t first = task->window != 0 && task->position >= task->window ? task->position - task->window + 1 : 0;
    partial_begin(&whole, (size_t)group, wide);
    for (uint32_t split = first / ATTENTION_SPLIT; split <= task->last / ATTENTION_SPLIT; split++) {
        enum { SPLIT_BLOCKS = ATTENTION_SPLIT / BLOCK_TOKENS };
        uint32_t from = split * SPLIT_BLOCKS, to = from + SPLIT_BLOCKS - 1;
        from = from < first / BLOCK_TOKENS ? first / BLOCK_TOKENS : from;
        to = to > task->last / BLOCK_TOKENS ? task->last / BLOCK_TOKENS : to;
        partial_begin(&part, (size_t)group, wide);
        for (uint32_t number = from; number <= to; number++)
            attend_block(task, number, first, bfloat, group, &part);
        partial_combine(&whole, &part, (size_t)group, wide);
    }
    write_out(task, &whole);
}

LANES_INLINE void attend_group(const struct attend *task, bool bfloat)
{
    switch (task->group) {
    case 1: attend_all(task, bfloat, 1); break;
    case 2: attend_all(task, bfloat, 2); break;
    case 3: attend_all(task, bfloat, 3); break;
    default: attend_all(task, bfloat, 4); break;
    }
}

void KERNEL(attend_f32)(const struct attend *task)
{
    attend_group(task, false);
}

void KERNEL(attend_bf16)(const struct attend *task)
{
    attend_group(task, true);
}
