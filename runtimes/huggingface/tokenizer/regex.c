/* The code is shared, the match data is a search's own. */
#include "config.h"

#define PCRE2_CODE_UNIT_WIDTH 8

#include "runtimes/huggingface/tokenizer/regex.h"

#include "core/base/error.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

enum { PATTERN_MAX = 16384, MATCH_LIMIT = 1000000, DEPTH_LIMIT = 1000000, HEAP_LIMIT_KIB = 64 << 10 };

struct regex {
    pcre2_code *code;
};

struct regex_state {
    pcre2_match_data *data;
    pcre2_match_context *context;
};

/* Oniguruma intersects classes with &&, which PCRE2 reads as two ampersands. */
static bool has_class_intersection(const char *pattern, size_t length)
{
    unsigned depth = 0;
    for (size_t i = 0; i < length; i++) {
        if (pattern[i] == '\\')
            i++;
        else if (pattern[i] == '[')
            depth++;
        else if (pattern[i] == ']' && depth > 0)
            depth--;
        else if (depth > 0 && pattern[i] == '&' && i + 1 < length && pattern[i + 1] == '&')
            return true;
    }
    return false;
}

pdk_status regex_new(const char *pattern, size_t length, struct regex **ret_regex, pdk_error *err)
{
    if (length > PATTERN_MAX)
        return pdk_error_set(
            err, PDK_INVALID, "Regex", "the expression has %zu bytes; the limit is %d", length, PATTERN_MAX);
    if (has_class_intersection(pattern, length))
        return pdk_error_value(
            err, PDK_UNSUPPORTED, "Regex", pattern, "intersections of classes (&&) are not supported");
    struct regex *regex = calloc(1, sizeof *regex);
    if (regex == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "Regex", "out of memory");
    int number = 0;
    PCRE2_SIZE offset = 0;
    regex->code = pcre2_compile((PCRE2_SPTR)pattern, length,
        PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &number, &offset, NULL);
    if (regex->code == NULL) {
        PCRE2_UCHAR text[128];
        pcre2_get_error_message(number, text, sizeof text);
        regex_free(regex);
        return pdk_error_value(
            err, PDK_INVALID, "Regex", pattern, "%s at byte %zu of the expression", (char *)text, (size_t)offset);
    }
    *ret_regex = regex;
    return PDK_OK;
}

struct regex *regex_free(struct regex *regex)
{
    if (regex != NULL) {
        pcre2_code_free(regex->code);
        free(regex);
    }
    return NULL;
}

struct regex_state *regex_state_new(const struct regex *regex)
{
    struct regex_state *state = calloc(1, sizeof *state);
    if (state == NULL)
        return NULL;
    state->data = pcre2_match_data_create_from_pattern(regex->code, NULL);
    state->context = pcre2_match_context_create(NULL);
    if (state->data == NULL || state->context == NULL)
        return regex_state_free(state);
    pcre2_set_match_limit(state->context, MATCH_LIMIT);
    pcre2_set_depth_limit(state->context, DEPTH_LIMIT);
    pcre2_set_heap_limit(state->context, HEAP_LIMIT_KIB);
    return state;
}

struct regex_state *regex_state_free(struct regex_state *state)
{
    if (state != NULL) {
        pcre2_match_data_free(state->data);
        pcre2_match_context_free(state->context);
        free(state);
    }
    return NULL;
}

pdk_status regex_find(const struct regex *regex, struct regex_state *state, const char *text, size_t length,
    size_t from, bool *ret_found, size_t *ret_start, size_t *ret_end, pdk_error *err)
{
    int got = pcre2_match(regex->code, (PCRE2_SPTR)text, length, from, PCRE2_NO_UTF_CHECK, state->data, state->context);
    if (got == PCRE2_ERROR_NOMATCH) {
        *ret_found = false;
        return PDK_OK;
    }
    if (got < 0) {
        PCRE2_UCHAR reason[128];
        pcre2_get_error_message(got, reason, sizeof reason);
        return pdk_error_set(
            err, PDK_INVALID, "prompt", "the text cannot be cut into words: %s at byte %zu", (char *)reason, from);
    }
    const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(state->data);
    *ret_found = true;
    *ret_start = bounds[0];
    *ret_end = bounds[1] < bounds[0] ? bounds[0] : bounds[1]; /* \K may turn them round */
    return PDK_OK;
}
