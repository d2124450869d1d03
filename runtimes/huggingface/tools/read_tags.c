/* <function=f> <parameter=a> … </parameter> </function>, and the other ways of saying so. A value ends at its tag, so
 * it is read as a whole and given by the type that the tool's schema has for it. */
#include "config.h"

#include "runtimes/huggingface/tools/tool_reader.h"

#include <string.h>

enum { AT_CALL, IN_NAME, IN_BODY, IN_KEY, AT_VALUE, IN_VALUE, AFTER_CALL, FINISHED };

static enum read_end go(struct tool_reader *reader, int state)
{
    reader->state = state;
    return READ_DONE;
}

static bool has_word(const struct tool_reader *reader, enum format_word word)
{
    return tool_reader_word(reader, word).length > 0;
}

/* A name as it stands in a tag: without blanks and quotes around it. */
static pdk_string bare_name(pdk_string name)
{
    while (name.length > 0 && strchr(" \n\t\r\"'", name.data[name.length - 1]) != NULL)
        name.length--;
    while (name.length > 0 && strchr(" \n\t\r\"'", name.data[0]) != NULL) {
        name.data++;
        name.length--;
    }
    return name;
}

static pdk_string take_plain(struct tool_reader *reader, size_t length, bool keep_special)
{
    buffer_clear(&reader->scratch);
    window_plain(&reader->scratch, window_at(&reader->window), length, keep_special);
    return text_of(&reader->scratch);
}

/* The call is given by now. False: it has no name. */
static bool give_call(struct tool_reader *reader)
{
    if (reader->open)
        return true;
    pdk_string name = text_of(&reader->name);
    return tool_reader_call(reader, name.data, name.length);
}

static enum read_end at_call(struct tool_reader *reader)
{
    struct window *window = &reader->window;
    /* The begin was the call's own, or there is none between it and the name. */
    if (!has_word(reader, WORD_CALL) || !has_word(reader, WORD_END) || reader->direct)
        return go(reader, IN_NAME);
    if (has_word(reader, WORD_NAME_AT)) { /* something stands before each call */
        const pdk_string ends[] = {tool_reader_word(reader, WORD_CALL), tool_reader_word(reader, WORD_END)};
        int which;
        size_t at = window_find(window, ends, 2, &which);
        if (at > TOOL_NAME_BYTES)
            return READ_BAD;
        if (which < 0)
            return READ_MORE;
        window_skip(window, at);
    }
    if (!window_blank(window))
        return READ_MORE;
    enum match match = window_match(window, tool_reader_word(reader, WORD_CALL));
    if (match == MATCH_MORE)
        return READ_MORE;
    return match == MATCH_FULL ? go(reader, IN_NAME) : READ_BAD;
}

static enum read_end in_name(struct tool_reader *reader)
{
    /* Where keys have tags of their own, the first one or the end may follow the name at once. */
    bool pairs = has_word(reader, WORD_VALUE);
    const pdk_string none = {"", 0};
    const pdk_string ends[] = {tool_reader_word(reader, WORD_NAME), pairs ? tool_reader_word(reader, WORD_KEY) : none,
        pairs ? tool_reader_word(reader, WORD_CALL_END) : none};
    int which;
    size_t at = window_find(&reader->window, ends, 3, &which);
    if (at > TOOL_NAME_BYTES)
        return READ_BAD;
    if (which < 0)
        return READ_MORE;
    pdk_string name = bare_name(take_plain(reader, at, true));
    if (pairs && which == 0 && name.length == 0) { /* an empty line before the name */
        window_skip(&reader->window, at + ends[0].length);
        return READ_DONE;
    }
    buffer_clear(&reader->name);
    buffer_put(&reader->name, name.data, name.length);
    window_skip(&reader->window, at + (which == 0 ? ends[0].length : 0));
    return go(reader, IN_BODY);
}

static enum read_end end_call(struct tool_reader *reader, int next)
{
    if (!give_call(reader))
        return READ_BAD;
    tool_reader_arguments(reader, reader->filled ? "}" : "{}", reader->filled ? 1 : 2);
    tool_reader_call_end(reader);
    return go(reader, next);
}

static enum read_end in_body(struct tool_reader *reader)
{
    struct window *window = &reader->window;
    if (!window_blank(window))
        return window->final ? end_call(reader, FINISHED) : READ_MORE;
    enum match key = window_match(window, tool_reader_word(reader, WORD_KEY));
    if (key == MATCH_FULL)
        return give_call(reader) ? go(reader, IN_KEY) : READ_BAD;
    enum match end = window_match(window, tool_reader_word(reader, WORD_CALL_END));
    if (end == MATCH_FULL)
        return end_call(reader, AFTER_CALL);
    /* The call's own end may be missing. */
    enum match all = window_match(window, tool_reader_word(reader, WORD_END));
    if (all == MATCH_FULL)
        return end_call(reader, FINISHED);
    return key == MATCH_MORE || end == MATCH_MORE || all == MATCH_MORE ? READ_MORE : READ_BAD;
}

/* The name, and what else the tag says: string="true". */
static void keep_key(struct tool_reader *reader, pdk_string tag)
{
    static const char attribute[] = " string=\"";
    const char *found = memmem(tag.data, tag.length, attribute, sizeof attribute - 1);
    reader->typed = found != NULL;
    if (found != NULL) {
        size_t rest = tag.length - (size_t)(found - tag.data) - (sizeof attribute - 1);
        reader->is_string = rest > 0 && found[sizeof attribute - 1] == 't';
        tag.length = (size_t)(found - tag.data);
    }
    tag = bare_name(tag);
    buffer_clear(&reader->key);
    buffer_put(&reader->key, tag.data, tag.length);
}

