/* Paged attention of one row and up to four query heads of one key head, a block of 16 tokens at a time. Keys lie with
 * 16 tokens in the lanes, so that scores need no horizontal sum; each key and value vector is used for all heads of the
 * group. What a row does not see is never read as a value: a block may hold anything there. */
#include "kernels/cpu/partial.h"

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
        partial_join(partial, g, wide, score, p[g]);
    }
    uint32_t from = first > start ? first - start : 0;
    uint32_t to = task->last - start < LANES ? task->last - start : LANES - 1;
    add_values(
        block + task->head_dim * BLOCK_TOKENS * (bfloat ? 2 : 4), bfloat, wide, wide, from, to, p, group, partial);
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
