/* core/base/cleanup.h: resources that free themselves when their variable leaves its scope. */
#pragma once

#include <stdlib.h>
#include <unistd.h>

#define PDK_CLEANUP(function) __attribute__((cleanup(function)))
#define PDK_AUTO_FREE         PDK_CLEANUP(cleanup_free)
#define PDK_AUTO_CLOSE        PDK_CLEANUP(cleanup_close)

/* Hands out what a variable holds and leaves it empty. */
#define PDK_STEAL(variable)                        \
    __extension__({                                \
        __typeof__(variable) stolen_ = (variable); \
        (variable) = NULL;                         \
        stolen_;                                   \
    })
#define PDK_STEAL_FD(variable)    \
    __extension__({               \
        int stolen_ = (variable); \
        (variable) = -1;          \
        stolen_;                  \
    })

/* Defines NAMEp, the cleanup form of `type *NAME(type *)` or `void NAME(type *)`. */
#define PDK_DEFINE_CLEANUP(type, name)          \
    static inline void name##p(type **variable) \
    {                                           \
        if (*variable != NULL)                  \
            name(*variable);                    \
    }

static inline void cleanup_free(void *variable)
{
    free(*(void **)variable);
}

static inline void cleanup_close(const int *variable)
{
    if (*variable >= 0)
        close(*variable);
}
