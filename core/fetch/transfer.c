/* See the header. One libcurl handle is used for all hops, so that connections are kept. */
#include "config.h"

#include "core/fetch/transfer.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/fetch/address.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum { HOPS_MAX = 5, ETAG_MAX = 256 };

struct transfer {
    CURL *curl;
    struct transfer_rules rules;
    char curl_error[CURL_ERROR_SIZE];
    char host[256];       /* of the present hop */
    char named_host[256]; /* of the URL as the user gave it */
    bool refused_address;
};

/* Where an answer's body goes. */
struct sink {
    struct transfer *transfer;
    struct buffer *text; /* or NULL: the file */
    size_t text_max;
    int fd;
    uint64_t offset, done, total;
    const char *label;
    char etag[ETAG_MAX];
    const struct transfer_file *file; /* whose etag is kept as soon as its first bytes are, for a try that is cut off */
    const char *etag_name;
    bool etag_kept;
    long status; /* of this hop, known with the first header */
    bool too_large, write_failed, not_partial;
    int write_errno;
};

static bool host_listed(const char *list, const char *host)
{
    size_t length = strlen(host);
    for (const char *at = list; at != NULL && *at != '\0';) {
        size_t entry = strcspn(at, ",");
        if (entry == length && strncasecmp(at, host, length) == 0)
            return true;
        at += entry + (at[entry] == ',');
    }
    return false;
}

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *transfer = context;
    (void)purpose;
    if (address_is_private(&address->addr) && strcasecmp(transfer->host, transfer->named_host) != 0 &&
        !host_listed(transfer->rules.allowed, transfer->host)) {
        transfer->refused_address = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t take_header(char *line, size_t size, size_t count, void *context)
{
    struct sink *sink = context;
    size_t length = size * count;
    if (length > 5 && strncmp(line, "HTTP/", 5) == 0) {
        const char *space = memchr(line, ' ', length);
        sink->status = 0;
        for (const char *at = space;
             at != NULL && ++at < line + length && *at >= '0' && *at <= '9' && sink->status < 100;)
            sink->status = sink->status * 10 + (*at - '0');
        sink->etag[0] = '\0';
    } else if (length > 5 && strncasecmp(line, "etag:", 5) == 0) {
        const char *at = line + 5;
        while (*at == ' ')
            at++;
        size_t value = (size_t)(line + length - at);
        while (value > 0 && (at[value - 1] == '\r' || at[value - 1] == '\n'))
            value--;
        if (value < sizeof sink->etag) {
            memcpy(sink->etag, at, value);
            sink->etag[value] = '\0';
        }
    }
    return length;
}

static void write_etag(const struct transfer_file *file, const char *etag_name, const char *etag)
{
    unlinkat(file->folder, etag_name, 0);
    PDK_AUTO_CLOSE int fd = openat(file->folder, etag_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    ssize_t ignored = fd < 0 ? 0 : write(fd, etag, strlen(etag));
    (void)ignored; /* without it the next try begins anew */
}

static bool put_file(struct sink *sink, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t put = write(sink->fd, data, length);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0) {
            sink->write_failed = true;
            sink->write_errno = errno;
            return false;
        }
        data += put;
        length -= (size_t)put;
    }
    return true;
}

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    struct sink *sink = context;
    size_t length = size * count;
    if (sink->status < 200 || sink->status > 299)
        return length; /* an error's text is not the file */
    if (sink->text != NULL) {
        if (sink->text->length + length > sink->text_max) {
            sink->too_large = true;
            return 0;
        }
        buffer_put(sink->text, data, length);
        return sink->text->failed ? 0 : length;
    }
    if (sink->offset > 0 && sink->status == 200) {
        /* The file changed since, or the server knows no ranges: begin again. */
        if (ftruncate(sink->fd, 0) != 0 || lseek(sink->fd, 0, SEEK_SET) != 0)
            return 0;
        sink->offset = sink->done = 0;
    }
    if (sink->total != 0 && sink->done + length > sink->total) {
        sink->too_large = true;
        return 0;
    }
    if (!sink->etag_kept && sink->etag[0] != '\0')
        write_etag(sink->file, sink->etag_name, sink->etag);
    sink->etag_kept = true;
    if (!put_file(sink, data, length))
        return 0;
    sink->done += length;
    if (sink->transfer->rules.progress != NULL)
        sink->transfer->rules.progress(sink->transfer->rules.context, sink->label, sink->done, sink->total);
    return length;
}

