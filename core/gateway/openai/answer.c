/* See answer.h. */
#include "config.h"

#include "core/gateway/openai/answer.h"

#include "core/base/array.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/gateway/exchange.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HELD_MAX = 256 << 20, /* what one plain answer may hold before it is sent */
    CALLS_MAX = 1024      /* of one choice */
};

static bool id_is_plain(const struct json *id)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    return id->length != 0 && id->length <= 128 && strspn(id->text, plain) == id->length;
}

void answer_id(const struct json *given, struct exchange *exchange, const char *prefix, char *out, size_t room)
{
    const char *id = exchange_request_id(exchange);
    if (given != NULL && !exchange_request_id_given(exchange)) {
        if (id_is_plain(given))
            id = given->text;
        else
            exchange_warn(exchange, "request_id was replaced: it may have 1 to 128 of A-Za-z0-9._-");
    }
    snprintf(out, room, "%s%s", prefix, id);
}

/* "" is none. */
static void set_fingerprint(struct answer *answer)
{
    const struct ready_info *ready = answer->ready;
    const char *hash = ready->fingerprint == NULL ? "00000000" : ready->fingerprint;
    const char *custom = ready->fingerprint_text == NULL ? "" : ready->fingerprint_text;
    switch (ready->fingerprint_mode) {
    case PDK_FINGERPRINT_HASH: snprintf(answer->fingerprint, sizeof answer->fingerprint, "%.64s", hash); break;
    case PDK_FINGERPRINT_CUSTOM: snprintf(answer->fingerprint, sizeof answer->fingerprint, "%.120s", custom); break;
    case PDK_FINGERPRINT_NONE: break;
    default:
        snprintf(answer->fingerprint, sizeof answer->fingerprint, "paddock-" PACKAGE_VERSION "-%.64s", hash);
        break;
    }
}

