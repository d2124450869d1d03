/* runtimes/huggingface/engine/engine.h: the step loop, [engine-thread]: take in what came, schedule, make the step,
 * hand the tokens on. It knows no text and no model; what makes a step is a function. Sleeps when there is nothing to
 * do. */
#pragma once

#include "runtimes/huggingface/engine/generation.h"
#include "runtimes/huggingface/engine/scheduler.h"

/* model_step's form: makes the step and waits for it. [engine-thread] */
typedef pdk_status engine_step(void *context, const pdk_batch *batch, const uint32_t (*copies)[2], size_t copy_count,
    pdk_sample_row *samples, uint32_t sample_count, pdk_error *err);

/* Copies rows [first, first + count) of the last step's hidden states. [engine-thread] */
typedef void engine_hidden(void *context, uint32_t first, uint32_t count, float *out);

/* After each step, for whoever counts. */
struct engine_figures {
    struct scheduler_counts counts;
    uint32_t blocks, blocks_used;
    uint32_t rows, prompt_rows, drawn; /* of this step */
};

struct engine_config {
    struct scheduler_config scheduler;
    uint32_t blocks;
    bool caching;
    void *context; /* first argument of the functions */
    engine_step *step;
    engine_hidden *hidden;   /* NULL: no generation pools */
    uint32_t hidden_columns; /* of a hidden state */
    /* These generations (linked by news_next) have new tokens, ended, failed or were released. Must not block. Those
     * that are `released` may be freed once it has returned. [engine-thread] */
    void (*news)(void *context, struct generation *first);
    void (*figures)(void *context, const struct engine_figures *figures); /* may be NULL. [engine-thread] */
    void (*alive)(
        void *context); /* work goes on; once a step, and once a second while sequences wait. [engine-thread] */
};

struct engine;

/* Starts the thread. */
pdk_status engine_start(const struct engine_config *config, struct engine **ret_engine, pdk_error *err);
/* Stops the thread. Every generation has been released. Takes NULL, returns NULL. */
struct engine *engine_stop(struct engine *engine);

/* Hands over a generation until it is `released`. [any-thread] */
void engine_add(struct engine *engine, struct generation *generation);
/* `held` or `dropped` of a generation that was added have changed, or `consumed` by half of RESULTS_HELD or more. Not
 * after it was freed; in between it may be released any time. [any-thread] */
void engine_nudge(struct engine *engine, struct generation *generation);
/* The salt of the prefix cache; see block_pool_salt. [any-thread] */
struct siphash128 engine_salt(const struct engine *engine, uint64_t tenant, pdk_string adapter, pdk_string cache_salt);
/* PDK_INVALID with the numbers when a sequence of so many tokens can never run. [any-thread] */
pdk_status engine_fits(const struct engine *engine, uint32_t limit, pdk_error *err);
/* Forgets the cached prefixes before the next step. [any-thread] */
void engine_forget(struct engine *engine);
