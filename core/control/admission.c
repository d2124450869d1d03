/* See the header. */
#include "config.h"

#include "core/control/admission.h"

#include "core/base/error.h"
#include "core/spec/quantity.h"

#include <inttypes.h>

/* Kept for the daemon, the kernel and everybody else: a tenth, at most 2 GiB. */
static uint64_t usable(const struct machine *machine)
{
    uint64_t kept = machine->memory_bytes / 10;
    return machine->memory_bytes - (kept < UINT64_C(2) << 30 ? kept : UINT64_C(2) << 30);
}

static void admit_cpu(const struct machine *machine, struct admission *row, struct buffer *warnings)
{
    const struct plan *plan = row->plan;
    uint64_t milli = plan->cpu_limit != 0 ? plan->cpu_limit : plan->cpu_request;
    uint64_t threads = milli == 0 ? machine->cpus : (milli + 999) / 1000;
    if (threads > machine->cpus) {
        buffer_printf(warnings,
            "%s: InferenceService %s: spec.predictor.model.resources: wants %g CPUs, this machine has %" PRIu32
            "; it gets those\n",
            plan->service->file, plan->service->name, (double)milli / 1000, machine->cpus);
        threads = machine->cpus;
    }
    row->threads = (uint32_t)threads;
}

static void refuse(struct admission *row, uint64_t need, uint64_t limit, const char *of)
{
    char need_text[24], limit_text[24];
    quantity_print_bytes(need, need_text);
    quantity_print_bytes(limit, limit_text);
    pdk_error_set(&row->refused, PDK_NO_MEMORY, "spec.predictor.model.resources.requests.memory",
        "needs %s, limit %s%s", need_text, limit_text, of);
}

void admit(const struct machine *machine, struct admission *rows, size_t count, struct buffer *warnings)
{
    uint64_t left = usable(machine);
    size_t open = 0; /* services without a figure of their own */
    for (size_t i = 0; i < count; i++) {
        struct admission *row = &rows[i];
        if (row->plan == NULL)
            continue;
        admit_cpu(machine, row, warnings);
        uint64_t need = row->plan->memory_request;
        if (need > usable(machine))
            refuse(row, need, usable(machine), " (a tenth of the machine is left to the system)");
        else if (need > left)
            refuse(row, need, left, " (what other services leave)");
        if (row->refused.status != PDK_OK)
            continue;
        left -= need;
        open += need == 0 && row->plan->memory_limit == 0;
    }
    for (size_t i = 0; i < count; i++) {
        struct admission *row = &rows[i];
        if (row->plan == NULL || row->refused.status != PDK_OK)
            continue;
        uint64_t limit = row->plan->memory_limit;
        if (limit == 0)
            limit = row->plan->memory_request != 0 ? row->plan->memory_request + left / (open + 1) : left / open;
        row->memory_bytes = limit < machine->memory_bytes ? limit : machine->memory_bytes;
    }
}
