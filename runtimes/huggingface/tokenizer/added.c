/* The tokens sorted by text: a walk narrows a range of them byte by byte, from each place that one of them may start
 * at. */
#include "config.h"

#include "runtimes/huggingface/tokenizer/added.h"

#include "core/base/array.h"
#include "core/base/error.h"
#include "core/base/utf8.h"
#include "runtimes/huggingface/tokenizer/unicode.h"

#include <stdlib.h>
#include <string.h>

pdk_status added_tokens_add(
    struct added_tokens *tokens, const char *text, size_t length, const struct added_token *token, pdk_error *err)
{
    if (length == 0 || length > ADDED_LENGTH_MAX)
        return pdk_error_set(err, PDK_INVALID, "added_tokens", "token %u has %zu bytes; allowed are 1 to %d", token->id,
            length, ADDED_LENGTH_MAX);
    /* A token that is half a character would cut the text around it in the middle of one. */
    size_t bad;
    if (!utf8_valid(text, length, &bad) || memchr(text, '\0', length) != NULL)
        return pdk_error_set(err, PDK_INVALID, "added_tokens", "token %u is not UTF-8, or holds a NUL", token->id);
    if (tokens->count == ADDED_MAX)
        return pdk_error_set(err, PDK_INVALID, "added_tokens", "more than %d", ADDED_MAX);
    char *copy = strndup(text, length);
    if (copy == NULL || !array_grow(&tokens->tokens, &tokens->room, tokens->count + 1)) {
        free(copy);
        return pdk_error_set(err, PDK_NO_MEMORY, "added_tokens", "out of memory");
    }
    struct added_token *added = &tokens->tokens[tokens->count++];
    *added = *token;
    added->text = copy;
    added->length = strlen(copy);
    return PDK_OK;
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct added_token *)a)->text, ((const struct added_token *)b)->text);
}

void added_tokens_ready(struct added_tokens *tokens)
{
    if (tokens->count != 0)
        qsort(tokens->tokens, tokens->count, sizeof *tokens->tokens, compare);
    size_t at = 0;
    for (unsigned byte = 0; byte < 256; byte++) {
        tokens->starts[byte] = at;
        while (at < tokens->count && (uint8_t)tokens->tokens[at].text[0] == byte)
            at++;
    }
    tokens->starts[256] = at;
}

void added_tokens_done(struct added_tokens *tokens)
{
    for (size_t i = 0; i < tokens->count; i++)
        free(tokens->tokens[i].text);
    free(tokens->tokens);
    *tokens = (struct added_tokens){0};
}

static bool is_word_at(const char *text, size_t length, size_t at)
{
    uint32_t code = 0;
    return at < length && utf8_decode(text + at, length - at, &code) != 0 && char_is_word(code);
}

static bool is_word_before(const char *text, size_t at)
{
    uint32_t code = 0;
    return at > 0 && utf8_before(text, at, &code) != 0 && char_is_word(code);
}

static bool fits(
    const struct added_token *token, const char *text, size_t length, size_t at, const struct added_filter *filter)
{
    if (token->special && filter != NULL && !filter->allows(filter->context, at, at + token->length))
        return false;
    return !token->single_word || (!is_word_before(text, at) && !is_word_at(text, length, at + token->length));
}

/* Narrows [*low, *high), whose tokens share `depth` bytes, to those whose next byte is `byte`. */
static void narrow(const struct added_tokens *tokens, size_t *low, size_t *high, size_t depth, uint8_t byte)
{
    for (int side = 0; side < 2; side++) {
        size_t from = *low, to = *high;
        while (from < to) {
            size_t middle = from + (to - from) / 2;
            const struct added_token *token = &tokens->tokens[middle];
            int next = token->length <= depth ? -1 : (uint8_t)token->text[depth];
            if (next < byte + side)
                from = middle + 1;
            else
                to = middle;
        }
        *(side == 0 ? low : high) = from;
    }
}

static const struct added_token *longest_at(
    const struct added_tokens *tokens, const char *text, size_t length, size_t at, const struct added_filter *filter)
{
    const struct added_token *found = NULL;
    size_t low = tokens->starts[(uint8_t)text[at]], high = tokens->starts[(uint8_t)text[at] + 1];
    for (size_t depth = 1; low < high; depth++) {
        if (tokens->tokens[low].length == depth && fits(&tokens->tokens[low], text, length, at, filter))
            found = &tokens->tokens[low];
        if (at + depth == length)
            break;
        narrow(tokens, &low, &high, depth, (uint8_t)text[at + depth]);
    }
    return found;
}

static size_t white_before(const char *text, size_t start, size_t least)
{
    while (start > least) {
        uint32_t code = 0;
        size_t size = utf8_before(text, start, &code);
        if (!char_is_white(code) || start - size < least)
            break;
        start -= size;
    }
    return start;
}

static size_t white_behind(const char *text, size_t length, size_t end)
{
    while (end < length) {
        uint32_t code = 0;
        size_t size = utf8_decode(text + end, length - end, &code);
        if (!char_is_white(code))
            break;
        end += size;
    }
    return end;
}

const struct added_token *added_tokens_find(const struct added_tokens *tokens, const char *text, size_t length,
    size_t from, const struct added_filter *filter, size_t *ret_start, size_t *ret_end)
{
    if (tokens->count == 0)
        return NULL;
    for (size_t at = from; at < length; at++) {
        if (tokens->starts[(uint8_t)text[at]] == tokens->starts[(uint8_t)text[at] + 1])
            continue;
        const struct added_token *token = longest_at(tokens, text, length, at, filter);
        if (token == NULL)
            continue;
        *ret_start = token->left ? white_before(text, at, from) : at;
        *ret_end = token->right ? white_behind(text, length, at + token->length) : at + token->length;
        return token;
    }
    return NULL;
}
