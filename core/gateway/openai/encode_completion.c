/* /v1/completions: the whole answer, and the events of its stream. */
#include "config.h"

#include "core/gateway/openai/encode.h"

static void write_null(struct json_writer *writer, const char *key)
{
    json_write_key(writer, key);
    json_write_null(writer);
}

static void write_start(struct json_writer *writer, const struct answer *answer, size_t index)
{
    const struct choice_answer *choice = &answer->choices[index];
    json_write_object(writer);
    json_write_key(writer, "index");
    json_write_uint(writer, index);
    json_write_key(writer, "text");
    json_write_text(writer, choice->text.length == 0 ? "" : choice->text.data, choice->text.length);
    encode_logprobs(writer, answer, choice);
    encode_finish(writer, answer, choice);
    encode_stop_reason(writer, choice);
}

static void write_choice(struct json_writer *writer, const struct answer *answer, size_t index)
{
    const struct choice_answer *choice = &answer->choices[index];
    const struct prompt_answer *prompt = &answer->prompts[index / answer->call->n];
    bool ids = answer->call->fields.return_token_ids.value;
    write_start(writer, answer, index);
    encode_ids(writer, "token_ids", &choice->ids, ids);
    json_write_key(writer, "prompt_logprobs");
    if (prompt->logprobs.length != 0)
        json_write_raw(writer, prompt->logprobs.data, prompt->logprobs.length);
    else
        json_write_null(writer);
    encode_ids(writer, "prompt_token_ids", &prompt->ids, ids && prompt->has_ids);
    write_null(writer, "routed_experts");
    json_write_end_object(writer);
}

void encode_completion(struct buffer *out, const struct answer *answer)
{
    struct json_writer writer = {.out = out};
    encode_head(&writer, answer, "text_completion");
    for (size_t i = 0; i < answer->choice_count; i++)
        write_choice(&writer, answer, i);
    json_write_end_array(&writer);
    write_null(&writer, "service_tier");
    json_write_key(&writer, "system_fingerprint");
    json_write_string(&writer, answer->fingerprint[0] == '\0' ? NULL : answer->fingerprint);
    encode_usage(&writer, answer);
    write_null(&writer, "kv_transfer_params");
    write_null(&writer, "ec_transfer_params");
    encode_metrics(&writer, answer, true);
    json_write_end_object(&writer);
}

void encode_completion_chunk(struct buffer *out, const struct answer *answer, size_t index)
{
    struct json_writer writer = {.out = out};
    const struct choice_answer *choice = &answer->choices[index];
    const struct prompt_answer *prompt = &answer->prompts[index / answer->call->n];
    bool ids = answer->call->fields.return_token_ids.value;
    encode_head(&writer, answer, "text_completion");
    write_start(&writer, answer, index);
    encode_ids(&writer, "prompt_token_ids", &prompt->ids, ids && !choice->begun && prompt->has_ids);
    encode_ids(&writer, "token_ids", &choice->ids, ids);
    json_write_end_object(&writer);
    json_write_end_array(&writer);
    encode_chunk_tail(&writer, answer, index, choice->finish != PDK_FINISH_NONE);
    json_write_end_object(&writer);
}
