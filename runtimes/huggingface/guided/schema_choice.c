/* oneOf: exactly one of several. Branches that no value can share need no more than "any of them"; from the others each
 * branch is taken without what it shares. */
#include "config.h"

#include "runtimes/huggingface/guided/schema_terms.h"

#include "core/base/cleanup.h"
#include "runtimes/huggingface/guided/schema_normal.h"

#include <stdlib.h>

enum { COMPARE_DEPTH = 4, BRANCHES_MAX = 1000 };

/* branches[i] and none of those that it may share a value with. */
static pdk_status only_branch(struct schema *schema, const term_id *branches, size_t count, size_t i, term_id *ret_term)
{
    term_id only = branches[i];
    for (size_t k = 0; k < count; k++) {
        term_id both, other;
        bool apart = false;
        if (k == i)
            continue;
        pdk_status status = term_both(schema, branches[i], branches[k], &both);
        if (status == PDK_OK && branches[i] != branches[k])
            status = schema_is_empty(schema, both, COMPARE_DEPTH, &apart);
        if (status == PDK_OK && !apart) {
            status = term_not(schema, branches[k], &other);
            if (status == PDK_OK)
                status = term_both(schema, only, other, &only);
        }
        if (status != PDK_OK)
            return status;
    }
    *ret_term = only;
    return PDK_OK;
}

pdk_status schema_one_of_terms(
    struct schema *schema, const term_id *branches, size_t count, term_id *only, term_id *ret_term)
{
    pdk_status status = PDK_OK;
    for (size_t i = 0; i < count && status == PDK_OK; i++)
        status = only_branch(schema, branches, count, i, &only[i]);
    return status != PDK_OK ? status : term_any(schema, only, count, ret_term);
}

pdk_status schema_one_of(struct schema *schema, const struct json *json, const struct json *list, term_id *ret_term)
{
    if (list->count > BRANCHES_MAX)
        return schema_fail(schema, PDK_TOO_LARGE, json, "oneOf", "it has more than %d branches", BRANCHES_MAX);
    PDK_AUTO_FREE term_id *branches = calloc(list->count, 2 * sizeof *branches);
    size_t count = 0;
    if (branches == NULL)
        return schema_no_memory(schema);
    for (const struct json *one = list->child; one != NULL; one = one->next) {
        pdk_status status = term_schema(schema, one, &branches[count++]);
        if (status != PDK_OK)
            return status;
    }
    return schema_one_of_terms(schema, branches, count, branches + count, ret_term);
}
