/* See the header. */
#include "config.h"

#include "core/gateway/resources/selector.h"

#include "core/base/error.h"

#include <string.h>

enum { TERM_MAX = 384 };

/* One requirement, taken apart. */
struct term {
    char key[TERM_MAX];
    const char *value; /* NULL: only whether it is there */
    bool negated;
};

static bool take_term(const char **text, struct term *term)
{
    size_t length = strcspn(*text, ",");
    if (length == 0 || length >= sizeof term->key)
        return false;
    memcpy(term->key, *text, length);
    term->key[length] = '\0';
    *text += length;
    *text += **text == ',';
    term->value = NULL;
    term->negated = false;
    char *equal = strchr(term->key, '=');
    if (equal == NULL) {
        term->negated = term->key[0] == '!';
        if (term->negated)
            memmove(term->key, term->key + 1, length);
        return term->key[0] != '\0';
    }
    term->value = equal[1] == '=' ? equal + 2 : equal + 1;
    term->negated = equal > term->key && equal[-1] == '!';
    equal[term->negated ? -1 : 0] = '\0';
    return term->key[0] != '\0';
}

static bool term_holds(const struct term *term, const char *actual)
{
    if (term->value == NULL)
        return (actual != NULL) != term->negated;
    return (actual != NULL && strcmp(actual, term->value) == 0) != term->negated;
}

static pdk_status match_labels(const char *text, const struct json *labels, bool *ret_matches, pdk_error *err)
{
    while (*text != '\0') {
        struct term term;
        if (strpbrk(text, "()") != NULL || strchr(text, ' ') != NULL)
            return pdk_error_value(err, PDK_UNSUPPORTED, "labelSelector", text,
                "labelSelector: sets (in, notin) are not served; use a=b, a!=b, a or !a");
        if (!take_term(&text, &term))
            return pdk_error_set(err, PDK_INVALID, "labelSelector", "labelSelector: unable to parse requirement");
        const char *actual = NULL;
        if (labels != NULL)
            json_string(json_get(labels, term.key), &actual);
        if (!term_holds(&term, actual))
            *ret_matches = false;
    }
    return PDK_OK;
}

static pdk_status match_fields(const char *text, const struct json *object, bool *ret_matches, pdk_error *err)
{
    while (*text != '\0') {
        struct term term;
        if (!take_term(&text, &term) || term.value == NULL)
            return pdk_error_set(err, PDK_INVALID, "fieldSelector", "fieldSelector: unable to parse requirement");
        bool known = strcmp(term.key, "metadata.name") == 0 || strcmp(term.key, "metadata.namespace") == 0 ||
                     strcmp(term.key, "status.phase") == 0;
        if (!known)
            return pdk_error_value(err, PDK_UNSUPPORTED, "fieldSelector", term.key,
                "fieldSelector: \"%.64s\" is not served; metadata.name, metadata.namespace and status.phase are",
                term.key);
        const char *actual = NULL;
        json_string(json_path(object, term.key), &actual);
        if (!term_holds(&term, actual))
            *ret_matches = false;
    }
    return PDK_OK;
}

pdk_status selector_match(
    const char *labels, const char *fields, const struct json *object, bool *ret_matches, pdk_error *err)
{
    bool matches = true;
    pdk_status status = match_labels(labels, json_path(object, "metadata.labels"), &matches, err);
    if (status == PDK_OK)
        status = match_fields(fields, object, &matches, err);
    if (status == PDK_OK)
        *ret_matches = matches;
    return status;
}
