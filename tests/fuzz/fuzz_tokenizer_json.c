/* What tokenizer_from_json accepts encodes a text to ids that it has, and decodes them again; of two texts it makes a
 * pair of as many tokens as it says. */
#include "config.h"

#include "runtimes/huggingface/tokenizer/tokenizer.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_pair(const struct tokenizer *tokenizer, const struct token_list *text)
{
    struct token_list pair = {0};
    struct buffer types = {0};
    assert(tokenizer_frame(tokenizer, text, text, true, &pair, &types, NULL) == PDK_OK);
    assert(pair.count == types.length && pair.count == 2 * text->count + tokenizer_frame_size(tokenizer, true));
    for (size_t i = 0; i < pair.count; i++)
        assert(pair.ids[i] < tokenizer_size(tokenizer));
    token_list_done(&pair);
    buffer_done(&types);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] = "Hello, w\xC3\xB6rld 123 <s> \xF0\x9F\x9A\x80 aab";
    struct tokenizer *tokenizer = NULL;
    struct token_list list = {0};
    struct buffer out = {0};
    pdk_error err = {0};
    pdk_status status = tokenizer_from_json((const char *)data, size, NULL, 0, &tokenizer, &err);
    if (status != PDK_OK) {
        assert(err.status == status && err.message[0] != '\0' && tokenizer == NULL);
        return 0;
    }
    status = tokenizer_encode(tokenizer, text, strlen(text), NULL, 0, true, &list, &err);
    assert(status == PDK_OK || (err.status == status && list.count == 0));
    for (size_t i = 0; i < list.count; i++)
        assert(list.ids[i] < tokenizer_size(tokenizer));
    check_pair(tokenizer, &list);
    status = tokenizer_decode(tokenizer, list.ids, list.count, false, &out, &err);
    assert(status == PDK_OK);
    buffer_done(&out);
    token_list_done(&list);
    tokenizer_free(tokenizer);
    return 0;
}
