/* core/gateway/openai/logprobs.h: a choice's logprobs as JSON, put together position by position as the parts come. */
#pragma once

#include "core/base/buffer.h"
#include "core/base/json.h"

#include <paddock/draft/request.h>
#include <stdbool.h>

struct logprob_form {
    bool chat;   /* entries of content[], else four lists side by side */
    bool as_ids; /* tokens as token_id:N */
    int32_t top; /* alternatives shown; -1: all */
};

/* Lists without their brackets: completions fill all four, a chat `tokens` alone. */
struct logprob_text {
    struct buffer offsets, values, tokens, tops;
    size_t characters; /* of all tokens so far: the next one's text_offset; outlives logprob_text_clear */
};

void logprob_text_done(struct logprob_text *text);
void logprob_text_clear(struct logprob_text *text);
size_t logprob_text_bytes(const struct logprob_text *text);
bool logprob_text_failed(const struct logprob_text *text);

/* Adds the positions of a part. Where a position has no entry, which is so for a prompt's first token, its text is what
 * the part's text has before the others. */
void logprob_text_add(struct logprob_text *text, const struct logprob_form *form, const pdk_part *part);
/* Writes the value of `logprobs`. */
void logprob_text_write(const struct logprob_text *text, const struct logprob_form *form, struct json_writer *writer);

/* Appends the value of prompt_logprobs: a list with null or {"ID": {logprob, rank, decoded_token}, …} a position. */
void prompt_logprobs_put(struct buffer *out, const pdk_part *part);
