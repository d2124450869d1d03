/* runtimes/huggingface/tools/reasoning.h: where the reasoning in one choice's text ends and its content begins: a row a
 * format, and the reader of a text as it grows. */
#pragma once

#include "runtimes/huggingface/tools/deltas.h"
#include "runtimes/huggingface/tools/tool_format.h"
#include "runtimes/huggingface/tools/window.h"

enum {
    REASONING_OPEN = 1 << 0,    /* a text is reasoning from its first byte; the prompt holds the mark, or no one does */
    REASONING_OPT_IN = 1 << 1,  /* only where a template variable says so */
    REASONING_OPT_OUT = 1 << 2, /* not where one says not */
    REASONING_NEWLINE = 1 << 3, /* one newline behind the end is not content */
    REASONING_TRIM = 1 << 4,    /* nor one before the end reasoning */
    REASONING_BOTH = 1 << 5,    /* without its end it was content (known only of a whole text) */
    REASONING_AGAIN = 1 << 6,   /* may come again later */
    REASONING_SHOWN = 1 << 7,   /* stays in the content, with its marks */
    REASONING_LONE = 1 << 8,    /* force_nonempty_content gives reasoning out as content where there is none */
    REASONING_HARMONY = 1 << 9, /* messages in channels: harmony.h */
};

enum { REASONING_MARKS = 2, REASONING_NAMES = 8 };

struct reasoning_format {
    const char *names[REASONING_NAMES]; /* of --reasoning-parser */
    uint32_t flags;
    const char *begins[REASONING_MARKS], *ends[REASONING_MARKS];
    const char *opening;                     /* may stand behind the begin, and is dropped */
    const char *stopper;                     /* ends reasoning too, and belongs to the content */
    const char *content_begin, *content_end; /* around the content, dropped */
};

const struct reasoning_format *reasoning_format_find(const char *name); /* NULL: none of that name */
const char *reasoning_format_detect(const char *template);              /* or NULL */
void reasoning_format_list(struct buffer *out);

enum { REASONING_STOPS = 2 * REASONING_MARKS + 1 };

/* A format's marks as they stand in a window. Constant once made. */
struct reasoning_parser {
    const struct reasoning_format *format;
    /* ends, the stopper, begins: what is looked for in reasoning */
    pdk_string stops[REASONING_STOPS];
    pdk_string begins[REASONING_MARKS];
    pdk_string opening, content_begin, content_end;
    struct buffer memory;
};

pdk_status reasoning_parser_init(struct reasoning_parser *parser, const struct reasoning_format *format,
    const struct tokenizer *tokenizer, pdk_error *err);
void reasoning_parser_done(struct reasoning_parser *parser);
/* Whether an answer to `prompt` begins as reasoning: `switched` is 1, 0, or -1 where no template variable says. */
enum reasoning_start {
    REASONING_STARTS_OFF,
    REASONING_STARTS_OUTSIDE, /* it may begin anywhere */
    REASONING_STARTS_EITHER,  /* its begin may be the first thing in the answer */
    REASONING_STARTS_INSIDE,
};
enum reasoning_start reasoning_start(const struct reasoning_format *format, pdk_string prompt, int switched);

/* Whether `prompt` ends inside reasoning. */
bool reasoning_is_open(const struct reasoning_format *format, pdk_string prompt);

/* Splits one text. Reasoning goes to `out`, the rest, still with its marks, to `content`. */
struct reasoning_reader {
    const struct reasoning_parser *parser;
    struct deltas *out;
    struct buffer *content;
    struct window window;
    struct buffer scratch;
    int place;
    bool keep_special, hidden;
    bool either; /* without a begin at once there is no reasoning */
    bool inside; /* in reasoning now */
    bool was_inside, ended;
    uint64_t begun;    /* where reasoning began, as an offset of the text */
    uint64_t settled;  /* what comes before was given out */
    uint64_t reasoned; /* reasoning reaches to here */
};

void reasoning_reader_init(struct reasoning_reader *reader, const struct reasoning_parser *parser,
    enum reasoning_start start, struct deltas *out, struct buffer *content, bool keep_special);
void reasoning_reader_done(struct reasoning_reader *reader);
/* Reads on in `window`, to which text was added. True: reasoning comes next, and `content` has to go out before it;
 * then call again. */
bool reasoning_reader_read(struct reasoning_reader *reader);
