/* core/control with real workers that run the echo runtime: what a service goes through from its document to its end.
 */
#include "config.h"

#include "core/control/control.h"

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/thread.h"
#include "core/ipc/channel.h"

#include "check_main.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], etc[128], state[128], run[128], shipped[128], runtimes[128], compute[128], worker[4096];
static struct control_config config;
static struct channel_loop *loop;
static struct control *control;

static const char runtime_document[] =
    "apiVersion: serving.kserve.io/v1alpha1\nkind: ClusterServingRuntime\nmetadata: {name: echo}\n"
    "spec:\n  supportedModelFormats: [{name: echo, version: '1', autoSelect: true}]\n"
    "  containers: [{name: kserve-container, image: paddock/echo, args: ['--x={{.Name}}']}]\n";

static void put_file(const char *where, const char *name, const char *text)
{
    char path[512];
    pdk_error err;
    snprintf(path, sizeof path, "%s/%s", where, name);
    ck_assert_int_eq(folder_make(where, 0700, &err), PDK_OK);
    ck_assert_msg(file_replace(path, text, strlen(text), 0600, &err) == PDK_OK, "%s", err.message);
}

static void put_service(const char *name, const char *more)
{
    char text[1024], file[128], where[256];
    snprintf(text, sizeof text,
        "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {name: %s}\n"
        "spec: {predictor: {model: {modelFormat: {name: echo}%s}}}\n",
        name, more);
    snprintf(file, sizeof file, "%s.yaml", name);
    snprintf(where, sizeof where, "%s/models.d", etc);
    put_file(where, file, text);
}

static void copy_plugin(const char *name)
{
    char from[4096], to[512];
    struct buffer bytes = {0};
    pdk_error err;
    const char *build = getenv("top_builddir");
    snprintf(from, sizeof from, "%s/tests/plugins/.libs/%s.so", build != NULL ? build : ".", name);
    ck_assert_msg(file_read(from, 64u << 20, &bytes, &err) == PDK_OK, "%s", err.message);
    snprintf(to, sizeof to, "%s/%s.so", runtimes, name);
    ck_assert_msg(file_replace(to, bytes.data, bytes.length, 0700, &err) == PDK_OK, "%s", err.message);
    buffer_done(&bytes);
}

static void set_up(void)
{
    snprintf(folder, sizeof folder, "/tmp/paddock-control.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    char *const all[] = {etc, state, run, shipped, runtimes, compute};
    static const char *const names[] = {"etc", "state", "run", "shipped", "runtimes", "compute"};
    pdk_error err;
    for (size_t i = 0; i < 6; i++) {
        snprintf(all[i], 128, "%s/%s", folder, names[i]);
        ck_assert_int_eq(folder_make(all[i], 0700, &err), PDK_OK);
    }
    const char *build = getenv("top_builddir");
    snprintf(worker, sizeof worker, "%s/paddock-worker", build != NULL ? build : ".");
    char shipped_runtimes[256];
    snprintf(shipped_runtimes, sizeof shipped_runtimes, "%s/runtimes.d", shipped);
    put_file(shipped_runtimes, "echo.yaml", runtime_document);
    copy_plugin("echo");
    config = (struct control_config){.etc = etc,
        .state = state,
        .run = run,
        .shipped = shipped,
        .runtimes = runtimes,
        .compute = compute,
        .worker = worker,
        .domain = "example.com",
        .ping_deadline_ms = 1000,
        .step_deadline_ms = 60000,
        .load_deadline_ms = 2000,
        .drain_ms = 2000,
        .sandbox_off = true};
    log_open("test", LOG_LEVEL_ERROR);
    thread_adopt(THREAD_MAIN);
    ck_assert_int_eq(channel_loop_start(&loop, &err), PDK_OK);
}

static void start(void)
{
    pdk_error err = {0};
    ck_assert_msg(control_start(&config, loop, &control, &err) == PDK_OK, "%s", err.message);
}

static void tear_down(void)
{
    control = control_stop(control);
    loop = channel_loop_stop(loop);
    /* Small and ours: removed by hand, folder by folder. */
    const char *const all[] = {"etc/models.d", "etc/runtimes.d", "etc", "state", "run", "shipped/runtimes.d", "shipped",
        "runtimes", "compute", ""};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", folder, all[i]);
        DIR *entries = opendir(path);
        for (struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;) {
            char file[600];
            snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
            unlink(file);
        }
        if (entries != NULL)
            closedir(entries);
        rmdir(path);
    }
}

