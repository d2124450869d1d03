/* A text that a regular expression matches from beginning to end. Without anchors and lookarounds its tree is a grammar
 * as it stands, with counts that stay counts; else it becomes a deterministic automaton first. */
#include "config.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "runtimes/huggingface/guided/readers.h"
#include "runtimes/huggingface/guided/regex_tree.h"
#include "runtimes/huggingface/guided/rule_names.h"

static bool looks_around(const struct regex_tree *tree)
{
    for (uint32_t i = 0; i < tree->count; i++)
        if (tree->nodes[i].kind == REGEX_LOOK)
            return true;
    return false;
}

static grammar_node tree_node(struct grammar *grammar, const struct regex_tree *tree, uint32_t number);

static grammar_node children_node(struct grammar *grammar, const struct regex_tree *tree, const struct regex_node *node)
{
    PDK_CLEANUP(node_list_done) struct node_list list = {0};
    for (uint32_t child = node->first; child != 0; child = tree->nodes[child].next)
        if (node_list_add(&list, tree_node(grammar, tree, child), NULL) != PDK_OK)
            return GRAMMAR_FAILED;
    return node->kind == REGEX_SEQUENCE ? grammar_sequence(grammar, list.nodes, list.count)
                                        : grammar_either(grammar, list.nodes, list.count);
}

/* Nested at most REGEX_NESTING_MAX deep. */
static grammar_node tree_node(struct grammar *grammar, const struct regex_tree *tree, uint32_t number)
{
    const struct regex_node *node = &tree->nodes[number];
    switch (node->kind) {
    case REGEX_EMPTY: return grammar_empty(grammar);
    case REGEX_CLASS:
        return grammar_characters(
            grammar, tree->classes[node->class_number].ranges, tree->classes[node->class_number].count);
    case REGEX_SEQUENCE:
    case REGEX_EITHER: return children_node(grammar, tree, node);
    case REGEX_REPEAT: return grammar_repeat(grammar, tree_node(grammar, tree, node->first), node->least, node->most);
    default: return grammar_nothing(grammar);
    }
}

static pdk_status read_automaton(struct grammar *grammar, const char *pattern, size_t length,
    const struct regular_budget *budget, grammar_node *ret_node, pdk_error *err)
{
    struct regular *set = NULL;
    pdk_status status = regular_of_regex(pattern, length, REGEX_WHOLE, budget, &set, err);
    if (status != PDK_OK)
        return status;
    *ret_node = regular_node(grammar, set, false);
    regular_free(set);
    return grammar_status(grammar, err);
}

pdk_status read_pattern(
    struct grammar *grammar, const char *pattern, size_t length, grammar_node *ret_node, pdk_error *err)
{
    struct regular_budget budget = {.states = PATTERN_STATES_MAX, .deadline_ms = grammar_deadline_ms(grammar)};
    struct regex_tree tree = {0};
    pdk_status status = regex_read(pattern, length, false, &budget, &tree, err);
    if (status != PDK_OK)
        return status;
    bool plain = !looks_around(&tree);
    grammar_node node = plain ? tree_node(grammar, &tree, tree.root) : GRAMMAR_FAILED;
    regex_tree_done(&tree);
    if (!plain)
        return read_automaton(grammar, pattern, length, &budget, ret_node, err);
    status = grammar_status(grammar, err);
    if (status == PDK_OK && node == GRAMMAR_FAILED)
        status = pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the pattern");
    if (status == PDK_OK)
        *ret_node = node;
    return status;
}

pdk_status read_regex(struct grammar *grammar, const pdk_guide *what, grammar_node *ret_node, pdk_error *err)
{
    return read_pattern(grammar, what->text.data, what->text.length, ret_node, err);
}
