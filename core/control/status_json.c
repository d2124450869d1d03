/* KServe's status for what is here, and the pod that a cluster would show. The document's own parts are printed as they
 * are kept, the rest is put together with cJSON. */
#include "config.h"

#include "core/control/state.h"

#include <cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct {
    const char *name;
    bool info; /* severity Info: counts for no other condition */
} conditions[CONDITIONS] = {
    [CONDITION_INGRESS_READY] = {"IngressReady", false},
    [CONDITION_LATEST_DEPLOYMENT_READY] = {"LatestDeploymentReady", true},
    [CONDITION_MODEL_NAME_CONFLICT] = {"ModelNameConflict", true},
    [CONDITION_PREDICTOR_CONFIGURATION_READY] = {"PredictorConfigurationReady", true},
    [CONDITION_PREDICTOR_READY] = {"PredictorReady", false},
    [CONDITION_PREDICTOR_ROUTE_READY] = {"PredictorRouteReady", true},
    [CONDITION_READY] = {"Ready", false},
    [CONDITION_ROUTES_READY] = {"RoutesReady", true},
    [CONDITION_STOPPED] = {"Stopped", true},
};

static void put_time(cJSON *object, const char *key, int64_t seconds)
{
    char text[32];
    time_t time = (time_t)seconds;
    struct tm parts;
    gmtime_r(&time, &parts);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    cJSON_AddStringToObject(object, key, text);
}

static void put_format(cJSON *object, const char *key, const char *format, ...) PDK_PRINTF(3, 4);
static void put_format(cJSON *object, const char *key, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    cJSON_AddStringToObject(object, key, text);
}

static void put_raw(cJSON *object, const char *key, const struct json *value)
{
    if (value == NULL || value->type == JSON_NULL)
        return;
    struct buffer text = {0};
    json_print(&text, value);
    if (!text.failed)
        cJSON_AddRawToObject(object, key, text.data);
    buffer_done(&text);
}

static char *print_and_delete(cJSON *object)
{
    char *text = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    return text;
}

/* ---- conditions */

static char latest_state(const struct picture *picture)
{
    switch (picture->latest_phase) {
    case SERVICE_READY: return 'T';
    case SERVICE_BACKOFF:
    case SERVICE_REFUSED: return 'F';
    default: return 'U';
    }
}

static char wanted_state(const struct picture *picture, enum condition_type type)
{
    if (picture->service->desired->stopped && type != CONDITION_MODEL_NAME_CONFLICT)
        return type == CONDITION_STOPPED ? 'T' : 'F';
    char latest = latest_state(picture), routed = picture->serving != NULL ? 'T' : latest;
    switch (type) {
    case CONDITION_LATEST_DEPLOYMENT_READY:
    case CONDITION_PREDICTOR_CONFIGURATION_READY:
    case CONDITION_PREDICTOR_READY: return latest;
    case CONDITION_READY: return latest == 'T' && routed != 'T' ? 'U' : latest;
    case CONDITION_STOPPED: return 'F';
    case CONDITION_MODEL_NAME_CONFLICT: return picture->name_conflict ? 'T' : 0;
    default: return routed;
    }
}

void status_conditions(struct service *service, const struct picture *picture, int64_t now)
{
    for (int i = 0; i < CONDITIONS; i++) {
        char state = wanted_state(picture, (enum condition_type)i);
        if (state != service->condition_status[i]) {
            service->condition_status[i] = state;
            service->condition_time[i] = now;
        }
    }
}

static void put_why(cJSON *condition, const struct picture *picture, enum condition_type type)
{
    if (type == CONDITION_MODEL_NAME_CONFLICT) {
        cJSON_AddStringToObject(condition, "reason", "ServedNameTaken");
        cJSON_AddStringToObject(
            condition, "message", "an older service answers to its model name; it is reached by Host or path");
        return;
    }
    if (type == CONDITION_INGRESS_READY) {
        cJSON_AddStringToObject(condition, "reason", "Predictor ingress not created");
        return;
    }
    cJSON_AddStringToObject(condition, "reason", picture->reason);
    cJSON_AddStringToObject(condition, "message", picture->message);
}

