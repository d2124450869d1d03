/* See the header. */
#include "config.h"

#include "runtimes/huggingface/front/job.h"

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "runtimes/huggingface/front/bad_words.h"
#include "runtimes/huggingface/front/beam.h"
#include "runtimes/huggingface/front/metrics.h"
#include "runtimes/huggingface/front/tokenize.h"
#include "runtimes/huggingface/tools/forced.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void record(const struct job *job, int32_t finish)
{
    const struct generation *generation = &job->generation;
    if (job->answers == NULL && job->beam == NULL && job->request->kind != PDK_KIND_POOL)
        return;
    struct metrics_request seen = {
        .finish = finish,
        .prompt_tokens = (uint32_t)job->prompt.tokens.count,
        .choices = generation->choice_count,
        .max_tokens = job->max_tokens,
        .completion_tokens = job->beam_tokens,
        .longest = job->beam_tokens,
        .cached_tokens = atomic_load_explicit(&generation->choices[0].cached, memory_order_relaxed),
        .arrived_us = job->beam != NULL ? job->arrived_us : generation->arrived_us,
        .scheduled_us = atomic_load_explicit(&generation->scheduled_us, memory_order_relaxed),
        .first_token_us = atomic_load_explicit(&generation->first_token_us, memory_order_relaxed),
        .last_token_us = atomic_load_explicit(&generation->last_token_us, memory_order_relaxed),
    };
    for (uint32_t i = 0; i < job->answer_count; i++) { /* none where nothing is generated */
        uint32_t tokens = job->answers[i].taken - generation->prompt_count;
        seen.completion_tokens += tokens;
        seen.longest = tokens > seen.longest ? tokens : seen.longest;
        seen.preemptions += atomic_load_explicit(&generation->choices[i].preemptions, memory_order_relaxed);
    }
    metrics_finished(job->served->metrics, &seen);
}

/* The one place where a job's response is finished. */
static void end(struct job *job, const pdk_error *err, int32_t finish)
{
    assert(job->stage != JOB_OVER);
    if (job->stage == JOB_RUNNING) {
        record(job, finish);
        /* With the engine's load in take_in. */
        atomic_store_explicit(&job->generation.dropped, true, memory_order_release);
        engine_nudge(job->served->engine, &job->generation);
    }
    job->stage = JOB_OVER;
    pdk_response *response = job->response;
    job->request = NULL;
    job->response = NULL;
    job->served->host->finish(response, err);
}

static void end_with(struct job *job, const pdk_error *err)
{
    end(job, err, err->status == PDK_CANCELLED ? PDK_FINISH_ABORT : PDK_FINISH_NONE);
}

static bool end_if_called_off(struct job *job, const struct job_calls *calls)
{
    pdk_error err = {0};
    if (calls->cancelled)
        pdk_error_set(&err, PDK_CANCELLED, NULL, "cancelled");
    else if (calls->late)
        pdk_error_set(&err, PDK_TIMEOUT, NULL, "the request's deadline passed");
    else if (calls->stalled)
        pdk_error_set(&err, PDK_CANCELLED, NULL, "the client has not read for 30 s");
    else
        return false;
    end_with(job, &err);
    return true;
}

static pdk_status check_request(const struct served *served, const pdk_request *request, pdk_error *err)
{
    if (request->priority != 0 && !served->priorities)
        return pdk_error_set(err, PDK_INVALID, NULL, "Got priority %" PRId32 " but Priority scheduling is not enabled.",
            request->priority);
    if (request->adapter.length != 0)
        return pdk_error_set(err, PDK_NOT_FOUND, "model", "there is no adapter '%.*s'",
            (int)(request->adapter.length < 64 ? request->adapter.length : 64), request->adapter.data);
    if (request->sampling.n > JOB_CHOICES_MAX)
        return pdk_error_set(
            err, PDK_INVALID, NULL, "n must be at most %d, got %" PRIu32 ".", JOB_CHOICES_MAX, request->sampling.n);
    if (request->produced_count > 0 && request->sampling.n > 1)
        return pdk_error_set(err, PDK_UNSUPPORTED, "n", "a request of several choices cannot be moved in the middle");
    for (size_t i = 0; i < request->produced_count; i++)
        if (request->produced_ids[i] >= served->sampling.vocabulary)
            return pdk_error_set(
                err, PDK_INVALID, NULL, "Token id %" PRIu32 " is out of vocabulary", request->produced_ids[i]);
    return PDK_OK;
}

