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
        "tool_choice", "must be none"},
    {CHAT(",\"chat_template_kwargs\":{\"chat_template\":\"x\"}"), 400, "BadRequestError", NULL,
        "untrusted chat template."},
    /* Known, and not built. */
    {COMPLETION(",\"use_beam_search\":true"), 400, "BadRequestError", "use_beam_search", "use_beam_search"},
    {COMPLETION(",\"guided_regex\":\"a+\""), 400, "BadRequestError", "guided_regex", "guided_regex"},
    {COMPLETION(",\"prompt_embeds\":\"AA==\""), 400, "BadRequestError", "prompt_embeds",
        "prompt_embeds is not supported"},
    {COMPLETION(",\"best_of\":2"), 400, "BadRequestError", "best_of", "best_of"},
    {COMPLETION(",\"thinking_token_budget\":5"), 400, "BadRequestError", "thinking_token_budget",
        "thinking_token_budget"},
    {CHAT(",\"response_format\":{\"type\":\"json_object\"}"), 400, "BadRequestError", "response_format",
        "response_format"},
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
    {COMPLETION(",\"structured_outputs\":{},\"thinking_token_budget\":-1"), ""},
    {COMPLETION(",\"kv_transfer_params\":{\"a\":1},\"service_tier\":\"flex\""),
        "no effect here: kv_transfer_params, service_tier\n"},
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
    tcase_add_test(tests, the_models_own_limits_hold);
    tcase_add_test(tests, conversions_refuse_by_name);
    tcase_add_test(tests, many_prompts_have_a_limit);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
