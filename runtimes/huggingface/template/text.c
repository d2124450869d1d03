/* Texts with their marks. */
#include "config.h"

#include "runtimes/huggingface/template/render.h"

#include "core/base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PRINT_DEPTH = 64 };

const struct text *text_new(struct render *render, const char *data, size_t length, bool plain)
{
    struct text *text = render_take(render, 1, sizeof *text);
    char *copy = render_take(render, length + 1, 1);
    if (text == NULL || copy == NULL)
        return NULL;
    if (length != 0)
        memcpy(copy, data, length);
    *text = (struct text){.data = copy, .length = length, .plain = plain};
    return text;
}

bool make_text(struct render *render, const char *data, size_t length, bool plain, struct value *ret_value)
{
    const struct text *text = text_new(render, data, length, plain);
    if (text == NULL)
        return false;
    *ret_value = value_text(text);
    return true;
}

bool make_slice(struct render *render, const struct text *text, size_t start, size_t end, struct value *ret_value)
{
    struct text *slice = render_take(render, 1, sizeof *slice);
    if (slice == NULL)
        return false;
    *slice = *text;
    slice->data += start;
    slice->marks = text->marks == NULL ? NULL : text->marks + start;
    slice->length = end - start;
    *ret_value = value_text(slice);
    return true;
}

bool text_is_plain(const struct text *text)
{
    if (text->marks == NULL)
        return text->plain;
    return text->length != 0 && memchr(text->marks, 1, text->length) != NULL;
}

bool value_is_plain(struct value value, unsigned depth)
{
    if (value.type == VALUE_TEXT)
        return text_is_plain(value.text);
    if (depth == 0 || (value.type != VALUE_LIST && value.type != VALUE_DICT))
        return depth == 0;
    size_t count = value.type == VALUE_LIST ? value.list->count : value.dict->count;
    for (size_t i = 0; i < count; i++) {
        if (value.type == VALUE_LIST
                ? value_is_plain(value.list->items[i], depth - 1)
                : value_is_plain(value.dict->keys[i], depth - 1) || value_is_plain(value.dict->values[i], depth - 1))
            return true;
    }
    return false;
}

size_t text_chars(const struct text *text)
{
    size_t count = 0;
    for (size_t i = 0; i < text->length; i++)
        count += ((unsigned char)text->data[i] & 0xC0) != 0x80;
    return count;
}

size_t text_offset(const struct text *text, size_t chars)
{
    size_t at = 0;
    for (; at < text->length; at++) {
        if (((unsigned char)text->data[at] & 0xC0) != 0x80 && chars-- == 0)
            break;
    }
    return at;
}

static bool builder_grow(struct builder *builder, size_t more)
{
    struct render *render = builder->render;
    if (more > render->budget.output_bytes || builder->length > render->budget.output_bytes - more)
        return render_fail(render, "more than %zu bytes of text", render->budget.output_bytes);
    if (!render_step(render, more / STEP_BYTES))
        return false;
    size_t need = builder->length + more;
    if (need <= builder->room)
        return true;
    size_t room = builder->room < 64 ? 64 : builder->room * 2;
    room = room < need ? need : room;
    char *data = render_take(render, room, 2); /* the marks stand behind the bytes */
    if (data == NULL)
        return false;
    if (builder->length != 0) {
        memcpy(data, builder->data, builder->length);
        memcpy(data + room, builder->marks, builder->length);
    }
    builder->data = data;
    builder->marks = data + room;
    builder->room = room;
    return true;
}

bool builder_put(struct builder *builder, const char *data, size_t length, bool plain)
{
    if (!builder_grow(builder, length))
        return false;
    if (length != 0) {
        memcpy(builder->data + builder->length, data, length);
        memset(builder->marks + builder->length, plain, length);
    }
    builder->length += length;
    return true;
}

bool builder_put_text(struct builder *builder, const struct text *text, size_t start, size_t end)
{
    if (!builder_put(builder, text->data + start, end - start, text->plain))
        return false;
    if (text->marks != NULL && end > start)
        memcpy(builder->marks + builder->length - (end - start), text->marks + start, end - start);
    return true;
}

/* A text of the last `length` bytes from `start` on, its marks only if they differ. */
static bool text_of(struct builder *builder, size_t start, const struct text **ret_text)
{
    struct text *text = render_take(builder->render, 1, sizeof *text);
    if (text == NULL)
        return false;
    size_t length = builder->length - start;
    *text = (struct text){.data = length == 0 ? "" : builder->data + start, .length = length};
    if (length != 0) {
        const char *marks = builder->marks + start;
        text->plain = marks[0] != 0;
        text->marks = memchr(marks, !marks[0], length) != NULL ? marks : NULL;
    }
    *ret_text = text;
    return true;
}

bool builder_text(struct builder *builder, const struct text **ret_text)
{
    return text_of(builder, 0, ret_text);
}

/* Templates build long texts by adding to one again and again: where `a` is the end of the newest result, `b` is put
 * behind it. Nothing that exists sees bytes behind its own end, so texts still never change. */
