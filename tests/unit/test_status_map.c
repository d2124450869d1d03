/* Errors as clients see them, selectors, ages, and which service a host or a model's name means. */
#include "config.h"

#include "check_main.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/gateway/resources/selector.h"
#include "core/gateway/resources/table.h"
#include "core/gateway/routing.h"
#include "core/gateway/status_map.h"

#include <string.h>

START_TEST(openai_errors_are_vllms)
{
    pdk_error err = {0};
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    pdk_error_value(&err, PDK_INVALID, "top_p", "0.0", "top_p must be in (0, 1], got 0.0.");
    status_openai(&out, 400, "BadRequestError", &err);
    ck_assert_str_eq(out.data,
        "{\"error\":{\"message\":\"top_p must be in (0, 1], got 0.0. (parameter=top_p, value=0.0)\","
        "\"type\":\"BadRequestError\",\"param\":\"top_p\",\"code\":400}}");
    buffer_clear(&out);
    pdk_error_set(&err, PDK_NOT_FOUND, "model", "The model `nope` does not exist. Valid aliases: m.");
    status_openai(&out, 404, status_row(err.status)->type, &err);
    ck_assert_str_eq(out.data, "{\"error\":{\"message\":\"The model `nope` does not exist. Valid aliases: m.\","
                               "\"type\":\"NotFoundError\",\"param\":\"model\",\"code\":404}}");
    buffer_clear(&out);
    pdk_error_set(&err, PDK_INVALID, NULL, "stop cannot contain an empty string.");
    status_openai(&out, 400, "BadRequestError", &err);
    ck_assert_ptr_nonnull(strstr(out.data, "\"param\":null"));
    ck_assert_ptr_null(strstr(out.data, "parameter="));
}
END_TEST

START_TEST(insides_are_blotted_out)
{
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"cannot open /var/lib/paddock/m.gguf: no", "cannot open <path>: no"},
        {"'/etc/x' at 0x7ffd12345678, /v1/models and 0x12", "'<path>' at <address>, /v1/models and 0x12"},
        {"plain", "plain"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        PDK_CLEANUP(buffer_done) struct buffer out = {0};
        status_blot(&out, cases[i].text);
        ck_assert_str_eq(out.data, cases[i].shown);
    }
}
END_TEST

START_TEST(every_status_has_a_row)
{
    for (pdk_status status = PDK_INVALID; status < PDK_STATUS_COUNT; status++) {
        const struct status_row *row = status_row(status);
        ck_assert_int_ge(row->http, 400);
        ck_assert_msg(strcmp(status_phrase(row->http), "Unknown") != 0, "%d", row->http);
        ck_assert_str_ne(row->type, "");
        ck_assert_int_eq(row->retry, row->http == 429 || row->http == 503);
    }
    ck_assert_int_eq(status_row(99)->http, 500);
    ck_assert_int_eq(status_row(-1)->http, 500);
}
END_TEST

static const char object[] = "{\"metadata\":{\"name\":\"x\",\"namespace\":\"n\",\"labels\":{\"a\":\"1\",\"b.c/"
                             "d\":\"\"}},\"status\":{\"phase\":\"Running\"}}";

static const struct {
    const char *labels, *fields;
    int status;
    bool matches;
} selections[] = {
    {"", "", PDK_OK, true},
    {"a=1", "", PDK_OK, true},
    {"a==1", "", PDK_OK, true},
    {"a=2", "", PDK_OK, false},
    {"a!=2", "", PDK_OK, true},
    {"a!=1", "", PDK_OK, false},
    {"z!=1", "", PDK_OK, true},
    {"a", "", PDK_OK, true},
    {"!a", "", PDK_OK, false},
    {"!z", "", PDK_OK, true},
    {"b.c/d", "", PDK_OK, true},
    {"b.c/d=", "", PDK_OK, true},
    {"a=1,z", "", PDK_OK, false},
    {"a=1,b.c/d", "", PDK_OK, true},
    {"a in (1,2)", "", PDK_UNSUPPORTED, false},
    {",", "", PDK_INVALID, false},
    {"=1", "", PDK_INVALID, false},
    {"", "metadata.name=x", PDK_OK, true},
    {"", "metadata.name=y", PDK_OK, false},
    {"", "metadata.name!=y,status.phase=Running", PDK_OK, true},
    {"", "spec.x=1", PDK_UNSUPPORTED, false},
    {"", "metadata.name", PDK_INVALID, false},
};

START_TEST(selectors_select)
{
    pdk_error err = {0};
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    ck_assert_int_eq(json_read(object, sizeof object - 1, &json_limits_default, &document, &err), PDK_OK);
    bool matches = false;
    pdk_status status =
        selector_match(selections[_i].labels, selections[_i].fields, json_root(document), &matches, &err);
    ck_assert_msg(status == selections[_i].status, "%s %s: %d", selections[_i].labels, selections[_i].fields, status);
    ck_assert_msg(matches == selections[_i].matches, "%s %s", selections[_i].labels, selections[_i].fields);
}
END_TEST

START_TEST(ages_are_kubernetes)
{
    static const struct {
        int64_t seconds;
        const char *text;
    } ages[] = {{-5, "0s"}, {0, "0s"}, {119, "119s"}, {120, "2m"}, {210, "3m30s"}, {600, "10m"}, {2700, "45m"},
        {10799, "179m"}, {11100, "3h5m"}, {28800, "8h"}, {97200, "27h"}, {172800, "2d"}, {273600, "3d4h"},
        {17280000, "200d"}, {65664000, "2y30d"}, {290000000, "9y"}};
    for (size_t i = 0; i < sizeof ages / sizeof ages[0]; i++) {
        char text[24];
        table_age(ages[i].seconds, text);
        ck_assert_str_eq(text, ages[i].text);
    }
}
END_TEST

START_TEST(hosts_reach_services)
{
    const struct service_view service = {
        .name = "opt-125", .namespace_ = "ns", .host = "opt-125.ns.example.com", .model_name = "opt"};
    static const char *const own[] = {"opt-125.ns.example.com", "opt-125-predictor.ns.example.com",
        "opt-125-predictor-default.ns.example.com", "opt-125.ns", "opt-125.ns.svc", "opt-125.ns.svc.cluster.local",
        "opt-125-predictor.ns.svc.cluster.local"};
    static const char *const foreign[] = {"opt-125", "opt-125.other.example.com", "opt-125.ns.evil.com",
        "opt-12.ns.example.com", "opt-1255.ns.example.com", "opt-125.nsx", "opt-125.ns.", "opt-125-x.ns.example.com",
        "xopt-125.ns.example.com", ""};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        ck_assert_msg(routing_host_is(&service, own[i]), "%s", own[i]);
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        ck_assert_msg(!routing_host_is(&service, foreign[i]), "%s", foreign[i]);
    ck_assert(routing_serves(&service, "opt") && !routing_serves(&service, "opt-125"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("status_map");
    TCase *tests = tcase_create("status_map");
    tcase_add_test(tests, openai_errors_are_vllms);
    tcase_add_test(tests, insides_are_blotted_out);
    tcase_add_test(tests, every_status_has_a_row);
    tcase_add_loop_test(tests, selectors_select, 0, sizeof selections / sizeof selections[0]);
    tcase_add_test(tests, ages_are_kubernetes);
    tcase_add_test(tests, hosts_reach_services);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
