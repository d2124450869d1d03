/* runtimes/huggingface/template/node.h: a template as a tree. */
#pragma once

#include "runtimes/huggingface/template/value.h"

#include <paddock/abi.h>

enum node_kind {
    /* statements */
    NODE_DATA,         /* constant: the text */
    NODE_OUTPUT,       /* a: what is printed */
    NODE_IF,           /* items: BRANCHes */
    NODE_BRANCH,       /* a: condition or NULL; body */
    NODE_FOR,          /* a: target, b: what over, c: condition or NULL; body; items: of else */
    NODE_SET,          /* a: target, b: value */
    NODE_SET_BLOCK,    /* a: target, b: a chain of filters or NULL; body */
    NODE_MACRO,        /* name; items: parameters, each with its default as a; body */
    NODE_CALL_BLOCK,   /* a: a MACRO without a name, b: the call */
    NODE_FILTER_BLOCK, /* b: a chain of filters; body */
    NODE_WITH,         /* items: SETs; body */
    NODE_SCOPE,        /* body: {% generation %} */
    NODE_BREAK,
    NODE_CONTINUE,
    /* expressions */
    NODE_CONST,
    NODE_NAME,
    NODE_LIST,   /* items; flag: a tuple */
    NODE_DICT,   /* items: PAIRs */
    NODE_PAIR,   /* a: key, b: value */
    NODE_MEMBER, /* a.name */
    NODE_INDEX,  /* a[b] */
    NODE_SLICE,  /* of an INDEX: a:b:c, each may be NULL */
    NODE_CALL,   /* a(items) */
    NODE_FILTER, /* a | name(items); a NULL: of a block */
    NODE_TEST,   /* a is name(items); flag: not */
    NODE_UNARY,  /* op: '-', '+', '!' */
    NODE_BINARY, /* op */
    NODE_AND,
    NODE_OR,
    NODE_COMPARE,    /* a, then items: COMPARISONs */
    NODE_COMPARISON, /* op, a */
    NODE_CHOICE,     /* a if b else c, which may be NULL */
    NODE_ARGUMENT,   /* a; name: of a keyword argument, or NULL */
};

/* Operators; those of one character are that character. */
enum { OP_POWER = 1, OP_FLOOR, OP_EQUAL, OP_UNEQUAL, OP_LESS_EQUAL, OP_GREATER_EQUAL, OP_IN, OP_NOT_IN };

struct node {
    enum node_kind kind;
    int op;
    bool flag;
    uint32_t line, column;
    struct node *next; /* of a list */
    struct node *a, *b, *c, *items, *body;
    const struct text *name;
    struct value constant;
};

struct template
{
    struct arena arena;
    struct node *body;
    bool wants_parts;
};

/* Reads all of a template into template->body. */
pdk_status parse_template(struct template *template, const char *source, size_t length, pdk_error *err);
