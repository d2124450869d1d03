/* runtimes/huggingface/model/safetensors.h: reading .safetensors files (the format: an eight-byte length, a JSON
 * header, the data). As strict as the reference reader: the tensors fill the data without holes or overlaps. */
#pragma once

#include <paddock/abi.h>
#include <stddef.h>
#include <stdint.h>

enum { SAFETENSORS_RANK_MAX = 8 };

struct safetensors; /* owns the mapping */

struct safetensors_tensor {
    const char *name;
    const char *dtype; /* "F32", "BF16", … */
    uint32_t rank;
    uint64_t shape[SAFETENSORS_RANK_MAX]; /* shape[0] is the slowest */
    const void *data;
    uint64_t bytes;
};

pdk_status safetensors_open(const char *path, struct safetensors **ret_file, pdk_error *err);
struct safetensors *safetensors_close(struct safetensors *file); /* takes NULL, returns NULL */
size_t safetensors_count(const struct safetensors *file);
/* In the order of their data. */
const struct safetensors_tensor *safetensors_at(const struct safetensors *file, size_t index);
