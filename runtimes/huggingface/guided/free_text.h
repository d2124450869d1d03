/* runtimes/huggingface/guided/free_text.h: any text up to the first of some strings. */
#pragma once

#include "runtimes/huggingface/guided/grammar.h"

enum { FREE_TEXT_BYTES_MAX = 16 << 10 };

struct free_text_stop {
    const char *bytes; /* not empty */
    size_t length;
    grammar_node after; /* what follows the string */
};

/* Bytes in which none of the strings occurs; then one of them, and what is after it; or, with `may_end`, nothing more.
 * Of strings that end at one place the longest counts. PDK_INVALID: they are longer than 16 KiB in all. */
pdk_status free_text_node(struct grammar *grammar, const struct free_text_stop *stops, size_t count, bool may_end,
    grammar_node *ret_node, pdk_error *err);
