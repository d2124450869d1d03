/* Filters on lists and dicts. What gives a generator in Python is a list that says so. */
#include "config.h"

#include "runtimes/huggingface/template/filters.h"

#include "runtimes/huggingface/template/methods.h"

#include <stdlib.h>
#include <string.h>

bool get_path(struct render *render, struct value input, struct value path, struct value *ret_value)
{
    *ret_value = input;
    if (!is_text(path))
        return get_index(render, input, path, ret_value);
    const struct text *text = path.text;
    for (size_t start = 0, end; start <= text->length; start = end + 1) {
        struct value part;
        end = start;
        bool digits = true;
        int64_t number = 0;
        for (; end < text->length && text->data[end] != '.'; end++) {
            digits = digits && text->data[end] >= '0' && text->data[end] <= '9' && end - start < 9;
            number = digits ? number * 10 + (text->data[end] - '0') : 0;
        }
        if (!make_slice(render, text, start, end, &part))
            return false;
        if (digits && end > start)
            part = value_int(number);
        if (!get_index(render, *ret_value, part, ret_value))
            return false;
    }
    return true;
}

bool filter_list(struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    struct list *list, *copy;
    (void)arguments;
    if (!to_list(render, input, &list))
        return false;
    copy = list_new(render, LIST_LIST, list->count);
    for (size_t i = 0; copy != NULL && i < list->count; i++) {
        if (!list_add(render, copy, list->items[i]))
            return false;
    }
    *ret_value = value_list(copy);
    return copy != NULL;
}

/* What an empty sequence has in the place of an item. */
static bool no_item(struct render *render, const char *hint, struct value *ret_value)
{
    struct missing *missing = render_take(render, 1, sizeof *missing);
    if (missing == NULL)
        return false;
    *missing = (struct missing){.hint = hint};
    *ret_value = (struct value){.type = VALUE_UNDEFINED, .missing = missing};
    return true;
}

static bool end_item(struct render *render, struct value input, bool last, struct value *ret_value)
{
    struct list *list;
    if (!to_list(render, input, &list))
        return false;
    if (list->count == 0)
        return no_item(
            render, last ? "No last item, sequence was empty." : "No first item, sequence was empty.", ret_value);
    *ret_value = list->items[last ? list->count - 1 : 0];
    return true;
}

bool filter_first(struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    (void)arguments;
    return end_item(render, input, false, ret_value);
}

bool filter_last(struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    (void)arguments;
    return end_item(render, input, true, ret_value);
}

bool filter_items(struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    struct list *list = list_new(render, LIST_GENERATOR, 0);
    (void)arguments;
    if (input.type != VALUE_DICT && input.type != VALUE_UNDEFINED)
        return render_fail(render, "Can only get item pairs from a mapping.");
    for (size_t i = 0; list != NULL && input.type == VALUE_DICT && i < input.dict->count; i++) {
        struct value pair;
        if (!make_pair(render, input.dict->keys[i], input.dict->values[i], &pair) || !list_add(render, list, pair))
            return false;
    }
    *ret_value = value_list(list);
    return list != NULL;
}

bool filter_reverse(
    struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    (void)arguments;
    struct list *list;
    if (is_text(input))
        return get_slice(render, input, value_none(), value_none(), value_int(-1), ret_value);
    if (!to_list(render, input, &list))
        return false;
    struct list *out = list_new(render, LIST_GENERATOR, list->count);
    for (size_t i = list->count; out != NULL && i-- > 0;) {
        if (!list_add(render, out, list->items[i]))
            return false;
    }
    *ret_value = value_list(out);
    return out != NULL;
}

/* A text in lower case, anything else as it is: what jinja sorts by. */
static bool fold_case(struct render *render, struct value value, bool sensitive, struct value *ret_value)
{
    static const struct arguments none = {0};
    *ret_value = value;
    return sensitive || !is_text(value) || text_lower(render, value.text, &none, ret_value);
}

struct sort_entry {
    struct value key, value;
};

/* Merge sort, which is stable as Python's is. `reverse` keeps equal ones in their order too. */
static bool sort_entries(
    struct render *render, struct sort_entry *entries, struct sort_entry *spare, size_t count, bool reverse)
{
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t low = 0; low < count; low += 2 * width) {
            size_t middle = low + width < count ? low + width : count;
            size_t high = low + 2 * width < count ? low + 2 * width : count;
            size_t left = low, right = middle;
            for (size_t to = low; to < high; to++) {
                bool take_right = left == middle;
                if (left < middle && right < high &&
                    !(reverse ? compare(render, '<', entries[left].key, entries[right].key, &take_right)
                              : compare(render, '<', entries[right].key, entries[left].key, &take_right)))
                    return false;
                if (!render_step(render, 1))
                    return false;
                spare[to] = take_right ? entries[right++] : entries[left++];
            }
        }
        memcpy(entries, spare, count * sizeof *entries);
    }
    return true;
}

