/* unevaluatedProperties and unevaluatedItems: what no other keyword of the schema has looked at. Which those are
 * depends on the branches that a value takes, so the schema is written as a choice of ways to satisfy it; for each way
 * it is known what surely was looked at, and all else falls to the keyword. */
#include "config.h"

#include "runtimes/huggingface/guided/schema_terms.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"

#include <stdlib.h>
#include <string.h>

enum { WAYS_MAX = 128, WAYS_DEPTH_MAX = 24 };

/* One way to satisfy a schema, and what it has looked at then. */
struct way {
    term_id term;
    uint32_t *names; /* of properties */
    size_t name_room;
    uint32_t name_count;
    uint32_t *pairs; /* patterns of properties */
    size_t pair_room;
    uint32_t pair_count;
    bool all_properties, all_items;
    uint32_t items;      /* of the first */
    term_id item_others; /* elements that satisfy it, anywhere */
};

struct ways {
    struct way *ways;
    size_t room, count;
};

static void way_done(struct way *way)
{
    free(way->names);
    free(way->pairs);
}

static void ways_done(struct ways *ways)
{
    for (size_t i = 0; i < ways->count; i++)
        way_done(&ways->ways[i]);
    free(ways->ways);
    *ways = (struct ways){0};
}

static pdk_status note(struct schema *schema, uint32_t **list, size_t *room, uint32_t *count, uint32_t value)
{
    if (!array_grow(list, room, (size_t)*count + 1))
        return schema_no_memory(schema);
    (*list)[(*count)++] = value;
    return PDK_OK;
}

/* `to` takes part in what `from` has looked at, and in its term. */
static pdk_status way_join(struct schema *schema, struct way *to, const struct way *from)
{
    pdk_status status = term_both(schema, to->term, from->term, &to->term);
    for (uint32_t i = 0; i < from->name_count && status == PDK_OK; i++)
        status = note(schema, &to->names, &to->name_room, &to->name_count, from->names[i]);
    for (uint32_t i = 0; i < from->pair_count && status == PDK_OK; i++)
        status = note(schema, &to->pairs, &to->pair_room, &to->pair_count, from->pairs[i]);
    to->all_properties = to->all_properties || from->all_properties;
    to->all_items = to->all_items || from->all_items;
    to->items = to->items > from->items ? to->items : from->items;
    if (status == PDK_OK)
        status = term_any(schema, (term_id[]){to->item_others, from->item_others}, 2, &to->item_others);
    return status;
}

static pdk_status ways_add(struct schema *schema, struct ways *ways, const struct way *from)
{
    if (ways->count >= WAYS_MAX)
        return schema_fail(schema, PDK_TOO_LARGE, schema->root, "",
            "there are more than %d ways through a schema with unevaluatedProperties or unevaluatedItems", WAYS_MAX);
    if (!array_grow(&ways->ways, &ways->room, ways->count + 1))
        return schema_no_memory(schema);
    ways->ways[ways->count++] = (struct way){.term = TERM_TRUE};
    return way_join(schema, &ways->ways[ways->count - 1], from);
}

/* Each way of `ways` with each of `other`. */
static pdk_status ways_multiply(struct schema *schema, struct ways *ways, const struct ways *other)
{
    struct ways product = {0};
    pdk_status status = PDK_OK;
    for (size_t i = 0; i < ways->count && status == PDK_OK; i++) {
        for (size_t k = 0; k < other->count && status == PDK_OK; k++) {
            status = ways_add(schema, &product, &ways->ways[i]);
            if (status == PDK_OK)
                status = way_join(schema, &product.ways[product.count - 1], &other->ways[k]);
        }
    }
    if (status != PDK_OK) {
        ways_done(&product);
        return status;
    }
    ways_done(ways);
    *ways = product;
    return PDK_OK;
}

static pdk_status ways_of(struct schema *schema, const struct json *json, unsigned depth, struct ways *ways);

/* The ways of `json`, each with `also` beside. */
static pdk_status ways_with(
    struct schema *schema, const struct json *json, term_id also, unsigned depth, struct ways *to)
{
    struct ways inner = {0};
    pdk_status status = ways_of(schema, json, depth + 1, &inner);
    for (size_t i = 0; i < inner.count && status == PDK_OK; i++) {
        status = term_both(schema, inner.ways[i].term, also, &inner.ways[i].term);
        if (status == PDK_OK)
            status = ways_add(schema, to, &inner.ways[i]);
    }
    ways_done(&inner);
    return status;
}

