/* The table of filters, and those on texts and numbers. */
#include "config.h"

#include "runtimes/huggingface/template/filters.h"

#include "runtimes/huggingface/template/methods.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INDENT_MAX = 1000 };

static bool filter_abs(
    struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    (void)arguments;
    *ret_value = input;
    if (input.type == VALUE_FLOAT)
        ret_value->real = fabs(input.real);
    else if (input.type == VALUE_INT && input.integer != INT64_MIN)
        ret_value->integer = input.integer < 0 ? -input.integer : input.integer;
    else
        return render_fail(render, "bad operand type for abs(): '%s'", value_type_name(input));
    return true;
}

static bool filter_default(
    struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    const struct value *other = argument(arguments, 0, "default_value"), *boolean = argument(arguments, 1, "boolean");
    bool take = input.type == VALUE_UNDEFINED || (boolean != NULL && value_truth(*boolean) && !value_truth(input));
    *ret_value = input;
    if (take && other == NULL)
        return make_text(render, "", 0, false, ret_value);
    if (take)
        *ret_value = *other;
    return true;
}

static bool filter_length(
    struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    (void)arguments;
    size_t count = 0;
    if (input.type == VALUE_TEXT)
        count = text_chars(input.text);
    else if (input.type == VALUE_DICT)
        count = input.dict->count;
    else if (input.type == VALUE_LIST && input.list->kind != LIST_GENERATOR)
        count = input.list->count;
    else if (input.type != VALUE_UNDEFINED)
        return render_fail(render, "object of type '%s' has no len()", value_type_name(input));
    *ret_value = value_int((int64_t)count);
    return true;
}