/* The items of `list` in the order of what `path` (or they themselves) give. */
static bool sort_list(struct render *render, const struct list *list, const struct value *path, bool sensitive,
    bool reverse, struct list **ret_list)
{
    struct sort_entry *entries = render_take(render, list->count + 1, sizeof *entries);
    struct sort_entry *spare = render_take(render, list->count + 1, sizeof *spare);
    struct list *out = list_new(render, LIST_LIST, list->count);
    if (entries == NULL || spare == NULL || out == NULL)
        return false;
    for (size_t i = 0; i < list->count; i++) {
        struct value key = list->items[i];
        if (path != NULL && path->type != VALUE_NONE && !get_path(render, key, *path, &key))
            return false;
        if (!fold_case(render, key, sensitive, &entries[i].key))
            return false;
        entries[i].value = list->items[i];
    }
    if (!sort_entries(render, entries, spare, list->count, reverse))
        return false;
    for (size_t i = 0; i < list->count; i++)
        out->items[out->count++] = entries[i].value;
    *ret_list = out;
    return true;
}

static bool flag(const struct arguments *arguments, size_t place, const char *name)
{
    const struct value *value = argument(arguments, place, name);
    return value != NULL && value_truth(*value);
}

bool filter_sort(struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    struct list *list;
    if (!to_list(render, input, &list) ||
        !sort_list(render, list, argument(arguments, 2, "attribute"), flag(arguments, 1, "case_sensitive"),
            flag(arguments, 0, "reverse"), &list))
        return false;
    *ret_value = value_list(list);
    return true;
}

bool filter_dictsort(
    struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    struct value pairs, place = value_int(0);
    const struct text *by = NULL;
    struct list *list;
    if (input.type != VALUE_DICT)
        return render_fail(render, "'%s' object has no attribute 'items'", value_type_name(input));
    if (!argument_text(render, arguments, 1, "by", &by) || !filter_items(render, input, arguments, &pairs))
        return false;
    if (by != NULL && text_is(by, "value"))
        place = value_int(1);
    if (!sort_list(
            render, pairs.list, &place, flag(arguments, 0, "case_sensitive"), flag(arguments, 2, "reverse"), &list))
        return false;
    *ret_value = value_list(list);
    return true;
}

static bool extreme(
    struct render *render, struct value input, const struct arguments *arguments, bool most, struct value *ret_value)
{
    struct list *list;
    if (!to_list(render, input, &list) || !sort_list(render, list, argument(arguments, 1, "attribute"),
                                              flag(arguments, 0, "case_sensitive"), most, &list))
        return false;
    if (list->count == 0)
        return no_item(render, "No aggregated item, sequence was empty.", ret_value);
    *ret_value = list->items[0];
    return true;
}

bool filter_max(struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    return extreme(render, input, arguments, true, ret_value);
}

bool filter_min(struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    return extreme(render, input, arguments, false, ret_value);
}

bool filter_unique(
    struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    const struct value *path = argument(arguments, 1, "attribute");
    struct list *list, *out = list_new(render, LIST_GENERATOR, 0), *seen = list_new(render, LIST_LIST, 0);
    if (out == NULL || seen == NULL || !to_list(render, input, &list))
        return false;
    for (size_t i = 0; i < list->count; i++) {
        struct value key = list->items[i];
        bool known = false;
        if (path != NULL && !get_path(render, key, *path, &key))
            return false;
        if (!fold_case(render, key, flag(arguments, 0, "case_sensitive"), &key) ||
            !render_step(render, 1 + seen->count))
            return false;
        for (size_t k = 0; k < seen->count && !known; k++)
            known = value_equal(seen->items[k], key, EQUAL_DEPTH);
        if (!known && (!list_add(render, seen, key) || !list_add(render, out, list->items[i])))
            return false;
    }
    *ret_value = value_list(out);
    return true;
}

bool filter_sum(struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    const struct value *path = argument(arguments, 0, "attribute"), *start = argument(arguments, 1, "start");
    struct list *list;
    if (!to_list(render, input, &list))
        return false;
    *ret_value = start != NULL ? *start : value_int(0);
    for (size_t i = 0; i < list->count; i++) {
        struct value item = list->items[i];
        if (path != NULL && path->type != VALUE_NONE && !get_path(render, item, *path, &item))
            return false;
        if (!operate(render, '+', *ret_value, item, ret_value))
            return false;
    }
    return true;
}

