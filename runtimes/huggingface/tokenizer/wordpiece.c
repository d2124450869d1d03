/* A word has at most chars_max characters and no piece is looked for that is longer than the longest, so that a word
 * costs a bounded number of look-ups. */
#include "config.h"

#include "runtimes/huggingface/tokenizer/wordpiece.h"

#include "core/base/array.h"
#include "core/base/error.h"
#include "core/base/utf8.h"

#include <inttypes.h>
#include <string.h>

enum { CHARS_MAX = 1000, PIECE_BYTES_MAX = 1024 };

pdk_status wordpiece_init(struct wordpiece *model, const struct vocabulary *vocabulary, uint32_t unknown,
    const char *start, const char *prefix, pdk_error *err)
{
    *model = (struct wordpiece){.vocabulary = vocabulary, .chars_max = 100, .unknown = unknown};
    model->prefix_length = strlen(prefix);
    model->start_length = strlen(start);
    if (model->prefix_length >= sizeof model->prefix || model->start_length >= sizeof model->start)
        return pdk_error_value(err, PDK_INVALID, "model.continuing_subword_prefix", prefix, "is longer than %zu bytes",
            sizeof model->prefix - 1);
    memcpy(model->prefix, prefix, model->prefix_length);
    memcpy(model->start, start, model->start_length);
    for (size_t i = 0; i < vocabulary->size; i++) {
        size_t length = vocabulary_piece(vocabulary, (uint32_t)i).length;
        model->longest = length > model->longest ? length : model->longest;
    }
    if (model->longest > PIECE_BYTES_MAX)
        model->longest = PIECE_BYTES_MAX;
    return PDK_OK;
}

pdk_status wordpiece_load(
    struct wordpiece *model, const struct vocabulary *vocabulary, const struct json *json, pdk_error *err)
{
    const char *unknown = "[UNK]", *prefix = "##";
    json_string(json_get(json, "unk_token"), &unknown);
    json_string(json_get(json, "continuing_subword_prefix"), &prefix);
    int64_t id = vocabulary_find(vocabulary, unknown, strlen(unknown));
    if (id < 0)
        return pdk_error_value(err, PDK_INVALID, "model.unk_token", unknown, "unk_token '%s' is no token", unknown);
    pdk_status status = wordpiece_init(model, vocabulary, (uint32_t)id, "", prefix, err);
    if (status != PDK_OK)
        return status;
    uint64_t chars = model->chars_max;
    const struct json *limit = json_get(json, "max_input_chars_per_word");
    if (limit != NULL && (!json_uint64(limit, &chars) || chars > CHARS_MAX))
        return pdk_error_set(
            err, PDK_INVALID, "model.max_input_chars_per_word", "must be an integer from 0 to %d", CHARS_MAX);
    model->chars_max = (size_t)chars;
    return PDK_OK;
}

/* The longest piece at the start of `rest`, which stands inside a word or not. */
static int64_t longest_piece(
    const struct wordpiece *model, const char *rest, size_t length, bool inside, size_t *ret_length)
{
    char text[PIECE_BYTES_MAX + sizeof model->prefix];
    size_t prefix = inside ? model->prefix_length : model->start_length;
    size_t try = length < model->longest ? length : model->longest;
    memcpy(text, inside ? model->prefix : model->start, prefix);
    memcpy(text + prefix, rest, try);
    for (; try > 0; try--) {
        bool border = try == length || ((unsigned char)rest[try] & 0xC0) != 0x80;
        int64_t id = border ? vocabulary_find(model->vocabulary, text, prefix + try) : -1;
        if (id >= 0) {
            *ret_length = try;
            return id;
        }
    }
    return -1;
}

static bool put(struct token_list *list, int64_t id)
{
    if (!array_grow(&list->ids, &list->room, list->count + 1))
        return false;
    list->ids[list->count++] = (uint32_t)id;
    return true;
}

pdk_status wordpiece_encode(
    const struct wordpiece *model, const char *word, size_t length, struct token_list *list, pdk_error *err)
{
    size_t before = list->count, chars = 0;
    for (size_t i = 0; i < length; i++)
        chars += ((unsigned char)word[i] & 0xC0) != 0x80;
    int64_t id = chars > model->chars_max ? -1 : 0;
    for (size_t at = 0, size = 0; at < length && id >= 0; at += size) {
        id = longest_piece(model, word + at, length - at, at > 0, &size);
        if (id >= 0 && !put(list, id))
            return pdk_error_set(err, PDK_NO_MEMORY, "prompt", "out of memory");
    }
    if (id >= 0)
        return PDK_OK;
    list->count = before; /* one part unknown: the word is */
    return put(list, model->unknown) ? PDK_OK : pdk_error_set(err, PDK_NO_MEMORY, "prompt", "out of memory");
}
