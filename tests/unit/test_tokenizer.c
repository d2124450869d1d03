/* runtimes/huggingface/tokenizer: every case that the reference library recorded. */
#include "config.h"

#include "runtimes/huggingface/tokenizer/tokenizer.h"

#include "core/base/file.h"
#include "core/base/json.h"

#include "check_main.h"

#include <stdio.h>
#include <string.h>

static const char *const families[] = {"bert-cased", "bert-uncased", "deepseek", "gemma", "gpt2", "llama2", "llama3",
    "mistral", "o200k", "opt", "qwen2", "roberta", "smollm", "t5", "xlm-roberta"};

static const char *fixtures(void)
{
    const char *folder = getenv("PADDOCK_FIXTURES");
    return folder != NULL ? folder : ".";
}

static struct tokenizer *load(const char *family)
{
    char path[512];
    struct buffer text = {0};
    pdk_error err = {0};
    struct tokenizer *tokenizer = NULL;
    snprintf(path, sizeof path, "%s/tokenizers/%s/tokenizer.json", fixtures(), family);
    ck_assert_msg(file_read(path, 1 << 20, &text, &err) == PDK_OK, "%s", err.message);
    pdk_status status = tokenizer_from_json(text.data, text.length, NULL, 0, &tokenizer, &err);
    ck_assert_msg(status == PDK_OK, "%s: %s", family, err.message);
    buffer_done(&text);
    return tokenizer;
}

static void expect_ids(const char *what, const struct json *want, const struct token_list *got)
{
    const struct json *at = want->child;
    for (size_t i = 0; i < got->count || at != NULL; i++, at = at->next) {
        int64_t id = -1;
        json_int64(at, &id);
        ck_assert_msg(at != NULL && i < got->count && got->ids[i] == id, "%s: token %zu is %d, not %d (%zu of %u)",
            what, i, i < got->count ? (int)got->ids[i] : -1, (int)id, got->count, want->count);
    }
}

static void expect_text(const char *what, const struct json *want, const struct buffer *got)
{
    const char *text = got->data != NULL ? got->data : "";
    ck_assert_msg(want->length == got->length && memcmp(want->text, text, got->length) == 0, "%s: '%s', not '%s'", what,
        text, want->text);
}

static void run_case(const struct tokenizer *tokenizer, const char *family, unsigned number, const struct json *test)
{
    char what[64];
    pdk_error err = {0};
    struct token_list ids = {0}, plain = {0};
    struct buffer text = {0};
    const struct json *given = json_get(test, "text");
    snprintf(what, sizeof what, "%s case %u", family, number);
    pdk_status status = tokenizer_encode(tokenizer, given->text, given->length, NULL, 0, true, &ids, &err);
    ck_assert_msg(status == PDK_OK, "%s: %s", what, err.message);
    expect_ids(what, json_get(test, "ids"), &ids);
    status = tokenizer_encode(tokenizer, given->text, given->length, NULL, 0, false, &plain, &err);
    ck_assert_msg(status == PDK_OK, "%s: %s", what, err.message);
    expect_ids(what, json_get(test, "ids_plain"), &plain);
    ck_assert_int_eq(tokenizer_decode(tokenizer, ids.ids, ids.count, false, &text, &err), PDK_OK);
    expect_text(what, json_get(test, "decoded"), &text);
    buffer_clear(&text);
    ck_assert_int_eq(tokenizer_decode(tokenizer, ids.ids, ids.count, true, &text, &err), PDK_OK);
    expect_text(what, json_get(test, "decoded_skip"), &text);
    struct detokenizer *stream = NULL;
    ck_assert_int_eq(detokenizer_new(tokenizer, NULL, 0, true, true, &stream, &err), PDK_OK);
    const struct json *delta = json_get(test, "deltas")->child;
    for (size_t i = 0; i < plain.count; i++, delta = delta->next) {
        buffer_clear(&text);
        ck_assert_int_eq(detokenizer_next(stream, plain.ids[i], &text, &err), PDK_OK);
        expect_text(what, delta, &text);
    }
    detokenizer_free(stream);
    token_list_done(&ids);
    token_list_done(&plain);
    buffer_done(&text);
}

START_TEST(gives_what_the_reference_gives)
{
    const char *family = families[_i];
    char path[512];
    struct buffer text = {0};
    struct json_document *cases = NULL;
    pdk_error err = {0};
    snprintf(path, sizeof path, "%s/tokenizers/%s/cases.json", fixtures(), family);
    ck_assert_msg(file_read(path, 16 << 20, &text, &err) == PDK_OK, "%s", err.message);
    struct json_limits limits = json_limits_default;
    limits.allow_nul = true;
    ck_assert_msg(json_read(text.data, text.length, &limits, &cases, &err) == PDK_OK, "%s", err.message);
    struct tokenizer *tokenizer = load(family);
    unsigned number = 0;
    for (const struct json *at = json_root(cases)->child; at != NULL; at = at->next)
        run_case(tokenizer, family, number++, at);
    tokenizer_free(tokenizer);
    json_document_free(cases);
    buffer_done(&text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tokenizer");
    TCase *tests = tcase_create("tokenizer");
    tcase_add_loop_test(tests, gives_what_the_reference_gives, 0, sizeof families / sizeof families[0]);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