pdk_status transfer_new(const struct transfer_rules *rules, struct transfer **ret_transfer, pdk_error *err)
{
    struct transfer *transfer = calloc(1, sizeof *transfer);
    if (transfer == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
        (transfer->curl = curl_easy_init()) == NULL) {
        free(transfer);
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "libcurl does not start");
    }
    transfer->rules = *rules;
    CURL *curl = transfer->curl;
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https,http");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 30L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 100L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 60L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, rules->user_agent);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, transfer->curl_error);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    *ret_transfer = transfer;
    return PDK_OK;
}

struct transfer *transfer_free(struct transfer *transfer)
{
    if (transfer != NULL)
        curl_easy_cleanup(transfer->curl);
    free(transfer);
    return NULL;
}

/* The host of an absolute URL, by libcurl's own parser: the same that will connect. */
static bool url_host(const char *url, char *host, size_t room)
{
    CURLU *parsed = curl_url();
    char *part = NULL;
    bool found = parsed != NULL && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
                 curl_url_get(parsed, CURLUPART_HOST, &part, 0) == CURLUE_OK &&
                 (size_t)snprintf(host, room, "%s", part) < room;
    curl_free(part);
    curl_url_cleanup(parsed);
    return found;
}

static pdk_status curl_failed(
    struct transfer *transfer, CURLcode code, const struct sink *sink, const char *url, pdk_error *err)
{
    if (transfer->refused_address)
        return pdk_error_value(err, PDK_DENIED, "url", transfer->host,
            "%.120s was redirected to %.120s, an address of a private network; list the host to allow it",
            transfer->named_host, transfer->host);
    if (sink->write_failed)
        return pdk_error_errno(err, sink->write_errno, "disk", "cannot write %.120s", sink->label);
    if (sink->too_large)
        return pdk_error_set(err, PDK_TOO_LARGE, "url", "%.200s sends more than the %" PRIu64 " bytes expected", url,
            sink->text != NULL ? (uint64_t)sink->text_max : sink->total);
    const char *why = transfer->curl_error[0] != '\0' ? transfer->curl_error : curl_easy_strerror(code);
    return pdk_error_set(
        err, code == CURLE_OPERATION_TIMEDOUT ? PDK_TIMEOUT : PDK_UNAVAILABLE, "url", "%.200s: %.200s", url, why);
}

static pdk_status http_failed(long code, const char *url, pdk_error *err)
{
    pdk_status status = code == 404 ? PDK_NOT_FOUND : code == 401 || code == 403 ? PDK_DENIED : PDK_UNAVAILABLE;
    return pdk_error_set(err, status, "url", "%.200s: HTTP status %ld%s", url, code,
        code == 401 || code == 403 ? " (a gated model needs HF_TOKEN)" : "");
}

