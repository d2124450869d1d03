/* Runs a fuzz target over its corpus, tests/fuzz/corpus/NAME/, or over the files given. */
#include "config.h"

#include "core/base/buffer.h"
#include "core/base/cleanup.h"
#include "core/base/file.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
    pdk_error err;
    PDK_CLEANUP(buffer_done) struct buffer content = {0};
    if (file_read(path, 64u << 20, &content, &err) != PDK_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    /* A copy of the exact size, so that a read past the end is seen. */
    uint8_t *exact = malloc(content.length != 0 ? content.length : 1);
    memcpy(exact, content.data, content.length);
    LLVMFuzzerTestOneInput(exact, content.length);
    free(exact);
    return 0;
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (int i = 1; i < argc; i++)
        failed |= replay(argv[i]);
    if (argc > 1)
        return failed;
    const char *top = getenv("top_srcdir"), *slash = strrchr(argv[0], '/'), *name = slash != NULL ? slash + 1 : argv[0];
    const char *fuzz = strstr(name, "fuzz_");
    char folder[4096], path[8192];
    snprintf(folder, sizeof folder, "%s/tests/fuzz/corpus/%s", top != NULL ? top : ".", fuzz != NULL ? fuzz + 5 : name);
    DIR *entries = opendir(folder);
    if (entries == NULL) {
        fprintf(stderr, "no corpus in %s\n", folder);
        return 77;
    }
    int count = 0;
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        failed |= replay(path);
        count++;
    }
    closedir(entries);
    printf("%d inputs\n", count);
    return failed;
}
