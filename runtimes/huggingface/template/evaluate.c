/* Expressions. */
#include "config.h"

#include "runtimes/huggingface/template/render.h"

#include <stdio.h>
#include <string.h>

struct list *list_new(struct render *render, enum list_kind kind, size_t room)
{
    struct list *list = render_take(render, 1, sizeof *list);
    if (list == NULL)
        return NULL;
    *list = (struct list){.kind = kind, .room = room};
    list->items = room == 0 ? NULL : render_take(render, room, sizeof *list->items);
    return room != 0 && list->items == NULL ? NULL : list;
}

bool list_add(struct render *render, struct list *list, struct value value)
{
    if (!render_step(render, 1))
        return false;
    if (list->count == list->room) {
        size_t room = list->room < 8 ? 8 : list->room * 2;
        struct value *items = render_take(render, room, sizeof *items);
        if (items == NULL)
            return false;
        if (list->count != 0)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->room = room;
    }
    list->items[list->count++] = value;
    return true;
}

struct dict *dict_new(struct render *render)
{
    return render_take(render, 1, sizeof(struct dict));
}

bool dict_set(struct render *render, struct dict *dict, struct value key, struct value value)
{
    if (key.type == VALUE_LIST || key.type == VALUE_DICT)
        return render_fail(render, "unhashable type: '%s'", value_type_name(key));
    if (!render_step(render, 1 + dict->count / 8)) /* looked for one by one */
        return false;
    struct value *found = dict_find(dict, key);
    if (found != NULL) {
        *found = value;
        return true;
    }
    if (dict->count == dict->room) {
        size_t room = dict->room < 8 ? 8 : dict->room * 2;
        struct value *keys = render_take(render, room, sizeof *keys),
                     *values = render_take(render, room, sizeof *values);
        if (keys == NULL || values == NULL)
            return false;
        if (dict->count != 0) {
            memcpy(keys, dict->keys, dict->count * sizeof *keys);
            memcpy(values, dict->values, dict->count * sizeof *values);
        }
        dict->keys = keys;
        dict->values = values;
        dict->room = room;
    }
    dict->keys[dict->count] = key;
    dict->values[dict->count++] = value;
    return true;
}

bool make_pair(struct render *render, struct value a, struct value b, struct value *ret_pair)
{
    struct list *list = list_new(render, LIST_TUPLE, 2);
    if (list == NULL)
        return false;
    list->items[0] = a;
    list->items[1] = b;
    list->count = 2;
    *ret_pair = value_list(list);
    return true;
}

bool to_list(struct render *render, struct value value, struct list **ret_list)
{
    if (value.type == VALUE_LIST) {
        *ret_list = value.list;
        return true;
    }
    struct list *list = list_new(render, LIST_LIST, 0);
    *ret_list = list;
    if (list == NULL || value.type == VALUE_UNDEFINED)
        return list != NULL && (value.missing == NULL || !value.missing->unsafe || render_undefined(render, value));
    if (value.type == VALUE_DICT) {
        for (size_t i = 0; i < value.dict->count; i++) {
            if (!list_add(render, list, value.dict->keys[i]))
                return false;
        }
        return true;
    }
    if (value.type != VALUE_TEXT)
        return render_fail(render, "'%s' object is not iterable", value_type_name(value));
    for (size_t i = 0, end; i < value.text->length; i = end) {
        struct value item;
        end = i + 1;
        while (end < value.text->length && ((unsigned char)value.text->data[end] & 0xC0) == 0x80)
            end++;
        if (!make_slice(render, value.text, i, end, &item) || !list_add(render, list, item))
            return false;
    }
    return true;
}

const struct value *argument(const struct arguments *arguments, size_t place, const char *name)
{
    for (size_t i = 0; i < arguments->count; i++) {
        if (arguments->names[i] == NULL ? i == place : text_is(arguments->names[i], name))
            return &arguments->values[i];
    }
    return NULL;
}

bool argument_int(
    struct render *render, const struct arguments *arguments, size_t place, const char *name, int64_t *value)
{
    const struct value *given = argument(arguments, place, name);
    if (given == NULL || given->type == VALUE_NONE)
        return true;
    if (given->type != VALUE_INT && given->type != VALUE_BOOL)
        return render_fail(render, "argument '%s' must be an integer, not %s", name, value_type_name(*given));
    *value = given->type == VALUE_INT ? given->integer : given->truth;
    return true;
}

