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
};

struct job {
    struct generation generation; /* first: the engine's news name jobs by it */
    const struct served *served;
    const pdk_request *request;
    pdk_response *response;
    uint64_t id;
    enum job_stage stage;
    struct prompt prompt;
    struct answer *answers; /* [generation.choice_count] */
    uint32_t answer_count;
    bool prompt_sent;
    uint32_t max_tokens;
    struct pooling_task pooling; /* of PDK_KIND_POOL */
    int64_t last_token_us;

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
/* Whether it takes a place in the queue of those that wait: nothing was generated yet. */
bool job_waits(const struct job *job);
/* Frees it; JOB_OVER, and released by the engine. */
void job_free(struct job *job);
