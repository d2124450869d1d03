/* runtimes/huggingface/front/served.h: the loaded model as requests meet it. Constant while requests run. */
#pragma once

#include "runtimes/huggingface/engine/engine.h"
#include "runtimes/huggingface/front/pooling.h"
#include "runtimes/huggingface/guided/guide.h"
#include "runtimes/huggingface/template/template.h"
#include "runtimes/huggingface/tokenizer/tokenizer.h"
#include "runtimes/huggingface/tools/reader.h"

#include <paddock/draft/host.h>

struct metrics;

struct served {
    const pdk_host *host;
    const char *model_name;            /* the first served one, for messages */
    const struct pooling *pooling;     /* NULL: the model draws tokens, else it answers PDK_KIND_POOL only */
    const struct tokenizer *tokenizer; /* NULL: prompts are token ids, answers have no text */
    const struct template *template;   /* NULL: no messages */
    bool wants_parts;                  /* messages' parts stay a list for the template */
    pdk_string tokenizer_info;         /* JSON; empty: not offered */
    struct parsers parsers;            /* of reasoning and calls in answers */
    bool harmony_prompts;              /* messages are written as gpt-oss wants them, not by the template */
    const char *effort_map;            /* JSON object: what values of reasoning_effort become */
    const char *template_vars;         /* JSON object of default template variables */
    const struct guide_vocabulary *guide_vocabulary; /* NULL: no structured output */
    struct sampling_model sampling;
    uint32_t max_model_len;
    uint32_t pool_tokens;                           /* what the key-value cache holds */
    uint32_t max_new_tokens;                        /* cap over every request; 0: none */
    uint32_t stream_interval;                       /* tokens of a streamed part, at least 1 */
    bool caching;                                   /* prompts stay in the prefix cache */
    bool priorities;                                /* requests may have one */
    int64_t queued_requests_max, queued_tokens_max; /* -1: no such limit */
    uint64_t seed;                                  /* of the generator for requests without one */
    struct engine *engine;
    struct metrics *metrics;
};
