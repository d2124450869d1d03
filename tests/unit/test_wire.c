/* Requests and parts, to bytes and back. */
#include "config.h"

#include "core/ipc/wire.h"

#include "check_main.h"
#include "core/base/error.h"

#include <string.h>

#define STRING(text)           \
    {                          \
        text, sizeof(text) - 1 \
    }

static void expect_string(pdk_string got, pdk_string wanted)
{
    ck_assert_uint_eq(got.length, wanted.length);
    ck_assert_int_eq(got.data == NULL, wanted.data == NULL);
    if (got.length != 0)
        ck_assert_int_eq(memcmp(got.data, wanted.data, got.length), 0);
}

static const uint32_t ids[] = {1, 2, 0xFFFFFFFF}, stops_ids[] = {7};
static const pdk_bias biases[] = {{5, -1.5f}, {6, 100}};
static const pdk_message messages[] = {{STRING("user"), STRING("hi"), STRING("{\"role\":\"user\"}")},
    {STRING("tool"), {NULL, 0}, STRING("{}")}, {STRING(""), STRING(""), STRING("")}};
static const pdk_string stops[] = {STRING("."), STRING("a\0b")}, bad_words[] = {STRING("damn")};

static const pdk_request whole = {
    .size = sizeof whole,
    .kind = PDK_KIND_GENERATE,
    .tenant = UINT64_MAX,
    .deadline_ms = -5,
    .priority = -3,
    .flags = PDK_FLAG_STREAM | PDK_FLAG_ECHO,
    .adapter = STRING("lora"),
    .cache_salt = STRING("salt"),
    .token_ids = ids,
    .token_count = 3,
    .text = STRING("text"),
    .messages = messages,
    .message_count = 3,
    .tools_json = STRING("[]"),
    .documents_json = STRING("[1]"),
    .template_vars_json = STRING("{}"),
    .template_text = STRING("{{ x }}"),
    .tool_name = STRING("f"),
    .tools = PDK_TOOLS_NAMED,
    .guide = {.kind = PDK_GUIDE_REGEX,
        .flags = PDK_GUIDE_NO_WHITESPACE,
        .text = STRING("a+"),
        .whitespace = STRING(" ?")},
    .pair_text = STRING("pair"),
    .pair_ids = ids,
    .pair_count = 2,
    .pooling = {.task = PDK_POOL_SCORE, .use_activation = -1, .dimensions = 8, .max_query_tokens = 1},
    .sampling = {.size = sizeof(pdk_sampling),
        .has = 0x3FFF,
        .temperature = 0.5,
        .top_p = 0.9,
        .min_p = 0.1,
        .repetition_penalty = 1.1,
        .frequency_penalty = -2,
        .presence_penalty = 2,
        .seed = INT64_MIN,
        .truncate_prompt = -1,
        .top_k = -1,
        .max_tokens = 16,
        .min_tokens = 1,
        .logprobs = 20,
        .prompt_logprobs = -1,
        .n = 4,
        .thinking_budget = -1,
        .length_penalty = 0.5,
        .repetition_max_pattern = 3,
        .stream_interval = 2},
    .stop = stops,
    .stop_count = 2,
    .stop_token_ids = stops_ids,
    .stop_token_count = 1,
    .biases = biases,
    .bias_count = 2,
    .allowed_token_ids = ids,
    .allowed_token_count = 2,
    .bad_words = bad_words,
    .bad_word_count = 1,
    .logprob_token_ids = ids,
    .logprob_token_count = 1,
    .produced_ids = ids,
    .produced_count = 3,
};

static void expect_lists(const pdk_request *got)
{
    ck_assert_uint_eq(got->token_count, 3);
    ck_assert_mem_eq(got->token_ids, ids, sizeof ids);
    ck_assert_uint_eq(got->stop_token_count, 1);
    ck_assert_uint_eq(got->stop_token_ids[0], 7);
    ck_assert_uint_eq(got->bias_count, 2);
    ck_assert_mem_eq(got->biases, biases, sizeof biases);
    ck_assert_uint_eq(got->allowed_token_count, 2);
    ck_assert_mem_eq(got->allowed_token_ids, ids, 8);
    ck_assert_uint_eq(got->logprob_token_count, 1);
    ck_assert_uint_eq(got->produced_count, 3);
    ck_assert_mem_eq(got->produced_ids, ids, sizeof ids);
}

