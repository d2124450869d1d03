/* What a runtime plugin exports. A runtime serves a family of models inside a process of its own, paddock-worker; it
 * never sees HTTP. It is a shared object with one symbol, pdk_runtime_entry. */
#ifndef PADDOCK_RUNTIME_H
#define PADDOCK_RUNTIME_H

#include <paddock/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PDK_RUNTIME_ABI_MAJOR 1
#define PDK_RUNTIME_ABI_MINOR 0

struct pdk_host; /* what the worker offers a runtime: paddock/draft/host.h */

/* The first three fields are frozen for ever: a host reads them before anything else, and refuses a plugin whose
 * abi_major is not its own. */
typedef struct pdk_runtime {
    uint32_t size;           /* sizeof(pdk_runtime) as the plugin was built */
    uint32_t abi_major;      /* PDK_RUNTIME_ABI_MAJOR */
    uint32_t abi_minor;      /* PDK_RUNTIME_ABI_MINOR */
    uint32_t flags;          /* PDK_RUNTIME_… */
    const char *name;        /* static, [a-z0-9-]{1,63} */
    const char *description; /* static, one line */

    /* Makes the runtime's state. `host` stays valid until `done` returns. Called once, before every other function but
     * get_extension(NULL, PDK_EXT_OPTIONS). Gives `ret_self`, which `done` frees. [main-thread] */
    pdk_status (*init)(const struct pdk_host *host, void **ret_self, pdk_error *err);

    /* The table that this runtime offers under `id`, or NULL. Tables are static or live until `done`. With `self` NULL
     * only PDK_EXT_OPTIONS is asked for, before `init` and without a model. [main-thread] */
    const void *(*get_extension)(void *self, const char *id);

    /* Frees what `init` gave. Every response has been finished by then. [main-thread] */
    void (*done)(void *self);
} pdk_runtime;

/* The runtime needs a compute plugin: the worker opens them before the sandbox closes. */
#define PDK_RUNTIME_NEEDS_COMPUTE 1u

#if defined(__GNUC__)
extern PDK_EXPORT const pdk_runtime pdk_runtime_entry;
#endif

#ifdef __cplusplus
}
#endif
#endif
