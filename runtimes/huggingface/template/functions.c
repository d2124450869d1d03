/* The functions that every template has. */
#include "config.h"

#include "runtimes/huggingface/template/render.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { RANGE_MAX = 100000 }; /* as jinja's sandbox has it */

static bool call_range(struct render *render, const struct arguments *arguments, struct value *ret_value)
{
    int64_t bounds[3] = {0, 0, 1};
    if (arguments->count == 0 || arguments->count > 3)
        return render_fail(render, "range takes 1 to 3 arguments");
    for (size_t i = 0; i < arguments->count; i++) {
        size_t to = arguments->count == 1 ? 1 : i;
        if (!argument_int(render, arguments, i, "", &bounds[to]))
            return false;
    }
    int64_t from = bounds[0], to = bounds[1], by = bounds[2];
    if (by == 0)
        return render_fail(render, "range() arg 3 must not be zero");
    struct list *list = list_new(render, LIST_LIST, 0);
    for (int64_t i = from; list != NULL && (by > 0 ? i < to : i > to);) {
        if (list->count == RANGE_MAX)
            return render_fail(
                render, "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).", RANGE_MAX);
        if (!list_add(render, list, value_int(i)))
            return false;
        if (__builtin_add_overflow(i, by, &i))
            break;
    }
    *ret_value = value_list(list);
    return list != NULL;
}

static bool fill_dict(struct render *render, const struct arguments *arguments, struct dict *dict)
{
    for (size_t i = 0; i < arguments->count; i++) {
        const struct value *value = &arguments->values[i];
        if (arguments->names[i] != NULL) {
            if (!dict_set(render, dict, value_text(arguments->names[i]), *value))
                return false;
            continue;
        }
        const struct dict *from = value->type == VALUE_DICT ? value->dict : NULL;
        struct list *pairs = NULL;
        if (from == NULL && !to_list(render, *value, &pairs))
            return false;
        for (size_t k = 0; k < (from != NULL ? from->count : pairs->count); k++) {
            struct value pair = from != NULL ? value_none() : pairs->items[k];
            if (from == NULL && (pair.type != VALUE_LIST || pair.list->count != 2))
                return render_fail(render, "dictionary update sequence element #%zu is no pair", k);
            if (!dict_set(render, dict, from != NULL ? from->keys[k] : pair.list->items[0],
                    from != NULL ? from->values[k] : pair.list->items[1]))
                return false;
        }
    }
    return true;
}

static bool call_dict(struct render *render, const struct arguments *arguments, struct value *ret_value)
{
    struct dict *dict = dict_new(render);
    *ret_value = (struct value){.type = VALUE_DICT, .dict = dict};
    return dict != NULL && fill_dict(render, arguments, dict);
}

static bool call_namespace(struct render *render, const struct arguments *arguments, struct value *ret_value)
{
    if (!call_dict(render, arguments, ret_value))
        return false;
    ret_value->type = VALUE_NAMESPACE;
    return true;
}

static bool call_raise_exception(struct render *render, const struct arguments *arguments, struct value *ret_value)
{
    const struct text *text;
    (void)ret_value;
    const struct value *message = argument(arguments, 0, "message");
    if (message == NULL || !value_to_text(render, *message, &text))
        return render_fail(render, "raise_exception needs a message");
    return render_stop(render, PDK_INVALID, "%.*s", (int)(text->length < 500 ? text->length : 500), text->data);
}

static bool call_strftime_now(struct render *render, const struct arguments *arguments, struct value *ret_value)
{
    const struct text *format = NULL;
    if (!argument_text(render, arguments, 0, "format", &format))
        return false;
    if (format == NULL || format->length > 200)
        return render_fail(render, "strftime_now needs a format of at most 200 bytes");
    struct tm parts;
    char ended[256], out[2048];
    time_t now = (time_t)render->now;
    if (gmtime_r(&now, &parts) == NULL)
        return render_fail(render, "strftime_now: the time is out of range");
    snprintf(
        ended, sizeof ended, "%.*s.", (int)format->length, format->data); /* so that an empty result is no failure */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    size_t length = strftime(out, sizeof out, ended, &parts);
#pragma GCC diagnostic pop
    if (length == 0)
        return render_fail(render, "strftime_now: the result is too long");
    return make_text(render, out, length - 1, text_is_plain(format), ret_value);
}

static const struct function functions[] = {
    {"dict", call_dict},
    {"namespace", call_namespace},
    {"raise_exception", call_raise_exception},
    {"range", call_range},
    {"strftime_now", call_strftime_now},
};

const struct function *find_function(const struct text *name)
{
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        if (text_is(name, functions[i].name))
            return &functions[i];
    }
    return NULL;
}
