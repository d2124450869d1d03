/* runtimes/huggingface/model/tensors.h: the tensors of a model by name, whichever format and however many files they
 * lie in. Which were asked for is remembered: one that nobody wants means that the model is not what it was taken for.
 */
#pragma once

#include "runtimes/huggingface/model/gguf.h"
#include "runtimes/huggingface/model/safetensors.h"

struct quantised;

struct tensor {
    pdk_string name;
    const char *type_name; /* as the format says */
    int32_t type;          /* PDK_TYPE_…, or 0: one that is not computed with */
    uint32_t rank;
    uint64_t shape[SAFETENSORS_RANK_MAX]; /* shape[0] is the slowest, in both formats */
    const uint8_t *data;
    uint64_t bytes;
    bool used;
    struct quantised *quantised; /* quantised.h: `data` is codes only; NULL: the weights themselves */
    char *own_name;              /* what `name` points to, where no file holds it */
};

struct tensors {
    struct tensor *items; /* sorted by name */
    size_t count;
};

/* Of an open GGUF, or of open safetensors files, which stay open as long. PDK_INVALID: one name in two files. */
pdk_status tensors_of_gguf(const struct gguf *gguf, struct tensors *ret_tensors, pdk_error *err);
pdk_status tensors_of_files(
    struct safetensors *const *files, size_t count, struct tensors *ret_tensors, pdk_error *err);
void tensors_done(struct tensors *tensors);

/* By name, as tensors_find needs them. PDK_INVALID: two of one name. */
pdk_status tensors_sort(struct tensors *tensors, pdk_error *err);

/* Or NULL. */
struct tensor *tensors_find(const struct tensors *tensors, const char *name);
