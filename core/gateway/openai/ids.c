/* See ids.h. */
#include "config.h"

#include "core/gateway/openai/ids.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>

struct id_text id_random(const char *prefix)
{
    /* Without entropy, which only the first moments of a machine lack, ids are at least not the same. */
    static _Atomic uint64_t counter;
    uint64_t bits;
    struct id_text id;
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) != (ssize_t)sizeof bits)
        bits = atomic_fetch_add_explicit(&counter, 1, memory_order_relaxed);
    snprintf(id.text, sizeof id.text, "%.30s%016" PRIx64, prefix, bits);
    return id;
}
