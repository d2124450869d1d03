/* Whatever an archive says, nothing appears outside the folder that it is unpacked into. */
#include "config.h"

#include "core/base/file.h"
#include "core/fetch/archive.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char folder[] = "/dev/shm/paddock-fuzz-XXXXXX", inside[64], path[64];
    if (mkdtemp(folder) == NULL)
        return 0;
    snprintf(path, sizeof path, "%s/archive", folder);
    snprintf(inside, sizeof inside, "%s/inside", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert(fd >= 0 && write(fd, data, size) == (ssize_t)size && mkdir(inside, 0700) == 0);
    close(fd);
    struct archive_limits limits = {.entries = 50, .bytes = 1 << 20, .ratio = 1000};
    pdk_error err = {0};
    pdk_status status = archive_unpack(path, inside, &limits, &err);
    assert(status == PDK_OK || (err.status == status && err.message[0] != '\0'));
    folder_remove(AT_FDCWD, inside);
    unlink(path);
    int left = rmdir(folder); /* nothing else was made here */
    assert(left == 0);
    (void)left;
    return 0;
}
