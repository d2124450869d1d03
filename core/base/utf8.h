/* core/base/utf8.h: UTF-8 by RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Length of the well-formed character at `text` (1 to 4), or 0. Sets *ret_code then. */
static inline size_t utf8_decode(const char *text, size_t left, uint32_t *ret_code)
{
    const unsigned char *s = (const unsigned char *)text;
    if (left == 0)
        return 0;
    if (s[0] < 0x80) {
        *ret_code = s[0];
        return 1;
    }
    size_t need = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
    if (s[0] < 0xC2 || s[0] > 0xF4 || left < need)
        return 0;
    uint32_t code = s[0] & (0x7Fu >> need);
    for (size_t i = 1; i < need; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return 0;
        code = code << 6 | (s[i] & 0x3Fu);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < least[need] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
        return 0;
    *ret_code = code;
    return need;
}

/* Writes `code` to out[4]; returns the bytes written. */
static inline size_t utf8_encode(uint32_t code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3F));
        out[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code >> 6 & 0x3F));
    out[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

/* Whether all of it is well formed; *ret_bad is the offset of the first byte that is not. */
static inline bool utf8_valid(const char *text, size_t length, size_t *ret_bad)
{
    for (size_t i = 0; i < length;) {
        uint32_t code;
        size_t step = utf8_decode(text + i, length - i, &code);
        if (step == 0) {
            *ret_bad = i;
            return false;
        }
        i += step;
    }
    return true;
}

/* Makes another program's words fit for one line of a terminal and for JSON: control characters become spaces, what is
 * no UTF-8 becomes '?'. Never longer than it was. */
static inline void utf8_make_plain(char *text)
{
    size_t left = strlen(text);
    while (left > 0) {
        uint32_t code;
        size_t step = utf8_decode(text, left, &code);
        if (step == 0)
            *text = '?';
        else if (code < 0x20 || (code >= 0x7F && code < 0xA0))
            memset(text, ' ', step);
        step += step == 0;
        text += step;
        left -= step;
    }
}
