/* See the header. Of cgroups version 2 is read; a quota of any folder on the way up holds. */
#include "config.h"

#include "core/base/cpu.h"

#include "core/base/file.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

/* Register states that the system saves on a switch; instructions that use others would lose their numbers. */
static uint32_t saved_states(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static bool bit(uint32_t value, int number)
{
    return (value >> number & 1) != 0;
}

/* Bits by Intel's manual, volume 2, CPUID: leaf 1 ecx 12 FMA, 27 OSXSAVE, 28 AVX, 29 F16C; leaf 7 ebx 5 AVX2, 16 F, 17
 * DQ, 30 BW, 31 VL, ecx 11 VNNI; leaf 7.1 eax 4 AVX-VNNI, 5 AVX512-BF16. */
uint32_t cpu_features(void)
{
    enum { STATE_AVX = 0x06, STATE_AVX512 = 0xe6 };
    uint32_t eax, ebx, ecx, edx, features = 0;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !bit(ecx, 27) || !bit(ecx, 28))
        return 0;
    bool has_fma = bit(ecx, 12) && bit(ecx, 29);
    uint32_t states = saved_states();
    if ((states & STATE_AVX) != STATE_AVX || !__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx))
        return 0;
    uint32_t subleaves = eax, more = 0, unused;
    if (subleaves >= 1)
        __cpuid_count(7, 1, more, unused, unused, unused);
    if (!has_fma || !bit(ebx, 5))
        return 0;
    features |= CPU_AVX2 | (bit(more, 4) ? CPU_AVX_VNNI : 0);
    bool has_avx512 = bit(ebx, 16) && bit(ebx, 17) && bit(ebx, 30) && bit(ebx, 31);
    if (has_avx512 && (states & STATE_AVX512) == STATE_AVX512)
        features |= CPU_AVX512 | (bit(ecx, 11) ? CPU_AVX512_VNNI : 0) | (bit(more, 5) ? CPU_AVX512_BF16 : 0);
    return features;
}
#else
uint32_t cpu_features(void)
{
    return 0;
}
#endif

/* A machine may have more processors than a cpu_set_t holds, so the set grows until the kernel's fits. */
unsigned cpu_allowed(void)
{
    for (int room = 1024; room <= 1 << 20; room *= 2) {
        cpu_set_t *set = CPU_ALLOC(room);
        if (set == NULL)
            return 1;
        size_t bytes = CPU_ALLOC_SIZE(room);
        int failed = sched_getaffinity(0, bytes, set) != 0 ? errno : 0;
        int count = failed == 0 ? CPU_COUNT_S(bytes, set) : 0;
        CPU_FREE(set);
        if (failed == 0)
            return count > 0 ? (unsigned)count : 1;
        if (failed != EINVAL)
            return 1;
    }
    return 1;
}

/* "QUOTA PERIOD" in microseconds, or "max PERIOD": none. */
static double quota_of(const char *folder)
{
    char path[4096];
    struct buffer text = {0};
    if ((size_t)snprintf(path, sizeof path, "%s/cpu.max", folder) >= sizeof path)
        return 0;
    double quota = 0;
    if (file_read(path, 4096, &text, NULL) == PDK_OK && text.length != 0) {
        char *end;
        double time = strtod(text.data, &end), period = strtod(end, NULL);
        if (end != text.data && time > 0 && period > 0)
            quota = time / period;
    }
    buffer_done(&text);
    return quota;
}

double cpu_quota_at(const char *root, const char *own_path)
{
    char folder[4096];
    size_t root_length = strlen(root);
    if ((size_t)snprintf(folder, sizeof folder, "%s%s", root, own_path) >= sizeof folder)
        return 0;
    double least = 0;
    for (;;) {
        double quota = quota_of(folder);
        if (quota > 0 && (least == 0 || quota < least))
            least = quota;
        char *slash = strrchr(folder, '/');
        if (slash == NULL || (size_t)(slash - folder) < root_length)
            return least;
        *slash = '\0';
    }
}

double cpu_quota(void)
{
    struct buffer text = {0};
    double quota = 0;
    if (file_read("/proc/self/cgroup", 65536, &text, NULL) == PDK_OK && text.length != 0) {
        char *line = strstr(text.data, "0::/");
        if (line != NULL) {
            char *path = line + 3;
            path[strcspn(path, "\n")] = '\0';
            quota = cpu_quota_at("/sys/fs/cgroup", path);
        }
    }
    buffer_done(&text);
    return quota;
}

unsigned cpu_usable(void)
{
    unsigned allowed = cpu_allowed();
    double quota = cpu_quota();
    if (quota > 0 && quota < allowed)
        return quota < 1 ? 1 : (unsigned)quota;
    return allowed;
}
