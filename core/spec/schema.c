/* The tables. Types are those of KServe's own schemas; what a row's `use` says is this release's. */
#include "config.h"

#include "core/spec/schema.h"

#include <string.h>

#define ROWS(table)    .fields = (table), .count = sizeof(table) / sizeof(table)[0]
#define INT32_RANGE    .minimum = INT32_MIN, .maximum = INT32_MAX
#define CLUSTER_ONLY   "it places pods in a cluster"
#define CONTAINER_ONLY "no container is run here"
#define NO_PROBE       "replicas are watched by the daemon's own pings"
#define NOT_SCALED     "a service has one replica in this release"
#define OLD_FORM       "old form of model with this modelFormat"

static const struct schema_field metadata_fields[] = {
    {"name", FIELD_TEXT, FIELD_USED, .doc = "name of the resource", .required = true},
    {"namespace", FIELD_TEXT, FIELD_USED, .doc = "namespace of the resource", .standard = "default"},
    {"labels", FIELD_TEXT_MAP, FIELD_USED, .doc = "free labels, shown and selected by"},
    {"annotations", FIELD_TEXT_MAP, FIELD_USED, .doc = "free annotations"},
    {"generateName", FIELD_TEXT, FIELD_REFUSED, .doc = "a document in a file needs a name"},
    {"uid", FIELD_TEXT, FIELD_KEPT, .doc = "given by the server"},
    {"resourceVersion", FIELD_TEXT, FIELD_KEPT, .doc = "given by the server"},
    {"generation", FIELD_INTEGER, FIELD_KEPT, .doc = "given by the server"},
    {"creationTimestamp", FIELD_TEXT, FIELD_KEPT, .doc = "given by the server"},
    {"deletionTimestamp", FIELD_TEXT, FIELD_KEPT, .doc = "given by the server"},
    {"deletionGracePeriodSeconds", FIELD_INTEGER, FIELD_KEPT, .doc = "given by the server"},
    {"selfLink", FIELD_TEXT, FIELD_KEPT, .doc = "given by the server"},
    {"managedFields", FIELD_ANY, FIELD_KEPT, .doc = "given by the server"},
    {"ownerReferences", FIELD_ANY, FIELD_KEPT, .doc = "who owns the resource"},
    {"finalizers", FIELD_ANY, FIELD_KEPT, .doc = "what must run before removal"},
};
static const struct schema_object metadata = {ROWS(metadata_fields)};

static const struct schema_field key_reference_fields[] = {
    {"name", FIELD_TEXT, FIELD_USED, .doc = "name of the Secret or ConfigMap"},
    {"key", FIELD_TEXT, FIELD_USED, .doc = "key in it", .required = true},
    {"optional", FIELD_BOOLEAN, FIELD_USED, .doc = "whether it may be missing", .standard = "false"},
};
static const struct schema_object key_reference = {ROWS(key_reference_fields)};

static const struct schema_field field_reference_fields[] = {
    {"apiVersion", FIELD_TEXT, FIELD_KEPT, .doc = "schema that the path is written in"},
    {"fieldPath", FIELD_TEXT, FIELD_USED, .doc = "metadata.namespace; other fields are refused", .required = true},
};
static const struct schema_object field_reference = {ROWS(field_reference_fields)};

static const struct schema_field env_source_fields[] = {
    {"secretKeyRef", FIELD_OBJECT, FIELD_USED, .doc = "value of a Secret's key; this release keeps no Secrets",
        &key_reference},
    {"configMapKeyRef", FIELD_OBJECT, FIELD_USED, .doc = "value of a ConfigMap's key; this release keeps no ConfigMaps",
        &key_reference},
    {"fieldRef", FIELD_OBJECT, FIELD_USED, .doc = "value of a field of the pod", &field_reference},
    {"resourceFieldRef", FIELD_ANY, FIELD_REFUSED, .doc = "this release does not hand resources on by variables"},
    {"fileKeyRef", FIELD_ANY, FIELD_REFUSED, .doc = "this release reads no variables from files"},
};
static const struct schema_object env_source = {ROWS(env_source_fields)};

static const struct schema_field env_fields[] = {
    {"name", FIELD_TEXT, FIELD_USED, .doc = "name of the variable", .required = true},
    {"value", FIELD_TEXT, FIELD_USED, .doc = "its value; $(OTHER) is another variable's", .standard = "\"\""},
    {"valueFrom", FIELD_OBJECT, FIELD_USED, .doc = "where its value comes from", &env_source},
};
static const struct schema_object env = {ROWS(env_fields)};

