/* runtimes/huggingface/guided/schema_normal.h: a term worked out for each type of value: which numbers, which strings,
 * and of arrays and objects the alternatives, each a list of facts that must hold together. */
#pragma once

#include "runtimes/huggingface/guided/schema_terms.h"

struct alternative {
    uint32_t list,
        count; /* terms in schema->lists, in order: RULE SOME PRESENT COUNT, ITEMS HOLDS LENGTH UNIQUE, OPAQUE */
};

struct alternatives {
    struct alternative *items;
    size_t room;
    uint32_t count;
};

struct normal {
    uint32_t types;                /* of null, false, true */
    const struct regular *numbers; /* their texts */
    const struct regular *strings;
    struct alternatives arrays, objects;
};

struct normal_store;
struct normal_store *normal_store_free(struct normal_store *store);

enum { ALTERNATIVES_MAX = 2000, ALTERNATIVES_IN_ALL = 1000000 };

/* PDK_CONFLICT: the term is defined by itself. `loose`: what the term perhaps allows, for proofs that it allows
 * nothing; else what it surely allows. Borrowed until the schema is done. */
pdk_status schema_normalise(struct schema *schema, term_id term, bool loose, const struct normal **ret_normal);
/* Whether nothing can satisfy the term, as far as a short look shows. *ret_empty is false where that is not known. */
pdk_status schema_is_empty(struct schema *schema, term_id term, unsigned depth, bool *ret_empty);

/* Whether an alternative needs something that cannot be. */
pdk_status schema_alternative_is_empty(
    struct schema *schema, struct alternative item, bool objects, unsigned depth, bool *ret_empty);
/* What is true of a value when `inner` is not; without a NOT in front. */
pdk_status schema_opposite(struct schema *schema, term_id inner, bool loose, term_id *ret_term);

int compare_numbers(const void *left, const void *right);
pdk_status schema_put_list(struct schema *schema, const uint32_t *values, uint32_t count, uint32_t *ret_list);
pdk_status schema_names_set(
    struct schema *schema, const uint32_t *names, uint32_t count, const struct regular **ret_set);
/* The number of what KIND_SCHEMA term `term` says; PDK_CONFLICT while it is being read. */
pdk_status schema_content(struct schema *schema, term_id term, term_id *ret_content);
