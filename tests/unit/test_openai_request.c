/* Requests: what is refused, in which words, and what reaches the runtime. */
#include "config.h"

#include "check_main.h"
#include "fake_exchange.h"

#include "core/gateway/openai/openai.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define COMPLETION(fields) "{\"model\":\"m\",\"prompt\":\"hi\"" fields "}"
#define CHAT(fields)       "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]" fields "}"

#define TOOLS              ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]"

static void post(struct exchange *exchange, const char *body)
{
    bool chat = strstr(body, "\"messages\"") != NULL;
    fake_init(exchange, chat ? "/v1/chat/completions" : "/v1/completions", body);
    (chat ? openai_chat_completions : openai_completions)(exchange);
    ck_assert_uint_eq(exchange->replies, 1);
}

/* Refusals, by what the answer holds. */
static const struct {
    const char *body;
    int status;
    const char *type, *param, *message;
} refusals[] = {
    /* Types. */
    {COMPLETION(",\"n\":1.5"), 400, "Bad Request", "body.n", "int_from_float"},
    {COMPLETION(",\"n\":null"), 400, "Bad Request", "body.n", "int_type"},
    {COMPLETION(",\"n\":1e30"), 400, "Bad Request", "body.n", "int_parsing_size"},
    {COMPLETION(",\"temperature\":\"warm\""), 400, "Bad Request", "body.temperature", "float_parsing"},
    {COMPLETION(",\"temperature\":[]"), 400, "Bad Request", "body.temperature", "float_type"},
    {COMPLETION(",\"stream\":2"), 400, "Bad Request", "body.stream", "bool_parsing"},
    {COMPLETION(",\"stream\":{}"), 400, "Bad Request", "body.stream", "bool_type"},
    {COMPLETION(",\"stop\":5"), 400, "Bad Request", "body.stop", "string_type"},
    {COMPLETION(",\"stop\":[\"a\",5]"), 400, "Bad Request", "body.stop.1", "string_type"},
    {COMPLETION(",\"stop_token_ids\":[1,\"x\"]"), 400, "Bad Request", "body.stop_token_ids.1", "int_parsing"},
    {COMPLETION(",\"logit_bias\":[]"), 400, "Bad Request", "body.logit_bias", "dict_type"},
    {COMPLETION(",\"logit_bias\":{\"5\":\"x\"}"), 400, "Bad Request", "body.logit_bias.5", "float_parsing"},
    {COMPLETION(",\"truncation_side\":\"up\""), 400, "Bad Request", "body.truncation_side", "literal_error"},
    {COMPLETION(",\"truncate_prompt_tokens\":-2"), 400, "Bad Request", "body.truncate_prompt_tokens",
        "greater_than_equal"},
    {COMPLETION(",\"cache_salt\":\"\""), 400, "Bad Request", "body.cache_salt", "string_too_short"},
    {COMPLETION(",\"stream\":true,\"stream_options\":{\"include_usage\":7}"), 400, "Bad Request",
        "body.stream_options.include_usage", "bool_parsing"},
    {"{\"model\":5,\"prompt\":\"hi\"}", 400, "Bad Request", "body.model", "string_type"},
    {"{\"prompt\":5}", 400, "Bad Request", "body.prompt", "string_type"},
    {"{\"prompt\":{}}", 400, "Bad Request", "body.prompt", "string_type"},
    {"{\"prompt\":[\"a\",5]}", 400, "Bad Request", "body.prompt.1", "string_type"},
    {"{\"prompt\":[[1],\"a\"]}", 400, "Bad Request", "body.prompt.1", "list_type"},
    {"{\"prompt\":[1,\"a\"]}", 400, "Bad Request", "body.prompt.1", "int_type"},
    {"{\"prompt\":[[1,1.5]]}", 400, "Bad Request", "body.prompt.0.1", "int_from_float"},
    {"{\"prompt\":\"a\",\"prompt\":\"b\"}", 400, "Bad Request", "body.26", "duplicate key"},
    {"{\"messages\":{}}", 400, "Bad Request", "body.messages", "list_type"},
    {"{\"messages\":null}", 400, "Bad Request", "body.messages", "list_type"},
    {"{\"messages\":[5]}", 400, "Bad Request", "body.messages.0", "dict_type"},
    {"{\"messages\":[{}]}", 400, "Bad Request", "body.messages.0.role", "missing"},
    {"{\"messages\":[{\"role\":5}]}", 400, "Bad Request", "body.messages.0.role", "string_type"},
    {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]}", 400, "Bad Request",
        "body.messages.0.ChatCompletionDeveloperMessageParam.content.0", "missing"},
    {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"smell\"}]}]}", 400, "Bad Request",
        "body.messages.0.ChatCompletionDeveloperMessageParam.content.0", "literal_error"},
    {CHAT(",\"tools\":[5],\"tool_choice\":\"none\""), 400, "Bad Request", "body.tools.0", "dict_type"},
    {CHAT(",\"tools\":[{\"function\":{}}],\"tool_choice\":\"none\""), 400, "Bad Request", "body.tools.0.function.name",
        "missing"},
    {CHAT(",\"documents\":[1]"), 400, "Bad Request", "body.documents.0", "dict_type"},
    {CHAT(",\"reasoning_effort\":\"huge\""), 400, "Bad Request", "body.reasoning_effort", "literal_error"},
    /* Values. */
    {COMPLETION(",\"temperature\":\"nan\""), 400, "BadRequestError", "temperature",
        "got nan. (parameter=temperature, value=nan)"},
    {COMPLETION(",\"top_p\":1.5"), 400, "BadRequestError", "top_p", "top_p must be in (0, 1], got 1.5."},
    {COMPLETION(",\"n\":129,\"temperature\":1"), 400, "BadRequestError", "n", "n must be at most 128, got 129."},
    {COMPLETION(",\"presence_penalty\":-2.5"), 400, "BadRequestError", NULL,
        "presence_penalty must be in [-2, 2], got -2.5."},
    {COMPLETION(",\"repetition_penalty\":\"inf\""), 400, "BadRequestError", NULL, "greater than zero, got inf."},
    {COMPLETION(",\"min_tokens\":-1"), 400, "BadRequestError", NULL,
        "min_tokens must be greater than or equal to 0, got -1."},
    {COMPLETION(",\"logprobs\":-2"), 400, "BadRequestError", "logprobs", "`logprobs` must be a positive value or -1."},
    {COMPLETION(",\"logprobs\":\"-2\""), 400, "BadRequestError", "logprobs",
        "`logprobs` must be a positive value or -1."},
    {COMPLETION(",\"logprobs\":-1"), 400, "BadRequestError", "logprobs", "Requested sample logprobs of 49152"},
    {COMPLETION(",\"prompt_logprobs\":21"), 400, "BadRequestError", "prompt_logprobs",
        "Requested prompt logprobs of 21"},
    {COMPLETION(",\"logprob_token_ids\":[1]"), 400, "BadRequestError", "logprob_token_ids", "`logprobs` must be set."},
    {CHAT(",\"kv_transfer_params\":{\"prompt_token_ids\":[]}"), 400, "BadRequestError",
        "kv_transfer_params.prompt_token_ids", "non-negative integers"},
    {CHAT(",\"kv_transfer_params\":{\"prompt_token_ids\":[-1]}"), 400, "BadRequestError",
        "kv_transfer_params.prompt_token_ids", "non-negative integers"},
    {CHAT(",\"kv_transfer_params\":{\"prompt_token_ids\":[1.0]}"), 400, "BadRequestError",
        "kv_transfer_params.prompt_token_ids", "non-negative integers"},
    {CHAT(",\"kv_transfer_params\":{\"prompt_token_ids\":[\"1\"]}"), 400, "BadRequestError",
        "kv_transfer_params.prompt_token_ids", "non-negative integers"},
    {CHAT(",\"kv_transfer_params\":{\"prompt_token_ids\":[true]}"), 400, "BadRequestError",
        "kv_transfer_params.prompt_token_ids", "non-negative integers"},
    {CHAT(",\"kv_transfer_params\":{\"prompt_token_ids\":5}"), 400, "BadRequestError",
        "kv_transfer_params.prompt_token_ids", "non-negative integers"},
    {CHAT(",\"kv_transfer_params\":{\"prompt_token_ids\":\"abc\"}"), 400, "BadRequestError",
        "kv_transfer_params.prompt_token_ids", "non-negative integers"},
    {CHAT(",\"kv_transfer_params\":{\"prompt_token_ids\":[49152]}"), 400, "BadRequestError",
        "kv_transfer_params.prompt_token_ids", "Token id 49152 is out of vocabulary"},
    {COMPLETION(",\"bad_words\":[\"\"]"), 400, "BadRequestError", NULL, "bad_words cannot contain an empty string."},
    {COMPLETION(",\"stop\":[\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\","
                "\"a\",\"a\"]"),
        400, "BadRequestError", "stop", "stop has 17 strings; the limit is 16"},
    {COMPLETION(",\"stop_token_ids\":[1,49152,-1]"), 400, "BadRequestError", "stop_token_ids",
        "token_id(s) [49152, -1] in stop_token_ids contain out-of-vocab token ids. Vocabulary size: 49152"},
    {COMPLETION(",\"allowed_token_ids\":[49152]"), 400, "BadRequestError", "allowed_token_ids",
        "contains out-of-vocab token id!"},
    {COMPLETION(",\"logit_bias\":{\"-1\":1}"), 400, "BadRequestError", "logit_bias", "integer token IDs: ['-1']"},
    {COMPLETION(",\"logit_bias\":{\"1\":\"inf\"}"), 400, "BadRequestError", "logit_bias", "must be a finite number"},
    {COMPLETION(",\"truncate_prompt_tokens\":2049"), 400, "BadRequestError", "truncate_prompt_tokens",
        "truncate_prompt_tokens=2049 cannot be greater than max_model_len = 2048."},
    {COMPLETION(",\"cache_salt\":\"a/b\""), 400, "BadRequestError", "cache_salt",
        "must not contain '@', '/', '\\\\', or NUL."},
    {"{\"prompt\":[[]]}", 400, "BadRequestError", NULL, "The decoder prompt cannot be empty"},
    {"{\"prompt\":[99999999999]}", 400, "BadRequestError", NULL, "Token id 99999999999 is out of vocabulary"},
    {CHAT(",\"max_completion_tokens\":4000"), 400, "BadRequestError", "max_completion_tokens",
        "max_completion_tokens=4000 cannot be greater than max_model_len=2048."},
    {CHAT(",\"max_completion_tokens\":0"), 400, "BadRequestError", "max_tokens",
        "max_tokens must be at least 1, got 0."},
    {CHAT(",\"logprobs\":true,\"top_logprobs\":21"), 400, "BadRequestError", "logprobs",
        "Requested sample logprobs of 21"},
    {CHAT(",\"tools\":[{\"function\":{\"name\":\"f\"}}],\"tool_choice\":\"maybe\""), 400, "BadRequestError",
        "tool_choice", "Invalid value for `tool_choice`: maybe! Only named tools, \"none\", \"auto\" or \"required\""},
    {CHAT(",\"chat_template_kwargs\":{\"chat_template\":\"x\"}"), 400, "BadRequestError", NULL,
        "untrusted chat template."},
    /* Tools. */
    {CHAT(",\"tools\":[]"), 400, "BadRequestError", "tools", "must not be an empty array"},
    {CHAT(",\"tool_choice\":\"auto\""), 400, "BadRequestError", "tool_choice", "`tools` must be set."},
    {CHAT(TOOLS ",\"tool_choice\":{}"), 400, "BadRequestError", "tool_choice.function",
        "Invalid value for `function`: `None` in `tool_choice`! Correct usage: `{\"type\": \"function\""},
    {CHAT(TOOLS ",\"tool_choice\":{\"function\":5}"), 400, "BadRequestError", "tool_choice.function", "`5` in"},
    {CHAT(TOOLS ",\"tool_choice\":{\"function\":{}}"), 400, "BadRequestError", "tool_choice.function.name",
        "Expected field `name` in `function` in `tool_choice`!"},
    {CHAT(TOOLS ",\"tool_choice\":{\"function\":{\"name\":5}}"), 400, "BadRequestError", "tool_choice.function.name",
        "Invalid `name`"},
    {CHAT(TOOLS ",\"tool_choice\":{\"function\":{\"name\":\"g\"}}"), 400, "BadRequestError", "tool_choice",
        "The tool specified in `tool_choice` does not match any of the specified `tools`"},
    {CHAT(TOOLS), 400, "BadRequestError", NULL, "\"auto\" tool choice requires --enable-auto-tool-choice and"},
    {CHAT(TOOLS ",\"tool_choice\":\"required\""), 400, "BadRequestError", NULL,
        "tool_choice=\"required\" requires --tool-call-parser to be set"},
    {CHAT(TOOLS ",\"tool_choice\":{\"function\":{\"name\":\"f\"}}"), 400, "BadRequestError", NULL,
        "tool_choice=function \"f\" requires --tool-call-parser to be set"},
    {CHAT(",\"tools\":[{\"type\":\"search\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":\"none\""), 400,
        "Bad Request", "body.tools.0.type", "literal_error"},
    /* Structured output. */
    {CHAT(",\"structured_outputs\":{}"), 400, "BadRequestError", NULL, "none are specified: {}"},
    {CHAT(",\"structured_outputs\":{\"regex\":\"a\",\"choice\":[\"b\"]}"), 400, "BadRequestError", NULL,
        "You can only use one kind of constraints for structured outputs ('json', 'regex' or 'choice')."},
    {CHAT(",\"structured_outputs\":{\"regex\":\"a\",\"grammar\":\"b\"}"), 400, "BadRequestError", NULL,
        "multiple are specified: {'regex', 'grammar'}"},
    {CHAT(TOOLS ",\"tool_choice\":{\"function\":{\"name\":\"f\"}},\"structured_outputs\":{\"regex\":\"a\"}"), 400,
        "BadRequestError", NULL, "either use constraints for structured outputs or tools, not both."},
    {COMPLETION(",\"structured_outputs\":{\"choice\":[]}"), 400, "BadRequestError", NULL,
        "Choice '[]' cannot be an empty list"},
    {COMPLETION(",\"structured_outputs\":{\"json\":\"\"}"), 400, "BadRequestError", NULL,
        "structured_outputs.json cannot be an empty string"},
    {COMPLETION(",\"structured_outputs\":{\"grammar\":\"\"}"), 400, "BadRequestError", NULL,
        "structured_outputs.grammar cannot be an empty string"},
    {COMPLETION(",\"structured_outputs\":{\"json\":\"{\"}"), 400, "BadRequestError", NULL,
        "Failed to transform json schema into a grammar"},
    {COMPLETION(",\"structured_outputs\":{\"json_object\":false}"), 400, "BadRequestError", NULL,
        "structured_outputs.json_object must be True if set"},
    {COMPLETION(",\"structured_outputs\":{\"json\":5}"), 400, "Bad Request", "body.structured_outputs.json",
        "dict_type"},
    {COMPLETION(",\"structured_outputs\":{\"choice\":[\"a\",1]}"), 400, "Bad Request",
        "body.structured_outputs.choice.1", "string_type"},
    {CHAT(",\"response_format\":{}"), 400, "Bad Request", "body.response_format.type", "missing"},
    {CHAT(",\"response_format\":{\"type\":\"xml\"}"), 400, "Bad Request", "body.response_format.type", "literal_error"},
    {CHAT(",\"response_format\":{\"type\":\"json_schema\"}"), 400, "BadRequestError", "response_format",
        "the 'json_schema' field must be provided."},
    {CHAT(",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\"}}"), 400, "BadRequestError",
        NULL, "none are specified"},
    {COMPLETION(",\"guided_choice\":[\"a\"],\"guided_regex\":\"b\""), 400, "BadRequestError", NULL,
        "You can only use one kind of constraints"},
    {COMPLETION(",\"guided_json\":\"{\""), 400, "BadRequestError", NULL, "Failed to transform json schema"},
    /* What steers a generation. */
    {COMPLETION(",\"use_beam_search\":true,\"stream\":true"), 400, "BadRequestError", NULL,
        "Streaming is not currently supported with beam search"},
    {COMPLETION(",\"use_beam_search\":true,\"echo\":true,\"logprobs\":1"), 400, "BadRequestError", NULL,
        "`echo` with `logprobs` is not supported with beam search"},
    {COMPLETION(",\"thinking_token_budget\":5"), 400, "BadRequestError", "thinking_token_budget",
        "this model has no reasoning parser"},
    {COMPLETION(",\"thinking_token_budget\":-2"), 400, "BadRequestError", "thinking_token_budget",
        "must be -1 (no limit) or at least 0, got -2."},
    {COMPLETION(",\"repetition_detection\":{\"max_pattern_size\":3,\"min_count\":1}"), 400, "BadRequestError",
        "repetition_detection", "min_count must be at least 2, got 1."},
    {COMPLETION(",\"repetition_detection\":{\"max_pattern_size\":3,\"min_pattern_size\":4,\"min_count\":2}"), 400,
        "BadRequestError", "repetition_detection", "at most max_pattern_size=3, got 4."},
    {COMPLETION(",\"repetition_detection\":{\"max_pattern_size\":-3}"), 400, "BadRequestError", "repetition_detection",
        "max_pattern_size must be in [0, 2147483647], got -3."},
    {COMPLETION(",\"stream_interval\":0"), 400, "Bad Request", "body.stream_interval", "greater_than_equal"},
    /* Known, and not built. */
    {COMPLETION(",\"prompt_embeds\":\"AA==\""), 400, "BadRequestError", "prompt_embeds",
        "prompt_embeds is not supported"},
    {COMPLETION(",\"best_of\":2"), 400, "BadRequestError", "best_of", "best_of"},
    {CHAT(",\"functions\":[{\"name\":\"f\"}]"), 400, "BadRequestError", "functions",
        "functions is not supported; use tools"},
    {CHAT(",\"mm_processor_kwargs\":{\"a\":1}"), 400, "BadRequestError", "mm_processor_kwargs", "mm_processor_kwargs"},
};

