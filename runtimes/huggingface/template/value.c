/* Questions that need no memory. */
#include "config.h"

#include "runtimes/huggingface/template/value.h"

#include <string.h>

bool value_truth(struct value value)
{
    switch (value.type) {
    case VALUE_UNDEFINED:
    case VALUE_NONE: return false;
    case VALUE_BOOL: return value.truth;
    case VALUE_INT: return value.integer != 0;
    case VALUE_FLOAT: return value.real != 0;
    case VALUE_TEXT: return value.text->length != 0;
    case VALUE_LIST: return value.list->count != 0 || value.list->kind == LIST_GENERATOR;
    case VALUE_DICT: return value.dict->count != 0;
    default: return true;
    }
}

bool text_is(const struct text *text, const char *word)
{
    return strlen(word) == text->length && memcmp(text->data, word, text->length) == 0;
}

bool text_equal(const struct text *a, const struct text *b)
{
    return a->length == b->length && (a->length == 0 || memcmp(a->data, b->data, a->length) == 0);
}

static bool is_number(struct value value)
{
    return value.type == VALUE_INT || value.type == VALUE_FLOAT || value.type == VALUE_BOOL;
}

static double number_of(struct value value)
{
    return value.type == VALUE_FLOAT ? value.real : value.type == VALUE_BOOL ? value.truth : (double)value.integer;
}

static bool equal_lists(const struct list *a, const struct list *b, unsigned depth)
{
    if (a->kind != b->kind || a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (!value_equal(a->items[i], b->items[i], depth - 1))
            return false;
    }
    return true;
}

static bool equal_dicts(const struct dict *a, const struct dict *b, unsigned depth)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const struct value *other = dict_find(b, a->keys[i]);
        if (other == NULL || !value_equal(a->values[i], *other, depth - 1))
            return false;
    }
    return true;
}

bool value_equal(struct value a, struct value b, unsigned depth)
{
    if (is_number(a) && is_number(b)) {
        if (a.type != VALUE_FLOAT && b.type != VALUE_FLOAT)
            return (a.type == VALUE_BOOL ? a.truth : a.integer) == (b.type == VALUE_BOOL ? b.truth : b.integer);
        return number_of(a) == number_of(b);
    }
    if (a.type != b.type || depth == 0)
        return false;
    switch (a.type) {
    case VALUE_UNDEFINED:
    case VALUE_NONE: return true;
    case VALUE_TEXT: return text_equal(a.text, b.text);
    case VALUE_LIST: return equal_lists(a.list, b.list, depth);
    case VALUE_DICT: return equal_dicts(a.dict, b.dict, depth);
    default: return a.dict == b.dict;
    }
}

const char *value_type_name(struct value value)
{
    static const char *const lists[] = {"list", "tuple", "generator", "dict_items"};
    switch (value.type) {
    case VALUE_UNDEFINED: return "Undefined";
    case VALUE_NONE: return "NoneType";
    case VALUE_BOOL: return "bool";
    case VALUE_INT: return "int";
    case VALUE_FLOAT: return "float";
    case VALUE_TEXT: return "str";
    case VALUE_LIST: return lists[value.list->kind];
    case VALUE_DICT: return "dict";
    case VALUE_NAMESPACE: return "Namespace";
    case VALUE_MACRO: return "Macro";
    case VALUE_LOOP: return "LoopContext";
    case VALUE_METHOD: return "builtin_function_or_method";
    case VALUE_FUNCTION: return "function";
    }
    return "object";
}

struct value *dict_find(const struct dict *dict, struct value key)
{
    if (is_text(key))
        return dict_find_word(dict, key.text->data, key.text->length);
    for (size_t i = 0; i < dict->count; i++) {
        if (value_equal(dict->keys[i], key, 8))
            return &dict->values[i];
    }
    return NULL;
}

struct value *dict_find_word(const struct dict *dict, const char *word, size_t length)
{
    for (size_t i = 0; i < dict->count; i++) {
        struct value key = dict->keys[i];
        if (is_text(key) && key.text->length == length && memcmp(key.text->data, word, length) == 0)
            return &dict->values[i];
    }
    return NULL;
}
