/* The inbox is the only thing that others write under a lock; results go out through atomics (generation.h). Steps
 * allocate nothing: arenas were made at the start, a request's memory by the front. */
#include "config.h"

#include "runtimes/huggingface/engine/engine.h"

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/thread.h"
#include "runtimes/huggingface/engine/batch.h"
#include "runtimes/huggingface/engine/guide_desk.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { HIDDEN_ROWS = 32 };

struct engine {
    struct engine_config config;
    struct block_pool *pool;
    struct scheduler *scheduler;
    struct guide_desk *guides;
    struct batch batch;
    float *hidden;           /* [HIDDEN_ROWS][hidden_columns], on their way from a step to a generation */
    struct generation *live; /* added, not released */
    struct generation *news;
    pthread_t thread;
    uint32_t checks;

    struct mutex lock; /* guards what follows */
    struct condition wake;
    struct generation *inbox_first, *inbox_last;
    bool stopping, forget;
};

static struct engine *engine_free(struct engine *engine)
{
    guide_desk_stop(engine->guides);
    free(engine->hidden);
    batch_done(&engine->batch);
    scheduler_free(engine->scheduler);
    block_pool_free(engine->pool);
    condition_done(&engine->wake);
    mutex_done(&engine->lock);
    free(engine);
    return NULL;
}

static void note(struct engine *engine, struct generation *generation)
{
    if (generation->has_news)
        return;
    generation->has_news = true;
    generation->news_next = engine->news;
    engine->news = generation;
}

static void end_choice(
    struct engine *engine, struct generation *generation, struct choice *choice, int32_t finish, int32_t stop_kind)
{
    if (choice->sequence.state == SEQUENCE_ENDED)
        return;
    scheduler_remove(engine->scheduler, &choice->sequence);
    choice->finish = finish;
    choice->stop_kind = stop_kind;
    atomic_store_explicit(&choice->ended, true, memory_order_release); /* with the front's load */
    generation->open_choices--;
    note(engine, generation);
}

static void end_all(struct engine *engine, struct generation *generation)
{
    for (uint32_t i = 0; i < generation->choice_count; i++)
        end_choice(engine, generation, &generation->choices[i], PDK_FINISH_ABORT, PDK_STOP_NONE);
}

/* A choice that wants no token, and whose prompt needs no scoring, has ended before it began. */
static void add(struct engine *engine, struct generation *generation)
{
    generation->added = true;
    generation->open_choices = generation->choice_count;
    generation->live_previous = NULL;
    generation->live_next = engine->live;
    if (engine->live != NULL)
        engine->live->live_previous = generation;
    engine->live = generation;
    for (uint32_t i = 0; i < generation->choice_count; i++) {
        struct choice *choice = &generation->choices[i];
        struct sequence *sequence = &choice->sequence;
        bool scoring = sequence->scores && sequence->prompt_count > 1;
        scheduler_add(engine->scheduler, sequence);
        if (sequence->total == sequence->limit && !scoring && !sequence->pools)
            end_choice(engine, generation, choice, PDK_FINISH_LENGTH, PDK_STOP_NONE);
    }
}

static void fail_generation(struct engine *engine, struct generation *generation, const pdk_error *error)
{
    if (atomic_load_explicit(&generation->failed, memory_order_relaxed))
        return;
    generation->error = *error;
    atomic_store_explicit(&generation->failed, true, memory_order_release); /* with the front's load */
    end_all(engine, generation);
}

/* What the guiding of a choice that goes on has come to. */
static void take_guiding(struct engine *engine, struct choice *choice, enum guiding_result result)
{
    if (result == GUIDING_LATER) {
        choice->guiding.asked = true;
        guide_desk_ask(engine->guides, choice);
    } else if (result == GUIDING_OVER) {
        end_choice(engine, choice->generation, choice, PDK_FINISH_STOP, PDK_STOP_NONE);
    } else if (result == GUIDING_FAILED) {
        fail_generation(engine, choice->generation, &choice->guiding.error);
    }
}

