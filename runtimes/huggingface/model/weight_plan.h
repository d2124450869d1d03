/* runtimes/huggingface/model/weight_plan.h: which tensors become which weights. Made and checked as a whole before
 * anything is allocated on the backend. */
#pragma once

#include "runtimes/huggingface/model/decoder.h"
#include "runtimes/huggingface/model/gather.h"
#include "runtimes/huggingface/model/layout.h"

enum { PLAN_PARTS_MAX = 3 };

struct weight_part {
    const struct tensor *tensor;
    int32_t type; /* PDK_TYPE_… to pack */
    uint64_t first_row;
    uint32_t rows, columns;
    enum layout layout;
    struct gather gather; /* of kind GATHER_NONE: rows stand one after the other from first_row on */
};

struct planned_weight {
    pdk_weight **slot;
    int32_t use; /* PDK_WEIGHT_… */
    uint32_t part_count;
    struct weight_part parts[PLAN_PARTS_MAX];
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

/* Biases of all experts of a layer, which become [experts][gate, then up] and [experts][hidden]. */
struct planned_experts_bias {
    pdk_vector **up_slot, **down_slot;
    const struct tensor *gate, *up, *down; /* up NULL: `gate` has both, one behind the other or by turns */
    uint32_t experts, inner, hidden;
    bool by_turns;
};

struct weight_plan {
    struct planned_weight *weights;
    size_t weight_count, weight_room;
    struct planned_vector *vectors;
    size_t vector_count, vector_room;
    struct planned_experts_bias *biases;
    size_t bias_count, bias_room;
    const struct tensor *rope_factors; /* or NULL */
    bool has_extra_layer;              /* the file has layers that predict further tokens */
    size_t ignored;                    /* tensors that the row says a decoder does not need */
};

/* Fills `ret_plan` (weight_plan_done, also after a failure). Tensors that no role asks for are refused by name. */
pdk_status weight_plan_make(struct model *model, struct weight_plan *ret_plan, pdk_error *err);
void weight_plan_done(struct weight_plan *plan);
/* experts.c */
pdk_status experts_bias_load(struct model *model, const struct planned_experts_bias *bias, pdk_error *err);

/* weight_part.c: the bytes of the file that a part is made of. */
pdk_string weight_part_bytes(const struct weight_part *part);
/* What the backend will be given; its pointers are not to be read. */
pdk_matrix weight_part_shape(const struct weight_part *part);
/* The part itself. Gives `ret_buffer` where it could not stay in the file, which the matrix then points into. */
pdk_status weight_part_read(const struct model_config *config, const struct weight_part *part, pdk_matrix *ret_matrix,
    void **ret_buffer, pdk_error *err);
