/* Statements, and finding out whether a template looks into a message's content. */
#include "config.h"

#include "runtimes/huggingface/template/parser.h"

#include "core/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pdk_status parse_body(struct parser *parser, const char *const *ends, struct node **ret_body);

pdk_status parser_advance(struct parser *parser)
{
    return lexer_next(&parser->lexer, &parser->token);
}

pdk_status parser_fail(struct parser *parser, const char *format, ...)
{
    char message[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return lexer_fail(&parser->lexer, parser->token.line, parser->token.column, "%s", message);
}

struct node *parser_node(struct parser *parser, enum node_kind kind)
{
    struct node *node = arena_take(&parser->template->arena, sizeof *node);
    if (node == NULL) {
        pdk_error_set(parser->err, PDK_NO_MEMORY, "chat_template", "no memory for the template");
        return NULL;
    }
    node->kind = kind;
    node->line = parser->token.line;
    node->column = parser->token.column;
    return node;
}

bool parser_at_word(const struct parser *parser, const char *word)
{
    return parser->token.kind == TOKEN_NAME && text_is(parser->token.text, word);
}

bool parser_at(const struct parser *parser, int op)
{
    return parser->token.kind == TOKEN_OPERATOR && parser->token.op == op;
}

pdk_status parser_expect(struct parser *parser, int op)
{
    return parser_at(parser, op) ? parser_advance(parser) : parser_fail(parser, "expected '%c'", op);
}

pdk_status parser_enter(struct parser *parser)
{
    if (++parser->depth > PARSE_DEPTH_MAX)
        return parser_fail(parser, "nested deeper than %d levels", PARSE_DEPTH_MAX);
    return PDK_OK;
}

static pdk_status block_end(struct parser *parser)
{
    return parser->token.kind == TOKEN_BLOCK_END ? parser_advance(parser)
                                                 : parser_fail(parser, "expected the end of the tag");
}

/* Behind the word that ended a body. */
static pdk_status end_tag(struct parser *parser)
{
    pdk_status status = parser_advance(parser);
    return status == PDK_OK ? block_end(parser) : status;
}

static pdk_status take_name(struct parser *parser, const struct text **ret_name)
{
    if (parser->token.kind != TOKEN_NAME)
        return parser_fail(parser, "expected a name");
    *ret_name = parser->token.text;
    return parser_advance(parser);
}

static pdk_status parse_if(struct parser *parser, struct node *node)
{
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    struct node **tail = &node->items;
    pdk_status status = PDK_OK;
    for (bool last = false; status == PDK_OK;) {
        struct node *branch = parser_node(parser, NODE_BRANCH);
        if (branch == NULL)
            return PDK_NO_MEMORY;
        *tail = branch;
        tail = &branch->next;
        if (!last)
            status = parse_tuple(parser, true, &branch->a);
        if (status == PDK_OK)
            status = block_end(parser);
        if (status == PDK_OK)
            status = parse_body(parser, last ? ends + 2 : ends, &branch->body);
        if (status != PDK_OK || parser_at_word(parser, "endif"))
            break;
        last = parser_at_word(parser, "else");
        status = parser_advance(parser);
    }
    return status == PDK_OK ? end_tag(parser) : status;
}

/* A name, names with commas, or (`member`) namespace.name. */
static pdk_status parse_target(struct parser *parser, bool member, struct node **ret_node)
{
    struct node *first = NULL, **tail = &first;
    size_t count = 0;
    bool comma = false, parentheses = parser_at(parser, '(');
    pdk_status status = parentheses ? parser_advance(parser) : PDK_OK;
    do {
        struct node *name = parser_node(parser, NODE_NAME);
        if (name == NULL)
            return PDK_NO_MEMORY;
        status = take_name(parser, &name->name);
        if (status == PDK_OK && member && count == 0 && parser_at(parser, '.')) {
            struct node *whole = parser_node(parser, NODE_MEMBER);
            if (whole == NULL)
                return PDK_NO_MEMORY;
            whole->a = name;
            *ret_node = whole;
            status = parser_advance(parser);
            return status == PDK_OK ? take_name(parser, &whole->name) : status;
        }
        *tail = name;
        tail = &name->next;
        count++;
        comma = status == PDK_OK && parser_at(parser, ',');
        if (comma)
            status = parser_advance(parser);
    } while (status == PDK_OK && comma);
    if (status == PDK_OK && parentheses)
        status = parser_expect(parser, ')');
    *ret_node = first;
    if (status != PDK_OK || count == 1)
        return status;
    struct node *tuple = parser_node(parser, NODE_LIST);
    if (tuple == NULL)
        return PDK_NO_MEMORY;
    tuple->items = first;
    *ret_node = tuple;
    return PDK_OK;
}

static pdk_status parse_for(struct parser *parser, struct node *node)
{
    static const char *const ends[] = {"else", "endfor", NULL};
    pdk_status status = parse_target(parser, false, &node->a);
    if (status == PDK_OK && !parser_at_word(parser, "in"))
        status = parser_fail(parser, "expected 'in'");
    if (status == PDK_OK)
        status = parser_advance(parser);
    if (status == PDK_OK)
        status = parse_tuple(parser, false, &node->b);
    if (status == PDK_OK && parser_at_word(parser, "if")) {
        status = parser_advance(parser);
        if (status == PDK_OK)
            status = parse_expression(parser, true, &node->c);
    }
    if (status == PDK_OK && parser_at_word(parser, "recursive"))
        status = parser_fail(parser, "recursive loops are not supported");
    if (status == PDK_OK)
        status = block_end(parser);
    parser->loops++;
    if (status == PDK_OK)
        status = parse_body(parser, ends, &node->body);
    parser->loops--;
    if (status == PDK_OK && parser_at_word(parser, "else")) {
        status = end_tag(parser);
        if (status == PDK_OK)
            status = parse_body(parser, ends + 1, &node->items);
    }
    return status == PDK_OK ? end_tag(parser) : status;
}

static pdk_status parse_set(struct parser *parser, struct node *node)
{
    static const char *const ends[] = {"endset", NULL};
    pdk_status status = parse_target(parser, true, &node->a);
    if (status == PDK_OK && parser_at(parser, '=')) {
        status = parser_advance(parser);
        if (status == PDK_OK)
            status = parse_tuple(parser, true, &node->b);
        return status == PDK_OK ? block_end(parser) : status;
    }
    node->kind = NODE_SET_BLOCK;
    if (status == PDK_OK)
        status = parse_filters(parser, NULL, false, &node->b);
    if (status == PDK_OK)
        status = block_end(parser);
    if (status == PDK_OK)
        status = parse_body(parser, ends, &node->body);
    return status == PDK_OK ? end_tag(parser) : status;
}

/* (a, b=1, …) of a macro, into its items. */
static pdk_status parse_parameters(struct parser *parser, struct node *macro)
{
    struct node **tail = &macro->items;
    pdk_status status = parser_expect(parser, '(');
    while (status == PDK_OK && !parser_at(parser, ')')) {
        if (macro->items != NULL)
            status = parser_expect(parser, ',');
        struct node *parameter = parser_node(parser, NODE_NAME);
        if (parameter == NULL)
            return PDK_NO_MEMORY;
        if (status == PDK_OK)
            status = take_name(parser, &parameter->name);
        if (status == PDK_OK && parser_at(parser, '=')) {
            status = parser_advance(parser);
            if (status == PDK_OK)
                status = parse_expression(parser, true, &parameter->a);
        }
        *tail = parameter;
        tail = &parameter->next;
    }
    return status == PDK_OK ? parser_expect(parser, ')') : status;
}

/* A macro's body is no part of the loop around it. */
static pdk_status parse_macro_body(struct parser *parser, const char *end, struct node *macro)
{
    const char *const ends[] = {end, NULL};
    unsigned loops = parser->loops;
    parser->loops = 0;
    pdk_status status = block_end(parser);
    if (status == PDK_OK)
        status = parse_body(parser, ends, &macro->body);
    parser->loops = loops;
    return status == PDK_OK ? end_tag(parser) : status;
}

static pdk_status parse_macro(struct parser *parser, struct node *node)
{
    pdk_status status = take_name(parser, &node->name);
    if (status == PDK_OK)
        status = parse_parameters(parser, node);
    return status == PDK_OK ? parse_macro_body(parser, "endmacro", node) : status;
}

static pdk_status parse_call_block(struct parser *parser, struct node *node)
{
    node->a = parser_node(parser, NODE_MACRO);
    if (node->a == NULL)
        return PDK_NO_MEMORY;
    pdk_status status = parser_at(parser, '(') ? parse_parameters(parser, node->a) : PDK_OK;
    if (status == PDK_OK)
        status = parse_expression(parser, true, &node->b);
    if (status == PDK_OK && node->b->kind != NODE_CALL)
        status = parser_fail(parser, "expected a call");
    return status == PDK_OK ? parse_macro_body(parser, "endcall", node->a) : status;
}

static pdk_status parse_filter_block(struct parser *parser, struct node *node)
{
    static const char *const ends[] = {"endfilter", NULL};
    pdk_status status = parse_filters(parser, NULL, true, &node->b);
    if (status == PDK_OK)
        status = block_end(parser);
    if (status == PDK_OK)
        status = parse_body(parser, ends, &node->body);
    return status == PDK_OK ? end_tag(parser) : status;
}

static pdk_status parse_with(struct parser *parser, struct node *node)
{
    static const char *const ends[] = {"endwith", NULL};
    struct node **tail = &node->items;
    pdk_status status = PDK_OK;
    while (status == PDK_OK && parser->token.kind != TOKEN_BLOCK_END) {
        struct node *set = parser_node(parser, NODE_SET);
        if (set == NULL)
            return PDK_NO_MEMORY;
        if (node->items != NULL)
            status = parser_expect(parser, ',');
        if (status == PDK_OK)
            status = parse_target(parser, false, &set->a);
        if (status == PDK_OK)
            status = parser_expect(parser, '=');
        if (status == PDK_OK)
            status = parse_expression(parser, true, &set->b);
        *tail = set;
        tail = &set->next;
    }
    if (status == PDK_OK)
        status = block_end(parser);
    if (status == PDK_OK)
        status = parse_body(parser, ends, &node->body);
    return status == PDK_OK ? end_tag(parser) : status;
}

static pdk_status parse_generation(struct parser *parser, struct node *node)
{
    static const char *const ends[] = {"endgeneration", NULL};
    pdk_status status = block_end(parser);
    if (status == PDK_OK)
        status = parse_body(parser, ends, &node->body);
    return status == PDK_OK ? end_tag(parser) : status;
}

static pdk_status parse_jump(struct parser *parser, struct node *node)
{
    if (parser->loops == 0)
        return parser_fail(parser, "'%s' outside of a loop", node->kind == NODE_BREAK ? "break" : "continue");
    return block_end(parser);
}

static const struct {
    const char *word;
    enum node_kind kind;
    pdk_status (*parse)(struct parser *parser, struct node *node);
} statements[] = {
    {"break", NODE_BREAK, parse_jump},
    {"call", NODE_CALL_BLOCK, parse_call_block},
    {"continue", NODE_CONTINUE, parse_jump},
    {"filter", NODE_FILTER_BLOCK, parse_filter_block},
    {"for", NODE_FOR, parse_for},
    {"generation", NODE_SCOPE, parse_generation},
    {"if", NODE_IF, parse_if},
    {"macro", NODE_MACRO, parse_macro},
    {"set", NODE_SET, parse_set},
    {"with", NODE_WITH, parse_with},
};

/* The next token is the tag's word. */
static pdk_status parse_statement(struct parser *parser, struct node **ret_node)
{
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        if (!parser_at_word(parser, statements[i].word))
            continue;
        struct node *node = parser_node(parser, statements[i].kind);
        if (node == NULL)
            return PDK_NO_MEMORY;
        *ret_node = node;
        pdk_status status = parser_advance(parser);
        if (status == PDK_OK)
            status = parser_enter(parser);
        if (status == PDK_OK)
            status = statements[i].parse(parser, node);
        parser->depth--;
        return status;
    }
    if (parser->token.kind != TOKEN_NAME)
        return parser_fail(parser, "expected a statement");
    return parser_fail(parser, "statement '%.64s' is not supported", parser->token.text->data);
}

