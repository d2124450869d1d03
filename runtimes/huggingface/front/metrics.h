/* runtimes/huggingface/front/metrics.h: the engine's metrics under vLLM's names, counted by the host, which adds the
 * labels of service and model. */
#pragma once

#include "runtimes/huggingface/engine/engine.h"

#include <paddock/draft/host.h>

struct metrics;

struct metrics_about {
    uint32_t max_model_len, blocks;
    bool caching;
    const char *cache_type; /* of the key-value cache's numbers */
};

/* [main-thread] */
pdk_status metrics_new(
    const pdk_host *host, const struct metrics_about *about, struct metrics **ret_metrics, pdk_error *err);
struct metrics *metrics_free(struct metrics *metrics); /* takes NULL, returns NULL */
/* After a step. [engine-thread] */
void metrics_step(struct metrics *metrics, const struct engine_figures *figures);
/* Tokens of one request came, at this time. `*last_us` is 0 before the first. [front-thread] */
void metrics_tokens(struct metrics *metrics, uint32_t count, int64_t now_us, int64_t *last_us, int64_t arrived_us);
/* A request ended. */
struct metrics_request {
    int32_t finish; /* PDK_FINISH_… of its first choice; NONE: an error */
    uint32_t prompt_tokens, completion_tokens, longest, choices, max_tokens, preemptions, cached_tokens;
    int64_t arrived_us, scheduled_us, first_token_us, last_token_us;
};
void metrics_finished(struct metrics *metrics, const struct metrics_request *request);
