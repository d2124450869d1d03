/* Bytes as instructions that put a grammar together on a stack, whatever comes of it. */
#include "config.h"

#include "guided_property.h"

enum { STACK = 32, RULES = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One instruction: its kind in the low bits of a byte, what it says in the byte behind. */
static size_t build(
    struct grammar *grammar, grammar_node *stack, size_t depth, const grammar_node *rules, uint8_t what, uint8_t value)
{
    static const uint32_t counts[] = {0, 1, 2, 3, 7, 100, 20000, GRAMMAR_UNBOUNDED};
    struct code_range range = {value * 67u, value * 67u + 5000};
    size_t taken = 1 + value % 4u < depth ? 1 + value % 4u : depth;
    grammar_node node;
    switch (what % 8) {
    case 0: node = grammar_bytes(grammar, value, value | 7); break;
    case 1: node = rules[value % RULES]; break;
    case 2:
        node = grammar_sequence(grammar, stack + depth - taken, taken);
        depth -= taken;
        break;
    case 3:
        node = grammar_either(grammar, stack + depth - taken, taken);
        depth -= taken;
        break;
    case 4:
        if (depth == 0)
            return depth;
        node = grammar_repeat(grammar, stack[--depth], counts[value % 8], counts[value / 8 % 8]);
        break;
    case 5: node = grammar_characters(grammar, &range, 1); break;
    case 6:
        if (depth == 0)
            return depth;
        grammar_define(grammar, rules[value % RULES], stack[--depth]);
        return depth;
    default: node = value % 2 ? grammar_empty(grammar) : grammar_literal(grammar, (const char *)&value, 1); break;
    }
    stack[depth] = node;
    return depth + 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct grammar *grammar = guided_grammar();
    grammar_node stack[STACK + 1], rules[RULES];
    size_t depth = 0;
    for (int i = 0; i < RULES; i++)
        rules[i] = grammar_rule(grammar);
    for (size_t i = 0; i + 1 < size && i < 400; i += 2) {
        depth = build(grammar, stack, depth, rules, data[i], data[i + 1]);
        if (depth == STACK)
            depth--;
    }
    grammar_set_root(grammar, depth > 0 ? stack[depth - 1] : rules[0]);
    guided_check(grammar, data, size);
    grammar_free(grammar);
    return 0;
}
