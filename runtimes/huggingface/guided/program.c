/* A node becomes positions from its end to its beginning: emit() is given where to go on and returns where it starts.
 * What is used in several places becomes a rule of its own and is called, so that shared nodes are never copied out;
 * so does what is nested too deep for this function to call itself, and a large repetition, which counts. */
#include "config.h"

#include "runtimes/huggingface/guided/program.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "runtimes/huggingface/guided/program_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEPTH_MAX = 64,     /* of emit() in itself */
    SHARED_LEAST = 4,   /* positions; less is copied */
    UNROLLED_MAX = 64,  /* positions that a repetition may be written out to */
    CLOCK_EVERY = 1024, /* positions */
};

struct maker {
    const struct grammar *grammar;
    struct program *program;
    uint32_t *refs, *size; /* by node: how often it is used; positions it takes */
    uint32_t *rule_of;     /* by node: rule + 1, 0: none */
    pdk_status status;
};

static uint32_t fail(struct maker *maker, pdk_status status)
{
    if (maker->status == PDK_OK)
        maker->status = status;
    return POSITION_DEAD;
}

static bool grow(struct maker *maker, void **array, size_t *room, size_t need, size_t size)
{
    size_t before = *room;
    if (maker->status != PDK_OK)
        return false;
    if (need <= before)
        return true;
    if (need > maker->grammar->budget.memory_bytes / size) {
        fail(maker, PDK_TOO_LARGE);
        return false;
    }
    if (!array_grow_bytes(array, room, need, size)) {
        fail(maker, PDK_NO_MEMORY);
        return false;
    }
    maker->program->bytes += (*room - before) * size;
    if (maker->program->bytes > maker->grammar->budget.memory_bytes - maker->grammar->used)
        fail(maker, PDK_TOO_LARGE);
    return maker->status == PDK_OK;
}

static uint32_t add_position(struct maker *maker, struct position position)
{
    struct program *program = maker->program;
    if (!grow(maker, (void **)&program->positions, &program->position_room, program->position_count + 1,
            sizeof *program->positions))
        return POSITION_DEAD;
    if (program->position_count % CLOCK_EVERY == 0 && thread_ms() > maker->grammar->budget.deadline_ms)
        return fail(maker, PDK_TIMEOUT);
    program->positions[program->position_count] = position;
    return (uint32_t)program->position_count++;
}

static uint32_t add_bytes(struct maker *maker, uint8_t first, uint8_t last, uint32_t next)
{
    return add_position(maker, (struct position){.operation = OP_BYTES, .first = first, .last = last, .next = next});
}

/* Room for `count` targets that the caller fills in. */
static uint32_t add_split(struct maker *maker, uint32_t count, uint32_t *ret_first)
{
    struct program *program = maker->program;
    if (!grow(maker, (void **)&program->targets, &program->target_room, program->target_count + count,
            sizeof *program->targets))
        return POSITION_DEAD;
    *ret_first = (uint32_t)program->target_count;
    memset(program->targets + program->target_count, 0, count * sizeof *program->targets);
    program->target_count += count;
    return add_position(maker, (struct position){.operation = OP_SPLIT, .a = *ret_first, .b = count});
}

/* The rule that a node is; a new one is emitted later. */
static uint32_t rule_of(struct maker *maker, grammar_node node)
{
    struct program *program = maker->program;
    if (maker->rule_of[node] != 0)
        return maker->rule_of[node] - 1;
    if (!grow(maker, (void **)&program->rules, &program->rule_room, program->rule_count + 1, sizeof *program->rules))
        return RULE_TOP;
    program->rules[program->rule_count] = (struct rule){.start = POSITION_DEAD, .node = node};
    maker->rule_of[node] = (uint32_t)program->rule_count + 1;
    return (uint32_t)program->rule_count++;
}

static uint32_t call(struct maker *maker, grammar_node node, uint32_t next)
{
    return add_position(maker, (struct position){.operation = OP_CALL, .a = rule_of(maker, node), .next = next});
}

static bool is_shared(const struct maker *maker, grammar_node node)
{
    return maker->refs[node] > 1 && maker->size[node] > SHARED_LEAST;
}

static bool is_counted(const struct maker *maker, const struct node *node)
{
    uint64_t times = node->c == GRAMMAR_UNBOUNDED ? (uint64_t)node->b + 1 : node->c;
    return times > 1 && times * (maker->size[node->a] + 1) > UNROLLED_MAX;
}

static uint32_t emit(struct maker *maker, grammar_node node, uint32_t next, uint32_t depth);

