/* Selection as KServe does it, candidate lists and all; the order of equals by creation time falls to the name, since
 * documents in files have none. */
#include "config.h"

#include "core/spec/select.h"

#include "core/base/buffer.h"
#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/nearest.h"
#include "core/spec/image.h"

#include <limits.h>
#include <string.h>

struct wanted {
    const char *namespace_;
    const char *format, *version; /* version: NULL when not given */
    const char *protocol;         /* NULL when not given */
};

static const char *text_at(const struct json *object, const char *path)
{
    const char *text;
    return json_string(json_path(object, path), &text) ? text : NULL;
}

static bool flag_at(const struct json *object, const char *path)
{
    bool value;
    return json_bool(json_path(object, path), &value) && value;
}

static bool lists_protocol(const struct resource *runtime, const char *protocol)
{
    const struct json *list = json_path(runtime->root, "spec.protocolVersions");
    if (list == NULL || list->count == 0)
        return true;
    for (const struct json *at = list->child; at != NULL; at = at->next)
        if (at->type == JSON_STRING && strcmp(at->text, protocol) == 0)
            return true;
    return false;
}

/* 0 for v1; none listed comes last. */
static int protocol_rank(const struct resource *runtime)
{
    static const char *const order[] = {"v1", "v2", "grpc-v1", "grpc-v2"};
    const struct json *list = json_path(runtime->root, "spec.protocolVersions");
    if (list != NULL && list->count != 0)
        for (int i = 0; i < 4; i++)
            if (lists_protocol(runtime, order[i]))
                return i;
    return 4;
}

const char *runtime_lowest_protocol(const struct resource *runtime)
{
    static const char *const order[] = {"v1", "v2", "grpc-v1", "grpc-v2", NULL};
    return order[protocol_rank(runtime)];
}

static bool lists_format(const struct resource *runtime, const struct wanted *wanted, bool automatic)
{
    const struct json *list = json_path(runtime->root, "spec.supportedModelFormats");
    for (const struct json *at = list != NULL ? list->child : NULL; at != NULL; at = at->next) {
        const char *version = text_at(at, "version");
        if (strcmp(text_at(at, "name"), wanted->format) != 0 || (automatic && !flag_at(at, "autoSelect")))
            continue;
        if (wanted->version == NULL || (version != NULL && strcmp(version, wanted->version) == 0))
            return true;
    }
    return false;
}

/* Of the first entry with the format, whatever its version; -1: none. */
static int64_t priority_of(const struct resource *runtime, const char *format)
{
    const struct json *list = json_path(runtime->root, "spec.supportedModelFormats");
    for (const struct json *at = list != NULL ? list->child : NULL; at != NULL; at = at->next) {
        int64_t priority = -1;
        if (strcmp(text_at(at, "name"), format) == 0) {
            json_int64(json_get(at, "priority"), &priority);
            return priority;
        }
    }
    return -1;
}

const struct json *runtime_container(const struct resource *runtime)
{
    const struct json *list = json_path(runtime->root, "spec.containers");
    for (const struct json *at = list != NULL ? list->child : NULL; at != NULL; at = at->next) {
        const char *name = text_at(at, "name");
        if (name != NULL && strcmp(name, "kserve-container") == 0)
            return at;
    }
    return NULL;
}

/* A runtime whose image is no plugin is stored, and never chosen. */
static bool has_plugin(const struct resource *runtime)
{
    const struct json *container = runtime_container(runtime);
    const char *image = container != NULL ? text_at(container, "image") : NULL;
    char plugin[PLUGIN_NAME_MAX];
    return container == NULL || (image != NULL && image_plugin(image, plugin, NULL) == PDK_OK);
}

static bool is_candidate(const struct resource *runtime, const struct wanted *wanted, enum resource_kind kind)
{
    if (runtime->kind->resource != kind)
        return false;
    if (runtime->kind->namespaced && strcmp(runtime->namespace_, wanted->namespace_) != 0)
        return false;
    return !flag_at(runtime->root, "spec.disabled") && !flag_at(runtime->root, "spec.multiModel") &&
           json_path(runtime->root, "spec.workerSpec") == NULL &&
           lists_protocol(runtime, wanted->protocol != NULL ? wanted->protocol : "v1") &&
           lists_format(runtime, wanted, true) && has_plugin(runtime);
}

/* Whether `a` goes before `b`. */
static bool goes_before(const struct resource *a, const struct resource *b, const char *format)
{
    int64_t a_priority = priority_of(a, format), b_priority = priority_of(b, format);
    if (a_priority != b_priority)
        return a_priority > b_priority;
    int a_rank = protocol_rank(a), b_rank = protocol_rank(b);
    return a_rank != b_rank ? a_rank < b_rank : strcmp(a->name, b->name) < 0;
}

