/* A tokenizer of libconfig's lexical rules, reduced to what must be known: where texts and comments are, and numbers. */
#include "config.h"

#include "core/spec/conf_scan.h"

#include "core/base/error.h"
#include "core/base/utf8.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES_MAX = 1 << 20, DEPTH_MAX = 64, VALUES_MAX = 10000, NUMBER_MAX = 64 };

struct scan {
    const char *text; /* NUL-free */
    size_t length, at;
    unsigned line;
    size_t depth, values;
    pdk_error *err;
};

static pdk_status fail(struct scan *s, const char *what)
{
    return pdk_error_set(s->err, PDK_INVALID, "conf", "%s at line %u", what, s->line);
}

static char peek(const struct scan *s, size_t ahead)
{
    return s->at + ahead < s->length ? s->text[s->at + ahead] : '\0';
}

static void skip_line(struct scan *s)
{
    while (s->at < s->length && s->text[s->at] != '\n')
        s->at++;
}

static pdk_status skip_block_comment(struct scan *s)
{
    s->at += 2;
    while (s->at < s->length) {
        if (peek(s, 0) == '*' && peek(s, 1) == '/') {
            s->at += 2;
            return PDK_OK;
        }
        s->line += s->text[s->at++] == '\n';
    }
    return fail(s, "unterminated comment");
}

static pdk_status skip_text(struct scan *s)
{
    for (s->at++; s->at < s->length; s->at++) {
        char c = s->text[s->at];
        if (c == '\n')
            s->line++;
        if (c == '"') {
            s->at++;
            return PDK_OK;
        }
        if (c != '\\')
            continue;
        if (peek(s, 1) == 'x' && peek(s, 2) == '0' && peek(s, 3) == '0')
            return fail(s, "NUL in a text");
        if (peek(s, 1) == '\n')
            s->line++;
        s->at++;
    }
    return fail(s, "unterminated text");
}

static pdk_status out_of_range(struct scan *s, const char *number, bool wide)
{
    return pdk_error_value(s->err, PDK_INVALID, "conf", number, "the integer %s does not fit %s at line %u", number,
        wide ? "64 bits" : "32 bits (write it with an L behind)", s->line);
}

static pdk_status check_integer(struct scan *s, const char *number, const char *suffix)
{
    bool negative = number[0] == '-';
    const char *digits = number + (number[0] == '-' || number[0] == '+');
    bool hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
    bool wide = *suffix == 'L';
    errno = 0;
    uint64_t magnitude = strtoull(hex ? digits + 2 : digits, NULL, hex ? 16 : 10);
    uint64_t most = hex ? (wide ? UINT64_MAX : UINT32_MAX) : (uint64_t)(wide ? INT64_MAX : INT32_MAX) + negative;
    if (errno != 0 || magnitude > most)
        return out_of_range(s, number, wide);
    return PDK_OK;
}

/* A run that starts like a number. What is no number after all is libconfig's to refuse. */
static pdk_status check_number(struct scan *s)
{
    char number[NUMBER_MAX];
    size_t length = 0;
    while (s->at + length < s->length && length < sizeof number) {
        char c = s->text[s->at + length];
        bool sign = (c == '-' || c == '+') && (length == 0 || tolower((unsigned char)number[length - 1]) == 'e');
        if (!isalnum((unsigned char)c) && c != '.' && !sign)
            break;
        number[length++] = c;
    }
    if (length == sizeof number)
        return fail(s, "a number of more than 63 letters");
    number[length] = '\0';
    s->at += length;
    const char *digits = number + (number[0] == '-' || number[0] == '+');
    if (!isdigit((unsigned char)digits[0]) && digits[0] != '.')
        return PDK_OK;
    bool hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
    if (!hex && strpbrk(digits, ".eE") != NULL)
        return isfinite(strtod(number, NULL)) ? PDK_OK : fail(s, "a number out of range");
    return check_integer(s, number, number + strcspn(number, "L"));
}

static pdk_status scan_token(struct scan *s)
{
    char c = peek(s, 0);
    if (c == '"') {
        s->values++;
        return skip_text(s);
    }
    if (isalpha((unsigned char)c) || c == '*' || c == '_') {
        while (isalnum((unsigned char)peek(s, 0)) || (peek(s, 0) != '\0' && strchr("-_*", peek(s, 0)) != NULL))
            s->at++;
        s->values++;
        return PDK_OK;
    }
    if (isdigit((unsigned char)c) || c == '-' || c == '+' || c == '.') {
        s->values++;
        return check_number(s);
    }
    if (c == '@')
        return fail(s, "@include is not allowed");
    if (c == '{' || c == '(' || c == '[') {
        s->values++;
        if (++s->depth > DEPTH_MAX)
            return fail(s, "nested deeper than 64 levels");
    }
    if ((c == '}' || c == ')' || c == ']') && s->depth > 0)
        s->depth--;
    s->at++;
    return PDK_OK;
}

static pdk_status scan_all(struct scan *s)
{
    while (s->at < s->length) {
        char c = peek(s, 0);
        pdk_status status = PDK_OK;
        if (c == '\n') {
            s->line++;
            s->at++;
        } else if (c == ' ' || c == '\t' || c == '\r' || c == '\f') {
            s->at++;
        } else if (c == '#' || (c == '/' && peek(s, 1) == '/')) {
            skip_line(s);
        } else if (c == '/' && peek(s, 1) == '*') {
            status = skip_block_comment(s);
        } else {
            status = scan_token(s);
        }
        if (status != PDK_OK)
            return status;
        if (s->values > 2 * VALUES_MAX) /* a name and its value each count */
            return fail(s, "more than 10000 values");
    }
    return PDK_OK;
}

pdk_status conf_scan(const char *text, size_t length, pdk_error *err)
{
    if (length > BYTES_MAX)
        return pdk_error_set(err, PDK_TOO_LARGE, "conf", "%zu bytes; the limit is %d", length, BYTES_MAX);
    struct scan s = {.text = text, .length = length, .line = 1, .err = err};
    if (memchr(text, '\0', length) != NULL)
        return pdk_error_set(err, PDK_INVALID, "conf", "NUL in the file");
    size_t bad;
    if (!utf8_valid(text, length, &bad))
        return pdk_error_set(err, PDK_INVALID, "conf", "invalid UTF-8 at byte %zu", bad);
    return scan_all(&s);
}
