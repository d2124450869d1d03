/* Arrays: some first elements with facts of their own, then any number that are alike; and, where so many of the
 * elements have to satisfy something, a count of those that do. */
#include "config.h"

#include "runtimes/huggingface/guided/schema_emit.h"

#include "core/base/cleanup.h"

#include <stdlib.h>
#include <string.h>

enum { ELEMENTS_MAX = 20000, HOLDS_MAX = 6, COUNT_STATES_MAX = 20000 };

/* At least `least`, at most `most` of elements first to last satisfy `term`. */
struct holds {
    uint32_t first, last, least, most;
    uint32_t width; /* counts that are told apart: 0 to width - 1, the last being "or more" where there is no most */
    term_id term;
};

struct array {
    struct alternative facts;
    uint32_t least, most;
    uint32_t differ; /* elements from here on are alike */
    struct holds holds[HOLDS_MAX];
    uint32_t holds_count;
    const struct term *unique;
};

pdk_status element_term(struct schema *schema, struct alternative facts, uint32_t index, term_id *ret_term)
{
    term_id all = TERM_TRUE;
    for (uint32_t i = 0; i < facts.count; i++) {
        struct term term = schema->terms[schema->lists[facts.list + i]];
        if (term.kind != KIND_ITEMS || index < term.a || index > term.b)
            continue;
        pdk_status status = term_both(schema, all, term.c, &all);
        if (status != PDK_OK)
            return status;
    }
    *ret_term = all;
    return PDK_OK;
}

uint32_t elements_differ_until(const struct schema *schema, struct alternative facts)
{
    uint32_t until = 0;
    for (uint32_t i = 0; i < facts.count; i++) {
        const struct term *term = &schema->terms[schema->lists[facts.list + i]];
        if (term->kind != KIND_ITEMS && term->kind != KIND_HOLDS)
            continue;
        until = term->a > until ? term->a : until;
        if (term->b < TERM_UNBOUNDED && term->b + 1 > until)
            until = term->b + 1;
    }
    return until;
}

/* The elements before `differ`, from the last one back to the first, then the loop. */
static pdk_status emit_elements(struct emitter *emitter, const struct array *array, grammar_node *ret_node)
{
    struct grammar *grammar = emitter->grammar;
    struct schema *schema = emitter->schema;
    uint32_t differ = array->differ < array->most ? array->differ : array->most;
    term_id term;
    grammar_node node, after;
    if (differ > ELEMENTS_MAX)
        return schema_fail(schema, PDK_TOO_LARGE, schema->root, "prefixItems",
            "more than %d elements of their own cannot be enforced", ELEMENTS_MAX);
    pdk_status status = element_term(schema, array->facts, differ, &term);
    if (status == PDK_OK)
        status = emit_term(emitter, term, &node);
    if (status != PDK_OK)
        return status;
    uint32_t most = array->most >= TERM_UNBOUNDED ? TERM_UNBOUNDED : array->most - differ;
    after = emit_more(
        emitter, node, array->least > differ ? array->least - differ : 0, term == TERM_FALSE ? 0 : most, differ, "]");
    for (uint32_t i = differ; i-- > 0;) {
        status = element_term(schema, array->facts, i, &term);
        if (status == PDK_OK)
            status = emit_term(emitter, term, &node);
        if (status != PDK_OK)
            return status;
        grammar_node here[] = {emit_before(emitter, i), node, after};
        grammar_node ways[] = {grammar_sequence(grammar, here, 3), emit_close(emitter, i, "]")};
        after = i < array->least ? ways[0] : grammar_either(grammar, ways, 2);
    }
    *ret_node = after;
    return PDK_OK;
}

/* Where counting stands: how many elements, and how many of them hold what. */
struct counting {
    const struct array *array;
    grammar_node *rules; /* of each state */
    uint32_t positions;  /* 0 … positions - 1; the last one is "or more" where there is no most */
    uint32_t states;     /* of counts, at one position */
};

