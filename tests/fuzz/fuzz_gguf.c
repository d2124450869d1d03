/* A file that opens is all readable: every value, string and tensor lies inside it. */
#include "config.h"

#include "memory_file.h"
#include "runtimes/huggingface/model/gguf.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sink;

static void touch(const void *bytes, uint64_t count)
{
    const uint8_t *at = bytes;
    if (count != 0)
        sink = (uint8_t)(at[0] ^ at[count - 1]);
}

static void read_values(const struct gguf *gguf)
{
    static const char *const keys[] = {
        "a", "general.architecture", "general.alignment", "tokenizer.ggml.tokens", "split.no"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        uint64_t integer;
        double real;
        bool flag;
        pdk_string string;
        size_t count;
        gguf_uint(gguf, keys[i], &integer);
        gguf_double(gguf, keys[i], &real);
        gguf_bool(gguf, keys[i], &flag);
        if (gguf_string(gguf, keys[i], &string))
            touch(string.data, string.length);
        const struct gguf_array *array = gguf_array(gguf, keys[i], GGUF_STRING, &count);
        for (size_t k = 0; array != NULL && k < count; k++)
            touch(gguf_array_string(array, k).data, gguf_array_string(array, k).length);
        array = gguf_array(gguf, keys[i], GGUF_I32, &count);
        if (array != NULL && count != 0)
            sink = (uint8_t)(gguf_array_int(array, 0) ^ gguf_array_int(array, count - 1));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[32];
    int fd = memory_file(data, size, path);
    struct gguf *gguf = NULL;
    pdk_error err = {0};
    pdk_status status = gguf_open(path, &gguf, &err);
    assert((status == PDK_OK) == (gguf != NULL));
    assert(status == PDK_OK || (err.status == status && err.message[0] != '\0'));
    for (size_t i = 0; gguf != NULL && i < gguf_tensor_count(gguf); i++) {
        const struct gguf_tensor *tensor = gguf_tensor_at(gguf, i);
        assert(tensor->bytes <= size && tensor->rank >= 1 && tensor->rank <= 4);
        touch(tensor->data, tensor->bytes);
        touch(tensor->name.data, tensor->name.length);
    }
    if (gguf != NULL)
        read_values(gguf);
    gguf_close(gguf);
    close(fd);
    return 0;
}
