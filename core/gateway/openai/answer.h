/* core/gateway/openai/answer.h: what has come of an answer and was not yet sent: choice by choice, over all prompts. A
 * stream empties a choice with each event; a plain answer fills all of them until the end. */
#pragma once

#include "core/gateway/openai/call.h"
#include "core/gateway/openai/ids.h"
#include "core/gateway/openai/logprobs.h"

#include <paddock/draft/request.h>

struct exchange;
struct service_view;

struct prompt_answer {
    struct buffer text;     /* echo, return_prompt_text */
    struct buffer ids;      /* "1,2,3" */
    struct buffer logprobs; /* prompt_logprobs as JSON, or nothing */
    uint32_t tokens, cached_tokens;
    uint64_t queued_us, first_token_us, generated_us; /* of its choice that ended last */
    bool has_ids, has_text;
};

/* A call that the model makes of a tool. */
struct tool_call {
    struct buffer name, arguments;
    char id[64];
};

struct choice_answer {
    struct buffer text; /* what the client reads: of parsed text the content alone */
    struct buffer reasoning;
    struct tool_call *calls;
    size_t call_count, call_room;
    struct buffer ids; /* "1,2,3" */
    struct logprob_text logprobs;
    struct buffer stop; /* the matched stop string */
    int32_t finish;     /* PDK_FINISH_… */
    int32_t stop_kind;
    uint32_t stop_token;
    uint32_t completion_tokens, reasoning_tokens;
    bool begun;  /* an event of it was sent */
    bool parsed; /* its text was read for reasoning and calls */
    bool called; /* and it made calls */
};

struct answer {
    const struct call *call;
    const struct ready_info *ready;
    const char *model;
    struct logprob_form form;
    char id[256];          /* cmpl-…, chatcmpl-… */
    char fingerprint[128]; /* paddock-VERSION-HASH8, or as the service's arguments say; "": null */
    int64_t created;
    size_t held; /* bytes in all buffers */
    struct prompt_answer *prompts;
    struct choice_answer *choices; /* prompt-major: prompt 0's n, then prompt 1's */
    size_t choice_count;
};

/* The id of an answer: PREFIX-ID, where the header's id wins over the body's `request_id`, which wins over ours. */
void answer_id(const struct json *given, struct exchange *exchange, const char *prefix, char *out, size_t room);
/* Borrows `call` and `service`. PDK_NO_MEMORY. */
pdk_status answer_new(const struct call *call, struct exchange *exchange, const struct service_view *service,
    struct answer **ret_answer, pdk_error *err);
struct answer *answer_free(struct answer *answer); /* takes NULL, returns NULL */
void answer_freep(struct answer **answer);

/* Adds a part of prompt `index`. *ret_choice: whose it was, or SIZE_MAX for what is the prompt's or tells nothing new.
 * PDK_TOO_LARGE, PDK_NO_MEMORY: the answer cannot be kept. */
pdk_status answer_take(struct answer *answer, size_t index, const pdk_part *part, size_t *ret_choice, pdk_error *err);
/* Whether a part of parsed text may go by without an event, which is so while it shows nothing. */
bool answer_is_silent(const struct answer *answer, const pdk_part *part);
/* The tokens of all prompts, of those the cached ones, and of all choices, of those the ones of reasoning. */
struct answer_counts {
    uint64_t prompt, cached, completion, reasoning;
};
struct answer_counts answer_count(const struct answer *answer);
/* Empties a choice of what an event has told. */
void answer_sent(struct answer *answer, size_t choice);
