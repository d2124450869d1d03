/* The header is read by base/json (which refuses duplicate names, bad UTF-8 and trailing bytes); then each tensor's
 * shape times type must be the bytes of its range, and the ranges in order must join up from the first byte to the
 * last. */
#include "config.h"

#include "runtimes/huggingface/model/safetensors.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/span.h"
#include "runtimes/huggingface/model/mapping.h"
#include "runtimes/huggingface/model/printable.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_BYTES_MAX = 100000000, NODES_MAX = 8000000 };

struct safetensors {
    struct mapping file;
    struct json_document *header; /* owns names and dtypes */
    struct safetensors_tensor *tensors;
    size_t count;
};

static const struct {
    const char *name;
    uint32_t bits;
} dtypes[] = {
    {"BOOL", 8},
    {"F4", 4},
    {"F6_E2M3", 6},
    {"F6_E3M2", 6},
    {"U8", 8},
    {"I8", 8},
    {"F8_E5M2", 8},
    {"F8_E4M3", 8},
    {"F8_E8M0", 8},
    {"I16", 16},
    {"U16", 16},
    {"F16", 16},
    {"BF16", 16},
    {"I32", 32},
    {"U32", 32},
    {"F32", 32},
    {"F64", 64},
    {"I64", 64},
    {"U64", 64},
    {"C64", 64},
};

static uint32_t dtype_bits(const char *name)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++)
        if (strcmp(dtypes[i].name, name) == 0)
            return dtypes[i].bits;
    return 0;
}

static pdk_status read_shape(
    const struct json *shape, struct safetensors_tensor *tensor, uint64_t *ret_elements, pdk_error *err)
{
    if (shape == NULL || shape->type != JSON_ARRAY)
        return pdk_error_set(err, PDK_INVALID, "shape", "'shape' must be an array, not %s", json_type_name(shape));
    if (shape->count > SAFETENSORS_RANK_MAX)
        return pdk_error_set(
            err, PDK_INVALID, "shape", "%" PRIu32 " dimensions; the limit is %d", shape->count, SAFETENSORS_RANK_MAX);
    uint64_t elements = 1;
    for (const struct json *at = shape->child; at != NULL; at = at->next) {
        uint64_t *size = &tensor->shape[tensor->rank++];
        if (!json_uint64(at, size))
            return pdk_error_set(
                err, PDK_INVALID, "shape", "dimension %" PRIu32 " is not a whole number from 0", tensor->rank);
        if (__builtin_mul_overflow(elements, *size, &elements))
            return pdk_error_set(err, PDK_INVALID, "shape", "the shape overflows 64 bits");
    }
    *ret_elements = elements;
    return PDK_OK;
}

static pdk_status read_range(
    const struct json *range, uint64_t room, uint64_t *ret_begin, uint64_t *ret_end, pdk_error *err)
{
    uint64_t begin, end;
    if (range == NULL || range->type != JSON_ARRAY || range->count != 2 || !json_uint64(range->child, &begin) ||
        !json_uint64(range->child->next, &end))
        return pdk_error_set(err, PDK_INVALID, "data_offsets", "'data_offsets' must be two whole numbers");
    if (begin > end)
        return pdk_error_set(err, PDK_INVALID, "data_offsets",
            "the data begins at %" PRIu64 " and ends before, at %" PRIu64, begin, end);
    if (end > room)
        return pdk_error_set(err, PDK_INVALID, "data_offsets",
            "the data ends at %" PRIu64 ", past the end of the file's data (%" PRIu64 " bytes)", end, room);
    *ret_begin = begin;
    *ret_end = end;
    return PDK_OK;
}

static pdk_status read_entry(
    const struct json *entry, const uint8_t *data, uint64_t room, struct safetensors_tensor *ret_tensor, pdk_error *err)
{
    struct safetensors_tensor tensor = {.name = entry->key};
    if (entry->type != JSON_OBJECT)
        return pdk_error_set(err, PDK_INVALID, "header", "must be an object, not %s", json_type_name(entry));
    for (const struct json *at = entry->child; at != NULL; at = at->next)
        if (strcmp(at->key, "dtype") != 0 && strcmp(at->key, "shape") != 0 && strcmp(at->key, "data_offsets") != 0)
            return pdk_error_value(err, PDK_INVALID, "header", at->key,
                "has a field that the format does not know; it knows dtype, shape and data_offsets");
    if (!json_string(json_get(entry, "dtype"), &tensor.dtype))
        return pdk_error_set(err, PDK_INVALID, "dtype", "'dtype' must be a string");
    uint32_t bits = dtype_bits(tensor.dtype);
    if (bits == 0)
        return pdk_error_value(
            err, PDK_INVALID, "dtype", tensor.dtype, "dtype '%s' is not in the format", printable(tensor.dtype).text);
    uint64_t elements, total, begin, end;
    pdk_status status = read_shape(json_get(entry, "shape"), &tensor, &elements, err);
    if (status == PDK_OK)
        status = read_range(json_get(entry, "data_offsets"), room, &begin, &end, err);
    if (status != PDK_OK)
        return status;
    if (__builtin_mul_overflow(elements, (uint64_t)bits, &total))
        return pdk_error_set(err, PDK_INVALID, "shape", "the size overflows 64 bits");
    if (total % 8 != 0 || total / 8 != end - begin)
        return pdk_error_set(err, PDK_INVALID, "data_offsets",
            "%" PRIu64 " elements of %s do not fill the %" PRIu64 " bytes given", elements, tensor.dtype, end - begin);
    tensor.data = data + begin;
    tensor.bytes = end - begin;
    *ret_tensor = tensor;
    return PDK_OK;
}

