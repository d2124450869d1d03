/* runtimes/huggingface/model/gguf.h: reading GGUF files (the format document: ggml's docs/gguf.md, versions 2 and 3).
 *
 * The file is mapped; every count, length and offset is checked against it once, here, and duplicate keys, tensors and
 * overlapping data are refused. Split files (NAME-00001-of-00003.gguf) open as one. */
#pragma once

#include <paddock/abi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gguf; /* owns the mappings */

enum gguf_type {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64
};

struct gguf_tensor {
    pdk_string name;
    uint32_t type;     /* ggml's number: 0 f32, 1 f16, 2 q4_0, 3 q4_1, 8 q8_0, 30 bf16, … */
    uint32_t rank;     /* 1 to 4 */
    uint64_t shape[4]; /* shape[0] is the fastest: columns */
    const void *data;
    uint64_t bytes;
};

pdk_status gguf_open(const char *path, struct gguf **ret_gguf, pdk_error *err);
struct gguf *gguf_close(struct gguf *gguf); /* takes NULL, returns NULL */

/* Metadata by key. False: not there, or of another kind. Integers of every width are read alike. Strings are borrowed
 * from the mapping and need not end in NUL. */
bool gguf_uint(const struct gguf *gguf, const char *key, uint64_t *ret_value);
bool gguf_double(const struct gguf *gguf, const char *key, double *ret_value);
bool gguf_bool(const struct gguf *gguf, const char *key, bool *ret_value);
bool gguf_string(const struct gguf *gguf, const char *key, pdk_string *ret_value);
bool gguf_has(const struct gguf *gguf, const char *key); /* of whatever kind */

/* Arrays: length, then elements by index. The array is indexed once, so that each look-up costs the same. */
struct gguf_array; /* borrowed from the file's index */
const struct gguf_array *gguf_array(
    const struct gguf *gguf, const char *key, enum gguf_type element, size_t *ret_count);
pdk_string gguf_array_string(const struct gguf_array *array, size_t index);
int64_t gguf_array_int(const struct gguf_array *array, size_t index);
double gguf_array_double(const struct gguf_array *array, size_t index);

size_t gguf_tensor_count(const struct gguf *gguf);
const struct gguf_tensor *gguf_tensor_at(const struct gguf *gguf, size_t index);
const struct gguf_tensor *gguf_tensor(const struct gguf *gguf, const char *name); /* or NULL */
