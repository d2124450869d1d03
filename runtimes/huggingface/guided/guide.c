/* A guide is a program, its automaton and the masks, under one lock. Time is kept as a bank: compiling and
 * the masks take from a second, and each token gives some back. */
#include "config.h"

#include "runtimes/huggingface/guided/guide.h"

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/thread.h"
#include "runtimes/huggingface/guided/mask.h"
#include "runtimes/huggingface/guided/readers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    MEMORY_BYTES = 64 << 20,
    START_MS = 600, /* for all up to the first token; on shared processors it passes slower than by the wall */
    BANK_US = 1000000,
    TOKEN_US = 5000, /* what each token gives back */
};

struct guide {
    const struct guide_vocabulary *vocabulary;
    struct program *program;

    struct mutex lock; /* guards what follows */
    uint32_t references;
    struct automaton *automaton;
    struct masks masks;
    int64_t bank_us;
    struct guide_walker *walkers;
    uint32_t walker_count;
};

struct guide_walker {
    struct guide *guide;
    struct guide_walker *previous, *next; /* under the guide's lock */
    state_id state;                       /* likewise */
    bool ended, may_end, complete;
    uint64_t *mask; /* [words] */
};

static guide_reader *const readers[] = {
    [PDK_GUIDE_JSON_SCHEMA] = read_json_schema,
    [PDK_GUIDE_JSON_OBJECT] = read_json_object,
    [PDK_GUIDE_REGEX] = read_regex,
    [PDK_GUIDE_CHOICE] = read_choice,
    [PDK_GUIDE_GRAMMAR] = read_grammar,
    [PDK_GUIDE_STRUCTURAL_TAG] = read_structural_tag,
};

/* What a failure begins with. */
static const char *const prefixes[] = {
    [PDK_GUIDE_JSON_SCHEMA] = "Grammar error", /* the words of the last reader of schemas that vLLM tries */
    [PDK_GUIDE_JSON_OBJECT] = "Failed to transform json schema into a grammar",
    [PDK_GUIDE_REGEX] = "Failed to transform regex into a grammar",
    [PDK_GUIDE_CHOICE] = "Failed to transform choices into a grammar",
    [PDK_GUIDE_GRAMMAR] = "Invalid grammar specification.",
    [PDK_GUIDE_STRUCTURAL_TAG] = "Invalid response_format structural_tag specification.",
};

static int64_t thread_us(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID) / 1000;
}

static pdk_status read_program(const pdk_guide *what, int64_t deadline_ms, struct program **ret_program, pdk_error *err)
{
    struct grammar_budget budget = {.memory_bytes = MEMORY_BYTES, .deadline_ms = deadline_ms};
    struct grammar *grammar = NULL;
    pdk_status status = grammar_new(&budget, &grammar, err);
    if (status != PDK_OK)
        return status;
    grammar_node root = GRAMMAR_FAILED;
    status = readers[what->kind](grammar, what, &root, err);
    if (status == PDK_OK) {
        grammar_set_root(grammar, root);
        status = program_new(grammar, ret_program, err);
    }
    grammar_free(grammar);
    return status;
}

static pdk_status make(struct guide *guide, const pdk_guide *what, pdk_error *err)
{
    int64_t deadline_ms = thread_ms() + START_MS;
    pdk_status status = read_program(what, deadline_ms, &guide->program, err);
    int64_t left_us = (deadline_ms - thread_ms()) * 1000;
    if (status == PDK_OK)
        status = automaton_new(guide->program, MEMORY_BYTES, thread_us() + left_us, &guide->automaton, err);
    if (status == PDK_OK)
        status = masks_init(&guide->masks, guide->vocabulary, guide->automaton, err);
    if (status == PDK_OK && what->kind == PDK_GUIDE_STRUCTURAL_TAG) /* tags are often single tokens of their own */
        status = masks_take_specials(&guide->masks, what->text.data, what->text.length, err);
    guide->bank_us = (deadline_ms - thread_ms()) * 1000;
    return status;
}

