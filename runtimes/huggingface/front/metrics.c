/* Buckets are vLLM's, so that its dashboards add up over mixed fleets. Figures of the scheduler are cumulative; the
 * counters get the differences. */
#include "config.h"

#include "runtimes/huggingface/front/metrics.h"

#include "core/base/array.h"
#include "core/base/error.h"

#include <paddock/draft/request.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum bucket_set { B_NONE, B_TOKENS, B_STEP, B_N, B_FIRST, B_LATENCY, B_REQUEST, B_PREEMPTIONS };

enum metric_name {
    M_RUNNING,
    M_WAITING,
    M_WAITING_CAPACITY,
    M_WAITING_DEFERRED,
    M_USAGE,
    M_QUERIES,
    M_HITS,
    M_PREEMPTIONS,
    M_PROMPT_TOKENS,
    M_PROMPT_COMPUTED,
    M_PROMPT_CACHED,
    M_CACHED_TOKENS,
    M_CACHED_DEVICE,
    M_GENERATED,
    M_SUCCESS_STOP,
    M_SUCCESS_LENGTH,
    M_SUCCESS_ABORT,
    M_SUCCESS_ERROR,
    M_SUCCESS_REPETITION,
    M_REQUEST_PROMPT,
    M_REQUEST_GENERATED,
    M_STEP_TOKENS,
    M_LONGEST,
    M_PARAM_N,
    M_PARAM_MAX_TOKENS,
    M_FIRST_TOKEN,
    M_BETWEEN,
    M_PER_TOKEN,
    M_WHOLE,
    M_QUEUE,
    M_INFERENCE,
    M_PREFILL,
    M_DECODE,
    M_REQUEST_PREEMPTIONS,
    M_REQUEST_COMPUTED,
    M_COUNT
};

