/* See the header. */
#include "config.h"

#include "runtimes/huggingface/tools/tool_set.h"

#include "core/base/error.h"
#include "runtimes/huggingface/tools/value_scan.h"

#include <string.h>
#include <strings.h>

static const struct json_limits tools_limits = {.bytes = (size_t)16 << 20, .depth = 72, .nodes = 1000000};

enum { TYPE_NULL = 1, TYPE_INTEGER = 2, TYPE_NUMBER = 4, TYPE_BOOLEAN = 8, TYPE_VALUE = 16, TYPE_STRING = 32 };

pdk_status tool_set_read(struct tool_set *set, pdk_string tools_json, pdk_error *err)
{
    if (tools_json.length == 0)
        return PDK_OK;
    pdk_status status = json_read(tools_json.data, tools_json.length, &tools_limits, &set->document, err);
    if (status == PDK_OK && json_root(set->document)->type != JSON_ARRAY)
        return pdk_error_set(err, PDK_INVALID, "tools", "tools must be an array");
    return status == PDK_OK ? PDK_OK : pdk_error_wrap(err, "tools");
}

void tool_set_done(struct tool_set *set)
{
    set->document = json_document_free(set->document);
}

const struct json *tool_set_function(const struct tool_set *set, const char *name, size_t length)
{
    if (set->document == NULL)
        return NULL;
    for (const struct json *tool = json_root(set->document)->child; tool != NULL; tool = tool->next) {
        const struct json *function = tool->type == JSON_OBJECT ? json_get(tool, "function") : NULL;
        const struct json *own = function != NULL && function->type == JSON_OBJECT ? json_get(function, "name") : NULL;
        if (own != NULL && own->type == JSON_STRING && own->length == length && memcmp(own->text, name, length) == 0)
            return function;
    }
    return NULL;
}

static unsigned named_type(const struct json *name)
{
    static const struct {
        const char *name;
        unsigned type;
    } types[] = {{"null", TYPE_NULL}, {"integer", TYPE_INTEGER}, {"int", TYPE_INTEGER}, {"number", TYPE_NUMBER},
        {"float", TYPE_NUMBER}, {"boolean", TYPE_BOOLEAN}, {"bool", TYPE_BOOLEAN}, {"object", TYPE_VALUE},
        {"array", TYPE_VALUE}, {"dict", TYPE_VALUE}, {"list", TYPE_VALUE}, {"string", TYPE_STRING},
        {"str", TYPE_STRING}, {"text", TYPE_STRING}, {"enum", TYPE_STRING}};
    const char *text = "";
    (void)json_string(name, &text);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i].name, text) == 0)
            return types[i].type;
    return 0;
}

static unsigned value_type(const struct json *value)
{
    switch (value->type) {
    case JSON_NULL: return TYPE_NULL;
    case JSON_FALSE:
    case JSON_TRUE: return TYPE_BOOLEAN;
    case JSON_NUMBER: return TYPE_NUMBER;
    case JSON_STRING: return TYPE_STRING;
    default: return TYPE_VALUE;
    }
}

static const struct json *member(const struct json *object, const char *key, enum json_type type)
{
    const struct json *found = object != NULL && object->type == JSON_OBJECT ? json_get(object, key) : NULL;
    return found != NULL && found->type == type ? found : NULL;
}

/* The types that a schema allows; 0: it does not say. A level of alternatives is looked into. */
static unsigned schema_types(const struct json *schema, bool inner)
{
    static const char *const alternatives[] = {"anyOf", "oneOf", "allOf"};
    unsigned types = 0;
    const struct json *type = schema->type == JSON_OBJECT ? json_get(schema, "type") : NULL;
    if (type != NULL && type->type == JSON_STRING)
        types |= named_type(type);
    if (type != NULL && type->type == JSON_ARRAY)
        for (const struct json *one = type->child; one != NULL; one = one->next)
            types |= named_type(one);
    for (size_t i = 0; i < 3 && !inner && types == 0; i++) {
        const struct json *list = member(schema, alternatives[i], JSON_ARRAY);
        for (const struct json *one = list != NULL ? list->child : NULL; one != NULL; one = one->next)
            types |= schema_types(one, true);
    }
    const struct json *values = member(schema, "enum", JSON_ARRAY);
    for (const struct json *one = types == 0 && values != NULL ? values->child : NULL; one != NULL; one = one->next)
        types |= value_type(one);
    const struct json *only = schema->type == JSON_OBJECT ? json_get(schema, "const") : NULL;
    return types == 0 && only != NULL ? value_type(only) : types;
}

