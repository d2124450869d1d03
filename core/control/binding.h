/* core/control/binding.h: which processors a replica's environment binds it to, by the names that vLLM and OpenMP have
 * for it. Pure. */
#pragma once

#include "core/spec/plan.h"

#include <sched.h>
#include <stdbool.h>

struct binding {
    uint32_t threads; /* most that the environment wants; 0: it does not say */
    bool bound;
    cpu_set_t cpus; /* with `bound` */
};

/* OMP_NUM_THREADS and OPENBLAS_NUM_THREADS (the smaller one counts), VLLM_CPU_OMP_THREADS_BIND ("0-31", "0,2", "auto",
 * "nobind"; of "0-3|4-7" the first list). PDK_INVALID names the variable and what is wrong with it. */
pdk_status binding_read(const struct text_list *environment, struct binding *ret_binding, pdk_error *err);
