/* core/base/json_read.c, json_write.c */
#include "config.h"

#include "core/base/json.h"

#include "check_main.h"

#include <string.h>

static const struct {
    const char *text;
    const char *message; /* "" when it is accepted */
} cases[] = {
    {"{}", ""},
    {" [1, 2.5, -3e2, \"a\\u00e9\\ud83d\\ude00\\n\", null, true, false, {\"a\": {\"b\": []}}] ", ""},
    {"", "unexpected end at line 1, column 1 (byte 0)"},
    {"[1,,2]", "expected a value at line 1, column 4 (byte 3)"},
    {"[1,]", "expected a value at line 1, column 4 (byte 3)"},
    {"{\"a\":1,\n \"a\":2}", "duplicate key 'a' at line 2, column 2 (byte 14)"},
    {"{a:1}", "expected a key in quotes at line 1, column 2 (byte 1)"},
    {"[01]", "not a number at line 1, column 4 (byte 3)"},
    {"[1.]", "not a number at line 1, column 4 (byte 3)"},
    {"[1e999]", "number out of range at line 1, column 7 (byte 6)"},
    {"[NaN]", "expected a value at line 1, column 2 (byte 1)"},
    {"\"\\u0000\"", "\\u0000 is not allowed at line 1, column 8 (byte 7)"},
    {"\"\\ud800x\"", "half a surrogate pair at line 1, column 8 (byte 7)"},
    {"\"a\tb\"", "control character in a string at line 1, column 3 (byte 2)"},
    {"\"\xc0\x80\"", "invalid UTF-8 at line 1, column 2 (byte 1)"},
    {"\"\xed\xa0\x80\"", "invalid UTF-8 at line 1, column 2 (byte 1)"},
    {"{} x", "trailing characters at line 1, column 4 (byte 3)"},
    {"\"abc", "unterminated string at line 1, column 2 (byte 1)"},
    {"\"abc\\\"", "unterminated string at line 1, column 2 (byte 1)"},
};

START_TEST(reads_or_says_why)
{
    struct json_document *document = NULL;
    pdk_error err = {0};
    pdk_status status = json_read(cases[_i].text, strlen(cases[_i].text), &json_limits_default, &document, &err);
    if (cases[_i].message[0] == '\0') {
        ck_assert_int_eq(status, PDK_OK);
    } else {
        ck_assert_int_eq(status, PDK_INVALID);
        ck_assert_str_eq(err.message, cases[_i].message);
        ck_assert_ptr_null(document);
    }
    json_document_free(document);
}
END_TEST

START_TEST(nesting_stops_at_the_limit)
{
    char text[2000];
    memset(text, '[', 850);
    pdk_error err;
    struct json_document *document = NULL;
    ck_assert_int_eq(json_read(text, 850, &json_limits_default, &document, &err), PDK_INVALID);
    ck_assert_str_eq(err.message, "nested deeper than 64 levels at byte 65");
}
END_TEST

START_TEST(integers_keep_every_bit)
{
    static const char text[] =
        "[9007199254740993, -9223372036854775808, 18446744073709551615, 18446744073709551616, 5.0, 1.5]";
    struct json_document *document = NULL;
    ck_assert_int_eq(json_read(text, strlen(text), &json_limits_default, &document, NULL), PDK_OK);
    const struct json *at = json_root(document)->child;
    int64_t value;
    uint64_t large;
    ck_assert(json_int64(at, &value) && value == 9007199254740993);
    at = at->next;
    ck_assert(json_int64(at, &value) && value == INT64_MIN);
    at = at->next;
    ck_assert(!json_int64(at, &value) && json_uint64(at, &large) && large == UINT64_MAX);
    at = at->next;
    ck_assert(!json_uint64(at, &large));
    at = at->next;
    ck_assert(json_int64(at, &value) && value == 5);
    ck_assert(!json_int64(at->next, &value));
    json_document_free(document);
}
END_TEST

START_TEST(finds_duplicates_among_many_keys)
{
    struct buffer text = {0};
    buffer_putc(&text, '{');
    for (int i = 0; i < 5000; i++)
        buffer_printf(&text, "\"k%d\":%d,", i, i);
    buffer_puts(&text, "\"k77\":1}");
    pdk_error err;
    struct json_document *document = NULL;
    ck_assert_int_eq(json_read(text.data, text.length, &json_limits_default, &document, &err), PDK_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "duplicate key 'k77'"));
    buffer_done(&text);
}
END_TEST

START_TEST(writes_what_it_is_told)
{
    struct buffer out = {0};
    struct json_writer w = {.out = &out};
    json_write_object(&w);
    json_write_key(&w, "a\"b");
    json_write_array(&w);
    json_write_int(&w, -5);
    json_write_double(&w, 0.1);
    json_write_double(&w, 1);
    json_write_float(&w, -0.3f);
    json_write_string(&w, NULL);
    json_write_text(&w, "x\n\x01\xff\xc3\xa9", 6);
    json_write_end_array(&w);
    json_write_key(&w, "c");
    json_write_object(&w);
    json_write_end_object(&w);
    json_write_end_object(&w);
    ck_assert_str_eq(out.data, "{\"a\\\"b\":[-5,0.1,1.0,-0.3,null,\"x\\n\\u0001\xEF\xBF\xBD\xc3\xa9\"],\"c\":{}}");
    buffer_done(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json");
    TCase *tests = tcase_create("json");
    tcase_add_loop_test(tests, reads_or_says_why, 0, sizeof cases / sizeof cases[0]);
    tcase_add_test(tests, nesting_stops_at_the_limit);
    tcase_add_test(tests, integers_keep_every_bit);
    tcase_add_test(tests, finds_duplicates_among_many_keys);
    tcase_add_test(tests, writes_what_it_is_told);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