bool argument_text(
    struct render *render, const struct arguments *arguments, size_t place, const char *name, const struct text **value)
{
    const struct value *given = argument(arguments, place, name);
    if (given == NULL || given->type == VALUE_NONE)
        return true;
    if (given->type == VALUE_UNDEFINED)
        return render_undefined(render, *given);
    if (!is_text(*given))
        return render_fail(render, "argument '%s' must be a string, not %s", name, value_type_name(*given));
    *value = given->text;
    return true;
}

/* The name as Python would show the object's type in such a message. */
static void object_name(struct value object, char out[64])
{
    if (object.type == VALUE_NONE)
        snprintf(out, 64, "None");
    else
        snprintf(out, 64, "%s object", value_type_name(object));
}

bool render_undefined(struct render *render, struct value value)
{
    const struct missing *missing = value.missing;
    char object[64];
    if (missing == NULL)
        return render_fail(render, "parameter was not provided");
    if (missing->hint != NULL)
        return render_fail(render, "%s", missing->hint);
    if (missing->unsafe)
        return render_fail(render, "access to attribute '%.100s' of '%s' object is unsafe.", missing->name.text->data,
            value_type_name(missing->object));
    if (missing->object.type == VALUE_UNDEFINED)
        return render_fail(render, "'%.200s' is undefined", missing->name.text->data);
    object_name(missing->object, object);
    struct builder builder = {.render = render};
    const struct text *name;
    if (!builder_put_value(&builder, missing->name, true, 8) || !builder_put(&builder, "", 1, false) ||
        !builder_text(&builder, &name))
        return false;
    if (is_text(missing->name))
        return render_fail(render, "'%s' has no attribute %.200s", object, name->data);
    return render_fail(render, "%s has no element %.200s", object, name->data);
}

static bool make_missing(
    struct render *render, struct value object, struct value name, bool unsafe, struct value *ret_value)
{
    struct missing *missing = render_take(render, 1, sizeof *missing);
    if (missing == NULL)
        return false;
    *missing = (struct missing){.object = object, .name = name, .unsafe = unsafe};
    *ret_value = (struct value){.type = VALUE_UNDEFINED, .missing = missing};
    return true;
}

/* A name's value: a variable, or one of the functions that every template has. */
static bool get_name(struct render *render, const struct text *name, struct value *ret_value)
{
    const struct value *found = scope_find(render->scope, name);
    if (found != NULL) {
        *ret_value = *found;
        return true;
    }
    const struct function *function = find_function(name);
    if (function != NULL) {
        *ret_value = (struct value){.type = VALUE_FUNCTION, .function = function};
        return true;
    }
    return make_missing(render, (struct value){.type = VALUE_UNDEFINED}, value_text(name), false, ret_value);
}

static bool get_loop_member(
    struct render *render, const struct loop *loop, const struct text *name, struct value *ret_value)
{
    size_t count = loop->items->count, index = loop->index;
    const struct {
        const char *name;
        struct value value;
    } members[] = {
        {"index", value_int((int64_t)index + 1)},
        {"index0", value_int((int64_t)index)},
        {"first", value_bool(index == 0)},
        {"last", value_bool(index + 1 == count)},
        {"length", value_int((int64_t)count)},
        {"revindex", value_int((int64_t)(count - index))},
        {"revindex0", value_int((int64_t)(count - index - 1))},
        {"depth", value_int((int64_t)loop->depth + 1)},
        {"depth0", value_int((int64_t)loop->depth)},
    };
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        if (text_is(name, members[i].name)) {
            *ret_value = members[i].value;
            return true;
        }
    }
    struct value self = {.type = VALUE_LOOP};
    if (text_is(name, "previtem") && index > 0)
        *ret_value = loop->items->items[index - 1];
    else if (text_is(name, "nextitem") && index + 1 < count)
        *ret_value = loop->items->items[index + 1];
    else
        return make_missing(render, self, value_text(name), false, ret_value);
    return true;
}

