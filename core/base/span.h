/* core/base/span.h: reading outside bytes without pointer arithmetic. A take that does not fit returns false and leaves
 * the span and the result as they were. Numbers are little endian. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const uint8_t *at;
    size_t left;
};

static inline struct span span_of(const void *data, size_t length)
{
    return (struct span){(const uint8_t *)data, length};
}

/* Takes `length` bytes, borrowed from the span's memory. */
static inline bool span_take(struct span *span, size_t length, const uint8_t **ret_bytes)
{
    if (length > span->left)
        return false;
    *ret_bytes = span->at;
    span->at += length;
    span->left -= length;
    return true;
}

static inline bool span_copy(struct span *span, void *to, size_t length)
{
    const uint8_t *bytes;
    if (!span_take(span, length, &bytes))
        return false;
    if (length != 0)
        memcpy(to, bytes, length);
    return true;
}

static inline bool span_u8(struct span *span, uint8_t *ret_value)
{
    return span_copy(span, ret_value, sizeof *ret_value);
}

static inline bool span_u16(struct span *span, uint16_t *ret_value)
{
    return span_copy(span, ret_value, sizeof *ret_value);
}

static inline bool span_u32(struct span *span, uint32_t *ret_value)
{
    return span_copy(span, ret_value, sizeof *ret_value);
}

static inline bool span_u64(struct span *span, uint64_t *ret_value)
{
    return span_copy(span, ret_value, sizeof *ret_value);
}

/* A u64 that must fit a size_t. */
static inline bool span_u64_size(struct span *span, size_t *ret_value)
{
    struct span before = *span;
    uint64_t value;
    if (!span_u64(span, &value))
        return false;
    if (value > SIZE_MAX) {
        *span = before;
        return false;
    }
    *ret_value = (size_t)value;
    return true;
}
