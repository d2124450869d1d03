/* runtimes/huggingface/guided/program.h: a grammar made ready to run: positions with an operation each, and rules,
 * which are where positions begin and may be called from. Constant once made.
 *
 * Invariant: from every position that is not DEAD some text leads to the end of its rule, so that whoever stands at one
 * can always go on. */
#pragma once

#include "runtimes/huggingface/guided/grammar_nodes.h"

enum operation {
    OP_DEAD,
    OP_END,    /* the rule is done */
    OP_BYTES,  /* a byte of [first, last], then `next` */
    OP_SPLIT,  /* any of targets[a, a + b) */
    OP_CALL,   /* rule a, then `next`; with `next` the end, it goes on as rule a and does not come back */
    OP_REPEAT, /* rule `next`, a to b times, then the end */
};

struct position {
    uint8_t operation, first, last;
    uint32_t next, a, b;
};

struct rule {
    uint32_t start; /* position */
    grammar_node node;
};

enum { POSITION_DEAD = 0, POSITION_END = 1, RULE_TOP = 0 };

struct program {
    struct position *positions;
    size_t position_count, position_room;
    uint32_t *targets;
    size_t target_count, target_room;
    struct rule *rules; /* rules[RULE_TOP] is the whole text; none calls it */
    size_t rule_count, rule_room;
    uint8_t classes[256]; /* bytes of a class are never told apart */
    uint32_t class_count; /* 1 … 256 */
    uint8_t class_byte[256];
    size_t bytes; /* of memory */
};

/* PDK_TOO_LARGE: more memory or time than the grammar's budget has left; PDK_INVALID: no text matches. */
pdk_status program_new(const struct grammar *grammar, struct program **ret_program, pdk_error *err);
struct program *program_free(struct program *program); /* takes NULL, returns NULL */
