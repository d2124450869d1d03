/* See the header. */
#include "config.h"

#include "runtimes/huggingface/tools/reader.h"

#include "core/base/array.h"
#include "core/base/error.h"

#include <stdlib.h>

/* Longer text is taken in pieces of this, so that each search looks at little. */
enum { PIECE_BYTES = 1024 };

struct reader {
    struct reader_spec spec;
    struct reasoning_reader reasoning;
    struct tool_reader calls;
    struct harmony_reader harmony;
    struct tool_set tools;
    struct deltas deltas, none;
    struct buffer content; /* what the split gave, on its way to the calls' reader */
    struct buffer scratch;
    struct buffer whole; /* with spec.whole: all text that is not reasoning */
    struct buffer raw;   /* with spec.whole: all text, where reasoning may turn out content */
    bool keeps_raw;
    bool is_harmony, reads_calls, named_open, ended, failed, called;
    uint64_t *ends; /* of tokens whose text is not settled */
    size_t end_first, end_count, end_room;
    uint64_t last_end;
    uint32_t reasoning_tokens;
};

pdk_status parsers_init(struct parsers *parsers, const struct tokenizer *tokenizer, pdk_error *err)
{
    const struct tool_format *tools = parsers->tool_format;
    const struct reasoning_format *reasoning = parsers->reasoning_format;
    parsers->is_harmony = (tools != NULL && tools->engine == ENGINE_HARMONY) ||
                          (reasoning != NULL && (reasoning->flags & REASONING_HARMONY) != 0);
    pdk_status status = tool_parser_init(&parsers->forced, &tool_format_forced, tokenizer, err);
    if (status == PDK_OK && tools != NULL)
        status = tool_parser_init(&parsers->tools, tools, tokenizer, err);
    if (status == PDK_OK && reasoning != NULL)
        status = reasoning_parser_init(&parsers->reasoning, reasoning, tokenizer, err);
    return status == PDK_OK ? harmony_parser_init(&parsers->harmony, tokenizer, err) : status;
}

void parsers_done(struct parsers *parsers)
{
    tool_parser_done(&parsers->tools);
    tool_parser_done(&parsers->forced);
    reasoning_parser_done(&parsers->reasoning);
    harmony_parser_done(&parsers->harmony);
    *parsers = (struct parsers){0};
}

static void start(struct reader *reader)
{
    const struct reader_spec *spec = &reader->spec;
    const struct parsers *parsers = spec->parsers;
    bool forced = spec->tools == PDK_TOOLS_REQUIRED || spec->tools == PDK_TOOLS_NAMED;
    bool automatic = spec->tools == PDK_TOOLS_AUTO && parsers->tool_format != NULL;
    reader->is_harmony = parsers->is_harmony;
    harmony_reader_init(&reader->harmony, &parsers->harmony, &reader->deltas);
    reader->harmony.calls_read = automatic;
    reader->harmony.content = forced ? &reader->content : NULL;
    reader->harmony.one_call = spec->one_call;
    reader->harmony.keep_special = spec->keep_special;
    reader->harmony.hidden = spec->hide_reasoning && !spec->whole;
    bool splits = spec->reasoning && parsers->reasoning_format != NULL && !parsers->is_harmony;
    reasoning_reader_init(&reader->reasoning, splits ? &parsers->reasoning : NULL, spec->start, &reader->deltas,
        &reader->content, spec->keep_special);
    reader->reasoning.hidden = spec->hide_reasoning && !spec->whole;
    reader->keeps_raw = splits && spec->whole && (parsers->reasoning_format->flags & REASONING_BOTH) != 0;
    reader->reads_calls = (automatic && !parsers->is_harmony) || spec->tools == PDK_TOOLS_REQUIRED;
    tool_reader_init(&reader->calls, automatic ? &parsers->tools : &parsers->forced, &reader->tools, &reader->deltas,
        spec->keep_special, spec->one_call, spec->id_seed);
}

