/* A name, then its arguments as JSON, which keep the model's own text. Where a format takes a list behind its begin
 * too, that is read as JSON calls. */
#include "config.h"

#include "runtimes/huggingface/tools/tool_reader.h"

#include <stdio.h>
#include <string.h>

enum {
    AT_BEGIN,
    AT_PREFIX,
    IN_NAME,
    IN_OPTION,
    AT_FENCE,
    AT_ARGUMENTS,
    IN_ARGUMENTS,
    AT_FENCE_END,
    AT_CALL_END,
    AFTER_CALL,
    FINISHED
};

static bool has_flag(const struct tool_reader *reader, uint32_t flag)
{
    return (reader->parser->format->flags & flag) != 0;
}

static enum read_end go(struct tool_reader *reader, int state)
{
    reader->state = state;
    return READ_DONE;
}

/* The state behind WORD_CALL. */
static int in_call(const struct tool_reader *reader)
{
    return tool_reader_word(reader, WORD_NAME_AT).length > 0 ? AT_PREFIX : IN_NAME;
}

static enum read_end at_begin(struct tool_reader *reader)
{
    if (has_flag(reader, FORMAT_LIST)) {
        if (!window_blank(&reader->window))
            return READ_MORE;
        char c = *window_at(&reader->window);
        if (c == '[' || c == '{') {
            reader->as_json = true;
            return go(reader, 0);
        }
        return go(reader, in_call(reader));
    }
    return go(reader, AFTER_CALL);
}

/* Looks for the first of some marks; a tool's name is short. */
static enum read_end find(
    struct tool_reader *reader, const pdk_string *words, size_t count, int *ret_which, size_t *ret_at)
{
    size_t at = window_find(&reader->window, words, count, ret_which);
    *ret_at = at;
    if (at > TOOL_NAME_BYTES)
        return READ_BAD;
    return *ret_which < 0 ? READ_MORE : READ_DONE;
}

static enum read_end at_prefix(struct tool_reader *reader)
{
    pdk_string word = tool_reader_word(reader, WORD_NAME_AT);
    int which;
    size_t at;
    enum read_end end = find(reader, &word, 1, &which, &at);
    if (end != READ_DONE)
        return end;
    window_skip(&reader->window, at + word.length);
    return go(reader, IN_NAME);
}

/* functions.NAME:INDEX */
static pdk_string plain_name(struct tool_reader *reader, pdk_string name)
{
    static const char prefix[] = "functions.";
    if (!has_flag(reader, FORMAT_KIMI_NAMES))
        return name;
    snprintf(reader->id, sizeof reader->id, "%.*s", (int)name.length, name.data);
    if (name.length > sizeof prefix - 1 && memcmp(name.data, prefix, sizeof prefix - 1) == 0) {
        name.data += sizeof prefix - 1;
        name.length -= sizeof prefix - 1;
    }
    const char *colon = memrchr(name.data, ':', name.length);
    if (colon != NULL)
        name.length = (size_t)(colon - name.data);
    return name;
}

static void keep_name(struct tool_reader *reader, size_t length)
{
    buffer_clear(&reader->scratch);
    window_plain(&reader->scratch, window_at(&reader->window), length, true);
    pdk_string name = text_of(&reader->scratch);
    while (name.length > 0 && strchr(" \n\t\r", name.data[name.length - 1]) != NULL)
        name.length--;
    while (name.length > 0 && strchr(" \n\t\r", name.data[0]) != NULL) {
        name.data++;
        name.length--;
    }
    name = plain_name(reader, name);
    buffer_clear(&reader->name);
    buffer_put(&reader->name, name.data, name.length);
}

static enum read_end in_name(struct tool_reader *reader)
{
    bool bare = has_flag(reader, FORMAT_OBJECT); /* the arguments may follow at once */
    const pdk_string ends[] = {tool_reader_word(reader, WORD_NAME), tool_reader_word(reader, WORD_OPTION),
        bare ? (pdk_string){"{", 1} : (pdk_string){"", 0}};
    int which;
    size_t at;
    enum read_end end = find(reader, ends, 3, &which, &at);
    if (end != READ_DONE)
        return end;
    keep_name(reader, at);
    window_skip(&reader->window, which == 2 ? at : at + ends[which].length);
    return go(reader, which == 1 ? IN_OPTION : AT_FENCE);
}