static cJSON *condition_list(const struct picture *picture)
{
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < CONDITIONS; i++) {
        char state = picture->service->condition_status[i];
        if (state == 0)
            continue;
        cJSON *condition = cJSON_CreateObject();
        put_time(condition, "lastTransitionTime", picture->service->condition_time[i]);
        if ((state != 'T' && i != CONDITION_STOPPED) || i == CONDITION_MODEL_NAME_CONFLICT)
            put_why(condition, picture, (enum condition_type)i);
        if (conditions[i].info)
            cJSON_AddStringToObject(condition, "severity", "Info");
        cJSON_AddStringToObject(condition, "status", state == 'T' ? "True" : state == 'F' ? "False" : "Unknown");
        cJSON_AddStringToObject(condition, "type", conditions[i].name);
        cJSON_AddItemToArray(list, condition);
    }
    return list;
}

/* ---- the model */

static cJSON *failure_info(const struct failure *failure)
{
    cJSON *info = cJSON_CreateObject();
    if (failure->exit_code >= 0)
        cJSON_AddNumberToObject(info, "exitCode", failure->exit_code);
    cJSON_AddStringToObject(info, "message", failure->message);
    if (failure->revision_name[0] != '\0')
        cJSON_AddStringToObject(info, "modelRevisionName", failure->revision_name);
    cJSON_AddStringToObject(info, "reason", failure->reason);
    put_time(info, "time", failure->time);
    return info;
}

static cJSON *model_status(const struct picture *picture)
{
    static const struct {
        const char *target, *transition;
    } states[] = {
        [SERVICE_PENDING] = {"Pending", "InProgress"},
        [SERVICE_LOADING] = {"Loading", "InProgress"},
        [SERVICE_READY] = {"Loaded", "UpToDate"},
        [SERVICE_BACKOFF] = {"FailedToLoad", "BlockedByFailedLoad"},
        [SERVICE_REFUSED] = {"FailedToLoad", "InvalidSpec"},
        [SERVICE_STOPPING] = {"Pending", "InProgress"},
    };
    cJSON *status = cJSON_CreateObject(), *copies = cJSON_AddObjectToObject(status, "copies");
    cJSON_AddNumberToObject(copies, "failedCopies", 0);
    cJSON_AddNumberToObject(copies, "totalCopies", picture->serving != NULL);
    if (picture->service->failure.reason != NULL && picture->latest_phase != SERVICE_READY)
        cJSON_AddItemToObject(status, "lastFailureInfo", failure_info(&picture->service->failure));
    cJSON *state = cJSON_AddObjectToObject(status, "states");
    cJSON_AddStringToObject(state, "activeModelState", picture->serving != NULL ? "Loaded" : "");
    cJSON_AddStringToObject(state, "targetModelState", states[picture->latest_phase].target);
    cJSON_AddStringToObject(status, "transitionStatus", states[picture->latest_phase].transition);
    return status;
}

static cJSON *predictor_component(const struct picture *picture, const char *name, const char *namespace_)
{
    cJSON *predictor = cJSON_CreateObject();
    cJSON_AddStringToObject(predictor, "latestCreatedRevision", picture->latest_revision);
    if (picture->service->latest_ready[0] != '\0') {
        cJSON_AddStringToObject(predictor, "latestReadyRevision", picture->service->latest_ready);
        cJSON_AddStringToObject(predictor, "latestRolledoutRevision", picture->service->latest_ready);
    }
    if (picture->serving != NULL) {
        cJSON *traffic = cJSON_AddArrayToObject(predictor, "traffic"), *share = cJSON_CreateObject();
        cJSON_AddBoolToObject(share, "latestRevision", true);
        cJSON_AddNumberToObject(share, "percent", 100);
        cJSON_AddStringToObject(share, "revisionName", picture->serving->pod->revision_name);
        cJSON_AddItemToArray(traffic, share);
    }
    put_format(predictor, "url", "http://%s-predictor.%s.%s", name, namespace_, picture->domain);
    return predictor;
}