/* How many tokens a choice may come to: the context, the request's wish or the model's default, the server's cap. */
static pdk_status find_limit(struct job *job, uint32_t *ret_limit, pdk_error *err)
{
    const struct served *served = job->served;
    const pdk_sampling *asked = &job->request->sampling, *defaults = &served->sampling.defaults;
    uint32_t prompt = (uint32_t)job->prompt.tokens.count, room = served->max_model_len - prompt;
    bool wished = (asked->has & PDK_HAS_MAX_TOKENS) != 0;
    int64_t most = room;
    if (wished || (defaults->has & PDK_HAS_MAX_TOKENS) != 0) {
        int64_t wish = wished ? asked->max_tokens : defaults->max_tokens;
        most = wish < 0 ? 0 : wish < most ? wish : most;
    }
    if (served->max_new_tokens != 0 && most > served->max_new_tokens)
        most = served->max_new_tokens;
    job->max_tokens = (uint32_t)most;
    uint32_t limit = prompt + (uint32_t)most;
    /* An answer as long as may be ends where the cache does. */
    if (!wished && limit > served->pool_tokens && prompt < served->pool_tokens)
        limit = served->pool_tokens;
    if (prompt + job->request->produced_count > limit)
        return pdk_error_set(err, PDK_INVALID, NULL, "%zu tokens were produced already; the answer may have %" PRIu32,
            job->request->produced_count, limit - prompt);
    *ret_limit = limit;
    return engine_fits(served->engine, limit, err);
}

/* What the answer has to be. The client's fault, whatever is wrong with it. */
static pdk_status make_guide(const struct job *job, struct guide **ret_guide, pdk_error *err)
{
    const struct guide_vocabulary *vocabulary = job->served->guide_vocabulary;
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    pdk_guide forced; /* a call that must come stands in the place of the client's guide */
    pdk_status status = forced_guide(job->request, &text, &forced, err);
    if (status != PDK_OK)
        return status;
    const pdk_guide *what = forced.kind != PDK_GUIDE_NONE ? &forced : &job->request->guide;
    if (what->kind == PDK_GUIDE_NONE || (job->request->flags & PDK_FLAG_BEAM_SEARCH) != 0)
        return PDK_OK;
    if (vocabulary == NULL)
        return pdk_error_set(err, PDK_INVALID, NULL, "structured output needs a tokenizer, which this model has not");
    status = guide_new(vocabulary, what, ret_guide, err);
    if (status == PDK_UNSUPPORTED || status == PDK_TOO_LARGE)
        return err->status = PDK_INVALID;
    return status;
}

static pdk_status make_generation(struct job *job, uint64_t seed, pdk_error *err)
{
    const pdk_request *request = job->request;
    struct generation *generation = &job->generation;
    pdk_status status = rules_resolve(&generation->rules, request, &job->served->sampling, err);
    if (status == PDK_OK)
        status = bad_words_resolve(job->served->tokenizer, request, &generation->rules, err);
    generation->rules.reasoning = job->plan.reasoning;
    uint32_t limit = 0;
    struct guide *guide = NULL;
    if (status == PDK_OK)
        status = find_limit(job, &limit, err);
    if (status == PDK_OK)
        status = make_guide(job, &guide, err);
    if (status != PDK_OK)
        return status;
    struct generation_spec spec = {
        .prompt = job->prompt.tokens.ids,
        .prompt_count = (uint32_t)job->prompt.tokens.count,
        .produced = request->produced_ids,
        .produced_count = (uint32_t)request->produced_count,
        .limit = limit,
        .choices = request->sampling.n > 0 ? request->sampling.n : 1,
        .seed = generation->rules.seeded ? generation->rules.seed : seed,
        .tenant = request->tenant,
        .priority = request->priority,
        .salt = engine_salt(job->served->engine, request->tenant, request->adapter, request->cache_salt),
        .guide = guide,
    };
    status = generation_init(generation, &spec, err);
    guide_release(guide); /* each choice has its own count */
    return status;
}