START_TEST(wrong_requests_are_refused_in_these_words)
{
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct exchange exchange;
        struct json_document *answer = NULL;
        const char *type = "", *param = "", *message = "";
        post(&exchange, refusals[i].body);
        ck_assert_int_eq(
            json_read(exchange.reply.data, exchange.reply.length, &json_limits_default, &answer, NULL), PDK_OK);
        const struct json *error = json_get(json_root(answer), "error");
        json_string(json_get(error, "type"), &type);
        json_string(json_get(error, "message"), &message);
        json_string(json_get(error, "param"), &param);
        ck_assert_msg(exchange.status == refusals[i].status && strcmp(type, refusals[i].type) == 0 &&
                          strcmp(param, refusals[i].param == NULL ? "" : refusals[i].param) == 0 &&
                          strstr(message, refusals[i].message) != NULL && exchange.added == 0,
            "%s\n gives %d %s", refusals[i].body, exchange.status, exchange.reply.data);
        json_document_free(answer);
        fake_done(&exchange);
    }
}
END_TEST

/* What is taken, and the words of its Warning. */
static const struct {
    const char *body, *warning;
} accepted[] = {
    {COMPLETION(""), ""},
    {COMPLETION(",\"n\":1.0,\"temperature\":\"0.5\",\"stream\":\"no\",\"max_tokens\":\" 7 \""), ""},
    {COMPLETION(",\"user\":\"u\",\"metadata\":{\"a\":\"b\"},\"store\":true"), ""},
    {COMPLETION(
         ",\"suffix\":null,\"guided_json\":null,\"best_of\":1,\"use_beam_search\":false,\"response_format\":null"),
        ""},
    {COMPLETION(",\"n\":3,\"best_of\":3"), ""},
    {COMPLETION(",\"response_format\":{\"type\":\"text\"}"), ""},
    {COMPLETION(",\"structured_outputs\":null,\"thinking_token_budget\":-1,\"length_penalty\":2"), ""},
    {COMPLETION(",\"use_beam_search\":true,\"n\":4,\"temperature\":0,\"length_penalty\":0.5"), ""},
    {COMPLETION(",\"kv_transfer_params\":{\"a\":1},\"service_tier\":\"flex\""),
        "no effect here: kv_transfer_params, service_tier\n"},
    {CHAT(",\"kv_transfer_params\":{\"a\":1}"), "no effect here: kv_transfer_params\n"},
    {CHAT(",\"kv_transfer_params\":{\"prompt_token_ids\":[1,49151]}"), ""},
    {CHAT(",\"kv_transfer_params\":{\"prompt_token_ids\":[1.5]},\"echo\":true"), ""},
    {COMPLETION(",\"service_tier\":\"auto\",\"stream_interval\":1"), ""},
    {COMPLETION(",\"a\":1,\"b\\\"\\n\":2"), "unknown and ignored: a, b??\n"},
    {COMPLETION(",\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1"),
        "unknown and ignored: a, b, c, d, e, f, g, h, ...\n"},
    {COMPLETION(",\"request_id\":\"a b\""), "request_id was replaced: it may have 1 to 128 of A-Za-z0-9._-\n"},
    {CHAT(",\"max_tokens\":null,\"n\":null,\"top_logprobs\":null,\"tool_choice\":\"none\""), ""},
    {CHAT(",\"modalities\":[\"text\"],\"verbosity\":\"low\""), "no effect here: verbosity\n"},
    {"{\"messages\":[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[]},{\"role\":\"tool\",\"content\":[\"a\","
     "{\"text\":\"b\"}]}]}",
        ""},
};