static const struct schema_field resources_fields[] = {
    {"requests", FIELD_QUANTITY_MAP, FIELD_USED, .doc = "what the replica is promised: cpu, memory"},
    {"limits", FIELD_QUANTITY_MAP, FIELD_USED, .doc = "what the replica may not exceed: cpu, memory"},
    {"claims", FIELD_ANY, FIELD_WARNED, .doc = CLUSTER_ONLY},
};
static const struct schema_object resources = {ROWS(resources_fields)};

/* What every container has. */
static const struct schema_field container_fields[] = {
    {"name", FIELD_TEXT, FIELD_USED, .doc = "name of the container"},
    {"image", FIELD_TEXT, FIELD_USED, .doc = "paddock/NAME: the runtime plugin NAME.so"},
    {"args", FIELD_TEXTS, FIELD_USED,
        .doc = "arguments of the runtime; {{.Name}} is the service's name, $(VAR) a variable"},
    {"env", FIELD_LIST, FIELD_USED, .doc = "environment of the runtime", &env},
    {"resources", FIELD_OBJECT, FIELD_USED, .doc = "CPU and memory", &resources},
    {"command", FIELD_TEXTS, FIELD_WARNED, .doc = CONTAINER_ONLY},
    {"envFrom", FIELD_ANY, FIELD_REFUSED,
        .doc = "this release keeps no Secrets or ConfigMaps; name the variables in env"},
    {"imagePullPolicy", FIELD_TEXT, FIELD_WARNED, .doc = "no image is pulled here"},
    {"lifecycle", FIELD_ANY, FIELD_WARNED, .doc = CONTAINER_ONLY},
    {"livenessProbe", FIELD_ANY, FIELD_WARNED, .doc = NO_PROBE},
    {"readinessProbe", FIELD_ANY, FIELD_WARNED, .doc = NO_PROBE},
    {"startupProbe", FIELD_ANY, FIELD_WARNED, .doc = NO_PROBE},
    {"ports", FIELD_ANY, FIELD_WARNED, .doc = "the daemon's listeners are in paddock.conf"},
    {"resizePolicy", FIELD_ANY, FIELD_WARNED, .doc = CONTAINER_ONLY},
    {"restartPolicy", FIELD_TEXT, FIELD_WARNED, .doc = "a replica is always restarted"},
    {"restartPolicyRules", FIELD_ANY, FIELD_WARNED, .doc = "a replica is always restarted"},
    {"securityContext", FIELD_ANY, FIELD_WARNED, .doc = "every replica runs in the daemon's own sandbox"},
    {"stdin", FIELD_BOOLEAN, FIELD_WARNED, .doc = CONTAINER_ONLY},
    {"stdinOnce", FIELD_BOOLEAN, FIELD_WARNED, .doc = CONTAINER_ONLY},
    {"tty", FIELD_BOOLEAN, FIELD_WARNED, .doc = CONTAINER_ONLY},
    {"terminationMessagePath", FIELD_TEXT, FIELD_WARNED, .doc = "the runtime's error text is the message"},
    {"terminationMessagePolicy", FIELD_TEXT, FIELD_WARNED, .doc = "the runtime's error text is the message"},
    {"volumeDevices", FIELD_ANY, FIELD_WARNED, .doc = CONTAINER_ONLY},
    {"volumeMounts", FIELD_ANY, FIELD_WARNED, .doc = CONTAINER_ONLY},
    {"workingDir", FIELD_TEXT, FIELD_WARNED, .doc = CONTAINER_ONLY},
};
static const struct schema_object container = {ROWS(container_fields)};

/* What a predictor's model has beside a container's fields. */
static const struct schema_field model_source_fields[] = {
    {"storageUri", FIELD_TEXT, FIELD_USED,
        .doc = "where the model is: file:///PATH, hf://OWNER/NAME, https://HOST/PATH"},
    {"protocolVersion", FIELD_TEXT, FIELD_USED, .doc = "protocol that the runtime must speak", .standard = "v1"},
    {"runtimeVersion", FIELD_TEXT, FIELD_WARNED, .doc = "no image is pulled here"},
    {"storage", FIELD_ANY, FIELD_REFUSED, .doc = "this release keeps no Secrets; set storageUri"},
    {"storageUris", FIELD_ANY, FIELD_REFUSED, .doc = "this release takes one storageUri"},
    {"confidential", FIELD_ANY, FIELD_REFUSED, .doc = "this release has no encrypted models"},
};
static const struct schema_object model_source = {ROWS(model_source_fields), &container};

