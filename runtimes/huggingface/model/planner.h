/* runtimes/huggingface/model/planner.h: what the files that plan parts of a layer (experts.c, latent.c) share with
 * weight_plan.c. */
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
/* Role's tensor of the current layer and expert; NULL: the file has none, or the family no name for it. */
struct tensor *planner_look(const struct planner *p, enum role role, const char *ending);
/* The same, which must be there and of this shape; its type is not looked at. */
pdk_status planner_take(const struct planner *p, enum role role, const char *ending, struct planner_shape shape,
    const struct tensor **ret_tensor);
/* And must be of a type that is computed with. */
pdk_status planner_take_numbers(const struct planner *p, enum role role, const char *ending, struct planner_shape shape,
    const struct tensor **ret_tensor);

/* A weight without parts; NULL: out of memory. */
struct planned_weight *planner_weight(const struct planner *p, pdk_weight **slot, int32_t use);
/* Adds rows [first_row, first_row + rows) of a tensor's last dimension, `columns`; or rows that are gathered. */
void planner_part(
    struct planned_weight *weight, const struct tensor *tensor, uint64_t first_row, uint32_t rows, uint32_t columns);
void planner_gather(struct planned_weight *weight, const struct tensor *tensor, const struct gather *gather,
    uint32_t rows, uint32_t columns);

/* As weight_plan.c plans them for dense layers: biases where the row says so. */
pdk_status planner_linear(
    struct planner *p, enum role role, uint32_t rows, uint32_t columns, int32_t use, struct linear *linear);
pdk_status planner_gated(
    struct planner *p, enum role gate, enum role up, uint32_t rows, uint32_t columns, struct linear *linear);
pdk_status planner_norm(struct planner *p, enum role role, uint32_t width, struct norm *norm);
/* The `count` numbers of one tensor; nothing where it is not required and not there. */
pdk_status planner_vector(
    struct planner *p, enum role role, const char *ending, uint32_t count, bool required, pdk_vector **slot);
/* Copies `bias` into the plan. */
pdk_status planner_experts_bias(const struct planner *p, const struct planned_experts_bias *bias);

/* experts.c, latent.c */
pdk_status plan_experts(struct planner *p, struct expert_layer *layer);
pdk_status plan_latent(struct planner *p, struct latent_layer *layer);