static const struct json *parameter_schema(const struct tool_set *set, pdk_string function, pdk_string parameter)
{
    const struct json *found = tool_set_function(set, function.data, function.length);
    const struct json *parameters = found != NULL ? member(found, "parameters", JSON_OBJECT) : NULL;
    const struct json *properties = parameters != NULL ? member(parameters, "properties", JSON_OBJECT) : NULL;
    for (const struct json *one = properties != NULL ? properties->child : NULL; one != NULL; one = one->next)
        if (one->key_length == parameter.length && memcmp(one->key, parameter.data, parameter.length) == 0)
            return one;
    return NULL;
}

static bool spells(pdk_string text, const char *word)
{
    return text.length == strlen(word) && strncasecmp(text.data, word, text.length) == 0;
}

/* Writes a number as its type wants it: a whole one has no fraction. */
static bool put_number(pdk_string text, bool integer, struct buffer *out)
{
    size_t before = out->length;
    if (text.length == 0 || strchr("+-0123456789.", text.data[0]) == NULL ||
        !value_scan_all(VALUE_PYTHON, text.data, text.length, out))
        return false;
    size_t length = out->length - before;
    bool fraction = memchr(out->data + before, '.', length) != NULL || memchr(out->data + before, 'e', length) != NULL;
    if (fraction && !integer && length > 2 && memcmp(out->data + out->length - 2, ".0", 2) == 0) {
        out->length -= 2;
        out->data[out->length] = '\0';
    } else if (fraction && integer) {
        out->length = before;
        return false;
    }
    return true;
}

static bool put_value(pdk_string text, struct buffer *out)
{
    return value_scan_all(VALUE_JSON, text.data, text.length, out) ||
           value_scan_all(VALUE_PYTHON, text.data, text.length, out);
}

static pdk_string trimmed(pdk_string text)
{
    while (text.length > 0 && strchr(" \t\r\n", text.data[text.length - 1]) != NULL)
        text.length--;
    while (text.length > 0 && strchr(" \t\r\n", text.data[0]) != NULL) {
        text.data++;
        text.length--;
    }
    return text;
}

void tool_set_value(const struct tool_set *set, pdk_string function, pdk_string parameter, pdk_string text, bool guess,
    struct buffer *out)
{
    const struct json *schema = parameter_schema(set, function, parameter);
    unsigned types = schema != NULL ? schema_types(schema, false) : 0;
    pdk_string word = trimmed(text);
    if (types != 0 && types != TYPE_STRING && spells(word, "null")) {
        buffer_puts(out, "null");
        return;
    }
    if ((types & TYPE_INTEGER) != 0 && put_number(word, true, out))
        return;
    if ((types & TYPE_NUMBER) != 0 && put_number(word, false, out))
        return;
    if ((types & TYPE_BOOLEAN) != 0 && (spells(word, "true") || spells(word, "false"))) {
        buffer_puts(out, spells(word, "true") ? "true" : "false");
        return;
    }
    bool any = (types & TYPE_VALUE) != 0 || (types == 0 && (guess || schema != NULL));
    bool brackets = word.length > 0 && (word.data[0] == '{' || word.data[0] == '[');
    if (any && (brackets || types == 0) &&
        (types == 0 ? value_scan_all(VALUE_JSON, word.data, word.length, out) : put_value(word, out)))
        return;
    json_escape(out, text.data, text.length);
}
