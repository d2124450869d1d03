/* runtimes/huggingface/model/planner.h: finding a role's tensors, checked against the configuration, and adding them to
 * the plan; for the files that plan parts of a model (weight_plan.c, experts.c, latent.c). */
#pragma once

#include "runtimes/huggingface/model/weight_plan.h"

struct planner {
    struct weight_plan *plan;
    const struct model_config *config;
    const struct tensors *tensors;
    const char *const *names;
    uint32_t layer, head, expert; /* what '%', a second one and '#' of a name are */
    pdk_error *err;
};

enum { PLANNER_RANK_MAX = 3 };

struct planner_shape {
    uint32_t rank;
    uint64_t sizes[PLANNER_RANK_MAX];
};

pdk_status planner_no_memory(const struct planner *p);
/* Whether this model has the role: the family does, and the configuration leaves it in. */
bool planner_has(const struct planner *p, enum role role);
/* Role's tensor of the current layer and expert; NULL: the file has none, or the family no name for it. */
struct tensor *planner_look(const struct planner *p, enum role role, const char *ending);
/* The same, which must be there and of this shape; its type is not looked at. */
pdk_status planner_take(const struct planner *p, enum role role, const char *ending, struct planner_shape shape,
    const struct tensor **ret_tensor);
/* And must be of a type that is computed with. */
pdk_status planner_take_numbers(const struct planner *p, enum role role, const char *ending, struct planner_shape shape,
    const struct tensor **ret_tensor);

/* And may be missing: *ret_tensor is NULL then. */
pdk_status planner_find(const struct planner *p, enum role role, const char *ending, struct planner_shape shape,
    const struct tensor **ret_tensor);
/* A matrix of these outputs and inputs, however the row says that it lies in the file. */
pdk_status planner_matrix(
    const struct planner *p, enum role role, uint64_t rows, uint64_t columns, const struct tensor **ret_tensor);
/* NULL where the row knows of none, or the file has none of one that may be. */
pdk_status planner_bias(const struct planner *p, enum role role, uint64_t count, const struct tensor **ret_tensor);

/* A weight without parts; NULL: out of memory. */
struct planned_weight *planner_weight(const struct planner *p, pdk_weight **slot, int32_t use);
/* Adds rows [first_row, first_row + rows) of a tensor's last dimension, `columns`; or rows that are gathered. */
void planner_part(
    struct planned_weight *weight, const struct tensor *tensor, uint64_t first_row, uint32_t rows, uint32_t columns);
void planner_gather(struct planned_weight *weight, const struct tensor *tensor, const struct gather *gather,
    uint32_t rows, uint32_t columns);

/* Copies `count` parts; `plus` is added to every number. */
pdk_status planner_add_vector(
    const struct planner *p, pdk_vector **slot, const struct vector_part *parts, uint32_t count, float plus);

/* One weight of several matrices, each of `rows[i]` outputs, and their biases as one vector (zeros where one has none).
 */
pdk_status planner_matrices(struct planner *p, const enum role *roles, const uint32_t *rows, uint32_t count,
    uint32_t columns, int32_t use, struct linear *linear);
pdk_status planner_linear(
    struct planner *p, enum role role, uint32_t rows, uint32_t columns, int32_t use, struct linear *linear);
pdk_status planner_gated(
    struct planner *p, enum role gate, enum role up, uint32_t rows, uint32_t columns, struct linear *linear);
/* Nothing where the model has no such norm. weight_plan.c */
pdk_status planner_norm(struct planner *p, enum role role, uint32_t width, struct norm *norm);
/* The `count` numbers of one tensor; nothing where it is not required and not there. */
pdk_status planner_vector(
    struct planner *p, enum role role, const char *ending, uint32_t count, bool required, pdk_vector **slot);
/* Copies `bias` into the plan. */
pdk_status planner_experts_bias(const struct planner *p, const struct planned_experts_bias *bias);

/* experts.c, latent.c */
pdk_status plan_experts(struct planner *p, struct expert_layer *layer);
pdk_status plan_latent(struct planner *p, struct latent_layer *layer);
