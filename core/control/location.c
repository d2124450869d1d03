/* storageUri first, then --model_id, then a short name; what is found is looked at by the runtime's layout. */
#include "config.h"

#include "core/control/location.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/siphash.h"
#include "core/spec/aliases.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { LISTED_MAX = 12, PATH_BYTES = 4096 };

static const char field_uri[] = "spec.predictor.model.storageUri";

static bool ends_with(const char *text, const char *ending)
{
    size_t length = strlen(text), tail = strlen(ending);
    return length >= tail && strcasecmp(text + length - tail, ending) == 0;
}

/* What a folder holds, as far as a model is concerned. */
struct folder {
    unsigned files, ggufs, safetensors;
    bool config, part;
    char gguf[NAME_MAX + 1]; /* the one, or the first part of a split one */
    struct buffer listing;
};

/* -00002-of-00005.gguf and so on: parts but the first. */
static bool is_later_part(const char *name)
{
    size_t length = strlen(name), tail = strlen("-00001-of-00001.gguf");
    if (length <= tail)
        return false;
    const char *at = name + length - tail;
    if (at[0] != '-' || strncmp(at + 6, "-of-", 4) != 0 || strspn(at + 1, "0123456789") != 5 ||
        strspn(at + 10, "0123456789") != 5)
        return false;
    return strncmp(at + 1, "00001", 5) != 0;
}

static void look_at(struct folder *folder, const char *name)
{
    if (folder->files++ < LISTED_MAX)
        buffer_printf(&folder->listing, "%s%s", folder->files > 1 ? ", " : "", name);
    else if (folder->files == LISTED_MAX + 1)
        buffer_puts(&folder->listing, ", …");
    folder->config |= strcmp(name, "config.json") == 0;
    folder->part |= ends_with(name, ".part");
    folder->safetensors += ends_with(name, ".safetensors");
    if (!ends_with(name, ".gguf") || is_later_part(name))
        return;
    folder->ggufs++;
    snprintf(folder->gguf, sizeof folder->gguf, "%s", name);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_shown(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* A model of layout "huggingface" in `path`, which is a folder. */
static pdk_status choose_in_folder(const char *path, struct buffer *ret_path, pdk_error *err)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, is_shown, by_name);
    if (count < 0)
        return pdk_error_errno(err, errno, field_uri, "cannot read folder %s", path);
    struct folder folder = {0};
    for (int i = 0; i < count; i++) {
        look_at(&folder, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    PDK_CLEANUP(buffer_done) struct buffer listing = folder.listing;
    if (folder.part)
        return pdk_error_value(
            err, PDK_UNAVAILABLE, field_uri, path, "%s: a download is not complete; run paddock pull again", path);
    if (folder.config && folder.safetensors > 0) {
        buffer_puts(ret_path, path);
        return PDK_OK;
    }
    if (folder.ggufs == 1) {
        buffer_printf(ret_path, "%s/%s", path, folder.gguf);
        return PDK_OK;
    }
    return pdk_error_value(err, PDK_INVALID, field_uri, path,
        "%s holds neither config.json with *.safetensors nor exactly one GGUF; there is: %s", path,
        listing.length != 0 ? listing.data : "nothing");
}

/* The only entry of a folder, else the folder: a download that is one file. */
static void only_entry(const char *path, struct buffer *ret_path)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, is_shown, by_name);
    buffer_puts(ret_path, path);
    if (count == 1)
        buffer_printf(ret_path, "/%s", entries[0]->d_name);
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
}

static pdk_status choose(
    const struct plan *plan, const char *path, bool fetched, struct buffer *ret_path, pdk_error *err)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return pdk_error_errno(err, errno, field_uri, "model %s", path);
    bool layout = plan->layout != NULL && strcmp(plan->layout, "huggingface") == 0;
    if (S_ISDIR(info.st_mode) && layout)
        return choose_in_folder(path, ret_path, err);
    if (S_ISREG(info.st_mode) && layout && !ends_with(path, ".gguf"))
        return pdk_error_value(err, PDK_INVALID, field_uri, path,
            "%s is no GGUF; name a *.gguf, or the folder with config.json and *.safetensors", path);
    if (S_ISDIR(info.st_mode) && fetched)
        only_entry(path, ret_path);
    else if (S_ISDIR(info.st_mode) || S_ISREG(info.st_mode))
        buffer_puts(ret_path, path);
    else
        return pdk_error_value(err, PDK_INVALID, field_uri, path, "%s is neither a file nor a folder", path);
    return PDK_OK;
}

static pdk_status absent(const char *path, const char *uri, pdk_error *err)
{
    return pdk_error_value(err, PDK_NOT_FOUND, field_uri, uri,
        "%.200s is not here (%s); fetch it with: paddock pull %.200s", uri, path, uri);
}

/* A name of one segment of a path: [A-Za-z0-9._+-]+, not "." or "..". */
static bool is_segment(const char *at, size_t length)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-";
    return length > 0 && length <= NAME_MAX && strspn(at, letters) >= length && !(length == 1 && at[0] == '.') &&
           !(length == 2 && at[0] == '.' && at[1] == '.');
}

static bool are_segments(const char *at)
{
    for (;;) {
        size_t length = strcspn(at, "/");
        if (!is_segment(at, length))
            return false;
        if (at[length] == '\0')
            return true;
        at += length + 1;
    }
}

