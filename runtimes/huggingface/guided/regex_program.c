/* From a regular expression's tree to its program: built from the back, each piece knowing what follows it. */
#include "config.h"

#include "runtimes/huggingface/guided/regex_program.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"

#include <string.h>

struct compiler {
    const struct regex_tree *tree;
    struct regex_program *program;
    struct regex_scope scope;
    const struct regular_budget *budget;
    pdk_error *err;
};

static pdk_status add_op(struct compiler *compiler, struct regex_op op, uint32_t *ret_at)
{
    struct regex_program *program = compiler->program;
    if (program->count >= REGEX_OPS_MAX ||
        (program->count % 1024 == 1023 && thread_ms() > compiler->budget->deadline_ms))
        return pdk_error_set(compiler->err, PDK_TOO_LARGE, "pattern",
            "the pattern is too large: its repeats come to more than %d steps", REGEX_OPS_MAX);
    if (!array_grow(&program->ops, &program->op_room, (size_t)program->count + 1))
        return pdk_error_set(compiler->err, PDK_NO_MEMORY, "pattern", "no memory for the pattern");
    program->ops[program->count] = op;
    *ret_at = program->count++;
    return PDK_OK;
}

static pdk_status build(struct compiler *compiler, uint32_t node, uint32_t out, uint32_t *ret_at);

/* Children from `child` on, the last one built first. Sequences are as long as patterns, so no recursion along them. */
static pdk_status build_sequence(struct compiler *compiler, uint32_t child, uint32_t out, uint32_t *ret_at)
{
    const struct regex_node *nodes = compiler->tree->nodes;
    PDK_AUTO_FREE uint32_t *order = NULL;
    size_t room = 0, count = 0;
    for (; child != 0; child = nodes[child].next) {
        if (!array_grow(&order, &room, count + 1))
            return pdk_error_set(compiler->err, PDK_NO_MEMORY, "pattern", "no memory for the pattern");
        order[count++] = child;
    }
    while (count > 0) {
        pdk_status status = build(compiler, order[--count], out, &out);
        if (status != PDK_OK)
            return status;
    }
    *ret_at = out;
    return PDK_OK;
}

static pdk_status build_either(struct compiler *compiler, uint32_t child, uint32_t out, uint32_t *ret_at)
{
    const struct regex_node *nodes = compiler->tree->nodes;
    uint32_t all = REGULAR_NONE;
    for (; child != 0; child = nodes[child].next) {
        uint32_t one = 0;
        pdk_status status = build(compiler, child, out, &one);
        if (status == PDK_OK && all != REGULAR_NONE)
            status = add_op(compiler, (struct regex_op){.kind = REGEX_OP_SPLIT, .out = all, .other = one}, &one);
        if (status != PDK_OK)
            return status;
        all = one;
    }
    *ret_at = all;
    return PDK_OK;
}

/* x{least,most} as copies: those that may be left out, or a loop, at the end. */
static pdk_status build_repeat(struct compiler *compiler, const struct regex_node *node, uint32_t out, uint32_t *ret_at)
{
    uint32_t at = out;
    pdk_status status = PDK_OK;
    if (compiler->tree->nodes[node->first].kind == REGEX_EMPTY || node->most == 0) {
        *ret_at = out;
        return PDK_OK;
    }
    if (node->most >= GRAMMAR_UNBOUNDED) {
        uint32_t body = 0;
        status = add_op(compiler, (struct regex_op){.kind = REGEX_OP_SPLIT, .out = out, .other = out}, &at);
        if (status == PDK_OK)
            status = build(compiler, node->first, at, &body);
        if (status == PDK_OK)
            compiler->program->ops[at].other = body;
    } else {
        for (uint32_t i = node->least; i < node->most && status == PDK_OK; i++) {
            uint32_t body = 0;
            status = build(compiler, node->first, at, &body);
            if (status == PDK_OK)
                status = add_op(compiler, (struct regex_op){.kind = REGEX_OP_SPLIT, .out = out, .other = body}, &at);
        }
    }
    for (uint32_t i = 0; i < node->least && status == PDK_OK; i++) {
        uint32_t before = compiler->program->count;
        status = build(compiler, node->first, at, &at);
        if (status == PDK_OK && compiler->program->count == before)
            break; /* it matches only nothing: copies change nothing */
    }
    *ret_at = at;
    return status;
}

/* The set of a lookaround: of all that comes, or of all that came. */
static pdk_status look_set(struct compiler *compiler, const struct regex_node *node, struct regular **ret_set)
{
    PDK_CLEANUP(regular_freep) struct regular *set = NULL;
    PDK_CLEANUP(regular_freep) struct regular *inverse = NULL;
    struct regex_scope scope = {
        .any_before = node->behind, .any_after = !node->behind, .no_behind = !node->behind, .no_ahead = node->behind};
    pdk_status status = regex_compile(compiler->tree, node->first, scope, compiler->budget, &set, compiler->err);
    if (status == PDK_OK && node->negative) {
        status = regular_not(set, &inverse, compiler->err);
        if (status != PDK_OK)
            return status;
        regular_free(set);
        set = PDK_STEAL(inverse);
    }
    if (status == PDK_OK && set->lengths) {
        const struct regular *states = NULL;
        status = regular_with_states(set, compiler->budget, &states, &inverse, compiler->err);
        if (status == PDK_OK)
            *ret_set = PDK_STEAL(inverse);
    } else if (status == PDK_OK) {
        *ret_set = PDK_STEAL(set);
    }
    return status;
}

