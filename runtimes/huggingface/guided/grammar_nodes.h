/* runtimes/huggingface/guided/grammar_nodes.h: what a grammar is made of. For this folder's automaton. */
#pragma once

#include "runtimes/huggingface/guided/grammar.h"

enum node_kind {
    NODE_FAILED,
    NODE_NOTHING,
    NODE_EMPTY,
    NODE_LITERAL,  /* bytes[a, a + b) */
    NODE_BYTES,    /* one byte of [a, b] */
    NODE_SEQUENCE, /* children[a, a + b) */
    NODE_EITHER,   /* children[a, a + b) */
    NODE_REPEAT,   /* node a, b to c times */
    NODE_RULE      /* node a; 0: not defined */
};

struct node {
    uint32_t kind, a, b, c;
};

struct grammar {
    struct grammar_budget budget;
    size_t used; /* bytes, of the budget's */
    pdk_status status;
    uint32_t checks; /* nodes made since the clock was read */
    struct node *nodes;
    size_t node_count, node_room;
    grammar_node *children;
    size_t child_count, child_room;
    char *bytes;
    size_t byte_count, byte_room;
    grammar_node root;
};