/* Looks whether what was asked for is there. True: not yet. */
static bool is_pending(struct engine *engine, struct choice *choice)
{
    if (!choice->guiding.asked)
        return false;
    if (atomic_load_explicit(&choice->guiding.pending, memory_order_acquire)) /* with guide_done's store */
        return true;
    choice->guiding.asked = false;
    if (choice->sequence.state != SEQUENCE_ENDED)
        take_guiding(engine, choice, choice->guiding.result);
    return choice->guiding.asked;
}

/* What the front has asked for since; the partner stores are those of whoever calls engine_nudge. */
static void take_in(struct engine *engine, struct generation *generation)
{
    if (atomic_load_explicit(&generation->dropped, memory_order_acquire)) {
        if (generation->added)
            end_all(engine, generation);
        note(engine, generation);
        return;
    }
    if (!generation->added)
        add(engine, generation);
    for (uint32_t i = 0; i < generation->choice_count; i++)
        if (atomic_load_explicit(&generation->choices[i].dropped, memory_order_acquire))
            end_choice(engine, generation, &generation->choices[i], PDK_FINISH_STOP, PDK_STOP_STRING);
    if (generation->open_choices == 0)
        note(engine, generation); /* it was queued here when it should have been released */
}

/* Held by the reader, too far ahead of the front, or without knowing what may come next. */
static void set_held(struct engine *engine, struct generation *generation)
{
    bool held = atomic_load_explicit(&generation->held, memory_order_acquire);
    for (uint32_t i = 0; i < generation->choice_count; i++) {
        struct choice *choice = &generation->choices[i];
        uint32_t consumed = atomic_load_explicit(&choice->consumed, memory_order_acquire);
        bool pending = is_pending(engine, choice);
        choice->sequence.held = held || pending || choice->sequence.total - consumed >= RESULTS_HELD;
    }
}

/* Whether anything came. */
static bool drain_inbox(struct engine *engine)
{
    mutex_lock(&engine->lock);
    bool any = engine->inbox_first != NULL, forget = engine->forget;
    for (struct generation *at = engine->inbox_first; at != NULL; at = at->inbox_next) {
        at->in_inbox = false;
        take_in(engine, at);
    }
    engine->inbox_first = engine->inbox_last = NULL;
    engine->forget = false;
    mutex_unlock(&engine->lock);
    if (forget)
        block_pool_forget(engine->pool);
    for (struct generation *at = engine->live; at != NULL; at = at->live_next)
        set_held(engine, at);
    return any;
}

/* Times are for the front's metrics, which read them at any moment; no order hangs on them. */
static int64_t get_time(const _Atomic int64_t *time)
{
    return atomic_load_explicit(time, memory_order_relaxed);
}

static void set_time(_Atomic int64_t *time, int64_t now_us)
{
    atomic_store_explicit(time, now_us, memory_order_relaxed);
}

static void take_token(struct engine *engine, struct choice *choice, uint32_t token, int64_t now_us)
{
    struct sequence *sequence = &choice->sequence;
    struct generation *generation = choice->generation;
    sequence->tokens[sequence->total++] = token;
    sampler_add(&choice->sampler, token);
    set_time(&generation->last_token_us, now_us);
    if (get_time(&generation->first_token_us) == 0)
        set_time(&generation->first_token_us, now_us);
    atomic_store_explicit(&choice->cached, sequence->cached, memory_order_relaxed);
    atomic_store_explicit(&choice->preemptions, sequence->preemptions, memory_order_relaxed);
    atomic_store_explicit(&choice->published, sequence->total, memory_order_release); /* with the front's load */
    note(engine, generation);

    int32_t stop_kind;
    uint32_t produced = sequence->total - sequence->prompt_count;
    if (rules_end(&generation->rules, token, produced, &stop_kind))
        end_choice(engine, generation, choice, PDK_FINISH_STOP, stop_kind);
    else if (sequence->total == sequence->limit)
        end_choice(engine, generation, choice, PDK_FINISH_LENGTH, PDK_STOP_NONE);
    else if (rules_repeats(&generation->rules, sequence->tokens + sequence->prompt_count, produced))
        end_choice(engine, generation, choice, PDK_FINISH_REPETITION, PDK_STOP_NONE);
    else if (guiding_is_on(&choice->guiding))
        take_guiding(
            engine, choice, guiding_add(&choice->guiding, &choice->sampler, sequence->tokens, sequence->total, true));
}

