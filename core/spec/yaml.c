/* One loop over libyaml's events; the open collections stand on a fixed stack, so that depth is a number, not the C
 * stack. */
#include "config.h"

#include "core/spec/yaml.h"

#include "core/base/error.h"
#include "core/base/utf8.h"
#include "core/spec/yaml_scalar.h"

#include <string.h>
#include <yaml.h>

enum { BYTES_MAX = 1 << 20, DEPTH_MAX = 64, NODES_MAX = 10000 };

struct reader {
    yaml_parser_t parser;
    struct json_document *document;
    struct json *open[DEPTH_MAX + 1]; /* [0]: the array of documents */
    size_t depth;                     /* index of the innermost */
    size_t nodes;
    char *key; /* of the member whose value comes next; NULL: none read yet */
    size_t key_length;
    pdk_error *err;
};

static pdk_status fail(struct reader *r, yaml_mark_t at, const char *what)
{
    return pdk_error_set(r->err, PDK_INVALID, "yaml", "%s at line %zu, column %zu", what, at.line + 1, at.column + 1);
}

static pdk_status fail_with(struct reader *r, yaml_mark_t at)
{
    char what[PDK_ERROR_MESSAGE_MAX] = "";
    if (r->err != NULL)
        memcpy(what, r->err->message, sizeof what);
    what[sizeof what - 80] = '\0'; /* room for the place */
    return fail(r, at, what);
}

/* Only what says no more than the plain reading would. */
static bool core_tag(const yaml_char_t *tag, const char *name)
{
    static const char prefix[] = "tag:yaml.org,2002:";
    const char *text = (const char *)tag;
    return strncmp(text, prefix, sizeof prefix - 1) == 0 && strcmp(text + sizeof prefix - 1, name) == 0;
}

static pdk_status check_properties(
    struct reader *r, const yaml_char_t *anchor, const yaml_char_t *tag, const char *allowed, yaml_mark_t at)
{
    if (anchor != NULL)
        return fail(r, at, "anchors are not allowed");
    if (tag != NULL && !core_tag(tag, allowed))
        return fail(r, at, "tags are not allowed");
    return PDK_OK;
}

static struct json *add(
    struct reader *r, enum json_type type, const char *text, size_t length, yaml_mark_t at, pdk_status *ret_status)
{
    if (++r->nodes > NODES_MAX) {
        *ret_status = fail(r, at, "more than 10000 values");
        return NULL;
    }
    struct json *node = json_add(r->document, r->open[r->depth], type, r->key, r->key_length, text, length);
    free(r->key);
    r->key = NULL;
    r->key_length = 0;
    if (node == NULL) {
        *ret_status = pdk_error_set(r->err, PDK_NO_MEMORY, "yaml", "no memory for the document");
        return NULL;
    }
    node->line = (uint32_t)at.line + 1;
    node->column = (uint32_t)at.column + 1;
    *ret_status = PDK_OK;
    return node;
}

/* Whether a scalar here is a key. Collections as keys are refused by the same test. */
static bool wants_key(const struct reader *r)
{
    return r->open[r->depth]->type == JSON_OBJECT && r->key == NULL;
}

static pdk_status read_key(struct reader *r, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    if (memchr(text, '\0', length) != NULL)
        return fail(r, event->start_mark, "NUL in a key");
    if (length == 2 && memcmp(text, "<<", 2) == 0 && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        return fail(r, event->start_mark, "merge keys are not allowed");
    for (const struct json *member = r->open[r->depth]->child; member != NULL; member = member->next) {
        if (member->key_length == length && memcmp(member->key, text, length) == 0) {
            pdk_error_set(r->err, PDK_INVALID, "yaml", "duplicate key '%.64s'", text);
            return fail_with(r, event->start_mark);
        }
    }
    r->key = strndup(text, length);
    if (r->key == NULL)
        return pdk_error_set(r->err, PDK_NO_MEMORY, "yaml", "no memory for the document");
    r->key_length = length;
    return PDK_OK;
}

static pdk_status read_scalar(struct reader *r, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    const yaml_char_t *tag = event->data.scalar.tag;
    bool text_tag = tag != NULL && core_tag(tag, "str");
    pdk_status status = check_properties(r, event->data.scalar.anchor, text_tag ? NULL : tag, "", event->start_mark);
    if (status != PDK_OK)
        return status;
    if (wants_key(r))
        return read_key(r, event);
    if (memchr(text, '\0', length) != NULL)
        return fail(r, event->start_mark, "NUL in a text");
    enum json_type type = JSON_STRING;
    char number[YAML_NUMBER_MAX];
    if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !text_tag) {
        status = yaml_scalar(text, length, &type, number, r->err);
        if (status != PDK_OK)
            return fail_with(r, event->start_mark);
    }
    if (type == JSON_NULL && r->depth == 0)
        return PDK_OK; /* an empty document */
    if (type == JSON_NUMBER)
        add(r, type, number, strlen(number), event->start_mark, &status);
    else
        add(r, type, type == JSON_STRING ? text : NULL, type == JSON_STRING ? length : 0, event->start_mark, &status);
    return status;
}

