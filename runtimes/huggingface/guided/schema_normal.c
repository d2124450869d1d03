/* Working a term out by type. Types do not meet, so each is a small world of its own: sets of strings for numbers and
 * strings, a list of alternatives for arrays and objects. `and` meets, `or` joins; `not` is schema_opposite.c. */
#include "config.h"

#include "runtimes/huggingface/guided/regular_set.h"
#include "runtimes/huggingface/guided/schema_normal.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/error.h"

#include <stdlib.h>
#include <string.h>

enum { NORMAL_DEPTH_MAX = 400, LOOK_FROM = 12 };

struct normal_store {
    struct normal **of; /* [2 * term + loose] */
    size_t of_room, of_count;
    bool *busy; /* being worked out; in step with `of` */
    size_t busy_room;
    unsigned depth;
};

static void alternatives_done(struct alternatives *alternatives)
{
    free(alternatives->items);
    *alternatives = (struct alternatives){0};
}

static struct normal *normal_free(struct normal *normal)
{
    if (normal != NULL) {
        alternatives_done(&normal->arrays);
        alternatives_done(&normal->objects);
        free(normal);
    }
    return NULL;
}

static void normal_freep(struct normal **normal)
{
    *normal = normal_free(*normal);
}

struct normal_store *normal_store_free(struct normal_store *store)
{
    if (store != NULL) {
        for (size_t i = 0; i < store->of_count; i++)
            normal_free(store->of[i]);
        free(store->of);
        free(store->busy);
        free(store);
    }
    return NULL;
}

static pdk_status too_many_alternatives(struct schema *schema)
{
    return schema_fail(schema, PDK_TOO_LARGE, schema->root, "",
        "its choices come to more than %d alternatives for one value; simplify anyOf, oneOf, if or dependencies",
        ALTERNATIVES_MAX);
}

static pdk_status add_alternative(struct schema *schema, struct alternatives *to, struct alternative item)
{
    if (to->count >= ALTERNATIVES_MAX || schema->alternative_count++ > ALTERNATIVES_IN_ALL)
        return too_many_alternatives(schema);
    if (!array_grow(&to->items, &to->room, (size_t)to->count + 1))
        return schema_no_memory(schema);
    to->items[to->count++] = item;
    return PDK_OK;
}

/* Whether an object cannot have these facts together, by a look at each. */
static bool objects_contradict(const struct schema *schema, const uint32_t *list, uint32_t count, bool loose)
{
    uint32_t present = 0, most = TERM_UNBOUNDED, least = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct term *term = &schema->terms[list[i]];
        if (term->kind == KIND_COUNT) {
            least = term->a > least ? term->a : least;
            most = term->b < most ? term->b : most;
        }
        if (term->kind == KIND_SOME && term->b == TERM_FALSE)
            return true;
        present += term->kind == KIND_PRESENT;
        if (term->kind != KIND_RULE || term->b != TERM_FALSE)
            continue;
        for (uint32_t k = 0; k < count; k++) {
            const struct term *there = &schema->terms[list[k]];
            if (there->kind == KIND_PRESENT && key_set_has(schema, term->a, there->a, !loose))
                return true;
        }
    }
    return least > most || present > most;
}

static bool arrays_contradict(const struct schema *schema, const uint32_t *list, uint32_t count)
{
    uint32_t least = 0, most = TERM_UNBOUNDED;
    for (uint32_t i = 0; i < count; i++) {
        const struct term *term = &schema->terms[list[i]];
        if (term->kind == KIND_LENGTH) {
            least = term->a > least ? term->a : least;
            most = term->b < most ? term->b : most;
        } else if (term->kind == KIND_ITEMS && term->c == TERM_FALSE) {
            most = term->a < most ? term->a : most;
        } else if (term->kind == KIND_HOLDS) {
            uint32_t need = term->d > 0 ? term->a + term->d : 0;
            if (term->c == TERM_FALSE && term->d > 0)
                return true;
            least = need > least ? need : least;
        }
    }
    return least > most;
}

