/* The subset construction, with assertions.
 *
 * A deterministic state is: the state of each lookbehind's automaton, and a set of threads. A thread is an op and the
 * duties it took on (a set of states of lookaheads' automata, by number). Code points that no class and no automaton
 * tells apart are one symbol. */
#include "config.h"

#include "runtimes/huggingface/guided/regex_program.h"
#include "runtimes/huggingface/guided/regex_symbols.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"

#include <string.h>

enum { DUTY_SETS_MAX = 4096, DUTIES_MAX = 64 };

struct thread {
    uint32_t op, duties;
};

struct duty {
    uint32_t look, state;
};

struct duty_set {
    uint32_t first, count;
};

struct state_key {
    uint32_t first, threads; /* in `words`: the lookbehinds' states, then two words a thread */
};

struct subset {
    const struct regex_program *program;
    const struct regular_budget *budget;
    struct regex_symbols symbols;
    uint32_t behind_count;
    uint32_t behind_of[REGEX_LOOKS_MAX]; /* a lookaround's place among the lookbehinds */
    uint32_t behind_look[REGEX_LOOKS_MAX];

    struct duty *duties;
    size_t duty_room, duty_count;
    struct duty_set *duty_sets; /* number 0 is empty */
    size_t duty_set_room;
    uint32_t duty_set_count;

    uint32_t *words;
    size_t word_room, word_count;
    struct state_key *keys;
    size_t key_room;
    uint32_t key_count;
    uint32_t *slots; /* key + 1, or 0 */
    size_t slot_count;

    /* The closure at work. */
    struct thread *stack, *kept;
    size_t stack_room, kept_room, stack_count, kept_count;
    uint32_t *seen_slots; /* open addressing over seen[] + 1 */
    size_t seen_slot_count;
    struct thread *seen;
    size_t seen_room, seen_count;
    uint32_t behind[REGEX_LOOKS_MAX]; /* where each lookbehind stands */
    bool all;                         /* whatever comes now matches */

    /* What the threads of one state lead to, before it is sorted by symbol. */
    struct step {
        uint32_t symbol;
        struct thread thread;
    } * steps;
    size_t step_room, step_count;
    uint32_t *targets; /* of each symbol */

    pdk_status status; /* PDK_OK, PDK_NO_MEMORY or PDK_TOO_LARGE */
};

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 29;
}

static int compare_duties(const void *left, const void *right)
{
    const struct duty *a = left, *b = right;
    if (a->look != b->look)
        return a->look < b->look ? -1 : 1;
    return a->state < b->state ? -1 : a->state > b->state;
}

/* The number of a set of duties, which are put in order. */
static uint32_t duty_set_number(struct subset *subset, struct duty *duties, uint32_t count)
{
    uint32_t kept = 0;
    if (count > 1)
        qsort(duties, count, sizeof *duties, compare_duties);
    for (uint32_t i = 0; i < count; i++) {
        if (kept == 0 || compare_duties(&duties[kept - 1], &duties[i]) != 0)
            duties[kept++] = duties[i];
    }
    for (uint32_t s = 0; s < subset->duty_set_count; s++) {
        const struct duty_set *set = &subset->duty_sets[s];
        if (set->count == kept &&
            (kept == 0 || memcmp(&subset->duties[set->first], duties, kept * sizeof *duties) == 0))
            return s;
    }
    if (subset->duty_set_count >= DUTY_SETS_MAX) {
        subset->status = PDK_TOO_LARGE;
        return 0;
    }
    if (!array_grow(&subset->duties, &subset->duty_room, subset->duty_count + kept + 1) ||
        !array_grow(&subset->duty_sets, &subset->duty_set_room, (size_t)subset->duty_set_count + 1)) {
        subset->status = PDK_NO_MEMORY;
        return 0;
    }
    for (uint32_t i = 0; i < kept; i++)
        subset->duties[subset->duty_count + i] = duties[i];
    subset->duty_sets[subset->duty_set_count] = (struct duty_set){(uint32_t)subset->duty_count, kept};
    subset->duty_count += kept;
    return subset->duty_set_count++;
}

