/* The first byte chooses: a request's or part's body (what decodes encodes to the same bytes), the JSON bodies, a
 * stream of frames from a worker to the daemon (the channel always ends, and so does the request in flight), and one
 * from the daemon to a worker (its loop always ends, and every handle comes back). */
#include "config.h"

#include "core/base/buffer.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/thread.h"
#include "core/ipc/channel.h"
#include "core/ipc/wire.h"
#include "core/worker/metrics.h"
#include "core/worker/responses.h"
#include "core/worker/worker.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_request(const void *body, size_t size)
{
    pdk_request request;
    void *memory = NULL;
    pdk_error err = {0};
    struct buffer again = {0};
    if (wire_request_decode(body, size, &request, &memory, &err) != PDK_OK) {
        assert(err.status != PDK_OK && err.message[0] != '\0' && memory == NULL);
        return;
    }
    pdk_status status = wire_request_encode(&again, &request, &err);
    assert(status == PDK_OK && again.length == size && memcmp(again.data, body, size) == 0);
    buffer_done(&again);
    free(memory);
}

static void check_part(const void *body, size_t size)
{
    pdk_part part;
    void *memory = NULL;
    pdk_error err = {0};
    struct buffer again = {0};
    if (wire_part_decode(body, size, &part, &memory, &err) != PDK_OK) {
        assert(err.status != PDK_OK && err.message[0] != '\0' && memory == NULL);
        return;
    }
    pdk_status status = wire_part_encode(&again, &part, &err);
    assert(status == PDK_OK && again.length == size && memcmp(again.data, body, size) == 0);
    buffer_done(&again);
    free(memory);
}

static void check_json(const void *body, size_t size)
{
    pdk_error error = {0}, err = {0};
    struct json_document *document = NULL;
    struct ready_info *info = NULL;
    if (wire_error_decode(body, size, &error, &err) == PDK_OK)
        assert(error.status > PDK_OK && error.status < PDK_STATUS_COUNT);
    if (json_read(body, size, &json_limits_default, &document, &err) != PDK_OK)
        return;
    if (ready_info_read(json_root(document), &info, &err) == PDK_OK) {
        struct buffer text = {0};
        assert(info->name_count >= 1 && info->name_count <= READY_NAMES_MAX && info->eos_count <= READY_EOS_MAX);
        ready_info_write(&text, info);
        buffer_done(&text);
    }
    ready_info_free(info);
    json_document_free(document);
}

/* ---- the daemon's end ---- */

struct ending {
    struct mutex lock;
    struct condition changed;
    bool closed;
};

static void on_progress(void *context, double fraction, const char *what)
{
    (void)context;
    assert(fraction >= 0 && fraction <= 1 && what != NULL);
}

static void on_ready(void *context, struct ready_info *info_take)
{
    (void)context;
    ready_info_free(info_take);
}

static void on_load_failed(void *context, const pdk_error *err)
{
    (void)context;
    assert(err->status != PDK_OK);
}

static void on_stats(void *context, const struct json *payload)
{
    (void)context;
    assert(payload->type == JSON_OBJECT);
}

static void on_closed(void *context, const pdk_error *err)
{
    struct ending *ending = context;
    (void)err;
    mutex_lock(&ending->lock);
    ending->closed = true;
    condition_signal(&ending->changed);
    mutex_unlock(&ending->lock);
}

/* All of it, as far as the socket takes it without a reader. */
static void feed(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        data += sent;
        size -= (size_t)sent;
    }
}

/* Reads until the request ended one way or the other. */
static void read_answer(struct answers *answers)
{
    pdk_error err = {0};
    const pdk_part *part = NULL;
    uint32_t index;
    pdk_status status;
    do
        status = answers_next(answers, monotonic_ms() + 30000, &index, &part, &err);
    while (status == PDK_OK && part != NULL);
    assert(status != PDK_TIMEOUT);
}