static pdk_status open_collection(struct reader *r, enum json_type type, yaml_mark_t at)
{
    if (wants_key(r))
        return fail(r, at, "a key must be a text");
    if (r->depth == DEPTH_MAX)
        return fail(r, at, "nested deeper than 64 levels");
    pdk_status status;
    struct json *node = add(r, type, NULL, 0, at, &status);
    if (node == NULL)
        return status;
    r->open[++r->depth] = node;
    return PDK_OK;
}

static pdk_status read_event(struct reader *r, const yaml_event_t *event)
{
    pdk_status status = PDK_OK;
    switch (event->type) {
    case YAML_ALIAS_EVENT: return fail(r, event->start_mark, "aliases are not allowed");
    case YAML_SCALAR_EVENT: return read_scalar(r, event);
    case YAML_SEQUENCE_START_EVENT:
        status = check_properties(
            r, event->data.sequence_start.anchor, event->data.sequence_start.tag, "seq", event->start_mark);
        return status != PDK_OK ? status : open_collection(r, JSON_ARRAY, event->start_mark);
    case YAML_MAPPING_START_EVENT:
        status = check_properties(
            r, event->data.mapping_start.anchor, event->data.mapping_start.tag, "map", event->start_mark);
        return status != PDK_OK ? status : open_collection(r, JSON_OBJECT, event->start_mark);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: r->depth--; return PDK_OK;
    default: return PDK_OK;
    }
}

static pdk_status read_all(struct reader *r)
{
    for (bool more = true; more;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&r->parser, &event)) {
            const char *problem = r->parser.problem != NULL ? r->parser.problem : "not YAML";
            return fail(r, r->parser.problem_mark, problem);
        }
        pdk_status status = read_event(r, &event);
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        if (status != PDK_OK)
            return status;
    }
    return PDK_OK;
}

/* libyaml takes UTF-16 by its mark and lets some bad bytes pass. */
static pdk_status check_text(const char *text, size_t length, pdk_error *err)
{
    if (length > BYTES_MAX)
        return pdk_error_set(err, PDK_TOO_LARGE, "yaml", "%zu bytes; the limit is %d", length, BYTES_MAX);
    size_t bad;
    if (!utf8_valid(text, length, &bad))
        return pdk_error_set(err, PDK_INVALID, "yaml", "invalid UTF-8 at byte %zu", bad);
    return PDK_OK;
}

pdk_status yaml_read(const char *text, size_t length, struct json_document **ret_documents, pdk_error *err)
{
    pdk_status status = check_text(text, length, err);
    if (status != PDK_OK)
        return status;
    struct reader r = {.document = json_document_new(), .err = err};
    if (r.document != NULL)
        r.open[0] = json_add(r.document, NULL, JSON_ARRAY, NULL, 0, NULL, 0);
    if (r.open[0] == NULL || !yaml_parser_initialize(&r.parser)) {
        json_document_free(r.document);
        return pdk_error_set(err, PDK_NO_MEMORY, "yaml", "no memory for the document");
    }
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, length);
    status = read_all(&r);
    yaml_parser_delete(&r.parser);
    free(r.key);
    if (status == PDK_OK)
        *ret_documents = r.document;
    else
        json_document_free(r.document);
    return status;
}
