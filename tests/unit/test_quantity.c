/* core/spec/quantity.c */
#include "config.h"

#include "core/spec/quantity.h"

#include "check_main.h"

#include <string.h>

static const struct {
    const char *text;
    uint64_t milli, bytes; /* UINT64_MAX: refused */
} cases[] = {
    {"4", 4000, 4},
    {"500m", 500, 1},
    {"0.5", 500, 1},
    {"1.5Gi", UINT64_C(1610612736000), UINT64_C(1610612736)},
    {"4Gi", UINT64_C(4294967296000), UINT64_C(4294967296)},
    {"100M", UINT64_C(100000000000), 100000000},
    {"1e3", 1000000, 1000},
    {"2E", UINT64_MAX, UINT64_C(2000000000000000000)},
    {"1u", 1, 1},
    {"0", 0, 0},
    {"+1", 1000, 1},
    {".5", 500, 1},
    {"8Ei", UINT64_MAX, UINT64_MAX},
    {"99999999999999999999", UINT64_MAX, UINT64_MAX},
    {"-1", UINT64_MAX, UINT64_MAX},
    {"", UINT64_MAX, UINT64_MAX},
    {"4GB", UINT64_MAX, UINT64_MAX},
    {"4 Gi", UINT64_MAX, UINT64_MAX},
    {"1.2.3", UINT64_MAX, UINT64_MAX},
    {"1e", UINT64_MAX, UINT64_MAX},
    {"0x10", UINT64_MAX, UINT64_MAX},
};

START_TEST(reads_what_kubernetes_reads)
{
    struct json value = {.type = JSON_STRING, .text = cases[_i].text, .length = strlen(cases[_i].text)};
    uint64_t milli = UINT64_MAX, bytes = UINT64_MAX;
    quantity_cpu(&value, "cpu", &milli, NULL);
    quantity_bytes(&value, "memory", &bytes, NULL);
    ck_assert_uint_eq(milli, cases[_i].milli);
    ck_assert_uint_eq(bytes, cases[_i].bytes);
}
END_TEST

START_TEST(prints_bytes_for_people)
{
    char text[24];
    quantity_print_bytes(UINT64_C(5476083302), text);
    ck_assert_str_eq(text, "5.1 GiB");
    quantity_print_bytes(UINT64_C(4294967296), text);
    ck_assert_str_eq(text, "4 GiB");
    quantity_print_bytes(12, text);
    ck_assert_str_eq(text, "12 bytes");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("quantity");
    TCase *tests = tcase_create("quantity");
    tcase_add_loop_test(tests, reads_what_kubernetes_reads, 0, sizeof cases / sizeof cases[0]);
    tcase_add_test(tests, prints_bytes_for_people);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
