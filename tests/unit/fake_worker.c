#include "config.h"

#include "fake_worker.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/thread.h"
#include "core/ipc/frame.h"

#include <assert.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { JOBS_MAX = 4096 };

struct job {
    uint64_t id;
    uint32_t left, done;
    uint64_t unread; /* bytes sent without credit */
};

struct state {
    struct fake_worker *worker;
    struct frame_reader reader;
    struct frame_writer writer;
    struct job jobs[JOBS_MAX];
    size_t count;
};

static void put_error(struct state *state, uint64_t id, pdk_status status)
{
    pdk_error error;
    struct buffer text = {0};
    pdk_error_set(&error, status, "", "ended by the fake worker");
    wire_error_encode(&text, &error);
    frame_put(&state->writer, WIRE_FINISH, id, text.data, text.length, NULL);
    buffer_done(&text);
}

static void take_request(struct state *state, const struct frame *frame)
{
    pdk_request request;
    void *memory = NULL;
    pdk_error err;
    _Alignas(8) char body[4096];
    assert(frame->length <= sizeof body && state->count < JOBS_MAX);
    memcpy(body, frame->body, frame->length);
    pdk_status status = wire_request_decode(body, frame->length, &request, &memory, &err);
    assert(status == PDK_OK);
    (void)status;
    free(memory);
    atomic_fetch_add(&state->worker->requests, 1);
    state->jobs[state->count++] = (struct job){.id = frame->id, .left = (uint32_t)request.sampling.max_tokens};
}

static void take_frame(struct state *state, const struct frame *frame)
{
    size_t i = 0;
    while (i < state->count && state->jobs[i].id != frame->id)
        i++;
    switch (frame->type) {
    case WIRE_REQUEST: take_request(state, frame); break;
    case WIRE_CANCEL:
        if (i == state->count)
            break; /* raced with its finish */
        put_error(state, frame->id, PDK_CANCELLED);
        atomic_fetch_add(&state->worker->cancelled, 1);
        state->jobs[i] = state->jobs[--state->count];
        break;
    case WIRE_WRITABLE:
        if (i < state->count)
            state->jobs[i].unread -= ((const struct wire_credit *)(const void *)frame->body)->bytes;
        break;
    case WIRE_PING:
        frame_put(&state->writer, WIRE_PONG, 0, &(struct wire_pong){0}, sizeof(struct wire_pong), NULL);
        break;
    case WIRE_ASK_STATS: frame_put(&state->writer, WIRE_STATS, 0, "{}", 2, NULL); break;
    case WIRE_LOAD: frame_put(&state->writer, WIRE_READY, 0, "{\"extensions\":[],\"names\":[\"x\"]}", 31, NULL); break;
    case WIRE_DRAIN: frame_put(&state->writer, WIRE_BYE, 0, NULL, 0, NULL); break;
    default: assert(!"a frame that no daemon sends");
    }
}

static void put_part(struct state *state, struct job *job)
{
    static const char filler[1 << 20];
    pdk_part part = {.size = sizeof part,
        .completion_tokens = ++job->done,
        .text = {filler, state->worker->part_bytes},
        .token_ids = &job->done,
        .token_count = 1};
    pdk_error err;
    size_t start = frame_begin(&state->writer, WIRE_PART, job->id);
    pdk_status status = wire_part_encode(&state->writer.bytes, &part, &err);
    assert(status == PDK_OK);
    job->unread += state->writer.bytes.length - start - sizeof(struct wire_header);
    status = frame_end(&state->writer, start, &err);
    assert(status == PDK_OK);
    (void)status;
}

/* One part for everyone who may have one. Returns whether anything went out. */
static bool step(struct state *state)
{
    bool moved = false;
    for (size_t i = 0; i < state->count;) {
        struct job *job = &state->jobs[i];
        if (job->left == 0) {
            frame_put(&state->writer, WIRE_FINISH, job->id, NULL, 0, NULL);
            *job = state->jobs[--state->count];
            moved = true;
            continue;
        }
        if (job->unread < WIRE_CREDIT) {
            put_part(state, job);
            job->left--;
            moved = true;
        }
        i++;
    }
    return moved;
}

static void *run(void *argument)
{
    struct state *state = argument;
    bool moved = false;
    for (;;) {
        pdk_error err;
        bool pending = frame_writer_pending(&state->writer);
        struct pollfd socket = {.fd = state->worker->fd, .events = (short)(POLLIN | (pending ? POLLOUT : 0))};
        poll(&socket, 1, moved && !pending ? 0 : 5);
        pdk_status status = frame_reader_fill(&state->reader, &err);
        if (status != PDK_OK && status != PDK_BUSY)
            break;
        for (;;) {
            PDK_CLEANUP(frame_done) struct frame frame = {0};
            bool there;
            status = frame_reader_next(&state->reader, &frame, &there, &err);
            assert(status == PDK_OK);
            if (!there)
                break;
            take_frame(state, &frame);
        }
        moved = !atomic_load(&state->worker->paused) && !frame_writer_pending(&state->writer) && step(state);
        if (frame_writer_flush(&state->writer, state->worker->fd, &err) == PDK_UNAVAILABLE)
            break;
    }
    close(state->worker->fd);
    frame_reader_done(&state->reader);
    frame_writer_done(&state->writer);
    free(state);
    return NULL;
}

void fake_worker_start(struct fake_worker *worker, int *ret_fd)
{
    int ends[2];
    pdk_error err;
    int failed = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
    assert(failed == 0);
    (void)failed;
    struct state *state = calloc(1, sizeof *state);
    worker->fd = ends[1];
    state->worker = worker;
    frame_reader_init(&state->reader, worker->fd);
    pdk_status status = thread_start(&worker->thread, THREAD_ANY, "fake-worker", run, state, &err);
    assert(status == PDK_OK);
    (void)status;
    *ret_fd = ends[0];
}

void fake_worker_join(struct fake_worker *worker)
{
    pthread_join(worker->thread, NULL);
}
