/* runtimes/huggingface/model/quantised.h: linears that a safetensors file holds as codes, scales and zeros in several
 * tensors. They are bound into one tensor each, under the name of the weight that they stand for ("….weight"), so that
 * whoever looks for weights needs to know nothing of them; its rows are put together when it is packed. */
#pragma once

#include "runtimes/huggingface/model/quantisation.h"
#include "runtimes/huggingface/model/tensors.h"

#include <paddock/draft/ops.h>

/* How the codes lie. */
enum code_layout {
    CODES_ROWS,        /* s8 or f8 [rows][columns] */
    CODES_AWQ,         /* 32-bit words [columns][rows / 8], the rows of a word in AWQ's order */
    CODES_GPTQ,        /* words [columns / each][rows] */
    CODES_PACKED_ROWS, /* words [rows][columns / each], codes with an offset of half their range */
};

struct quantised {
    enum code_layout layout;
    uint32_t bits;
    uint32_t rows, columns, group, groups; /* columns of a scale, and scales of a row */
    uint32_t scale_rows;                   /* rows that share scales */
    bool scales_by_column;                 /* scales and zeros are [groups][rows], else [rows / scale_rows][groups] */
    struct tensor scales, zeros;           /* copies; zeros are words as the codes are, or s8, or have no data */
    int32_t zero_offset;                   /* added to the file's zeros */
    uint32_t *inputs;                      /* [columns] which input stands at each place of the codes packed; or NULL */
};

/* Binds what `config` tells of, in place. Input scales and such are marked as used, and told of through `note`. */
pdk_status quantised_bind(struct tensors *tensors, const struct quantisation *config,
    void (*note)(void *context, const char *text), void *note_context, pdk_error *err);
void quantised_free(struct quantised *quantised); /* takes NULL */

/* What the backend will be given, for counting bytes: its pointers are not to be read. */
pdk_matrix quantised_shape(const struct tensor *tensor, uint32_t rows);
/* Rows [first_row, first_row + rows). Gives `ret_buffer`, which the matrix points into. */
pdk_status quantised_unpack(const struct tensor *tensor, uint32_t first_row, uint32_t rows, pdk_matrix *ret_matrix,
    void **ret_buffer, pdk_error *err);
