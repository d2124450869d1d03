/* See the header. A client's text is plain text: special tokens in it are not tokens. Those of a text prompt of the
 * completions API are, since there the client writes what the template would have written. */
#include "config.h"

#include "runtimes/huggingface/front/prompt.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "runtimes/huggingface/front/chat.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void prompt_done(struct prompt *prompt)
{
    token_list_done(&prompt->tokens);
    buffer_done(&prompt->text);
}

static pdk_status copy_ids(const pdk_request *request, struct prompt *prompt, pdk_error *err)
{
    if (!array_grow(&prompt->tokens.ids, &prompt->tokens.room, request->token_count))
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for %zu tokens", request->token_count);
    memcpy(prompt->tokens.ids, request->token_ids, request->token_count * sizeof *request->token_ids);
    prompt->tokens.count = request->token_count;
    return PDK_OK;
}

static pdk_status no_tokenizer(pdk_error *err)
{
    return pdk_error_set(err, PDK_INVALID, NULL, "this model has no tokenizer: the prompt must be token ids");
}

static pdk_status render_messages(
    const struct served *served, const pdk_request *request, struct prompt *prompt, pdk_error *err)
{
    if (served->template == NULL && !served->harmony_prompts && request->template_text.length == 0)
        return pdk_error_set(err, PDK_INVALID, NULL,
            "this model has no chat template; the service can be given one with --chat-template");
    PDK_CLEANUP(template_output_done) struct template_output output = {0};
    pdk_status status = chat_render(served, request, &output, err);
    if (status != PDK_OK)
        return status;
    bool add_special = (request->flags & PDK_FLAG_ADD_SPECIAL_TOKENS) != 0;
    status = tokenizer_encode(served->tokenizer, output.text.data != NULL ? output.text.data : "", output.text.length,
        output.runs, output.run_count, add_special, &prompt->tokens, err);
    prompt->text = output.text;
    output.text = (struct buffer){0};
    return status;
}

pdk_status prompt_read(const struct served *served, const pdk_request *request, struct prompt *prompt, pdk_error *err)
{
    if (request->token_ids != NULL)
        return request->token_count > 0 ? copy_ids(request, prompt, err) : PDK_OK;
    if (served->tokenizer == NULL)
        return no_tokenizer(err);
    if (request->text.data != NULL)
        return tokenizer_encode(served->tokenizer, request->text.data, request->text.length, NULL, 0,
            (request->flags & PDK_FLAG_NO_SPECIAL_TOKENS) == 0, &prompt->tokens, err);
    return render_messages(served, request, prompt, err);
}

pdk_status prompt_keep(const struct served *served, const pdk_request *request, size_t *ret_keep, pdk_error *err)
{
    if ((request->sampling.has & PDK_HAS_TRUNCATE_PROMPT) == 0)
        return PDK_OK;
    int64_t keep = request->sampling.truncate_prompt;
    if (keep > (int64_t)served->max_model_len) {
        char value[24];
        snprintf(value, sizeof value, "%" PRId64, keep);
        return pdk_error_value(err, PDK_INVALID, "truncate_prompt_tokens", value,
            "truncate_prompt_tokens=%s cannot be greater than max_model_len = %" PRIu32
            ". Please request a smaller truncation size.",
            value, served->max_model_len);
    }
    size_t most = served->pooling != NULL ? served->max_model_len : served->max_model_len - 1;
    *ret_keep = keep < 0 ? most : (size_t)keep;
    return PDK_OK;
}

static pdk_status cut_prompt(
    const struct served *served, const pdk_request *request, struct prompt *prompt, pdk_error *err)
{
    size_t most = SIZE_MAX;
    pdk_status status = prompt_keep(served, request, &most, err);
    if (status != PDK_OK || prompt->tokens.count <= most)
        return status;
    if ((request->flags & PDK_FLAG_TRUNCATE_RIGHT) == 0)
        memmove(
            prompt->tokens.ids, prompt->tokens.ids + (prompt->tokens.count - most), most * sizeof *prompt->tokens.ids);
    prompt->tokens.count = most;
    return PDK_OK;
}

pdk_status prompt_check_length(const struct served *served, size_t count, pdk_error *err)
{
    if (count <= served->max_model_len)
        return PDK_OK;
    char value[24];
    snprintf(value, sizeof value, "%zu", count);
    return pdk_error_value(err, PDK_INVALID, "input_tokens", value,
        "This model's maximum context length is %" PRIu32
        " tokens. However, your prompt contains %zu input tokens, which "
        "exceeds this limit even without any output tokens. Please reduce the length of the input prompt.",
        served->max_model_len, count);
}

static pdk_status check_room(const struct served *served, size_t count, pdk_error *err)
{
    if (count != served->max_model_len)
        return prompt_check_length(served, count, err);
    return pdk_error_set(err, PDK_INVALID, NULL,
        "The decoder prompt (length %zu) plus the number of requested output tokens (at least 1) is longer than "
        "the "
        "maximum model length of %" PRIu32
        ". Make sure that `max_model_len` is no smaller than the number of text tokens "
        "(prompt + requested output tokens).",
        count, served->max_model_len);
}

pdk_status prompt_check_ids(const struct served *served, const struct token_list *tokens, pdk_error *err)
{
    if (tokens->count == 0)
        return pdk_error_set(err, PDK_INVALID, NULL, "The decoder prompt cannot be empty");
    for (size_t i = 0; i < tokens->count; i++)
        if (tokens->ids[i] >= served->sampling.vocabulary)
            return pdk_error_set(err, PDK_INVALID, NULL, "Token id %" PRIu32 " is out of vocabulary", tokens->ids[i]);
    return PDK_OK;
}

pdk_status prompt_check(const struct served *served, const pdk_request *request, struct prompt *prompt, pdk_error *err)
{
    pdk_status status = cut_prompt(served, request, prompt, err);
    if (status == PDK_OK)
        status = prompt_check_ids(served, &prompt->tokens, err);
    return status == PDK_OK ? check_room(served, prompt->tokens.count, err) : status;
}
