/* /v1/chat/completions: the events of a stream. */
#include "config.h"

#include "core/gateway/openai/encode.h"

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
    write_string(&writer, "role", chat_role(answer));
    write_string(&writer, "content", (pdk_string){"", 0});
    write_bare_end(&writer);
    encode_opening_tail(&writer, answer, index);
    encode_chat_prompt(&writer, answer);
    json_write_end_object(&writer);
}

void encode_chat_echo(struct buffer *out, const struct answer *answer, size_t index)
{
    struct json_writer writer = {.out = out};
    write_chunk_head(&writer, answer, index);
    write_string(&writer, "content", chat_echo_text(answer));
    write_bare_end(&writer);
    encode_opening_tail(&writer, answer, index);
    json_write_end_object(&writer);
}

/* From behind `delta` to the end of the event, with what the part brought beside its text. */
static void write_output_end(struct json_writer *writer, const struct answer *answer, size_t index)
{
    const struct choice_answer *choice = &answer->choices[index];
    bool last = choice->finish != PDK_FINISH_NONE;
    json_write_end_object(writer);
    encode_logprobs(writer, answer, choice);
    encode_finish(writer, answer, choice);
    if (last)
        encode_stop_reason(writer, choice);
    encode_ids(writer, "token_ids", &choice->ids, answer->call->fields.return_token_ids.value);
    json_write_end_object(writer);
    json_write_end_array(writer);
    encode_chunk_tail(writer, answer, index, last);
    json_write_end_object(writer);
}

void encode_chat_chunk(struct buffer *out, const struct answer *answer, size_t index)
{
    struct json_writer writer = {.out = out};
    const struct choice_answer *choice = &answer->choices[index];
    write_chunk_head(&writer, answer, index);
    write_string(&writer, "content", (pdk_string){choice->text.data, choice->text.length});
    write_output_end(&writer, answer, index);
}

/* A call's id, type and name come once, with its first delta. */
static void write_call(struct json_writer *writer, const struct choice_answer *choice, const pdk_delta *delta)
{
    bool begins = delta->kind == PDK_DELTA_CALL;
    write_null(writer, "content");
    json_write_key(writer, "tool_calls");
    json_write_array(writer);
    json_write_object(writer);
    if (begins) {
        json_write_key(writer, "id");
        json_write_string(writer, choice->calls[delta->call].id);
        json_write_key(writer, "type");
        json_write_string(writer, "function");
    }
    json_write_key(writer, "index");
    json_write_uint(writer, delta->call);
    json_write_key(writer, "function");
    json_write_object(writer);
    write_string(writer, begins ? "name" : "arguments", delta->text);
    json_write_end_object(writer);
    json_write_end_object(writer);
    json_write_end_array(writer);
}

static void write_delta(struct json_writer *writer, const struct answer *answer, size_t index, const pdk_delta *delta)
{
    switch (delta->kind) {
    case PDK_DELTA_CALL:
    case PDK_DELTA_ARGUMENTS: write_call(writer, &answer->choices[index], delta); break;
    case PDK_DELTA_REASONING:
        write_string(writer, "reasoning", delta->text);
        write_string(writer, "reasoning_content", delta->text);
        break;
    default: write_string(writer, "content", delta->text); break;
    }
}

void encode_chat_delta(struct buffer *out, const struct answer *answer, size_t index, const pdk_delta *delta, bool last)
{
    struct json_writer writer = {.out = out};
    write_chunk_head(&writer, answer, index);
    if (delta != NULL)
        write_delta(&writer, answer, index, delta);
    if (last) {
        write_output_end(&writer, answer, index);
        return;
    }
    json_write_end_object(&writer);
    write_null(&writer, "logprobs");
    write_null(&writer, "finish_reason");
    write_null(&writer, "token_ids");
    json_write_end_object(&writer);
    json_write_end_array(&writer);
    encode_chunk_tail(&writer, answer, index, false);
    json_write_end_object(&writer);
}
