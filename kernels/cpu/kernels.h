/* kernels/cpu/kernels.h: the kernels of one instruction set, and how one is chosen.
 *
 * Each source of this folder but pack.c and dispatch.c is compiled once per instruction set, with ISA as its name. What
 * a kernel computes for a row depends on that row alone; tiles only change which rows share a register. */
#pragma once

#include "kernels/cpu/packed.h"

#include <stdbool.h>

enum kernel_isa { KERNEL_ISA_GENERIC, KERNEL_ISA_AVX2, KERNEL_ISA_AVX512, KERNEL_ISA_COUNT };

/* Rows of activations lie `stride` floats apart and are zero from their last column to the next multiple of 32. */

/* Sums of products of one panel: sums[r][16] = x[r] * panel^T. A row's sum runs over k in order, one chain of fused
 * multiply-adds a lane. A tile's worth of rows unpacks weights cell by cell, more rows unpack the panel once into
 * `unpacked`
 * ([cells * 32][16]). Bound by unpacking for one row, by multiply-adds from 4 on. */
typedef void linear_kernel(
    const uint8_t *panel, size_t cells, const float *x, size_t stride, size_t rows, float *unpacked, float *sums);

/* What becomes of sums: out[r][0..width) = activation(sums[r] + bias) * (second[r] + second_bias) * scale +
 * residual[r], then the soft cap. bias, second, residual: NULL, none. `second` is the up half of a gated matrix. */
struct finish {
    const float *sums, *second; /* [rows][16] */
    const float *bias, *second_bias;
    const float *residual;
    float *out;
    size_t residual_stride, out_stride;
    size_t rows, width; /* width: at most 16 */
    int activation;     /* enum kernel_activation */
    float scale, soft_cap;
    float alpha, limit; /* of ACTIVATION_CLAMPED, which takes both halves of a gated matrix */
};
enum kernel_activation {
    ACTIVATION_NONE,
    ACTIVATION_RELU,
    ACTIVATION_SILU,
    ACTIVATION_GELU,
    ACTIVATION_GELU_TANH,
    ACTIVATION_CLAMPED = 16
};
typedef void finish_kernel(const struct finish *task);

/* One row or group of n numbers: in += add, out = norm(in) * weight + bias. Sums in 16 lanes, then lanes_sum's tree. */
typedef void norm_kernel(
    float *in, const float *add, const float *weight, const float *bias, size_t n, float epsilon, float *out);

/* Turns one head in place; `turns` is cos[half] then sin[half]. */
typedef void rope_kernel(float *head, const float *turns, size_t half, bool pairs);

/* The keys and values of one key head in one block of 16 tokens:
 *   f32   K [head_dim][16 tokens], V [16 tokens][wide]
 *   bf16  K [head_dim/2][16 tokens][2], V [8 token pairs][wide][2]
 * wide: head_dim rounded up to 16. */
enum { HEAD_DIM_MAX = 512, GROUP_MAX = 4, LATENT_MAX = 4096 };

static inline size_t head_wide(size_t head_dim)
{
    return (head_dim + 15) / 16 * 16;
}

static inline size_t head_block_bytes(size_t head_dim, bool bfloat)
{
    return (head_dim + head_wide(head_dim)) * BLOCK_TOKENS * (bfloat ? 2 : 4);
}

void kv_put(uint8_t *head_block, size_t place, size_t head_dim, bool bfloat, const float *key, const float *value);

/* One row's query heads that share a key head: at most GROUP_MAX, out[g] = softmax(scale * q . k) * v. Positions run in
 * splits of ATTENTION_SPLIT, each with its own maximum and sum, combined from left to right. */
enum { ATTENTION_SPLIT = 256 };
struct attend {
    const float *query;          /* [group][head_dim] */
    float *out;                  /* [group][head_dim] */
    const float *slopes, *sinks; /* [group] or NULL */
    const uint8_t *layer;        /* block b of this key head begins at layer + b * block_bytes */
    const uint32_t *table;
    size_t block_bytes, head_dim, group;
    uint32_t position, window;
    uint32_t last; /* position seen: the own one, or one behind it */
    float scale, soft_cap;
};
typedef void attend_kernel(const struct attend *task);

/* Latent attention keeps one vector a token in a block: f32 [16 tokens][wide], bf16 [8 token pairs][wide][2]. `rank` of
 * its numbers are summed up, all of them are compared with the query. */
static inline size_t latent_block_bytes(size_t width, bool bfloat)
{
    return head_wide(width) * BLOCK_TOKENS * (bfloat ? 2 : 4);
}

void latent_put(uint8_t *block, size_t place, size_t width, bool bfloat, const float *vector);

/* One row and at most GROUP_MAX heads: out[g] = softmax(scale * q[g] . vector) * vector[0..rank), in splits as above.
 */
