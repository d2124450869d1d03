/* Anthropic's Messages API: what becomes of its bodies, and its messages, events and errors. */
#include "config.h"

#include "check_main.h"
#include "fake_exchange.h"

#include "core/gateway/anthropic/anthropic.h"

#include <string.h>

#define ASK(x) "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]" x "}"
#define SAY(x) "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[" x "]}"
#define TEXT(s)         \
    {                   \
        s, sizeof s - 1 \
    }
#define WORDS(s, how)                 \
    {                                 \
        .is_part = true, .part = {    \
            .size = sizeof(pdk_part), \
            .text = TEXT(s),          \
            .finish = (how),          \
            .token_count = 1,         \
            .token_ids = one_id,      \
            .prompt_tokens = 5,       \
            .cached_tokens = 4,       \
            .completion_tokens = 2    \
        }                             \
    }
#define PARSED(list, how, more)                       \
    {                                                 \
        .is_part = true, .part = {                    \
            .size = sizeof(pdk_part),                 \
            .flags = PDK_PART_PARSED | (more),        \
            .finish = (how),                          \
            .prompt_tokens = 5,                       \
            .completion_tokens = 6,                   \
            .deltas = list,                           \
            .delta_count = sizeof list / sizeof *list \
        }                                             \
    }
#define END        \
    {              \
        .index = 0 \
    }

static const uint32_t one_id[] = {7};
static const struct fake_event words[] = {WORDS("Hi", PDK_FINISH_NONE), WORDS(".", PDK_FINISH_STOP), END};

static void play(struct exchange *exchange, const char *body, const struct fake_event *events, size_t count)
{
    fake_init(exchange, "/v1/messages", body);
    exchange->ready.auto_tools = exchange->ready.forced_tools = exchange->ready.parses_reasoning = true;
    exchange->events = events;
    exchange->event_count = count;
    anthropic_messages(exchange);
    ck_assert_uint_eq(exchange->replies, 1);
    ck_assert(!exchange->streamed || exchange->ended);
}

static bool has(const struct exchange *exchange, const char *text)
{
    return strstr(exchange->reply.data, text) != NULL;
}

/* Bodies, and what the runtime gets. */
static const struct {
    const char *body, *holds;
} arrivals[] = {
    {ASK(",\"system\":[{\"type\":\"text\",\"text\":\"be \"},{\"type\":\"text\",\"text\":\"kind\"}]"),
        "message={\"role\":\"system\",\"content\":\"be kind\"} message={\"role\":\"user\",\"content\":\"hi\"} "},
    {SAY("{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"s\"},"
         "{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{\"x\":1}}]"
         "}"),
        "message={\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}],\"reasoning\":\"hm\","
        "\"tool_calls\":[{\"id\":\"t\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":1}"
        "\"}}"
        "]} "},
    {SAY("{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t\",\"content\":[{\"type\":"
         "\"text\","
         "\"text\":\"1\"},{\"type\":\"text\",\"text\":\"2\"}]},{\"type\":\"text\",\"text\":\"b\"}]}"),
        "message={\"role\":\"tool\",\"tool_call_id\":\"t\",\"content\":\"1\\n2\"} "
        "message={\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"b\"}]} "},
    {ASK(",\"tools\":[{\"name\":\"f\",\"description\":\"d\",\"input_schema\":{\"a\":1}}]"),
        "tools=[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\",\"parameters\":{\"a\":1}}}] "
        "choice=1"},
    {ASK(",\"tools\":[{\"name\":\"f\"}],\"tool_choice\":{\"type\":\"any\"}"), "choice=2 "},
    {ASK(",\"tools\":[{\"name\":\"f\"}],\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\"}"), "choice=3 tool=f "},
    {ASK(",\"tools\":[{\"name\":\"f\"}],\"tool_choice\":{\"type\":\"none\"}"), "choice=0 "},
    {ASK(",\"thinking\":{\"type\":\"disabled\"},\"chat_template_kwargs\":{\"k\":1}"),
        "vars={\"k\":1,\"enable_thinking\":false}"},
    {ASK(",\"output_config\":{\"effort\":\"high\",\"format\":{\"type\":\"json_schema\",\"schema\":{\"b\":1}}}"),
        "guide=1/0 guided={\"b\":1} "},
};

START_TEST(a_body_becomes_a_chat)
{
    for (size_t i = 0; i < sizeof arrivals / sizeof *arrivals; i++) {
        struct exchange exchange;
        play(&exchange, arrivals[i].body, words, 3);
        ck_assert_msg(exchange.status == 200 && strstr(exchange.seen.data, arrivals[i].holds) != NULL,
            "%s\n gives %s %s", arrivals[i].body, exchange.seen.data, exchange.reply.data);
        fake_done(&exchange);
    }
}
END_TEST

