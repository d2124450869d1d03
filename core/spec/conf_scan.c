/* Tokens, and a push-down automaton over them: for each open bracket what may come next. */
#include "config.h"

#include "core/spec/conf_scan.h"

#include "core/base/error.h"
#include "core/base/utf8.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { BYTES_MAX = 1 << 20, DEPTH_MAX = 64, VALUES_MAX = 10000, NUMBER_MAX = 64 };

/* What may come next in the innermost bracket. */
enum expected {
    NAME,          /* a setting's name, or the end of the group */
    ASSIGNMENT,    /* = or : */
    VALUE,         /* of a setting */
    AFTER_SETTING, /* ; or , or the next name or the end */
    FIRST_ELEMENT, /* of a list or array, or its end */
    ELEMENT,       /* after a comma */
    AFTER_ELEMENT  /* a comma or the end */
};

struct level {
    char open; /* '{' of a group and of the file, '(' of a list, '[' of an array */
    enum expected expected;
    bool after_text; /* another text may follow: they are joined */
};

struct scan {
    const char *text; /* NUL-free */
    size_t length, at;
    unsigned line;
    struct level levels[DEPTH_MAX + 1];
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

/* ---- the automaton */

static pdk_status unexpected(struct scan *s, const char *found)
{
    static const char *const wanted[] = {
        [NAME] = "a setting's name or the end of its group",
        [ASSIGNMENT] = "'=' behind a setting's name",
        [VALUE] = "a value",
        [AFTER_SETTING] = "';'",
        [FIRST_ELEMENT] = "a value or the end of the list",
        [ELEMENT] = "a value behind ','",
        [AFTER_ELEMENT] = "',' or the end of the list",
    };
    return pdk_error_set(s->err, PDK_INVALID, "conf", "expected %s, found %s at line %u",
        wanted[s->levels[s->depth].expected], found, s->line);
}

static pdk_status take_value(struct scan *s, const char *found, bool text, bool leaf)
{
    struct level *level = &s->levels[s->depth];
    if (text && level->after_text)
        return PDK_OK; /* joined with the one before */
    bool element = level->expected == FIRST_ELEMENT || level->expected == ELEMENT;
    if (level->expected != VALUE && !element)
        return unexpected(s, found);
    if (level->open == '[' && !leaf)
        return fail(s, "an array [ ] holds numbers, texts or booleans; a list is ( )");
    if (++s->values > VALUES_MAX)
        return fail(s, "more than 10000 values");
    level->expected = element ? AFTER_ELEMENT : AFTER_SETTING;
    level->after_text = text;
    return PDK_OK;
}

static pdk_status take_open(struct scan *s, char bracket)
{
    const char found[] = {'\'', bracket, '\'', '\0'};
    pdk_status status = take_value(s, found, false, false);
    if (status != PDK_OK)
        return status;
    if (s->depth == DEPTH_MAX)
        return fail(s, "nested deeper than 64 levels");
    s->levels[++s->depth] = (struct level){.open = bracket, .expected = bracket == '{' ? NAME : FIRST_ELEMENT};
    return PDK_OK;
}

static pdk_status take_close(struct scan *s, char bracket)
{
    const char found[] = {'\'', bracket, '\'', '\0'};
    char open = bracket == '}' ? '{' : bracket == ')' ? '(' : '[';
    const struct level *level = &s->levels[s->depth];
    bool complete = level->expected == NAME || level->expected == AFTER_SETTING || level->expected == FIRST_ELEMENT ||
                    level->expected == AFTER_ELEMENT;
    if (s->depth == 0 || level->open != open || !complete)
        return unexpected(s, found);
    s->depth--;
    return PDK_OK;
}

static pdk_status take_punctuation(struct scan *s, char c)
{
    const char found[] = {'\'', c, '\'', '\0'};
    struct level *level = &s->levels[s->depth];
    level->after_text = false;
    if ((c == '=' || c == ':') && level->expected == ASSIGNMENT)
        level->expected = VALUE;
    else if ((c == ';' || c == ',') && level->expected == AFTER_SETTING)
        level->expected = NAME;
    else if (c == ',' && level->expected == AFTER_ELEMENT)
        level->expected = ELEMENT;
    else
        return unexpected(s, found);
    return PDK_OK;
}

/* A name of a setting, or true and false. */
static pdk_status take_word(struct scan *s)
{
    const char *word = s->text + s->at;
    size_t length = 0;
    while (
        isalnum((unsigned char)peek(s, length)) || (peek(s, length) != '\0' && strchr("-_*", peek(s, length)) != NULL))
        length++;
    s->at += length;
    struct level *level = &s->levels[s->depth];
    if ((length == 4 && strncasecmp(word, "true", 4) == 0) || (length == 5 && strncasecmp(word, "false", 5) == 0))
        return take_value(s, "a boolean", false, true);
    if (level->expected != NAME && level->expected != AFTER_SETTING)
        return unexpected(s, "a name (texts stand in quotes)");
    level->expected = ASSIGNMENT;
    level->after_text = false;
    return PDK_OK;
}

/* ---- tokens */

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

static pdk_status take_text(struct scan *s)
{
    pdk_status status = take_value(s, "a text", true, true);
    for (s->at++; s->at < s->length && status == PDK_OK; s->at++) {
        char c = s->text[s->at];
        s->line += c == '\n';
        if (c == '"') {
            s->at++;
            return PDK_OK;
        }
        if (c != '\\')
            continue;
        if (peek(s, 1) == 'x' && peek(s, 2) == '0' && peek(s, 3) == '0')
            return fail(s, "NUL in a text");
        s->line += peek(s, 1) == '\n';
        s->at++;
    }
    return status != PDK_OK ? status : fail(s, "unterminated text");
}

static pdk_status out_of_range(struct scan *s, const char *number, bool wide)
{
    return pdk_error_value(s->err, PDK_INVALID, "conf", number, "the integer %s does not fit %s at line %u", number,
        wide ? "64 bits" : "32 bits (write it with an L behind)", s->line);
}

static pdk_status not_a_number(struct scan *s, const char *text)
{
    return pdk_error_value(s->err, PDK_INVALID, "conf", text, "'%s' is no number at line %u", text, s->line);
}

/* [-+]? digits L{0,2}, or 0x hex-digits L{0,2} */
static pdk_status check_integer(struct scan *s, const char *number)
{
    bool negative = number[0] == '-';
    const char *digits = number + (number[0] == '-' || number[0] == '+');
    bool hex = number[0] == '0' && (number[1] == 'x' || number[1] == 'X');
    digits += hex ? 2 : 0;
    size_t count = strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789"), marks = strspn(digits + count, "L");
    if (count == 0 || marks > 2 || digits[count + marks] != '\0')
        return not_a_number(s, number);
    errno = 0;
    uint64_t magnitude = strtoull(digits, NULL, hex ? 16 : 10);
    uint64_t most = hex ? (marks ? UINT64_MAX : UINT32_MAX) : (uint64_t)(marks ? INT64_MAX : INT32_MAX) + negative;
    return errno != 0 || magnitude > most ? out_of_range(s, number, marks != 0) : PDK_OK;
}

/* [-+]? digits . digits ([eE] [-+]? digits)?, the digits of one side left out at most; the point is never. */
static pdk_status check_real(struct scan *s, const char *number)
{
    const char *at = number + (number[0] == '-' || number[0] == '+');
    size_t whole = strspn(at, "0123456789");
    if (at[whole] != '.')
        return not_a_number(s, number);
    size_t fraction = strspn(at + whole + 1, "0123456789");
    at += whole + 1 + fraction;
    if (*at == 'e' || *at == 'E') {
        at += 1 + (at[1] == '-' || at[1] == '+');
        size_t exponent = strspn(at, "0123456789");
        at += exponent;
        if (exponent == 0)
            return not_a_number(s, number);
    }
    if (whole + fraction == 0 || *at != '\0')
        return not_a_number(s, number);
    return isfinite(strtod(number, NULL)) ? PDK_OK : fail(s, "a number out of range");
}

static pdk_status take_number(struct scan *s)
{
    char number[NUMBER_MAX];
    size_t length = 0;
    while (length < sizeof number) {
        char c = peek(s, length);
        bool sign = (c == '-' || c == '+') && (length == 0 || tolower((unsigned char)number[length - 1]) == 'e');
        if (!isalnum((unsigned char)c) && c != '.' && !sign)
            break;
        number[length++] = c;
    }
    if (length == sizeof number)
        return fail(s, "a number of more than 63 letters");
    number[length] = '\0';
    s->at += length;
    pdk_status status = take_value(s, "a number", false, true);
    if (status != PDK_OK)
        return status;
    bool hex = number[0] == '0' && (number[1] == 'x' || number[1] == 'X');
    return !hex && strpbrk(number, ".eE") != NULL ? check_real(s, number) : check_integer(s, number);
}

static pdk_status scan_token(struct scan *s)
{
    char c = peek(s, 0);
    if (c == '"')
        return take_text(s);
    if (isalpha((unsigned char)c) || c == '*')
        return take_word(s);
    if (isdigit((unsigned char)c) || c == '-' || c == '+' || c == '.')
        return take_number(s);
    if (c == '@')
        return fail(s, "@include is not allowed");
    s->at++;
    if (c == '{' || c == '(' || c == '[')
        return take_open(s, c);
    if (c == '}' || c == ')' || c == ']')
        return take_close(s, c);
    if (c == '=' || c == ':' || c == ';' || c == ',')
        return take_punctuation(s, c);
    const char found[] = {'\'', c, '\'', '\0'};
    return unexpected(s, (unsigned char)c >= 0x20 && (unsigned char)c < 0x7F ? found : "a strange byte");
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
    }
    if (s->depth > 0 || (s->levels[0].expected != NAME && s->levels[0].expected != AFTER_SETTING))
        return unexpected(s, "the end of the file");
    return PDK_OK;
}

pdk_status conf_scan(const char *text, size_t length, pdk_error *err)
{
    if (length > BYTES_MAX)
        return pdk_error_set(err, PDK_TOO_LARGE, "conf", "%zu bytes; the limit is %d", length, BYTES_MAX);
    struct scan s = {.text = text, .length = length, .line = 1, .err = err};
    s.levels[0] = (struct level){.open = '{', .expected = NAME};
    if (memchr(text, '\0', length) != NULL)
        return pdk_error_set(err, PDK_INVALID, "conf", "NUL in the file");
    size_t bad;
    if (!utf8_valid(text, length, &bad))
        return pdk_error_set(err, PDK_INVALID, "conf", "invalid UTF-8 at byte %zu", bad);
    return scan_all(&s);
}
