/* Terms and what they are made of, each kept once. */
#include "config.h"

#include "runtimes/huggingface/guided/schema_terms.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "runtimes/huggingface/guided/schema_normal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_TEXT_MAX = 200 };

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 29;
}

void schema_done(struct schema *schema)
{
    for (uint32_t i = 0; i < schema->set_count; i++)
        regular_free(schema->sets[i]);
    for (uint32_t i = 0; i < schema->resource_count; i++)
        free(schema->resources[i].base);
    normal_store_free(schema->normals);
    free(schema->terms);
    free(schema->term_slots);
    free(schema->expanded);
    free(schema->lists);
    free(schema->sets);
    free(schema->pairs);
    free(schema->key_sets);
    free(schema->operations);
    free(schema->fixed);
    free(schema->patterns);
    free(schema->names);
    free(schema->name_slots);
    free(schema->single_sets);
    free(schema->reasons);
    free(schema->places);
    free(schema->place_slots);
    free(schema->resources);
    free(schema->anchors);
    *schema = (struct schema){0};
}

pdk_status schema_no_memory(struct schema *schema)
{
    return pdk_error_set(schema->err, PDK_NO_MEMORY, "schema", "no memory for the JSON schema");
}

pdk_status schema_check_time(struct schema *schema)
{
    if (thread_ms() <= schema->budget.deadline_ms)
        return PDK_OK;
    return pdk_error_set(
        schema->err, PDK_TOO_LARGE, "schema", "the JSON schema takes too long to compile; simplify it");
}

static pdk_status too_many(struct schema *schema, const char *what, int most)
{
    return pdk_error_set(schema->err, PDK_TOO_LARGE, "schema",
        "the JSON schema comes to more than %d %s once its alternatives are worked out; simplify it", most, what);
}

static uint64_t term_hash(const struct schema *schema, const struct term *term)
{
    uint64_t hash = mix(term->kind, (uintptr_t)term->schema);
    hash = mix(mix(mix(hash, term->a), term->b), (uint64_t)term->c << 32 | term->d);
    hash = mix(hash, term->e);
    for (uint32_t i = 0; i < term->count; i++)
        hash = mix(hash, schema->lists[term->list + i]);
    return hash;
}

static bool same_term(const struct schema *schema, const struct term *a, const struct term *b)
{
    return a->kind == b->kind && a->schema == b->schema && a->a == b->a && a->b == b->b && a->c == b->c &&
           a->d == b->d && a->e == b->e && a->count == b->count &&
           (a->count == 0 ||
               memcmp(schema->lists + a->list, schema->lists + b->list, a->count * sizeof *schema->lists) == 0);
}

static bool rehash_terms(struct schema *schema)
{
    size_t slots = schema->term_slot_count == 0 ? 256 : schema->term_slot_count * 2;
    uint32_t *fresh = calloc(slots, sizeof *fresh);
    if (fresh == NULL)
        return false;
    for (uint32_t i = 0; i < schema->term_count; i++) {
        size_t at = term_hash(schema, &schema->terms[i]) & (slots - 1);
        while (fresh[at] != 0)
            at = (at + 1) & (slots - 1);
        fresh[at] = i + 1;
    }
    free(schema->term_slots);
    schema->term_slots = fresh;
    schema->term_slot_count = slots;
    return true;
}

/* A list that the term has must be the last one put in lists; it is taken back where the term is known. */
pdk_status term_add(struct schema *schema, struct term term, term_id *ret_term)
{
    if (((size_t)schema->term_count + 1) * 2 > schema->term_slot_count && !rehash_terms(schema))
        return schema_no_memory(schema);
    size_t at = term_hash(schema, &term) & (schema->term_slot_count - 1);
    for (; schema->term_slots[at] != 0; at = (at + 1) & (schema->term_slot_count - 1)) {
        if (same_term(schema, &schema->terms[schema->term_slots[at] - 1], &term)) {
            if (term.count > 0 && term.list + term.count == schema->list_count)
                schema->list_count = term.list;
            *ret_term = schema->term_slots[at] - 1;
            return PDK_OK;
        }
    }
    if (schema->term_count >= SCHEMA_TERMS_MAX)
        return too_many(schema, "facts", SCHEMA_TERMS_MAX);
    if (schema->term_count % 256 == 255) {
        pdk_status status = schema_check_time(schema);
        if (status != PDK_OK)
            return status;
    }
    if (!array_grow(&schema->terms, &schema->term_room, (size_t)schema->term_count + 1) ||
        !array_grow(&schema->expanded, &schema->expanded_room, (size_t)schema->term_count + 1))
        return schema_no_memory(schema);
    schema->terms[schema->term_count] = term;
    schema->expanded[schema->term_count] = TERM_NOT_READ;
    schema->term_slots[at] = ++schema->term_count;
    *ret_term = schema->term_count - 1;
    return PDK_OK;
}

