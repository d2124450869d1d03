/* runtimes/huggingface/model/turned.h: a matrix of a type that only the backend reads, packed the other way round. */
#pragma once

#include "runtimes/huggingface/model/weight_plan.h"

/* For a weight of one part, which is gathered as GATHER_TRANSPOSED from whole rows of its tensor. */
pdk_status turned_load(struct model *model, const struct planned_weight *weight, pdk_error *err);