/* Waits until it is ready; the snapshot is for the caller to give back. */
static const struct routes *wait_ready(const char *name, const struct service_view **ret_service)
{
    const struct routes *routes = NULL;
    pdk_error err = {0};
    pdk_status status =
        control_wait_ready(control, "default", name, monotonic_ms() + 20000, &routes, ret_service, &err);
    ck_assert_msg(status == PDK_OK, "%s", err.message);
    return routes;
}

/* The pid of the one worker there is, from its parent's children. */
static pid_t worker_pid(void)
{
    char path[64], text[256] = "";
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; (task = readdir(tasks)) != NULL && text[0] == '\0';) {
        snprintf(path, sizeof path, "/proc/self/task/%.20s/children", task->d_name);
        FILE *children = fopen(path, "r");
        if (children == NULL)
            continue;
        if (fgets(text, sizeof text, children) == NULL)
            text[0] = '\0';
        fclose(children);
    }
    closedir(tasks);
    return (pid_t)strtoll(text, NULL, 10);
}

/* Waits until something of the service is as wanted. */
static void wait_until(
    const char *name, bool (*is)(const struct service_view *service, const void *what), const void *what)
{
    for (int i = 0; i < 1000; i++) {
        const struct routes *routes = control_routes(control);
        bool good = false;
        for (size_t j = 0; j < routes->count; j++)
            good |= strcmp(routes->services[j].name, name) == 0 && is(&routes->services[j], what);
        routes_unref(routes);
        if (good)
            return;
        poll(NULL, 0, 20);
    }
    ck_abort_msg("%s did not get there", name);
}

static bool is_phase(const struct service_view *service, const void *what)
{
    return service->phase == *(const enum service_phase *)what;
}

static bool is_revision(const struct service_view *service, const void *what)
{
    return service->phase == SERVICE_READY && strcmp(service->revision, what) == 0;
}

START_TEST(serves_what_its_document_says)
{
    put_service("one", "");
    start();
    const struct service_view *service;
    const struct routes *routes = wait_ready("one", &service);
    ck_assert_uint_eq(routes->count, 1);
    ck_assert_str_eq(service->host, "one.default.example.com");
    ck_assert_str_eq(service->revision, "one-predictor-00001");
    ck_assert_str_eq(service->runtime, "echo");
    ck_assert_str_eq(service->model_name, "one");
    ck_assert_ptr_nonnull(service->channel);
    ck_assert_ptr_nonnull(service->ready);
    struct json_document *tree = NULL;
    pdk_error err = {0};
    ck_assert_msg(json_read(service->json, strlen(service->json), &json_limits_default, &tree, &err) == PDK_OK, "%s",
        err.message);
    const char *text;
    const struct json *root = json_root(tree);
    ck_assert(json_string(json_path(root, "metadata.uid"), &text) && strlen(text) == 36);
    ck_assert(
        json_string(json_path(root, "status.modelStatus.transitionStatus"), &text) && strcmp(text, "UpToDate") == 0);
    ck_assert(json_string(json_path(root, "status.clusterServingRuntimeName"), &text) && strcmp(text, "echo") == 0);
    bool ready = false;
    for (const struct json *at = json_path(root, "status.conditions")->child; at != NULL; at = at->next)
        if (json_string(json_get(at, "type"), &text) && strcmp(text, "Ready") == 0)
            ready = json_string(json_get(at, "status"), &text) && strcmp(text, "True") == 0;
    ck_assert(ready);
    json_document_free(tree);
    ck_assert_msg(json_read(service->pod_json, strlen(service->pod_json), &json_limits_default, &tree, &err) == PDK_OK,
        "%s", err.message);
    ck_assert(json_string(json_path(json_root(tree), "status.phase"), &text) && strcmp(text, "Running") == 0);
    ck_assert(json_string(json_path(json_root(tree), "metadata.name"), &text) && strcmp(text, service->pod_name) == 0);
    json_document_free(tree);
    struct buffer log = {0};
    uint64_t next = 0;
    ck_assert_int_eq(control_pod_log(control, "default", service->pod_name, false, 0, &log, &next, &err), PDK_OK);
    ck_assert_msg(strstr(log.data, "echo is loaded") != NULL, "%s", log.data);
    ck_assert_uint_eq(next, log.length);
    ck_assert_int_eq(control_pod_log(control, "default", "nobody", false, 0, &log, &next, &err), PDK_NOT_FOUND);
    buffer_done(&log);
    routes_unref(routes);
}
END_TEST

