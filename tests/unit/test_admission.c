/* core/control/admission.c */
#include "config.h"

#include "core/control/admission.h"
#include "core/control/binding.h"

#include "check_main.h"

#include <string.h>

#define GIB (UINT64_C(1) << 30)

static const struct machine machine = {.cpus = 4, .memory_bytes = 10 * GIB};
static const struct resource service = {.name = "x", .file = "x.yaml"};

START_TEST(cuts_cpus_and_refuses_memory)
{
    struct plan all = {.service = &service},
                many = {.service = &service, .cpu_limit = 8500, .memory_request = 4 * GIB, .memory_limit = 4 * GIB};
    struct plan half = {.service = &service, .cpu_request = 500, .memory_request = 6 * GIB},
                huge = {.service = &service, .memory_request = 11 * GIB};
    struct admission rows[] = {{.plan = &all}, {.plan = &many}, {.plan = &half}, {.plan = &huge}, {.plan = NULL}};
    struct buffer warnings = {0};
    admit(&machine, rows, 5, &warnings);
    ck_assert_uint_eq(rows[0].threads, 4);
    ck_assert_uint_eq(rows[0].memory_bytes, 5 * GIB); /* 9 of 10 are given out, 4 of them promised */
    ck_assert_uint_eq(rows[1].threads, 4);
    ck_assert_uint_eq(rows[1].memory_bytes, 4 * GIB);
    ck_assert_str_eq(warnings.data, "x.yaml: InferenceService x: spec.predictor.model.resources: wants 8.5 CPUs, this "
                                    "machine has 4; it gets those\n");
    ck_assert_uint_eq(rows[2].threads, 1);
    ck_assert_int_eq(rows[2].refused.status, PDK_NO_MEMORY);
    ck_assert_str_eq(rows[2].refused.message, "needs 6 GiB, limit 5 GiB (what other services leave)");
    ck_assert_str_eq(
        rows[3].refused.message, "needs 11 GiB, limit 9 GiB (a tenth of the machine is left to the system)");
    buffer_done(&warnings);
}
END_TEST

static pdk_status bind_text(char *text, struct binding *ret_binding, pdk_error *err)
{
    char *items[] = {text};
    return binding_read(&(struct text_list){.items = items, .count = 1}, ret_binding, err);
}

START_TEST(binds_to_processors)
{
    struct binding binding;
    pdk_error err;
    ck_assert_int_eq(bind_text((char *)"OMP_NUM_THREADS=3,2", &binding, &err), PDK_OK);
    ck_assert_uint_eq(binding.threads, 3);
    ck_assert(!binding.bound);
    ck_assert_int_eq(bind_text((char *)"VLLM_CPU_OMP_THREADS_BIND=0-2,5|7", &binding, &err), PDK_OK);
    ck_assert(binding.bound && CPU_COUNT(&binding.cpus) == 4 && CPU_ISSET(5, &binding.cpus));
    ck_assert_int_eq(bind_text((char *)"VLLM_CPU_OMP_THREADS_BIND=nobind", &binding, &err), PDK_OK);
    ck_assert(!binding.bound);
    static const char *const wrong[] = {"OMP_NUM_THREADS=0", "OMP_NUM_THREADS=two", "OPENBLAS_NUM_THREADS=99999999",
        "VLLM_CPU_OMP_THREADS_BIND=3-1", "VLLM_CPU_OMP_THREADS_BIND=1,", "VLLM_CPU_OMP_THREADS_BIND=9999"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_int_eq(bind_text((char *)wrong[i], &binding, &err), PDK_INVALID);
        ck_assert_ptr_nonnull(strstr(err.message, strchr(wrong[i], '=') + 1));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("admission");
    TCase *tests = tcase_create("admission");
    tcase_add_test(tests, cuts_cpus_and_refuses_memory);
    tcase_add_test(tests, binds_to_processors);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
