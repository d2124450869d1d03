/* runtimes/huggingface/sampling/stop_text.h: the text of one choice as it grows: stop strings found in it, and what may
 * already be shown. Text that could be the beginning of a stop string is held back: the last (longest stop - 1)
 * characters, counted in code points. Only what may still matter is kept in memory. */
#pragma once

#include "core/base/buffer.h"

#include <paddock/abi.h>

struct stop_text {
    const pdk_string *stops; /* borrowed */
    size_t stop_count;
    size_t hold;        /* code points */
    size_t longest;     /* bytes of the longest stop */
    bool include;       /* keep the stop string in the text */
    struct buffer text; /* not yet shown, with what a match may reach back into before it */
    size_t shown;       /* bytes of `text` that were shown */
    size_t dropped;     /* bytes before `text`, all shown */
};

void stop_text_init(struct stop_text *text, const pdk_string *stops, size_t stop_count, bool include);
void stop_text_done(struct stop_text *text);
/* Appends what a token added. With `search`, looks for stop strings that end in it: the one that ends first, of several
 * the first listed; the text is cut there. Returns the index of the stop string, or -1. */
int stop_text_add(struct stop_text *text, const char *bytes, size_t length, bool search);
/* What may be shown now and was not: all of it when the choice has ended. Borrowed until the next call. */
pdk_string stop_text_show(struct stop_text *text, bool ended);
