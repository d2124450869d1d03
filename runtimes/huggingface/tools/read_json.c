/* {"name": "f", "arguments": {…}}, alone or in a list. "parameters" is taken for "arguments". The name may come last:
 * then the arguments wait for it. */
#include "config.h"

#include "runtimes/huggingface/tools/tool_reader.h"

#include <string.h>

enum {
    AT_BEGIN,
    AT_ELEMENT,
    AT_KEY,
    IN_KEY,
    AT_COLON,
    IN_NAME,
    IN_ARGUMENTS,
    IN_OTHER,
    AFTER_MEMBER,
    AFTER_OBJECT,
    AT_END
};

/* What a JSON string of the scanner says. False: it is no string. */
static bool unquote(const struct buffer *quoted, struct buffer *out)
{
    struct json_document *document = NULL;
    bool ok = json_read(text_of(quoted).data, quoted->length, &json_limits_default, &document, NULL) == PDK_OK &&
              json_root(document)->type == JSON_STRING;
    buffer_clear(out);
    if (ok)
        buffer_put(out, json_root(document)->text, json_root(document)->length);
    json_document_free(document);
    return ok;
}

static void begin_scan(struct tool_reader *reader, int state)
{
    value_scan_init(&reader->scan, VALUE_JSON);
    buffer_clear(&reader->value);
    reader->state = state;
}

static void begin_object(struct tool_reader *reader)
{
    reader->state = AT_KEY;
    reader->has_name = reader->has_arguments = false;
    buffer_clear(&reader->name);
    buffer_clear(&reader->held);
}

/* In the functions below READ_DONE means that reading goes on. */
static enum read_end at_begin(struct tool_reader *reader)
{
    struct window *window = &reader->window;
    uint32_t flags = reader->parser->format->flags;
    if (!window_blank(window))
        return READ_MORE;
    enum match call = window_match(window, tool_reader_word(reader, WORD_CALL));
    if (call != MATCH_NONE)
        return call == MATCH_FULL ? READ_DONE : READ_MORE;
    char c = *window_at(window);
    if (c == '[' && (flags & FORMAT_LIST) != 0) {
        window_skip(window, 1);
        reader->in_list = true;
        reader->state = AT_ELEMENT;
        return READ_DONE;
    }
    if (c != '{' || (flags & FORMAT_OBJECT) == 0)
        return READ_BAD;
    window_skip(window, 1);
    begin_object(reader);
    return READ_DONE;
}

static enum read_end at_element(struct tool_reader *reader)
{
    struct window *window = &reader->window;
    if (!window_blank(window))
        return READ_MORE;
    char c = *window_at(window);
    window_skip(window, c == '{' || c == ']');
    if (c == '{')
        begin_object(reader);
    else if (c == ']' && reader->calls == 0)
        return READ_BAD; /* a list of no calls is text */
    else if (c == ']')
        reader->state = AT_END;
    else
        return READ_BAD;
    return READ_DONE;
}

static enum read_end at_key(struct tool_reader *reader)
{
    if (!window_blank(&reader->window))
        return READ_MORE;
    if (*window_at(&reader->window) != '"')
        return READ_BAD;
    begin_scan(reader, IN_KEY);
    return READ_DONE;
}

static bool key_is(const struct tool_reader *reader, const char *name)
{
    return reader->key.length == strlen(name) && memcmp(reader->key.data, name, reader->key.length) == 0;
}

/* The arguments begin: the call is given if its name is known. */
static enum read_end begin_arguments(struct tool_reader *reader)
{
    begin_scan(reader, IN_ARGUMENTS);
    reader->has_arguments = true;
    if (reader->has_name && !tool_reader_call(reader, reader->name.data, reader->name.length))
        return READ_BAD;
    return READ_DONE;
}

static enum read_end at_colon(struct tool_reader *reader)
{
    bool key_names = (reader->parser->format->flags & FORMAT_KEY_NAMES) != 0;
    if (!window_blank(&reader->window))
        return READ_MORE;
    if (*window_at(&reader->window) != ':')
        return READ_BAD;
    window_skip(&reader->window, 1);
    if (key_names && !reader->has_name && reader->key.length > 0) {
        reader->has_name = true;
        buffer_put(&reader->name, reader->key.data, reader->key.length);
        return begin_arguments(reader);
    }
    if (!reader->has_arguments && !key_names && (key_is(reader, "arguments") || key_is(reader, "parameters")))
        return begin_arguments(reader);
    if (!reader->has_name && key_is(reader, "name"))
        begin_scan(reader, IN_NAME);
    else
        begin_scan(reader, IN_OTHER);
    return READ_DONE;
}

