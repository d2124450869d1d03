/* See response.h. Keys, order and nulls are those of vLLM's recorded answers. */
#include "config.h"

#include "core/gateway/responses/response.h"

#include "core/gateway/openai/encode.h"

#include <string.h>

static void write_string(struct json_writer *writer, const char *key, const char *text)
{
    json_write_key(writer, key);
    json_write_string(writer, text);
}

static void write_uint(struct json_writer *writer, const char *key, uint64_t value)
{
    json_write_key(writer, key);
    json_write_uint(writer, value);
}

/* A member of the body said back, or `standard`, which is JSON. */
static void write_echo(
    struct json_writer *writer, const struct response *response, const char *key, const char *standard)
{
    const struct json *value = json_get(response->body, key);
    json_write_key(writer, key);
    if (value == NULL || value->type == JSON_NULL) {
        json_write_raw(writer, standard, strlen(standard));
        return;
    }
    struct buffer raw = {0};
    json_print(&raw, value);
    json_write_raw(writer, raw.failed ? "null" : raw.data, raw.failed ? 4 : raw.length);
    writer->out->failed |= raw.failed;
    buffer_done(&raw);
}

/* What is in force: the request's, else the model's own default, else the field's. */
static void write_real(struct json_writer *writer, const char *key, struct given_real given, bool own,
    double default_value, double standard)
{
    json_write_key(writer, key);
    json_write_double(writer, given.set ? given.value : own ? default_value : standard);
}

static void write_empty(struct json_writer *writer, const char *key)
{
    json_write_key(writer, key);
    json_write_raw(writer, "[]", 2);
}

static void write_usage(struct json_writer *writer, const struct response *response)
{
    struct answer_counts counts = answer_count(response->answer);
    json_write_key(writer, "usage");
    if (!response->finished) {
        json_write_null(writer);
        return;
    }
    json_write_object(writer);
    write_uint(writer, "input_tokens", counts.prompt);
    json_write_key(writer, "input_tokens_details");
    json_write_object(writer);
    write_uint(writer, "cached_tokens", counts.cached);
    write_uint(writer, "cache_write_tokens", 0);
    write_empty(writer, "input_tokens_per_turn");
    write_empty(writer, "cached_tokens_per_turn");
    json_write_end_object(writer);
    write_uint(writer, "output_tokens", counts.completion);
    json_write_key(writer, "output_tokens_details");
    json_write_object(writer);
    write_uint(writer, "reasoning_tokens", counts.reasoning);
    write_uint(writer, "tool_output_tokens", 0);
    write_empty(writer, "output_tokens_per_turn");
    write_empty(writer, "tool_output_tokens_per_turn");
    json_write_end_object(writer);
    write_uint(writer, "total_tokens", counts.prompt + counts.completion);
    json_write_end_object(writer);
}

/* What was asked for, cut to the room that the prompt leaves. */
static uint64_t most_tokens(const struct response *response)
{
    const pdk_sampling *sampling = &response->call->requests->sampling;
    const struct ready_info *ready = response->answer->ready;
    uint64_t prompt = answer_count(response->answer).prompt, room = INT32_MAX, most = room;
    if (ready->max_model_len != 0)
        room = ready->max_model_len > prompt ? ready->max_model_len - prompt : 0;
    if ((sampling->has & PDK_HAS_MAX_TOKENS) != 0)
        most = (uint64_t)sampling->max_tokens;
    else if ((ready->defaults.has & PDK_HAS_MAX_TOKENS) != 0)
        most = (uint64_t)ready->defaults.max_tokens;
    return most < room ? most : room;
}

static const char *status_of(const struct response *response)
{
    if (!response->finished)
        return "in_progress";
    return response->answer->choices->finish == PDK_FINISH_STOP ? "completed" : "incomplete";
}

static void write_top(struct json_writer *writer, const struct response *response)
{
    int32_t finish = response->answer->choices->finish;
    json_write_object(writer);
    write_string(writer, "id", response->id);
    json_write_key(writer, "created_at");
    json_write_int(writer, response->answer->created);
    json_write_key(writer, "incomplete_details");
    if (response->finished && finish != PDK_FINISH_STOP) {
        json_write_object(writer);
        write_string(writer, "reason",
            finish == PDK_FINISH_LENGTH ? "max_output_tokens"
                                        : encode_finish_name(response->answer, response->answer->choices));
        json_write_end_object(writer);
    } else {
        json_write_null(writer);
    }
    write_echo(writer, response, "instructions", "null");
    write_echo(writer, response, "metadata", "null");
    write_string(writer, "model", response->answer->model);
    write_string(writer, "object", "response");
    json_write_key(writer, "output");
    json_write_array(writer);
    for (size_t i = 0; response->finished && i < response->output.count; i++)
        output_write_item(writer, &response->output.items[i], true, response->logprobs);
    json_write_end_array(writer);
}

void response_write(struct json_writer *writer, const struct response *response)
{
    const struct fields *fields = &response->call->fields;
    const pdk_sampling *own = &response->answer->ready->defaults;
    write_top(writer, response);
    write_echo(writer, response, "parallel_tool_calls", "true");
    write_real(writer, "temperature", fields->temperature, (own->has & PDK_HAS_TEMPERATURE) != 0, own->temperature, 1);
    write_echo(writer, response, "tool_choice", fields->tools == NULL ? "\"none\"" : "\"auto\"");
    write_echo(writer, response, "tools", "[]");
    write_real(writer, "top_p", fields->top_p, (own->has & PDK_HAS_TOP_P) != 0, own->top_p, 1);
    json_write_key(writer, "background");
    json_write_bool(writer, false);
    write_uint(writer, "max_output_tokens", most_tokens(response));
    write_echo(writer, response, "max_tool_calls", "null");
    write_echo(writer, response, "previous_response_id", "null");
    write_string(writer, "prompt", NULL);
    write_echo(writer, response, "reasoning", "null");
    write_echo(writer, response, "service_tier", "\"auto\"");
    write_string(writer, "status", status_of(response));
    write_echo(writer, response, "text", "null");
    if (response->logprobs)
        write_uint(writer, "top_logprobs", (uint64_t)(fields->top_logprobs.value > 0 ? fields->top_logprobs.value : 0));
    else
        write_string(writer, "top_logprobs", NULL);
    write_echo(writer, response, "truncation", "\"disabled\"");
    write_usage(writer, response);
    write_echo(writer, response, "user", "null");
    write_real(writer, "presence_penalty", fields->presence_penalty, (own->has & PDK_HAS_PRESENCE_PENALTY) != 0,
        own->presence_penalty, 0);
    write_real(writer, "frequency_penalty", fields->frequency_penalty, (own->has & PDK_HAS_FREQUENCY_PENALTY) != 0,
        own->frequency_penalty, 0);
    write_string(writer, "kv_transfer_params", NULL);
    write_string(writer, "ec_transfer_params", NULL);
    write_string(writer, "input_messages", NULL);
    write_string(writer, "output_messages", NULL);
    if (response->finished)
        encode_metrics(writer, response->answer, false);
    json_write_end_object(writer);
}