static const struct schema_field model_format_fields[] = {
    {"name", FIELD_TEXT, FIELD_USED, .doc = "format of the model: huggingface, vLLM, …", .required = true},
    {"version", FIELD_TEXT, FIELD_USED, .doc = "its version"},
};
static const struct schema_object model_format = {ROWS(model_format_fields)};

static const struct schema_field model_fields[] = {
    {"modelFormat", FIELD_OBJECT, FIELD_USED, .doc = "format of the model", &model_format, .required = true},
    {"runtime", FIELD_TEXT, FIELD_USED, .doc = "name of the ServingRuntime; absent: the one that fits"},
};
static const struct schema_object model = {ROWS(model_fields), &model_source};

/* Of a pod: nothing of it has an effect on one machine. */
static const struct schema_field pod_fields[] = {
    {"activeDeadlineSeconds", FIELD_INTEGER, FIELD_WARNED, .doc = "replicas run until they are stopped"},
    {"affinity", FIELD_ANY, FIELD_WARNED, .doc = CLUSTER_ONLY},
    {"automountServiceAccountToken", FIELD_BOOLEAN, FIELD_WARNED, .doc = CLUSTER_ONLY},
    {"dnsConfig", FIELD_ANY, FIELD_WARNED, .doc = "replicas have no network"},
    {"dnsPolicy", FIELD_TEXT, FIELD_WARNED, .doc = "replicas have no network"},
    {"enableServiceLinks", FIELD_BOOLEAN, FIELD_WARNED, .doc = CLUSTER_ONLY},
    {"ephemeralContainers", FIELD_ANY, FIELD_WARNED, .doc = CONTAINER_ONLY},
    {"hostAliases", FIELD_ANY, FIELD_WARNED, .doc = "replicas have no network"},
    {"hostIPC", FIELD_BOOLEAN, FIELD_WARNED, .doc = CONTAINER_ONLY},
    {"hostNetwork", FIELD_BOOLEAN, FIELD_WARNED, .doc = "replicas have no network"},
    {"hostPID", FIELD_BOOLEAN, FIELD_WARNED, .doc = CONTAINER_ONLY},
    {"hostUsers", FIELD_BOOLEAN, FIELD_WARNED, .doc = CONTAINER_ONLY},
    {"hostname", FIELD_TEXT, FIELD_WARNED, .doc = "replicas have no network"},
    {"hostnameOverride", FIELD_TEXT, FIELD_WARNED, .doc = "replicas have no network"},
    {"imagePullSecrets", FIELD_ANY, FIELD_WARNED, .doc = "no image is pulled here"},
    {"nodeName", FIELD_TEXT, FIELD_WARNED, .doc = CLUSTER_ONLY},
    {"nodeSelector", FIELD_TEXT_MAP, FIELD_WARNED, .doc = CLUSTER_ONLY},
    {"os", FIELD_ANY, FIELD_WARNED, .doc = CLUSTER_ONLY},
    {"overhead", FIELD_ANY, FIELD_WARNED, .doc = CLUSTER_ONLY},
    {"preemptionPolicy", FIELD_TEXT, FIELD_WARNED, .doc = CLUSTER_ONLY},
    {"priority", FIELD_INTEGER, FIELD_WARNED, .doc = CLUSTER_ONLY, INT32_RANGE},
    {"priorityClassName", FIELD_TEXT, FIELD_WARNED, .doc = CLUSTER_ONLY},
    {"readinessGates", FIELD_ANY, FIELD_WARNED, .doc = CLUSTER_ONLY},
    {"resourceClaims", FIELD_ANY, FIELD_WARNED, .doc = CLUSTER_ONLY},
    {"resources", FIELD_ANY, FIELD_WARNED, .doc = "a pod's own resources; set the model's"},
    {"restartPolicy", FIELD_TEXT, FIELD_WARNED, .doc = "a replica is always restarted"},
    {"runtimeClassName", FIELD_TEXT, FIELD_WARNED, .doc = CONTAINER_ONLY},
    {"schedulerName", FIELD_TEXT, FIELD_WARNED, .doc = CLUSTER_ONLY},
    {"schedulingGates", FIELD_ANY, FIELD_WARNED, .doc = CLUSTER_ONLY},
    {"securityContext", FIELD_ANY, FIELD_WARNED, .doc = "every replica runs in the daemon's own sandbox"},
    {"serviceAccount", FIELD_TEXT, FIELD_WARNED, .doc = CLUSTER_ONLY},
    {"serviceAccountName", FIELD_TEXT, FIELD_WARNED, .doc = CLUSTER_ONLY},
    {"setHostnameAsFQDN", FIELD_BOOLEAN, FIELD_WARNED, .doc = "replicas have no network"},
    {"shareProcessNamespace", FIELD_BOOLEAN, FIELD_WARNED, .doc = CONTAINER_ONLY},
    {"storageContainerName", FIELD_TEXT, FIELD_WARNED, .doc = CONTAINER_ONLY},
    {"subdomain", FIELD_TEXT, FIELD_WARNED, .doc = "replicas have no network"},
    {"terminationGracePeriodSeconds", FIELD_INTEGER, FIELD_WARNED,
        .doc = "drain_s in paddock.conf says how long a replica drains"},
    {"tolerations", FIELD_ANY, FIELD_WARNED, .doc = CLUSTER_ONLY},
    {"topologySpreadConstraints", FIELD_ANY, FIELD_WARNED, .doc = CLUSTER_ONLY},
    {"volumes", FIELD_ANY, FIELD_WARNED, .doc = CONTAINER_ONLY},
};
static const struct schema_object pod = {ROWS(pod_fields)};

