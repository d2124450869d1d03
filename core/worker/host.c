/* The services that pdk_host promises, each a few lines over the file that does the work. */
#include "config.h"

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/worker/metrics.h"
#include "core/worker/responses.h"
#include "core/worker/worker.h"

#include <string.h>

enum { PROGRESS_EVERY_MS = 100 };

static void host_log(void *context, int32_t level, const char *message)
{
    (void)context;
    worker_log(level, "%s", message);
}

/* A load may tell each tensor; the daemon need not hear of all. */
static void host_progress(void *context, double fraction, const char *what)
{
    struct worker *worker = context;
    int64_t now = monotonic_ms(), last = atomic_load_explicit(&worker->progress_ms, memory_order_relaxed);
    if (now - last < PROGRESS_EVERY_MS && fraction < 1)
        return;
    if (!atomic_compare_exchange_strong_explicit(
            &worker->progress_ms, &last, now, memory_order_relaxed, memory_order_relaxed))
        return; /* another thread tells right now */
    struct buffer text = {0};
    struct json_writer writer = {.out = &text};
    json_write_object(&writer);
    json_write_key(&writer, "fraction");
    json_write_double(&writer, fraction > 0 ? fraction < 1 ? fraction : 1 : 0);
    json_write_key(&writer, "what");
    json_write_text(&writer, what, what != NULL ? strnlen(what, 256) : 0);
    json_write_end_object(&writer);
    if (!text.failed)
        link_put(&worker->link, WIRE_PROGRESS, 0, text.data, text.length, NULL);
    buffer_done(&text);
}

static pdk_status host_metric(void *context, const pdk_metric *metric, uint32_t *ret_id, pdk_error *err)
{
    return metrics_declare(((struct worker *)context)->metrics, metric, ret_id, err);
}

static void host_metric_add(void *context, uint32_t id, double value)
{
    metrics_add(((struct worker *)context)->metrics, id, value);
}

static void host_metric_set(void *context, uint32_t id, double value)
{
    metrics_set(((struct worker *)context)->metrics, id, value);
}

static void host_metric_observe(void *context, uint32_t id, double value)
{
    metrics_observe(((struct worker *)context)->metrics, id, value);
}

static const void *host_get_extension(void *context, const char *id)
{
    struct worker *worker = context;
    if (strcmp(id, PDK_HOST_COMPUTE) == 0 && worker->compute.compute != NULL)
        return &worker->compute;
    return NULL;
}

/* The step is over: what its rows sent may leave. */
static void host_alive(void *context)
{
    struct worker *worker = context;
    atomic_store_explicit(&worker->alive_ms, monotonic_ms(), memory_order_relaxed);
    link_lock(&worker->link);
    if (frame_writer_pending(&worker->link.gathered))
        link_urge(&worker->link, LINK_NOW);
    link_unlock(&worker->link);
}

void worker_host_init(struct worker *worker)
{
    worker->host = (pdk_host){
        .size = sizeof(pdk_host),
        .threads = worker->arguments->threads,
        .memory_bytes = worker->arguments->memory_bytes,
        .context = worker,
        .log = host_log,
        .progress = host_progress,
        .metric = host_metric,
        .metric_add = host_metric_add,
        .metric_set = host_metric_set,
        .metric_observe = host_metric_observe,
        .get_extension = host_get_extension,
        .part_send = response_send,
        .finish = response_finish,
        .alive = host_alive,
    };
}