/* An id of the model's own, which is not used: clients get one that is unique. */
static enum read_end in_option(struct tool_reader *reader)
{
    pdk_string word = tool_reader_word(reader, WORD_NAME);
    int which;
    size_t at;
    enum read_end end = find(reader, &word, 1, &which, &at);
    if (end != READ_DONE)
        return end;
    window_skip(&reader->window, at + word.length);
    return go(reader, AT_FENCE);
}

static enum read_end at_fence(struct tool_reader *reader)
{
    if (!has_flag(reader, FORMAT_FENCED))
        return go(reader, AT_ARGUMENTS);
    enum match match = window_match(&reader->window, (pdk_string){"```json", 7});
    if (match != MATCH_FULL)
        return match == MATCH_MORE ? READ_MORE : READ_BAD;
    return go(reader, AT_ARGUMENTS);
}

static enum read_end at_arguments(struct tool_reader *reader)
{
    pdk_string name = text_of(&reader->name);
    if (!window_blank(&reader->window))
        return READ_MORE;
    if (*window_at(&reader->window) != '{' || !tool_reader_call(reader, name.data, name.length))
        return READ_BAD;
    value_scan_init(&reader->scan, VALUE_RAW);
    return go(reader, IN_ARGUMENTS);
}

static enum read_end in_arguments(struct tool_reader *reader)
{
    buffer_clear(&reader->value);
    enum value_end end = tool_reader_scan(reader, &reader->value);
    tool_reader_arguments(reader, text_of(&reader->value).data, reader->value.length);
    window_drop(&reader->window);
    if (end != VALUE_DONE)
        return end == VALUE_BAD ? READ_BAD : READ_MORE;
    return go(reader, AT_FENCE_END);
}

static enum read_end at_fence_end(struct tool_reader *reader)
{
    if (!has_flag(reader, FORMAT_FENCED))
        return go(reader, AT_CALL_END);
    if (!window_blank(&reader->window))
        return READ_MORE;
    enum match match = window_match(&reader->window, (pdk_string){"```", 3});
    if (match != MATCH_FULL)
        return match == MATCH_MORE ? READ_MORE : READ_BAD;
    return go(reader, AT_CALL_END);
}

/* A text may end behind the arguments. */
static enum read_end at_call_end(struct tool_reader *reader)
{
    pdk_string word = tool_reader_word(reader, WORD_CALL_END);
    if (word.length > 0) {
        if (!window_blank(&reader->window) && !reader->window.final)
            return READ_MORE;
        enum match match = window_match(&reader->window, word);
        if (match == MATCH_MORE)
            return READ_MORE;
        if (match == MATCH_NONE && window_left(&reader->window) > 0)
            return READ_BAD;
    }
    tool_reader_call_end(reader);
    return go(reader, AFTER_CALL);
}

/* Another call, or the end of all. */
static enum read_end after_call(struct tool_reader *reader)
{
    struct window *window = &reader->window;
    bool ends = tool_reader_word(reader, WORD_END).length > 0;
    if (!ends)
        return go(reader, FINISHED); /* the next one begins as the first did */
    if (!window_blank(window))
        return window->final && reader->calls > 0 ? go(reader, FINISHED) : READ_MORE;
    enum match call = window_match(window, tool_reader_word(reader, WORD_CALL));
    if (call == MATCH_FULL)
        return go(reader, in_call(reader));
    enum match end = window_match(window, tool_reader_word(reader, WORD_END));
    if (call == MATCH_MORE || end == MATCH_MORE)
        return READ_MORE;
    return end == MATCH_FULL && reader->calls > 0 ? go(reader, FINISHED) : READ_BAD;
}

static enum read_end step(struct tool_reader *reader)
{
    switch (reader->state) {
    case AT_BEGIN: return at_begin(reader);
    case AT_PREFIX: return at_prefix(reader);
    case IN_NAME: return in_name(reader);
    case IN_OPTION: return in_option(reader);
    case AT_FENCE: return at_fence(reader);
    case AT_ARGUMENTS: return at_arguments(reader);
    case IN_ARGUMENTS: return in_arguments(reader);
    case AT_FENCE_END: return at_fence_end(reader);
    case AT_CALL_END: return at_call_end(reader);
    default: return after_call(reader);
    }
}

enum read_end read_named(struct tool_reader *reader)
{
    while (!reader->as_json && reader->state != FINISHED) {
        enum read_end end = step(reader);
        if (end != READ_DONE)
            return end;
    }
    return reader->as_json ? read_json(reader) : READ_DONE;
}
