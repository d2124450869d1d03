/* Printable Latin-1 stands for itself, the 68 others follow from U+0100 on, in order. */
#include "config.h"

#include "runtimes/huggingface/tokenizer/bytes.h"

#include "core/base/utf8.h"

static bool is_printable(unsigned byte)
{
    return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

uint32_t byte_to_char(uint8_t byte)
{
    if (is_printable(byte))
        return byte;
    if (byte <= ' ')
        return 0x100u + byte;
    return byte <= 0xA0 ? 0x121u + (byte - 0x7Fu) : 0x143; /* 0x7F to 0xA0, then 0xAD */
}

int char_to_byte(uint32_t code)
{
    if (code < 0x100)
        return is_printable(code) ? (int)code : -1;
    if (code <= 0x120)
        return (int)(code - 0x100);
    if (code <= 0x142)
        return (int)(code - 0x121 + 0x7F);
    return code == 0x143 ? 0xAD : -1;
}

void bytes_spell(struct buffer *out, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char text[4];
        buffer_put(out, text, utf8_encode(byte_to_char((uint8_t)bytes[i]), text));
    }
}

bool bytes_unspell(struct buffer *out, const char *text, size_t length)
{
    size_t before = out->length;
    for (size_t i = 0; i < length;) {
        uint32_t code = 0;
        size_t step = utf8_decode(text + i, length - i, &code);
        int byte = step == 0 ? -1 : char_to_byte(code);
        if (byte < 0) {
            out->length = before;
            return false;
        }
        buffer_putc(out, (char)byte);
        i += step;
    }
    return true;
}

/* How many bytes at `text`, none of which starts a whole character, are a character's beginning: at least 1. */
static size_t broken_length(const unsigned char *s, size_t left)
{
    size_t need = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
    if (s[0] < 0xC2 || s[0] > 0xF4 || left < 2)
        return 1;
    unsigned low = s[0] == 0xE0 ? 0xA0 : s[0] == 0xF0 ? 0x90 : 0x80;
    unsigned high = s[0] == 0xED ? 0x9F : s[0] == 0xF4 ? 0x8F : 0xBF;
    if (s[1] < low || s[1] > high)
        return 1;
    size_t good = 2;
    while (good < need && good < left && (s[good] & 0xC0) == 0x80)
        good++;
    return good;
}

void bytes_to_text(struct buffer *out, const char *bytes, size_t length)
{
    size_t start = 0;
    for (size_t i = 0; i < length;) {
        uint32_t code;
        size_t step = utf8_decode(bytes + i, length - i, &code);
        if (step != 0) {
            i += step;
            continue;
        }
        buffer_put(out, bytes + start, i - start);
        buffer_puts(out, "\xEF\xBF\xBD");
        i += broken_length((const unsigned char *)bytes + i, length - i);
        start = i;
    }
    if (length != 0)
        buffer_put(out, bytes + start, length - start);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

int byte_of_piece(const char *piece, size_t length)
{
    if (length != 6 || piece[0] != '<' || piece[1] != '0' || piece[2] != 'x' || piece[5] != '>')
        return -1;
    int high = hex_digit(piece[3]), low = hex_digit(piece[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}
