/* See the header. Files are kept as a list of owners; resources point into their trees. */
#include "config.h"

#include "core/spec/resource.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/nearest.h"
#include "core/spec/conf.h"
#include "core/spec/service_rules.h"
#include "core/spec/yaml.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct resource_file {
    struct resource_file *next;
    struct json_document *tree;
    char path[];
};

void resource_set_done(struct resource_set *set)
{
    while (set->files != NULL) {
        struct resource_file *next = set->files->next;
        json_document_free(set->files->tree);
        free(set->files);
        set->files = next;
    }
    free(set->items);
    buffer_done(&set->warnings);
    *set = (struct resource_set){0};
}

static pdk_status out_of_memory(pdk_error *err)
{
    return pdk_error_set(err, PDK_NO_MEMORY, "resources", "no memory for the resources");
}

static pdk_status read_tree(
    enum resource_syntax syntax, const char *text, size_t length, struct json_document **ret_tree, pdk_error *err)
{
    static const struct json_limits limits = {.bytes = RESOURCE_FILE_BYTES, .depth = 64, .nodes = 10000};
    switch (syntax) {
    case SYNTAX_YAML: return yaml_read(text, length, ret_tree, err);
    case SYNTAX_CONF: return conf_read(text, length, ret_tree, err);
    default: return json_read(text, length, &limits, ret_tree, err);
    }
}

static pdk_status find_kind(
    const struct json *root, const struct spec_source *source, const struct schema_kind **ret_kind, pdk_error *err)
{
    const char *kind, *version;
    if (root->type != JSON_OBJECT)
        return spec_fail(
            source, root, "", err, "a document must be an object with apiVersion, kind, metadata and spec");
    if (!json_string(json_get(root, "kind"), &kind))
        return spec_fail(
            source, root, "kind", err, "is missing: InferenceService, ServingRuntime or ClusterServingRuntime");
    if (!json_string(json_get(root, "apiVersion"), &version))
        return spec_fail(
            source, root, "apiVersion", err, "is missing: serving.kserve.io/v1beta1 for an InferenceService");
    const struct schema_kind *found = schema_kind(kind);
    const char *why = schema_kind_refused(kind);
    if (found == NULL && why != NULL)
        return spec_fail(source, json_get(root, "kind"), "kind", err, "%s is not supported: %s", kind, why);
    if (found == NULL) {
        struct nearest nearest = nearest_to(kind);
        for (int i = 0; i < RESOURCE_KINDS; i++)
            nearest_offer(&nearest, schema_kind_at((enum resource_kind)i)->kind);
        return spec_fail(
            source, json_get(root, "kind"), "kind", err, "unknown kind '%.64s'%s", kind, nearest_hint(&nearest));
    }
    if (strcmp(version, found->api_version) != 0)
        return spec_fail(source, json_get(root, "apiVersion"), "apiVersion", err,
            "no matches for kind \"%s\" in version \"%.64s\"; it is served as %s", kind, version, found->api_version);
    *ret_kind = found;
    return PDK_OK;
}

/* Puts a checked resource into the set, over one of a lower layer. */
static pdk_status place(
    struct resource_set *set, const struct resource *resource, const struct spec_source *source, pdk_error *err)
{
    for (size_t i = 0; i < set->count; i++) {
        struct resource *other = &set->items[i];
        if (other->kind != resource->kind || strcmp(other->name, resource->name) != 0 ||
            strcmp(other->namespace_, resource->namespace_) != 0)
            continue;
        if (other->layer == resource->layer)
            return spec_fail(source, json_path(resource->root, "metadata.name"), "metadata.name", err,
                "%s '%s' stands in %s:%u already", resource->kind->kind, resource->name, other->file, other->line);
        if (other->layer < resource->layer)
            *other = *resource;
        return PDK_OK;
    }
    if (set->count >= RESOURCES_MAX)
        return pdk_error_set(
            err, PDK_TOO_LARGE, "resources", "%s: more than %d resources", source->file, RESOURCES_MAX);
    if (!array_grow(&set->items, &set->room, set->count + 1))
        return out_of_memory(err);
    set->items[set->count++] = *resource;
    return PDK_OK;
}

static pdk_status read_resource(struct resource_set *set, struct resource_file *file, struct json *root, unsigned layer,
    const struct spec_source *source, pdk_error *err)
{
    struct resource resource = {.file = file->path, .line = root->line, .layer = layer, .root = root, .namespace_ = ""};
    pdk_status status = find_kind(root, source, &resource.kind, err);
    if (status == PDK_OK)
        status = schema_check(root, resource.kind->object, source, err);
    if (status != PDK_OK)
        return status;
    bool service = resource.kind->resource == RESOURCE_INFERENCE_SERVICE;
    status = service ? service_admit(root, source, err) : runtime_admit(root, source, err);
    if (status == PDK_OK && service)
        status = service_rewrite(file->tree, root, err);
    if (status != PDK_OK)
        return status;
    json_string(json_path(root, "metadata.name"), &resource.name);
    if (resource.kind->namespaced && !json_string(json_path(root, "metadata.namespace"), &resource.namespace_))
        resource.namespace_ = "default";
    return place(set, &resource, source, err);
}

