/* SentencePiece's map: a double-array trie (Darts-clone) from a text to an offset into a blob of replacements, each
 * ended by NUL. Every step and offset is checked against the sizes, so that a broken map gives wrong text and nothing
 * worse. */
#include "config.h"

#include "runtimes/huggingface/tokenizer/normalize.h"

#include "core/base/error.h"
#include "core/base/span.h"
#include "runtimes/huggingface/tokenizer/unicode.h"

#include <stdlib.h>
#include <string.h>

enum { CHARSMAP_MAX = 8 << 20, GRAPHEME_SHORT = 6 };

struct charsmap {
    uint32_t *units;
    size_t unit_count;
    char *blob; /* NUL behind */
    size_t blob_length;
};

struct charsmap *charsmap_free(struct charsmap *map)
{
    if (map != NULL) {
        free(map->units);
        free(map->blob);
        free(map);
    }
    return NULL;
}

pdk_status charsmap_new(const void *bytes, size_t length, struct charsmap **ret_map, pdk_error *err)
{
    struct span span = span_of(bytes, length);
    uint32_t trie_bytes = 0;
    if (!span_u32(&span, &trie_bytes) || trie_bytes > span.left || trie_bytes % 4 != 0 || trie_bytes == 0)
        return pdk_error_set(
            err, PDK_INVALID, "precompiled_charsmap", "trie of %u bytes in a map of %zu", trie_bytes, length);
    struct charsmap *map = calloc(1, sizeof *map);
    if (map == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "precompiled_charsmap", "out of memory");
    map->unit_count = trie_bytes / 4;
    map->blob_length = span.left - trie_bytes;
    map->units = calloc(map->unit_count, sizeof *map->units);
    map->blob = calloc(map->blob_length + 1, 1);
    if (map->units == NULL || map->blob == NULL) {
        charsmap_free(map);
        return pdk_error_set(err, PDK_NO_MEMORY, "precompiled_charsmap", "out of memory");
    }
    span_copy(&span, map->units, trie_bytes);
    span_copy(&span, map->blob, map->blob_length);
    *ret_map = map;
    return PDK_OK;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

pdk_status charsmap_load(const char *base64, size_t length, struct charsmap **ret_map, pdk_error *err)
{
    if (length > CHARSMAP_MAX)
        return pdk_error_set(
            err, PDK_INVALID, "precompiled_charsmap", "%zu bytes; the limit is %d", length, CHARSMAP_MAX);
    struct buffer bytes = {0};
    uint32_t bits = 0, have = 0;
    while (length > 0 && base64[length - 1] == '=')
        length--;
    for (size_t i = 0; i < length; i++) {
        int digit = base64_digit(base64[i]);
        if (digit < 0) {
            buffer_done(&bytes);
            return pdk_error_set(err, PDK_INVALID, "precompiled_charsmap", "not base64 at byte %zu", i);
        }
        bits = bits << 6 | (uint32_t)digit;
        have += 6;
        if (have >= 8) {
            have -= 8;
            buffer_putc(&bytes, (char)(bits >> have));
        }
    }
    pdk_status status = bytes.failed ? pdk_error_set(err, PDK_NO_MEMORY, "precompiled_charsmap", "out of memory")
                                     : charsmap_new(bytes.data, bytes.length, ret_map, err);
    buffer_done(&bytes);
    return status;
}

static size_t unit_offset(uint32_t unit)
{
    return (size_t)(unit >> 10) << ((unit & (1u << 9)) >> 6);
}

/* The replacement of the shortest prefix of `text` that has one, or NULL. */
static const char *map_find(const struct charsmap *map, const char *text, size_t length)
{
    size_t at = unit_offset(map->units[0]);
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = (uint8_t)text[i];
        if (byte == 0)
            return NULL;
        at ^= byte;
        if (at >= map->unit_count)
            return NULL;
        uint32_t unit = map->units[at];
        if ((unit & ((1u << 31) | 0xFF)) != byte)
            return NULL;
        at ^= unit_offset(unit);
        if (at >= map->unit_count)
            return NULL;
        if ((unit >> 8 & 1) != 0) { /* has a leaf: its value is an offset */
            size_t offset = map->units[at] & ((1u << 31) - 1);
            return offset < map->blob_length ? map->blob + offset : NULL;
        }
    }
    return NULL;
}

/* The end of the grapheme that starts at `start`: what a reader sees as one character. */
static size_t grapheme_end(const char *text, size_t start, size_t length)
{
    uint32_t before = 0;
    utf8proc_int32_t state = 0;
    size_t at = start + utf8_decode(text + start, length - start, &before);
    while (at < length) {
        uint32_t code = 0;
        size_t size = utf8_decode(text + at, length - at, &code);
        if (utf8proc_grapheme_break_stateful((utf8proc_int32_t)before, (utf8proc_int32_t)code, &state))
            break;
        before = code;
        at += size;
    }
    return at;
}

/* As the reference library does: a short grapheme as a whole if it has a replacement, else character by character. */
pdk_status normalize_charsmap(
    const struct normalizer *step, const struct marked_text *in, struct marked_text *out, size_t limit, pdk_error *err)
{
    const char *text = in->text.data;
    for (size_t i = 0; i < in->text.length;) {
        size_t end = grapheme_end(text, i, in->text.length);
        char mark = in->tracked && memchr(in->marks.data + i, 1, end - i) != NULL;
        const char *whole = end - i < GRAPHEME_SHORT ? map_find(step->charsmap, text + i, end - i) : NULL;
        if (whole != NULL)
            marked_text_put(out, whole, strlen(whole), mark);
        for (size_t at = i; whole == NULL && at < end;) {
            uint32_t code;
            size_t size = utf8_decode(text + at, end - at, &code);
            const char *part = map_find(step->charsmap, text + at, size);
            if (part != NULL)
                marked_text_put(out, part, strlen(part), mark);
            else
                marked_text_put(out, text + at, size, mark);
            at += size;
        }
        pdk_status status = normalize_check(out, limit, err);
        if (status != PDK_OK)
            return status;
        i = end;
    }
    return PDK_OK;
}
