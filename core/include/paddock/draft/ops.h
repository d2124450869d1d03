/* The operations of a transformer's step, on a queue, with opaque weights.
 *
 * The rule of reduction order: what an op computes for a row depends on that row alone (its inputs, its sequence's
 * cache), never on which other rows share the step, on how a prompt was cut into chunks, or on the number of threads.
 * Sums over a cache run in splits of a fixed length. Equal requests so give equal bits.
 *
 * Shapes are rows x columns; a row is one token of the flat batch. Values are float32 unless said otherwise. */
#ifndef PADDOCK_DRAFT_OPS_H
#define PADDOCK_DRAFT_OPS_H

#include <paddock/abi.h>
#include <paddock/draft/request.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PDK_EXT_OPS "paddock.ops/1"

/* How numbers lie in a file. Block types are GGUF's, of 32, 64 or 256 weights; kernels/types.h and kernels/blocks say
 * what their bytes are. */
enum {
    PDK_TYPE_F32 = 1,
    PDK_TYPE_F16 = 2,
    PDK_TYPE_BF16 = 3,
    PDK_TYPE_Q8_0 = 4, /* f16 d, s8 q[32]: d*q */
    PDK_TYPE_Q4_0 = 5, /* f16 d, u4 q[32], low nibbles first: d*(q-8) */
    PDK_TYPE_Q4_1 = 6, /* f16 d, f16 m, u4 q[32]: d*q + m */
    PDK_TYPE_Q5_0 = 7,
    PDK_TYPE_Q5_1 = 8,
    PDK_TYPE_Q2_K = 9,
    PDK_TYPE_Q3_K = 10,
    PDK_TYPE_Q4_K = 11,
    PDK_TYPE_Q5_K = 12,
    PDK_TYPE_Q6_K = 13,
    PDK_TYPE_IQ1_S = 14,
    PDK_TYPE_IQ1_M = 15,
    PDK_TYPE_IQ2_XXS = 16,
    PDK_TYPE_IQ2_XS = 17,
    PDK_TYPE_IQ2_S = 18,
    PDK_TYPE_IQ3_XXS = 19,
    PDK_TYPE_IQ3_S = 20,
    PDK_TYPE_IQ4_NL = 21,
    PDK_TYPE_IQ4_XS = 22,
    PDK_TYPE_TQ1_0 = 23,
    PDK_TYPE_TQ2_0 = 24,
    PDK_TYPE_MXFP4 = 25, /* e8m0 d, e2m1 q[32], element i in the low half of byte i, i + 16 in the high one: d*q */
    PDK_TYPE_NVFP4 = 26,
    /* The scales of these stand apart, one for each `group` columns of a row: scale * (q - zero). */
    PDK_TYPE_U4 = 27, /* u4 q, column 2i in the low half of byte i */
    PDK_TYPE_S8 = 28, /* s8 q */
    PDK_TYPE_F8 = 29, /* e4m3 q, no infinities; none may be a NaN */
    PDK_TYPE_END = 30
};

enum { PDK_KV_BLOCK_TOKENS = 16 };

typedef struct pdk_weight pdk_weight; /* a packed matrix, or several multiplied together */
typedef struct pdk_vector pdk_vector; /* n float32: norm weights, biases, tables */
typedef struct pdk_rows pdk_rows;   /* activations: up to max_rows rows of n columns, in any forms the backend keeps */
typedef struct pdk_kv pdk_kv;       /* the blocks of a key-value cache, all layers */
typedef struct pdk_queue pdk_queue; /* the ops of one step, in order */