/* The set `number` with one duty more. */
static uint32_t duty_set_add(struct subset *subset, uint32_t number, struct duty duty)
{
    struct duty duties[DUTIES_MAX];
    struct duty_set set = subset->duty_sets[number];
    if (set.count + 1 > DUTIES_MAX) {
        subset->status = PDK_TOO_LARGE;
        return 0;
    }
    for (uint32_t i = 0; i < set.count; i++)
        duties[i] = subset->duties[set.first + i];
    duties[set.count] = duty;
    return duty_set_number(subset, duties, set.count + 1);
}

/* The duties one symbol later; false: one of them cannot be met any more. */
static bool duty_set_step(struct subset *subset, uint32_t number, uint32_t code, uint32_t *ret_number)
{
    struct duty duties[DUTIES_MAX];
    struct duty_set set = subset->duty_sets[number];
    uint32_t count = 0;
    *ret_number = 0;
    for (uint32_t i = 0; i < set.count; i++) {
        struct duty duty = subset->duties[set.first + i];
        const struct regular *look = subset->program->looks[duty.look];
        duty.state = regular_step(look, duty.state, code);
        if (duty.state == REGULAR_NONE)
            return false;
        if (!regular_accepts_all(look, duty.state))
            duties[count++] = duty;
    }
    if (count > 0)
        *ret_number = duty_set_number(subset, duties, count);
    return true;
}

static void push(struct subset *subset, struct thread thread)
{
    if (!array_grow(&subset->stack, &subset->stack_room, subset->stack_count + 1)) {
        subset->status = PDK_NO_MEMORY;
        return;
    }
    subset->stack[subset->stack_count++] = thread;
}

static bool seen_rehash(struct subset *subset)
{
    size_t slots = subset->seen_slot_count == 0 ? 256 : subset->seen_slot_count * 2;
    uint32_t *fresh = calloc(slots, sizeof *fresh);
    if (fresh == NULL)
        return false;
    for (size_t i = 0; i < subset->seen_count; i++) {
        size_t at = mix(subset->seen[i].op, subset->seen[i].duties) & (slots - 1);
        while (fresh[at] != 0)
            at = (at + 1) & (slots - 1);
        fresh[at] = (uint32_t)i + 1;
    }
    free(subset->seen_slots);
    subset->seen_slots = fresh;
    subset->seen_slot_count = slots;
    return true;
}

/* Whether the thread is new to this closure; notes it. */
static bool see(struct subset *subset, struct thread thread)
{
    if ((subset->seen_count + 1) * 2 > subset->seen_slot_count && !seen_rehash(subset)) {
        subset->status = PDK_NO_MEMORY;
        return false;
    }
    size_t at = mix(thread.op, thread.duties) & (subset->seen_slot_count - 1);
    for (; subset->seen_slots[at] != 0; at = (at + 1) & (subset->seen_slot_count - 1)) {
        const struct thread *other = &subset->seen[subset->seen_slots[at] - 1];
        if (other->op == thread.op && other->duties == thread.duties)
            return false;
    }
    if (!array_grow(&subset->seen, &subset->seen_room, subset->seen_count + 1)) {
        subset->status = PDK_NO_MEMORY;
        return false;
    }
    subset->seen[subset->seen_count++] = thread;
    subset->seen_slots[at] = (uint32_t)subset->seen_count;
    return true;
}

static void forget_seen(struct subset *subset)
{
    /* Slots are emptied one by one: most closures are far smaller than the table. */
    for (size_t i = 0; i < subset->seen_count; i++) {
        size_t at = mix(subset->seen[i].op, subset->seen[i].duties) & (subset->seen_slot_count - 1);
        while (subset->seen_slots[at] != 0) {
            subset->seen_slots[at] = 0;
            at = (at + 1) & (subset->seen_slot_count - 1);
        }
    }
    subset->seen_count = 0;
}

