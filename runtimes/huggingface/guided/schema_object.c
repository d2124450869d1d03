/* Objects: the properties that are named, in their order; then others, whose names are those of no named one.
 *
 * Names that no rule tells apart are a region. A grammar cannot keep count of names it has seen, so one that is not
 * named may come twice; the last one counts then, which is why every way to count or to demand such properties is built
 * so that a repeated name does no harm. */
#include "config.h"

#include "runtimes/huggingface/guided/schema_emit.h"

#include "core/base/array.h"
#include "core/base/buffer.h"
#include "core/base/cleanup.h"

#include <stdlib.h>
#include <string.h>

enum { REGIONS_MAX = 64, DEMANDS_MAX = 8, DISTINCT_MAX = 64 };
#define NO_FACT UINT32_MAX

struct member {
    uint32_t name;
    term_id value;
    bool required;
};

/* Names outside of the members that all rules treat alike. */
struct region {
    const struct regular *names;
    term_id value;
    uint32_t demands; /* bits: it meets these demands */
    grammar_node entry;
};

struct object {
    struct alternative facts;
    struct member *members;
    size_t member_room;
    uint32_t member_count;
    uint32_t *member_of; /* of each name: member + 1, or 0 */
    uint32_t least, most;
    struct region regions[REGIONS_MAX];
    uint32_t region_count;
    uint32_t demands[DEMANDS_MAX]; /* SOME facts that a region has to meet */
    uint32_t demand_count;
};

static pdk_status add_member(struct schema *schema, struct object *object, uint32_t name, bool required)
{
    if (object->member_of[name] == 0) {
        if (!array_grow(&object->members, &object->member_room, (size_t)object->member_count + 1))
            return schema_no_memory(schema);
        object->members[object->member_count++] = (struct member){.name = name, .value = TERM_TRUE};
        object->member_of[name] = object->member_count;
    }
    struct member *member = &object->members[object->member_of[name] - 1];
    member->required = member->required || required;
    return PDK_OK;
}

/* Facts are in the order in which the schema was read, properties first; so are the members. */
static pdk_status collect_members(struct schema *schema, struct object *object)
{
    pdk_status status = PDK_OK;
    for (uint32_t i = 0; i < object->facts.count && status == PDK_OK; i++) {
        const struct term *term = &schema->terms[schema->lists[object->facts.list + i]];
        uint32_t name;
        if (term->kind == KIND_RULE && key_set_single(schema, term->a, &name))
            status = add_member(schema, object, name, false);
        else if (term->kind == KIND_PRESENT)
            status = add_member(schema, object, term->a, true);
        if (term->kind == KIND_COUNT) {
            object->least = term->a > object->least ? term->a : object->least;
            object->most = term->b < object->most ? term->b : object->most;
        }
    }
    return status;
}

/* Each member's value: all rules whose names hold its name. */
static pdk_status value_members(struct schema *schema, struct object *object)
{
    for (uint32_t i = 0; i < object->facts.count; i++) {
        struct term term = schema->terms[schema->lists[object->facts.list + i]];
        uint32_t name;
        if (term.kind != KIND_RULE)
            continue;
        bool single = key_set_single(schema, term.a, &name);
        uint32_t first = single ? object->member_of[name] - 1 : 0;
        uint32_t last = single ? object->member_of[name] : object->member_count;
        for (uint32_t m = first; m < last; m++) {
            struct member *member = &object->members[m];
            if (!key_set_has(schema, term.a, member->name, true))
                continue;
            pdk_status status = term_both(schema, member->value, term.b, &member->value);
            if (status != PDK_OK)
                return status;
        }
    }
    return PDK_OK;
}

/* A rule for all names but members: its key set is the inverse of some of them. */
static bool holds_all_others(const struct schema *schema, const struct object *object, uint32_t key_set)
{
    const struct key_set *set = &schema->key_sets[key_set];
    if (!set->inverse || set->pair != 0)
        return false;
    for (uint32_t i = 0; i < set->count; i++) {
        if (object->member_of[schema->lists[set->list + i]] == 0)
            return false;
    }
    return true;
}

static pdk_status first_region(struct schema *schema, struct object *object)
{
    for (uint32_t i = 0; i < object->facts.count; i++) {
        const struct term *term = &schema->terms[schema->lists[object->facts.list + i]];
        if (term->kind == KIND_RULE && term->b == TERM_FALSE && holds_all_others(schema, object, term->a))
            return PDK_OK; /* closed: there are no others */
    }
    PDK_AUTO_FREE uint32_t *names = calloc((size_t)object->member_count + 1, sizeof *names);
    const struct regular *set;
    if (names == NULL)
        return schema_no_memory(schema);
    for (uint32_t m = 0; m < object->member_count; m++)
        names[m] = object->members[m].name;
    pdk_status status = schema_names_set(schema, names, object->member_count, &set);
    if (status == PDK_OK)
        status = schema_not(schema, set, &set);
    if (status == PDK_OK)
        object->regions[object->region_count++] = (struct region){.names = set, .value = TERM_TRUE};
    return status;
}