static bool get_method(
    struct render *render, struct value object, const struct text *name, bool *ret_found, struct value *ret_value)
{
    bool unsafe = false;
    *ret_found = has_method(object.type, name, &unsafe);
    if (!*ret_found)
        return true;
    if (unsafe)
        return make_missing(render, object, value_text(name), true, ret_value);
    struct method *method = render_take(render, 1, sizeof *method);
    if (method == NULL)
        return false;
    *method = (struct method){object, name};
    *ret_value = (struct value){.type = VALUE_METHOD, .method = method};
    return true;
}

bool get_member(struct render *render, struct value object, const struct text *name, struct value *ret_value)
{
    bool found = false;
    if (object.type == VALUE_UNDEFINED)
        return render_undefined(render, object);
    if (!get_method(render, object, name, &found, ret_value) || found)
        return found;
    if (object.type == VALUE_LOOP && !found)
        return get_loop_member(render, object.loop, name, ret_value);
    if (object.type == VALUE_DICT || object.type == VALUE_NAMESPACE) {
        const struct value *member = dict_find_word(object.dict, name->data, name->length);
        if (member != NULL) {
            *ret_value = *member;
            return true;
        }
    }
    if (object.type == VALUE_MACRO && text_is(name, "name") && object.macro->node->name != NULL) {
        *ret_value = value_text(object.macro->node->name);
        return true;
    }
    return make_missing(render, object, value_text(name), false, ret_value);
}

/* An index from the end where it is negative. False: outside. */
static bool place_of(int64_t index, size_t count, size_t *ret_place)
{
    if (index < 0)
        index += (int64_t)count;
    *ret_place = (size_t)index;
    return index >= 0 && (size_t)index < count;
}

bool get_index(struct render *render, struct value object, struct value key, struct value *ret_value)
{
    size_t place;
    if (object.type == VALUE_UNDEFINED)
        return render_undefined(render, object);
    if (object.type == VALUE_DICT) {
        const struct value *member = dict_find(object.dict, key);
        if (member != NULL) {
            *ret_value = *member;
            return true;
        }
    }
    int64_t index = key.type == VALUE_BOOL ? key.truth : key.type == VALUE_INT ? key.integer : 0;
    bool number = key.type == VALUE_INT || key.type == VALUE_BOOL;
    if (object.type == VALUE_LIST && number && object.list->kind < LIST_GENERATOR &&
        place_of(index, object.list->count, &place)) {
        *ret_value = object.list->items[place];
        return true;
    }
    if (object.type == VALUE_TEXT && number && place_of(index, text_chars(object.text), &place)) {
        size_t start = text_offset(object.text, place), end = text_offset(object.text, place + 1);
        return make_slice(render, object.text, start, end, ret_value);
    }
    if (is_text(key))
        return get_member(render, object, key.text, ret_value);
    return make_missing(render, object, key, false, ret_value);
}

/* A bound of a slice, as Python clips it. */
static bool slice_bound(struct render *render, struct value value, int64_t absent, int64_t least, int64_t most,
    int64_t count, int64_t *ret_bound)
{
    *ret_bound = absent;
    if (value.type == VALUE_NONE)
        return true;
    if (value.type != VALUE_INT && value.type != VALUE_BOOL)
        return render_fail(render, "slice indices must be integers or None or have an __index__ method");
    int64_t bound = value.type == VALUE_BOOL ? value.truth : value.integer;
    if (bound < 0)
        bound += count;
    *ret_bound = bound < least ? least : bound > most ? most : bound;
    return true;
}