/* One request with its redirects. Headers are the caller's. */
static pdk_status perform(
    struct transfer *transfer, const char *first_url, struct curl_slist *headers, struct sink *sink, pdk_error *err)
{
    PDK_AUTO_FREE char *url = strdup(first_url);
    if (url == NULL || !url_host(url, transfer->named_host, sizeof transfer->named_host))
        return pdk_error_value(err, PDK_INVALID, "url", first_url, "'%.200s' is not a URL", first_url);
    bool https = strncasecmp(url, "https:", 6) == 0;
    for (int hop = 0; hop <= HOPS_MAX; hop++) {
        if (!url_host(url, transfer->host, sizeof transfer->host))
            return pdk_error_value(err, PDK_INVALID, "url", url, "redirected to '%.200s', which is not a URL", url);
        if (https && strncasecmp(url, "https:", 6) != 0)
            return pdk_error_value(err, PDK_DENIED, "url", url, "%.200s was redirected away from https", first_url);
        struct curl_slist *all = NULL, *own = NULL;
        for (const struct curl_slist *at = headers; at != NULL; at = at->next)
            all = curl_slist_append(all, at->data);
        if (transfer->rules.token != NULL && strcasecmp(transfer->host, transfer->rules.token_host) == 0) {
            char line[1024];
            snprintf(line, sizeof line, "Authorization: Bearer %.900s", transfer->rules.token);
            own = curl_slist_append(all, line);
            all = own != NULL ? own : all;
        }
        sink->status = 0;
        transfer->refused_address = false;
        transfer->curl_error[0] = '\0';
        curl_easy_setopt(transfer->curl, CURLOPT_URL, url);
        curl_easy_setopt(transfer->curl, CURLOPT_HTTPHEADER, all);
        curl_easy_setopt(transfer->curl, CURLOPT_HEADERDATA, sink);
        curl_easy_setopt(transfer->curl, CURLOPT_WRITEDATA, sink);
        CURLcode code = curl_easy_perform(transfer->curl);
        curl_slist_free_all(all);
        if (code != CURLE_OK)
            return curl_failed(transfer, code, sink, url, err);
        char *next = NULL;
        curl_easy_getinfo(transfer->curl, CURLINFO_REDIRECT_URL, &next);
        if (sink->status / 100 != 3 || sink->status == 304 || next == NULL)
            return sink->status / 100 == 2 || sink->status == 416 ? PDK_OK : http_failed(sink->status, url, err);
        char *copy = strdup(next);
        free(url);
        url = copy;
        if (url == NULL)
            return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for a URL");
    }
    return pdk_error_set(err, PDK_UNAVAILABLE, "url", "%.200s: more than %d redirects", first_url, HOPS_MAX);
}

pdk_status transfer_text(
    struct transfer *transfer, const char *url, size_t max_bytes, struct buffer *ret_text, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    struct sink sink = {.transfer = transfer, .text = &text, .text_max = max_bytes, .label = url, .fd = -1};
    pdk_status status = perform(transfer, url, NULL, &sink, err);
    if (status != PDK_OK)
        return status;
    if (text.data == NULL)
        buffer_puts(&text, "");
    *ret_text = text;
    text = (struct buffer){0};
    return PDK_OK;
}

static pdk_status hash_file(int fd, char hex[65], pdk_error *err)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char digest[32];
    PDK_AUTO_FREE char *chunk = malloc(1 << 20);
    bool good = context != NULL && chunk != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
                lseek(fd, 0, SEEK_SET) == 0;
    for (ssize_t got = 1; good && got > 0;) {
        got = read(fd, chunk, 1 << 20);
        good = got >= 0 && EVP_DigestUpdate(context, chunk, (size_t)got) == 1;
    }
    good = good && EVP_DigestFinal_ex(context, digest, NULL) == 1;
    EVP_MD_CTX_free(context);
    if (!good)
        return pdk_error_set(err, PDK_IO, "sha256", "cannot read a download back");
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return PDK_OK;
}

static bool wants_hash(const struct transfer_file *file)
{
    return file->sha256 != NULL && file->sha256[0] != '\0';
}