START_TEST(test_request)
{
    struct buffer body = {0};
    pdk_request got;
    void *memory = NULL;
    pdk_error err;
    ck_assert_int_eq(wire_request_encode(&body, &whole, &err), PDK_OK);
    ck_assert_int_eq(wire_request_decode(body.data, body.length, &got, &memory, &err), PDK_OK);
    ck_assert_uint_eq(got.id, 0);
    ck_assert_uint_eq(got.tenant, UINT64_MAX);
    ck_assert_int_eq(got.deadline_ms, -5);
    ck_assert_int_eq(got.priority, -3);
    ck_assert_uint_eq(got.flags, whole.flags);
    ck_assert_mem_eq(&got.sampling, &whole.sampling, sizeof got.sampling);
    expect_string(got.adapter, whole.adapter);
    expect_string(got.cache_salt, whole.cache_salt);
    expect_string(got.text, whole.text);
    expect_string(got.tools_json, whole.tools_json);
    expect_string(got.documents_json, whole.documents_json);
    expect_string(got.template_vars_json, whole.template_vars_json);
    expect_string(got.template_text, whole.template_text);
    expect_string(got.tool_name, whole.tool_name);
    ck_assert_int_eq(got.tools, PDK_TOOLS_NAMED);
    ck_assert_int_eq(got.guide.kind, PDK_GUIDE_REGEX);
    ck_assert_uint_eq(got.guide.flags, PDK_GUIDE_NO_WHITESPACE);
    expect_string(got.guide.text, whole.guide.text);
    expect_string(got.guide.whitespace, whole.guide.whitespace);
    expect_string(got.pair_text, whole.pair_text);
    ck_assert_uint_eq(got.pair_count, 2);
    ck_assert_mem_eq(got.pair_ids, ids, 8);
    ck_assert_mem_eq(&got.pooling, &whole.pooling, sizeof got.pooling);
    expect_lists(&got);
    for (size_t i = 0; i < 3; i++) {
        expect_string(got.messages[i].role, messages[i].role);
        expect_string(got.messages[i].content, messages[i].content);
        expect_string(got.messages[i].json, messages[i].json);
    }
    expect_string(got.stop[0], stops[0]);
    expect_string(got.stop[1], stops[1]);
    expect_string(got.bad_words[0], bad_words[0]);
    free(memory);
    buffer_done(&body);
}
END_TEST

START_TEST(test_empty_request)
{
    /* No text is not the text "". */
    struct buffer body = {0};
    pdk_request got, empty = {.kind = PDK_KIND_TOKENIZE};
    void *memory = &memory;
    pdk_error err;
    ck_assert_int_eq(wire_request_encode(&body, &empty, &err), PDK_OK);
    ck_assert_uint_eq(body.length, sizeof(struct wire_request));
    ck_assert_int_eq(wire_request_decode(body.data, body.length, &got, &memory, &err), PDK_OK);
    ck_assert_ptr_null(memory);
    ck_assert_ptr_null(got.text.data);
    ck_assert_ptr_null(got.token_ids);
    ck_assert_ptr_null(got.messages);
    ck_assert_uint_eq(got.adapter.length, 0);
    ck_assert_uint_eq(got.size, sizeof got);
    buffer_done(&body);
}
END_TEST

START_TEST(test_no_prefix_decodes)
{
    struct buffer body = {0};
    pdk_request got;
    pdk_error err;
    ck_assert_int_eq(wire_request_encode(&body, &whole, &err), PDK_OK);
    for (size_t length = 0; length < body.length; length++) {
        void *memory = NULL, *exact = malloc(length != 0 ? length : 1);
        memcpy(exact, body.data, length);
        ck_assert_int_eq(wire_request_decode(exact, length, &got, &memory, &err), PDK_INVALID);
        ck_assert_ptr_null(memory);
        free(exact);
    }
    buffer_putc(&body, 'x');
    void *memory = NULL;
    ck_assert_int_eq(wire_request_decode(body.data, body.length, &got, &memory, &err), PDK_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "the strings of a request do not fill its"));
    buffer_done(&body);
}
END_TEST

static const pdk_logprob logprobs[] = {{.token = 1, .rank = 1, .logprob = -0.5f, .text = STRING("a")},
    {.token = 2, .rank = 7, .logprob = -9, .text = STRING("")},
    {.token = 3, .rank = 2, .logprob = -1, .text = STRING("\xC3")}};
static const uint32_t counts[] = {0, 2, 1};
static const pdk_string pieces[] = {STRING("\xC4\xA0the"), STRING("")};
static const float values[] = {1, -2, 0.5f, 4, 5, 6};
static const pdk_delta deltas[] = {{.kind = PDK_DELTA_CALL, .call = 1, .text = STRING("f"), .call_id = STRING("id")},
    {.kind = PDK_DELTA_ARGUMENTS, .call = 1, .text = STRING("{")}};
static const pdk_part full_part = {
    .size = sizeof full_part,
    .flags = PDK_PART_PROMPT,
    .choice = 3,
    .finish = PDK_FINISH_STOP,
    .stop_kind = PDK_STOP_STRING,
    .stop_token = 9,
    .stop_string = STRING("END"),
    .token_ids = ids,
    .token_count = 3,
    .text = STRING("text"),
    .logprobs = logprobs,
    .logprob_counts = counts,
    .position_count = 3,
    .logprob_count = 3,
    .pieces = pieces,
    .piece_count = 2,
    .prompt_tokens = 10,
    .cached_tokens = 8,
    .completion_tokens = 5,
    .reasoning_tokens = 2,
    .values = values,
    .value_rows = 2,
    .value_columns = 3,
    .deltas = deltas,
    .delta_count = 2,
};