pdk_status answer_new(const struct call *call, struct exchange *exchange, const struct service_view *service,
    struct answer **ret_answer, pdk_error *err)
{
    struct answer *answer = calloc(1, sizeof *answer);
    if (answer == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the answer");
    answer->call = call;
    answer->choice_count = call->request_count * call->n; /* both have limits: at most 2^30 */
    answer->prompts = calloc(call->request_count, sizeof *answer->prompts);
    answer->choices = calloc(answer->choice_count, sizeof *answer->choices);
    if (answer->prompts == NULL || answer->choices == NULL) {
        answer_free(answer);
        return pdk_error_set(err, PDK_NO_MEMORY, "n", "no memory for %zu choices", call->request_count * call->n);
    }
    answer->ready = service->ready;
    answer->model = service->ready->names[0];
    answer->form =
        (struct logprob_form){.chat = call->endpoint == ENDPOINT_CHAT, .as_ids = call->as_ids, .top = call->top};
    answer->created = wall_seconds();
    answer_id(
        call->fields.request_id, exchange, answer->form.chat ? "chatcmpl-" : "cmpl-", answer->id, sizeof answer->id);
    set_fingerprint(answer);
    *ret_answer = answer;
    return PDK_OK;
}

static void choice_done(struct choice_answer *choice)
{
    for (size_t i = 0; i < choice->call_count; i++) {
        buffer_done(&choice->calls[i].name);
        buffer_done(&choice->calls[i].arguments);
    }
    free(choice->calls);
    buffer_done(&choice->text);
    buffer_done(&choice->reasoning);
    buffer_done(&choice->ids);
    buffer_done(&choice->stop);
    logprob_text_done(&choice->logprobs);
}

struct answer *answer_free(struct answer *answer)
{
    if (answer == NULL)
        return NULL;
    for (size_t i = 0; answer->prompts != NULL && i < answer->call->request_count; i++) {
        buffer_done(&answer->prompts[i].text);
        buffer_done(&answer->prompts[i].ids);
        buffer_done(&answer->prompts[i].logprobs);
    }
    for (size_t i = 0; answer->choices != NULL && i < answer->choice_count; i++)
        choice_done(&answer->choices[i]);
    free(answer->prompts);
    free(answer->choices);
    free(answer);
    return NULL;
}

void answer_freep(struct answer **answer)
{
    answer_free(*answer);
}

static void put_ids(struct buffer *out, const pdk_part *part)
{
    for (size_t i = 0; i < part->token_count; i++)
        buffer_printf(out, "%s%" PRIu32, out->length == 0 ? "" : ",", part->token_ids[i]);
}

static size_t choice_bytes(const struct choice_answer *choice)
{
    size_t bytes = choice->text.length + choice->reasoning.length + choice->ids.length + choice->stop.length +
                   logprob_text_bytes(&choice->logprobs);
    for (size_t i = 0; i < choice->call_count; i++)
        bytes += choice->calls[i].name.length + choice->calls[i].arguments.length;
    return bytes;
}

static bool choice_failed(const struct choice_answer *choice)
{
    bool failed = choice->text.failed || choice->reasoning.failed || choice->ids.failed || choice->stop.failed ||
                  logprob_text_failed(&choice->logprobs);
    for (size_t i = 0; i < choice->call_count; i++)
        failed |= choice->calls[i].name.failed || choice->calls[i].arguments.failed;
    return failed;
}

/* echo puts the prompt before each of its choices. */
static void take_prompt(struct answer *answer, size_t index, const pdk_part *part)
{
    const struct call *call = answer->call;
    struct prompt_answer *prompt = &answer->prompts[index];
    bool completion = call->endpoint == ENDPOINT_COMPLETIONS;
    if (part->text.length != 0)
        buffer_put(&prompt->text, part->text.data, part->text.length);
    prompt->has_text = part->text.data != NULL;
    put_ids(&prompt->ids, part);
    prompt->has_ids = true;
    if (call->wants_prompt_logprobs && !call->stream)
        prompt_logprobs_put(&prompt->logprobs, part);
    answer->held += prompt->text.length + prompt->ids.length + prompt->logprobs.length;
    for (uint32_t i = 0; completion && call->echo && i < call->n; i++) {
        struct choice_answer *choice = &answer->choices[index * call->n + i];
        size_t before = choice_bytes(choice);
        if (!call->fields.return_token_ids.value && part->text.length != 0)
            buffer_put(&choice->text, part->text.data, part->text.length);
        if (call->wants_logprobs)
            logprob_text_add(&choice->logprobs, &answer->form, part);
        answer->held += choice_bytes(choice) - before;
    }
}

/* A call that begins gets the id of its model's format, or one of ours. */
static pdk_status begin_call(struct choice_answer *choice, const pdk_delta *delta, pdk_error *err)
{
    if (delta->call != choice->call_count || choice->call_count == CALLS_MAX)
        return pdk_error_set(
            err, PDK_INTERNAL, NULL, "call %" PRIu32 " of a choice begins after %zu", delta->call, choice->call_count);
    if (!array_grow(&choice->calls, &choice->call_room, choice->call_count + 1))
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for a tool call");
    struct tool_call *call = &choice->calls[choice->call_count++];
    *call = (struct tool_call){0};
    if (delta->call_id.length != 0 && delta->call_id.length < sizeof call->id)
        memcpy(call->id, delta->call_id.data, delta->call_id.length);
    else
        snprintf(call->id, sizeof call->id, "%s", id_random("chatcmpl-tool-").text);
    buffer_put(&call->name, delta->text.data, delta->text.length);
    return PDK_OK;
}

static pdk_status take_deltas(struct choice_answer *choice, const pdk_part *part, pdk_error *err)
{
    pdk_status status = PDK_OK;
    for (size_t i = 0; i < part->delta_count && status == PDK_OK; i++) {
        const pdk_delta *delta = &part->deltas[i];
        struct buffer *to = delta->kind == PDK_DELTA_REASONING ? &choice->reasoning : &choice->text;
        if (delta->kind == PDK_DELTA_CALL) {
            status = begin_call(choice, delta, err);
            continue;
        }
        if (delta->kind == PDK_DELTA_ARGUMENTS) {
            if (delta->call >= choice->call_count)
                return pdk_error_set(
                    err, PDK_INTERNAL, NULL, "arguments of call %" PRIu32 ", which has not begun", delta->call);
            to = &choice->calls[delta->call].arguments;
        }
        if (delta->text.length != 0)
            buffer_put(to, delta->text.data, delta->text.length);
    }
    return status;
}

static pdk_status take_output(struct answer *answer, struct choice_answer *choice, const pdk_part *part, pdk_error *err)
{
    const struct call *call = answer->call;
    size_t before = choice_bytes(choice);
    pdk_status status = PDK_OK;
    if ((part->flags & PDK_PART_PARSED) != 0 && answer->form.chat) {
        choice->parsed = true;
        status = take_deltas(choice, part, err);
    } else if (!call->discard_output && part->text.length != 0) {
        buffer_put(&choice->text, part->text.data, part->text.length);
    }
    if (!call->discard_output && call->fields.return_token_ids.value)
        put_ids(&choice->ids, part);
    if (!call->discard_output && call->wants_logprobs)
        logprob_text_add(&choice->logprobs, &answer->form, part);
    if (part->finish != PDK_FINISH_NONE) {
        choice->finish = part->finish;
        choice->called = (part->flags & PDK_PART_CALLED) != 0;
        choice->stop_kind = part->stop_kind;
        choice->stop_token = part->stop_token;
        if (part->stop_kind == PDK_STOP_STRING && part->stop_string.length != 0)
            buffer_put(&choice->stop, part->stop_string.data, part->stop_string.length);
    }
    answer->held += choice_bytes(choice) - before;
    return status;
}

bool answer_is_silent(const struct answer *answer, const pdk_part *part)
{
    const struct call *call = answer->call;
    bool told = call->wants_logprobs || call->fields.return_token_ids.value;
    return (part->flags & PDK_PART_PARSED) != 0 && answer->form.chat && part->delta_count == 0 &&
           part->finish == PDK_FINISH_NONE && !told;
}

struct answer_counts answer_count(const struct answer *answer)
{
    struct answer_counts counts = {0};
    for (size_t i = 0; i < answer->call->request_count; i++) {
        counts.prompt += answer->prompts[i].tokens;
        counts.cached += answer->prompts[i].cached_tokens;
    }
    for (size_t i = 0; i < answer->choice_count; i++) {
        counts.completion += answer->choices[i].completion_tokens;
        counts.reasoning += answer->choices[i].reasoning_tokens;
    }
    return counts;
}

pdk_status answer_take(struct answer *answer, size_t index, const pdk_part *part, size_t *ret_choice, pdk_error *err)
{
    const struct call *call = answer->call;
    if (index >= call->request_count || part->choice >= call->n)
        return pdk_error_set(err, PDK_INTERNAL, NULL,
            "a part of choice %" PRIu32 " of prompt %zu, which was not asked for", part->choice, index);
    struct prompt_answer *prompt = &answer->prompts[index];
    size_t at = index * call->n + part->choice;
    struct choice_answer *choice = &answer->choices[at];
    if (part->prompt_tokens != 0)
        prompt->tokens = part->prompt_tokens;
    if (part->cached_tokens > prompt->cached_tokens)
        prompt->cached_tokens = part->cached_tokens;
    pdk_status status = PDK_OK;
    bool of_prompt = (part->flags & PDK_PART_PROMPT) != 0;
    if (of_prompt) {
        take_prompt(answer, index, part);
    } else {
        if (part->completion_tokens != 0)
            choice->completion_tokens = part->completion_tokens;
        if (part->reasoning_tokens != 0)
            choice->reasoning_tokens = part->reasoning_tokens;
        if (part->finish != PDK_FINISH_NONE) {
            prompt->queued_us = part->queued_us;
            prompt->first_token_us = part->first_token_us;
            prompt->generated_us = part->generated_us;
        }
        status = take_output(answer, choice, part, err);
    }
    if (status != PDK_OK)
        return status;
    if (answer->held > HELD_MAX)
        return pdk_error_set(
            err, PDK_TOO_LARGE, NULL, "the answer has over %d bytes; ask for less, or stream it", HELD_MAX);
    if (choice_failed(choice) || prompt->text.failed || prompt->ids.failed || prompt->logprobs.failed)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the answer");
    bool news = !of_prompt && (part->text.length != 0 || part->token_count != 0 || part->delta_count != 0 ||
                                  part->finish != PDK_FINISH_NONE);
    *ret_choice = news ? at : SIZE_MAX;
    return PDK_OK;
}

void answer_sent(struct answer *answer, size_t index)
{
    struct choice_answer *choice = &answer->choices[index];
    answer->held -= choice_bytes(choice) < answer->held ? choice_bytes(choice) : answer->held;
    for (size_t i = 0; i < choice->call_count; i++) {
        buffer_clear(&choice->calls[i].name);
        buffer_clear(&choice->calls[i].arguments);
    }
    buffer_clear(&choice->text);
    buffer_clear(&choice->reasoning);
    buffer_clear(&choice->ids);
    buffer_clear(&choice->stop);
    logprob_text_clear(&choice->logprobs);
    choice->begun = true;
}
