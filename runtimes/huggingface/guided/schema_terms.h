/* runtimes/huggingface/guided/schema_terms.h: what a JSON schema says, as terms: small facts about a value ("if it is
 * an object, its property a is there"), joined by and, or, not. Equal terms are one number, so that recursion through
 * $ref meets its own beginning again.
 *
 * A fact about one type holds for every value of another type, as JSON Schema's keywords do. */
#pragma once

#include "core/base/json.h"
#include "runtimes/huggingface/guided/grammar.h"
#include "runtimes/huggingface/guided/json_schema.h"
#include "runtimes/huggingface/guided/regular.h"

typedef uint32_t term_id;
enum { TERM_FALSE = 0, TERM_TRUE = 1 };
enum { TERM_UNBOUNDED = GRAMMAR_UNBOUNDED };

enum term_kind {
    KIND_FALSE,
    KIND_TRUE,
    KIND_SCHEMA,  /* what schema `schema` says, not yet read */
    KIND_NOT,     /* not a */
    KIND_AND,     /* all of the list */
    KIND_OR,      /* any of the list */
    KIND_TYPES,   /* the value is of one of the types in bits a */
    KIND_NUMBER,  /* a number's text is in pair a */
    KIND_STRING,  /* a string is in pair a */
    KIND_RULE,    /* properties whose name is in key set a satisfy b */
    KIND_SOME,    /* there is a property whose name is in key set a and which satisfies b */
    KIND_PRESENT, /* the property of name a is there */
    KIND_COUNT,   /* a to b properties */
    KIND_ITEMS,   /* elements a to b satisfy c */
    KIND_HOLDS,   /* of elements a to b, d to e satisfy c */
    KIND_LENGTH,  /* a to b elements */
    KIND_UNIQUE,  /* no two elements are equal; `schema` says so */
    KIND_ENOUGH,  /* a, which implies what is meant and may be more than it: its opposite is not known; b names it */
    KIND_OPAQUE   /* something that cannot be enforced: reason a */
};

enum {
    TYPE_NULL = 1 << 0,
    TYPE_FALSE = 1 << 1,
    TYPE_TRUE = 1 << 2,
    TYPE_NUMBER = 1 << 3,
    TYPE_STRING = 1 << 4,
    TYPE_ARRAY = 1 << 5,
    TYPE_OBJECT = 1 << 6,
    TYPE_BOOLEAN = TYPE_FALSE | TYPE_TRUE,
    TYPE_ALL = (1 << 7) - 1
};

struct term {
    uint32_t kind;
    uint32_t a, b, c, d, e;
    uint32_t list, count; /* in schema->lists */
    const struct json *schema;
};

/* A set of strings of which not all is known: those surely in it, and those perhaps in it. */
struct pair {
    const struct regular *sure, *perhaps;
};

/* Names of properties: those in the list and those in the pair; or, `inverse`, all others. */
struct key_set {
    uint32_t list, count; /* of names, by number, in order */
    uint32_t pair;        /* or 0 */
    bool inverse;
};

struct reason {
    const struct json *schema; /* where */
    const char *keyword, *why; /* static; "… cannot be enforced" */
};

/* A subschema that others may name: where it is, and what its references are relative to. */
struct schema_place {
    const struct json *schema, *parent;
    uint32_t resource;
};

struct resource {
    const struct json *root;
    char *base; /* its absolute URI, or "" */
};

struct anchor {
    uint32_t resource;
    bool dynamic;
    const char *name;
    const struct json *schema;
};

enum { SCHEMA_TERMS_MAX = 400000, SCHEMA_LISTS_MAX = 4000000 };

/* a and b (or a alone) were combined before. */
struct set_operation {
    const struct regular *a, *b, *result;
    int operation;
};

struct fixed_set {
    const char *pattern;
    const struct regular *set;
};

struct schema {
    struct grammar *grammar;
    const struct json *root;
    const struct json_style *style;
    struct regular_budget budget;
    pdk_error *err;

    struct term *terms;
    size_t term_room;
    uint32_t term_count;
    uint32_t *term_slots; /* term + 1, or 0 */
    size_t term_slot_count;
    term_id *expanded; /* of each SCHEMA term: its content; REFERENCE_NONE: not read yet */
    size_t expanded_room;

