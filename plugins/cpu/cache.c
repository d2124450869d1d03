/* The key-value cache. */
#include "config.h"

#include "plugins/cpu/tables.h"

#include "core/base/error.h"
#include "plugins/cpu/memory.h"

#include <stdlib.h>

/* Of one key head in one block, or of a block's latent vectors. */
static size_t head_bytes(const pdk_kv_shape *shape)
{
    bool bfloat = shape->type == PDK_TYPE_BF16;
    return shape->latent != 0 ? latent_block_bytes(shape->latent, bfloat) : head_block_bytes(shape->head_dim, bfloat);
}

static bool cache_bytes(const pdk_kv_shape *shape, uint32_t blocks, size_t *ret_bytes)
{
    size_t bytes = head_bytes(shape);
    if (__builtin_mul_overflow(bytes, shape->latent != 0 ? 1 : shape->kv_heads, &bytes) ||
        __builtin_mul_overflow(bytes, shape->layers, &bytes) || __builtin_mul_overflow(bytes, blocks, &bytes))
        return false;
    *ret_bytes = bytes;
    return true;
}

uint64_t kv_block_bytes(void *self, const pdk_kv_shape *shape)
{
    (void)self;
    size_t bytes = 0;
    return cache_bytes(shape, 1, &bytes) ? bytes : UINT64_MAX;
}

pdk_status kv_new(void *self, const pdk_kv_shape *shape, uint32_t blocks, pdk_kv **ret_kv, pdk_error *err)
{
    size_t bytes;
    if (shape->type != PDK_TYPE_F32 && shape->type != PDK_TYPE_BF16)
        return pdk_error_set(
            err, PDK_UNSUPPORTED, "type", "a cache of type %d; the cpu plugin has f32 and bf16", shape->type);
    if (shape->latent > LATENT_MAX)
        return pdk_error_set(err, PDK_UNSUPPORTED, "latent",
            "latent vectors of %u numbers; the cpu plugin has up to %d", shape->latent, LATENT_MAX);
    if (shape->latent_rank > HEAD_DIM_MAX || shape->latent_rank > shape->latent)
        return pdk_error_set(err, PDK_UNSUPPORTED, "latent_rank",
            "latent vectors of rank %u; the cpu plugin has up to %d", shape->latent_rank, HEAD_DIM_MAX);
    if (shape->latent == 0 && (shape->head_dim == 0 || shape->head_dim > HEAD_DIM_MAX ||
                                  (shape->type == PDK_TYPE_BF16 && shape->head_dim % 2 != 0)))
        return pdk_error_set(err, PDK_UNSUPPORTED, "head_dim",
            "heads of %u numbers; the cpu plugin has 1 to %d, for bf16 even ones", shape->head_dim, HEAD_DIM_MAX);
    if (!cache_bytes(shape, blocks, &bytes))
        return pdk_error_set(err, PDK_NO_MEMORY, "blocks", "%u cache blocks do not fit in memory", blocks);
    pdk_kv *kv = malloc(sizeof *kv);
    if (kv == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "blocks", "out of memory");
    void *data;
    pdk_status status = memory_new(self, bytes, "key-value cache", &data, err);
    if (status != PDK_OK) {
        free(kv);
        return status;
    }
    *kv = (pdk_kv){
        .shape = *shape,
        .blocks = blocks,
        .head_bytes = head_bytes(shape),
        .data = data,
        .bytes = bytes,
    };
    if (shape->latent != 0)
        kv->shape.kv_heads = 1;
    *ret_kv = kv;
    return PDK_OK;
}

void kv_free(void *self, pdk_kv *kv)
{
    if (kv == NULL)
        return;
    memory_free(self, kv->data, kv->bytes);
    free(kv);
}
