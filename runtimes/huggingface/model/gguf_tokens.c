/* See the header. A longer vocabulary would let a token be looked up past the embedding's end; of two equal tokens one
 * could never come out of a text. */
#include "config.h"

#include "runtimes/huggingface/model/gguf_tokens.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "runtimes/huggingface/model/gguf_internal.h"

#include <inttypes.h>
#include <stdlib.h>

static const char key[] = "tokenizer.ggml.tokens";

struct token {
    pdk_string text;
    size_t id;
};

static int compare_tokens(const void *a, const void *b)
{
    return gguf_compare(((const struct token *)a)->text, ((const struct token *)b)->text);
}

pdk_status gguf_tokens_check(const struct gguf *gguf, uint32_t rows, pdk_error *err)
{
    size_t count;
    const struct gguf_array *array = gguf_array(gguf, key, GGUF_STRING, &count);
    if (array == NULL || count == 0)
        return PDK_OK;
    if (count > rows)
        return pdk_error_set(
            err, PDK_INVALID, key, "the vocabulary has %zu tokens, the embedding %" PRIu32 " rows", count, rows);
    PDK_AUTO_FREE struct token *tokens = calloc(count, sizeof *tokens);
    if (tokens == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, key, "no memory to check %zu tokens", count);
    for (size_t i = 0; i < count; i++)
        tokens[i] = (struct token){.text = gguf_array_string(array, i), .id = i};
    qsort(tokens, count, sizeof *tokens, compare_tokens);
    for (size_t i = 1; i < count; i++) {
        size_t one = tokens[i - 1].id, other = tokens[i].id;
        if (compare_tokens(&tokens[i - 1], &tokens[i]) == 0)
            return pdk_error_set(err, PDK_INVALID, key, "tokens %zu and %zu are the same text",
                one < other ? one : other, one < other ? other : one);
    }
    return PDK_OK;
}