static pdk_status add_plain(struct schema *schema, term_id term, struct ways *to)
{
    struct way way = {.term = term};
    return ways_add(schema, to, &way);
}

static pdk_status multiply_list(
    struct schema *schema, const struct json *list, bool all, unsigned depth, struct ways *ways)
{
    struct ways any = {0};
    pdk_status status = PDK_OK;
    for (const struct json *one = list->child; one != NULL && status == PDK_OK; one = one->next) {
        struct ways inner = {0};
        status = ways_with(schema, one, TERM_TRUE, depth, all ? &inner : &any);
        if (status == PDK_OK && all)
            status = ways_multiply(schema, ways, &inner);
        ways_done(&inner);
    }
    if (status == PDK_OK && !all)
        status = ways_multiply(schema, ways, &any);
    ways_done(&any);
    return status;
}

static pdk_status multiply_one_of(struct schema *schema, const struct json *list, unsigned depth, struct ways *ways)
{
    PDK_AUTO_FREE term_id *branches = calloc((size_t)list->count + 1, 2 * sizeof *branches);
    struct ways any = {0};
    size_t count = 0;
    term_id unused;
    pdk_status status = PDK_OK;
    if (branches == NULL)
        return schema_no_memory(schema);
    for (const struct json *one = list->child; one != NULL && status == PDK_OK; one = one->next)
        status = term_schema(schema, one, &branches[count++]);
    if (status == PDK_OK)
        status = schema_one_of_terms(schema, branches, count, branches + count, &unused);
    size_t i = 0;
    for (const struct json *one = list->child; one != NULL && status == PDK_OK; one = one->next)
        status = ways_with(schema, one, branches[count + i++], depth, &any);
    if (status == PDK_OK)
        status = ways_multiply(schema, ways, &any);
    ways_done(&any);
    return status;
}

static pdk_status multiply_if(struct schema *schema, const struct json *json, unsigned depth, struct ways *ways)
{
    const struct json *condition = json_get(json, "if"), *then = json_get(json, "then"),
                      *otherwise = json_get(json, "else");
    struct ways yes = {0}, no = {0}, inner = {0};
    term_id term = TERM_TRUE;
    pdk_status status = ways_with(schema, condition, TERM_TRUE, depth, &yes);
    if (status == PDK_OK && then != NULL) {
        status = ways_with(schema, then, TERM_TRUE, depth, &inner);
        if (status == PDK_OK)
            status = ways_multiply(schema, &yes, &inner);
    }
    if (status == PDK_OK)
        status = term_schema(schema, condition, &term);
    if (status == PDK_OK)
        status = term_not(schema, term, &term);
    if (status == PDK_OK && otherwise != NULL)
        status = ways_with(schema, otherwise, term, depth, &no);
    else if (status == PDK_OK)
        status = add_plain(schema, term, &no);
    for (size_t i = 0; i < no.count && status == PDK_OK; i++)
        status = ways_add(schema, &yes, &no.ways[i]);
    if (status == PDK_OK)
        status = ways_multiply(schema, ways, &yes);
    ways_done(&yes);
    ways_done(&no);
    ways_done(&inner);
    return status;
}

static pdk_status multiply_dependent(struct schema *schema, const struct json *map, unsigned depth, struct ways *ways)
{
    pdk_status status = PDK_OK;
    for (const struct json *one = map->child; one != NULL && status == PDK_OK; one = one->next) {
        struct ways both = {0};
        uint32_t name, single;
        term_id absent = TERM_FALSE, present = TERM_FALSE;
        status = schema_name(schema, one->key, one->key_length, &name);
        if (status == PDK_OK)
            status = schema_key_set(schema, &name, 1, 0, false, &single);
        if (status == PDK_OK)
            status = term_fact(schema, KIND_RULE, (uint32_t[5]){single, TERM_FALSE}, &absent);
        if (status == PDK_OK)
            status = term_fact(schema, KIND_PRESENT, (uint32_t[5]){name}, &present);
        if (status == PDK_OK)
            status = add_plain(schema, absent, &both);
        if (status == PDK_OK)
            status = ways_with(schema, one, present, depth, &both);
        /* Elements are not counted as looked at by dependentSchemas, which validators forget. */
        for (size_t i = 0; i < both.count; i++) {
            both.ways[i].all_items = false;
            both.ways[i].items = 0;
            both.ways[i].item_others = TERM_FALSE;
        }
        if (status == PDK_OK)
            status = ways_multiply(schema, ways, &both);
        ways_done(&both);
    }
    return status;
}

