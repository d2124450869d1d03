/* sentence-transformers' files, as modules_read finds them: what is accepted keeps the promises that pooling relies on.
 * The input is files one behind the other, a NUL between two: modules.json, 1_Pooling/config.json,
 * sentence_bert_config.json, 2_Dense/config.json, 2_Dense/model.safetensors. */
#include "config.h"

#include "runtimes/huggingface/modules.h"

#include <assert.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COLUMNS = 8 };

static char folder[] = "/tmp/paddock-fuzz-modules-XXXXXX";
static const char *const names[] = {"modules.json", "1_Pooling/config.json", "sentence_bert_config.json",
    "2_Dense/config.json", "2_Dense/model.safetensors"};
static const char *const folders[] = {"1_Pooling", "2_Dense", ""};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void remove_all(void)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unlink(path_of(names[i]));
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        rmdir(path_of(folders[i]));
}

static void make_folders(void)
{
    static bool made;
    if (made)
        return;
    made = mkdtemp(folder) != NULL && mkdir(path_of(folders[0]), 0700) == 0 && mkdir(path_of(folders[1]), 0700) == 0;
    assert(made);
    atexit(remove_all);
}

static void write_files(const uint8_t *data, size_t size)
{
    size_t count = sizeof names / sizeof names[0];
    for (size_t i = 0; i < count; i++) {
        const uint8_t *end = i + 1 < count && size > 0 ? memchr(data, 0, size) : NULL; /* the last holds NULs itself */
        size_t length = end != NULL ? (size_t)(end - data) : size;
        int fd = open(path_of(names[i]), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
        ssize_t put = length > 0 ? write(fd, data, length) : 0;
        assert(fd >= 0 && put == (ssize_t)length);
        (void)put;
        close(fd);
        size -= length + (end != NULL);
        data += length + (end != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct modules modules = {0};
    pdk_error err = {0};
    make_folders();
    write_files(data, size);
    pdk_status status = modules_read(folder, COLUMNS, &modules, &err);
    assert(status == PDK_OK || (err.status == status && err.message[0] != '\0'));
    if (status == PDK_OK) {
        float in[COLUMNS] = {1, -1, 0.5f, 2, 0, -3, 0.25f, 8};
        uint32_t width = value_head_width(&modules.projection, COLUMNS);
        float *out = calloc(width, sizeof *out);
        assert(out != NULL && width > 0);
        assert(value_head_apply(&modules.projection, in, COLUMNS, out, NULL) == PDK_OK);
        assert(!modules.pools || modules.rows != POOL_ALL);
        free(out);
    }
    modules_done(&modules);
    return 0;
}