static void keep(struct subset *subset, struct thread thread)
{
    if (!array_grow(&subset->kept, &subset->kept_room, subset->kept_count + 1)) {
        subset->status = PDK_NO_MEMORY;
        return;
    }
    subset->kept[subset->kept_count++] = thread;
}

static void close_thread(struct subset *subset, struct thread thread)
{
    const struct regex_op *op = &subset->program->ops[thread.op];
    const struct regular *look;
    switch ((enum regex_op_kind)op->kind) {
    case REGEX_OP_CLASS: keep(subset, thread); return;
    case REGEX_OP_MATCH: keep(subset, thread); return;
    case REGEX_OP_SPLIT:
        if (thread.op == subset->program->rest && thread.duties == 0)
            subset->all = true;
        push(subset, (struct thread){op->out, thread.duties});
        if (op->other != op->out)
            push(subset, (struct thread){op->other, thread.duties});
        return;
    case REGEX_OP_BEHIND: {
        uint32_t state = subset->behind[subset->behind_of[op->what]];
        look = subset->program->looks[op->what];
        if (state != REGULAR_NONE && look->states[state].accepts)
            push(subset, (struct thread){op->out, thread.duties});
        return;
    }
    case REGEX_OP_AHEAD:
        look = subset->program->looks[op->what];
        if (look->count == 0)
            return;
        if (!regular_accepts_all(look, 0))
            thread.duties = duty_set_add(subset, thread.duties, (struct duty){op->what, 0});
        push(subset, (struct thread){op->out, thread.duties});
        return;
    }
}

static int compare_threads(const void *left, const void *right)
{
    const struct thread *a = left, *b = right;
    if (a->op != b->op)
        return a->op < b->op ? -1 : 1;
    return a->duties < b->duties ? -1 : a->duties > b->duties;
}

/* Follows what takes no text from the threads on the stack; kept[] is then the state's set, in order. */
static void close_threads(struct subset *subset)
{
    subset->kept_count = 0;
    subset->all = false;
    while (subset->stack_count > 0 && subset->status == PDK_OK && !subset->all) {
        struct thread thread = subset->stack[--subset->stack_count];
        /* A thread with duties adds nothing beside the same one without. */
        if (see(subset, thread))
            close_thread(subset, thread);
    }
    subset->stack_count = 0;
    forget_seen(subset);
    if (subset->all)
        subset->kept_count = 0;
    if (subset->kept_count > 1)
        qsort(subset->kept, subset->kept_count, sizeof *subset->kept, compare_threads);
    size_t count = 0;
    for (size_t i = 0; i < subset->kept_count; i++) {
        bool covered =
            count > 0 && subset->kept[count - 1].op == subset->kept[i].op && subset->kept[count - 1].duties == 0;
        if (!covered)
            subset->kept[count++] = subset->kept[i];
    }
    subset->kept_count = count;
}

static bool keys_rehash(struct subset *subset)
{
    size_t slots = subset->slot_count == 0 ? 256 : subset->slot_count * 2;
    uint32_t *fresh = calloc(slots, sizeof *fresh);
    if (fresh == NULL)
        return false;
    for (uint32_t i = 0; i < subset->key_count; i++) {
        uint64_t hash = 0;
        for (uint32_t w = 0; w < subset->behind_count + subset->keys[i].threads * 2; w++)
            hash = mix(hash, subset->words[subset->keys[i].first + w]);
        size_t at = hash & (slots - 1);
        while (fresh[at] != 0)
            at = (at + 1) & (slots - 1);
        fresh[at] = i + 1;
    }
    free(subset->slots);
    subset->slots = fresh;
    subset->slot_count = slots;
    return true;
}

