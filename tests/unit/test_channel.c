/* Requests over a channel, answered by a fake worker or by frames written by hand. */
#include "config.h"

#include "core/ipc/channel.h"

#include "check_main.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/thread.h"
#include "core/ipc/frame.h"
#include "fake_worker.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the channel told its owner. */
struct events {
    struct mutex lock;
    struct condition changed;
    int ready, load_failed, stats, closed;
    double fraction;
    char what[64];
    pdk_error error;  /* of load_failed */
    pdk_error reason; /* of closed */
};

static void note(struct events *events, int *counter)
{
    mutex_lock(&events->lock);
    (*counter)++;
    condition_broadcast(&events->changed);
    mutex_unlock(&events->lock);
}

static void on_progress(void *context, double fraction, const char *what)
{
    struct events *events = context;
    events->fraction = fraction;
    snprintf(events->what, sizeof events->what, "%s", what);
}

static void on_ready(void *context, struct ready_info *info_take)
{
    ready_info_free(info_take);
    note(context, &((struct events *)context)->ready);
}

static void on_load_failed(void *context, const pdk_error *err)
{
    ((struct events *)context)->error = *err;
    note(context, &((struct events *)context)->load_failed);
}

static void on_stats(void *context, const struct json *payload)
{
    ck_assert(payload->type == JSON_OBJECT);
    note(context, &((struct events *)context)->stats);
}

static void on_closed(void *context, const pdk_error *err)
{
    ((struct events *)context)->reason = *err;
    note(context, &((struct events *)context)->closed);
}

static void await(struct events *events, const int *counter)
{
    mutex_lock(&events->lock);
    while (*counter == 0)
        ck_assert_msg(
            condition_wait_until(&events->changed, &events->lock, monotonic_ms() + 20000), "nothing came in 20 s");
    mutex_unlock(&events->lock);
}

struct fixture {
    struct channel_loop *loop;
    struct channel *channel;
    struct events events;
    struct fake_worker worker;
    int peer; /* the worker's end, when a test plays it by hand */
};

static void open_channel(struct fixture *f, int fd)
{
    pdk_error err;
    const struct channel_events events = {.context = &f->events,
        .progress = on_progress,
        .ready = on_ready,
        .load_failed = on_load_failed,
        .stats = on_stats,
        .closed = on_closed};
    mutex_init(&f->events.lock);
    condition_init(&f->events.changed);
    ck_assert_int_eq(channel_loop_start(&f->loop, &err), PDK_OK);
    ck_assert_int_eq(channel_open(f->loop, fd, &events, &f->channel, &err), PDK_OK);
}

static void with_worker(struct fixture *f)
{
    int fd;
    fake_worker_start(&f->worker, &fd);
    open_channel(f, fd);
}

static void by_hand(struct fixture *f)
{
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    f->peer = ends[1];
    open_channel(f, ends[0]);
}

static void finish(struct fixture *f)
{
    channel_close(f->channel, "the test is over");
    await(&f->events, &f->events.closed);
    ck_assert_int_eq(f->events.closed, 1);
    channel_unref(f->channel);
    channel_loop_stop(f->loop);
    if (f->peer != 0)
        close(f->peer);
    else
        fake_worker_join(&f->worker);
}

static struct answers *ask(struct fixture *f, int client_fd, int32_t parts)
{
    pdk_error err;
    struct answers *answers;
    ck_assert_int_eq(answers_new(f->loop, client_fd, &answers, &err), PDK_OK);
    pdk_request request = {.size = sizeof request,
        .kind = PDK_KIND_GENERATE,
        .text = {"hello", 5},
        .sampling = {.size = sizeof(pdk_sampling), .n = 1, .max_tokens = parts}};
    ck_assert_msg(answers_add(answers, f->channel, &request, 1000, &err) == PDK_OK, "%s", err.message);
    return answers;
}

static int64_t soon(void)
{
    return monotonic_ms() + 20000;
}

/* Reads to the end: the number of parts, or minus the status. */
static int drain(struct answers *answers, pdk_error *err)
{
    for (int parts = 0;;) {
        uint32_t index;
        const pdk_part *part;
        pdk_status status = answers_next(answers, soon(), &index, &part, err);
        if (status != PDK_OK)
            return -status;
        if (part == NULL)
            return parts;
        parts++;
        ck_assert_int_eq(part->completion_tokens, (uint32_t)parts);
    }
}

