/* start: thing ("," thing)*   WORD: /[a-z]+/i   %ignore " "   // comment. Rules have small letters, terminals capitals.
 * A rule ends where a line begins another. What %ignore names may stand before each terminal of a rule, and at the
 * end; inside a terminal it may not. */
#include "config.h"

#include "core/base/array.h"
#include "core/base/buffer.h"
#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/utf8.h"
#include "runtimes/huggingface/guided/lark_common.h"
#include "runtimes/huggingface/guided/readers.h"
#include "runtimes/huggingface/guided/rule_names.h"

#include <stdlib.h>
#include <string.h>

enum { PATTERN_MAX = 64 << 10 };

struct lark {
    struct grammar_text text;
    grammar_node gap;         /* what may stand before a terminal: defined at the end */
    struct node_list ignored; /* by %ignore */
    bool in_terminal;         /* the rule being read is one */
};

static bool at(const struct lark *lark, const char *what)
{
    size_t length = strlen(what);
    return (size_t)(lark->text.end - lark->text.at) >= length && memcmp(lark->text.at, what, length) == 0;
}

static void skip_space(struct lark *lark)
{
    struct grammar_text *text = &lark->text;
    while (text->at < text->end) {
        if (at(lark, "//") || *text->at == '#')
            while (text->at < text->end && *text->at != '\n')
                text->at++;
        else if (*text->at == ' ' || *text->at == '\t' || *text->at == '\r' || *text->at == '\n')
            text->at++;
        else
            return;
    }
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static size_t name_length(const struct lark *lark)
{
    const char *c = lark->text.at;
    while (c < lark->text.end && is_name(*c))
        c++;
    return (size_t)(c - lark->text.at);
}

static bool is_terminal(const char *name, size_t length)
{
    size_t i = 0;
    while (i < length && name[i] == '_')
        i++;
    return i < length && name[i] >= 'A' && name[i] <= 'Z';
}

static bool begins_line(const struct lark *lark)
{
    const char *c = lark->text.at;
    while (c > lark->text.start && (c[-1] == ' ' || c[-1] == '\t'))
        c--;
    return c == lark->text.start || c[-1] == '\n';
}

/* Behind [?!]* name [.priority] : . Moves over all of it; leaves lark->text.at where it is if there is no such thing.
 */
static bool read_head(struct lark *lark, const char **ret_name, size_t *ret_length)
{
    struct lark ahead = *lark;
    while (ahead.text.at < ahead.text.end && (*ahead.text.at == '?' || *ahead.text.at == '!'))
        ahead.text.at++;
    const char *name = ahead.text.at;
    size_t length = name_length(&ahead);
    ahead.text.at += length;
    if (at(&ahead, ".")) {
        ahead.text.at++;
        ahead.text.at += at(&ahead, "-");
        size_t digits = name_length(&ahead);
        ahead.text.at += digits;
        if (digits == 0)
            return false;
    }
    while (at(&ahead, " ") || at(&ahead, "\t"))
        ahead.text.at++;
    if (length == 0 || !at(&ahead, ":"))
        return false;
    lark->text.at = ahead.text.at + 1;
    *ret_name = name;
    *ret_length = length;
    return true;
}

static bool statement_begins(const struct lark *lark)
{
    struct lark ahead = *lark;
    const char *name;
    size_t length;
    return begins_line(lark) && (at(lark, "%") || read_head(&ahead, &name, &length));
}

/* One letter, either case. */
static grammar_node letter_node(struct grammar *grammar, uint32_t code)
{
    uint32_t other = code | 0x20;
    struct code_range both[2] = {{code, code}, {code, code}};
    if (code < 0x80 && other >= 'a' && other <= 'z') {
        both[0] = (struct code_range){other, other};
        both[1] = (struct code_range){other & ~0x20u, other & ~0x20u};
    }
    return grammar_characters(grammar, both, 2);
}

static grammar_node either_case(struct grammar *grammar, const char *bytes, size_t length)
{
    grammar_node node = grammar_empty(grammar);
    for (size_t i = 0; i < length;) {
        uint32_t code;
        size_t step = utf8_decode(bytes + i, length - i, &code);
        grammar_node pair[2] = {node, letter_node(grammar, code)};
        node = grammar_sequence(grammar, pair, 2);
        i += step;
    }
    return node;
}

static pdk_status read_quoted(struct lark *lark, struct buffer *bytes, pdk_error *err)
{
    struct grammar_text *text = &lark->text;
    const char *start = text->at++;
    while (text->at < text->end && *text->at != '"' && *text->at != '\n') {
        uint32_t code = 0;
        char encoded[4];
        pdk_status status = grammar_text_character(text, &code, err);
        if (status != PDK_OK)
            return status;
        buffer_put(bytes, encoded, utf8_encode(code, encoded));
    }
    if (text->at == text->end || *text->at != '"')
        return grammar_text_error(text, start, "a string without its closing quote", err);
    text->at++;
    return bytes->failed ? pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the grammar") : PDK_OK;
}

/* "a" or "a".."z"; i behind a string: either case. */
static pdk_status read_string(struct lark *lark, grammar_node *ret_node, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer bytes = {0};
    PDK_CLEANUP(buffer_done) struct buffer last = {0};
    struct grammar *grammar = lark->text.rules.grammar;
    const char *start = lark->text.at;
    pdk_status status = read_quoted(lark, &bytes, err);
    if (status != PDK_OK)
        return status;
    if (at(lark, "i") && !(lark->text.end - lark->text.at > 1 && is_name(lark->text.at[1]))) {
        lark->text.at++;
        *ret_node = either_case(grammar, bytes.data, bytes.length);
        return PDK_OK;
    }
    if (!at(lark, "..")) {
        *ret_node = grammar_literal(grammar, bytes.data, bytes.length);
        return PDK_OK;
    }
    lark->text.at += 2;
    struct code_range range;
    if (!at(lark, "\""))
        return grammar_text_error(&lark->text, lark->text.at, "a range wants a second string", err);
    status = read_quoted(lark, &last, err);
    if (status != PDK_OK)
        return status;
    if (bytes.length == 0 || last.length == 0 || utf8_decode(bytes.data, bytes.length, &range.first) != bytes.length ||
        utf8_decode(last.data, last.length, &range.last) != last.length || range.first > range.last)
        return grammar_text_error(&lark->text, start, "a range wants two characters in their order", err);
    *ret_node = grammar_characters(grammar, &range, 1);
    return PDK_OK;
}

/* /pattern/flags */
static pdk_status read_pattern_text(struct lark *lark, grammar_node *ret_node, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer pattern = {0};
    struct grammar_text *text = &lark->text;
    const char *start = text->at++;
    bool in_class = false;
    for (; text->at < text->end && *text->at != '\n' && (*text->at != '/' || in_class); text->at++) {
        if (*text->at == '\\' && text->end - text->at > 1) {
            if (text->at[1] != '/')
                buffer_putc(&pattern, '\\');
            text->at++;
        } else if (*text->at == '[') {
            in_class = true;
        } else if (*text->at == ']') {
            in_class = false;
        }
        buffer_putc(&pattern, *text->at);
    }
    if (text->at == text->end || *text->at != '/')
        return grammar_text_error(text, start, "a regular expression without its closing '/'", err);
    if (pattern.length > PATTERN_MAX)
        return grammar_text_error(text, start, "a regular expression longer than 64 KiB", err);
    const char *flags = ++text->at;
    while (text->at < text->end && memchr("imslux", *text->at, 6) != NULL)
        text->at++;
    PDK_CLEANUP(buffer_done) struct buffer whole = {0};
    if (text->at > flags)
        buffer_printf(&whole, "(?%.*s:", (int)(text->at - flags), flags);
    buffer_put(&whole, pattern.data != NULL ? pattern.data : "", pattern.length);
    buffer_puts(&whole, text->at > flags ? ")" : "");
    if (pattern.failed || whole.failed)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the grammar");
    pdk_status status = read_pattern(lark->text.rules.grammar, whole.data, whole.length, ret_node, err);
    if (status == PDK_INVALID || status == PDK_UNSUPPORTED)
        pdk_error_wrap(err, "line %u", (unsigned)grammar_text_line(text, start));
    return status;
}

static pdk_status read_either(struct lark *lark, uint32_t depth, grammar_node *ret_node, pdk_error *err);

static pdk_status read_group(struct lark *lark, uint32_t depth, grammar_node *ret_node, pdk_error *err)
{
    const char *start = lark->text.at++;
    char close = *start == '(' ? ')' : ']';
    if (depth >= GROUP_DEPTH_MAX)
        return grammar_text_error(&lark->text, start, "groups nested more than 64 deep", err);
    pdk_status status = read_either(lark, depth + 1, ret_node, err);
    if (status != PDK_OK)
        return status;
    if (lark->text.at == lark->text.end || *lark->text.at != close)
        return grammar_text_error(&lark->text, lark->text.at, "a group wants its closing bracket", err);
    lark->text.at++;
    if (close == ']')
        *ret_node = grammar_repeat(lark->text.rules.grammar, *ret_node, 0, 1);
    return PDK_OK;
}

/* What may stand before it goes first, but inside terminals. */
static grammar_node with_gap(struct lark *lark, grammar_node node)
{
    grammar_node pair[2] = {lark->gap, node};
    return lark->in_terminal ? node : grammar_sequence(lark->text.rules.grammar, pair, 2);
}

static pdk_status read_name(struct lark *lark, grammar_node *ret_node, pdk_error *err)
{
    struct rule_name *rule = NULL;
    const char *name = lark->text.at;
    size_t length = name_length(lark);
    if (length == 0)
        return grammar_text_error(&lark->text, name, "a string, a pattern, a name or a group is wanted", err);
    pdk_status status = rule_names_find(&lark->text, name, length, &rule, err);
    if (status != PDK_OK)
        return status;
    if (lark->in_terminal && !is_terminal(name, length))
        return grammar_text_error(&lark->text, name, "a terminal cannot use a rule", err);
    lark->text.at += length;
    if (at(lark, "{"))
        return grammar_text_error(&lark->text, name, "templates are not supported", err);
    *ret_node = is_terminal(name, length) ? with_gap(lark, rule->rule) : rule->rule;
    return PDK_OK;
}

static pdk_status read_primary(struct lark *lark, uint32_t depth, grammar_node *ret_node, pdk_error *err)
{
    pdk_status status;
    if (at(lark, "(") || at(lark, "["))
        return read_group(lark, depth, ret_node, err);
    if (!at(lark, "\"") && !at(lark, "/"))
        return read_name(lark, ret_node, err);
    status = at(lark, "\"") ? read_string(lark, ret_node, err) : read_pattern_text(lark, ret_node, err);
    if (status == PDK_OK)
        *ret_node = with_gap(lark, *ret_node);
    return status;
}

/* ~ n or ~ n..m; the tilde is next. */
static pdk_status read_counts(struct lark *lark, uint32_t *ret_least, uint32_t *ret_most, pdk_error *err)
{
    const char *start = lark->text.at++;
    skip_space(lark);
    pdk_status status = grammar_text_number(&lark->text, ret_least, err);
    if (status != PDK_OK)
        return status;
    *ret_most = *ret_least;
    if (at(lark, "..")) {
        lark->text.at += 2;
        status = grammar_text_number(&lark->text, ret_most, err);
    }
    if (status == PDK_OK && *ret_least > *ret_most)
        return grammar_text_error(&lark->text, start, "a count whose least is more than its most", err);
    return status;
}

static pdk_status read_item(struct lark *lark, uint32_t depth, grammar_node *ret_node, pdk_error *err)
{
    grammar_node node = GRAMMAR_FAILED;
    pdk_status status = read_primary(lark, depth, &node, err);
    while (status == PDK_OK) {
        uint32_t least = 0, most = GRAMMAR_UNBOUNDED;
        const char *before = lark->text.at;
        skip_space(lark);
        char c = lark->text.at < lark->text.end ? *lark->text.at : 0;
        if (c == '~') {
            status = read_counts(lark, &least, &most, err);
        } else if ((c == '*' || c == '+' || c == '?') && !statement_begins(lark)) {
            least = c == '+';
            most = c == '?' ? 1 : GRAMMAR_UNBOUNDED;
            lark->text.at++;
        } else {
            lark->text.at = before;
            break;
        }
        node = grammar_repeat(lark->text.rules.grammar, node, least, most);
    }
    *ret_node = node;
    return status;
}

/* -> name says what a tree's node is called: nothing that a text shows. */
static pdk_status skip_alias(struct lark *lark, pdk_error *err)
{
    if (!at(lark, "->"))
        return PDK_OK;
    lark->text.at += 2;
    skip_space(lark);
    size_t length = name_length(lark);
    if (length == 0)
        return grammar_text_error(&lark->text, lark->text.at, "an alias wants a name", err);
    lark->text.at += length;
    skip_space(lark);
    return PDK_OK;
}

static pdk_status read_sequence(struct lark *lark, uint32_t depth, grammar_node *ret_node, pdk_error *err)
{
    PDK_CLEANUP(node_list_done) struct node_list nodes = {0};
    struct grammar *grammar = lark->text.rules.grammar;
    for (skip_space(lark); lark->text.at < lark->text.end; skip_space(lark)) {
        grammar_node node = GRAMMAR_FAILED;
        if (at(lark, "|") || at(lark, ")") || at(lark, "]") || at(lark, "->") || statement_begins(lark))
            break;
        pdk_status status = read_item(lark, depth, &node, err);
        if (status == PDK_OK)
            status = node_list_add(&nodes, node, err);
        if (status == PDK_OK && nodes.count % 1024 == 0)
            status = grammar_status(grammar, err);
        if (status != PDK_OK)
            return status;
    }
    *ret_node = grammar_sequence(grammar, nodes.nodes, nodes.count);
    return skip_alias(lark, err);
}

static pdk_status read_either(struct lark *lark, uint32_t depth, grammar_node *ret_node, pdk_error *err)
{
    PDK_CLEANUP(node_list_done) struct node_list nodes = {0};
    for (;;) {
        grammar_node node = GRAMMAR_FAILED;
        pdk_status status = read_sequence(lark, depth, &node, err);
        if (status == PDK_OK)
            status = node_list_add(&nodes, node, err);
        if (status != PDK_OK)
            return status;
        if (!at(lark, "|"))
            break;
        lark->text.at++;
    }
    *ret_node = grammar_either(lark->text.rules.grammar, nodes.nodes, nodes.count);
    return PDK_OK;
}

static pdk_status define(struct lark *lark, const char *name, size_t length, grammar_node node, pdk_error *err)
{
    struct rule_name *rule = NULL;
    pdk_status status = rule_names_find(&lark->text, name, length, &rule, err);
    if (status != PDK_OK)
        return status;
    if (rule->defined)
        return grammar_text_error(&lark->text, name, "a rule that was defined before", err);
    rule->defined = true;
    grammar_define(lark->text.rules.grammar, rule->rule, node);
    return PDK_OK;
}

static pdk_status read_rule(struct lark *lark, pdk_error *err)
{
    const char *name;
    size_t length;
    grammar_node node = GRAMMAR_FAILED;
    if (!read_head(lark, &name, &length))
        return grammar_text_error(&lark->text, lark->text.at, "a rule wants a name and ':'", err);
    if (length > RULE_NAME_MAX)
        return grammar_text_error(&lark->text, name, "a rule's name is longer than 256 bytes", err);
    lark->in_terminal = is_terminal(name, length);
    pdk_status status = read_either(lark, 0, &node, err);
    if (status == PDK_OK && lark->text.at < lark->text.end && !statement_begins(lark))
        return grammar_text_error(&lark->text, lark->text.at, "a rule does not go on so", err);
    if (status == PDK_OK)
        status = define(lark, name, length, node, err);
    return status == PDK_OK ? grammar_status(lark->text.rules.grammar, err) : status;
}

static pdk_status import_one(
    struct lark *lark, const char *name, size_t length, const char *as, size_t as_length, pdk_error *err)
{
    grammar_node node = GRAMMAR_FAILED;
    const char *pattern = lark_common_pattern(name, length);
    if (pattern == NULL)
        return grammar_text_error(&lark->text, name, "the common library has no such terminal", err);
    pdk_status status = read_pattern(lark->text.rules.grammar, pattern, strlen(pattern), &node, err);
    return status == PDK_OK ? define(lark, as, as_length, node, err) : status;
}

/* common.NAME, common.NAME -> OTHER or common (NAME, NAME) */
static pdk_status read_import(struct lark *lark, pdk_error *err)
{
    skip_space(lark);
    if (!at(lark, "common"))
        return grammar_text_error(&lark->text, lark->text.at, "only 'common' can be imported from", err);
    lark->text.at += strlen("common");
    skip_space(lark);
    bool list = at(lark, "(");
    if (!list && !at(lark, "."))
        return grammar_text_error(&lark->text, lark->text.at, "an import wants '.NAME' or a list of names", err);
    lark->text.at++;
    for (;;) {
        skip_space(lark);
        const char *name = lark->text.at, *as = name;
        size_t length = name_length(lark), as_length = length;
        lark->text.at += length;
        if (!list) {
            const char *before = lark->text.at;
            skip_space(lark);
            if (at(lark, "->")) {
                lark->text.at += 2;
                skip_space(lark);
                as = lark->text.at;
                as_length = name_length(lark);
                lark->text.at += as_length;
            } else {
                lark->text.at = before;
            }
        }
        pdk_status status = length == 0 || as_length == 0
                                ? grammar_text_error(&lark->text, name, "an import wants a name", err)
                                : import_one(lark, name, length, as, as_length, err);
        if (status != PDK_OK || !list)
            return status;
        skip_space(lark);
        bool more = at(lark, ",");
        if (!more && !at(lark, ")"))
            return grammar_text_error(&lark->text, lark->text.at, "a list of names wants its ')'", err);
        lark->text.at++;
        if (!more)
            return PDK_OK;
    }
}

static pdk_status read_directive(struct lark *lark, pdk_error *err)
{
    const char *start = lark->text.at++;
    size_t length = name_length(lark);
    const char *name = lark->text.at;
    lark->text.at += length;
    if (length == 6 && memcmp(name, "import", 6) == 0)
        return read_import(lark, err);
    if (length != 6 || memcmp(name, "ignore", 6) != 0)
        return grammar_text_error(&lark->text, start, "this directive is not supported", err);
    grammar_node node = GRAMMAR_FAILED;
    lark->in_terminal = true;
    pdk_status status = read_either(lark, 0, &node, err);
    return status == PDK_OK ? node_list_add(&lark->ignored, node, err) : status;
}

static pdk_status read_all(struct lark *lark, grammar_node *ret_node, pdk_error *err)
{
    struct grammar *grammar = lark->text.rules.grammar;
    pdk_status status = PDK_OK;
    lark->gap = grammar_rule(grammar);
    for (skip_space(lark); status == PDK_OK && lark->text.at < lark->text.end; skip_space(lark))
        status = at(lark, "%") ? read_directive(lark, err) : read_rule(lark, err);
    grammar_node root = GRAMMAR_FAILED;
    if (status == PDK_OK)
        status = rule_names_check(&lark->text, "start", &root, err);
    if (status != PDK_OK)
        return status;
    grammar_node ignored = grammar_either(grammar, lark->ignored.nodes, lark->ignored.count);
    grammar_define(grammar, lark->gap, grammar_repeat(grammar, ignored, 0, GRAMMAR_UNBOUNDED));
    *ret_node = lark->ignored.count == 0 ? root : grammar_sequence(grammar, (const grammar_node[]){root, lark->gap}, 2);
    return grammar_status(grammar, err);
}

pdk_status lark_read(struct grammar *grammar, const char *bytes, size_t length, grammar_node *ret_node, pdk_error *err)
{
    struct lark lark = {0};
    pdk_status status = grammar_text_init(&lark.text, grammar, bytes, length, err);
    if (status == PDK_OK)
        status = read_all(&lark, ret_node, err);
    grammar_text_done(&lark.text);
    node_list_done(&lark.ignored);
    return status;
}
