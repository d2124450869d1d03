/* runtimes/huggingface/tools/reader.h: one choice's text as its client sees it: reasoning, then content, then calls.
 *
 * In a stream the stretches go out as they come. Of an answer that is read as a whole they are given at its end only:
 * where a call turns out broken, all of the content's text is content and there are no calls. */
#pragma once

#include "runtimes/huggingface/tools/harmony.h"
#include "runtimes/huggingface/tools/reasoning.h"
#include "runtimes/huggingface/tools/tool_reader.h"

/* What a model's answers are read with. Constant while requests run. */
struct parsers {
    const struct tool_format *tool_format;           /* NULL: calls are not read */
    const struct reasoning_format *reasoning_format; /* NULL: nor is reasoning */
    struct tool_parser tools, forced;
    struct reasoning_parser reasoning;
    struct harmony_parser harmony;
    bool is_harmony;
    bool guessed;    /* the reasoning's format was read off the template: a text opens it, or the prompt */
    bool hide_tools; /* the template does not get the tools of a request that may not call them */
};

/* `parsers` has its formats, and is zero else. parsers_done frees it, after a failure too. */
pdk_status parsers_init(struct parsers *parsers, const struct tokenizer *tokenizer, pdk_error *err);
void parsers_done(struct parsers *parsers);

struct reader_spec {
    const struct parsers *parsers;
    enum reasoning_start start;
    int32_t tools; /* PDK_TOOLS_… */
    pdk_string tool_name;
    pdk_string tools_json;
    bool reasoning;      /* look for it */
    bool lone_reasoning; /* reasoning without content is content */
    bool hide_reasoning, one_call, keep_special;
    bool whole; /* nobody reads before the end */
    uint64_t id_seed;
};

struct reader;
/* Borrows the parsers and tool_name. */
pdk_status reader_new(const struct reader_spec *spec, struct reader **ret_reader, pdk_error *err);
struct reader *reader_free(struct reader *reader); /* takes NULL, returns NULL */
/* The text that one token added, "" perhaps; `special`: it is a special token's. */
void reader_add(struct reader *reader, const char *text, size_t length, bool special);
/* No more comes. */
void reader_end(struct reader *reader);
/* What may go out now; the caller clears it when it is gone. */
struct deltas *reader_deltas(struct reader *reader);
bool reader_failed(const struct reader *reader); /* out of memory */
bool reader_inside(const struct reader *reader); /* in reasoning */
/* Whether there are calls, and their having ended the answer is what the client is told. */
bool reader_called(const struct reader *reader);
uint32_t reader_reasoning_tokens(const struct reader *reader);
