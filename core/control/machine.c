/* sysinfo(2) and the cgroup's files, since the unit hides /proc/meminfo. */
#include "config.h"

#include "core/control/machine.h"

#include "core/base/cleanup.h"

#include <ctype.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>

/* The number in a small file; UINT64_MAX: none ("max", or no file). */
static uint64_t number_in(const char *path)
{
    PDK_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    char text[32];
    ssize_t length = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (length <= 0 || !isdigit((unsigned char)text[0]))
        return UINT64_MAX;
    text[length] = '\0';
    return strtoull(text, NULL, 10);
}

/* The smallest memory.max from the daemon's cgroup up to the root. */
static uint64_t cgroup_limit(void)
{
    char line[1024] = "", path[1200];
    PDK_AUTO_CLOSE int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, line, sizeof line - 1) : -1;
    if (length <= 0)
        return UINT64_MAX;
    char *group = strstr(line, "0::/");
    if (group == NULL)
        return UINT64_MAX;
    group += 3;
    group[strcspn(group, "\n")] = '\0';
    uint64_t least = UINT64_MAX;
    for (;;) {
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", group);
        uint64_t limit = number_in(path);
        least = limit < least ? limit : least;
        char *slash = strrchr(group, '/');
        if (slash == NULL)
            return least;
        *slash = '\0';
    }
}

struct machine machine_read(void)
{
    struct machine machine = {.cpus = 1, .memory_bytes = UINT64_C(1) << 30};
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) {
        machine.cpus = (uint32_t)CPU_COUNT(&set);
        machine.allowed = set;
    }
    struct sysinfo info;
    if (sysinfo(&info) == 0)
        machine.memory_bytes = (uint64_t)info.totalram * info.mem_unit;
    uint64_t limit = cgroup_limit();
    if (limit < machine.memory_bytes)
        machine.memory_bytes = limit;
    return machine;
}
