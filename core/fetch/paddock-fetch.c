/* paddock-fetch: downloads one model and says where it is. A process of its own, since it handles what strangers send.
 *
 * stdout has one JSON object a line: {"file","done","total"} as bytes arrive (at most 10 a second), then {"path"} or
 * {"error","status"}. */
#include "config.h"

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/siphash.h"
#include "core/fetch/archive.h"
#include "core/fetch/confine.h"
#include "core/fetch/hub.h"
#include "core/fetch/source.h"
#include "core/fetch/transfer.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char usage[] = "usage: paddock-fetch --models DIR URI\n"
                            "  environment: HF_TOKEN, HF_ENDPOINT, PADDOCK_FETCH_ALLOW (private hosts, by commas)\n";

struct job {
    const char *models; /* the folder of all models */
    struct source source;
    char endpoint[513], endpoint_host[256];
    int64_t told_ms;
};

static void print_line(struct buffer *line)
{
    buffer_putc(line, '\n');
    fwrite(line->data, 1, line->length, stdout);
    fflush(stdout);
    buffer_clear(line);
}

static void tell_progress(void *context, const char *file, uint64_t done, uint64_t total)
{
    struct job *job = context;
    int64_t now = monotonic_ms();
    if (now - job->told_ms < 100 && done != total)
        return;
    job->told_ms = now;
    PDK_CLEANUP(buffer_done) struct buffer line = {0};
    struct json_writer w = {.out = &line};
    json_write_object(&w);
    json_write_key(&w, "file");
    json_write_string(&w, file);
    json_write_key(&w, "done");
    json_write_uint(&w, done);
    json_write_key(&w, "total");
    json_write_uint(&w, total);
    json_write_end_object(&w);
    print_line(&line);
}

static int tell_end(const char *path, const pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer line = {0};
    struct json_writer w = {.out = &line};
    json_write_object(&w);
    json_write_key(&w, path != NULL ? "path" : "error");
    json_write_string(&w, path != NULL ? path : err->message);
    if (path == NULL) {
        json_write_key(&w, "status");
        json_write_string(&w, pdk_status_name(err->status));
    }
    json_write_end_object(&w);
    print_line(&line);
    return path != NULL ? EXIT_SUCCESS : EXIT_FAILURE;
}

static pdk_status read_endpoint(struct job *job, pdk_error *err)
{
    const char *given = getenv("HF_ENDPOINT");
    if (given == NULL || given[0] == '\0')
        given = "https://huggingface.co";
    size_t length = strlen(given);
    while (length > 0 && given[length - 1] == '/')
        length--;
    if (length == 0 || length >= sizeof job->endpoint)
        return pdk_error_value(
            err, PDK_INVALID, "HF_ENDPOINT", given, "HF_ENDPOINT is no URL of at most 512 characters");
    memcpy(job->endpoint, given, length);
    job->endpoint[length] = '\0';
    CURLU *url = curl_url();
    char *host = NULL;
    bool good = url != NULL && curl_url_set(url, CURLUPART_URL, job->endpoint, 0) == CURLUE_OK &&
                curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
                (size_t)snprintf(job->endpoint_host, sizeof job->endpoint_host, "%s", host) < sizeof job->endpoint_host;
    curl_free(host);
    curl_url_cleanup(url);
    return good ? PDK_OK
                : pdk_error_value(err, PDK_INVALID, "HF_ENDPOINT", given, "HF_ENDPOINT '%.100s' is no URL", given);
}

/* Where a source's files go: hf/OWNER/NAME[@REVISION], or url/HASH for all else. */
static pdk_status target_folder(const struct job *job, char *folder, size_t room, pdk_error *err)
{
    const struct source *s = &job->source;
    int length;
    if (s->kind == SOURCE_HUB) {
        bool main_line = strcmp(s->revision, "main") == 0;
        char revision[129];
        snprintf(revision, sizeof revision, "%s", s->revision);
        for (char *c = revision; *c != '\0'; c++)
            if (*c == '/')
                *c = '+';
        length = snprintf(folder, room, "%s/hf/%s/%s%s%s", job->models, s->owner, s->name, main_line ? "" : "@",
            main_line ? "" : revision);
    } else {
        const struct siphash_key fixed = {0};
        struct siphash128 hash = siphash128(&fixed, s->url, strlen(s->url));
        length = snprintf(folder, room, "%s/url/%016" PRIx64 "%016" PRIx64, job->models, hash.high, hash.low);
    }
    if (length < 0 || (size_t)length >= room)
        return pdk_error_set(err, PDK_INVALID, "models", "the folder's path is longer than %zu bytes", room - 1);
    return folder_make(folder, 0755, err);
}

