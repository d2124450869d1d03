/* See answer.h. */
#include "config.h"

#include "core/gateway/openai/answer.h"

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/gateway/exchange.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What one plain answer may hold before it is sent. */
enum { HELD_MAX = 256 << 20 };

static bool id_is_plain(const struct json *id)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    return id->length != 0 && id->length <= 128 && strspn(id->text, plain) == id->length;
}

/* The header's id wins over the body's, which wins over ours. */
static void set_id(struct answer *answer, struct exchange *exchange)
{
    const struct json *given = answer->call->fields.request_id;
    const char *id = exchange_request_id(exchange);
    if (given != NULL && !exchange_request_id_given(exchange)) {
        if (id_is_plain(given))
            id = given->text;
        else
            exchange_warn(exchange, "request_id was replaced: it may have 1 to 128 of A-Za-z0-9._-");
    }
    snprintf(answer->id, sizeof answer->id, "%s-%s", answer->form.chat ? "chatcmpl" : "cmpl", id);
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
    answer->model = service->ready->names[0];
    answer->form = (struct logprob_form){.chat = call->endpoint == ENDPOINT_CHAT,
        .as_ids = call->fields.return_tokens_as_token_ids.value,
        .top = call->top};
    answer->created = wall_seconds();
    set_id(answer, exchange);
    snprintf(answer->fingerprint, sizeof answer->fingerprint, "paddock-" PACKAGE_VERSION "-%.64s",
        service->ready->fingerprint == NULL ? "00000000" : service->ready->fingerprint);
    *ret_answer = answer;
    return PDK_OK;
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
    for (size_t i = 0; answer->choices != NULL && i < answer->choice_count; i++) {
        buffer_done(&answer->choices[i].text);
        buffer_done(&answer->choices[i].ids);
        buffer_done(&answer->choices[i].stop);
        logprob_text_done(&answer->choices[i].logprobs);
    }
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
    return choice->text.length + choice->ids.length + choice->stop.length + logprob_text_bytes(&choice->logprobs);
}

static bool choice_failed(const struct choice_answer *choice)
{
    return choice->text.failed || choice->ids.failed || choice->stop.failed || logprob_text_failed(&choice->logprobs);
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

static void take_output(struct answer *answer, struct choice_answer *choice, const pdk_part *part)
{
    const struct call *call = answer->call;
    size_t before = choice_bytes(choice);
    if (!call->discard_output) {
        if (part->text.length != 0)
            buffer_put(&choice->text, part->text.data, part->text.length);
        if (call->fields.return_token_ids.value)
            put_ids(&choice->ids, part);
        if (call->wants_logprobs)
            logprob_text_add(&choice->logprobs, &answer->form, part);
    }
    if (part->finish != PDK_FINISH_NONE) {
        choice->finish = part->finish;
        choice->stop_kind = part->stop_kind;
        choice->stop_token = part->stop_token;
        if (part->stop_kind == PDK_STOP_STRING && part->stop_string.length != 0)
            buffer_put(&choice->stop, part->stop_string.data, part->stop_string.length);
    }
    answer->held += choice_bytes(choice) - before;
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
    bool of_prompt = (part->flags & PDK_PART_PROMPT) != 0;
    if (of_prompt) {
        take_prompt(answer, index, part);
    } else {
        if (part->completion_tokens != 0)
            choice->completion_tokens = part->completion_tokens;
        take_output(answer, choice, part);
    }
    if (answer->held > HELD_MAX)
        return pdk_error_set(
            err, PDK_TOO_LARGE, NULL, "the answer has over %d bytes; ask for less, or stream it", HELD_MAX);
    if (choice_failed(choice) || prompt->text.failed || prompt->ids.failed || prompt->logprobs.failed)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the answer");
    bool news = !of_prompt && (part->text.length != 0 || part->token_count != 0 || part->finish != PDK_FINISH_NONE);
    *ret_choice = news ? at : SIZE_MAX;
    return PDK_OK;
}

void answer_sent(struct answer *answer, size_t index)
{
    struct choice_answer *choice = &answer->choices[index];
    answer->held -= choice_bytes(choice) < answer->held ? choice_bytes(choice) : answer->held;
    buffer_clear(&choice->text);
    buffer_clear(&choice->ids);
    buffer_clear(&choice->stop);
    logprob_text_clear(&choice->logprobs);
    choice->begun = true;
}