/* Whether the finished file is there and is the one wanted. */
static bool there_already(const struct transfer_file *file)
{
    PDK_AUTO_CLOSE int fd = openat(file->folder, file->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
        return false;
    if (file->bytes != 0 && (uint64_t)info.st_size != file->bytes)
        return false;
    char hex[65];
    if (wants_hash(file))
        return hash_file(fd, hex, NULL) == PDK_OK && strcmp(hex, file->sha256) == 0;
    return file->bytes != 0;
}

static pdk_status check_room(const struct transfer_file *file, uint64_t have, pdk_error *err)
{
    struct statvfs disk;
    if (file->bytes == 0 || fstatvfs(file->folder, &disk) != 0)
        return PDK_OK;
    uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize,
             need = file->bytes - (have < file->bytes ? have : file->bytes);
    if (need <= free_bytes)
        return PDK_OK;
    return pdk_error_set(err, PDK_NO_MEMORY, "disk", "%.120s needs %.1f MiB more, the disk has %.1f MiB", file->label,
        (double)need / 1048576, (double)free_bytes / 1048576);
}

static void read_etag(const struct transfer_file *file, const char *etag_name, char *etag, size_t room)
{
    PDK_AUTO_CLOSE int fd = openat(file->folder, etag_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t got = fd < 0 ? 0 : read(fd, etag, room - 1);
    etag[got > 0 ? got : 0] = '\0';
    if (strpbrk(etag, "\r\n") != NULL)
        etag[0] = '\0';
}

static pdk_status finish(const struct transfer_file *file, const char *part_name, const char *etag_name, int fd,
    uint64_t done, pdk_error *err)
{
    char hex[65] = "";
    if (file->bytes != 0 && done != file->bytes)
        return pdk_error_set(err, PDK_UNAVAILABLE, "url",
            "%.120s ended after %" PRIu64 " of %" PRIu64 " bytes; run it again to go on", file->label, done,
            file->bytes);
    if (wants_hash(file)) {
        pdk_status status = hash_file(fd, hex, err);
        if (status != PDK_OK)
            return status;
        if (strcmp(hex, file->sha256) != 0) {
            unlinkat(file->folder, part_name, 0);
            unlinkat(file->folder, etag_name, 0);
            return pdk_error_value(err, PDK_CONFLICT, "sha256", hex, "%.120s hashes to %s, not to %s; it was deleted",
                file->label, hex, file->sha256);
        }
    }
    if (fsync(fd) != 0 || fchmod(fd, 0444) != 0 || renameat(file->folder, part_name, file->folder, file->name) != 0)
        return pdk_error_errno(err, errno, "disk", "cannot keep %.120s", file->label);
    unlinkat(file->folder, etag_name, 0);
    fsync(file->folder);
    return PDK_OK;
}

pdk_status transfer_download(struct transfer *transfer, const struct transfer_file *file, pdk_error *err)
{
    if (there_already(file))
        return PDK_OK;
    char part_name[600], etag_name[600], etag[ETAG_MAX], range[64], if_range[ETAG_MAX + 16];
    snprintf(part_name, sizeof part_name, "%.512s.part", file->name);
    snprintf(etag_name, sizeof etag_name, "%.512s.etag", file->name);
    PDK_AUTO_CLOSE int fd = openat(file->folder, part_name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return pdk_error_errno(err, errno, "disk", "cannot write %.120s", file->label);
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
        return pdk_error_set(err, PDK_INVALID, "disk", "%.120s is not a regular file", part_name);
    uint64_t have = (uint64_t)info.st_size;
    read_etag(file, etag_name, etag, sizeof etag);
    if (etag[0] == '\0' || (file->bytes != 0 && have > file->bytes))
        have = 0; /* nothing says that it is a part of the same file */
    if (ftruncate(fd, (off_t)have) != 0 || lseek(fd, (off_t)have, SEEK_SET) < 0)
        return pdk_error_errno(err, errno, "disk", "cannot write %.120s", file->label);
    pdk_status status = check_room(file, have, err);
    if (status != PDK_OK)
        return status;
    struct sink sink = {.transfer = transfer,
        .fd = fd,
        .offset = have,
        .done = have,
        .total = file->bytes,
        .label = file->label,
        .file = file,
        .etag_name = etag_name};
    if (have == 0 || have != file->bytes) {
        struct curl_slist *headers = NULL;
        if (have > 0) {
            snprintf(range, sizeof range, "Range: bytes=%" PRIu64 "-", have);
            snprintf(if_range, sizeof if_range, "If-Range: %s", etag);
            headers = curl_slist_append(curl_slist_append(NULL, range), if_range);
        }
        status = perform(transfer, file->url, headers, &sink, err);
        curl_slist_free_all(headers);
        if (status != PDK_OK)
            return status;
    }
    return finish(file, part_name, etag_name, fd, sink.done, err);
}