pdk_status schema_put_list(struct schema *schema, const uint32_t *values, uint32_t count, uint32_t *ret_list)
{
    if (count > SCHEMA_LISTS_MAX - schema->list_count)
        return too_many(schema, "facts in all", SCHEMA_LISTS_MAX);
    if (!array_grow(&schema->lists, &schema->list_room, (size_t)schema->list_count + count + 1))
        return schema_no_memory(schema);
    if (count > 0)
        memcpy(schema->lists + schema->list_count, values, count * sizeof *values);
    *ret_list = schema->list_count;
    schema->list_count += count;
    return PDK_OK;
}

pdk_status term_schema(struct schema *schema, const struct json *json, term_id *ret_term)
{
    if (json->type == JSON_TRUE || json->type == JSON_FALSE) {
        *ret_term = json->type == JSON_TRUE ? TERM_TRUE : TERM_FALSE;
        return PDK_OK;
    }
    if (json->type == JSON_OBJECT && json->count == 0 && !schema->style->closed_objects) {
        *ret_term = TERM_TRUE;
        return PDK_OK;
    }
    return term_add(schema, (struct term){.kind = KIND_SCHEMA, .schema = json}, ret_term);
}

pdk_status term_not(struct schema *schema, term_id a, term_id *ret_term)
{
    if (a == TERM_FALSE || a == TERM_TRUE) {
        *ret_term = a == TERM_FALSE ? TERM_TRUE : TERM_FALSE;
        return PDK_OK;
    }
    if (schema->terms[a].kind == KIND_NOT) {
        *ret_term = schema->terms[a].a;
        return PDK_OK;
    }
    return term_add(schema, (struct term){.kind = KIND_NOT, .a = a}, ret_term);
}

