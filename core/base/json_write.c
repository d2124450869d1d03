/* See json.h. */
#include "config.h"

#include "core/base/json.h"

#include "core/base/utf8.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void json_escape(struct buffer *out, const char *text, size_t length)
{
    buffer_putc(out, '"');
    size_t plain = 0; /* start of the run that needs no escape */
    for (size_t i = 0; i < length;) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
            i++;
            continue;
        }
        uint32_t code = 0;
        size_t step = c < 0x80 ? 1 : utf8_decode(text + i, length - i, &code);
        if (c >= 0x80 && step != 0) {
            i += step;
            continue;
        }
        buffer_put(out, text + plain, i - plain);
        static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
        const char *found = c != 0 && c < 0x80 ? strchr(from, c) : NULL;
        if (step == 0)
            buffer_puts(out, "\xEF\xBF\xBD");
        else if (found != NULL)
            buffer_printf(out, "\\%c", to[found - from]);
        else
            buffer_printf(out, "\\u%04x", c);
        i++;
        plain = i;
    }
    buffer_put(out, text + plain, length - plain);
    buffer_putc(out, '"');
}

/* The comma before a value that follows another. */
static void begin_value(struct json_writer *writer)
{
    if (writer->after_key)
        writer->after_key = false;
    else if (writer->filled >> writer->depth & 1)
        buffer_putc(writer->out, ',');
    writer->filled |= 1u << writer->depth;
}

static void open_level(struct json_writer *writer, char bracket)
{
    begin_value(writer);
    assert(writer->depth < 31);
    writer->depth++;
    writer->filled &= ~(1u << writer->depth);
    buffer_putc(writer->out, bracket);
}

static void close_level(struct json_writer *writer, char bracket)
{
    assert(writer->depth > 0);
    writer->depth--;
    buffer_putc(writer->out, bracket);
}

void json_write_object(struct json_writer *writer)
{
    open_level(writer, '{');
}

void json_write_array(struct json_writer *writer)
{
    open_level(writer, '[');
}

void json_write_end_object(struct json_writer *writer)
{
    close_level(writer, '}');
}

void json_write_end_array(struct json_writer *writer)
{
    close_level(writer, ']');
}

void json_write_key(struct json_writer *writer, const char *key)
{
    begin_value(writer);
    json_escape(writer->out, key, strlen(key));
    buffer_putc(writer->out, ':');
    writer->after_key = true;
}

void json_write_text(struct json_writer *writer, const char *text, size_t length)
{
    begin_value(writer);
    json_escape(writer->out, text, length);
}

void json_write_string(struct json_writer *writer, const char *text)
{
    if (text == NULL)
        json_write_null(writer);
    else
        json_write_text(writer, text, strlen(text));
}

void json_write_int(struct json_writer *writer, int64_t value)
{
    begin_value(writer);
    buffer_printf(writer->out, "%" PRId64, value);
}

void json_write_uint(struct json_writer *writer, uint64_t value)
{
    begin_value(writer);
    buffer_printf(writer->out, "%" PRIu64, value);
}

/* Python and vLLM write 1.0, not 1. */
static void put_real(struct buffer *out, const char *digits)
{
    buffer_puts(out, digits);
    if (strpbrk(digits, ".e") == NULL)
        buffer_puts(out, ".0");
}

void json_write_double(struct json_writer *writer, double value)
{
    if (!isfinite(value)) {
        json_write_null(writer);
        return;
    }
    begin_value(writer);
    char digits[40];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    put_real(writer->out, digits);
}

void json_write_float(struct json_writer *writer, float value)
{
    if (!isfinite(value)) {
        json_write_null(writer);
        return;
    }
    begin_value(writer);
    char digits[40];
    for (int precision = 6; precision <= 9; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, (double)value);
        if (strtof(digits, NULL) == value)
            break;
    }
    put_real(writer->out, digits);
}

void json_write_bool(struct json_writer *writer, bool value)
{
    begin_value(writer);
    buffer_puts(writer->out, value ? "true" : "false");
}

void json_write_null(struct json_writer *writer)
{
    begin_value(writer);
    buffer_puts(writer->out, "null");
}

void json_write_raw(struct json_writer *writer, const char *json, size_t length)
{
    begin_value(writer);
    buffer_put(writer->out, json, length);
}

static void print_leaf(struct buffer *out, const struct json *value)
{
    switch (value->type) {
    case JSON_NULL: buffer_puts(out, "null"); break;
    case JSON_FALSE: buffer_puts(out, "false"); break;
    case JSON_TRUE: buffer_puts(out, "true"); break;
    case JSON_NUMBER: buffer_put(out, value->text, value->length); break;
    default: json_escape(out, value->text, value->length); break;
    }
}

void json_print(struct buffer *out, const struct json *value)
{
    if (value->type != JSON_OBJECT && value->type != JSON_ARRAY) {
        print_leaf(out, value);
        return;
    }
    bool object = value->type == JSON_OBJECT;
    buffer_putc(out, object ? '{' : '[');
    for (const struct json *child = value->child; child != NULL; child = child->next) {
        if (object) {
            json_escape(out, child->key, child->key_length);
            buffer_putc(out, ':');
        }
        json_print(out, child); /* as deep as the reader's depth limit */
        if (child->next != NULL)
            buffer_putc(out, ',');
    }
    buffer_putc(out, object ? '}' : ']');
}
