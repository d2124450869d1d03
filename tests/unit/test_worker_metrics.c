/* What a runtime counts. */
#include "config.h"

#include "core/worker/metrics.h"

#include "check_main.h"
#include "core/base/error.h"

#include <stdio.h>
#include <string.h>

static const double bounds[] = {0.1, 1};

START_TEST(test_values)
{
    struct metrics *metrics = metrics_new();
    struct buffer text = {0};
    pdk_error err;
    uint32_t counter, gauge, histogram, again;
    const pdk_metric first = {
        .kind = PDK_METRIC_COUNTER, .name = "x_total", .help = "counts \"x\"", .labels = "reason=\"stop\""};
    const pdk_metric second = {.kind = PDK_METRIC_GAUGE, .name = "usage", .help = "how full"};
    const pdk_metric third = {
        .kind = PDK_METRIC_HISTOGRAM, .name = "seconds", .help = "how long", .buckets = bounds, .bucket_count = 2};
    ck_assert_int_eq(metrics_declare(metrics, &first, &counter, &err), PDK_OK);
    ck_assert_int_eq(metrics_declare(metrics, &second, &gauge, &err), PDK_OK);
    ck_assert_int_eq(metrics_declare(metrics, &third, &histogram, &err), PDK_OK);
    ck_assert_int_eq(metrics_declare(metrics, &first, &again, &err), PDK_OK);
    ck_assert_uint_eq(counter, again);
    metrics_add(metrics, counter, 2);
    metrics_add(metrics, counter, 1);
    metrics_add(metrics, counter, -5); /* a counter never falls */
    metrics_set(metrics, gauge, 0.25);
    metrics_observe(metrics, histogram, 0.1); /* a bound is in its bucket */
    metrics_observe(metrics, histogram, 0.5);
    metrics_observe(metrics, histogram, 7);
    metrics_add(metrics, gauge, 9); /* of another kind: nothing */
    metrics_set(metrics, 99, 9);
    metrics_write(metrics, &text);
    ck_assert_str_eq(text.data,
        "{\"x_total{reason=\\\"stop\\\"}\":{\"kind\":\"counter\",\"help\":\"counts \\\"x\\\"\",\"value\":3.0},"
        "\"usage\":{\"kind\":\"gauge\",\"help\":\"how full\",\"value\":0.25},"
        "\"seconds\":{\"kind\":\"histogram\",\"help\":\"how "
        "long\",\"buckets\":[0.1,1.0],\"counts\":[1,1,1],\"sum\":7.6,"
        "\"count\":3}}");
    buffer_done(&text);
    metrics_free(metrics);
}
END_TEST

static const double falling[] = {1, 0.5};
static const struct {
    pdk_metric metric;
    const char *field, *message;
} wrong[] = {
    {{.name = "9lives"}, "name", "not a metric's name"},
    {{.name = "a-b"}, "name", "not a metric's name"},
    {{.name = ""}, "name", "not a metric's name"},
    {{.name = NULL}, "name", "not a metric's name"},
    {{.name = "x", .kind = 3}, "kind", "x: no metric is of kind 3"},
    {{.name = "x", .kind = PDK_METRIC_HISTOGRAM}, "bucket_count", "x has 0 buckets; it may have 1 to 64"},
    {{.name = "x", .kind = PDK_METRIC_HISTOGRAM, .buckets = bounds, .bucket_count = 65}, "bucket_count",
        "x has 65 buckets; it may have 1 to 64"},
    {{.name = "x", .kind = PDK_METRIC_HISTOGRAM, .buckets = falling, .bucket_count = 2}, "buckets",
        "x: bound 1 does not ascend"},
    {{.name = "known", .kind = PDK_METRIC_GAUGE}, "kind", "known was declared as another kind before"},
};

START_TEST(test_wrong)
{
    struct metrics *metrics = metrics_new();
    pdk_error err;
    uint32_t id = 77;
    ck_assert_int_eq(metrics_declare(metrics, &(pdk_metric){.name = "known"}, &id, &err), PDK_OK);
    id = 77;
    ck_assert_int_eq(metrics_declare(metrics, &wrong[_i].metric, &id, &err), PDK_INVALID);
    ck_assert_uint_eq(id, 77);
    ck_assert_str_eq(err.field, wrong[_i].field);
    ck_assert_str_eq(err.message, wrong[_i].message);
    metrics_free(metrics);
}
END_TEST

START_TEST(test_too_many)
{
    struct metrics *metrics = metrics_new();
    pdk_error err;
    uint32_t id;
    char name[16];
    for (int i = 0; i < METRICS_MAX; i++) {
        snprintf(name, sizeof name, "m%d", i);
        ck_assert_int_eq(metrics_declare(metrics, &(pdk_metric){.name = name}, &id, &err), PDK_OK);
    }
    ck_assert_int_eq(metrics_declare(metrics, &(pdk_metric){.name = "more"}, &id, &err), PDK_TOO_LARGE);
    ck_assert_str_eq(err.message, "more: there are 1024 metrics already");
    metrics_free(metrics);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metrics");
    TCase *tcase = tcase_create("metrics");
    tcase_add_test(tcase, test_values);
    tcase_add_loop_test(tcase, test_wrong, 0, sizeof wrong / sizeof wrong[0]);
    tcase_add_test(tcase, test_too_many);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
