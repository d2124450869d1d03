/* See the header. The tree has passed the schema, so types need no second look. */
#include "config.h"

#include "core/spec/service_rules.h"

#include "core/base/error.h"
#include "core/spec/image.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char *const old_forms[] = {
    "sklearn", "tensorflow", "xgboost", "pytorch", "triton", "onnx", "huggingface", "pmml", "lightgbm", "paddle"};
enum { OLD_FORMS = sizeof old_forms / sizeof old_forms[0], NAME_MAX_BYTES = 53 };

static bool present(const struct json *value)
{
    return value != NULL && value->type != JSON_NULL;
}

static const char *text_at(const struct json *object, const char *path)
{
    const char *text;
    return json_string(json_path(object, path), &text) ? text : NULL;
}

/* [a-z]([-a-z0-9]*[a-z0-9])? */
static bool is_service_name(const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || !islower((unsigned char)name[0]) || name[length - 1] == '-')
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

static pdk_status check_name(const struct json *root, const struct spec_source *source, pdk_error *err)
{
    const struct json *at = json_path(root, "metadata.name");
    const char *name = text_at(root, "metadata.name");
    if (!is_service_name(name))
        return spec_fail(source, at, "metadata.name", err,
            "the InferenceService \"%.64s\" is invalid: a InferenceService name must consist of lower case "
            "alphanumeric "
            "characters or '-', and must start with alphabetical character. (e.g. \"my-name\" or \"abc-123\", regex "
            "used for "
            "validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
            name);
    if (strlen(name) > NAME_MAX_BYTES) /* NAME-predictor must be a host's label of 63 */
        return spec_fail(
            source, at, "metadata.name", err, "has %zu letters; the limit is %d", strlen(name), NAME_MAX_BYTES);
    return PDK_OK;
}

/* It stands in hosts and paths. */
static pdk_status check_namespace(const struct json *root, const struct spec_source *source, pdk_error *err)
{
    const char *name = text_at(root, "metadata.namespace");
    if (name == NULL)
        return PDK_OK;
    size_t length = strlen(name);
    bool good = length > 0 && length <= 63 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length &&
                name[0] != '-' && name[length - 1] != '-';
    if (good)
        return PDK_OK;
    return spec_fail(source, json_path(root, "metadata.namespace"), "metadata.namespace", err,
        "'%.64s' is no namespace: 1 to 63 of a-z, 0-9 and '-', with '-' neither first nor last", name);
}

