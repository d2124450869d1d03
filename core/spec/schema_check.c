/* Walks tree and schema together. Depth is the schema's, so recursion is bounded. A null is an absent field, as in
 * Kubernetes. */
#include "config.h"

#include "core/spec/schema_check.h"

#include "core/base/error.h"
#include "core/base/nearest.h"
#include "core/spec/quantity.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PATH_MAX_BYTES = 256, MAP_ENTRIES_MAX = 1000 };

struct check {
    const struct spec_source *source;
    char path[PATH_MAX_BYTES];
    pdk_error *err;
};

static void put_place(char *place, size_t room, const struct spec_source *source, const struct json *at)
{
    if (at != NULL && at->line != 0 && at->column != 0)
        snprintf(place, room, "%s:%u:%u", source->file, at->line, at->column);
    else if (at != NULL && at->line != 0)
        snprintf(place, room, "%s:%u", source->file, at->line);
    else
        snprintf(place, room, "%s", source->file);
}

/* A leaf's text, for err->value. */
static const char *leaf_value(const struct json *at)
{
    if (at == NULL)
        return "";
    switch (at->type) {
    case JSON_TRUE: return "true";
    case JSON_FALSE: return "false";
    case JSON_NUMBER:
    case JSON_STRING: return at->text;
    default: return "";
    }
}

pdk_status spec_fail(
    const struct spec_source *source, const struct json *at, const char *path, pdk_error *err, const char *format, ...)
{
    char text[PDK_ERROR_MESSAGE_MAX], place[300];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    put_place(place, sizeof place, source, at);
    return pdk_error_value(
        err, PDK_INVALID, path, leaf_value(at), "%s: %s%s%s", place, path, *path != '\0' ? ": " : "", text);
}

void spec_warn(const struct spec_source *source, const struct json *at, const char *path, const char *format, ...)
{
    if (source->warnings == NULL)
        return;
    char place[300];
    put_place(place, sizeof place, source, at);
    buffer_printf(source->warnings, "%s: %s: ", place, path);
    va_list arguments;
    va_start(arguments, format);
    buffer_vprintf(source->warnings, format, arguments);
    va_end(arguments);
    buffer_putc(source->warnings, '\n');
}

/* Appends to the path; returns the length before, to which the caller cuts it back. */
static size_t path_push(struct check *c, const char *format, const char *name, size_t index)
{
    size_t length = strlen(c->path);
    if (name != NULL)
        snprintf(c->path + length, sizeof c->path - length, format, length != 0 ? "." : "", name);
    else
        snprintf(c->path + length, sizeof c->path - length, format, index);
    return length;
}

static pdk_status wants(struct check *c, const struct json *value, const char *what)
{
    if (value->type == JSON_STRING || value->type == JSON_NUMBER)
        return spec_fail(
            c->source, value, c->path, c->err, "wants %s, is the %s '%.64s'", what, json_type_name(value), value->text);
    return spec_fail(c->source, value, c->path, c->err, "wants %s, is %s", what, json_type_name(value));
}

bool schema_is_choice(const char *choices, const char *text)
{
    size_t length = strlen(text);
    for (const char *at = choices; *at != '\0'; at += strspn(at, "|")) {
        size_t one = strcspn(at, "|");
        if (one == length && memcmp(at, text, one) == 0)
            return true;
        at += one;
    }
    return false;
}

static pdk_status check_text(struct check *c, const struct schema_field *field, const struct json *value)
{
    const char *text;
    if (value->type == JSON_TRUE || value->type == JSON_FALSE || value->type == JSON_NUMBER)
        return spec_fail(c->source, value, c->path, c->err, "wants a text, is the %s %s; put it in quotes",
            value->type == JSON_NUMBER ? "number" : "boolean", leaf_value(value));
    if (!json_string(value, &text))
        return wants(c, value, "a text");
    if (field->choices != NULL && !schema_is_choice(field->choices, text))
        return spec_fail(c->source, value, c->path, c->err, "is '%.64s'; it may be %s", text, field->choices);
    return PDK_OK;
}

static pdk_status check_integer(struct check *c, const struct schema_field *field, const struct json *value)
{
    int64_t number;
    if (!json_int64(value, &number))
        return wants(c, value, "an integer");
    bool bounded = field->minimum != 0 || field->maximum != 0;
    if (bounded && (number < field->minimum || number > field->maximum))
        return spec_fail(c->source, value, c->path, c->err, "is %" PRId64 "; it may be %" PRId64 " to %" PRId64, number,
            field->minimum, field->maximum);
    return PDK_OK;
}

static pdk_status check_quantity(struct check *c, const struct json *value)
{
    pdk_error why;
    if (quantity_check(value, "", &why) == PDK_OK)
        return PDK_OK;
    return spec_fail(c->source, value, c->path, c->err, "%s", why.message);
}

/* Turns `[{name, value}, …]` into `{name: value, …}` in place. */
static pdk_status fold_pairs(struct check *c, struct json *list)
{
    for (struct json *pair = list->child; pair != NULL; pair = pair->next) {
        const struct json *name = json_get(pair, "name"), *value = json_get(pair, "value");
        const char *text;
        if (pair->type != JSON_OBJECT || pair->count != 2 || !json_string(name, &text) || value == NULL)
            return spec_fail(c->source, pair, c->path, c->err, "wants pairs like { name = \"…\"; value = \"…\"; }");
        for (const struct json *before = list->child; before != pair; before = before->next)
            if (before->key_length == name->length && memcmp(before->key, text, name->length) == 0)
                return spec_fail(c->source, name, c->path, c->err, "has '%.64s' twice", text);
        struct json folded = *value;
        folded.key = name->text;
        folded.key_length = name->length;
        folded.next = pair->next;
        *pair = folded;
    }
    list->type = JSON_OBJECT;
    return PDK_OK;
}