START_TEST(test_part)
{
    struct buffer body = {0};
    pdk_part got;
    void *memory = NULL;
    pdk_error err;
    ck_assert_int_eq(wire_part_encode(&body, &full_part, &err), PDK_OK);
    ck_assert_int_eq(wire_part_decode(body.data, body.length, &got, &memory, &err), PDK_OK);
    ck_assert_uint_eq(got.flags, PDK_PART_PROMPT);
    ck_assert_uint_eq(got.choice, 3);
    ck_assert_int_eq(got.finish, PDK_FINISH_STOP);
    ck_assert_int_eq(got.stop_kind, PDK_STOP_STRING);
    ck_assert_uint_eq(got.stop_token, 9);
    expect_string(got.stop_string, full_part.stop_string);
    expect_string(got.text, full_part.text);
    ck_assert_mem_eq(got.token_ids, ids, sizeof ids);
    ck_assert_mem_eq(got.logprob_counts, counts, sizeof counts);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(got.logprobs[i].token, logprobs[i].token);
        ck_assert_int_eq(got.logprobs[i].rank, logprobs[i].rank);
        ck_assert(got.logprobs[i].logprob == logprobs[i].logprob);
        expect_string(got.logprobs[i].text, logprobs[i].text);
    }
    expect_string(got.pieces[0], pieces[0]);
    expect_string(got.pieces[1], pieces[1]);
    ck_assert_uint_eq(got.prompt_tokens, 10);
    ck_assert_uint_eq(got.cached_tokens, 8);
    ck_assert_uint_eq(got.completion_tokens, 5);
    ck_assert_uint_eq(got.reasoning_tokens, 2);
    ck_assert_uint_eq(got.value_rows, 2);
    ck_assert_mem_eq(got.values, values, sizeof values);
    ck_assert_int_eq(got.deltas[0].kind, PDK_DELTA_CALL);
    ck_assert_uint_eq(got.deltas[1].call, 1);
    expect_string(got.deltas[0].call_id, deltas[0].call_id);
    expect_string(got.deltas[1].text, deltas[1].text);
    free(memory);
    for (size_t length = 0; length < body.length; length++)
        ck_assert_int_eq(wire_part_decode(body.data, length, &got, &memory, &err), PDK_INVALID);
    buffer_done(&body);
}
END_TEST

START_TEST(test_part_counts)
{
    struct buffer body = {0};
    pdk_error err;
    pdk_part part = full_part;
    part.logprob_count = 2;
    ck_assert_int_eq(wire_part_encode(&body, &part, &err), PDK_INVALID);
    ck_assert_str_eq(err.message, "the counts of 3 positions do not add up to 2 logprobs");
    ck_assert_str_eq(err.field, "logprob_counts");
    part = (pdk_part){.text = {"x", (size_t)WIRE_BODY_MAX + 1}};
    ck_assert_int_eq(wire_part_encode(&body, &part, &err), PDK_TOO_LARGE);
    buffer_done(&body);
}
END_TEST

START_TEST(test_error)
{
    struct buffer body = {0};
    pdk_error err, got, sent;
    pdk_error_value(&sent, PDK_TOO_LARGE, "prompt", "99", "a \"prompt\" of 99 tokens; the limit is 8");
    wire_error_encode(&body, &sent);
    ck_assert_int_eq(wire_error_decode(body.data, body.length, &got, &err), PDK_OK);
    ck_assert_int_eq(got.status, PDK_TOO_LARGE);
    ck_assert_str_eq(got.field, "prompt");
    ck_assert_str_eq(got.value, "99");
    ck_assert_str_eq(got.message, sent.message);
    const char *newer = "{\"status\":99,\"field\":\"\",\"value\":\"\",\"message\":\"m\",\"more\":1}";
    ck_assert_int_eq(wire_error_decode(newer, strlen(newer), &got, &err), PDK_OK);
    ck_assert_int_eq(got.status, PDK_INTERNAL);
    const char *fine = "{\"status\":0,\"field\":\"\",\"value\":\"\",\"message\":\"m\"}"; /* an error that is none */
    ck_assert_int_eq(wire_error_decode(fine, strlen(fine), &got, &err), PDK_OK);
    ck_assert_int_eq(got.status, PDK_INTERNAL);
    ck_assert_int_eq(wire_error_decode("[]", 2, &got, &err), PDK_INVALID);
    buffer_done(&body);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wire");
    TCase *tcase = tcase_create("wire");
    tcase_add_test(tcase, test_request);
    tcase_add_test(tcase, test_empty_request);
    tcase_add_test(tcase, test_no_prefix_decodes);
    tcase_add_test(tcase, test_part);
    tcase_add_test(tcase, test_part_counts);
    tcase_add_test(tcase, test_error);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
