/* A JSON schema says more than a type; what does not fit becomes `any`, as the model cannot be told. */
#include "config.h"

#include "runtimes/huggingface/tools/harmony_types.h"

#include <string.h>

enum { DEPTH_MAX = 16 };

static void put_type(struct buffer *out, const struct json *schema, unsigned depth);

static const struct json *member(const struct json *object, const char *key)
{
    return object != NULL && object->type == JSON_OBJECT ? json_get(object, key) : NULL;
}

static bool lists(const struct json *list, const char *name)
{
    if (list == NULL || list->type != JSON_ARRAY)
        return false;
    for (const struct json *one = list->child; one != NULL; one = one->next)
        if (one->type == JSON_STRING && strcmp(one->text, name) == 0)
            return true;
    return false;
}

/* Each line of a description is a comment. */
static void put_comment(struct buffer *out, const struct json *text)
{
    if (text == NULL || text->type != JSON_STRING || text->length == 0)
        return;
    const char *at = text->text;
    while (*at != '\0') {
        size_t line = strcspn(at, "\n");
        buffer_puts(out, "// ");
        buffer_put(out, at, line);
        buffer_putc(out, '\n');
        at += line + (at[line] == '\n');
    }
}

static void put_members(struct buffer *out, const struct json *schema, unsigned depth)
{
    const struct json *properties = member(schema, "properties"), *required = member(schema, "required");
    for (const struct json *one = properties->child; one != NULL; one = one->next) {
        const struct json *fallback = member(one, "default");
        put_comment(out, member(one, "description"));
        buffer_printf(out, "%s%s: ", one->key, lists(required, one->key) ? "" : "?");
        put_type(out, one, depth + 1);
        buffer_puts(out, ",");
        if (fallback != NULL) {
            buffer_puts(out, " // default: ");
            if (fallback->type == JSON_STRING)
                buffer_put(out, fallback->text, fallback->length);
            else
                json_print(out, fallback);
        }
        buffer_putc(out, '\n');
    }
}

static void put_enum(struct buffer *out, const struct json *values)
{
    for (const struct json *one = values->child; one != NULL; one = one->next) {
        if (one != values->child)
            buffer_puts(out, " | ");
        json_print(out, one);
    }
}

static void put_alternatives(struct buffer *out, const struct json *list, unsigned depth)
{
    for (const struct json *one = list->child; one != NULL; one = one->next) {
        if (one != list->child)
            buffer_puts(out, " | ");
        put_type(out, one, depth + 1);
    }
}

static void put_named(struct buffer *out, const struct json *schema, const char *name, unsigned depth)
{
    const struct json *items = member(schema, "items"), *properties = member(schema, "properties");
    if (strcmp(name, "array") == 0 && items != NULL && items->type == JSON_OBJECT) {
        put_type(out, items, depth + 1);
        buffer_puts(out, "[]");
    } else if (strcmp(name, "array") == 0) {
        buffer_puts(out, "any[]");
    } else if (strcmp(name, "object") == 0 && properties != NULL && properties->type == JSON_OBJECT &&
               properties->count > 0) {
        buffer_puts(out, "{\n");
        put_members(out, schema, depth);
        buffer_putc(out, '}');
    } else if (strcmp(name, "integer") == 0) {
        buffer_puts(out, "number");
    } else {
        static const char *const known[] = {"string", "number", "boolean", "null", "object"};
        const char *text = "any";
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
            if (strcmp(name, known[i]) == 0)
                text = known[i];
        buffer_puts(out, text);
    }
}

static void put_type(struct buffer *out, const struct json *schema, unsigned depth)
{
    const struct json *type = member(schema, "type"), *values = member(schema, "enum"), *nullable;
    const struct json *alternatives =
        member(schema, "anyOf") != NULL ? member(schema, "anyOf") : member(schema, "oneOf");
    const char *name = "";
    bool null = false;
    if (depth > DEPTH_MAX) {
        buffer_puts(out, "any");
    } else if (values != NULL && values->type == JSON_ARRAY && values->count > 0) {
        put_enum(out, values);
    } else if (alternatives != NULL && alternatives->type == JSON_ARRAY && alternatives->count > 0) {
        put_alternatives(out, alternatives, depth);
    } else if (type != NULL && type->type == JSON_ARRAY && type->count > 0) {
        for (const struct json *one = type->child; one != NULL; one = one->next) {
            (void)json_string(one, &name);
            buffer_puts(out, one != type->child ? " | " : "");
            put_named(out, schema, name, depth);
        }
    } else if (json_string(type, &name)) {
        put_named(out, schema, name, depth);
    } else {
        buffer_puts(out, "any");
    }
    nullable = member(schema, "nullable");
    if (nullable != NULL && json_bool(nullable, &null) && null)
        buffer_puts(out, " | null");
}

static void put_function(struct buffer *out, const struct json *function)
{
    const struct json *parameters = member(function, "parameters"), *properties = member(parameters, "properties");
    const char *name = "";
    (void)json_string(member(function, "name"), &name);
    put_comment(out, member(function, "description"));
    buffer_printf(out, "type %s = ", name);
    if (properties == NULL || properties->type != JSON_OBJECT || properties->count == 0) {
        buffer_puts(out, "() => any;\n\n");
        return;
    }
    buffer_puts(out, "(_: {\n");
    put_members(out, parameters, 0);
    buffer_puts(out, "}) => any;\n\n");
}

void harmony_put_tools(struct buffer *out, const struct json *tools)
{
    buffer_puts(out, "## functions\n\nnamespace functions {\n\n");
    for (const struct json *tool = tools->child; tool != NULL; tool = tool->next)
        if (member(tool, "function") != NULL)
            put_function(out, member(tool, "function"));
    buffer_puts(out, "} // namespace functions");
}
