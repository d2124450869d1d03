/* Merge by KServe's rules: arguments one behind the other, variables by name with the service's over the runtime's,
 * resources key by key. Then templates, then $(VAR). */
#include "config.h"

#include "core/spec/plan.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/spec/image.h"
#include "core/spec/placeholder.h"
#include "core/spec/quantity.h"

#include <stdio.h>
#include <string.h>

static const char *text_at(const struct json *object, const char *path)
{
    const char *text;
    return json_string(json_path(object, path), &text) ? text : NULL;
}

static pdk_status out_of_memory(pdk_error *err)
{
    return pdk_error_set(err, PDK_NO_MEMORY, "spec.predictor", "no memory for the service");
}

static bool list_take(struct text_list *list, char *text_take)
{
    if (text_take == NULL || !array_grow(&list->items, &list->room, list->count + 1)) {
        free(text_take);
        return false;
    }
    list->items[list->count++] = text_take;
    return true;
}

bool text_list_add(struct text_list *list, const char *text)
{
    return list_take(list, strdup(text));
}

void text_list_done(struct text_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct text_list){0};
}

struct plan *plan_free(struct plan *plan)
{
    if (plan == NULL)
        return NULL;
    free(plan->plugin);
    free(plan->image);
    free(plan->protocol);
    free(plan->model_name);
    free(plan->model_id);
    free(plan->storage_uri);
    free(plan->layout);
    text_list_done(&plan->arguments);
    text_list_done(&plan->environment);
    free(plan);
    return NULL;
}

void plan_freep(struct plan **plan)
{
    plan_free(*plan);
}

/* Whether `argument` is --name, and where its value begins ("" when it is the next word). */
static bool is_argument(const char *argument, const char *name, const char **ret_value)
{
    if (argument[0] != '-' || argument[1] != '-')
        return false;
    const char *at = argument + 2;
    for (; *name != '\0'; name++, at++)
        if (*at != *name && !((*at == '-' || *at == '_') && (*name == '-' || *name == '_')))
            return false;
    *ret_value = *at == '=' ? at + 1 : NULL;
    return *at == '=' || *at == '\0';
}

const char *text_list_argument(const struct text_list *arguments, const char *name)
{
    const char *value, *found = NULL;
    for (size_t i = 0; i < arguments->count; i++) {
        if (!is_argument(arguments->items[i], name, &value))
            continue;
        if (value != NULL)
            found = value;
        else if (i + 1 < arguments->count)
            found = arguments->items[i + 1];
    }
    return found;
}

/* ---- environment */

static pdk_status variable_value(
    const struct json *variable, const struct resource *service, const char **ret_value, pdk_error *err)
{
    const char *name = text_at(variable, "name"), *path = text_at(variable, "valueFrom.fieldRef.fieldPath");
    const struct json *from = json_get(variable, "valueFrom");
    *ret_value = text_at(variable, "value");
    if (*ret_value == NULL)
        *ret_value = "";
    if (from == NULL || from->type == JSON_NULL)
        return PDK_OK;
    if (path != NULL && strcmp(path, "metadata.namespace") == 0) {
        *ret_value = service->namespace_;
        return PDK_OK;
    }
    if (path != NULL)
        return pdk_error_value(err, PDK_UNSUPPORTED, "spec.predictor.model.env", name,
            "variable %.64s: field '%.64s' is not to be had here, only metadata.namespace", name, path);
    const char *kind = json_get(from, "secretKeyRef") != NULL ? "secretKeyRef" : "configMapKeyRef";
    const struct json *reference = json_get(from, kind);
    bool optional = false;
    json_bool(json_get(reference, "optional"), &optional);
    *ret_value = NULL;
    if (optional)
        return PDK_OK;
    const char *source = text_at(reference, "name");
    return pdk_error_value(err, PDK_UNSUPPORTED, "spec.predictor.model.env", name,
        "variable %.64s wants the %s '%.64s', and this release keeps none; set its value", name,
        kind[0] == 's' ? "Secret" : "ConfigMap", source != NULL ? source : "");
}

static void remove_variable(struct text_list *environment, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < environment->count; i++) {
        if (strncmp(environment->items[i], name, length) != 0 || environment->items[i][length] != '=')
            continue;
        free(environment->items[i]);
        memmove(&environment->items[i], &environment->items[i + 1], (environment->count - i - 1) * sizeof(char *));
        environment->count--;
        return;
    }
}