/* A matrix as it lies in a file: row-major, `rows` outputs of `columns` inputs. */
typedef struct pdk_matrix {
    int32_t type; /* PDK_TYPE_… */
    uint32_t rows;
    uint32_t columns; /* a multiple of the type's block */
    uint32_t reserved;
    const void *data; /* rows of columns, without padding; aligned to 2 bytes at least */

    /* Of PDK_TYPE_U4, PDK_TYPE_S8, PDK_TYPE_F8; for all others these are 0. Scales and zeros are [rows][groups], groups
     * being columns / group, rounded up. */
    const void *scales;
    const int16_t *zeros;   /* or NULL: none; of PDK_TYPE_U4 0 to 255 */
    const uint32_t *inputs; /* [columns], a permutation: which input each column multiplies; NULL: its own */
    uint32_t group;         /* columns of a scale; `columns` or more: one for a row */
    int32_t scale_type;     /* PDK_TYPE_F32, PDK_TYPE_F16 or PDK_TYPE_BF16 */
} pdk_matrix;

enum {
    PDK_WEIGHT_LINEAR = 0, /* for `linear` and `head`: the matrices' outputs stand one after the other */
    PDK_WEIGHT_GATED = 1,  /* two matrices of equal shape, gate then up: `linear` gives activation(gate) * up */
    PDK_WEIGHT_TABLE = 2,  /* for `embed`: rows are looked up */
    PDK_WEIGHT_TIED = 3    /* for `embed` and `head` at once */
};

typedef struct pdk_kv_shape {
    uint32_t layers;
    uint32_t kv_heads;
    uint32_t head_dim;
    int32_t type; /* PDK_TYPE_F32 or PDK_TYPE_BF16 */
    /* Numbers of the one vector that a token has a layer, for `latent_kv`; kv_heads and head_dim then count for
     * nothing. 0: keys and values of heads. */
    uint32_t latent;
    uint32_t latent_rank; /* of those, how many come first and make up values */
} pdk_kv_shape;

/* The flat batch of one step: rows of all its sequences, those of one sequence together and in order. Arrays are
 * borrowed until the step has been waited for. */
typedef struct pdk_batch {
    uint32_t row_count;              /* m */
    uint32_t sequence_count;         /* n */
    uint32_t output_count;           /* rows whose logits are wanted */
    uint32_t table_stride;           /* entries of one sequence's block table */
    const uint32_t *tokens;          /* [m] ids, each below the vocabulary */
    const uint32_t *positions;       /* [m] */
    const uint32_t *slots;           /* [m] block * PDK_KV_BLOCK_TOKENS + place: where the row's key and value go */
    const uint32_t *sequence_of;     /* [m] */
    const uint32_t *row_starts;      /* [n+1] */
    const uint32_t *context_lengths; /* [n] tokens in the cache after this step's rows */
    const uint32_t *tables;          /* [n][table_stride] block ids */
    const uint32_t *output_rows;     /* [output_count] ascending */
    const uint32_t *types;           /* [m] which segment of a pair each token is of, or NULL: all of 0 */
} pdk_batch;

enum { PDK_NORM_RMS = 0, PDK_NORM_LAYER = 1 };
enum { PDK_ACT_NONE = 0, PDK_ACT_RELU = 1, PDK_ACT_SILU = 2, PDK_ACT_GELU = 3, PDK_ACT_GELU_TANH = 4 };
/* Of `experts_up` alone: g = min(gate, limit), u = min(max(up, -limit), limit); g * sigmoid(alpha * g) * (u + 1). */
enum { PDK_ACT_CLAMPED = 16 };
enum { PDK_ROPE_HALVES = 0, PDK_ROPE_PAIRS = 1 }; /* which two numbers turn together: i and i+d/2, or 2i and 2i+1 */

/* out[r] = table[token[r]] * scale (+ positions[position[r] + position_offset]) (+ types[type[r]]) */
typedef struct pdk_embed {
    pdk_rows *out;
    const pdk_weight *table;     /* NULL: zeros, `positions` alone */
    const pdk_weight *positions; /* or NULL */
    uint32_t position_offset;
    float scale;
    const pdk_weight *types; /* or NULL */
} pdk_embed;

/* sum = in + add, stored into `in` where `add` is given; out = norm(sum) * weight + bias.
 * RMS: sum / sqrt(mean(sum^2) + epsilon). LAYER: (sum - mean) / sqrt(var + epsilon).
 * With `group`, each run of `group` columns of [first, first + count) is a row of its own (norms of query and key
 * heads); in and out may then be the same. */