static bool may_end(const struct array *array, uint32_t position, const uint32_t *counts)
{
    if (position < array->least)
        return false;
    for (uint32_t h = 0; h < array->holds_count; h++) {
        if (counts[h] < array->holds[h].least)
            return false;
    }
    return true;
}

static void read_counts(const struct array *array, uint32_t state, uint32_t *counts)
{
    for (uint32_t h = 0; h < array->holds_count; h++) {
        counts[h] = state % array->holds[h].width;
        state /= array->holds[h].width;
    }
}

static uint32_t write_counts(const struct array *array, const uint32_t *counts)
{
    uint32_t state = 0;
    for (uint32_t h = array->holds_count; h-- > 0;)
        state = state * array->holds[h].width + counts[h];
    return state;
}

/* One element which, by the bits of `choice`, is counted for each of the holds or not. *ret_fits: that is possible. */
static pdk_status choose_element(struct emitter *emitter, const struct array *array, uint32_t position, uint32_t choice,
    uint32_t *counts, term_id *term, bool *ret_fits)
{
    struct schema *schema = emitter->schema;
    *ret_fits = false;
    for (uint32_t h = 0; h < array->holds_count; h++) {
        const struct holds *holds = &array->holds[h];
        bool counted = choice >> h & 1, here = position >= holds->first && position <= holds->last;
        bool bounded = holds->most < TERM_UNBOUNDED;
        term_id fact = TERM_TRUE;
        pdk_status status = PDK_OK;
        if (counted) {
            if (!here || counts[h] + 1 >= holds->width)
                return PDK_OK;
            counts[h]++;
            fact = holds->term;
        } else if (here && bounded) {
            status = term_not(schema, holds->term, &fact);
        }
        if (status == PDK_OK)
            status = term_both(schema, *term, fact, term);
        if (status != PDK_OK)
            return status;
    }
    *ret_fits = *term != TERM_FALSE;
    return PDK_OK;
}

static pdk_status define_counts(
    struct emitter *emitter, const struct counting *counting, uint32_t position, uint32_t state)
{
    const struct array *array = counting->array;
    struct grammar *grammar = emitter->grammar;
    grammar_node ways[(1 << HOLDS_MAX) + 1];
    size_t way_count = 0;
    uint32_t before[HOLDS_MAX] = {0};
    term_id element;
    read_counts(array, state, before);
    if (may_end(array, position, before))
        ways[way_count++] = emit_close(emitter, position, "]");
    pdk_status status = element_term(emitter->schema, array->facts, position, &element);
    uint32_t next = position + 1 < counting->positions ? position + 1 : position;
    for (uint32_t choice = 0; choice < 1u << array->holds_count && position < array->most && status == PDK_OK;
         choice++) {
        uint32_t counts[HOLDS_MAX];
        term_id term = element;
        bool fits;
        grammar_node node;
        memcpy(counts, before, sizeof counts);
        status = choose_element(emitter, array, position, choice, counts, &term, &fits);
        if (status != PDK_OK || !fits)
            continue;
        status = emit_term(emitter, term, &node);
        grammar_node here[] = {emit_before(emitter, position), node,
            counting->rules[next * counting->states + write_counts(array, counts)]};
        ways[way_count++] = grammar_sequence(grammar, here, 3);
    }
    if (status == PDK_OK)
        grammar_define(
            grammar, counting->rules[position * counting->states + state], grammar_either(grammar, ways, way_count));
    return status;
}

