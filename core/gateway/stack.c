/* The kernel gives zeroed pages when they are touched again; one call a connection. */
#include "config.h"

#include "core/gateway/stack.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

enum { KEPT_BYTES = 4096 }; /* below this frame: the call of madvise itself, and the red zone */

#if defined(PADDOCK_SANITIZERS)

/* The sanitizers' shadow would still speak of the old content. */
void stack_release(void)
{
}

#else

/* End of the stack's guard, asked for once a thread; 1 when it cannot be known. */
static uintptr_t stack_low(void)
{
    static _Thread_local uintptr_t low;
    if (low == 0) {
        pthread_attr_t attributes;
        void *start = NULL;
        size_t size = 0, guard = 0;
        low = 1;
        if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
            if (pthread_attr_getstack(&attributes, &start, &size) == 0 &&
                pthread_attr_getguardsize(&attributes, &guard) == 0)
                low = (uintptr_t)start + guard;
            pthread_attr_destroy(&attributes);
        }
    }
    return low;
}

void stack_release(void)
{
    uintptr_t low = stack_low(), page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t end = ((uintptr_t)__builtin_frame_address(0) - KEPT_BYTES) & ~(page - 1);
    low = (low + page - 1) & ~(page - 1);
    if (low > page && low < end)
        madvise((void *)low, end - low, MADV_DONTNEED);
}

#endif
