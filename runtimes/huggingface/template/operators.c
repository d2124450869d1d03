/* What +, ==, in and their like do, with Python's errors. */
#include "config.h"

#include "runtimes/huggingface/template/render.h"

#include <math.h>
#include <string.h>

static bool is_integer(struct value value)
{
    return value.type == VALUE_INT || value.type == VALUE_BOOL;
}

static int64_t integer_of(struct value value)
{
    return value.type == VALUE_BOOL ? value.truth : value.integer;
}

static bool is_number(struct value value)
{
    return is_integer(value) || value.type == VALUE_FLOAT;
}

static double real_of(struct value value)
{
    return value.type == VALUE_FLOAT ? value.real : (double)integer_of(value);
}

static const char *operator_text(int op)
{
    static const char *const words[] = {[OP_POWER] = "** or pow()", [OP_FLOOR] = "//"};
    switch (op) {
    case '+': return "+";
    case '-': return "-";
    case '*': return "*";
    case '/': return "/";
    case '%': return "%";
    default: return words[op];
    }
}

static bool power(struct render *render, int64_t base, int64_t exponent, struct value *ret_value)
{
    int64_t result = 1;
    if (exponent < 0) {
        *ret_value = value_float(pow((double)base, (double)exponent));
        return true;
    }
    if (exponent > 64 && (base > 1 || base < -1))
        return render_fail(render, "integer out of range");
    for (int64_t i = exponent > 64 ? exponent % 2 : exponent; i > 0; i--) {
        if (__builtin_mul_overflow(result, base, &result))
            return render_fail(render, "integer out of range");
    }
    *ret_value = value_int(base == 0 && exponent > 0 ? 0 : result);
    return true;
}

static bool operate_integers(struct render *render, int op, int64_t a, int64_t b, struct value *ret_value)
{
    int64_t result = 0;
    bool overflow = false;
    switch (op) {
    case '+': overflow = __builtin_add_overflow(a, b, &result); break;
    case '-': overflow = __builtin_sub_overflow(a, b, &result); break;
    case '*': overflow = __builtin_mul_overflow(a, b, &result); break;
    case OP_POWER: return power(render, a, b, ret_value);
    default:
        if (b == 0)
            return render_fail(render, op == '/' ? "division by zero" : "integer division or modulo by zero");
        if (op == '/') {
            *ret_value = value_float((double)a / (double)b);
            return true;
        }
        overflow = a == INT64_MIN && b == -1;
        if (overflow)
            break;
        result = op == OP_FLOOR ? a / b : a % b;
        if (a % b != 0 && (a < 0) != (b < 0)) /* towards minus infinity, as Python does */
            result += op == OP_FLOOR ? -1 : b;
    }
    if (overflow)
        return render_fail(render, "integer out of range");
    *ret_value = value_int(result);
    return true;
}

static bool operate_reals(struct render *render, int op, double a, double b, struct value *ret_value)
{
    double result = 0;
    switch (op) {
    case '+': result = a + b; break;
    case '-': result = a - b; break;
    case '*': result = a * b; break;
    case OP_POWER: result = pow(a, b); break;
    default:
        if (b == 0)
            return render_fail(render, "float division by zero");
        result = op == '/' ? a / b : floor(a / b);
        if (op == '%')
            result = a - b * result;
    }
    *ret_value = value_float(result);
    return true;
}

static bool add_lists(struct render *render, const struct list *a, const struct list *b, struct value *ret_value)
{
    struct list *sum = list_new(render, a->kind, a->count + b->count);
    for (size_t i = 0; sum != NULL && i < a->count + b->count; i++) {
        if (!list_add(render, sum, i < a->count ? a->items[i] : b->items[i - a->count]))
            return false;
    }
    *ret_value = value_list(sum);
    return sum != NULL;
}

static bool repeat(struct render *render, struct value value, int64_t times, struct value *ret_value)
{
    struct builder builder = {.render = render};
    struct list *list = value.type == VALUE_LIST ? list_new(render, value.list->kind, 0) : NULL;
    const struct text *text;
    for (int64_t i = 0; i < times; i++) {
        if (!render_step(render, 1))
            return false;
        if (value.type == VALUE_TEXT && !builder_put_text(&builder, value.text, 0, value.text->length))
            return false;
        for (size_t k = 0; value.type == VALUE_LIST && k < value.list->count; k++) {
            if (list == NULL || !list_add(render, list, value.list->items[k]))
                return false;
        }
    }
    if (value.type == VALUE_LIST) {
        *ret_value = value_list(list);
        return list != NULL;
    }
    if (!builder_text(&builder, &text))
        return false;
    *ret_value = value_text(text);
    return true;
}

/* "%s and %d" % values: s, d, i, f, r, x and %%, with flags as C has them. */
static bool format_percent(
    struct render *render, const struct text *format, struct value value, struct value *ret_value)
{
    struct arguments arguments = {.values = &value, .count = 1};
    if (value.type == VALUE_LIST && value.list->kind == LIST_TUPLE)
        arguments = (struct arguments){.values = value.list->items, .count = value.list->count};
    arguments.names = render_take(render, arguments.count + 1, sizeof *arguments.names);
    static const struct text name = {.data = "format", .length = 6};
    return arguments.names != NULL && apply_filter(render, &name, value_text(format), &arguments, ret_value);
}

