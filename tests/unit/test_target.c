/* Paths, queries, hosts, addresses, and the table of endpoints that they are looked up in. */
#include "config.h"

#include "check_main.h"

#include "core/gateway/endpoints.h"
#include "core/gateway/listener.h"
#include "core/gateway/target.h"

#include <string.h>

static const struct {
    const char *raw, *path; /* NULL: refused */
} paths[] = {
    {"/", "/"},
    {"/v1/models/a%20b", "/v1/models/a b"},
    {"/a%C3%A4", "/a\xc3\xa4"},
    {"/a/", "/a/"},
    {"/...", "/..."},
    {"/%2e%2e", NULL},
    {"/a/../b", NULL},
    {"/a/.", NULL},
    {"/./a", NULL},
    {"/a%2fb", NULL},
    {"/a%2Fb", NULL},
    {"/%00", NULL},
    {"/%0d%0a", NULL},
    {"/%", NULL},
    {"/%4", NULL},
    {"/%zz", NULL},
    {"/%ff", NULL},
    {"/%c0%af", NULL},
    {"//a", NULL},
    {"/a%5cb", NULL},
    {"/%7f", NULL},
};

START_TEST(paths_are_decoded_or_refused)
{
    char path[64];
    bool fine = target_decode(paths[_i].raw, path);
    ck_assert_msg(fine == (paths[_i].path != NULL), "%s", paths[_i].raw);
    if (fine)
        ck_assert_str_eq(path, paths[_i].path);
}
END_TEST

START_TEST(parameters_are_found)
{
    char value[8];
    ck_assert(target_parameter("a=1&b=x%3Dy&c", "b", value, sizeof value));
    ck_assert_str_eq(value, "x=y");
    ck_assert(target_parameter("a=1&b=x+y", "b", value, sizeof value));
    ck_assert_str_eq(value, "x y");
    ck_assert(target_parameter("c", "c", value, sizeof value));
    ck_assert_str_eq(value, "");
    ck_assert(!target_parameter("ab=1", "a", value, sizeof value));
    ck_assert(!target_parameter("a=12345678", "a", value, sizeof value));
    ck_assert(target_parameter("a=1234567", "a", value, sizeof value));
    ck_assert(!target_parameter("a=%4", "a", value, sizeof value));
    ck_assert(!target_parameter("a=%00", "a", value, sizeof value));
    ck_assert(!target_parameter("a=%ff", "a", value, sizeof value));
    ck_assert(!target_parameter("", "a", value, sizeof value));
    ck_assert(target_truth("True") && target_truth("1") && !target_truth("yes") && !target_truth(""));
}
END_TEST

START_TEST(hosts_are_named)
{
    char name[16];
    ck_assert(target_host("LocalHost:8080", name, sizeof name));
    ck_assert_str_eq(name, "localhost");
    ck_assert(target_host("a.example.", name, sizeof name));
    ck_assert_str_eq(name, "a.example");
    ck_assert(target_host("[::1]:80", name, sizeof name));
    ck_assert_str_eq(name, "[::1]");
    ck_assert(!target_host("[::1", name, sizeof name));
    ck_assert(!target_host("a:b", name, sizeof name));
    ck_assert(!target_host(":80", name, sizeof name));
    ck_assert(!target_host("0123456789abcdef", name, sizeof name));
    ck_assert(target_host_is_loopback("127.0.0.1") && target_host_is_loopback("[::1]") &&
              target_host_is_loopback("localhost"));
    ck_assert(!target_host_is_loopback("127.evil.example") && !target_host_is_loopback("10.0.0.1"));
}
END_TEST

static const struct {
    const char *method, *path, *name, *segment, *value; /* name NULL: no row */
} asked[] = {
    {"GET", "/healthz", "/healthz", NULL, NULL},
    {"POST", "/healthz", NULL, NULL, "GET"},
    {"GET", "/v1/models/a/b", "/v1/models/{model*}", "model", "a/b"},
    {"GET", "/v1/models/", NULL, NULL, ""},
    {"POST", "/openai/v1/completions", "/openai/v1/completions", NULL, NULL},
    {"DELETE", "/v1/completions", NULL, NULL, "POST"},
    {"POST", "/v1/responses/x/cancel", "/v1/responses/{id}/cancel", "id", "x"},
    {"GET", "/openai/v1/responses/resp_1", "/openai/v1/responses/{id}", "id", "resp_1"},
    {"PUT", "/v1/responses", NULL, NULL, "POST"},
    {"POST", "/v2/rerank", "/v2/rerank", NULL, NULL},
    {"PATCH", "/sleep", "/sleep", NULL, NULL},
    {"GET", "/version/", "/version", NULL, NULL},
    {"GET", "/healthz/", NULL, NULL, ""},
    {"GET", "/apis/serving.kserve.io/v1beta1/namespaces/n/inferenceservices/x",
        "/apis/serving.kserve.io/v1beta1/namespaces/{namespace}/inferenceservices/{name}", "name", "x"},
    {"HEAD", "/api/v1/namespaces/n/pods/p/log", NULL, NULL, "GET"},
    {"GET", "/apis/x/y", "/apis", "rest", "x/y"},
    {"GET", "/nope", NULL, NULL, ""},
};