/* The next prompt token was scored; the last one ends a choice that wants no answer. */
static void take_score(struct engine *engine, struct choice *choice, uint32_t position)
{
    struct sequence *sequence = &choice->sequence;
    sequence->scored = position;
    if (sequence->limit == sequence->prompt_count && position == sequence->prompt_count - 1)
        end_choice(engine, choice->generation, choice, PDK_FINISH_LENGTH, PDK_STOP_NONE);
}

/* Takes the answers of a step into the choices; returns how many tokens were drawn. */
static uint32_t take_results(struct engine *engine, int64_t now_us)
{
    const struct batch *batch = &engine->batch;
    uint32_t drawn = 0;
    for (uint32_t i = 0; i < batch->flat.output_count; i++) {
        const pdk_sample_row *row = &batch->samples[i];
        const struct sample_target *target = &batch->targets[i];
        struct choice *choice = target->choice;
        struct drawn *place = target->scores ? &choice->generation->scores[target->position - 1]
                                             : &choice->results[target->position % RESULTS_HELD];
        place->rank = row->rank;
        place->logprob = row->logprob;
        place->top_count = row->top_count;
        if (target->scores) {
            take_score(engine, choice, target->position);
        } else {
            take_token(engine, choice, row->token, now_us);
            drawn++;
        }
    }
    return drawn;
}

/* Takes what pooling sequences keep of the step's rows; one whose prompt is through has ended. */
static void take_hidden(struct engine *engine, const struct plan *plan, int64_t now_us)
{
    for (uint32_t i = 0; i < plan->entry_count; i++) {
        const struct plan_entry *entry = &plan->entries[i];
        struct choice *choice = (struct choice *)entry->sequence;
        if (choice->pooled.columns == 0)
            continue;
        uint32_t at = entry->first, left = entry->count;
        pooled_wants(&choice->pooled, &at, &left);
        while (left > 0) {
            uint32_t count = left < HIDDEN_ROWS ? left : HIDDEN_ROWS;
            uint32_t row = engine->batch.row_starts[i] + (at - entry->first);
            engine->config.hidden(engine->config.context, row, count, engine->hidden);
            pooled_take(&choice->pooled, at, count, engine->hidden);
            at += count;
            left -= count;
        }
        if (entry->first + entry->count < choice->sequence.prompt_count)
            continue;
        atomic_store_explicit(&choice->cached, entry->sequence->cached, memory_order_relaxed);
        atomic_store_explicit(&choice->preemptions, entry->sequence->preemptions, memory_order_relaxed);
        set_time(&choice->generation->first_token_us, now_us);
        set_time(&choice->generation->last_token_us, now_us);
        end_choice(engine, choice->generation, choice, PDK_FINISH_STOP, PDK_STOP_NONE);
    }
}

/* A step that failed says nothing about whose fault it was: all that were in it fail, the rest goes on. */
static void fail_step(struct engine *engine, const struct plan *plan, const pdk_error *error)
{
    for (uint32_t i = 0; i < plan->entry_count; i++) {
        struct generation *generation = ((struct choice *)plan->entries[i].sequence)->generation;
        fail_generation(engine, generation, error);
    }
}

static void stamp_scheduled(const struct plan *plan, int64_t now_us)
{
    for (uint32_t i = 0; i < plan->entry_count; i++) {
        struct generation *generation = ((struct choice *)plan->entries[i].sequence)->generation;
        if (get_time(&generation->scheduled_us) == 0)
            set_time(&generation->scheduled_us, now_us);
    }
}

