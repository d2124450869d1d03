/* runtimes/huggingface/model/gather.h: rows of a weight that lie in a tensor of another order or form. */
#pragma once

#include "runtimes/huggingface/model/tensors.h"

enum gather_kind {
    GATHER_NONE,
    GATHER_TRANSPOSED, /* the tensor's rows are the weight's columns */
    GATHER_MXFP4       /* codes and scales of OpenAI's files, in tensors of their own */
};

struct gather {
    enum gather_kind kind;
    uint64_t first;  /* the tensor's row of the weight's first column; MXFP4: of its first row */
    uint32_t width;  /* TRANSPOSED: numbers of the tensor's row */
    uint32_t offset; /* TRANSPOSED: the tensor's column of the weight's first row */
    uint32_t step;   /* from one of the weight's rows to the next */
    const struct tensor *scales;
};

/* Whether a tensor's numbers are such that only the backend can read them: turned.h then transposes. */
bool gather_needs_backend(const struct tensor *tensor, const struct gather *gather);
/* The type that rows are gathered in, without loss: PDK_TYPE_…. */
int32_t gather_type(const struct tensor *tensor, const struct gather *gather);
/* The bytes of the tensor that rows are gathered from. */
void gather_extent(const struct tensor *tensor, const struct gather *gather, uint32_t rows, uint32_t columns,
    uint64_t *ret_first, uint64_t *ret_bytes);
/* Writes rows of columns to `to`, of gather_type; not for what needs the backend. */
void gather_rows(const struct tensor *tensor, const struct gather *gather, uint32_t rows, uint32_t columns, void *to);