/* What the schema's own keywords look at. */
static pdk_status own_way(struct schema *schema, const struct json *json, struct way *way)
{
    const struct json *properties = json_get(json, "properties"), *patterns = json_get(json, "patternProperties");
    const struct json *items = json_get(json, "items"), *prefix = json_get(json, "prefixItems");
    const struct json *contains = json_get(json, "contains");
    struct term_list facts = {0};
    pdk_status status = schema_facts(schema, json, false, &facts);
    if (status == PDK_OK)
        status = term_all(schema, facts.terms, facts.count, &way->term);
    free(facts.terms);
    for (const struct json *one = properties != NULL ? properties->child : NULL; one != NULL && status == PDK_OK;
         one = one->next) {
        uint32_t name;
        status = schema_name(schema, one->key, one->key_length, &name);
        if (status == PDK_OK)
            status = note(schema, &way->names, &way->name_room, &way->name_count, name);
    }
    for (const struct json *one = patterns != NULL ? patterns->child : NULL; one != NULL && status == PDK_OK;
         one = one->next) {
        uint32_t pair;
        status = schema_pattern(schema, json, "patternProperties", one->key, one->key_length, &pair);
        if (status == PDK_OK)
            status = note(schema, &way->pairs, &way->pair_room, &way->pair_count, pair);
    }
    way->all_properties = json_get(json, "additionalProperties") != NULL;
    way->all_items = items != NULL && items->type != JSON_ARRAY;
    way->items = prefix != NULL && prefix->type == JSON_ARRAY ? prefix->count : 0;
    way->item_others = TERM_FALSE;
    if (status == PDK_OK && contains != NULL)
        status = term_schema(schema, contains, &way->item_others);
    return status;
}

static pdk_status multiply_references(struct schema *schema, const struct json *json, unsigned depth, struct ways *ways)
{
    static const char *const keywords[] = {"$ref", "$dynamicRef", "$recursiveRef"};
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        const struct json *reference = json_get(json, keywords[i]), *target;
        struct ways inner = {0};
        if (reference == NULL)
            continue;
        pdk_status status = schema_follow(schema, json, reference, keywords[i], &target);
        if (status == PDK_OK)
            status = ways_with(schema, target, TERM_TRUE, depth, &inner);
        if (status == PDK_OK)
            status = ways_multiply(schema, ways, &inner);
        ways_done(&inner);
        if (status != PDK_OK)
            return status;
    }
    return PDK_OK;
}

/* The ways of a schema but for its own unevaluated… keywords. */
static pdk_status ways_within(struct schema *schema, const struct json *json, unsigned depth, struct ways *ways)
{
    const struct json *all = json_get(json, "allOf"), *any = json_get(json, "anyOf"), *one = json_get(json, "oneOf");
    const struct json *dependent = json_get(json, "dependentSchemas");
    struct way own = {.term = TERM_TRUE};
    pdk_status status = own_way(schema, json, &own);
    if (status == PDK_OK)
        status = ways_add(schema, ways, &own);
    way_done(&own);
    if (status == PDK_OK)
        status = multiply_references(schema, json, depth, ways);
    if (status == PDK_OK && all != NULL && all->type == JSON_ARRAY)
        status = multiply_list(schema, all, true, depth, ways);
    if (status == PDK_OK && any != NULL && any->type == JSON_ARRAY)
        status = multiply_list(schema, any, false, depth, ways);
    if (status == PDK_OK && one != NULL && one->type == JSON_ARRAY)
        status = multiply_one_of(schema, one, depth, ways);
    if (status == PDK_OK && json_get(json, "if") != NULL)
        status = multiply_if(schema, json, depth, ways);
    if (status == PDK_OK && dependent != NULL && dependent->type == JSON_OBJECT)
        status = multiply_dependent(schema, dependent, depth, ways);
    if (status != PDK_OK || (json_get(json, "dependentRequired") == NULL && json_get(json, "dependencies") == NULL))
        return status;
    struct term_list list = {0};
    term_id term = TERM_TRUE;
    status = schema_dependencies(schema, json, &list);
    if (status == PDK_OK)
        status = term_all(schema, list.terms, list.count, &term);
    free(list.terms);
    for (size_t i = 0; i < ways->count && status == PDK_OK; i++)
        status = term_both(schema, ways->ways[i].term, term, &ways->ways[i].term);
    return status;
}