/* Splits each region by a key set; those inside take on `value` and `demand`. */
static pdk_status split_regions(
    struct schema *schema, struct object *object, uint32_t key_set, bool perhaps, term_id value, uint32_t demand)
{
    uint32_t count = object->region_count;
    const struct regular *inside = NULL, *outside = NULL;
    pdk_status status = PDK_OK;
    bool all = holds_all_others(schema, object, key_set);
    if (!all && count > 0) {
        status = key_set_regular(schema, key_set, perhaps, &inside);
        if (status == PDK_OK)
            status = schema_not(schema, inside, &outside);
    }
    for (uint32_t i = 0; i < count && status == PDK_OK; i++) {
        struct region in = object->regions[i], out = in;
        if (!all) {
            status = schema_both(schema, in.names, inside, &in.names);
            if (status == PDK_OK)
                status = schema_both(schema, out.names, outside, &out.names);
        }
        if (status == PDK_OK)
            status = term_both(schema, in.value, value, &in.value);
        in.demands |= demand;
        if (status != PDK_OK)
            break;
        bool has_out = !all && out.names != schema->none, has_in = in.names != schema->none;
        if (has_out && has_in && object->region_count == REGIONS_MAX)
            return schema_fail(schema, PDK_TOO_LARGE, schema->root, "patternProperties",
                "the patterns divide names into more than %d kinds", REGIONS_MAX);
        object->regions[i] = has_in ? in : out;
        if (has_in && has_out)
            object->regions[object->region_count++] = out;
    }
    return status;
}

static pdk_status make_regions(struct emitter *emitter, struct object *object)
{
    struct schema *schema = emitter->schema;
    pdk_status status = first_region(schema, object);
    for (uint32_t i = 0; i < object->facts.count && status == PDK_OK; i++) {
        struct term term = schema->terms[schema->lists[object->facts.list + i]];
        uint32_t name;
        if (term.kind == KIND_RULE && term.b != TERM_TRUE && !key_set_single(schema, term.a, &name))
            status = split_regions(schema, object, term.a, true, term.b, 0);
    }
    for (uint32_t d = 0; d < object->demand_count && status == PDK_OK; d++) {
        struct term term = schema->terms[object->demands[d]];
        status = split_regions(schema, object, term.a, false, term.b, 1u << d);
    }
    for (uint32_t i = 0; i < object->region_count && status == PDK_OK;) {
        struct region *region = &object->regions[i];
        if (region->value == TERM_FALSE || region->names == schema->none) {
            *region = object->regions[--object->region_count];
            continue;
        }
        grammar_node value;
        status = emit_term(emitter, region->value, &value);
        if (status == PDK_OK) {
            grammar_node entry[] = {emit_strings(emitter, region->names), emitter->colon, value};
            region->entry = grammar_sequence(emitter->grammar, entry, 3);
        }
        i++;
    }
    return status;
}

/* An entry out of the regions that meet all of `demands`. */
static grammar_node any_entry(struct emitter *emitter, const struct object *object, uint32_t demands)
{
    grammar_node entries[REGIONS_MAX];
    size_t count = 0;
    for (uint32_t i = 0; i < object->region_count; i++) {
        if ((object->regions[i].demands & demands) == demands)
            entries[count++] = object->regions[i].entry;
    }
    return grammar_either(emitter->grammar, entries, count);
}

/* An entry whose name is, by its length, in class `which` of `classes`: so entries of two classes differ. */
static pdk_status distinct_entry(
    struct emitter *emitter, const struct object *object, uint32_t which, uint32_t classes, grammar_node *ret_node)
{
    struct schema *schema = emitter->schema;
    struct buffer regex = {0};
    const struct regular *lengths;
    grammar_node entries[REGIONS_MAX];
    size_t count = 0;
    buffer_printf(&regex, "(?s:.{%u}(?:.{%u})*)", which, classes);
    pdk_status status = regex.failed ? schema_no_memory(schema) : schema_regex(schema, regex.data, &lengths);
    buffer_done(&regex);
    for (uint32_t i = 0; i < object->region_count && status == PDK_OK; i++) {
        const struct regular *names;
        grammar_node value;
        status = schema_both(schema, object->regions[i].names, lengths, &names);
        if (status != PDK_OK || names == schema->none)
            continue;
        status = emit_term(emitter, object->regions[i].value, &value);
        if (status == PDK_OK) {
            grammar_node entry[] = {emit_strings(emitter, names), emitter->colon, value};
            entries[count++] = grammar_sequence(emitter->grammar, entry, 3);
        }
    }
    if (status == PDK_OK)
        *ret_node = grammar_either(emitter->grammar, entries, count);
    return status;
}