typedef struct pdk_norm {
    pdk_rows *in;
    const pdk_rows *add; /* or NULL */
    pdk_rows *out;
    const pdk_vector *weight; /* [columns, group, or count with each_group], or NULL: ones */
    const pdk_vector *bias;   /* or NULL */
    const pdk_weight *next;   /* the weight that multiplies `out` next, or NULL: lets the backend quantise here */
    int32_t kind;             /* PDK_NORM_… */
    float epsilon;
    uint32_t group, first, count; /* 0: the whole row */
    uint32_t each_group; /* 1: weight and bias have `count` numbers, each group its own; 0: `group`, the same for all */
} pdk_norm;

/* out = (activation(in * weight^T + bias)) * scale + residual. For a PDK_WEIGHT_GATED weight `activation` is applied to
 * the gate half, and bias has both halves. out may be `residual`, never `in`. */
typedef struct pdk_linear {
    const pdk_rows *in;
    const pdk_weight *weight;
    const pdk_vector *bias;   /* or NULL */
    const pdk_rows *residual; /* or NULL */
    pdk_rows *out;
    const pdk_weight *next; /* as in pdk_norm */
    int32_t activation;     /* PDK_ACT_… */
    float scale;            /* 1: none */
} pdk_linear;

/* Turns the query and key heads of `qkv` in place by their row's position and writes key and value into the cache at
 * the row's slot. Angle i of position p is p * frequencies[i]; cos and sin are multiplied by `magnitude`. */
typedef struct pdk_rope_kv {
    pdk_rows *qkv; /* columns: heads*head_dim of queries, kv_heads*head_dim of keys, kv_heads*head_dim of values */
    pdk_kv *kv;
    const pdk_vector *frequencies; /* [rope_dims / 2], or NULL: no rotation */
    uint32_t layer, heads, kv_heads, head_dim;
    uint32_t rope_dims; /* the first so many of a head turn; even */
    int32_t order;      /* PDK_ROPE_… */
    float magnitude;
    uint32_t reserved;
} pdk_rope_kv;

/* out[r][h] = softmax over c <= position of row r of (scale * q[r][h] . k[c]) times v[c]. Prompt and decode rows alike.
 * Query head h reads key head h / (heads / kv_heads). Bidirectional: over all c of the sequence's context, whose rows
 * this step or an earlier one has put there. */
typedef struct pdk_attention {
    const pdk_rows *qkv; /* as pdk_rope_kv leaves it */
    const pdk_kv *kv;
    pdk_rows *out; /* heads*head_dim columns */
    const pdk_weight *next;
    const pdk_vector *slopes; /* [heads] of ALiBi, or NULL */
    const pdk_vector *sinks;  /* [heads] logits that join the softmax and bring no value, or NULL */
    uint32_t layer, heads, kv_heads, head_dim;
    uint32_t window; /* positions seen to the left (bidirectional: to each side), the own one included; 0: all */
    float scale;
    float soft_cap;        /* s -> cap * tanh(s / cap); 0: none */
    int32_t bidirectional; /* 0: a row sees nothing behind it */
} pdk_attention;

/* logits[i] = cap(scale * (in[output_rows[i]] * weight^T + bias)) */
typedef struct pdk_head {
    const pdk_rows *in;
    const pdk_weight *weight;
    const pdk_vector *bias; /* or NULL */
    pdk_rows *logits;       /* [output_count][vocabulary] */
    float scale;
    float soft_cap; /* 0: none */
} pdk_head;

/* How often a token stands in a request so far. */
typedef struct pdk_token_count {
    uint32_t token;
    uint32_t in_output; /* times */
    uint32_t in_prompt; /* 0 or 1 */
} pdk_token_count;

