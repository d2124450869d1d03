/* What the completion and the chat have in common. */
#include "config.h"

#include "core/gateway/openai/encode.h"

void encode_head(struct json_writer *writer, const struct answer *answer, const char *object)
{
    json_write_object(writer);
    json_write_key(writer, "id");
    json_write_string(writer, answer->id);
    json_write_key(writer, "object");
    json_write_string(writer, object);
    json_write_key(writer, "created");
    json_write_int(writer, answer->created);
    json_write_key(writer, "model");
    json_write_string(writer, answer->model);
    json_write_key(writer, "choices");
    json_write_array(writer);
}

void encode_finish(struct json_writer *writer, const struct choice_answer *choice)
{
    static const char *const names[] = {
        [PDK_FINISH_NONE] = NULL,
        [PDK_FINISH_STOP] = "stop",
        [PDK_FINISH_LENGTH] = "length",
        [PDK_FINISH_ABORT] = "abort",
        [PDK_FINISH_REPETITION] = "repetition",
    };
    bool known = choice->finish >= 0 && choice->finish < (int32_t)(sizeof names / sizeof *names);
    json_write_key(writer, "finish_reason");
    json_write_string(writer, known ? names[choice->finish] : "abort");
}

void encode_stop_reason(struct json_writer *writer, const struct choice_answer *choice)
{
    json_write_key(writer, "stop_reason");
    if (choice->stop_kind == PDK_STOP_TOKEN)
        json_write_uint(writer, choice->stop_token);
    else if (choice->stop_kind == PDK_STOP_STRING)
        json_write_text(writer, choice->stop.length == 0 ? "" : choice->stop.data, choice->stop.length);
    else if (choice->finish == PDK_FINISH_REPETITION)
        json_write_string(writer, "repetition_detected");
    else
        json_write_null(writer);
}

void encode_logprobs(struct json_writer *writer, const struct answer *answer, const struct choice_answer *choice)
{
    json_write_key(writer, "logprobs");
    if (answer->call->wants_logprobs)
        logprob_text_write(&choice->logprobs, &answer->form, writer);
    else
        json_write_null(writer);
}

void encode_ids(struct json_writer *writer, const char *key, const struct buffer *ids, bool wanted)
{
    json_write_key(writer, key);
    if (!wanted) {
        json_write_null(writer);
        return;
    }
    json_write_array(writer);
    if (ids->length != 0)
        json_write_raw(writer, ids->data, ids->length);
    json_write_end_array(writer);
}

/* The three counts; vLLM's order. */
static void write_counts(struct json_writer *writer, uint64_t prompt, uint64_t completion)
{
    json_write_key(writer, "usage");
    json_write_object(writer);
    json_write_key(writer, "prompt_tokens");
    json_write_uint(writer, prompt);
    json_write_key(writer, "total_tokens");
    json_write_uint(writer, prompt + completion);
    json_write_key(writer, "completion_tokens");
    json_write_uint(writer, completion);
}

static void count_all(const struct answer *answer, uint64_t *ret_prompt, uint64_t *ret_completion)
{
    uint64_t prompt = 0, completion = 0;
    for (size_t i = 0; i < answer->call->request_count; i++)
        prompt += answer->prompts[i].tokens;
    for (size_t i = 0; i < answer->choice_count; i++)
        completion += answer->choices[i].completion_tokens;
    *ret_prompt = prompt;
    *ret_completion = completion;
}

void encode_usage(struct json_writer *writer, const struct answer *answer)
{
    uint64_t prompt, completion;
    count_all(answer, &prompt, &completion);
    write_counts(writer, prompt, completion);
    json_write_key(writer, "prompt_tokens_details");
    json_write_null(writer);
    json_write_key(writer, "completion_tokens_details");
    json_write_null(writer);
    json_write_end_object(writer);
}

static void write_fingerprint(struct json_writer *writer, const struct answer *answer)
{
    json_write_key(writer, "system_fingerprint");
    json_write_string(writer, answer->fingerprint);
}

void encode_chunk_tail(struct json_writer *writer, const struct answer *answer, size_t choice, bool last)
{
    if (answer->call->continuous_usage) {
        write_counts(
            writer, answer->prompts[choice / answer->call->n].tokens, answer->choices[choice].completion_tokens);
        json_write_end_object(writer);
    }
    if (last && !answer->call->include_usage)
        write_fingerprint(writer, answer);
}

void encode_usage_chunk(struct buffer *out, const struct answer *answer)
{
    struct json_writer writer = {.out = out};
    uint64_t prompt, completion;
    count_all(answer, &prompt, &completion);
    encode_head(&writer, answer, answer->form.chat ? "chat.completion.chunk" : "text_completion");
    json_write_end_array(&writer);
    write_counts(&writer, prompt, completion);
    json_write_end_object(&writer);
    write_fingerprint(&writer, answer);
    json_write_end_object(&writer);
}