START_TEST(values_arrive)
{
    struct exchange exchange;
    play(&exchange,
        "{\"model\":\"m\",\"max_tokens\":2000,\"stop_sequences\":[\"x\"],\"top_k\":3,\"thinking\":{\"type\":"
        "\"enabled\","
        "\"budget_tokens\":1024},\"tools\":[{\"name\":\"f\"}],\"tool_choice\":{\"type\":\"auto\","
        "\"disable_parallel_tool_use\":true},\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
        words, 3);
    ck_assert_int_eq(exchange.status, 200);
    ck_assert_int_eq(exchange.sampling.max_tokens, 2000);
    ck_assert_int_eq(exchange.sampling.top_k, 3);
    ck_assert_int_eq(exchange.sampling.thinking_budget, 1024);
    ck_assert_uint_eq(exchange.stop_count, 1);
    ck_assert((exchange.flags & PDK_FLAG_ONE_TOOL_CALL) != 0);
    ck_assert_ptr_nonnull(strstr(exchange.seen.data, "vars={\"enable_thinking\":true}"));
    fake_done(&exchange);
}
END_TEST

static const struct {
    const char *body, *holds;
} refusals[] = {
    {"{}", "\"param\":\"body.model\""},
    {"{\"model\":\"m\",\"messages\":[]}", "\"param\":\"body.max_tokens\""},
    {SAY("5"), "\"param\":\"body.messages.0\""},
    {SAY("{\"role\":\"wizard\",\"content\":\"a\"}"), "\"param\":\"body.messages.0.role\""},
    {SAY("{\"role\":\"user\"}"), "\"param\":\"body.messages.0.content\""},
    {SAY("{\"role\":\"user\",\"content\":[{\"type\":\"smell\"}]}"), "\"param\":\"body.messages.0.content.0\""},
    {SAY(""),
        "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"Cannot apply chat template"},
    {ASK(",\"temperature\":3"), "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":"
                                "\"temperature must be in [0, 2], "
                                "got 3.0. (parameter=temperature, value=3.0)\"}}"},
    {ASK(",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":5}"), "\"param\":\"body.thinking.budget_tokens\""},
    {ASK(",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}"), "must be less than max_tokens=9, got 1024."},
    {ASK(",\"tools\":[{\"type\":\"bash_20250124\",\"name\":\"bash\"}]"), "only tools of type custom are served here"},
    {ASK(",\"tools\":[{\"name\":\"f\"}],\"tool_choice\":{\"type\":\"some\"}"), "\"param\":\"body.tool_choice.type\""},
    {SAY("{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"source\":{}}]}"), "m is not a multimodal model"},
};

START_TEST(wrong_requests_are_refused)
{
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct exchange exchange;
        play(&exchange, refusals[i].body, NULL, 0);
        ck_assert_msg(exchange.status == 400 && exchange.added == 0 && has(&exchange, refusals[i].holds),
            "%s\n gives %d %s", refusals[i].body, exchange.status, exchange.reply.data);
        fake_done(&exchange);
    }
}
END_TEST

START_TEST(types_of_errors_go_by_status)
{
    static const struct {
        pdk_status status;
        const char *type;
    } rows[] = {{PDK_BUSY, "rate_limit_error"}, {PDK_UNAVAILABLE, "overloaded_error"}, {PDK_INTERNAL, "api_error"}};
    struct exchange exchange;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct fake_event failure[] = {{.status = rows[i].status, .message = "no"}};
        play(&exchange, ASK(""), failure, 1);
        ck_assert(has(&exchange, rows[i].type));
        fake_done(&exchange);
    }
}
END_TEST

static const pdk_delta deltas[] = {{.kind = PDK_DELTA_REASONING, .text = TEXT("hm")},
    {.kind = PDK_DELTA_CONTENT, .text = TEXT("So")}, {.kind = PDK_DELTA_CALL, .text = TEXT("f")},
    {.kind = PDK_DELTA_ARGUMENTS, .text = TEXT("{\"a\":")}, {.kind = PDK_DELTA_ARGUMENTS, .text = TEXT("1}")}};
static const struct fake_event parsed[] = {PARSED(deltas, PDK_FINISH_STOP, PDK_PART_CALLED), END};

#define TOOL ",\"tools\":[{\"name\":\"f\"}]"

START_TEST(blocks_come_in_order)
{
    struct exchange exchange;
    play(&exchange, ASK(TOOL), parsed, 2);
    ck_assert(has(&exchange, "\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\""));
    ck_assert(has(&exchange, "},{\"type\":\"text\",\"text\":\"So\"},{\"type\":\"tool_use\",\"id\":\"chatcmpl-tool-"));
    ck_assert(has(&exchange, "\"name\":\"f\",\"input\":{\"a\":1}}],\"model\":\"m\",\"stop_reason\":\"tool_use\","
                             "\"usage\":{\"input_tokens\":5,\"output_tokens\":6}}"));
    fake_done(&exchange);
}
END_TEST

