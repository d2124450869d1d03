/* runtimes/huggingface/model/pooling_config.h: what a model's configuration says about answers that are values, not
 * tokens: classes and their names, how logits become probabilities, shorter embeddings. */
#pragma once

#include "runtimes/huggingface/model/config_reader.h"

#include <stdbool.h>

enum { POOLING_DIMENSIONS_MAX = 64, POOLING_LABELS_MAX = 65536 };

enum pooling_problem { PROBLEM_UNSAID, PROBLEM_REGRESSION, PROBLEM_ONE_LABEL, PROBLEM_LABELS };
/* Which hidden states count, where a file says it. */
enum pooling_kind { POOLING_UNSAID, POOLING_MEAN, POOLING_CLS, POOLING_LAST, POOLING_RANK };

struct pooling_config {
    enum pooling_problem problem; /* problem_type */
    enum pooling_kind kind;       /* classifier_pooling; pooling_type of a GGUF */
    bool activation_said;         /* a cross-encoder's activation; none of it: */
    bool activation_is_sigmoid;   /* the identity */
    char **labels;                /* [label_count] of id2label; an entry is NULL where it has none */
    uint32_t label_count;
    bool matryoshka;
    uint32_t dimensions[POOLING_DIMENSIONS_MAX]; /* allowed ones; none: any */
    uint32_t dimension_count;
};

/* `ret_config` is zeroed before; pooling_config_done frees it, after a failure too. */
pdk_status pooling_config_read(struct config_reader *reader, struct pooling_config *ret_config, pdk_error *err);
void pooling_config_done(struct pooling_config *config);
