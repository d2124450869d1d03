/* core/control/location.c: where models are found, and what is said where they are not. */
#include "config.h"

#include "core/control/location.h"

#include "core/base/file.h"

#include "check_main.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char state[64], aliases[128];

static void put(const char *name)
{
    char path[512];
    pdk_error err;
    snprintf(path, sizeof path, "%s/%s", state, name);
    *strrchr(path, '/') = '\0';
    ck_assert_int_eq(folder_make(path, 0700, &err), PDK_OK);
    snprintf(path, sizeof path, "%s/%s", state, name);
    ck_assert_int_eq(file_replace(path, "x", 1, 0600, &err), PDK_OK);
}

static void remove_all(const char *path)
{
    DIR *entries = opendir(path);
    for (struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;) {
        char child[1024];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
        if (unlink(child) != 0)
            remove_all(child);
    }
    if (entries != NULL)
        closedir(entries);
    rmdir(path);
}

static void set_up(void)
{
    static const char rows[] = "aliases = ( { name = \"short\"; uri = \"hf://o/safe\"; } );";
    snprintf(state, sizeof state, "/tmp/paddock-location.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(state));
    snprintf(aliases, sizeof aliases, "%s/model-aliases.conf", state);
    ck_assert_int_eq(file_replace(aliases, rows, sizeof rows - 1, 0600, NULL), PDK_OK);
    put("models/hf/o/safe/config.json");
    put("models/hf/o/safe/model.safetensors");
    put("models/hf/o/gguf/README.md");
    put("models/hf/o/gguf/a.gguf");
    put("models/hf/o/split/a-00001-of-00002.gguf");
    put("models/hf/o/split/a-00002-of-00002.gguf");
    put("models/hf/o/two/a.gguf");
    put("models/hf/o/two/b.gguf");
    put("models/hf/o/torch/config.json");
    put("models/hf/o/torch/pytorch_model.bin");
    put("models/hf/o/half/config.json");
    put("models/hf/o/half/model.safetensors.part");
    put("models/hf/o/safe@v2/config.json");
    put("models/hf/o/safe@v2/model.safetensors");
    put("models/plain.txt");
}

static void tear_down(void)
{
    remove_all(state);
}

/* @ stands for the state folder. */
static const struct {
    const char *uri, *id, *layout;
    pdk_status status;
    const char *result; /* the path, or a part of the message */
} cases[] = {
    {NULL, "o/safe", "huggingface", PDK_OK, "@/models/hf/o/safe"},
    {NULL, "short", "huggingface", PDK_OK, "@/models/hf/o/safe"},
    {"hf://o/safe", NULL, "huggingface", PDK_OK, "@/models/hf/o/safe"},
    {"hf://o/safe:main", NULL, "huggingface", PDK_OK, "@/models/hf/o/safe"},
    {"hf://o/safe:v2", NULL, "huggingface", PDK_OK, "@/models/hf/o/safe@v2"},
    {"hf://o/gguf", NULL, "huggingface", PDK_OK, "@/models/hf/o/gguf/a.gguf"},
    {"hf://o/gguf/a.gguf", NULL, "huggingface", PDK_OK, "@/models/hf/o/gguf/a.gguf"},
    {"hf://o/split", NULL, "huggingface", PDK_OK, "@/models/hf/o/split/a-00001-of-00002.gguf"},
    {"file://@/models/hf/o/safe", NULL, "huggingface", PDK_OK, "@/models/hf/o/safe"},
    {"@/models/hf/o/safe", NULL, "huggingface", PDK_OK, "@/models/hf/o/safe"},
    {"file://@/models/plain.txt", NULL, NULL, PDK_OK, "@/models/plain.txt"},
    {NULL, NULL, NULL, PDK_OK, ""},
    {NULL, NULL, "huggingface", PDK_INVALID, "names no model: set storageUri, or --model_id=OWNER/NAME in args"},
    {"hf://o/two", NULL, "huggingface", PDK_INVALID, "nor exactly one GGUF; there is: a.gguf, b.gguf"},
    {"hf://o/torch", NULL, "huggingface", PDK_INVALID, "there is: config.json, pytorch_model.bin"},
    {"hf://o/half", NULL, "huggingface", PDK_UNAVAILABLE, "a download is not complete"},
    {"hf://o/absent", NULL, "huggingface", PDK_NOT_FOUND, "fetch it with: paddock pull hf://o/absent"},
    {NULL, "o/absent", "huggingface", PDK_NOT_FOUND, "paddock pull hf://o/absent"},
    {"https://example.com/m.gguf", NULL, "huggingface", PDK_NOT_FOUND, "paddock pull https://example.com/m.gguf"},
    {"hf://o/../x", NULL, "huggingface", PDK_INVALID, "Invalid Hugging Face URI format"},
    {"hf://../../etc", NULL, "huggingface", PDK_INVALID, "Invalid Hugging Face URI format"},
    {NULL, "../..", "huggingface", PDK_INVALID, "Invalid Hugging Face URI format"},
    {"hf://o", NULL, "huggingface", PDK_INVALID, "Invalid Hugging Face URI format"},
    {"file://models/x", NULL, "huggingface", PDK_INVALID, "file:///ABSOLUTE/PATH"},
    {"file://@/models/plain.txt", NULL, "huggingface", PDK_INVALID, "is no GGUF"},
    {"file:///no/such", NULL, "huggingface", PDK_NOT_FOUND, "model /no/such"},
    {"s3://bucket/key", NULL, "huggingface", PDK_UNSUPPORTED,
        "this release reads file://, hf:// and https://, not s3://"},
    {"ftp://x/y", NULL, "huggingface", PDK_INVALID, "StorageURI not supported"},
};

/* The text with @ replaced, in one of two static places. */
static char *expanded(const char *text, int place)
{
    static char texts[2][512];
    if (text == NULL)
        return NULL;
    const char *at = strchr(text, '@'), *version = strstr(text, "@v2");
    if (at == NULL || at == version)
        snprintf(texts[place], sizeof texts[place], "%s", text);
    else
        snprintf(texts[place], sizeof texts[place], "%.*s%s%s", (int)(at - text), text, state, at + 1);
    return texts[place];
}

START_TEST(finds_or_says_why)
{
    struct plan plan = {.storage_uri = expanded(cases[_i].uri, 0),
        .model_id = (char *)cases[_i].id,
        .layout = (char *)cases[_i].layout};
    struct location_roots roots = {.state = state, .aliases = {NULL, aliases}};
    struct buffer path = {0};
    pdk_error err = {0};
    pdk_status status = location_find(&plan, &roots, &path, &err);
    ck_assert_msg(status == cases[_i].status, "status %d: %s", status, err.message);
    ck_assert_int_eq(err.status, status); /* success leaves the error alone */
    if (status == PDK_OK)
        ck_assert_str_eq(path.data != NULL ? path.data : "", expanded(cases[_i].result, 1));
    else
        ck_assert_msg(strstr(err.message, cases[_i].result) != NULL, "%s", err.message);
    buffer_done(&path);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("location");
    TCase *tests = tcase_create("location");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, finds_or_says_why, 0, sizeof cases / sizeof cases[0]);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
