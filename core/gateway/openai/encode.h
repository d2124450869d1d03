/* core/gateway/openai/encode.h: answers as JSON, to vLLM's keys, order and nulls. Each appends one object to `out`. */
#pragma once

#include "core/gateway/openai/answer.h"

void encode_completion(struct buffer *out, const struct answer *answer);
void encode_chat(struct buffer *out, const struct answer *answer);

/* Events of a stream. */
void encode_completion_chunk(struct buffer *out, const struct answer *answer, size_t choice);
void encode_chat_role(struct buffer *out, const struct answer *answer, size_t choice);
/* The last message's text, by echo. */
void encode_chat_echo(struct buffer *out, const struct answer *answer, size_t choice);
void encode_chat_chunk(struct buffer *out, const struct answer *answer, size_t choice);
/* One delta of parsed text; NULL: an empty one. Only the `last` of a part carries its logprobs, ids and end. */
void encode_chat_delta(
    struct buffer *out, const struct answer *answer, size_t choice, const pdk_delta *delta, bool last);
void encode_usage_chunk(struct buffer *out, const struct answer *answer);

/* The role that answers a chat, and the text that echo puts before it ("" when there is none). */
pdk_string chat_role(const struct answer *answer);
pdk_string chat_echo_text(const struct answer *answer);

/* prompt_token_ids and prompt_text, which stand at a chat's top. */
void encode_chat_prompt(struct json_writer *writer, const struct answer *answer);

/* What the completion and the chat have in common. */
void encode_head(struct json_writer *writer, const struct answer *answer, const char *object);
/* "stop", "length", "tool_calls", …; NULL: it has not ended. */
const char *encode_finish_name(const struct answer *answer, const struct choice_answer *choice);
void encode_finish(struct json_writer *writer, const struct answer *answer, const struct choice_answer *choice);
void encode_stop_reason(struct json_writer *writer, const struct choice_answer *choice);
void encode_logprobs(struct json_writer *writer, const struct answer *answer, const struct choice_answer *choice);
/* A list of ids under `key`, or null where `wanted` is false. */
void encode_ids(struct json_writer *writer, const char *key, const struct buffer *ids, bool wanted);
void encode_usage(struct json_writer *writer, const struct answer *answer);
/* How long the answer took, in milliseconds, where the service tells that; `whole`: else null. */
void encode_metrics(struct json_writer *writer, const struct answer *answer, bool whole);
/* The keys behind `choices` of an event: usage so far by continuous_usage_stats, the fingerprint in a choice's last. */
void encode_chunk_tail(struct json_writer *writer, const struct answer *answer, size_t choice, bool last);
/* The same of an event that comes before any token. */
void encode_opening_tail(struct json_writer *writer, const struct answer *answer, size_t choice);
