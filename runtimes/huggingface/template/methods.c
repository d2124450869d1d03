/* One row for each method. Those that would change a value are known, and refused when they are called. */
#include "config.h"

#include "runtimes/huggingface/template/methods.h"

#include <string.h>

/* startswith and endswith take one text or a tuple of them. */
static bool has_affix(struct render *render, const struct text *self, const struct arguments *arguments, bool front,
    struct value *ret_value)
{
    const struct value *given = argument(arguments, 0, "");
    if (given != NULL && given->type == VALUE_UNDEFINED)
        return render_undefined(render, *given);
    bool tuple = given != NULL && given->type == VALUE_LIST && given->list->kind == LIST_TUPLE;
    if (!tuple && (given == NULL || !is_text(*given)))
        return render_fail(render, "%s first arg must be str or a tuple of str, not %s",
            front ? "startswith" : "endswith", given == NULL ? "nothing" : value_type_name(*given));
    bool found = false;
    for (size_t i = 0; i < (tuple ? given->list->count : 1) && !found; i++) {
        struct value item = tuple ? given->list->items[i] : *given;
        if (!is_text(item) || item.text->length > self->length)
            continue;
        const char *at = front ? self->data : self->data + self->length - item.text->length;
        found = item.text->length == 0 || memcmp(at, item.text->data, item.text->length) == 0;
    }
    *ret_value = value_bool(found);
    return true;
}

static bool text_startswith(
    struct render *render, const struct text *self, const struct arguments *arguments, struct value *ret_value)
{
    return has_affix(render, self, arguments, true, ret_value);
}

static bool text_endswith(
    struct render *render, const struct text *self, const struct arguments *arguments, struct value *ret_value)
{
    return has_affix(render, self, arguments, false, ret_value);
}

static bool remove_affix(struct render *render, const struct text *self, const struct arguments *arguments, bool front,
    struct value *ret_value)
{
    struct value has;
    if (!has_affix(render, self, arguments, front, &has))
        return false;
    const struct value *given = argument(arguments, 0, "");
    size_t cut = has.truth && is_text(*given) ? given->text->length : 0;
    return make_slice(render, self, front ? cut : 0, front ? self->length : self->length - cut, ret_value);
}

static bool text_removeprefix(
    struct render *render, const struct text *self, const struct arguments *arguments, struct value *ret_value)
{
    return remove_affix(render, self, arguments, true, ret_value);
}

static bool text_removesuffix(
    struct render *render, const struct text *self, const struct arguments *arguments, struct value *ret_value)
{
    return remove_affix(render, self, arguments, false, ret_value);
}

/* Offset in characters of the first or last `what`, or -1. */
static bool find(
    struct render *render, const struct text *self, const struct arguments *arguments, bool last, int64_t *ret_place)
{
    const struct text *what = NULL;
    if (!argument_text(render, arguments, 0, "", &what) || !render_step(render, self->length / STEP_BYTES))
        return false;
    if (what == NULL)
        return render_fail(render, "must be str");
    *ret_place = -1;
    for (size_t from = 0; from <= self->length;) {
        const char *found = what->length == 0
                                ? self->data + from
                                : memmem(self->data + from, self->length - from, what->data, what->length);
        if (found == NULL)
            break;
        size_t at = (size_t)(found - self->data);
        struct text before = {.data = self->data, .length = at};
        *ret_place = (int64_t)text_chars(&before);
        if (!last)
            break;
        if (!render_step(render, 1 + at / STEP_BYTES))
            return false;
        from = at + 1;
    }
    return true;
}

static bool text_find(
    struct render *render, const struct text *self, const struct arguments *arguments, struct value *ret_value)
{
    *ret_value = value_int(0);
    return find(render, self, arguments, false, &ret_value->integer);
}

static bool text_rfind(
    struct render *render, const struct text *self, const struct arguments *arguments, struct value *ret_value)
{
    *ret_value = value_int(0);
    return find(render, self, arguments, true, &ret_value->integer);
}

static bool text_index(
    struct render *render, const struct text *self, const struct arguments *arguments, struct value *ret_value)
{
    *ret_value = value_int(0);
    return find(render, self, arguments, false, &ret_value->integer) &&
           (ret_value->integer >= 0 || render_fail(render, "substring not found"));
}

static bool text_count(
    struct render *render, const struct text *self, const struct arguments *arguments, struct value *ret_value)
{
    struct value parts;
    if (!text_split(render, self, arguments, &parts))
        return false;
    *ret_value = value_int((int64_t)parts.list->count - 1);
    return true;
}

