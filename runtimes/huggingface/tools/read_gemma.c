/* call:f{a:<escape>text<escape>,n:42,o:{b:[1,2]}}: strings stand between marks, everything else is bare. A call is read
 * as a whole once its end is there: a mark in a string could be half a value otherwise. */
#include "config.h"

#include "runtimes/huggingface/tools/tool_reader.h"

#include <string.h>

struct notation {
    const char *at, *end;
    pdk_string quote;
    struct buffer *out;
};

static void skip_blank(struct notation *in)
{
    while (in->at < in->end && strchr(" \n\t\r", *in->at) != NULL)
        in->at++;
}

static bool take(struct notation *in, char c)
{
    skip_blank(in);
    if (in->at == in->end || *in->at != c)
        return false;
    in->at++;
    return true;
}

/* The text between two marks. */
static bool take_quoted(struct notation *in, pdk_string *ret_text)
{
    size_t left = (size_t)(in->end - in->at);
    if (left < in->quote.length || memcmp(in->at, in->quote.data, in->quote.length) != 0)
        return false;
    const char *from = in->at + in->quote.length;
    const char *found = memmem(from, (size_t)(in->end - from), in->quote.data, in->quote.length);
    if (found == NULL)
        return false;
    *ret_text = (pdk_string){from, (size_t)(found - from)};
    in->at = found + in->quote.length;
    return true;
}

static void put_string(struct notation *in, pdk_string text)
{
    struct buffer plain = {0};
    window_plain(&plain, text.data, text.length, false);
    json_escape(in->out, plain.data != NULL ? plain.data : "", plain.length);
    in->out->failed |= plain.failed;
    buffer_done(&plain);
}

static pdk_string take_bare(struct notation *in, const char *ends)
{
    skip_blank(in);
    const char *from = in->at;
    while (in->at < in->end && strchr(ends, *in->at) == NULL)
        in->at++;
    size_t length = (size_t)(in->at - from);
    while (length > 0 && strchr(" \n\t\r", from[length - 1]) != NULL)
        length--;
    return (pdk_string){from, length};
}

static bool put_value(struct notation *in, unsigned depth);

static bool put_members(struct notation *in, unsigned depth)
{
    buffer_puts(in->out, "{");
    for (bool first = true; !take(in, '}'); first = false) {
        if (!first && !take(in, ','))
            return false;
        skip_blank(in);
        pdk_string key;
        if (!take_quoted(in, &key))
            key = take_bare(in, ":,{}[]");
        if (key.length == 0 || !take(in, ':'))
            return false;
        if (!first)
            buffer_puts(in->out, ", ");
        put_string(in, key);
        buffer_puts(in->out, ": ");
        if (!put_value(in, depth))
            return false;
    }
    buffer_puts(in->out, "}");
    return true;
}

static bool put_list(struct notation *in, unsigned depth)
{
    buffer_puts(in->out, "[");
    for (bool first = true; !take(in, ']'); first = false) {
        if (!first && !take(in, ','))
            return false;
        if (!first)
            buffer_puts(in->out, ", ");
        if (!put_value(in, depth))
            return false;
    }
    buffer_puts(in->out, "]");
    return true;
}

static bool put_value(struct notation *in, unsigned depth)
{
    pdk_string text;
    skip_blank(in);
    if (depth == VALUE_DEPTH_MAX)
        return false;
    if (take_quoted(in, &text)) {
        put_string(in, text);
        return true;
    }
    if (take(in, '{'))
        return put_members(in, depth + 1);
    if (take(in, '['))
        return put_list(in, depth + 1);
    text = take_bare(in, ",}]");
    if (text.length == 0)
        return false;
    if (!value_scan_all(VALUE_JSON, text.data, text.length, in->out))
        put_string(in, text);
    return true;
}

static bool give_call(struct tool_reader *reader, const char *text, size_t length)
{
    static const char opening[] = "call:";
    struct notation in = {
        .at = text, .end = text + length, .quote = tool_reader_word(reader, WORD_STRING), .out = &reader->value};
    skip_blank(&in);
    if ((size_t)(in.end - in.at) < sizeof opening - 1 || memcmp(in.at, opening, sizeof opening - 1) != 0)
        return false;
    in.at += sizeof opening - 1;
    pdk_string name = take_bare(&in, "{");
    buffer_clear(&reader->value);
    if (!take(&in, '{') || !put_members(&in, 1))
        return false;
    skip_blank(&in);
    if (in.at != in.end || memchr(name.data, MARK_OPEN, name.length) != NULL)
        return false;
    buffer_clear(&reader->name);
    buffer_put(&reader->name, name.data, name.length);
    return true;
}

enum read_end read_gemma(struct tool_reader *reader)
{
    struct window *window = &reader->window;
    pdk_string word = tool_reader_word(reader, WORD_END);
    int which;
    size_t at = window_find(window, &word, 1, &which);
    if (which < 0 && !window->final)
        return READ_MORE;
    bool whole = give_call(reader, window_at(window), at);
    window_skip(window, at + (which < 0 ? 0 : word.length));
    if (!whole || !tool_reader_call(reader, text_of(&reader->name).data, reader->name.length))
        return READ_BAD;
    tool_reader_arguments(reader, text_of(&reader->value).data, reader->value.length);
    tool_reader_call_end(reader);
    return READ_DONE;
}
