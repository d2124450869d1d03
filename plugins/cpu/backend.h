/* plugins/cpu/backend.h: the state behind the opaque names of paddock/draft/ops.h. */
#pragma once

#include "kernels/reference/reference.h"

#include <paddock/compute.h>
#include <paddock/draft/ops.h>
#include <stdatomic.h>

struct backend {
    uint32_t threads;
    uint64_t memory_limit; /* 0: none */
    _Atomic uint64_t memory_used;
};

struct pdk_weight {
    int32_t use;
    uint32_t count;
    struct reference_matrix *matrices;
    uint8_t *data;
    size_t bytes;
};

struct pdk_vector {
    size_t count;
    float values[];
};

struct pdk_rows {
    uint32_t max_rows, columns;
    float *values; /* [max_rows][columns] */
    size_t bytes;
};

struct pdk_kv {
    struct pdk_kv_shape shape;
    uint32_t blocks;
    float *values; /* [layers][2][blocks * 16][kv_heads][head_dim] */
    size_t bytes;
};

enum op_kind { OP_EMBED, OP_NORM, OP_LINEAR, OP_ROPE_KV, OP_ATTENTION, OP_HEAD, OP_SAMPLE, OP_KV_COPY };

struct kv_copy {
    pdk_kv *kv;
    uint32_t from_block, to_block;
};

struct op {
    enum op_kind kind;
    union {
        pdk_embed embed;
        pdk_norm norm;
        pdk_linear linear;
        pdk_rope_kv rope_kv;
        pdk_attention attention;
        pdk_head head;
        pdk_sample sample;
        struct kv_copy kv_copy;
    };
};

struct pdk_queue {
    struct backend *backend;
    const pdk_batch *batch;
    uint32_t max_rows, max_ops, op_count;
    float *sample_values;   /* [vocabulary_room] */
    uint32_t *sample_order; /* [vocabulary_room] */
    size_t vocabulary_room;
    struct op ops[];
};

extern const pdk_ops cpu_ops;
