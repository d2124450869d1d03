/* Latent attention of one row and up to four heads, a block of 16 tokens at a time. A token's vector lies in a row, as
 * it is key and value at once: a score costs a horizontal sum, and the vector is in the cache but once. */
#include "kernels/cpu/partial.h"

/* scores[g][t] = q[g] . vector of tokens 0..to, two at a time, as bf16 lies in pairs; minus infinity behind. */
LANES_INLINE void score_block(const struct attend_latent *task, const uint8_t *block, bool bfloat, uint32_t to,
    const int group, float (*scores)[LANES])
{
    size_t wide = head_wide(task->width);
    for (int g = 0; g < group; g++)
        for (int t = 0; t < LANES; t++)
            scores[g][t] = -INFINITY;
    for (uint32_t t = 0; t <= to; t += 2) {
        lanes even[GROUP_MAX], odd[GROUP_MAX];
        for (int g = 0; g < group; g++)
            even[g] = odd[g] = lanes_set(0);
        for (size_t i = 0; i < wide; i += LANES) {
            lanes first = load_value(block, bfloat, wide, t, i), second = load_value(block, bfloat, wide, t + 1, i);
            for (int g = 0; g < group; g++) {
                lanes query = lanes_load(&task->query[(size_t)g * wide + i]);
                even[g] = lanes_fma(first, query, even[g]);
                odd[g] = lanes_fma(second, query, odd[g]);
            }
        }
        for (int g = 0; g < group; g++) {
            scores[g][t] = lanes_sum(even[g]) * task->scale;
            if (t < to)
                scores[g][t + 1] = lanes_sum(odd[g]) * task->scale;
        }
    }
}

LANES_INLINE void attend_all(const struct attend_latent *task, bool bfloat, const int group)
{
    enum { SPLIT_BLOCKS = ATTENTION_SPLIT / BLOCK_TOKENS };
    struct partial whole, part;
    size_t wide = head_wide(task->width), columns = head_wide(task->rank);
    uint32_t last = task->position / BLOCK_TOKENS;
    partial_begin(&whole, (size_t)group, columns);
    for (uint32_t split = 0; split <= last; split += SPLIT_BLOCKS) {
        partial_begin(&part, (size_t)group, columns);
        for (uint32_t number = split; number <= last && number < split + SPLIT_BLOCKS; number++) {
            const uint8_t *block = task->layer + task->table[number] * task->block_bytes;
            uint32_t start = number * BLOCK_TOKENS;
            uint32_t to = task->position - start < LANES ? task->position - start : LANES - 1;
            float p[GROUP_MAX][LANES];
            score_block(task, block, bfloat, to, group, p);
            for (int g = 0; g < group; g++)
                partial_join(&part, g, columns, lanes_load(p[g]), p[g]);
            add_values(block, bfloat, wide, columns, 0, to, p, group, &part);
        }
        partial_combine(&whole, &part, (size_t)group, columns);
    }
    for (int g = 0; g < group; g++)
        for (size_t i = 0; i < columns; i++)
            task->out[(size_t)g * task->out_stride + i] = whole.out[g][i] / whole.total[g];
}

LANES_INLINE void attend_group(const struct attend_latent *task, bool bfloat)
{
    switch (task->group) {
    case 1: attend_all(task, bfloat, 1); break;
    case 2: attend_all(task, bfloat, 2); break;
    case 3: attend_all(task, bfloat, 3); break;
    default: attend_all(task, bfloat, 4); break;
    }
}

void KERNEL(attend_latent_f32)(const struct attend_latent *task)
{
    attend_group(task, false);
}

void KERNEL(attend_latent_bf16)(const struct attend_latent *task)
{
    attend_group(task, true);
}
