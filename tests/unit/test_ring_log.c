/* core/control/ring_log.c */
#include "config.h"

#include "core/control/ring_log.h"

#include "check_main.h"

#include <stdio.h>
#include <string.h>

START_TEST(gives_whole_lines_from_where_a_reader_was)
{
    struct ring_log *log = ring_log_new();
    struct buffer out = {0};
    uint64_t next;
    ring_log_put(log, "one", 3);
    ring_log_put(log, "two", 3);
    ring_log_read(log, false, 0, &out, &next);
    ck_assert_str_eq(out.data, "one\ntwo\n");
    ck_assert_uint_eq(next, 8);
    buffer_clear(&out);
    ring_log_put(log, "three", 5);
    ring_log_read(log, false, next, &out, &next);
    ck_assert_str_eq(out.data, "three\n");
    buffer_clear(&out);
    ring_log_tail(log, 2, &out);
    ck_assert_str_eq(out.data, "two\nthree\n");
    buffer_clear(&out);
    ring_log_turn(log);
    ring_log_put(log, "new", 3);
    ring_log_read(log, true, 0, &out, &next);
    ck_assert_str_eq(out.data, "one\ntwo\nthree\n");
    buffer_clear(&out);
    ring_log_read(log, false, 9999, &out, &next); /* a position in the worker before */
    ck_assert_str_eq(out.data, "new\n");
    buffer_done(&out);
    ring_log_unref(log);
}
END_TEST

START_TEST(forgets_the_oldest_lines_whole)
{
    struct ring_log *log = ring_log_new();
    struct buffer out = {0};
    uint64_t next;
    char line[32];
    for (int i = 0; i < 20000; i++) {
        int length = snprintf(line, sizeof line, "line %d", i);
        ring_log_put(log, line, (size_t)length);
    }
    ring_log_read(log, false, 0, &out, &next);
    ck_assert_uint_le(out.length, RING_LOG_BYTES);
    ck_assert_uint_gt(out.length, RING_LOG_BYTES - 32);
    ck_assert_int_eq(strncmp(out.data, "line ", 5), 0);
    ck_assert_ptr_nonnull(strstr(out.data, "\nline 19999\n"));
    buffer_done(&out);
    ring_log_unref(log);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ring_log");
    TCase *tests = tcase_create("ring_log");
    tcase_add_test(tests, gives_whole_lines_from_where_a_reader_was);
    tcase_add_test(tests, forgets_the_oldest_lines_whole);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
