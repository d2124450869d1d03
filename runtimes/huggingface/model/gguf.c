/* One pass over each part with a span: nothing is believed before it was compared with what is left of the file, and
 * nothing is allocated for a count that the file could not hold. Then values and tensors are sorted by name, which
 * finds duplicates and makes look-ups; tensors once more by place, which finds overlaps. */
#include "config.h"

#include "runtimes/huggingface/model/gguf_internal.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/span.h"
#include "runtimes/huggingface/model/gguf_types.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PARTS_MAX = 1000,
    NAME_BYTES_MAX = 255,
    ALIGNMENT_STANDARD = 32,
    ALIGNMENT_MAX = 1 << 20,
    VALUE_BYTES_MIN = 14,  /* key of one byte, type, value of one byte */
    TENSOR_BYTES_MIN = 33, /* name of one byte, rank 1 */
    TYPE_BYTES = 4
};

/* One part while it is read. */
struct part {
    struct span in;
    struct gguf_value *values;
    size_t value_count;
    struct gguf_tensor *tensors;
    size_t tensor_count;
};

static void part_done(struct part *part)
{
    for (size_t i = 0; i < part->value_count; i++)
        free(part->values[i].array.strings);
    free(part->values);
    free(part->tensors);
    *part = (struct part){0};
}

static pdk_status ends_early(pdk_error *err, const char *what)
{
    return pdk_error_set(err, PDK_INVALID, what, "the file ends inside %s", what);
}

static bool take_string(struct span *in, pdk_string *ret_string)
{
    struct span before = *in;
    size_t length;
    const uint8_t *bytes;
    if (span_u64_size(in, &length) && span_take(in, length, &bytes)) {
        *ret_string = (pdk_string){(const char *)bytes, length};
        return true;
    }
    *in = before;
    return false;
}

/* Names stand in messages and are compared with ours: printable ASCII, so that neither can be tricked. */
static pdk_status take_name(struct span *in, const char *what, pdk_string *ret_name, pdk_error *err)
{
    pdk_string name;
    if (!take_string(in, &name))
        return ends_early(err, what);
    if (name.length == 0 || name.length > NAME_BYTES_MAX)
        return pdk_error_set(
            err, PDK_INVALID, what, "a name of %zu bytes; it may have 1 to %d", name.length, NAME_BYTES_MAX);
    for (size_t i = 0; i < name.length; i++)
        if (name.data[i] < 0x21 || name.data[i] > 0x7e)
            return pdk_error_set(err, PDK_INVALID, what, "a name with byte 0x%02x at %zu; names are printable ASCII",
                (unsigned)(unsigned char)name.data[i], i);
    *ret_name = name;
    return PDK_OK;
}

static pdk_status take_array(
    struct span *in, const struct gguf_value *value, struct gguf_array *ret_array, pdk_error *err)
{
    int length = (int)value->key.length;
    const char *key = value->key.data;
    uint32_t element;
    size_t count;
    if (!span_u32(in, &element) || !span_u64_size(in, &count))
        return ends_early(err, "metadata");
    if (element == GGUF_ARRAY)
        return pdk_error_set(err, PDK_UNSUPPORTED, "metadata", "%.*s is an array of arrays", length, key);
    if (element > GGUF_F64)
        return pdk_error_set(err, PDK_INVALID, "metadata", "%.*s has elements of type %" PRIu32 "; types are 0 to 12",
            length, key, element);
    struct gguf_array array = {.element = (enum gguf_type)element, .count = count, .data = in->at};
    size_t size = element == GGUF_STRING ? sizeof(uint64_t) : gguf_scalar_bytes(element), bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > in->left)
        return pdk_error_set(
            err, PDK_INVALID, "metadata", "%.*s has %zu elements, more than the file holds", length, key, count);
    if (element != GGUF_STRING) {
        const uint8_t *data;
        span_take(in, bytes, &data);
        *ret_array = array;
        return PDK_OK;
    }
    PDK_AUTO_FREE pdk_string *strings = calloc(count != 0 ? count : 1, sizeof *strings);
    if (strings == NULL)
        return pdk_error_set(
            err, PDK_NO_MEMORY, "metadata", "no memory for the %zu strings of %.*s", count, length, key);
    for (size_t i = 0; i < count; i++)
        if (!take_string(in, &strings[i]))
            return pdk_error_set(
                err, PDK_INVALID, "metadata", "the file ends inside string %zu of %.*s", i, length, key);
    array.strings = PDK_STEAL(strings);
    *ret_array = array;
    return PDK_OK;
}

