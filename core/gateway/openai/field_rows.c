/* See field_rows.h. The table's order is that in which wrong types are found. */
#include "config.h"

#include "core/gateway/openai/field_rows.h"

#include <string.h>

enum {
    C = ENDPOINT_COMPLETIONS,
    H = ENDPOINT_CHAT,
    T = ENDPOINT_TOKENIZE,
    D = ENDPOINT_DETOKENIZE,
    E = ENDPOINT_EMBEDDINGS,
    S = ENDPOINT_SCORE,
    R = ENDPOINT_RERANK,
    K = ENDPOINT_CLASSIFY,
    P = ENDPOINT_POOLING,
    O = ENDPOINT_RESPONSES,
    M = ENDPOINT_MESSAGES,
    N = ENDPOINT_COUNT_TOKENS,
    CH = C | H,
    CHO = C | H | O,
    MN = M | N,
    EKP = E | K | P, /* pools one input each */
    POOL = EKP | S | R,
    GEN = CHO | M,    /* generates */
    ASK = CHO | POOL, /* goes to a runtime with what rides on every request */
    ALL = CHO | T | D | POOL | MN
};

#define TO(member) .to = offsetof(struct fields, member)

static const struct field_row rows[] = {
    {"model", ALL, ALL & ~MN, STRING, .class = USED, TO(model)},
    {"prompt", C | T, C, ANY, .class = USED, TO(prompt)},
    {"messages", H | T | EKP | MN, 0, ANY, .class = USED, TO(messages)},
    {"tokens", D, 0, INTS, .class = USED, TO(tokens), .bounded = true, .least = 0},
    {"echo", CH, C, BOOL, .class = USED, TO(echo)},
    {"frequency_penalty", CHO, CHO, REAL, .class = USED, TO(frequency_penalty)},
    {"logit_bias", CHO, CHO, REALS_BY_NAME, .class = USED, TO(logit_bias)},
    {"logprobs", C, C, INT, .class = USED, TO(logprobs)},
    {"logprobs", H, H, BOOL, .class = USED, TO(chat_logprobs)},
    {"top_logprobs", H | O, H | O, INT, .class = USED, TO(top_logprobs)},
    {"max_tokens", CH | MN, CH, INT, .class = USED, TO(max_tokens)},
    {"max_completion_tokens", H, H, INT, .class = USED, TO(max_completion_tokens)},
    {"n", CH, H, INT, .class = USED, TO(n)},
    {"presence_penalty", CHO, CHO, REAL, .class = USED, TO(presence_penalty)},
    {"seed", CHO, CHO, INT, .class = USED, TO(seed)},
    {"stop", CHO, CHO, STRING_OR_STRINGS, .class = USED, TO(stop)},
    {"stream", GEN, GEN, BOOL, .class = USED, TO(stream)},
    {"stream_options", CH, CH, OBJECT, .class = HARMLESS}, /* its members are read by read_stream_options */
    {"temperature", GEN, GEN, REAL, .class = USED, TO(temperature)},
    {"top_p", GEN, GEN, REAL, .class = USED, TO(top_p)},
    {"top_k", GEN, GEN, INT, .class = USED, TO(top_k)},
    {"min_p", CHO, CHO, REAL, .class = USED, TO(min_p)},
    {"repetition_penalty", CHO, CHO, REAL, .class = USED, TO(repetition_penalty)},
    {"stop_token_ids", CHO, CHO, INTS, .class = USED, TO(stop_token_ids)},
    {"include_stop_str_in_output", CHO, 0, BOOL, .class = USED, TO(include_stop_str_in_output)},
    {"ignore_eos", CHO, 0, BOOL, .class = USED, TO(ignore_eos)},
    {"min_tokens", CH, 0, INT, .class = USED, TO(min_tokens)},
    {"skip_special_tokens", CHO, CHO, BOOL, .class = USED, TO(skip_special_tokens)},
    {"spaces_between_special_tokens", CHO, 0, BOOL, .class = USED, TO(spaces_between_special_tokens)},
    {"truncate_prompt_tokens", CH | POOL, CH | POOL, INT, .class = USED, TO(truncate_prompt_tokens), .bounded = true,
        .least = -1},
    {"truncation_side", CH | POOL, CH | POOL, STRING, .class = USED, TO(truncation_side)},
    {"prompt_logprobs", CH, CH, INT, .class = USED, TO(prompt_logprobs)},
    {"logprob_token_ids", CH, CH, INTS, .class = USED, TO(logprob_token_ids)},
    {"allowed_token_ids", CH, CH, INTS, .class = USED, TO(allowed_token_ids)},
    {"bad_words", CH, 0, STRINGS, .class = USED, TO(bad_words)},
    {"add_special_tokens", CH | T | EKP, 0, BOOL, .class = USED, TO(add_special_tokens)},
    {"add_generation_prompt", H | T | EKP, 0, BOOL, .class = USED, TO(add_generation_prompt)},
    {"continue_final_message", H | T | EKP, 0, BOOL, .class = USED, TO(continue_final_message)},
    {"documents", H, H, ARRAY, .class = USED, TO(documents)},
    {"chat_template", H | T | POOL, H | T | POOL, STRING, .class = USED, TO(chat_template)},
    {"chat_template_kwargs", H | T | POOL | O | MN, H | T | POOL | O | MN, OBJECT, .class = USED,
        TO(chat_template_kwargs)},
    {"reasoning_effort", H, H, STRING, .class = USED, TO(reasoning_effort)},
    {"tools", H | T | O | MN, H | T | O | MN, ARRAY, .class = USED, TO(tools)},
    {"tool_choice", H | O | MN, H | O | MN, ANY, .class = USED, TO(tool_choice)},
    {"priority", ASK, 0, INT, .class = USED, TO(priority)},
    {"request_id", ASK, 0, STRING, .class = USED, TO(request_id)},
    {"cache_salt", ASK | MN, ASK | MN, STRING, .class = USED, TO(cache_salt)},
    {"return_tokens_as_token_ids", CH, CH, BOOL, .class = USED, TO(return_tokens_as_token_ids)},
    {"return_token_ids", CH, CH, BOOL, .class = USED, TO(return_token_ids)},
    {"return_prompt_text", H, H, BOOL, .class = USED, TO(return_prompt_text)},
    {"return_token_strs", T, T, BOOL, .class = USED, TO(return_token_strs)},
    {"include_reasoning", H | O, 0, BOOL, .class = USED, TO(include_reasoning)},
    {"parallel_tool_calls", H | O, H | O, BOOL, .class = USED, TO(parallel_tool_calls)},
    {"response_format", CH, CH, OBJECT, .class = USED, TO(response_format)},
    {"structured_outputs", CHO, CHO, OBJECT, .class = USED, TO(structured_outputs)},
    {"guided_json", CH, CH, ANY, .class = USED, TO(guided_json)},
    {"guided_regex", CH, CH, STRING, .class = USED, TO(guided_regex)},
    {"guided_choice", CH, CH, STRINGS, .class = USED, TO(guided_choice)},
    {"guided_grammar", CH, CH, STRING, .class = USED, TO(guided_grammar)},
    {"guided_whitespace_pattern", CH, CH, STRING, .class = USED, TO(guided_whitespace_pattern)},
    {"use_beam_search", CH, 0, BOOL, .class = USED, TO(use_beam_search)},
    {"length_penalty", CH, 0, REAL, .class = USED, TO(length_penalty)},
    {"thinking_token_budget", CH, CH, INT, .class = USED, TO(thinking_token_budget)},
    {"repetition_detection", CH, CH, OBJECT, .class = USED, TO(repetition_detection)},
    {"stream_interval", CH, CH, INT, .class = USED, TO(stream_interval), .bounded = true, .least = 1},

    {"input", EKP, 0, ANY, .class = USED, TO(input)},
    {"encoding_format", E | P, 0, STRING, .class = USED, TO(encoding_format)},
    {"embed_dtype", E | P, 0, STRING, .class = USED, TO(embed_dtype)},
    {"endianness", E | P, 0, STRING, .class = USED, TO(endianness)},
    {"dimensions", E | P, E | P, INT, .class = USED, TO(dimensions)},
    {"use_activation", POOL, POOL, BOOL, .class = USED, TO(use_activation)},
    {"task", P, P, STRING, .class = USED, TO(task)},
    {"text_1", S, 0, ANY, .class = USED, TO(first)},
    {"data_1", S, 0, ANY, .class = USED, TO(first)},
    {"queries", S, 0, ANY, .class = USED, TO(first)},
    {"query", R, 0, ANY, .class = USED, TO(first)},
    {"text_2", S, 0, ANY, .class = USED, TO(second)},
    {"data_2", S, 0, ANY, .class = USED, TO(second)},
    {"items", S, 0, ANY, .class = USED, TO(second)},
    {"documents", S | R, 0, ANY, .class = USED, TO(second)},
    {"top_n", R, 0, INT, .class = USED, TO(top_n), .bounded = true, .least = 0},
    {"max_tokens_per_query", S | R, 0, INT, .class = USED, TO(max_tokens_per_query), .bounded = true, .least = 0},
    {"max_tokens_per_doc", S | R, 0, INT, .class = USED, TO(max_tokens_per_doc), .bounded = true, .least = 0},
    {"instruction", S | R, S | R, STRING, .class = USED, TO(instruction)},

    /* Read where the body is put into a chat's words; here only their types. */
    {"input", O, 0, ANY, .class = USED, TO(input)},
    {"instructions", O, O, STRING, .class = HARMLESS},
    {"max_output_tokens", O, O, INT, .class = HARMLESS},
    {"previous_response_id", O, O, STRING, .class = HARMLESS},
    {"reasoning", O, O, OBJECT, .class = HARMLESS},
    {"text", O, O, OBJECT, .class = HARMLESS},
    {"include", O, O, STRINGS, .class = HARMLESS},
    {"truncation", O, O, STRING, .class = HARMLESS},
    {"max_tool_calls", O, O, INT, .class = HARMLESS}, /* counts built-in tools, of which there are none */
    {"system", MN, MN, ANY, .class = HARMLESS},
    {"stop_sequences", MN, MN, STRINGS, .class = HARMLESS},
    {"thinking", MN, MN, OBJECT, .class = HARMLESS},
    {"output_config", MN, MN, OBJECT, .class = HARMLESS},

    {"user", ASK, ASK, STRING, .class = HARMLESS},
    {"safety_identifier", CHO, CHO, STRING, .class = HARMLESS},
    {"metadata", CHO | MN, CHO | MN, ANY, .class = HARMLESS},
    {"store", CH, CH, ANY, .class = HARMLESS, .standard = "false"},
    {"store", O, O, BOOL, .class = HARMLESS},
    {"prompt_cache_options", O, O, OBJECT, .class = HARMLESS},
    {"prompt_cache_retention", O, O, STRING, .class = HARMLESS},
    {"prompt_cache_key", CHO, CHO, ANY, .class = HARMLESS},
    {"session_id", CHO, CHO, STRING, .class = HARMLESS},
    {"return_token_offsets", CH, CH, BOOL, .class = HARMLESS},
    {"return_mm_kwargs", GEN, GEN, BOOL, .class = HARMLESS},
    {"mm_payload", GEN, 0, STRING, .class = HARMLESS},

    {"return_weight_versions", CH, 0, BOOL, .class = IGNORED},
    {"routed_experts_prompt_start", CH, 0, INT, .class = IGNORED, .bounded = true, .least = 0, .standard = "0"},
    {"kv_transfer_params", H, H, OBJECT, .class = IGNORED, .heeded = "prompt_token_ids"},
    {"kv_transfer_params", GEN & ~H, GEN & ~H, OBJECT, .class = IGNORED},
    {"ec_transfer_params", GEN, GEN, OBJECT, .class = IGNORED},
    {"vllm_xargs", GEN, GEN, OBJECT, .class = IGNORED},
    {"service_tier", CHO, CHO, STRING, .class = IGNORED, .standard = "\"auto\""},
    {"modalities", H, H, ANY, .class = IGNORED, .standard = "[\"text\"]"},
    {"prediction", H, H, ANY, .class = IGNORED},
    {"audio", H, H, ANY, .class = IGNORED},
    {"web_search_options", H, H, ANY, .class = IGNORED},
    {"verbosity", H, H, ANY, .class = IGNORED, .standard = "\"medium\""},
    {"guided_decoding_backend", CH, CH, ANY, .class = IGNORED},
    {"padding", POOL, POOL, STRING, .class = IGNORED, .standard = "\"do_not_pad\""},

    {"suffix", C, C, STRING, .class = REFUSED,
        .refusal = "suffix is only supported for models with FIM completion rendering"},
    {"prompt_embeds", C, C, ANY, .class = REFUSED, .refusal = "prompt_embeds is not supported"},
    {"best_of", CH, CH, INT, .class = REFUSED, .standard = "1"}, /* n too: see is_default */
    {"watermarking", GEN, GEN, BOOL, .class = REFUSED},
    {"logits_processors", CH, CH, ANY, .class = REFUSED},
    {"early_stopping", CH, CH, ANY, .class = REFUSED},
    {"media_io_kwargs", H | O, H | O, OBJECT, .class = REFUSED},
    {"mm_processor_kwargs", H | T | O | POOL, H | T | O | POOL, OBJECT, .class = REFUSED},
    {"background", O, O, BOOL, .class = REFUSED,
        .refusal = "background is known and not served here; stream the answer, or wait for it"},
    {"prompt", O, O, ANY, .class = REFUSED, .refusal = "prompt template is not supported"},
    {"enable_response_messages", O, 0, BOOL, .class = REFUSED},
    {"previous_input_messages", O, O, ARRAY, .class = REFUSED},
    {"functions", H, H, ANY, .class = REFUSED, .refusal = "functions is not supported; use tools"},
    {"function_call", H, H, ANY, .class = REFUSED, .standard = "\"none\"",
        .refusal = "function_call is not supported; use tool_choice"},
};

size_t field_rows_count(void)
{
    return sizeof rows / sizeof *rows;
}

const struct field_row *field_row_at(size_t index)
{
    return &rows[index];
}

const struct field_row *field_row_find(const char *name, enum endpoint endpoint)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if ((rows[i].in & (int)endpoint) != 0 && strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

static bool prints_as(const struct json *value, const char *text)
{
    struct buffer out = {0};
    json_print(&out, value);
    bool same = !out.failed && strcmp(out.data, text) == 0;
    buffer_done(&out);
    return same;
}

bool field_is_default(const struct field_row *row, const struct json *value, const struct json *body)
{
    switch (value->type) {
    case JSON_NULL:
    case JSON_FALSE: return true;
    case JSON_TRUE: return false;
    case JSON_ARRAY:
    case JSON_OBJECT:
        if (value->count == 0)
            return true;
        break;
    case JSON_STRING:
        if (value->length == 0)
            return true;
        break;
    case JSON_NUMBER: break;
    }
    if (strcmp(row->name, "best_of") == 0) {
        int64_t best_of, n;
        return json_int64(value, &best_of) && (best_of == 1 || (json_int64(json_get(body, "n"), &n) && best_of == n));
    }
    return row->standard != NULL && prints_as(value, row->standard);
}