bool get_slice(struct render *render, struct value object, struct value start, struct value stop, struct value step,
    struct value *ret_value)
{
    if (object.type == VALUE_UNDEFINED)
        return render_undefined(render, object);
    if (object.type != VALUE_LIST && object.type != VALUE_TEXT)
        return make_missing(render, object, value_none(), false, ret_value);
    bool list = object.type == VALUE_LIST;
    int64_t count = (int64_t)(list ? object.list->count : text_chars(object.text)), by = 1, from, to;
    if (step.type == VALUE_INT && step.integer != 0)
        by = step.integer;
    else if (step.type != VALUE_NONE)
        return render_fail(render, "slice step must be an integer other than zero");
    int64_t least = by > 0 ? 0 : -1, most = by > 0 ? count : count - 1;
    if (!slice_bound(render, start, by > 0 ? 0 : count - 1, least, most, count, &from) ||
        !slice_bound(render, stop, by > 0 ? count : -1, least, most, count, &to))
        return false;
    if (!list && by == 1)
        return make_slice(render, object.text, text_offset(object.text, (size_t)from),
            text_offset(object.text, (size_t)(to > from ? to : from)), ret_value);
    struct list *all, *out = list_new(render, list ? object.list->kind : LIST_LIST, 0);
    if (out == NULL || !to_list(render, object, &all))
        return false;
    for (int64_t i = from; by > 0 ? i < to : i > to;) {
        if (!list_add(render, out, all->items[i]))
            return false;
        if (__builtin_add_overflow(i, by, &i))
            break;
    }
    *ret_value = value_list(out);
    if (list)
        return true;
    struct builder builder = {.render = render};
    const struct text *text;
    for (size_t i = 0; i < out->count; i++) {
        if (!builder_put_text(&builder, out->items[i].text, 0, out->items[i].text->length))
            return false;
    }
    if (!builder_text(&builder, &text))
        return false;
    *ret_value = value_text(text);
    return true;
}

bool evaluate_arguments(struct render *render, const struct node *items, struct arguments *ret_arguments)
{
    *ret_arguments = (struct arguments){0};
    size_t count = 0;
    for (const struct node *at = items; at != NULL; at = at->next)
        count++;
    if (count == 0)
        return true;
    ret_arguments->values = render_take(render, count, sizeof *ret_arguments->values);
    ret_arguments->names = render_take(render, count, sizeof *ret_arguments->names);
    if (ret_arguments->values == NULL || ret_arguments->names == NULL)
        return false;
    for (const struct node *at = items; at != NULL; at = at->next) {
        ret_arguments->names[ret_arguments->count] = at->name;
        if (!evaluate(render, at->a, &ret_arguments->values[ret_arguments->count++]))
            return false;
    }
    return true;
}

bool call_value(struct render *render, struct value callee, const struct arguments *arguments, struct value *ret_value)
{
    switch (callee.type) {
    case VALUE_MACRO: return call_macro(render, callee.macro, arguments, ret_value);
    case VALUE_METHOD: return call_method(render, callee.method, arguments, ret_value);
    case VALUE_FUNCTION: return callee.function->call(render, arguments, ret_value);
    case VALUE_UNDEFINED: return render_undefined(render, callee);
    default: return render_fail(render, "'%s' object is not callable", value_type_name(callee));
    }
}

static bool evaluate_items(struct render *render, const struct node *node, struct value *ret_value)
{
    if (node->kind == NODE_LIST) {
        struct list *list = list_new(render, node->flag ? LIST_TUPLE : LIST_LIST, 0);
        for (const struct node *at = node->items; list != NULL && at != NULL; at = at->next) {
            struct value item;
            if (!evaluate(render, at, &item) || !list_add(render, list, item))
                return false;
        }
        *ret_value = value_list(list);
        return list != NULL;
    }
    struct dict *dict = dict_new(render);
    for (const struct node *at = node->items; dict != NULL && at != NULL; at = at->next) {
        struct value key, value;
        if (!evaluate(render, at->a, &key) || !evaluate(render, at->b, &value) || !dict_set(render, dict, key, value))
            return false;
    }
    *ret_value = (struct value){.type = VALUE_DICT, .dict = dict};
    return dict != NULL;
}

static bool evaluate_index(struct render *render, const struct node *node, struct value *ret_value)
{
    struct value object, key, parts[3] = {value_none(), value_none(), value_none()};
    if (!evaluate(render, node->a, &object))
        return false;
    if (node->b->kind != NODE_SLICE)
        return evaluate(render, node->b, &key) && get_index(render, object, key, ret_value);
    const struct node *nodes[3] = {node->b->a, node->b->b, node->b->c};
    for (unsigned i = 0; i < 3; i++) {
        if (nodes[i] != NULL && !evaluate(render, nodes[i], &parts[i]))
            return false;
    }
    return get_slice(render, object, parts[0], parts[1], parts[2], ret_value);
}