static const struct schema_field predictor_fields[] = {
    {"model", FIELD_OBJECT, FIELD_USED, .doc = "the model to serve", &model},
    {"sklearn", FIELD_OBJECT, FIELD_USED, .doc = OLD_FORM, &model_source},
    {"tensorflow", FIELD_OBJECT, FIELD_USED, .doc = OLD_FORM, &model_source},
    {"xgboost", FIELD_OBJECT, FIELD_USED, .doc = OLD_FORM, &model_source},
    {"pytorch", FIELD_OBJECT, FIELD_USED, .doc = OLD_FORM, &model_source},
    {"triton", FIELD_OBJECT, FIELD_USED, .doc = OLD_FORM, &model_source},
    {"onnx", FIELD_OBJECT, FIELD_USED, .doc = OLD_FORM, &model_source},
    {"huggingface", FIELD_OBJECT, FIELD_USED, .doc = OLD_FORM, &model_source},
    {"pmml", FIELD_OBJECT, FIELD_USED, .doc = OLD_FORM, &model_source},
    {"lightgbm", FIELD_OBJECT, FIELD_USED, .doc = OLD_FORM, &model_source},
    {"paddle", FIELD_OBJECT, FIELD_USED, .doc = OLD_FORM, &model_source},
    {"minReplicas", FIELD_INTEGER, FIELD_USED, .doc = "least number of replicas", INT32_RANGE, .standard = "1"},
    {"maxReplicas", FIELD_INTEGER, FIELD_USED, .doc = "greatest number of replicas; 0: no limit", INT32_RANGE,
        .standard = "0"},
    {"canaryTrafficPercent", FIELD_INTEGER, FIELD_USED, .doc = "share of the newest revision", .minimum = 0,
        .maximum = 100},
    {"labels", FIELD_TEXT_MAP, FIELD_USED, .doc = "labels of the pod"},
    {"annotations", FIELD_TEXT_MAP, FIELD_USED, .doc = "annotations of the pod"},
    {"containers", FIELD_ANY, FIELD_REFUSED,
        .doc = "images are not run; name a runtime plugin by model.runtime or model.image"},
    {"storageUris", FIELD_ANY, FIELD_REFUSED, .doc = "this release takes one storageUri, the model's"},
    {"initContainers", FIELD_ANY, FIELD_REFUSED, .doc = "images are not run"},
    {"workerSpec", FIELD_ANY, FIELD_REFUSED, .doc = "a model is served by one machine"},
    {"name", FIELD_TEXT, FIELD_REFUSED, .doc = "this release gives predictors no names of their own"},
    {"deploymentStrategy", FIELD_ANY, FIELD_REFUSED,
        .doc = "customizing deploymentStrategy is only supported for raw deployment mode"},
    {"scaleTarget", FIELD_INTEGER, FIELD_WARNED, .doc = NOT_SCALED, INT32_RANGE},
    {"scaleMetric", FIELD_TEXT, FIELD_WARNED, .doc = NOT_SCALED, .choices = "cpu|memory|concurrency|rps"},
    {"scaleMetricType", FIELD_TEXT, FIELD_WARNED, .doc = NOT_SCALED, .choices = "Utilization|Value|AverageValue"},
    {"autoScaling", FIELD_ANY, FIELD_WARNED, .doc = NOT_SCALED},
    {"containerConcurrency", FIELD_INTEGER, FIELD_WARNED,
        .doc = "requests are batched by the engine, without this limit"},
    {"timeout", FIELD_INTEGER, FIELD_WARNED, .doc = "requests end with their client or their own limits"},
    {"batcher", FIELD_ANY, FIELD_WARNED, .doc = "requests are batched by the runtime"},
    {"logger", FIELD_ANY, FIELD_WARNED, .doc = "this release sends no payload logs"},
};
static const struct schema_object predictor = {ROWS(predictor_fields), &pod};

