/* The entry, budgets, scopes, and what becomes of statements. */
#include "config.h"

#include "runtimes/huggingface/template/render.h"

#include "core/base/array.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/utf8.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Memory of a render; texts that are built bit by bit take some of their length again. The stack that recursion may
 * take is half of a front thread's. */
enum { ARENA_MAX = 128 << 20, TREE_MAX = 64 << 20, STACK_MAX = 512 << 10, TIME_EVERY = 1024, SOURCE_MAX = 1 << 20 };

const struct template_budget template_budget_default = {
    .steps = 1000000, .output_bytes = 4 << 20, .depth = 64, .time_ms = 1000};

pdk_status template_parse(const char *source, size_t length, struct template **ret_template, pdk_error *err)
{
    if (length > SOURCE_MAX)
        return pdk_error_set(
            err, PDK_INVALID, "chat_template", "the template has %zu bytes; the limit is %d", length, SOURCE_MAX);
    size_t bad;
    if (!utf8_valid(source, length, &bad))
        return pdk_error_set(err, PDK_INVALID, "chat_template", "the template is not UTF-8 at byte %zu", bad);
    struct template *template = calloc(1, sizeof *template);
    if (template == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "chat_template", "out of memory");
    template->arena.limit = TREE_MAX;
    pdk_status status = parse_template(template, source, length, err);
    if (status == PDK_OK)
        *ret_template = template;
    else
        template_free(template);
    return status;
}

struct template *template_free(struct template *template)
{
    if (template != NULL) {
        arena_done(&template->arena);
        free(template);
    }
    return NULL;
}

bool template_wants_parts(const struct template *template)
{
    return template->wants_parts;
}

void template_output_done(struct template_output *output)
{
    buffer_done(&output->text);
    free(output->runs);
    *output = (struct template_output){0};
}

