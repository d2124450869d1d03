/* runtimes/huggingface/template/lexer.h: a template's source as tokens, with white space taken away as transformers
 * asks (trim_blocks, lstrip_blocks, no newline at the end). */
#pragma once

#include "runtimes/huggingface/template/node.h"

enum token_kind {
    TOKEN_END,
    TOKEN_DATA,        /* text */
    TOKEN_BLOCK_BEGIN, /* {% */
    TOKEN_BLOCK_END,
    TOKEN_PRINT_BEGIN, /* {{ */
    TOKEN_PRINT_END,
    TOKEN_NAME,   /* text */
    TOKEN_STRING, /* text, escapes resolved */
    TOKEN_INT,
    TOKEN_FLOAT,
    TOKEN_OPERATOR, /* op: a character or an OP_ */
};

struct token {
    enum token_kind kind;
    uint32_t line, column;
    int op;
    const struct text *text;
    int64_t integer;
    double real;
};

struct lexer {
    const char *source;
    size_t length, at;
    uint32_t line;
    size_t line_start;
    struct arena *arena;
    enum { LEX_DATA, LEX_BLOCK, LEX_PRINT } state;
    unsigned brackets;
    bool at_line_start; /* the data from here on begins a line */
    pdk_error *err;
};

pdk_status lexer_next(struct lexer *lexer, struct token *ret_token);
pdk_status lexer_fail(struct lexer *lexer, uint32_t line, uint32_t column, const char *format, ...) PDK_PRINTF(4, 5);
/* A text in the arena, special; NULL: no memory. */
const struct text *lexer_text(struct lexer *lexer, const char *data, size_t length);