int compare_numbers(const void *left, const void *right)
{
    const uint32_t *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

/* Flattens lists of the same kind, sorts, and lets the neutral and the decisive member do their work. */
static pdk_status join(
    struct schema *schema, enum term_kind kind, const term_id *terms, size_t count, term_id *ret_term)
{
    term_id neutral = kind == KIND_AND ? TERM_TRUE : TERM_FALSE;
    term_id decisive = kind == KIND_AND ? TERM_FALSE : TERM_TRUE;
    PDK_AUTO_FREE term_id *flat = NULL;
    size_t room = 0, total = 0;
    for (size_t i = 0; i < count; i++) {
        const struct term *term = &schema->terms[terms[i]];
        bool inner = term->kind == (uint32_t)kind;
        size_t more = inner ? term->count : 1;
        if (!array_grow(&flat, &room, total + more + 1))
            return schema_no_memory(schema);
        if (inner)
            memcpy(flat + total, schema->lists + term->list, more * sizeof *flat);
        else
            flat[total] = terms[i];
        total += more;
    }
    if (total > 1)
        qsort(flat, total, sizeof *flat, compare_numbers);
    size_t kept = 0;
    for (size_t i = 0; i < total; i++) {
        if (flat[i] == decisive) {
            *ret_term = decisive;
            return PDK_OK;
        }
        if (flat[i] != neutral && (kept == 0 || flat[kept - 1] != flat[i]))
            flat[kept++] = flat[i];
    }
    if (kept < 2) {
        *ret_term = kept == 0 ? neutral : flat[0];
        return PDK_OK;
    }
    struct term term = {.kind = kind, .count = (uint32_t)kept};
    pdk_status status = schema_put_list(schema, flat, (uint32_t)kept, &term.list);
    return status != PDK_OK ? status : term_add(schema, term, ret_term);
}

pdk_status term_all(struct schema *schema, const term_id *terms, size_t count, term_id *ret_term)
{
    return join(schema, KIND_AND, terms, count, ret_term);
}

pdk_status term_any(struct schema *schema, const term_id *terms, size_t count, term_id *ret_term)
{
    return join(schema, KIND_OR, terms, count, ret_term);
}

pdk_status term_types(struct schema *schema, uint32_t types, term_id *ret_term)
{
    if (types == 0 || types == TYPE_ALL) {
        *ret_term = types == 0 ? TERM_FALSE : TERM_TRUE;
        return PDK_OK;
    }
    return term_add(schema, (struct term){.kind = KIND_TYPES, .a = types}, ret_term);
}

pdk_status term_opaque(
    struct schema *schema, const struct json *where, const char *keyword, const char *why, term_id *ret_term)
{
    for (uint32_t i = 0; i < schema->reason_count; i++) {
        const struct reason *reason = &schema->reasons[i];
        if (reason->schema == where && reason->keyword == keyword && reason->why == why)
            return term_add(schema, (struct term){.kind = KIND_OPAQUE, .a = i}, ret_term);
    }
    if (!array_grow(&schema->reasons, &schema->reason_room, (size_t)schema->reason_count + 1))
        return schema_no_memory(schema);
    schema->reasons[schema->reason_count] = (struct reason){where, keyword, why};
    return term_add(schema, (struct term){.kind = KIND_OPAQUE, .a = schema->reason_count++}, ret_term);
}

/* Facts that say nothing, or that nothing can be, are known as such at once. */
pdk_status term_fact(struct schema *schema, enum term_kind kind, const uint32_t values[5], term_id *ret_term)
{
    bool nothing_said =
        (kind == KIND_RULE && values[1] == TERM_TRUE) ||
        (kind == KIND_ITEMS && (values[2] == TERM_TRUE || values[0] > values[1])) ||
        ((kind == KIND_COUNT || kind == KIND_LENGTH) && values[0] == 0 && values[1] >= TERM_UNBOUNDED) ||
        (kind == KIND_HOLDS && values[3] == 0 && values[4] >= TERM_UNBOUNDED);
    if (nothing_said) {
        *ret_term = TERM_TRUE;
        return PDK_OK;
    }
    struct term term = {.kind = kind, .a = values[0], .b = values[1], .c = values[2], .d = values[3], .e = values[4]};
    if (kind == KIND_HOLDS && term.d == 0 && term.e == 0) { /* none may: all are something else */
        pdk_status status = term_not(schema, term.c, &term.c);
        if (status != PDK_OK)
            return status;
        term = (struct term){.kind = KIND_ITEMS, .a = term.a, .b = term.b, .c = term.c};
    }
    return term_add(schema, term, ret_term);
}

pdk_status term_list_add(struct schema *schema, struct term_list *list, term_id term)
{
    if (!array_grow(&list->terms, &list->room, list->count + 1))
        return schema_no_memory(schema);
    list->terms[list->count++] = term;
    return PDK_OK;
}

/* Escapes a key for a JSON pointer into `out` at *length. */
static void put_key(const struct json *member, uint32_t index, char *out, size_t room, size_t *length)
{
    char number[16];
    const char *key = member->key;
    size_t key_length = member->key_length;
    if (key == NULL) {
        key_length = (size_t)snprintf(number, sizeof number, "%u", index);
        key = number;
    }
    if (*length + 1 < room)
        out[(*length)++] = '/';
    for (size_t i = 0; i < key_length && *length + 2 < room; i++) {
        if (key[i] == '~' || key[i] == '/') {
            out[(*length)++] = '~';
            out[(*length)++] = key[i] == '~' ? '0' : '1';
        } else {
            out[(*length)++] = key[i];
        }
    }
}

static bool find_path(
    const struct json *from, const struct json *where, char *out, size_t room, size_t length, unsigned depth)
{
    if (from == where) {
        out[length] = '\0';
        return true;
    }
    uint32_t index = 0;
    for (const struct json *child = from->child; child != NULL && depth < 256; child = child->next, index++) {
        size_t here = length;
        put_key(child, index, out, room - 1, &here);
        if (find_path(child, where, out, room, here, depth + 1))
            return true;
    }
    return false;
}

void schema_path(const struct schema *schema, const struct json *where, char *out, size_t room)
{
    out[0] = '\0';
    if (where == NULL || !find_path(schema->root, where, out, room, 0, 0))
        out[0] = '\0';
}

pdk_status schema_fail(
    struct schema *schema, pdk_status status, const struct json *where, const char *keyword, const char *format, ...)
{
    char path[PATH_TEXT_MAX], message[PDK_ERROR_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    schema_path(schema, where, path, sizeof path);
    if (path[0] == '\0' && keyword[0] == '\0')
        return pdk_error_set(schema->err, status, "schema", "the JSON schema: %s", message);
    return pdk_error_set(schema->err, status, "schema", "the JSON schema at %s%s%s: %s", path,
        keyword[0] != '\0' ? "/" : "", keyword, message);
}
