/* Marks spread from the end backwards: a position is marked when what follows it is, and when the rule that it calls
 * has its start marked too. Each edge is looked at a bounded number of times. */
#include "config.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "runtimes/huggingface/guided/program_parts.h"

#include <stdlib.h>

/* For each of some things, the positions that wait for its mark. */
struct waiting {
    uint32_t *first; /* [count + 1] */
    uint32_t *who;
};

struct reach {
    const struct program *program;
    bool by_text;
    uint8_t *marks;
    uint32_t *stack;
    size_t depth;
};

static uint32_t edges_of(const struct program *program, const struct position *position)
{
    (void)program;
    switch (position->operation) {
    case OP_BYTES: return 1;
    case OP_SPLIT: return position->b;
    case OP_CALL: return 2;
    case OP_REPEAT: return 1;
    default: return 0;
    }
}

static uint32_t edge(const struct program *program, const struct position *position, uint32_t i)
{
    if (position->operation == OP_SPLIT)
        return program->targets[position->a + i];
    if (position->operation == OP_REPEAT)
        return program->rules[position->next].start;
    return i == 0 ? position->next : program->rules[position->a].start;
}

/* Edges turned round. */
static bool turn_round(const struct program *program, struct waiting *waiting)
{
    size_t count = 0, positions = program->position_count;
    waiting->first = calloc(positions + 1, sizeof *waiting->first);
    if (waiting->first == NULL)
        return false;
    for (size_t i = 0; i < positions; i++)
        for (uint32_t k = edges_of(program, &program->positions[i]); k-- > 0; count++)
            waiting->first[edge(program, &program->positions[i], k)]++;
    waiting->who = calloc(count + 1, sizeof *waiting->who);
    if (waiting->who == NULL)
        return false;
    uint32_t sum = 0;
    for (size_t i = 0; i <= positions; i++) {
        sum += waiting->first[i];
        waiting->first[i] = sum;
    }
    for (size_t i = 0; i < positions; i++)
        for (uint32_t k = edges_of(program, &program->positions[i]); k-- > 0;)
            waiting->who[--waiting->first[edge(program, &program->positions[i], k)]] = (uint32_t)i;
    return true;
}

static bool is_reached(const struct reach *reach, const struct position *position)
{
    const struct program *program = reach->program;
    switch (position->operation) {
    case OP_END: return true;
    case OP_BYTES: return reach->by_text && reach->marks[position->next];
    case OP_CALL: return reach->marks[position->next] && reach->marks[program->rules[position->a].start];
    case OP_REPEAT: return position->a == 0 || reach->marks[program->rules[position->next].start];
    case OP_SPLIT:
        for (uint32_t k = 0; k < position->b; k++)
            if (reach->marks[program->targets[position->a + k]])
                return true;
        return false;
    default: return false;
    }
}

static void mark(struct reach *reach, uint32_t position)
{
    reach->marks[position] = 1;
    reach->stack[reach->depth++] = position;
}

pdk_status program_reach(const struct program *program, bool by_text, uint8_t **ret_marks, pdk_error *err)
{
    size_t positions = program->position_count;
    PDK_AUTO_FREE uint8_t *marks = calloc(positions, 1);
    PDK_AUTO_FREE uint32_t *stack = calloc(positions, sizeof *stack);
    struct waiting waiting = {0};
    struct reach reach = {.program = program, .by_text = by_text, .marks = marks, .stack = stack};
    bool done = marks != NULL && stack != NULL && turn_round(program, &waiting);
    for (size_t i = 0; i < positions && done; i++) {
        const struct position *position = &program->positions[i];
        if (position->operation == OP_END || (position->operation == OP_REPEAT && position->a == 0))
            mark(&reach, (uint32_t)i);
    }
    while (done && reach.depth > 0) {
        uint32_t at = stack[--reach.depth];
        for (uint32_t k = waiting.first[at]; k < waiting.first[at + 1]; k++) {
            uint32_t who = waiting.who[k];
            const struct position *position = &program->positions[who];
            /* A split follows any of its targets, and one was just marked: no need to look at the others. */
            if (!marks[who] && (position->operation == OP_SPLIT || is_reached(&reach, position)))
                mark(&reach, who);
        }
    }
    free(waiting.first);
    free(waiting.who);
    if (!done)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the grammar");
    *ret_marks = PDK_STEAL(marks);
    return PDK_OK;
}
