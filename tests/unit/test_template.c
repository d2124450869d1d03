/* runtimes/huggingface/template: chat templates of real models, and the language's rules. */
#include "config.h"

#include "runtimes/huggingface/template/template.h"

#include "core/base/file.h"
#include "core/base/json.h"

#include "check_main.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

enum { NOW = 1767323045 }; /* 2026-01-02 03:04:05 UTC, as the fixtures have it */

static const char *fixtures(void)
{
    const char *folder = getenv("PADDOCK_FIXTURES");
    return folder != NULL ? folder : ".";
}

/* What the reference says, without the name of Python's exception, or with our own place behind it. */
static bool same_error(const char *want, const char *got)
{
    static const char *const prefixes[] = {"TypeError: ", "ValueError: ", "KeyError: ", "AttributeError: "};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        if (strncmp(want, prefixes[i], strlen(prefixes[i])) == 0)
            want += strlen(prefixes[i]);
    }
    return strncmp(want, got, strlen(want)) == 0;
}

static unsigned run_case(const struct template *template, const char *file, const struct json *test)
{
    struct template_output output = {0};
    pdk_error err = {0};
    const char *name = "", *error = NULL;
    const struct json *want = json_get(test, "output");
    json_string(json_get(test, "name"), &name);
    json_string(json_get(test, "error"), &error);
    pdk_status status = template_render(template, json_get(test, "input"), NOW, &template_budget_default, &output, &err);
    bool same;
    if (want == NULL)
        same = status == PDK_INVALID && same_error(error, err.message);
    else
        same = status == PDK_OK && output.text.length == want->length &&
            memcmp(output.text.data, want->text, want->length) == 0;
    if (!same)
        printf("%s, %s:\n  got  %s\n  want %s\n", file, name, status == PDK_OK ? output.text.data : err.message,
            want != NULL ? want->text : error);
    size_t covered = 0;
    for (size_t i = 0; i < output.run_count; i++)
        covered += output.runs[i].length;
    ck_assert_uint_eq(covered, output.text.length);
    template_output_done(&output);
    return !same;
}

static unsigned run_file(const char *folder, const char *name)
{
    char path[1024];
    struct buffer text = {0};
    struct json_document *document = NULL;
    struct template *template = NULL;
    pdk_error err = {0};
    unsigned failed = 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_msg(file_read(path, 16 << 20, &text, &err) == PDK_OK, "%s", err.message);
    ck_assert_msg(json_read(text.data, text.length, &json_limits_default, &document, &err) == PDK_OK, "%s", err.message);
    const struct json *source = json_get(json_root(document), "template");
    if (template_parse(source->text, source->length, &template, &err) != PDK_OK) {
        printf("%s: %s\n", name, err.message);
        failed = 1;
    } else {
        for (const struct json *at = json_get(json_root(document), "cases")->child; at != NULL; at = at->next)
            failed += run_case(template, name, at);
    }
    template_free(template);
    json_document_free(document);
    buffer_done(&text);
    return failed;
}

START_TEST(real_templates_render_as_in_python)
{
    char folder[512];
    unsigned failed = 0, files = 0;
    snprintf(folder, sizeof folder, "%s/templates", fixtures());
    DIR *listing = opendir(folder);
    if (listing == NULL) {
        printf("skipped: no %s\n", folder);
        return;
    }
    for (struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        if (entry->d_name[0] == '.')
            continue;
        failed += run_file(folder, entry->d_name);
        files++;
    }
    closedir(listing);
    ck_assert_msg(failed == 0, "%u cases of %u files differ", failed, files);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("template");
    TCase *tests = tcase_create("template");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, real_templates_render_as_in_python);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