START_TEST(endpoints_are_found)
{
    static struct endpoint_segments segments;
    char allow[ENDPOINT_ALLOW_MAX];
    enum endpoint_shape shape;
    const struct endpoint *row = endpoint_find(asked[_i].method, asked[_i].path, &segments, allow, &shape);
    ck_assert_msg((row != NULL) == (asked[_i].name != NULL), "%s %s", asked[_i].method, asked[_i].path);
    if (row == NULL) {
        ck_assert_str_eq(allow, asked[_i].value);
        return;
    }
    ck_assert_str_eq(row->name, asked[_i].name);
    if (asked[_i].segment != NULL) {
        size_t last = segments.count - 1;
        ck_assert_uint_eq(segments.name_lengths[last], strlen(asked[_i].segment));
        ck_assert_mem_eq(segments.names[last], asked[_i].segment, segments.name_lengths[last]);
        ck_assert_str_eq(segments.values[last], asked[_i].value);
    }
}
END_TEST

START_TEST(open_endpoints_are_these)
{
    for (size_t i = 0; i < endpoints_count(); i++) {
        const struct endpoint *row = endpoint_row(i);
        bool known =
            strcmp(row->path, "/healthz") == 0 || strcmp(row->path, "/livez") == 0 || strcmp(row->path, "/readyz") == 0;
        ck_assert_msg(row->open == known, "%s", row->path);
    }
}
END_TEST

START_TEST(service_prefix_is_taken_off)
{
    char namespace_[ENDPOINT_NAME_MAX], name[ENDPOINT_NAME_MAX];
    ck_assert_str_eq(
        endpoint_service_prefix("/serving/ns/opt-125/v1/models", namespace_, name, sizeof name), "/v1/models");
    ck_assert_str_eq(namespace_, "ns");
    ck_assert_str_eq(name, "opt-125");
    static const char *const plain[] = {
        "/v1/models", "/serving/ns/opt", "/serving/NS/opt/v1", "/serving//x/v1", "/serving/"};
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        ck_assert_ptr_eq(endpoint_service_prefix(plain[i], namespace_, name, sizeof name), plain[i]);
}
END_TEST

static const struct {
    const char *text;
    int kind; /* -1: refused */
    const char *host;
    unsigned port;
    bool local;
} addresses[] = {
    {"127.0.0.1:8080", LISTENER_IPV4, "127.0.0.1", 8080, true},
    {"0.0.0.0:80", LISTENER_IPV4, "0.0.0.0", 80, false},
    {"localhost:1", LISTENER_IPV4, "127.0.0.1", 1, true},
    {"[::1]:8080", LISTENER_IPV6, "::1", 8080, true},
    {"[::]:8080", LISTENER_IPV6, "::", 8080, false},
    {"unix:/run/x.sock", LISTENER_UNIX, "/run/x.sock", 0, true},
    {"::1:8080", -1, NULL, 0, false},
    {"127.0.0.1", -1, NULL, 0, false},
    {"127.0.0.1:", -1, NULL, 0, false},
    {"127.0.0.1:65536", -1, NULL, 0, false},
    {"127.0.0.1:8x", -1, NULL, 0, false},
    {"example.com:80", -1, NULL, 0, false},
    {"unix:relative", -1, NULL, 0, false},
    {":8080", -1, NULL, 0, false},
    {"", -1, NULL, 0, false},
    {"127.0.0.1:80s", -1, NULL, 0, false},
};

START_TEST(listeners_are_parsed)
{
    struct listener_address address;
    pdk_error err = {0};
    pdk_status status = listener_parse(addresses[_i].text, &address, &err);
    if (addresses[_i].kind < 0) {
        ck_assert_int_eq(status, PDK_INVALID);
        ck_assert_str_eq(err.field, "listen");
        return;
    }
    ck_assert_int_eq(status, PDK_OK);
    ck_assert_int_eq((int)address.kind, addresses[_i].kind);
    ck_assert_str_eq(address.host, addresses[_i].host);
    ck_assert_uint_eq(address.port, addresses[_i].port);
    ck_assert_int_eq(address.local, addresses[_i].local);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("target");
    TCase *tests = tcase_create("target");
    tcase_add_loop_test(tests, paths_are_decoded_or_refused, 0, sizeof paths / sizeof paths[0]);
    tcase_add_test(tests, parameters_are_found);
    tcase_add_test(tests, hosts_are_named);
    tcase_add_loop_test(tests, endpoints_are_found, 0, sizeof asked / sizeof asked[0]);
    tcase_add_test(tests, open_endpoints_are_these);
    tcase_add_test(tests, service_prefix_is_taken_off);
    tcase_add_loop_test(tests, listeners_are_parsed, 0, sizeof addresses / sizeof addresses[0]);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
