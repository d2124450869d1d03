/* runtimes/huggingface/front/prompt.h: a request's prompt as tokens: rendered, tokenised, cut to size, checked. */
#pragma once

#include "runtimes/huggingface/front/served.h"

#include <paddock/draft/request.h>

struct prompt {
    struct token_list tokens;
    struct buffer text; /* the rendered template; empty for other prompts */
};

void prompt_done(struct prompt *prompt);
/* `prompt` is zeroed before; prompt_done frees it, after a failure too. No check of lengths. PDK_INVALID: the client's
 * fault. */
pdk_status prompt_read(const struct served *served, const pdk_request *request, struct prompt *prompt, pdk_error *err);
/* How many tokens truncate_prompt leaves; *ret_keep stays as it was where it says nothing. */
pdk_status prompt_keep(const struct served *served, const pdk_request *request, size_t *ret_keep, pdk_error *err);
/* Refuses what is empty or out of the vocabulary; what is longer than the model. */
pdk_status prompt_check_ids(const struct served *served, const struct token_list *tokens, pdk_error *err);
pdk_status prompt_check_length(const struct served *served, size_t count, pdk_error *err);
/* Cuts to truncate_prompt, then refuses what is empty, out of the vocabulary or too long. Messages are vLLM's. */
pdk_status prompt_check(const struct served *served, const pdk_request *request, struct prompt *prompt, pdk_error *err);
