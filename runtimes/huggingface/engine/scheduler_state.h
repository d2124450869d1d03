/* runtimes/huggingface/engine/scheduler_state.h: the scheduler's inside, for the files that it is made of: scheduler.c
 * (lists, blocks, the plan), scheduler_admit.c (who starts next), scheduler_check.c (its invariants). */
#pragma once

#include "runtimes/huggingface/engine/scheduler.h"

/* QUANTUM: tokens of a tenant's turn. */
enum { TENANTS_MAX = 64, QUANTUM = 2048 };

struct tenant {
    uint64_t id;
    uint32_t sequences;            /* waiting and running; 0: the slot is free */
    int64_t deficit;               /* tokens that it may still have computed before the others' turn */
    struct sequence *first, *last; /* waiting */
};

struct scheduler {
    struct scheduler_config config;
    struct block_pool *pool;
    struct cost_model cost;
    struct plan plan;
    uint64_t arrivals, steps;
    struct sequence *first, *last; /* running */
    uint32_t running, waiting;
    uint32_t *slots; /* free ones, a stack */
    uint32_t slot_count;
    uint32_t *tables; /* [max_sequences][stride] */
    uint32_t stride;
    struct sequence **order; /* scratch: the running ones when a plan begins */
    uint32_t cursor;         /* slot of the tenant that is asked first */
    struct scheduler_counts counts;
    struct tenant tenants[TENANTS_MAX];
};

/* What is left of a step for prompts. */
struct allowance {
    uint32_t rows, outputs;
};

/* scheduler.c */
uint32_t *scheduler_slot_table(const struct scheduler *s, const struct sequence *sequence);
bool sequence_runs_before(const struct sequence *a, const struct sequence *b);
/* Keep a list sorted by sequence_runs_before. */
void sequence_list_insert(struct sequence **first, struct sequence **last, struct sequence *sequence);
void sequence_list_remove(struct sequence **first, struct sequence **last, struct sequence *sequence);
void scheduler_release(struct scheduler *s, struct sequence *sequence);
void scheduler_drop_copies(struct plan *plan, const struct sequence *sequence);
bool scheduler_grow(struct scheduler *s, struct sequence *sequence, uint32_t end);
uint32_t scheduler_chunk_end(const struct scheduler *s, const struct sequence *sequence, uint32_t rows);
uint32_t scheduler_rows_allowed(const struct sequence *sequence, const struct allowance *left);
/* Writes its chunk into the plan. */
void scheduler_enter(struct scheduler *s, struct sequence *sequence);

/* scheduler_admit.c */
bool scheduler_deferred(const struct sequence *sequence);
/* Starts waiting sequences while rows, slots and blocks last. */
void scheduler_admit(struct scheduler *s, struct allowance *left);
