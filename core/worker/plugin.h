/* core/worker/plugin.h: finding out whether a file may be loaded as a plugin, and loading it. All [init]. */
#pragma once

#include <paddock/compute.h>
#include <paddock/runtime.h>

/* Whether `path` is absolute and lies in `folder` (NULL: anywhere), is a regular ELF file for this machine, whole, and
 * neither it nor a folder above it may be changed by others than root and this user. */
pdk_status plugin_check(const char *path, const char *folder, pdk_error *err);
/* Checks and opens a runtime. Its table lives for ever: plugins are never closed. */
pdk_status plugin_open_runtime(const char *path, const char *folder, const pdk_runtime **ret_runtime, pdk_error *err);
/* The best compute plugin in `folder` for this machine, or the one named `forced` (NULL: none forced). Files that are
 * refused are told through `refused` and passed over. */
pdk_status plugin_open_compute(const char *folder, const char *forced, void (*refused)(const pdk_error *err),
    const pdk_compute **ret_compute, pdk_error *err);
