/* core/spec/conf.c, conf_scan.c */
#include "config.h"

#include "core/spec/conf.h"

#include "check_main.h"

#include <string.h>

static const struct {
    const char *text;
    const char *result; /* as JSON, or the message */
} cases[] = {
    {"", "{}"},
    {"a = 1; b = ( 1, \"x\", { c = true; } ); d = [ 1, 2 ];", "{\"a\":1,\"b\":[1,\"x\",{\"c\":true}],\"d\":[1,2]}"},
    {"a = 99999999999L; b = -2147483648; c = 0xFF; d = 1.5; e = \"x\\\"y\\n\" \"z\";",
        "{\"a\":99999999999,\"b\":-2147483648,\"c\":255,\"d\":1.5,\"e\":\"x\\\"y\\nz\"}"},
    {"# 99999999999 @include\n// \"\n/* ( */ a = \"# 99999999999 @include\";", "{\"a\":\"# 99999999999 @include\"}"},
    {"a = 99999999999;", "the integer 99999999999 does not fit 32 bits (write it with an L behind) at line 1"},
    {"a = 1;\nb = 2147483648;", "the integer 2147483648 does not fit 32 bits (write it with an L behind) at line 2"},
    {"a = 9223372036854775808L;", "the integer 9223372036854775808L does not fit 64 bits at line 1"},
    {"a = 1.0e999;", "a number out of range at line 1"},
    {"@include \"/etc/passwd\"", "@include is not allowed at line 1"},
    {"a = \"x", "unterminated text at line 1"},
    {"a = 1; /* x", "unterminated comment at line 1"},
    {"a = 1;\na = 2;", "duplicate setting name at line 2"},
    {"a = ;", "expected a value, found ';' at line 1"},
    {"a 1;", "expected '=' behind a setting's name, found a number at line 1"},
    {"a = yes;", "expected a value, found a name (texts stand in quotes) at line 1"},
    {"a = ( 1, );", "expected a value behind ',', found ')' at line 1"},
    {"a = ( 1 2 );", "expected ',' or the end of the list, found a number at line 1"},
    {"a = [ ( ) ];", "an array [ ] holds numbers, texts or booleans; a list is ( ) at line 1"},
    {"a = { b = 1;", "expected a setting's name or the end of its group, found the end of the file at line 1"},
    {"a = 1; }", "expected a setting's name or the end of its group, found '}' at line 1"},
    {"a = 12abc;", "'12abc' is no number at line 1"},
    {"a = 1e5;", "'1e5' is no number at line 1"},
    {"a = [ 1, \"x\" ];", "mismatched element type in array at line 1"},
    {"a = 1 b : TRUE, c = 0x10L d = -1.5e+3", "{\"a\":1,\"b\":true,\"c\":16,\"d\":-1500}"},
    {"a = \"\\x00\";", "NUL in a text at line 1"},
    {"a = \"\\xff\";", "invalid UTF-8 in a text at line 1"},
    {"a = \xff;", "invalid UTF-8 at byte 4"},
};

START_TEST(reads_or_says_why)
{
    struct json_document *tree = NULL;
    pdk_error err = {0};
    pdk_status status = conf_read(cases[_i].text, strlen(cases[_i].text), &tree, &err);
    if (status != PDK_OK) {
        ck_assert_str_eq(err.message, cases[_i].result);
        ck_assert_ptr_null(tree);
        return;
    }
    struct buffer out = {0};
    json_print(&out, json_root(tree));
    ck_assert_str_eq(out.data, cases[_i].result);
    buffer_done(&out);
    json_document_free(tree);
}
END_TEST

START_TEST(nesting_stops_at_the_limit)
{
    struct buffer text = {0};
    pdk_error err;
    struct json_document *tree = NULL;
    buffer_puts(&text, "a = ");
    for (int i = 0; i < 10000; i++)
        buffer_putc(&text, '(');
    ck_assert_int_eq(conf_read(text.data, text.length, &tree, &err), PDK_INVALID);
    ck_assert_str_eq(err.message, "nested deeper than 64 levels at line 1");
    buffer_done(&text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conf");
    TCase *tests = tcase_create("conf");
    tcase_add_loop_test(tests, reads_or_says_why, 0, sizeof cases / sizeof cases[0]);
    tcase_add_test(tests, nesting_stops_at_the_limit);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
