/* Writing one token's key and value of one head, or its latent vector, into a block; see kernels.h for where things
 * lie. */
#include "kernels/cpu/kernels.h"

static void put_f32(float *keys, float *values, size_t place, size_t head_dim, const float *key, const float *value)
{
    for (size_t i = 0; i < head_dim; i++)
        keys[i * BLOCK_TOKENS + place] = key[i];
    memcpy(&values[place * head_wide(head_dim)], value, head_dim * sizeof *value);
}

static void put_bf16(
    uint16_t *keys, uint16_t *values, size_t place, size_t head_dim, const float *key, const float *value)
{
    size_t wide = head_wide(head_dim);
    for (size_t i = 0; i < head_dim; i++) {
        keys[(i / 2 * BLOCK_TOKENS + place) * 2 + i % 2] = bfloat_of_float(key[i]);
        values[(place / 2 * wide + i) * 2 + place % 2] = bfloat_of_float(value[i]);
    }
}

void kv_put(uint8_t *head_block, size_t place, size_t head_dim, bool bfloat, const float *key, const float *value)
{
    uint8_t *values = head_block + head_dim * BLOCK_TOKENS * (bfloat ? 2 : 4);
    if (bfloat)
        put_bf16((uint16_t *)(void *)head_block, (uint16_t *)(void *)values, place, head_dim, key, value);
    else
        put_f32((float *)(void *)head_block, (float *)(void *)values, place, head_dim, key, value);
}

void latent_put(uint8_t *block, size_t place, size_t width, bool bfloat, const float *vector)
{
    size_t wide = head_wide(width);
    if (!bfloat) {
        memcpy(block + place * wide * sizeof *vector, vector, width * sizeof *vector);
        return;
    }
    uint16_t *numbers = (uint16_t *)(void *)block;
    for (size_t i = 0; i < width; i++)
        numbers[(place / 2 * wide + i) * 2 + place % 2] = bfloat_of_float(vector[i]);
}
