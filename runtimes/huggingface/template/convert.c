/* JSON in and out. */
#include "config.h"

#include "runtimes/huggingface/template/render.h"

#include "core/base/json.h"
#include "core/base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { JSON_DEPTH = 64, INDENT_MAX = 64 };

/* The reader has bounded the depth of `json`. */
bool json_to_value(struct render *render, const struct json *json, bool plain, struct value *ret_value)
{
    int64_t integer;
    double real;
    switch (json->type) {
    case JSON_NULL: *ret_value = value_none(); return true;
    case JSON_FALSE:
    case JSON_TRUE: *ret_value = value_bool(json->type == JSON_TRUE); return true;
    case JSON_STRING: return make_text(render, json->text, json->length, plain, ret_value);
    case JSON_NUMBER:
        if (strpbrk(json->text, ".eE") == NULL && json_int64(json, &integer))
            *ret_value = value_int(integer);
        else if (json_double(json, &real))
            *ret_value = value_float(real);
        else
            return render_fail(render, "number out of range: %.32s", json->text);
        return true;
    case JSON_ARRAY: {
        struct list *list = list_new(render, LIST_LIST, json->count);
        for (const struct json *at = json->child; list != NULL && at != NULL; at = at->next) {
            struct value item;
            if (!json_to_value(render, at, plain, &item) || !list_add(render, list, item))
                return false;
        }
        *ret_value = value_list(list);
        return list != NULL;
    }
    case JSON_OBJECT: break;
    }
    struct dict *dict = dict_new(render);
    for (const struct json *at = json->child; dict != NULL && at != NULL; at = at->next) {
        struct value key, value;
        if (!make_text(render, at->key, at->key_length, plain, &key) || !json_to_value(render, at, plain, &value) ||
            !dict_set(render, dict, key, value))
            return false;
    }
    *ret_value = (struct value){.type = VALUE_DICT, .dict = dict};
    return dict != NULL;
}

/* json.dumps with what transformers passes on: no HTML escapes, letters as they are. */
struct json_out {
    struct builder *out;
    const struct text *item, *colon; /* separators */
    int64_t indent;                  /* -1: on one line */
    bool ascii, sorted, plain;
};

static bool put(struct json_out *json, const char *text)
{
    return builder_put(json->out, text, strlen(text), json->plain);
}

static bool put_separator(struct json_out *json, const struct text *text)
{
    return builder_put(json->out, text->data, text->length, json->plain || text_is_plain(text));
}

static bool put_line(struct json_out *json, unsigned level)
{
    if (json->indent < 0)
        return true;
    bool done = put(json, "\n");
    for (int64_t i = 0; i < json->indent * level && done; i++)
        done = put(json, " ");
    return done;
}

static bool put_escaped(struct json_out *json, uint32_t code)
{
    static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";
    char text[16];
    const char *found = code != 0 && code < 0x80 ? strchr(from, (int)code) : NULL;
    if (found != NULL)
        snprintf(text, sizeof text, "\\%c", to[found - from]);
    else if (code >= 0x10000)
        snprintf(text, sizeof text, "\\u%04x\\u%04x", 0xD800 + ((code - 0x10000) >> 10),
            0xDC00 + ((code - 0x10000) & 0x3FF));
    else
        snprintf(text, sizeof text, "\\u%04x", code);
    return put(json, text);
}

static bool put_string(struct json_out *json, const struct text *text)
{
    bool done = put(json, "\"");
    for (size_t i = 0; i < text->length && done;) {
        size_t end = i;
        while (end < text->length && text->data[end] != '"' && text->data[end] != '\\' &&
               (unsigned char)text->data[end] >= 0x20 && (!json->ascii || (unsigned char)text->data[end] < 0x7F))
            end++;
        done = builder_put(json->out, text->data + i, end - i, json->plain);
        if (!done || end == text->length)
            break;
        uint32_t code = 0xFFFD;
        size_t length = utf8_decode(text->data + end, text->length - end, &code);
        done = put_escaped(json, code);
        i = end + (length != 0 ? length : 1);
    }
    return done && put(json, "\"");
}

static bool put_json(struct json_out *json, struct value value, unsigned level);

static bool put_key(struct json_out *json, struct value key)
{
    char text[32];
    switch (key.type) {
    case VALUE_TEXT: return put_string(json, key.text);
    case VALUE_NONE: return put(json, "\"null\"");
    case VALUE_BOOL: return put(json, key.truth ? "\"true\"" : "\"false\"");
    case VALUE_INT: snprintf(text, sizeof text, "\"%lld\"", (long long)key.integer); return put(json, text);
    default:
        return render_fail(
            json->out->render, "keys must be str, int, float, bool or None, not %s", value_type_name(key));
    }
}