START_TEST(right_requests_reach_the_runtime)
{
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
        struct exchange exchange;
        post(&exchange, accepted[i].body); /* the script is empty: 503, as the replica is gone */
        ck_assert_msg(exchange.added == 1 && exchange.status == 503, "%s\n gives %d %s", accepted[i].body,
            exchange.status, exchange.reply.data);
        ck_assert_str_eq(exchange.warnings.length == 0 ? "" : exchange.warnings.data, accepted[i].warning);
        fake_done(&exchange);
    }
}
END_TEST

START_TEST(what_is_not_sent_stays_unset)
{
    struct exchange exchange;
    post(&exchange, COMPLETION(""));
    ck_assert_uint_eq(exchange.sampling.has, PDK_HAS_MAX_TOKENS);
    ck_assert_int_eq(exchange.sampling.max_tokens, 16);
    ck_assert_uint_eq(exchange.sampling.n, 1);
    ck_assert_uint_eq(exchange.flags, 0);
    fake_done(&exchange);
    post(&exchange, CHAT(",\"seed\":-1"));
    ck_assert_uint_eq(exchange.sampling.has, 0);
    ck_assert_uint_eq(exchange.message_count, 1);
    fake_done(&exchange);
}
END_TEST

START_TEST(what_is_sent_arrives)
{
    struct exchange exchange;
    post(&exchange,
        COMPLETION(
            ",\"temperature\":0.5,\"top_p\":0.25,\"top_k\":7,\"min_p\":0.125,\"repetition_penalty\":1.5,"
            "\"frequency_penalty\":1,\"presence_penalty\":-1,\"seed\":-9223372036854775808,\"max_tokens\":9,"
            "\"min_tokens\":2,\"logprobs\":3,\"prompt_logprobs\":0,\"n\":2,\"truncate_prompt_tokens\":-1,"
            "\"allowed_token_ids\":[1],\"stop\":\"x\",\"logit_bias\":{\"5\":1000},\"ignore_eos\":true,\"echo\":true,"
            "\"add_special_tokens\":false,\"skip_special_tokens\":false,\"truncation_side\":\"right\""));
    const pdk_sampling *got = &exchange.sampling;
    ck_assert_uint_eq(got->has, (1u << 14) - 1); /* all of them */
    ck_assert(got->temperature == 0.5 && got->top_p == 0.25 && got->min_p == 0.125 && got->repetition_penalty == 1.5);
    ck_assert(got->frequency_penalty == 1 && got->presence_penalty == -1);
    ck_assert_int_eq(got->seed, INT64_MIN);
    ck_assert_int_eq(got->top_k, 7);
    ck_assert_int_eq(got->max_tokens, 9);
    ck_assert_int_eq(got->min_tokens, 2);
    ck_assert_int_eq(got->logprobs, 3);
    ck_assert_int_eq(got->prompt_logprobs, 0);
    ck_assert_int_eq(got->truncate_prompt, -1);
    ck_assert_uint_eq(got->n, 2);
    ck_assert_uint_eq(exchange.stop_count, 1);
    ck_assert_uint_eq(exchange.bias_count, 1);
    ck_assert_uint_eq(exchange.flags, PDK_FLAG_IGNORE_EOS | PDK_FLAG_ECHO | PDK_FLAG_NO_SPECIAL_TOKENS |
                                          PDK_FLAG_KEEP_SPECIAL | PDK_FLAG_TRUNCATE_RIGHT);
    fake_done(&exchange);
    post(&exchange, CHAT(",\"stream\":true,\"continue_final_message\":true,\"add_special_tokens\":true"));
    ck_assert_uint_eq(exchange.flags,
        PDK_FLAG_STREAM | PDK_FLAG_CONTINUE_FINAL | PDK_FLAG_NO_GENERATION_PROMPT | PDK_FLAG_ADD_SPECIAL_TOKENS);
    fake_done(&exchange);
}
END_TEST

