/* One lock for the queues, the list of all jobs and what others tell them. Work is done outside it. */
#include "config.h"

#include "runtimes/huggingface/front/front.h"

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/thread.h"

#include <stddef.h>
#include <stdlib.h>

enum { THREADS_MAX = 8, BUCKETS = 1024, STALLED_MS = 30000, TICK_MS = 500 };

_Static_assert(offsetof(struct job, generation) == 0, "the engine's news name jobs by their generation");

struct queue {
    struct job *first, *last;
};

struct front_thread {
    struct front *front;
    pthread_t handle;
    bool takes_new, takes_shaped;
};

struct front {
    const struct served *served;
    struct front_thread threads[THREADS_MAX];
    uint32_t thread_count;

    struct mutex lock; /* guards what follows, and the members of jobs named there */
    struct condition work, empty;
    struct queue news, fresh, shaped; /* shaped: new ones whose answers have a form, which takes time to compile */
    struct job *all;
    struct job *buckets[BUCKETS];
    uint32_t count, timed;                   /* jobs; of these, paused or with a deadline */
    uint64_t queued_requests, queued_tokens; /* that wait for their first token */
    uint64_t seeds;                          /* state of the generator of seeds */
    bool stopping;
};

static void queue_put(struct queue *queue, struct job *job)
{
    job->queue_next = NULL;
    *(queue->last != NULL ? &queue->last->queue_next : &queue->first) = job;
    queue->last = job;
    job->queued = true;
}

static struct job *queue_take(struct queue *queue)
{
    struct job *job = queue->first;
    if (job == NULL)
        return NULL;
    queue->first = job->queue_next;
    if (queue->first == NULL)
        queue->last = NULL;
    job->queued = false;
    return job;
}

/* Has a thread look at the job, soon or when the one that is at it is done. */
static void tell(struct front *front, struct job *job) PDK_REQUIRES(front->lock)
{
    if (job->working) {
        job->again = true;
    } else if (!job->queued) {
        queue_put(&front->news, job);
        condition_broadcast(&front->work);
    }
}

static struct job **bucket_of(struct front *front, uint64_t id)
{
    return &front->buckets[(id ^ id >> 32) % BUCKETS];
}

static struct job *find(struct front *front, uint64_t id) PDK_REQUIRES(front->lock)
{
    struct job *job = *bucket_of(front, id);
    while (job != NULL && job->id != id)
        job = job->bucket_next;
    return job;
}

static void enlist(struct front *front, struct job *job) PDK_REQUIRES(front->lock)
{
    struct job **bucket = bucket_of(front, job->id);
    job->bucket_next = *bucket;
    *bucket = job;
    job->all_next = front->all;
    if (front->all != NULL)
        front->all->all_previous = job;
    front->all = job;
    front->count++;
    front->timed += job->deadline_ms != 0;
}

static void set_paused(struct front *front, struct job *job, bool paused) PDK_REQUIRES(front->lock)
{
    if (job->paused == paused)
        return;
    if (job->deadline_ms == 0)
        front->timed += paused ? 1u : UINT32_MAX;
    job->paused = paused;
    job->paused_ms = paused ? monotonic_ms() : 0;
}

static void delist(struct front *front, struct job *job) PDK_REQUIRES(front->lock)
{
    set_paused(front, job, false);
    front->timed -= job->deadline_ms != 0;
    struct job **at = bucket_of(front, job->id);
    while (*at != job)
        at = &(*at)->bucket_next;
    *at = job->bucket_next;
    *(job->all_previous != NULL ? &job->all_previous->all_next : &front->all) = job->all_next;
    if (job->all_next != NULL)
        job->all_next->all_previous = job->all_previous;
    if (--front->count == 0)
        condition_broadcast(&front->empty);
}

