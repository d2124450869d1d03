/* /v1/chat/completions: the whole answer. The events of its stream are in encode_chat_chunk.c. */
#include "config.h"

#include "core/gateway/openai/encode.h"
#include "core/gateway/openai/tools.h"

#include <string.h>

pdk_string chat_role(const struct answer *answer)
{
    const pdk_request *request = answer->call->requests;
    struct given_bool opening = answer->call->fields.add_generation_prompt;
    const char *own = answer->ready->response_role;
    if (opening.set && !opening.value && request->message_count != 0)
        return request->messages[request->message_count - 1].role;
    if (own == NULL || *own == '\0')
        own = "assistant";
    return (pdk_string){own, strlen(own)};
}

pdk_string chat_echo_text(const struct answer *answer)
{
    const pdk_string none = {"", 0}, role = chat_role(answer);
    const pdk_request *request = answer->call->requests;
    if (!answer->call->echo || request->message_count == 0)
        return none;
    const pdk_message *last = &request->messages[request->message_count - 1];
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

static void write_calls(struct json_writer *writer, const struct choice_answer *choice)
{
    json_write_key(writer, "tool_calls");
    json_write_array(writer);
    for (size_t i = 0; i < choice->call_count; i++) {
        const struct tool_call *call = &choice->calls[i];
        json_write_object(writer);
        json_write_key(writer, "id");
        json_write_string(writer, call->id);
        json_write_key(writer, "type");
        json_write_string(writer, "function");
        json_write_key(writer, "function");
        json_write_object(writer);
        write_string(writer, "name", (pdk_string){call->name.data, call->name.length});
        write_string(writer, "arguments", (pdk_string){call->arguments.data, call->arguments.length});
        json_write_end_object(writer);
        json_write_end_object(writer);
    }
    json_write_end_array(writer);
}

/* Text; null where calls or reasoning are all that there is, unless the call was forced. */
static void write_content(struct json_writer *writer, const struct answer *answer, const struct choice_answer *choice)
{
    struct buffer text = {0};
    pdk_string echo = chat_echo_text(answer);
    buffer_put(&text, echo.data, echo.length);
    buffer_put(&text, choice->text.data, choice->text.length);
    bool other = choice->call_count != 0 || choice->reasoning.length != 0;
    if (text.length == 0 && other && !(choice->call_count != 0 && tools_forced(answer->call)))
        write_null(writer, "content");
    else
        write_string(writer, "content", (pdk_string){text.data, text.length});
    writer->out->failed |= text.failed;
    buffer_done(&text);
}

static void write_reasoning(struct json_writer *writer, const char *key, const struct choice_answer *choice)
{
    if (choice->reasoning.length != 0)
        write_string(writer, key, (pdk_string){choice->reasoning.data, choice->reasoning.length});
    else
        write_null(writer, key);
}

static void write_message(struct json_writer *writer, const struct answer *answer, const struct choice_answer *choice)
{
    json_write_key(writer, "message");
    json_write_object(writer);
    write_string(writer, "role", chat_role(answer));
    write_content(writer, answer, choice);
    write_null(writer, "refusal");
    write_null(writer, "annotations");
    write_null(writer, "audio");
    write_null(writer, "function_call");
    if (choice->call_count != 0)
        write_calls(writer, choice);
    write_reasoning(writer, "reasoning", choice);
    if (answer->ready->parses_reasoning) /* the older name, by which many clients look for it */
        write_reasoning(writer, "reasoning_content", choice);
    json_write_end_object(writer);
}

static void write_choice(struct json_writer *writer, const struct answer *answer, size_t index)
{
    const struct choice_answer *choice = &answer->choices[index];
    json_write_object(writer);
    json_write_key(writer, "index");
    json_write_uint(writer, index);
    write_message(writer, answer, choice);
    encode_logprobs(writer, answer, choice);
    encode_finish(writer, answer, choice);
    encode_stop_reason(writer, choice);
    encode_ids(writer, "token_ids", &choice->ids, answer->call->fields.return_token_ids.value);
    write_null(writer, "routed_experts");
    json_write_end_object(writer);
}

/* prompt_token_ids and prompt_text, which stand at the top. */
void encode_chat_prompt(struct json_writer *writer, const struct answer *answer)
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
    json_write_string(&writer, answer->fingerprint[0] == '\0' ? NULL : answer->fingerprint);
    encode_usage(&writer, answer);
    json_write_key(&writer, "prompt_logprobs");
    if (answer->prompts->logprobs.length != 0)
        json_write_raw(&writer, answer->prompts->logprobs.data, answer->prompts->logprobs.length);
    else
        json_write_null(&writer);
    encode_chat_prompt(&writer, answer);
    write_null(&writer, "kv_transfer_params");
    write_null(&writer, "ec_transfer_params");
    encode_metrics(&writer, answer, true);
    json_write_end_object(&writer);
}