/* The scheduler's invariants, each step; with a large pool now and then, since they look at every block. */
static void check(struct engine *engine)
{
#ifndef NDEBUG
    if (block_pool_size(engine->pool) > 4096 && engine->checks++ % 256 != 0)
        return;
    const char *what = NULL;
    if (scheduler_check(engine->scheduler, &what))
        return;
    fprintf(stderr, "%s\n", what);
    assert(!"the scheduler's invariants");
#else
    (void)engine;
#endif
}

/* False: nothing can go on. */
static bool make_step(struct engine *engine, struct engine_figures *figures)
{
    const struct plan *plan = scheduler_plan(engine->scheduler);
    if (plan->entry_count == 0)
        return false;
    pdk_error error;
    int64_t start_us = monotonic_us();
    stamp_scheduled(plan, start_us);
    batch_fill(&engine->batch, engine->scheduler, plan);
    pdk_status status =
        engine->config.step(engine->config.context, &engine->batch.flat, (const uint32_t(*)[2])plan->copies,
            plan->copy_count, engine->batch.samples, engine->batch.flat.output_count, &error);
    if (status != PDK_OK) {
        fail_step(engine, plan, &error);
        return true;
    }
    int64_t end_us = monotonic_us();
    scheduler_observe(engine->scheduler, (double)(end_us - start_us) / 1e6);
    scheduler_commit(engine->scheduler);
    figures->rows = plan->rows;
    figures->prompt_rows = plan->prompt_rows;
    figures->drawn = take_results(engine, end_us);
    if (engine->config.hidden != NULL)
        take_hidden(engine, plan, end_us);
    return true;
}

static void report(struct engine *engine, struct engine_figures *figures)
{
    if (engine->config.figures == NULL)
        return;
    figures->counts = scheduler_counts(engine->scheduler);
    figures->blocks = block_pool_size(engine->pool);
    figures->blocks_used = figures->blocks - block_pool_left(engine->pool);
    engine->config.figures(engine->config.context, figures);
}

static bool has_pending(const struct generation *generation)
{
    for (uint32_t i = 0; i < generation->choice_count; i++)
        if (atomic_load_explicit(&generation->choices[i].guiding.pending, memory_order_acquire))
            return true;
    return false;
}

/* Lets go of a generation whose choices have all ended, unless the inbox holds it, or the desk, which will put it
 * there: then it comes by once more. */
static void release(struct engine *engine, struct generation *generation)
{
    mutex_lock(&engine->lock);
    generation->gone = !generation->in_inbox && !has_pending(generation);
    mutex_unlock(&engine->lock);
    if (!generation->gone)
        return;
    if (generation->live_previous != NULL)
        generation->live_previous->live_next = generation->live_next;
    else if (engine->live == generation)
        engine->live = generation->live_next;
    if (generation->live_next != NULL)
        generation->live_next->live_previous = generation->live_previous;
    generation->released = true;
}

/* Hands the step's news on. */
static void publish(struct engine *engine)
{
    struct generation *first = engine->news;
    engine->news = NULL;
    for (struct generation *at = first; at != NULL; at = at->news_next) {
        at->has_news = false;
        if (at->open_choices == 0)
            release(engine, at);
    }
    if (first != NULL)
        engine->config.news(engine->config.context, first);
}

/* Sleeps until the inbox has something; while sequences wait, at most a second. Returns whether to stop. */
static bool wait_for_work(struct engine *engine, bool idle)
{
    mutex_lock(&engine->lock);
    while (engine->inbox_first == NULL && !engine->stopping && !engine->forget) {
        if (idle)
            condition_wait(&engine->wake, &engine->lock);
        else if (!condition_wait_until(&engine->wake, &engine->lock, monotonic_ms() + 1000))
            break;
    }
    bool stopping = engine->stopping && engine->inbox_first == NULL;
    mutex_unlock(&engine->lock);
    return stopping;
}

