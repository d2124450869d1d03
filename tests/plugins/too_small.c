/* An entry that ends before its functions. */
#include "stub.h"

const pdk_runtime pdk_runtime_entry = {
    .size = offsetof(pdk_runtime, init),
    .abi_major = PDK_RUNTIME_ABI_MAJOR,
    .name = "small",
};