/* The number of the state that behind[] and kept[] (or `all`) make; REGULAR_NONE: a dead one. */
static uint32_t state_number(struct subset *subset)
{
    uint32_t threads = (uint32_t)subset->kept_count, size = subset->behind_count + threads * 2;
    if (threads == 0 && !subset->all)
        return REGULAR_NONE;
    if (((size_t)subset->key_count + 1) * 2 > subset->slot_count && !keys_rehash(subset)) {
        subset->status = PDK_NO_MEMORY;
        return REGULAR_NONE;
    }
    if (!array_grow(&subset->words, &subset->word_room, subset->word_count + size + 1) ||
        !array_grow(&subset->keys, &subset->key_room, (size_t)subset->key_count + 1)) {
        subset->status = PDK_NO_MEMORY;
        return REGULAR_NONE;
    }
    uint32_t *words = subset->words + subset->word_count;
    for (uint32_t i = 0; i < subset->behind_count; i++)
        words[i] = subset->all ? REGULAR_NONE : subset->behind[i];
    for (uint32_t i = 0; i < threads; i++) {
        words[subset->behind_count + 2 * i] = subset->kept[i].op;
        words[subset->behind_count + 2 * i + 1] = subset->kept[i].duties;
    }
    uint64_t hash = 0;
    for (uint32_t w = 0; w < size; w++)
        hash = mix(hash, words[w]);
    size_t at = hash & (subset->slot_count - 1);
    for (; subset->slots[at] != 0; at = (at + 1) & (subset->slot_count - 1)) {
        const struct state_key *key = &subset->keys[subset->slots[at] - 1];
        if (key->threads == threads &&
            (size == 0 || memcmp(subset->words + key->first, words, size * sizeof *words) == 0))
            return subset->slots[at] - 1;
    }
    subset->keys[subset->key_count] = (struct state_key){(uint32_t)subset->word_count, threads};
    subset->word_count += size;
    subset->slots[at] = ++subset->key_count;
    return subset->key_count - 1;
}

static struct thread key_thread(const struct subset *subset, const struct state_key *key, uint32_t i)
{
    const uint32_t *words = subset->words + key->first + subset->behind_count + 2 * (size_t)i;
    return (struct thread){words[0], words[1]};
}

static bool key_accepts(const struct subset *subset, const struct state_key *key)
{
    for (uint32_t i = 0; i < key->threads; i++) {
        struct thread thread = key_thread(subset, key, i);
        struct duty_set set = subset->duty_sets[thread.duties];
        bool met = thread.op == subset->program->match;
        for (uint32_t d = 0; d < set.count && met; d++) {
            struct duty duty = subset->duties[set.first + d];
            met = subset->program->looks[duty.look]->states[duty.state].accepts;
        }
        if (met)
            return true;
    }
    return key->threads == 0; /* whatever comes matches */
}

static int compare_steps(const void *left, const void *right)
{
    const struct step *a = left, *b = right;
    return a->symbol < b->symbol ? -1 : a->symbol > b->symbol;
}

static void collect_steps(struct subset *subset, struct state_key key)
{
    subset->step_count = 0;
    for (uint32_t i = 0; i < key.threads && subset->status == PDK_OK; i++) {
        struct thread thread = key_thread(subset, &key, i);
        const struct regex_op *op = &subset->program->ops[thread.op];
        if (op->kind != REGEX_OP_CLASS)
            continue;
        uint32_t count;
        const uint32_t *symbols = regex_symbols_of(&subset->symbols, op->what, &count);
        for (uint32_t s = 0; s < count && subset->status == PDK_OK; s++) {
            uint32_t duties;
            if (!duty_set_step(subset, thread.duties, subset->symbols.codes[symbols[s]], &duties))
                continue;
            if (!array_grow(&subset->steps, &subset->step_room, subset->step_count + 1)) {
                subset->status = PDK_NO_MEMORY;
                return;
            }
            subset->steps[subset->step_count++] = (struct step){symbols[s], {op->out, duties}};
        }
    }
    if (subset->step_count > 1)
        qsort(subset->steps, subset->step_count, sizeof *subset->steps, compare_steps);
}

