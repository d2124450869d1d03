/* What a compute plugin exports: the arithmetic of one kind of device, for runtimes. It is a shared object with one
 * symbol, pdk_compute_entry. */
#ifndef PADDOCK_COMPUTE_H
#define PADDOCK_COMPUTE_H

#include <paddock/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PDK_COMPUTE_ABI_MAJOR 1
#define PDK_COMPUTE_ABI_MINOR 0

/* What a backend may use. Borrowed for the call. */
typedef struct pdk_compute_config {
    uint32_t size;
    uint32_t threads;      /* threads it may keep busy, the caller's included; at least 1 */
    uint64_t memory_bytes; /* of the device, or of the machine for a CPU; 0: no limit */
} pdk_compute_config;

/* The first three fields are frozen for ever, as those of pdk_runtime. */
typedef struct pdk_compute {
    uint32_t size;
    uint32_t abi_major; /* PDK_COMPUTE_ABI_MAJOR */
    uint32_t abi_minor;
    uint32_t flags;          /* 0 */
    const char *name;        /* static, [a-z0-9-]{1,63}; PADDOCK_COMPUTE=NAME forces it */
    const char *description; /* static, one line */

    /* How well it suits this machine: 0 cannot run here, else the largest wins (a CPU 100, a GPU more). [main-thread]
     */
    int32_t (*score)(void);

    /* Starts the backend; its threads are made here at the latest when the first queue runs. Gives `ret_self`, which
     * `done` frees. PDK_UNSUPPORTED: the device lacks something, named. [main-thread] */
    pdk_status (*init)(const pdk_compute_config *config, void **ret_self, pdk_error *err);

    /* The table offered under `id` (PDK_EXT_OPS), or NULL. Static, or lives until `done`. [any-thread] */
    const void *(*get_extension)(void *self, const char *id);

    /* Frees it all. Nothing made by it may be left. [main-thread] */
    void (*done)(void *self);
} pdk_compute;

#if defined(__GNUC__)
extern PDK_EXPORT const pdk_compute pdk_compute_entry;
#endif

#ifdef __cplusplus
}
#endif
#endif