static pdk_status emit_counted(struct emitter *emitter, struct array *array, grammar_node *ret_node)
{
    struct counting counting = {.array = array, .states = 1};
    uint64_t states = 1;
    for (uint32_t h = 0; h < array->holds_count; h++) {
        struct holds *holds = &array->holds[h];
        uint32_t top = holds->most < TERM_UNBOUNDED ? holds->most : holds->least;
        if (array->most < TERM_UNBOUNDED && top > array->most)
            top = holds->least > array->most ? holds->least : array->most;
        holds->width = (top < COUNT_STATES_MAX ? top : COUNT_STATES_MAX) + 1;
        states *= holds->width;
        if (states > COUNT_STATES_MAX)
            break;
    }
    counting.positions = array->differ > array->least ? array->differ : array->least;
    if (array->most < TERM_UNBOUNDED)
        counting.positions = array->most;
    counting.positions = counting.positions == 0                 ? 2
                         : counting.positions < COUNT_STATES_MAX ? counting.positions + 1
                                                                 : COUNT_STATES_MAX;
    states *= counting.positions;
    if (states > COUNT_STATES_MAX)
        return schema_fail(emitter->schema, PDK_TOO_LARGE, emitter->schema->root, "contains",
            "counting elements up to these bounds takes more than %d states", COUNT_STATES_MAX);
    counting.states = (uint32_t)(states / counting.positions);
    PDK_AUTO_FREE grammar_node *rules = calloc((size_t)states, sizeof *rules);
    if (rules == NULL)
        return schema_no_memory(emitter->schema);
    counting.rules = rules;
    for (uint64_t i = 0; i < states; i++)
        rules[i] = grammar_rule(emitter->grammar);
    for (uint32_t position = 0; position < counting.positions; position++) {
        for (uint32_t state = 0; state < counting.states; state++) {
            pdk_status status = define_counts(emitter, &counting, position, state);
            if (status != PDK_OK)
                return status;
        }
    }
    *ret_node = rules[0];
    return PDK_OK;
}

static pdk_status add_holds(struct emitter *emitter, struct array *array, const struct term *term)
{
    if (array->holds_count == HOLDS_MAX)
        return schema_fail(emitter->schema, PDK_UNSUPPORTED, emitter->schema->root, "contains",
            "more than %d demands on one array's elements cannot be enforced", HOLDS_MAX);
    array->holds[array->holds_count++] =
        (struct holds){.first = term->a, .last = term->b, .least = term->d, .most = term->e, .term = term->c};
    return PDK_OK;
}

static pdk_status read_array(struct emitter *emitter, struct array *array)
{
    struct schema *schema = emitter->schema;
    for (uint32_t i = 0; i < array->facts.count; i++) {
        const struct term *term = &schema->terms[schema->lists[array->facts.list + i]];
        pdk_status status = PDK_OK;
        if (term->kind == KIND_OPAQUE)
            return emit_refuse(emitter, term);
        if (term->kind == KIND_LENGTH) {
            array->least = term->a > array->least ? term->a : array->least;
            array->most = term->b < array->most ? term->b : array->most;
        } else if (term->kind == KIND_ITEMS && term->c == TERM_FALSE) {
            array->most = term->a < array->most ? term->a : array->most;
        } else if (term->kind == KIND_HOLDS) {
            status = add_holds(emitter, array, term);
        } else if (term->kind == KIND_UNIQUE) {
            array->unique = term;
        }
        if (status != PDK_OK)
            return status;
    }
    array->differ = elements_differ_until(schema, array->facts);
    return PDK_OK;
}

pdk_status emit_array(struct emitter *emitter, struct alternative facts, grammar_node *ret_node)
{
    struct array array = {.facts = facts, .most = TERM_UNBOUNDED};
    grammar_node body, open = grammar_literal(emitter->grammar, "[", 1);
    pdk_status status = read_array(emitter, &array);
    if (status != PDK_OK)
        return status;
    if (array.least > array.most) {
        *ret_node = grammar_nothing(emitter->grammar);
        return PDK_OK;
    }
    if (array.unique != NULL && array.most > 1) {
        if (array.holds_count > 0)
            return schema_fail(emitter->schema, PDK_UNSUPPORTED, array.unique->schema, "uniqueItems",
                "together with contains it cannot be enforced");
        status = emit_unique(emitter, facts, array.unique, array.least, array.most, &body);
    } else if (array.holds_count > 0) {
        status = emit_counted(emitter, &array, &body);
    } else {
        status = emit_elements(emitter, &array, &body);
    }
    if (status == PDK_OK)
        *ret_node = grammar_sequence(emitter->grammar, (grammar_node[]){open, body}, 2);
    return status;
}