static const struct schema_field service_spec_fields[] = {
    {"predictor", FIELD_OBJECT, FIELD_USED, .doc = "what serves the model", &predictor, .required = true},
    {"transformer", FIELD_ANY, FIELD_REFUSED, .doc = "this release has no transformers"},
    {"explainer", FIELD_ANY, FIELD_REFUSED, .doc = "this release has no explainers"},
    {"canary", FIELD_ANY, FIELD_REFUSED, .doc = "canary is only supported in Standard deployment mode"},
};
static const struct schema_object service_spec = {ROWS(service_spec_fields)};

static const struct schema_field service_fields[] = {
    {"apiVersion", FIELD_TEXT, FIELD_USED, .doc = "serving.kserve.io/v1beta1", .required = true},
    {"kind", FIELD_TEXT, FIELD_USED, .doc = "InferenceService", .required = true},
    {"metadata", FIELD_OBJECT, FIELD_USED, .doc = "name, namespace, labels, annotations", &metadata, .required = true},
    {"spec", FIELD_OBJECT, FIELD_USED, .doc = "what is wanted", &service_spec, .required = true},
    {"status", FIELD_ANY, FIELD_KEPT, .doc = "given by the server"},
};
static const struct schema_object service = {ROWS(service_fields)};

static const struct schema_field format_fields[] = {
    {"name", FIELD_TEXT, FIELD_USED, .doc = "a format that it serves", .required = true},
    {"version", FIELD_TEXT, FIELD_USED, .doc = "the version of the format"},
    {"autoSelect", FIELD_BOOLEAN, FIELD_USED, .doc = "whether services that name no runtime may get it",
        .standard = "false"},
    {"priority", FIELD_INTEGER, FIELD_USED, .doc = "the larger one is chosen", .minimum = 1, .maximum = INT32_MAX},
};
static const struct schema_object format = {ROWS(format_fields)};

static const struct schema_field runtime_spec_fields[] = {
    {"containers", FIELD_LIST, FIELD_USED, .doc = "one of them is called kserve-container", &container,
        .required = true},
    {"supportedModelFormats", FIELD_LIST, FIELD_USED, .doc = "what it serves", &format},
    {"protocolVersions", FIELD_TEXTS, FIELD_USED, .doc = "protocols that it speaks; empty: all"},
    {"disabled", FIELD_BOOLEAN, FIELD_USED, .doc = "whether it is out of use", .standard = "false"},
    {"multiModel", FIELD_BOOLEAN, FIELD_USED, .doc = "only for TrainedModel, so never chosen here",
        .standard = "false"},
    {"workerSpec", FIELD_ANY, FIELD_USED, .doc = "several machines, so never chosen here"},
    {"labels", FIELD_TEXT_MAP, FIELD_USED, .doc = "labels of its pods"},
    {"annotations", FIELD_TEXT_MAP, FIELD_USED, .doc = "annotations of its pods"},
    {"affinity", FIELD_ANY, FIELD_WARNED, .doc = CLUSTER_ONLY},
    {"builtInAdapter", FIELD_ANY, FIELD_WARNED, .doc = "a part of ModelMesh"},
    {"grpcDataEndpoint", FIELD_TEXT, FIELD_WARNED, .doc = "a part of ModelMesh"},
    {"grpcEndpoint", FIELD_TEXT, FIELD_WARNED, .doc = "a part of ModelMesh"},
    {"httpDataEndpoint", FIELD_TEXT, FIELD_WARNED, .doc = "a part of ModelMesh"},
    {"hostIPC", FIELD_BOOLEAN, FIELD_WARNED, .doc = CONTAINER_ONLY},
    {"imagePullSecrets", FIELD_ANY, FIELD_WARNED, .doc = "no image is pulled here"},
    {"nodeSelector", FIELD_TEXT_MAP, FIELD_WARNED, .doc = CLUSTER_ONLY},
    {"replicas", FIELD_INTEGER, FIELD_WARNED, .doc = "a part of ModelMesh", INT32_RANGE},
    {"resourceClaims", FIELD_ANY, FIELD_WARNED, .doc = CLUSTER_ONLY},
    {"schedulerName", FIELD_TEXT, FIELD_WARNED, .doc = CLUSTER_ONLY},
    {"storageHelper", FIELD_ANY, FIELD_WARNED, .doc = "a part of ModelMesh"},
    {"tolerations", FIELD_ANY, FIELD_WARNED, .doc = CLUSTER_ONLY},
    {"volumes", FIELD_ANY, FIELD_WARNED, .doc = CONTAINER_ONLY},
};
static const struct schema_object runtime_spec = {ROWS(runtime_spec_fields)};