    uint32_t *lists;
    size_t list_room;
    uint32_t list_count;

    struct regular **sets; /* owned */
    size_t set_room;
    uint32_t set_count;
    size_t set_bytes;
    struct pair *pairs; /* number 0 is unused */
    size_t pair_room;
    uint32_t pair_count;
    struct key_set *key_sets;
    size_t key_set_room;
    uint32_t key_set_count;
    struct regular_text *names; /* borrowed of the schema's document */
    size_t name_room;
    uint32_t name_count;
    uint32_t *single_sets; /* of each name: the key set that holds it alone, plus one, or 0 */
    size_t single_room;
    uint32_t *name_slots;
    size_t name_slot_count;
    struct reason *reasons;
    size_t reason_room;
    uint32_t reason_count;

    struct schema_place *places;
    size_t place_room;
    uint32_t place_count;
    uint32_t *place_slots;
    size_t place_slot_count;
    struct resource *resources;
    size_t resource_room;
    uint32_t resource_count;
    struct anchor *anchors;
    size_t anchor_room;
    uint32_t anchor_count;

    struct set_operation *operations; /* what sets were combined to, open addressing */
    size_t operation_slots, operation_count;
    struct fixed_set *fixed; /* sets of regular expressions of ours */
    size_t fixed_room;
    uint32_t fixed_count;
    struct known_pattern {
        struct regular_text text;
        uint32_t pair;
    } * patterns;
    size_t pattern_room;
    uint32_t pattern_count;
    struct normal_store *normals; /* schema_normal.c */
    uint32_t alternative_count;   /* made in all */
    const struct regular *all, *none;
};

enum { TERM_NOT_READ = 0xFFFFFFFF, TERM_BEING_READ = 0xFFFFFFFE };

void schema_done(struct schema *schema);
pdk_status schema_no_memory(struct schema *schema);
/* PDK_TOO_LARGE once the time is gone. */
pdk_status schema_check_time(struct schema *schema);

/* Terms; each returns PDK_OK and the number, or why not. */
pdk_status term_add(struct schema *schema, struct term term, term_id *ret_term);
pdk_status term_schema(struct schema *schema, const struct json *json, term_id *ret_term);
pdk_status term_not(struct schema *schema, term_id a, term_id *ret_term);
pdk_status term_all(struct schema *schema, const term_id *terms, size_t count, term_id *ret_term);
pdk_status term_any(struct schema *schema, const term_id *terms, size_t count, term_id *ret_term);
static inline pdk_status term_both(struct schema *schema, term_id a, term_id b, term_id *ret_term)
{
    return term_all(schema, (term_id[]){a, b}, 2, ret_term);
}
pdk_status term_types(struct schema *schema, uint32_t types, term_id *ret_term);
pdk_status term_opaque(
    struct schema *schema, const struct json *where, const char *keyword, const char *why, term_id *ret_term);
/* A fact of numbers: kind with a to e. */
pdk_status term_fact(struct schema *schema, enum term_kind kind, const uint32_t values[5], term_id *ret_term);

/* Keeps a set until the end. */
pdk_status schema_keep(struct schema *schema, struct regular *set, const struct regular **ret_set);
pdk_status schema_pair(
    struct schema *schema, const struct regular *sure, const struct regular *perhaps, uint32_t *ret_pair);
pdk_status schema_name(struct schema *schema, const char *bytes, size_t length, uint32_t *ret_name);
/* `names` are put in order. */
pdk_status schema_key_set(
    struct schema *schema, uint32_t *names, uint32_t count, uint32_t pair, bool inverse, uint32_t *ret_key_set);
bool key_set_has(const struct schema *schema, uint32_t key_set, uint32_t name, bool perhaps);
/* The set's only name, or REGULAR's none. */
bool key_set_single(const struct schema *schema, uint32_t key_set, uint32_t *ret_name);
/* Those surely or perhaps in it, as a set of strings. */
pdk_status key_set_regular(struct schema *schema, uint32_t key_set, bool perhaps, const struct regular **ret_set);

/* Combining kept sets. */
pdk_status schema_both(
    struct schema *schema, const struct regular *a, const struct regular *b, const struct regular **ret_set);
