/* See the header. */
#include "config.h"

#include "core/fetch/hub.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FILES_MAX = 4096 };

void hub_listing_done(struct hub_listing *listing)
{
    free(listing->files);
    *listing = (struct hub_listing){0};
}

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* Files beside the weights that are read: all of the top folder. */
static bool is_description(const char *name)
{
    static const char *const wanted[] = {"config.json", "generation_config.json", "tokenizer.json",
        "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "chat_template.json",
        "model.safetensors.index.json", "modules.json", "sentence_bert_config.json", "1_Pooling/config.json"};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        if (strcmp(name, wanted[i]) == 0)
            return true;
    return false;
}

static pdk_status read_entry(const struct json *entry, struct hub_file *file, pdk_error *err)
{
    const char *path, *oid;
    *file = (struct hub_file){0};
    if (!json_string(json_get(entry, "path"), &path) || strlen(path) >= sizeof file->name)
        return pdk_error_set(err, PDK_INVALID, "path", "the hub lists a file without a usable path");
    if (!source_safe_name(path))
        return pdk_error_value(
            err, PDK_INVALID, "path", path, "the hub lists a file called '%.64s', which is no safe name", path);
    memcpy(file->name, path, strlen(path) + 1);
    if (!json_uint64(json_get(entry, "size"), &file->bytes))
        file->bytes = 0;
    if (json_string(json_path(entry, "lfs.oid"), &oid) && strlen(oid) == 64 && strspn(oid, "0123456789abcdef") == 64)
        memcpy(file->sha256, oid, 65);
    return PDK_OK;
}

static pdk_status add_file(struct hub_listing *listing, const struct hub_file *file, pdk_error *err)
{
    if (listing->count >= FILES_MAX)
        return pdk_error_set(err, PDK_TOO_LARGE, "files", "more than %d files; the limit is that", FILES_MAX);
    if (!array_grow(&listing->files, &listing->room, listing->count + 1))
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the list of files");
    listing->files[listing->count++] = *file;
    return PDK_OK;
}

/* What a repository without usable weights has, for its error. */
static pdk_status nothing_usable(const struct json *tree, size_t ggufs, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer names = {0};
    for (const struct json *entry = tree->child; entry != NULL && names.length < 300; entry = entry->next) {
        const char *path;
        if (json_string(json_get(entry, "path"), &path) && (ggufs == 0 || ends_in(path, ".gguf")))
            buffer_printf(&names, "%s%.80s", names.length != 0 ? ", " : "", path);
    }
    const char *text = names.data != NULL ? names.data : "nothing";
    if (ggufs > 1)
        return pdk_error_set(err, PDK_INVALID, "uri",
            "the repository has %zu GGUF files; name one behind it, as hf://OWNER/NAME/FILE: %.300s", ggufs, text);
    return pdk_error_set(err, PDK_NOT_FOUND, "uri",
        "the repository has neither safetensors nor a GGUF file (pickled weights are never read): %.300s", text);
}

static pdk_status pick_one(const struct json *tree, const char *only, struct hub_listing *listing, pdk_error *err)
{
    for (const struct json *entry = tree->child; entry != NULL; entry = entry->next) {
        const char *path;
        if (!json_string(json_get(entry, "path"), &path) || strcmp(path, only) != 0)
            continue;
        struct hub_file file;
        pdk_status status = read_entry(entry, &file, err);
        return status != PDK_OK ? status : add_file(listing, &file, err);
    }
    return pdk_error_value(err, PDK_NOT_FOUND, "uri", only, "the repository has no file '%.200s'", only);
}

