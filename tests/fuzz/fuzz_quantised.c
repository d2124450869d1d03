/* The first line is a quantization_config, the rest a safetensors file: what is bound can be unpacked, row by row and
 * whole, to the same codes. */
#include "config.h"

#include "memory_file.h"
#include "runtimes/huggingface/model/numbers.h"
#include "runtimes/huggingface/model/quantised.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void note(void *context, const char *text)
{
    (void)context;
    assert(text[0] != '\0');
}

static void unpack(const struct tensor *tensor)
{
    pdk_matrix all, one;
    void *buffer = NULL, *single = NULL;
    pdk_error err = {0};
    uint32_t rows = (uint32_t)tensor->shape[0], last = rows - 1;
    pdk_status status = quantised_unpack(tensor, 0, rows, &all, &buffer, &err);
    assert(status == PDK_OK || err.message[0] != '\0');
    if (status != PDK_OK)
        return;
    assert(quantised_unpack(tensor, last, 1, &one, &single, &err) == PDK_OK);
    size_t bytes = all.columns / number_block(all.type) * (size_t)number_block_bytes(all.type);
    size_t groups = (all.columns - 1) / all.group + 1, width = all.scale_type == PDK_TYPE_F32 ? 4 : 2;
    assert(memcmp((const uint8_t *)all.data + last * bytes, one.data, bytes) == 0);
    assert(memcmp((const uint8_t *)all.scales + last * groups * width, one.scales, groups * width) == 0);
    assert((all.zeros == NULL) == (one.zeros == NULL));
    for (uint32_t k = 0; all.inputs != NULL && k < all.columns; k++)
        assert(all.inputs[k] < all.columns);
    free(buffer);
    free(single);
}

static void bind(const struct json *config, struct safetensors *file)
{
    struct config_reader reader;
    struct quantisation quantisation = {0};
    struct tensors tensors = {0};
    pdk_error err = {0};
    if (config_reader_init(&reader, config, NULL, NULL, &err) != PDK_OK ||
        tensors_of_files(&file, 1, &tensors, &err) != PDK_OK)
        return;
    pdk_status status = quantisation_read(&reader, &quantisation, &err);
    if (status == PDK_OK)
        status = quantised_bind(&tensors, &quantisation, note, NULL, &err);
    assert(status == PDK_OK || (err.status == status && err.message[0] != '\0'));
    for (size_t i = 0; i < tensors.count && status == PDK_OK; i++)
        if (tensors.items[i].quantised != NULL)
            unpack(&tensors.items[i]);
    tensors_done(&tensors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line = size != 0 ? memchr(data, '\n', size) : NULL;
    struct json_document *document = NULL;
    struct safetensors *file = NULL;
    if (line == NULL ||
        json_read((const char *)data, (size_t)(line - data), &json_limits_default, &document, NULL) != PDK_OK)
        return 0;
    char path[32];
    int fd = memory_file(line + 1, size - (size_t)(line + 1 - data), path);
    if (json_root(document)->type == JSON_OBJECT && safetensors_open(path, &file, NULL) == PDK_OK)
        bind(json_root(document), file);
    safetensors_close(file);
    json_document_free(document);
    close(fd);
    return 0;
}
