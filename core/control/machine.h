/* core/control/machine.h: what this machine has for replicas. */
#pragma once

#include <sched.h>
#include <stdint.h>

struct machine {
    uint32_t cpus;         /* of the daemon's cpuset */
    cpu_set_t allowed;     /* these, by number */
    uint64_t memory_bytes; /* physical, or what the daemon's cgroup may use */
};

struct machine machine_read(void);