/* x{least,most} written out: x x x? x? … with the optional ones inside each other, or x x x*. */
static uint32_t emit_unrolled(struct maker *maker, const struct node *node, uint32_t next, uint32_t depth)
{
    uint32_t at = next, first = 0;
    if (node->c == GRAMMAR_UNBOUNDED) {
        at = add_split(maker, 2, &first);
        uint32_t body = emit(maker, node->a, at, depth);
        if (maker->status == PDK_OK) {
            maker->program->targets[first] = body;
            maker->program->targets[first + 1] = next;
        }
    }
    for (uint32_t i = node->b; node->c != GRAMMAR_UNBOUNDED && i < node->c && maker->status == PDK_OK; i++) {
        uint32_t body = emit(maker, node->a, at, depth);
        at = add_split(maker, 2, &first);
        if (maker->status == PDK_OK) {
            maker->program->targets[first] = body;
            maker->program->targets[first + 1] = next;
        }
    }
    for (uint32_t i = 0; i < node->b && maker->status == PDK_OK; i++)
        at = emit(maker, node->a, at, depth);
    return at;
}

static uint32_t emit_either(struct maker *maker, const struct node *node, uint32_t next, uint32_t depth)
{
    uint32_t first = 0, at = add_split(maker, node->b, &first);
    for (uint32_t i = 0; i < node->b && maker->status == PDK_OK; i++) {
        uint32_t target = emit(maker, maker->grammar->children[node->a + i], next, depth);
        maker->program->targets[first + i] = target;
    }
    return at;
}

/* What a node is, whether it was called or stands in place. */
static uint32_t emit_body(struct maker *maker, grammar_node id, uint32_t next, uint32_t depth)
{
    const struct node *node = &maker->grammar->nodes[id];
    switch (node->kind) {
    case NODE_EMPTY: return next;
    case NODE_BYTES: return add_bytes(maker, (uint8_t)node->a, (uint8_t)node->b, next);
    case NODE_LITERAL:
        for (uint32_t i = node->b; i-- > 0 && maker->status == PDK_OK;) {
            uint8_t byte = (uint8_t)maker->grammar->bytes[node->a + i];
            next = add_bytes(maker, byte, byte, next);
        }
        return next;
    case NODE_SEQUENCE:
        for (uint32_t i = node->b; i-- > 0 && maker->status == PDK_OK;)
            next = emit(maker, maker->grammar->children[node->a + i], next, depth);
        return next;
    case NODE_EITHER: return emit_either(maker, node, next, depth);
    case NODE_REPEAT: return emit_unrolled(maker, node, next, depth);
    case NODE_RULE: return node->a == 0 ? POSITION_DEAD : emit(maker, node->a, next, depth);
    default: return POSITION_DEAD;
    }
}

static uint32_t emit(struct maker *maker, grammar_node id, uint32_t next, uint32_t depth)
{
    const struct node *node = &maker->grammar->nodes[id];
    bool counted = node->kind == NODE_REPEAT && is_counted(maker, node);
    bool nests = node->kind == NODE_SEQUENCE || node->kind == NODE_EITHER || node->kind == NODE_REPEAT;
    if (maker->status != PDK_OK)
        return POSITION_DEAD;
    if (node->kind == NODE_RULE || counted || is_shared(maker, id) || (nests && depth >= DEPTH_MAX))
        return call(maker, id, next);
    return emit_body(maker, id, next, depth + 1);
}

static void emit_rule(struct maker *maker, uint32_t rule)
{
    grammar_node id = maker->program->rules[rule].node;
    const struct node *node = &maker->grammar->nodes[id];
    uint32_t start;
    if (node->kind == NODE_REPEAT && is_counted(maker, node)) {
        struct position position = {
            .operation = OP_REPEAT, .next = rule_of(maker, node->a), .a = node->b, .b = node->c};
        start = add_position(maker, position);
    } else {
        start = emit_body(maker, id, POSITION_END, 0);
    }
    if (maker->status == PDK_OK)
        maker->program->rules[rule].start = start;
}

/* Positions that a node takes where it stands: a rule one, a shared node as a call one. Children are older than their
 * parents, so one pass will do. */
static void measure(struct maker *maker)
{
    const struct grammar *grammar = maker->grammar;
    for (size_t i = 1; i < grammar->node_count; i++) {
        const struct node *node = &grammar->nodes[i];
        uint64_t size = 1;
        if (node->kind == NODE_LITERAL)
            size = node->b;
        for (uint32_t k = 0; (node->kind == NODE_SEQUENCE || node->kind == NODE_EITHER) && k < node->b; k++)
            size += maker->size[grammar->children[node->a + k]];
        if (node->kind == NODE_REPEAT && !is_counted(maker, node))
            size += (maker->size[node->a] + 1) * (uint64_t)(node->c == GRAMMAR_UNBOUNDED ? node->b + 1 : node->c);
        maker->size[i] = size > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)size;
        if (is_shared(maker, (grammar_node)i))
            maker->size[i] = SHARED_LEAST + 1; /* stays shared, and is cheap to its users */
    }
}

