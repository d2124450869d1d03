/* core/gateway/openai/fields.h: every field that a body may have, in one table: its name, in which bodies it stands,
 * its type, whether it may be null, and what becomes of it. */
#pragma once

#include "core/base/json.h"

#include <stdbool.h>
#include <stdint.h>

struct exchange;

enum endpoint {
    ENDPOINT_COMPLETIONS = 1 << 0,
    ENDPOINT_CHAT = 1 << 1,
    ENDPOINT_TOKENIZE = 1 << 2,
    ENDPOINT_DETOKENIZE = 1 << 3,
    ENDPOINT_EMBEDDINGS = 1 << 4,
    ENDPOINT_SCORE = 1 << 5,
    ENDPOINT_RERANK = 1 << 6,
    ENDPOINT_CLASSIFY = 1 << 7,
    ENDPOINT_POOLING = 1 << 8,
    ENDPOINT_RESPONSES = 1 << 9,
    ENDPOINT_MESSAGES = 1 << 10,
    ENDPOINT_COUNT_TOKENS = 1 << 11
};
enum {
    ENDPOINTS_POOLING = ENDPOINT_EMBEDDINGS | ENDPOINT_SCORE | ENDPOINT_RERANK | ENDPOINT_CLASSIFY | ENDPOINT_POOLING,
    /* Their bodies become those of chats, which are read then. */
    ENDPOINTS_TRANSLATED = ENDPOINT_RESPONSES | ENDPOINT_MESSAGES | ENDPOINT_COUNT_TOKENS
};

/* A value that may be absent or null, which is the same here: `set` is false then. */
struct given_bool {
    bool set, value;
};
struct given_int {
    bool set;
    int64_t value;
};
struct given_real {
    bool set;
    double value;
};

/* A body's values after coercion. Pointers borrow from the document; NULL: absent or null. */
struct fields {
    const struct json *model, *prompt, *messages, *tokens, *stop, *stop_token_ids, *allowed_token_ids,
        *logprob_token_ids, *bad_words, *logit_bias, *tools, *tool_choice, *documents, *chat_template,
        *chat_template_kwargs, *cache_salt, *request_id, *truncation_side, *reasoning_effort, *response_format,
        *structured_outputs, *guided_json, *guided_regex, *guided_choice, *guided_grammar, *guided_whitespace_pattern,
        *repetition_detection, *input, *encoding_format, *embed_dtype, *endianness, *task, *instruction, *first,
        *second; /* the two sides of what is scored */
    struct given_bool stream, include_usage, continuous_usage_stats, echo, ignore_eos, include_stop_str_in_output,
        skip_special_tokens, spaces_between_special_tokens, add_special_tokens, add_generation_prompt,
        continue_final_message, return_token_ids, return_tokens_as_token_ids, return_prompt_text, return_token_strs,
        chat_logprobs, include_reasoning, parallel_tool_calls, use_beam_search, use_activation;
    struct given_int n, max_tokens, max_completion_tokens, min_tokens, top_k, seed, logprobs, top_logprobs,
        prompt_logprobs, truncate_prompt_tokens, priority, thinking_token_budget, stream_interval, dimensions, top_n,
        max_tokens_per_query, max_tokens_per_doc;
    struct given_real length_penalty, temperature, top_p, min_p, repetition_penalty, frequency_penalty,
        presence_penalty;
};

/* Refuses by name what is known and not built here, unless it is null or its default. [any-thread] */
pdk_status fields_refuse(const struct json *body, enum endpoint endpoint, pdk_error *err);
/* That, after what vLLM refuses before it looks at types (checks.c). [any-thread] */
pdk_status fields_check(const struct json *body, enum endpoint endpoint, pdk_error *err);
/* Reads all of `body`, an object. PDK_INVALID is a wrong type in the words of refuse_type. [any-thread] */
pdk_status fields_read(const struct json *body, enum endpoint endpoint, struct fields *ret_fields, pdk_error *err);
/* Names in a Warning what has no effect here and what nobody knows; `service` is for the log, which gets a line once a
 * service. [gateway-thread] */
void fields_warn(const struct json *body, enum endpoint endpoint, struct exchange *exchange, const char *service);