enum {
    PDK_SAMPLE_SCORE = 1u << 0,      /* draw nothing: report on `token` */
    PDK_SAMPLE_RAW_LOGITS = 1u << 1, /* report logits, not logarithms of probabilities */
    PDK_SAMPLE_PROCESSED = 1u << 2   /* report after masks, bias, penalties, temperature and filters, not before */
};

/* One row of logits to draw a token from. Order: allowed, banned, bias, penalties; greedy below 1e-5; temperature,
 * min_p, top_k, top_p; argmax of probability / exponential noise, the noise a function of (seed, counter, token). */
typedef struct pdk_sample_row {
    uint32_t logits_row;
    uint32_t flags; /* PDK_SAMPLE_… */
    float temperature, top_p, min_p;
    float repetition_penalty, frequency_penalty, presence_penalty;
    int32_t top_k;       /* 0 or less: off */
    uint32_t top_wanted; /* alternatives to report beside the chosen one; at most the vocabulary */
    uint64_t seed;
    uint64_t counter; /* the position of the token drawn */
    const pdk_token_count *counts;
    size_t count_count;
    const pdk_bias *biases;
    size_t bias_count;
    const uint32_t *banned; /* ids that may not come */
    size_t banned_count;
    const uint64_t *allowed; /* bit t of [vocabulary / 64 rounded up]: token t may come; NULL: all */
    const uint32_t *report;  /* ids to report on as well */
    size_t report_count;

    /* results, in host memory that the caller owns */
    uint32_t token; /* drawn, or given with PDK_SAMPLE_SCORE */
    int32_t rank;   /* 1 + tokens with a larger value */
    float logprob;
    uint32_t top_count;     /* filled: top_wanted, or the vocabulary if that is less */
    uint32_t *top_tokens;   /* [top_wanted] best first, ties by id */
    float *top_logprobs;    /* [top_wanted] */
    int32_t *report_ranks;  /* [report_count] */
    float *report_logprobs; /* [report_count] */
} pdk_sample_row;

typedef struct pdk_sample {
    const pdk_rows *logits;
    pdk_sample_row *rows; /* borrowed until the step has been waited for */
    uint32_t row_count;
    uint32_t reserved;
} pdk_sample;

/* Which experts a row goes to, and with what weight. Scores are made of the router's products; those chosen are the
 * `chosen` largest of score + correction, the lower expert of equals, among the groups chosen; their weights are made
 * of the scores alone, in the order of choice. */
enum {
    PDK_SCORE_SOFTMAX = 0, /* over all experts */
    PDK_SCORE_SIGMOID = 1,
    PDK_SCORE_CHOSEN = 2 /* the products themselves choose, then softmax over those chosen */
};
enum { PDK_GROUP_LARGEST = 0, PDK_GROUP_TOP_TWO = 1 }; /* what a group is chosen by: its largest, its two largest */
enum { PDK_EXPERTS_MAX = 1024 };

typedef struct pdk_route {
    const pdk_rows *products;     /* [experts] columns, as `linear` with the router's weight leaves them */
    const pdk_vector *correction; /* [experts], or NULL */
    pdk_rows *out;                /* 2 * chosen columns: the experts as numbers, then their weights */
    uint32_t experts;             /* at most PDK_EXPERTS_MAX */
    uint32_t chosen;              /* at most those of the groups chosen */
    uint32_t groups;              /* equal runs of experts; 0: none */
    uint32_t groups_chosen;
    int32_t score;       /* PDK_SCORE_… */
    int32_t group_score; /* PDK_GROUP_… */
    int32_t normalise;   /* weights are divided by their sum */
    float scale;         /* and then multiplied by this */
} pdk_route;

/* out[r * chosen + c] = activation(in[r] * gate^T + bias) * (in[r] * up^T + bias) by the expert that is row r's choice
 * c. Arrays of weights are borrowed until the step has been waited for. */
