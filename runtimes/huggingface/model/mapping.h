/* runtimes/huggingface/model/mapping.h: a file as read-only memory. Its size is fstat's of the descriptor that is
 * mapped: what every offset inside is checked against. */
#pragma once

#include <paddock/abi.h>
#include <stddef.h>
#include <stdint.h>

struct mapping {
    const uint8_t *data;
    size_t bytes;
};

/* Maps a regular file that is not empty. */
pdk_status mapping_open(const char *path, struct mapping *ret_mapping, pdk_error *err);
void mapping_close(struct mapping *mapping); /* empties it; an empty one is fine */
/* The pages that hold [at, at + bytes) are read soon. */
void mapping_prefetch(const void *at, uint64_t bytes);
/* The pages of [at, at + bytes) were read and are not needed soon: their memory may go. */
void mapping_release(const void *at, uint64_t bytes);