static int compare_places(const void *a, const void *b)
{
    const struct safetensors_tensor *left = a, *right = b;
    if (left->data != right->data)
        return (left->data > right->data) - (left->data < right->data);
    return (left->bytes > right->bytes) - (left->bytes < right->bytes); /* empty ones first */
}

static pdk_status check_contiguous(const struct safetensors *file, const uint8_t *data, uint64_t room, pdk_error *err)
{
    uint64_t at = 0;
    for (size_t i = 0; i < file->count; i++) {
        const struct safetensors_tensor *tensor = &file->tensors[i];
        uint64_t begin = (uint64_t)((const uint8_t *)tensor->data - data);
        if (begin != at)
            return pdk_error_value(err, PDK_INVALID, "data_offsets", tensor->name,
                "the data of '%s' begins at %" PRIu64 "; without %s it begins at %" PRIu64,
                printable(tensor->name).text, begin, begin > at ? "a hole" : "an overlap", at);
        at += tensor->bytes;
    }
    if (at != room)
        return pdk_error_set(
            err, PDK_INVALID, "data_offsets", "the tensors end at %" PRIu64 ", the file's data at %" PRIu64, at, room);
    return PDK_OK;
}

/* {"__metadata__": {"format": "pt", …}}: texts, of which none matters here. */
static pdk_status check_metadata(const struct json *metadata, pdk_error *err)
{
    if (metadata->type != JSON_OBJECT)
        return pdk_error_set(err, PDK_INVALID, "__metadata__", "must be an object, not %s", json_type_name(metadata));
    for (const struct json *at = metadata->child; at != NULL; at = at->next)
        if (at->type != JSON_STRING)
            return pdk_error_value(err, PDK_INVALID, "__metadata__", at->key, "'%s' must be a string, not %s",
                printable(at->key).text, json_type_name(at));
    return PDK_OK;
}

static pdk_status read_tensors(struct safetensors *file, const uint8_t *data, uint64_t room, pdk_error *err)
{
    const struct json *root = json_root(file->header);
    file->tensors = calloc(root->count + (size_t)1, sizeof *file->tensors);
    if (file->tensors == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "header", "no memory for %" PRIu32 " tensors", root->count);
    for (const struct json *entry = root->child; entry != NULL; entry = entry->next) {
        bool metadata = strcmp(entry->key, "__metadata__") == 0;
        pdk_status status =
            metadata ? check_metadata(entry, err) : read_entry(entry, data, room, &file->tensors[file->count], err);
        if (status != PDK_OK)
            return pdk_error_wrap(err, "'%s'", printable(entry->key).text);
        file->count += !metadata;
    }
    if (file->count != 0)
        qsort(file->tensors, file->count, sizeof *file->tensors, compare_places);
    return check_contiguous(file, data, room, err);
}

static pdk_status read_file(struct safetensors *file, pdk_error *err)
{
    struct span in = span_of(file->file.data, file->file.bytes);
    uint64_t length;
    if (!span_u64(&in, &length))
        return pdk_error_set(
            err, PDK_INVALID, "header", "%zu bytes are too few for a safetensors file", file->file.bytes);
    if (length > HEADER_BYTES_MAX)
        return pdk_error_set(
            err, PDK_TOO_LARGE, "header", "a header of %" PRIu64 " bytes; the limit is %d", length, HEADER_BYTES_MAX);
    const uint8_t *text;
    if (!span_take(&in, (size_t)length, &text))
        return pdk_error_set(
            err, PDK_INVALID, "header", "a header of %" PRIu64 " bytes in a file that has %zu more", length, in.left);
    if (length == 0 || text[0] != '{')
        return pdk_error_set(err, PDK_INVALID, "header", "the header does not start with '{'");
    const struct json_limits limits = {.bytes = HEADER_BYTES_MAX, .depth = 3, .nodes = NODES_MAX};
    pdk_status status = json_read((const char *)text, (size_t)length, &limits, &file->header, err);
    return status == PDK_OK ? read_tensors(file, in.at, in.left, err) : status;
}

pdk_status safetensors_open(const char *path, struct safetensors **ret_file, pdk_error *err)
{
    struct safetensors *file = calloc(1, sizeof *file);
    if (file == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "safetensors", "no memory for %s", path);
    pdk_status status = mapping_open(path, &file->file, err);
    if (status == PDK_OK) {
        status = read_file(file, err);
        if (status != PDK_OK)
            pdk_error_wrap(err, "%s", path);
    }
    if (status != PDK_OK) {
        safetensors_close(file);
        return status;
    }
    *ret_file = file;
    return PDK_OK;
}

struct safetensors *safetensors_close(struct safetensors *file)
{
    if (file == NULL)
        return NULL;
    free(file->tensors);
    json_document_free(file->header);
    mapping_close(&file->file);
    free(file);
    return NULL;
}

size_t safetensors_count(const struct safetensors *file)
{
    return file->count;
}

const struct safetensors_tensor *safetensors_at(const struct safetensors *file, size_t index)
{
    return &file->tensors[index];
}
