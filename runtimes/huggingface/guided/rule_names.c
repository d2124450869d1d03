/* See the header. */
#include "config.h"

#include "runtimes/huggingface/guided/rule_names.h"

#include "core/base/array.h"
#include "core/base/error.h"
#include "core/base/utf8.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE_SIZE = 32768 }; /* over three times RULES_MAX */

pdk_status grammar_text_init(
    struct grammar_text *text, struct grammar *grammar, const char *bytes, size_t length, pdk_error *err)
{
    *text = (struct grammar_text){.start = bytes, .at = bytes, .end = bytes + length, .rules.grammar = grammar};
    size_t bad;
    if (!utf8_valid(bytes, length, &bad))
        return pdk_error_set(err, PDK_INVALID, NULL, "byte %zu is no UTF-8", bad);
    text->rules.table = calloc(TABLE_SIZE, sizeof *text->rules.table);
    return text->rules.table != NULL ? PDK_OK : pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the rules");
}

void grammar_text_done(struct grammar_text *text)
{
    free(text->rules.names);
    free(text->rules.table);
}

uint32_t grammar_text_line(const struct grammar_text *text, const char *at)
{
    uint32_t line = 1;
    for (const char *c = text->start; c < at; c++)
        line += *c == '\n';
    return line;
}

pdk_status grammar_text_error(const struct grammar_text *text, const char *at, const char *what, pdk_error *err)
{
    char found[24] = "";
    size_t length = 0;
    while (at + length < text->end && length < sizeof found - 1 && at[length] != '\n')
        length++;
    while (length > 0 && at + length < text->end && ((unsigned char)at[length] & 0xC0) == 0x80)
        length--;
    memcpy(found, at, length);
    found[length] = 0;
    uint32_t line = grammar_text_line(text, at);
    if (at >= text->end)
        return pdk_error_set(err, PDK_INVALID, NULL, "line %" PRIu32 ": %s, but the text ends", line, what);
    return pdk_error_set(err, PDK_INVALID, NULL, "line %" PRIu32 ": %s, at '%s'", line, what, found);
}

static uint32_t hash_name(const char *name, size_t length)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)name[i]) * 16777619u;
    return hash ^ hash >> 15;
}

pdk_status rule_names_find(
    struct grammar_text *text, const char *name, size_t length, struct rule_name **ret_rule, pdk_error *err)
{
    struct rule_names *rules = &text->rules;
    uint32_t at = hash_name(name, length) % TABLE_SIZE;
    for (; rules->table[at] != 0; at = (at + 1) % TABLE_SIZE) {
        struct rule_name *rule = &rules->names[rules->table[at] - 1];
        if (rule->length == length && memcmp(rule->name, name, length) == 0) {
            *ret_rule = rule;
            return PDK_OK;
        }
    }
    if (rules->count == RULES_MAX)
        return pdk_error_set(err, PDK_INVALID, NULL, "the grammar has more than %d rules", RULES_MAX);
    if (!array_grow(&rules->names, &rules->room, (size_t)rules->count + 1))
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the rules");
    struct rule_name *rule = &rules->names[rules->count++];
    *rule = (struct rule_name){.name = name, .length = length, .rule = grammar_rule(rules->grammar), .at = text->at};
    rules->table[at] = rules->count;
    *ret_rule = rule;
    return PDK_OK;
}

pdk_status rule_names_check(const struct grammar_text *text, const char *root, grammar_node *ret_node, pdk_error *err)
{
    const struct rule_name *found = NULL;
    for (uint32_t i = 0; i < text->rules.count; i++) {
        const struct rule_name *rule = &text->rules.names[i];
        int length = rule->length < RULE_NAME_MAX ? (int)rule->length : RULE_NAME_MAX;
        if (!rule->defined)
            return pdk_error_set(err, PDK_INVALID, NULL, "line %" PRIu32 ": rule '%.*s' is not defined",
                grammar_text_line(text, rule->at), length, rule->name);
        if (rule->length == strlen(root) && memcmp(rule->name, root, rule->length) == 0)
            found = rule;
    }
    if (found == NULL)
        return pdk_error_set(err, PDK_INVALID, NULL, "there is no rule '%s'", root);
    *ret_node = found->rule;
    return PDK_OK;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static pdk_status read_hex(struct grammar_text *text, int digits, uint32_t *ret_code, pdk_error *err)
{
    uint32_t code = 0;
    const char *at = text->at;
    for (int i = 0; i < digits; i++) {
        int value = text->at < text->end ? hex_value(*text->at) : -1;
        if (value < 0)
            return grammar_text_error(text, at, "an escape wants hexadecimal digits", err);
        code = code << 4 | (uint32_t)value;
        text->at++;
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
        return grammar_text_error(text, at, "an escape names no character", err);
    *ret_code = code;
    return PDK_OK;
}

pdk_status grammar_text_character(struct grammar_text *text, uint32_t *ret_code, pdk_error *err)
{
    static const char letters[] = "nrtabfv0e", meanings[] = "\n\r\t\a\b\f\v\0\033";
    if (*text->at != '\\') {
        text->at += utf8_decode(text->at, (size_t)(text->end - text->at), ret_code);
        return PDK_OK;
    }
    const char *start = text->at++;
    if (text->at == text->end)
        return grammar_text_error(text, text->at, "an escape wants a character", err);
    char c = *text->at++;
    const char *letter = memchr(letters, c, sizeof letters - 1);
    if (letter != NULL) {
        *ret_code = (unsigned char)meanings[letter - letters];
        return PDK_OK;
    }
    if (c == 'x' || c == 'u' || c == 'U')
        return read_hex(text, c == 'x' ? 2 : c == 'u' ? 4 : 8, ret_code, err);
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (unsigned char)c >= 0x80)
        return grammar_text_error(text, start, "an escape that is not known", err);
    *ret_code = (unsigned char)c;
    return PDK_OK;
}

pdk_status grammar_text_number(struct grammar_text *text, uint32_t *ret_number, pdk_error *err)
{
    uint64_t number = 0;
    const char *start = text->at;
    for (; text->at < text->end && *text->at >= '0' && *text->at <= '9' && number < GRAMMAR_UNBOUNDED; text->at++)
        number = number * 10 + (uint64_t)(*text->at - '0');
    if (text->at == start)
        return grammar_text_error(text, start, "a count wants a number", err);
    if (number >= GRAMMAR_UNBOUNDED)
        return grammar_text_error(text, start, "a count is too large", err);
    *ret_number = (uint32_t)number;
    return PDK_OK;
}

void node_list_done(struct node_list *list)
{
    free(list->nodes);
}

pdk_status node_list_add(struct node_list *list, grammar_node node, pdk_error *err)
{
    if (!array_grow(&list->nodes, &list->room, list->count + 1))
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the grammar");
    list->nodes[list->count++] = node;
    return PDK_OK;
}
