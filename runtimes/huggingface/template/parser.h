/* runtimes/huggingface/template/parser.h: what the parser of statements and that of expressions share. */
#pragma once

#include "runtimes/huggingface/template/lexer.h"

enum { PARSE_DEPTH_MAX = 150 };

struct parser {
    struct lexer lexer;
    struct token token; /* the next one */
    struct template *template;
    unsigned depth; /* of nesting, which is the depth of our own recursion and, nearly, of the renderer's */
    unsigned loops;
    pdk_error *err;
};

pdk_status parser_advance(struct parser *parser);
pdk_status parser_fail(struct parser *parser, const char *format, ...) PDK_PRINTF(2, 3);
/* NULL: no memory (the error is set). Its place is the next token's. */
struct node *parser_node(struct parser *parser, enum node_kind kind);
bool parser_at_word(const struct parser *parser, const char *word);
bool parser_at(const struct parser *parser, int op);
pdk_status parser_expect(struct parser *parser, int op);
pdk_status parser_enter(struct parser *parser); /* one deeper; PDK_INVALID: too deep */

/* Expressions. `choice` false: "if" does not belong to it. */
pdk_status parse_expression(struct parser *parser, bool choice, struct node **ret_node);
/* One expression, or several with commas: then a tuple. */
pdk_status parse_tuple(struct parser *parser, bool choice, struct node **ret_node);
pdk_status parse_arguments(struct parser *parser, struct node *call);
/* The filters that follow `input`, which may be NULL; the first without its '|' when `bare`. */
pdk_status parse_filters(struct parser *parser, struct node *input, bool bare, struct node **ret_node);
