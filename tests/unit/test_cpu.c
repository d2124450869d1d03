/* core/base/cpu.c */
#include "config.h"

#include "core/base/cpu.h"

#include "core/base/file.h"

#include "check_main.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *outer, *inner; /* cpu.max of a slice and of a service in it; NULL: none */
    double quota;
} quotas[] = {
    {NULL, NULL, 0},
    {NULL, "max 100000\n", 0},
    {NULL, "150000 100000\n", 1.5},
    {"200000 100000\n", "max 100000\n", 2},
    {"200000 100000\n", "50000 100000\n", 0.5},
    {"50000 100000\n", "200000 100000\n", 0.5},
    {NULL, "nonsense", 0},
    {NULL, "", 0},
    {NULL, "100000 0\n", 0},
    {NULL, "-5 100000\n", 0},
};

static void put(const char *root, const char *folder, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s%s", root, folder);
    ck_assert_int_eq(folder_make(path, 0700, NULL), PDK_OK);
    snprintf(path, sizeof path, "%s%s/cpu.max", root, folder);
    if (text != NULL)
        ck_assert_int_eq(file_replace(path, text, strlen(text), 0600, NULL), PDK_OK);
}

START_TEST(quota_is_the_least_on_the_way_up)
{
    char root[] = "/tmp/paddock-cpu-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(root));
    put(root, "/a.slice", quotas[_i].outer);
    put(root, "/a.slice/b.service", quotas[_i].inner);
    ck_assert_double_eq_tol(cpu_quota_at(root, "/a.slice/b.service"), quotas[_i].quota, 1e-9);
    ck_assert_double_eq_tol(cpu_quota_at(root, "/no/such"), 0, 1e-9);
    folder_remove(AT_FDCWD, root);
}
END_TEST

START_TEST(counts_are_sane)
{
    ck_assert_uint_ge(cpu_allowed(), 1);
    ck_assert_uint_ge(cpu_usable(), 1);
    ck_assert_uint_le(cpu_usable(), cpu_allowed());
}
END_TEST

/* The kernel lists what it lets programs use, by its own reading of CPUID. */
static bool kernel_says(const char *flags, const char *name)
{
    char word[32];
    snprintf(word, sizeof word, " %s", name);
    const char *found = strstr(flags, word);
    size_t length = strlen(word);
    return found != NULL && (found[length] == ' ' || found[length] == '\n');
}

START_TEST(features_agree_with_the_kernel)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[8192];
    bool found = false;
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL)
        found = strncmp(line, "flags", 5) == 0;
    if (file != NULL)
        fclose(file);
    if (!found)
        return; /* another processor */
    uint32_t features = cpu_features();
    bool avx2 = kernel_says(line, "avx2") && kernel_says(line, "fma") && kernel_says(line, "f16c");
    bool avx512 = avx2 && kernel_says(line, "avx512f") && kernel_says(line, "avx512bw") &&
                  kernel_says(line, "avx512dq") && kernel_says(line, "avx512vl");
    ck_assert_int_eq((features & CPU_AVX2) != 0, avx2);
    ck_assert_int_eq((features & CPU_AVX512) != 0, avx512);
    ck_assert_int_eq((features & CPU_AVX512_VNNI) != 0, avx512 && kernel_says(line, "avx512_vnni"));
    ck_assert_int_eq((features & CPU_AVX512_BF16) != 0, avx512 && kernel_says(line, "avx512_bf16"));
    ck_assert_int_eq((features & CPU_AVX_VNNI) != 0, avx2 && kernel_says(line, "avx_vnni"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cpu");
    TCase *tests = tcase_create("cpu");
    tcase_add_loop_test(tests, quota_is_the_least_on_the_way_up, 0, sizeof quotas / sizeof *quotas);
    tcase_add_test(tests, counts_are_sane);
    tcase_add_test(tests, features_agree_with_the_kernel);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
