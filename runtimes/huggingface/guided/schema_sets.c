/* Sets of strings that terms speak of: kept until the schema is done, combined under its budget. */
#include "config.h"

#include "runtimes/huggingface/guided/schema_terms.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "runtimes/huggingface/guided/regular_set.h"
#include "runtimes/huggingface/guided/schema_normal.h"

#include <stdlib.h>
#include <string.h>

enum { SET_BYTES_MAX = 24 << 20 };

pdk_status schema_keep(struct schema *schema, struct regular *set, const struct regular **ret_set)
{
    if (!array_grow(&schema->sets, &schema->set_room, (size_t)schema->set_count + 1)) {
        regular_free(set);
        return schema_no_memory(schema);
    }
    schema->sets[schema->set_count++] = set;
    schema->set_bytes += sizeof *set + set->count * sizeof *set->states + set->edge_count * sizeof *set->edges;
    if (schema->set_bytes > SET_BYTES_MAX)
        return pdk_error_set(schema->err, PDK_TOO_LARGE, "schema",
            "the strings and numbers of the JSON schema take more than %d MiB to tell apart; simplify it",
            SET_BYTES_MAX >> 20);
    if (schema->all != NULL && regular_is_all(set))
        *ret_set = schema->all;
    else if (schema->none != NULL && regular_is_empty(set))
        *ret_set = schema->none;
    else
        *ret_set = set;
    return PDK_OK;
}

pdk_status schema_pair(
    struct schema *schema, const struct regular *sure, const struct regular *perhaps, uint32_t *ret_pair)
{
    if (!array_grow(&schema->pairs, &schema->pair_room, (size_t)schema->pair_count + 2))
        return schema_no_memory(schema);
    if (schema->pair_count == 0)
        schema->pairs[schema->pair_count++] = (struct pair){NULL, NULL};
    for (uint32_t i = 1; i < schema->pair_count; i++) {
        if (schema->pairs[i].sure == sure && schema->pairs[i].perhaps == perhaps) {
            *ret_pair = i;
            return PDK_OK;
        }
    }
    schema->pairs[schema->pair_count] = (struct pair){sure, perhaps};
    *ret_pair = schema->pair_count++;
    return PDK_OK;
}

enum { OPERATION_BOTH = 1, OPERATION_EITHER, OPERATION_NOT };

static struct set_operation *find_operation(
    const struct schema *schema, int operation, const struct regular *a, const struct regular *b)
{
    uint64_t hash = ((uintptr_t)a * 0x9E3779B97F4A7C15u ^ (uintptr_t)b) * 0xBF58476D1CE4E5B9u + (unsigned)operation;
    size_t at = (hash ^ hash >> 31) & (schema->operation_slots - 1);
    for (;; at = (at + 1) & (schema->operation_slots - 1)) {
        struct set_operation *slot = &schema->operations[at];
        if (slot->operation == 0 || (slot->operation == operation && slot->a == a && slot->b == b))
            return slot;
    }
}

/* Notes a result; sets live as long as the schema, so pointers name them. */
static pdk_status note_operation(struct schema *schema, int operation, const struct regular *a, const struct regular *b,
    const struct regular *result)
{
    if ((schema->operation_count + 1) * 2 > schema->operation_slots) {
        struct set_operation *old = schema->operations;
        size_t slots = schema->operation_slots;
        struct set_operation *fresh = calloc(slots == 0 ? 256 : slots * 2, sizeof *fresh);
        if (fresh == NULL)
            return schema_no_memory(schema);
        schema->operations = fresh;
        schema->operation_slots = slots == 0 ? 256 : slots * 2;
        for (size_t i = 0; i < slots; i++) {
            if (old[i].operation != 0)
                *find_operation(schema, old[i].operation, old[i].a, old[i].b) = old[i];
        }
        free(old);
    }
    *find_operation(schema, operation, a, b) = (struct set_operation){a, b, result, operation};
    schema->operation_count++;
    return PDK_OK;
}

