/* tests/unit/reader_run.h: an answer's text through a reader in pieces, and what came out in one line: "c:" content,
 * "r:" reasoning, "N name" and ":" arguments of calls, with '|' between. */
#pragma once

#include "core/base/buffer.h"
#include "runtimes/huggingface/tools/reader.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

struct reader_run {
    struct parsers parsers;
    struct reader_spec spec;
    struct buffer out;
    uint32_t reasoning_tokens;
    bool called;
};

static inline void reader_run_open(struct reader_run *run, const char *tools, const char *reasoning)
{
    *run = (struct reader_run){0};
    run->parsers.tool_format = tools != NULL ? tool_format_find(tools) : NULL;
    run->parsers.reasoning_format = reasoning != NULL ? reasoning_format_find(reasoning) : NULL;
    ck_assert_msg(tools == NULL || run->parsers.tool_format != NULL, "no format %s", tools);
    ck_assert_msg(reasoning == NULL || run->parsers.reasoning_format != NULL, "no format %s", reasoning);
    ck_assert_int_eq(parsers_init(&run->parsers, NULL, NULL), PDK_OK);
    run->spec = (struct reader_spec){.parsers = &run->parsers,
        .tools = tools != NULL ? PDK_TOOLS_AUTO : PDK_TOOLS_NONE,
        .reasoning = reasoning != NULL,
        .start = reasoning != NULL ? reasoning_start(run->parsers.reasoning_format, (pdk_string){"", 0}, -1)
                                   : REASONING_STARTS_OFF};
}

static inline void reader_run_close(struct reader_run *run)
{
    parsers_done(&run->parsers);
    buffer_done(&run->out);
}

static inline void reader_run_show(struct reader_run *run, struct deltas *deltas, int32_t *last)
{
    const pdk_delta *list = deltas_show(deltas);
    for (size_t i = 0; i < deltas->count; i++) {
        int32_t key = (int32_t)list[i].call * 8 + list[i].kind;
        bool more = key == *last && list[i].kind != PDK_DELTA_CALL;
        if (!more && *last >= 0 && list[i].kind != PDK_DELTA_ARGUMENTS)
            buffer_putc(&run->out, '|');
        *last = key;
        if (list[i].kind == PDK_DELTA_CALL)
            buffer_printf(&run->out, "%u ", (unsigned)list[i].call);
        else if (!more)
            buffer_puts(&run->out, list[i].kind == PDK_DELTA_CONTENT     ? "c:"
                                   : list[i].kind == PDK_DELTA_REASONING ? "r:"
                                                                         : ":");
        buffer_put(&run->out, list[i].text.data, list[i].text.length);
    }
    deltas_clear(deltas);
}

/* Cuts the text where bit i of `cuts` modulo `period` says so; 0: one piece. `marked`: special tokens stand between
 * '\xFF' and '\xFE'. */
static inline const char *reader_run_text(
    struct reader_run *run, const char *text, size_t length, size_t first, size_t period)
{
    struct reader *reader = NULL;
    int32_t last = -1;
    buffer_clear(&run->out);
    ck_assert_int_eq(reader_new(&run->spec, &reader, NULL), PDK_OK);
    for (size_t at = 0; at < length;) {
        size_t end = period == 0 ? length : at < first ? first : at + period;
        bool special = text[at] == MARK_OPEN;
        if (special)
            for (end = at + 1; end < length && text[end] != MARK_CLOSE;)
                end++;
        for (size_t i = at; !special && i < end && i < length; i++)
            if (text[i] == MARK_OPEN)
                end = i;
        end = end > length ? length : end;
        reader_add(reader, text + at + special, end - at - special, special);
        at = end + special;
        reader_run_show(run, reader_deltas(reader), &last);
    }
    reader_end(reader);
    reader_run_show(run, reader_deltas(reader), &last);
    ck_assert(!reader_failed(reader));
    run->reasoning_tokens = reader_reasoning_tokens(reader);
    run->called = reader_called(reader);
    reader_free(reader);
    return run->out.data != NULL ? run->out.data : "";
}

/* The same for every way of cutting that is tried: whole, at each place, in equal pieces. Gives it. */
static inline const char *reader_run_all(struct reader_run *run, const char *text)
{
    size_t length = strlen(text);
    char *whole = strdup(reader_run_text(run, text, length, 0, 0));
    for (size_t first = 1; first < length; first++) {
        const char *cut = reader_run_text(run, text, length, first, length);
        ck_assert_msg(strcmp(whole, cut) == 0, "cut at %zu of '%s':\n%s\nwhole:\n%s", first, text, cut, whole);
    }
    for (size_t period = 1; period < 8; period++) {
        const char *cut = reader_run_text(run, text, length, period, period);
        ck_assert_msg(strcmp(whole, cut) == 0, "pieces of %zu of '%s':\n%s\nwhole:\n%s", period, text, cut, whole);
    }
    buffer_clear(&run->out);
    buffer_puts(&run->out, whole);
    free(whole);
    return run->out.data != NULL ? run->out.data : "";
}