START_TEST(test_answer)
{
    struct fixture f = {.worker.part_bytes = 5};
    pdk_error err;
    with_worker(&f);
    struct answers *answers = ask(&f, -1, 7);
    ck_assert_int_eq(drain(answers, &err), 7);
    answers_free(answers);
    finish(&f);
    ck_assert_str_eq(f.events.reason.message, "the test is over");
}
END_TEST

START_TEST(test_several_requests)
{
    struct fixture f = {.worker.part_bytes = 5};
    pdk_error err;
    with_worker(&f);
    struct answers *answers = ask(&f, -1, 3);
    pdk_request request = {.kind = PDK_KIND_GENERATE, .text = {"x", 1}, .sampling = {.n = 1, .max_tokens = 4}};
    ck_assert_int_eq(answers_add(answers, f.channel, &request, 1000, &err), PDK_OK);
    int parts[2] = {0}, ends = 0;
    while (ends < 2) {
        uint32_t index;
        const pdk_part *part;
        ck_assert_int_eq(answers_next(answers, soon(), &index, &part, &err), PDK_OK);
        ck_assert_uint_lt(index, 2);
        parts[index] += part != NULL;
        ends += part == NULL;
    }
    ck_assert_int_eq(parts[0], 3);
    ck_assert_int_eq(parts[1], 4);
    answers_free(answers);
    finish(&f);
}
END_TEST

START_TEST(test_control_frames)
{
    struct fixture f = {0};
    with_worker(&f);
    channel_load(f.channel, "{}", 2);
    await(&f.events, &f.events.ready);
    channel_ask_stats(f.channel);
    await(&f.events, &f.events.stats);
    struct channel_health health;
    channel_ping(f.channel);
    do {
        poll(NULL, 0, 1);
        channel_health(f.channel, &health);
    } while (health.ping_sent_ms != 0);
    channel_drain(f.channel);
    pdk_error err;
    struct answers *answers;
    ck_assert_int_eq(answers_new(f.loop, -1, &answers, &err), PDK_OK);
    pdk_request request = {.kind = PDK_KIND_GENERATE};
    ck_assert_int_eq(answers_add(answers, f.channel, &request, 1000, &err), PDK_UNAVAILABLE);
    answers_free(answers);
    finish(&f);
}
END_TEST

START_TEST(test_client_leaves)
{
    for (int half = 0; half < 2; half++) {
        struct fixture f = {.worker.part_bytes = 5};
        pdk_error err;
        int client[2];
        with_worker(&f);
        atomic_store(&f.worker.paused, true);
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, client), 0);
        struct answers *answers = ask(&f, client[0], 7);
        if (half)
            shutdown(client[1], SHUT_WR);
        else
            close(client[1]);
        uint32_t index;
        const pdk_part *part;
        ck_assert_int_eq(answers_next(answers, soon(), &index, &part, &err), PDK_CANCELLED);
        ck_assert_uint_eq(index, UINT32_MAX);
        ck_assert_ptr_null(part);
        /* A half-closed socket stays readable for ever; the thread that watches it must not spin on that. */
        struct rusage before, after;
        getrusage(RUSAGE_SELF, &before);
        poll(NULL, 0, 100);
        getrusage(RUSAGE_SELF, &after);
        int64_t busy_us =
            (after.ru_utime.tv_sec - before.ru_utime.tv_sec + after.ru_stime.tv_sec - before.ru_stime.tv_sec) *
                INT64_C(1000000) +
            after.ru_utime.tv_usec - before.ru_utime.tv_usec + after.ru_stime.tv_usec - before.ru_stime.tv_usec;
        ck_assert_int_lt(busy_us, 50000);
        answers_free(answers);
        while (atomic_load(&f.worker.cancelled) == 0)
            poll(NULL, 0, 1);
        close(client[0]);
        if (half)
            close(client[1]);
        finish(&f);
    }
}
END_TEST

