/* runtimes/huggingface/engine/sequence.h: one run of tokens that grows: the prompt, then what was generated. It has
 * `computed` tokens in the cache and `total` tokens known; each step gives it some of the difference. There is no mode:
 * a prompt, a chunk of one, a decoding sequence and one that was preempted differ in these two numbers only. */
#pragma once

#include "runtimes/huggingface/engine/block_pool.h"

enum sequence_state {
    SEQUENCE_NEW,     /* not yet the scheduler's */
    SEQUENCE_WAITING, /* holds no block */
    SEQUENCE_RUNNING, /* has a slot and blocks */
    SEQUENCE_ENDED    /* the scheduler's no more */
};

struct sequence {
    /* what it is: set before scheduler_add, then constant */
    uint32_t *tokens;      /* [limit], borrowed */
    uint32_t prompt_count; /* at least 1 */
    uint32_t limit;        /* most tokens it may come to; at least prompt_count */
    bool scores;           /* the logits of every prompt position are wanted, not just of the last one */
    bool pools;            /* draws no token: it is over when its prompt is computed; limit is prompt_count */
    bool whole;            /* every token's row is wanted, so none is skipped that the cache has */
    const uint8_t *types;  /* [prompt_count] segment of each token of a pair, borrowed; NULL: all 0 */
    int32_t priority;      /* lower runs first */
    uint64_t tenant;
    struct siphash128 salt;  /* block_pool_salt */
    struct sequence *leader; /* NULL, or the sequence of the same prompt whose blocks it shares */

    /* how far it is: the engine's */
    uint32_t total;  /* tokens known; the engine appends */
    uint32_t scored; /* prompt positions whose logits were taken */
    bool held;       /* the client does not read: gets no rows, keeps its blocks */

    /* the scheduler's own */
    enum sequence_state state;
    uint64_t arrival;
    uint32_t slot;           /* of its block table, while it runs */
    uint32_t blocks;         /* entries of its table */
    uint32_t computed;       /* tokens in the cache */
    uint32_t cached;         /* of these, found in the cache at its first admission */
    uint32_t published;      /* full blocks already offered to the cache */
    struct siphash128 chain; /* hash of the last of these; the salt at first */
    uint32_t preemptions;
    bool admitted;  /* once at least */
    uint32_t chunk; /* rows that this step gives it, their blocks taken */
    uint8_t tenant_slot;
    struct sequence *previous, *next;
};

/* Tokens that must be computed before the next one can be drawn, or before a prompt is scored that wants no answer. */
static inline uint32_t sequence_goal(const struct sequence *sequence)
{
    return sequence->total == sequence->limit && !sequence->pools ? sequence->total - 1 : sequence->total;
}

/* What it may come to hold in the cache, in the words of scheduler_fits, by which the last token is not computed. */
static inline uint32_t sequence_most(const struct sequence *sequence)
{
    return sequence->pools ? sequence->limit + 1 : sequence->limit;
}

static inline uint32_t blocks_of(uint32_t tokens)
{
    return tokens / BLOCK_TOKENS + (tokens % BLOCK_TOKENS != 0);
}