static cJSON *status_object(const struct picture *picture)
{
    const struct catalog_service *desired = picture->service->desired;
    const char *name = desired->resource->name, *namespace_ = desired->resource->namespace_;
    cJSON *status = cJSON_CreateObject(), *address = cJSON_AddObjectToObject(status, "address");
    put_format(address, "url", "http://%s.%s.svc.cluster.local", name, namespace_);
    if (desired->plan != NULL) {
        bool cluster = desired->plan->runtime->kind->resource == RESOURCE_CLUSTER_SERVING_RUNTIME;
        cJSON_AddStringToObject(
            status, cluster ? "clusterServingRuntimeName" : "servingRuntimeName", desired->plan->runtime->name);
    }
    cJSON *components = cJSON_AddObjectToObject(status, "components");
    cJSON_AddItemToObject(components, "predictor", predictor_component(picture, name, namespace_));
    cJSON_AddItemToObject(status, "conditions", condition_list(picture));
    cJSON_AddStringToObject(status, "deploymentMode", "Knative");
    cJSON_AddItemToObject(status, "modelStatus", model_status(picture));
    cJSON_AddNumberToObject(status, "observedGeneration", (double)desired->generation);
    put_format(status, "url", "http://%s", desired->host);
    return status;
}

/* The document's metadata with the server's own fields over it. */
static cJSON *metadata_object(const struct picture *picture)
{
    const struct catalog_service *desired = picture->service->desired;
    const struct json *given = json_get(desired->resource->root, "metadata");
    cJSON *metadata = cJSON_CreateObject();
    put_raw(metadata, "annotations", json_get(given, "annotations"));
    put_time(metadata, "creationTimestamp", desired->created);
    cJSON_AddNumberToObject(metadata, "generation", (double)desired->generation);
    put_raw(metadata, "labels", json_get(given, "labels"));
    cJSON_AddStringToObject(metadata, "name", desired->resource->name);
    cJSON_AddStringToObject(metadata, "namespace", desired->resource->namespace_);
    put_format(metadata, "resourceVersion", "%" PRIu64, picture->service->resource_version);
    cJSON_AddStringToObject(metadata, "uid", desired->uid);
    return metadata;
}

char *status_json(const struct picture *picture)
{
    const struct resource *resource = picture->service->desired->resource;
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "apiVersion", resource->kind->api_version);
    cJSON_AddStringToObject(object, "kind", resource->kind->kind);
    cJSON_AddItemToObject(object, "metadata", metadata_object(picture));
    put_raw(object, "spec", json_get(resource->root, "spec"));
    cJSON_AddItemToObject(object, "status", status_object(picture));
    return print_and_delete(object);
}

/* ---- the pod */

static void put_strings(cJSON *object, const char *key, const struct text_list *list)
{
    cJSON *array = cJSON_AddArrayToObject(object, key);
    for (size_t i = 0; i < list->count; i++)
        cJSON_AddItemToArray(array, cJSON_CreateString(list->items[i]));
}

char *container_json(const struct plan *plan)
{
    cJSON *container = cJSON_CreateObject();
    put_strings(container, "args", &plan->arguments);
    cJSON *variables = cJSON_AddArrayToObject(container, "env");
    for (size_t i = 0; i < plan->environment.count; i++) {
        const char *text = plan->environment.items[i], *equals = strchr(text, '=');
        cJSON *variable = cJSON_CreateObject();
        put_format(variable, "name", "%.*s", (int)(equals - text), text);
        cJSON_AddStringToObject(variable, "value", equals + 1);
        cJSON_AddItemToArray(variables, variable);
    }
    cJSON_AddStringToObject(container, "image", plan->image);
    cJSON_AddStringToObject(container, "name", "kserve-container");
    put_raw(container, "resources", json_path(plan->service->root, "spec.predictor.model.resources"));
    return print_and_delete(container);
}

static cJSON *container_state(const struct picture *picture)
{
    cJSON *state = cJSON_CreateObject();
    if (picture->pod_replica != NULL) {
        cJSON *running = cJSON_AddObjectToObject(state, "running");
        put_time(running, "startedAt", picture->pod_replica->started);
        return state;
    }
    cJSON *waiting = cJSON_AddObjectToObject(state, "waiting");
    cJSON_AddStringToObject(waiting, "message", picture->message);
    cJSON_AddStringToObject(
        waiting, "reason", picture->latest_phase == SERVICE_BACKOFF ? "CrashLoopBackOff" : "ContainerCreating");
    return state;
}

