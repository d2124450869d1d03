/* runtimes/huggingface/guided/schema_emit.h: terms as grammar nodes. Each term is one rule, made when it is first asked
 * for and defined later, from a queue: so recursion in a schema is recursion in the grammar, and none here. */
#pragma once

#include "runtimes/huggingface/guided/schema_normal.h"

struct emitter {
    struct schema *schema;
    struct grammar *grammar;
    grammar_node *rules; /* of each term, or GRAMMAR_FAILED */
    size_t rule_room, rule_count;
    term_id *queue;
    size_t queue_room, queue_count;
    grammar_node gap;   /* behind an opening bracket, before a closing one */
    grammar_node comma; /* "," and what may follow it */
    grammar_node colon;
    grammar_node any_string, any_number;
    const struct regular *offered; /* that any_number is for */
};

/* Everything that the root needs. */
pdk_status schema_emit(struct schema *schema, term_id root, grammar_node *ret_node);
/* What satisfies the term, as a node. */
pdk_status emit_term(struct emitter *emitter, term_id term, grammar_node *ret_node);
/* What satisfies all facts of one alternative. */
pdk_status emit_object(struct emitter *emitter, struct alternative facts, grammar_node *ret_node);
pdk_status emit_array(struct emitter *emitter, struct alternative facts, grammar_node *ret_node);
grammar_node emit_strings(struct emitter *emitter, const struct regular *set);
pdk_status emit_numbers(struct emitter *emitter, const struct regular *set, grammar_node *ret_node);
/* A fact that stands for what cannot be enforced, as the error that it is. */
pdk_status emit_refuse(struct emitter *emitter, const struct term *opaque);

/* Things in a fixed order, each there or not, least to most of them, as one list between brackets: properties, or the
 * members of a set. What follows them is the caller's. */
struct sequence_part {
    grammar_node node;
    bool required;
};
/* tail(context, c): the rest once c things (or more, from `cap` on) are there, the closing bracket included. */
typedef pdk_status sequence_tail(struct emitter *emitter, void *context, uint32_t count, grammar_node *ret_node);
pdk_status emit_sequence(struct emitter *emitter, const struct sequence_part *parts, uint32_t count, uint32_t most,
    uint32_t cap, sequence_tail *tail, void *context, grammar_node *ret_node);
/* What comes before thing number `count` of a list. */
grammar_node emit_before(const struct emitter *emitter, uint32_t count);
/* The bracket after `count` things. */
grammar_node emit_close(const struct emitter *emitter, uint32_t count, const char *bracket);
/* Any `least` to `most` more of `node` behind `count` things, and the bracket. */
grammar_node emit_more(
    struct emitter *emitter, grammar_node node, uint32_t least, uint32_t most, uint32_t count, const char *bracket);

/* schema_unique.c: arrays whose elements are all different. */
pdk_status emit_unique(struct emitter *emitter, struct alternative facts, const struct term *unique, uint32_t least,
    uint32_t most, grammar_node *ret_node);
/* All that is said of element `index`. */
pdk_status element_term(struct schema *schema, struct alternative facts, uint32_t index, term_id *ret_term);
/* From this element on the facts are the same for all. */
uint32_t elements_differ_until(const struct schema *schema, struct alternative facts);