typedef struct pdk_experts_up {
    const pdk_rows *in;
    const pdk_rows *route;            /* as `route` leaves it */
    const pdk_weight *const *weights; /* [experts] PDK_WEIGHT_GATED, of equal shape */
    const pdk_vector *bias;           /* [experts][gate, then up], or NULL */
    pdk_rows *out;                    /* chosen rows for each of the batch's */
    uint32_t experts, chosen;
    int32_t activation; /* PDK_ACT_… */
    float alpha, limit; /* of PDK_ACT_CLAMPED */
    uint32_t reserved;
} pdk_experts_up;

/* out[r] = residual[r] + scale * sum over row r's experts of weight * (in[r * chosen + c] * down^T + bias), from the
 * lowest expert to the highest. out may be `residual`. */
typedef struct pdk_experts_down {
    const pdk_rows *in; /* as `experts_up` leaves it */
    const pdk_rows *route;
    const pdk_weight *const *weights; /* [experts] PDK_WEIGHT_LINEAR, of equal shape */
    const pdk_vector *bias;           /* [experts][columns of out], or NULL */
    const pdk_rows *residual;         /* or NULL */
    pdk_rows *out;
    uint32_t experts, chosen;
    float scale;
    uint32_t reserved;
} pdk_experts_down;

/* Multi-head latent attention. A token's vector is [rank] numbers that every head's keys and values are made of, then
 * [rope_dims] that are a key for all heads. This turns the vector's end, and the end of each query head, by the row's
 * position (as pdk_rope_kv does), and writes the vector into the cache at the row's slot. */
typedef struct pdk_latent_kv {
    pdk_rows *queries; /* columns: heads * (nope_dims + rope_dims) */
    pdk_rows *latent;  /* columns: rank + rope_dims */
    pdk_kv *kv;        /* of pdk_kv_shape.latent = rank + rope_dims */
    const pdk_vector *frequencies;
    uint32_t layer, heads, nope_dims, rope_dims, rank;
    int32_t order; /* PDK_ROPE_… */
    float magnitude;
    uint32_t reserved;
} pdk_latent_kv;

/* Head h's key of token c is keys[h]^T * latent[c] and the shared rope part, its value values[h] * latent[c]. Computed
 * the other way round: keys[h] * query is compared with the latent vectors as they lie in the cache, and values[h] is
 * applied to their weighted sum. out[r][h] = values[h] * (softmax(scale * (keys[h] * q . latent[c] + q_rope . rope[c]))
 * times latent[c]). Arrays of weights are borrowed until the step has been waited for. */
typedef struct pdk_latent_attention {
    const pdk_rows *queries; /* as pdk_latent_kv leaves them */
    const pdk_kv *kv;
    const pdk_weight *const *keys;   /* [heads] PDK_WEIGHT_LINEAR: rank outputs of nope_dims inputs */
    const pdk_weight *const *values; /* [heads] PDK_WEIGHT_LINEAR: value_dims outputs of rank inputs */
    pdk_rows *out;                   /* heads * value_dims columns */
    uint32_t layer, heads, nope_dims, rope_dims, rank, value_dims;
    float scale;
    uint32_t reserved;
} pdk_latent_attention;

/* C = alpha * op(A) * op(B) + beta * C, row-major, host memory; float32 or float64. No promise about order. */
typedef struct pdk_gemm {
    const void *a, *b;
    void *c;
    uint64_t m, n, k;
    uint64_t a_stride, b_stride, c_stride; /* elements between rows */
    double alpha, beta;
    int32_t transpose_a, transpose_b;
    int32_t is_double;
    uint32_t reserved;
} pdk_gemm;

/* An op that is NULL is one that the backend lacks: the runtime finds out at load. Recording ops never fails and never
 * allocates; what is wrong with their shapes is the runtime's mistake and asserted. */
