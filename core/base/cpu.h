/* core/base/cpu.h: what the processor can do, asked of CPUID and XGETBV ourselves as clang 14's own test does not know
 * all names, and how many processors this process may use. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    CPU_AVX2 = 1u << 0,        /* with FMA and F16C, and the system saves the registers */
    CPU_AVX512 = 1u << 1,      /* F, BW, DQ, VL, likewise */
    CPU_AVX512_VNNI = 1u << 2, /* int8 dot products */
    CPU_AVX512_BF16 = 1u << 3, /* bfloat dot products */
    CPU_AVX_VNNI = 1u << 4     /* int8 dot products of 256 bits */
};

/* CPU_… of this machine; 0 on other processors than x86-64. */
uint32_t cpu_features(void);

/* Processors that the thread's affinity allows, hence those of its cpuset; at least 1. */
unsigned cpu_allowed(void);
/* Processors' worth of time that the cgroups give (1.5: one and a half); 0: no quota. */
double cpu_quota(void);
/* The same for other places than /sys/fs/cgroup and /proc/self/cgroup. */
double cpu_quota_at(const char *root, const char *own_path);
/* How many threads keep busy without being throttled: cpu_allowed cut to the whole part of the quota; at least 1. */
unsigned cpu_usable(void);
