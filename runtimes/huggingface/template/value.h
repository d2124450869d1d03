/* runtimes/huggingface/template/value.h: what expressions give. Values live in a render's arena and, but for namespaces
 * and loops, never change.
 *
 * A text knows where it came from, byte by byte: the template's own words are special, what came from variables is
 * plain. */
#pragma once

#include "runtimes/huggingface/template/arena.h"

#include <stdbool.h>
#include <stdint.h>

enum value_type {
    VALUE_UNDEFINED,
    VALUE_NONE,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_FLOAT,
    VALUE_TEXT,
    VALUE_LIST,
    VALUE_DICT,
    VALUE_NAMESPACE,
    VALUE_MACRO,
    VALUE_LOOP,
    VALUE_METHOD,
    VALUE_FUNCTION
};

/* marks NULL: all of it is `plain` or not; else a byte each, 1 for plain. */
struct text {
    const char *data, *marks;
    size_t length;
    bool plain;
};

/* How Python would call a sequence of values. */
enum list_kind { LIST_LIST, LIST_TUPLE, LIST_GENERATOR, LIST_VIEW };

struct value {
    enum value_type type;
    union {
        bool truth;
        int64_t integer;
        double real;
        const struct text *text;
        struct list *list;
        struct dict *dict; /* of a NAMESPACE too */
        struct macro *macro;
        struct loop *loop;
        const struct method *method;
        const struct function *function;
        const struct missing *missing; /* UNDEFINED; NULL: no more is known */
    };
};

struct list {
    enum list_kind kind;
    struct value *items;
    size_t count, room;
};

/* Members in the order of insertion. */
struct dict {
    struct value *keys, *values;
    size_t count, room;
};

/* Why something is undefined. */
struct missing {
    struct value object; /* UNDEFINED itself: a name is */
    struct value name;
    bool unsafe;
    const char *hint; /* all there is to say, or NULL */
};

struct method {
    struct value object;
    const struct text *name;
};

static inline struct value value_none(void)
{
    return (struct value){.type = VALUE_NONE};
}

static inline struct value value_bool(bool truth)
{
    return (struct value){.type = VALUE_BOOL, .truth = truth};
}

static inline struct value value_int(int64_t integer)
{
    return (struct value){.type = VALUE_INT, .integer = integer};
}

static inline struct value value_float(double real)
{
    return (struct value){.type = VALUE_FLOAT, .real = real};
}

static inline struct value value_text(const struct text *text)
{
    return (struct value){.type = VALUE_TEXT, .text = text};
}

static inline struct value value_list(struct list *list)
{
    return (struct value){.type = VALUE_LIST, .list = list};
}

static inline bool is_text(struct value value)
{
    return value.type == VALUE_TEXT;
}

bool value_truth(struct value value);
/* Python's ==, as deep as values go (JSON's depth and what a template builds; bounded by `depth`). */
bool value_equal(struct value a, struct value b, unsigned depth);
/* "str", "int", "NoneType", … */
const char *value_type_name(struct value value);
bool text_is(const struct text *text, const char *word);
bool text_equal(const struct text *a, const struct text *b);
/* The value of a dict's member, or NULL. */
struct value *dict_find(const struct dict *dict, struct value key);
struct value *dict_find_word(const struct dict *dict, const char *word, size_t length);