/* SplitMix64: any start gives a full sequence. */
static uint64_t next_seed(struct front *front) PDK_REQUIRES(front->lock)
{
    uint64_t z = front->seeds += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static void count_waiting(struct front *front, struct job *job) PDK_REQUIRES(front->lock)
{
    bool waits = job_waits(job);
    uint64_t tokens = waits ? job->generation.prompt_count : 0;
    front->queued_requests += (uint64_t)waits - (uint64_t)job->counted;
    front->queued_tokens += tokens - job->counted_tokens;
    job->counted = waits;
    job->counted_tokens = tokens;
}

/* Settles what a thread's work on a job came to. True: it is over and released, the caller's to free. */
static bool settle(struct front *front, struct job *job, bool full) PDK_REQUIRES(front->lock)
{
    job->working = false;
    count_waiting(front, job);
    if (full && !job->calls.writable)
        set_paused(front, job, true);
    if (job->stage == JOB_OVER && job->released) {
        delist(front, job);
        return true;
    }
    if (job->again || (full && job->calls.writable)) {
        job->again = false;
        tell(front, job);
    }
    return false;
}

/* Works on a job without the lock, which is held before and after. */
static void work_on(struct front *front, struct job *job) PDK_REQUIRES(front->lock)
{
    struct job_calls calls = job->calls;
    job->calls = (struct job_calls){0};
    calls.released = job->released;
    job->working = true;
    bool fresh = job->stage == JOB_NEW, full = false;
    uint64_t seed = fresh ? next_seed(front) : 0;
    if (calls.writable)
        set_paused(front, job, false);
    bool paused = job->paused;
    mutex_unlock(&front->lock);

    if (fresh) {
        bool running = job_begin(job, seed, &calls);
        front->served->host->alive(front->served->host->context);
        mutex_lock(&front->lock);
        job->released |= !running;
    } else {
        full = job_go_on(job, &calls, paused);
        mutex_lock(&front->lock);
    }
    if (settle(front, job, full)) {
        mutex_unlock(&front->lock); /* a guide's memory may take long to free */
        job_free(job);
        mutex_lock(&front->lock);
    }
}

/* Looks at the clock for jobs that are paused or have a deadline. */
static void tick(struct front *front) PDK_REQUIRES(front->lock)
{
    int64_t now = monotonic_ms();
    for (struct job *job = front->all; job != NULL; job = job->all_next) {
        if (job->working || job->stage == JOB_OVER)
            continue;
        bool stalled = job->paused && now - job->paused_ms >= STALLED_MS;
        bool late = job->deadline_ms != 0 && now >= job->deadline_ms;
        job->calls.stalled |= stalled;
        job->calls.late |= late;
        if (stalled || late)
            tell(front, job);
    }
    front->served->host->alive(front->served->host->context);
}

static struct job *next_job(struct front *front, const struct front_thread *self) PDK_REQUIRES(front->lock)
{
    struct job *job = queue_take(&front->news);
    if (job == NULL && self->takes_shaped)
        job = queue_take(&front->shaped);
    return job == NULL && self->takes_new ? queue_take(&front->fresh) : job;
}

static void *run(void *argument)
{
    struct front_thread *self = argument;
    struct front *front = self->front;
    if (self->takes_shaped)
        thread_give_way();
    mutex_lock(&front->lock);
    while (!front->stopping) {
        struct job *job = next_job(front, self);
        if (job != NULL)
            work_on(front, job);
        else if (self->takes_new || front->timed == 0)
            condition_wait(&front->work, &front->lock);
        else if (!condition_wait_until(&front->work, &front->lock, monotonic_ms() + TICK_MS))
            tick(front);
    }
    mutex_unlock(&front->lock);
    return NULL;
}

static struct front *stop_threads(struct front *front)
{
    mutex_lock(&front->lock);
    front->stopping = true;
    condition_broadcast(&front->work);
    mutex_unlock(&front->lock);
    for (uint32_t i = 0; i < front->thread_count; i++)
        pthread_join(front->threads[i].handle, NULL);
    condition_done(&front->work);
    condition_done(&front->empty);
    mutex_done(&front->lock);
    free(front);
    return NULL;
}

pdk_status front_start(const struct served *served, uint32_t threads, struct front **ret_front, pdk_error *err)
{
    struct front *front = calloc(1, sizeof *front);
    if (front == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the front");
    front->served = served;
    front->seeds = served->seed;
    mutex_init(&front->lock);
    condition_init(&front->work);
    condition_init(&front->empty);
    threads = threads < 3 ? 3 : threads > THREADS_MAX ? THREADS_MAX : threads;
    for (uint32_t i = 0; i < threads; i++) {
        struct front_thread *thread = &front->threads[i];
        *thread = (struct front_thread){.front = front, .takes_new = i > 0, .takes_shaped = i > 1};
        pdk_status status = thread_start(&thread->handle, THREAD_FRONT, "front", run, thread, err);
        if (status != PDK_OK) {
            stop_threads(front);
            return status;
        }
        front->thread_count++;
    }
    *ret_front = front;
    return PDK_OK;
}

void front_drain(struct front *front)
{
    if (front == NULL)
        return;
    mutex_lock(&front->lock);
    while (front->count > 0)
        condition_wait(&front->empty, &front->lock);
    mutex_unlock(&front->lock);
}

struct front *front_stop(struct front *front)
{
    return front != NULL ? stop_threads(front) : NULL;
}

static pdk_status check_room(struct front *front, pdk_error *err) PDK_REQUIRES(front->lock)
{
    const struct served *served = front->served;
    bool requests = served->queued_requests_max >= 0 && front->queued_requests >= (uint64_t)served->queued_requests_max;
    bool tokens = served->queued_tokens_max >= 0 && front->queued_tokens >= (uint64_t)served->queued_tokens_max;
    if (!requests && !tokens)
        return PDK_OK;
    return pdk_error_set(err, PDK_BUSY, requests ? "max_num_queued_reqs" : "max_num_queued_tokens",
        "The engine is currently busy and cannot accept new requests. Please try again later or on a different "
        "instance.");
}

static bool is_shaped(const pdk_request *request)
{
    return request->guide.kind != PDK_GUIDE_NONE || request->tools != PDK_TOOLS_NONE;
}

pdk_status front_submit(struct front *front, const pdk_request *request, pdk_response *response, pdk_error *err)
{
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the request");
    job->served = front->served;
    job->request = request;
    job->response = response;
    job->id = request->id;
    job->deadline_ms = request->deadline_ms;
    mutex_lock(&front->lock);
    pdk_status status = check_room(front, err);
    if (status == PDK_OK) {
        enlist(front, job);
        count_waiting(front, job);
        queue_put(is_shaped(request) ? &front->shaped : &front->fresh, job);
        /* All, since not every thread takes it. */
        condition_broadcast(&front->work);
    }
    mutex_unlock(&front->lock);
    if (status != PDK_OK)
        free(job);
    return status;
}

void front_cancel(struct front *front, uint64_t request_id)
{
    mutex_lock(&front->lock);
    struct job *job = find(front, request_id);
    if (job != NULL) {
        job->calls.cancelled = true;
        tell(front, job);
    }
    mutex_unlock(&front->lock);
}

void front_writable(struct front *front, uint64_t request_id)
{
    mutex_lock(&front->lock);
    struct job *job = find(front, request_id);
    if (job != NULL) {
        job->calls.writable = true;
        tell(front, job);
    }
    mutex_unlock(&front->lock);
}

void front_news(struct front *front, struct generation *first)
{
    mutex_lock(&front->lock);
    for (struct generation *at = first, *next; at != NULL; at = next) {
        next = at->news_next;
        struct job *job = (struct job *)at;
        job->released |= at->released;
        tell(front, job);
    }
    mutex_unlock(&front->lock);
}
