/* Answers whose text was read for reasoning and tool calls: whole and as chunks. */
#include "config.h"

#include "check_main.h"
#include "fake_exchange.h"

#include "core/gateway/openai/openai.h"

#include <string.h>

#define TOOLS  "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]"
#define ASK(x) "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]" x "}"

#define TEXT(s)         \
    {                   \
        s, sizeof s - 1 \
    }
#define CONTENT(s)                                 \
    {                                              \
        .kind = PDK_DELTA_CONTENT, .text = TEXT(s) \
    }
#define REASONING(s)                                 \
    {                                                \
        .kind = PDK_DELTA_REASONING, .text = TEXT(s) \
    }
#define CALL(at, s, own)                                                            \
    {                                                                               \
        .kind = PDK_DELTA_CALL, .call = (at), .text = TEXT(s), .call_id = TEXT(own) \
    }
#define ARGUMENTS(at, s)                                           \
    {                                                              \
        .kind = PDK_DELTA_ARGUMENTS, .call = (at), .text = TEXT(s) \
    }
#define END        \
    {              \
        .index = 0 \
    }

static const uint32_t one_id[] = {7};

#define PARSED(list, how, more)                       \
    {                                                 \
        .index = 0, .is_part = true, .part = {        \
            .size = sizeof(pdk_part),                 \
            .flags = PDK_PART_PARSED | (more),        \
            .text = {"raw", 3},                       \
            .finish = (how),                          \
            .token_count = 1,                         \
            .token_ids = one_id,                      \
            .prompt_tokens = 9,                       \
            .completion_tokens = 4,                   \
            .reasoning_tokens = 2,                    \
            .deltas = list,                           \
            .delta_count = sizeof list / sizeof *list \
        }                                             \
    }
#define SILENT(how)                            \
    {                                          \
        .index = 0, .is_part = true, .part = { \
            .size = sizeof(pdk_part),          \
            .flags = PDK_PART_PARSED,          \
            .finish = (how),                   \
            .token_count = 1,                  \
            .token_ids = one_id,               \
            .prompt_tokens = 9                 \
        }                                      \
    }

static void play(struct exchange *exchange, const char *body, const struct fake_event *events, size_t count)
{
    fake_init(exchange, "/v1/chat/completions", body);
    exchange->ready.auto_tools = exchange->ready.forced_tools = exchange->ready.parses_reasoning = true;
    exchange->events = events;
    exchange->event_count = count;
    openai_chat_completions(exchange);
    ck_assert_uint_eq(exchange->replies, 1);
    ck_assert(!exchange->streamed || exchange->ended);
}

static bool has(const struct exchange *exchange, const char *text)
{
    return strstr(exchange->reply.data, text) != NULL;
}

static const pdk_delta thought[] = {REASONING("hm"), REASONING("m"), CONTENT("So: ")};
static const pdk_delta calls[] = {
    CALL(0, "f", ""), ARGUMENTS(0, "{\"a\""), ARGUMENTS(0, ":1}"), CALL(1, "g", "call-9")};
static const struct fake_event all[] = {
    PARSED(thought, PDK_FINISH_NONE, 0), PARSED(calls, PDK_FINISH_STOP, PDK_PART_CALLED), END};

START_TEST(reasoning_and_calls_stand_apart)
{
    struct exchange exchange;
    play(&exchange, ASK("," TOOLS), all, 3);
    ck_assert_int_eq(exchange.status, 200);
    ck_assert(has(&exchange, "\"content\":\"So: \",\"refusal\":null"));
    ck_assert(has(&exchange, "\"function_call\":null,\"tool_calls\":[{\"id\":\"chatcmpl-tool-"));
    ck_assert(
        has(&exchange, "\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}},"
                       "{\"id\":\"call-9\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}}],"
                       "\"reasoning\":\"hmm\",\"reasoning_content\":\"hmm\"}"));
    ck_assert(has(&exchange, "\"finish_reason\":\"tool_calls\""));
    ck_assert(has(&exchange, "\"completion_tokens_details\":{\"reasoning_tokens\":2}"));
    ck_assert(!has(&exchange, "raw"));
    fake_done(&exchange);
}
END_TEST

