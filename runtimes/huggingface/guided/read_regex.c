/* A text that a regular expression matches from beginning to end. */
#include "config.h"

#include "runtimes/huggingface/guided/readers.h"
#include "runtimes/huggingface/guided/regular.h"

pdk_status read_pattern(
    struct grammar *grammar, const char *pattern, size_t length, grammar_node *ret_node, pdk_error *err)
{
    struct regular_budget budget = {.states = PATTERN_STATES_MAX, .deadline_ms = grammar_deadline_ms(grammar)};
    struct regular *set = NULL;
    pdk_status status = regular_of_regex(pattern, length, REGEX_WHOLE, &budget, &set, err);
    if (status != PDK_OK)
        return status;
    *ret_node = regular_node(grammar, set, false);
    regular_free(set);
    return grammar_status(grammar, err);
}

pdk_status read_regex(struct grammar *grammar, const pdk_guide *what, grammar_node *ret_node, pdk_error *err)
{
    return read_pattern(grammar, what->text.data, what->text.length, ret_node, err);
}
