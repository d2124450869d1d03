/* runtimes/huggingface/guided/grammar.h: which texts are allowed, as context-free rules over bytes. Built bottom-up by
 * whoever reads a schema, a regular expression or a grammar text; run by the automaton (automaton.h).
 *
 * A node is a number, good as long as the grammar. Functions that make one return GRAMMAR_FAILED once memory or the
 * budget is gone, and take it as an argument without harm, so that a builder checks once, at the end
 * (grammar_status). */
#pragma once

#include <paddock/abi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint32_t grammar_node;
enum { GRAMMAR_FAILED = 0 };
enum { GRAMMAR_UNBOUNDED = 0x7FFFFFFF };

/* Unicode code points, both ends included. */
struct code_range {
    uint32_t first, last;
};

struct grammar_budget {
    size_t memory_bytes; /* of the grammar and what is computed from it */
    int64_t deadline_ms; /* of thread_ms(); building stops there */
};

struct grammar;

pdk_status grammar_new(const struct grammar_budget *budget, struct grammar **ret_grammar, pdk_error *err);
struct grammar *grammar_free(struct grammar *grammar); /* takes NULL, returns NULL */
/* PDK_OK, or why building failed: PDK_NO_MEMORY, or PDK_TOO_LARGE naming the budget. */
pdk_status grammar_status(const struct grammar *grammar, pdk_error *err);

/* Of its budget, for what is computed on the way to a node. */
int64_t grammar_deadline_ms(const struct grammar *grammar);

grammar_node grammar_nothing(struct grammar *grammar); /* matches no text */
grammar_node grammar_empty(struct grammar *grammar);   /* matches "" */
grammar_node grammar_literal(struct grammar *grammar, const char *bytes, size_t length);
/* One character out of the ranges, as UTF-8; ranges in any order, surrogates are left out. */
grammar_node grammar_characters(struct grammar *grammar, const struct code_range *ranges, size_t count);
/* One byte of [first, last]. */
grammar_node grammar_bytes(struct grammar *grammar, uint8_t first, uint8_t last);
grammar_node grammar_sequence(struct grammar *grammar, const grammar_node *nodes, size_t count);
grammar_node grammar_either(struct grammar *grammar, const grammar_node *nodes, size_t count);
/* `most` may be GRAMMAR_UNBOUNDED. Large counts cost little: they are counters or a balanced tree, not copies. */
grammar_node grammar_repeat(struct grammar *grammar, grammar_node node, uint32_t least, uint32_t most);
/* A rule to be defined later, for recursion; left recursion is fine. One that is never defined matches nothing. */
grammar_node grammar_rule(struct grammar *grammar);
void grammar_define(struct grammar *grammar, grammar_node rule, grammar_node node);
/* What the whole text is. */
void grammar_set_root(struct grammar *grammar, grammar_node node);
