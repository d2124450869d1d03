/* runtimes/huggingface/front/pooling.h: how hidden states become the values of an answer: which of them count, what is
 * done to each, and to what comes of it. Constant once loaded. */
#pragma once

#include "runtimes/huggingface/engine/pooled.h"
#include "runtimes/huggingface/model/value_head.h"

#include <paddock/draft/request.h>

enum class_activation { CLASS_RAW, CLASS_SIGMOID, CLASS_SOFTMAX };

struct pooling {
    uint32_t tasks;       /* bit t: PDK_POOL_… t works; 0: the model draws tokens */
    int32_t default_task; /* PDK_POOL_…, what PDK_POOL_DEFAULT means */
    enum pool_rows rows;  /* of tasks that give one vector */
    uint32_t columns;     /* of a hidden state */
    bool pairs_by_cosine; /* PDK_POOL_SCORE: cosine of two embeddings, else a class's value of a pair */
    bool special_tokens;  /* texts get the post-processor's tokens unless the request says no */
    uint32_t types;       /* segments of a pair that the model tells apart; below 2: none */

    /* embeddings */
    struct value_head projection; /* no layers: none */
    uint32_t width;               /* of an embedding */
    bool normalise;               /* where the request does not say */
    bool matryoshka;              /* requests may cut embeddings */
    uint32_t dimensions;          /* to which they are cut where the request does not say; 0: not */
    const uint32_t *allowed;      /* [allowed_count] lengths of cut ones; none: any */
    uint32_t allowed_count;

    /* classes */
    const struct value_head *classes;
    uint32_t class_count;
    const char *const *class_labels; /* [class_count], or NULL */
    enum class_activation activation;
    bool activate; /* where the request does not say */
    double logit_mean, logit_sigma;
};

/* What a request asks for, its defaults filled in. */
struct pooling_task {
    int32_t task; /* PDK_POOL_…, not DEFAULT */
    bool activate;
    uint32_t dimensions; /* of an embedding */
};

/* PDK_INVALID and PDK_UNSUPPORTED in vLLM's words where it has some. `name`: of the model, for messages. */
pdk_status pooling_task_resolve(const struct pooling *pooling, const pdk_pooling *asked, const char *name,
    struct pooling_task *ret_task, pdk_error *err);
bool pooling_task_by_token(const struct pooling_task *task);
/* Columns of a row of the answer. */
uint32_t pooling_task_width(const struct pooling *pooling, const struct pooling_task *task);
/* One row of the answer from one row of hidden states, kept or averaged. */
pdk_status pooling_apply(
    const struct pooling *pooling, const struct pooling_task *task, const float *hidden, float *out, pdk_error *err);
/* The cosine of two embeddings. */
float pooling_cosine(const float *a, const float *b, uint32_t width);
