/* What all formats share: where calls begin, what is content, and what becomes of text that was no call. */
#include "config.h"

#include "runtimes/huggingface/tools/tool_reader.h"

#include "core/base/siphash.h"

#include <stdio.h>
#include <string.h>

enum { PLACE_TEXT, PLACE_CALLS };

void tool_reader_init(struct tool_reader *reader, const struct tool_parser *parser, const struct tool_set *tools,
    struct deltas *out, bool keep_special, bool one_call, uint64_t id_seed)
{
    *reader = (struct tool_reader){.parser = parser,
        .tools = tools,
        .out = out,
        .keep_special = keep_special,
        .one_call = one_call || (parser->format->flags & FORMAT_ONE_CALL) != 0,
        .id_seed = id_seed};
}

void tool_reader_done(struct tool_reader *reader)
{
    window_done(&reader->window);
    buffer_done(&reader->name);
    buffer_done(&reader->key);
    buffer_done(&reader->value);
    buffer_done(&reader->scratch);
    buffer_done(&reader->held);
}

bool tool_reader_failed(const struct tool_reader *reader)
{
    return reader->window.text.failed || reader->name.failed || reader->key.failed || reader->value.failed ||
           reader->scratch.failed || reader->held.failed || deltas_failed(reader->out);
}

/* Gives the next `count` unread bytes out as content. */
static void give_content(struct tool_reader *reader, size_t count)
{
    struct window *window = &reader->window;
    buffer_clear(&reader->scratch);
    window_plain(
        &reader->scratch, window->text.data + window->at, window->cursor - window->at + count, reader->keep_special);
    window_skip(window, count);
    window_drop(window);
    deltas_put(reader->out, PDK_DELTA_CONTENT, 0, text_of(&reader->scratch).data, reader->scratch.length);
}

static void drop(struct tool_reader *reader, size_t count)
{
    window_skip(&reader->window, count);
    window_drop(&reader->window);
}

/* Text outside of calls; behind the first it is the model's layout. */
static void give_text(struct tool_reader *reader, size_t count)
{
    uint32_t flags = reader->parser->format->flags;
    bool hidden = reader->calls > 0 && (flags & FORMAT_KEEP_AFTER) == 0 && !reader->plain;
    if (hidden)
        drop(reader, count);
    else if (count > 0)
        give_content(reader, count);
}

/* Formats whose calls are all of the text. False: wait for more. */
static bool read_start(struct tool_reader *reader)
{
    struct window *window = &reader->window;
    bool more = window_blank(window);
    if (reader->calls > 0) {
        reader->broken |= more; /* something follows them */
        drop(reader, window_left(window));
        return false;
    }
    if (!more && window->final)
        give_content(reader, 0);
    return more;
}

/* Whether reading goes on. */
static bool read_text(struct tool_reader *reader)
{
    const struct tool_parser *parser = reader->parser;
    struct window *window = &reader->window;
    bool at_start = (parser->format->flags & FORMAT_AT_START) != 0 && !reader->plain;
    if (at_start && !read_start(reader))
        return false;
    int which = -1;
    size_t before = window_left(window);
    if (!reader->plain)
        before = window_find(window, parser->begins, parser->begin_count, &which);
    if (at_start && before > 0) {
        reader->plain = true; /* something else comes first */
        return true;
    }
    if (at_start && which < 0)
        return false;
    give_text(reader, before);
    if (which < 0)
        return false;
    if (!parser->bare[which])
        window_skip(window, parser->begins[which].length);
    reader->place = PLACE_CALLS;
    reader->direct = which > 0;
    reader->state = 0;
    reader->in_list = reader->as_json = false;
    return true;
}

/* How long the character, or the special token, at the cursor is. */
static size_t first_length(const struct window *window)
{
    const char *at = window_at(window);
    size_t left = window_left(window), length = 1;
    if (*at == MARK_OPEN)
        while (length < left && at[length - 1] != MARK_CLOSE)
            length++;
    return length;
}

