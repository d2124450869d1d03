/* Paged attention of one row: two passes over what the row sees, first the maximum, then the weighted sum. */
#include "kernels/reference/reference.h"

#include <math.h>

void reference_kv_write(
    const struct reference_cache *cache, size_t slot, const float *key, const float *value, bool as_bfloat)
{
    size_t width = cache->kv_heads * cache->head_dim;
    for (size_t i = 0; i < width; i++) {
        cache->keys[slot * width + i] = as_bfloat ? float_of_bfloat(bfloat_of_float(key[i])) : key[i];
        cache->values[slot * width + i] = as_bfloat ? float_of_bfloat(bfloat_of_float(value[i])) : value[i];
    }
}

/* Where the key or value of context position c and key head h lies. */
static size_t place_of(
    const struct reference_attention *task, const struct reference_cache *cache, uint32_t c, size_t h)
{
    size_t slot = (size_t)task->table[c / BLOCK_TOKENS] * BLOCK_TOKENS + c % BLOCK_TOKENS;
    return (slot * cache->kv_heads + h) * cache->head_dim;
}

static double score_of(const struct reference_attention *task, const struct reference_cache *cache, const float *query,
    size_t head, uint32_t c)
{
    const float *key = &cache->keys[place_of(task, cache, c, head / (task->heads / cache->kv_heads))];
    double dot = 0;
    for (size_t i = 0; i < cache->head_dim; i++)
        dot += (double)query[i] * key[i];
    dot *= task->scale;
    if (task->soft_cap != 0)
        dot = task->soft_cap * tanh(dot / task->soft_cap);
    if (task->slopes != NULL)
        dot += task->slopes[head] * ((double)c - task->position);
    return dot;
}

/* The last position that the row sees. */
static uint32_t last_of(const struct reference_attention *task)
{
    if (task->context == 0)
        return task->position;
    uint32_t left = task->context - 1 - task->position;
    return task->position + (task->window != 0 && task->window - 1 < left ? task->window - 1 : left);
}

static void attend_head(const struct reference_attention *task, const struct reference_cache *cache, const float *query,
    size_t head, float *out)
{
    uint32_t first = task->window != 0 && task->position >= task->window ? task->position - task->window + 1 : 0;
    uint32_t last = last_of(task);
    double largest = task->sinks != NULL ? task->sinks[head] : -INFINITY;
    for (uint32_t c = first; c <= last; c++)
        largest = fmax(largest, score_of(task, cache, query, head, c));

    double total = task->sinks != NULL ? exp(task->sinks[head] - largest) : 0;
    for (uint32_t c = first; c <= last; c++)
        total += exp(score_of(task, cache, query, head, c) - largest);
    for (size_t i = 0; i < cache->head_dim; i++)
        out[i] = 0;
    for (uint32_t c = first; c <= last; c++) {
        const float *value = &cache->values[place_of(task, cache, c, head / (task->heads / cache->kv_heads))];
        double p = exp(score_of(task, cache, query, head, c) - largest) / total;
        for (size_t i = 0; i < cache->head_dim; i++)
            out[i] += (float)(p * value[i]);
    }
}

void reference_attend(
    const struct reference_attention *task, const struct reference_cache *cache, const float *query, float *out)
{
    for (size_t head = 0; head < task->heads; head++)
        attend_head(task, cache, &query[head * cache->head_dim], head, &out[head * cache->head_dim]);
}