static pdk_status combine(struct schema *schema, int operation, const struct regular *a, const struct regular *b,
    const struct regular **ret_set)
{
    struct regular *set = NULL;
    const struct regular *kept;
    const struct set_operation *known = schema->operation_slots > 0 ? find_operation(schema, operation, a, b) : NULL;
    if (known != NULL && known->operation != 0) {
        *ret_set = known->result;
        return PDK_OK;
    }
    pdk_status status = operation == OPERATION_BOTH     ? regular_both(a, b, &schema->budget, &set, schema->err)
                        : operation == OPERATION_EITHER ? regular_either(a, b, &schema->budget, &set, schema->err)
                                                        : regular_not(a, &set, schema->err);
    if (status == PDK_OK)
        status = schema_keep(schema, set, &kept);
    if (status == PDK_OK)
        status = note_operation(schema, operation, a, b, kept);
    if (status == PDK_OK)
        *ret_set = kept;
    return status;
}

pdk_status schema_both(
    struct schema *schema, const struct regular *a, const struct regular *b, const struct regular **ret_set)
{
    bool first = a == b || a == schema->none || b == schema->all;
    if (first || b == schema->none || a == schema->all) {
        *ret_set = first ? a : b;
        return PDK_OK;
    }
    return combine(schema, OPERATION_BOTH, a, b, ret_set);
}

pdk_status schema_either(
    struct schema *schema, const struct regular *a, const struct regular *b, const struct regular **ret_set)
{
    bool first = a == b || a == schema->all || b == schema->none;
    if (first || b == schema->all || a == schema->none) {
        *ret_set = first ? a : b;
        return PDK_OK;
    }
    return combine(schema, OPERATION_EITHER, a, b, ret_set);
}

pdk_status schema_not(struct schema *schema, const struct regular *a, const struct regular **ret_set)
{
    return combine(schema, OPERATION_NOT, a, NULL, ret_set);
}

pdk_status schema_regex(struct schema *schema, const char *pattern, const struct regular **ret_set)
{
    struct regular *set = NULL;
    pdk_status status = regular_of_regex(pattern, strlen(pattern), REGEX_WHOLE, &schema->budget, &set, schema->err);
    return status != PDK_OK ? status : schema_keep(schema, set, ret_set);
}

pdk_status schema_fixed(struct schema *schema, const char *pattern, const struct regular **ret_set)
{
    for (uint32_t i = 0; i < schema->fixed_count; i++) {
        if (schema->fixed[i].pattern == pattern) {
            *ret_set = schema->fixed[i].set;
            return PDK_OK;
        }
    }
    if (!array_grow(&schema->fixed, &schema->fixed_room, (size_t)schema->fixed_count + 1))
        return schema_no_memory(schema);
    pdk_status status = schema_regex(schema, pattern, ret_set);
    if (status == PDK_OK)
        schema->fixed[schema->fixed_count++] = (struct fixed_set){pattern, *ret_set};
    return status;
}

static uint64_t bytes_hash(const char *bytes, size_t length)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 1099511628211u;
    return hash ^ hash >> 32;
}

static bool rehash_names(struct schema *schema)
{
    size_t slots = schema->name_slot_count == 0 ? 64 : schema->name_slot_count * 2;
    uint32_t *fresh = calloc(slots, sizeof *fresh);
    if (fresh == NULL)
        return false;
    for (uint32_t i = 0; i < schema->name_count; i++) {
        size_t at = bytes_hash(schema->names[i].bytes, schema->names[i].length) & (slots - 1);
        while (fresh[at] != 0)
            at = (at + 1) & (slots - 1);
        fresh[at] = i + 1;
    }
    free(schema->name_slots);
    schema->name_slots = fresh;
    schema->name_slot_count = slots;
    return true;
}

pdk_status schema_name(struct schema *schema, const char *bytes, size_t length, uint32_t *ret_name)
{
    if (((size_t)schema->name_count + 1) * 2 > schema->name_slot_count && !rehash_names(schema))
        return schema_no_memory(schema);
    size_t at = bytes_hash(bytes, length) & (schema->name_slot_count - 1);
    for (; schema->name_slots[at] != 0; at = (at + 1) & (schema->name_slot_count - 1)) {
        const struct regular_text *name = &schema->names[schema->name_slots[at] - 1];
        if (name->length == length && (length == 0 || memcmp(name->bytes, bytes, length) == 0)) {
            *ret_name = schema->name_slots[at] - 1;
            return PDK_OK;
        }
    }
    if (!array_grow(&schema->names, &schema->name_room, (size_t)schema->name_count + 1) ||
        !array_grow(&schema->single_sets, &schema->single_room, (size_t)schema->name_count + 1))
        return schema_no_memory(schema);
    schema->single_sets[schema->name_count] = 0;
    schema->names[schema->name_count] = (struct regular_text){bytes, length};
    schema->name_slots[at] = ++schema->name_count;
    *ret_name = schema->name_count - 1;
    return PDK_OK;
}

