/* See the header. Names of the hub become paths below our own folder, hence the narrow character sets. */
#include "config.h"

#include "core/fetch/source.h"

#include "core/base/error.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static bool name_letter(char c)
{
    return isalnum((unsigned char)c) || c == '.' || c == '_' || c == '-' || c == '+';
}

bool source_safe_name(const char *name)
{
    if (*name == '\0')
        return false;
    for (const char *at = name;;) {
        size_t length = strcspn(at, "/");
        if (length == 0 || (at[0] == '.' && (length == 1 || (length == 2 && at[1] == '.'))))
            return false;
        for (size_t i = 0; i < length; i++)
            if (!name_letter(at[i]))
                return false;
        if (at[length] == '\0')
            return true;
        at += length + 1;
    }
}

/* Copies `length` bytes that must fit `room` with their NUL. */
static bool take(char *to, size_t room, const char *from, size_t length)
{
    if (length == 0 || length >= room)
        return false;
    memcpy(to, from, length);
    to[length] = '\0';
    return true;
}

static pdk_status bad(pdk_error *err, const char *uri, const char *what)
{
    return pdk_error_value(err, PDK_INVALID, "uri", uri, "'%.200s' %s", uri, what);
}

static pdk_status take_fragment(const char *uri, size_t *length, struct source *source, pdk_error *err)
{
    const char *hash = memchr(uri, '#', *length);
    if (hash == NULL)
        return PDK_OK;
    const char *hex = hash + 1 + 7;
    if (strncmp(hash + 1, "sha256=", 7) != 0 || strlen(hex) != 64)
        return bad(err, uri, "has a fragment that is not #sha256= and 64 hex digits");
    for (size_t i = 0; i < 64; i++) {
        if (!isxdigit((unsigned char)hex[i]))
            return bad(err, uri, "has a fragment that is not #sha256= and 64 hex digits");
        source->sha256[i] = (char)tolower((unsigned char)hex[i]);
    }
    *length = (size_t)(hash - uri);
    return PDK_OK;
}

static pdk_status parse_hub(const char *uri, const char *at, const char *end, struct source *source, pdk_error *err)
{
    static const char form[] = "is not of the form hf://OWNER/NAME[:REVISION][/FILE]";
    const char *slash = memchr(at, '/', (size_t)(end - at));
    if (slash == NULL || !take(source->owner, sizeof source->owner, at, (size_t)(slash - at)))
        return bad(err, uri, form);
    at = slash + 1;
    size_t name = strcspn(at, ":/#");
    if (at + name > end || !take(source->name, sizeof source->name, at, name))
        return bad(err, uri, form);
    at += name;
    snprintf(source->revision, sizeof source->revision, "main");
    if (at < end && *at == ':') {
        size_t length = strcspn(at + 1, "/#");
        if (!take(source->revision, sizeof source->revision, at + 1, length))
            return bad(err, uri, form);
        at += 1 + length;
    }
    if (at < end && !take(source->file, sizeof source->file, at + 1, (size_t)(end - at - 1)))
        return bad(err, uri, form);
    if (!source_safe_name(source->owner) || !source_safe_name(source->name) || !source_safe_name(source->revision) ||
        (source->file[0] != '\0' && !source_safe_name(source->file)))
        return bad(err, uri, "holds characters outside A-Z a-z 0-9 . _ + -");
    if (source->sha256[0] != '\0' && source->file[0] == '\0')
        return bad(err, uri, "names a whole repository: #sha256= needs one file");
    return PDK_OK;
}

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcasecmp(text + n - m, end) == 0;
}

static pdk_status parse_http(const char *uri, size_t length, struct source *source, pdk_error *err)
{
    if (!take(source->url, sizeof source->url, uri, length))
        return bad(err, uri, "is longer than 2048 characters");
    const char *path = strchr(strstr(source->url, "://") + 3, '/');
    if (path == NULL)
        return bad(err, uri, "names no file");
    size_t path_length = strcspn(path, "?");
    const char *name = path + path_length;
    while (name > path && name[-1] != '/')
        name--;
    if (!take(source->file, sizeof source->file, name, (size_t)(path + path_length - name)) ||
        !source_safe_name(source->file))
        return bad(err, uri, "names no file, or one with characters outside A-Z a-z 0-9 . _ + -");
    static const char *const archives[] = {".tar", ".tar.gz", ".tgz", ".zip"};
    for (size_t i = 0; i < sizeof archives / sizeof archives[0]; i++)
        source->archive |= ends_in(source->file, archives[i]);
    return PDK_OK;
}

pdk_status source_parse(const char *uri, struct source *ret_source, pdk_error *err)
{
    struct source source = {0};
    size_t length = strlen(uri);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)uri[i] <= 0x20 || (unsigned char)uri[i] >= 0x7F || uri[i] == '\\')
            return bad(err, uri, "holds a space, a backslash or a character outside ASCII");
    pdk_status status = take_fragment(uri, &length, &source, err);
    if (status != PDK_OK)
        return status;
    if (strncmp(uri, "hf://", 5) == 0) {
        source.kind = SOURCE_HUB;
        status = parse_hub(uri, uri + 5, uri + length, &source, err);
    } else if (strncmp(uri, "https://", 8) == 0 || strncmp(uri, "http://", 7) == 0) {
        source.kind = SOURCE_HTTP;
        status = parse_http(uri, length, &source, err);
    } else if (strncmp(uri, "file:///", 8) == 0) {
        source.kind = SOURCE_FILE;
        if (!take(source.path, sizeof source.path, uri + 7, length - 7))
            status = bad(err, uri, "is longer than 4096 characters");
    } else {
        status = bad(err, uri, "begins with none of hf:// https:// http:// file:///");
    }
    if (status == PDK_OK)
        *ret_source = source;
    return status;
}