static cJSON *pod_status(const struct picture *picture, bool ready)
{
    static const char *const types[] = {"ContainersReady", "Initialized", "PodScheduled", "Ready"};
    const struct pod *pod = picture->pod;
    cJSON *status = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(status, "conditions");
    for (size_t i = 0; i < 4; i++) {
        bool is = ready || i == 1 || i == 2;
        cJSON *condition = cJSON_CreateObject();
        put_time(condition, "lastTransitionTime", pod->created);
        cJSON_AddStringToObject(condition, "status", is ? "True" : "False");
        cJSON_AddStringToObject(condition, "type", types[i]);
        cJSON_AddItemToArray(list, condition);
    }
    cJSON *containers = cJSON_AddArrayToObject(status, "containerStatuses"), *container = cJSON_CreateObject();
    cJSON_AddStringToObject(container, "image", pod->image);
    cJSON_AddStringToObject(container, "imageID", pod->image);
    const struct failure *failure = &picture->service->failure;
    cJSON *last = cJSON_AddObjectToObject(container, "lastState");
    if (failure->reason != NULL && pod->restarts > 0) {
        cJSON *terminated = cJSON_AddObjectToObject(last, "terminated");
        cJSON_AddNumberToObject(terminated, "exitCode", failure->exit_code >= 0 ? failure->exit_code : 1);
        put_time(terminated, "finishedAt", failure->time);
        cJSON_AddStringToObject(terminated, "message", failure->message);
        cJSON_AddStringToObject(terminated, "reason", "Error");
    }
    cJSON_AddStringToObject(container, "name", "kserve-container");
    cJSON_AddBoolToObject(container, "ready", ready);
    cJSON_AddNumberToObject(container, "restartCount", pod->restarts);
    cJSON_AddBoolToObject(container, "started", picture->pod_replica != NULL);
    cJSON_AddItemToObject(container, "state", container_state(picture));
    cJSON_AddItemToArray(containers, container);
    cJSON_AddStringToObject(status, "hostIP", "127.0.0.1");
    cJSON_AddStringToObject(status, "phase", picture->pod_replica != NULL ? "Running" : "Pending");
    cJSON_AddStringToObject(status, "podIP", "127.0.0.1");
    put_time(status, "startTime", pod->created);
    return status;
}

static cJSON *pod_metadata(const struct picture *picture)
{
    const struct pod *pod = picture->pod;
    const struct resource *resource = picture->service->desired->resource;
    cJSON *metadata = cJSON_CreateObject();
    put_time(metadata, "creationTimestamp", pod->created);
    cJSON *labels = cJSON_AddObjectToObject(metadata, "labels");
    cJSON_AddStringToObject(labels, "app", pod->revision_name);
    cJSON_AddStringToObject(labels, "component", "predictor");
    cJSON_AddStringToObject(labels, "serving.kserve.io/inferenceservice", resource->name);
    put_format(labels, "serving.knative.dev/configuration", "%s-predictor", resource->name);
    cJSON_AddStringToObject(labels, "serving.knative.dev/revision", pod->revision_name);
    put_format(labels, "serving.knative.dev/service", "%s-predictor", resource->name);
    cJSON_AddStringToObject(metadata, "name", pod->name);
    cJSON_AddStringToObject(metadata, "namespace", resource->namespace_);
    put_format(metadata, "resourceVersion", "%" PRIu64, picture->service->resource_version);
    cJSON_AddStringToObject(metadata, "uid", pod->uid);
    return metadata;
}

char *pod_json(const struct picture *picture)
{
    bool ready = picture->pod_replica != NULL && picture->pod_replica->view.phase == REPLICA_READY;
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "apiVersion", "v1");
    cJSON_AddStringToObject(object, "kind", "Pod");
    cJSON_AddItemToObject(object, "metadata", pod_metadata(picture));
    cJSON *spec = cJSON_AddObjectToObject(object, "spec"), *containers = cJSON_AddArrayToObject(spec, "containers");
    cJSON_AddItemToArray(containers, cJSON_CreateRaw(picture->pod->container));
    cJSON_AddStringToObject(spec, "nodeName", "paddock");
    cJSON_AddStringToObject(spec, "restartPolicy", "Always");
    cJSON_AddItemToObject(object, "status", pod_status(picture, ready));
    return print_and_delete(object);
}
