/* A grammar's text, in the notation that it looks like: one with a line `name ::=` is GBNF, others are Lark. */
#include "config.h"

#include "runtimes/huggingface/guided/readers.h"
#include "runtimes/huggingface/guided/rule_names.h"

#include <string.h>

static bool is_gbnf(const char *text, size_t length)
{
    for (size_t at = 0; at < length;) {
        const char *newline = memchr(text + at, '\n', length - at);
        size_t end = newline == NULL ? length : (size_t)(newline - text), name;
        while (at < end && (text[at] == ' ' || text[at] == '\t'))
            at++;
        for (name = at; at < end && strchr(" \t\"'/#:[(", text[at]) == NULL;)
            at++;
        while (at < end && (text[at] == ' ' || text[at] == '\t') && at > name)
            at++;
        if (at > name && end - at >= 3 && memcmp(text + at, "::=", 3) == 0)
            return true;
        at = end + 1;
    }
    return false;
}

pdk_status read_grammar(struct grammar *grammar, const pdk_guide *what, grammar_node *ret_node, pdk_error *err)
{
    return (is_gbnf(what->text.data, what->text.length) ? gbnf_read : lark_read)(
        grammar, what->text.data, what->text.length, ret_node, err);
}
