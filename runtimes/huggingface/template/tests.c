/* What may stand behind "is". */
#include "config.h"

#include "runtimes/huggingface/template/render.h"

static bool is_integer(struct value value)
{
    return value.type == VALUE_INT;
}

static bool is_defined(struct value value)
{
    return value.type != VALUE_UNDEFINED;
}

static bool is_undefined(struct value value)
{
    return value.type == VALUE_UNDEFINED;
}

static bool is_none(struct value value)
{
    return value.type == VALUE_NONE;
}

static bool is_boolean(struct value value)
{
    return value.type == VALUE_BOOL;
}

static bool is_true(struct value value)
{
    return value.type == VALUE_BOOL && value.truth;
}

static bool is_false(struct value value)
{
    return value.type == VALUE_BOOL && !value.truth;
}

static bool is_float(struct value value)
{
    return value.type == VALUE_FLOAT;
}

static bool is_number(struct value value)
{
    return value.type == VALUE_INT || value.type == VALUE_FLOAT || value.type == VALUE_BOOL;
}

static bool is_mapping(struct value value)
{
    return value.type == VALUE_DICT;
}

static bool is_iterable(struct value value)
{
    return value.type == VALUE_LIST || value.type == VALUE_DICT || value.type == VALUE_TEXT ||
           value.type == VALUE_UNDEFINED;
}

/* What has a length and can be indexed: jinja asks Undefined too, which has. */
static bool is_sequence(struct value value)
{
    if (value.type == VALUE_LIST)
        return value.list->kind == LIST_LIST || value.list->kind == LIST_TUPLE;
    return value.type == VALUE_DICT || value.type == VALUE_TEXT || value.type == VALUE_UNDEFINED;
}

static bool is_callable(struct value value)
{
    return value.type == VALUE_MACRO || value.type == VALUE_METHOD || value.type == VALUE_FUNCTION;
}

static const struct {
    const char *name;
    bool (*holds)(struct value value);
} simple[] = {
    {"boolean", is_boolean},
    {"callable", is_callable},
    {"defined", is_defined},
    {"false", is_false},
    {"float", is_float},
    {"integer", is_integer},
    {"iterable", is_iterable},
    {"mapping", is_mapping},
    {"none", is_none},
    {"number", is_number},
    {"sequence", is_sequence},
    {"string", is_text},
    {"true", is_true},
    {"undefined", is_undefined},
};

static const struct {
    const char *name;
    int op;
} comparisons[] = {
    {"!=", OP_UNEQUAL},
    {"eq", OP_EQUAL},
    {"equalto", OP_EQUAL},
    {"ge", OP_GREATER_EQUAL},
    {"greaterthan", '>'},
    {"gt", '>'},
    {"in", OP_IN},
    {"le", OP_LESS_EQUAL},
    {"lessthan", '<'},
    {"lt", '<'},
    {"ne", OP_UNEQUAL},
    {"==", OP_EQUAL},
    {">", '>'},
    {"<", '<'},
    {">=", OP_GREATER_EQUAL},
    {"<=", OP_LESS_EQUAL},
};

static bool divisible(struct render *render, struct value input, int64_t by, bool *ret_truth)
{
    struct value rest;
    if (!operate(render, '%', input, value_int(by), &rest))
        return false;
    *ret_truth = !value_truth(rest);
    return true;
}

bool apply_test(struct render *render, const struct text *name, struct value input, const struct arguments *arguments,
    bool *ret_truth)
{
    for (size_t i = 0; i < sizeof simple / sizeof simple[0]; i++) {
        if (text_is(name, simple[i].name)) {
            *ret_truth = simple[i].holds(input);
            return true;
        }
    }
    const struct value *other = argument(arguments, 0, "");
    for (size_t i = 0; i < sizeof comparisons / sizeof comparisons[0] && other != NULL; i++) {
        if (text_is(name, comparisons[i].name))
            return compare(render, comparisons[i].op, input, *other, ret_truth);
    }
    if (text_is(name, "odd") || text_is(name, "even")) {
        if (!divisible(render, input, 2, ret_truth))
            return false;
        *ret_truth = *ret_truth == text_is(name, "even");
        return true;
    }
    if (text_is(name, "divisibleby") && other != NULL && other->type == VALUE_INT)
        return divisible(render, input, other->integer, ret_truth);
    if (text_is(name, "sameas") && other != NULL) {
        *ret_truth = input.type == other->type && value_equal(input, *other, EQUAL_DEPTH);
        return true;
    }
    if (text_is(name, "lower") || text_is(name, "upper")) {
        static const struct arguments none = {0};
        struct value changed;
        if (!apply_filter(render, name, input, &none, &changed))
            return false;
        *ret_truth = value_equal(input, changed, 1);
        return true;
    }
    return render_fail(render, "No test named '%.100s' found.", name->data);
}