/* Where each symbol leads from a state. */
static void determine_targets(struct subset *subset, struct state_key key)
{
    uint32_t behind[REGEX_LOOKS_MAX];
    for (uint32_t i = 0; i < subset->behind_count; i++)
        behind[i] = subset->words[key.first + i];
    collect_steps(subset, key);
    for (uint32_t s = 0; s < subset->symbols.count; s++)
        subset->targets[s] = REGULAR_NONE;
    for (size_t i = 0; i < subset->step_count && subset->status == PDK_OK;) {
        uint32_t symbol = subset->steps[i].symbol;
        for (; i < subset->step_count && subset->steps[i].symbol == symbol; i++)
            push(subset, subset->steps[i].thread);
        for (uint32_t b = 0; b < subset->behind_count; b++) {
            const struct regular *look = subset->program->looks[subset->behind_look[b]];
            subset->behind[b] =
                behind[b] == REGULAR_NONE ? REGULAR_NONE : regular_step(look, behind[b], subset->symbols.codes[symbol]);
        }
        close_threads(subset);
        if (subset->status == PDK_OK)
            subset->targets[symbol] = state_number(subset);
    }
}

static void build_state(struct subset *subset, struct regular_builder *builder, uint32_t number)
{
    struct state_key key = subset->keys[number];
    regular_builder_state(builder, key_accepts(subset, &key));
    if (key.threads == 0) {
        regular_builder_range(builder, 0, CODE_LAST, number);
        return;
    }
    determine_targets(subset, key);
    for (uint32_t i = 0; i < subset->symbols.interval_count && subset->status == PDK_OK; i++) {
        const struct regex_interval *interval = &subset->symbols.intervals[i];
        if (subset->targets[interval->symbol] != REGULAR_NONE)
            regular_builder_range(builder, interval->first, interval->last, subset->targets[interval->symbol]);
    }
}

static void begin(struct subset *subset)
{
    const struct regex_program *program = subset->program;
    struct duty none;
    for (uint32_t i = 0; i < program->look_count; i++) {
        if (!program->look_behind[i])
            continue;
        subset->behind_of[i] = subset->behind_count;
        subset->behind_look[subset->behind_count] = i;
        subset->behind[subset->behind_count++] = program->looks[i]->count > 0 ? 0 : REGULAR_NONE;
    }
    duty_set_number(subset, &none, 0);
    push(subset, (struct thread){program->start, 0});
    close_threads(subset);
    if (subset->status == PDK_OK)
        state_number(subset);
}

static void subset_done(struct subset *subset)
{
    regex_symbols_done(&subset->symbols);
    free(subset->duties);
    free(subset->duty_sets);
    free(subset->words);
    free(subset->keys);
    free(subset->slots);
    free(subset->stack);
    free(subset->kept);
    free(subset->seen);
    free(subset->seen_slots);
    free(subset->steps);
    free(subset->targets);
}

pdk_status regex_determine(
    const struct regex_program *program, const struct regular_budget *budget, struct regular **ret_set, pdk_error *err)
{
    enum { WORDS_MAX = 4000000 };
    struct subset subset = {.program = program, .budget = budget};
    struct regular_builder builder = {.states_max = budget->states};
    subset.status = regex_symbols_init(&subset.symbols, program, budget);
    subset.targets = calloc((size_t)subset.symbols.count + 1, sizeof *subset.targets);
    if (subset.targets == NULL)
        subset.status = PDK_NO_MEMORY;
    if (subset.status == PDK_OK)
        begin(&subset);
    for (uint32_t s = 0; s < subset.key_count && subset.status == PDK_OK && builder.status == PDK_OK; s++) {
        build_state(&subset, &builder, s);
        if (subset.word_count > WORDS_MAX || subset.key_count > budget->states + 1 || thread_ms() > budget->deadline_ms)
            subset.status = PDK_TOO_LARGE;
    }
    pdk_status status = subset.status;
    subset_done(&subset);
    if (status == PDK_TOO_LARGE) {
        regular_builder_done(&builder);
        return regular_too_large(budget, err);
    }
    if (status != PDK_OK)
        builder.status = status;
    return regular_builder_finish(&builder, ret_set, err);
}
