/* runtimes/huggingface/tools/tool_reader.h: the tool calls in one choice's text, read as it grows. What comes out does
 * not depend on how the text arrives. A call's name is given once its arguments begin; text that turns out to be no
 * call before that is content. */
#pragma once

#include "runtimes/huggingface/tools/deltas.h"
#include "runtimes/huggingface/tools/tool_format.h"
#include "runtimes/huggingface/tools/tool_set.h"
#include "runtimes/huggingface/tools/value_scan.h"
#include "runtimes/huggingface/tools/window.h"

enum { TOOL_NAME_BYTES = 256, TOOL_CALLS_MAX = 128 };

struct tool_reader {
    const struct tool_parser *parser;
    const struct tool_set *tools;
    struct deltas *out;
    uint64_t id_seed; /* of calls' ids, where the format has its own */
    bool keep_special, one_call;

    struct window window;
    int place;   /* outside of calls, or in one */
    int state;   /* of the engine */
    bool plain;  /* no calls are looked for any more */
    bool open;   /* a call was given and has not ended */
    bool filled; /* its arguments have a member */
    bool broken; /* something began as a call and was none, or did not end */
    bool in_list;
    bool direct;           /* it began with the format's second mark or a later one */
    bool as_json;          /* names and arguments turned out to be JSON calls */
    bool typed, is_string; /* a parameter's tag says whether it is a string */
    uint32_t calls;
    struct value_scan scan;
    struct buffer name, key, value, scratch;
    struct buffer held; /* arguments that wait for a name */
    char id[CALL_ID_BYTES];
    bool has_name, has_arguments;
};

/* Borrows what it points at. */
void tool_reader_init(struct tool_reader *reader, const struct tool_parser *parser, const struct tool_set *tools,
    struct deltas *out, bool keep_special, bool one_call, uint64_t id_seed);
void tool_reader_done(struct tool_reader *reader);
/* Takes text with special tokens between their marks; `final`: it is the last. */
void tool_reader_read(struct tool_reader *reader, const char *text, size_t length, bool final);
bool tool_reader_failed(const struct tool_reader *reader);

/* For the engines: what one made of the text so far. */
enum read_end { READ_MORE, READ_DONE, READ_BAD };
enum read_end read_json(struct tool_reader *reader);
enum read_end read_named(struct tool_reader *reader);
enum read_end read_tags(struct tool_reader *reader);
enum read_end read_python(struct tool_reader *reader);
enum read_end read_gemma(struct tool_reader *reader);
/* Gives a call's name; what was read is gone from the window. False: too many calls, or no name. */
bool tool_reader_call(struct tool_reader *reader, const char *name, size_t length);
void tool_reader_arguments(struct tool_reader *reader, const char *text, size_t length);
void tool_reader_call_end(struct tool_reader *reader);
/* Reads a value on from the cursor into `out`. */
enum value_end tool_reader_scan(struct tool_reader *reader, struct buffer *out);
static inline pdk_string tool_reader_word(const struct tool_reader *reader, enum format_word word)
{
    return reader->parser->words[word];
}
static inline pdk_string text_of(const struct buffer *buffer)
{
    return (pdk_string){buffer->data != NULL ? buffer->data : "", buffer->length};
}