pdk_status reader_new(const struct reader_spec *spec, struct reader **ret_reader, pdk_error *err)
{
    struct reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the answer");
    reader->spec = *spec;
    pdk_status status = PDK_OK;
    if (spec->tools == PDK_TOOLS_AUTO)
        status = tool_set_read(&reader->tools, spec->tools_json, err);
    if (status != PDK_OK) {
        reader_free(reader);
        return status;
    }
    reader->spec.tools_json = (pdk_string){"", 0};
    start(reader);
    *ret_reader = reader;
    return PDK_OK;
}

struct reader *reader_free(struct reader *reader)
{
    if (reader == NULL)
        return NULL;
    reasoning_reader_done(&reader->reasoning);
    harmony_reader_done(&reader->harmony);
    tool_reader_done(&reader->calls);
    tool_set_done(&reader->tools);
    deltas_done(&reader->deltas);
    deltas_done(&reader->none);
    buffer_done(&reader->content);
    buffer_done(&reader->scratch);
    buffer_done(&reader->whole);
    buffer_done(&reader->raw);
    free(reader->ends);
    free(reader);
    return NULL;
}

/* What is not reasoning, as the client sees it. */
static void pass_content(struct reader *reader, bool final)
{
    const struct reader_spec *spec = &reader->spec;
    pdk_string text = text_of(&reader->content);
    if (spec->whole)
        window_plain(&reader->whole, text.data, text.length, spec->keep_special);
    if (reader->reads_calls) {
        tool_reader_read(&reader->calls, text.data, text.length, final);
    } else {
        buffer_clear(&reader->scratch);
        window_plain(&reader->scratch, text.data, text.length, spec->keep_special);
        pdk_string plain = text_of(&reader->scratch);
        bool named = spec->tools == PDK_TOOLS_NAMED;
        if (named && plain.length > 0 && !reader->named_open) {
            reader->named_open = true;
            deltas_call(&reader->deltas, 0, spec->tool_name.data, spec->tool_name.length, "");
        }
        deltas_put(&reader->deltas, named ? PDK_DELTA_ARGUMENTS : PDK_DELTA_CONTENT, 0, plain.data, plain.length);
    }
    buffer_clear(&reader->content);
}

/* Counts the tokens whose text has found its place. */
static void settle(struct reader *reader)
{
    uint64_t begun = reader->is_harmony ? reader->harmony.begun : reader->reasoning.begun;
    uint64_t settled = reader->is_harmony ? reader->harmony.settled : reader->reasoning.settled;
    uint64_t reasoned = reader->is_harmony ? reader->harmony.reasoned : reader->reasoning.reasoned;
    while (reader->end_count > 0 && reader->ends[reader->end_first] <= settled) {
        uint64_t end = reader->ends[reader->end_first++];
        bool counts = reader->last_end >= begun && end <= reasoned && reasoned > begun;
        reader->reasoning_tokens += counts;
        reader->last_end = end;
        reader->end_count--;
    }
    if (reader->end_count == 0)
        reader->end_first = 0;
}

static void keep_end(struct reader *reader, uint64_t end)
{
    if (!array_grow(&reader->ends, &reader->end_room, reader->end_first + reader->end_count + 1)) {
        reader->failed = true;
        return;
    }
    reader->ends[reader->end_first + reader->end_count++] = end;
}

static void read(struct reader *reader, bool final)
{
    bool passes = !reader->is_harmony || reader->harmony.content != NULL, more = true;
    while (more) {
        more = reader->is_harmony ? harmony_reader_read(&reader->harmony) : reasoning_reader_read(&reader->reasoning);
        if (passes)
            pass_content(reader, final && !more);
    }
}

void reader_add(struct reader *reader, const char *text, size_t length, bool special)
{
    struct window *window = reader->is_harmony ? &reader->harmony.window : &reader->reasoning.window;
    for (size_t at = 0; at < length;) {
        size_t piece = special || length - at < PIECE_BYTES ? length - at : PIECE_BYTES;
        window_add(window, text + at, piece, special);
        at += piece;
        if (reader->keeps_raw && (!special || reader->spec.keep_special))
            buffer_put(&reader->raw, text + at - piece, piece);
        if (at == length)
            keep_end(reader, window->base + window->text.length);
        read(reader, false);
    }
    if (length == 0)
        keep_end(reader, window->base + window->text.length);
    settle(reader);
}

