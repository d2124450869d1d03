/* Operators by precedence, climbing; everything that can nest counts its depth. */
#include "config.h"

#include "runtimes/huggingface/template/parser.h"

#include "core/base/error.h"

#include <string.h>

/* Jinja's order, loosest first. Comparisons chain and have a function of their own. */
enum { LEVEL_OR, LEVEL_AND, LEVEL_NOT, LEVEL_COMPARE, LEVEL_SUM, LEVEL_JOIN, LEVEL_PRODUCT, LEVEL_POWER, LEVEL_UNARY };

static const struct {
    int op, level;
} operators[] = {
    {'+', LEVEL_SUM},
    {'-', LEVEL_SUM},
    {'~', LEVEL_JOIN},
    {'*', LEVEL_PRODUCT},
    {'/', LEVEL_PRODUCT},
    {OP_FLOOR, LEVEL_PRODUCT},
    {'%', LEVEL_PRODUCT},
    {OP_POWER, LEVEL_POWER},
};

static pdk_status parse_level(struct parser *parser, int level, struct node **ret_node);
static pdk_status parse_unary(struct parser *parser, bool filters, struct node **ret_node);

static pdk_status binary(
    struct parser *parser, enum node_kind kind, int op, struct node *left, int right_level, struct node **ret_node)
{
    struct node *node = parser_node(parser, kind);
    if (node == NULL)
        return PDK_NO_MEMORY;
    node->op = op;
    node->a = left;
    pdk_status status = parser_advance(parser);
    if (status == PDK_OK)
        status = parse_level(parser, right_level, &node->b);
    *ret_node = node;
    return status;
}

static bool comparison(const struct parser *parser, int *ret_op)
{
    if (parser->token.kind == TOKEN_OPERATOR) {
        int op = *ret_op = parser->token.op;
        return op == OP_EQUAL || op == OP_UNEQUAL || op == '<' || op == '>' || op == OP_LESS_EQUAL ||
               op == OP_GREATER_EQUAL;
    }
    *ret_op = parser_at_word(parser, "in") ? OP_IN : OP_NOT_IN;
    return *ret_op == OP_IN || parser_at_word(parser, "not");
}

static pdk_status parse_compare(struct parser *parser, struct node **ret_node)
{
    struct node *left, **tail = NULL;
    pdk_status status = parse_level(parser, LEVEL_SUM, &left);
    int op;
    while (status == PDK_OK && comparison(parser, &op)) {
        struct node *item = parser_node(parser, NODE_COMPARISON);
        if (item == NULL)
            return PDK_NO_MEMORY;
        if (tail == NULL) {
            struct node *node = parser_node(parser, NODE_COMPARE);
            if (node == NULL)
                return PDK_NO_MEMORY;
            node->a = left;
            left = node;
            tail = &node->items;
        }
        item->op = op;
        status = parser_advance(parser);
        if (status == PDK_OK && op == OP_NOT_IN) {
            if (!parser_at_word(parser, "in"))
                return parser_fail(parser, "expected 'in' behind 'not'");
            status = parser_advance(parser);
        }
        if (status == PDK_OK)
            status = parse_level(parser, LEVEL_SUM, &item->a);
        *tail = item;
        tail = &item->next;
    }
    *ret_node = left;
    return status;
}

static pdk_status parse_not(struct parser *parser, struct node **ret_node)
{
    if (!parser_at_word(parser, "not"))
        return parse_compare(parser, ret_node);
    struct node *node = parser_node(parser, NODE_UNARY);
    if (node == NULL)
        return PDK_NO_MEMORY;
    node->op = '!';
    pdk_status status = parser_advance(parser);
    if (status == PDK_OK)
        status = parser_enter(parser);
    if (status == PDK_OK)
        status = parse_not(parser, &node->a);
    parser->depth--;
    *ret_node = node;
    return status;
}

static bool operator_at(const struct parser *parser, int level)
{
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
        if (operators[i].level == level && parser_at(parser, operators[i].op))
            return true;
    }
    return false;
}

