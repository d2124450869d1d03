/* core/base/options.c, and the huggingface runtime's table */
#include "config.h"

#include "core/base/options.h"
#include "runtimes/huggingface/options.h"

#include "check_main.h"

#include <stdio.h>
#include <string.h>

static const pdk_option rows[] = {
    {.name = "max-model-len", .type = PDK_OPTION_INTEGER, .minimum = -1, .maximum = 1e9},
    {.name = "share", .type = PDK_OPTION_NUMBER, .minimum = 0, .maximum = 1, .default_text = "0.5"},
    {.name = "caching", .type = PDK_OPTION_FLAG, .default_text = "true"},
    {.name = "no-fuss", .type = PDK_OPTION_FLAG},
    {.name = "names", .type = PDK_OPTION_LIST},
    {.name = "mode", .type = PDK_OPTION_CHOICE, .choices = "auto|fast", .default_text = "auto"},
    {.name = "overrides", .type = PDK_OPTION_TEXT, .default_text = "{}"},
    {.name = "text", .type = PDK_OPTION_TEXT},
    {.name = "old", .type = PDK_OPTION_TEXT, .action = PDK_OPTION_NOTED, .note = "own kernels"},
    {.name = "tp",
        .type = PDK_OPTION_INTEGER,
        .action = PDK_OPTION_REFUSED,
        .note = "one machine",
        .default_text = "1",
        .minimum = 1,
        .maximum = 64},
};
static const pdk_options table = {
    .size = sizeof table, .option_size = sizeof rows[0], .options = rows, .count = sizeof rows / sizeof rows[0]};

enum { WORDS = 8 };
static const struct {
    const char *words[WORDS];
    const char *field, *message;
} refused[] = {
    {{"--max-modle-len=5"}, "--max-modle-len", "unknown argument --max-modle-len; did you mean 'max-model-len'?"},
    {{"--zzz"}, "--zzz", "unknown argument --zzz"},
    {{"word"}, "args", "'word' is no argument; they begin with --"},
    {{"--max-model-len"}, "--max-model-len", "--max-model-len needs a value"},
    {{"--max-model-len=x"}, "--max-model-len", "--max-model-len: 'x' is not an integer (such as 2048, 32K or 1.5m)"},
    {{"--max-model-len=1.5"}, "--max-model-len",
        "--max-model-len: '1.5' is not an integer (such as 2048, 32K or 1.5m)"},
    {{"--max-model-len=1.5K"}, "--max-model-len",
        "--max-model-len: '1.5K' is not an integer (such as 2048, 32K or 1.5m)"},
    {{"--max-model-len=0x10"}, "--max-model-len",
        "--max-model-len: '0x10' is not an integer (such as 2048, 32K or 1.5m)"},
    {{"--max-model-len=-2"}, "--max-model-len", "--max-model-len: -2 is not in -1 … 1000000000"},
    {{"--max_model_len=2G"}, "--max_model_len", "--max_model_len: 2G is not in -1 … 1000000000"},
    {{"--share", "inf"}, "--share", "--share: 'inf' is not a number"},
    {{"--share", "1.01"}, "--share", "--share: 1.01 is not in 0 … 1"},
    {{"--caching=maybe"}, "--caching", "--caching: 'maybe' is neither true nor false"},
    {{"--no-text=1"}, "--no-text", "unknown argument --no-text; did you mean 'text'?"},
    {{"--mode=slow"}, "--mode", "--mode: 'slow' is not one of auto|fast"},
    {{"--mode=auto|fast"}, "--mode", "--mode: 'auto|fast' is not one of auto|fast"},
    {{"--overrides=[1]"}, "--overrides", "--overrides: not a JSON object"},
    {{"--overrides={"}, "json", "--overrides: expected a key in quotes at line 1, column 2 (byte 1)"},
    {{"--text.a=1"}, "--text.a", "unknown argument --text.a; did you mean 'text'?"},
    {{"--names"}, "--names", "--names needs a value"},
    {{"--names", "--mode=fast"}, "--names", "--names needs a value"},
    {{"--tp=2"}, "--tp", "--tp: one machine"},
    {{"-tp", "2"}, "-tp", "-tp: one machine"},
};

static size_t count_words(const char *const *words)
{
    size_t count = 0;
    while (count < WORDS && words[count] != NULL)
        count++;
    return count;
}

START_TEST(refuses_by_name)
{
    struct options *options = NULL;
    pdk_error err = {0};
    const char *const *words = refused[_i].words;
    ck_assert_int_ne(options_parse(&table, words, count_words(words), &options, &err), PDK_OK);
    ck_assert_ptr_null(options);
    ck_assert_str_eq(err.message, refused[_i].message);
    ck_assert_str_eq(err.field, refused[_i].field);
}
END_TEST

static struct options *parse(const char *const *words)
{
    struct options *options = NULL;
    pdk_error err = {0};
    pdk_status status = options_parse(&table, words, count_words(words), &options, &err);
    ck_assert_msg(status == PDK_OK, "%s", err.message);
    return options;
}

