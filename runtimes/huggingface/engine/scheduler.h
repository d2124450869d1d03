/* runtimes/huggingface/engine/scheduler.h: which rows the next step computes. A function over its state: it reads no
 * clock, takes no lock and allocates nothing after scheduler_new. One thread at a time.
 *
 * A step: decode rows first; then chunks of admitted prompts, each at least one block; then admissions, while rows,
 * slots and blocks last. Running sequences are ordered by priority, then age. Whoever lacks a block takes it from the
 * cache, else preempts the newest of the lowest priority; the oldest can always go on, so every admitted sequence ends.
 * Between tenants deficit round robin, computed tokens being the cost; inside one, first come first served. */
#pragma once

#include "runtimes/huggingface/engine/cost_model.h"
#include "runtimes/huggingface/engine/sequence.h"

struct scheduler_config {
    uint32_t max_sequences;    /* running at once */
    uint32_t max_rows;         /* of a step; at least max_sequences and BLOCK_TOKENS */
    uint32_t max_outputs;      /* logits of a step; at least max_sequences + BLOCK_TOKENS */
    uint32_t max_length;       /* tokens of a sequence */
    uint32_t long_prefill;     /* most rows of one prompt in a step; 0: no such limit */
    uint32_t prefill_interval; /* prompts join every so many steps; 1: all */
    double watermark;          /* share of the blocks that admissions leave free */
    bool reserve_prompt;       /* admit only when all its known tokens have blocks */
    bool chunked;              /* prompts may be cut */
};

struct plan_entry {
    struct sequence *sequence;
    uint32_t first, count; /* its tokens [first, first + count) are this step's rows */
};

/* One step's work, in arenas of the scheduler; valid until the next scheduler_plan. */
struct plan {
    struct plan_entry *entries;
    uint32_t entry_count;
    uint32_t (*copies)[2]; /* blocks to copy before, from and to, in this order */
    struct sequence **copy_owners;
    uint32_t copy_count;
    uint32_t rows, outputs, decode_rows;
    uint32_t prompt_rows; /* of `rows`, those of prompts */
    uint64_t context;     /* tokens in the caches of all its sequences */
};

struct scheduler_counts {
    uint32_t running, waiting, deferred; /* deferred: of `waiting`, those that wait for their leader or a reader */
    uint64_t preemptions, cache_queries, cache_hits; /* prompt tokens looked up and found */
};

struct scheduler;

/* Borrows `pool`. */
pdk_status scheduler_new(
    const struct scheduler_config *config, struct block_pool *pool, struct scheduler **ret_scheduler, pdk_error *err);
struct scheduler *scheduler_free(struct scheduler *scheduler); /* takes NULL, returns NULL */

/* Whether a sequence that may come to `limit` tokens fits the pool at all; else PDK_INVALID with the numbers. */
pdk_status scheduler_fits(const struct block_pool *pool, uint32_t limit, pdk_error *err);
/* Queues it; borrowed until scheduler_remove. It fits. */
void scheduler_add(struct scheduler *scheduler, struct sequence *sequence);
/* Ends it, whatever its state; its blocks are free at once. A second call does nothing. */
void scheduler_remove(struct scheduler *scheduler, struct sequence *sequence);

/* Decides the next step. An empty plan: nothing can go on until something changes. */
const struct plan *scheduler_plan(struct scheduler *scheduler);
/* The planned step was made: its rows are in the cache. Call before tokens are appended or sequences removed. */
void scheduler_commit(struct scheduler *scheduler);
/* What the last step took, for the cost model. */
void scheduler_observe(struct scheduler *scheduler, double seconds);

/* The block table of a running sequence. */
const uint32_t *scheduler_table(const struct scheduler *scheduler, const struct sequence *sequence);
uint32_t scheduler_table_stride(const struct scheduler *scheduler);
struct scheduler_counts scheduler_counts(const struct scheduler *scheduler);
bool scheduler_idle(const struct scheduler *scheduler); /* holds no sequence */
/* Whether all invariants hold; *ret_what says which does not. Slow: tests and debug builds. */
bool scheduler_check(const struct scheduler *scheduler, const char **ret_what);

/* Output rows among the tokens [first, first + count) of `sequence`: those scored, and the one that the next token is
 * drawn from. */
uint32_t plan_outputs(const struct sequence *sequence, uint32_t first, uint32_t count);