/* Behind the members: what is demanded of others, as many more as must be, as many as may be. */
static pdk_status object_tail(struct emitter *emitter, void *context, uint32_t count, grammar_node *ret_node)
{
    const struct object *object = context;
    struct grammar *grammar = emitter->grammar;
    uint32_t need = object->least > count ? object->least - count : 0;
    uint32_t left = object->most >= TERM_UNBOUNDED ? TERM_UNBOUNDED : object->most - count;
    uint32_t leads = object->demand_count;
    grammar_node pieces[2 * (DEMANDS_MAX + DISTINCT_MAX) + 1];
    size_t piece_count = 0;
    *ret_node = grammar_nothing(grammar);
    if (count > object->most || (object->region_count == 0 && (leads > 0 || need > 0)))
        return PDK_OK;
    if (object->region_count == 0) {
        *ret_node = emit_close(emitter, count, "}");
        return PDK_OK;
    }
    /* One of the demanded ones counts; of several, two may be the same property. */
    if (leads > 0)
        need = need > 0 ? need - 1 : 0;
    if (leads > left || need > left - leads || (leads > 0 && need > 0))
        return PDK_OK;
    for (uint32_t d = 0; d < leads; d++) {
        pieces[piece_count++] = emit_before(emitter, count++);
        pieces[piece_count++] = any_entry(emitter, object, 1u << d);
    }
    if (left < TERM_UNBOUNDED)
        left -= leads;
    if (need > DISTINCT_MAX)
        return schema_fail(emitter->schema, PDK_UNSUPPORTED, emitter->schema->root, "minProperties",
            "more than %d properties that are not named cannot be enforced", DISTINCT_MAX);
    uint32_t classes = need > 1 ? need : 0;
    for (uint32_t i = 0; i < classes; i++) {
        pieces[piece_count++] = emit_before(emitter, count++);
        pdk_status status = distinct_entry(emitter, object, i, classes, &pieces[piece_count++]);
        if (status != PDK_OK)
            return status;
    }
    if (left < TERM_UNBOUNDED)
        left -= classes;
    pieces[piece_count++] = emit_more(emitter, any_entry(emitter, object, 0), classes > 0 ? 0 : need, left, count, "}");
    *ret_node = grammar_sequence(grammar, pieces, piece_count);
    return PDK_OK;
}

static pdk_status emit_members(struct emitter *emitter, struct object *object, grammar_node *ret_node)
{
    struct schema *schema = emitter->schema;
    PDK_AUTO_FREE struct sequence_part *parts = calloc((size_t)object->member_count + 1, sizeof *parts);
    PDK_CLEANUP(buffer_done) struct buffer key = {0};
    uint32_t count = 0, required = 0;
    if (parts == NULL)
        return schema_no_memory(schema);
    for (uint32_t m = 0; m < object->member_count; m++) {
        const struct member *member = &object->members[m];
        const struct regular_text *name = &schema->names[member->name];
        grammar_node value;
        if (member->value == TERM_FALSE && !member->required)
            continue;
        pdk_status status = emit_term(emitter, member->value, &value);
        if (status != PDK_OK)
            return status;
        buffer_clear(&key);
        json_escape(&key, name->bytes, name->length);
        if (key.failed)
            return schema_no_memory(schema);
        grammar_node entry[] = {grammar_literal(emitter->grammar, key.data, key.length), emitter->colon, value};
        parts[count++] = (struct sequence_part){grammar_sequence(emitter->grammar, entry, 3), member->required};
        required += member->required;
    }
    if (object->least <= required)
        object->least = 0;
    if (object->most >= count && object->region_count == 0)
        object->most = TERM_UNBOUNDED;
    /* Counting goes no further than it matters. */
    uint32_t cap = object->least > 1 ? object->least : 1;
    if (object->most < TERM_UNBOUNDED)
        cap = object->most + 1;
    if (cap > count + 1)
        cap = count + 1;
    grammar_node body, open = grammar_literal(emitter->grammar, "{", 1);
    pdk_status status = emit_sequence(emitter, parts, count, object->most, cap, object_tail, object, &body);
    if (status == PDK_OK)
        *ret_node = grammar_sequence(emitter->grammar, (grammar_node[]){open, body}, 2);
    return status;
}

