/* runtimes/huggingface/guided/regex_tree.h: a regular expression as read: nodes by number, node 0 matches nothing.
 *
 * What dialects read differently is decided here, so that the tree is plain: a strict tree matches what every dialect
 * matches, a loose one what any does. Inside a negative lookaround strict and loose change places. */
#pragma once

#include "runtimes/huggingface/guided/regular_set.h"

enum regex_kind { REGEX_NOTHING, REGEX_EMPTY, REGEX_CLASS, REGEX_SEQUENCE, REGEX_EITHER, REGEX_REPEAT, REGEX_LOOK };
enum { REGEX_NESTING_MAX = 100 };

struct regex_class {
    struct code_range *ranges; /* in order, apart, no surrogates */
    uint32_t count;
};

struct regex_node {
    uint8_t kind;
    bool behind, negative; /* of a LOOK */
    uint32_t first;        /* the first child, or 0 */
    uint32_t next;         /* the next child of the same parent, or 0 */
    uint32_t least, most;  /* of a REPEAT */
    uint32_t class_number;
    /* A LOOK without a child: what must come, or have come, as a set of whole texts. The tree's. */
    const struct regular *ready;
};

/* A set made for anchors and boundaries, each once a tree. */
struct regex_ready {
    const char *pattern;
    bool loose, negative;
    struct regular *set;
};
enum { REGEX_READY_MAX = 16 };

struct regex_tree {
    struct regex_node *nodes;
    size_t node_room;
    uint32_t count;
    struct regex_class *classes;
    size_t class_room;
    uint32_t class_count;
    struct regex_ready ready[REGEX_READY_MAX];
    uint32_t ready_count;
    uint32_t root;
};

pdk_status regex_read(const char *pattern, size_t length, bool loose, const struct regular_budget *budget,
    struct regex_tree *ret_tree, pdk_error *err);
void regex_tree_done(struct regex_tree *tree);

/* Ranges that grow while a class is read (regex_class.c). */
struct range_list {
    struct code_range *ranges;
    size_t count, room;
    bool failed;
};

void range_list_add(struct range_list *list, uint32_t first, uint32_t last);
/* Puts in order, joins, leaves out surrogates. */
void range_list_sort(struct range_list *list);
void range_list_invert(struct range_list *list); /* of a sorted one */
/* \d \w \s by their letter, as every dialect has them or (loose) any. */
void range_list_add_escape(struct range_list *list, char letter, bool loose);
/* A general category ("L", "Lu", "Letter") or Any, ASCII, Assigned; false: unknown. */
bool range_list_add_property(struct range_list *list, const char *name, size_t length);
/* All letters that differ in case only. */
void range_list_add_cases(struct range_list *list);
