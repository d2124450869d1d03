/* tests/plugins/stub.h: the rest of a runtime, for plugins that misbehave in one place. */
#pragma once

#include <paddock/draft/generate.h>
#include <paddock/draft/host.h>
#include <paddock/draft/model.h>
#include <paddock/runtime.h>

#include <stddef.h>

static inline pdk_status stub_init(const pdk_host *host, void **ret_self, pdk_error *err)
{
    (void)err;
    *ret_self = (void *)host;
    return PDK_OK;
}

static inline const void *stub_get_extension(void *self, const char *id)
{
    (void)self;
    (void)id;
    return NULL;
}

static inline void stub_done(void *self)
{
    (void)self;
}

#define STUB_ENTRY(init_function)            \
    const pdk_runtime pdk_runtime_entry = {  \
        .size = sizeof pdk_runtime_entry,    \
        .abi_major = PDK_RUNTIME_ABI_MAJOR,  \
        .abi_minor = PDK_RUNTIME_ABI_MINOR,  \
        .name = "bad",                       \
        .description = "misbehaves",         \
        .init = init_function,               \
        .get_extension = stub_get_extension, \
        .done = stub_done,                   \
    }
