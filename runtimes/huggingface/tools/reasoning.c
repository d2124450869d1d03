/* See the header. */
#include "config.h"

#include "runtimes/huggingface/tools/reasoning.h"

#include "core/base/error.h"

#include <string.h>

enum {
    PLACE_OUTSIDE,    /* content until reasoning begins */
    PLACE_BEGIN,      /* a begin may stand here */
    PLACE_OPENING,    /* behind a begin */
    PLACE_REASONING,  /* */
    PLACE_BEHIND,     /* behind the end: what the format puts around the content */
    PLACE_BEHIND_TAG, /* behind the content's own begin */
    PLACE_CONTENT,    /* */
    PLACE_CLOSED      /* behind the content's end */
};

pdk_status reasoning_parser_init(struct reasoning_parser *parser, const struct reasoning_format *format,
    const struct tokenizer *tokenizer, pdk_error *err)
{
    const char *const texts[] = {format->ends[0], format->ends[1], format->stopper, format->begins[0],
        format->begins[1], format->opening, format->content_begin, format->content_end};
    enum { TEXTS = sizeof texts / sizeof texts[0] };
    size_t offsets[TEXTS + 1] = {0};
    parser->format = format;
    for (size_t i = 0; i < TEXTS; i++) {
        if (texts[i] != NULL)
            marker_put(&parser->memory, tokenizer, texts[i]);
        offsets[i + 1] = parser->memory.length;
    }
    if (parser->memory.failed)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for a reasoning parser");
    pdk_string marks[TEXTS];
    const char *memory = parser->memory.data != NULL ? parser->memory.data : "";
    for (size_t i = 0; i < TEXTS; i++)
        marks[i] = (pdk_string){memory + offsets[i], offsets[i + 1] - offsets[i]};
    memcpy(parser->stops, marks, sizeof parser->stops);
    memcpy(parser->begins, marks + REASONING_MARKS + 1, sizeof parser->begins);
    parser->opening = marks[REASONING_STOPS];
    parser->content_begin = marks[REASONING_STOPS + 1];
    parser->content_end = marks[REASONING_STOPS + 2];
    return PDK_OK;
}

void reasoning_parser_done(struct reasoning_parser *parser)
{
    buffer_done(&parser->memory);
    *parser = (struct reasoning_parser){0};
}

static bool ends_with(pdk_string text, const char *end)
{
    size_t length = end != NULL ? strlen(end) : 0;
    while (text.length > 0 && strchr(" \n\t\r", text.data[text.length - 1]) != NULL)
        text.length--;
    return length > 0 && text.length >= length && memcmp(text.data + text.length - length, end, length) == 0;
}

enum reasoning_start reasoning_start(const struct reasoning_format *format, pdk_string prompt, int switched)
{
    uint32_t flags = format->flags;
    if (((flags & REASONING_OPT_OUT) != 0 && switched == 0) || ((flags & REASONING_OPT_IN) != 0 && switched != 1))
        return REASONING_STARTS_OFF;
    for (size_t i = 0; i < REASONING_MARKS; i++) {
        /* A template that shuts reasoning off writes an empty one. */
        if (ends_with(prompt, format->ends[i]))
            return REASONING_STARTS_OFF;
        if (ends_with(prompt, format->begins[i]))
            return REASONING_STARTS_INSIDE;
    }
    return (flags & REASONING_OPEN) != 0 ? REASONING_STARTS_INSIDE : REASONING_STARTS_OUTSIDE;
}

bool reasoning_is_open(const struct reasoning_format *format, pdk_string prompt)
{
    return ends_with(prompt, format->begins[0]) || ends_with(prompt, format->begins[1]);
}

void reasoning_reader_init(struct reasoning_reader *reader, const struct reasoning_parser *parser,
    enum reasoning_start start, struct deltas *out, struct buffer *content, bool keep_special)
{
    *reader = (struct reasoning_reader){
        .parser = parser, .out = out, .content = content, .keep_special = keep_special, .place = PLACE_OUTSIDE};
    if (parser == NULL || start == REASONING_STARTS_OFF) {
        reader->place = PLACE_CONTENT;
    } else if (start == REASONING_STARTS_INSIDE) {
        reader->place = PLACE_BEGIN;
        reader->inside = true;
    } else if (start == REASONING_STARTS_EITHER) {
        reader->place = PLACE_BEGIN;
        reader->either = true;
    }
    if (parser != NULL && (parser->format->flags & REASONING_SHOWN) != 0) {
        reader->place = PLACE_CONTENT;
        buffer_puts(content, "<think>");
    }
}

void reasoning_reader_done(struct reasoning_reader *reader)
{
    window_done(&reader->window);
    buffer_done(&reader->scratch);
}

static uint64_t offset(const struct window *window)
{
    return window->base + window->cursor;
}

/* Gives the next `count` bytes out as reasoning, or as content. */
static void give(struct reasoning_reader *reader, size_t count, bool reasoning)
{
    struct window *window = &reader->window;
    if (count == 0)
        return;
    if (reasoning) {
        buffer_clear(&reader->scratch);
        window_plain(&reader->scratch, window_at(window), count, reader->keep_special);
        if (!reader->hidden && reader->scratch.length > 0)
            deltas_put(reader->out, PDK_DELTA_REASONING, 0, reader->scratch.data, reader->scratch.length);
    } else {
        buffer_put(reader->content, window_at(window), count);
    }
    window_skip(window, count);
    window_drop(window);
    if (reasoning)
        reader->reasoned = offset(window);
}

static void skip(struct reasoning_reader *reader, size_t count)
{
    window_skip(&reader->window, count);
    window_drop(&reader->window);
}