START_TEST(test_limits_and_deadline)
{
    struct fixture f = {.worker.part_bytes = 5};
    pdk_error err;
    with_worker(&f);
    atomic_store(&f.worker.paused, true);
    struct answers *answers = ask(&f, -1, 2);
    pdk_request request = {.kind = PDK_KIND_GENERATE, .sampling.n = 1};
    ck_assert_int_eq(answers_add(answers, f.channel, &request, 1, &err), PDK_BUSY);
    ck_assert_str_eq(err.message, "1 requests are being answered; the limit is 1");
    uint32_t index;
    const pdk_part *part;
    ck_assert_int_eq(answers_next(answers, monotonic_ms() + 20, &index, &part, &err), PDK_TIMEOUT);
    ck_assert_uint_eq(index, UINT32_MAX);
    atomic_store(&f.worker.paused, false);
    ck_assert_int_eq(drain(answers, &err), 2);
    answers_free(answers);
    finish(&f);
}
END_TEST

START_TEST(test_credit)
{
    /* 300 parts of 100 KB: more than the credit, and by memfd when a part is large. */
    for (int large = 0; large < 2; large++) {
        struct fixture f = {.worker.part_bytes = large ? 600000 : 100000};
        pdk_error err;
        with_worker(&f);
        struct answers *answers = ask(&f, -1, large ? 20 : 300);
        ck_assert_int_eq(drain(answers, &err), large ? 20 : 300);
        answers_free(answers);
        finish(&f);
    }
}
END_TEST

START_TEST(test_peer_dies)
{
    struct fixture f = {0};
    pdk_error err;
    by_hand(&f);
    struct answers *one = ask(&f, -1, 1), *two = ask(&f, -1, 1);
    shutdown(f.peer, SHUT_RDWR);
    ck_assert_int_eq(drain(one, &err), -PDK_UNAVAILABLE);
    ck_assert_str_eq(err.message, "the model's replica ended before the answer was complete");
    ck_assert_int_eq(drain(two, &err), -PDK_UNAVAILABLE);
    await(&f.events, &f.events.closed);
    ck_assert_int_eq(f.events.reason.status, PDK_UNAVAILABLE);
    pdk_request request = {.kind = PDK_KIND_GENERATE};
    ck_assert_int_eq(answers_add(one, f.channel, &request, 1000, &err), PDK_UNAVAILABLE);
    answers_free(one);
    answers_free(two);
    channel_load(f.channel, "{}", 2);
    finish(&f);
}
END_TEST

/* What a worker may get wrong, and what the daemon says of it. `%` is the id of the request in flight. */
static const struct {
    const char *name, *message;
    struct wire_header header;
    const char *body;
    int times;
} breaches[] = {
    {"no magic", "a frame starts with 0x00000001, not PDK1", {.magic = 1}, "", 1},
    {"4 GiB", "a frame of 4294967295 bytes; the limit is 16777216",
        {.magic = WIRE_MAGIC, .type = WIRE_PART, .length = UINT32_MAX}, "", 1},
    {"flags", "a frame has flags 0x0001; none are known", {.magic = WIRE_MAGIC, .type = WIRE_PONG, .flags = 1}, "", 1},
    {"descriptor missing", "a frame's descriptor did not come with it",
        {.magic = WIRE_MAGIC, .type = WIRE_PART, .descriptors = 1}, "", 1},
    {"descriptors", "a frame has 7 descriptors and 0 bytes; it may have one or the other",
        {.magic = WIRE_MAGIC, .type = WIRE_PART, .descriptors = 7}, "", 1},
    {"type", "a frame of type 99, which no worker sends", {.magic = WIRE_MAGIC, .type = 99}, "", 1},
    {"daemon's type", "a frame of type 2, which no worker sends", {.magic = WIRE_MAGIC, .type = WIRE_REQUEST}, "", 1},
    {"unknown id", "a finish for request 77, which is not in flight",
        {.magic = WIRE_MAGIC, .type = WIRE_FINISH, .id = 77}, "", 1},
    {"part cut short", "a part of 3 bytes is cut short", {.magic = WIRE_MAGIC, .type = WIRE_PART, .id = 1}, "abc", 1},
    {"two finishes", "a finish for request 1, which is not in flight",
        {.magic = WIRE_MAGIC, .type = WIRE_FINISH, .id = 1}, "", 2},
    {"pong", "a pong of 2 bytes, not 16", {.magic = WIRE_MAGIC, .type = WIRE_PONG}, "ab", 1},
    {"ready", "ready: names is nothing, not a list of 1 to 64 names", {.magic = WIRE_MAGIC, .type = WIRE_READY},
        "{\"extensions\":[]}", 1},
    {"two readies", "a second ready", {.magic = WIRE_MAGIC, .type = WIRE_READY},
        "{\"extensions\":[],\"names\":[\"x\"]}", 2},
    {"progress", "a progress without a fraction of 0 to 1 and a text", {.magic = WIRE_MAGIC, .type = WIRE_PROGRESS},
        "{\"fraction\":2,\"what\":\"\"}", 1},
    {"stats", "stats are array, not an object", {.magic = WIRE_MAGIC, .type = WIRE_STATS}, "[]", 1},
    {"stats unasked", "stats that nobody asked for, again", {.magic = WIRE_MAGIC, .type = WIRE_STATS}, "{}", 2},
    {"error", "an error frame lacks status, field, value or message", {.magic = WIRE_MAGIC, .type = WIRE_LOAD_FAILED},
        "{}", 1},
    {"after bye", "a frame of type 40 after bye", {.magic = WIRE_MAGIC, .type = WIRE_BYE}, "", 2},
};