static bool contradict(const struct schema *schema, struct alternative item, bool objects, bool loose)
{
    const uint32_t *list = schema->lists + item.list;
    return objects ? objects_contradict(schema, list, item.count, loose) : arrays_contradict(schema, list, item.count);
}

/* Whether every fact of a is one of b: then b says all that a says. */
static bool covers(const struct schema *schema, struct alternative a, struct alternative b)
{
    const uint32_t *few = schema->lists + a.list, *many = schema->lists + b.list;
    uint32_t k = 0;
    for (uint32_t i = 0; i < a.count; i++) {
        while (k < b.count && many[k] < few[i])
            k++;
        if (k == b.count || many[k] != few[i])
            return false;
    }
    return true;
}

/* Drops alternatives that another one covers. */
static void absorb(const struct schema *schema, struct alternatives *alternatives)
{
    enum { WORTH_MAX = 128 };
    bool drop[WORTH_MAX];
    if (alternatives->count > WORTH_MAX)
        return;
    for (uint32_t i = 0; i < alternatives->count; i++) {
        bool covered = false;
        for (uint32_t k = 0; k < alternatives->count && !covered; k++) {
            /* Of two that say the same the first stays. */
            if (k != i && covers(schema, alternatives->items[k], alternatives->items[i]))
                covered = k < i || !covers(schema, alternatives->items[i], alternatives->items[k]);
        }
        drop[i] = covered;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < alternatives->count; i++) {
        if (!drop[i])
            alternatives->items[kept++] = alternatives->items[i];
    }
    alternatives->count = kept;
}

static pdk_status merge_lists(
    struct schema *schema, struct alternative a, struct alternative b, struct alternative *ret_item)
{
    PDK_AUTO_FREE uint32_t *merged = calloc((size_t)a.count + b.count + 1, sizeof *merged);
    if (merged == NULL)
        return schema_no_memory(schema);
    const uint32_t *left = schema->lists + a.list, *right = schema->lists + b.list;
    uint32_t i = 0, k = 0, count = 0;
    while (i < a.count || k < b.count) {
        uint32_t next = k == b.count || (i < a.count && left[i] <= right[k]) ? left[i] : right[k];
        i += i < a.count && left[i] == next;
        k += k < b.count && right[k] == next;
        merged[count++] = next;
    }
    ret_item->count = count;
    return schema_put_list(schema, merged, count, &ret_item->list);
}

static pdk_status meet_alternatives(
    struct schema *schema, struct alternatives *a, const struct alternatives *b, bool objects, bool loose)
{
    struct alternatives met = {0};
    pdk_status status = PDK_OK;
    /* Where alternatives multiply, those that cannot be are worth a second look: chains of if and then are apart by the
     * values of one property. */
    bool look = (uint64_t)a->count * b->count > LOOK_FROM;
    if (b->count == 1 && b->items[0].count == 0)
        return PDK_OK;
    for (uint32_t i = 0; i < a->count && status == PDK_OK; i++) {
        for (uint32_t k = 0; k < b->count && status == PDK_OK; k++) {
            struct alternative item;
            uint32_t before = schema->list_count;
            status = merge_lists(schema, a->items[i], b->items[k], &item);
            bool empty = status == PDK_OK && contradict(schema, item, objects, loose);
            if (empty)
                schema->list_count = before;
            if (status == PDK_OK && look && !empty)
                status = schema_alternative_is_empty(schema, item, objects, 1, &empty);
            if (status == PDK_OK && !empty)
                status = add_alternative(schema, &met, item);
        }
        if (status == PDK_OK)
            status = schema_check_time(schema);
    }
    if (status != PDK_OK) {
        alternatives_done(&met);
        return status;
    }
    alternatives_done(a);
    *a = met;
    absorb(schema, a);
    return PDK_OK;
}