static int compare_keys(struct value a, struct value b)
{
    if (!is_text(a) || !is_text(b))
        return 0;
    size_t least = a.text->length < b.text->length ? a.text->length : b.text->length;
    int order = least == 0 ? 0 : memcmp(a.text->data, b.text->data, least);
    return order != 0 ? order : (a.text->length > b.text->length) - (a.text->length < b.text->length);
}

/* The member that comes after `last` in the order of keys; the count is small where anyone sorts. */
static size_t next_sorted(const struct dict *dict, size_t last)
{
    size_t best = dict->count;
    for (size_t i = 0; i < dict->count; i++) {
        if (last != dict->count && compare_keys(dict->keys[i], dict->keys[last]) <= 0)
            continue;
        if (best == dict->count || compare_keys(dict->keys[i], dict->keys[best]) < 0)
            best = i;
    }
    return best;
}

static bool put_members(struct json_out *json, const struct dict *dict, unsigned level)
{
    if (dict->count == 0)
        return put(json, "{}");
    bool done = put(json, "{");
    size_t at = json->sorted ? next_sorted(dict, dict->count) : 0;
    for (size_t i = 0; i < dict->count && at < dict->count && done; i++) {
        done = (i == 0 || put_separator(json, json->item)) && put_line(json, level + 1) &&
               put_key(json, dict->keys[at]) && put_separator(json, json->colon) &&
               put_json(json, dict->values[at], level + 1) &&
               render_step(json->out->render, json->sorted ? dict->count : 1);
        at = json->sorted ? next_sorted(dict, at) : at + 1;
    }
    return done && put_line(json, level) && put(json, "}");
}

static bool put_elements(struct json_out *json, const struct list *list, unsigned level)
{
    if (list->count == 0)
        return put(json, "[]");
    bool done = put(json, "[");
    for (size_t i = 0; i < list->count && done; i++)
        done = (i == 0 || put_separator(json, json->item)) && put_line(json, level + 1) &&
               put_json(json, list->items[i], level + 1);
    return done && put_line(json, level) && put(json, "]");
}

static bool put_json(struct json_out *json, struct value value, unsigned level)
{
    char text[32];
    if (level >= JSON_DEPTH)
        return render_fail(json->out->render, "a value for tojson is nested deeper than %d levels", JSON_DEPTH);
    if (!render_step(json->out->render, 1))
        return false;
    switch (value.type) {
    case VALUE_NONE: return put(json, "null");
    case VALUE_BOOL: return put(json, value.truth ? "true" : "false");
    case VALUE_INT: snprintf(text, sizeof text, "%lld", (long long)value.integer); return put(json, text);
    case VALUE_FLOAT:
        if (!isfinite(value.real))
            return put(json, isnan(value.real) ? "NaN" : value.real < 0 ? "-Infinity" : "Infinity");
        return builder_put(json->out, text, float_write(value.real, text), json->plain);
    case VALUE_TEXT: return put_string(json, value.text);
    case VALUE_DICT: return put_members(json, value.dict, level);
    case VALUE_LIST:
        if (value.list->kind == LIST_LIST || value.list->kind == LIST_TUPLE)
            return put_elements(json, value.list, level);
        break;
    default: break;
    }
    return render_fail(json->out->render, "Object of type %s is not JSON serializable", value_type_name(value));
}

static bool read_separators(struct json_out *json, const struct value *separators)
{
    if (separators == NULL || separators->type == VALUE_NONE)
        return true;
    const struct list *list = separators->type == VALUE_LIST ? separators->list : NULL;
    if (list == NULL || list->count != 2 || !is_text(list->items[0]) || !is_text(list->items[1]))
        return render_fail(json->out->render, "separators of tojson must be two strings");
    json->item = list->items[0].text;
    json->colon = list->items[1].text;
    return true;
}

bool builder_put_json(struct builder *builder, struct value value, const struct arguments *options)
{
    static const struct text comma = {.data = ", ", .length = 2}, bare_comma = {.data = ",", .length = 1},
                             colon = {.data = ": ", .length = 2};
    struct json_out json = {.out = builder, .indent = -1, .item = &comma, .colon = &colon};
    const struct value *ascii = argument(options, 0, "ensure_ascii"), *sorted = argument(options, 3, "sort_keys");
    const struct value *indent = argument(options, 1, "indent");
    if (indent != NULL && indent->type != VALUE_NONE) {
        if (indent->type != VALUE_INT || indent->integer > INDENT_MAX)
            return render_fail(builder->render, "indent of tojson must be an integer up to %d", INDENT_MAX);
        json.indent = indent->integer < 0 ? 0 : indent->integer;
        json.item = &bare_comma;
    }
    if (!read_separators(&json, argument(options, 2, "separators")))
        return false;
    json.ascii = ascii != NULL && value_truth(*ascii);
    json.sorted = sorted != NULL && value_truth(*sorted);
    json.plain = value_is_plain(value, JSON_DEPTH);
    return put_json(&json, value, 0);
}