START_TEST(test_breach)
{
    struct fixture f = {0};
    pdk_error err;
    char message[600];
    by_hand(&f);
    struct answers *answers = ask(&f, -1, 1);
    struct wire_header header = breaches[_i].header;
    if (header.length == 0)
        header.length = (uint32_t)strlen(breaches[_i].body);
    for (int i = 0; i < breaches[_i].times; i++) {
        ck_assert_int_eq(send(f.peer, &header, sizeof header, MSG_NOSIGNAL), sizeof header);
        send(f.peer, breaches[_i].body, strlen(breaches[_i].body), MSG_NOSIGNAL);
    }
    await(&f.events, &f.events.closed);
    snprintf(message, sizeof message, "the replica broke the protocol: %s", breaches[_i].message);
    ck_assert_str_eq(f.events.reason.message, message);
    ck_assert_int_eq(f.events.reason.status, PDK_INVALID);
    int parts = drain(answers, &err);
    ck_assert_int_eq(parts, strcmp(breaches[_i].name, "two finishes") == 0 ? 0 : -PDK_UNAVAILABLE);
    answers_free(answers);
    finish(&f);
}
END_TEST

START_TEST(test_bye_and_errors)
{
    struct fixture f = {0};
    pdk_error err;
    by_hand(&f);
    struct answers *answers = ask(&f, -1, 1);
    struct frame_writer writer = {0};
    const char *body = "{\"status\":1,\"field\":\"prompt\",\"value\":\"x\",\"message\":\"too long\"}";
    frame_put(&writer, WIRE_PROGRESS, 0, "{\"fraction\":0.5,\"what\":\"Loading weights\"}", 41, &err);
    frame_put(&writer, WIRE_LOAD_FAILED, 0, body, strlen(body), &err);
    frame_put(&writer, WIRE_FINISH, 1, body, strlen(body), &err);
    frame_put(&writer, WIRE_BYE, 0, NULL, 0, &err);
    ck_assert_int_eq(frame_writer_flush(&writer, f.peer, &err), PDK_OK);
    shutdown(f.peer, SHUT_RDWR);
    ck_assert_int_eq(drain(answers, &err), -PDK_INVALID);
    ck_assert_str_eq(err.field, "prompt");
    ck_assert_str_eq(err.value, "x");
    ck_assert_str_eq(err.message, "too long");
    await(&f.events, &f.events.closed);
    ck_assert_int_eq(f.events.reason.status, PDK_OK);
    ck_assert_str_eq(f.events.error.message, "too long");
    ck_assert_str_eq(f.events.what, "Loading weights");
    frame_writer_done(&writer);
    answers_free(answers);
    finish(&f);
}
END_TEST

/* ---- a storm ---- */

enum { STORM_THREADS = 8, STORM_PARTS = 6 };

struct storm {
    struct fixture *fixture;
    uint32_t random;
    int rounds;
};

