/* runtimes/huggingface/engine/generation.h: one request as the engine has it: n choices over one prompt. Made by the
 * front, which hands it to the engine and reads results while the engine writes more.
 *
 * Who writes what: until engine_add and once it is `released` everything is the front's. In between the engine writes;
 * the front reads tokens below `published`, results between `consumed` and `published`, and `finish` once `ended` is
 * set, and writes only what is marked. A choice is at most RESULTS_HELD tokens ahead of the front: it waits when that
 * is reached. */
#pragma once

#include "runtimes/huggingface/engine/guiding.h"
#include "runtimes/huggingface/engine/pooled.h"
#include "runtimes/huggingface/engine/sequence.h"
#include "runtimes/huggingface/sampling/sampler.h"

#include <stdatomic.h>

enum { RESULTS_HELD = 16 };

/* What was reported on one token. The arrays have their final place, so that a step writes straight into them. */
struct drawn {
    int32_t rank;
    float logprob;
    uint32_t top_count;
    uint32_t *top_tokens;   /* [top_wanted], or NULL */
    float *top_logprobs;    /* [top_wanted] */
    int32_t *report_ranks;  /* [report_count] */
    float *report_logprobs; /* [report_count] */
};

struct choice {
    struct sequence sequence; /* first: the scheduler's plan names choices by it */
    struct generation *generation;
    struct sampler sampler;
    struct guiding guiding;
    struct drawn results[RESULTS_HELD]; /* of token i: results[i % RESULTS_HELD] */
    void *result_memory;
    uint8_t *types;            /* behind the sequence's, or NULL */
    struct pooled pooled;      /* of a pooling generation; the front reads it once `ended` is set */
    int32_t finish, stop_kind; /* PDK_FINISH_…, PDK_STOP_…; valid once `ended` */
    _Atomic uint32_t
        published; /* tokens that the front may read; the prompt at first (released by the engine's store) */
    _Atomic uint32_t consumed; /* tokens whose results the front is done with; the front's */
    _Atomic bool dropped;      /* the front's: end it, its further tokens are not wanted (a stop string was found) */
    /* What the sequence had come to when its last token was published: the sequence itself is the scheduler's. */
    _Atomic uint32_t cached, preemptions;
    _Atomic bool ended; /* no more tokens come; stored after the last `published` */
};

struct generation {
    struct sampling_rules rules;
    uint32_t prompt_count; /* of a pooling generation: of all its prompts together */
    uint32_t choice_count;
    struct choice *choices;
    struct drawn *scores; /* [prompt_count - 1] of tokens 1 …, when prompt log probabilities are wanted, or NULL */
    void *score_memory;
    _Atomic bool held;    /* the front's: the client does not read for now */
    _Atomic bool dropped; /* the front's: end it, its results are not wanted */
    _Atomic bool failed;  /* the engine's: `error` says why; set before the choices end */
    pdk_error error;
    int64_t arrived_us;                                          /* CLOCK_MONOTONIC */
    _Atomic int64_t scheduled_us, first_token_us, last_token_us; /* the engine's; 0: not yet */
    /* The engine's last word: it will not touch this again once `news` has returned. To be read in `news` alone, and
     * kept under the lock that those who free it take. */
    bool released;

    /* the engine's own */
    bool added, has_news;
    uint32_t open_choices;
    struct generation *news_next, *live_next, *live_previous;
    /* under the inbox's lock */
    bool in_inbox, gone;
    struct generation *inbox_next;
};

/* One text of a pooling generation; lists are copied. */
struct pooled_prompt {
    const uint32_t *tokens;
    uint32_t count;
    const uint8_t *types; /* [count], or NULL */
};

/* What a generation is made of; lists are copied. `prompt` then `produced` are its tokens so far; a choice comes to at
 * most `limit` tokens. */
struct generation_spec {
    const uint32_t *prompt;
    uint32_t prompt_count;
    const uint32_t *produced;
    uint32_t produced_count;
    uint32_t limit;
    uint32_t choices;
    const uint32_t *const *prompts; /* [choices] of prompt_count each, in the place of `prompt`; or NULL */
    uint64_t seed;                  /* of choice 0 */
    uint64_t tenant;
    int32_t priority;
    struct siphash128 salt;
    struct guide *guide; /* of all choices, or NULL; borrowed */
};

/* Makes the choices of `generation`, whose `rules` are resolved and whose rest is zero. generation_done frees it all,
 * the rules too, and after a failure as well. */
pdk_status generation_init(struct generation *generation, const struct generation_spec *spec, pdk_error *err);
/* The same of one that draws no tokens: a choice for each prompt, which keeps `rows` of its hidden states of `columns`
 * numbers. */
struct pooling_spec {
    struct pooled_prompt prompts[2];
    uint32_t prompt_count;
    enum pool_rows rows;
    uint32_t columns;
    uint64_t tenant;
    int32_t priority;
    struct siphash128 salt;
};
pdk_status generation_init_pooling(struct generation *generation, const struct pooling_spec *spec, pdk_error *err);
void generation_done(struct generation *generation);