bool render_fail(struct render *render, const char *format, ...)
{
    char message[PDK_ERROR_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    render->status = pdk_error_set(render->err, PDK_INVALID, "chat_template", "%s", message);
    return false;
}

bool render_stop(struct render *render, pdk_status status, const char *format, ...)
{
    char message[PDK_ERROR_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    render->status = pdk_error_set(render->err, status, "chat_template", "%s", message);
    render->placed = true;
    return false;
}

void render_place(struct render *render, const struct node *node)
{
    char message[PDK_ERROR_MESSAGE_MAX];
    if (render->placed)
        return;
    render->placed = true;
    snprintf(message, sizeof message, "%.400s at line %u, column %u", render->err->message, node->line, node->column);
    pdk_error_set(render->err, render->status, "chat_template", "%s", message);
}

bool render_step(struct render *render, size_t steps)
{
    size_t before = render->steps;
    render->steps = steps > SIZE_MAX - before ? SIZE_MAX : before + steps;
    if (render->steps > render->budget.steps)
        return render_fail(render, "more than %zu steps", render->budget.steps);
    if (before / TIME_EVERY != render->steps / TIME_EVERY && monotonic_ms() > render->deadline)
        return render_fail(render, "took more than %" PRId64 " ms", render->budget.time_ms);
    return true;
}

void *render_take(struct render *render, size_t count, size_t size)
{
    size_t bytes;
    void *piece = __builtin_mul_overflow(count, size, &bytes) ? NULL : arena_take(&render->arena, bytes);
    if (piece == NULL)
        render_fail(render, "needs more than %d MiB of memory", ARENA_MAX >> 20);
    return piece;
}

bool scope_push(struct render *render, struct scope *parent)
{
    struct scope *scope = render_take(render, 1, sizeof *scope);
    if (scope == NULL)
        return false;
    scope->parent = parent;
    render->scope = scope;
    return true;
}

static struct binding *binding_find(const struct scope *scope, const struct text *name)
{
    struct binding *at = scope->bindings;
    while (at != NULL && !text_equal(at->name, name))
        at = at->next;
    return at;
}

bool scope_set(struct render *render, struct scope *scope, const struct text *name, struct value value)
{
    struct binding *binding = binding_find(scope, name);
    if (binding == NULL) {
        binding = render_take(render, 1, sizeof *binding);
        if (binding == NULL)
            return false;
        binding->name = name;
        binding->next = scope->bindings;
        scope->bindings = binding;
    }
    binding->value = value;
    return true;
}

const struct value *scope_find(const struct scope *scope, const struct text *name)
{
    for (; scope != NULL; scope = scope->parent) {
        const struct binding *binding = binding_find(scope, name);
        if (binding != NULL)
            return &binding->value;
    }
    return NULL;
}

static bool assign(struct render *render, const struct node *target, struct value value)
{
    if (target->kind == NODE_NAME)
        return scope_set(render, render->scope, target->name, value);
    if (target->kind == NODE_MEMBER) {
        const struct value *space = scope_find(render->scope, target->a->name);
        if (space == NULL || space->type != VALUE_NAMESPACE)
            return render_fail(render, "cannot assign attribute on non-namespace object");
        return dict_set(render, space->dict, value_text(target->name), value);
    }
    struct list *list;
    size_t want = 0, got = 0;
    for (const struct node *at = target->items; at != NULL; at = at->next)
        want++;
    if (value.type != VALUE_LIST && value.type != VALUE_TEXT && value.type != VALUE_DICT)
        return render_fail(render, "cannot unpack non-iterable %s object", value_type_name(value));
    if (!to_list(render, value, &list))
        return false;
    if (list->count > want)
        return render_fail(render, "too many values to unpack (expected %zu)", want);
    if (list->count < want)
        return render_fail(render, "not enough values to unpack (expected %zu, got %zu)", want, list->count);
    for (const struct node *at = target->items; at != NULL; at = at->next) {
        if (!assign(render, at, list->items[got++]))
            return false;
    }
    return true;
}

static bool run_if(struct render *render, const struct node *node)
{
    for (const struct node *branch = node->items; branch != NULL; branch = branch->next) {
        struct value truth = value_bool(true);
        if (branch->a != NULL && !evaluate(render, branch->a, &truth))
            return false;
        if (value_truth(truth))
            return run_body(render, branch->body);
    }
    return true;
}

/* The items that the loop's condition lets through. */
static bool choose_items(struct render *render, const struct node *node, struct list **items)
{
    struct scope *outer = render->scope;
    struct list *chosen = list_new(render, LIST_LIST, 0);
    bool done = chosen != NULL;
    for (size_t i = 0; done && i < (*items)->count; i++) {
        struct value truth;
        done = scope_push(render, outer) && assign(render, node->a, (*items)->items[i]) &&
               evaluate(render, node->c, &truth) &&
               (!value_truth(truth) || list_add(render, chosen, (*items)->items[i]));
    }
    render->scope = outer;
    *items = chosen;
    return done;
}

static bool run_for(struct render *render, const struct node *node)
{
    static const struct text loop_name = {.data = "loop", .length = 4};
    struct scope *outer = render->scope;
    struct value over;
    struct list *items;
    if (!evaluate(render, node->b, &over) || !to_list(render, over, &items))
        return false;
    if (node->c != NULL && !choose_items(render, node, &items))
        return false;
    if (items->count == 0) {
        bool done = scope_push(render, outer) && run_body(render, node->items);
        render->scope = outer;
        return done;
    }
    struct loop *loop = render_take(render, 1, sizeof *loop);
    if (loop == NULL)
        return false;
    *loop = (struct loop){.items = items, .depth = render->loops++};
    bool done = true;
    for (size_t i = 0; i < items->count && done && render->jump != JUMP_BREAK; i++) {
        loop->index = i;
        render->jump = JUMP_NONE;
        done = render_step(render, 1) && scope_push(render, outer) &&
               scope_set(render, render->scope, &loop_name, (struct value){.type = VALUE_LOOP, .loop = loop}) &&
               assign(render, node->a, items->items[i]) && run_body(render, node->body);
    }
    render->jump = JUMP_NONE;
    render->scope = outer;
    render->loops--;
    return done;
}

/* Runs a body into a text, in a scope of its own. */
static bool capture(struct render *render, const struct node *body, struct value *ret_value)
{
    struct builder builder = {.render = render}, *outer = render->out;
    struct scope *scope = render->scope;
    const struct text *text;
    render->out = &builder;
    bool done = scope_push(render, scope) && run_body(render, body) && builder_text(&builder, &text);
    render->out = outer;
    render->scope = scope;
    if (done)
        *ret_value = value_text(text);
    return done;
}

/* The chain of filters ends in one without input, which takes `input`. */
static bool filter_chain(struct render *render, const struct node *filter, struct value input, struct value *ret_value)
{
    struct arguments arguments;
    if (filter == NULL) {
        *ret_value = input;
        return true;
    }
    return filter_chain(render, filter->a, input, &input) && evaluate_arguments(render, filter->items, &arguments) &&
           apply_filter(render, filter->name, input, &arguments, ret_value);
}

static bool print(struct render *render, struct value value)
{
    const struct text *text;
    return value_to_text(render, value, &text) && builder_put_text(render->out, text, 0, text->length);
}

static bool run_set(struct render *render, const struct node *node)
{
    struct value value;
    if (node->kind == NODE_SET)
        return evaluate(render, node->b, &value) && assign(render, node->a, value);
    return capture(render, node->body, &value) && filter_chain(render, node->b, value, &value) &&
           assign(render, node->a, value);
}

static bool define_macro(struct render *render, const struct node *node, struct value *ret_value)
{
    struct macro *macro = render_take(render, 1, sizeof *macro);
    if (macro == NULL)
        return false;
    *macro = (struct macro){node, render->scope};
    *ret_value = (struct value){.type = VALUE_MACRO, .macro = macro};
    return true;
}

static bool run_call_block(struct render *render, const struct node *node)
{
    static const struct text caller_name = {.data = "caller", .length = 6};
    struct value callee, caller, result;
    struct arguments given;
    if (!evaluate(render, node->b->a, &callee) || !evaluate_arguments(render, node->b->items, &given) ||
        !define_macro(render, node->a, &caller))
        return false;
    struct arguments with = {.count = given.count + 1};
    with.values = render_take(render, with.count, sizeof *with.values);
    with.names = render_take(render, with.count, sizeof *with.names);
    if (with.values == NULL || with.names == NULL)
        return false;
    for (size_t i = 0; i < given.count; i++) {
        with.values[i] = given.values[i];
        with.names[i] = given.names[i];
    }
    with.values[given.count] = caller;
    with.names[given.count] = &caller_name;
    return call_value(render, callee, &with, &result) && print(render, result);
}

static bool run_with(struct render *render, const struct node *node)
{
    struct scope *outer = render->scope;
    bool done = scope_push(render, outer);
    struct scope *inner = render->scope;
    for (const struct node *at = node->items; at != NULL && done; at = at->next) {
        struct value value;
        render->scope = outer; /* the values do not see each other */
        done = evaluate(render, at->b, &value);
        render->scope = inner;
        done = done && assign(render, at->a, value);
    }
    done = done && run_body(render, node->body);
    render->scope = outer;
    return done;
}

static bool run_statement(struct render *render, const struct node *node)
{
    struct value value;
    struct scope *outer = render->scope;
    switch (node->kind) {
    case NODE_DATA: return builder_put_text(render->out, node->constant.text, 0, node->constant.text->length);
    case NODE_OUTPUT: return evaluate(render, node->a, &value) && print(render, value);
    case NODE_IF: return run_if(render, node);
    case NODE_FOR: return run_for(render, node);
    case NODE_SET:
    case NODE_SET_BLOCK: return run_set(render, node);
    case NODE_MACRO: return define_macro(render, node, &value) && scope_set(render, render->scope, node->name, value);
    case NODE_CALL_BLOCK: return run_call_block(render, node);
    case NODE_FILTER_BLOCK:
        return capture(render, node->body, &value) && filter_chain(render, node->b, value, &value) &&
               print(render, value);
    case NODE_WITH: return run_with(render, node);
    case NODE_SCOPE: {
        bool done = scope_push(render, outer) && run_body(render, node->body);
        render->scope = outer;
        return done;
    }
    case NODE_BREAK: render->jump = JUMP_BREAK; return true;
    case NODE_CONTINUE: render->jump = JUMP_CONTINUE; return true;
    default: return render_fail(render, "not a statement");
    }
}

bool render_stack_left(struct render *render)
{
    const char *here = __builtin_frame_address(0);
    size_t used = here < render->stack ? (size_t)(render->stack - here) : (size_t)(here - render->stack);
    return used < STACK_MAX || render_fail(render, "nested too deeply");
}

bool run_body(struct render *render, const struct node *body)
{
    if (!render_stack_left(render))
        return false;
    for (; body != NULL && render->jump == JUMP_NONE; body = body->next) {
        if (render_step(render, 1) && run_statement(render, body))
            continue;
        render_place(render, body);
        return false;
    }
    return true;
}

/* The parameters, from the arguments or their defaults, become names of the current scope. */
static bool bind_parameters(struct render *render, const struct macro *macro, const struct arguments *arguments)
{
    size_t place = 0, used = 0;
    for (const struct node *at = macro->node->items; at != NULL; at = at->next, place++) {
        struct value value = {.type = VALUE_UNDEFINED};
        const struct value *given = argument(arguments, place, at->name->data);
        used += given != NULL;
        if (given != NULL)
            value = *given;
        else if (at->a != NULL && !evaluate(render, at->a, &value))
            return false;
        if (!scope_set(render, render->scope, at->name, value))
            return false;
    }
    const struct value *caller = argument(arguments, SIZE_MAX, "caller");
    static const struct text caller_name = {.data = "caller", .length = 6};
    if (caller != NULL && scope_find(render->scope, &caller_name) != caller) {
        used++;
        if (!scope_set(render, render->scope, &caller_name, *caller))
            return false;
    }
    if (used < arguments->count)
        return render_fail(render, "macro '%s' takes not more than %zu argument(s)",
            macro->node->name == NULL ? "caller" : macro->node->name->data, place);
    return true;
}

bool call_macro(
    struct render *render, const struct macro *macro, const struct arguments *arguments, struct value *ret_value)
{
    if (render->depth >= render->budget.depth)
        return render_fail(render, "macros call each other deeper than %zu levels", render->budget.depth);
    struct scope *outer = render->scope;
    render->depth++;
    bool done = scope_push(render, macro->scope) && bind_parameters(render, macro, arguments) &&
                capture(render, macro->node->body, ret_value);
    render->depth--;
    render->scope = outer;
    return done;
}

/* Markers that come with the model are the template's own words, whoever passes them. */
static bool is_marker(const char *key)
{
    static const char *const names[] = {"bos_token", "eos_token", "pad_token", "unk_token"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], key) == 0)
            return true;
    }
    return false;
}