/* A left-leaning tree is walked by recursion later, so its length counts as depth while it grows. */
static pdk_status parse_chain(struct parser *parser, int level, struct node **ret_node)
{
    unsigned before = parser->depth;
    struct node *left = NULL;
    pdk_status status = parse_level(parser, level + 1, &left);
    while (status == PDK_OK) {
        if (level == LEVEL_OR && parser_at_word(parser, "or"))
            status = binary(parser, NODE_OR, 0, left, level + 1, &left);
        else if (level == LEVEL_AND && parser_at_word(parser, "and"))
            status = binary(parser, NODE_AND, 0, left, level + 1, &left);
        else if (operator_at(parser, level))
            status = binary(parser, NODE_BINARY, parser->token.op, left, level + 1, &left);
        else
            break;
        if (status == PDK_OK)
            status = parser_enter(parser);
    }
    parser->depth = before;
    *ret_node = left;
    return status;
}

static pdk_status parse_level(struct parser *parser, int level, struct node **ret_node)
{
    switch (level) {
    case LEVEL_NOT: return parse_not(parser, ret_node);
    case LEVEL_COMPARE: return parse_compare(parser, ret_node);
    case LEVEL_UNARY: return parse_unary(parser, true, ret_node);
    default: return parse_chain(parser, level, ret_node);
    }
}

pdk_status parse_expression(struct parser *parser, bool choice, struct node **ret_node)
{
    unsigned before = parser->depth;
    struct node *value = NULL;
    pdk_status status = parser_enter(parser);
    if (status == PDK_OK)
        status = parse_level(parser, LEVEL_OR, &value);
    while (status == PDK_OK && choice && parser_at_word(parser, "if")) {
        struct node *node = parser_node(parser, NODE_CHOICE);
        if (node == NULL)
            return PDK_NO_MEMORY;
        node->a = value;
        value = node;
        status = parser_advance(parser);
        if (status == PDK_OK)
            status = parser_enter(parser);
        if (status == PDK_OK)
            status = parse_level(parser, LEVEL_OR, &node->b);
        if (status == PDK_OK && parser_at_word(parser, "else")) {
            status = parser_advance(parser);
            if (status == PDK_OK)
                status = parse_expression(parser, true, &node->c);
        }
    }
    parser->depth = before;
    *ret_node = value;
    return status;
}

static bool ends_tuple(const struct parser *parser)
{
    return parser->token.kind == TOKEN_BLOCK_END || parser->token.kind == TOKEN_PRINT_END || parser_at(parser, ')') ||
           parser_at(parser, ']') || parser_at_word(parser, "in");
}

pdk_status parse_tuple(struct parser *parser, bool choice, struct node **ret_node)
{
    struct node *first = NULL;
    pdk_status status = parse_expression(parser, choice, &first);
    if (status != PDK_OK || !parser_at(parser, ',')) {
        *ret_node = first;
        return status;
    }
    struct node *tuple = parser_node(parser, NODE_LIST);
    if (tuple == NULL)
        return PDK_NO_MEMORY;
    tuple->flag = true;
    tuple->items = first;
    struct node **tail = &first->next;
    while (status == PDK_OK && parser_at(parser, ',')) {
        status = parser_advance(parser);
        if (status != PDK_OK || ends_tuple(parser))
            break;
        status = parse_expression(parser, choice, tail);
        if (status == PDK_OK)
            tail = &(*tail)->next;
    }
    *ret_node = tuple;
    return status;
}

