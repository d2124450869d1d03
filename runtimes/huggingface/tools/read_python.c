/* [f(a='x', b=1), g()]: calls with keyword arguments whose values are literals. */
#include "config.h"

#include "runtimes/huggingface/tools/tool_reader.h"

#include <string.h>

enum { AT_BEGIN, AT_NAME, AT_PARAMETER, IN_VALUE, AFTER_VALUE, AFTER_CALL, AT_END, FINISHED };

static enum read_end go(struct tool_reader *reader, int state)
{
    reader->state = state;
    return READ_DONE;
}

static bool in_brackets(const struct tool_reader *reader)
{
    return (reader->parser->format->flags & FORMAT_LIST) != 0;
}

static enum read_end at_begin(struct tool_reader *reader)
{
    struct window *window = &reader->window;
    if (!in_brackets(reader))
        return go(reader, AT_NAME);
    if (!window_blank(window))
        return READ_MORE;
    if (*window_at(window) != '[')
        return READ_BAD;
    window_skip(window, 1);
    return go(reader, AT_NAME);
}

static bool is_name_byte(char c, bool dots)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (unsigned char)c >= 0x80 || (dots && (c == '.' || c == '-'));
}

/* Reads a name and what has to stand behind it. */
static enum read_end take_name(struct tool_reader *reader, struct buffer *name, char behind)
{
    struct window *window = &reader->window;
    const char *at = window_at(window);
    size_t left = window_left(window), count = 0;
    while (count < left && at[count] != MARK_OPEN && at[count] != MARK_CLOSE && is_name_byte(at[count], behind == '('))
        count++;
    size_t end = count;
    while (end < left && (at[end] == ' ' || at[end] == '\t'))
        end++;
    if (count > TOOL_NAME_BYTES || end > 2 * TOOL_NAME_BYTES || (end < left && (count == 0 || at[end] != behind)))
        return READ_BAD;
    if (end == left)
        return READ_MORE;
    buffer_clear(name);
    buffer_put(name, at, count);
    window_skip(window, end + 1);
    return READ_DONE;
}

static enum read_end at_name(struct tool_reader *reader)
{
    if (!window_blank(&reader->window))
        return READ_MORE;
    enum read_end end = take_name(reader, &reader->name, '(');
    return end == READ_DONE ? go(reader, AT_PARAMETER) : end;
}

static enum read_end end_call(struct tool_reader *reader)
{
    if (!reader->open && !tool_reader_call(reader, text_of(&reader->name).data, reader->name.length))
        return READ_BAD;
    tool_reader_arguments(reader, reader->filled ? "}" : "{}", reader->filled ? 1 : 2);
    tool_reader_call_end(reader);
    return go(reader, AFTER_CALL);
}

static enum read_end at_parameter(struct tool_reader *reader)
{
    struct window *window = &reader->window;
    if (!window_blank(window))
        return READ_MORE;
    if (*window_at(window) == ')') {
        window_skip(window, 1);
        return end_call(reader);
    }
    enum read_end end = take_name(reader, &reader->key, '=');
    if (end != READ_DONE)
        return end;
    if (!reader->open && !tool_reader_call(reader, text_of(&reader->name).data, reader->name.length))
        return READ_BAD;
    buffer_clear(&reader->value);
    buffer_puts(&reader->value, reader->filled ? ", " : "{");
    json_escape(&reader->value, reader->key.data, reader->key.length);
    buffer_puts(&reader->value, ": ");
    reader->filled = true;
    value_scan_init(&reader->scan, VALUE_PYTHON);
    return go(reader, IN_VALUE);
}

static enum read_end in_value(struct tool_reader *reader)
{
    enum value_end end = tool_reader_scan(reader, &reader->value);
    tool_reader_arguments(reader, text_of(&reader->value).data, reader->value.length);
    buffer_clear(&reader->value);
    window_drop(&reader->window);
    if (end != VALUE_DONE)
        return end == VALUE_BAD ? READ_BAD : READ_MORE;
    return go(reader, AFTER_VALUE);
}

static enum read_end after_value(struct tool_reader *reader)
{
    struct window *window = &reader->window;
    if (!window_blank(window))
        return READ_MORE;
    char c = *window_at(window);
    window_skip(window, c == ',' || c == ')');
    if (c == ')')
        return end_call(reader);
    return c == ',' ? go(reader, AT_PARAMETER) : READ_BAD;
}

static enum read_end after_call(struct tool_reader *reader)
{
    struct window *window = &reader->window;
    if (!window_blank(window))
        return in_brackets(reader) || !window->final ? READ_MORE : go(reader, FINISHED);
    char c = *window_at(window);
    if (!in_brackets(reader)) {
        /* A line each, until the closing mark. */
        enum match match = window_match(window, tool_reader_word(reader, WORD_END));
        if (match == MATCH_MORE)
            return READ_MORE;
        return go(reader, match == MATCH_FULL ? FINISHED : AT_NAME);
    }
    window_skip(window, c == ',' || c == ']');
    if (c == ']')
        return go(reader, AT_END);
    return c == ',' ? go(reader, AT_NAME) : READ_BAD;
}

static enum read_end at_end(struct tool_reader *reader)
{
    struct window *window = &reader->window;
    pdk_string word = tool_reader_word(reader, WORD_END);
    if (word.length == 0)
        return go(reader, FINISHED);
    if (!window_blank(window))
        return window->final ? go(reader, FINISHED) : READ_MORE;
    enum match match = window_match(window, word);
    if (match == MATCH_MORE)
        return READ_MORE;
    bool optional = (reader->parser->format->flags & FORMAT_AT_START) != 0;
    return match == MATCH_FULL || optional ? go(reader, FINISHED) : READ_BAD;
}

static enum read_end step(struct tool_reader *reader)
{
    switch (reader->state) {
    case AT_BEGIN: return at_begin(reader);
    case AT_NAME: return at_name(reader);
    case AT_PARAMETER: return at_parameter(reader);
    case IN_VALUE: return in_value(reader);
    case AFTER_VALUE: return after_value(reader);
    case AFTER_CALL: return after_call(reader);
    default: return at_end(reader);
    }
}

enum read_end read_python(struct tool_reader *reader)
{
    while (reader->state != FINISHED) {
        enum read_end end = step(reader);
        if (end != READ_DONE)
            return end;
    }
    return READ_DONE;
}