static pdk_status take_value(struct span *in, struct gguf_value *ret_value, pdk_error *err)
{
    struct gguf_value value = {0};
    pdk_status status = take_name(in, "metadata", &value.key, err);
    if (status != PDK_OK)
        return status;
    uint32_t type;
    if (!span_u32(in, &type))
        return ends_early(err, "metadata");
    if (type > GGUF_F64)
        return pdk_error_set(err, PDK_INVALID, "metadata", "%.*s has type %" PRIu32 "; types are 0 to 12",
            (int)value.key.length, value.key.data, type);
    value.type = (enum gguf_type)type;
    if (type == GGUF_ARRAY) {
        status = take_array(in, &value, &value.array, err);
        if (status != PDK_OK)
            return status;
    } else if (type == GGUF_STRING) {
        if (!take_string(in, &value.string))
            return ends_early(err, "metadata");
    } else if (!span_take(in, gguf_scalar_bytes(type), &value.data)) {
        return ends_early(err, "metadata");
    }
    *ret_value = value;
    return PDK_OK;
}

/* Bytes of the tensor from its shape and type. */
static pdk_status measure(struct gguf_tensor *tensor, pdk_error *err)
{
    int length = (int)tensor->name.length;
    const char *name = tensor->name.data;
    const struct gguf_type_row *type = gguf_type_row(tensor->type);
    if (type == NULL)
        return pdk_error_set(err, PDK_INVALID, "tensors", "%.*s has type %" PRIu32 ", which is not in the format",
            length, name, tensor->type);
    uint64_t elements = 1;
    for (uint32_t i = 0; i < tensor->rank; i++) {
        if (tensor->shape[i] == 0)
            return pdk_error_set(err, PDK_INVALID, "tensors", "%.*s has a dimension of 0", length, name);
        if (__builtin_mul_overflow(elements, tensor->shape[i], &elements))
            return pdk_error_set(err, PDK_INVALID, "tensors", "the shape of %.*s overflows 64 bits", length, name);
    }
    if (tensor->shape[0] % type->block != 0)
        return pdk_error_set(err, PDK_INVALID, "tensors",
            "%.*s has %" PRIu64 " columns, not a multiple of the %" PRIu32 " that %s packs together", length, name,
            tensor->shape[0], type->block, type->name);
    if (__builtin_mul_overflow(elements / type->block, (uint64_t)type->bytes, &tensor->bytes))
        return pdk_error_set(err, PDK_INVALID, "tensors", "the size of %.*s overflows 64 bits", length, name);
    return PDK_OK;
}

static pdk_status take_tensor(struct span *in, struct gguf_tensor *ret_tensor, uint64_t *ret_offset, pdk_error *err)
{
    struct gguf_tensor tensor = {.shape = {1, 1, 1, 1}};
    pdk_status status = take_name(in, "tensors", &tensor.name, err);
    if (status != PDK_OK)
        return status;
    if (!span_u32(in, &tensor.rank))
        return ends_early(err, "tensors");
    if (tensor.rank == 0 || tensor.rank > 4)
        return pdk_error_set(err, PDK_INVALID, "tensors", "%.*s has %" PRIu32 " dimensions; it may have 1 to 4",
            (int)tensor.name.length, tensor.name.data, tensor.rank);
    for (uint32_t i = 0; i < tensor.rank; i++)
        if (!span_u64(in, &tensor.shape[i]))
            return ends_early(err, "tensors");
    uint64_t offset;
    if (!span_u32(in, &tensor.type) || !span_u64(in, &offset))
        return ends_early(err, "tensors");
    status = measure(&tensor, err);
    if (status != PDK_OK)
        return status;
    *ret_tensor = tensor;
    *ret_offset = offset;
    return PDK_OK;
}

