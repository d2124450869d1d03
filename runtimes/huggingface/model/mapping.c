/* See the header. A file that shrinks under the mapping raises SIGBUS, which ends the worker with a message: it cannot
 * be met here. */
#include "config.h"

#include "runtimes/huggingface/model/mapping.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

pdk_status mapping_open(const char *path, struct mapping *ret_mapping, pdk_error *err)
{
    PDK_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return pdk_error_errno(err, errno, path, "cannot open %s", path);
    struct stat info;
    if (fstat(fd, &info) != 0)
        return pdk_error_errno(err, errno, path, "cannot look at %s", path);
    if (!S_ISREG(info.st_mode))
        return pdk_error_set(err, PDK_INVALID, path, "%s is not a regular file", path);
    if (info.st_size == 0)
        return pdk_error_set(err, PDK_INVALID, path, "%s is empty", path);
    if ((uint64_t)info.st_size > SIZE_MAX)
        return pdk_error_set(
            err, PDK_TOO_LARGE, path, "%s has %lld bytes, more than fit in memory", path, (long long)info.st_size);
    void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return pdk_error_errno(err, errno, path, "cannot map %s", path);
    *ret_mapping = (struct mapping){.data = data, .bytes = (size_t)info.st_size};
    return PDK_OK;
}

void mapping_close(struct mapping *mapping)
{
    if (mapping->data != NULL)
        munmap((void *)(uintptr_t)mapping->data, mapping->bytes);
    *mapping = (struct mapping){0};
}

void mapping_prefetch(const void *at, uint64_t bytes)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), start = (uintptr_t)at / page * page;
    madvise((void *)start, (uintptr_t)at + (uintptr_t)bytes - start, MADV_WILLNEED);
}

void mapping_release(const void *at, uint64_t bytes)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = ((uintptr_t)at + page - 1) / page * page, end = ((uintptr_t)at + (uintptr_t)bytes) / page * page;
    if (end > start)
        madvise((void *)start, end - start, MADV_DONTNEED);
}
