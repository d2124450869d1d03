/* core/gateway/openai/call.h: one request to generate, from its body to the neutral requests, one a prompt. It owns all
 * that they borrow. Read in three steps, each with its own form of refusal:
 *   call_open   the body's text, and what is checked before types (fields_check)
 *   call_read   types and shapes (refuse_type)
 *   call_check  values, against the limits and against the model that will answer */
#pragma once

#include "core/gateway/openai/fields.h"
#include "core/ipc/ready.h"

#include <paddock/draft/request.h>

struct call_block;

struct call {
    enum endpoint endpoint;
    struct json_document *document;
    const struct json *body;
    struct fields fields;
    struct call_block *blocks; /* memory that lives as long as the call */
    bool translated;           /* the body is ours, made of another protocol's: it may be a little deeper */

    pdk_request *requests; /* one a prompt */
    size_t request_count;
    const struct json *wide_id; /* the first prompt id that fits no uint32_t, or NULL */

    bool batch;            /* messages is a list of conversations */
    const char *part_type; /* the first content part that is no text, or NULL */

    uint32_t n;
    bool stream, include_usage, continuous_usage;
    bool echo;           /* completions: the prompt's text comes first; chat: the last message's */
    bool as_ids;         /* tokens in logprobs as token_id:N */
    bool discard_output; /* max_tokens 0: the prompt alone is wanted */
    bool wants_logprobs;
    bool wants_prompt_logprobs;
    int32_t top; /* alternatives shown a position: completions logprobs, chat top_logprobs; -1: all */
};

struct call *call_new(enum endpoint endpoint); /* NULL: out of memory */
struct call *call_free(struct call *call);     /* takes NULL, returns NULL */
void call_freep(struct call **call);
/* Zeroed memory for `count` elements that call_free frees; NULL: out of memory. A count of 0 gives a valid pointer. */
void *call_alloc(struct call *call, size_t count, size_t size);
/* Keeps what `out` holds, NUL behind, until call_free; empties it. */
pdk_status call_keep(struct call *call, struct buffer *out, pdk_string *ret_text, pdk_error *err);

/* PDK_INVALID with *ret_malformed: the body is no JSON object, and the answer's type is "Bad Request". [any-thread] */
pdk_status call_open(struct call *call, const char *text, size_t length, bool *ret_malformed, pdk_error *err);
pdk_status call_read(struct call *call, pdk_error *err);
/* `model` is the name that answers are given under. On PDK_OK call->requests are ready to be sent. */
pdk_status call_check(struct call *call, const struct ready_info *ready, const char *model, pdk_error *err);

/* The parts of call_read and call_check, each in a file of its own. */
/* Texts or lists of ids, one request each; `name` is the field's. prompts.c */
pdk_status call_read_prompts(
    struct call *call, const struct json *prompt, const char *name, uint64_t most, pdk_error *err);
/* A chat whose kv_transfer_params bring its prompt's token ids, as another server made them, is not written anew. */
pdk_status call_take_forwarded(struct call *call, const struct ready_info *ready, pdk_error *err);
pdk_status call_check_prompts(const struct call *call, const struct ready_info *ready, pdk_error *err);
pdk_status call_read_messages(struct call *call, pdk_error *err); /* messages.c */
pdk_status call_check_messages(struct call *call, const struct ready_info *ready, const char *model, pdk_error *err);
/* A template of the client's is run only where the administrator trusts it. */
pdk_status call_check_template(const struct call *call, const struct ready_info *ready, pdk_error *err);
/* What the template gets beside the messages: documents, variables. */
pdk_status call_set_template(struct call *call, pdk_request *request, pdk_error *err);
/* priority, cache_salt: what every request has. call.c */
void call_set_common(const struct call *call, pdk_request *request);
pdk_status call_check_sampling(struct call *call, const struct ready_info *ready, pdk_request *request, pdk_error *err);
pdk_status call_check_truncation(
    const struct fields *fields, const struct ready_info *ready, pdk_sampling *to, pdk_error *err);
/* stop, bad_words, stop_token_ids, allowed_token_ids, logprob_token_ids, logit_bias. token_lists.c */
pdk_status call_check_lists(struct call *call, const struct ready_info *ready, pdk_request *request, pdk_error *err);
/* Beam search, thinking, repetition: what steers a whole generation. steering.c */
pdk_status call_check_steering(struct call *call, const struct ready_info *ready, pdk_sampling *to, pdk_error *err);
/* A list of whole numbers as token ids; *ret_bad is the first that is none of a vocabulary of that size (0: unknown),
 * or NULL. */
pdk_status call_read_ids(struct call *call, const struct json *list, const char *name, uint32_t vocabulary_size,
    const uint32_t **ret_ids, size_t *ret_count, const struct json **ret_bad, pdk_error *err);