static void put_reasoning(struct reader *reader, int32_t kind, struct deltas *kept)
{
    const char *text = text_of(&reader->deltas.text).data;
    for (size_t i = 0, at = 0; i < reader->deltas.count; at += reader->deltas.list[i++].length)
        if (reader->deltas.list[i].kind == PDK_DELTA_REASONING)
            deltas_put(kept, kind, 0, text + at, reader->deltas.list[i].length);
}

static void put_others(struct reader *reader, struct deltas *kept)
{
    const char *text = text_of(&reader->deltas.text).data;
    for (size_t i = 0, at = 0; i < reader->deltas.count; at += reader->deltas.list[i++].length) {
        const struct delta *delta = &reader->deltas.list[i];
        if (delta->kind == PDK_DELTA_CALL)
            deltas_call(kept, delta->call, text + at, delta->length, delta->id);
        else if (delta->kind != PDK_DELTA_REASONING)
            deltas_put(kept, delta->kind, delta->call, text + at, delta->length);
    }
}

/* A whole answer whose calls are broken has none; reasoning that never ended is content in some formats. */
static void mend(struct reader *reader)
{
    struct deltas kept = {0};
    const struct reasoning_parser *parser = reader->is_harmony ? NULL : reader->reasoning.parser;
    uint32_t flags = parser != NULL && reader->reasoning.inside ? parser->format->flags : 0;
    bool both = (flags & REASONING_BOTH) != 0;
    bool lone = (flags & REASONING_LONE) != 0 && reader->spec.lone_reasoning;
    bool broken = reader->reads_calls && reader->calls.broken;
    if (!both && !lone && !broken && !reader->spec.hide_reasoning)
        return;
    if (both)
        deltas_put(&kept, PDK_DELTA_CONTENT, 0, text_of(&reader->raw).data, reader->raw.length);
    else if (lone || !reader->spec.hide_reasoning)
        put_reasoning(reader, lone ? PDK_DELTA_CONTENT : PDK_DELTA_REASONING, &kept);
    if (broken)
        deltas_put(&kept, PDK_DELTA_CONTENT, 0, text_of(&reader->whole).data, reader->whole.length);
    else if (!both)
        put_others(reader, &kept);
    reader->failed |= deltas_failed(&reader->deltas);
    deltas_done(&reader->deltas);
    reader->deltas = kept;
    reader->called &= !broken && !both;
}

void reader_end(struct reader *reader)
{
    if (reader->ended)
        return;
    reader->ended = true;
    reader->reasoning.window.final = reader->harmony.window.final = true;
    read(reader, true);
    settle(reader);
    uint32_t calls = reader->is_harmony && !reader->reads_calls ? reader->harmony.calls : reader->calls.calls;
    reader->called = calls > 0;
    if (reader->spec.whole)
        mend(reader);
}

struct deltas *reader_deltas(struct reader *reader)
{
    return reader->spec.whole && !reader->ended ? &reader->none : &reader->deltas;
}

bool reader_failed(const struct reader *reader)
{
    return reader->failed || deltas_failed(&reader->deltas) || reader->content.failed || reader->scratch.failed ||
           reader->whole.failed || reader->raw.failed || reader->reasoning.window.text.failed ||
           reader->reasoning.scratch.failed || reader->harmony.window.text.failed || reader->harmony.scratch.failed ||
           tool_reader_failed(&reader->calls);
}

bool reader_inside(const struct reader *reader)
{
    return reader->is_harmony ? reader->harmony.inside : reader->reasoning.inside;
}

bool reader_called(const struct reader *reader)
{
    return reader->called;
}

uint32_t reader_reasoning_tokens(const struct reader *reader)
{
    return reader->reasoning_tokens;
}