struct attend_latent {
    const float *query;   /* [group][wide], zeros past the vector's width */
    float *out;           /* [group][out_stride], written in whole sixteens */
    const uint8_t *layer; /* block b begins at layer + b * block_bytes */
    const uint32_t *table;
    size_t block_bytes, out_stride, width, rank, group; /* rank: at most HEAD_DIM_MAX */
    uint32_t position;
    float scale;
};
typedef void attend_latent_kernel(const struct attend_latent *task);

/* One row's experts, by the rules of pdk_route. */
enum { ROUTE_EXPERTS_MAX = 1024 };
enum route_score { ROUTE_SOFTMAX, ROUTE_SIGMOID, ROUTE_CHOSEN };
struct route {
    const float *products, *correction; /* [experts]; correction may be NULL */
    float *out;                         /* [chosen] experts as numbers, then their weights */
    size_t experts, chosen, groups, groups_chosen;
    int score; /* enum route_score */
    bool two_of_group, normalise;
    float scale;
};
typedef void route_kernel(const struct route *task);

/* Scans of a vocabulary. A value that may not come is minus infinity. */
typedef float largest_kernel(const float *values, size_t n);
/* Sum of exp(values - shift). */
typedef double mass_kernel(const float *values, size_t n, float shift);
/* The same of values >= border. */
typedef double mass_from_kernel(const float *values, size_t n, float shift, float border);
typedef size_t count_above_kernel(const float *values, size_t n, float border);
/* Writes the ids of values >= border, in order; returns how many. */
typedef size_t collect_kernel(const float *values, size_t n, float border, uint32_t *ids);
/* The token with the largest value - log(noise), the first of equals. `shift` is the largest value. */
typedef uint32_t draw_kernel(const float *values, size_t n, float shift, uint64_t key);

struct kernels {
    const char *name;
    linear_kernel *linear[WEIGHT_TYPES];
    finish_kernel *finish;
    norm_kernel *norm_rms, *norm_layer;
    rope_kernel *rope;
    attend_kernel *attend_f32, *attend_bf16;
    attend_latent_kernel *attend_latent_f32, *attend_latent_bf16;
    route_kernel *route;
    largest_kernel *largest;
    mass_kernel *mass;
    mass_from_kernel *mass_from;
    count_above_kernel *count_above;
    collect_kernel *collect;
    draw_kernel *draw;
};

/* The row of an instruction set; those that this build lacks have the row below. */
const struct kernels *kernels_of(enum kernel_isa isa);
/* By the row's name ("avx2"); false: none is called so. */
bool kernels_isa_named(const char *name, enum kernel_isa *ret_isa);

#define KERNEL_JOIN(name, isa)  name##_##isa
#define KERNEL_NAMED(name, isa) KERNEL_JOIN(name, isa)
#ifdef ISA
#define KERNEL(name) KERNEL_NAMED(name, ISA)
#endif

#define KERNELS_DECLARE(isa)                                                                                   \
    linear_kernel linear_f32_##isa, linear_f16_##isa, linear_bf16_##isa, linear_q8_0_##isa, linear_q4_0_##isa, \
        linear_q4_1_##isa, linear_q5_0_##isa, linear_q5_1_##isa, linear_q2_k_##isa, linear_q3_k_##isa,         \
        linear_q4_k_##isa, linear_q5_k_##isa, linear_q6_k_##isa, linear_iq1_##isa, linear_iq1_m_##isa,         \
        linear_iq2_xxs_##isa, linear_iq2_##isa, linear_iq3_xxs_##isa, linear_iq3_s_##isa, linear_iq4_nl_##isa, \
        linear_iq4_xs_##isa, linear_mxfp4_##isa, linear_nvfp4_##isa, linear_u4_##isa, linear_s8_##isa,         \
        linear_f8_##isa;                                                                                       \
    finish_kernel finish_##isa;                                                                                \
    norm_kernel norm_rms_##isa, norm_layer_##isa;                                                              \
    rope_kernel rope_##isa;                                                                                    \
    attend_kernel attend_f32_##isa, attend_bf16_##isa;                                                         \
    attend_latent_kernel attend_latent_f32_##isa, attend_latent_bf16_##isa;                                    \
    route_kernel route_##isa;                                                                                  \
    largest_kernel largest_##isa;                                                                              \
    mass_kernel mass_##isa;                                                                                    \
    mass_from_kernel mass_from_##isa;                                                                          \
    count_above_kernel count_above_##isa;                                                                      \
    collect_kernel collect_##isa;                                                                              \
    draw_kernel draw_##isa;

KERNELS_DECLARE(generic)
KERNELS_DECLARE(avx2)
KERNELS_DECLARE(avx512)