static const struct resource *best_of(
    const struct resource_set *set, const struct wanted *wanted, enum resource_kind kind)
{
    const struct resource *best = NULL;
    for (size_t i = 0; i < set->count; i++) {
        const struct resource *runtime = &set->items[i];
        if (is_candidate(runtime, wanted, kind) && (best == NULL || goes_before(runtime, best, wanted->format)))
            best = runtime;
    }
    return best;
}

/* " (ServingRuntimes here: a, b; did you mean 'a'?)" */
static void put_runtimes(const struct resource_set *set, const char *name, struct buffer *out)
{
    struct nearest nearest = nearest_to(name);
    buffer_puts(out, " (runtimes here:");
    const char *comma = " ";
    for (size_t i = 0; i < set->count; i++) {
        if (set->items[i].kind->resource == RESOURCE_INFERENCE_SERVICE)
            continue;
        buffer_printf(out, "%s%s", comma, set->items[i].name);
        nearest_offer(&nearest, set->items[i].name);
        comma = ", ";
    }
    if (*comma == ' ')
        buffer_puts(out, " none");
    buffer_printf(out, "%s)", nearest_hint(&nearest));
}

static pdk_status fail(const char *field, const char *value, const char *sentence, const char *more, pdk_error *err)
{
    return pdk_error_value(err, PDK_UNSUPPORTED, field, value, "%s%s", sentence, more);
}

static pdk_status check_named(const struct resource_set *set, const struct wanted *wanted, const char *name,
    const struct resource **ret_runtime, const char **ret_reason, pdk_error *err)
{
    static const char field[] = "spec.predictor.model.runtime";
    const struct resource *runtime = resource_find(set, RESOURCE_SERVING_RUNTIME, wanted->namespace_, name);
    if (runtime == NULL)
        runtime = resource_find(set, RESOURCE_CLUSTER_SERVING_RUNTIME, "", name);
    if (runtime == NULL) {
        PDK_CLEANUP(buffer_done) struct buffer names = {0};
        put_runtimes(set, name, &names);
        *ret_reason = REASON_NO_RUNTIME;
        return fail(field, name, "Waiting for runtime to become available", names.data != NULL ? names.data : "", err);
    }
    *ret_reason = REASON_DISABLED;
    if (flag_at(runtime->root, "spec.disabled"))
        return fail(field, name, "Specified runtime is disabled", "", err);
    *ret_reason = REASON_NO_SUPPORT;
    if (wanted->protocol != NULL && !lists_protocol(runtime, wanted->protocol))
        return fail("spec.predictor.model.protocolVersion", wanted->protocol,
            "Specified runtime does not support specified protocol version", "", err);
    if (!lists_format(runtime, wanted, false))
        return fail("spec.predictor.model.modelFormat", wanted->format,
            "Specified runtime does not support specified framework/version", "", err);
    if (!has_plugin(runtime))
        return fail(field, name, "Specified runtime's image names no runtime plugin (paddock/NAME); images are not run",
            "", err);
    *ret_runtime = runtime;
    return PDK_OK;
}

pdk_status runtime_select(const struct resource_set *set, const struct resource *service,
    const struct resource **ret_runtime, const char **ret_reason, pdk_error *err)
{
    const struct json *model = json_path(service->root, "spec.predictor.model");
    struct wanted wanted = {.namespace_ = service->namespace_,
        .format = text_at(model, "modelFormat.name"),
        .version = text_at(model, "modelFormat.version"),
        .protocol = text_at(model, "protocolVersion")};
    const char *name = text_at(model, "runtime");
    if (name != NULL && name[0] != '\0')
        return check_named(set, &wanted, name, ret_runtime, ret_reason, err);
    const struct resource *best = best_of(set, &wanted, RESOURCE_SERVING_RUNTIME);
    if (best == NULL)
        best = best_of(set, &wanted, RESOURCE_CLUSTER_SERVING_RUNTIME);
    if (best != NULL) {
        *ret_runtime = best;
        return PDK_OK;
    }
    *ret_reason = REASON_NO_SUPPORT;
    struct nearest nearest = nearest_to(wanted.format);
    for (size_t i = 0; i < set->count; i++) {
        const struct json *list = json_path(set->items[i].root, "spec.supportedModelFormats");
        for (const struct json *at = list != NULL ? list->child : NULL; at != NULL; at = at->next)
            nearest_offer(&nearest, text_at(at, "name"));
    }
    bool same =
        nearest.best != NULL && strcmp(nearest.best, wanted.format) == 0; /* then version or protocol is at fault */
    return fail("spec.predictor.model.modelFormat", wanted.format,
        "No runtime found to support specified framework/version", same ? "" : nearest_hint(&nearest), err);
}
