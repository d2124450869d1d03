/* core/spec/daemon_config.c */
#include "config.h"

#include "core/spec/daemon_config.h"

#include "core/base/file.h"
#include "core/base/limits.h"

#include "check_main.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char path[64];

static void set_up(void)
{
    snprintf(path, sizeof path, "/tmp/paddock-conf.XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    limits_reset();
}

static void tear_down(void)
{
    unlink(path);
}

static pdk_status read_text(const char *text, struct daemon_config *config, pdk_error *err)
{
    ck_assert_int_eq(file_replace(path, text, strlen(text), 0600, NULL), PDK_OK);
    return daemon_config_read(path, config, err);
}

START_TEST(reads_all_settings)
{
    struct daemon_config config;
    pdk_error err = {0};
    daemon_config_default(&config);
    pdk_status status = read_text(
        "listen = ( { address = \"127.0.0.1:1\"; }, { address = \"[::1]:2\"; door = true; } );\n"
        "connections = 100; domain = \"x.org\"; sandbox = \"strict\"; log_level = \"debug\"; access_log = false;\n"
        "load_deadline_s = 1; ping_deadline_s = 2; step_deadline_s = 3; drain_s = 0;\n"
        "limits = { queue = 5; body_infer_bytes = 1073741824; };\n",
        &config, &err);
    ck_assert_msg(status == PDK_OK, "%s", err.message);
    ck_assert_uint_eq(config.listener_count, 2);
    ck_assert_str_eq(config.listeners[1].address, "[::1]:2");
    ck_assert(config.listeners[1].door && !config.listeners[0].door);
    ck_assert_uint_eq(config.connections, 100);
    ck_assert_str_eq(config.domain, "x.org");
    ck_assert_str_eq(config.sandbox, "strict");
    ck_assert_int_eq(config.log_level, 7);
    ck_assert(!config.access_log);
    ck_assert(config.load_deadline_s == 1 && config.ping_deadline_s == 2 && config.step_deadline_s == 3 &&
              config.drain_s == 0);
    ck_assert_uint_eq(limit_get(LIMIT_QUEUE), 5);
    ck_assert_uint_eq(limit_get(LIMIT_BODY_INFER_BYTES), 1u << 30);
    /* What a file no longer says is the default again. */
    ck_assert_int_eq(read_text("", &config, &err), PDK_OK);
    ck_assert_uint_eq(limit_get(LIMIT_QUEUE), 1000);
}
END_TEST

static const struct {
    const char *text, *message; /* after the path */
} cases[] = {
    {"conections = 1;", ":1: conections: unknown setting; did you mean 'connections'?"},
    {"\nconnections = 1;", ":2: connections: is 1; it may be 8 to 4096"},
    {"connections = \"many\";", ":1: connections: wants a number from 8 to 4096, is string"},
    {"sandbox = \"of\";", ":1: sandbox: is 'of'; it may be on|strict|off"},
    {"log_level = \"loud\";", ":1: log_level: is 'loud'; it may be error, warning, notice, info or debug"},
    {"access_log = 1;", ":1: access_log: wants true or false, is number"},
    {"limits = { queue = 1;\n qeue = 1; };", ":2: limits.qeue: no such limit; did you mean 'queue'?"},
    {"limits = { queue = 0; };", ":1: limits.queue: is 0; it may be 1 to 1000000 "},
    {"listen = ( { door = true; } );",
        ":1: listen[0].address: is missing: \"127.0.0.1:8080\", \"[::1]:8080\" or \"unix:/PATH\""},
    {"listen = ( { addres = \"x\"; } );", ":1: listen[0].addres: unknown setting; did you mean 'address'?"},
    {"listen = ( { address = \"x\"; door = true; certificate = \"y\"; } );",
        ":1: listen[0].address: a listener with a door takes no certificate; use one of the two"},
    {"drain_s = 99999999999;", ": the integer 99999999999 does not fit 32 bits (write it with an L behind) at line 1"},
};

START_TEST(a_bad_line_changes_nothing)
{
    struct daemon_config config, before;
    pdk_error err = {0};
    char text[512];
    memset(&config, 0, sizeof config);
    daemon_config_default(&config);
    limit_set("queue", 77, NULL);
    before = config;
    snprintf(text, sizeof text, "%s", cases[_i].text);
    ck_assert_int_ne(read_text(text, &config, &err), PDK_OK);
    ck_assert_str_eq(err.message + strlen(path), cases[_i].message);
    ck_assert_int_eq(memcmp(&config, &before, sizeof config), 0);
    ck_assert_uint_eq(limit_get(LIMIT_QUEUE), 77);
}
END_TEST

START_TEST(the_installed_file_is_the_defaults)
{
    struct daemon_config config, standard;
    pdk_error err = {0};
    char example[1024];
    const char *top = getenv("top_srcdir");
    snprintf(example, sizeof example, "%s/etc/paddock.conf", top != NULL ? top : ".");
    memset(&config, 0, sizeof config);
    daemon_config_default(&config);
    standard = config;
    ck_assert_msg(daemon_config_read(example, &config, &err) == PDK_OK, "%s", err.message);
    ck_assert_int_eq(memcmp(&config, &standard, sizeof config), 0);
    ck_assert_int_eq(daemon_config_read("/no/such/paddock.conf", &config, &err), PDK_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("daemon_config");
    TCase *tests = tcase_create("daemon_config");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, reads_all_settings);
    tcase_add_loop_test(tests, a_bad_line_changes_nothing, 0, sizeof cases / sizeof cases[0]);
    tcase_add_test(tests, the_installed_file_is_the_defaults);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
