/* core/ipc/wire_runs.h: putting and taking the runs behind a fixed struct; for wire_request.c and wire_part.c. */
#pragma once

#include "core/base/buffer.h"
#include "core/base/span.h"
#include "core/ipc/wire.h"

#include <paddock/abi.h>
#include <stdbool.h>
#include <stdint.h>

enum { WIRE_COUNT_MAX = WIRE_BODY_MAX }; /* elements of a list, bytes of a string */

static inline bool narrow(size_t value, uint32_t *ret_value)
{
    if (value > WIRE_COUNT_MAX)
        return false;
    *ret_value = (uint32_t)value;
    return true;
}

static inline void put_u32(struct buffer *out, uint32_t value)
{
    buffer_put(out, &value, sizeof value);
}

/* `count` has passed narrow(), and sizes are a few bytes. */
static inline void put_numbers(struct buffer *out, const void *numbers, size_t count, size_t size)
{
    buffer_put(out, numbers, count * size);
}

static inline void put_length(struct buffer *out, const pdk_string *string, bool *ok)
{
    uint32_t length = 0;
    if (!narrow(string->length, &length))
        *ok = false;
    put_u32(out, length);
}

static inline void put_lengths(struct buffer *out, const pdk_string *strings, size_t count, bool *ok)
{
    for (size_t i = 0; i < count; i++)
        put_length(out, &strings[i], ok);
}

static inline void put_strings(struct buffer *out, const pdk_string *strings, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buffer_put(out, strings[i].data, strings[i].length);
}

/* Takes `count` groups of `each` numbers where they lie; NULL when there are none. */
static inline bool take_numbers(struct span *in, uint32_t count, size_t each, const uint32_t **ret_numbers)
{
    const uint8_t *bytes;
    if (count > WIRE_COUNT_MAX || each > WIRE_COUNT_MAX || count * each > WIRE_COUNT_MAX ||
        !span_take(in, count * each * sizeof(uint32_t), &bytes))
        return false;
    *ret_numbers = count * each != 0 ? (const uint32_t *)(const void *)bytes : NULL;
    return true;
}

static inline bool take_string(struct span *in, uint32_t length, pdk_string *ret_string)
{
    const uint8_t *bytes;
    if (!span_take(in, length, &bytes))
        return false;
    *ret_string = (pdk_string){(const char *)bytes, length};
    return true;
}

/* A string that may be none. */
static inline bool take_optional(struct span *in, uint32_t length, pdk_string *ret_string)
{
    if (length == WIRE_NONE) {
        *ret_string = (pdk_string){NULL, 0};
        return true;
    }
    return take_string(in, length, ret_string);
}