static enum read_end end_value(struct tool_reader *reader)
{
    int was = reader->state;
    reader->state = was == IN_KEY ? AT_COLON : AFTER_MEMBER;
    if (was == IN_KEY)
        return unquote(&reader->value, &reader->key) ? READ_DONE : READ_BAD;
    if (was != IN_NAME)
        return READ_DONE;
    reader->has_name = unquote(&reader->value, &reader->name);
    if (!reader->has_name)
        return READ_BAD;
    if (!reader->has_arguments)
        return READ_DONE;
    if (!tool_reader_call(reader, reader->name.data, reader->name.length))
        return READ_BAD;
    tool_reader_arguments(reader, text_of(&reader->held).data, reader->held.length);
    return READ_DONE;
}

/* Arguments are given as they come, or wait for the name. */
static void pass_arguments(struct tool_reader *reader)
{
    if (reader->open) {
        tool_reader_arguments(reader, text_of(&reader->value).data, reader->value.length);
        window_drop(&reader->window);
    } else {
        buffer_put(&reader->held, text_of(&reader->value).data, reader->value.length);
    }
    buffer_clear(&reader->value);
}

static enum read_end in_value(struct tool_reader *reader)
{
    enum value_end end = tool_reader_scan(reader, &reader->value);
    if (reader->state == IN_ARGUMENTS)
        pass_arguments(reader);
    else if (reader->state == IN_OTHER)
        buffer_clear(&reader->value);
    if (end == VALUE_DONE)
        return end_value(reader);
    return end == VALUE_BAD ? READ_BAD : READ_MORE;
}

static enum read_end after_member(struct tool_reader *reader)
{
    if (!window_blank(&reader->window))
        return READ_MORE;
    char c = *window_at(&reader->window);
    window_skip(&reader->window, 1);
    if (c == ',') {
        reader->state = AT_KEY;
        return READ_DONE;
    }
    if (c != '}' || !reader->has_name || !reader->has_arguments)
        return READ_BAD;
    tool_reader_call_end(reader);
    reader->state = reader->in_list ? AFTER_OBJECT : AT_END;
    return READ_DONE;
}

static enum read_end after_object(struct tool_reader *reader)
{
    if (!window_blank(&reader->window))
        return READ_MORE;
    char c = *window_at(&reader->window);
    window_skip(&reader->window, 1);
    reader->state = c == ',' ? AT_ELEMENT : AT_END;
    return c == ',' || c == ']' ? READ_DONE : READ_BAD;
}

/* The mark behind the calls; a text may end without it. */
static enum read_end at_end(struct tool_reader *reader)
{
    static const enum format_word words[] = {WORD_END, WORD_CALL_END};
    struct window *window = &reader->window;
    bool loose = (reader->parser->format->flags & FORMAT_RETRY) != 0, waits = false;
    if (tool_reader_word(reader, WORD_END).length == 0)
        return READ_DONE;
    if (!window_blank(window))
        return window->final ? READ_DONE : READ_MORE;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        enum match match = window_match(window, tool_reader_word(reader, words[i]));
        if (match == MATCH_FULL)
            return READ_DONE;
        waits |= match == MATCH_MORE;
    }
    if (waits)
        return READ_MORE;
    return loose ? READ_DONE : READ_BAD;
}

static enum read_end step(struct tool_reader *reader)
{
    switch (reader->state) {
    case AT_BEGIN: return at_begin(reader);
    case AT_ELEMENT: return at_element(reader);
    case AT_KEY: return at_key(reader);
    case AT_COLON: return at_colon(reader);
    case AFTER_MEMBER: return after_member(reader);
    case AFTER_OBJECT: return after_object(reader);
    default: return in_value(reader);
    }
}

enum read_end read_json(struct tool_reader *reader)
{
    while (reader->state != AT_END) {
        enum read_end end = step(reader);
        if (end != READ_DONE)
            return end;
    }
    return at_end(reader);
}