bool text_join(struct render *render, const struct text *a, const struct text *b, const struct text **ret_text)
{
    struct builder *joined = &render->joined;
    bool newest = a->length != 0 && joined->data != NULL && a->data >= joined->data &&
                  a->data + a->length == joined->data + joined->length;
    size_t start = newest ? (size_t)(a->data - joined->data) : 0;
    joined->render = render;
    if (newest && b->length > joined->room - joined->length)
        newest = false;
    if (!newest) {
        *joined = (struct builder){.render = render};
        start = 0;
        if (!builder_put_text(joined, a, 0, a->length))
            return false;
    }
    return builder_put_text(joined, b, 0, b->length) && text_of(joined, start, ret_text);
}

size_t float_write(double real, char out[32])
{
    if (isnan(real))
        return (size_t)snprintf(out, 32, "nan");
    if (isinf(real))
        return (size_t)snprintf(out, 32, real < 0 ? "-inf" : "inf");
    char text[32];
    int precision = 1;
    do
        snprintf(text, sizeof text, "%.*e", precision - 1, real);
    while (strtod(text, NULL) != real && ++precision <= 17);
    char *e = strchr(text, 'e');
    int power = 0;
    for (const char *at = e + 2; *at != '\0'; at++)
        power = power * 10 + (*at - '0');
    power = e[1] == '-' ? -power : power;
    if (power < -4 || power >= 16) { /* Python's choice of form, and C's exponents look the same */
        memcpy(out, text, strlen(text) + 1);
        return strlen(text);
    }
    int digits = precision - 1 - power;
    return (size_t)snprintf(out, 32, "%.*f", digits < 1 ? 1 : digits, real);
}

/* As repr() has it: quotes that need the fewest escapes. */
static bool put_repr_text(struct builder *builder, const struct text *text)
{
    bool single = text->length != 0 && memchr(text->data, '\'', text->length) != NULL;
    bool twofold = text->length != 0 && memchr(text->data, '"', text->length) != NULL;
    const char *quote = single && !twofold ? "\"" : "'";
    bool done = builder_put(builder, quote, 1, text_is_plain(text));
    for (size_t i = 0; i < text->length && done; i++) {
        unsigned char c = (unsigned char)text->data[i];
        char out[8];
        if (c == '\\' || c == (unsigned char)*quote)
            snprintf(out, sizeof out, "\\%c", c);
        else if (c == '\n' || c == '\r' || c == '\t')
            snprintf(out, sizeof out, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        else if (c < 0x20 || c == 0x7F)
            snprintf(out, sizeof out, "\\x%02x", c);
        else {
            done = builder_put_text(builder, text, i, i + 1);
            continue;
        }
        done = builder_put(builder, out, strlen(out), text_is_plain(text));
    }
    return done && builder_put(builder, quote, 1, text_is_plain(text));
}

static bool put_words(struct builder *builder, const char *words)
{
    return builder_put(builder, words, strlen(words), false);
}

static bool put_list(struct builder *builder, const struct list *list, unsigned depth)
{
    bool tuple = list->kind == LIST_TUPLE;
    bool done = put_words(builder, tuple ? "(" : list->kind == LIST_VIEW ? "dict_items([" : "[");
    for (size_t i = 0; i < list->count && done; i++)
        done = (i == 0 || put_words(builder, ", ")) && builder_put_value(builder, list->items[i], true, depth - 1);
    if (done && tuple && list->count == 1)
        done = put_words(builder, ",");
    return done && put_words(builder, tuple ? ")" : list->kind == LIST_VIEW ? "])" : "]");
}

static bool put_dict(struct builder *builder, const struct dict *dict, unsigned depth)
{
    bool done = put_words(builder, "{");
    for (size_t i = 0; i < dict->count && done; i++)
        done = (i == 0 || put_words(builder, ", ")) && builder_put_value(builder, dict->keys[i], true, depth - 1) &&
               put_words(builder, ": ") && builder_put_value(builder, dict->values[i], true, depth - 1);
    return done && put_words(builder, "}");
}

bool builder_put_value(struct builder *builder, struct value value, bool repr, unsigned depth)
{
    char text[64];
    if (depth == 0)
        return render_fail(builder->render, "a value is nested deeper than %d levels", PRINT_DEPTH);
    if (!render_step(builder->render, 1))
        return false;
    switch (value.type) {
    case VALUE_UNDEFINED: return !repr || put_words(builder, "Undefined");
    case VALUE_NONE: return put_words(builder, "None");
    case VALUE_BOOL: return put_words(builder, value.truth ? "True" : "False");
    case VALUE_INT: snprintf(text, sizeof text, "%lld", (long long)value.integer); return put_words(builder, text);
    case VALUE_FLOAT: return builder_put(builder, text, float_write(value.real, text), false);
    case VALUE_TEXT:
        return repr ? put_repr_text(builder, value.text) : builder_put_text(builder, value.text, 0, value.text->length);
    case VALUE_LIST: return put_list(builder, value.list, depth);
    case VALUE_DICT: return put_dict(builder, value.dict, depth);
    default: snprintf(text, sizeof text, "<%s>", value_type_name(value)); return put_words(builder, text);
    }
}

bool value_to_text(struct render *render, struct value value, const struct text **ret_text)
{
    if (value.type == VALUE_TEXT) {
        *ret_text = value.text;
        return true;
    }
    struct builder builder = {.render = render};
    return builder_put_value(&builder, value, false, PRINT_DEPTH) && builder_text(&builder, ret_text);
}