static bool filter_escape(
    struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    static const char *const escapes[][2] = {
        {"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"'", "&#39;"}, {"\"", "&#34;"}};
    struct builder builder = {.render = render};
    const struct text *text;
    (void)arguments;
    if (!value_to_text(render, input, &text))
        return false;
    for (size_t i = 0; i < text->length; i++) {
        const char *escape = NULL;
        for (size_t k = 0; k < sizeof escapes / sizeof escapes[0]; k++)
            escape = text->data[i] == escapes[k][0][0] ? escapes[k][1] : escape;
        bool plain = text->marks != NULL ? text->marks[i] != 0 : text->plain;
        if (!builder_put(
                &builder, escape != NULL ? escape : text->data + i, escape != NULL ? strlen(escape) : 1, plain))
            return false;
    }
    if (!builder_text(&builder, &text))
        return false;
    *ret_value = value_text(text);
    return true;
}

/* The number that a text says, as a double; false: none. */
static bool number_read(struct value value, double *ret_number)
{
    if (value.type == VALUE_INT)
        *ret_number = (double)value.integer;
    else if (value.type == VALUE_FLOAT)
        *ret_number = value.real;
    else if (value.type == VALUE_BOOL)
        *ret_number = value.truth;
    else if (value.type == VALUE_TEXT && value.text->length != 0 && value.text->length < 64) {
        char text[64], *end;
        memcpy(text, value.text->data, value.text->length);
        text[value.text->length] = '\0';
        if (strpbrk(text, "xXnNpP") != NULL) /* hexadecimal, nan and inf are no numbers in a template */
            return false;
        *ret_number = strtod(text, &end);
        while (*end == ' ' || *end == '\n')
            end++;
        return end != text && *end == '\0';
    } else {
        return false;
    }
    return true;
}

static bool filter_float(
    struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    (void)render;
    double number;
    const struct value *other = argument(arguments, 0, "default");
    if (number_read(input, &number))
        *ret_value = value_float(number);
    else
        *ret_value = other != NULL ? *other : value_float(0);
    return true;
}

static bool filter_int(
    struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    (void)render;
    double number;
    const struct value *other = argument(arguments, 0, "default");
    if (input.type == VALUE_INT)
        *ret_value = input;
    else if (number_read(input, &number) && fabs(number) < 9e18)
        *ret_value = value_int((int64_t)number);
    else
        *ret_value = other != NULL ? *other : value_int(0);
    return true;
}

static bool filter_round(
    struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    int64_t digits = 0;
    const struct text *method = NULL;
    double number;
    if (!argument_int(render, arguments, 0, "precision", &digits) ||
        !argument_text(render, arguments, 1, "method", &method))
        return false;
    if (is_text(input) || !number_read(input, &number) || digits < -300 || digits > 300)
        return render_fail(render, "type %s doesn't define __round__ method", value_type_name(input));
    double scale = pow(10, (double)digits);
    if (method != NULL && !text_is(method, "common"))
        number = (text_is(method, "ceil") ? ceil(number * scale) : floor(number * scale)) / scale;
    else if (digits > 0 && digits <= 15) { /* through its decimal text, as Python rounds */
        char text[400];
        snprintf(text, sizeof text, "%.*f", (int)digits, number);
        number = strtod(text, NULL);
    } else
        number = rint(number * scale) / scale;
    *ret_value = value_float(number);
    return true;
}

static bool put_line(struct builder *builder, const struct text *line, const struct text *indent, bool indented)
{
    return (!indented || builder_put_text(builder, indent, 0, indent->length)) &&
           builder_put_text(builder, line, 0, line->length);
}

static bool filter_indent(
    struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    static const struct text newline = {.data = "\n", .length = 1};
    static const struct arguments none = {0};
    const struct value *width = argument(arguments, 0, "width"), *first = argument(arguments, 1, "first");
    const struct value *blank = argument(arguments, 2, "blank");
    struct builder builder = {.render = render};
    struct value indent, lines;
    const struct text *text;
    int64_t count = 4;
    if (width != NULL && is_text(*width))
        indent = *width;
    else {
        char spaces[INDENT_MAX];
        if (!argument_int(render, arguments, 0, "width", &count))
            return false;
        count = count < 0 ? 0 : count > INDENT_MAX ? INDENT_MAX : count;
        memset(spaces, ' ', (size_t)count);
        if (!make_text(render, spaces, (size_t)count, false, &indent))
            return false;
    }
    if (!value_to_text(render, input, &text) || !text_join(render, text, &newline, &text) ||
        !text_splitlines(render, text, &none, &lines))
        return false;
    for (size_t i = 0; i < lines.list->count; i++) {
        const struct text *line = lines.list->items[i].text;
        bool indented =
            i == 0 ? first != NULL && value_truth(*first) : line->length != 0 || (blank != NULL && value_truth(*blank));
        if ((i > 0 && !builder_put_text(&builder, &newline, 0, 1)) || !put_line(&builder, line, indent.text, indented))
            return false;
    }
    if (!builder_text(&builder, &text))
        return false;
    *ret_value = value_text(text);
    return true;
}

static bool filter_join(
    struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    static const struct text empty = {.data = ""};
    const struct text *separator = &empty;
    const struct value *attribute = argument(arguments, 1, "attribute");
    struct list *list;
    if (!argument_text(render, arguments, 0, "d", &separator) || !to_list(render, input, &list))
        return false;
    if (attribute != NULL) {
        struct list *parts = list_new(render, LIST_LIST, list->count);
        for (size_t i = 0; parts != NULL && i < list->count; i++) {
            struct value part;
            if (!get_path(render, list->items[i], *attribute, &part) || !list_add(render, parts, part))
                return false;
        }
        if (parts == NULL)
            return false;
        list = parts;
    }
    return text_join_list(render, separator, list, ret_value);
}

static bool filter_string(
    struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    const struct text *text;
    (void)arguments;
    if (!value_to_text(render, input, &text))
        return false;
    *ret_value = value_text(text);
    return true;
}

static bool filter_tojson(
    struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    struct builder builder = {.render = render};
    const struct text *text;
    if (input.type == VALUE_UNDEFINED)
        return render_fail(render, "Object of type Undefined is not JSON serializable");
    if (!builder_put_json(&builder, input, arguments) || !builder_text(&builder, &text))
        return false;
    *ret_value = value_text(text);
    return true;
}

static bool filter_wordcount(
    struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    static const struct arguments none = {0};
    const struct text *text;
    struct value words;
    (void)arguments;
    if (!value_to_text(render, input, &text) || !text_split(render, text, &none, &words))
        return false;
    *ret_value = value_int((int64_t)words.list->count);
    return true;
}

/* One conversion of a printf-like format: s, d, i, f, x, with flags and width. */
static bool put_conversion(struct builder *builder, const char *flags, size_t length, char letter, struct value value)
{
    char format[40], out[400];
    const struct text *text;
    double number = 0;
    if (length > 16)
        return render_fail(builder->render, "a conversion of the format is longer than 16 characters");
    for (size_t i = 0; i < length; i++) {
        if (strchr("0123456789.-+ #", flags[i]) == NULL || flags[i] == '\0')
            return render_fail(builder->render, "unsupported format character '%c'", flags[i]);
    }
    if (letter == 's' || letter == 'r') {
        struct builder whole = {.render = builder->render};
        return builder_put_value(&whole, value, letter == 'r', EQUAL_DEPTH) && builder_text(&whole, &text) &&
               builder_put_text(builder, text, 0, text->length);
    }
    if (is_text(value) || !number_read(value, &number))
        return render_fail(
            builder->render, "%%%c format: a real number is required, not %s", letter, value_type_name(value));
    size_t digits = 0;
    for (size_t i = 0; i < length; i++)
        digits = flags[i] >= '0' && flags[i] <= '9' ? digits * 10 + (size_t)(flags[i] - '0') : digits;
    if (digits > 10000 || (letter == 'f' && fabs(number) > 1e60))
        return render_fail(builder->render, "a conversion of the format is too wide");
    bool integer = letter != 'f';
    snprintf(
        format, sizeof format, "%%%.*s%s%c", (int)length, flags, integer ? "ll" : "", letter == 'i' ? 'd' : letter);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int got =
        integer ? snprintf(out, sizeof out, format, (long long)number) : snprintf(out, sizeof out, format, number);
#pragma GCC diagnostic pop
    if (got < 0 || (size_t)got >= sizeof out)
        return render_fail(builder->render, "a conversion of the format is too wide");
    return builder_put(builder, out, (size_t)got, false);
}

static bool filter_format(
    struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value)
{
    struct builder builder = {.render = render};
    const struct text *text;
    size_t next = 0;
    if (!value_to_text(render, input, &text))
        return false;
    for (size_t i = 0; i < text->length;) {
        if (text->data[i] != '%') {
            if (!builder_put_text(&builder, text, i, i + 1))
                return false;
            i++;
            continue;
        }
        size_t at = i + 1;
        while (at < text->length && strchr("sdifxr%", text->data[at]) == NULL)
            at++;
        if (at == text->length)
            return render_fail(render, "incomplete format");
        if (text->data[at] == '%') {
            if (!builder_put_text(&builder, text, at, at + 1))
                return false;
        } else {
            if (next >= arguments->count)
                return render_fail(render, "not enough arguments for format string");
            if (!put_conversion(&builder, text->data + i + 1, at - i - 1, text->data[at], arguments->values[next++]))
                return false;
        }
        i = at + 1;
    }
    if (next < arguments->count)
        return render_fail(render, "not all arguments converted during string formatting");
    if (!builder_text(&builder, &text))
        return false;
    *ret_value = value_text(text);
    return true;
}

static const struct {
    const char *name;
    filter_function *apply;
    text_function *method; /* of the input as a text */
} filters[] = {
    {"abs", filter_abs, NULL},
    {"batch", filter_batch, NULL},
    {"capitalize", NULL, text_capitalize},
    {"center", NULL, text_center},
    {"count", filter_length, NULL},
    {"d", filter_default, NULL},
    {"default", filter_default, NULL},
    {"dictsort", filter_dictsort, NULL},
    {"e", filter_escape, NULL},
    {"escape", filter_escape, NULL},
    {"first", filter_first, NULL},
    {"float", filter_float, NULL},
    {"format", filter_format, NULL},
    {"groupby", filter_groupby, NULL},
    {"indent", filter_indent, NULL},
    {"int", filter_int, NULL},
    {"items", filter_items, NULL},
    {"join", filter_join, NULL},
    {"last", filter_last, NULL},
    {"length", filter_length, NULL},
    {"list", filter_list, NULL},
    {"lower", NULL, text_lower},
    {"map", filter_map, NULL},
    {"max", filter_max, NULL},
    {"min", filter_min, NULL},
    {"reject", filter_reject, NULL},
    {"rejectattr", filter_rejectattr, NULL},
    {"replace", NULL, text_replace},
    {"reverse", filter_reverse, NULL},
    {"round", filter_round, NULL},
    {"safe", filter_string, NULL},
    {"select", filter_select, NULL},
    {"selectattr", filter_selectattr, NULL},
    {"sort", filter_sort, NULL},
    {"string", filter_string, NULL},
    {"sum", filter_sum, NULL},
    {"title", NULL, text_title},
    {"tojson", filter_tojson, NULL},
    {"trim", NULL, text_strip},
    {"unique", filter_unique, NULL},
    {"upper", NULL, text_upper},
    {"wordcount", filter_wordcount, NULL},
};

bool apply_filter(struct render *render, const struct text *name, struct value input, const struct arguments *arguments,
    struct value *ret_value)
{
    const struct text *text;
    if (input.type == VALUE_UNDEFINED && input.missing != NULL && input.missing->unsafe)
        return render_undefined(render, input);
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        if (!text_is(name, filters[i].name))
            continue;
        if (filters[i].apply != NULL)
            return filters[i].apply(render, input, arguments, ret_value);
        return value_to_text(render, input, &text) && filters[i].method(render, text, arguments, ret_value);
    }
    return render_fail(render, "No filter named '%.100s' found.", name->data);
}
