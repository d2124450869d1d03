/* What the completion and the chat have in common. */
#include "config.h"

#include "core/gateway/openai/encode.h"

#include "core/gateway/openai/tools.h"

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

const char *encode_finish_name(const struct answer *answer, const struct choice_answer *choice)
{
    static const char *const names[] = {
        [PDK_FINISH_NONE] = NULL,
        [PDK_FINISH_STOP] = "stop",
        [PDK_FINISH_LENGTH] = "length",
        [PDK_FINISH_ABORT] = "abort",
        [PDK_FINISH_REPETITION] = "repetition",
    };
    if (choice->called && choice->finish == PDK_FINISH_STOP && !tools_named(answer->call))
        return "tool_calls";
    bool known = choice->finish >= 0 && choice->finish < (int32_t)(sizeof names / sizeof *names);
    return known ? names[choice->finish] : "abort";
}

void encode_finish(struct json_writer *writer, const struct answer *answer, const struct choice_answer *choice)
{
    json_write_key(writer, "finish_reason");
    json_write_string(writer, encode_finish_name(answer, choice));
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

/* The counts, in vLLM's order; the object stays open. */
static void write_counts(struct json_writer *writer, const struct answer_counts *counts)
{
    json_write_key(writer, "usage");
    json_write_object(writer);
    json_write_key(writer, "prompt_tokens");
    json_write_uint(writer, counts->prompt);
    json_write_key(writer, "total_tokens");
    json_write_uint(writer, counts->prompt + counts->completion);
    json_write_key(writer, "completion_tokens");
    json_write_uint(writer, counts->completion);
}

/* A chat tells of tokens put into the cache, of which none are counted apart here. */
static void write_prompt_details(
    struct json_writer *writer, const struct answer *answer, const struct answer_counts *counts, bool whole)
{
    json_write_key(writer, "prompt_tokens_details");
    json_write_object(writer);
    json_write_key(writer, "cached_tokens");
    json_write_uint(writer, counts->cached);
    if (answer->form.chat || whole) {
        json_write_key(writer, "created_cache_tokens");
        if (answer->form.chat)
            json_write_uint(writer, 0);
        else
            json_write_null(writer);
    }
    if (whole) {
        json_write_key(writer, "multimodal_tokens");
        json_write_null(writer);
    }
    json_write_end_object(writer);
}

static bool tells_details(const struct answer *answer)
{
    return (answer->ready->api_flags & PDK_API_PROMPT_DETAILS) != 0;
}

static bool tells_reasoning(const struct answer *answer)
{
    return answer->form.chat && answer->ready->parses_reasoning;
}

static void write_reasoning_count(struct json_writer *writer, const struct answer_counts *counts)
{
    json_write_key(writer, "completion_tokens_details");
    json_write_object(writer);
    json_write_key(writer, "reasoning_tokens");
    json_write_uint(writer, counts->reasoning);
    json_write_end_object(writer);
}

void encode_usage(struct json_writer *writer, const struct answer *answer)
{
    struct answer_counts counts = answer_count(answer);
    write_counts(writer, &counts);
    if (tells_details(answer)) {
        write_prompt_details(writer, answer, &counts, true);
    } else {
        json_write_key(writer, "prompt_tokens_details");
        json_write_null(writer);
    }
    if (tells_reasoning(answer)) {
        write_reasoning_count(writer, &counts);
    } else {
        json_write_key(writer, "completion_tokens_details");
        json_write_null(writer);
    }
    json_write_end_object(writer);
}

static void write_milliseconds(struct json_writer *writer, const char *key, double microseconds)
{
    json_write_key(writer, key);
    json_write_double(writer, microseconds / 1000);
}

/* Several choices have no time of their own. The rate is over the time in the engine, waiting left out. */
void encode_metrics(struct json_writer *writer, const struct answer *answer, bool whole)
{
    const struct prompt_answer *prompt = answer->prompts;
    bool tells = (answer->ready->api_flags & PDK_API_REQUEST_METRICS) != 0 && answer->choice_count == 1;
    if (!tells && !whole)
        return;
    json_write_key(writer, "metrics");
    if (!tells) {
        json_write_null(writer);
        return;
    }
    double tokens = answer->choices->completion_tokens, generated_us = (double)prompt->generated_us;
    double engine_us = (double)prompt->first_token_us + generated_us;
    json_write_object(writer);
    write_milliseconds(writer, "time_to_first_token_ms", (double)prompt->first_token_us);
    write_milliseconds(writer, "generation_time_ms", generated_us);
    write_milliseconds(writer, "queue_time_ms", (double)prompt->queued_us);
    if (tokens > 1) {
        write_milliseconds(writer, "mean_itl_ms", generated_us / (tokens - 1));
    } else if (whole) {
        json_write_key(writer, "mean_itl_ms");
        json_write_null(writer);
    }
    json_write_key(writer, "tokens_per_second");
    json_write_double(writer, engine_us > 0 ? tokens * 1e6 / engine_us : 0);
    json_write_end_object(writer);
}

static void write_fingerprint(struct json_writer *writer, const struct answer *answer)
{
    json_write_key(writer, "system_fingerprint");
    json_write_string(writer, answer->fingerprint[0] == '\0' ? NULL : answer->fingerprint);
}

static void write_usage_so_far(
    struct json_writer *writer, const struct answer *answer, size_t choice, uint32_t completion)
{
    if (!answer->call->continuous_usage)
        return;
    struct answer_counts counts = {
        .prompt = answer->prompts[choice / answer->call->n].tokens, .completion = completion};
    write_counts(writer, &counts);
    json_write_end_object(writer);
}

void encode_opening_tail(struct json_writer *writer, const struct answer *answer, size_t choice)
{
    write_usage_so_far(writer, answer, choice, 0);
}

void encode_chunk_tail(struct json_writer *writer, const struct answer *answer, size_t choice, bool last)
{
    write_usage_so_far(writer, answer, choice, answer->choices[choice].completion_tokens);
    if (last && !answer->call->include_usage)
        write_fingerprint(writer, answer);
}

void encode_usage_chunk(struct buffer *out, const struct answer *answer)
{
    struct json_writer writer = {.out = out};
    struct answer_counts counts = answer_count(answer);
    encode_head(&writer, answer, answer->form.chat ? "chat.completion.chunk" : "text_completion");
    json_write_end_array(&writer);
    write_counts(&writer, &counts);
    if (tells_details(answer))
        write_prompt_details(&writer, answer, &counts, false);
    if (tells_reasoning(answer))
        write_reasoning_count(&writer, &counts);
    json_write_end_object(&writer);
    write_fingerprint(&writer, answer);
    encode_metrics(&writer, answer, false);
    json_write_end_object(&writer);
}
