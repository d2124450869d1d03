/* runtimes/huggingface/guided/json_schema.h: a JSON Schema (draft 2020-12, and what older drafts write otherwise) as a
 * grammar of the JSON texts that it allows. What cannot be enforced is refused by name, never left out: every text of
 * the grammar validates. The grammar may allow less than the schema (a fixed order of properties). */
#pragma once

#include "core/base/json.h"
#include "runtimes/huggingface/guided/grammar.h"

struct json_style {
    bool no_whitespace;     /* none between tokens */
    bool closed_objects;    /* additionalProperties is false where the schema does not say */
    const char *whitespace; /* a regex of what may stand between tokens, or NULL: a little, by the rules of reading */
    size_t whitespace_length;
};

/* Adds to `grammar`; ret_node is what a text of the schema is. `schema`: an object or a boolean. PDK_UNSUPPORTED: the
 * keyword or combination that cannot be enforced, with its path in the schema; PDK_INVALID: what is wrong with it. */
pdk_status json_schema_node(struct grammar *grammar, const struct json *schema, const struct json_style *style,
    grammar_node *ret_node, pdk_error *err);
/* Any JSON object. */
pdk_status json_object_node(
    struct grammar *grammar, const struct json_style *style, grammar_node *ret_node, pdk_error *err);
