/* The layout of what is released: a field that moves breaks every plugin there is. Only ever add lines here. */
#include <paddock/abi.h>
#include <paddock/compute.h>
#include <paddock/runtime.h>

#include <stddef.h>

#define AT(type, member, offset) \
    _Static_assert(offsetof(type, member) == (offset), #type "." #member " has moved: that breaks every plugin")
#define VALUE(name, value) _Static_assert((name) == (value), #name " has another value: that breaks every plugin")

_Static_assert(sizeof(void *) == 8, "the offsets below are those of 64-bit machines");

VALUE(PDK_OK, 0);
VALUE(PDK_INVALID, 1);
VALUE(PDK_NOT_FOUND, 2);
VALUE(PDK_UNSUPPORTED, 3);
VALUE(PDK_BUSY, 4);
VALUE(PDK_FULL, 5);
VALUE(PDK_CANCELLED, 6);
VALUE(PDK_UNAVAILABLE, 7);
VALUE(PDK_TIMEOUT, 8);
VALUE(PDK_NO_MEMORY, 9);
VALUE(PDK_TOO_LARGE, 10);
VALUE(PDK_DENIED, 11);
VALUE(PDK_UNAUTHENTICATED, 12);
VALUE(PDK_CONFLICT, 13);
VALUE(PDK_IO, 14);
VALUE(PDK_INTERNAL, 15);

AT(pdk_error, status, 0);
AT(pdk_error, field, 8);
AT(pdk_error, value, 104);
AT(pdk_error, message, 176);
_Static_assert(sizeof(pdk_error) == 688, "pdk_error lies in callers' storage and cannot grow");

AT(pdk_string, data, 0);
AT(pdk_string, length, 8);
_Static_assert(sizeof(pdk_string) == 16, "pdk_string stands in arrays and cannot grow");

VALUE(PDK_RUNTIME_ABI_MAJOR, 1);
VALUE(PDK_RUNTIME_NEEDS_COMPUTE, 1);
AT(pdk_runtime, size, 0);
AT(pdk_runtime, abi_major, 4);
AT(pdk_runtime, abi_minor, 8);
AT(pdk_runtime, flags, 12);
AT(pdk_runtime, name, 16);
AT(pdk_runtime, description, 24);
AT(pdk_runtime, init, 32);
AT(pdk_runtime, get_extension, 40);
AT(pdk_runtime, done, 48);
_Static_assert(sizeof(pdk_runtime) >= 56, "pdk_runtime only grows");

VALUE(PDK_COMPUTE_ABI_MAJOR, 1);
AT(pdk_compute_config, size, 0);
AT(pdk_compute_config, threads, 4);
AT(pdk_compute_config, memory_bytes, 8);
AT(pdk_compute, size, 0);
AT(pdk_compute, abi_major, 4);
AT(pdk_compute, abi_minor, 8);
AT(pdk_compute, flags, 12);
AT(pdk_compute, name, 16);
AT(pdk_compute, description, 24);
AT(pdk_compute, score, 32);
AT(pdk_compute, init, 40);
AT(pdk_compute, get_extension, 48);
AT(pdk_compute, done, 56);
_Static_assert(sizeof(pdk_compute) >= 64, "pdk_compute only grows");

int main(void)
{
    return 0; /* it compiled */
}