START_TEST(replaces_a_killed_worker)
{
    put_service("one", "");
    start();
    const struct service_view *service;
    routes_unref(wait_ready("one", &service));
    pid_t first = worker_pid();
    ck_assert_int_gt(first, 0);
    int64_t began = monotonic_ms();
    kill(first, SIGKILL);
    while (kill(first, 0) == 0)
        poll(NULL, 0, 5);
    pid_t second;
    do {
        poll(NULL, 0, 10);
        routes_unref(wait_ready("one", &service));
        second = worker_pid();
    } while ((second == first || second == 0) && monotonic_ms() - began < 5000);
    ck_assert_int_lt(monotonic_ms() - began, 2000);
    const struct routes *routes = wait_ready("one", &service);
    ck_assert_ptr_nonnull(strstr(service->pod_json, "\"restartCount\":1"));
    ck_assert_ptr_nonnull(strstr(service->pod_json, "signal 9"));
    struct buffer log = {0};
    uint64_t next;
    ck_assert_int_eq(control_pod_log(control, "default", service->pod_name, true, 0, &log, &next, NULL), PDK_OK);
    ck_assert_ptr_nonnull(strstr(log.data, "echo is loaded"));
    buffer_done(&log);
    routes_unref(routes);
}
END_TEST

START_TEST(replaces_a_stopped_worker)
{
    put_service("one", "");
    start();
    const struct service_view *service;
    routes_unref(wait_ready("one", &service));
    pid_t first = worker_pid();
    int64_t began = monotonic_ms();
    kill(first, SIGSTOP);
    while (kill(first, 0) == 0 && monotonic_ms() - began < 10000)
        poll(NULL, 0, 20);
    ck_assert_int_lt(monotonic_ms() - began, 5000); /* pinged every 2 s, with a deadline of 1 s here */
    static const enum service_phase ready = SERVICE_READY;
    wait_until("one", is_phase, &ready);
}
END_TEST

START_TEST(reload_is_all_or_nothing)
{
    put_service("one", "");
    start();
    const struct service_view *service;
    routes_unref(wait_ready("one", &service));
    put_service("two", "");
    put_service("zoo", ", modle: 1");
    pdk_error err = {0};
    ck_assert_int_eq(control_reload(control, &err), PDK_INVALID);
    ck_assert_msg(strstr(err.message, "zoo.yaml:4:") != NULL, "%s", err.message);
    ck_assert_str_eq(err.field, "spec.predictor.model.modle");
    const struct routes *routes = control_routes(control);
    ck_assert_uint_eq(routes->count, 1);
    routes_unref(routes);
    put_service("zoo", "");
    ck_assert_msg(control_reload(control, &err) == PDK_OK, "%s", err.message);
    routes = control_routes(control);
    ck_assert_uint_eq(routes->count, 3);
    routes_unref(routes);
    routes_unref(wait_ready("two", &service));
    routes_unref(wait_ready("zoo", &service));
}
END_TEST

START_TEST(a_changed_predictor_is_a_new_revision)
{
    put_service("one", "");
    start();
    const struct service_view *service;
    const struct routes *routes = wait_ready("one", &service);
    char uid[64];
    snprintf(uid, sizeof uid, "%s", service->uid);
    routes_unref(routes);
    put_service("one", ", args: ['--y=2']");
    pdk_error err = {0};
    ck_assert_msg(control_reload(control, &err) == PDK_OK, "%s", err.message);
    wait_until("one", is_revision, "one-predictor-00002");
    /* Numbers and identity survive the daemon. */
    control = control_stop(control);
    start();
    wait_until("one", is_revision, "one-predictor-00002");
    routes = wait_ready("one", &service);
    ck_assert_str_eq(service->uid, uid);
    ck_assert_ptr_nonnull(strstr(service->json, "\"generation\":2"));
    routes_unref(routes);
}
END_TEST

