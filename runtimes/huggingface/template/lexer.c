/* Two states: data up to the next tag, and tokens within one. A tag's signs (-, +) act on the data beside it. */
#include "config.h"

#include "runtimes/huggingface/template/lexer.h"

#include "core/base/error.h"
#include "core/base/utf8.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

pdk_status lexer_fail(struct lexer *lexer, uint32_t line, uint32_t column, const char *format, ...)
{
    char message[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return pdk_error_set(lexer->err, PDK_INVALID, "chat_template", "%s at line %u, column %u", message, line, column);
}

static pdk_status no_memory(struct lexer *lexer)
{
    return pdk_error_set(lexer->err, PDK_NO_MEMORY, "chat_template", "no memory for the template");
}

const struct text *lexer_text(struct lexer *lexer, const char *data, size_t length)
{
    struct text *text = arena_take(lexer->arena, sizeof *text);
    char *copy = arena_take(lexer->arena, length + 1);
    if (text == NULL || copy == NULL)
        return NULL;
    if (length != 0)
        memcpy(copy, data, length);
    *text = (struct text){.data = copy, .length = length};
    return text;
}

static uint32_t column_of(const struct lexer *lexer)
{
    return (uint32_t)(lexer->at - lexer->line_start + 1);
}

static void move_to(struct lexer *lexer, size_t to)
{
    for (; lexer->at < to; lexer->at++) {
        if (lexer->source[lexer->at] == '\n') {
            lexer->line++;
            lexer->line_start = lexer->at + 1;
        }
    }
}

static bool is_white(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool looking_at(const struct lexer *lexer, size_t at, const char *word)
{
    size_t length = strlen(word);
    return lexer->length - at >= length && memcmp(lexer->source + at, word, length) == 0;
}

static size_t skip_white(const struct lexer *lexer, size_t at)
{
    while (at < lexer->length && is_white(lexer->source[at]))
        at++;
    return at;
}

/* If a tag with `word` alone starts at `at`: the offset behind it, and its closing sign. Else 0. */
static size_t simple_tag(const struct lexer *lexer, size_t at, const char *word, char *ret_sign)
{
    at += 2;
    if (at < lexer->length && (lexer->source[at] == '-' || lexer->source[at] == '+'))
        at++;
    at = skip_white(lexer, at);
    if (!looking_at(lexer, at, word))
        return 0;
    at = skip_white(lexer, at + strlen(word));
    *ret_sign = at < lexer->length && (lexer->source[at] == '-' || lexer->source[at] == '+') ? lexer->source[at] : 0;
    at += *ret_sign != 0;
    return looking_at(lexer, at, "%}") ? at + 2 : 0;
}

/* Goes behind a tag that ends at `at` with `sign`. */
static void leave_tag(struct lexer *lexer, size_t at, char sign, bool trim)
{
    if (sign == '-')
        at = skip_white(lexer, at);
    else if (sign != '+' && trim && at < lexer->length && lexer->source[at] == '\n')
        at++;
    move_to(lexer, at);
    lexer->at_line_start = at > 0 && lexer->source[at - 1] == '\n';
    lexer->state = LEX_DATA;
}

/* Where the data from lexer->at to `end`, before a tag that has `sign`, really ends. */
static size_t data_end(const struct lexer *lexer, size_t start, size_t end, char sign, bool block)
{
    if (sign == '-') {
        while (end > start && is_white(lexer->source[end - 1]))
            end--;
        return end;
    }
    if (sign == '+' || !block)
        return end;
    size_t blank = end;
    while (blank > start && is_white(lexer->source[blank - 1]) && lexer->source[blank - 1] != '\n')
        blank--;
    bool line_start = blank == start ? lexer->at_line_start : lexer->source[blank - 1] == '\n';
    return line_start ? blank : end;
}

/* Data is kept back here until the tag behind it is known; *data_text gets what is left of it. */
static pdk_status take_data(struct lexer *lexer, size_t start, size_t end, struct token *ret_token, bool *ret_some)
{
    *ret_some = end > start;
    if (end <= start)
        return PDK_OK;
    ret_token->kind = TOKEN_DATA;
    ret_token->text = lexer_text(lexer, lexer->source + start, end - start);
    return ret_token->text != NULL ? PDK_OK : no_memory(lexer);
}

static pdk_status lex_raw(struct lexer *lexer, size_t behind, char sign, struct token *ret_token, bool *ret_some)
{
    leave_tag(lexer, behind, sign, false); /* a newline behind it stays, unlike behind other tags */
    size_t start = lexer->at;
    for (size_t at = start; at + 1 < lexer->length; at++) {
        char end_sign;
        size_t end = looking_at(lexer, at, "{%") ? simple_tag(lexer, at, "endraw", &end_sign) : 0;
        if (end == 0)
            continue;
        size_t stop = data_end(lexer, start, at, lexer->source[at + 2], true);
        pdk_status status = take_data(lexer, start, stop, ret_token, ret_some);
        leave_tag(lexer, end, end_sign, true);
        return status;
    }
    return lexer_fail(lexer, lexer->line, column_of(lexer), "missing end of raw block");
}

static pdk_status skip_comment(struct lexer *lexer)
{
    uint32_t line = lexer->line, column = column_of(lexer);
    const char *end = memmem(lexer->source + lexer->at + 2, lexer->length - lexer->at - 2, "#}", 2);
    if (end == NULL)
        return lexer_fail(lexer, line, column, "missing end of comment");
    size_t at = (size_t)(end - lexer->source);
    char sign = at > lexer->at + 2 && (end[-1] == '-' || end[-1] == '+') ? end[-1] : 0;
    leave_tag(lexer, at + 2, sign, true);
    return PDK_OK;
}

/* One step in data: sets *ret_some if it gave a token. */
static pdk_status lex_data(struct lexer *lexer, struct token *ret_token, bool *ret_some)
{
    size_t start = lexer->at, at = start;
    while (at + 1 < lexer->length &&
           !(lexer->source[at] == '{' && strchr("{%#", lexer->source[at + 1]) != NULL && lexer->source[at + 1] != '\0'))
        at++;
    *ret_token = (struct token){.line = lexer->line, .column = column_of(lexer)};
    if (at + 1 >= lexer->length) {
        move_to(lexer, lexer->length);
        return take_data(lexer, start, lexer->length, ret_token, ret_some);
    }
    char kind = lexer->source[at + 1], sign = at + 2 < lexer->length ? lexer->source[at + 2] : 0;
    if (at > start) { /* the tag itself comes with the next call, when at_line_start holds for its own data no more */
        size_t stop = data_end(lexer, start, at, sign, kind != '{');
        pdk_status status = take_data(lexer, start, stop, ret_token, ret_some);
        move_to(lexer, at);
        lexer->at_line_start = false;
        return status;
    }
    char raw_sign;
    size_t raw = kind == '%' ? simple_tag(lexer, at, "raw", &raw_sign) : 0;
    if (raw != 0)
        return lex_raw(lexer, raw, raw_sign, ret_token, ret_some);
    if (kind == '#')
        return skip_comment(lexer);
    move_to(lexer, at + 2 + (sign == '-' || sign == '+'));
    lexer->brackets = 0;
    lexer->state = kind == '%' ? LEX_BLOCK : LEX_PRINT;
    ret_token->kind = kind == '%' ? TOKEN_BLOCK_BEGIN : TOKEN_PRINT_BEGIN;
    *ret_some = true;
    return PDK_OK;
}

static int hex_digits(const struct lexer *lexer, size_t at, size_t end, size_t count, uint32_t *ret_code)
{
    uint32_t code = 0;
    for (size_t i = 0; i < count; i++) {
        char c = at + i < end ? lexer->source[at + i] : 'x';
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        code = code << 4 | (uint32_t)digit;
    }
    *ret_code = code;
    return 0;
}

/* An escape whose backslash stands at `at`; gives its bytes and returns its length, 0 if it is none. */
static size_t unescape(const struct lexer *lexer, size_t at, size_t end, char *out, size_t *ret_length)
{
    static const char from[] = "abfnrtv\\'\"", to[] = "\a\b\f\n\r\t\v\\'\"";
    char c = lexer->source[at + 1];
    const char *found = c != '\0' ? strchr(from, c) : NULL;
    *ret_length = 1;
    if (found != NULL) {
        out[0] = to[found - from];
        return 2;
    }
    if (c == '\n') {
        *ret_length = 0;
        return 2;
    }
    if (c >= '0' && c <= '7') {
        uint32_t code = 0;
        size_t length = 1;
        while (
            length < 4 && at + length < end && lexer->source[at + length] >= '0' && lexer->source[at + length] <= '7')
            code = code * 8 + (uint32_t)(lexer->source[at + length++] - '0');
        *ret_length = utf8_encode(code, out);
        return length;
    }
    size_t count = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    uint32_t code = 0;
    if (count == 0 || hex_digits(lexer, at + 2, end, count, &code) != 0 || code > 0x10FFFF ||
        (code >= 0xD800 && code < 0xE000))
        return 0;
    *ret_length = utf8_encode(code, out);
    return 2 + count;
}

static pdk_status lex_string(struct lexer *lexer, struct token *token)
{
    char quote = lexer->source[lexer->at];
    size_t end = lexer->at + 1;
    while (end < lexer->length && lexer->source[end] != quote)
        end += lexer->source[end] == '\\' ? 2 : 1;
    if (end >= lexer->length)
        return lexer_fail(lexer, token->line, token->column, "unterminated string");
    struct text *text = arena_take(lexer->arena, sizeof *text);
    char *out = arena_take(lexer->arena, end - lexer->at);
    if (text == NULL || out == NULL)
        return no_memory(lexer);
    size_t length = 0;
    for (size_t at = lexer->at + 1; at < end;) {
        size_t bytes = 1, used = lexer->source[at] == '\\' ? unescape(lexer, at, end, out + length, &bytes) : 0;
        if (used == 0) { /* as it stands, an unknown escape too */
            out[length] = lexer->source[at];
            bytes = used = 1;
        }
        length += bytes;
        at += used;
    }
    *text = (struct text){.data = out, .length = length};
    token->kind = TOKEN_STRING;
    token->text = text;
    move_to(lexer, end + 1);
    return PDK_OK;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static pdk_status lex_number(struct lexer *lexer, struct token *token)
{
    char text[64];
    size_t length = 0, at = lexer->at;
    bool real = false;
    for (; at < lexer->length; at++) {
        char c = lexer->source[at], next = at + 1 < lexer->length ? lexer->source[at + 1] : 0;
        char after = at + 2 < lexer->length ? lexer->source[at + 2] : 0;
        bool point = c == '.' && !real && is_digit(next);
        bool power = (c == 'e' || c == 'E') && (is_digit(next) || ((next == '-' || next == '+') && is_digit(after)));
        if (c == '_' && is_digit(next))
            continue;
        if (!is_digit(c) && !point && !power)
            break;
        real = real || point || power;
        for (int i = 0; i < (power ? 2 : 1); i++) {
            if (length + 1 >= sizeof text)
                return lexer_fail(
                    lexer, token->line, token->column, "number of more than %zu characters", sizeof text - 1);
            text[length++] = lexer->source[at + (size_t)i];
        }
        at += power;
    }
    text[length] = '\0';
    bool in_range = true;
    token->kind = real ? TOKEN_FLOAT : TOKEN_INT;
    if (real) {
        token->real = strtod(text, NULL);
        in_range = isfinite(token->real);
    }
    for (size_t i = 0; i < length && !real && in_range; i++) {
        in_range = !__builtin_mul_overflow(token->integer, 10, &token->integer) &&
                   !__builtin_add_overflow(token->integer, text[i] - '0', &token->integer);
    }
    if (!in_range)
        return lexer_fail(lexer, token->line, token->column, "number out of range: %s", text);
    move_to(lexer, at);
    return PDK_OK;
}

static bool is_name(char c, bool first)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (!first && is_digit(c));
}

static pdk_status lex_name(struct lexer *lexer, struct token *token)
{
    size_t end = lexer->at;
    while (end < lexer->length && is_name(lexer->source[end], false))
        end++;
    token->kind = TOKEN_NAME;
    token->text = lexer_text(lexer, lexer->source + lexer->at, end - lexer->at);
    if (token->text == NULL)
        return no_memory(lexer);
    move_to(lexer, end);
    if (token->text->length >= 2 && memcmp(token->text->data, "__", 2) == 0)
        return lexer_fail(
            lexer, token->line, token->column, "name '%.64s' starts with two underscores", token->text->data);
    return PDK_OK;
}

static pdk_status lex_operator(struct lexer *lexer, struct token *token)
{
    static const struct {
        char text[3];
        int op;
    } pairs[] = {{"**", OP_POWER}, {"//", OP_FLOOR}, {"==", OP_EQUAL}, {"!=", OP_UNEQUAL}, {"<=", OP_LESS_EQUAL},
        {">=", OP_GREATER_EQUAL}};
    char c = lexer->source[lexer->at];
    token->kind = TOKEN_OPERATOR;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (looking_at(lexer, lexer->at, pairs[i].text)) {
            token->op = pairs[i].op;
            move_to(lexer, lexer->at + 2);
            return PDK_OK;
        }
    }
    if (c == '\0' || strchr("+-*/%~<>=()[]{}|.,:", c) == NULL)
        return lexer_fail(
            lexer, token->line, token->column, "unexpected character '%c'", c >= ' ' && c < 127 ? c : '?');
    if (c == '(' || c == '[' || c == '{')
        lexer->brackets++;
    else if ((c == ')' || c == ']' || c == '}') && lexer->brackets-- == 0)
        return lexer_fail(lexer, token->line, token->column, "unexpected '%c'", c);
    token->op = c;
    move_to(lexer, lexer->at + 1);
    return PDK_OK;
}

static bool lex_tag_end(struct lexer *lexer, struct token *token)
{
    if (lexer->brackets != 0)
        return false;
    const char *end = lexer->state == LEX_BLOCK ? "%}" : "}}";
    char sign = lexer->source[lexer->at];
    bool signed_end = sign == '-' || (sign == '+' && lexer->state == LEX_BLOCK);
    if (!looking_at(lexer, lexer->at + signed_end, end))
        return false;
    token->kind = lexer->state == LEX_BLOCK ? TOKEN_BLOCK_END : TOKEN_PRINT_END;
    leave_tag(lexer, lexer->at + signed_end + 2, signed_end ? sign : 0, lexer->state == LEX_BLOCK);
    return true;
}

pdk_status lexer_next(struct lexer *lexer, struct token *ret_token)
{
    while (lexer->state == LEX_DATA) {
        bool some = false;
        if (lexer->at >= lexer->length) {
            *ret_token = (struct token){.kind = TOKEN_END, .line = lexer->line, .column = column_of(lexer)};
            return PDK_OK;
        }
        pdk_status status = lex_data(lexer, ret_token, &some);
        if (status != PDK_OK || some)
            return status;
    }
    move_to(lexer, skip_white(lexer, lexer->at));
    *ret_token = (struct token){.line = lexer->line, .column = column_of(lexer)};
    if (lexer->at >= lexer->length)
        return lexer_fail(lexer, lexer->line, column_of(lexer), "unexpected end of template");
    if (lex_tag_end(lexer, ret_token))
        return PDK_OK;
    char c = lexer->source[lexer->at];
    if (c == '"' || c == '\'')
        return lex_string(lexer, ret_token);
    if (is_digit(c))
        return lex_number(lexer, ret_token);
    return is_name(c, true) ? lex_name(lexer, ret_token) : lex_operator(lexer, ret_token);
}