static pdk_status emit_decided(struct emitter *emitter, struct object *object, grammar_node *ret_node)
{
    object->member_of = calloc((size_t)emitter->schema->name_count + 1, sizeof *object->member_of);
    if (object->member_of == NULL)
        return schema_no_memory(emitter->schema);
    pdk_status status = collect_members(emitter->schema, object);
    if (status == PDK_OK)
        status = value_members(emitter->schema, object);
    if (status == PDK_OK)
        status = make_regions(emitter, object);
    if (status == PDK_OK)
        status = emit_members(emitter, object, ret_node);
    free(object->members);
    free(object->member_of);
    return status;
}

/* A property that is demanded by a set of names may be a named one, which it then is for sure: the facts with that. */
static pdk_status demand_member(
    struct schema *schema, struct alternative facts, uint32_t demand, uint32_t name, struct alternative *ret_facts)
{
    PDK_AUTO_FREE uint32_t *list = calloc((size_t)facts.count + 2, sizeof *list);
    uint32_t count = 0, single, key = name;
    if (list == NULL)
        return schema_no_memory(schema);
    for (uint32_t i = 0; i < facts.count; i++) {
        uint32_t fact = schema->lists[facts.list + i];
        if (fact != demand)
            list[count++] = fact;
    }
    pdk_status status = schema_key_set(schema, &key, 1, 0, false, &single);
    if (status == PDK_OK)
        status = term_fact(schema, KIND_PRESENT, (uint32_t[5]){name}, &list[count++]);
    if (status == PDK_OK)
        status = term_add(
            schema, (struct term){.kind = KIND_RULE, .a = single, .b = schema->terms[demand].b}, &list[count++]);
    if (status != PDK_OK)
        return status;
    qsort(list, count, sizeof *list, compare_numbers);
    ret_facts->count = count;
    return schema_put_list(schema, list, count, &ret_facts->list);
}

/* Decides demand after demand: a named property meets it, or one that is not named. */
static pdk_status emit_demands(struct emitter *emitter, struct alternative facts, const uint32_t *decided,
    uint32_t decided_count, grammar_node *ret_node)
{
    struct schema *schema = emitter->schema;
    struct object object = {.facts = facts, .most = TERM_UNBOUNDED, .demand_count = decided_count};
    uint32_t open = NO_FACT;
    memcpy(object.demands, decided, decided_count * sizeof *decided);
    for (uint32_t i = 0; i < facts.count; i++) {
        uint32_t fact = schema->lists[facts.list + i];
        bool known = schema->terms[fact].kind != KIND_SOME;
        for (uint32_t d = 0; d < decided_count; d++)
            known = known || decided[d] == fact;
        if (!known)
            open = fact;
    }
    if (open == NO_FACT)
        return emit_decided(emitter, &object, ret_node);
    if (decided_count == DEMANDS_MAX)
        return schema_fail(schema, PDK_TOO_LARGE, schema->root, "",
            "more than %d properties are demanded of one object without a name", DEMANDS_MAX);
    struct term_list ways = {0};
    grammar_node node;
    object.demands[decided_count] = open;
    pdk_status status = emit_demands(emitter, facts, object.demands, decided_count + 1, &node);
    if (status == PDK_OK)
        status = term_list_add(schema, &ways, node);
    for (uint32_t i = 0; i < facts.count && status == PDK_OK; i++) {
        struct term term = schema->terms[schema->lists[facts.list + i]];
        uint32_t name;
        struct alternative changed;
        if (term.kind != KIND_RULE || !key_set_single(schema, term.a, &name) ||
            !key_set_has(schema, schema->terms[open].a, name, false))
            continue;
        status = demand_member(schema, facts, open, name, &changed);
        if (status == PDK_OK)
            status = emit_demands(emitter, changed, decided, decided_count, &node);
        if (status == PDK_OK)
            status = term_list_add(schema, &ways, node);
        if (status == PDK_OK)
            status = schema_check_time(schema);
    }
    if (status == PDK_OK)
        *ret_node = grammar_either(emitter->grammar, ways.terms, ways.count);
    free(ways.terms);
    return status;
}

pdk_status emit_object(struct emitter *emitter, struct alternative facts, grammar_node *ret_node)
{
    for (uint32_t i = 0; i < facts.count; i++) {
        const struct term *term = &emitter->schema->terms[emitter->schema->lists[facts.list + i]];
        if (term->kind == KIND_OPAQUE)
            return emit_refuse(emitter, term);
    }
    return emit_demands(emitter, facts, (uint32_t[DEMANDS_MAX]){0}, 0, ret_node);
}