/* Behind '[' or '{': items up to `close`. */
static pdk_status parse_items(struct parser *parser, struct node *node, int close, bool pairs)
{
    struct node **tail = &node->items;
    pdk_status status = parser_advance(parser);
    while (status == PDK_OK && !parser_at(parser, close)) {
        if (node->items != NULL) {
            status = parser_expect(parser, ',');
            if (status != PDK_OK || parser_at(parser, close))
                break;
        }
        struct node *item = NULL;
        if (pairs) {
            item = parser_node(parser, NODE_PAIR);
            if (item == NULL)
                return PDK_NO_MEMORY;
            status = parse_expression(parser, true, &item->a);
            if (status == PDK_OK)
                status = parser_expect(parser, ':');
            if (status == PDK_OK)
                status = parse_expression(parser, true, &item->b);
        } else {
            status = parse_expression(parser, true, &item);
        }
        *tail = item;
        if (status == PDK_OK)
            tail = &item->next;
    }
    return status == PDK_OK ? parser_expect(parser, close) : status;
}

static pdk_status parse_parentheses(struct parser *parser, struct node **ret_node)
{
    struct node *empty = parser_node(parser, NODE_LIST);
    if (empty == NULL)
        return PDK_NO_MEMORY;
    empty->flag = true;
    pdk_status status = parser_advance(parser);
    if (status == PDK_OK && parser_at(parser, ')'))
        *ret_node = empty;
    else if (status == PDK_OK)
        status = parse_tuple(parser, true, ret_node);
    return status == PDK_OK ? parser_expect(parser, ')') : status;
}

static pdk_status parse_strings(struct parser *parser, struct node *node)
{
    const struct text *text = parser->token.text;
    pdk_status status = parser_advance(parser);
    while (status == PDK_OK && parser->token.kind == TOKEN_STRING) { /* neighbours are one */
        const struct text *more = parser->token.text;
        struct text *both = arena_take(&parser->template->arena, sizeof *both);
        char *data = arena_take(&parser->template->arena, text->length + more->length + 1);
        if (both == NULL || data == NULL)
            return parser_fail(parser, "no memory for the template");
        memcpy(data, text->data, text->length);
        memcpy(data + text->length, more->data, more->length);
        *both = (struct text){.data = data, .length = text->length + more->length};
        text = both;
        status = parser_advance(parser);
    }
    node->constant = value_text(text);
    return status;
}

static void name_or_constant(struct node *node, const struct text *name)
{
    node->kind = NODE_CONST;
    if (text_is(name, "true") || text_is(name, "True"))
        node->constant = value_bool(true);
    else if (text_is(name, "false") || text_is(name, "False"))
        node->constant = value_bool(false);
    else if (text_is(name, "none") || text_is(name, "None"))
        node->constant = value_none();
    else {
        node->kind = NODE_NAME;
        node->name = name;
    }
}

static pdk_status parse_primary(struct parser *parser, struct node **ret_node)
{
    struct node *node = parser_node(parser, NODE_CONST);
    if (node == NULL)
        return PDK_NO_MEMORY;
    *ret_node = node;
    switch (parser->token.kind) {
    case TOKEN_NAME: name_or_constant(node, parser->token.text); return parser_advance(parser);
    case TOKEN_STRING: return parse_strings(parser, node);
    case TOKEN_INT: node->constant = value_int(parser->token.integer); return parser_advance(parser);
    case TOKEN_FLOAT: node->constant = value_float(parser->token.real); return parser_advance(parser);
    default: break;
    }
    if (parser_at(parser, '('))
        return parse_parentheses(parser, ret_node);
    if (parser_at(parser, '[') || parser_at(parser, '{')) {
        bool list = parser_at(parser, '[');
        node->kind = list ? NODE_LIST : NODE_DICT;
        return parse_items(parser, node, list ? ']' : '}', !list);
    }
    return parser_fail(parser, "expected an expression");
}