static const struct schema_field runtime_fields[] = {
    {"apiVersion", FIELD_TEXT, FIELD_USED, .doc = "serving.kserve.io/v1alpha1", .required = true},
    {"kind", FIELD_TEXT, FIELD_USED, .doc = "ServingRuntime or ClusterServingRuntime", .required = true},
    {"metadata", FIELD_OBJECT, FIELD_USED, .doc = "name, namespace, labels, annotations", &metadata, .required = true},
    {"spec", FIELD_OBJECT, FIELD_USED, .doc = "what it serves, and how", &runtime_spec, .required = true},
    {"status", FIELD_ANY, FIELD_KEPT, .doc = "given by the server"},
};
static const struct schema_object runtime = {ROWS(runtime_fields)};

static const struct schema_kind kinds[RESOURCE_KINDS] = {
    [RESOURCE_INFERENCE_SERVICE] = {"InferenceService", "serving.kserve.io/v1beta1", RESOURCE_INFERENCE_SERVICE, true,
        &service},
    [RESOURCE_SERVING_RUNTIME] = {"ServingRuntime", "serving.kserve.io/v1alpha1", RESOURCE_SERVING_RUNTIME, true,
        &runtime},
    [RESOURCE_CLUSTER_SERVING_RUNTIME] = {"ClusterServingRuntime", "serving.kserve.io/v1alpha1",
        RESOURCE_CLUSTER_SERVING_RUNTIME, false, &runtime},
};

static const struct {
    const char *kind, *why;
} refused_kinds[] = {
    {"TrainedModel", "this release serves one model a service; make it an InferenceService"},
    {"InferenceGraph", "this release has no inference graphs"},
    {"LLMInferenceService", "this release does not serve it; write an InferenceService with modelFormat huggingface"},
    {"LLMInferenceServiceConfig", "this release does not serve LLMInferenceService"},
    {"LocalModelCache", "this release keeps no model caches; use paddock pull"},
    {"LocalModelNamespaceCache", "this release keeps no model caches; use paddock pull"},
    {"LocalModelNode", "this release keeps no model caches"},
    {"LocalModelNodeGroup", "this release keeps no model caches"},
    {"ClusterStorageContainer", "this release has no storage containers"},
    {"Secret", "this release keeps no Secrets"},
    {"ConfigMap", "this release keeps no ConfigMaps"},
    {"ServiceAccount", "this release has no ServiceAccounts"},
};

const struct schema_kind *schema_kind(const char *kind)
{
    for (size_t i = 0; i < RESOURCE_KINDS; i++)
        if (strcmp(kinds[i].kind, kind) == 0)
            return &kinds[i];
    return NULL;
}

const struct schema_kind *schema_kind_at(enum resource_kind resource)
{
    return &kinds[resource];
}

const char *schema_kind_refused(const char *kind)
{
    for (size_t i = 0; i < sizeof refused_kinds / sizeof refused_kinds[0]; i++)
        if (strcmp(refused_kinds[i].kind, kind) == 0)
            return refused_kinds[i].why;
    return NULL;
}

const struct schema_field *schema_field(const struct schema_object *object, const char *name, size_t length)
{
    for (; object != NULL; object = object->extends)
        for (size_t i = 0; i < object->count; i++)
            if (strlen(object->fields[i].name) == length && memcmp(object->fields[i].name, name, length) == 0)
                return &object->fields[i];
    return NULL;
}