static void count_refs(struct maker *maker)
{
    const struct grammar *grammar = maker->grammar;
    for (size_t i = 1; i < grammar->node_count; i++) {
        const struct node *node = &grammar->nodes[i];
        if (node->kind == NODE_SEQUENCE || node->kind == NODE_EITHER)
            for (uint32_t k = 0; k < node->b; k++)
                maker->refs[grammar->children[node->a + k]]++;
        else if (node->kind == NODE_REPEAT)
            maker->refs[node->a]++;
    }
}

/* Bytes are told apart only where some position does. */
static void find_classes(struct program *program)
{
    bool border[257] = {false};
    for (size_t i = 0; i < program->position_count; i++) {
        if (program->positions[i].operation != OP_BYTES)
            continue;
        border[program->positions[i].first] = true;
        border[program->positions[i].last + 1] = true;
    }
    for (uint32_t byte = 0; byte < 256; byte++) {
        if (byte == 0 || border[byte])
            program->class_byte[program->class_count++] = (uint8_t)byte;
        program->classes[byte] = (uint8_t)(program->class_count - 1);
    }
}

/* Positions that lead nowhere go; a repetition of what may be empty has no least count. */
static pdk_status prune(struct program *program, pdk_error *err)
{
    PDK_AUTO_FREE uint8_t *alive = NULL;
    PDK_AUTO_FREE uint8_t *empty = NULL;
    pdk_status status = program_reach(program, true, &alive, err);
    if (status == PDK_OK)
        status = program_reach(program, false, &empty, err);
    if (status != PDK_OK)
        return status;
    for (size_t i = 0; i < program->position_count; i++) {
        struct position *position = &program->positions[i];
        if (!alive[i])
            position->operation = OP_DEAD;
        if (position->operation == OP_REPEAT) {
            uint32_t body = program->rules[position->next].start;
            if (empty[body])
                position->a = 0;
            if (!alive[body])
                position->b = 0;
        }
        if (position->operation != OP_SPLIT)
            continue;
        uint32_t kept = 0;
        for (uint32_t k = 0; k < position->b; k++)
            if (alive[program->targets[position->a + k]])
                program->targets[position->a + kept++] = program->targets[position->a + k];
        position->b = kept;
    }
    if (!alive[program->rules[RULE_TOP].start])
        return pdk_error_set(err, PDK_INVALID, NULL, "no text matches it");
    return PDK_OK;
}

static pdk_status make(struct maker *maker, pdk_error *err)
{
    struct program *program = maker->program;
    size_t nodes = maker->grammar->node_count;
    maker->refs = calloc(nodes, sizeof *maker->refs);
    maker->size = calloc(nodes, sizeof *maker->size);
    maker->rule_of = calloc(nodes, sizeof *maker->rule_of);
    if (maker->refs == NULL || maker->size == NULL || maker->rule_of == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the grammar");
    count_refs(maker);
    measure(maker);
    add_position(maker, (struct position){.operation = OP_DEAD});
    add_position(maker, (struct position){.operation = OP_END});
    if (grow(maker, (void **)&program->rules, &program->rule_room, 1, sizeof *program->rules)) {
        program->rules[program->rule_count++] = (struct rule){0};
        uint32_t start = call(maker, maker->grammar->root, POSITION_END);
        if (maker->status == PDK_OK)
            program->rules[RULE_TOP].start = start;
    }
    for (uint32_t rule = 1; rule < program->rule_count && maker->status == PDK_OK; rule++)
        emit_rule(maker, rule);
    if (maker->status == PDK_NO_MEMORY)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the grammar");
    if (maker->status == PDK_TIMEOUT)
        return pdk_error_set(err, PDK_TOO_LARGE, NULL, "the grammar takes longer to compile than its time allows");
    if (maker->status != PDK_OK)
        return pdk_error_set(err, PDK_TOO_LARGE, NULL, "the grammar needs more than the %zu MiB that it may take",
            maker->grammar->budget.memory_bytes >> 20);
    pdk_status status = prune(program, err);
    if (status == PDK_OK)
        find_classes(program);
    return status;
}

pdk_status program_new(const struct grammar *grammar, struct program **ret_program, pdk_error *err)
{
    pdk_status status = grammar_status(grammar, err);
    if (status != PDK_OK)
        return status;
    if (grammar->root == GRAMMAR_FAILED)
        return pdk_error_set(err, PDK_INVALID, NULL, "the grammar has no root");
    struct maker maker = {.grammar = grammar, .program = calloc(1, sizeof(struct program))};
    if (maker.program == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the grammar");
    status = make(&maker, err);
    free(maker.refs);
    free(maker.size);
    free(maker.rule_of);
    if (status == PDK_OK)
        *ret_program = maker.program;
    else
        program_free(maker.program);
    return status;
}

struct program *program_free(struct program *program)
{
    if (program != NULL) {
        free(program->positions);
        free(program->targets);
        free(program->rules);
        free(program);
    }
    return NULL;
}