static bool at_any(const struct parser *parser, const char *const *words)
{
    for (; words != NULL && *words != NULL; words++) {
        if (parser_at_word(parser, *words))
            return true;
    }
    return false;
}

static pdk_status parse_print(struct parser *parser, struct node **ret_node)
{
    struct node *node = parser_node(parser, NODE_OUTPUT);
    if (node == NULL)
        return PDK_NO_MEMORY;
    *ret_node = node;
    pdk_status status = parser_advance(parser);
    if (status == PDK_OK)
        status = parse_tuple(parser, true, &node->a);
    if (status == PDK_OK && parser->token.kind != TOKEN_PRINT_END)
        status = parser_fail(parser, "expected '}}'");
    return status == PDK_OK ? parser_advance(parser) : status;
}

/* Up to a tag whose word is one of `ends`, which becomes the next token; NULL: up to the end. */
static pdk_status parse_body(struct parser *parser, const char *const *ends, struct node **ret_body)
{
    struct node **tail = ret_body;
    pdk_status status = PDK_OK;
    while (status == PDK_OK) {
        struct node *node = NULL;
        if (parser->token.kind == TOKEN_END)
            return ends == NULL ? PDK_OK : parser_fail(parser, "unexpected end of template, expected '%s'", ends[0]);
        if (parser->token.kind == TOKEN_DATA) {
            node = parser_node(parser, NODE_DATA);
            if (node == NULL)
                return PDK_NO_MEMORY;
            node->constant = value_text(parser->token.text);
            status = parser_advance(parser);
        } else if (parser->token.kind == TOKEN_PRINT_BEGIN) {
            status = parse_print(parser, &node);
        } else {
            status = parser_advance(parser);
            if (status == PDK_OK && at_any(parser, ends))
                return PDK_OK;
            if (status == PDK_OK)
                status = parse_statement(parser, &node);
        }
        *tail = node;
        if (status == PDK_OK)
            tail = &node->next;
    }
    return status;
}