/* a < b < c: each with the one before it. */
static bool evaluate_comparisons(struct render *render, const struct node *node, struct value *ret_value)
{
    struct value left, right;
    bool truth = true;
    if (!evaluate(render, node->a, &left))
        return false;
    for (const struct node *at = node->items; at != NULL && truth; at = at->next) {
        if (!evaluate(render, at->a, &right) || !compare(render, at->op, left, right, &truth))
            return false;
        left = right;
    }
    *ret_value = value_bool(truth);
    return true;
}

static bool evaluate_unary(struct render *render, const struct node *node, struct value *ret_value)
{
    struct value value;
    if (!evaluate(render, node->a, &value))
        return false;
    if (node->op == '!') {
        *ret_value = value_bool(!value_truth(value));
        return true;
    }
    if (value.type == VALUE_UNDEFINED)
        return render_undefined(render, value);
    if (value.type == VALUE_FLOAT)
        *ret_value = value_float(node->op == '-' ? -value.real : value.real);
    else if (value.type == VALUE_INT && value.integer != INT64_MIN)
        *ret_value = value_int(node->op == '-' ? -value.integer : value.integer);
    else
        return render_fail(render, "bad operand type for unary %c: '%s'", node->op, value_type_name(value));
    return true;
}

static bool evaluate_choice(struct render *render, const struct node *node, struct value *ret_value)
{
    struct value truth;
    if (!evaluate(render, node->b, &truth))
        return false;
    if (value_truth(truth))
        return evaluate(render, node->a, ret_value);
    if (node->c != NULL)
        return evaluate(render, node->c, ret_value);
    static const struct text name = {.data = "the inline if-expression", .length = 24};
    return make_missing(render, (struct value){.type = VALUE_UNDEFINED}, value_text(&name), false, ret_value);
}

static bool evaluate_named(struct render *render, const struct node *node, struct value *ret_value)
{
    struct value input;
    struct arguments arguments;
    bool truth;
    if (!evaluate(render, node->a, &input) || !evaluate_arguments(render, node->items, &arguments))
        return false;
    if (node->kind == NODE_FILTER)
        return apply_filter(render, node->name, input, &arguments, ret_value);
    if (!apply_test(render, node->name, input, &arguments, &truth))
        return false;
    *ret_value = value_bool(truth != node->flag);
    return true;
}

static bool evaluate_node(struct render *render, const struct node *node, struct value *ret_value)
{
    struct value a, b;
    struct arguments arguments;
    switch (node->kind) {
    case NODE_CONST: *ret_value = node->constant; return true;
    case NODE_NAME: return get_name(render, node->name, ret_value);
    case NODE_LIST:
    case NODE_DICT: return evaluate_items(render, node, ret_value);
    case NODE_MEMBER: return evaluate(render, node->a, &a) && get_member(render, a, node->name, ret_value);
    case NODE_INDEX: return evaluate_index(render, node, ret_value);
    case NODE_CALL:
        return evaluate(render, node->a, &a) && evaluate_arguments(render, node->items, &arguments) &&
               call_value(render, a, &arguments, ret_value);
    case NODE_FILTER:
    case NODE_TEST: return evaluate_named(render, node, ret_value);
    case NODE_UNARY: return evaluate_unary(render, node, ret_value);
    case NODE_BINARY:
        return evaluate(render, node->a, &a) && evaluate(render, node->b, &b) &&
               operate(render, node->op, a, b, ret_value);
    case NODE_AND:
    case NODE_OR:
        if (!evaluate(render, node->a, ret_value))
            return false;
        return value_truth(*ret_value) == (node->kind == NODE_OR) || evaluate(render, node->b, ret_value);
    case NODE_COMPARE: return evaluate_comparisons(render, node, ret_value);
    case NODE_CHOICE: return evaluate_choice(render, node, ret_value);
    default: return render_fail(render, "not an expression");
    }
}

bool evaluate(struct render *render, const struct node *node, struct value *ret_value)
{
    *ret_value = (struct value){.type = VALUE_UNDEFINED};
    if (render_step(render, 1) && render_stack_left(render) && evaluate_node(render, node, ret_value))
        return true;
    render_place(render, node);
    return false;
}
