/* runtimes/huggingface/modules.c: sentence-transformers' files, right ones and wrong ones. */
#include "config.h"

#include "runtimes/huggingface/modules.h"

#include "check_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODULE(path, kind) "{\"path\":\"" path "\",\"type\":\"sentence_transformers.models." kind "\"}"
#define MINILM \
    "[" MODULE("", "Transformer") "," MODULE("1_Pooling", "Pooling") "," MODULE("2_Normalize", "Normalize") "]"
#define MEAN  "{\"pooling_mode_cls_token\":false,\"pooling_mode_mean_tokens\":true}"
#define DENSE "[" MODULE("1_Pooling", "Pooling") "," MODULE("2_Dense", "Dense") "]"

static const struct {
    const char *modules, *pooling, *texts, *dense; /* NULL: no such file */
    pdk_status status;
    const char *message;
    struct modules want; /* but for the projection */
} cases[] = {
    {NULL, NULL, NULL, NULL, PDK_OK, "", {0}},
    {NULL, NULL, "{\"max_seq_length\":128,\"do_lower_case\":true}", NULL, PDK_OK, "",
        {.max_length = 128, .lowercase = true}},
    {MINILM, MEAN, "{\"max_seq_length\":256,\"do_lower_case\":false}", NULL, PDK_OK, "",
        {.found = true, .pools = true, .rows = POOL_MEAN, .normalises = true, .max_length = 256}},
    {"[" MODULE("1_Pooling", "Pooling") "]", "{\"pooling_mode_cls_token\":true}", "{\"max_seq_length\":null}", NULL,
        PDK_OK, "", {.found = true, .pools = true, .rows = POOL_FIRST}},
    {"[" MODULE("1_Pooling", "Pooling") "]", "{\"pooling_mode\":\"lasttoken\"}", NULL, NULL, PDK_OK, "",
        {.found = true, .pools = true, .rows = POOL_LAST}},
    {"[{\"path\":\"1_Pooling\",\"type\":\"sentence_transformers.sentence_transformer.modules.pooling.Pooling\"}]", MEAN,
        NULL, NULL, PDK_OK, "", {.found = true, .pools = true, .rows = POOL_MEAN}},
    {MINILM, NULL, NULL, NULL, PDK_UNSUPPORTED, "it chooses none that is known", {0}},
    {MINILM, "{\"pooling_mode_max_tokens\":true}", NULL, NULL, PDK_UNSUPPORTED, "pooling_mode_max_tokens", {0}},
    {MINILM, "{\"pooling_mode_cls_token\":true,\"pooling_mode_mean_tokens\":true}", NULL, NULL, PDK_UNSUPPORTED,
        "it chooses several", {0}},
    {MINILM, "{", NULL, NULL, PDK_INVALID, "config.json", {0}},
    {"{}", NULL, NULL, NULL, PDK_INVALID, "modules.json must be a list", {0}},
    {"[" MODULE("../elsewhere", "Dense") "]", NULL, NULL, NULL, PDK_INVALID, "'../elsewhere' leaves the folder", {0}},
    {"[" MODULE("/etc", "Pooling") "]", NULL, NULL, NULL, PDK_INVALID, "'/etc' leaves the folder", {0}},
    {"[" MODULE("1", "CNN") "]", NULL, NULL, NULL, PDK_UNSUPPORTED,
        "module 'sentence_transformers.models.CNN' is not known", {0}},
    {MINILM, MEAN, "{\"max_seq_length\":1}", NULL, PDK_INVALID, "max_seq_length must be 2 to", {0}},
    {DENSE, MEAN, NULL, "{\"activation_function\":\"torch.nn.modules.activation.Mish\"}", PDK_UNSUPPORTED,
        "activation 'torch.nn.modules.activation.Mish' is not known", {0}},
    {DENSE, MEAN, NULL, "{}", PDK_NOT_FOUND, "model.safetensors", {0}},
};

static void put(const char *folder, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = text != NULL ? fopen(path, "w") : NULL;
    if (file == NULL)
        return;
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static void take_away(const char *folder)
{
    static const char *const names[] = {
        "modules.json", "1_Pooling/config.json", "sentence_bert_config.json", "2_Dense/config.json"};
    char path[256];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/1_Pooling", folder);
    rmdir(path);
    snprintf(path, sizeof path, "%s/2_Dense", folder);
    rmdir(path);
    rmdir(folder);
}

START_TEST(says_what_the_files_say)
{
    char folder[] = "/tmp/paddock-modules-XXXXXX", path[64];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/1_Pooling", folder);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/2_Dense", folder);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    put(folder, "modules.json", cases[_i].modules);
    put(folder, "1_Pooling/config.json", cases[_i].pooling);
    put(folder, "sentence_bert_config.json", cases[_i].texts);
    put(folder, "2_Dense/config.json", cases[_i].dense);
    struct modules is = {0};
    pdk_error err = {0};
    ck_assert_int_eq(modules_exist(folder), cases[_i].modules != NULL);
    pdk_status status = modules_read(folder, 8, &is, &err);
    take_away(folder);
    ck_assert_msg(status == cases[_i].status, "%d: %s", (int)status, err.message);
    ck_assert_msg(strstr(err.message, cases[_i].message) != NULL, "'%s' lacks '%s'", err.message, cases[_i].message);
    const struct modules *want = &cases[_i].want;
    if (status == PDK_OK) {
        ck_assert(is.found == want->found && is.pools == want->pools && is.normalises == want->normalises);
        ck_assert(is.rows == want->rows && is.max_length == want->max_length && is.lowercase == want->lowercase);
    }
    modules_done(&is);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("modules");
    TCase *tests = tcase_create("modules");
    tcase_add_loop_test(tests, says_what_the_files_say, 0, sizeof cases / sizeof cases[0]);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