/* What was taken for a call is none. */
static void give_up(struct tool_reader *reader, bool at_end)
{
    struct window *window = &reader->window;
    uint32_t flags = reader->parser->format->flags;
    bool given = reader->open;
    reader->open = false;
    reader->place = PLACE_TEXT;
    if ((flags & FORMAT_RETRY) != 0 && !given) {
        /* Its first byte is text; what follows may begin a call yet. */
        window->cursor = window->searched = window->at;
        give_text(reader, first_length(window));
        return;
    }
    reader->broken = true;
    reader->plain |= (flags & FORMAT_AT_START) != 0 && reader->calls == 0;
    /* Of a call that was given the client has the beginning; the rest belongs to nothing, as text behind calls. */
    size_t rest = at_end ? window_left(window) : 0;
    if (given || (reader->calls > 0 && (flags & FORMAT_KEEP_AFTER) == 0))
        drop(reader, rest);
    else
        give_content(reader, rest);
    window->searched = window->cursor;
}

static enum read_end run_engine(struct tool_reader *reader)
{
    switch (reader->parser->format->engine) {
    case ENGINE_JSON: return read_json(reader);
    case ENGINE_NAMED: return read_named(reader);
    case ENGINE_TAGS: return read_tags(reader);
    case ENGINE_PYTHON: return read_python(reader);
    case ENGINE_GEMMA: return read_gemma(reader);
    case ENGINE_HARMONY: break; /* has a reader of its own */
    }
    return READ_BAD;
}

/* Whether reading goes on. */
static bool read_calls(struct tool_reader *reader)
{
    enum read_end end = run_engine(reader);
    if (end == READ_MORE && !reader->window.final)
        return false;
    if (end == READ_DONE) {
        window_drop(&reader->window);
        reader->window.searched = reader->window.cursor;
        reader->place = PLACE_TEXT;
    } else {
        give_up(reader, end == READ_MORE);
    }
    return true;
}

void tool_reader_read(struct tool_reader *reader, const char *text, size_t length, bool final)
{
    struct window *window = &reader->window;
    window_pass(window, text, length);
    window->final |= final;
    bool goes_on = true;
    while (goes_on && !window->text.failed) {
        if (window->final && reader->place == PLACE_TEXT && window_left(window) == 0)
            break;
        goes_on = reader->place == PLACE_TEXT ? read_text(reader) : read_calls(reader);
    }
}

/* 9 letters and digits, as one family's templates want them. */
static void make_id(struct tool_reader *reader)
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const struct siphash_key key = {reader->id_seed, reader->calls};
    uint64_t hash = siphash64(&key, "call", 4);
    for (size_t i = 0; i < 9; i++, hash /= sizeof letters - 1)
        reader->id[i] = letters[hash % (sizeof letters - 1)];
    reader->id[9] = '\0';
}

bool tool_reader_call(struct tool_reader *reader, const char *name, size_t length)
{
    if (length == 0 || length > TOOL_NAME_BYTES || reader->calls == TOOL_CALLS_MAX)
        return false;
    if ((reader->parser->format->flags & FORMAT_MISTRAL_IDS) != 0 && reader->id[0] == '\0')
        make_id(reader);
    window_drop(&reader->window);
    reader->open = true;
    reader->filled = false;
    if (!reader->one_call || reader->calls == 0)
        deltas_call(reader->out, reader->calls, name, length, reader->id);
    reader->calls++;
    reader->id[0] = '\0';
    return true;
}

void tool_reader_arguments(struct tool_reader *reader, const char *text, size_t length)
{
    if (!reader->one_call || reader->calls == 1)
        deltas_put(reader->out, PDK_DELTA_ARGUMENTS, reader->calls - 1, text, length);
}

void tool_reader_call_end(struct tool_reader *reader)
{
    reader->open = false;
    window_drop(&reader->window);
}

enum value_end tool_reader_scan(struct tool_reader *reader, struct buffer *out)
{
    struct window *window = &reader->window;
    size_t taken = 0;
    enum value_end end =
        value_scan_read(&reader->scan, window_at(window), window_left(window), window->final, &taken, out);
    window_skip(window, taken);
    return end;
}