START_TEST(content_is_null_where_calls_are_all)
{
    static const struct fake_event only[] = {PARSED(calls, PDK_FINISH_STOP, PDK_PART_CALLED), END};
    struct exchange exchange;
    play(&exchange, ASK("," TOOLS), only, 2);
    ck_assert(has(&exchange, "\"content\":null"));
    fake_done(&exchange);
    play(&exchange, ASK("," TOOLS ",\"tool_choice\":\"required\""), only, 2);
    ck_assert(has(&exchange, "\"content\":\"\"") && has(&exchange, "\"finish_reason\":\"tool_calls\""));
    fake_done(&exchange);
    play(&exchange, ASK("," TOOLS ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}"), only, 2);
    ck_assert(has(&exchange, "\"content\":\"\"") && has(&exchange, "\"finish_reason\":\"stop\""));
    fake_done(&exchange);
}
END_TEST

START_TEST(the_length_ends_a_call_as_such)
{
    static const struct fake_event cut[] = {PARSED(calls, PDK_FINISH_LENGTH, PDK_PART_CALLED), END};
    struct exchange exchange;
    play(&exchange, ASK("," TOOLS), cut, 2);
    ck_assert(has(&exchange, "\"finish_reason\":\"length\""));
    fake_done(&exchange);
}
END_TEST

START_TEST(each_delta_is_a_chunk)
{
    struct exchange exchange;
    play(&exchange, ASK(",\"stream\":true," TOOLS), all, 3);
    const char *at = exchange.reply.data;
    static const char *const order[] = {"\"delta\":{\"role\":\"assistant\",\"content\":\"\"}",
        "\"delta\":{\"reasoning\":\"hm\",\"reasoning_content\":\"hm\"},\"logprobs\":null,\"finish_reason\":null",
        "\"delta\":{\"reasoning\":\"m\",", "\"delta\":{\"content\":\"So: \"}",
        "\"delta\":{\"content\":null,\"tool_calls\":[{\"id\":\"chatcmpl-tool-",
        "\",\"type\":\"function\",\"index\":0,\"function\":{\"name\":\"f\"}}]}",
        "\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\\\"\"}}]}",
        "\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\":1}\"}}]}",
        "\"tool_calls\":[{\"id\":\"call-9\",\"type\":\"function\",\"index\":1,\"function\":{\"name\":\"g\"}}]}",
        "\"finish_reason\":\"tool_calls\",\"stop_reason\":null", "data: [DONE]"};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        at = strstr(at, order[i]);
        ck_assert_msg(at != NULL, "%s\n is not where it should be in\n%s", order[i], exchange.reply.data);
    }
    fake_done(&exchange);
}
END_TEST

START_TEST(a_step_that_shows_nothing_sends_nothing)
{
    static const struct fake_event quiet[] = {
        SILENT(PDK_FINISH_NONE), SILENT(PDK_FINISH_NONE), SILENT(PDK_FINISH_STOP), END};
    struct exchange exchange;
    play(&exchange, ASK(",\"stream\":true," TOOLS), quiet, 4);
    size_t chunks = 0;
    for (const char *at = strstr(exchange.reply.data, "\"index\""); at != NULL; at = strstr(at + 1, "\"index\""))
        chunks++;
    ck_assert_uint_eq(chunks, 2); /* the role, and the end */
    ck_assert(has(&exchange, "\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\""));
    fake_done(&exchange);
    play(&exchange, ASK(",\"stream\":true,\"return_token_ids\":true," TOOLS), quiet, 4);
    chunks = 0;
    for (const char *at = strstr(exchange.reply.data, "\"token_ids\":[7]"); at != NULL;
         at = strstr(at + 1, "\"token_ids\":[7]"))
        chunks++;
    ck_assert_uint_eq(chunks, 3);
    fake_done(&exchange);
}
END_TEST

START_TEST(deltas_of_calls_that_have_not_begun_end_the_answer)
{
    static const pdk_delta early[] = {ARGUMENTS(0, "{")}, far[] = {CALL(3, "f", "")};
    static const struct fake_event first[] = {PARSED(early, PDK_FINISH_NONE, 0)},
                                   second[] = {PARSED(far, PDK_FINISH_NONE, 0)};
    struct exchange exchange;
    play(&exchange, ASK("," TOOLS), first, 1);
    ck_assert_int_eq(exchange.status, 500);
    fake_done(&exchange);
    play(&exchange, ASK("," TOOLS), second, 1);
    ck_assert_int_eq(exchange.status, 500);
    fake_done(&exchange);
}
END_TEST