static pdk_status check_map(struct check *c, const struct schema_field *field, struct json *value)
{
    if (c->source->pairs && value->type == JSON_ARRAY) {
        pdk_status status = fold_pairs(c, value);
        if (status != PDK_OK)
            return status;
    }
    if (value->type != JSON_OBJECT)
        return wants(c, value, c->source->pairs ? "a group or a list of pairs" : "an object");
    if (value->count > MAP_ENTRIES_MAX)
        return spec_fail(
            c->source, value, c->path, c->err, "has %u entries; the limit is %d", value->count, MAP_ENTRIES_MAX);
    static const struct schema_field entry = {"", FIELD_TEXT, FIELD_USED, .doc = ""};
    for (const struct json *member = value->child; member != NULL; member = member->next) {
        size_t length = path_push(c, "%s%s", member->key, 0);
        pdk_status status =
            field->type == FIELD_QUANTITY_MAP ? check_quantity(c, member) : check_text(c, &entry, member);
        if (status != PDK_OK)
            return status;
        c->path[length] = '\0';
    }
    return PDK_OK;
}

static pdk_status check_object(struct check *c, const struct schema_object *object, struct json *value);

static pdk_status check_list(struct check *c, const struct schema_field *field, struct json *value)
{
    if (value->type != JSON_ARRAY)
        return wants(c, value, "a list");
    size_t index = 0;
    static const struct schema_field element = {"", FIELD_TEXT, FIELD_USED, .doc = ""};
    for (struct json *at = value->child; at != NULL; at = at->next, index++) {
        size_t length = path_push(c, "[%zu]", NULL, index);
        pdk_status status =
            field->type == FIELD_LIST ? check_object(c, field->object, at) : check_text(c, &element, at);
        if (status != PDK_OK)
            return status;
        c->path[length] = '\0';
    }
    return PDK_OK;
}

static pdk_status check_value(struct check *c, const struct schema_field *field, struct json *value)
{
    switch (field->type) {
    case FIELD_TEXT: return check_text(c, field, value);
    case FIELD_INTEGER: return check_integer(c, field, value);
    case FIELD_BOOLEAN:
        return value->type == JSON_TRUE || value->type == JSON_FALSE ? PDK_OK : wants(c, value, "true or false");
    case FIELD_QUANTITY: return check_quantity(c, value);
    case FIELD_SCALAR:
        return value->type == JSON_STRING || value->type == JSON_NUMBER ? PDK_OK
                                                                        : wants(c, value, "a text or a number");
    case FIELD_OBJECT: return check_object(c, field->object, value);
    case FIELD_LIST:
    case FIELD_TEXTS: return check_list(c, field, value);
    case FIELD_TEXT_MAP:
    case FIELD_QUANTITY_MAP: return check_map(c, field, value);
    case FIELD_ANY: break;
    }
    return PDK_OK;
}

static pdk_status unknown_field(struct check *c, const struct schema_object *object, const struct json *member)
{
    struct nearest nearest = nearest_to(member->key);
    for (; object != NULL; object = object->extends)
        for (size_t i = 0; i < object->count; i++)
            nearest_offer(&nearest, object->fields[i].name);
    return spec_fail(c->source, member, c->path, c->err, "unknown field%s", nearest_hint(&nearest));
}

static pdk_status check_member(struct check *c, const struct schema_object *object, struct json *member)
{
    const struct schema_field *field = schema_field(object, member->key, member->key_length);
    if (field == NULL)
        return unknown_field(c, object, member);
    if (member->type == JSON_NULL)
        return PDK_OK;
    if (field->use == FIELD_REFUSED)
        return spec_fail(c->source, member, c->path, c->err, "not supported: %s", field->doc);
    pdk_status status = check_value(c, field, member);
    if (status == PDK_OK && field->use == FIELD_WARNED)
        spec_warn(c->source, member, c->path, "has no effect: %s", field->doc);
    return status;
}

static pdk_status check_required(struct check *c, const struct schema_object *object, const struct json *value)
{
    for (; object != NULL; object = object->extends) {
        for (size_t i = 0; i < object->count; i++) {
            const struct schema_field *field = &object->fields[i];
            const struct json *member = field->required ? json_get(value, field->name) : NULL;
            if (!field->required || (member != NULL && member->type != JSON_NULL))
                continue;
            path_push(c, "%s%s", field->name, 0);
            return spec_fail(c->source, value, c->path, c->err, "is missing: %s", field->doc);
        }
    }
    return PDK_OK;
}

static pdk_status check_object(struct check *c, const struct schema_object *object, struct json *value)
{
    if (value->type != JSON_OBJECT)
        return wants(c, value, "an object");
    for (struct json *member = value->child; member != NULL; member = member->next) {
        size_t length = path_push(c, "%s%s", member->key, 0);
        pdk_status status = check_member(c, object, member);
        if (status != PDK_OK)
            return status;
        c->path[length] = '\0';
    }
    return check_required(c, object, value);
}

pdk_status schema_check(
    struct json *root, const struct schema_object *object, const struct spec_source *source, pdk_error *err)
{
    struct check c = {.source = source, .err = err};
    return check_object(&c, object, root);
}
