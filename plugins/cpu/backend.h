/* plugins/cpu/backend.h: the state behind the opaque names of paddock/draft/ops.h. */
#pragma once

#include "kernels/cpu/kernels.h"

#include <paddock/compute.h>
#include <paddock/draft/ops.h>
#include <stdatomic.h>

struct team;

struct backend {
    const struct kernels *kernels;
    struct team *team;
    uint64_t memory_limit; /* 0: none */
    _Atomic uint64_t memory_used;
};

/* Panels as kernels/cpu/packed.h has them; of a gated weight, gate panel i is 2i and up panel i is 2i + 1. Matrices of
 * several types are a chain: each has its own outputs, those of a gated weight the gate and then the up half. */
struct pdk_weight {
    int32_t type, use;
    uint32_t columns;
    uint32_t outputs;      /* of a gated weight: of one half */
    uint32_t first_output; /* where this one's outputs stand among the chain's */
    size_t cells;          /* of a panel */
    size_t panel_bytes;
    uint8_t *panels;
    size_t bytes;
    uint32_t *inputs; /* [columns] which input each column multiplies, or NULL: its own */
    struct pdk_weight *rest;
};

struct pdk_vector {
    size_t count;
    float values[];
};

/* Numbers between a row's last column and its stride stay zero: kernels read whole cells. */
struct pdk_rows {
    uint32_t max_rows, columns;
    size_t stride;
    float *values;
    size_t bytes;
};

/* [layers][blocks][kv_heads] head blocks as kernels/cpu/kernels.h has them; of latent vectors, one a block. */
struct pdk_kv {
    pdk_kv_shape shape;
    uint32_t blocks;
    size_t head_bytes;
    uint8_t *data;
    size_t bytes;
};

static inline float *row_of(const pdk_rows *rows, size_t row)
{
    return &rows->values[row * rows->stride];
}

static inline const float *values_of(const pdk_vector *vector)
{
    return vector != NULL ? vector->values : NULL;
}

/* Outputs of a whole chain. */
static inline size_t outputs_of(const pdk_weight *weight)
{
    size_t outputs = weight->outputs;
    for (const pdk_weight *w = weight->use == PDK_WEIGHT_GATED ? NULL : weight->rest; w != NULL; w = w->rest)
        outputs += w->outputs;
    return outputs;
}

/* Where the head blocks of a block begin. */
static inline uint8_t *block_of(const pdk_kv *kv, size_t layer, size_t block)
{
    return kv->data + (layer * kv->blocks + block) * kv->shape.kv_heads * kv->head_bytes;
}

extern const pdk_ops cpu_ops;
