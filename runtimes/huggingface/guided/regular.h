/* runtimes/huggingface/guided/regular.h: regular sets of strings of code points, as deterministic automata that can be
 * combined: what a JSON schema says of a string (pattern, format, lengths, enum, not) becomes one of these.
 *
 * All functions are pure; a result is owned by the caller (regular_free) and never NULL on PDK_OK. PDK_TOO_LARGE: more
 * states or time than the budget. */
#pragma once

#include "runtimes/huggingface/guided/grammar.h"

struct regular;

struct regular_budget {
    uint32_t states;     /* of any automaton on the way */
    int64_t deadline_ms; /* of thread_ms() */
};

/* How a pattern is anchored: REGEX_WHOLE matches from beginning to end, REGEX_SEARCH anywhere (JSON Schema's `pattern`;
 * ^ and $ then anchor). */
enum regex_anchoring { REGEX_WHOLE, REGEX_SEARCH };

/* ECMA 262 and Python patterns as far as they are regular: classes, \d \w \s \p{…}, groups, lazy quantifiers, lookahead
 * and lookbehind, word boundaries. PDK_UNSUPPORTED names what is not (back references), PDK_INVALID what is wrong, with
 * its position. Where the dialects differ (\d and \w beyond ASCII, what `.` leaves out, $ before a last newline), a
 * string is in the set only when it matches in both. */
pdk_status regular_of_regex(const char *pattern, size_t length, enum regex_anchoring anchoring,
    const struct regular_budget *budget, struct regular **ret_set, pdk_error *err);
/* The same, with every string that matches in one of the dialects: what is outside surely does not match. */
pdk_status regular_of_regex_loosely(const char *pattern, size_t length, enum regex_anchoring anchoring,
    const struct regular_budget *budget, struct regular **ret_set, pdk_error *err);
pdk_status regular_of_text(const char *text, size_t length, struct regular **ret_set, pdk_error *err);
struct regular_text {
    const char *bytes; /* UTF-8 */
    size_t length;
};
/* Any of `texts`, which are put in order on the way. */
pdk_status regular_of_texts(struct regular_text *texts, size_t count, const struct regular_budget *budget,
    struct regular **ret_set, pdk_error *err);
/* Strings of least to most code points; GRAMMAR_UNBOUNDED. */
pdk_status regular_of_length(uint32_t least, uint32_t most, struct regular **ret_set, pdk_error *err);
pdk_status regular_both(const struct regular *a, const struct regular *b, const struct regular_budget *budget,
    struct regular **ret_set, pdk_error *err);
pdk_status regular_either(const struct regular *a, const struct regular *b, const struct regular_budget *budget,
    struct regular **ret_set, pdk_error *err);
pdk_status regular_not(const struct regular *a, struct regular **ret_set, pdk_error *err);
bool regular_is_empty(const struct regular *set);
/* Every string. False is no proof. */
bool regular_is_all(const struct regular *set);
bool regular_has(const struct regular *set, const char *text, size_t length);
/* How many strings, up to `most`; most + 1: more. */
size_t regular_count(const struct regular *set, size_t most);
struct regular *regular_free(struct regular *set); /* takes NULL, returns NULL */
void regular_freep(struct regular **set);

/* The set as a grammar node: its strings in UTF-8; or, `quoted`, as JSON strings with their quotes, every way JSON may
 * write them that is worth offering. */
grammar_node regular_node(struct grammar *grammar, const struct regular *set, bool quoted);