static pdk_status fetch_http(
    struct job *job, struct transfer *transfer, const char *folder, char *path, size_t room, pdk_error *err)
{
    const struct source *s = &job->source;
    char content[4200];
    snprintf(content, sizeof content, "%s/model", folder);
    struct stat info;
    if (s->archive && stat(content, &info) == 0) {
        snprintf(path, room, "%s", content);
        return PDK_OK;
    }
    PDK_AUTO_CLOSE int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return pdk_error_errno(err, errno, "disk", "cannot open %s", folder);
    struct transfer_file file = {.url = s->url, .label = s->file, .folder = fd, .name = s->file, .sha256 = s->sha256};
    pdk_status status = transfer_download(transfer, &file, err);
    if (status != PDK_OK)
        return status;
    snprintf(path, room, "%s/%s", folder, s->file);
    if (!s->archive)
        return PDK_OK;
    /* Unpacked under a name of its own and renamed, so that `model` is there whole or not at all. */
    char unpacked[64];
    snprintf(unpacked, sizeof unpacked, "model.part.%ld", (long)getpid());
    if (mkdirat(fd, unpacked, 0755) != 0)
        return pdk_error_errno(err, errno, "disk", "cannot make folder %s", unpacked);
    char to[4300];
    snprintf(to, sizeof to, "%s/%s", folder, unpacked);
    status = archive_unpack(path, to, &archive_limits_default, err);
    if (status != PDK_OK) {
        folder_remove(fd, unpacked);
        return status;
    }
    if (renameat(fd, unpacked, fd, "model") != 0)
        return pdk_error_errno(err, errno, "disk", "cannot keep the unpacked model");
    unlinkat(fd, s->file, 0);
    snprintf(path, room, "%s", content);
    return PDK_OK;
}

static pdk_status fetch(struct job *job, char *path, size_t room, pdk_error *err)
{
    if (job->source.kind == SOURCE_FILE) {
        struct stat info;
        if (stat(job->source.path, &info) != 0)
            return pdk_error_errno(err, errno, "uri", "cannot open %s", job->source.path);
        snprintf(path, room, "%s", job->source.path);
        return PDK_OK;
    }
    pdk_status status = read_endpoint(job, err);
    char folder[4096];
    if (status == PDK_OK)
        status = folder_make(job->models, 0755, err);
    if (status == PDK_OK)
        status = confine_to(job->models, err);
    if (status == PDK_OK)
        status = target_folder(job, folder, sizeof folder, err);
    if (status != PDK_OK)
        return status;
    struct transfer_rules rules = {.token = getenv("HF_TOKEN"),
        .token_host = job->endpoint_host,
        .allowed = getenv("PADDOCK_FETCH_ALLOW"),
        .user_agent = "paddock/" PACKAGE_VERSION,
        .progress = tell_progress,
        .context = job};
    if (rules.token != NULL && rules.token[0] == '\0')
        rules.token = NULL;
    struct transfer *transfer;
    status = transfer_new(&rules, &transfer, err);
    if (status != PDK_OK)
        return status;
    if (job->source.kind == SOURCE_HTTP) {
        status = fetch_http(job, transfer, folder, path, room, err);
    } else {
        status = hub_fetch(transfer, job->endpoint, &job->source, folder, err);
        bool one = job->source.file[0] != '\0';
        snprintf(path, room, "%s%s%s", folder, one ? "/" : "", job->source.file);
    }
    transfer_free(transfer);
    return status;
}

int main(int argc, char **argv)
{
    static struct job job; /* too large for comfort on a stack */
    if (argc != 4 || strcmp(argv[1], "--models") != 0 || argv[2][0] != '/') {
        fputs(usage, stderr);
        return 2;
    }
    job.models = argv[2];
    pdk_error err = {0};
    char path[4800];
    pdk_status status = source_parse(argv[3], &job.source, &err);
    if (status == PDK_OK)
        status = fetch(&job, path, sizeof path, &err);
    return tell_end(status == PDK_OK ? path : NULL, &err);
}