/* Annotations and labels that mean something on a cluster and nothing here. */
static void warn_of_annotations(const struct json *root, const struct spec_source *source)
{
    static const struct {
        const char *map, *beginning, *why;
    } rows[] = {
        {"annotations", "autoscaling.knative.dev/", "a service has one replica in this release"},
        {"annotations", "serving.kserve.io/autoscalerClass", "a service has one replica in this release"},
        {"annotations", "serving.kserve.io/metrics", "a service has one replica in this release"},
        {"annotations", "serving.kserve.io/targetUtilizationPercentage", "a service has one replica in this release"},
        {"annotations", "serving.kserve.io/enable-tag-routing", "this release has no canary"},
        {"annotations", "serving.knative.dev/rollout-duration",
            "the newest revision gets the traffic once it is ready"},
        {"annotations", "serving.kserve.io/storageSecretName", "this release keeps no Secrets"},
        {"labels", "networking.kserve.io/visibility", "who may connect is said in paddock.conf"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct json *map = json_get(json_get(root, "metadata"), rows[i].map);
        for (const struct json *at = map != NULL ? map->child : NULL; at != NULL; at = at->next) {
            char path[192];
            snprintf(path, sizeof path, "metadata.%s[\"%.128s\"]", rows[i].map, at->key);
            if (strncmp(at->key, rows[i].beginning, strlen(rows[i].beginning)) == 0)
                spec_warn(source, at, path, "has no effect: %s", rows[i].why);
        }
    }
}

static pdk_status check_one_form(const struct json *predictor, const struct spec_source *source, pdk_error *err)
{
    unsigned forms = present(json_get(predictor, "model"));
    for (size_t i = 0; i < OLD_FORMS; i++)
        forms += present(json_get(predictor, old_forms[i]));
    if (forms == 1)
        return PDK_OK;
    return spec_fail(source, predictor, "spec.predictor", err,
        "exactly one of [SKLearn, XGBoost, Tensorflow, PyTorch, Triton, ONNX, HuggingFace, PMML, LightGBM, Paddle, "
        "Model] must be "
        "specified in PredictorSpec; it has %u",
        forms);
}

static pdk_status check_replicas(const struct json *predictor, const struct spec_source *source, pdk_error *err)
{
    const struct json *minimum = json_get(predictor, "minReplicas"), *maximum = json_get(predictor, "maxReplicas");
    int64_t least = 1, most = 0;
    json_int64(minimum, &least);
    json_int64(maximum, &most);
    if (least < 0)
        return spec_fail(source, minimum, "spec.predictor.minReplicas", err, "'MinReplicas' cannot be less than 0");
    if (most < 0)
        return spec_fail(source, maximum, "spec.predictor.maxReplicas", err, "'MaxReplicas' cannot be less than 0");
    if (most != 0 && least > most)
        return spec_fail(
            source, minimum, "spec.predictor.minReplicas", err, "'MinReplicas' cannot be greater than MaxReplicas");
    if (least == 0)
        spec_warn(source, minimum, "spec.predictor.minReplicas",
            "is 0, and this release does not scale to zero; one replica runs");
    if (least > 1)
        spec_warn(
            source, minimum, "spec.predictor.minReplicas", "is %d, and this release runs one replica", (int)least);
    const struct json *canary = json_get(predictor, "canaryTrafficPercent");
    int64_t percent;
    if (json_int64(canary, &percent) && percent != 100)
        return spec_fail(source, canary, "spec.predictor.canaryTrafficPercent", err,
            "not supported: this release gives the newest revision all the traffic, so it may only be 100");
    return PDK_OK;
}

/* `path` names the container. */
static pdk_status check_container(
    const struct json *container, const char *path, const struct spec_source *source, pdk_error *err)
{
    const struct json *variables = json_get(container, "env");
    unsigned index = 0;
    char where[192];
    for (const struct json *at = variables != NULL ? variables->child : NULL; at != NULL; at = at->next, index++) {
        const char *name = text_at(at, "name");
        snprintf(where, sizeof where, "%s.env[%u].name", path, index);
        if (name[0] == '\0' || strchr(name, '=') != NULL)
            return spec_fail(source, json_get(at, "name"), where, err, "'%.64s' is no variable's name", name);
        if (strcmp(name, "PYTHONPATH") == 0)
            return spec_fail(source, json_get(at, "name"), where, err,
                "setting PYTHONPATH in container \"kserve-container\" is not allowed for security reasons");
        if (present(json_get(at, "value")) && present(json_get(at, "valueFrom")))
            return spec_fail(source, at, where, err, "has both value and valueFrom");
    }
    const struct json *limits = json_path(container, "resources.limits");
    for (const struct json *at = limits != NULL ? limits->child : NULL; at != NULL; at = at->next) {
        snprintf(where, sizeof where, "%s.resources.limits[\"%.64s\"]", path, at->key);
        if (strcmp(at->key, "cpu") != 0 && strcmp(at->key, "memory") != 0)
            spec_warn(source, at, where,
                strstr(at->key, "gpu") != NULL ? "ignored: no GPU here, the CPU is used" : "ignored");
    }
    return PDK_OK;
}

static pdk_status check_mode(const struct json *root, const struct spec_source *source, pdk_error *err)
{
    const struct json *annotations = json_path(root, "metadata.annotations");
    const struct json *at = json_get(annotations, "serving.kserve.io/deploymentMode");
    const char *mode;
    if (!json_string(at, &mode) || strcmp(mode, "Knative") == 0 || strcmp(mode, "Serverless") == 0)
        return PDK_OK;
    if (strcmp(mode, "Standard") == 0 || strcmp(mode, "RawDeployment") == 0) {
        spec_warn(source, at, "metadata.annotations[\"serving.kserve.io/deploymentMode\"]",
            "is %s; this release has the Knative mode only", mode);
        return PDK_OK;
    }
    return spec_fail(source, at, "metadata.annotations[\"serving.kserve.io/deploymentMode\"]", err,
        "is '%.64s'; it may be Knative or Standard", mode);
}

pdk_status service_admit(const struct json *root, const struct spec_source *source, pdk_error *err)
{
    const struct json *predictor = json_path(root, "spec.predictor");
    pdk_status status = check_name(root, source, err);
    if (status == PDK_OK)
        status = check_namespace(root, source, err);
    if (status == PDK_OK)
        status = check_mode(root, source, err);
    if (status == PDK_OK)
        status = check_one_form(predictor, source, err);
    if (status == PDK_OK)
        status = check_replicas(predictor, source, err);
    if (status != PDK_OK)
        return status;
    warn_of_annotations(root, source);
    for (const struct json *form = predictor->child; form != NULL; form = form->next) {
        bool is_form = strcmp(form->key, "model") == 0;
        for (size_t i = 0; i < OLD_FORMS; i++)
            is_form |= strcmp(form->key, old_forms[i]) == 0;
        if (!is_form || form->type != JSON_OBJECT)
            continue;
        char path[96];
        snprintf(path, sizeof path, "spec.predictor.%s", form->key);
        const char *name = text_at(form, "name");
        if (name != NULL && name[0] != '\0')
            return spec_fail(
                source, json_get(form, "name"), path, err, "the 'name' field is not allowed in standard predictor");
        status = check_container(form, path, source, err);
        if (status != PDK_OK)
            return status;
    }
    return PDK_OK;
}

/* A runtime whose plugin can have no such name would only ever be passed over. */
static pdk_status check_plugin_name(
    const struct json *container, const char *path, const struct spec_source *source, pdk_error *err)
{
    char plugin[PLUGIN_NAME_MAX], field[80];
    pdk_error why = {0};
    const char *image = text_at(container, "image");
    if (image == NULL || image_plugin(image, plugin, &why) != PDK_INVALID)
        return PDK_OK;
    snprintf(field, sizeof field, "%.64s.image", path);
    return spec_fail(source, json_get(container, "image"), field, err, "%s", why.message);
}

pdk_status runtime_admit(const struct json *root, const struct spec_source *source, pdk_error *err)
{
    const char *name = text_at(root, "metadata.name");
    if (name[0] == '\0' || strlen(name) > 253)
        return spec_fail(
            source, json_path(root, "metadata.name"), "metadata.name", err, "has no letter, or more than 253");
    pdk_status status = check_namespace(root, source, err);
    if (status != PDK_OK)
        return status;
    const struct json *containers = json_path(root, "spec.containers");
    unsigned index = 0;
    for (const struct json *at = containers->child; at != NULL; at = at->next, index++) {
        char path[64];
        snprintf(path, sizeof path, "spec.containers[%u]", index);
        status = check_container(at, path, source, err);
        if (status == PDK_OK)
            status = check_plugin_name(at, path, source, err);
        if (status != PDK_OK)
            return status;
    }
    return PDK_OK;
}

static struct json *put(
    struct json_document *tree, struct json *parent, enum json_type type, const char *key, const char *text)
{
    struct json *node = json_add(tree, parent, type, key, strlen(key), text, text != NULL ? strlen(text) : 0);
    if (node != NULL) {
        node->line = parent->line;
        node->column = parent->column;
    }
    return node;
}

/* A member that may be changed: the tree is its reader's alone until the set hands it out. */
static struct json *member(struct json *object, const char *key)
{
    return (struct json *)json_get(object, key);
}

static bool rewrite_old_form(struct json_document *tree, struct json *predictor)
{
    for (size_t i = 0; i < OLD_FORMS; i++) {
        struct json *form = member(predictor, old_forms[i]);
        if (!present(form))
            continue;
        struct json *format = put(tree, form, JSON_OBJECT, "modelFormat", NULL);
        if (format == NULL || put(tree, format, JSON_STRING, "name", old_forms[i]) == NULL)
            return false;
        bool second = strcmp(old_forms[i], "triton") == 0 || strcmp(old_forms[i], "onnx") == 0 ||
                      strcmp(old_forms[i], "huggingface") == 0;
        if (second && !present(json_get(form, "protocolVersion")) &&
            put(tree, form, JSON_STRING, "protocolVersion", "v2") == NULL)
            return false;
        form->key = "model";
        form->key_length = strlen("model");
        break;
    }
    return true;
}

static bool rewrite_model(struct json_document *tree, struct json *root, struct json *model)
{
    const char *format = text_at(model, "modelFormat.name");
    bool second = strcmp(format, "triton") == 0 || strcmp(format, "vLLM") == 0;
    if (second && !present(json_get(model, "protocolVersion")) &&
        put(tree, model, JSON_STRING, "protocolVersion", "v2") == NULL)
        return false;
    struct json *metadata = member(root, "metadata"), *annotations = member(metadata, "annotations");
    if (!present(annotations) && annotations != NULL)
        annotations->type = JSON_OBJECT;
    if (annotations == NULL)
        annotations = put(tree, metadata, JSON_OBJECT, "annotations", NULL);
    if (annotations == NULL)
        return false;
    return json_get(annotations, "modelFormat") != NULL ||
           put(tree, annotations, JSON_STRING, "modelFormat", format) != NULL;
}

pdk_status service_rewrite(struct json_document *tree, struct json *root, pdk_error *err)
{
    struct json *predictor = member(member(root, "spec"), "predictor");
    if (!rewrite_old_form(tree, predictor) || !rewrite_model(tree, root, member(predictor, "model")))
        return pdk_error_set(err, PDK_NO_MEMORY, "spec.predictor", "no memory for the document");
    return PDK_OK;
}
