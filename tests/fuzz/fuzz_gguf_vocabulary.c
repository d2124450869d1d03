/* What tokenizer_from_gguf accepts encodes a text to ids that it has, and decodes them again. */
#include "config.h"

#include "memory_file.h"
#include "runtimes/huggingface/model/gguf.h"
#include "runtimes/huggingface/tokenizer/tokenizer.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const struct tokenizer *tokenizer)
{
    static const char text[] = "Hello, w\xC3\xB6rld 123 <s> \xF0\x9F\x9A\x80 aab";
    struct token_list list = {0};
    struct buffer out = {0};
    pdk_error err = {0};
    pdk_status status = tokenizer_encode(tokenizer, text, strlen(text), NULL, 0, true, &list, &err);
    assert(status == PDK_OK || (err.status == status && list.count == 0));
    for (size_t i = 0; i < list.count; i++) {
        assert(list.ids[i] < tokenizer_size(tokenizer));
        pdk_string piece = tokenizer_piece(tokenizer, list.ids[i]);
        assert(piece.data != NULL || piece.length == 0);
    }
    status = tokenizer_decode(tokenizer, list.ids, list.count, false, &out, &err);
    assert(status == PDK_OK);
    buffer_done(&out);
    token_list_done(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[32];
    int fd = memory_file(data, size, path);
    struct gguf *gguf = NULL;
    struct tokenizer *tokenizer = NULL;
    pdk_error err = {0};
    if (gguf_open(path, &gguf, NULL) == PDK_OK) {
        pdk_status status = tokenizer_from_gguf(gguf, &tokenizer, &err);
        assert((status == PDK_OK) == (tokenizer != NULL));
        assert(status == PDK_OK || (err.status == status && err.message[0] != '\0'));
    }
    if (tokenizer != NULL)
        use(tokenizer);
    tokenizer_free(tokenizer);
    gguf_close(gguf);
    close(fd);
    return 0;
}
