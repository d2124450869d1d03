/* Latent attention as it is defined: every token's key and value are made of its latent vector, then attended to. */
#include "kernels/reference/reference.h"

#include <math.h>

static const float *vector_of(const struct reference_latent *task, uint32_t c)
{
    size_t slot = (size_t)task->table[c / BLOCK_TOKENS] * BLOCK_TOKENS + c % BLOCK_TOKENS;
    return &task->cache[slot * (task->rank + task->rope_dims)];
}

/* keys[h]^T * latent, of dimension i: keys has rank rows of nope_dims columns. */
static double key_of(const struct reference_matrix *keys, const float *latent, size_t i)
{
    const float *values = keys->data;
    double sum = 0;
    for (size_t r = 0; r < keys->rows; r++)
        sum += (double)values[r * keys->columns + i] * latent[r];
    return sum;
}

static double score_of(
    const struct reference_latent *task, const struct reference_matrix *keys, const float *query, uint32_t c)
{
    const float *latent = vector_of(task, c);
    double dot = 0;
    for (size_t i = 0; i < task->nope_dims; i++)
        dot += query[i] * key_of(keys, latent, i);
    for (size_t i = 0; i < task->rope_dims; i++)
        dot += (double)query[task->nope_dims + i] * latent[task->rank + i];
    return dot * task->scale;
}

void reference_latent_attend(const struct reference_latent *task, const struct reference_matrix *keys,
    const struct reference_matrix *values, const float *query, float *out)
{
    double largest = -INFINITY, total = 0;
    for (uint32_t c = 0; c <= task->position; c++)
        largest = fmax(largest, score_of(task, keys, query, c));
    for (uint32_t c = 0; c <= task->position; c++)
        total += exp(score_of(task, keys, query, c) - largest);
    for (size_t v = 0; v < values->rows; v++) {
        const float *row = (const float *)values->data + v * values->columns;
        double sum = 0;
        for (uint32_t c = 0; c <= task->position; c++) {
            const float *latent = vector_of(task, c);
            double value = 0;
            for (size_t r = 0; r < task->rank; r++)
                value += (double)row[r] * latent[r];
            sum += exp(score_of(task, keys, query, c) - largest) / total * value;
        }
        out[v] = (float)sum;
    }
}
