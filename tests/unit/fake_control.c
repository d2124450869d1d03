/* Control as the gateway sees it, with services that never change, so that HTTP is tested without workers. */
#include "config.h"

#include "tests/unit/fake_control.h"

#include "core/base/clock.h"
#include "core/base/error.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static char name_opt[] = "opt-125", name_alias[] = "opt-alias", name_iris[] = "iris", empty[] = "";

static struct ready_info opt_ready = {.extensions = READY_GENERATE | READY_TOKENIZE,
    .vocabulary_size = 100,
    .max_model_len = 128,
    .name_count = 2,
    .names = {name_opt, name_alias},
    .root = name_opt,
    .fingerprint = empty,
    .runtime = empty,
    .sandbox = empty};
static struct ready_info iris_ready = {.extensions = READY_INFER,
    .name_count = 1,
    .names = {name_iris},
    .root = name_iris,
    .fingerprint = empty,
    .runtime = empty,
    .sandbox = empty};

#define SERVICE_JSON(name, ready)                                                                                 \
    "{\"apiVersion\":\"serving.kserve.io/v1beta1\",\"kind\":\"InferenceService\",\"metadata\":{\"name\":\"" name  \
    "\",\"namespace\":\"default\",\"uid\":\"u-" name                                                              \
    "\",\"resourceVersion\":\"3\",\"generation\":1,\"creationTimestamp\":"                                        \
    "\"2026-01-01T00:00:00Z\",\"labels\":{\"team\":\"" name "\"}},\"spec\":{},\"status\":{\"url\":\"http://" name \
    ".default.example.com\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"" ready                              \
    "\"}],\"components\":{\"predictor\":{\"traffic\":[{\"latestRevision\":true,\"percent\":100,\"revisionName\":" \
    "\"" name "-predictor-00001\"}]}}}}"
#define POD_JSON(name)                                                                                                 \
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"" name                                           \
    "-pod\",\"namespace\":\"default\",\"labels\":{"                                                                    \
    "\"serving.kserve.io/inferenceservice\":\"" name "\"},\"creationTimestamp\":\"2026-01-01T00:00:00Z\"},\"spec\":{"  \
    "\"nodeName\":\"paddock\",\"containers\":[{\"name\":\"kserve-container\",\"image\":\"x\"}]},\"status\":{"          \
    "\"phase\":\"Running\","                                                                                           \
    "\"podIP\":\"127.0.0.1\",\"containerStatuses\":[{\"name\":\"kserve-container\",\"ready\":true,\"restartCount\":0," \
    "\"image\":"                                                                                                       \
    "\"x\",\"imageID\":\"\",\"state\":{\"running\":{}}}]}}"

static struct service_view services[] = {
    {.name = "opt-125",
        .namespace_ = "default",
        .uid = "u-opt-125",
        .host = "opt-125.default.example.com",
        .source = "models.d/a.yaml",
        .json = SERVICE_JSON("opt-125", "True"),
        .pod_json = POD_JSON("opt-125"),
        .pod_name = "opt-125-pod",
        .revision = "opt-125-predictor-00001",
        .model_name = "opt-125",
        .message = "",
        .phase = SERVICE_READY,
        .ready = &opt_ready},
    {.name = "iris",
        .namespace_ = "default",
        .uid = "u-iris",
        .host = "iris.default.example.com",
        .source = "models.d/b.yaml",
        .json = SERVICE_JSON("iris", "True"),
        .pod_json = POD_JSON("iris"),
        .pod_name = "iris-pod",
        .revision = "iris-predictor-00001",
        .model_name = "iris",
        .message = "",
        .phase = SERVICE_READY,
        .ready = &iris_ready},
    {.name = "broken",
        .namespace_ = "default",
        .uid = "u-broken",
        .host = "broken.default.example.com",
        .source = "models.d/c.yaml",
        .json = SERVICE_JSON("broken", "False"),
        .revision = "broken-predictor-00001",
        .model_name = "broken",
        .message = "the model file /var/lib/paddock/x.gguf is cut short",
        .phase = SERVICE_BACKOFF,
        .status = PDK_UNAVAILABLE},
    {.name = "slow",
        .namespace_ = "default",
        .uid = "u-slow",
        .host = "slow.default.example.com",
        .source = "models.d/d.yaml",
        .json = SERVICE_JSON("slow", "False"),
        .revision = "slow-predictor-00001",
        .model_name = "slow",
        .message = "loading",
        .phase = SERVICE_LOADING,
        .status = PDK_UNAVAILABLE},
};

static const struct routes routes = {.version = 7, .count = sizeof services / sizeof services[0], .services = services};
static atomic_bool draining;

void fake_control_drain(void)
{
    atomic_store(&draining, true);
}

bool control_is_draining(const struct control *control)
{
    (void)control;
    return atomic_load(&draining);
}

const struct routes *control_routes(struct control *control)
{
    (void)control;
    return &routes;
}

const struct routes *routes_unref(const struct routes *unused)
{
    (void)unused;
    return NULL;
}

pdk_status control_wait_ready(struct control *control, const char *namespace_, const char *name, int64_t deadline_ms,
    const struct routes **ret_routes, const struct service_view **ret_service, pdk_error *err)
{
    (void)control;
    (void)namespace_;
    for (size_t i = 0; i < routes.count; i++) {
        if (strcmp(services[i].name, name) != 0)
            continue;
        *ret_routes = &routes;
        *ret_service = &services[i];
        if (services[i].phase == SERVICE_READY)
            return PDK_OK;
        if (services[i].phase != SERVICE_LOADING)
            return pdk_error_set(err, services[i].status, NULL, "%s", services[i].message);
        int64_t left = deadline_ms - monotonic_ms();
        if (left > 0)
            nanosleep(&(struct timespec){.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000}, NULL);
        return pdk_error_set(err, PDK_TIMEOUT, NULL, "%s is still loading", name);
    }
    return pdk_error_set(err, PDK_NOT_FOUND, NULL, "no service %s", name);
}

pdk_status control_pod_log(struct control *control, const char *namespace_, const char *pod, bool previous,
    uint64_t follow_from, struct buffer *out, uint64_t *ret_next, pdk_error *err)
{
    (void)control;
    (void)namespace_;
    if (strcmp(pod, "opt-125-pod") != 0 || previous)
        return pdk_error_set(err, PDK_NOT_FOUND, "pod", "pods \"%s\" not found", pod);
    for (uint64_t i = follow_from; i < (follow_from == 0 ? 5 : follow_from + 1); i++)
        buffer_printf(out, "line %u\n", (unsigned)i);
    *ret_next = follow_from == 0 ? 5 : follow_from + 1;
    return PDK_OK;
}

void control_metrics(struct control *control, int64_t wait_ms, struct buffer *out)
{
    (void)control;
    (void)wait_ms;
    buffer_puts(out, "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{model_name=\"opt-125\"} 0\n");
}
