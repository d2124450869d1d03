/* runtimes/huggingface/front/job.h: one request from its arrival to its end. The front is the only one that ends it:
 * the engine, a cancel and the clock only tell it to look.
 *
 * One thread at a time works on a job; the queue's lock sees to that. */
#pragma once

#include "runtimes/huggingface/front/answer.h"
#include "runtimes/huggingface/front/pool.h"
#include "runtimes/huggingface/front/prompt.h"

enum { JOB_CHOICES_MAX = 128 };

enum job_stage {
    JOB_NEW,     /* not looked at yet */
    JOB_RUNNING, /* the engine has it */
    JOB_OVER     /* the response is finished; the request and response are the host's again */
};

/* Why a job was told to look, besides what the engine publishes. Under the front's lock, taken as a whole. */
struct job_calls {
    bool cancelled; /* by the host */
    bool writable;  /* the client reads again */
    bool late;      /* its deadline passed */
    bool stalled;   /* its client has not read for too long */
    bool released;  /* the engine has let go of it */
};

struct beam_search;

struct job {
    struct generation generation; /* first: the engine's news name jobs by it */
    const struct served *served;
    const pdk_request *request;
    pdk_response *response;
    uint64_t id;
    enum job_stage stage;
    struct prompt prompt;
    struct parsed_plan plan;
    struct answer *answers; /* [generation.choice_count] */
    uint32_t answer_count;
    bool prompt_sent;
    struct beam_search *beam; /* NULL: tokens are sent as they come */
    bool beams_over;
    uint32_t beams_sent, beam_tokens;
    uint32_t max_tokens;
    struct pooling_task pooling;       /* of PDK_KIND_POOL */
    int64_t last_token_us, arrived_us; /* the latter of beams, whose rounds arrive anew */

    /* under the front's lock */
    struct job_calls calls;
    bool released;        /* the engine has let go of it, or never had it */
    bool working, queued; /* a thread is at it; it is in a queue */
    bool again;           /* queue it again when the thread is done */
    bool paused;          /* after PDK_FULL */
    bool counted;         /* among those that wait for their first token */
    uint64_t counted_tokens;
    int64_t paused_ms, deadline_ms;
    struct job *queue_next;
    struct job *all_previous, *all_next, *bucket_next;
};

/* Gets a new job ready for the engine and hands it over, or ends it. True: it is the engine's now. [front-thread] */
bool job_begin(struct job *job, uint64_t seed, const struct job_calls *calls);
/* Sends what there is, unless the client reads no more for now (`paused`), and ends the job when that was all. True:
 * the client has stopped reading. [front-thread] */
bool job_go_on(struct job *job, const struct job_calls *calls, bool paused);
/* beam_job.c: a job that searches beams. job_beam_begin makes the search, job_beam_round hands the next round to the
 * engine (*ret_over: there is none), job_beam_take takes in what the engine gave, job_beam_part fills the next answer's
 * part. `pending` holds what the part points at. */
pdk_status job_beam_begin(struct job *job, uint32_t limit, pdk_error *err);
pdk_status job_beam_round(struct job *job, uint64_t seed, bool *ret_over, pdk_error *err);
pdk_status job_beam_take(struct job *job, pdk_error *err);
pdk_status job_beam_part(struct job *job, struct pending *pending, pdk_part *part, pdk_error *err);

/* Whether it takes a place in the queue of those that wait: nothing was generated yet. */
bool job_waits(const struct job *job);
/* Frees it; JOB_OVER, and released by the engine. */
void job_free(struct job *job);
