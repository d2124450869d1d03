/* core/control/metrics.c */
#include "config.h"

#include "core/control/metrics.h"

#include "check_main.h"

#include <string.h>

static void put(struct metrics_store *store, uint32_t replica, const char *text)
{
    struct json_document *tree = NULL;
    ck_assert_int_eq(json_read(text, strlen(text), &json_limits_default, &tree, NULL), PDK_OK);
    metrics_store_put(store, replica, json_root(tree));
    json_document_free(tree);
}

START_TEST(no_counter_falls_when_a_worker_is_replaced)
{
    struct metrics_store *store = metrics_store_new();
    struct buffer out = {0};
    metrics_store_begin(store, 1, "default", "one", "m");
    put(store, 1,
        "{\"vllm:request_success_total{finished_reason=\\\"stop\\\"}\":{\"kind\":\"counter\",\"help\":\"h\",\"value\":"
        "3},"
        "\"vllm:num_requests_running\":{\"kind\":\"gauge\",\"help\":\"g\",\"value\":2},"
        "\"t\":{\"kind\":\"histogram\",\"help\":\"s\",\"buckets\":[0.1,1],\"counts\":[1,2,3],\"sum\":4.5,\"count\":6}"
        "}");
    metrics_store_end(store, 1);
    metrics_store_begin(store, 2, "default", "one", "m");
    put(store, 2,
        "{\"vllm:request_success_total{finished_reason=\\\"stop\\\"}\":{\"kind\":\"counter\",\"help\":\"h\",\"value\":"
        "1},"
        "\"t\":{\"kind\":\"histogram\",\"help\":\"s\",\"buckets\":[0.1,1],\"counts\":[1,0,0],\"sum\":0.05,\"count\":1}"
        "}");
    metrics_store_print(store, &out);
    static const char labels[] = "model_name=\"m\",engine=\"0\",namespace=\"default\",service=\"one\"";
    struct buffer expected = {0};
    buffer_printf(&expected,
        "# HELP t s\n# TYPE t histogram\nt_bucket{%s,le=\"0.1\"} 2\nt_bucket{%s,le=\"1.0\"} 4\n"
        "t_bucket{%s,le=\"+Inf\"} 7\nt_sum{%s} %.17g\nt_count{%s} 7\n",
        labels, labels, labels, labels, 4.5 + 0.05, labels);
    buffer_printf(&expected,
        "# HELP vllm:request_success_total h\n# TYPE vllm:request_success_total counter\n"
        "vllm:request_success_total{%s,finished_reason=\"stop\"} 4\n",
        labels);
    ck_assert_str_eq(out.data, expected.data);
    buffer_done(&expected);
    buffer_done(&out);
    metrics_store_free(store);
}
END_TEST

START_TEST(what_makes_no_sense_is_left_out)
{
    struct metrics_store *store = metrics_store_new();
    struct buffer out = {0};
    metrics_store_begin(store, 1, "default", "one", "m\"\\");
    put(store, 1,
        "{\"bad name\":{\"kind\":\"gauge\",\"value\":1},\"a{b=\\\"\\n\\\"}\":{\"kind\":\"gauge\",\"value\":1},"
        "\"c\":{\"kind\":\"gauge\"},\"d\":3,\"h\":{\"kind\":\"histogram\",\"buckets\":[1],\"counts\":[1],\"sum\":1,"
        "\"count\":1},"
        "\"ok\":{\"kind\":\"gauge\",\"help\":\"two\\nlines\",\"value\":0.5}}");
    metrics_store_print(store, &out);
    ck_assert_str_eq(out.data, "# HELP ok two lines\n# TYPE ok gauge\n"
                               "ok{model_name=\"m\\\"\\\\\",engine=\"0\",namespace=\"default\",service=\"one\"} 0.5\n");
    buffer_done(&out);
    metrics_store_free(store);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metrics_store");
    TCase *tests = tcase_create("metrics_store");
    tcase_add_test(tests, no_counter_falls_when_a_worker_is_replaced);
    tcase_add_test(tests, what_makes_no_sense_is_left_out);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
