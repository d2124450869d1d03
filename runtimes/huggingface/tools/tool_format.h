/* runtimes/huggingface/tools/tool_format.h: how models write tool calls: a row a format, read by one of a few engines;
 * and a row made ready for one model's vocabulary. */
#pragma once

#include "runtimes/huggingface/tokenizer/tokenizer.h"

enum tool_engine {
    ENGINE_JSON,    /* {"name": …, "arguments": …}, one or a list */
    ENGINE_NAMED,   /* a name, then the arguments as JSON */
    ENGINE_TAGS,    /* tags with a name in them, around parameters each in tags of its own */
    ENGINE_PYTHON,  /* f(a='x', b=1) */
    ENGINE_GEMMA,   /* call:f{a:<escape>x<escape>} */
    ENGINE_HARMONY, /* messages in channels: harmony.h */
};

enum {
    FORMAT_OBJECT = 1 << 0,     /* JSON: one object after the begin */
    FORMAT_LIST = 1 << 1,       /* JSON, Python: a list in brackets */
    FORMAT_AT_START = 1 << 2,   /* calls are all of the text or none of it */
    FORMAT_KEEP_AFTER = 1 << 3, /* text between and behind calls is content */
    FORMAT_RETRY = 1 << 4,      /* what begins like a call and is none is content, and searched further */
    FORMAT_KEY_NAMES = 1 << 5,  /* JSON: {"f": {…}} */
    FORMAT_NEWLINES = 1 << 6,   /* Tags: one newline around a value is not part of it */
    FORMAT_TRIM = 1 << 7,       /* Tags: no blanks around a value */
    FORMAT_ONE_CALL = 1 << 8,   /* a text holds one call */
    FORMAT_KIMI_NAMES = 1 << 9, /* functions.NAME:INDEX, which is also the id */
    FORMAT_MISTRAL_IDS = 1 << 10,
    FORMAT_FENCED = 1 << 11, /* Named: the arguments stand in a block of code */
};

/* The marks of a format by what they are for; those that it has not are NULL. */
enum format_word {
    WORD_CALL,      /* before each call */
    WORD_NAME,      /* behind a name (Tags: the rest of its tag; Named: before the arguments) */
    WORD_NAME_AT,   /* Named: what stands before the name, in the call. Tags: there is text around each call */
    WORD_KEY,       /* Tags: before a parameter's name */
    WORD_KEY_END,   /* Tags: behind it */
    WORD_VALUE,     /* Tags: before a value, where keys and values have tags of their own */
    WORD_VALUE_END, /* Tags: behind it */
    WORD_CALL_END,  /* behind each call */
    WORD_END,       /* behind the calls */
    WORD_STRING,    /* Gemma: around a string */
    WORD_OPTION,    /* Named: what may stand behind the name before WORD_NAME: an id */
    WORD_COUNT
};

enum { FORMAT_BEGINS = 4, FORMAT_NAMES = 6 };

struct tool_format {
    const char *names[FORMAT_NAMES]; /* of --tool-call-parser */
    enum tool_engine engine;
    uint32_t flags;
    /* What calls begin with. "{" and "[" are the call's own first byte. */
    const char *begins[FORMAT_BEGINS];
    const char *words[WORD_COUNT];
};

/* NULL: there is none of that name. */
const struct tool_format *tool_format_find(const char *name);
/* The format that a chat template asks the model for, or NULL. */
const char *tool_format_detect(const char *template);
/* "a,b,c" of all names. */
void tool_format_list(struct buffer *out);
/* The format of a text that a guide holds to [{"name": …, "parameters": {…}}]. */
extern const struct tool_format tool_format_forced;

/* A format's marks as they stand in a window. Constant once made. */
struct tool_parser {
    const struct tool_format *format;
    pdk_string begins[FORMAT_BEGINS];
    size_t begin_count;
    bool bare[FORMAT_BEGINS];
    pdk_string words[WORD_COUNT];
    struct buffer memory;
};

/* `tokenizer` may be NULL: no mark is a special token then. PDK_NO_MEMORY. `parser` is zeroed before. */
pdk_status tool_parser_init(
    struct tool_parser *parser, const struct tool_format *format, const struct tokenizer *tokenizer, pdk_error *err);
void tool_parser_done(struct tool_parser *parser);
/* Adds a mark as it stands in a window: the longest special tokens in it between their marks. */
void marker_put(struct buffer *out, const struct tokenizer *tokenizer, const char *text);
