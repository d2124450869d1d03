/* Whether nothing satisfies a term: what keeps branches of oneOf apart and alternatives few. The proof looks at what a
 * term perhaps allows, so that "nothing" is sure; it goes a few levels deep and then gives up. */
#include "config.h"

#include "runtimes/huggingface/guided/schema_normal.h"

#include "core/base/error.h"

#include <stdlib.h>

/* Whether the facts about one element (or property) can hold together of no value. */
static pdk_status facts_are_empty(
    struct schema *schema, struct alternative item, bool objects, uint32_t which, unsigned depth, bool *ret_empty)
{
    struct term_list facts = {0};
    pdk_status status = PDK_OK;
    for (uint32_t i = 0; i < item.count && status == PDK_OK; i++) {
        const struct term *term = &schema->terms[schema->lists[item.list + i]];
        if (objects && term->kind == KIND_RULE && key_set_has(schema, term->a, which, false))
            status = term_list_add(schema, &facts, term->b);
        if (!objects && term->kind == KIND_ITEMS && term->a <= which && which <= term->b)
            status = term_list_add(schema, &facts, term->c);
    }
    term_id all = TERM_TRUE;
    if (status == PDK_OK)
        status = term_all(schema, facts.terms, facts.count, &all);
    free(facts.terms);
    return status != PDK_OK ? status : schema_is_empty(schema, all, depth, ret_empty);
}

pdk_status schema_alternative_is_empty(
    struct schema *schema, struct alternative item, bool objects, unsigned depth, bool *ret_empty)
{
    enum { ELEMENTS_MAX = 8, WORTH_MAX = 1000 };
    pdk_status status = PDK_OK;
    *ret_empty = false;
    if (item.count > WORTH_MAX)
        return PDK_OK;
    for (uint32_t i = 0; i < item.count && status == PDK_OK && !*ret_empty; i++) {
        struct term term = schema->terms[schema->lists[item.list + i]];
        if (term.kind == KIND_PRESENT)
            status = facts_are_empty(schema, item, objects, term.a, depth, ret_empty);
        else if (term.kind == KIND_SOME)
            status = schema_is_empty(schema, term.b, depth, ret_empty);
        else if (term.kind == KIND_HOLDS && term.d > 0)
            status = schema_is_empty(schema, term.c, depth, ret_empty);
        uint32_t elements = term.kind == KIND_LENGTH ? term.a : 0;
        for (uint32_t e = 0; e < elements && e < ELEMENTS_MAX && status == PDK_OK && !*ret_empty; e++)
            status = facts_are_empty(schema, item, objects, e, depth, ret_empty);
    }
    return status;
}

static pdk_status alternatives_are_empty(
    struct schema *schema, const struct alternatives *alternatives, bool objects, unsigned depth, bool *ret_empty)
{
    *ret_empty = true;
    for (uint32_t i = 0; i < alternatives->count && *ret_empty; i++) {
        if (depth == 0) {
            *ret_empty = false;
            return PDK_OK;
        }
        pdk_status status = schema_alternative_is_empty(schema, alternatives->items[i], objects, depth - 1, ret_empty);
        if (status != PDK_OK)
            return status;
    }
    return PDK_OK;
}

pdk_status schema_is_empty(struct schema *schema, term_id term, unsigned depth, bool *ret_empty)
{
    const struct normal *normal;
    const struct regular *numbers;
    *ret_empty = false;
    if (term == TERM_TRUE)
        return PDK_OK;
    pdk_error *err = schema->err;
    pdk_error why = {0};
    schema->err = &why;
    pdk_status status = schema_normalise(schema, term, true, &normal);
    schema->err = err;
    /* It is being read, or is too much to work out: then nothing is known of it. */
    if (status == PDK_CONFLICT || (status == PDK_TOO_LARGE && schema_check_time(schema) == PDK_OK))
        return PDK_OK;
    if (status != PDK_OK)
        return pdk_error_set(err, status, "schema", "%s", why.message);
    if (normal->types != 0 || normal->strings != schema->none)
        return PDK_OK;
    status = number_possible(schema, normal->numbers, &numbers);
    if (status != PDK_OK || numbers != schema->none)
        return status;
    status = alternatives_are_empty(schema, &normal->arrays, false, depth, ret_empty);
    if (status == PDK_OK && *ret_empty)
        status = alternatives_are_empty(schema, &normal->objects, true, depth, ret_empty);
    return status;
}