static enum read_end in_key(struct tool_reader *reader)
{
    pdk_string word = tool_reader_word(reader, WORD_KEY_END);
    int which;
    size_t at = window_find(&reader->window, &word, 1, &which);
    if (at > TOOL_NAME_BYTES)
        return READ_BAD;
    if (which < 0)
        return READ_MORE;
    keep_key(reader, take_plain(reader, at, true));
    window_skip(&reader->window, at + word.length);
    return go(reader, has_word(reader, WORD_VALUE) ? AT_VALUE : IN_VALUE);
}

static enum read_end at_value(struct tool_reader *reader)
{
    if (!window_blank(&reader->window))
        return READ_MORE;
    enum match match = window_match(&reader->window, tool_reader_word(reader, WORD_VALUE));
    if (match != MATCH_FULL)
        return match == MATCH_MORE ? READ_MORE : READ_BAD;
    return go(reader, IN_VALUE);
}

static pdk_string value_text(const struct tool_reader *reader, pdk_string text)
{
    uint32_t flags = reader->parser->format->flags;
    if ((flags & FORMAT_NEWLINES) != 0 && text.length > 0 && text.data[0] == '\n') {
        text.data++;
        text.length--;
    }
    if ((flags & FORMAT_NEWLINES) != 0 && text.length > 0 && text.data[text.length - 1] == '\n')
        text.length--;
    while ((flags & FORMAT_TRIM) != 0 && text.length > 0 && strchr(" \n\t\r", text.data[text.length - 1]) != NULL)
        text.length--;
    while ((flags & FORMAT_TRIM) != 0 && text.length > 0 && strchr(" \n\t\r", text.data[0]) != NULL) {
        text.data++;
        text.length--;
    }
    return text;
}

static void give_value(struct tool_reader *reader, pdk_string text)
{
    struct buffer *out = &reader->value;
    pdk_string key = text_of(&reader->key);
    buffer_clear(out);
    buffer_puts(out, reader->filled ? ", " : "{");
    json_escape(out, key.data, key.length);
    buffer_puts(out, ": ");
    bool guess = (reader->parser->format->flags & FORMAT_TRIM) != 0;
    if (reader->typed && reader->is_string)
        json_escape(out, text.data, text.length);
    else if (!reader->typed || !value_scan_all(VALUE_JSON, text.data, text.length, out))
        tool_set_value(reader->tools, text_of(&reader->name), key, text, guess, out);
    tool_reader_arguments(reader, text_of(out).data, out->length);
    reader->filled = true;
}

static enum read_end in_value(struct tool_reader *reader)
{
    /* A value whose own end is missing ends where the next thing begins. */
    bool loose = (reader->parser->format->flags & FORMAT_NEWLINES) != 0;
    const pdk_string none = {"", 0};
    const pdk_string ends[] = {tool_reader_word(reader, WORD_VALUE_END),
        loose ? tool_reader_word(reader, WORD_KEY) : none, loose ? tool_reader_word(reader, WORD_CALL_END) : none};
    int which;
    size_t at = window_find(&reader->window, ends, 3, &which);
    if (which < 0)
        return READ_MORE;
    give_value(reader, value_text(reader, take_plain(reader, at, reader->keep_special)));
    window_skip(&reader->window, at + (which == 0 ? ends[0].length : 0));
    window_drop(&reader->window);
    return go(reader, IN_BODY);
}

static enum read_end after_call(struct tool_reader *reader)
{
    struct window *window = &reader->window;
    pdk_string call = tool_reader_word(reader, WORD_CALL), end = tool_reader_word(reader, WORD_END);
    if (end.length == 0)
        return go(reader, FINISHED); /* the next one begins as the first did */
    if (has_word(reader, WORD_NAME_AT)) {
        int which;
        size_t at = window_find(window, (const pdk_string[]){call, end}, 2, &which);
        if (which < 0 && !window->final)
            return READ_MORE;
        window_skip(window, at);
    }
    if (!window_blank(window))
        return window->final ? go(reader, FINISHED) : READ_MORE;
    enum match next = window_match(window, call), last = window_match(window, end);
    if (next == MATCH_FULL)
        return go(reader, IN_NAME);
    if (next == MATCH_MORE || last == MATCH_MORE)
        return READ_MORE;
    /* Where the calls stand without a tag around them, anything else ends them. */
    return last == MATCH_FULL || reader->direct ? go(reader, FINISHED) : READ_BAD;
}

static enum read_end step(struct tool_reader *reader)
{
    switch (reader->state) {
    case AT_CALL: return at_call(reader);
    case IN_NAME: return in_name(reader);
    case IN_BODY: return in_body(reader);
    case IN_KEY: return in_key(reader);
    case AT_VALUE: return at_value(reader);
    case IN_VALUE: return in_value(reader);
    default: return after_call(reader);
    }
}

enum read_end read_tags(struct tool_reader *reader)
{
    while (reader->state != FINISHED) {
        enum read_end end = step(reader);
        if (end != READ_DONE)
            return end;
    }
    return READ_DONE;
}
