/* See the header. */
#include "config.h"

#include "core/base/file.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

pdk_status file_read(const char *path, size_t max_bytes, struct buffer *ret_content, pdk_error *err)
{
    PDK_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return pdk_error_errno(err, errno, path, "cannot open %s", path);
    struct stat info;
    if (fstat(fd, &info) != 0)
        return pdk_error_errno(err, errno, path, "cannot look at %s", path);
    if (!S_ISREG(info.st_mode))
        return pdk_error_set(err, PDK_INVALID, path, "%s is not a regular file", path);
    if ((uint64_t)info.st_size > max_bytes)
        return pdk_error_set(
            err, PDK_TOO_LARGE, path, "%s has %lld bytes; the limit is %zu", path, (long long)info.st_size, max_bytes);
    PDK_CLEANUP(buffer_done) struct buffer content = {0};
    for (;;) {
        char *to = buffer_reserve(&content, 65536);
        if (to == NULL)
            return pdk_error_set(err, PDK_NO_MEMORY, path, "no memory for %s", path);
        ssize_t got = read(fd, to, 65536);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return pdk_error_errno(err, errno, path, "cannot read %s", path);
        content.length += (size_t)got;
        content.data[content.length] = '\0';
        if (content.length > max_bytes)
            return pdk_error_set(err, PDK_TOO_LARGE, path, "%s grew past %zu bytes", path, max_bytes);
        if (got == 0)
            break;
    }
    *ret_content = content;
    content = (struct buffer){0};
    return PDK_OK;
}

static bool write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t put = write(fd, bytes, length);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return false;
        bytes += put;
        length -= (size_t)put;
    }
    return true;
}

static void sync_folder_of(const char *path)
{
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash == NULL)
        snprintf(folder, sizeof folder, ".");
    else
        slash[slash == folder] = '\0';
    PDK_AUTO_CLOSE int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        fsync(fd);
}

pdk_status file_replace(const char *path, const void *bytes, size_t length, unsigned mode, pdk_error *err)
{
    char temporary[4096];
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.tmp", path) >= sizeof temporary)
        return pdk_error_set(err, PDK_INVALID, "path", "path too long: %.200s", path);
    unlink(temporary);
    PDK_AUTO_CLOSE int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return pdk_error_errno(err, errno, path, "cannot write %s", temporary);
    if (!write_all(fd, bytes, length) || fdatasync(fd) != 0 || rename(temporary, path) != 0) {
        int number = errno;
        unlink(temporary);
        return pdk_error_errno(err, number, path, "cannot write %s", path);
    }
    sync_folder_of(path);
    return PDK_OK;
}

pdk_status folder_make(const char *path, unsigned mode, pdk_error *err)
{
    char part[4096];
    size_t length = strlen(path);
    if (length >= sizeof part)
        return pdk_error_set(err, PDK_INVALID, "path", "path too long: %.200s", path);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, mode) != 0 && errno != EEXIST)
            return pdk_error_errno(err, errno, path, "cannot make folder %s", part);
    }
    return PDK_OK;
}

void folder_remove(int parent, const char *name)
{
    if (unlinkat(parent, name, 0) == 0)
        return;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (folder == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            folder_remove(fd, entry->d_name); /* open descriptors bound the depth */
    closedir(folder);
    unlinkat(parent, name, AT_REMOVEDIR);
}
