/* Big pieces are anonymous mappings, aligned to huge pages: those are worth a sixth of the bandwidth. Small ones come
 * from the heap, where sanitizers see each byte. */
#include "config.h"

#include "plugins/cpu/memory.h"

#include "core/base/error.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20, SMALL_ALIGNMENT = 64 };

static void *map_aligned(size_t bytes)
{
    size_t room;
    if (__builtin_add_overflow(bytes, HUGE_PAGE, &room))
        return NULL;
    uint8_t *at = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    size_t before = -(uintptr_t)at % HUGE_PAGE;
    if (before != 0)
        munmap(at, before);
    munmap(at + before + bytes, HUGE_PAGE - before);
    madvise(at + before, bytes, MADV_HUGEPAGE);
    return at + before;
}

/* What a piece really takes: whole pages of a mapping, whole lines of the heap. */
static size_t rounded(size_t bytes)
{
    size_t unit = bytes >= HUGE_PAGE ? 4096 : SMALL_ALIGNMENT;
    return bytes == 0 ? unit : (bytes + unit - 1) / unit * unit;
}

static bool count_in(struct backend *backend, size_t bytes)
{
    uint64_t used = atomic_fetch_add_explicit(&backend->memory_used, bytes, memory_order_relaxed) + bytes;
    if (backend->memory_limit == 0 || used <= backend->memory_limit)
        return true;
    atomic_fetch_sub_explicit(&backend->memory_used, bytes, memory_order_relaxed);
    return false;
}

pdk_status memory_new(struct backend *backend, size_t bytes, const char *what, void **ret_memory, pdk_error *err)
{
    if (bytes > SIZE_MAX / 2)
        return pdk_error_set(err, PDK_NO_MEMORY, what, "%s: %zu bytes are more than any machine has", what, bytes);
    size_t room = rounded(bytes);
    if (!count_in(backend, room))
        return pdk_error_set(err, PDK_NO_MEMORY, what,
            "%s needs %zu bytes beside the %" PRIu64 " in use; the limit is %" PRIu64 " bytes", what, room,
            atomic_load_explicit(&backend->memory_used, memory_order_relaxed), backend->memory_limit);
    void *memory = bytes >= HUGE_PAGE ? map_aligned(room) : aligned_alloc(SMALL_ALIGNMENT, room);
    if (memory == NULL) {
        atomic_fetch_sub_explicit(&backend->memory_used, room, memory_order_relaxed);
        return pdk_error_errno(err, ENOMEM, what, "%s needs %zu bytes", what, room);
    }
    if (bytes < HUGE_PAGE)
        memset(memory, 0, room);
    *ret_memory = memory;
    return PDK_OK;
}

void memory_free(struct backend *backend, void *memory, size_t bytes)
{
    if (memory == NULL)
        return;
    size_t room = rounded(bytes);
    if (bytes >= HUGE_PAGE)
        munmap(memory, room);
    else
        free(memory);
    atomic_fetch_sub_explicit(&backend->memory_used, room, memory_order_relaxed);
}