START_TEST(a_stop_sequence_is_told)
{
    static const struct fake_event stopped[] = {{.is_part = true,
                                                    .part = {.size = sizeof(pdk_part),
                                                        .text = TEXT("a"),
                                                        .finish = PDK_FINISH_STOP,
                                                        .stop_kind = PDK_STOP_STRING,
                                                        .stop_string = TEXT("END")}},
        END};
    struct exchange exchange;
    play(&exchange, ASK(""), stopped, 2);
    ck_assert(has(&exchange, "\"stop_reason\":\"stop_sequence\",\"stop_sequence\":\"END\""));
    fake_done(&exchange);
    play(&exchange, ASK(",\"stream\":true"), stopped, 2);
    ck_assert(has(&exchange, "\"delta\":{\"stop_reason\":\"stop_sequence\",\"stop_sequence\":\"END\"}"));
    fake_done(&exchange);
}
END_TEST

START_TEST(unfinished_arguments_are_an_empty_object)
{
    static const pdk_delta cut[] = {
        {.kind = PDK_DELTA_CALL, .text = TEXT("f")}, {.kind = PDK_DELTA_ARGUMENTS, .text = TEXT("{\"a\":")}};
    static const struct fake_event events[] = {PARSED(cut, PDK_FINISH_LENGTH, PDK_PART_CALLED), END};
    struct exchange exchange;
    play(&exchange, ASK(TOOL), events, 2);
    ck_assert(has(&exchange, "\"input\":{}}]") && has(&exchange, "\"stop_reason\":\"max_tokens\""));
    fake_done(&exchange);
}
END_TEST

START_TEST(events_open_and_close_blocks)
{
    static const char *const order[] = {"event: message_start\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"content_block\":{\"type\":\"thinking\"",
        "\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"},\"index\":0}", "\"type\":\"signature_delta\"",
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}",
        "\"content_block\":{\"type\":\"text\",\"text\":\"\"},\"index\":1}", "\"text_delta\",\"text\":\"So\"",
        "event: content_block_stop\n", "\"content_block\":{\"type\":\"tool_use\",\"id\":\"chatcmpl-tool-",
        "\"name\":\"f\",\"input\":{}},\"index\":2}", "\"input_json_delta\",\"partial_json\":\"{\\\"a\\\":\"",
        "\"partial_json\":\"1}\"", "event: content_block_stop\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\","
        "\"stop_sequence\":null},\"usage\":{\"input_tokens\":5,\"output_tokens\":6}}",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"};
    struct exchange exchange;
    play(&exchange, ASK(",\"stream\":true" TOOL), parsed, 2);
    const char *at = exchange.reply.data;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        at = strstr(at, order[i]);
        ck_assert_msg(at != NULL, "%s\n is not where it should be in\n%s", order[i], exchange.reply.data);
    }
    fake_done(&exchange);
}
END_TEST

START_TEST(a_failure_in_a_stream_is_an_event)
{
    static const struct fake_event broken[] = {
        WORDS("Hi", PDK_FINISH_NONE), {.status = PDK_UNAVAILABLE, .message = "the replica died"}};
    struct exchange exchange;
    play(&exchange, ASK(",\"stream\":true"), broken, 2);
    ck_assert(
        has(&exchange, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":"
                       "\"the replica died\"}}\n\n"));
    fake_done(&exchange);
}
END_TEST

START_TEST(cached_tokens_are_told_where_asked)
{
    struct exchange exchange;
    fake_init(&exchange, "/v1/messages", ASK(""));
    exchange.ready.api_flags = PDK_API_PROMPT_DETAILS;
    exchange.events = words;
    exchange.event_count = 3;
    anthropic_messages(&exchange);
    ck_assert(has(&exchange, "\"output_tokens\":2,\"cache_read_input_tokens\":4,\"cache_creation_input_tokens\":0}"));
    fake_done(&exchange);
}
END_TEST

START_TEST(tokens_are_counted)
{
    static const uint32_t ids[] = {1, 2, 3};
    static const struct fake_event tokens[] = {
        {.is_part = true, .part = {.size = sizeof(pdk_part), .token_ids = ids, .token_count = 3}}, END};
    struct exchange exchange;
    fake_init(&exchange, "/v1/messages/count_tokens",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"tools\":[{\"name\":\"f\"}]}");
    exchange.events = tokens;
    exchange.event_count = 2;
    anthropic_count_tokens(&exchange);
    ck_assert_str_eq(exchange.reply.data, "{\"input_tokens\":3}");
    ck_assert_ptr_nonnull(strstr(exchange.seen.data, "kind=2 message={\"role\":\"user\",\"content\":\"hi\"} tools=["));
    fake_done(&exchange);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("messages_api");
    TCase *tests = tcase_create("messages");
    tcase_add_test(tests, a_body_becomes_a_chat);
    tcase_add_test(tests, values_arrive);
    tcase_add_test(tests, wrong_requests_are_refused);
    tcase_add_test(tests, types_of_errors_go_by_status);
    tcase_add_test(tests, blocks_come_in_order);
    tcase_add_test(tests, a_stop_sequence_is_told);
    tcase_add_test(tests, unfinished_arguments_are_an_empty_object);
    tcase_add_test(tests, events_open_and_close_blocks);
    tcase_add_test(tests, a_failure_in_a_stream_is_an_event);
    tcase_add_test(tests, cached_tokens_are_told_where_asked);
    tcase_add_test(tests, tokens_are_counted);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
