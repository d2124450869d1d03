/* See the header. */
#include "config.h"

#include "core/base/array.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bool array_grow_bytes(void **array, size_t *room, size_t need, size_t size)
{
    if (need <= *room)
        return true;
    size_t count = *room < 8 ? 8 : *room;
    while (count < need) {
        if (count > SIZE_MAX / 2)
            return false;
        count *= 2;
    }
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return false;
    void *old, *grown;
    memcpy(&old, array, sizeof old); /* *array is of another pointer type */
    grown = realloc(old, bytes);
    if (grown == NULL)
        return false;
    memcpy(array, &grown, sizeof grown);
    *room = count;
    return true;
}
