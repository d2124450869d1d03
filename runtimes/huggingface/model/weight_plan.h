/* runtimes/huggingface/model/weight_plan.h: which tensors become which weights. Made and checked as a whole before
 * anything is allocated on the backend. */
#pragma once

#include "runtimes/huggingface/model/decoder.h"
#include "runtimes/huggingface/model/layout.h"

enum { PLAN_PARTS_MAX = 3 };

struct planned_weight {
    pdk_weight **slot;
    int32_t use;  /* PDK_WEIGHT_… */
    int32_t type; /* PDK_TYPE_… to pack: the parts' own, or float32 where they differ */
    uint32_t part_count;
    struct {
        const struct tensor *tensor;
        uint32_t first_row, rows, columns;
        enum layout layout;
    } parts[PLAN_PARTS_MAX];
};

struct vector_part {
    const struct tensor *tensor; /* NULL: zeros */
    uint32_t count;
    enum layout layout;
};

struct planned_vector {
    pdk_vector **slot;
    float plus; /* added to every value */
    uint32_t part_count;
    struct vector_part *parts;
};

struct weight_plan {
    struct planned_weight *weights;
    size_t weight_count, weight_room;
    struct planned_vector *vectors;
    size_t vector_count, vector_room;
    const struct tensor *rope_factors; /* or NULL */
    size_t ignored;                    /* tensors that the row says a decoder does not need */
};

/* Fills `ret_plan` (weight_plan_done, also after a failure). Tensors that no role asks for are refused by name. */
pdk_status weight_plan_make(struct model *model, struct weight_plan *ret_plan, pdk_error *err);
void weight_plan_done(struct weight_plan *plan);