START_TEST(usage_tells_details_where_asked)
{
    struct exchange exchange;
    fake_init(&exchange, "/v1/chat/completions", ASK(",\"stream\":true"));
    exchange.ready.api_flags = PDK_API_PROMPT_DETAILS | PDK_API_FORCE_USAGE;
    exchange.ready.response_role = (char *)"bot";
    exchange.ready.fingerprint_mode = PDK_FINGERPRINT_NONE;
    exchange.events = all;
    exchange.event_count = 3;
    openai_chat_completions(&exchange);
    ck_assert(has(&exchange, "\"prompt_tokens_details\":{\"cached_tokens\":0,\"created_cache_tokens\":0}"));
    ck_assert(has(&exchange, "\"delta\":{\"role\":\"bot\""));
    ck_assert(has(&exchange, "\"system_fingerprint\":null"));
    fake_done(&exchange);
}
END_TEST

START_TEST(silence_is_filled_with_comments)
{
    static const struct fake_event slow[] = {{.status = PDK_TIMEOUT}, PARSED(thought, PDK_FINISH_NONE, 0),
        {.status = PDK_TIMEOUT}, {.status = PDK_TIMEOUT}, SILENT(PDK_FINISH_STOP), END};
    struct exchange exchange;
    fake_init(&exchange, "/v1/chat/completions", ASK(",\"stream\":true"));
    exchange.ready.keep_alive_ms = 10;
    exchange.events = slow;
    exchange.event_count = 6;
    openai_chat_completions(&exchange);
    const char *first = strstr(exchange.reply.data, ": keep-alive\n\n");
    ck_assert(first != NULL && strstr(first + 1, ": keep-alive\n\n") != NULL);
    ck_assert(first > strstr(exchange.reply.data, "So: ")); /* nothing goes out before the first part */
    fake_done(&exchange);
}
END_TEST

START_TEST(invocations_go_by_their_fields)
{
    static const struct {
        const char *body, *holds;
    } rows[] = {{ASK(""), "the script has ended"}, {"{\"prompt\":\"a\"}", "the script has ended"},
        {"{\"input\":\"a\"}", "Embeddings API"}, {"{\"text_1\":\"a\",\"text_2\":\"b\"}", "Score API"},
        {"{\"query\":\"a\",\"documents\":\"b\"}", "Rerank (Score) API"},
        {"{\"input\":\"a\",\"task\":null}", "Pooling API"},
        {"{\"x\":1}", "Cannot find suitable handler for request. Expected one of:"}, {"[", "Cannot find suitable"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct exchange exchange;
        fake_init(&exchange, "/invocations", rows[i].body);
        openai_invocations(&exchange);
        ck_assert_uint_eq(exchange.replies, 1);
        ck_assert_msg(has(&exchange, rows[i].holds), "%s\n gives %s", rows[i].body, exchange.reply.data);
        fake_done(&exchange);
    }
}
END_TEST

START_TEST(the_tokenizers_own_words_are_told)
{
    static const struct fake_event info[] = {
        {.is_part = true, .part = {.size = sizeof(pdk_part), .text = {"{\"a\":1}", 7}}}, END};
    struct exchange exchange;
    fake_init(&exchange, "/tokenizer_info", NULL);
    openai_tokenizer_info(&exchange);
    ck_assert_int_eq(exchange.status, 404);
    fake_done(&exchange);
    fake_init(&exchange, "/tokenizer_info", NULL);
    exchange.ready.api_flags = PDK_API_TOKENIZER_INFO;
    exchange.events = info;
    exchange.event_count = 2;
    openai_tokenizer_info(&exchange);
    ck_assert_str_eq(exchange.reply.data, "{\"a\":1}");
    fake_done(&exchange);
    fake_init(&exchange, "/sleep", NULL);
    openai_refuse_operation(&exchange);
    ck_assert_int_eq(exchange.status, 501);
    ck_assert(has(&exchange, "/sleep is known and not served here"));
    fake_done(&exchange);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("openai_parsed");
    TCase *tests = tcase_create("parsed");
    tcase_add_test(tests, reasoning_and_calls_stand_apart);
    tcase_add_test(tests, content_is_null_where_calls_are_all);
    tcase_add_test(tests, the_length_ends_a_call_as_such);
    tcase_add_test(tests, each_delta_is_a_chunk);
    tcase_add_test(tests, a_step_that_shows_nothing_sends_nothing);
    tcase_add_test(tests, deltas_of_calls_that_have_not_begun_end_the_answer);
    tcase_add_test(tests, usage_tells_details_where_asked);
    tcase_add_test(tests, silence_is_filled_with_comments);
    tcase_add_test(tests, invocations_go_by_their_fields);
    tcase_add_test(tests, the_tokenizers_own_words_are_told);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