static const struct {
    const char *name, *labels, *help;
    int32_t kind;
    enum bucket_set buckets;
} table[M_COUNT] = {
    [M_RUNNING] = {"vllm:num_requests_running", NULL, "Sequences in the running batch.", PDK_METRIC_GAUGE, B_NONE},
    [M_WAITING] = {"vllm:num_requests_waiting", NULL, "Sequences waiting to run.", PDK_METRIC_GAUGE, B_NONE},
    [M_WAITING_CAPACITY] = {"vllm:num_requests_waiting_by_reason", "reason=\"capacity\"",
        "Sequences waiting, by reason.", PDK_METRIC_GAUGE, B_NONE},
    [M_WAITING_DEFERRED] = {"vllm:num_requests_waiting_by_reason", "reason=\"deferred\"",
        "Sequences waiting, by reason.", PDK_METRIC_GAUGE, B_NONE},
    [M_USAGE] = {"vllm:kv_cache_usage_perc", NULL, "Share of the key-value cache in use, 0 to 1.", PDK_METRIC_GAUGE,
        B_NONE},
    [M_QUERIES] = {"vllm:prefix_cache_queries_total", NULL, "Prompt tokens looked up in the prefix cache.",
        PDK_METRIC_COUNTER, B_NONE},
    [M_HITS] = {"vllm:prefix_cache_hits_total", NULL, "Prompt tokens found in the prefix cache.", PDK_METRIC_COUNTER,
        B_NONE},
    [M_PREEMPTIONS] = {"vllm:num_preemptions_total", NULL, "Preemptions.", PDK_METRIC_COUNTER, B_NONE},
    [M_PROMPT_TOKENS] = {"vllm:prompt_tokens_total", NULL, "Prompt tokens processed.", PDK_METRIC_COUNTER, B_NONE},
    [M_PROMPT_COMPUTED] = {"vllm:prompt_tokens_by_source_total", "source=\"local_compute\"",
        "Prompt tokens processed, by source.", PDK_METRIC_COUNTER, B_NONE},
    [M_PROMPT_CACHED] = {"vllm:prompt_tokens_by_source_total", "source=\"local_cache_hit\"",
        "Prompt tokens processed, by source.", PDK_METRIC_COUNTER, B_NONE},
    [M_CACHED_TOKENS] = {"vllm:prompt_tokens_cached_total", NULL, "Prompt tokens taken from the cache.",
        PDK_METRIC_COUNTER, B_NONE},
    [M_CACHED_DEVICE] = {"vllm:prompt_tokens_cached_by_source_total", "source=\"device\"",
        "Prompt tokens taken from the cache, by source.", PDK_METRIC_COUNTER, B_NONE},
    [M_GENERATED] = {"vllm:generation_tokens_total", NULL, "Tokens generated.", PDK_METRIC_COUNTER, B_NONE},
    [M_SUCCESS_STOP] = {"vllm:request_success_total", "finished_reason=\"stop\"", "Finished requests.",
        PDK_METRIC_COUNTER, B_NONE},
    [M_SUCCESS_LENGTH] = {"vllm:request_success_total", "finished_reason=\"length\"", "Finished requests.",
        PDK_METRIC_COUNTER, B_NONE},
    [M_SUCCESS_ABORT] = {"vllm:request_success_total", "finished_reason=\"abort\"", "Finished requests.",
        PDK_METRIC_COUNTER, B_NONE},
    [M_SUCCESS_ERROR] = {"vllm:request_success_total", "finished_reason=\"error\"", "Finished requests.",
        PDK_METRIC_COUNTER, B_NONE},
    [M_SUCCESS_REPETITION] = {"vllm:request_success_total", "finished_reason=\"repetition\"", "Finished requests.",
        PDK_METRIC_COUNTER, B_NONE},
    [M_REQUEST_PROMPT] = {"vllm:request_prompt_tokens", NULL, "Prompt tokens of a request.", PDK_METRIC_HISTOGRAM,
        B_TOKENS},
    [M_REQUEST_GENERATED] = {"vllm:request_generation_tokens", NULL, "Tokens generated for a request.",
        PDK_METRIC_HISTOGRAM, B_TOKENS},
    [M_STEP_TOKENS] = {"vllm:iteration_tokens_total", NULL, "Tokens of an engine step.", PDK_METRIC_HISTOGRAM, B_STEP},
    [M_LONGEST] = {"vllm:request_max_num_generation_tokens", NULL, "Tokens of a request's longest choice.",
        PDK_METRIC_HISTOGRAM, B_TOKENS},
    [M_PARAM_N] = {"vllm:request_params_n", NULL, "Choices asked for.", PDK_METRIC_HISTOGRAM, B_N},
    [M_PARAM_MAX_TOKENS] = {"vllm:request_params_max_tokens", NULL, "max_tokens after defaults.", PDK_METRIC_HISTOGRAM,
        B_TOKENS},
    [M_FIRST_TOKEN] = {"vllm:time_to_first_token_seconds", NULL, "Arrival to first token.", PDK_METRIC_HISTOGRAM,
        B_FIRST},
    [M_BETWEEN] = {"vllm:inter_token_latency_seconds", NULL, "Time between two tokens of a request.",
        PDK_METRIC_HISTOGRAM, B_LATENCY},
    [M_PER_TOKEN] = {"vllm:request_time_per_output_token_seconds", NULL, "Mean time per token of a request.",
        PDK_METRIC_HISTOGRAM, B_LATENCY},
    [M_WHOLE] = {"vllm:e2e_request_latency_seconds", NULL, "Arrival to last token.", PDK_METRIC_HISTOGRAM, B_REQUEST},
    [M_QUEUE] = {"vllm:request_queue_time_seconds", NULL, "Arrival to start.", PDK_METRIC_HISTOGRAM, B_REQUEST},
    [M_INFERENCE] = {"vllm:request_inference_time_seconds", NULL, "Start to last token.", PDK_METRIC_HISTOGRAM,
        B_REQUEST},
    [M_PREFILL] = {"vllm:request_prefill_time_seconds", NULL, "Start to first token.", PDK_METRIC_HISTOGRAM, B_REQUEST},
    [M_DECODE] = {"vllm:request_decode_time_seconds", NULL, "First to last token.", PDK_METRIC_HISTOGRAM, B_REQUEST},
    [M_REQUEST_PREEMPTIONS] = {"vllm:request_num_preemptions", NULL, "Preemptions of a request.", PDK_METRIC_HISTOGRAM,
        B_PREEMPTIONS},
    [M_REQUEST_COMPUTED] = {"vllm:request_prefill_kv_computed_tokens", NULL,
        "Prompt tokens of a request that were computed.", PDK_METRIC_HISTOGRAM, B_TOKENS},
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
static const double step_buckets[] = {1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384};
static const double n_buckets[] = {1, 2, 5, 10, 20};
static const double first_buckets[] = {
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560};
static const double latency_buckets[] = {
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80};
static const double request_buckets[] = {
    0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680};
static const double preemption_buckets[] = {1, 2, 3, 4, 5, 10, 20};

struct metrics {
    const pdk_host *host;
    uint32_t ids[M_COUNT];
    struct scheduler_counts before;
};

/* 1, 2, 5, 10, 20 … as far as the longest request. */
static size_t token_buckets(double *buckets, size_t room, uint32_t most)
{
    static const double steps[] = {1, 2, 5};
    size_t count = 0;
    for (double scale = 1; count < room; scale *= 10) {
        for (size_t i = 0; i < 3; i++) {
            if (steps[i] * scale > most || count == room)
                return count;
            buckets[count++] = steps[i] * scale;
        }
    }
    return count;
}

static void choose_buckets(pdk_metric *metric, enum bucket_set set, const double *tokens, size_t token_count)
{
    static const struct {
        const double *values;
        size_t count;
    } sets[] = {
        [B_STEP] = {step_buckets, COUNT(step_buckets)},
        [B_N] = {n_buckets, COUNT(n_buckets)},
        [B_FIRST] = {first_buckets, COUNT(first_buckets)},
        [B_LATENCY] = {latency_buckets, COUNT(latency_buckets)},
        [B_REQUEST] = {request_buckets, COUNT(request_buckets)},
        [B_PREEMPTIONS] = {preemption_buckets, COUNT(preemption_buckets)},
    };
    metric->buckets = set == B_TOKENS ? tokens : sets[set].values;
    metric->bucket_count = set == B_TOKENS ? token_count : sets[set].count;
}

/* What does not change: a gauge of 1 whose labels tell. */
static pdk_status tell_configuration(const pdk_host *host, const struct metrics_about *about, pdk_error *err)
{
    char labels[256];
    snprintf(labels, sizeof labels,
        "block_size=\"%d\",cache_dtype=\"%s\",enable_prefix_caching=\"%s\",kv_cache_size_tokens=\"%llu\","
        "num_gpu_blocks=\"%u\",num_cpu_blocks=\"0\"",
        BLOCK_TOKENS, about->cache_type, about->caching ? "True" : "False",
        (unsigned long long)about->blocks * BLOCK_TOKENS, (unsigned)about->blocks);
    pdk_metric metric = {.size = sizeof metric,
        .kind = PDK_METRIC_GAUGE,
        .name = "vllm:cache_config_info",
        .help = "Configuration of the key-value cache.",
        .labels = labels};
    uint32_t id;
    pdk_status status = host->metric(host->context, &metric, &id, err);
    if (status == PDK_OK)
        host->metric_set(host->context, id, 1);
    return status;
}

pdk_status metrics_new(
    const pdk_host *host, const struct metrics_about *about, struct metrics **ret_metrics, pdk_error *err)
{
    struct metrics *metrics = calloc(1, sizeof *metrics);
    if (metrics == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the metrics");
    metrics->host = host;
    double tokens[32];
    size_t token_count = token_buckets(tokens, COUNT(tokens), about->max_model_len);
    pdk_status status = tell_configuration(host, about, err);
    for (int i = 0; i < M_COUNT && status == PDK_OK; i++) {
        pdk_metric metric = {.size = sizeof metric,
            .kind = table[i].kind,
            .name = table[i].name,
            .help = table[i].help,
            .labels = table[i].labels};
        if (table[i].buckets != B_NONE)
            choose_buckets(&metric, table[i].buckets, tokens, token_count);
        status = host->metric(host->context, &metric, &metrics->ids[i], err);
    }
    if (status != PDK_OK) {
        free(metrics);
        return status;
    }
    *ret_metrics = metrics;
    return PDK_OK;
}

struct metrics *metrics_free(struct metrics *metrics)
{
    free(metrics);
    return NULL;
}

static void add(const struct metrics *metrics, enum metric_name name, double value)
{
    if (value > 0)
        metrics->host->metric_add(metrics->host->context, metrics->ids[name], value);
}

static void set(const struct metrics *metrics, enum metric_name name, double value)
{
    metrics->host->metric_set(metrics->host->context, metrics->ids[name], value);
}

static void observe(const struct metrics *metrics, enum metric_name name, double value)
{
    metrics->host->metric_observe(metrics->host->context, metrics->ids[name], value);
}

static void observe_span(const struct metrics *metrics, enum metric_name name, int64_t from_us, int64_t to_us)
{
    if (from_us != 0 && to_us >= from_us)
        observe(metrics, name, (double)(to_us - from_us) / 1e6);
}

void metrics_step(struct metrics *metrics, const struct engine_figures *figures)
{
    const struct scheduler_counts *now = &figures->counts, *before = &metrics->before;
    set(metrics, M_RUNNING, now->running);
    set(metrics, M_WAITING, now->waiting);
    set(metrics, M_WAITING_CAPACITY, now->waiting - now->deferred);
    set(metrics, M_WAITING_DEFERRED, now->deferred);
    set(metrics, M_USAGE, (double)figures->blocks_used / figures->blocks);
    add(metrics, M_QUERIES, (double)(now->cache_queries - before->cache_queries));
    add(metrics, M_HITS, (double)(now->cache_hits - before->cache_hits));
    add(metrics, M_PREEMPTIONS, (double)(now->preemptions - before->preemptions));
    add(metrics, M_GENERATED, figures->drawn);
    if (figures->rows > 0)
        observe(metrics, M_STEP_TOKENS, figures->rows);
    metrics->before = *now;
}

void metrics_tokens(struct metrics *metrics, uint32_t count, int64_t now_us, int64_t *last_us, int64_t arrived_us)
{
    if (count == 0)
        return;
    if (*last_us == 0)
        observe_span(metrics, M_FIRST_TOKEN, arrived_us, now_us);
    else
        for (uint32_t i = 0; i < count; i++)
            observe(metrics, M_BETWEEN, (double)(now_us - *last_us) / 1e6 / count);
    *last_us = now_us;
}

static enum metric_name reason(int32_t finish)
{
    switch (finish) {
    case PDK_FINISH_STOP: return M_SUCCESS_STOP;
    case PDK_FINISH_LENGTH: return M_SUCCESS_LENGTH;
    case PDK_FINISH_ABORT: return M_SUCCESS_ABORT;
    case PDK_FINISH_REPETITION: return M_SUCCESS_REPETITION;
    default: return M_SUCCESS_ERROR;
    }
}

void metrics_finished(struct metrics *metrics, const struct metrics_request *request)
{
    add(metrics, reason(request->finish), 1);
    uint32_t computed = request->prompt_tokens - request->cached_tokens;
    add(metrics, M_PROMPT_TOKENS, request->prompt_tokens);
    add(metrics, M_PROMPT_COMPUTED, computed);
    add(metrics, M_PROMPT_CACHED, request->cached_tokens);
    add(metrics, M_CACHED_TOKENS, request->cached_tokens);
    add(metrics, M_CACHED_DEVICE, request->cached_tokens);
    observe(metrics, M_REQUEST_PROMPT, request->prompt_tokens);
    observe(metrics, M_REQUEST_GENERATED, request->completion_tokens);
    observe(metrics, M_LONGEST, request->longest);
    observe(metrics, M_PARAM_N, request->choices);
    observe(metrics, M_PARAM_MAX_TOKENS, request->max_tokens);
    observe(metrics, M_REQUEST_PREEMPTIONS, request->preemptions);
    observe(metrics, M_REQUEST_COMPUTED, computed);
    observe_span(metrics, M_WHOLE, request->arrived_us, request->last_token_us);
    observe_span(metrics, M_QUEUE, request->arrived_us, request->scheduled_us);
    observe_span(metrics, M_INFERENCE, request->scheduled_us, request->last_token_us);
    observe_span(metrics, M_PREFILL, request->scheduled_us, request->first_token_us);
    observe_span(metrics, M_DECODE, request->first_token_us, request->last_token_us);
    if (request->completion_tokens > 1 && request->first_token_us != 0)
        observe(metrics, M_PER_TOKEN,
            (double)(request->last_token_us - request->first_token_us) / 1e6 /
                (request->longest > 1 ? request->longest - 1 : 1));
}