pdk_status guide_new(
    const struct guide_vocabulary *vocabulary, const pdk_guide *what, struct guide **ret_guide, pdk_error *err)
{
    if (what->kind <= PDK_GUIDE_NONE || (size_t)what->kind >= sizeof readers / sizeof readers[0])
        return pdk_error_set(err, PDK_UNSUPPORTED, NULL, "structured output of kind %d is not known", (int)what->kind);
    struct guide *guide = calloc(1, sizeof *guide);
    if (guide == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the structured output");
    guide->vocabulary = vocabulary;
    guide->references = 1;
    mutex_init(&guide->lock);
    pdk_error cause = {0};
    pdk_status status = make(guide, what, &cause);
    if (status != PDK_OK) {
        guide_release(guide);
        const char *prefix = prefixes[what->kind];
        return pdk_error_set(
            err, status, NULL, "%s%s %s", prefix, prefix[strlen(prefix) - 1] == '.' ? "" : ":", cause.message);
    }
    *ret_guide = guide;
    return PDK_OK;
}

struct guide *guide_release(struct guide *guide)
{
    if (guide == NULL)
        return NULL;
    mutex_lock(&guide->lock);
    bool last = --guide->references == 0;
    mutex_unlock(&guide->lock);
    if (!last)
        return NULL;
    masks_done(&guide->masks);
    automaton_free(guide->automaton);
    program_free(guide->program);
    mutex_done(&guide->lock);
    free(guide);
    return NULL;
}

pdk_status guide_walker_new(struct guide *guide, struct guide_walker **ret_walker, pdk_error *err)
{
    struct guide_walker *walker = calloc(1, sizeof *walker);
    uint64_t *mask = calloc((size_t)guide->vocabulary->words + 1, sizeof *mask);
    if (walker == NULL || mask == NULL) {
        free(walker);
        free(mask);
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the structured output");
    }
    walker->guide = guide;
    walker->mask = mask;
    mutex_lock(&guide->lock);
    guide->references++;
    guide->walker_count++;
    walker->state = guide->automaton->start;
    walker->may_end = automaton_ends(guide->automaton, walker->state);
    walker->complete = automaton_must_end(guide->automaton, walker->state);
    walker->next = guide->walkers;
    if (walker->next != NULL)
        walker->next->previous = walker;
    guide->walkers = walker;
    mutex_unlock(&guide->lock);
    *ret_walker = walker;
    return PDK_OK;
}

struct guide_walker *guide_walker_free(struct guide_walker *walker)
{
    if (walker == NULL)
        return NULL;
    struct guide *guide = walker->guide;
    mutex_lock(&guide->lock);
    if (walker->previous != NULL)
        walker->previous->next = walker->next;
    else
        guide->walkers = walker->next;
    if (walker->next != NULL)
        walker->next->previous = walker->previous;
    guide->walker_count--;
    mutex_unlock(&guide->lock);
    guide_release(guide);
    free(walker->mask);
    free(walker);
    return NULL;
}

/* Frees what no walker needs, when memory runs short. */
static void tidy(struct guide *guide)
{
    enum { WALKERS_MAX = 256 };
    state_id keep[WALKERS_MAX];
    size_t count = 0;
    if (guide->walker_count > WALKERS_MAX)
        return; /* more choices than a request may have */
    for (const struct guide_walker *walker = guide->walkers; walker != NULL; walker = walker->next)
        keep[count++] = walker->state;
    masks_tidy(&guide->masks, keep, count);
}

/* What is left of the bank, as a deadline; and what was taken from it. */
static int64_t start_work(struct guide *guide)
{
    int64_t now_us = thread_us();
    guide->automaton->deadline_us = now_us + (guide->bank_us > 0 ? guide->bank_us : 0);
    return now_us;
}

static void end_work(struct guide *guide, int64_t started_us)
{
    guide->bank_us -= thread_us() - started_us;
}

pdk_status guide_walker_mask(struct guide_walker *walker, const uint64_t **ret_mask, pdk_error *err)
{
    struct guide *guide = walker->guide;
    size_t bytes = guide->vocabulary->words * sizeof *walker->mask;
    mutex_lock(&guide->lock);
    tidy(guide);
    int64_t started_us = start_work(guide);
    const uint64_t *mask = walker->ended ? NULL : masks_of(&guide->masks, walker->state);
    if (guide->automaton->status == PDK_TOO_LARGE) { /* with what was kept for others: once more without */
        tidy(guide);
        mask = masks_of(&guide->masks, walker->state);
    }
    end_work(guide, started_us);
    if (mask != NULL)
        memcpy(walker->mask, mask, bytes);
    else
        memset(walker->mask, 0, bytes);
    pdk_status status = automaton_error(guide->automaton, err);
    mutex_unlock(&guide->lock);
    if (status == PDK_OK)
        *ret_mask = walker->mask;
    return status;
}

static bool is_end(const struct guide_vocabulary *vocabulary, uint32_t token)
{
    for (uint32_t i = 0; i < vocabulary->eos_count; i++)
        if (vocabulary->eos_ids[i] == token)
            return true;
    return false;
}

/* The state behind the token's bytes. */
static state_id follow(const struct guide *guide, state_id state, uint32_t token)
{
    pdk_string text = masks_token_text(&guide->masks, token);
    if (text.length == 0)
        return STATE_DEAD;
    for (size_t i = 0; i < text.length && state > STATE_DEAD; i++)
        state = automaton_step(guide->automaton, state, (uint8_t)text.data[i]);
    return state;
}

static void arrive(struct guide_walker *walker, state_id at)
{
    walker->state = at;
    walker->may_end = automaton_ends(walker->guide->automaton, at);
    walker->complete = automaton_must_end(walker->guide->automaton, at);
}

static pdk_status refuse(uint32_t token, pdk_error *err)
{
    return pdk_error_set(err, PDK_INVALID, NULL, "token %u is not among those that may come", (unsigned)token);
}

pdk_status guide_walker_add(struct guide_walker *walker, uint32_t token, pdk_error *err)
{
    struct guide *guide = walker->guide;
    if (walker->ended || token >= guide->vocabulary->size)
        return refuse(token, err);
    if (walker->may_end && is_end(guide->vocabulary, token)) {
        walker->ended = walker->complete = true;
        return PDK_OK;
    }
    mutex_lock(&guide->lock);
    guide->bank_us = guide->bank_us + TOKEN_US > BANK_US ? BANK_US : guide->bank_us + TOKEN_US;
    int64_t started_us = start_work(guide);
    state_id to = follow(guide, walker->state, token);
    if (to > STATE_DEAD && automaton_close(guide->automaton, to))
        arrive(walker, to);
    end_work(guide, started_us);
    pdk_status status = automaton_error(guide->automaton, err);
    mutex_unlock(&guide->lock);
    return status == PDK_OK && to == STATE_DEAD ? refuse(token, err) : status;
}

/* The closed state behind the token's bytes, if all steps are known. */
static state_id follow_quick(const struct guide *guide, state_id state, uint32_t token)
{
    const struct guide_vocabulary *vocabulary = guide->vocabulary;
    const struct automaton *automaton = guide->automaton;
    uint32_t at = vocabulary->offsets[token], end = vocabulary->offsets[token + 1];
    for (; at < end && state > STATE_DEAD; at++) {
        const uint32_t *row = automaton->states[state]->row;
        state = row == NULL ? STATE_UNKNOWN : row[automaton->program->classes[(uint8_t)vocabulary->text[at]]];
    }
    return state > STATE_DEAD && automaton->states[state]->closed ? state : STATE_UNKNOWN;
}

bool guide_walker_add_quick(struct guide_walker *walker, uint32_t token, const uint64_t **ret_mask)
{
    struct guide *guide = walker->guide;
    const struct guide_vocabulary *vocabulary = guide->vocabulary;
    if (walker->ended || token >= vocabulary->size || vocabulary->offsets[token] == vocabulary->offsets[token + 1] ||
        !mutex_try(&guide->lock))
        return false;
    state_id to = guide->automaton->status == PDK_OK ? follow_quick(guide, walker->state, token) : STATE_UNKNOWN;
    const uint64_t *mask = to == STATE_UNKNOWN ? NULL : masks_known(&guide->masks, to);
    if (mask != NULL) {
        memcpy(walker->mask, mask, vocabulary->words * sizeof *mask);
        guide->bank_us = guide->bank_us + TOKEN_US > BANK_US ? BANK_US : guide->bank_us + TOKEN_US;
        arrive(walker, to);
    }
    mutex_unlock(&guide->lock);
    if (mask != NULL)
        *ret_mask = walker->mask;
    return mask != NULL;
}

bool guide_walker_may_end(const struct guide_walker *walker)
{
    return walker->may_end;
}

bool guide_walker_complete(const struct guide_walker *walker)
{
    return walker->complete;
}

bool guide_walker_ended(const struct guide_walker *walker)
{
    return walker->ended;
}