static bool bind_variables(struct render *render, const struct json *variables)
{
    for (const struct json *at = variables->child; at != NULL; at = at->next) {
        struct value value;
        const struct text *name = text_new(render, at->key, at->key_length, false);
        if (name == NULL || !json_to_value(render, at, !is_marker(at->key), &value) ||
            !scope_set(render, render->scope, name, value))
            return false;
    }
    return true;
}

static pdk_status give(const struct builder *out, struct template_output *output, pdk_error *err)
{
    buffer_put(&output->text, out->length == 0 ? "" : out->data, out->length);
    for (size_t i = 0; i < out->length;) {
        size_t end = i;
        while (end < out->length && out->marks[end] == out->marks[i])
            end++;
        if (!array_grow(&output->runs, &output->run_room, output->run_count + 1))
            return pdk_error_set(err, PDK_NO_MEMORY, "chat_template", "out of memory");
        output->runs[output->run_count++] = (struct text_run){.length = end - i, .special = out->marks[i] == 0};
        i = end;
    }
    return output->text.failed ? pdk_error_set(err, PDK_NO_MEMORY, "chat_template", "out of memory") : PDK_OK;
}

pdk_status template_render(const struct template *template, const struct json *variables, int64_t now,
    const struct template_budget *budget, struct template_output *output, pdk_error *err)
{
    pdk_error own = {0};
    struct render render = {.budget = *budget,
        .now = now,
        .err = err != NULL ? err : &own,
        .status = PDK_OK,
        .deadline = monotonic_ms() + budget->time_ms,
        .stack = __builtin_frame_address(0)};
    struct builder out = {.render = &render};
    render.arena.limit = ARENA_MAX;
    render.out = &out;
    bool done = scope_push(&render, NULL) && bind_variables(&render, variables) && scope_push(&render, render.scope) &&
                run_body(&render, template->body);
    pdk_status status = done ? give(&out, output, err) : render.status;
    arena_done(&render.arena);
    return status;
}