START_TEST(a_removed_service_drains)
{
    put_service("one", "");
    start();
    const struct service_view *service;
    routes_unref(wait_ready("one", &service));
    pid_t first = worker_pid();
    char path[256];
    snprintf(path, sizeof path, "%s/models.d/one.yaml", etc);
    unlink(path);
    pdk_error err = {0};
    ck_assert_msg(control_reload(control, &err) == PDK_OK, "%s", err.message);
    const struct routes *routes = control_routes(control);
    ck_assert_uint_eq(routes->count, 0);
    routes_unref(routes);
    int64_t began = monotonic_ms();
    while (kill(first, 0) == 0 && monotonic_ms() - began < 5000)
        poll(NULL, 0, 10);
    ck_assert_int_lt(monotonic_ms() - began, 5000);
}
END_TEST

START_TEST(stops_by_annotation_and_starts_again)
{
    static const char stopped[] = "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\n"
                                  "metadata: {name: one, annotations: {serving.kserve.io/stop: 'true'}}\n"
                                  "spec: {predictor: {model: {modelFormat: {name: echo}}}}\n";
    char where[256];
    put_service("one", "");
    start();
    const struct service_view *service;
    routes_unref(wait_ready("one", &service));
    snprintf(where, sizeof where, "%s/models.d", etc);
    put_file(where, "one.yaml", stopped);
    ck_assert_int_eq(control_reload(control, NULL), PDK_OK);
    static const enum service_phase stopping = SERVICE_STOPPING;
    wait_until("one", is_phase, &stopping);
    const struct routes *routes = NULL;
    pdk_error err = {0};
    ck_assert_int_eq(
        control_wait_ready(control, "default", "one", monotonic_ms() + 5000, &routes, &service, &err), PDK_UNAVAILABLE);
    ck_assert_str_eq(err.message, "service one is not ready: stopped by its annotation serving.kserve.io/stop");
    routes_unref(routes);
    put_service("one", "");
    ck_assert_int_eq(control_reload(control, NULL), PDK_OK);
    wait_until("one", is_revision, "one-predictor-00001");
}
END_TEST

START_TEST(says_why_a_service_cannot_run)
{
    put_service("lost", ", storageUri: 'hf://nobody/nothing'");
    put_service("odd", ", image: paddock/ehco");
    start();
    static const enum service_phase refused = SERVICE_REFUSED;
    wait_until("lost", is_phase, &refused);
    const struct routes *routes = NULL;
    const struct service_view *service = NULL;
    pdk_error err = {0};
    ck_assert_int_eq(control_wait_ready(control, "default", "lost", monotonic_ms() + 5000, &routes, &service, &err),
        PDK_UNAVAILABLE);
    ck_assert_msg(strstr(service->message, "paddock pull hf://nobody/nothing") != NULL, "%s", service->message);
    ck_assert_msg(strstr(err.message, "paddock pull") != NULL, "%s", err.message);
    routes_unref(routes);
    control_wait_ready(control, "default", "odd", monotonic_ms() + 5000, &routes, &service, &err);
    ck_assert_msg(strstr(service->message, "did you mean 'echo'?") != NULL, "%s", service->message);
    routes_unref(routes);
    ck_assert_int_eq(control_wait_ready(control, "default", "nobody", 0, &routes, &service, &err), PDK_NOT_FOUND);
    ck_assert_ptr_null(service);
    routes_unref(routes);
}
END_TEST

START_TEST(a_runtime_that_crashes_is_tried_again_later)
{
    copy_plugin("init_crashes");
    char renamed[256], plugin[256];
    snprintf(plugin, sizeof plugin, "%s/init_crashes.so", runtimes);
    snprintf(renamed, sizeof renamed, "%s/crash.so", runtimes);
    ck_assert_int_eq(rename(plugin, renamed), 0);
    put_service("one", ", image: paddock/crash");
    start();
    static const enum service_phase backoff = SERVICE_BACKOFF;
    wait_until("one", is_phase, &backoff);
    const struct routes *routes = control_routes(control);
    ck_assert_msg(strstr(routes->services[0].message, "signal") != NULL ||
                      strstr(routes->services[0].message, "exit status") != NULL,
        "%s", routes->services[0].message);
    ck_assert_ptr_nonnull(strstr(routes->services[0].json, "ModelLoadFailed"));
    routes_unref(routes);
}
END_TEST

