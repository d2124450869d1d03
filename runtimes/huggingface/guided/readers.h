/* runtimes/huggingface/guided/readers.h: what a client may write as a constraint, as nodes of a grammar; one function
 * for each kind of pdk_guide. Errors have the client's words. */
#pragma once

#include "runtimes/huggingface/guided/json_schema.h"

#include <paddock/draft/request.h>

typedef pdk_status guide_reader(struct grammar *grammar, const pdk_guide *what, grammar_node *ret_node, pdk_error *err);

guide_reader read_json_schema, read_json_object, read_regex, read_choice, read_grammar, read_structural_tag;

/* How a guide wants its JSON written. */
struct json_style json_style_of(const pdk_guide *what);

enum { PATTERN_STATES_MAX = 100000 };
/* What a regular expression matches as a whole. */
pdk_status read_pattern(
    struct grammar *grammar, const char *pattern, size_t length, grammar_node *ret_node, pdk_error *err);
