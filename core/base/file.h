/* core/base/file.h: whole files. */
#pragma once

#include "core/base/buffer.h"

/* Reads a regular file of at most `max_bytes` into `ret_content`. PDK_TOO_LARGE names the limit. */
pdk_status file_read(const char *path, size_t max_bytes, struct buffer *ret_content, pdk_error *err);
/* Replaces `path` as a whole: temporary file beside it, fdatasync, rename, fsync of the folder. */
pdk_status file_replace(const char *path, const void *bytes, size_t length, unsigned mode, pdk_error *err);
/* Makes `path` and the folders above it. */
pdk_status folder_make(const char *path, unsigned mode, pdk_error *err);
/* Removes `name` below the open folder `parent` (or AT_FDCWD) with all it holds, following no link. What cannot be
 * removed is left. */
void folder_remove(int parent, const char *name);
