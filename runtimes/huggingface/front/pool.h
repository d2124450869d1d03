/* runtimes/huggingface/front/pool.h: a pooling request's two ends: from its texts to a generation of the engine's, and
 * from the hidden states that it kept to the part that answers it. */
#pragma once

#include "runtimes/huggingface/front/served.h"

#include <paddock/draft/request.h>

/* Makes `generation`, which is zeroed before (generation_done frees it, after a failure too), and says in
 * `ret_task` what for. PDK_INVALID, PDK_UNSUPPORTED: the client's fault. */
pdk_status pool_prepare(const struct served *served, const pdk_request *request, struct generation *generation,
    struct pooling_task *ret_task, pdk_error *err);
/* Whether all of it has been computed. */
bool pool_computed(const struct generation *generation);
/* The answer's values, which the caller frees. */
pdk_status pool_values(const struct served *served, const struct generation *generation,
    const struct pooling_task *task, float **ret_values, uint32_t *ret_rows, uint32_t *ret_columns, pdk_error *err);
