/* runtimes/huggingface/tokenizer/unicode.h: the classes of characters that tokenizer files speak of. */
#pragma once

#include "core/base/utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <utf8proc.h>

/* Unicode's White_Space. */
static inline bool char_is_white(uint32_t c)
{
    return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
           c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

static inline utf8proc_category_t char_category(uint32_t c)
{
    return utf8proc_category((utf8proc_int32_t)c);
}

static inline bool char_is_number(uint32_t c)
{
    utf8proc_category_t category = char_category(c);
    return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
}

static inline bool char_is_mark(uint32_t c)
{
    utf8proc_category_t category = char_category(c);
    return category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
}

static inline bool char_is_punctuation(uint32_t c)
{
    if (c < 0x80)
        return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
    utf8proc_category_t category = char_category(c);
    return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

/* Control, format, unassigned, private: category C. */
static inline bool char_is_other(uint32_t c)
{
    utf8proc_category_t category = char_category(c);
    return category == UTF8PROC_CATEGORY_CN || category >= UTF8PROC_CATEGORY_CC;
}

/* A letter, mark, digit or connector: what \w means. */
static inline bool char_is_word(uint32_t c)
{
    utf8proc_category_t category = char_category(c);
    return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NL) || category == UTF8PROC_CATEGORY_PC;
}

/* The character that ends at `text + end`, in valid UTF-8; returns its length. */
static inline size_t utf8_before(const char *text, size_t end, uint32_t *ret_code)
{
    size_t start = end - 1;
    while (start > 0 && ((unsigned char)text[start] & 0xC0) == 0x80)
        start--;
    return utf8_decode(text + start, end - start, ret_code);
}
