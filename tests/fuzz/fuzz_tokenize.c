/* Any text, cut into runs anyhow: bytes come back as they were where every byte has a piece, ids are in the vocabulary,
 * and a stream adds up to the whole. The first byte chooses the tokenizer, the second the runs. */
#include "config.h"

#include "runtimes/huggingface/tokenizer/tokenizer.h"

#include "core/base/utf8.h"
#include "runtimes/huggingface/tokenizer/bytes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const parts[] = {
    "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},\"decoder\":{\"type\":\"ByteLevel\"}",
    "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\",\"individual_digits\":true},"
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false}]},\"decoder\":{\"type\":\"ByteLevel\"}",
    "\"normalizer\":{\"type\":\"NFKC\"},\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":"
    "\"Punctuation\","
    "\"behavior\":\"MergedWithNext\"},{\"type\":\"ByteLevel\"}]},\"decoder\":{\"type\":\"ByteLevel\"}",
    "\"normalizer\":{\"type\":\"BertNormalizer\"},\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["
    "{\"type\":\"Metaspace\",\"prepend_scheme\":\"first\"},{\"type\":\"ByteLevel\",\"use_regex\":false}]}",
};
enum { KINDS = sizeof parts / sizeof parts[0], LOSSLESS = 2 };

static struct tokenizer *make(size_t kind)
{
    struct buffer text = {0};
    struct tokenizer *tokenizer = NULL;
    static const char *const pairs[] = {"aa", "aaaa", "th", "the", "in"};
    static const char merges[] = "[\"a\",\"a\"],[\"aa\",\"aa\"],[\"t\",\"h\"],[\"th\",\"e\"],[\"i\",\"n\"]";
    buffer_printf(&text,
        "{%s,\"added_tokens\":[{\"id\":300,\"content\":\"<s>\",\"special\":true,\"lstrip\":true},"
        "{\"id\":301,\"content\":\"<ab>\",\"normalized\":true},{\"id\":302,\"content\":\"<e>\",\"special\":true,"
        "\"normalized\":true,\"rstrip\":true}],\"model\":{\"type\":\"BPE\",\"vocab\":{",
        parts[kind]);
    for (unsigned byte = 0; byte < 256; byte++) {
        char piece[4];
        size_t length = utf8_encode(byte_to_char((uint8_t)byte), piece);
        buffer_puts(&text, byte == '"' || byte == '\\' ? "\"\\" : "\"");
        buffer_put(&text, piece, length);
        buffer_printf(&text, "\":%u,", byte);
    }
    for (unsigned i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        buffer_printf(&text, "%s\"%s\":%u", i > 0 ? "," : "", pairs[i], 256 + i);
    buffer_printf(&text, "},\"merges\":[%s]}}", merges);
    pdk_error err = {0};
    pdk_status status = tokenizer_from_json(text.data, text.length, NULL, 0, &tokenizer, &err);
    assert(status == PDK_OK);
    buffer_done(&text);
    return tokenizer;
}

static void check_stream(const struct tokenizer *tokenizer, const struct token_list *list, const struct buffer *whole)
{
    struct detokenizer *stream = NULL;
    struct buffer out = {0};
    pdk_status status = detokenizer_new(tokenizer, NULL, 0, false, true, &stream, NULL);
    assert(status == PDK_OK);
    for (size_t i = 0; i < list->count; i++) {
        struct buffer peeked = {0};
        status = detokenizer_peek(stream, list->ids[i], &peeked, NULL);
        assert(status == PDK_OK);
        buffer_done(&peeked);
        status = detokenizer_next(stream, list->ids[i], &out, NULL);
        assert(status == PDK_OK);
    }
    assert(out.length <= whole->length && (out.length == 0 || memcmp(out.data, whole->data, out.length) == 0));
    detokenizer_free(stream);
    buffer_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tokenizer *made[KINDS];
    if (size < 2)
        return 0;
    size_t kind = data[0] % KINDS, cut = data[1], length = size - 2, bad;
    const char *text = (const char *)data + 2;
    cut = cut > length ? length : cut;
    if (made[kind] == NULL)
        made[kind] = make(kind);
    struct text_run runs[] = {{cut, data[0] & 16}, {length - cut, data[0] & 32}};
    struct token_list list = {0};
    struct buffer back = {0};
    pdk_error err = {0};
    pdk_status status = tokenizer_encode(made[kind], text, length, runs, 2, true, &list, &err);
    assert((status == PDK_OK) == utf8_valid(text, length, &bad));
    if (status == PDK_OK) {
        for (size_t i = 0; i < list.count; i++)
            assert(list.ids[i] < tokenizer_size(made[kind]));
        status = tokenizer_decode(made[kind], list.ids, list.count, false, &back, &err);
        assert(status == PDK_OK);
        /* <s> and <e> take white space with them; without one the text is whole. */
        if (kind < LOSSLESS && memmem(text, length, "<s>", 3) == NULL && memmem(text, length, "<e>", 3) == NULL)
            assert(back.length == length && (length == 0 || memcmp(back.data, text, length) == 0));
        if (kind != KINDS - 1 && length < 2000)
            check_stream(made[kind], &list, &back);
    }
    buffer_done(&back);
    token_list_done(&list);
    return 0;
}