/* Pairs of a value and the items that have it, in its order. */
bool filter_groupby(
    struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    const struct value *path = argument(arguments, 0, "attribute");
    struct list *list, *out = list_new(render, LIST_LIST, 0), *group = NULL;
    struct value before = value_none();
    if (path == NULL)
        return render_fail(render, "groupby needs an attribute");
    if (out == NULL || !to_list(render, input, &list) || !sort_list(render, list, path, false, false, &list))
        return false;
    for (size_t i = 0; i < list->count; i++) {
        struct value key, pair;
        if (!get_path(render, list->items[i], *path, &key))
            return false;
        if (group == NULL || !value_equal(key, before, EQUAL_DEPTH)) {
            group = list_new(render, LIST_LIST, 0);
            if (group == NULL || !make_pair(render, key, value_list(group), &pair) || !list_add(render, out, pair))
                return false;
        }
        if (!list_add(render, group, list->items[i]))
            return false;
        before = key;
    }
    *ret_value = value_list(out);
    return true;
}

bool filter_batch(struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    int64_t size = 0;
    const struct value *fill = argument(arguments, 1, "fill_with");
    struct list *list, *out = list_new(render, LIST_GENERATOR, 0), *part = NULL;
    if (out == NULL || !to_list(render, input, &list) || !argument_int(render, arguments, 0, "linecount", &size))
        return false;
    if (size < 1)
        return render_fail(render, "batch needs a positive number");
    for (size_t i = 0; i < list->count; i++) {
        if (i % (size_t)size == 0) {
            part = list_new(render, LIST_LIST, 0);
            if (part == NULL || !list_add(render, out, value_list(part)))
                return false;
        }
        if (!list_add(render, part, list->items[i]))
            return false;
    }
    while (fill != NULL && part != NULL && part->count < (size_t)size) {
        if (!list_add(render, part, *fill))
            return false;
    }
    *ret_value = value_list(out);
    return true;
}

/* Arguments from `from` on. */
static struct arguments arguments_from(const struct arguments *arguments, size_t from)
{
    if (from >= arguments->count)
        return (struct arguments){0};
    return (struct arguments){arguments->values + from, arguments->names + from, arguments->count - from};
}

bool filter_map(struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    const struct value *path = argument(arguments, SIZE_MAX, "attribute"),
                       *other = argument(arguments, SIZE_MAX, "default");
    const struct value *name = argument(arguments, 0, "");
    struct arguments rest = arguments_from(arguments, 1);
    struct list *list, *out = list_new(render, LIST_GENERATOR, 0);
    if (out == NULL || !to_list(render, input, &list))
        return false;
    if (path == NULL && (name == NULL || !is_text(*name)))
        return render_fail(render, "map requires a filter argument");
    for (size_t i = 0; i < list->count; i++) {
        struct value item;
        if (path != NULL ? !get_path(render, list->items[i], *path, &item)
                         : !apply_filter(render, name->text, list->items[i], &rest, &item))
            return false;
        if (item.type == VALUE_UNDEFINED && other != NULL)
            item = *other;
        if (!list_add(render, out, item))
            return false;
    }
    *ret_value = value_list(out);
    return true;
}

/* select, reject: by the value; selectattr, rejectattr: by an attribute of it, the first argument. */
static bool choose(struct render *render, struct value input, const struct arguments *arguments, bool attribute,
    bool wanted, struct value *ret_value)
{
    struct arguments given = arguments_from(arguments, attribute ? 1 : 0), rest = arguments_from(&given, 1);
    struct list *list, *out = list_new(render, LIST_GENERATOR, 0);
    if (out == NULL || !to_list(render, input, &list))
        return false;
    if ((attribute && arguments->count == 0) || (given.count != 0 && !is_text(given.values[0])))
        return render_fail(render, "expected an attribute or the name of a test");
    for (size_t i = 0; i < list->count; i++) {
        struct value item = list->items[i];
        if (attribute && !get_path(render, item, arguments->values[0], &item))
            return false;
        bool truth = value_truth(item);
        if (given.count != 0 && !apply_test(render, given.values[0].text, item, &rest, &truth))
            return false;
        if (truth == wanted && !list_add(render, out, list->items[i]))
            return false;
    }
    *ret_value = value_list(out);
    return true;
}

bool filter_select(
    struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    return choose(render, input, arguments, false, true, ret_value);
}

bool filter_reject(
    struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    return choose(render, input, arguments, false, false, ret_value);
}

bool filter_selectattr(
    struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    return choose(render, input, arguments, true, true, ret_value);
}

bool filter_rejectattr(
    struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    return choose(render, input, arguments, true, false, ret_value);
}
