/* core/fetch/archive.h: unpacking what was downloaded, without trusting it. */
#pragma once

#include <paddock/abi.h>
#include <stdint.h>

struct archive_limits {
    uint64_t entries, bytes; /* of files and of their content together */
    uint32_t ratio;          /* content bytes for a byte of archive */
};
extern const struct archive_limits archive_limits_default; /* 10,000 entries, 1 TiB, 1000 : 1 */

/* Unpacks `path` (tar, tar.gz, zip) into `folder`, which exists and is empty. Only files and folders: a link, device,
 * absolute path, "..", or anything over a limit is an error that names the entry, and leaves the folder half filled for
 * the caller to remove. */
pdk_status archive_unpack(const char *path, const char *folder, const struct archive_limits *limits, pdk_error *err);