/* Whether `node` is X.content or X['content'], whatever filters are on it, or a name that was set to that. */
static bool is_content(const struct node *node, const struct text *alias)
{
    while (node->kind == NODE_FILTER && node->a != NULL)
        node = node->a;
    if (node->kind == NODE_MEMBER)
        return text_is(node->name, "content");
    if (node->kind == NODE_INDEX && node->b->kind == NODE_CONST && node->b->constant.type == VALUE_TEXT)
        return text_is(node->b->constant.text, "content");
    return node->kind == NODE_NAME && alias != NULL && text_equal(node->name, alias);
}

/* The depth is that of the parse. `alias`: the last name that was set to a content. */
static bool iterates_content(const struct node *node, const struct text **alias)
{
    for (; node != NULL; node = node->next) {
        if (node->kind == NODE_SET && node->a->kind == NODE_NAME && is_content(node->b, NULL))
            *alias = node->a->name;
        if (node->kind == NODE_FOR && is_content(node->b, *alias))
            return true;
        bool nests = node->kind == NODE_IF || node->kind == NODE_FOR;
        if (iterates_content(node->body, alias) || (nests && iterates_content(node->items, alias)))
            return true;
    }
    return false;
}

/* Line ends as \n, and none at the end. */
static char *tidy(const char *source, size_t *length)
{
    char *copy = calloc(*length + 1, 1);
    size_t kept = 0;
    for (size_t i = 0; copy != NULL && i < *length; i++) {
        bool lone = source[i] == '\r' && (i + 1 == *length || source[i + 1] != '\n');
        if (source[i] != '\r' || lone)
            copy[kept++] = lone ? '\n' : source[i];
    }
    *length = kept > 0 && copy[kept - 1] == '\n' ? kept - 1 : kept;
    return copy;
}

pdk_status parse_template(struct template *template, const char *source, size_t length, pdk_error *err)
{
    char *copy = tidy(source, &length);
    if (copy == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "chat_template", "no memory for the template");
    struct parser parser = {.template = template, .err = err};
    parser.lexer = (struct lexer){
        .source = copy, .length = length, .line = 1, .arena = &template->arena, .at_line_start = true, .err = err};
    pdk_status status = parser_advance(&parser);
    if (status == PDK_OK)
        status = parse_body(&parser, NULL, &template->body);
    const struct text *alias = NULL;
    if (status == PDK_OK)
        template->wants_parts = iterates_content(template->body, &alias);
    free(copy);
    return status;
}
