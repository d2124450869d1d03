/* runtimes/huggingface/template/render.h: one rendering of a template: its state, its budgets and what its files share.
 *
 * Functions return false after an error, which is in render->err. Every value is in render->arena, which has a limit,
 * and every step is counted, so that no template runs or grows without end. */
#pragma once

#include "runtimes/huggingface/template/node.h"
#include "runtimes/huggingface/template/template.h"

enum { EQUAL_DEPTH = 64, STEP_BYTES = 64 };

struct binding {
    struct binding *next;
    const struct text *name;
    struct value value;
};

struct scope {
    struct scope *parent;
    struct binding *bindings;
};

struct macro {
    const struct node *node;
    struct scope *scope; /* where it was defined */
};

struct loop {
    const struct list *items;
    size_t index, depth;
    struct value changed; /* what loop.changed() saw last */
    bool has_changed;
};

struct render;

/* Text under construction. */
struct builder {
    struct render *render;
    char *data, *marks;
    size_t length, room;
};

struct arguments {
    struct value *values;
    const struct text **names; /* NULL: positional; these come first */
    size_t count;
};

struct function {
    const char *name;
    bool (*call)(struct render *render, const struct arguments *arguments, struct value *ret_value);
};

struct render {
    struct arena arena;
    struct template_budget budget;
    size_t steps, depth, loops;
    int64_t deadline, now;
    const char *stack; /* where it began */
    struct scope *scope;
    struct builder *out;
    struct builder joined; /* the newest result of text_join, which the next may lengthen in place */
    enum { JUMP_NONE, JUMP_BREAK, JUMP_CONTINUE } jump;
    pdk_error *err;
    pdk_status status;
    bool placed; /* the error names its place, or needs none */
};

/* Errors and budgets. */
bool render_fail(struct render *render, const char *format, ...) PDK_PRINTF(2, 3);
bool render_stop(struct render *render, pdk_status status, const char *format, ...)
    PDK_PRINTF(3, 4);                                              /* without a place */
void render_place(struct render *render, const struct node *node); /* adds where, to the error that is there */
bool render_stack_left(struct render *render); /* false, and failed: recursion has taken its share */
bool render_step(struct render *render, size_t steps);
void *render_take(struct render *render, size_t count, size_t size); /* NULL: over the limit; the error is set */
bool render_undefined(struct render *render, struct value value);    /* fails with why it is undefined */

/* Statements and expressions. */
bool run_body(struct render *render, const struct node *body);
bool evaluate(struct render *render, const struct node *node, struct value *ret_value);
bool evaluate_arguments(struct render *render, const struct node *items, struct arguments *ret_arguments);
bool call_value(struct render *render, struct value callee, const struct arguments *arguments, struct value *ret_value);
bool call_macro(
    struct render *render, const struct macro *macro, const struct arguments *arguments, struct value *ret_value);
bool get_member(struct render *render, struct value object, const struct text *name, struct value *ret_value);
bool get_index(struct render *render, struct value object, struct value key, struct value *ret_value);
bool get_slice(struct render *render, struct value object, struct value start, struct value stop, struct value step,
    struct value *ret_value);
bool operate(struct render *render, int op, struct value a, struct value b, struct value *ret_value);
bool compare(struct render *render, int op, struct value a, struct value b, bool *ret_truth);
bool apply_filter(struct render *render, const struct text *name, struct value input, const struct arguments *arguments,
    struct value *ret_value);
bool apply_test(struct render *render, const struct text *name, struct value input, const struct arguments *arguments,
    bool *ret_truth);
bool call_method(
    struct render *render, const struct method *method, const struct arguments *arguments, struct value *ret_value);
/* Whether values of `type` have a method of that name. */
bool has_method(enum value_type type, const struct text *name, bool *ret_unsafe);
const struct function *find_function(const struct text *name);

/* An argument by place or name, or NULL. */
const struct value *argument(const struct arguments *arguments, size_t place, const char *name);
/* Arguments that must be integers or texts. False: an error; unset where there is none. */
bool argument_int(
    struct render *render, const struct arguments *arguments, size_t place, const char *name, int64_t *value);
bool argument_text(struct render *render, const struct arguments *arguments, size_t place, const char *name,
    const struct text **value);

/* Scopes. */
bool scope_push(struct render *render, struct scope *parent); /* render->scope becomes a new one */
bool scope_set(struct render *render, struct scope *scope, const struct text *name, struct value value);
const struct value *scope_find(const struct scope *scope, const struct text *name);

/* Lists and dicts. */
struct list *list_new(struct render *render, enum list_kind kind, size_t room);
bool list_add(struct render *render, struct list *list, struct value value);
struct dict *dict_new(struct render *render);
bool dict_set(struct render *render, struct dict *dict, struct value key, struct value value);
bool make_pair(struct render *render, struct value a, struct value b, struct value *ret_pair);
/* What a loop over `value` sees. */
bool to_list(struct render *render, struct value value, struct list **ret_list);

/* Texts. */
const struct text *text_new(struct render *render, const char *data, size_t length, bool plain);
bool make_text(struct render *render, const char *data, size_t length, bool plain, struct value *ret_value);
bool make_slice(struct render *render, const struct text *text, size_t start, size_t end, struct value *ret_value);
bool text_join(struct render *render, const struct text *a, const struct text *b, const struct text **ret_text);
bool text_is_plain(const struct text *text);             /* any of it */
bool value_is_plain(struct value value, unsigned depth); /* any text in it */
size_t text_chars(const struct text *text);
size_t text_offset(const struct text *text, size_t chars); /* of the character at that index */
bool builder_put(struct builder *builder, const char *data, size_t length, bool plain);
bool builder_put_text(struct builder *builder, const struct text *text, size_t start, size_t end);
bool builder_text(struct builder *builder, const struct text **ret_text);
/* Python's str() and repr(). */
bool value_to_text(struct render *render, struct value value, const struct text **ret_text);
bool builder_put_value(struct builder *builder, struct value value, bool repr, unsigned depth);
size_t float_write(double real, char out[32]);
bool builder_put_json(struct builder *builder, struct value value, const struct arguments *options);
bool json_to_value(struct render *render, const struct json *json, bool plain, struct value *ret_value);