typedef struct pdk_ops {
    uint32_t size;
    uint32_t reserved;

    /* Bytes that weight_load would hold for these matrices. [any-thread] */
    uint64_t (*weight_bytes)(void *self, const pdk_matrix *matrices, size_t count, int32_t use);
    /* Packs matrices of one width, borrowed for the call; their types may differ. Gives `ret_weight`. PDK_UNSUPPORTED:
     * a type it lacks, named. [main-thread] */
    pdk_status (*weight_load)(
        void *self, const pdk_matrix *matrices, size_t count, int32_t use, pdk_weight **ret_weight, pdk_error *err);
    void (*weight_free)(void *self, pdk_weight *weight); /* takes NULL */

    /* Copies `count` numbers. Gives `ret_vector`. [main-thread] */
    pdk_status (*vector_load)(void *self, const float *values, size_t count, pdk_vector **ret_vector, pdk_error *err);
    void (*vector_free)(void *self, pdk_vector *vector); /* takes NULL */

    /* Room for max_rows rows of `columns`. Gives `ret_rows`. [main-thread] */
    pdk_status (*rows_new)(void *self, uint32_t max_rows, uint32_t columns, pdk_rows **ret_rows, pdk_error *err);
    void (*rows_free)(void *self, pdk_rows *rows); /* takes NULL */
    /* Copies rows [first, first + count) to and from float32 [count][columns]. No step may be running. [engine-thread]
     */
    void (*rows_read)(void *self, const pdk_rows *rows, uint32_t first, uint32_t count, float *out);
    void (*rows_write)(void *self, pdk_rows *rows, uint32_t first, uint32_t count, const float *in);

    /* Bytes of one block of PDK_KV_BLOCK_TOKENS tokens over all layers. [any-thread] */
    uint64_t (*kv_block_bytes)(void *self, const pdk_kv_shape *shape);
    /* Gives `ret_kv` with `blocks` blocks. Memory is touched when it is first written. [main-thread] */
    pdk_status (*kv_new)(void *self, const pdk_kv_shape *shape, uint32_t blocks, pdk_kv **ret_kv, pdk_error *err);
    void (*kv_free)(void *self, pdk_kv *kv); /* takes NULL */

    /* A queue for steps of up to max_rows rows and max_ops ops. Gives `ret_queue`. [main-thread] */
    pdk_status (*queue_new)(void *self, uint32_t max_rows, uint32_t max_ops, pdk_queue **ret_queue, pdk_error *err);
    void (*queue_free)(void *self, pdk_queue *queue); /* takes NULL */
    /* Empties the queue and names the batch of the ops to come. [engine-thread] */
    void (*queue_begin)(pdk_queue *queue, const pdk_batch *batch);
    /* Starts what was recorded. [engine-thread] */
    pdk_status (*queue_submit)(pdk_queue *queue, pdk_error *err);
    /* Returns when it is done. [engine-thread] */
    pdk_status (*queue_wait)(pdk_queue *queue, pdk_error *err);

    /* The ops. Arguments are copied. [engine-thread] */
    void (*embed)(pdk_queue *queue, const pdk_embed *op);
    void (*norm)(pdk_queue *queue, const pdk_norm *op);
    void (*linear)(pdk_queue *queue, const pdk_linear *op);
    void (*rope_kv)(pdk_queue *queue, const pdk_rope_kv *op);
    void (*attention)(pdk_queue *queue, const pdk_attention *op);
    void (*head)(pdk_queue *queue, const pdk_head *op);
    void (*sample)(pdk_queue *queue, const pdk_sample *op);
    void (*kv_copy)(pdk_queue *queue, pdk_kv *kv, uint32_t from_block, uint32_t to_block); /* all layers */
    /* Runs at once, outside any queue; for tabular runtimes. [any-thread] */
    pdk_status (*gemm)(void *self, const pdk_gemm *op, pdk_error *err);

    /* Mixture of experts, and latent attention. [engine-thread] */
    void (*route)(pdk_queue *queue, const pdk_route *op);
    void (*experts_up)(pdk_queue *queue, const pdk_experts_up *op);
    void (*experts_down)(pdk_queue *queue, const pdk_experts_down *op);
    void (*latent_kv)(pdk_queue *queue, const pdk_latent_kv *op);
    void (*latent_attention)(pdk_queue *queue, const pdk_latent_attention *op);
} pdk_ops;

#ifdef __cplusplus
}
#endif
#endif