/* OWNER/NAME[:REVISION][/FILE], as paddock pull lays them out: models/hf/OWNER/NAME[@REVISION][/FILE]. */
static pdk_status find_on_hub(
    const struct plan *plan, const char *state, const char *rest, struct buffer *ret_path, pdk_error *err)
{
    char name[PATH_BYTES], path[PATH_BYTES], uri[PATH_BYTES];
    snprintf(uri, sizeof uri, "hf://%.2000s", rest);
    snprintf(name, sizeof name, "%.2000s", rest);
    name[strcspn(name, "#")] = '\0'; /* #sha256=… is for fetching */
    char *colon = strchr(name, ':'), *revision = NULL, *file = NULL;
    if (colon != NULL) {
        *colon = '\0';
        revision = colon + 1;
        file = strchr(revision, '/');
    } else {
        char *owner_end = strchr(name, '/');
        file = owner_end != NULL ? strchr(owner_end + 1, '/') : NULL;
    }
    if (file != NULL)
        *file++ = '\0';
    char *slash = strchr(name, '/');
    bool good = slash != NULL && strchr(slash + 1, '/') == NULL && are_segments(name) &&
                (revision == NULL || is_segment(revision, strlen(revision))) && (file == NULL || are_segments(file));
    if (!good)
        return pdk_error_value(err, PDK_INVALID, field_uri, uri,
            "Invalid Hugging Face URI format: '%.200s' is not hf://OWNER/NAME[:REVISION][/FILE]", uri);
    bool main_line = revision == NULL || strcmp(revision, "main") == 0;
    int length = snprintf(path, sizeof path, "%s/models/hf/%s%s%s%s%s", state, name, main_line ? "" : "@",
        main_line ? "" : revision, file != NULL ? "/" : "", file != NULL ? file : "");
    if ((size_t)length >= sizeof path)
        return pdk_error_value(err, PDK_INVALID, field_uri, uri, "the path of %.200s is too long", uri);
    struct stat info;
    if (stat(path, &info) != 0)
        return absent(path, uri, err);
    return choose(plan, path, true, ret_path, err);
}

/* As paddock pull lays it out: models/url/HASH of the address without its fragment. */
static pdk_status find_url(
    const struct plan *plan, const char *state, const char *uri, struct buffer *ret_path, pdk_error *err)
{
    static const struct siphash_key fixed = {0};
    struct siphash128 hash = siphash128(&fixed, uri, strcspn(uri, "#"));
    char path[PATH_BYTES];
    int length = snprintf(path, sizeof path, "%s/models/url/%016" PRIx64 "%016" PRIx64, state, hash.high, hash.low);
    if ((size_t)length >= sizeof path)
        return pdk_error_value(err, PDK_INVALID, field_uri, uri, "the path of %.200s is too long", uri);
    struct stat info;
    if (stat(path, &info) != 0)
        return absent(path, uri, err);
    return choose(plan, path, true, ret_path, err);
}

static pdk_status find_uri(
    const struct plan *plan, const char *state, const char *uri, struct buffer *ret_path, pdk_error *err)
{
    static const char *const elsewhere[] = {"gs://", "s3://", "pvc://", "hdfs://", "webhdfs://", "oci://",
        "oci+native://", "oci+fetch://", "modelscope://"};
    if (strncmp(uri, "file://", 7) == 0) {
        if (uri[7] != '/')
            return pdk_error_value(
                err, PDK_INVALID, field_uri, uri, "%.200s: a file's URI is file:///ABSOLUTE/PATH", uri);
        return choose(plan, uri + 7, false, ret_path, err);
    }
    if (uri[0] == '/')
        return choose(plan, uri, false, ret_path, err);
    if (strncmp(uri, "hf://", 5) == 0)
        return find_on_hub(plan, state, uri + 5, ret_path, err);
    if (strncmp(uri, "https://", 8) == 0 || strncmp(uri, "http://", 7) == 0)
        return find_url(plan, state, uri, ret_path, err);
    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++)
        if (strncmp(uri, elsewhere[i], strlen(elsewhere[i])) == 0)
            return pdk_error_value(err, PDK_UNSUPPORTED, field_uri, uri,
                "%.200s: this release reads file://, hf:// and https://, not %s", uri, elsewhere[i]);
    return pdk_error_value(err, PDK_INVALID, field_uri, uri,
        "StorageURI not supported: storageUri must be file:///PATH, hf://OWNER/NAME or https://HOST/PATH. StorageUri "
        "[%.200s] is "
        "not supported",
        uri);
}

pdk_status location_find(
    const struct plan *plan, const struct location_roots *roots, struct buffer *ret_path, pdk_error *err)
{
    if (plan->storage_uri != NULL)
        return find_uri(plan, roots->state, plan->storage_uri, ret_path, err);
    if (plan->model_id == NULL) {
        if (plan->layout == NULL)
            return PDK_OK;
        return pdk_error_set(
            err, PDK_INVALID, field_uri, "names no model: set storageUri, or --model_id=OWNER/NAME in args");
    }
    PDK_CLEANUP(buffer_done) struct buffer alias = {0};
    for (size_t i = 0; i < 2; i++) {
        pdk_error why = {0}; /* that a name is no alias is no error */
        pdk_status status = PDK_NOT_FOUND;
        if (roots->aliases[i] != NULL)
            status = alias_find(roots->aliases[i], plan->model_id, &alias, &why);
        if (status == PDK_OK)
            return find_uri(plan, roots->state, alias.data, ret_path, err);
        if (status != PDK_NOT_FOUND) {
            if (err != NULL)
                *err = why;
            return status;
        }
    }
    if (plan->model_id[0] == '/' || strstr(plan->model_id, "://") != NULL)
        return find_uri(plan, roots->state, plan->model_id, ret_path, err);
    return find_on_hub(plan, roots->state, plan->model_id, ret_path, err);
}
