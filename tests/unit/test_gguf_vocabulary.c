/* runtimes/huggingface/tokenizer/from_gguf.c: vocabularies of GGUF files, against the ids that are published with them.
 */
#include "config.h"

#include "runtimes/huggingface/tokenizer/tokenizer.h"

#include "core/base/file.h"

#include "check_main.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {"bert-bge", "deepseek-coder", "falcon", "gpt-2", "llama-spm", "phi-3", "qwen2"};
static const char border[] = "\n__ggml_vocab_test__\n";

/* The numbers of one line. */
static const char *read_ids(const char *at, struct token_list *list)
{
    list->count = 0;
    while (*at != '\n' && *at != '\0') {
        uint32_t id = 0;
        while (*at == ' ')
            at++;
        for (; *at >= '0' && *at <= '9'; at++)
            id = id * 10 + (uint32_t)(*at - '0');
        list->ids[list->count++] = id;
    }
    return *at == '\n' ? at + 1 : at;
}

static unsigned run_cases(const char *name, const struct tokenizer *tokenizer, const char *input, const char *output)
{
    struct token_list want = {.ids = calloc(10000, sizeof *want.ids)}, got = {0};
    unsigned failed = 0, number = 0;
    for (const char *at = input; at != NULL; number++) {
        const char *end = strstr(at, border);
        size_t length = end != NULL ? (size_t)(end - at) : strlen(at);
        pdk_error err = {0};
        output = read_ids(output, &want);
        got.count = 0;
        pdk_status status = tokenizer_encode(tokenizer, at, length, NULL, 0, false, &got, &err);
        ck_assert_msg(status == PDK_OK, "%s case %u: %s", name, number, err.message);
        if (got.count != want.count || memcmp(got.ids, want.ids, want.count * sizeof *want.ids) != 0) {
            printf("%s case %u: '%.*s'\n  got ", name, number, (int)length, at);
            for (size_t i = 0; i < got.count; i++)
                printf(" %u", got.ids[i]);
            printf("\n  want");
            for (size_t i = 0; i < want.count; i++)
                printf(" %u", want.ids[i]);
            printf("\n");
            failed++;
        }
        at = end != NULL ? end + strlen(border) : NULL;
    }
    token_list_done(&want);
    token_list_done(&got);
    ck_assert_uint_gt(number, 30);
    return failed;
}

START_TEST(gives_the_published_ids)
{
    const char *folder = getenv("PADDOCK_FIXTURES");
    char path[1024];
    struct gguf *gguf = NULL;
    struct tokenizer *tokenizer = NULL;
    struct buffer input = {0}, output = {0};
    pdk_error err = {0};
    snprintf(path, sizeof path, "%s/gguf-vocab/ggml-vocab-%s.gguf", folder != NULL ? folder : ".", names[_i]);
    ck_assert_msg(gguf_open(path, &gguf, &err) == PDK_OK, "%s", err.message);
    ck_assert_msg(tokenizer_from_gguf(gguf, &tokenizer, &err) == PDK_OK, "%s: %s", names[_i], err.message);
    snprintf(path, sizeof path, "%s/gguf-vocab/ggml-vocab-%s.gguf.inp", folder, names[_i]);
    ck_assert_msg(file_read(path, 1 << 20, &input, &err) == PDK_OK, "%s", err.message);
    snprintf(path, sizeof path, "%s/gguf-vocab/ggml-vocab-%s.gguf.out", folder, names[_i]);
    ck_assert_msg(file_read(path, 1 << 20, &output, &err) == PDK_OK, "%s", err.message);
    unsigned failed = run_cases(names[_i], tokenizer, input.data, output.data);
    ck_assert_msg(failed == 0, "%s: %u cases differ", names[_i], failed);
    tokenizer_free(tokenizer);
    gguf_close(gguf);
    buffer_done(&input);
    buffer_done(&output);
}
END_TEST

int main(void)
{
    const char *folder = getenv("PADDOCK_FIXTURES");
    char path[1024];
    snprintf(path, sizeof path, "%s/gguf-vocab", folder != NULL ? folder : ".");
    if (access(path, R_OK) != 0) {
        printf("skipped: there is no %s\n", path);
        return 77;
    }
    Suite *suite = suite_create("gguf_vocabulary");
    TCase *tests = tcase_create("gguf_vocabulary");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, gives_the_published_ids, 0, sizeof names / sizeof names[0]);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
