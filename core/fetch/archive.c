/* Entries are written by ourselves below the folder's descriptor, so that no path of the archive is ever resolved by
 * name from elsewhere; libarchive only decodes. */
#include "config.h"

#include "core/fetch/archive.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const struct archive_limits archive_limits_default = {.entries = 10000, .bytes = 1ull << 40, .ratio = 1000};

struct unpacking {
    const struct archive_limits *limits;
    uint64_t archive_bytes, bytes, entries;
    int folder;
    pdk_error *err;
};

static pdk_status refuse(struct unpacking *u, const char *name, const char *why)
{
    return pdk_error_value(u->err, PDK_INVALID, "archive", name, "the archive's entry '%.64s' %s", name, why);
}

/* Opens the folder that `name` lies in, making those on the way; *ret_leaf is the last part, "" for a folder's own
 * entry. */
static pdk_status open_parent(struct unpacking *u, const char *name, int *ret_fd, const char **ret_leaf)
{
    PDK_AUTO_CLOSE int fd = fcntl(u->folder, F_DUPFD_CLOEXEC, 0);
    const char *at = name;
    for (;;) {
        size_t length = strcspn(at, "/");
        char part[256];
        if (at[length] == '\0' || length >= sizeof part) {
            if (length >= sizeof part)
                return refuse(u, name, "has a part of over 255 bytes");
            break;
        }
        memcpy(part, at, length);
        part[length] = '\0';
        if (strcmp(part, "..") == 0)
            return refuse(u, name, "leaves the folder by ..");
        if (length > 0 && strcmp(part, ".") != 0) {
            if (mkdirat(fd, part, 0755) != 0 && errno != EEXIST)
                return pdk_error_errno(u->err, errno, "disk", "cannot make folder %s", part);
            int next = openat(fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (next < 0)
                return pdk_error_errno(u->err, errno, "archive", "cannot open folder %s", part);
            close(fd);
            fd = next;
        }
        at += length + 1;
    }
    *ret_leaf = at;
    *ret_fd = PDK_STEAL_FD(fd);
    return PDK_OK;
}

static pdk_status write_content(struct unpacking *u, struct archive *archive, int fd, const char *name)
{
    const void *data;
    size_t length;
    la_int64_t offset;
    for (;;) {
        int result = archive_read_data_block(archive, &data, &length, &offset);
        if (result == ARCHIVE_EOF)
            return PDK_OK;
        if (result != ARCHIVE_OK)
            return pdk_error_set(u->err, PDK_INVALID, "archive", "%.64s: %.200s", name, archive_error_string(archive));
        u->bytes += length;
        if (offset < 0 || (uint64_t)offset > u->limits->bytes || u->bytes > u->limits->bytes)
            return pdk_error_set(
                u->err, PDK_TOO_LARGE, "archive", "the archive holds more than %" PRIu64 " bytes", u->limits->bytes);
        if (u->bytes > 1u << 20 && u->bytes / u->limits->ratio > u->archive_bytes)
            return pdk_error_set(u->err, PDK_TOO_LARGE, "archive",
                "the archive unpacks to more than %" PRIu32 " times its size", u->limits->ratio);
        for (const char *from = data; length > 0;) {
            ssize_t put = pwrite(fd, from, length, offset);
            if (put < 0 && errno == EINTR)
                continue;
            if (put < 0)
                return pdk_error_errno(u->err, errno, "disk", "cannot write %.64s", name);
            from += put;
            offset += put;
            length -= (size_t)put;
        }
    }
}

static pdk_status unpack_entry(struct unpacking *u, struct archive *archive, struct archive_entry *entry)
{
    const char *name = archive_entry_pathname(entry);
    if (name == NULL)
        return refuse(u, "", "has no readable name");
    if (name[0] == '/')
        return refuse(u, name, "has an absolute path");
    if (++u->entries > u->limits->entries)
        return pdk_error_set(
            u->err, PDK_TOO_LARGE, "archive", "the archive has more than %" PRIu64 " entries", u->limits->entries);
    mode_t type = archive_entry_filetype(entry);
    if (archive_entry_hardlink(entry) != NULL || archive_entry_symlink(entry) != NULL ||
        (type != AE_IFREG && type != AE_IFDIR))
        return refuse(u, name, "is neither a file nor a folder");
    PDK_AUTO_CLOSE int parent = -1;
    const char *leaf;
    pdk_status status = open_parent(u, name, &parent, &leaf);
    if (status != PDK_OK)
        return status;
    if (strcmp(leaf, "..") == 0)
        return refuse(u, name, "leaves the folder by ..");
    if (type == AE_IFDIR) {
        if (*leaf != '\0' && strcmp(leaf, ".") != 0 && mkdirat(parent, leaf, 0755) != 0 && errno != EEXIST)
            return pdk_error_errno(u->err, errno, "disk", "cannot make folder %.64s", name);
        return PDK_OK;
    }
    PDK_AUTO_CLOSE int fd = openat(parent, leaf, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0 && errno == EEXIST)
        return refuse(u, name, "stands in it twice");
    if (fd < 0)
        return pdk_error_errno(u->err, errno, "disk", "cannot write %.64s", name);
    status = write_content(u, archive, fd, name);
    if (status == PDK_OK && fsync(fd) != 0)
        status = pdk_error_errno(u->err, errno, "disk", "cannot write %.64s", name);
    return status;
}

pdk_status archive_unpack(const char *path, const char *folder, const struct archive_limits *limits, pdk_error *err)
{
    PDK_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    PDK_AUTO_CLOSE int to = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0)
        return pdk_error_errno(err, errno, "archive", "cannot open %s", path);
    if (to < 0)
        return pdk_error_errno(err, errno, "disk", "cannot open %s", folder);
    struct unpacking u = {.limits = limits, .archive_bytes = (uint64_t)info.st_size, .folder = to, .err = err};
    struct archive *archive = archive_read_new();
    if (archive == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "libarchive does not start");
    archive_read_support_format_tar(archive);
    archive_read_support_format_zip(archive);
    archive_read_support_filter_gzip(archive);
    pdk_status status = PDK_OK;
    if (archive_read_open_fd(archive, fd, 65536) != ARCHIVE_OK)
        status = pdk_error_set(err, PDK_INVALID, "archive", "%.200s", archive_error_string(archive));
    while (status == PDK_OK) {
        struct archive_entry *entry;
        int result = archive_read_next_header(archive, &entry);
        if (result == ARCHIVE_EOF)
            break;
        if (result != ARCHIVE_OK)
            status = pdk_error_set(err, PDK_INVALID, "archive", "%.200s", archive_error_string(archive));
        else
            status = unpack_entry(&u, archive, entry);
    }
    archive_read_free(archive);
    if (status == PDK_OK && u.entries == 0)
        status = pdk_error_set(err, PDK_INVALID, "archive", "the archive is empty");
    return status;
}