static pdk_status set_variable(struct plan *plan, const char *name, const char *value, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer rendered = {0};
    PDK_CLEANUP(buffer_done) struct buffer expanded = {0};
    pdk_status status = placeholder_render(value, plan->service, &rendered, err);
    if (status != PDK_OK)
        return status;
    buffer_printf(&expanded, "%s=", name);
    placeholder_expand(
        rendered.data != NULL ? rendered.data : "", plan->environment.items, plan->environment.count, &expanded);
    remove_variable(&plan->environment, name);
    if (plan->environment.count >= PLAN_ENVIRONMENT_MAX)
        return pdk_error_set(
            err, PDK_TOO_LARGE, "spec.predictor.model.env", "more than %d variables", PLAN_ENVIRONMENT_MAX);
    return list_take(&plan->environment, buffer_take(&expanded)) ? PDK_OK : out_of_memory(err);
}

static pdk_status add_environment(struct plan *plan, const struct json *container, pdk_error *err)
{
    const struct json *list = json_get(container, "env");
    for (const struct json *at = list != NULL ? list->child : NULL; at != NULL; at = at->next) {
        const char *value, *name = text_at(at, "name");
        pdk_status status = variable_value(at, plan->service, &value, err);
        if (status == PDK_OK && value != NULL)
            status = set_variable(plan, name, value, err);
        else if (status == PDK_OK)
            remove_variable(&plan->environment, name);
        if (status != PDK_OK)
            return status;
    }
    return PDK_OK;
}

/* ---- arguments */

static pdk_status add_arguments(struct plan *plan, const struct json *container, pdk_error *err)
{
    const struct json *list = json_get(container, "args");
    for (const struct json *at = list != NULL ? list->child : NULL; at != NULL; at = at->next) {
        PDK_CLEANUP(buffer_done) struct buffer rendered = {0};
        PDK_CLEANUP(buffer_done) struct buffer expanded = {0};
        pdk_status status = placeholder_render(at->text, plan->service, &rendered, err);
        if (status != PDK_OK)
            return status;
        if (plan->arguments.count >= PLAN_ARGUMENTS_MAX)
            return pdk_error_set(
                err, PDK_TOO_LARGE, "spec.predictor.model.args", "more than %d arguments", PLAN_ARGUMENTS_MAX);
        buffer_puts(&expanded, ""); /* an empty argument is one, too */
        placeholder_expand(
            rendered.data != NULL ? rendered.data : "", plan->environment.items, plan->environment.count, &expanded);
        if (!list_take(&plan->arguments, buffer_take(&expanded)))
            return out_of_memory(err);
    }
    return PDK_OK;
}

static bool under_mount(const char *path)
{
    static const char mount[] = "/mnt/models";
    return strncmp(path, mount, sizeof mount - 1) == 0 &&
           (path[sizeof mount - 1] == '\0' || path[sizeof mount - 1] == '/');
}

static pdk_status read_arguments(struct plan *plan, pdk_error *err)
{
    const char *kserve = text_list_argument(&plan->arguments, "model-name");
    const char *served = text_list_argument(&plan->arguments, "served-model-name");
    const char *id = text_list_argument(&plan->arguments, "model-id"),
               *model = text_list_argument(&plan->arguments, "model");
    if (id == NULL && model != NULL && !under_mount(model))
        id = model;
    plan->model_name = strdup(served != NULL ? served : kserve != NULL ? kserve : plan->service->name);
    if (id != NULL)
        plan->model_id = strdup(id);
    return plan->model_name == NULL || (id != NULL && plan->model_id == NULL) ? out_of_memory(err) : PDK_OK;
}

/* ---- resources */

/* The service's quantity, else the runtime's. */
static const struct json *merged_quantity(
    const struct json *service, const struct json *runtime, const char *group, const char *key)
{
    char path[64];
    snprintf(path, sizeof path, "resources.%s.%s", group, key);
    const struct json *own = json_path(service, path);
    return own != NULL && own->type != JSON_NULL ? own : json_path(runtime, path);
}

static pdk_status read_pair(const struct json *model, const struct json *container, const char *key,
    pdk_status (*read)(const struct json *, const char *, uint64_t *, pdk_error *), uint64_t *ret_request,
    uint64_t *ret_limit, pdk_error *err)
{
    const struct json *request = merged_quantity(model, container, "requests", key);
    const struct json *limit = merged_quantity(model, container, "limits", key);
    char field[64];
    snprintf(field, sizeof field, "spec.predictor.model.resources.requests.%s", key);
    pdk_status status = request != NULL ? read(request, field, ret_request, err) : PDK_OK;
    if (status == PDK_OK && limit != NULL)
        status = read(limit, "spec.predictor.model.resources.limits", ret_limit, err);
    if (status == PDK_OK && request != NULL && limit != NULL && *ret_request > *ret_limit)
        return pdk_error_value(err, PDK_INVALID, field, request->text, "%s is %.40s, and its limit is %.40s", field,
            request->text, limit->text);
    return status;
}