pdk_status schema_either(
    struct schema *schema, const struct regular *a, const struct regular *b, const struct regular **ret_set);
pdk_status schema_not(struct schema *schema, const struct regular *a, const struct regular **ret_set);
pdk_status schema_regex(struct schema *schema, const char *pattern, const struct regular **ret_set);
/* The same for a pattern that is static: it is compiled once. */
pdk_status schema_fixed(struct schema *schema, const char *pattern, const struct regular **ret_set);

/* An error at `where`: field = the keyword's JSON pointer. */
pdk_status schema_fail(struct schema *schema, pdk_status status, const struct json *where, const char *keyword,
    const char *format, ...) PDK_PRINTF(5, 6);
/* The JSON pointer of a schema in the document. */
void schema_path(const struct schema *schema, const struct json *where, char *out, size_t room);

/* schema_references.c: finds identifiers and anchors; follows a reference. */
pdk_status schema_index(struct schema *schema);
pdk_status schema_follow(struct schema *schema, const struct json *from, const struct json *reference,
    const char *keyword, const struct json **ret_schema);

/* schema_keywords.c: what a schema says. */
pdk_status schema_expand(struct schema *schema, const struct json *json, term_id *ret_term);
/* Its facts about single types (schema_scalars.c, schema_containers.c), added to `terms`. */
struct term_list {
    term_id *terms;
    size_t room, count;
};
pdk_status term_list_add(struct schema *schema, struct term_list *list, term_id term);
pdk_status schema_scalars(struct schema *schema, const struct json *json, struct term_list *list);
pdk_status schema_arrays(struct schema *schema, const struct json *json, struct term_list *list);
pdk_status schema_objects(struct schema *schema, const struct json *json, struct term_list *list);
pdk_status schema_value(struct schema *schema, const struct json *value, term_id *ret_term);
pdk_status schema_values(struct schema *schema, const struct json *first, term_id *ret_term);
/* A member that is a count: TERM_UNBOUNDED at most. *ret_found: it is there. */
pdk_status schema_count(
    struct schema *schema, const struct json *json, const char *keyword, bool *ret_found, uint32_t *ret_count);
/* Exactly one of the schemas of `list` (schema_choice.c). */
pdk_status schema_one_of(struct schema *schema, const struct json *json, const struct json *list, term_id *ret_term);
/* The whole of a schema with unevaluatedProperties or unevaluatedItems (schema_unevaluated.c). */
pdk_status schema_unevaluated(struct schema *schema, const struct json *json, term_id *ret_term);
pdk_status schema_one_of_terms(
    struct schema *schema, const term_id *branches, size_t count, term_id *only, term_id *ret_term);
pdk_status schema_dependencies(struct schema *schema, const struct json *json, struct term_list *list);
pdk_status schema_pattern(struct schema *schema, const struct json *where, const char *keyword, const char *text,
    size_t length, uint32_t *ret_pair);
/* The strings that a schema allows. */
pdk_status schema_string_pair(struct schema *schema, const struct json *json, uint32_t *ret_pair);
/* A schema's terms but for these two keywords; `applicators`: those that apply other schemas to the same value, too. */
pdk_status schema_facts(struct schema *schema, const struct json *json, bool applicators, struct term_list *list);

/* schema_numbers.c: sets of number texts. */
pdk_status number_integers(struct schema *schema, uint32_t *ret_pair);
pdk_status number_bound(struct schema *schema, const struct json *where, const char *keyword, const struct json *bound,
    bool greater, bool equal, uint32_t *ret_pair);
pdk_status number_multiples(
    struct schema *schema, const struct json *where, const struct json *step, uint32_t *ret_pair);
pdk_status number_values(struct schema *schema, const struct json *const *values, size_t count, uint32_t *ret_pair);
/* Those texts of a set that are JSON numbers. */
pdk_status number_possible(struct schema *schema, const struct regular *set, const struct regular **ret_set);
/* Those texts of a set that are fit to be offered. */
pdk_status number_offered(struct schema *schema, const struct regular *set, const struct regular **ret_set);

/* schema_formats.c: NULL: unknown. */
const char *schema_format(const char *name);
