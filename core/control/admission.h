/* core/control/admission.h: how much CPU and memory each service gets of this machine. Pure.
 *
 * CPU beyond the machine is cut with a warning; memory beyond it refuses. A service that says nothing gets every CPU,
 * and an equal share of the memory that the others' requests leave. */
#pragma once

#include "core/base/buffer.h"
#include "core/control/machine.h"
#include "core/spec/plan.h"

struct admission {
    const struct plan *plan; /* NULL: refused before; takes nothing */
    uint32_t threads;        /* out, at least 1 */
    uint64_t memory_bytes;   /* out: the worker's limit, 0: none */
    pdk_error refused;       /* out: status PDK_OK when it fits */
};

/* Memory is given in the order of `rows`, which is oldest first. */
void admit(const struct machine *machine, struct admission *rows, size_t count, struct buffer *warnings);
