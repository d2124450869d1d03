/* plugins/cpu/queue.h: the recorded ops of a step, and the memory that running them needs. */
#pragma once

#include "plugins/cpu/backend.h"
#include "plugins/cpu/team.h"

enum op_kind {
    OP_EMBED,
    OP_NORM,
    OP_LINEAR,
    OP_ROPE_KV,
    OP_ATTENTION,
    OP_HEAD,
    OP_SAMPLE,
    OP_KV_COPY,
    OP_ROUTE,
    OP_EXPERTS_UP,
    OP_EXPERTS_DOWN,
    OP_LATENT_KV,
    OP_LATENT_ATTENTION,
    OP_KINDS
};

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
        pdk_route route;
        pdk_experts_up experts_up;
        pdk_experts_down experts_down;
        pdk_latent_kv latent_kv;
        pdk_latent_attention latent_attention;
    };
};

/* What one thread works in. */
struct scratch {
    float *unpacked; /* a panel as float weights */
    float *sums;     /* [2][max_rows][16] */
    float *inputs;   /* rows of experts, copied together; queries and sums of latent attention */
    float *values;   /* [vocabulary] */
    uint32_t *ids;   /* [vocabulary] */
};

/* Sizes in numbers; what a step asks for beyond what is there is allocated when it is submitted, so that from the
 * second step of a model on nothing is. */
struct room {
    size_t unpacked, sums, inputs, vocabulary, gathered, turns, entries, experts;
};

/* Cosines and sines of every row for one vector of frequencies. */
struct turns {
    const pdk_vector *frequencies;
    uint32_t dims;
    float magnitude;
    float *values; /* [rows][dims]: cosines, then sines */
};
enum { TURNS_MAX = 4 };

struct pdk_queue {
    struct backend *backend;
    const pdk_batch *batch;
    uint32_t max_rows, max_ops, op_count;
    bool submitted;
    struct team_step step;

    /* the step under way; written by team_step.next */
    uint32_t next_op;
    const struct op *op;
    uint32_t strip;     /* panels of an item of a linear or head */
    const float *input; /* of a linear or head: its rows, one after the other */
    size_t input_stride;
    const float *row_turns; /* of a rope_kv or latent_kv, or NULL */
    uint32_t strips;        /* of an expert's panels, or of latent attention's heads */
    uint32_t head_group;    /* heads of an item of latent attention */
    uint32_t active_count;

    struct room room;
    struct scratch *scratch; /* [threads] */
    float *gathered;
    uint32_t *entries, *expert_starts, *active; /* rows sorted by expert; see op_experts.c */
    struct turns turns[TURNS_MAX];
    uint32_t turns_used, turns_next;
    struct op ops[];
};

/* How an op is cut: items, those taken at once, and about how long the whole takes; short ones are not shared. */
struct cut {
    uint32_t items, grain;
    double nanoseconds;
};

/* What each kind of op does. */
struct op_class {
    void (*need)(const pdk_queue *queue, const struct op *op, struct room *room); /* or NULL */
    void (*cut)(pdk_queue *queue, const struct op *op, struct cut *ret_cut);      /* by one thread, before any item */
    void (*run)(pdk_queue *queue, const struct op *op, uint32_t first, uint32_t last, struct scratch *scratch);
};
extern const struct op_class op_embed, op_norm, op_linear, op_rope_kv, op_attention, op_head, op_sample, op_kv_copy,
    op_route, op_experts_up, op_experts_down, op_latent_kv, op_latent_attention;

/* op_attention.c: cosines and sines of the batch's rows, as struct turns has them; formed once a step. */
const float *queue_turns(pdk_queue *queue, const pdk_vector *frequencies, uint32_t dims, float magnitude);

/* scratch.c: makes room for `need`. PDK_NO_MEMORY leaves the queue as it was. */
pdk_status scratch_reserve(pdk_queue *queue, const struct room *need, pdk_error *err);
void scratch_free(pdk_queue *queue);
