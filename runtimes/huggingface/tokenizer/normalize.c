/* Steps on characters and on literal text. */
#include "config.h"

#include "runtimes/huggingface/tokenizer/normalize.h"

#include "core/base/error.h"
#include "runtimes/huggingface/tokenizer/unicode.h"

#include <string.h>

enum { GROWTH = 16, GROWTH_FREE = 1 << 20 };

void marked_text_done(struct marked_text *text)
{
    buffer_done(&text->text);
    buffer_done(&text->marks);
}

void marked_text_put(struct marked_text *text, const char *bytes, size_t length, char mark)
{
    buffer_put(&text->text, bytes, length);
    char *marks = text->tracked ? buffer_reserve(&text->marks, length) : NULL;
    if (marks != NULL) {
        memset(marks, mark, length);
        text->marks.length += length;
    }
}

static char mark_at(const struct marked_text *text, size_t at)
{
    return text->tracked ? text->marks.data[at] : 0;
}

/* Copies [start, end) of `in` with its marks. */
static void copy(struct marked_text *out, const struct marked_text *in, size_t start, size_t end)
{
    if (start >= end)
        return;
    buffer_put(&out->text, in->text.data + start, end - start);
    if (out->tracked)
        buffer_put(&out->marks, in->marks.data + start, end - start);
}

pdk_status normalize_check(const struct marked_text *out, size_t limit, pdk_error *err)
{
    if (out->text.failed || out->marks.failed)
        return pdk_error_set(err, PDK_NO_MEMORY, "prompt", "out of memory");
    if (out->text.length > limit)
        return pdk_error_set(err, PDK_TOO_LARGE, "normalizer", "the text grows to more than %zu bytes", limit);
    return PDK_OK;
}

pdk_status normalize_lowercase(
    const struct normalizer *step, const struct marked_text *in, struct marked_text *out, size_t limit, pdk_error *err)
{
    (void)step;
    for (size_t i = 0; i < in->text.length;) {
        uint32_t code = 0;
        char bytes[8];
        size_t size = utf8_decode(in->text.data + i, in->text.length - i, &code);
        size_t length = utf8_encode((uint32_t)utf8proc_tolower((utf8proc_int32_t)code), bytes);
        if (code == 0x130) { /* the one letter that becomes two */
            length = 3;
            memcpy(bytes, "i\xCC\x87", 3);
        }
        marked_text_put(out, bytes, length, mark_at(in, i));
        i += size;
    }
    return normalize_check(out, limit, err);
}

static bool is_ideograph(uint32_t c)
{
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
           (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

pdk_status normalize_chars(
    const struct normalizer *step, const struct marked_text *in, struct marked_text *out, size_t limit, pdk_error *err)
{
    for (size_t i = 0; i < in->text.length;) {
        uint32_t code = 0;
        size_t size = utf8_decode(in->text.data + i, in->text.length - i, &code);
        char bytes[4], mark = mark_at(in, i);
        i += size;
        if (step->drop != NULL && step->drop(code))
            continue;
        size_t length = utf8_encode(step->map != NULL ? step->map(code) : code, bytes);
        bool spaced = step->spaced_ideographs && is_ideograph(code);
        if (spaced)
            marked_text_put(out, " ", 1, mark);
        marked_text_put(out, bytes, length, mark);
        if (spaced)
            marked_text_put(out, " ", 1, mark);
    }
    return normalize_check(out, limit, err);
}

pdk_status normalize_strip(
    const struct normalizer *step, const struct marked_text *in, struct marked_text *out, size_t limit, pdk_error *err)
{
    size_t start = 0, end = in->text.length;
    while (step->left && start < end) {
        uint32_t code = 0;
        size_t size = utf8_decode(in->text.data + start, end - start, &code);
        if (!char_is_white(code))
            break;
        start += size;
    }
    while (step->right && end > start) {
        uint32_t code = 0;
        size_t size = utf8_before(in->text.data, end, &code);
        if (!char_is_white(code))
            break;
        end -= size;
    }
    copy(out, in, start, end);
    return normalize_check(out, limit, err);
}

pdk_status normalize_prepend(
    const struct normalizer *step, const struct marked_text *in, struct marked_text *out, size_t limit, pdk_error *err)
{
    if (in->text.length != 0)
        marked_text_put(out, step->to, step->to_length, mark_at(in, 0));
    copy(out, in, 0, in->text.length);
    return normalize_check(out, limit, err);
}

static pdk_status replace_find(const struct normalizer *step, struct regex_state *state, const struct marked_text *in,
    size_t from, bool *ret_found, size_t *ret_start, size_t *ret_end, pdk_error *err)
{
    if (step->regex != NULL)
        return regex_find(step->regex, state, in->text.data, in->text.length, from, ret_found, ret_start, ret_end, err);
    const char *at = memmem(in->text.data + from, in->text.length - from, step->from, step->from_length);
    *ret_found = at != NULL;
    if (at != NULL) {
        *ret_start = (size_t)(at - in->text.data);
        *ret_end = *ret_start + step->from_length;
    }
    return PDK_OK;
}

static pdk_status replace_all(const struct normalizer *step, struct regex_state *state, const struct marked_text *in,
    struct marked_text *out, size_t limit, pdk_error *err)
{
    size_t done = 0, from = 0;
    while (from <= in->text.length) {
        bool found;
        size_t start, end;
        pdk_status status = replace_find(step, state, in, from, &found, &start, &end, err);
        if (status == PDK_OK)
            status = normalize_check(out, limit, err);
        if (status != PDK_OK)
            return status;
        if (!found)
            break;
        copy(out, in, done, start);
        size_t at = start < in->text.length ? start : start - 1;
        marked_text_put(out, step->to, step->to_length, mark_at(in, at));
        done = from = end;
        if (start == end) { /* an empty match: on by one character */
            uint32_t code;
            from += end < in->text.length ? utf8_decode(in->text.data + end, in->text.length - end, &code) : 1;
        }
    }
    copy(out, in, done, in->text.length);
    return normalize_check(out, limit, err);
}

pdk_status normalize_replace(
    const struct normalizer *step, const struct marked_text *in, struct marked_text *out, size_t limit, pdk_error *err)
{
    if (in->text.length == 0)
        return PDK_OK;
    struct regex_state *state = NULL;
    if (step->regex != NULL) {
        state = regex_state_new(step->regex);
        if (state == NULL)
            return pdk_error_set(err, PDK_NO_MEMORY, "prompt", "out of memory");
    }
    pdk_status status = replace_all(step, state, in, out, limit, err);
    regex_state_free(state);
    return status;
}

pdk_status normalizers_apply(
    const struct normalizers *steps, struct marked_text *text, struct marked_text *other, size_t whole, pdk_error *err)
{
    size_t limit = whole > (SIZE_MAX - GROWTH_FREE) / GROWTH ? SIZE_MAX : whole * GROWTH + GROWTH_FREE;
    for (size_t i = 0; i < steps->count; i++) {
        buffer_clear(&other->text);
        buffer_clear(&other->marks);
        other->tracked = text->tracked;
        pdk_status status = steps->steps[i].apply(&steps->steps[i], text, other, limit, err);
        if (status != PDK_OK)
            return status;
        struct marked_text before = *text;
        *text = *other;
        *other = before;
    }
    return PDK_OK;
}
