/* kernels/reference/reference.h: every operation in its plainest form, the oracle of all backends. Rows are float32;
 * sums run in double. Formulas stand in paddock/draft/ops.h. */
#pragma once

#include "kernels/types.h"

#include <stdbool.h>

struct reference_matrix {
    int type; /* enum weight_type */
    size_t rows, columns;
    const void *data; /* as in a file */
    struct weight_groups groups;
};

/* `count` weights of a type that is not grouped, a multiple of its block. */
void reference_dequantize(int type, const void *data, size_t count, float *out);
/* The weights of one output, in the order of inputs. */
void reference_row(const struct reference_matrix *matrix, size_t row, float *out);

enum reference_activation { REFERENCE_NONE, REFERENCE_RELU, REFERENCE_SILU, REFERENCE_GELU, REFERENCE_GELU_TANH };
float reference_activate(int activation, float value);

/* Of one row of the matrix with x; NaN without memory. */
double reference_dot(const struct reference_matrix *matrix, size_t row, const float *x);
/* out[n] = activation(x * matrix^T + bias) * scale + residual. bias and residual may be NULL. */
void reference_linear(const struct reference_matrix *matrix, const float *x, const float *bias, int activation,
    float scale, const float *residual, float *out);
/* out[n] = activation(x * gate^T + bias) * (x * up^T + bias[rows + n]) * scale + residual */
void reference_gated(const struct reference_matrix *gate, const struct reference_matrix *up, const float *x,
    const float *bias, int activation, float scale, const float *residual, float *out);
/* out[n] = cap(scale * (x * matrix^T + bias)), cap 0: none */
void reference_head(
    const struct reference_matrix *matrix, const float *x, const float *bias, float scale, float soft_cap, float *out);

/* out = table[token] * scale (+ positions[position]) (+ types[type]); one of the first two may be NULL. */
void reference_embed(const struct reference_matrix *table, size_t token, float scale,
    const struct reference_matrix *positions, size_t position, const struct reference_matrix *types, size_t type,
    float *out);

/* One row or group: in += add (add may be NULL), out = norm(in) * weight + bias (each may be NULL). */
void reference_norm_rms(
    float *in, const float *add, const float *weight, const float *bias, size_t n, float epsilon, float *out);
void reference_norm_layer(
    float *in, const float *add, const float *weight, const float *bias, size_t n, float epsilon, float *out);

/* Turns one head in place. pairs: numbers 2i and 2i+1 turn together, else i and i + dims/2. */
void reference_rope(float *head, const float *frequencies, size_t dims, uint32_t position, float magnitude, bool pairs);

/* Keys and values of one layer as a flat array of places: [block * BLOCK_TOKENS + place][kv_heads][head_dim]. */
struct reference_cache {
    float *keys, *values;
    size_t kv_heads, head_dim;
};

void reference_kv_write(
    const struct reference_cache *cache, size_t slot, const float *key, const float *value, bool as_bfloat);

struct reference_attention {
    size_t heads;
    const uint32_t *table; /* block ids of the sequence */
    uint32_t position;
    uint32_t window;  /* 0: all */
    uint32_t context; /* bidirectional: tokens of the sequence, all seen within the window; else 0 */
    float scale, soft_cap;
    const float *slopes, *sinks; /* [heads] or NULL */
};

/* query and out: [heads][head_dim] */
void reference_attend(
    const struct reference_attention *task, const struct reference_cache *cache, const float *query, float *out);

/* Experts of one row, by the rules of pdk_route: out[chosen] are experts as numbers, then come their weights. */
enum reference_score { REFERENCE_SOFTMAX, REFERENCE_SIGMOID, REFERENCE_CHOSEN };
struct reference_route {
    const float *correction; /* [experts] or NULL */
    size_t experts, chosen, groups, groups_chosen;
    int score; /* enum reference_score */
    bool two_of_group, normalise;
    float scale;
};
void reference_route(const struct reference_route *task, const float *products, float *out);

struct reference_experts {
    const struct reference_matrix *gates, *ups; /* [experts] */
    const float *bias;                          /* [experts][gate, then up] or NULL */
    int activation;
    bool clamped; /* the activation of PDK_ACT_CLAMPED instead */
    float alpha, limit;
};
/* One row through the first half of one expert. */
void reference_expert_up(const struct reference_experts *task, size_t expert, const float *x, float *out);
/* out = sum over the row's choices of weight * (x[choice] * down^T + bias); `route` as above. */
void reference_experts_down(const struct reference_matrix *downs, const float *bias, size_t chosen, const float *route,
    const float *x, float *out);

/* Latent attention of one row and head. keys: rank rows of nope_dims columns; values: value_dims rows of rank columns;
 * both float32. cache: [block * BLOCK_TOKENS + place][rank + rope_dims]. query: [nope_dims + rope_dims]. */
struct reference_latent {
    const float *cache;
    const uint32_t *table;
    size_t rank, nope_dims, rope_dims;
    uint32_t position;
    float scale;
};
void reference_latent_attend(const struct reference_latent *task, const struct reference_matrix *keys,
    const struct reference_matrix *values, const float *query, float *out);

/* C = alpha * op(A) * op(B) + beta * C, row-major, strides in elements. */
struct reference_gemm {
    size_t m, n, k, a_stride, b_stride, c_stride;
    double alpha, beta;
    bool transpose_a, transpose_b;
};
void reference_gemm_f32(const struct reference_gemm *shape, const float *a, const float *b, float *c);
void reference_gemm_f64(const struct reference_gemm *shape, const double *a, const double *b, double *c);