static pdk_status read_head(struct part *part, size_t *ret_values, size_t *ret_tensors, pdk_error *err)
{
    static const uint8_t magic[4] = {'G', 'G', 'U', 'F'};
    const uint8_t *bytes;
    if (!span_take(&part->in, sizeof magic, &bytes) || memcmp(bytes, magic, sizeof magic) != 0)
        return pdk_error_set(err, PDK_INVALID, "magic", "not a GGUF file: it does not start with 'GGUF'");
    uint32_t version;
    if (!span_u32(&part->in, &version))
        return ends_early(err, "the header");
    if (version != 0 && (version & 0xffff) == 0)
        return pdk_error_set(
            err, PDK_UNSUPPORTED, "version", "a big-endian GGUF file; only little-endian ones are read");
    if (version != 2 && version != 3)
        return pdk_error_set(
            err, PDK_UNSUPPORTED, "version", "GGUF version %" PRIu32 "; versions 2 and 3 are read", version);
    size_t tensors, values;
    if (!span_u64_size(&part->in, &tensors) || !span_u64_size(&part->in, &values))
        return ends_early(err, "the header");
    if (tensors > part->in.left / TENSOR_BYTES_MIN)
        return pdk_error_set(err, PDK_INVALID, "tensor_count", "%zu tensors; the %zu bytes left cannot hold them",
            tensors, part->in.left);
    if (values > part->in.left / VALUE_BYTES_MIN)
        return pdk_error_set(err, PDK_INVALID, "metadata_kv_count",
            "%zu metadata values; the %zu bytes left cannot hold them", values, part->in.left);
    *ret_values = values;
    *ret_tensors = tensors;
    return PDK_OK;
}

static int compare_values(const void *a, const void *b)
{
    return gguf_compare(((const struct gguf_value *)a)->key, ((const struct gguf_value *)b)->key);
}

static pdk_status read_values(struct part *part, size_t count, pdk_error *err)
{
    part->values = calloc(count != 0 ? count : 1, sizeof *part->values);
    if (part->values == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "metadata_kv_count", "no memory for %zu metadata values", count);
    for (; part->value_count < count; part->value_count++) {
        pdk_status status = take_value(&part->in, &part->values[part->value_count], err);
        if (status != PDK_OK)
            return status;
    }
    qsort(part->values, count, sizeof *part->values, compare_values);
    for (size_t i = 1; i < count; i++)
        if (gguf_compare(part->values[i - 1].key, part->values[i].key) == 0)
            return pdk_error_set(err, PDK_INVALID, "metadata", "%.*s is there twice", (int)part->values[i].key.length,
                part->values[i].key.data);
    return PDK_OK;
}

static pdk_status find_alignment(const struct part *part, uint32_t *ret_alignment, pdk_error *err)
{
    const struct gguf values = {.values = part->values, .value_count = part->value_count};
    uint64_t alignment = ALIGNMENT_STANDARD;
    if (!gguf_uint(&values, "general.alignment", &alignment) && gguf_has(&values, "general.alignment"))
        return pdk_error_set(err, PDK_INVALID, "general.alignment", "general.alignment is not a whole number");
    if (alignment == 0 || alignment > ALIGNMENT_MAX || (alignment & (alignment - 1)) != 0)
        return pdk_error_set(err, PDK_INVALID, "general.alignment",
            "general.alignment is %" PRIu64 "; it may be a power of two up to %d", alignment, ALIGNMENT_MAX);
    *ret_alignment = (uint32_t)alignment;
    return PDK_OK;
}

static int compare_places(const void *a, const void *b)
{
    const struct gguf_tensor *left = a, *right = b;
    return (left->data > right->data) - (left->data < right->data);
}