static pdk_status build_look(struct compiler *compiler, const struct regex_node *node, uint32_t out, uint32_t *ret_at)
{
    struct regex_program *program = compiler->program;
    struct regular *own = NULL;
    uint32_t number = 0;
    if (node->behind ? compiler->scope.no_behind : compiler->scope.no_ahead)
        return pdk_error_set(
            compiler->err, PDK_UNSUPPORTED, "pattern", "an assertion inside a lookaround cannot be enforced");
    while (number < program->look_count && (node->ready == NULL || program->looks[number] != node->ready ||
                                               program->look_behind[number] != node->behind))
        number++;
    if (number == REGEX_LOOKS_MAX)
        return pdk_error_set(compiler->err, PDK_TOO_LARGE, "pattern",
            "the pattern has more than %d lookarounds, repeats counted", REGEX_LOOKS_MAX);
    if (number == program->look_count) {
        pdk_status status = node->ready == NULL ? look_set(compiler, node, &own) : PDK_OK;
        if (status != PDK_OK)
            return status;
        program->looks[number] = own != NULL ? own : node->ready;
        program->own_looks[number] = own;
        program->look_behind[number] = node->behind;
        program->look_count++;
    }
    struct regex_op op = {.kind = node->behind ? REGEX_OP_BEHIND : REGEX_OP_AHEAD, .out = out, .what = number};
    return add_op(compiler, op, ret_at);
}

static pdk_status build(struct compiler *compiler, uint32_t at, uint32_t out, uint32_t *ret_at)
{
    const struct regex_node *node = &compiler->tree->nodes[at];
    switch ((enum regex_kind)node->kind) {
    case REGEX_EMPTY: *ret_at = out; return PDK_OK;
    case REGEX_CLASS:
        return add_op(
            compiler, (struct regex_op){.kind = REGEX_OP_CLASS, .out = out, .what = node->class_number}, ret_at);
    case REGEX_SEQUENCE: return build_sequence(compiler, node->first, out, ret_at);
    case REGEX_EITHER: return build_either(compiler, node->first, out, ret_at);
    case REGEX_REPEAT: return build_repeat(compiler, node, out, ret_at);
    case REGEX_LOOK: return build_look(compiler, node, out, ret_at);
    case REGEX_NOTHING: break;
    }
    return pdk_error_set(compiler->err, PDK_INTERNAL, "pattern", "a node of no kind");
}

/* A loop that takes any text before going on at `out`. */
static pdk_status build_any(struct compiler *compiler, uint32_t out, uint32_t *ret_at)
{
    uint32_t body = 0;
    pdk_status status = add_op(compiler, (struct regex_op){.kind = REGEX_OP_SPLIT, .out = out, .other = out}, ret_at);
    if (status == PDK_OK)
        status = add_op(compiler,
            (struct regex_op){.kind = REGEX_OP_CLASS, .out = *ret_at, .what = compiler->program->class_count - 1},
            &body);
    if (status == PDK_OK)
        compiler->program->ops[*ret_at].other = body;
    return status;
}

static pdk_status build_program(struct compiler *compiler, uint32_t node)
{
    struct regex_program *program = compiler->program;
    pdk_status status = add_op(compiler, (struct regex_op){.kind = REGEX_OP_MATCH}, &program->match);
    uint32_t at = program->match;
    program->rest = REGULAR_NONE;
    if (status == PDK_OK && compiler->scope.any_after) {
        status = build_any(compiler, at, &at);
        program->rest = at;
    }
    if (status == PDK_OK)
        status = build(compiler, node, at, &at);
    if (status == PDK_OK && compiler->scope.any_before)
        status = build_any(compiler, at, &at);
    program->start = at;
    return status;
}

pdk_status regex_compile(const struct regex_tree *tree, uint32_t node, struct regex_scope scope,
    const struct regular_budget *budget, struct regular **ret_set, pdk_error *err)
{
    struct code_range everything[] = {{0, SURROGATE_FIRST - 1}, {SURROGATE_LAST + 1, CODE_LAST}};
    struct regex_program program = {.class_count = tree->class_count + 1};
    PDK_AUTO_FREE struct regex_class *classes = calloc(program.class_count, sizeof *classes);
    if (classes == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "pattern", "no memory for the pattern");
    if (tree->class_count > 0)
        memcpy(classes, tree->classes, tree->class_count * sizeof *classes);
    classes[tree->class_count] = (struct regex_class){everything, 2};
    program.classes = classes;
    struct compiler compiler = {.tree = tree, .program = &program, .scope = scope, .budget = budget, .err = err};
    pdk_status status = build_program(&compiler, node);
    if (status == PDK_OK)
        status = regex_determine(&program, budget, ret_set, err);
    for (uint32_t i = 0; i < program.look_count; i++)
        regular_free(program.own_looks[i]);
    free(program.ops);
    return status;
}

static pdk_status of_regex(const char *pattern, size_t length, enum regex_anchoring anchoring, bool loose,
    const struct regular_budget *budget, struct regular **ret_set, pdk_error *err)
{
    struct regex_tree tree = {0};
    pdk_status status = regex_read(pattern, length, loose, budget, &tree, err);
    if (status != PDK_OK)
        return status;
    struct regex_scope scope = {.any_before = anchoring == REGEX_SEARCH, .any_after = anchoring == REGEX_SEARCH};
    status = regex_compile(&tree, tree.root, scope, budget, ret_set, err);
    regex_tree_done(&tree);
    return status;
}

pdk_status regular_of_regex(const char *pattern, size_t length, enum regex_anchoring anchoring,
    const struct regular_budget *budget, struct regular **ret_set, pdk_error *err)
{
    return of_regex(pattern, length, anchoring, false, budget, ret_set, err);
}

pdk_status regular_of_regex_loosely(const char *pattern, size_t length, enum regex_anchoring anchoring,
    const struct regular_budget *budget, struct regular **ret_set, pdk_error *err)
{
    return of_regex(pattern, length, anchoring, true, budget, ret_set, err);
}