/* Texts in both sets. A large count of characters beside a pattern has a state for each pair of count and place in the
 * pattern; where those are too many, shorter strings are offered only, which is less than the schema allows. Of what is
 * perhaps allowed, one of the sets alone says enough. */
static pdk_status meet_sets(struct schema *schema, const struct regular **set, const struct regular *other, bool loose)
{
    enum { SHORT = 200 };
    pdk_error *err = schema->err;
    pdk_error why = {0};
    schema->err = &why;
    pdk_status status = schema_both(schema, *set, other, set);
    const struct regular *lengths = (*set)->lengths ? *set : other;
    if (status == PDK_TOO_LARGE && schema_check_time(schema) == PDK_OK) {
        struct regular *shorter = NULL;
        const struct regular *kept = NULL;
        if (loose) {
            schema->err = err;
            return PDK_OK;
        }
        if (lengths->lengths && lengths->most > SHORT && lengths->least < SHORT)
            status = regular_of_length(lengths->least, SHORT, &shorter, &why);
        if (shorter != NULL)
            status = schema_keep(schema, shorter, &kept);
        if (kept != NULL)
            status = schema_both(schema, kept, lengths == *set ? other : *set, set);
    }
    schema->err = err;
    return status != PDK_OK ? pdk_error_set(err, status, "schema", "%s", why.message) : PDK_OK;
}

static pdk_status meet(struct schema *schema, struct normal *a, const struct normal *b, bool loose)
{
    a->types &= b->types;
    pdk_status status = meet_sets(schema, &a->numbers, b->numbers, loose);
    if (status == PDK_OK)
        status = meet_sets(schema, &a->strings, b->strings, loose);
    if (status == PDK_OK)
        status = meet_alternatives(schema, &a->arrays, &b->arrays, false, loose);
    if (status == PDK_OK)
        status = meet_alternatives(schema, &a->objects, &b->objects, true, loose);
    return status;
}

static pdk_status join_alternatives(struct schema *schema, struct alternatives *a, const struct alternatives *b)
{
    for (uint32_t i = 0; i < b->count; i++) {
        pdk_status status = add_alternative(schema, a, b->items[i]);
        if (status != PDK_OK)
            return status;
    }
    absorb(schema, a);
    return PDK_OK;
}

static pdk_status join(struct schema *schema, struct normal *a, const struct normal *b)
{
    a->types |= b->types;
    pdk_status status = schema_either(schema, a->numbers, b->numbers, &a->numbers);
    if (status == PDK_OK)
        status = schema_either(schema, a->strings, b->strings, &a->strings);
    if (status == PDK_OK)
        status = join_alternatives(schema, &a->arrays, &b->arrays);
    if (status == PDK_OK)
        status = join_alternatives(schema, &a->objects, &b->objects);
    return status;
}

/* What has the types of `types`, and nothing else said of it. */
static pdk_status normal_of_types(struct schema *schema, uint32_t types, struct normal *normal)
{
    pdk_status status = PDK_OK;
    normal->types = types & (TYPE_NULL | TYPE_BOOLEAN);
    normal->numbers = types & TYPE_NUMBER ? schema->all : schema->none;
    normal->strings = types & TYPE_STRING ? schema->all : schema->none;
    if (types & TYPE_ARRAY)
        status = add_alternative(schema, &normal->arrays, (struct alternative){0, 0});
    if (status == PDK_OK && types & TYPE_OBJECT)
        status = add_alternative(schema, &normal->objects, (struct alternative){0, 0});
    return status;
}

static bool is_object_fact(uint32_t kind)
{
    return kind == KIND_RULE || kind == KIND_SOME || kind == KIND_PRESENT || kind == KIND_COUNT;
}

static bool is_array_fact(uint32_t kind)
{
    return kind == KIND_ITEMS || kind == KIND_HOLDS || kind == KIND_LENGTH || kind == KIND_UNIQUE;
}

