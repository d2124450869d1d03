/* runtimes/huggingface/model/gguf_internal.h: what an open GGUF file is made of; for gguf.c and gguf_values.c. */
#pragma once

#include "runtimes/huggingface/model/gguf.h"
#include "runtimes/huggingface/model/mapping.h"

struct gguf_array {
    enum gguf_type element;
    size_t count;
    const uint8_t *data;
    pdk_string *strings; /* [count], for GGUF_STRING */
};

struct gguf_value {
    pdk_string key;
    enum gguf_type type;
    const uint8_t *data; /* of a scalar: as in the file, unaligned */
    pdk_string string;
    struct gguf_array array;
};

struct gguf {
    struct mapping *parts;
    size_t part_count;
    struct gguf_value *values; /* of the first part, sorted by key */
    size_t value_count;
    struct gguf_tensor *tensors; /* of all parts, sorted by name */
    size_t tensor_count;
};

/* Bytes of a scalar; 0: a string, an array, or no type. */
size_t gguf_scalar_bytes(uint32_t type);
/* Order of bytes, then of length. */
int gguf_compare(pdk_string a, pdk_string b);
