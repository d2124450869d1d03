/* The opposites of terms. A `not` is pushed inwards, past `and` and `or`, until it stands before a fact about one type;
 * its opposite is that the value has this type and that another fact holds. */
#include "config.h"

#include "runtimes/huggingface/guided/schema_normal.h"

#include <stdlib.h>
#include <string.h>

/* Less than `least` or more than `most`: two facts of the kind, joined. */
static pdk_status outside(
    struct schema *schema, enum term_kind kind, const uint32_t values[5], int least, int most, term_id *ret_term)
{
    term_id below = TERM_FALSE, above = TERM_FALSE;
    pdk_status status = PDK_OK;
    if (values[least] > 0) {
        uint32_t changed[5];
        memcpy(changed, values, sizeof changed);
        changed[least] = 0;
        changed[most] = values[least] - 1;
        status = term_fact(schema, kind, changed, &below);
    }
    if (status == PDK_OK && values[most] < TERM_UNBOUNDED) {
        uint32_t changed[5];
        memcpy(changed, values, sizeof changed);
        changed[least] = values[most] + 1;
        changed[most] = TERM_UNBOUNDED;
        status = term_fact(schema, kind, changed, &above);
    }
    return status != PDK_OK ? status : term_any(schema, (term_id[]){below, above}, 2, ret_term);
}

/* The opposite of a rule: there is a property that breaks it. */
static pdk_status broken_rule(struct schema *schema, const struct term *term, term_id *ret_term)
{
    struct key_set set = schema->key_sets[term->a];
    term_id opposite;
    pdk_status status = term_not(schema, term->b, &opposite);
    if (status != PDK_OK)
        return status;
    if (set.pair != 0 || set.inverse)
        return term_fact(schema, KIND_SOME, (uint32_t[5]){term->a, opposite}, ret_term);
    struct term_list ways = {0};
    for (uint32_t i = 0; i < set.count && status == PDK_OK; i++) {
        uint32_t name = schema->lists[set.list + i], single;
        term_id present, rule, both;
        status = schema_key_set(schema, &name, 1, 0, false, &single);
        if (status == PDK_OK)
            status = term_fact(schema, KIND_PRESENT, (uint32_t[5]){name}, &present);
        if (status == PDK_OK)
            status = term_fact(schema, KIND_RULE, (uint32_t[5]){single, opposite}, &rule);
        if (status == PDK_OK)
            status = term_both(schema, present, rule, &both);
        if (status == PDK_OK)
            status = term_list_add(schema, &ways, both);
    }
    if (status == PDK_OK)
        status = term_any(schema, ways.terms, ways.count, ret_term);
    free(ways.terms);
    return status;
}

static pdk_status opposite_set(struct schema *schema, uint32_t pair_number, uint32_t *ret_pair)
{
    const struct regular *sure, *perhaps;
    struct pair pair = schema->pairs[pair_number];
    pdk_status status = schema_not(schema, pair.perhaps, &sure);
    if (status == PDK_OK)
        status = schema_not(schema, pair.sure, &perhaps);
    return status != PDK_OK ? status : schema_pair(schema, sure, perhaps, ret_pair);
}

/* The opposite of a fact about one type: of that type, and the fact does not hold. */
static pdk_status opposite_fact(struct schema *schema, struct term term, term_id *ret_term)
{
    uint32_t values[5] = {term.a, term.b, term.c, term.d, term.e}, type = TYPE_OBJECT, name, single;
    term_id fact = TERM_FALSE, of_type;
    pdk_status status = PDK_OK;
    switch ((enum term_kind)term.kind) {
    case KIND_NUMBER:
    case KIND_STRING:
        type = term.kind == KIND_NUMBER ? TYPE_NUMBER : TYPE_STRING;
        status = opposite_set(schema, term.a, &values[0]);
        if (status == PDK_OK)
            status = term_fact(schema, (enum term_kind)term.kind, values, &fact);
        break;
    case KIND_RULE: status = broken_rule(schema, &term, &fact); break;
    case KIND_SOME:
        status = term_not(schema, term.b, &values[1]);
        if (status == PDK_OK)
            status = term_fact(schema, KIND_RULE, values, &fact);
        break;
    case KIND_PRESENT:
        name = term.a;
        status = schema_key_set(schema, &name, 1, 0, false, &single);
        if (status == PDK_OK)
            status = term_fact(schema, KIND_RULE, (uint32_t[5]){single, TERM_FALSE}, &fact);
        break;
    case KIND_COUNT: status = outside(schema, KIND_COUNT, values, 0, 1, &fact); break;
    case KIND_ITEMS:
        type = TYPE_ARRAY;
        status = term_not(schema, term.c, &values[2]);
        values[3] = 1;
        values[4] = TERM_UNBOUNDED;
        if (status == PDK_OK)
            status = term_fact(schema, KIND_HOLDS, values, &fact);
        break;
    case KIND_HOLDS:
        type = TYPE_ARRAY;
        status = outside(schema, KIND_HOLDS, values, 3, 4, &fact);
        break;
    case KIND_LENGTH:
        type = TYPE_ARRAY;
        status = outside(schema, KIND_LENGTH, values, 0, 1, &fact);
        break;
    default:
        type = TYPE_ARRAY;
        status = term_opaque(schema, term.schema, "uniqueItems", "its opposite (by not, if or oneOf)", &fact);
    }
    if (status == PDK_OK)
        status = term_types(schema, type, &of_type);
    return status != PDK_OK ? status : term_both(schema, of_type, fact, ret_term);
}

/* not (a and b) is not a or not b; and the other way round. */
static pdk_status opposite_list(struct schema *schema, struct term term, term_id *ret_term)
{
    struct term_list opposites = {0};
    pdk_status status = PDK_OK;
    for (uint32_t i = 0; i < term.count && status == PDK_OK; i++) {
        term_id opposite;
        status = term_not(schema, schema->lists[term.list + i], &opposite);
        if (status == PDK_OK)
            status = term_list_add(schema, &opposites, opposite);
    }
    if (status == PDK_OK)
        status = (term.kind == KIND_AND ? term_any : term_all)(schema, opposites.terms, opposites.count, ret_term);
    free(opposites.terms);
    return status;
}

pdk_status schema_opposite(struct schema *schema, term_id inner, bool loose, term_id *ret_term)
{
    struct term term = schema->terms[inner];
    term_id content, open;
    pdk_status status;
    switch ((enum term_kind)term.kind) {
    case KIND_SCHEMA:
        status = schema_content(schema, inner, &content);
        return status != PDK_OK ? status : term_not(schema, content, ret_term);
    case KIND_AND:
    case KIND_OR: return opposite_list(schema, term, ret_term);
    case KIND_TYPES: return term_types(schema, TYPE_ALL & ~term.a, ret_term);
    case KIND_OPAQUE: *ret_term = inner; return PDK_OK;
    case KIND_ENOUGH:
        /* Of arrays and objects more may be allowed than a says, so that less than its opposite is. */
        status = term_not(schema, term.a, &content);
        if (status != PDK_OK || loose) {
            *ret_term = content;
            return status;
        }
        status = term_add(schema, (struct term){.kind = KIND_OPAQUE, .a = term.b}, &open);
        return status != PDK_OK ? status : term_both(schema, content, open, ret_term);
    default: return opposite_fact(schema, term, ret_term);
    }
}
