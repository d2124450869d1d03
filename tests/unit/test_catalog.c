/* core/control/catalog.c: from folders of documents to what each worker is told. */
#include "config.h"

#include "core/control/catalog.h"

#include "core/base/file.h"

#include "check_main.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char root[64], etc[96], state[96], shipped[96], plugins[96];
static struct control_config config;

static void put(const char *name, const char *text)
{
    char path[512];
    pdk_error err;
    snprintf(path, sizeof path, "%s/%s", root, name);
    *strrchr(path, '/') = '\0';
    ck_assert_int_eq(folder_make(path, 0700, &err), PDK_OK);
    snprintf(path, sizeof path, "%s/%s", root, name);
    ck_assert_int_eq(file_replace(path, text, strlen(text), 0600, &err), PDK_OK);
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
    snprintf(root, sizeof root, "/tmp/paddock-catalog.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    snprintf(etc, sizeof etc, "%s/etc", root);
    snprintf(state, sizeof state, "%s/state", root);
    snprintf(shipped, sizeof shipped, "%s/shipped", root);
    snprintf(plugins, sizeof plugins, "%s/plugins", root);
    config = (struct control_config){
        .etc = etc, .state = state, .shipped = shipped, .runtimes = plugins, .domain = "example.com"};
    put("plugins/plug.so", "");
    put("shipped/runtimes.d/r.yaml",
        "apiVersion: serving.kserve.io/v1alpha1\nkind: ClusterServingRuntime\nmetadata: {name: r}\n"
        "spec:\n  supportedModelFormats: [{name: x, autoSelect: true}]\n"
        "  containers: [{name: kserve-container, image: paddock/plug, args: ['--name={{.Name}}']}]\n");
    put("model/weights.bin", "x");
    put("words.json", "{}");
}

static void tear_down(void)
{
    remove_all(root);
}

static void put_service(const char *name, const char *format, const char *model)
{
    char file[128], more[512], text[1024];
    snprintf(file, sizeof file, "etc/models.d/%s.yaml", name);
    snprintf(more, sizeof more, format, root, root);
    snprintf(text, sizeof text,
        "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {name: %s}\n"
        "spec: {predictor: {model: {modelFormat: {name: x}%s%s}}}\n",
        name, more, model);
    put(file, text);
}

static struct catalog *read_catalog(struct revisions *revisions)
{
    struct catalog *catalog = NULL;
    pdk_error err = {0};
    ck_assert_msg(catalog_read(&config, revisions, &catalog, &err) == PDK_OK, "%s", err.message);
    return catalog;
}

START_TEST(tells_a_worker_where_things_are)
{
    struct revisions revisions = {0};
    put_service("one",
        ", storageUri: 'file://%s/model', args: ['--model_dir=/mnt/models', '--words=%s/words.json', /mnt/models/a, "
        "--x=/mnt/modelsx]",
        "");
    struct catalog *catalog = read_catalog(&revisions);
    ck_assert_uint_eq(catalog->count, 1);
    const struct catalog_service *service = &catalog->services[0];
    ck_assert_msg(service->refused.status == PDK_OK, "%s", service->refused.message);
    char expected[1024];
    snprintf(expected, sizeof expected,
        "{\"name\":\"one\",\"path\":\"%s/model\",\"arguments\":[\"--name=one\",\"--model_dir=%s/model\","
        "\"--words=%s/words.json\",\"%s/model/a\",\"--x=/mnt/"
        "modelsx\"],\"environment\":[\"INFERENCE_SERVICE_NAME=one\"]}",
        root, root, root, root);
    ck_assert_str_eq(service->load.data, expected);
    ck_assert_uint_eq(service->readable.count, 1);
    ck_assert_ptr_nonnull(strstr(service->readable.items[0], "/words.json"));
    snprintf(expected, sizeof expected, "%s/plug.so", plugins);
    ck_assert_str_eq(service->plugin.data, expected);
    ck_assert_str_eq(service->host, "one.default.example.com");
    catalog_free(catalog);
    revisions_done(&revisions);
}
END_TEST

START_TEST(a_runtime_that_needs_no_model_gets_an_empty_file)
{
    struct revisions revisions = {0};
    put_service("one", "", "");
    struct catalog *catalog = read_catalog(&revisions);
    ck_assert_str_eq(catalog->services[0].path.data, "/dev/null");
    catalog_free(catalog);
    revisions_done(&revisions);
}
END_TEST

/* A service more changes the shares of memory, not the revisions of the others; a changed runtime changes them. */
START_TEST(revisions_follow_what_a_replica_is_made_of)
{
    struct revisions revisions = {0};
    put_service("one", "", "");
    struct catalog *catalog = read_catalog(&revisions);
    uint64_t alone = catalog->services[0].memory_bytes;
    ck_assert_uint_eq(catalog->services[0].revision, 1);
    catalog_free(catalog);
    put_service("two", "", ", resources: {requests: {memory: 1Mi}}");
    catalog = read_catalog(&revisions);
    ck_assert_uint_eq(catalog->services[0].revision, 1);
    ck_assert_uint_lt(catalog->services[0].memory_bytes, alone);
    catalog_free(catalog);
    put("etc/runtimes.d/r.yaml",
        "apiVersion: serving.kserve.io/v1alpha1\nkind: ClusterServingRuntime\nmetadata: {name: r}\n"
        "spec:\n  supportedModelFormats: [{name: x, autoSelect: true}]\n"
        "  containers: [{name: kserve-container, image: paddock/plug, args: ['--new']}]\n");
    catalog = read_catalog(&revisions);
    ck_assert_uint_eq(catalog->services[0].revision, 2);
    ck_assert_uint_eq(catalog->services[0].generation, 1); /* its own document is as it was */
    catalog_free(catalog);
    revisions_done(&revisions);
}
END_TEST

START_TEST(one_bad_service_refuses_itself_alone)
{
    struct revisions revisions = {0};
    put_service("good", "", "");
    put_service("huge", "", ", resources: {requests: {memory: 1Pi}}");
    put_service("lost", ", storageUri: 's3://x/y'", "");
    struct catalog *catalog = read_catalog(&revisions);
    ck_assert_uint_eq(catalog->count, 3);
    ck_assert_int_eq(catalog->services[0].refused.status, PDK_OK);
    ck_assert_msg(strncmp(catalog->services[1].refused.message, "needs 1 PiB, limit ", 19) == 0, "%s",
        catalog->services[1].refused.message);
    ck_assert_str_eq(catalog->services[2].reason, REASON_SPEC);
    catalog_free(catalog);
    revisions_done(&revisions);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("catalog");
    TCase *tests = tcase_create("catalog");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, tells_a_worker_where_things_are);
    tcase_add_test(tests, a_runtime_that_needs_no_model_gets_an_empty_file);
    tcase_add_test(tests, revisions_follow_what_a_replica_is_made_of);
    tcase_add_test(tests, one_bad_service_refuses_itself_alone);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