/* What stands between [ and ], with the commas of a tuple left to the caller. */
static pdk_status parse_slice(struct parser *parser, struct node **ret_node)
{
    struct node *slice = parser_node(parser, NODE_SLICE), **parts[] = {&slice->a, &slice->b, &slice->c};
    if (slice == NULL)
        return PDK_NO_MEMORY;
    pdk_status status = PDK_OK;
    unsigned part = 0;
    for (; status == PDK_OK && part < 3; part++) {
        if (!parser_at(parser, ':') && !parser_at(parser, ']'))
            status = parse_expression(parser, true, parts[part]);
        if (status != PDK_OK || !parser_at(parser, ':') || part == 2)
            break;
        status = parser_advance(parser);
    }
    *ret_node = part == 0 ? slice->a : slice;
    if (status == PDK_OK && *ret_node == NULL)
        return parser_fail(parser, "expected an expression");
    return status;
}

static pdk_status parse_member(struct parser *parser, struct node *object, struct node **ret_node)
{
    struct node *node = parser_node(parser, NODE_MEMBER);
    if (node == NULL)
        return PDK_NO_MEMORY;
    *ret_node = node;
    node->a = object;
    pdk_status status = parser_advance(parser);
    if (status != PDK_OK)
        return status;
    if (parser->token.kind == TOKEN_INT) {
        struct node *index = parser_node(parser, NODE_CONST);
        if (index == NULL)
            return PDK_NO_MEMORY;
        index->constant = value_int(parser->token.integer);
        node->kind = NODE_INDEX;
        node->b = index;
    } else if (parser->token.kind == TOKEN_NAME) {
        node->name = parser->token.text;
    } else {
        return parser_fail(parser, "expected a name or a number behind '.'");
    }
    return parser_advance(parser);
}

/* Members, indexes and calls behind `node`; a tower of them counts as depth. */
static pdk_status parse_postfix(struct parser *parser, struct node *node, struct node **ret_node)
{
    unsigned before = parser->depth;
    pdk_status status = PDK_OK;
    while (status == PDK_OK) {
        if (parser_at(parser, '.')) {
            status = parse_member(parser, node, &node);
        } else if (parser_at(parser, '[')) {
            struct node *index = parser_node(parser, NODE_INDEX);
            if (index == NULL)
                return PDK_NO_MEMORY;
            index->a = node;
            status = parser_advance(parser);
            if (status == PDK_OK)
                status = parse_slice(parser, &index->b);
            if (status == PDK_OK)
                status = parser_expect(parser, ']');
            node = index;
        } else if (parser_at(parser, '(')) {
            struct node *call = parser_node(parser, NODE_CALL);
            if (call == NULL)
                return PDK_NO_MEMORY;
            call->a = node;
            status = parse_arguments(parser, call);
            node = call;
        } else {
            break;
        }
        if (status == PDK_OK)
            status = parser_enter(parser);
    }
    parser->depth = before;
    *ret_node = node;
    return status;
}

pdk_status parse_arguments(struct parser *parser, struct node *call)
{
    struct node **tail = &call->items;
    pdk_status status = parser_expect(parser, '(');
    while (status == PDK_OK && !parser_at(parser, ')')) {
        if (call->items != NULL) {
            status = parser_expect(parser, ',');
            if (status != PDK_OK || parser_at(parser, ')'))
                break;
        }
        if (parser_at(parser, '*') || parser_at(parser, OP_POWER))
            return parser_fail(parser, "arguments by * and ** are not supported");
        struct node *argument = parser_node(parser, NODE_ARGUMENT), *value = NULL;
        if (argument == NULL)
            return PDK_NO_MEMORY;
        struct lexer ahead = parser->lexer;
        struct token name = parser->token;
        if (name.kind == TOKEN_NAME) { /* a keyword if '=' follows */
            status = parser_advance(parser);
            if (status == PDK_OK && parser_at(parser, '=')) {
                argument->name = name.text;
                status = parser_advance(parser);
            } else {
                parser->lexer = ahead;
                parser->token = name;
                status = PDK_OK;
            }
        }
        if (status == PDK_OK)
            status = parse_expression(parser, true, &value);
        argument->a = value;
        *tail = argument;
        tail = &argument->next;
    }
    return status == PDK_OK ? parser_expect(parser, ')') : status;
}

