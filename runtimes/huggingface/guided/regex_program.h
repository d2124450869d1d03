/* runtimes/huggingface/guided/regex_program.h: a regular expression as a nondeterministic automaton (Thompson's), and
 * the deterministic one out of it.
 *
 * Assertions stay assertions in the first and are gone in the second. What must have come (a lookbehind) is an
 * automaton that runs along from the start of the text: its state is part of the deterministic state. What must come (a
 * lookahead) is a duty that a thread takes on and carries: the state of an automaton which has to accept at the end. */
#pragma once

#include "runtimes/huggingface/guided/regex_tree.h"

enum regex_op_kind { REGEX_OP_CLASS, REGEX_OP_SPLIT, REGEX_OP_AHEAD, REGEX_OP_BEHIND, REGEX_OP_MATCH };
enum { REGEX_OPS_MAX = 200000, REGEX_LOOKS_MAX = 64 };

struct regex_op {
    uint8_t kind;
    uint32_t out, other; /* other: of a SPLIT */
    uint32_t what;       /* the class's number or the lookaround's */
};

struct regex_program {
    struct regex_op *ops;
    size_t op_room;
    uint32_t count;
    uint32_t start, match;
    uint32_t rest;               /* the loop behind the match that takes any text; REGULAR_NONE without one */
    struct regex_class *classes; /* borrowed of the tree, and one more of everything */
    uint32_t class_count;
    const struct regular *looks[REGEX_LOOKS_MAX]; /* with states */
    struct regular *own_looks[REGEX_LOOKS_MAX];   /* of those, the program's; the others are the tree's */
    bool look_behind[REGEX_LOOKS_MAX];
    uint32_t look_count;
};

/* Where the program runs: lookbehinds need to see the whole text before, lookaheads all that comes. */
struct regex_scope {
    bool any_before, any_after; /* text around the match is fine */
    bool no_behind, no_ahead;   /* refuse these */
};

/* The set that `node` of the tree matches. */
pdk_status regex_compile(const struct regex_tree *tree, uint32_t node, struct regex_scope scope,
    const struct regular_budget *budget, struct regular **ret_set, pdk_error *err);
/* The program's deterministic automaton (regex_subset.c). */
pdk_status regex_determine(
    const struct regex_program *program, const struct regular_budget *budget, struct regular **ret_set, pdk_error *err);