/* The data begins at the next multiple of the alignment; every tensor lies inside it, and none on another. */
static pdk_status place_tensors(
    struct part *part, const struct mapping *file, const uint64_t *offsets, uint32_t alignment, pdk_error *err)
{
    size_t head = file->bytes - part->in.left, start = (head + alignment - 1) / alignment * alignment;
    uint64_t room = start < file->bytes ? file->bytes - start : 0;
    for (size_t i = 0; i < part->tensor_count; i++) {
        struct gguf_tensor *tensor = &part->tensors[i];
        int length = (int)tensor->name.length;
        uint64_t end;
        if (offsets[i] % alignment != 0)
            return pdk_error_set(err, PDK_INVALID, "tensors",
                "%.*s begins at %" PRIu64 ", not a multiple of the alignment (%" PRIu32 ")", length, tensor->name.data,
                offsets[i], alignment);
        if (__builtin_add_overflow(offsets[i], tensor->bytes, &end) || end > room)
            return pdk_error_set(err, PDK_INVALID, "tensors",
                "%.*s (%" PRIu64 " bytes at %" PRIu64 ") passes the end of the file's data (%" PRIu64 " bytes)", length,
                tensor->name.data, tensor->bytes, offsets[i], room);
        tensor->data = file->data + start + offsets[i];
    }
    if (part->tensor_count != 0)
        qsort(part->tensors, part->tensor_count, sizeof *part->tensors, compare_places);
    for (size_t i = 1; i < part->tensor_count; i++) {
        const struct gguf_tensor *before = &part->tensors[i - 1], *tensor = &part->tensors[i];
        if ((const uint8_t *)before->data + before->bytes > (const uint8_t *)tensor->data)
            return pdk_error_set(err, PDK_INVALID, "tensors", "%.*s and %.*s lie on each other",
                (int)before->name.length, before->name.data, (int)tensor->name.length, tensor->name.data);
    }
    return PDK_OK;
}

static pdk_status read_tensors(struct part *part, const struct mapping *file, size_t count, pdk_error *err)
{
    PDK_AUTO_FREE uint64_t *offsets = calloc(count != 0 ? count : 1, sizeof *offsets);
    part->tensors = calloc(count != 0 ? count : 1, sizeof *part->tensors);
    if (offsets == NULL || part->tensors == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "tensor_count", "no memory for %zu tensors", count);
    for (; part->tensor_count < count; part->tensor_count++) {
        size_t i = part->tensor_count;
        pdk_status status = take_tensor(&part->in, &part->tensors[i], &offsets[i], err);
        if (status != PDK_OK)
            return status;
    }
    uint32_t alignment;
    pdk_status status = find_alignment(part, &alignment, err);
    if (status != PDK_OK)
        return status;
    return place_tensors(part, file, offsets, alignment, err);
}

static pdk_status read_part(const struct mapping *file, struct part *part, pdk_error *err)
{
    part->in = span_of(file->data, file->bytes);
    size_t values, tensors;
    pdk_status status = read_head(part, &values, &tensors, err);
    if (status == PDK_OK)
        status = read_values(part, values, err);
    if (status == PDK_OK)
        status = read_tensors(part, file, tensors, err);
    return status;
}

static int compare_names(const void *a, const void *b)
{
    return gguf_compare(((const struct gguf_tensor *)a)->name, ((const struct gguf_tensor *)b)->name);
}

/* Moves the tensors of a part to the file's. */
static pdk_status add_tensors(struct gguf *gguf, struct part *part, pdk_error *err)
{
    size_t count, bytes;
    if (__builtin_add_overflow(gguf->tensor_count, part->tensor_count, &count) ||
        __builtin_mul_overflow(count + 1, sizeof *gguf->tensors, &bytes))
        return pdk_error_set(err, PDK_NO_MEMORY, "tensor_count", "too many tensors");
    struct gguf_tensor *grown = realloc(gguf->tensors, bytes);
    if (grown == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "tensor_count", "no memory for %zu tensors", count);
    gguf->tensors = grown;
    if (part->tensor_count != 0)
        memcpy(grown + gguf->tensor_count, part->tensors, part->tensor_count * sizeof *grown);
    gguf->tensor_count = count;
    return PDK_OK;
}

static pdk_status sort_tensors(struct gguf *gguf, pdk_error *err)
{
    if (gguf->tensor_count != 0)
        qsort(gguf->tensors, gguf->tensor_count, sizeof *gguf->tensors, compare_names);
    for (size_t i = 1; i < gguf->tensor_count; i++)
        if (gguf_compare(gguf->tensors[i - 1].name, gguf->tensors[i].name) == 0)
            return pdk_error_set(err, PDK_INVALID, "tensors", "%.*s is there twice", (int)gguf->tensors[i].name.length,
                gguf->tensors[i].name.data);
    return PDK_OK;
}

