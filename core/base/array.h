/* core/base/array.h: growing a C array by doubling, with the multiplication checked. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Makes room for `need` elements of `size` bytes in *array, which now has *room. False: out of memory, all as it was.
 */
bool array_grow_bytes(void **array, size_t *room, size_t need, size_t size);

#define array_grow(array, room, need) array_grow_bytes((void **)(array), (room), (need), sizeof **(array))
