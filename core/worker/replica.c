/* The main thread: frames in, calls into the runtime out. It never waits for anything but its socket and its bell, so a
 * ping is answered while an engine computes. */
#include "config.h"

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/worker/load.h"
#include "core/worker/metrics.h"
#include "core/worker/responses.h"
#include "core/worker/worker.h"

#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { CANCEL_PATIENCE_MS = 60000, LAST_WORDS_MS = 2000 };

/* What a signal handler may touch. */
static _Atomic(struct link *) bell_of;
static _Atomic bool asked_to_leave;

static void on_terminate(int number)
{
    (void)number;
    atomic_store_explicit(&asked_to_leave, true, memory_order_relaxed);
    struct link *link = atomic_load_explicit(&bell_of, memory_order_relaxed);
    if (link != NULL)
        link_interrupt(link);
}

static void on_bus_error(int number)
{
    static const char text[] =
        "<3>a mapped file cannot be read (SIGBUS): the model's file got shorter, or its disk fails\n";
    (void)number;
    ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);
    (void)ignored;
    _exit(WORKER_EXIT_SIGBUS);
}

static void catch_signals(struct worker *worker)
{
    atomic_store_explicit(&bell_of, &worker->link, memory_order_relaxed);
    struct sigaction action = {.sa_handler = on_terminate, .sa_flags = SA_RESTART};
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = on_bus_error;
    sigaction(SIGBUS, &action, NULL);
    action.sa_handler = SIG_IGN; /* a terminal's ^C is the daemon's to act on */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGPIPE, &action, NULL);
}

int replica_refuse(struct worker *worker, const pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    worker_log(PDK_LOG_ERROR, "%s", err->message);
    wire_error_encode(&text, err);
    if (!text.failed)
        link_put(&worker->link, WIRE_LOAD_FAILED, 0, text.data, text.length, NULL);
    link_flush_all(&worker->link, LAST_WORDS_MS);
    return WORKER_EXIT_LOAD;
}

static pdk_status pong(struct worker *worker, pdk_error *err)
{
    struct wire_pong body = {
        .alive_ms = atomic_load_explicit(&worker->alive_ms, memory_order_relaxed),
        .in_flight = responses_count(worker->responses),
    };
    uint64_t overdue = responses_overdue(worker->responses, monotonic_ms() - CANCEL_PATIENCE_MS);
    if (overdue != 0)
        worker_blame_runtime("the runtime did not finish request %" PRIu64 " within %d s of its cancel", overdue,
            CANCEL_PATIENCE_MS / 1000);
    return link_put(&worker->link, WIRE_PONG, 0, &body, sizeof body, err);
}

static pdk_status tell_stats(struct worker *worker, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    metrics_write(worker->metrics, &text);
    if (text.failed)
        return pdk_error_set(err, PDK_NO_MEMORY, "stats", "no memory for the metrics");
    return link_put(&worker->link, WIRE_STATS, 0, text.data, text.length, err);
}

/* ---- requests ---- */

static pdk_status submit(struct worker *worker, const pdk_request *request, pdk_response *response, pdk_error *err)
{
    if (worker->draining)
        return pdk_error_set(err, PDK_UNAVAILABLE, NULL, "the model's replica is being stopped");
    switch (request->kind) {
    case PDK_KIND_GENERATE:
        if (worker->generate != NULL)
            return worker->generate->submit(worker->self, request, response, err);
        break;
    case PDK_KIND_TOKENIZE:
    case PDK_KIND_DETOKENIZE:
    case PDK_KIND_TOKENIZER_INFO:
        if (worker->tokenize != NULL)
            return worker->tokenize->submit(worker->self, request, response, err);
        break;
    case PDK_KIND_POOL:
        if (worker->pool != NULL)
            return worker->pool->submit(worker->self, request, response, err);
        break;
    default: break;
    }
    return pdk_error_set(err, PDK_UNSUPPORTED, NULL, "runtime %s does not serve requests of kind %d",
        worker->runtime->name, (int)request->kind);
}

static pdk_status refuse_request(struct worker *worker, uint64_t id, const pdk_error *why, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    wire_error_encode(&text, why);
    return link_put(&worker->link, WIRE_FINISH, id, text.data, text.length, err);
}

static pdk_status take_request(struct worker *worker, struct frame *frame, pdk_error *err)
{
    pdk_response *response;
    const pdk_request *request;
    pdk_error why = {0};
    pdk_status status = responses_open(worker->responses, frame, &response, &request, &why);
    if (status == PDK_NO_MEMORY)
        return refuse_request(worker, frame->id, &why, err);
    if (status != PDK_OK) {
        *err = why;
        return status;
    }
    status = submit(worker, request, response, &why);
    if (status != PDK_OK) {
        if (why.status != status) /* the runtime did not fill it */
            pdk_error_set(&why, status, NULL, "runtime %s: %s", worker->runtime->name, pdk_status_name(status));
        response_finish(response, &why);
    }
    return PDK_OK;
}

static pdk_status take_credit(struct worker *worker, const struct frame *frame, pdk_error *err)
{
    struct wire_credit credit;
    if (frame->length != sizeof credit)
        return pdk_error_set(
            err, PDK_INVALID, "writable", "a writable of %zu bytes, not %zu", frame->length, sizeof credit);
    memcpy(&credit, frame->body, sizeof credit);
    int32_t kind = responses_credit(worker->responses, frame->id, credit.bytes);
    if (kind == PDK_KIND_GENERATE && PDK_HAS(worker->generate, writable))
        worker->generate->writable(worker->self, frame->id);
    return PDK_OK;
}