/* The documents of a tree: a YAML stream, `documents = ( … )` of a *.conf, or one; each may be a List with items. */
static pdk_status read_documents(struct resource_set *set, struct resource_file *file, struct json *root, bool stream,
    unsigned layer, const struct spec_source *source, pdk_error *err)
{
    if (!stream) {
        const char *kind;
        struct json *items = (struct json *)json_get(root, "items");
        if (items == NULL || items->type != JSON_ARRAY || !json_string(json_get(root, "kind"), &kind) ||
            strcmp(kind, "List") != 0)
            return read_resource(set, file, root, layer, source, err);
        root = items;
    }
    for (struct json *at = root->child; at != NULL; at = at->next) {
        pdk_status status = stream ? read_documents(set, file, at, false, layer, source, err)
                                   : read_resource(set, file, at, layer, source, err);
        if (status != PDK_OK)
            return status;
    }
    return PDK_OK;
}

/* A copy of the set's rows, to go back to when a later document of the file is bad. */
static pdk_status read_whole_file(
    struct resource_set *set, struct resource_file *file, enum resource_syntax syntax, unsigned layer, pdk_error *err)
{
    PDK_AUTO_FREE struct resource *before = calloc(set->count + 1, sizeof *before);
    if (before == NULL)
        return out_of_memory(err);
    size_t count = set->count, warnings = set->warnings.length;
    if (count != 0)
        memcpy(before, set->items, count * sizeof *before);
    struct json *root = (struct json *)json_root(file->tree);
    struct spec_source source = {.file = file->path, .pairs = syntax == SYNTAX_CONF, .warnings = &set->warnings};
    struct json *documents = syntax == SYNTAX_CONF ? (struct json *)json_get(root, "documents") : NULL;
    bool stream = syntax == SYNTAX_YAML || (documents != NULL && documents->type == JSON_ARRAY && root->count == 1);
    pdk_status status =
        read_documents(set, file, documents != NULL && stream ? documents : root, stream, layer, &source, err);
    if (status == PDK_OK)
        return PDK_OK;
    if (count != 0)
        memcpy(set->items, before, count * sizeof *before);
    set->count = count;
    set->warnings.length = warnings;
    if (set->warnings.data != NULL)
        set->warnings.data[warnings] = '\0';
    return status;
}

pdk_status resource_set_read_text(struct resource_set *set, const char *file, enum resource_syntax syntax,
    const char *text, size_t length, unsigned layer, pdk_error *err)
{
    size_t path_bytes = strlen(file) + 1;
    PDK_AUTO_FREE struct resource_file *owner = malloc(sizeof *owner + path_bytes);
    if (owner == NULL)
        return out_of_memory(err);
    *owner = (struct resource_file){.next = set->files};
    memcpy(owner->path, file, path_bytes);
    pdk_status status = read_tree(syntax, text, length, &owner->tree, err);
    if (status != PDK_OK)
        return pdk_error_wrap(err, "%s", file);
    status = read_whole_file(set, owner, syntax, layer, err);
    if (status != PDK_OK) {
        json_document_free(owner->tree);
        return status;
    }
    set->files = PDK_STEAL(owner);
    return PDK_OK;
}

static bool syntax_of(const char *name, enum resource_syntax *ret_syntax)
{
    static const struct {
        const char *ending;
        enum resource_syntax syntax;
    } endings[] = {{".yaml", SYNTAX_YAML}, {".yml", SYNTAX_YAML}, {".conf", SYNTAX_CONF}, {".json", SYNTAX_JSON}};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot != NULL && i < sizeof endings / sizeof endings[0]; i++) {
        if (strcmp(dot, endings[i].ending) == 0) {
            *ret_syntax = endings[i].syntax;
            return true;
        }
    }
    return false;
}

pdk_status resource_set_read_file(struct resource_set *set, const char *path, unsigned layer, pdk_error *err)
{
    enum resource_syntax syntax;
    if (!syntax_of(path, &syntax))
        return pdk_error_set(err, PDK_INVALID, path, "%s: its name must end in .yaml, .yml, .conf or .json", path);
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    pdk_status status = file_read(path, RESOURCE_FILE_BYTES, &text, err);
    if (status != PDK_OK)
        return status;
    return resource_set_read_text(set, path, syntax, text.data != NULL ? text.data : "", text.length, layer, err);
}

static int is_resource_file(const struct dirent *entry)
{
    enum resource_syntax syntax;
    return entry->d_name[0] != '.' && syntax_of(entry->d_name, &syntax);
}

/* By bytes, whatever the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

pdk_status resource_set_read_folder(struct resource_set *set, const char *folder, unsigned layer, pdk_error *err)
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_resource_file, by_name);
    if (count < 0)
        return errno == ENOENT ? PDK_OK : pdk_error_errno(err, errno, folder, "cannot read folder %s", folder);
    pdk_status status = PDK_OK;
    for (int i = 0; i < count; i++) {
        char path[4096];
        int length = snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (status == PDK_OK && (size_t)length >= sizeof path)
            status = pdk_error_set(err, PDK_INVALID, folder, "path too long: %.200s", folder);
        if (status == PDK_OK)
            status = resource_set_read_file(set, path, layer, err);
        free(entries[i]);
    }
    free(entries);
    return status;
}

const struct resource *resource_find(
    const struct resource_set *set, enum resource_kind kind, const char *namespace_, const char *name)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct resource *resource = &set->items[i];
        if (resource->kind->resource == kind && strcmp(resource->name, name) == 0 &&
            (!resource->kind->namespaced || strcmp(resource->namespace_, namespace_) == 0))
            return resource;
    }
    return NULL;
}

const char *resource_meta(const struct resource *resource, const char *map, const char *key)
{
    const char *text;
    return json_string(json_get(json_get(json_get(resource->root, "metadata"), map), key), &text) ? text : NULL;
}
