/* tests/fuzz/memory_file.h: bytes under a path, for readers that open files. */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* Fills `path`; returns the descriptor to close. */
static inline int memory_file(const uint8_t *data, size_t size, char path[32])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    assert(fd >= 0);
    ssize_t put = write(fd, data, size);
    assert(put == (ssize_t)size);
    (void)put;
    snprintf(path, 32, "/proc/self/fd/%d", fd);
    return fd;
}