static void begin_reasoning(struct reasoning_reader *reader)
{
    reader->begun = reader->reasoned = offset(&reader->window);
    reader->inside = true;
    reader->place = PLACE_OPENING;
}

static bool read_outside(struct reasoning_reader *reader)
{
    int which;
    size_t before = window_find(&reader->window, reader->parser->begins, REASONING_MARKS, &which);
    give(reader, before, false);
    if (which < 0)
        return false;
    skip(reader, reader->parser->begins[which].length);
    begin_reasoning(reader);
    return true;
}

/* What was read is read again when more has come. */
static bool wait(struct window *window)
{
    window->cursor = window->at;
    return false;
}

/* The model may write the begin itself; blanks before it are no reasoning. */
static bool read_begin(struct reasoning_reader *reader)
{
    struct window *window = &reader->window;
    reader->begun = reader->reasoned = offset(window);
    if (!window_blank(window) && !window->final)
        return wait(window);
    for (size_t i = 0; i < REASONING_MARKS; i++) {
        enum match match = window_match(window, reader->parser->begins[i]);
        if (match == MATCH_MORE)
            return wait(window);
        if (match == MATCH_FULL) {
            window_drop(window);
            begin_reasoning(reader);
            return true;
        }
    }
    window->cursor = window->at;
    reader->place = reader->either ? PLACE_CONTENT : PLACE_OPENING;
    return true;
}

static bool read_opening(struct reasoning_reader *reader)
{
    enum match match = window_match(&reader->window, reader->parser->opening);
    if (match == MATCH_MORE)
        return false;
    window_drop(&reader->window);
    reader->place = PLACE_REASONING;
    return true;
}

/* A newline before the end waits until it is known whether the end follows. */
static size_t without_newline(const struct reasoning_reader *reader, size_t before)
{
    bool trims = (reader->parser->format->flags & REASONING_TRIM) != 0;
    return trims && before > 0 && window_at(&reader->window)[before - 1] == '\n' ? before - 1 : before;
}

static bool read_reasoning(struct reasoning_reader *reader)
{
    struct window *window = &reader->window;
    int which;
    size_t before = window_find(window, reader->parser->stops, REASONING_STOPS, &which);
    size_t given = which < 0 && window->final ? before : without_newline(reader, before);
    give(reader, given, true);
    if (which < 0)
        return false;
    if (which > REASONING_MARKS) { /* a begin in the middle says nothing */
        give(reader, before - given, true);
        skip(reader, reader->parser->stops[which].length);
        return true;
    }
    skip(reader, before - given);
    reader->reasoned = offset(window);
    if (which < REASONING_MARKS)
        skip(reader, reader->parser->stops[which].length);
    reader->inside = false;
    reader->ended = true;
    reader->place = PLACE_BEHIND;
    return true;
}

static bool read_behind(struct reasoning_reader *reader)
{
    struct window *window = &reader->window;
    if (reader->parser->content_begin.length > 0) {
        if (!window_blank(window) && !window->final)
            return false;
        window_drop(window); /* the layout around the content */
        enum match match = window_match(window, reader->parser->content_begin);
        window_drop(window);
        if (match != MATCH_MORE)
            reader->place = match == MATCH_FULL ? PLACE_BEHIND_TAG : PLACE_CONTENT;
        return match != MATCH_MORE;
    }
    if ((reader->parser->format->flags & REASONING_NEWLINE) != 0) {
        if (window_match(window, (pdk_string){"\n", 1}) == MATCH_MORE)
            return false;
        window_drop(window);
    }
    bool again = (reader->parser->format->flags & REASONING_AGAIN) != 0;
    reader->place = again ? PLACE_OUTSIDE : PLACE_CONTENT;
    return true;
}

static bool read_behind_tag(struct reasoning_reader *reader)
{
    if (window_match(&reader->window, (pdk_string){"\n", 1}) == MATCH_MORE)
        return false;
    window_drop(&reader->window);
    reader->place = PLACE_CONTENT;
    return true;
}

static bool read_content(struct reasoning_reader *reader)
{
    struct window *window = &reader->window;
    pdk_string end = reader->parser != NULL ? reader->parser->content_end : (pdk_string){"", 0};
    if (end.length == 0 || !reader->ended) {
        give(reader, window_left(window), false);
        return false;
    }
    int which;
    size_t before = window_find(window, &end, 1, &which);
    bool newline = before > 0 && window_at(window)[before - 1] == '\n';
    if (which < 0) {
        give(reader, newline && !window->final ? before - 1 : before, false);
        return false;
    }
    give(reader, before - newline, false);
    skip(reader, newline + end.length);
    reader->place = PLACE_CLOSED;
    return true;
}

/* Blanks behind the content's end are nothing. */
static bool read_closed(struct reasoning_reader *reader)
{
    bool more = window_blank(&reader->window);
    window_drop(&reader->window);
    if (more)
        reader->place = PLACE_CONTENT;
    return more;
}

bool reasoning_reader_read(struct reasoning_reader *reader)
{
    bool goes_on = true;
    while (goes_on && !reader->window.text.failed) {
        if (reader->place == PLACE_OPENING && reader->content->length > 0)
            return true;
        switch (reader->place) {
        case PLACE_OUTSIDE: goes_on = read_outside(reader); break;
        case PLACE_BEGIN: goes_on = read_begin(reader); break;
        case PLACE_OPENING: goes_on = read_opening(reader); break;
        case PLACE_REASONING: goes_on = read_reasoning(reader); break;
        case PLACE_BEHIND: goes_on = read_behind(reader); break;
        case PLACE_BEHIND_TAG: goes_on = read_behind_tag(reader); break;
        case PLACE_CONTENT: goes_on = read_content(reader); break;
        default: goes_on = read_closed(reader); break;
        }
    }
    reader->settled = offset(&reader->window);
    return false;
}
