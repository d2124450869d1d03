/* plugins/cpu/memory.h: zeroed memory for weights, activations and caches, counted against the backend's limit. */
#pragma once

#include "plugins/cpu/backend.h"

/* Gives `bytes` zeroed bytes aligned to 64 (big pieces: to 2 MiB, in huge pages where the system has them). They take
 * no room until written. PDK_NO_MEMORY: over the limit, or the system has none. */
pdk_status memory_new(struct backend *backend, size_t bytes, const char *what, void **ret_memory, pdk_error *err);
void memory_free(struct backend *backend, void *memory, size_t bytes); /* takes NULL */