static void check_channel(struct channel_loop *loop, const uint8_t *data, size_t size)
{
    struct ending ending = {.closed = false};
    struct channel *channel = NULL;
    struct answers *answers = NULL;
    pdk_error err = {0};
    int ends[2];
    const struct channel_events events = {.context = &ending,
        .progress = on_progress,
        .ready = on_ready,
        .load_failed = on_load_failed,
        .stats = on_stats,
        .closed = on_closed};
    mutex_init(&ending.lock);
    condition_init(&ending.changed);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        abort();
    feed(ends[1], data, size);
    pdk_request request = {.kind = PDK_KIND_GENERATE, .text = {"x", 1}};
    if (channel_open(loop, ends[0], &events, &channel, &err) != PDK_OK ||
        answers_new(loop, -1, &answers, &err) != PDK_OK)
        abort();
    pdk_status added = answers_add(answers, channel, &request, 8, &err);
    shutdown(ends[1], SHUT_WR);
    if (added == PDK_OK)
        read_answer(answers);
    mutex_lock(&ending.lock);
    while (!ending.closed)
        condition_wait(&ending.changed, &ending.lock);
    mutex_unlock(&ending.lock);
    answers_free(answers);
    channel_unref(channel);
    close(ends[1]);
    condition_done(&ending.changed);
    mutex_done(&ending.lock);
}

/* ---- the worker's end ---- */

/* Answers at once, but for requests that ask to stay until they are cancelled. */
struct runtime {
    const pdk_host *host;
    pdk_response *kept;
    uint64_t kept_id;
};

static pdk_status submit(void *self, const pdk_request *request, pdk_response *response, pdk_error *err)
{
    struct runtime *runtime = self;
    if ((request->flags & PDK_FLAG_ECHO) != 0)
        return pdk_error_set(err, PDK_INVALID, "echo", "refused");
    if ((request->flags & PDK_FLAG_STREAM) != 0 && runtime->kept == NULL) {
        runtime->kept = response;
        runtime->kept_id = request->id;
        return PDK_OK;
    }
    pdk_part part = {.size = sizeof part,
        .token_ids = request->token_ids,
        .token_count = request->token_count,
        .text = request->text.data != NULL ? request->text : (pdk_string){"", 0}};
    runtime->host->part_send(response, &part);
    runtime->host->finish(response, NULL);
    return PDK_OK;
}

static void cancel(void *self, uint64_t request_id)
{
    struct runtime *runtime = self;
    if (runtime->kept == NULL || runtime->kept_id != request_id)
        return;
    runtime->host->finish(runtime->kept, &(pdk_error){.status = PDK_CANCELLED});
    runtime->kept = NULL;
}

static void check_worker(const uint8_t *data, size_t size)
{
    static const pdk_runtime table = {.size = sizeof table, .name = "fuzz"};
    static const pdk_generate generate = {.size = sizeof generate, .submit = submit, .cancel = cancel};
    static const struct worker_arguments arguments = {.threads = 1};
    static struct worker worker;
    struct runtime runtime = {.host = &worker.host};
    pdk_error err = {0};
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        abort();
    worker = (struct worker){.arguments = &arguments, .runtime = &table, .self = &runtime, .generate = &generate};
    if (link_open(&worker.link, ends[1], &err) != PDK_OK)
        abort();
    worker_host_init(&worker);
    worker.metrics = metrics_new();
    worker.responses = responses_new(&worker.link);
    feed(ends[0], data, size);
    shutdown(ends[0], SHUT_WR);
    pdk_status status = replica_serve(&worker, &err);
    assert(status == PDK_OK || err.message[0] != '\0');
    assert(responses_count(worker.responses) == (runtime.kept != NULL ? 1u : 0u));
    responses_free(worker.responses);
    metrics_free(worker.metrics);
    link_close(&worker.link);
    close(ends[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct channel_loop *loop; /* one thread for all inputs */
    pdk_error err;
    if (size == 0)
        return 0;
    if (loop == NULL && channel_loop_start(&loop, &err) != PDK_OK)
        abort();
    uint8_t *body = malloc(size > 1 ? size - 1 : 1); /* of its own, for alignment and so that an over-read is seen */
    memcpy(body, data + 1, size - 1);
    switch (data[0] % 5) {
    case 0: check_request(body, size - 1); break;
    case 1: check_part(body, size - 1); break;
    case 2: check_json(body, size - 1); break;
    case 3: check_channel(loop, body, size - 1); break;
    case 4: check_worker(body, size - 1); break;
    }
    free(body);
    return 0;
}
