/* runtimes/huggingface/model/gguf_types.h: how ggml's tensor types lie in a file. */
#pragma once

#include <stdint.h>

struct gguf_type_row {
    const char *name; /* NULL: no such type */
    uint32_t block;   /* weights in a block: columns are a multiple of it */
    uint32_t bytes;   /* of a block */
};

/* NULL: no type has that number. */
const struct gguf_type_row *gguf_type_row(uint32_t type);
