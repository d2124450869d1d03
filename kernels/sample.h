/* kernels/sample.h: one row of logits to draw a token from; the fields mean what they mean in paddock/draft/ops.h. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { SAMPLE_SCORE = 1, SAMPLE_RAW_LOGITS = 2, SAMPLE_PROCESSED = 4 };

/* Below it a temperature means greedy; between it and the floor it is raised to the floor. */
#define SAMPLE_GREEDY_BELOW      1e-5f
#define SAMPLE_TEMPERATURE_FLOOR 0.01f

struct sample_count {
    uint32_t token, in_output, in_prompt;
};

struct sample_bias {
    uint32_t token;
    float value;
};

struct sample_task {
    const float *logits; /* [vocabulary]; a NaN counts as minus infinity */
    size_t vocabulary;
    uint32_t flags; /* SAMPLE_… */
    float temperature, top_p, min_p;
    float repetition_penalty, frequency_penalty, presence_penalty;
    int32_t top_k;
    uint64_t seed, counter;
    const struct sample_count *counts;
    size_t count_count;
    const struct sample_bias *biases;
    size_t bias_count;
    const uint32_t *banned;
    size_t banned_count;
    const uint64_t *allowed;
    const uint32_t *report;
    size_t report_count;
    size_t top_wanted;

    uint32_t token; /* drawn, or given with SAMPLE_SCORE */
    int32_t rank;
    float logprob;
    size_t top_count;
    uint32_t *top_tokens;
    float *top_logprobs;
    int32_t *report_ranks;
    float *report_logprobs;
};
