/* runtimes/huggingface/guided/regex_read.h: the reader's state, shared by its two halves: structure (regex_read.c) and
 * single characters with their classes (regex_read_class.c). */
#pragma once

#include "runtimes/huggingface/guided/regex_tree.h"

struct regex_flags {
    bool ignore_case, multiline, dot_all;
};

/* \d, \w and \s, strictly and loosely, once they were asked for: looking through all of Unicode takes a while. */
struct regex_escapes {
    struct range_list lists[3][2];
};

struct regex_reader {
    const char *begin, *at, *end;
    struct regex_tree *tree;
    const struct regular_budget *budget;
    struct regex_flags flags;
    struct regex_escapes escapes;
    bool loose;
    uint32_t depth;
    pdk_error *err;
};

/* Fails at `at`: PDK_INVALID, what is wrong; PDK_UNSUPPORTED, what cannot be done. */
pdk_status regex_fail(struct regex_reader *reader, pdk_status status, const char *at, const char *what);
pdk_status regex_no_memory(struct regex_reader *reader);
static inline bool regex_next_is(const struct regex_reader *reader, char c)
{
    return reader->at != reader->end && *reader->at == c;
}
bool regex_take(struct regex_reader *reader, const char *text);
pdk_status regex_new_node(struct regex_reader *reader, enum regex_kind kind, uint32_t *ret_node);
/* A node for the ranges, which it takes. */
pdk_status regex_class_node(struct regex_reader *reader, struct range_list *ranges, uint32_t *ret_node);
/* What stands at `[`, `.`, a backslash that is no anchor, or a plain character. */
pdk_status regex_read_class(struct regex_reader *reader, uint32_t *ret_node);
pdk_status regex_read_dot(struct regex_reader *reader, uint32_t *ret_node);
pdk_status regex_read_character(struct regex_reader *reader, uint32_t *ret_node);