static void take_cancel(struct worker *worker, uint64_t id)
{
    int32_t kind = responses_cancel(worker->responses, id);
    if (kind == PDK_KIND_GENERATE)
        worker->generate->cancel(worker->self, id);
    else if (kind == PDK_KIND_POOL)
        worker->pool->cancel(worker->self, id);
}

static pdk_status take_frame(struct worker *worker, struct frame *frame, pdk_error *err)
{
    switch (frame->type) {
    case WIRE_REQUEST: return take_request(worker, frame, err);
    case WIRE_WRITABLE: return take_credit(worker, frame, err);
    case WIRE_CANCEL: take_cancel(worker, frame->id); return PDK_OK;
    case WIRE_ASK_STATS: return tell_stats(worker, err);
    case WIRE_PING: return pong(worker, err);
    case WIRE_DRAIN: worker->draining = true; return PDK_OK;
    default:
        return pdk_error_set(
            err, PDK_INVALID, "type", "a frame of type %d, which is not expected now", (int)frame->type);
    }
}

/* ---- the loop ---- */

static pdk_status take_frames(struct worker *worker, pdk_error *err)
{
    for (;;) {
        PDK_CLEANUP(frame_done) struct frame frame = {0};
        bool there;
        pdk_status status = link_next(&worker->link, &frame, &there, err);
        if (status != PDK_OK || !there)
            return status;
        status = take_frame(worker, &frame, err);
        if (status != PDK_OK)
            return status;
    }
}

pdk_status replica_serve(struct worker *worker, pdk_error *err)
{
    for (;;) {
        if (atomic_load_explicit(&asked_to_leave, memory_order_relaxed))
            worker->draining = true;
        if (worker->draining && responses_count(worker->responses) == 0)
            return PDK_OK;
        pdk_status status = link_wait(&worker->link, -1, err);
        if (status == PDK_OK)
            status = take_frames(worker, err);
        if (status != PDK_OK)
            return status;
    }
}

/* Waits for the load frame and loads. PDK_CANCELLED: asked to leave before. */
static pdk_status await_load(struct worker *worker, bool *ret_refused, pdk_error *err)
{
    for (;;) {
        PDK_CLEANUP(frame_done) struct frame frame = {0};
        bool there = false;
        pdk_status status = link_next(&worker->link, &frame, &there, err);
        if (status == PDK_OK && there && frame.type == WIRE_LOAD) {
            status = load_model(worker, &frame, err);
            *ret_refused = status != PDK_OK;
            return status;
        }
        if (status == PDK_OK && there)
            status = take_frame(worker, &frame, err);
        if (status == PDK_OK && (worker->draining || atomic_load_explicit(&asked_to_leave, memory_order_relaxed)))
            return PDK_CANCELLED;
        if (status == PDK_OK && !there)
            status = link_wait(&worker->link, -1, err);
        if (status != PDK_OK)
            return status;
    }
}

static pdk_status start(struct worker *worker, pdk_error *err)
{
    if (worker->compute.compute != NULL) {
        pdk_compute_config config = {.size = sizeof config,
            .threads = worker->arguments->threads,
            .memory_bytes = worker->arguments->memory_bytes};
        pdk_status status = worker->compute.compute->init(&config, &worker->compute.self, err);
        if (status != PDK_OK)
            return status;
    }
    pdk_status status = worker->runtime->init(&worker->host, &worker->self, err);
    if (status != PDK_OK && worker->compute.compute != NULL)
        worker->compute.compute->done(worker->compute.self);
    return status;
}

static void stop(struct worker *worker, bool loaded)
{
    if (loaded && worker->model != NULL && PDK_HAS(worker->model, unload))
        worker->model->unload(worker->self);
    worker->runtime->done(worker->self);
    if (worker->compute.compute != NULL)
        worker->compute.compute->done(worker->compute.self);
}

static int leave(struct worker *worker, bool loaded)
{
    tell_stats(worker, NULL);
    stop(worker, loaded);
    link_put(&worker->link, WIRE_BYE, 0, NULL, 0, NULL);
    link_flush_all(&worker->link, LAST_WORDS_MS);
    return WORKER_EXIT_BYE;
}

/* The daemon closed the channel, or speaks another language: threads of the runtime may be anywhere, so nothing is put
 * away. */
static _Noreturn void give_up(const pdk_error *err)
{
    if (err->status == PDK_UNAVAILABLE) {
        worker_log(PDK_LOG_NOTICE, "the daemon closed the channel");
        _exit(WORKER_EXIT_CUT);
    }
    worker_log(PDK_LOG_ERROR, "the daemon broke the protocol: %s", err->message);
    _exit(WORKER_EXIT_PROTOCOL);
}

int replica_run(struct worker *worker)
{
    pdk_error err = {0};
    bool refused = false;
    catch_signals(worker);
    if (start(worker, &err) != PDK_OK) {
        if (err.message[0] == '\0')
            pdk_error_set(
                &err, PDK_INTERNAL, "init", "runtime %s failed to start and did not say why", worker->runtime->name);
        return replica_refuse(worker, &err);
    }
    pdk_status status = await_load(worker, &refused, &err);
    if (status == PDK_CANCELLED)
        return leave(worker, false);
    if (refused) {
        int result = replica_refuse(worker, &err);
        stop(worker, false);
        return result;
    }
    if (status == PDK_OK)
        status = replica_serve(worker, &err);
    if (status != PDK_OK)
        give_up(&err);
    return leave(worker, true);
}