START_TEST(one_served_name_has_one_owner)
{
    put_service("one", "");
    put_service("two", ", args: ['--model_name=one'], storageUri: 'file:///no/such/file'");
    start();
    static const enum service_phase refused = SERVICE_REFUSED;
    wait_until("two", is_phase, &refused);
    const struct routes *routes = control_routes(control);
    ck_assert_uint_eq(routes->count, 2);
    ck_assert(!routes->services[0].name_conflict);
    ck_assert(routes->services[1].name_conflict);
    ck_assert_ptr_nonnull(strstr(routes->services[1].json, "\"ModelNameConflict\""));
    routes_unref(routes);
}
END_TEST

/* What gateway threads do all day. */
static void *read_all_the_time(void *stop)
{
    thread_adopt(THREAD_GATEWAY);
    while (!atomic_load((_Atomic bool *)stop)) {
        const struct routes *routes = control_routes(control);
        struct buffer out = {0};
        uint64_t next;
        for (size_t i = 0; i < routes->count; i++)
            if (routes->services[i].pod_name != NULL)
                control_pod_log(control, "default", routes->services[i].pod_name, false, 0, &out, &next, NULL);
        routes_unref(routes);
        control_metrics(control, 20, &out);
        const struct service_view *service;
        control_wait_ready(control, "default", "two", monotonic_ms() + 10, &routes, &service, NULL);
        routes_unref(routes);
        buffer_done(&out);
    }
    return NULL;
}

START_TEST(readers_see_whole_snapshots_while_services_come_and_go)
{
    _Atomic bool stop = false;
    pthread_t readers[2];
    put_service("one", "");
    start();
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&readers[i], NULL, read_all_the_time, &stop), 0);
    for (int i = 0; i < 12; i++) {
        char more[64], path[256];
        snprintf(more, sizeof more, ", args: ['--y=%d']", i);
        put_service("one", more);
        snprintf(path, sizeof path, "%s/models.d/two.yaml", etc);
        if (i % 2 == 0)
            put_service("two", "");
        else
            unlink(path);
        pdk_error err = {0};
        ck_assert_msg(control_reload(control, &err) == PDK_OK, "%s", err.message);
        poll(NULL, 0, 30);
    }
    wait_until("one", is_revision, "one-predictor-00013");
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(readers[i], NULL);
}
END_TEST

START_TEST(checks_without_running)
{
    put_service("one", "");
    put_service("lost", ", storageUri: 'file:///no/such/file'");
    struct buffer report = {0};
    pdk_error err = {0};
    ck_assert_msg(control_check(&config, &report, &err) == PDK_OK, "%s", err.message);
    ck_assert_msg(
        strstr(report.data, "InferenceService lost cannot run: model /no/such/file") != NULL, "%s", report.data);
    ck_assert_ptr_nonnull(strstr(report.data, "2 services; 1 cannot run as things are"));
    put_service("bad", ", modle: 1");
    ck_assert_int_eq(control_check(&config, &report, &err), PDK_INVALID);
    buffer_done(&report);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("control");
    TCase *tests = tcase_create("control");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, serves_what_its_document_says);
    tcase_add_test(tests, replaces_a_killed_worker);
    tcase_add_test(tests, replaces_a_stopped_worker);
    tcase_add_test(tests, reload_is_all_or_nothing);
    tcase_add_test(tests, a_changed_predictor_is_a_new_revision);
    tcase_add_test(tests, a_removed_service_drains);
    tcase_add_test(tests, stops_by_annotation_and_starts_again);
    tcase_add_test(tests, says_why_a_service_cannot_run);
    tcase_add_test(tests, a_runtime_that_crashes_is_tried_again_later);
    tcase_add_test(tests, one_served_name_has_one_owner);
    tcase_add_test(tests, readers_see_whole_snapshots_while_services_come_and_go);
    tcase_add_test(tests, checks_without_running);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
