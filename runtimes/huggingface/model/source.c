/* See the header. */
#include "config.h"

#include "runtimes/huggingface/model/source.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/file.h"
#include "runtimes/huggingface/model/printable.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    PATH_BYTES = 4096,
    FILES_MAX = 1000,
    ENTRIES_MAX = 10000,
    CONFIG_BYTES_MAX = 4 << 20,
    INDEX_BYTES_MAX = 64 << 20
};

/* What a folder holds, by name. */
struct listing {
    char **names;
    size_t count, room;
};

static void listing_done(struct listing *listing)
{
    for (size_t i = 0; i < listing->count; i++)
        free(listing->names[i]);
    free(listing->names);
    *listing = (struct listing){0};
}

static bool ends_in(const char *name, const char *ending)
{
    size_t length = strlen(name), tail = strlen(ending);
    return length > tail && strcmp(name + length - tail, ending) == 0;
}

static bool is_pickle(const char *name)
{
    static const char *const endings[] = {".bin", ".pt", ".pth", ".ckpt", ".pkl"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (ends_in(name, endings[i]))
            return true;
    return false;
}

static pdk_status refuse_pickle(const char *name, pdk_error *err)
{
    return pdk_error_value(err, PDK_UNSUPPORTED, "model", name,
        "%s: pickle weights are never executed; convert the model to safetensors or GGUF", printable(name).text);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static pdk_status add_name(struct listing *listing, const char *text)
{
    if (listing->count == ENTRIES_MAX)
        return PDK_TOO_LARGE;
    if (!array_grow(&listing->names, &listing->room, listing->count + 1))
        return PDK_NO_MEMORY;
    char *name = strdup(text);
    if (name == NULL)
        return PDK_NO_MEMORY;
    listing->names[listing->count++] = name;
    return PDK_OK;
}

static pdk_status list_folder(const char *folder, struct listing *listing, pdk_error *err)
{
    DIR *entries = opendir(folder);
    if (entries == NULL)
        return pdk_error_errno(err, errno, folder, "cannot open %s", folder);
    pdk_status status = PDK_OK;
    for (struct dirent *entry = readdir(entries); entry != NULL && status == PDK_OK; entry = readdir(entries)) {
        if (entry->d_name[0] == '.')
            continue;
        status = add_name(listing, entry->d_name);
    }
    closedir(entries);
    if (status == PDK_TOO_LARGE)
        return pdk_error_set(err, status, folder, "%s holds more than %d files", folder, ENTRIES_MAX);
    if (status != PDK_OK)
        return pdk_error_set(err, status, folder, "no memory for the list of %s", folder);
    if (listing->count != 0)
        qsort(listing->names, listing->count, sizeof *listing->names, compare_texts);
    return PDK_OK;
}

static bool holds(const struct listing *listing, const char *name)
{
    for (size_t i = 0; i < listing->count; i++)
        if (strcmp(listing->names[i], name) == 0)
            return true;
    return false;
}

/* Is `name` part 2 or later of a split file (X-00002-of-00003.ENDING)? */
static bool is_later_part(const char *name, const char *ending)
{
    size_t length = strlen(name), tail = strlen("-00001-of-00003") + strlen(ending);
    if (length <= tail || strcmp(name + length - strlen(ending), ending) != 0)
        return false;
    const char *part = name + length - tail;
    return part[0] == '-' && strspn(part + 1, "0123456789") == 5 && strncmp(part + 6, "-of-", 4) == 0 &&
           strspn(part + 10, "0123456789") == 5 && strncmp(part + 1, "00001", 5) != 0;
}

/* How many of that ending there are, split ones counting once; *ret_name: the last of them. */
static size_t count_files(const struct listing *listing, const char *ending, const char **ret_name)
{
    size_t count = 0;
    for (size_t i = 0; i < listing->count; i++) {
        if (!ends_in(listing->names[i], ending) || is_later_part(listing->names[i], ending))
            continue;
        *ret_name = listing->names[i];
        count++;
    }
    return count;
}

static pdk_status join(const char *folder, const char *name, char *path, pdk_error *err)
{
    int written = snprintf(path, PATH_BYTES, "%s/%s", folder, name);
    if (written < 0 || written >= PATH_BYTES)
        return pdk_error_set(err, PDK_INVALID, "path", "path too long: %.200s", folder);
    return PDK_OK;
}

static pdk_status read_json(
    const char *folder, const char *name, size_t max_bytes, struct json_document **ret_document, pdk_error *err)
{
    char path[PATH_BYTES];
    pdk_status status = join(folder, name, path, err);
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    if (status == PDK_OK)
        status = file_read(path, max_bytes, &text, err);
    if (status != PDK_OK)
        return status;
    const struct json_limits limits = {.bytes = max_bytes, .depth = 64, .nodes = 4000000, .allow_nan = true};
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    status = json_read(text.data, text.length, &limits, &document, err);
    if (status != PDK_OK)
        return pdk_error_wrap(err, "%s", name);
    if (json_root(document)->type != JSON_OBJECT)
        return pdk_error_set(
            err, PDK_INVALID, name, "%s must hold an object, not %s", name, json_type_name(json_root(document)));
    *ret_document = PDK_STEAL(document);
    return PDK_OK;
}

static pdk_status open_file(struct source *source, const char *name, pdk_error *err)
{
    if (source->file_count == FILES_MAX)
        return pdk_error_set(err, PDK_TOO_LARGE, "weight_map", "more than %d files", FILES_MAX);
    if (source->files == NULL) {
        source->files = calloc(FILES_MAX, sizeof(*source->files));
        if (source->files == NULL)
            return pdk_error_set(err, PDK_NO_MEMORY, "model", "no memory for the list of files");
    }
    char path[PATH_BYTES];
    pdk_status status = join(source->folder, name, path, err);
    if (status == PDK_OK)
        status = safetensors_open(path, &source->files[source->file_count], err);
    if (status == PDK_OK)
        source->file_count++;
    return status;
}

/* A file named by an index is one of the same folder. */
static bool is_plain_name(const char *name)
{
    return name[0] != '.' && strchr(name, '/') == NULL && ends_in(name, ".safetensors");
}

/* Opens each file that the index names, once. */
static pdk_status open_indexed(struct source *source, const char *index_name, pdk_error *err)
{
    PDK_CLEANUP(json_document_freep) struct json_document *index = NULL;
    pdk_status status = read_json(source->folder, index_name, INDEX_BYTES_MAX, &index, err);
    if (status != PDK_OK)
        return status;
    const struct json *map = json_get(json_root(index), "weight_map");
    if (map == NULL || map->type != JSON_OBJECT || map->count == 0)
        return pdk_error_set(err, PDK_INVALID, "weight_map", "%s has no 'weight_map' of tensors to files", index_name);
    const char *opened[FILES_MAX];
    for (const struct json *at = map->child; at != NULL; at = at->next) {
        const char *name;
        if (!json_string(at, &name) || !is_plain_name(name))
            return pdk_error_value(err, PDK_INVALID, "weight_map", at->key,
                "weight_map['%s'] must be the name of a .safetensors file in the same folder", printable(at->key).text);
        size_t seen = 0;
        while (seen < source->file_count && strcmp(opened[seen], name) != 0)
            seen++;
        if (seen < source->file_count)
            continue;
        status = open_file(source, name, err);
        if (status != PDK_OK)
            return status;
        opened[seen] = name;
    }
    status = tensors_of_files(source->files, source->file_count, &source->tensors, err);
    for (const struct json *at = map->child; at != NULL && status == PDK_OK; at = at->next)
        if (tensors_find(&source->tensors, at->key) == NULL)
            status = pdk_error_value(err, PDK_INVALID, "weight_map", at->key,
                "'%s' is in the index and in none of the files", printable(at->key).text);
    return status;
}

static pdk_status open_gguf(struct source *source, const char *path, pdk_error *err)
{
    pdk_status status = gguf_open(path, &source->gguf, err);
    return status == PDK_OK ? tensors_of_gguf(source->gguf, &source->tensors, err) : status;
}

static pdk_status nothing_fits(const char *folder, const struct listing *listing, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer names = {0};
    for (size_t i = 0; i < listing->count && names.length < 200; i++)
        buffer_printf(&names, "%s%s", i == 0 ? "" : ", ", printable(listing->names[i]).text);
    return pdk_error_set(err, PDK_NOT_FOUND, "model",
        "%.160s must hold config.json and safetensors, or exactly one GGUF file; it holds %s", folder,
        listing->count == 0 || names.data == NULL ? "nothing" : names.data);
}

static pdk_status open_folder(struct source *source, pdk_error *err)
{
    static const char index_name[] = "model.safetensors.index.json";
    PDK_CLEANUP(listing_done) struct listing listing = {0};
    pdk_status status = list_folder(source->folder, &listing, err);
    if (status != PDK_OK)
        return status;
    const char *weights = NULL, *gguf = NULL;
    bool indexed = holds(&listing, index_name);
    size_t weight_count = count_files(&listing, ".safetensors", &weights),
           gguf_count = count_files(&listing, ".gguf", &gguf);
    if (holds(&listing, "model.safetensors")) {
        weights = "model.safetensors";
        weight_count = 1;
    }
    if (holds(&listing, "config.json") && (weight_count == 1 || indexed)) {
        status = read_json(source->folder, "config.json", CONFIG_BYTES_MAX, &source->config, err);
        if (status == PDK_OK && holds(&listing, "generation_config.json"))
            status = read_json(source->folder, "generation_config.json", CONFIG_BYTES_MAX, &source->generation, err);
        if (status != PDK_OK)
            return status;
        if (indexed && !holds(&listing, "model.safetensors"))
            return open_indexed(source, index_name, err);
        status = open_file(source, weights, err);
        return status == PDK_OK ? tensors_of_files(source->files, source->file_count, &source->tensors, err) : status;
    }
    if (gguf_count == 1) {
        char path[PATH_BYTES];
        status = join(source->folder, gguf, path, err);
        return status == PDK_OK ? open_gguf(source, path, err) : status;
    }
    for (size_t i = 0; i < listing.count && weight_count == 0 && gguf_count == 0; i++)
        if (is_pickle(listing.names[i]))
            return refuse_pickle(listing.names[i], err);
    return nothing_fits(source->folder, &listing, err);
}

static pdk_status open_path(struct source *source, const char *path, pdk_error *err)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return pdk_error_errno(err, errno, "model", "cannot open %s", path);
    source->folder = strdup(path);
    if (source->folder == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "model", "no memory for %s", path);
    if (S_ISDIR(info.st_mode))
        return open_folder(source, err);
    char *slash = strrchr(source->folder, '/');
    if (slash != NULL)
        slash[slash == source->folder] = '\0';
    else
        memcpy(source->folder, ".", sizeof ".");
    if (is_pickle(path))
        return refuse_pickle(slash != NULL ? path + (slash - source->folder) + 1 : path, err);
    if (ends_in(path, ".safetensors"))
        return pdk_error_set(
            err, PDK_INVALID, "model", "%s: name the folder that holds it and its config.json instead", path);
    return open_gguf(source, path, err);
}

pdk_status source_open(const char *path, struct source *ret_source, pdk_error *err)
{
    struct source source = {0};
    pdk_status status = open_path(&source, path, err);
    if (status != PDK_OK) {
        source_done(&source);
        return status;
    }
    *ret_source = source;
    return PDK_OK;
}

void source_drop_weights(struct source *source)
{
    tensors_done(&source->tensors);
    for (size_t i = 0; i < source->file_count; i++)
        safetensors_close(source->files[i]);
    free(source->files);
    source->files = NULL;
    source->file_count = 0;
}

void source_done(struct source *source)
{
    source_drop_weights(source);
    source->gguf = gguf_close(source->gguf);
    source->config = json_document_free(source->config);
    source->generation = json_document_free(source->generation);
    free(source->folder);
    *source = (struct source){0};
}