/* All facts of a list that concern objects (or arrays) as one alternative. */
static pdk_status meet_facts(struct schema *schema, const uint32_t *terms, uint32_t count, bool objects, bool loose,
    struct alternatives *alternatives)
{
    PDK_AUTO_FREE uint32_t *facts = calloc((size_t)count + 1, sizeof *facts);
    if (facts == NULL)
        return schema_no_memory(schema);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t kind = schema->terms[terms[i]].kind;
        if (objects ? is_object_fact(kind) : is_array_fact(kind))
            facts[kept++] = terms[i];
        if (kind == KIND_OPAQUE && !loose)
            facts[kept++] = terms[i];
    }
    struct alternative item = {.count = kept};
    struct alternatives one = {.items = &item, .count = 1};
    if (kept == 0)
        return PDK_OK;
    pdk_status status = schema_put_list(schema, facts, kept, &item.list);
    return status != PDK_OK ? status : meet_alternatives(schema, alternatives, &one, objects, loose);
}

static pdk_status meet_scalar_fact(struct schema *schema, const struct term *term, bool loose, struct normal *normal)
{
    const struct pair *pair = &schema->pairs[term->a];
    const struct regular *set = loose ? pair->perhaps : pair->sure;
    if (term->kind == KIND_NUMBER)
        return meet_sets(schema, &normal->numbers, set, loose);
    return meet_sets(schema, &normal->strings, set, loose);
}

/* `terms`, in order, hold together. */
static pdk_status normal_of_all(
    struct schema *schema, const uint32_t *terms, uint32_t count, bool loose, struct normal *normal)
{
    pdk_status status = normal_of_types(schema, TYPE_ALL, normal);
    uint32_t types = TYPE_ALL;
    for (uint32_t i = 0; i < count; i++) {
        const struct term *term = &schema->terms[terms[i]];
        if (term->kind == KIND_TYPES)
            types &= term->a;
    }
    if (types != TYPE_ALL && status == PDK_OK) {
        alternatives_done(&normal->arrays);
        alternatives_done(&normal->objects);
        status = normal_of_types(schema, types, normal);
    }
    for (uint32_t i = 0; i < count && status == PDK_OK; i++) {
        struct term term = schema->terms[terms[i]];
        if (term.kind == KIND_NUMBER || term.kind == KIND_STRING)
            status = meet_scalar_fact(schema, &term, loose, normal);
    }
    if (status == PDK_OK)
        status = meet_facts(schema, terms, count, true, loose, &normal->objects);
    if (status == PDK_OK)
        status = meet_facts(schema, terms, count, false, loose, &normal->arrays);
    for (uint32_t i = 0; i < count && status == PDK_OK; i++) {
        uint32_t kind = schema->terms[terms[i]].kind;
        if (kind == KIND_TYPES || kind == KIND_NUMBER || kind == KIND_STRING || kind == KIND_OPAQUE ||
            is_object_fact(kind) || is_array_fact(kind))
            continue;
        const struct normal *other;
        status = schema_normalise(schema, terms[i], loose, &other);
        if (status == PDK_OK)
            status = meet(schema, normal, other, loose);
    }
    return status;
}

static pdk_status normal_of_any(
    struct schema *schema, const uint32_t *terms, uint32_t count, bool loose, struct normal *normal)
{
    pdk_status status = normal_of_types(schema, 0, normal);
    for (uint32_t i = 0; i < count && status == PDK_OK; i++) {
        const struct normal *other;
        status = schema_normalise(schema, terms[i], loose, &other);
        if (status == PDK_OK)
            status = join(schema, normal, other);
    }
    return status;
}