pdk_status schema_key_set(
    struct schema *schema, uint32_t *names, uint32_t count, uint32_t pair, bool inverse, uint32_t *ret_key_set)
{
    uint32_t kept = 0;
    if (count > 1)
        qsort(names, count, sizeof *names, compare_numbers);
    for (uint32_t i = 0; i < count; i++) {
        if (kept == 0 || names[kept - 1] != names[i])
            names[kept++] = names[i];
    }
    /* Sets of one name are by far the most, and each name has one. */
    bool single = kept == 1 && pair == 0 && !inverse;
    if (single && schema->single_sets[names[0]] != 0) {
        *ret_key_set = schema->single_sets[names[0]] - 1;
        return PDK_OK;
    }
    struct key_set set = {.count = kept, .pair = pair, .inverse = inverse};
    pdk_status status = schema_put_list(schema, names, kept, &set.list);
    if (status != PDK_OK)
        return status;
    if (!array_grow(&schema->key_sets, &schema->key_set_room, (size_t)schema->key_set_count + 1))
        return schema_no_memory(schema);
    schema->key_sets[schema->key_set_count] = set;
    *ret_key_set = schema->key_set_count++;
    if (single)
        schema->single_sets[names[0]] = schema->key_set_count;
    return PDK_OK;
}

bool key_set_single(const struct schema *schema, uint32_t key_set, uint32_t *ret_name)
{
    const struct key_set *set = &schema->key_sets[key_set];
    if (set->count != 1 || set->pair != 0 || set->inverse)
        return false;
    *ret_name = schema->lists[set->list];
    return true;
}

bool key_set_has(const struct schema *schema, uint32_t key_set, uint32_t name, bool perhaps)
{
    const struct key_set *set = &schema->key_sets[key_set];
    const uint32_t *names = schema->lists + set->list;
    bool has = set->count > 0 && bsearch(&name, names, set->count, sizeof *names, compare_numbers) != NULL;
    if (!has && set->pair != 0) {
        const struct pair *pair = &schema->pairs[set->pair];
        const struct regular_text *text = &schema->names[name];
        has = regular_has(perhaps != set->inverse ? pair->perhaps : pair->sure, text->bytes, text->length);
    }
    return has != set->inverse;
}

pdk_status schema_names_set(
    struct schema *schema, const uint32_t *names, uint32_t count, const struct regular **ret_set)
{
    if (count == 0) {
        *ret_set = schema->none;
        return PDK_OK;
    }
    PDK_AUTO_FREE struct regular_text *texts = calloc(count, sizeof *texts);
    if (texts == NULL)
        return schema_no_memory(schema);
    for (uint32_t i = 0; i < count; i++)
        texts[i] = schema->names[names[i]];
    struct regular *set = NULL;
    pdk_status status = regular_of_texts(texts, count, &schema->budget, &set, schema->err);
    return status != PDK_OK ? status : schema_keep(schema, set, ret_set);
}

pdk_status key_set_regular(struct schema *schema, uint32_t key_set, bool perhaps, const struct regular **ret_set)
{
    struct key_set set = schema->key_sets[key_set];
    const struct regular *result = NULL;
    pdk_status status = schema_names_set(schema, schema->lists + set.list, set.count, &result);
    if (status == PDK_OK && set.pair != 0) {
        const struct pair *pair = &schema->pairs[set.pair];
        status = schema_either(schema, result, perhaps != set.inverse ? pair->perhaps : pair->sure, &result);
    }
    if (status == PDK_OK && set.inverse)
        status = schema_not(schema, result, &result);
    if (status == PDK_OK)
        *ret_set = result;
    return status;
}
