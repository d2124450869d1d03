/* Built for a major version that is not there yet. */
#include "stub.h"

const pdk_runtime pdk_runtime_entry = {
    .size = sizeof pdk_runtime_entry,
    .abi_major = PDK_RUNTIME_ABI_MAJOR + 1,
    .name = "new",
    .init = stub_init,
    .get_extension = stub_get_extension,
    .done = stub_done,
};