pdk_status parse_filters(struct parser *parser, struct node *input, bool bare, struct node **ret_node)
{
    struct node *node = input;
    unsigned before = parser->depth;
    pdk_status status = PDK_OK;
    while (status == PDK_OK && (bare || parser_at(parser, '|'))) {
        struct node *filter = parser_node(parser, NODE_FILTER);
        if (filter == NULL)
            return PDK_NO_MEMORY;
        if (!bare)
            status = parser_advance(parser);
        bare = false;
        if (status == PDK_OK && parser->token.kind != TOKEN_NAME)
            status = parser_fail(parser, "expected the name of a filter");
        if (status != PDK_OK)
            return status;
        filter->a = node;
        filter->name = parser->token.text;
        status = parser_advance(parser);
        if (status == PDK_OK && parser_at(parser, '('))
            status = parse_arguments(parser, filter);
        if (status == PDK_OK)
            status = parser_enter(parser);
        node = filter;
    }
    parser->depth = before;
    *ret_node = node;
    return status;
}

/* Whether the token can be a test's argument without parentheses: "is divisibleby 3". */
static bool starts_argument(const struct parser *parser)
{
    static const char *const words[] = {"else", "or", "and", "if", "is", "in", "not"};
    if (parser->token.kind == TOKEN_NAME) {
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
            if (parser_at_word(parser, words[i]))
                return false;
        }
        return true;
    }
    return parser->token.kind == TOKEN_STRING || parser->token.kind == TOKEN_INT || parser->token.kind == TOKEN_FLOAT ||
           parser_at(parser, '[') || parser_at(parser, '{');
}

static pdk_status parse_test(struct parser *parser, struct node *input, struct node **ret_node)
{
    struct node *test = parser_node(parser, NODE_TEST);
    if (test == NULL)
        return PDK_NO_MEMORY;
    *ret_node = test;
    test->a = input;
    pdk_status status = parser_advance(parser);
    if (status == PDK_OK && parser_at_word(parser, "not")) {
        test->flag = true;
        status = parser_advance(parser);
    }
    if (status == PDK_OK && parser->token.kind != TOKEN_NAME)
        status = parser_fail(parser, "expected the name of a test");
    if (status != PDK_OK)
        return status;
    test->name = parser->token.text;
    status = parser_advance(parser);
    if (status == PDK_OK && parser_at(parser, '('))
        return parse_arguments(parser, test);
    if (status != PDK_OK || !starts_argument(parser))
        return status;
    struct node *argument = parser_node(parser, NODE_ARGUMENT), *value = NULL;
    if (argument == NULL)
        return PDK_NO_MEMORY;
    status = parse_primary(parser, &value);
    if (status == PDK_OK)
        status = parse_postfix(parser, value, &argument->a);
    test->items = argument;
    return status;
}

static pdk_status parse_unary(struct parser *parser, bool filters, struct node **ret_node)
{
    struct node *node = NULL;
    unsigned before = parser->depth;
    pdk_status status;
    if (parser_at(parser, '-') || parser_at(parser, '+')) {
        node = parser_node(parser, NODE_UNARY);
        if (node == NULL)
            return PDK_NO_MEMORY;
        node->op = parser->token.op;
        status = parser_advance(parser);
        if (status == PDK_OK)
            status = parser_enter(parser);
        if (status == PDK_OK)
            status = parse_unary(parser, false, &node->a);
    } else {
        status = parse_primary(parser, &node);
    }
    if (status == PDK_OK)
        status = parse_postfix(parser, node, &node);
    while (status == PDK_OK && filters) {
        if (parser_at(parser, '|')) {
            status = parse_filters(parser, node, false, &node);
        } else if (parser_at_word(parser, "is")) {
            status = parse_test(parser, node, &node);
        } else if (parser_at(parser, '(')) {
            status = parse_postfix(parser, node, &node);
        } else {
            break;
        }
        if (status == PDK_OK)
            status = parser_enter(parser);
    }
    parser->depth = before;
    *ret_node = node;
    return status;
}
