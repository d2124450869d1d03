/* /v1/chat/completions: the whole answer, and the events of its stream. */
#include "config.h"

#include "core/gateway/openai/encode.h"

#include <string.h>

pdk_string chat_role(const struct call *call)
{
    struct given_bool opening = call->fields.add_generation_prompt;
    if (opening.set && !opening.value && call->message_count != 0)
        return call->messages[call->message_count - 1].role;
    return (pdk_string){"assistant", strlen("assistant")};
}

pdk_string chat_echo_text(const struct call *call)
{
    const pdk_string none = {"", 0}, role = chat_role(call);
    if (!call->echo || call->message_count == 0)
        return none;
    const pdk_message *last = &call->messages[call->message_count - 1];
    bool same_role = last->role.length == role.length && memcmp(last->role.data, role.data, role.length) == 0;
    return same_role && last->content.data != NULL ? last->content : none;
}

static void write_null(struct json_writer *writer, const char *key)
{
    json_write_key(writer, key);
    json_write_null(writer);
}

static void write_string(struct json_writer *writer, const char *key, pdk_string text)
{
    json_write_key(writer, key);
    json_write_text(writer, text.length == 0 ? "" : text.data, text.length);
}

static void write_message(struct json_writer *writer, const struct answer *answer, const struct choice_answer *choice)
{
    struct buffer text = {0};
    pdk_string echo = chat_echo_text(answer->call);
    buffer_put(&text, echo.data, echo.length);
    buffer_put(&text, choice->text.data, choice->text.length);
    json_write_key(writer, "message");
    json_write_object(writer);
    write_string(writer, "role", chat_role(answer->call));
    write_string(writer, "content", (pdk_string){text.data, text.length});
    write_null(writer, "refusal");
    write_null(writer, "annotations");
    write_null(writer, "audio");
    write_null(writer, "function_call");
    write_null(writer, "reasoning");
    json_write_end_object(writer);
    writer->out->failed |= text.failed;
    buffer_done(&text);
}

static void write_choice(struct json_writer *writer, const struct answer *answer, size_t index)
{
    const struct choice_answer *choice = &answer->choices[index];
    json_write_object(writer);
    json_write_key(writer, "index");
    json_write_uint(writer, index);
    write_message(writer, answer, choice);
    encode_logprobs(writer, answer, choice);
    encode_finish(writer, choice);
    encode_stop_reason(writer, choice);
    encode_ids(writer, "token_ids", &choice->ids, answer->call->fields.return_token_ids.value);
    write_null(writer, "routed_experts");
    json_write_end_object(writer);
}

/* prompt_token_ids and prompt_text, which stand at the top. */
static void write_prompt(struct json_writer *writer, const struct answer *answer)
{
    const struct prompt_answer *prompt = answer->prompts;
    encode_ids(
        writer, "prompt_token_ids", &prompt->ids, answer->call->fields.return_token_ids.value && prompt->has_ids);
    if (answer->call->fields.return_prompt_text.value && prompt->has_text)
        write_string(writer, "prompt_text", (pdk_string){prompt->text.data, prompt->text.length});
    else
        write_null(writer, "prompt_text");
}

void encode_chat(struct buffer *out, const struct answer *answer)
{
    struct json_writer writer = {.out = out};
    encode_head(&writer, answer, "chat.completion");
    for (size_t i = 0; i < answer->choice_count; i++)
        write_choice(&writer, answer, i);
    json_write_end_array(&writer);
    write_null(&writer, "service_tier");
    json_write_key(&writer, "system_fingerprint");
    json_write_string(&writer, answer->fingerprint);
    encode_usage(&writer, answer);
    json_write_key(&writer, "prompt_logprobs");
    if (answer->prompts->logprobs.length != 0)
        json_write_raw(&writer, answer->prompts->logprobs.data, answer->prompts->logprobs.length);
    else
        json_write_null(&writer);
    write_prompt(&writer, answer);
    write_null(&writer, "kv_transfer_params");
    write_null(&writer, "ec_transfer_params");
    write_null(&writer, "metrics");
    json_write_end_object(&writer);
}

/* Up to the members of `delta`. */
static void write_chunk_head(struct json_writer *writer, const struct answer *answer, size_t index)
{
    encode_head(writer, answer, "chat.completion.chunk");
    json_write_object(writer);
    json_write_key(writer, "index");
    json_write_uint(writer, index);
    json_write_key(writer, "delta");
    json_write_object(writer);
}

/* From behind `delta` to the end of `choices`, in an event that carries no output. */
static void write_bare_end(struct json_writer *writer)
{
    json_write_end_object(writer);
    write_null(writer, "logprobs");
    write_null(writer, "finish_reason");
    json_write_end_object(writer);
    json_write_end_array(writer);
}

void encode_chat_role(struct buffer *out, const struct answer *answer, size_t index)
{
    struct json_writer writer = {.out = out};
    write_chunk_head(&writer, answer, index);
    write_string(&writer, "role", chat_role(answer->call));
    write_string(&writer, "content", (pdk_string){"", 0});
    write_bare_end(&writer);
    encode_chunk_tail(&writer, answer, index, false);
    write_prompt(&writer, answer);
    json_write_end_object(&writer);
}

void encode_chat_echo(struct buffer *out, const struct answer *answer, size_t index)
{
    struct json_writer writer = {.out = out};
    write_chunk_head(&writer, answer, index);
    write_string(&writer, "content", chat_echo_text(answer->call));
    write_bare_end(&writer);
    encode_chunk_tail(&writer, answer, index, false);
    json_write_end_object(&writer);
}

void encode_chat_chunk(struct buffer *out, const struct answer *answer, size_t index)
{
    struct json_writer writer = {.out = out};
    const struct choice_answer *choice = &answer->choices[index];
    bool last = choice->finish != PDK_FINISH_NONE;
    write_chunk_head(&writer, answer, index);
    write_string(&writer, "content", (pdk_string){choice->text.data, choice->text.length});
    json_write_end_object(&writer);
    encode_logprobs(&writer, answer, choice);
    encode_finish(&writer, choice);
    if (last)
        encode_stop_reason(&writer, choice);
    encode_ids(&writer, "token_ids", &choice->ids, answer->call->fields.return_token_ids.value);
    json_write_end_object(&writer);
    json_write_end_array(&writer);
    encode_chunk_tail(&writer, answer, index, last);
    json_write_end_object(&writer);
}
