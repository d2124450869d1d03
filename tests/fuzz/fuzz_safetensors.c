/* A file that opens is filled by its tensors, end to end, each as large as its shape says. */
#include "config.h"

#include "memory_file.h"
#include "runtimes/huggingface/model/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[32];
    int fd = memory_file(data, size, path);
    struct safetensors *file = NULL;
    pdk_error err = {0};
    pdk_status status = safetensors_open(path, &file, &err);
    assert((status == PDK_OK) == (file != NULL));
    assert(status == PDK_OK || (err.status == status && err.message[0] != '\0'));
    const uint8_t *end = NULL;
    for (size_t i = 0; file != NULL && i < safetensors_count(file); i++) {
        const struct safetensors_tensor *tensor = safetensors_at(file, i);
        const uint8_t *at = tensor->data;
        assert(tensor->bytes <= size && tensor->rank <= SAFETENSORS_RANK_MAX);
        assert(end == NULL || at == end);
        if (tensor->bytes != 0)
            sink = (uint8_t)(at[0] ^ at[tensor->bytes - 1]);
        end = at + tensor->bytes;
    }
    safetensors_close(file);
    close(fd);
    return 0;
}
