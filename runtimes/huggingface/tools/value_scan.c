/* A machine of a state a byte; brackets are a stack of bits. Numbers and names are collected, as what they come to
 * depends on all of them: Python's way of writing numbers is what clients know. */
#include "config.h"

#include "runtimes/huggingface/tools/value_scan.h"

#include "core/base/json.h"
#include "core/base/utf8.h"
#include "runtimes/huggingface/tools/window.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WANT_VALUE,
    WANT_FIRST, /* a value, or the end of a list */
    WANT_KEY,   /* a key, or the end of an object */
    WANT_COLON,
    WANT_COMMA,
    IN_STRING,
    IN_ESCAPE,
    IN_CODE,
    IN_WORD,
    IS_DONE,
};

void value_scan_init(struct value_scan *scan, enum value_form form)
{
    *scan = (struct value_scan){.form = form};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static void put(const struct value_scan *scan, struct buffer *out, const char *text)
{
    if (scan->form != VALUE_RAW)
        buffer_puts(out, text);
}

static void put_code(struct buffer *out, uint32_t code)
{
    char bytes[4];
    if (code >= 0xD800 && code < 0xE000) /* half a pair has no UTF-8 */
        buffer_printf(out, "\\u%04x", (unsigned)code);
    else if (code == '"' || code == '\\')
        buffer_printf(out, "\\%c", (char)code);
    else if (code < 0x20) {
        static const char names[] = "btn\0fr";
        char name = code >= 8 && code <= 13 ? names[code - 8] : '\0';
        if (name != '\0')
            buffer_printf(out, "\\%c", name);
        else
            buffer_printf(out, "\\u%04x", (unsigned)code);
    } else {
        buffer_put(out, bytes, utf8_encode(code, bytes));
    }
}

/* A first half of a pair that no second one follows. */
static void put_half(struct value_scan *scan, struct buffer *out)
{
    if (scan->high != 0)
        put_code(out, scan->high);
    scan->high = 0;
}

static void put_escaped(struct value_scan *scan, uint32_t code, struct buffer *out)
{
    if (scan->form == VALUE_RAW)
        return;
    if (scan->high != 0 && code >= 0xDC00 && code < 0xE000) {
        code = 0x10000 + ((scan->high - 0xD800) << 10) + (code - 0xDC00);
        scan->high = 0;
    }
    put_half(scan, out);
    if (code >= 0xD800 && code < 0xDC00)
        scan->high = code;
    else
        put_code(out, code);
}

static enum value_end closed(struct value_scan *scan)
{
    scan->state = scan->depth == 0 ? IS_DONE : WANT_COMMA;
    scan->filled = true;
    return VALUE_MORE;
}

static enum value_end open_bracket(struct value_scan *scan, char c, struct buffer *out)
{
    if (scan->depth == VALUE_DEPTH_MAX)
        return VALUE_BAD;
    uint64_t bit = (uint64_t)1 << scan->depth++;
    scan->objects = c == '{' ? scan->objects | bit : scan->objects & ~bit;
    scan->state = c == '{' ? WANT_KEY : WANT_FIRST;
    scan->filled = false;
    put(scan, out, c == '{' ? "{" : "[");
    return VALUE_MORE;
}

static bool in_object(const struct value_scan *scan)
{
    return scan->depth > 0 && (scan->objects >> (scan->depth - 1) & 1) != 0;
}

static enum value_end close_bracket(struct value_scan *scan, struct buffer *out)
{
    put(scan, out, in_object(scan) ? "}" : "]");
    scan->depth--;
    return closed(scan);
}

static enum value_end open_string(struct value_scan *scan, char c, bool key, struct buffer *out)
{
    scan->quote = c;
    scan->key = key;
    scan->state = IN_STRING;
    put(scan, out, "\"");
    return VALUE_MORE;
}

static bool begins_string(const struct value_scan *scan, char c)
{
    return c == '"' || (scan->form == VALUE_PYTHON && c == '\'');
}

static enum value_end begin_value(struct value_scan *scan, char c, struct buffer *out)
{
    if (is_blank(c))
        return VALUE_MORE;
    if (c == '{' || c == '[')
        return open_bracket(scan, c, out);
    if (begins_string(scan, c))
        return open_string(scan, c, false, out);
    bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
                (scan->form == VALUE_PYTHON && (c == '+' || c == '.'));
    if (!word)
        return VALUE_BAD;
    scan->state = IN_WORD;
    scan->word[0] = c;
    scan->word_length = 1;
    return VALUE_MORE;
}

static enum value_end begin_key(struct value_scan *scan, char c, struct buffer *out)
{
    /* A comma may stand before the end in Python only. */
    if (c == '}' && (!scan->filled || scan->form == VALUE_PYTHON))
        return close_bracket(scan, out);
    if (is_blank(c))
        return VALUE_MORE;
    if (!begins_string(scan, c))
        return VALUE_BAD;
    if (scan->filled)
        put(scan, out, ", ");
    return open_string(scan, c, true, out);
}

static enum value_end after_value(struct value_scan *scan, char c, struct buffer *out)
{
    if (is_blank(c))
        return VALUE_MORE;
    if (c == (in_object(scan) ? '}' : ']'))
        return close_bracket(scan, out);
    if (c != ',')
        return VALUE_BAD;
    scan->state = in_object(scan) ? WANT_KEY : WANT_FIRST;
    return VALUE_MORE;
}

static enum value_end begin_element(struct value_scan *scan, char c, struct buffer *out)
{
    if (c == ']' && (!scan->filled || scan->form == VALUE_PYTHON))
        return close_bracket(scan, out);
    if (is_blank(c))
        return VALUE_MORE;
    if (scan->filled)
        put(scan, out, ", ");
    return begin_value(scan, c, out);
}

/* The shortest digits that read back, laid out as Python's repr. */
static void put_double(struct buffer *out, double value)
{
    if (isinf(value)) {
        buffer_puts(out, value < 0 ? "-Infinity" : "Infinity");
        return;
    }
    char text[40];
    int precision = 0;
    do
        snprintf(text, sizeof text, "%.*e", precision, value);
    while (strtod(text, NULL) != value && precision++ < 17);
    char *mark = strchr(text, 'e');
    long exponent = mark != NULL ? strtoll(mark + 1, NULL, 10) : 0;
    if (exponent < -4 || exponent >= 16) {
        buffer_puts(out, text);
        return;
    }
    int decimals = precision > exponent ? precision - (int)exponent : 1;
    buffer_printf(out, "%.*f", decimals, value);
}

/* What follows an optional sign: digits, a fraction, an exponent. */
static bool is_number(const char *text, bool loose, bool *ret_integer)
{
    const char *at = text + (*text == '-' || (loose && *text == '+'));
    size_t digits = strspn(at, "0123456789"), fraction = 0;
    if (!loose && (digits == 0 || (digits > 1 && *at == '0')))
        return false;
    at += digits;
    *ret_integer = true;
    if (*at == '.') {
        fraction = strspn(at + 1, "0123456789");
        if (fraction == 0 && !loose)
            return false;
        at += 1 + fraction;
        *ret_integer = false;
    }
    if (digits + fraction == 0)
        return false;
    /* Python has zeros before a fraction, and before zero. */
    if (digits > 1 && *ret_integer && *at == '\0' && *(at - digits) == '0')
        return strspn(at - digits, "0") == digits;
    if (*at == 'e' || *at == 'E') {
        at += 1 + (at[1] == '-' || at[1] == '+');
        size_t power = strspn(at, "0123456789");
        if (power == 0)
            return false;
        at += power;
        *ret_integer = false;
    }
    return *at == '\0';
}

static const char *constant(const struct value_scan *scan)
{
    static const struct {
        const char *python, *json;
    } names[] = {
        {"True", "true"}, {"False", "false"}, {"None", "null"}, {"true", "true"}, {"false", "false"}, {"null", "null"}};
    for (size_t i = scan->form == VALUE_PYTHON ? 0 : 3; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(scan->word, names[i].python) == 0)
            return names[i].json;
    return NULL;
}

static enum value_end end_word(struct value_scan *scan, struct buffer *out)
{
    bool integer = false;
    scan->word[scan->word_length] = '\0';
    const char *name = constant(scan);
    if (name == NULL && !is_number(scan->word, scan->form == VALUE_PYTHON, &integer))
        return VALUE_BAD;
    if (scan->form == VALUE_RAW)
        return closed(scan);
    if (name != NULL)
        buffer_puts(out, name);
    else if (!integer)
        put_double(out, strtod(scan->word, NULL));
    else if (strspn(scan->word, "+-0") == scan->word_length)
        buffer_puts(out, "0");
    else
        buffer_puts(out, scan->word + (scan->word[0] == '+'));
    return closed(scan);
}

static enum value_end end_string(struct value_scan *scan, struct buffer *out)
{
    put_half(scan, out);
    put(scan, out, "\"");
    if (!scan->key)
        return closed(scan);
    scan->state = WANT_COLON;
    return VALUE_MORE;
}

static enum value_end string_byte(struct value_scan *scan, char c, struct buffer *out)
{
    if (c == scan->quote)
        return end_string(scan, out);
    if (c == '\\') {
        scan->state = IN_ESCAPE;
        return VALUE_MORE;
    }
    if (scan->high != 0)
        put_half(scan, out);
    if ((unsigned char)c < 0x20) {
        if (scan->form != VALUE_PYTHON)
            return VALUE_BAD;
        put_code(out, (unsigned char)c);
    } else if (c == '"' && scan->form == VALUE_PYTHON) {
        buffer_puts(out, "\\\"");
    } else if (scan->form != VALUE_RAW) {
        buffer_putc(out, c);
    }
    return VALUE_MORE;
}

static enum value_end escape_byte(struct value_scan *scan, char c, struct buffer *out)
{
    static const char names[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    const char *found = c != '\0' ? strchr(names, c) : NULL;
    scan->state = IN_STRING;
    if (c == 'u' || (c == 'x' && scan->form == VALUE_PYTHON)) {
        scan->state = IN_CODE;
        scan->code = 0;
        scan->digits = c == 'u' ? 4 : 2;
    } else if (found != NULL && !(c == '/' && scan->form == VALUE_PYTHON)) {
        put_escaped(scan, (unsigned char)means[found - names], out);
    } else if (scan->form == VALUE_PYTHON && c == '\'') {
        put_escaped(scan, '\'', out);
    } else if (scan->form == VALUE_PYTHON) {
        put_half(scan, out);
        if (c != '\n') /* a line that goes on; any other escape is no escape */
            put_code(out, '\\');
        return c == '\n' ? VALUE_MORE : string_byte(scan, c, out);
    } else {
        return VALUE_BAD;
    }
    return VALUE_MORE;
}

static enum value_end code_byte(struct value_scan *scan, char c, struct buffer *out)
{
    uint32_t digit;
    if (c >= '0' && c <= '9')
        digit = (uint32_t)(c - '0');
    else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        digit = (uint32_t)((c | 0x20) - 'a' + 10);
    else
        return VALUE_BAD;
    scan->code = scan->code << 4 | digit;
    if (--scan->digits == 0) {
        scan->state = IN_STRING;
        put_escaped(scan, scan->code, out);
    }
    return VALUE_MORE;
}

static bool is_word_byte(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '+' ||
           c == '.' || c == '_';
}

static enum value_end one_byte(struct value_scan *scan, char c, struct buffer *out)
{
    switch (scan->state) {
    case WANT_VALUE: return begin_value(scan, c, out);
    case WANT_FIRST: return begin_element(scan, c, out);
    case WANT_KEY: return begin_key(scan, c, out);
    case WANT_COMMA: return after_value(scan, c, out);
    case IN_STRING: return string_byte(scan, c, out);
    case IN_ESCAPE: return escape_byte(scan, c, out);
    case IN_CODE: return code_byte(scan, c, out);
    case IN_WORD:
        if (scan->word_length == VALUE_WORD_MAX - 1)
            return VALUE_BAD;
        scan->word[scan->word_length++] = c;
        return VALUE_MORE;
    default: /* WANT_COLON */
        if (c == ':') {
            put(scan, out, ": ");
            scan->state = WANT_VALUE;
        }
        return c == ':' || is_blank(c) ? VALUE_MORE : VALUE_BAD;
    }
}

/* Special tokens are skipped inside strings, as they would be in plain text, and break all else. */
static enum value_end take_byte(struct value_scan *scan, char c, struct buffer *out)
{
    bool inside = scan->state == IN_STRING || scan->state == IN_ESCAPE || scan->state == IN_CODE;
    if (scan->special || c == MARK_OPEN) {
        scan->special = c != MARK_CLOSE;
        return inside ? VALUE_MORE : VALUE_BAD;
    }
    /* The blanks before a value are not part of it. */
    bool raw = scan->form == VALUE_RAW && !(scan->state == WANT_VALUE && scan->depth == 0 && is_blank(c));
    enum value_end end = one_byte(scan, c, out);
    if (raw && end != VALUE_BAD)
        buffer_putc(out, c);
    return end;
}

enum value_end value_scan_read(
    struct value_scan *scan, const char *text, size_t length, bool final, size_t *ret_taken, struct buffer *out)
{
    size_t i = 0;
    enum value_end end = VALUE_MORE;
    while (i < length && end == VALUE_MORE && scan->state != IS_DONE) {
        if (scan->state == IN_WORD && !is_word_byte(text[i]))
            end = end_word(scan, out);
        else
            end = take_byte(scan, text[i++], out);
    }
    if (end == VALUE_MORE && final && scan->state == IN_WORD)
        end = end_word(scan, out);
    *ret_taken = i;
    if (end != VALUE_BAD && scan->state == IS_DONE)
        return VALUE_DONE;
    return end == VALUE_MORE && final ? VALUE_BAD : end;
}

bool value_scan_all(enum value_form form, const char *text, size_t length, struct buffer *out)
{
    struct value_scan scan;
    size_t taken, before = out->length;
    value_scan_init(&scan, form);
    if (value_scan_read(&scan, text, length, true, &taken, out) == VALUE_DONE) {
        while (taken < length && is_blank(text[taken]))
            taken++;
        if (taken == length)
            return true;
    }
    out->length = before;
    if (out->data != NULL)
        out->data[before] = '\0';
    return false;
}