START_TEST(what_is_not_given_has_its_default)
{
    struct options *options = parse((const char *const[WORDS]){NULL});
    ck_assert(!options_given(options, "caching") && options_flag(options, "caching"));
    ck_assert_double_eq(options_number(options, "share"), 0.5);
    ck_assert_str_eq(options_text(options, "mode"), "auto");
    ck_assert_ptr_null(options_text(options, "text"));
    size_t count = 1;
    options_words(options, "names", &count);
    ck_assert_uint_eq(count, 0);
    ck_assert_ptr_null(options_noted(options, 0));
    options_free(options);
}
END_TEST

START_TEST(every_spelling_is_read)
{
    struct options *options =
        parse((const char *const[WORDS]){"--max_model_len", "32K", "--no-caching", "--no-fuss", "false", "--share=1"});
    ck_assert_int_eq(options_integer(options, "max-model-len"), 32768);
    ck_assert(options_given(options, "caching") && !options_flag(options, "caching"));
    ck_assert(options_given(options, "no-fuss") && !options_flag(options, "no-fuss"));
    ck_assert_double_eq(options_number(options, "share"), 1);
    options_free(options);
    options = parse((const char *const[WORDS]){"-max-model-len=1.5m", "--caching=No", "--caching"});
    ck_assert_int_eq(options_integer(options, "max-model-len"), 1500000);
    ck_assert(options_flag(options, "caching")); /* the last one wins */
    options_free(options);
    options = parse((const char *const[WORDS]){"--max-model-len", "-1", "--text", "--odd"});
    ck_assert_int_eq(options_integer(options, "max-model-len"), -1);
    ck_assert_str_eq(options_text(options, "text"), "--odd");
    options_free(options);
}
END_TEST

START_TEST(lists_end_at_the_next_argument)
{
    struct options *options = parse((const char *const[WORDS]){"--names", "a", "b", "--mode=fast"});
    size_t count = 0;
    const char *const *words = options_words(options, "names", &count);
    ck_assert_uint_eq(count, 2);
    ck_assert_str_eq(words[1], "b");
    ck_assert_str_eq(options_text(options, "mode"), "fast");
    options_free(options);
    options = parse((const char *const[WORDS]){"--names", "a", "--names=c"});
    words = options_words(options, "names", &count);
    ck_assert_uint_eq(count, 1);
    ck_assert_str_eq(words[0], "c");
    options_free(options);
}
END_TEST

START_TEST(members_become_json)
{
    struct options *options = parse((const char *const[WORDS]){"--overrides.rope_theta", "500000",
        "--overrides.rope.kind=yarn", "--overrides.rope.factor=2.5", "--overrides.rope_theta=1e4"});
    ck_assert_str_eq(
        options_text(options, "overrides"), "{\"rope\":{\"kind\":\"yarn\",\"factor\":2.5},\"rope_theta\":1e4}");
    options_free(options);
    options = parse((const char *const[WORDS]){"--overrides={\"a\": 1}", "--overrides.b=true"});
    ck_assert_str_eq(options_text(options, "overrides"), "{\"a\":1,\"b\":true}");
    options_free(options);
}
END_TEST

START_TEST(what_has_no_effect_is_told)
{
    struct options *options = parse((const char *const[WORDS]){"--old=x", "--tp=1"});
    ck_assert_str_eq(options_noted(options, 0), "argument --old has no effect here: own kernels");
    ck_assert_ptr_null(options_noted(options, 1));
    options_free(options);
}
END_TEST

/* The runtime's table: names once, defaults that are accepted, refusals with a reason. */
START_TEST(the_runtimes_table_holds)
{
    size_t noted = 0, refusals = 0;
    for (size_t i = 0; i < huggingface_options.count; i++) {
        const pdk_option *option = &huggingface_options.options[i];
        ck_assert_msg(
            strspn(option->name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(option->name), "%s", option->name);
        ck_assert_ptr_nonnull(option->doc);
        noted += option->action == PDK_OPTION_NOTED;
        refusals += option->action == PDK_OPTION_REFUSED;
        ck_assert_msg(option->action != PDK_OPTION_REFUSED || option->note != NULL, "%s", option->name);
        for (size_t j = 0; j < i; j++)
            ck_assert_str_ne(option->name, huggingface_options.options[j].name);
        if (option->default_text == NULL)
            continue;
        char argument[256];
        snprintf(argument, sizeof argument, "--%s=%s", option->name, option->default_text);
        struct options *options = NULL;
        pdk_error err = {0};
        pdk_status status = options_parse(&huggingface_options, (const char *const[]){argument}, 1, &options, &err);
        ck_assert_msg(status == PDK_OK, "%s", err.message);
        options_free(options);
    }
    ck_assert_uint_gt(noted, 150);
    ck_assert_uint_gt(refusals, 100);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("options");
    TCase *tests = tcase_create("options");
    tcase_add_loop_test(tests, refuses_by_name, 0, sizeof refused / sizeof refused[0]);
    tcase_add_test(tests, what_is_not_given_has_its_default);
    tcase_add_test(tests, every_spelling_is_read);
    tcase_add_test(tests, lists_end_at_the_next_argument);
    tcase_add_test(tests, members_become_json);
    tcase_add_test(tests, what_has_no_effect_is_told);
    tcase_add_test(tests, the_runtimes_table_holds);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
