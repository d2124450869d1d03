/* core/spec/yaml.c, yaml_scalar.c */
#include "config.h"

#include "core/spec/yaml.h"

#include "check_main.h"

#include <string.h>

static const struct {
    const char *text;
    const char *result; /* the documents as JSON, or the message */
} cases[] = {
    {"a: 1\nb: [x, 'y', \"z\"]\n", "[{\"a\":1,\"b\":[\"x\",\"y\",\"z\"]}]"},
    {"a: 1\n---\nb: 2\n---\n# nothing\n", "[{\"a\":1},{\"b\":2}]"},
    {"", "[]"},
    {"[1, 010, 0x1F, 0b11, 0o17, -0, +5, 1_0, 1.5, .5, 5., 1e3, -1.25e-2]",
        "[[1,8,31,3,15,0,5,\"1_0\",1.5,0.5,5,1000,-0.012500000000000001]]"},
    {"[yes, On, no, OFF, true, False, y, n, null, ~, 'yes', \"1\"]",
        "[[true,true,false,false,true,false,\"y\",\"n\",null,null,\"yes\",\"1\"]]"},
    {"[18446744073709551615, -9223372036854775808, 1.2.3, 1-2, -, ., 08, 4Gi]",
        "[[18446744073709551615,-9223372036854775808,\"1.2.3\",\"1-2\",\"-\",\".\",8,\"4Gi\"]]"},
    {"a: !!str 5", "[{\"a\":\"5\"}]"},
    {"a: |\n  two\n  lines\n", "[{\"a\":\"two\\nlines\\n\"}]"},
    {"a:", "[{\"a\":null}]"},
    {"true: 1\n5: 2", "[{\"true\":1,\"5\":2}]"},
    {"a: 1\na: 2", "duplicate key 'a' at line 2, column 1"},
    {"a: &x 1\nb: *x", "anchors are not allowed at line 1, column 4"},
    {"a: *x", "aliases are not allowed at line 1, column 4"},
    {"<<: {a: 1}", "merge keys are not allowed at line 1, column 1"},
    {"a: !ruby/object x", "tags are not allowed at line 1, column 4"},
    {"a: !!python/none x", "tags are not allowed at line 1, column 4"},
    {"? [a]\n: b", "a key must be a text at line 1, column 3"},
    {"a: .inf", ".inf is no number here; quote it to make it a text at line 1, column 4"},
    {"a: 18446744073709551616", "the number 18446744073709551616 does not fit 64 bits at line 1, column 4"},
    {"a: 1e999", "the number 1e999 is out of range at line 1, column 4"},
    {"a: \"\\0\"", "NUL in a text at line 1, column 4"},
    {"a: [1", "did not find expected ',' or ']' at line 2, column 1"},
    {"a: \xff", "invalid UTF-8 at byte 3"},
};

START_TEST(reads_or_says_why)
{
    struct json_document *tree = NULL;
    pdk_error err = {0};
    pdk_status status = yaml_read(cases[_i].text, strlen(cases[_i].text), &tree, &err);
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

static void expect_refusal(const struct buffer *text, const char *message)
{
    struct json_document *tree = NULL;
    pdk_error err = {0};
    ck_assert_int_ne(yaml_read(text->data, text->length, &tree, &err), PDK_OK);
    ck_assert_msg(strstr(err.message, message) != NULL, "%s", err.message);
}

START_TEST(budgets_hold)
{
    struct buffer text = {0};
    for (int i = 0; i < 100000; i++)
        buffer_putc(&text, '[');
    expect_refusal(&text, "nested deeper than 64 levels at line 1, column 65");
    buffer_clear(&text);
    for (int i = 0; i < 10001; i++)
        buffer_puts(&text, "- x\n");
    expect_refusal(&text, "more than 10000 values");
    buffer_clear(&text);
    for (int i = 0; i < (1 << 20) + 1; i++)
        buffer_putc(&text, ' ');
    expect_refusal(&text, "1048577 bytes; the limit is 1048576");
    buffer_done(&text);
}
END_TEST

START_TEST(knows_lines)
{
    static const char text[] = "a:\n  - b: 1\n    c: x\n";
    struct json_document *tree = NULL;
    ck_assert_int_eq(yaml_read(text, strlen(text), &tree, NULL), PDK_OK);
    const struct json *c = json_get(json_get(json_root(tree)->child, "a")->child, "c");
    ck_assert_uint_eq(c->line, 3);
    ck_assert_uint_eq(c->column, 8);
    json_document_free(tree);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("yaml");
    TCase *tests = tcase_create("yaml");
    tcase_add_loop_test(tests, reads_or_says_why, 0, sizeof cases / sizeof cases[0]);
    tcase_add_test(tests, budgets_hold);
    tcase_add_test(tests, knows_lines);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