static void *run(void *argument)
{
    struct engine *engine = argument;
    bool stopping = false;
    while (!stopping) {
        struct engine_figures figures = {0};
        guide_desk_wait(engine->guides);
        bool came = drain_inbox(engine), busy = !scheduler_idle(engine->scheduler);
        bool stepped = busy && make_step(engine, &figures);
        check(engine);
        if (came || stepped)
            report(engine, &figures);
        if (busy)
            engine->config.alive(engine->config.context);
        publish(engine);
        if (!stepped)
            stopping = wait_for_work(engine, scheduler_idle(engine->scheduler));
    }
    return NULL;
}

static pdk_status make_parts(struct engine *engine, pdk_error *err)
{
    const struct engine_config *config = &engine->config;
    struct siphash_key key = siphash_random_key();
    pdk_status status = block_pool_new(config->blocks, config->caching, &key, &engine->pool, err);
    if (status == PDK_OK)
        status = scheduler_new(&config->scheduler, engine->pool, &engine->scheduler, err);
    engine->hidden = calloc(HIDDEN_ROWS, config->hidden_columns * sizeof *engine->hidden);
    if (status == PDK_OK && config->hidden_columns != 0 && engine->hidden == NULL)
        status = pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for hidden states");
    if (status == PDK_OK)
        status = batch_init(&engine->batch, config->scheduler.max_rows, config->scheduler.max_sequences,
            config->scheduler.max_outputs, scheduler_table_stride(engine->scheduler), err);
    return status;
}

static void post_locked(struct engine *engine, struct generation *generation) PDK_REQUIRES(engine->lock)
{
    if (generation->in_inbox || generation->gone)
        return;
    generation->in_inbox = true;
    generation->inbox_next = NULL;
    *(engine->inbox_last != NULL ? &engine->inbox_last->inbox_next : &engine->inbox_first) = generation;
    engine->inbox_last = generation;
    condition_signal(&engine->wake);
}

static void post(struct engine *engine, struct generation *generation)
{
    mutex_lock(&engine->lock);
    post_locked(engine, generation);
    mutex_unlock(&engine->lock);
}

/* Both under the lock, so that the generation is not released in between. [guide-thread] */
static void guide_done(void *context, struct choice *choice)
{
    struct engine *engine = context;
    mutex_lock(&engine->lock);
    atomic_store_explicit(&choice->guiding.pending, false, memory_order_release); /* with the load in is_pending */
    post_locked(engine, choice->generation);
    mutex_unlock(&engine->lock);
}

pdk_status engine_start(const struct engine_config *config, struct engine **ret_engine, pdk_error *err)
{
    struct engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the engine");
    engine->config = *config;
    mutex_init(&engine->lock);
    condition_init(&engine->wake);
    pdk_status status = make_parts(engine, err);
    if (status == PDK_OK)
        status = guide_desk_start(guide_done, engine, &engine->guides, err);
    if (status == PDK_OK)
        status = thread_start(&engine->thread, THREAD_ENGINE, "engine", run, engine, err);
    if (status != PDK_OK) {
        engine_free(engine);
        return status;
    }
    *ret_engine = engine;
    return PDK_OK;
}

struct engine *engine_stop(struct engine *engine)
{
    if (engine == NULL)
        return NULL;
    mutex_lock(&engine->lock);
    engine->stopping = true;
    condition_signal(&engine->wake);
    mutex_unlock(&engine->lock);
    pthread_join(engine->thread, NULL);
    return engine_free(engine);
}

void engine_add(struct engine *engine, struct generation *generation)
{
    generation->arrived_us = monotonic_us();
    post(engine, generation);
}

void engine_nudge(struct engine *engine, struct generation *generation)
{
    post(engine, generation);
}

struct siphash128 engine_salt(const struct engine *engine, uint64_t tenant, pdk_string adapter, pdk_string cache_salt)
{
    return block_pool_salt(engine->pool, tenant, adapter.data, adapter.length, cache_salt.data, cache_salt.length);
}

pdk_status engine_fits(const struct engine *engine, uint32_t limit, pdk_error *err)
{
    return scheduler_fits(engine->pool, limit, err);
}

void engine_forget(struct engine *engine)
{
    mutex_lock(&engine->lock);
    engine->forget = true;
    condition_signal(&engine->wake);
    mutex_unlock(&engine->lock);
}