static bool add_failed(struct render *render, struct value a, struct value b)
{
    const char *sequence = a.type == VALUE_TEXT ? "str" : a.type == VALUE_LIST ? value_type_name(a) : NULL;
    if (sequence != NULL && !(a.type == VALUE_LIST && a.list->kind >= LIST_GENERATOR))
        return render_fail(
            render, "can only concatenate %s (not \"%s\") to %s", sequence, value_type_name(b), sequence);
    return render_fail(
        render, "unsupported operand type(s) for +: '%s' and '%s'", value_type_name(a), value_type_name(b));
}

bool operate(struct render *render, int op, struct value a, struct value b, struct value *ret_value)
{
    const struct text *left, *right, *both;
    if (op == '~' || (op == '+' && is_text(a) && is_text(b))) {
        if (!value_to_text(render, a, &left) || !value_to_text(render, b, &right) ||
            !text_join(render, left, right, &both))
            return false;
        *ret_value = value_text(both);
        return true;
    }
    if (a.type == VALUE_UNDEFINED)
        return render_undefined(render, a);
    if (b.type == VALUE_UNDEFINED && !(op == '%' && is_text(a)))
        return render_undefined(render, b);
    if (is_integer(a) && is_integer(b))
        return operate_integers(render, op, integer_of(a), integer_of(b), ret_value);
    if (is_number(a) && is_number(b))
        return operate_reals(render, op, real_of(a), real_of(b), ret_value);
    if (op == '+' && a.type == VALUE_LIST && b.type == VALUE_LIST && a.list->kind == b.list->kind)
        return add_lists(render, a.list, b.list, ret_value);
    if (op == '*' && (is_text(a) || a.type == VALUE_LIST) && is_integer(b))
        return repeat(render, a, integer_of(b), ret_value);
    if (op == '*' && is_integer(a) && (is_text(b) || b.type == VALUE_LIST))
        return repeat(render, b, integer_of(a), ret_value);
    if (op == '%' && is_text(a))
        return format_percent(render, a.text, b, ret_value);
    if (op == '+')
        return add_failed(render, a, b);
    return render_fail(render, "unsupported operand type(s) for %s: '%s' and '%s'", operator_text(op),
        value_type_name(a), value_type_name(b));
}

static bool contains(struct render *render, struct value item, struct value in, bool *ret_truth)
{
    *ret_truth = false;
    switch (in.type) {
    case VALUE_TEXT:
        if (item.type == VALUE_UNDEFINED)
            return render_undefined(render, item);
        if (!is_text(item))
            return render_fail(render, "'in <string>' requires string as left operand, not %s", value_type_name(item));
        *ret_truth = item.text->length == 0 ||
                     memmem(in.text->data, in.text->length, item.text->data, item.text->length) != NULL;
        return render_step(render, in.text->length / STEP_BYTES);
    case VALUE_DICT: *ret_truth = dict_find(in.dict, item) != NULL; return render_step(render, in.dict->count / 8);
    case VALUE_LIST:
        for (size_t i = 0; i < in.list->count && !*ret_truth; i++)
            *ret_truth = value_equal(in.list->items[i], item, EQUAL_DEPTH);
        return render_step(render, in.list->count / 8);
    case VALUE_UNDEFINED: return true;
    default: return render_fail(render, "argument of type '%s' is not iterable", value_type_name(in));
    }
}

static int order_texts(const struct text *a, const struct text *b)
{
    size_t least = a->length < b->length ? a->length : b->length;
    int order = least == 0 ? 0 : memcmp(a->data, b->data, least);
    return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

bool compare(struct render *render, int op, struct value a, struct value b, bool *ret_truth)
{
    if (op == OP_IN || op == OP_NOT_IN) {
        if (!contains(render, a, b, ret_truth))
            return false;
        *ret_truth = *ret_truth == (op == OP_IN);
        return true;
    }
    if (op == OP_EQUAL || op == OP_UNEQUAL) {
        *ret_truth = value_equal(a, b, EQUAL_DEPTH) == (op == OP_EQUAL);
        return true;
    }
    if (a.type == VALUE_UNDEFINED || b.type == VALUE_UNDEFINED)
        return render_undefined(render, a.type == VALUE_UNDEFINED ? a : b);
    int order;
    if (is_text(a) && is_text(b))
        order = order_texts(a.text, b.text);
    else if (is_integer(a) && is_integer(b))
        order = (integer_of(a) > integer_of(b)) - (integer_of(a) < integer_of(b));
    else if (is_number(a) && is_number(b))
        order = (real_of(a) > real_of(b)) - (real_of(a) < real_of(b));
    else
        return render_fail(render, "'%s' not supported between instances of '%s' and '%s'",
            op == '<'             ? "<"
            : op == '>'           ? ">"
            : op == OP_LESS_EQUAL ? "<="
                                  : ">=",
            value_type_name(a), value_type_name(b));
    *ret_truth = op == '<' ? order < 0 : op == '>' ? order > 0 : op == OP_LESS_EQUAL ? order <= 0 : order >= 0;
    return true;
}