static bool text_join_method(
    struct render *render, const struct text *self, const struct arguments *arguments, struct value *ret_value)
{
    struct list *list;
    const struct value *given = argument(arguments, 0, "");
    if (given == NULL)
        return render_fail(render, "join needs an argument");
    if (!to_list(render, *given, &list))
        return false;
    for (size_t i = 0; i < list->count; i++) {
        if (!is_text(list->items[i]))
            return render_fail(
                render, "sequence item %zu: expected str instance, %s found", i, value_type_name(list->items[i]));
    }
    return text_join_list(render, self, list, ret_value);
}

/* A check of ASCII letters and digits; other letters count as letters. */
static bool all_of(const struct text *self, bool digits, bool letters, bool spaces)
{
    for (size_t i = 0; i < self->length; i++) {
        unsigned char c = (unsigned char)self->data[i];
        bool digit = c >= '0' && c <= '9', letter = (c | 32) >= 'a' && (c | 32) <= 'z';
        bool space = c == ' ' || (c >= 9 && c <= 13);
        if (!((digits && digit) || (letters && (letter || c >= 0x80)) || (spaces && space)))
            return false;
    }
    return self->length != 0;
}

static bool text_isdigit(
    struct render *render, const struct text *self, const struct arguments *arguments, struct value *ret_value)
{
    (void)render;
    (void)arguments;
    *ret_value = value_bool(all_of(self, true, false, false));
    return true;
}

static bool text_isalpha(
    struct render *render, const struct text *self, const struct arguments *arguments, struct value *ret_value)
{
    (void)render;
    (void)arguments;
    *ret_value = value_bool(all_of(self, false, true, false));
    return true;
}

static bool text_isalnum(
    struct render *render, const struct text *self, const struct arguments *arguments, struct value *ret_value)
{
    (void)render;
    (void)arguments;
    *ret_value = value_bool(all_of(self, true, true, false));
    return true;
}

static bool text_isspace(
    struct render *render, const struct text *self, const struct arguments *arguments, struct value *ret_value)
{
    (void)render;
    (void)arguments;
    *ret_value = value_bool(all_of(self, false, false, true));
    return true;
}

static const struct {
    const char *name;
    text_function *call;
} text_methods[] = {
    {"capitalize", text_capitalize},
    {"center", text_center},
    {"count", text_count},
    {"endswith", text_endswith},
    {"find", text_find},
    {"format", text_format},
    {"index", text_index},
    {"isalnum", text_isalnum},
    {"isalpha", text_isalpha},
    {"isdigit", text_isdigit},
    {"isspace", text_isspace},
    {"join", text_join_method},
    {"lower", text_lower},
    {"lstrip", text_lstrip},
    {"removeprefix", text_removeprefix},
    {"removesuffix", text_removesuffix},
    {"replace", text_replace},
    {"rfind", text_rfind},
    {"rsplit", text_rsplit},
    {"rstrip", text_rstrip},
    {"split", text_split},
    {"splitlines", text_splitlines},
    {"startswith", text_startswith},
    {"strip", text_strip},
    {"title", text_title},
    {"upper", text_upper},
};

static bool dict_items(struct render *render, const struct dict *dict, struct value *ret_value)
{
    struct list *list = list_new(render, LIST_VIEW, dict->count);
    for (size_t i = 0; list != NULL && i < dict->count; i++) {
        struct value pair;
        if (!make_pair(render, dict->keys[i], dict->values[i], &pair) || !list_add(render, list, pair))
            return false;
    }
    *ret_value = value_list(list);
    return list != NULL;
}

static bool dict_side(struct render *render, const struct dict *dict, const struct value *from, struct value *ret_value)
{
    struct list *list = list_new(render, LIST_VIEW, dict->count);
    for (size_t i = 0; list != NULL && i < dict->count; i++) {
        if (!list_add(render, list, from[i]))
            return false;
    }
    *ret_value = value_list(list);
    return list != NULL;
}

static bool dict_get(
    struct render *render, const struct dict *dict, const struct arguments *arguments, struct value *ret_value)
{
    const struct value *key = argument(arguments, 0, "key"), *fallback = argument(arguments, 1, "default");
    if (key == NULL)
        return render_fail(render, "get expected at least 1 argument, got 0");
    const struct value *found = dict_find(dict, *key);
    *ret_value = found != NULL ? *found : fallback != NULL ? *fallback : value_none();
    return render_step(render, dict->count / 8);
}

static bool dict_copy(struct render *render, const struct dict *dict, struct value *ret_value)
{
    struct dict *copy = dict_new(render);
    for (size_t i = 0; copy != NULL && i < dict->count; i++) {
        if (!dict_set(render, copy, dict->keys[i], dict->values[i]))
            return false;
    }
    *ret_value = (struct value){.type = VALUE_DICT, .dict = copy};
    return copy != NULL;
}