/* ---- image */

static pdk_status resolve_image(
    struct plan *plan, const char *own, const char *runtimes, struct buffer *warnings, pdk_error *err)
{
    char plugin[PLUGIN_NAME_MAX];
    const char *image = own != NULL && own[0] != '\0' ? own : runtimes;
    pdk_error own_err = {0}; /* another's image is no failure: `err` stays as it was */
    pdk_status status = image_plugin(image, plugin, &own_err);
    if (status != PDK_OK && status != PDK_NOT_FOUND && err != NULL)
        *err = own_err;
    if (status == PDK_NOT_FOUND) {
        const char *list = resource_meta(plan->runtime, "annotations", IMAGE_ANNOTATION);
        status = image_plugin(runtimes, plugin, err);
        if (status == PDK_OK && (list == NULL || !image_listed(image, list)) && warnings != NULL)
            buffer_printf(warnings,
                "%s: InferenceService %s: spec.predictor.model.image: %s is not run; the plugin '%s' of runtime %s "
                "serves\n",
                plan->service->file, plan->service->name, image, plugin, plan->runtime->name);
    }
    if (status != PDK_OK)
        return status;
    plan->plugin = strdup(plugin);
    plan->image = strdup(image);
    return plan->plugin == NULL || plan->image == NULL ? out_of_memory(err) : PDK_OK;
}

static pdk_status copy_text(char **to, const char *text, pdk_error *err)
{
    if (text == NULL || text[0] == '\0')
        return PDK_OK;
    *to = strdup(text);
    return *to != NULL ? PDK_OK : out_of_memory(err);
}

static pdk_status merge(
    struct plan *plan, const struct json *model, const struct json *container, struct buffer *warnings, pdk_error *err)
{
    const char *protocol = text_at(model, "protocolVersion");
    pdk_status status = resolve_image(plan, text_at(model, "image"), text_at(container, "image"), warnings, err);
    if (status == PDK_OK)
        status = add_environment(plan, container, err);
    if (status == PDK_OK)
        status = add_environment(plan, model, err);
    if (status == PDK_OK)
        status = set_variable(plan, "INFERENCE_SERVICE_NAME", plan->service->name, err);
    if (status == PDK_OK)
        status = add_arguments(plan, container, err);
    if (status == PDK_OK)
        status = add_arguments(plan, model, err);
    if (status == PDK_OK)
        status = read_arguments(plan, err);
    if (status == PDK_OK)
        status = read_pair(model, container, "cpu", quantity_cpu, &plan->cpu_request, &plan->cpu_limit, err);
    if (status == PDK_OK)
        status = read_pair(model, container, "memory", quantity_bytes, &plan->memory_request, &plan->memory_limit, err);
    if (status == PDK_OK)
        status = copy_text(&plan->storage_uri, text_at(model, "storageUri"), err);
    if (status == PDK_OK)
        status = copy_text(&plan->layout, resource_meta(plan->runtime, "annotations", LAYOUT_ANNOTATION), err);
    if (status == PDK_OK)
        status = copy_text(&plan->protocol, protocol != NULL ? protocol : runtime_lowest_protocol(plan->runtime), err);
    return status;
}

pdk_status plan_new(const struct resource_set *set, const struct resource *service, struct buffer *warnings,
    struct plan **ret_plan, const char **ret_reason, pdk_error *err)
{
    const struct resource *runtime;
    pdk_status status = runtime_select(set, service, &runtime, ret_reason, err);
    if (status != PDK_OK)
        return status;
    *ret_reason = REASON_SPEC;
    const struct json *container = runtime_container(runtime);
    if (container == NULL)
        return pdk_error_value(err, PDK_INVALID, "spec.predictor.model.runtime", runtime->name,
            "failed to find kserve-container in ServingRuntime containers");
    PDK_CLEANUP(plan_freep) struct plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL)
        return out_of_memory(err);
    plan->service = service;
    plan->runtime = runtime;
    status = merge(plan, json_path(service->root, "spec.predictor.model"), container, warnings, err);
    if (status != PDK_OK)
        return status;
    *ret_plan = PDK_STEAL(plan);
    return PDK_OK;
}
