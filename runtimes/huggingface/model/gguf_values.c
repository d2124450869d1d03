/* Look-ups in an open file. Everything was checked when it was opened. */
#include "config.h"

#include "runtimes/huggingface/model/gguf_internal.h"

#include <assert.h>
#include <string.h>

size_t gguf_scalar_bytes(uint32_t type)
{
    static const uint8_t bytes[] = {[GGUF_U8] = 1,
        [GGUF_I8] = 1,
        [GGUF_U16] = 2,
        [GGUF_I16] = 2,
        [GGUF_U32] = 4,
        [GGUF_I32] = 4,
        [GGUF_F32] = 4,
        [GGUF_BOOL] = 1,
        [GGUF_U64] = 8,
        [GGUF_I64] = 8,
        [GGUF_F64] = 8};
    return type < sizeof bytes ? bytes[type] : 0;
}

int gguf_compare(pdk_string a, pdk_string b)
{
    size_t common = a.length < b.length ? a.length : b.length;
    int order = memcmp(a.data, b.data, common);
    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

static const struct gguf_value *find(const struct gguf *gguf, const char *key)
{
    pdk_string wanted = {key, strlen(key)};
    size_t low = 0, high = gguf->value_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = gguf_compare(gguf->values[middle].key, wanted);
        if (order == 0)
            return &gguf->values[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static bool is_integer(enum gguf_type type)
{
    return type <= GGUF_I32 || type == GGUF_U64 || type == GGUF_I64;
}

static bool is_real(enum gguf_type type)
{
    return type == GGUF_F32 || type == GGUF_F64;
}

/* The bits of an integer, sign-extended; *ret_negative tells how to read them. */
static uint64_t read_integer(enum gguf_type type, const uint8_t *data, bool *ret_negative)
{
    uint64_t bits = 0;
    size_t bytes = gguf_scalar_bytes(type);
    memcpy(&bits, data, bytes);
    bool is_signed = type == GGUF_I8 || type == GGUF_I16 || type == GGUF_I32 || type == GGUF_I64;
    *ret_negative = is_signed && (bits >> (8 * bytes - 1)) != 0;
    if (*ret_negative && bytes < sizeof bits)
        bits |= ~(uint64_t)0 << (8 * bytes);
    return bits;
}

static double read_real(enum gguf_type type, const uint8_t *data)
{
    if (type == GGUF_F64) {
        double value;
        memcpy(&value, data, sizeof value);
        return value;
    }
    float value;
    memcpy(&value, data, sizeof value);
    return (double)value;
}

static double read_number(enum gguf_type type, const uint8_t *data)
{
    if (is_real(type))
        return read_real(type, data);
    bool negative;
    uint64_t bits = read_integer(type, data, &negative);
    return negative ? (double)(int64_t)bits : (double)bits;
}

bool gguf_uint(const struct gguf *gguf, const char *key, uint64_t *ret_value)
{
    const struct gguf_value *value = find(gguf, key);
    if (value == NULL || !is_integer(value->type))
        return false;
    bool negative;
    uint64_t bits = read_integer(value->type, value->data, &negative);
    if (negative)
        return false;
    *ret_value = bits;
    return true;
}

bool gguf_double(const struct gguf *gguf, const char *key, double *ret_value)
{
    const struct gguf_value *value = find(gguf, key);
    if (value == NULL || (!is_real(value->type) && !is_integer(value->type)))
        return false;
    *ret_value = read_number(value->type, value->data);
    return true;
}

bool gguf_bool(const struct gguf *gguf, const char *key, bool *ret_value)
{
    const struct gguf_value *value = find(gguf, key);
    if (value == NULL || value->type != GGUF_BOOL)
        return false;
    *ret_value = *value->data != 0;
    return true;
}

bool gguf_string(const struct gguf *gguf, const char *key, pdk_string *ret_value)
{
    const struct gguf_value *value = find(gguf, key);
    if (value == NULL || value->type != GGUF_STRING)
        return false;
    *ret_value = value->string;
    return true;
}

bool gguf_has(const struct gguf *gguf, const char *key)
{
    return find(gguf, key) != NULL;
}

const struct gguf_array *gguf_array(const struct gguf *gguf, const char *key, enum gguf_type element, size_t *ret_count)
{
    const struct gguf_value *value = find(gguf, key);
    if (value == NULL || value->type != GGUF_ARRAY)
        return NULL;
    enum gguf_type type = value->array.element;
    if (type != element && !(is_integer(type) && is_integer(element)) && !(is_real(type) && is_real(element)))
        return NULL;
    *ret_count = value->array.count;
    return &value->array;
}

pdk_string gguf_array_string(const struct gguf_array *array, size_t index)
{
    assert(array->element == GGUF_STRING && index < array->count);
    return array->strings[index];
}

static const uint8_t *element_at(const struct gguf_array *array, size_t index)
{
    assert(array->element != GGUF_STRING && index < array->count);
    return array->data + index * gguf_scalar_bytes(array->element);
}

int64_t gguf_array_int(const struct gguf_array *array, size_t index)
{
    const uint8_t *data = element_at(array, index);
    bool negative;
    return (int64_t)read_integer(array->element, data, &negative);
}

double gguf_array_double(const struct gguf_array *array, size_t index)
{
    return read_number(array->element, element_at(array, index));
}

size_t gguf_tensor_count(const struct gguf *gguf)
{
    return gguf->tensor_count;
}

const struct gguf_tensor *gguf_tensor_at(const struct gguf *gguf, size_t index)
{
    assert(index < gguf->tensor_count);
    return &gguf->tensors[index];
}

const struct gguf_tensor *gguf_tensor(const struct gguf *gguf, const char *name)
{
    pdk_string wanted = {name, strlen(name)};
    size_t low = 0, high = gguf->tensor_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = gguf_compare(gguf->tensors[middle].name, wanted);
        if (order == 0)
            return &gguf->tensors[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
