/* runtimes/huggingface/guided/rule_names.h: the text of a grammar as it is read: where the reader stands, and the rules
 * by name. */
#pragma once

#include "runtimes/huggingface/guided/grammar.h"

enum { RULES_MAX = 10000, RULE_NAME_MAX = 256, GROUP_DEPTH_MAX = 64 };

struct rule_name {
    const char *name; /* borrowed from the text */
    size_t length;
    grammar_node rule;
    const char *at; /* where it is first named */
    bool defined;
};

struct rule_names {
    struct grammar *grammar;
    struct rule_name *names;
    uint32_t count;
    size_t room;
    uint32_t *table; /* open addressing: index + 1 */
};

struct node_list {
    grammar_node *nodes;
    size_t count, room;
};

struct grammar_text {
    const char *start, *at, *end;
    struct rule_names rules;
};

pdk_status grammar_text_init(
    struct grammar_text *text, struct grammar *grammar, const char *bytes, size_t length, pdk_error *err);
void grammar_text_done(struct grammar_text *text);
/* The line that `at` is in, from 1. */
uint32_t grammar_text_line(const struct grammar_text *text, const char *at);
/* PDK_INVALID with the line and what was found there. */
pdk_status grammar_text_error(const struct grammar_text *text, const char *at, const char *what, pdk_error *err);
/* The rule of that name, which is new when it was not named before. PDK_INVALID: too many rules. */
pdk_status rule_names_find(
    struct grammar_text *text, const char *name, size_t length, struct rule_name **ret_rule, pdk_error *err);
/* Every rule that is named was defined, and `root` among them; gives its node. */
pdk_status rule_names_check(const struct grammar_text *text, const char *root, grammar_node *ret_node, pdk_error *err);

/* The character at text->at, an escape read as what it means; moves on. PDK_INVALID: a bad one. */
pdk_status grammar_text_character(struct grammar_text *text, uint32_t *ret_code, pdk_error *err);
/* {m}, {m,} or {m,n} behind the brace. */
pdk_status grammar_text_number(struct grammar_text *text, uint32_t *ret_number, pdk_error *err);

void node_list_done(struct node_list *list);
pdk_status node_list_add(struct node_list *list, grammar_node node, pdk_error *err);

/* The two notations. */
pdk_status gbnf_read(struct grammar *grammar, const char *text, size_t length, grammar_node *ret_node, pdk_error *err);
pdk_status lark_read(struct grammar *grammar, const char *text, size_t length, grammar_node *ret_node, pdk_error *err);