/* What a part says of itself: its place and how many there are. */
static pdk_status check_split(const struct part *part, size_t number, size_t *ret_count, pdk_error *err)
{
    const struct gguf values = {.values = part->values, .value_count = part->value_count};
    uint64_t count = 1, place = 0;
    gguf_uint(&values, "split.count", &count);
    gguf_uint(&values, "split.no", &place);
    if (count <= 1 && number == 0) {
        *ret_count = 1;
        return PDK_OK;
    }
    if (count > PARTS_MAX)
        return pdk_error_set(
            err, PDK_INVALID, "split.count", "split.count is %" PRIu64 "; the limit is %d", count, PARTS_MAX);
    if (place != number)
        return pdk_error_set(err, PDK_INVALID, "split.no",
            "this is part %" PRIu64 " of %" PRIu64 ", and part %zu is wanted", place + 1, count, number + 1);
    *ret_count = (size_t)count;
    return PDK_OK;
}

static pdk_status open_part(struct gguf *gguf, const char *path, size_t number, size_t *ret_count, pdk_error *err)
{
    struct mapping *file = &gguf->parts[number];
    pdk_status status = mapping_open(path, file, err);
    if (status != PDK_OK)
        return status;
    gguf->part_count = number + 1;
    PDK_CLEANUP(part_done) struct part part = {0};
    status = read_part(file, &part, err);
    if (status == PDK_OK)
        status = check_split(&part, number, ret_count, err);
    if (status == PDK_OK)
        status = add_tensors(gguf, &part, err);
    if (status != PDK_OK)
        return pdk_error_wrap(err, "%s", path);
    if (number == 0) {
        gguf->values = PDK_STEAL(part.values);
        gguf->value_count = part.value_count;
        part.value_count = 0;
    }
    return PDK_OK;
}

static pdk_status open_rest(struct gguf *gguf, const char *path, size_t count, pdk_error *err)
{
    char ending[64], name[4096];
    snprintf(ending, sizeof ending, "-00001-of-%05zu.gguf", count);
    size_t length = strlen(path), tail = strlen(ending);
    if (length < tail || strcmp(path + length - tail, ending) != 0)
        return pdk_error_set(err, PDK_INVALID, "split.count",
            "%s is the first of %zu parts, so its name must end in %s", path, count, ending);
    for (size_t i = 1; i < count; i++) {
        int written = snprintf(name, sizeof name, "%.*s-%05zu-of-%05zu.gguf", (int)(length - tail), path, i + 1, count);
        if (written < 0 || (size_t)written >= sizeof name)
            return pdk_error_set(err, PDK_INVALID, "path", "path too long: %.200s", path);
        size_t same;
        pdk_status status = open_part(gguf, name, i, &same, err);
        if (status != PDK_OK)
            return status;
        if (same != count)
            return pdk_error_set(err, PDK_INVALID, "split.count",
                "%s says that there are %zu parts, the first part %zu", name, same, count);
    }
    return PDK_OK;
}

pdk_status gguf_open(const char *path, struct gguf **ret_gguf, pdk_error *err)
{
    struct gguf *gguf = calloc(1, sizeof *gguf);
    if (gguf != NULL)
        gguf->parts = calloc(PARTS_MAX, sizeof *gguf->parts);
    if (gguf == NULL || gguf->parts == NULL) {
        gguf_close(gguf);
        return pdk_error_set(err, PDK_NO_MEMORY, "gguf", "no memory for %s", path);
    }
    size_t count = 1;
    pdk_status status = open_part(gguf, path, 0, &count, err);
    if (status == PDK_OK && count > 1)
        status = open_rest(gguf, path, count, err);
    if (status == PDK_OK)
        status = sort_tensors(gguf, err);
    if (status != PDK_OK) {
        gguf_close(gguf);
        return status;
    }
    *ret_gguf = gguf;
    return PDK_OK;
}

struct gguf *gguf_close(struct gguf *gguf)
{
    if (gguf == NULL)
        return NULL;
    struct part first = {.values = gguf->values, .value_count = gguf->value_count, .tensors = gguf->tensors};
    part_done(&first);
    for (size_t i = 0; gguf->parts != NULL && i < gguf->part_count; i++)
        mapping_close(&gguf->parts[i]);
    free(gguf->parts);
    free(gguf);
    return NULL;
}
