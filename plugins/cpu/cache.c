/* The key-value cache. */
#include "config.h"

#include "plugins/cpu/tables.h"

#include "core/base/error.h"
#include "plugins/cpu/memory.h"

#include <stdlib.h>

static bool cache_bytes(const pdk_kv_shape *shape, uint32_t blocks, size_t *ret_bytes)
{
    size_t width, bytes;
    if (__builtin_mul_overflow((size_t)shape->kv_heads, shape->head_dim, &width) ||
        __builtin_mul_overflow(width, 2 * PDK_KV_BLOCK_TOKENS * sizeof(float), &bytes) ||
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
        return pdk_error_set(err, PDK_UNSUPPORTED, "type", "a cache of type %d; the cpu plugin has f32 and bf16", shape->type);
    if (!cache_bytes(shape, blocks, &bytes))
        return pdk_error_set(err, PDK_NO_MEMORY, "blocks", "%u cache blocks do not fit in memory", blocks);
    pdk_kv *kv = calloc(1, sizeof *kv);
    if (kv == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "blocks", "out of memory");
    void *values;
    pdk_status status = memory_new(self, bytes, "key-value cache", &values, err);
    if (status != PDK_OK) {
        free(kv);
        return status;
    }
    *kv = (pdk_kv){.shape = *shape, .blocks = blocks, .values = values, .bytes = bytes};
    *ret_kv = kv;
    return PDK_OK;
}

void kv_free(void *self, pdk_kv *kv)
{
    if (kv == NULL)
        return;
    memory_free(self, kv->values, kv->bytes);
    free(kv);
}