static pdk_status make_answers(struct job *job, pdk_error *err)
{
    uint32_t count = job->generation.choice_count;
    job->answers = calloc(count, sizeof *job->answers);
    if (job->answers == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the answer");
    pdk_status status = PDK_OK;
    for (; job->answer_count < count && status == PDK_OK; job->answer_count++)
        status = answer_init(&job->answers[job->answer_count], job->served, job->request, &job->plan,
            &job->generation.choices[job->answer_count], job->answer_count, err);
    return status;
}

static pdk_status make_beams(struct job *job, uint64_t seed, pdk_error *err)
{
    uint32_t limit = 0;
    bool over = false;
    pdk_status status = find_limit(job, &limit, err);
    if (status == PDK_OK)
        status = job_beam_begin(job, limit, err);
    return status == PDK_OK ? job_beam_round(job, seed, &over, err) : status;
}

static pdk_status prepare(struct job *job, uint64_t seed, pdk_error *err)
{
    pdk_status status = check_request(job->served, job->request, err);
    if (status == PDK_OK)
        status = prompt_read(job->served, job->request, &job->prompt, err);
    if (status == PDK_OK)
        status = prompt_check(job->served, job->request, &job->prompt, err);
    if (status == PDK_OK && (job->request->flags & PDK_FLAG_BEAM_SEARCH) != 0)
        return make_beams(job, seed, err);
    if (status == PDK_OK)
        status = parsed_plan_make(job->served, job->request, text_of(&job->prompt.text), &job->plan, err);
    if (status == PDK_OK)
        status = make_generation(job, seed, err);
    return status == PDK_OK ? make_answers(job, err) : status;
}

static pdk_status prepare_pooling(struct job *job, pdk_error *err)
{
    pdk_status status = check_request(job->served, job->request, err);
    if (status == PDK_OK)
        status = pool_prepare(job->served, job->request, &job->generation, &job->pooling, err);
    return status;
}

bool job_begin(struct job *job, uint64_t seed, const struct job_calls *calls)
{
    if (end_if_called_off(job, calls))
        return false;
    pdk_error err = {0};
    pdk_status status;
    if (job->request->kind == PDK_KIND_GENERATE || job->request->kind == PDK_KIND_POOL) {
        status = job->request->kind == PDK_KIND_POOL ? prepare_pooling(job, &err) : prepare(job, seed, &err);
        if (status == PDK_OK) {
            job->stage = JOB_RUNNING;
            engine_add(job->served->engine, &job->generation);
            return true;
        }
    } else {
        status = tokenize_answer(job->served, job->request, job->response, &err);
    }
    end(job, status == PDK_OK ? NULL : &err, PDK_FINISH_NONE);
    return false;
}

static uint64_t span_us(int64_t from_us, int64_t to_us)
{
    return from_us != 0 && to_us > from_us ? (uint64_t)(to_us - from_us) : 0;
}

/* How long it all took, on a choice's last part. */
static void put_times(const struct job *job, pdk_part *part)
{
    if (part->finish == PDK_FINISH_NONE)
        return;
    const struct generation *generation = &job->generation;
    int64_t scheduled_us = atomic_load_explicit(&generation->scheduled_us, memory_order_relaxed);
    int64_t first_us = atomic_load_explicit(&generation->first_token_us, memory_order_relaxed);
    part->queued_us = span_us(job->beam != NULL ? job->arrived_us : generation->arrived_us, scheduled_us);
    part->first_token_us = span_us(scheduled_us, first_us);
    part->generated_us = span_us(first_us, atomic_load_explicit(&generation->last_token_us, memory_order_relaxed));
}

/* What a part's sending came to: false when the job is over by it. Sets *full. */
static bool send_part(struct job *job, const pdk_part *part, bool *full)
{
    pdk_status status = job->served->host->part_send(job->response, part);
    *full |= status == PDK_FULL;
    if (status == PDK_OK || status == PDK_FULL)
        return true;
    pdk_error err = {0};
    pdk_error_set(&err, status, NULL, "%s", status == PDK_CANCELLED ? "the client left" : "the part could not be sent");
    end_with(job, &err);
    return false;
}

static bool wants_prompt(const struct job *job)
{
    uint32_t flags = PDK_FLAG_ECHO | PDK_FLAG_PROMPT_IDS | PDK_FLAG_PROMPT_TEXT;
    return (job->request->flags & flags) != 0 || job->generation.rules.wants_prompt_logprobs;
}

/* All of the prompt was scored once the first token is there, or the end. */
static bool prompt_scored(const struct job *job)
{
    const struct choice *choice = &job->generation.choices[0];
    return !job->generation.rules.wants_prompt_logprobs || atomic_load_explicit(&choice->ended, memory_order_acquire) ||
           atomic_load_explicit(&choice->published, memory_order_acquire) > job->generation.prompt_count;
}

static pdk_status prompt_text(struct job *job, struct buffer *text, pdk_error *err)
{
    const pdk_request *request = job->request;
    if ((request->flags & (PDK_FLAG_ECHO | PDK_FLAG_PROMPT_TEXT)) == 0)
        return PDK_OK;
    if (request->token_ids == NULL && request->text.data != NULL)
        buffer_put(text, request->text.data, request->text.length);
    else if (request->token_ids == NULL)
        buffer_put(text, job->prompt.text.data != NULL ? job->prompt.text.data : "", job->prompt.text.length);
    else if (job->served->tokenizer != NULL)
        return tokenizer_decode(
            job->served->tokenizer, job->prompt.tokens.ids, job->prompt.tokens.count, false, text, err);
    return text->failed ? pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the prompt's text") : PDK_OK;
}

/* False: the job is over. */
static bool send_prompt(struct job *job, bool *full)
{
    pdk_error err = {0};
    struct pending pending = {0};
    pdk_status status = answer_prompt(job->served, &job->generation, &pending, &err);
    if (status == PDK_OK)
        status = prompt_text(job, &pending.text, &err);
    bool lives = status == PDK_OK;
    if (lives) {
        pdk_part part = {.size = sizeof part,
            .flags = PDK_PART_PROMPT,
            .prompt_tokens = job->generation.prompt_count,
            .cached_tokens = atomic_load_explicit(&job->generation.choices[0].cached, memory_order_relaxed)};
        pending_fill(&pending, &part);
        lives = send_part(job, &part, full);
        job->prompt_sent = true;
    } else {
        end_with(job, &err);
    }
    pending_done(&pending);
    return lives;
}

/* Takes what came for every choice and sends what is due; *open: choices that go on. False: the job is over. */
static bool send_answers(struct job *job, uint32_t *open, bool *full)
{
    uint32_t came = 0;
    for (uint32_t i = 0; i < job->answer_count; i++) {
        struct answer *answer = &job->answers[i];
        uint32_t before = answer->taken;
        pdk_error err = {0};
        if (answer_take(answer, &err) != PDK_OK) {
            end_with(job, &err);
            return false;
        }
        uint32_t taken = answer->taken - before;
        came += taken;
        bool cut = answer->stop_string >= 0 && !answer->sent_finish;
        if (cut) /* with the engine's load in take_in */
            atomic_store_explicit(&answer->choice->dropped, true, memory_order_release);
        if (cut || taken >= RESULTS_HELD / 2)
            engine_nudge(job->served->engine, &job->generation);
        while (!*full && answer_wants_part(answer)) {
            pdk_part part;
            if (answer_part(answer, &part, &err) != PDK_OK) {
                end_with(job, &err);
                return false;
            }
            put_times(job, &part);
            if (!send_part(job, &part, full))
                return false;
            answer_sent(answer);
        }
        *open += !answer->sent_finish;
    }
    metrics_tokens(job->served->metrics, came, monotonic_us(), &job->last_token_us, job->generation.arrived_us);
    return true;
}

/* Answers with the values of what was computed, all at once, and ends the job. */
static void answer_pooling(struct job *job)
{
    pdk_error err = {0};
    PDK_AUTO_FREE float *values = NULL;
    pdk_part part = {.size = sizeof part, .finish = PDK_FINISH_STOP, .prompt_tokens = job->generation.prompt_count};
    pdk_status status =
        pool_values(job->served, &job->generation, &job->pooling, &values, &part.value_rows, &part.value_columns, &err);
    if (status != PDK_OK) {
        end_with(job, &err);
        return;
    }
    bool full = false;
    part.values = values;
    for (uint32_t i = 0; i < job->generation.choice_count; i++)
        part.cached_tokens += atomic_load_explicit(&job->generation.choices[i].cached, memory_order_relaxed);
    if (send_part(job, &part, &full))
        end(job, NULL, PDK_FINISH_STOP);
}

/* Has the engine make no more tokens for a client that does not read, or go on. */
static void hold(struct job *job, bool held)
{
    if (atomic_load_explicit(&job->generation.held, memory_order_relaxed) == held)
        return;
    /* With the engine's load in set_held. */
    atomic_store_explicit(&job->generation.held, held, memory_order_release);
    engine_nudge(job->served->engine, &job->generation);
}

/* Sends what beams came to, best first. True: the client has stopped reading. */
static bool send_beams(struct job *job)
{
    bool full = false;
    uint32_t count = beam_finish(job->beam);
    if (!job->prompt_sent && wants_prompt(job) && !send_prompt(job, &full))
        return false;
    while (!full && job->beams_sent < count) {
        struct pending pending = {0};
        pdk_error err = {0};
        pdk_part part;
        bool lives = job_beam_part(job, &pending, &part, &err) == PDK_OK;
        if (!lives)
            end_with(job, &err);
        else
            put_times(job, &part);
        if (lives)
            lives = send_part(job, &part, &full);
        pending_done(&pending);
        if (!lives)
            return false;
        job->beams_sent++;
    }
    if (!full)
        end(job, NULL, PDK_FINISH_STOP);
    return full;
}

/* A round is taken in once the engine has let go of it, as the next one takes its place. True: the client has stopped
 * reading. */
static bool beams_go_on(struct job *job, const struct job_calls *calls)
{
    if (!calls->released)
        return false;
    if (job->beams_over)
        return send_beams(job);
    pdk_error err = {0};
    uint64_t seed = job->generation.choices[0].sampler.seed;
    pdk_status status = job_beam_take(job, &err);
    if (status == PDK_OK)
        status = job_beam_round(job, seed, &job->beams_over, &err);
    if (status != PDK_OK) {
        job->stage = JOB_NEW; /* the engine has nothing of it */
        end_with(job, &err);
        return false;
    }
    if (job->beams_over)
        return send_beams(job);
    /* Nobody else looks at it before the engine has it again. */
    job->released = false;
    engine_add(job->served->engine, &job->generation);
    return false;
}

bool job_go_on(struct job *job, const struct job_calls *calls, bool paused)
{
    if (job->stage == JOB_OVER || end_if_called_off(job, calls))
        return false;
    /* With the engine's store in fail_step. */
    if (atomic_load_explicit(&job->generation.failed, memory_order_acquire)) {
        end_with(job, &job->generation.error);
        return false;
    }
    if (job->request->kind == PDK_KIND_POOL) {
        if (pool_computed(&job->generation))
            answer_pooling(job);
        return false;
    }
    if (job->beam != NULL)
        return !paused && beams_go_on(job, calls);
    hold(job, paused);
    if (paused)
        return false;
    bool full = false;
    uint32_t open = 0;
    if (!job->prompt_sent && wants_prompt(job)) {
        if (!prompt_scored(job))
            return false;
        if (!send_prompt(job, &full))
            return false;
    }
    if (!full && !send_answers(job, &open, &full))
        return false;
    if (!full && open == 0) {
        end(job, NULL, job->answers[0].finish);
        return false;
    }
    if (full)
        hold(job, true);
    return full;
}

bool job_waits(const struct job *job)
{
    return job->stage == JOB_NEW || (job->stage == JOB_RUNNING && job->last_token_us == 0);
}

void job_free(struct job *job)
{
    for (uint32_t i = 0; i < job->answer_count; i++)
        answer_done(&job->answers[i]);
    free(job->answers);
    beam_free(job->beam);
    prompt_done(&job->prompt);
    generation_done(&job->generation);
    free(job);
}
