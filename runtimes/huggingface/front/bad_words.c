/* See the header. */
#include "config.h"

#include "runtimes/huggingface/front/bad_words.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"

static pdk_status ban(const struct tokenizer *tokenizer, pdk_string word, struct sampling_rules *rules, pdk_error *err)
{
    PDK_CLEANUP(token_list_done) struct token_list plain = {0};
    PDK_CLEANUP(token_list_done) struct token_list spaced = {0};
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    size_t skip = 0;
    while (skip < word.length && word.data[skip] == ' ')
        skip++;
    buffer_putc(&text, ' ');
    buffer_put(&text, word.data + skip, word.length - skip);
    if (text.failed)
        return pdk_error_set(err, PDK_NO_MEMORY, "bad_words", "no memory for bad_words");
    pdk_status status = tokenizer_encode(tokenizer, text.data + 1, text.length - 1, NULL, 0, false, &plain, err);
    if (status == PDK_OK)
        status = tokenizer_encode(tokenizer, text.data, text.length, NULL, 0, false, &spaced, err);
    if (status == PDK_OK && plain.count > 0)
        status = rules_ban(rules, plain.ids, plain.count, err);
    if (status == PDK_OK && spaced.count > 0 && spaced.count == plain.count && spaced.ids[0] != plain.ids[0])
        status = rules_ban(rules, spaced.ids, spaced.count, err);
    return status;
}

pdk_status bad_words_resolve(
    const struct tokenizer *tokenizer, const pdk_request *request, struct sampling_rules *rules, pdk_error *err)
{
    if (request->bad_word_count > 0 && tokenizer == NULL)
        return pdk_error_set(err, PDK_INVALID, "bad_words", "bad_words need a tokenizer, which this model has not");
    for (size_t i = 0; i < request->bad_word_count; i++) {
        pdk_status status = ban(tokenizer, request->bad_words[i], rules, err);
        if (status != PDK_OK)
            return status;
    }
    return PDK_OK;
}