/* Tools, guides and templates, as the runtime gets them. */
static const struct {
    const char *body, *holds;
} arrivals[] = {
    {CHAT(TOOLS), "tools=[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}] choice=1 guide=0/0"},
    {CHAT(TOOLS ",\"tool_choice\":\"none\""), "choice=0 "},
    {CHAT(TOOLS ",\"tool_choice\":\"required\""), "choice=2 "},
    {CHAT(TOOLS ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}"), "choice=3 tool=f "},
    {CHAT(",\"response_format\":{\"type\":\"json_object\"}"), "guide=2/0 "},
    {CHAT(",\"response_format\":{\"type\":\"text\"},\"structured_outputs\":{\"regex\":\"a+\"}"), "guide=3/0 guided=a+"},
    {CHAT(",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\",\"schema\":{\"a\":1}}},"
          "\"structured_outputs\":{\"regex\":\"a+\"}"),
        "guide=1/0 guided={\"a\":1} "},
    {CHAT(",\"response_format\":{\"type\":\"structural_tag\",\"format\":{\"a\":1}}"),
        "guide=6/0 guided={\"type\":\"structural_tag\",\"format\":{\"a\":1}} "},
    {COMPLETION(",\"structured_outputs\":{\"json\":{},\"disable_any_whitespace\":true,"
                "\"disable_additional_properties\":true,\"whitespace_pattern\":\" ?\"}"),
        "guide=1/3 guided={} whitespace= ? "},
    {COMPLETION(",\"structured_outputs\":{\"json\":\"{\\\"a\\\": 1}\"}"), "guide=1/0 guided={\"a\": 1} "},
    {COMPLETION(",\"structured_outputs\":{\"choice\":[\"a\",\"\\\"\"]}"), "guide=4/0 guided=[\"a\",\"\\\"\"] "},
    {COMPLETION(",\"structured_outputs\":{\"json_object\":true}"), "guide=2/0 "},
    {COMPLETION(",\"structured_outputs\":{\"grammar\":\"root ::= x\"}"), "guide=5/0 guided=root ::= x "},
    {COMPLETION(",\"guided_choice\":[\"a\"],\"guided_decoding_backend\":\"x\""), "guide=4/0 guided=[\"a\"] "},
    {COMPLETION(",\"guided_json\":{\"b\":2},\"guided_whitespace_pattern\":\" \""),
        "guide=1/0 guided={\"b\":2} whitespace=  "},
    {CHAT(",\"reasoning_effort\":\"none\",\"chat_template_kwargs\":{\"k\":[1]}"),
        "vars={\"reasoning_effort\":\"none\",\"enable_thinking\":false,\"k\":[1]} "},
    {CHAT(",\"chat_template\":\"{{ 1 }}\""), "template={{ 1 }} "},
};

START_TEST(tools_and_guides_arrive)
{
    for (size_t i = 0; i < sizeof arrivals / sizeof *arrivals; i++) {
        struct exchange exchange;
        bool chat = strstr(arrivals[i].body, "\"messages\"") != NULL;
        fake_init(&exchange, "/", arrivals[i].body);
        exchange.ready.auto_tools = exchange.ready.forced_tools = true;
        exchange.ready.api_flags = PDK_API_REQUEST_TEMPLATE;
        (chat ? openai_chat_completions : openai_completions)(&exchange);
        ck_assert_msg(exchange.added == 1 && strstr(exchange.seen.data, arrivals[i].holds) != NULL, "%s\n gives %s %s",
            arrivals[i].body, exchange.seen.data, exchange.reply.data);
        fake_done(&exchange);
    }
}
END_TEST

START_TEST(what_steers_arrives)
{
    struct exchange exchange;
    fake_init(&exchange, "/",
        CHAT(",\"thinking_token_budget\":7,\"stream_interval\":5,\"include_reasoning\":false,\"use_beam_search\":true,"
             "\"length_penalty\":0.5,\"n\":3,\"parallel_tool_calls\":false,\"repetition_detection\":"
             "{\"max_pattern_size\":4,\"min_count\":3}" TOOLS));
    exchange.ready.parses_reasoning = exchange.ready.auto_tools = true;
    openai_chat_completions(&exchange);
    ck_assert_uint_eq(exchange.added, 1);
    ck_assert_uint_eq(exchange.flags, PDK_FLAG_NO_REASONING | PDK_FLAG_BEAM_SEARCH | PDK_FLAG_ONE_TOOL_CALL);
    ck_assert_int_eq(exchange.sampling.thinking_budget, 7);
    ck_assert_uint_eq(exchange.sampling.stream_interval, 5);
    ck_assert_uint_eq(exchange.sampling.repetition_max_pattern, 4);
    ck_assert_uint_eq(exchange.sampling.repetition_min_pattern, 1);
    ck_assert_uint_eq(exchange.sampling.repetition_min_count, 3);
    ck_assert(exchange.sampling.length_penalty == 0.5);
    fake_done(&exchange);
}
END_TEST

START_TEST(a_batch_is_a_request_a_conversation)
{
    static const char body[] = "{\"messages\":[[{\"role\":\"user\",\"content\":\"a\"}],[{\"role\":\"user\",\"content\":"
                               "\"b\"}]]}";
    struct exchange exchange;
    fake_init(&exchange, "/v1/chat/completions/batch", body);
    openai_chat_batch(&exchange);
    ck_assert_uint_eq(exchange.added, 2);
    ck_assert_ptr_nonnull(strstr(exchange.seen.data, "message={\"role\":\"user\",\"content\":\"b\"}"));
    fake_done(&exchange);
    fake_init(&exchange, "/v1/chat/completions/batch", "{\"messages\":[[]],\"stream\":true}");
    openai_chat_batch(&exchange);
    ck_assert_int_eq(exchange.status, 400);
    ck_assert_ptr_nonnull(strstr(exchange.reply.data, "cannot be streamed"));
    fake_done(&exchange);
}
END_TEST

START_TEST(the_models_own_limits_hold)
{
    struct exchange exchange;
    fake_init(&exchange, "/v1/chat/completions", CHAT(""));
    exchange.ready.has_template = false;
    openai_chat_completions(&exchange);
    ck_assert_int_eq(exchange.status, 400);
    ck_assert_ptr_nonnull(strstr(exchange.reply.data, "no chat template"));
    fake_done(&exchange);
    fake_init(&exchange, "/v1/completions", COMPLETION(""));
    exchange.ready.has_tokenizer = false;
    openai_completions(&exchange);
    ck_assert_int_eq(exchange.status, 400);
    ck_assert_ptr_nonnull(strstr(exchange.reply.data, "no tokenizer"));
    fake_done(&exchange);
    fake_init(&exchange, "/v1/completions", COMPLETION(",\"n\":2"));
    exchange.ready.defaults.has = PDK_HAS_TEMPERATURE; /* generation_config.json says greedy */
    openai_completions(&exchange);
    ck_assert_ptr_nonnull(strstr(exchange.reply.data, "n must be 1 when using greedy sampling, got 2."));
    fake_done(&exchange);
    fake_init(&exchange, "/v1/completions", COMPLETION(",\"logprobs\":-1"));
    exchange.ready.max_logprobs = UINT32_MAX;
    openai_completions(&exchange);
    ck_assert_int_eq(exchange.sampling.logprobs, -1);
    fake_done(&exchange);
}
END_TEST

/* /tokenize and /detokenize: what they refuse, by type and param. */
static const struct {
    void (*handle)(struct exchange *exchange);
    const char *body, *holds;
} conversions[] = {
    {openai_tokenize, "{}", "\"param\":\"body.prompt\""},
    {openai_tokenize, "{\"prompt\":5}", "string_type"},
    {openai_tokenize, "{\"prompt\":null}", "string_type"},
    {openai_tokenize, "{\"messages\":[]}", "an empty conversation"},
    {openai_tokenize, "{\"messages\":[{\"role\":\"user\"}],\"chat_template\":\"x\"}", "untrusted chat template"},
    {openai_tokenize, "{\"messages\":[],\"continue_final_message\":true,\"add_generation_prompt\":true}",
        "Cannot set both"},
    {openai_detokenize, "{}", "\"param\":\"body.tokens\""},
    {openai_detokenize, "{\"tokens\":[1,-1]}", "\"param\":\"body.tokens.1\""},
};

START_TEST(conversions_refuse_by_name)
{
    for (size_t i = 0; i < sizeof conversions / sizeof *conversions; i++) {
        struct exchange exchange;
        fake_init(&exchange, "/", conversions[i].body);
        conversions[i].handle(&exchange);
        ck_assert_uint_eq(exchange.replies, 1);
        ck_assert_msg(exchange.status == 400 && strstr(exchange.reply.data, conversions[i].holds) != NULL,
            "%s\n gives %d %s", conversions[i].body, exchange.status, exchange.reply.data);
        fake_done(&exchange);
    }
}
END_TEST

START_TEST(many_prompts_have_a_limit)
{
    struct exchange exchange;
    struct buffer body = {0};
    buffer_puts(&body, "{\"prompt\":[\"a\"");
    for (int i = 0; i < 1024; i++)
        buffer_puts(&body, ",\"a\"");
    buffer_puts(&body, "]}");
    post(&exchange, body.data);
    ck_assert_int_eq(exchange.status, 400);
    ck_assert_ptr_nonnull(strstr(exchange.reply.data, "at most 1024 items, not 1025"));
    fake_done(&exchange);
    buffer_done(&body);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("openai_request");
    TCase *tests = tcase_create("request");
    tcase_add_test(tests, wrong_requests_are_refused_in_these_words);
    tcase_add_test(tests, right_requests_reach_the_runtime);
    tcase_add_test(tests, what_is_not_sent_stays_unset);
    tcase_add_test(tests, what_is_sent_arrives);
    tcase_add_test(tests, tools_and_guides_arrive);
    tcase_add_test(tests, what_steers_arrives);
    tcase_add_test(tests, a_batch_is_a_request_a_conversation);
    tcase_add_test(tests, the_models_own_limits_hold);
    tcase_add_test(tests, conversions_refuse_by_name);
    tcase_add_test(tests, many_prompts_have_a_limit);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