static pdk_status ways_of(struct schema *schema, const struct json *json, unsigned depth, struct ways *ways)
{
    bool properties = json->type == JSON_OBJECT && json_get(json, "unevaluatedProperties") != NULL;
    bool items = json->type == JSON_OBJECT && json_get(json, "unevaluatedItems") != NULL;
    struct way whole = {.all_properties = properties, .all_items = items, .item_others = TERM_FALSE};
    if (depth > WAYS_DEPTH_MAX)
        return schema_fail(schema, PDK_CONFLICT, json, "$ref",
            "schemas that unevaluatedProperties or unevaluatedItems look into nest more than %d deep", WAYS_DEPTH_MAX);
    pdk_status status = schema_check_time(schema);
    if (status != PDK_OK)
        return status;
    if (json->type == JSON_OBJECT && !properties && !items)
        return ways_within(schema, json, depth, ways);
    status = term_schema(schema, json, &whole.term);
    return status != PDK_OK ? status : ways_add(schema, ways, &whole);
}

static pdk_status restrict_properties(
    struct schema *schema, const struct json *json, const struct way *way, term_id *term)
{
    const struct json *keyword = json_get(json, "unevaluatedProperties");
    uint32_t pair = 0, set;
    term_id value, rule;
    if (keyword == NULL || way->all_properties)
        return PDK_OK;
    pdk_status status = term_schema(schema, keyword, &value);
    for (uint32_t i = 0; i < way->pair_count && status == PDK_OK; i++) {
        struct pair a = schema->pairs[pair], b = schema->pairs[way->pairs[i]];
        if (pair == 0) {
            pair = way->pairs[i];
            continue;
        }
        status = schema_either(schema, a.sure, b.sure, &a.sure);
        if (status == PDK_OK)
            status = schema_either(schema, a.perhaps, b.perhaps, &a.perhaps);
        if (status == PDK_OK)
            status = schema_pair(schema, a.sure, a.perhaps, &pair);
    }
    if (status == PDK_OK)
        status = schema_key_set(schema, way->names, way->name_count, pair, true, &set);
    if (status == PDK_OK)
        status = term_fact(schema, KIND_RULE, (uint32_t[5]){set, value}, &rule);
    return status != PDK_OK ? status : term_both(schema, *term, rule, term);
}

static pdk_status restrict_items(struct schema *schema, const struct json *json, const struct way *way, term_id *term)
{
    const struct json *keyword = json_get(json, "unevaluatedItems");
    term_id value, rule;
    if (keyword == NULL || way->all_items)
        return PDK_OK;
    pdk_status status = term_schema(schema, keyword, &value);
    if (status == PDK_OK)
        status = term_any(schema, (term_id[]){value, way->item_others}, 2, &value);
    if (status == PDK_OK)
        status = term_fact(schema, KIND_ITEMS, (uint32_t[5]){way->items, TERM_UNBOUNDED, value}, &rule);
    return status != PDK_OK ? status : term_both(schema, *term, rule, term);
}

pdk_status schema_unevaluated(struct schema *schema, const struct json *json, term_id *ret_term)
{
    struct ways ways = {0};
    struct term_list terms = {0};
    term_id any = TERM_FALSE, reason;
    pdk_status status = ways_within(schema, json, 0, &ways);
    for (size_t i = 0; i < ways.count && status == PDK_OK; i++) {
        term_id term = ways.ways[i].term;
        status = restrict_properties(schema, json, &ways.ways[i], &term);
        if (status == PDK_OK)
            status = restrict_items(schema, json, &ways.ways[i], &term);
        if (status == PDK_OK)
            status = term_list_add(schema, &terms, term);
    }
    if (status == PDK_OK)
        status = term_any(schema, terms.terms, terms.count, &any);
    *ret_term = any;
    /* A value may take more branches than the one that a way follows, and so be valid though it is not here. */
    bool exact = ways.count == 1;
    if (status == PDK_OK && !exact)
        status = term_opaque(schema, json, "not", "the opposite of unevaluatedProperties or unevaluatedItems", &reason);
    if (status == PDK_OK && !exact)
        status = term_add(schema, (struct term){.kind = KIND_ENOUGH, .a = any, .b = schema->terms[reason].a}, ret_term);
    free(terms.terms);
    ways_done(&ways);
    return status;
}