static pdk_status work_out(struct schema *schema, term_id id, bool loose, struct normal *normal)
{
    struct term term = schema->terms[id];
    const struct normal *other;
    term_id next = TERM_FALSE;
    pdk_status status = PDK_OK;
    switch ((enum term_kind)term.kind) {
    case KIND_FALSE: return normal_of_types(schema, 0, normal);
    case KIND_TRUE: return normal_of_types(schema, TYPE_ALL, normal);
    case KIND_SCHEMA: status = schema_content(schema, id, &next); break;
    case KIND_NOT: status = schema_opposite(schema, term.a, loose, &next); break;
    case KIND_ENOUGH:
        next = term.a;
        if (loose) {
            status = term_types(schema, TYPE_ARRAY | TYPE_OBJECT, &next);
            if (status == PDK_OK)
                status = term_any(schema, (term_id[]){term.a, next}, 2, &next);
        }
        break;
    case KIND_AND:
    case KIND_OR: {
        /* The list may move while its terms are worked out. */
        PDK_AUTO_FREE uint32_t *list = calloc((size_t)term.count + 1, sizeof *list);
        if (list == NULL)
            return schema_no_memory(schema);
        memcpy(list, schema->lists + term.list, term.count * sizeof *list);
        return (term.kind == KIND_AND ? normal_of_all : normal_of_any)(schema, list, term.count, loose, normal);
    }
    default: return normal_of_all(schema, &id, 1, loose, normal);
    }
    if (status == PDK_OK)
        status = schema_normalise(schema, next, loose, &other);
    if (status == PDK_OK)
        status = normal_of_types(schema, 0, normal);
    return status != PDK_OK ? status : join(schema, normal, other);
}

static bool store_grow(struct normal_store *store, size_t need)
{
    if (need <= store->of_count)
        return true;
    if (!array_grow(&store->of, &store->of_room, need) || !array_grow(&store->busy, &store->busy_room, need))
        return false;
    memset(store->of + store->of_count, 0, (need - store->of_count) * sizeof *store->of);
    memset(store->busy + store->of_count, 0, (need - store->of_count) * sizeof *store->busy);
    store->of_count = need;
    return true;
}

pdk_status schema_normalise(struct schema *schema, term_id term, bool loose, const struct normal **ret_normal)
{
    if (schema->normals == NULL)
        schema->normals = calloc(1, sizeof *schema->normals);
    struct normal_store *store = schema->normals;
    size_t slot = 2 * (size_t)term + loose;
    if (store == NULL || !store_grow(store, slot + 1))
        return schema_no_memory(schema);
    if (store->of[slot] != NULL) {
        *ret_normal = store->of[slot];
        return PDK_OK;
    }
    if (store->busy[slot])
        return schema_fail(schema, PDK_CONFLICT, schema->root, "$ref", "a schema refers to itself without end");
    if (store->depth >= NORMAL_DEPTH_MAX)
        return schema_fail(schema, PDK_TOO_LARGE, schema->root, "",
            "schemas refer to each other more than %d deep for one value", NORMAL_DEPTH_MAX);
    PDK_CLEANUP(normal_freep) struct normal *normal = calloc(1, sizeof *normal);
    if (normal == NULL)
        return schema_no_memory(schema);
    pdk_status status = schema_check_time(schema);
    if (status != PDK_OK)
        return status;
    store->busy[slot] = true;
    store->depth++;
    status = work_out(schema, term, loose, normal);
    store->depth--;
    store->busy[slot] = false;
    if (status != PDK_OK)
        return status;
    store->of[slot] = normal;
    *ret_normal = PDK_STEAL(normal);
    return PDK_OK;
}

pdk_status schema_string_pair(struct schema *schema, const struct json *json, uint32_t *ret_pair)
{
    const struct normal *sure, *perhaps;
    term_id term;
    pdk_status status = term_schema(schema, json, &term);
    if (status == PDK_OK)
        status = schema_normalise(schema, term, false, &sure);
    if (status == PDK_OK)
        status = schema_normalise(schema, term, true, &perhaps);
    return status != PDK_OK ? status : schema_pair(schema, sure->strings, perhaps->strings, ret_pair);
}
