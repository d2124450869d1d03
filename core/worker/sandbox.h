/* core/worker/sandbox.h: giving up what a worker does not need, before it reads the first byte of a model. All [init],
 * with one thread. */
#pragma once

#include "core/worker/worker.h"

/* Closes every descriptor above 2 but `keep`. */
void sandbox_close_descriptors(int keep);
/* This process is killed when its parent's thread ends. PDK_UNAVAILABLE: it ended already. */
pdk_status sandbox_follow_parent(int fd, pdk_error *err);
/* No core dumps, at most 256 descriptors, the first to go when memory runs out. */
pdk_status sandbox_limit_resources(pdk_error *err);
/* No new privileges, Landlock, seccomp: afterwards only the model can be read and nothing written, run or reached.
 * Writes what is in force, or missing, to worker->sandbox. PDK_UNSUPPORTED: something is missing and the mode is
 * strict. */
pdk_status sandbox_confine(struct worker *worker, pdk_error *err);

/* The two layers. `ret_abi` is 0 when the kernel has no Landlock. */
pdk_status landlock_confine(const char *const *readable, size_t count, int *ret_abi, pdk_error *err);
pdk_status seccomp_confine(pdk_error *err);
