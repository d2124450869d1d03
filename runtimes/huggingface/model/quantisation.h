/* runtimes/huggingface/model/quantisation.h: what config.json says of weights that are held in codes. How each linear
 * is held, its tensors tell (quantised.h). */
#pragma once

#include "runtimes/huggingface/model/config_reader.h"

enum quantisation_method {
    QUANTISATION_NONE,
    QUANTISATION_AWQ,
    QUANTISATION_GPTQ,
    QUANTISATION_FP8,
    QUANTISATION_COMPRESSED,
    QUANTISATION_MXFP4 /* experts' blocks and scales; no linear is held so */
};

enum { QUANTISATION_SCHEMES_MAX = 8 };

struct quantisation {
    enum quantisation_method method;
    uint32_t bits;                             /* AWQ, GPTQ */
    uint32_t group;                            /* AWQ, GPTQ: columns of a scale; 0: a whole row */
    uint32_t groups[QUANTISATION_SCHEMES_MAX]; /* COMPRESSED: the group sizes of its schemes; 0: others */
    uint32_t block_rows, block_cols;           /* FP8: weights of a scale; 0: a tensor or a row */
    bool zeros_less_one;                       /* GPTQ: the file's zeros are one too small */
    bool has_activations;                      /* inputs should be rounded too: they stay float */
    bool has_cache;                            /* the cache should be rounded too: it is not */
};

/* Reads quantization_config or compression_config; absent: QUANTISATION_NONE. What is not read is refused by name. */
pdk_status quantisation_read(struct config_reader *reader, struct quantisation *ret_quantisation, pdk_error *err);

/* "awq", "gptq", "fp8", "compressed-tensors", "mxfp4"; NULL: none. */
const char *quantisation_name(enum quantisation_method method);