static uint32_t draw(struct storm *storm, uint32_t below)
{
    storm->random = storm->random * 1664525u + 1013904223u;
    return (storm->random >> 8) % below;
}

/* Asks for some parts, reads some of them, and leaves: by hand, by its socket, or at the end. */
static void one_round(struct storm *storm)
{
    int client[2] = {-1, -1};
    uint32_t way = draw(storm, 4), parts = draw(storm, STORM_PARTS), taken = draw(storm, STORM_PARTS + 2);
    pdk_error err;
    if (way == 0)
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, client), 0);
    struct answers *answers = ask(storm->fixture, client[0], (int32_t)parts);
    for (uint32_t i = 0; i < taken; i++) {
        uint32_t index;
        const pdk_part *part;
        if (i == 1 && way == 0)
            close(client[1]);
        if (i == 1 && way == 1)
            answers_cancel(answers);
        pdk_status status = answers_next(answers, soon(), &index, &part, &err);
        ck_assert_msg(status == PDK_OK || (status == PDK_CANCELLED && way < 2), "status %d: %s", status, err.message);
        if (status == PDK_CANCELLED || part == NULL)
            break;
        ck_assert_uint_eq(part->completion_tokens, i + 1);
    }
    answers_free(answers);
    if (client[0] >= 0) {
        close(client[0]);
        if (taken < 2)
            close(client[1]);
    }
}

static void *storm_thread(void *argument)
{
    struct storm *storm = argument;
    for (int i = 0; i < storm->rounds; i++)
        one_round(storm);
    return NULL;
}

START_TEST(test_storm)
{
    struct fixture f = {.worker.part_bytes = 20};
    struct storm storms[STORM_THREADS];
    pthread_t threads[STORM_THREADS];
    struct channel_health health;
    const char *wanted = getenv("PADDOCK_STORM");
    int rounds = wanted != NULL ? (int)strtol(wanted, NULL, 10) : 100000;
    pdk_error err;
    with_worker(&f);
    for (int i = 0; i < STORM_THREADS; i++) {
        storms[i] = (struct storm){.fixture = &f, .random = (uint32_t)i + 1, .rounds = rounds / STORM_THREADS};
        ck_assert_int_eq(thread_start(&threads[i], THREAD_GATEWAY, "client", storm_thread, &storms[i], &err), PDK_OK);
    }
    for (int i = 0; i < STORM_THREADS; i++)
        pthread_join(threads[i], NULL);
    do {
        poll(NULL, 0, 1);
        channel_health(f.channel, &health);
    } while (health.in_flight != 0); /* every request was finished, those of clients that left too */
    ck_assert_uint_eq(atomic_load(&f.worker.requests), (uint64_t)(rounds / STORM_THREADS) * STORM_THREADS);
    ck_assert_int_eq(f.events.closed, 0);
    finish(&f);
}
END_TEST

START_TEST(test_storm_with_deaths)
{
    /* Workers die while clients read: each answer ends, none hangs. */
    for (int round = 0; round < 50; round++) {
        struct fixture f = {.worker.part_bytes = 20};
        pdk_error err;
        with_worker(&f);
        struct answers *answers[16];
        for (int i = 0; i < 16; i++)
            answers[i] = ask(&f, -1, round);
        channel_close(f.channel, "the test is over");
        for (int i = 0; i < 16; i++) {
            int parts = drain(answers[i], &err);
            ck_assert_msg(parts == round || parts == -PDK_UNAVAILABLE, "%d", parts);
            answers_free(answers[i]);
        }
        finish(&f);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("channel");
    TCase *tcase = tcase_create("channel");
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, test_answer);
    tcase_add_test(tcase, test_several_requests);
    tcase_add_test(tcase, test_control_frames);
    tcase_add_test(tcase, test_client_leaves);
    tcase_add_test(tcase, test_limits_and_deadline);
    tcase_add_test(tcase, test_credit);
    tcase_add_test(tcase, test_peer_dies);
    tcase_add_loop_test(tcase, test_breach, 0, sizeof breaches / sizeof breaches[0]);
    tcase_add_test(tcase, test_bye_and_errors);
    tcase_add_test(tcase, test_storm);
    tcase_add_test(tcase, test_storm_with_deaths);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
