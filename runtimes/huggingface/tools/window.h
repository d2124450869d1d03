/* runtimes/huggingface/tools/window.h: text on its way through a reader, kept from the first byte that is not given out
 * yet.
 *
 * A special token stands in it as MARK_OPEN, its text, MARK_CLOSE: bytes that no UTF-8 has. A marker that is a special
 * token of the model is searched for in that form, so words that merely spell it are words. */
#pragma once

#include "core/base/buffer.h"

#include <paddock/abi.h>
#include <stdint.h>

#define MARK_OPEN  '\xFF'
#define MARK_CLOSE '\xFE'

struct window {
    struct buffer text;
    size_t at;       /* what lies before is gone */
    size_t cursor;   /* at … length: what lies before was read */
    size_t searched; /* no marker begins between cursor and here */
    uint64_t base;   /* how much text came before text.data */
    bool final;      /* no more comes */
};

void window_done(struct window *window);
/* Adds text; a special token is put between its marks. Bytes of `text` that are marks become '?'. */
void window_add(struct window *window, const char *text, size_t length, bool special);
/* Adds text that has its marks already. */
void window_pass(struct window *window, const char *text, size_t length);

/* How much text has not been read. */
static inline size_t window_left(const struct window *window)
{
    return window->text.length - window->cursor;
}
static inline const char *window_at(const struct window *window)
{
    return window->text.data != NULL ? window->text.data + window->cursor : "";
}
/* Reads on by `count`. */
void window_skip(struct window *window, size_t count);
/* Gives up what was read. */
void window_drop(struct window *window);
/* Reads white space. False: none but white space is left. */
bool window_blank(struct window *window);

enum match { MATCH_NONE, MATCH_MORE, MATCH_FULL };
/* Whether the text goes on with `marker`; MATCH_MORE: it may, when more comes. Reads it on MATCH_FULL. "" never
 * matches. */
enum match window_match(struct window *window, pdk_string marker);
/* The first of several markers in what is not read yet. Gives its distance from the cursor and which it is; or, where
 * there is none, *ret_which -1 and how much of the text is surely before any. The search goes on where it left off as
 * long as the cursor stays. */
size_t window_find(struct window *window, const pdk_string *markers, size_t count, int *ret_which);
/* Copies text without the marks, and without special tokens unless they are kept. */
void window_plain(struct buffer *out, const char *text, size_t length, bool keep_special);
