/* See harmony.h. Headers: assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>, with the
 * recipient before the channel or behind it. The prompt ends where the first header's role stands. */
#include "config.h"

#include "runtimes/huggingface/tools/harmony.h"

#include "core/base/error.h"
#include "runtimes/huggingface/tools/tool_reader.h"

#include <string.h>

enum { HEADER_BYTES = 1024 };

const char *const harmony_texts[HARMONY_MARKS] = {
    "<|message|>", "<|end|>", "<|return|>", "<|call|>", "<|start|>", "<|channel|>"};

pdk_status harmony_parser_init(struct harmony_parser *parser, const struct tokenizer *tokenizer, pdk_error *err)
{
    size_t offsets[HARMONY_MARKS + 1] = {0};
    for (size_t i = 0; i < HARMONY_MARKS; i++) {
        marker_put(&parser->memory, tokenizer, harmony_texts[i]);
        offsets[i + 1] = parser->memory.length;
    }
    if (parser->memory.failed)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for a reasoning parser");
    for (size_t i = 0; i < HARMONY_MARKS; i++)
        parser->marks[i] = (pdk_string){parser->memory.data + offsets[i], offsets[i + 1] - offsets[i]};
    return PDK_OK;
}

void harmony_parser_done(struct harmony_parser *parser)
{
    buffer_done(&parser->memory);
}

void harmony_reader_init(struct harmony_reader *reader, const struct harmony_parser *parser, struct deltas *out)
{
    *reader = (struct harmony_reader){.parser = parser, .out = out};
}

void harmony_reader_done(struct harmony_reader *reader)
{
    window_done(&reader->window);
    buffer_done(&reader->scratch);
}

/* The word behind `mark` in a header, up to a blank or a special token. */
static pdk_string word_behind(pdk_string header, pdk_string mark)
{
    const char *found = memmem(header.data, header.length, mark.data, mark.length);
    if (found == NULL)
        return (pdk_string){"", 0};
    const char *from = found + mark.length, *end = header.data + header.length, *at = from;
    while (at < end && *at != ' ' && *at != '\n' && *at != MARK_OPEN && *at != '<')
        at++;
    return (pdk_string){from, (size_t)(at - from)};
}

static bool begins(pdk_string text, const char *word)
{
    return text.length >= strlen(word) && memcmp(text.data, word, strlen(word)) == 0;
}

static void begin_message(struct harmony_reader *reader, pdk_string header)
{
    static const char prefix[] = "functions.";
    pdk_string channel = word_behind(header, reader->parser->marks[HARMONY_CHANNEL]);
    pdk_string recipient = word_behind(header, (pdk_string){"to=", 3});
    bool function = begins(recipient, prefix) && recipient.length > sizeof prefix - 1 &&
                    recipient.length < TOOL_NAME_BYTES && reader->calls < TOOL_CALLS_MAX;
    reader->is_call = function && reader->calls_read;
    reader->kind =
        begins(channel, "analysis") || (recipient.length > 0 && !function) ? PDK_DELTA_REASONING : PDK_DELTA_CONTENT;
    if (!reader->is_call)
        return;
    reader->kind = PDK_DELTA_ARGUMENTS;
    if (!reader->one_call || reader->calls == 0)
        deltas_call(
            reader->out, reader->calls, recipient.data + sizeof prefix - 1, recipient.length - (sizeof prefix - 1), "");
    reader->calls++;
}

static void give(struct harmony_reader *reader, size_t count)
{
    struct window *window = &reader->window;
    if (reader->content != NULL && reader->kind == PDK_DELTA_CONTENT) {
        buffer_put(reader->content, window_at(window), count);
        window_skip(window, count);
        window_drop(window);
        return;
    }
    buffer_clear(&reader->scratch);
    window_plain(&reader->scratch, window_at(window), count, reader->keep_special);
    window_skip(window, count);
    window_drop(window);
    bool reasoning = reader->kind == PDK_DELTA_REASONING;
    bool shown = !(reasoning && reader->hidden) && !(reader->is_call && reader->one_call && reader->calls > 1);
    if (shown)
        deltas_put(reader->out, reader->kind, reader->is_call ? reader->calls - 1 : 0, text_of(&reader->scratch).data,
            reader->scratch.length);
    if (reasoning)
        reader->reasoned = window->base + window->cursor;
}

/* Where no header is, the text is content. */
static bool begin_text(struct harmony_reader *reader)
{
    reader->kind = PDK_DELTA_CONTENT;
    reader->is_call = false;
    reader->in_message = true;
    reader->window.searched = reader->window.cursor;
    return true;
}

static bool read_header(struct harmony_reader *reader)
{
    struct window *window = &reader->window;
    const pdk_string *marks = reader->parser->marks;
    int which;
    size_t before = window_find(window, &marks[HARMONY_MESSAGE], 1, &which);
    if (before >= HEADER_BYTES)
        return begin_text(reader);
    if (which < 0 && !window->final)
        return false;
    pdk_string header = {window_at(window), before}, channel = marks[HARMONY_CHANNEL];
    if (which < 0) {
        bool bare = memmem(header.data, header.length, channel.data, channel.length) == NULL;
        if (bare && before > 0)
            return begin_text(reader);
        window_skip(window, before);
        window_drop(window);
        return false;
    }
    begin_message(reader, header);
    window_skip(window, before + marks[HARMONY_MESSAGE].length);
    window_drop(window);
    reader->in_message = true;
    reader->inside = reader->kind == PDK_DELTA_REASONING;
    if (reader->inside)
        reader->begun = reader->reasoned = window->base + window->cursor;
    return true;
}

static bool read_message(struct harmony_reader *reader)
{
    struct window *window = &reader->window;
    const pdk_string *ends = &reader->parser->marks[HARMONY_END];
    int which;
    size_t before = window_find(window, ends, HARMONY_START - HARMONY_END + 1, &which);
    give(reader, before);
    if (which < 0)
        return false;
    window_skip(window, ends[which].length);
    window_drop(window);
    reader->in_message = reader->inside = false;
    return true;
}

bool harmony_reader_read(struct harmony_reader *reader)
{
    bool goes_on = true;
    while (goes_on && !reader->window.text.failed) {
        bool reasons = reader->in_message && reader->kind == PDK_DELTA_REASONING;
        if (reasons && reader->content != NULL && reader->content->length > 0)
            return true;
        goes_on = reader->in_message ? read_message(reader) : read_header(reader);
    }
    reader->settled = reader->window.base + reader->window.cursor;
    return false;
}