static bool call_dict_method(
    struct render *render, const struct method *method, const struct arguments *arguments, struct value *ret_value)
{
    const struct dict *dict = method->object.dict;
    if (text_is(method->name, "get"))
        return dict_get(render, dict, arguments, ret_value);
    if (text_is(method->name, "items"))
        return dict_items(render, dict, ret_value);
    if (text_is(method->name, "copy"))
        return dict_copy(render, dict, ret_value);
    return dict_side(render, dict, text_is(method->name, "keys") ? dict->keys : dict->values, ret_value);
}

static bool call_list_method(
    struct render *render, const struct method *method, const struct arguments *arguments, struct value *ret_value)
{
    const struct list *list = method->object.list;
    const struct value *what = argument(arguments, 0, "");
    if (text_is(method->name, "copy")) {
        struct list *copy = list_new(render, LIST_LIST, list->count);
        for (size_t i = 0; copy != NULL && i < list->count; i++)
            copy->items[copy->count++] = list->items[i];
        *ret_value = value_list(copy);
        return copy != NULL;
    }
    if (what == NULL)
        return render_fail(render, "%s needs an argument", method->name->data);
    int64_t count = 0, place = -1;
    for (size_t i = 0; i < list->count; i++) {
        bool same = value_equal(list->items[i], *what, EQUAL_DEPTH);
        count += same;
        place = same && place < 0 ? (int64_t)i : place;
    }
    bool index = text_is(method->name, "index");
    *ret_value = value_int(index ? place : count);
    if (index && place < 0)
        return render_fail(render, "the value is not in the list");
    return render_step(render, list->count / 8);
}

/* loop.cycle(a, b) and loop.changed(x). */
static bool call_loop_method(
    struct render *render, const struct method *method, const struct arguments *arguments, struct value *ret_value)
{
    struct loop *loop = method->object.loop;
    if (arguments->count == 0)
        return render_fail(render, "%s needs an argument", method->name->data);
    if (text_is(method->name, "cycle")) {
        *ret_value = arguments->values[loop->index % arguments->count];
        return true;
    }
    bool same = loop->has_changed && value_equal(loop->changed, arguments->values[0], EQUAL_DEPTH);
    loop->changed = arguments->values[0];
    loop->has_changed = true;
    *ret_value = value_bool(!same);
    return true;
}

static const struct {
    enum value_type type;
    const char *name;
    bool unsafe;
} other_methods[] = {
    {VALUE_DICT, "copy", false},
    {VALUE_DICT, "get", false},
    {VALUE_DICT, "items", false},
    {VALUE_DICT, "keys", false},
    {VALUE_DICT, "values", false},
    {VALUE_DICT, "clear", true},
    {VALUE_DICT, "pop", true},
    {VALUE_DICT, "popitem", true},
    {VALUE_DICT, "setdefault", true},
    {VALUE_DICT, "update", true},
    {VALUE_LIST, "copy", false},
    {VALUE_LIST, "count", false},
    {VALUE_LIST, "index", false},
    {VALUE_LIST, "append", true},
    {VALUE_LIST, "clear", true},
    {VALUE_LIST, "extend", true},
    {VALUE_LIST, "insert", true},
    {VALUE_LIST, "pop", true},
    {VALUE_LIST, "remove", true},
    {VALUE_LIST, "reverse", true},
    {VALUE_LIST, "sort", true},
    {VALUE_LOOP, "changed", false},
    {VALUE_LOOP, "cycle", false},
};

bool has_method(enum value_type type, const struct text *name, bool *ret_unsafe)
{
    *ret_unsafe = false;
    for (size_t i = 0; type == VALUE_TEXT && i < sizeof text_methods / sizeof text_methods[0]; i++) {
        if (text_is(name, text_methods[i].name))
            return true;
    }
    for (size_t i = 0; i < sizeof other_methods / sizeof other_methods[0]; i++) {
        if (other_methods[i].type == type && text_is(name, other_methods[i].name)) {
            *ret_unsafe = other_methods[i].unsafe;
            return true;
        }
    }
    return false;
}

bool call_method(
    struct render *render, const struct method *method, const struct arguments *arguments, struct value *ret_value)
{
    switch (method->object.type) {
    case VALUE_DICT: return call_dict_method(render, method, arguments, ret_value);
    case VALUE_LIST: return call_list_method(render, method, arguments, ret_value);
    case VALUE_LOOP: return call_loop_method(render, method, arguments, ret_value);
    default: break;
    }
    for (size_t i = 0; i < sizeof text_methods / sizeof text_methods[0]; i++) {
        if (text_is(method->name, text_methods[i].name))
            return text_methods[i].call(render, method->object.text, arguments, ret_value);
    }
    return render_fail(render, "no method '%s'", method->name->data);
}