pdk_status hub_pick(const struct json *tree, const char *only, struct hub_listing *ret_listing, pdk_error *err)
{
    if (tree->type != JSON_ARRAY)
        return pdk_error_set(err, PDK_INVALID, "uri", "the hub answers with no list of files");
    PDK_CLEANUP(hub_listing_done) struct hub_listing listing = {0};
    pdk_status status = PDK_OK;
    if (only[0] != '\0') {
        status = pick_one(tree, only, &listing, err);
    } else {
        size_t weights = 0, ggufs = 0;
        struct hub_file gguf = {0};
        for (const struct json *entry = tree->child; entry != NULL && status == PDK_OK; entry = entry->next) {
            const char *kind, *path;
            if (!json_string(json_get(entry, "type"), &kind) || strcmp(kind, "file") != 0 ||
                !json_string(json_get(entry, "path"), &path))
                continue;
            struct hub_file file;
            bool top = strchr(path, '/') == NULL, safetensors = top && ends_in(path, ".safetensors");
            if (top && ends_in(path, ".gguf")) {
                ggufs++;
                status = read_entry(entry, &gguf, err);
            } else if (safetensors || is_description(path)) {
                weights += safetensors;
                status = read_entry(entry, &file, err);
                if (status == PDK_OK)
                    status = add_file(&listing, &file, err);
            }
        }
        if (status == PDK_OK && weights == 0) {
            if (ggufs != 1)
                return nothing_usable(tree, ggufs, err);
            hub_listing_done(&listing);
            status = add_file(&listing, &gguf, err);
        }
    }
    if (status != PDK_OK)
        return status;
    *ret_listing = listing;
    listing = (struct hub_listing){0};
    return PDK_OK;
}

/* Makes the folders of `name` below `folder` and opens the last; *ret_leaf points into `name`. */
static pdk_status open_parent(int folder, const char *name, int *ret_fd, const char **ret_leaf, pdk_error *err)
{
    PDK_AUTO_CLOSE int fd = fcntl(folder, F_DUPFD_CLOEXEC, 0);
    while (strchr(name, '/') != NULL) {
        char part[513];
        size_t length = strcspn(name, "/");
        memcpy(part, name, length);
        part[length] = '\0';
        if (mkdirat(fd, part, 0755) != 0 && errno != EEXIST)
            return pdk_error_errno(err, errno, "disk", "cannot make folder %s", part);
        int next = openat(fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0)
            return pdk_error_errno(err, errno, "disk", "cannot open folder %s", part);
        close(fd);
        fd = next;
        name += length + 1;
    }
    *ret_leaf = name;
    *ret_fd = PDK_STEAL_FD(fd);
    return PDK_OK;
}

static pdk_status fetch_file(struct transfer *transfer, const char *endpoint, const struct source *source, int folder,
    const struct hub_file *file, pdk_error *err)
{
    char url[2048];
    snprintf(url, sizeof url, "%.512s/%s/%s/resolve/%s/%s", endpoint, source->owner, source->name, source->revision,
        file->name);
    PDK_AUTO_CLOSE int parent = -1;
    const char *leaf;
    pdk_status status = open_parent(folder, file->name, &parent, &leaf, err);
    if (status != PDK_OK)
        return status;
    const char *sha256 = source->sha256[0] != '\0' ? source->sha256 : file->sha256;
    struct transfer_file wanted = {
        .url = url, .label = file->name, .folder = parent, .name = leaf, .bytes = file->bytes, .sha256 = sha256};
    return transfer_download(transfer, &wanted, err);
}

pdk_status hub_fetch(
    struct transfer *transfer, const char *endpoint, const struct source *source, const char *folder, pdk_error *err)
{
    char url[2048];
    snprintf(url, sizeof url, "%.512s/api/models/%s/%s/tree/%s?recursive=true", endpoint, source->owner, source->name,
        source->revision);
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    pdk_status status = transfer_text(transfer, url, 8u << 20, &text, err);
    if (status != PDK_OK)
        return status;
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    status = json_read(text.data, text.length, &json_limits_default, &document, err);
    if (status != PDK_OK) {
        pdk_error_wrap(err, "the hub's list of files");
        return status;
    }
    PDK_CLEANUP(hub_listing_done) struct hub_listing listing = {0};
    status = hub_pick(json_root(document), source->file, &listing, err);
    if (status == PDK_OK)
        status = folder_make(folder, 0755, err);
    if (status != PDK_OK)
        return status;
    PDK_AUTO_CLOSE int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return pdk_error_errno(err, errno, "disk", "cannot open %s", folder);
    for (size_t i = 0; i < listing.count && status == PDK_OK; i++)
        status = fetch_file(transfer, endpoint, source, fd, &listing.files[i], err);
    return status;
}
