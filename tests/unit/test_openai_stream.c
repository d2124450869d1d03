/* Answers as they come: interleaving, failures before and after the first byte, clients that leave. */
#include "config.h"

#include "check_main.h"
#include "fake_exchange.h"

#include "core/gateway/openai/openai.h"

#include <string.h>

#define COMPLETION "{\"prompt\":[\"a\",\"b\"],\"stream\":true,\"n\":2,\"temperature\":1}"
#define CHAT       "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"stream\":true}"

static const uint32_t one_id[] = {7};

#define PART(at, of, words, how)                  \
    {                                             \
        .index = (at), .is_part = true, .part = { \
            .size = sizeof(pdk_part),             \
            .choice = (of),                       \
            .text = {words, sizeof words - 1},    \
            .finish = (how),                      \
            .token_count = 1,                     \
            .token_ids = one_id,                  \
            .prompt_tokens = 2,                   \
            .completion_tokens = 1                \
        }                                         \
    }
#define END(at)       \
    {                 \
        .index = (at) \
    }
#define FAIL(at, how, name, words)                                          \
    {                                                                       \
        .index = (at), .status = (how), .field = (name), .message = (words) \
    }

static void play(struct exchange *exchange, const char *body, const struct fake_event *events, size_t count)
{
    bool chat = strstr(body, "\"messages\"") != NULL;
    size_t writes = exchange->writes_left; /* set by the test before */
    fake_init(exchange, chat ? "/v1/chat/completions" : "/v1/completions", body);
    exchange->writes_left = writes;
    exchange->events = events;
    exchange->event_count = count;
    (chat ? openai_chat_completions : openai_completions)(exchange);
    ck_assert_uint_eq(exchange->replies, 1);
    ck_assert_uint_eq(exchange->freed, 1);
    ck_assert(!exchange->streamed || exchange->ended);
}

static size_t occurrences(const char *text, const char *what)
{
    size_t count = 0;
    for (const char *at = strstr(text, what); at != NULL; at = strstr(at + 1, what))
        count++;
    return count;
}

START_TEST(prompts_and_choices_interleave_by_index)
{
    static const struct fake_event events[] = {PART(1, 1, "d", PDK_FINISH_NONE), PART(0, 0, "a", PDK_FINISH_STOP),
        {.status = PDK_TIMEOUT}, PART(1, 0, "c", PDK_FINISH_LENGTH), PART(1, 1, "D", PDK_FINISH_STOP), END(1),
        PART(0, 1, "b", PDK_FINISH_STOP), END(0)};
    struct exchange exchange = {.writes_left = SIZE_MAX};
    play(&exchange, COMPLETION, events, 8);
    ck_assert_int_eq(exchange.status, 200);
    ck_assert_str_eq(exchange.type, "text/event-stream; charset=utf-8");
    const char *got = exchange.reply.data;
    const char *first = strstr(got, "{\"index\":3,\"text\":\"d\","),
               *second = strstr(got, "{\"index\":0,\"text\":\"a\",");
    ck_assert(first != NULL && second > first);
    ck_assert_ptr_nonnull(strstr(got, "{\"index\":2,\"text\":\"c\",\"logprobs\":null,\"finish_reason\":\"length\""));
    ck_assert_ptr_nonnull(strstr(got, "{\"index\":1,\"text\":\"b\","));
    ck_assert_uint_eq(occurrences(got, "\"system_fingerprint\":\"paddock-"), 4);
    ck_assert_str_eq(got + exchange.reply.length - 14, "data: [DONE]\n\n");
    fake_done(&exchange);
}
END_TEST

START_TEST(a_failure_before_the_first_byte_has_a_status)
{
    static const struct fake_event too_long[] = {FAIL(0, PDK_INVALID, "input_tokens", "too long")};
    static const struct fake_event gone[] = {FAIL(0, PDK_UNAVAILABLE, NULL, "the replica died")};
    struct exchange exchange = {.writes_left = SIZE_MAX};
    play(&exchange, CHAT, too_long, 1);
    ck_assert_int_eq(exchange.status, 400);
    ck_assert(!exchange.streamed);
    ck_assert_ptr_nonnull(strstr(exchange.reply.data, "\"param\":\"input_tokens\""));
    fake_done(&exchange);
    exchange.writes_left = SIZE_MAX;
    play(&exchange, CHAT, gone, 1);
    ck_assert_int_eq(exchange.status, 503);
    ck_assert(!exchange.streamed);
    fake_done(&exchange);
}
END_TEST

START_TEST(a_failure_after_it_is_an_event)
{
    static const struct fake_event events[] = {
        PART(0, 0, "a", PDK_FINISH_NONE), FAIL(0, PDK_UNAVAILABLE, NULL, "the replica died")};
    struct exchange exchange = {.writes_left = SIZE_MAX};
    play(&exchange, CHAT, events, 2);
    ck_assert_int_eq(exchange.status, 200);
    ck_assert_ptr_nonnull(
        strstr(exchange.reply.data, "data: {\"error\":{\"message\":\"the replica "
                                    "died\",\"type\":\"ServiceUnavailableError\",\"param\":null,\"code\":503}}\n\n"
                                    "data: [DONE]\n\n"));
    ck_assert_ptr_nonnull(strstr(exchange.reply.data, "{\"content\":\"a\"}"));
    fake_done(&exchange);
}
END_TEST

START_TEST(a_client_that_leaves_gets_no_more)
{
    static const struct fake_event events[] = {
        PART(0, 0, "a", PDK_FINISH_NONE), PART(0, 0, "b", PDK_FINISH_NONE), PART(0, 0, "c", PDK_FINISH_STOP), END(0)};
    static const struct fake_event cancelled[] = {PART(0, 0, "a", PDK_FINISH_NONE), {.status = PDK_CANCELLED}};
    struct exchange exchange = {.writes_left = 1};
    play(&exchange, CHAT, events, 4);
    ck_assert_uint_eq(exchange.events_used, 2);
    ck_assert_ptr_null(strstr(exchange.reply.data, "[DONE]"));
    fake_done(&exchange);
    exchange.writes_left = SIZE_MAX;
    play(&exchange, CHAT, cancelled, 2);
    ck_assert_ptr_null(strstr(exchange.reply.data, "[DONE]"));
    fake_done(&exchange);
}
END_TEST

START_TEST(a_full_queue_is_told)
{
    struct exchange exchange;
    fake_init(&exchange, "/v1/chat/completions", CHAT);
    exchange.add_status = PDK_BUSY;
    openai_chat_completions(&exchange);
    ck_assert_int_eq(exchange.status, 429);
    ck_assert_ptr_nonnull(strstr(exchange.reply.data, "The engine is currently busy and cannot accept new requests."));
    fake_done(&exchange);
}
END_TEST

START_TEST(a_part_of_nobody_ends_the_answer)
{
    static const struct fake_event events[] = {PART(0, 5, "a", PDK_FINISH_NONE)};
    struct exchange exchange = {.writes_left = SIZE_MAX};
    play(&exchange, CHAT, events, 1);
    ck_assert_int_eq(exchange.status, 500);
    fake_done(&exchange);
}
END_TEST

START_TEST(echo_repeats_the_last_message_once_a_choice)
{
    static const char body[] =
        "{\"messages\":[{\"role\":\"assistant\",\"content\":\"One, \"}],\"stream\":true,\"echo\":true,"
        "\"add_generation_prompt\":false,\"continue_final_message\":true,\"stream_options\":"
        "{\"include_usage\":true,\"continuous_usage_stats\":true}}";
    static const struct fake_event events[] = {PART(0, 0, "two", PDK_FINISH_STOP), END(0)};
    struct exchange exchange = {.writes_left = SIZE_MAX};
    play(&exchange, body, events, 2);
    const char *echo = strstr(exchange.reply.data, "\"delta\":{\"content\":\"One, \"}");
    ck_assert(echo != NULL && strstr(echo, "\"delta\":{\"content\":\"two\"}") != NULL);
    ck_assert_uint_eq(occurrences(exchange.reply.data, "\"usage\":{"), 4); /* role, echo, text, the last */
    ck_assert_uint_eq(occurrences(exchange.reply.data, "system_fingerprint"), 1);
    fake_done(&exchange);
}
END_TEST

START_TEST(two_tokens_of_one_text_are_one_key)
{
    static const pdk_logprob entries[] = {{.token = 1, .logprob = -1, .text = {"a", 1}},
        {.token = 2, .logprob = -2, .text = {"b", 1}}, {.token = 3, .logprob = -0.5f, .text = {"a", 1}}};
    static const uint32_t counts[] = {3};
    static const struct fake_event events[] = {{.is_part = true,
                                                   .part = {.size = sizeof(pdk_part),
                                                       .text = {"a", 1},
                                                       .finish = PDK_FINISH_STOP,
                                                       .logprobs = entries,
                                                       .logprob_counts = counts,
                                                       .position_count = 1,
                                                       .logprob_count = 3}},
        END(0)};
    struct exchange exchange = {.writes_left = SIZE_MAX};
    play(&exchange, "{\"prompt\":\"x\",\"logprobs\":2}", events, 2);
    ck_assert_ptr_nonnull(strstr(exchange.reply.data,
        "\"token_logprobs\":[-1.0],\"tokens\":[\"a\"],\"top_logprobs\":[{\"a\":-0.5,\"b\":-2.0}]"));
    fake_done(&exchange);
}
END_TEST

/* Whole answers tell of times that there are none of, streams leave them out; several choices have none of their own.
 */
START_TEST(times_are_told_where_the_service_tells_them)
{
    static const struct {
        const char *body, *told;
    } cases[] = {
        {"{\"prompt\":\"x\"}",
            "\"metrics\":{\"time_to_first_token_ms\":2.0,\"generation_time_ms\":6.0,\"queue_time_ms\":1.5,"
            "\"mean_itl_ms\":3.0,\"tokens_per_second\":375.0}}"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"stream\":true,\"stream_options\":{\"include_usage\":"
         "true}}",
            ",\"metrics\":{\"time_to_first_token_ms\":2.0,"},
        {"{\"prompt\":[\"x\",\"y\"]}", "\"metrics\":null}"},
    };
    static const pdk_part last = {.size = sizeof(pdk_part),
        .text = {"a", 1},
        .finish = PDK_FINISH_STOP,
        .prompt_tokens = 2,
        .completion_tokens = 3,
        .queued_us = 1500,
        .first_token_us = 2000,
        .generated_us = 6000};
    const struct fake_event events[] = {
        {.is_part = true, .part = last}, {.index = 1, .is_part = true, .part = last}, END(1), END(0)};
    const struct fake_event single[] = {{.is_part = true, .part = last}, END(0)};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int told = 0; told < 2; told++) {
            bool chat = strstr(cases[i].body, "messages") != NULL;
            struct exchange exchange;
            fake_init(&exchange, chat ? "/v1/chat/completions" : "/v1/completions", cases[i].body);
            exchange.ready.api_flags = told ? PDK_API_REQUEST_METRICS : 0;
            exchange.events = i == 2 ? events : single;
            exchange.event_count = i == 2 ? 4 : 2;
            (chat ? openai_chat_completions : openai_completions)(&exchange);
            const char *want = told ? cases[i].told : chat ? "\"usage\":{" : "\"metrics\":null}";
            ck_assert_msg(strstr(exchange.reply.data, want) != NULL, "%s: %s", cases[i].body, exchange.reply.data);
            if (chat)
                ck_assert_uint_eq(occurrences(exchange.reply.data, "\"metrics\""), told ? 1 : 0);
            fake_done(&exchange);
        }
    }
}
END_TEST

/* However many alternatives were asked for. */
START_TEST(named_tokens_are_all_told_of)
{
    static const pdk_logprob entries[] = {{.token = 1, .logprob = -1, .text = {"a", 1}},
        {.token = 2, .logprob = -2, .text = {"b", 1}}, {.token = 3, .logprob = -3, .text = {"c", 1}}};
    static const uint32_t counts[] = {3};
    static const struct fake_event events[] = {{.is_part = true,
                                                   .part = {.size = sizeof(pdk_part),
                                                       .text = {"a", 1},
                                                       .finish = PDK_FINISH_STOP,
                                                       .logprobs = entries,
                                                       .logprob_counts = counts,
                                                       .position_count = 1,
                                                       .logprob_count = 3}},
        END(0)};
    struct exchange exchange = {.writes_left = SIZE_MAX};
    play(&exchange,
        "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"logprobs\":true,\"logprob_token_ids\":[2,3]}", events,
        2);
    const char *top = strstr(exchange.reply.data, "\"top_logprobs\":[");
    ck_assert_ptr_nonnull(top);
    ck_assert_uint_eq(occurrences(top, "\"token\":"), 3);
    fake_done(&exchange);
}
END_TEST

START_TEST(load_is_told_to_balancers)
{
    static const struct {
        const char *format, *header, *warning;
    } cases[] = {
        {NULL, "", ""},
        {"TEXT",
            "endpoint-load-metrics: TEXT named_metrics.kv_cache_usage_perc=0.25, "
            "named_metrics.num_requests_waiting=3\n",
            ""},
        {"json",
            "endpoint-load-metrics: JSON {\"named_metrics\": {\"kv_cache_usage_perc\": 0.25, \"num_requests_waiting\": "
            "3}}\n",
            ""},
        {"BIN", "", "endpoint-load-metrics-format may be TEXT or JSON\n"},
    };
    static const struct fake_event events[] = {PART(0, 0, "a", PDK_FINISH_STOP), END(0)};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct exchange exchange;
        fake_init(&exchange, "/v1/completions", "{\"prompt\":\"x\"}");
        exchange.load_format = cases[i].format;
        exchange.events = events;
        exchange.event_count = 2;
        openai_completions(&exchange);
        ck_assert_str_eq(exchange.headers.length == 0 ? "" : exchange.headers.data, cases[i].header);
        ck_assert_str_eq(exchange.warnings.length == 0 ? "" : exchange.warnings.data, cases[i].warning);
        fake_done(&exchange);
    }
}
END_TEST

START_TEST(models_list_what_is_served)
{
    struct exchange exchange;
    fake_init(&exchange, "/v1/models/m", NULL);
    openai_model(&exchange);
    ck_assert_int_eq(exchange.status, 200);
    ck_assert_ptr_nonnull(
        strstr(exchange.reply.data, "{\"id\":\"m\",\"object\":\"model\",\"created\":1700000000,\"owned_by\":"));
    fake_done(&exchange);
    fake_init(&exchange, "/v1/models/a/b", NULL);
    openai_model(&exchange);
    ck_assert_int_eq(exchange.status, 404);
    ck_assert_ptr_nonnull(strstr(exchange.reply.data, "The model `a/b` does not exist. Valid aliases: m."));
    fake_done(&exchange);
    fake_init(&exchange, "/v1/models", NULL);
    exchange.service.name_conflict = true;
    openai_models(&exchange);
    ck_assert_str_eq(exchange.reply.data, "{\"object\":\"list\",\"data\":[]}");
    fake_done(&exchange);
    fake_init(&exchange, "/v1/models", NULL);
    exchange.service.name_conflict = true;
    exchange.host = "m.default.example.com";
    openai_models(&exchange);
    ck_assert_ptr_nonnull(strstr(exchange.reply.data, "\"id\":\"m\""));
    fake_done(&exchange);
}
END_TEST

START_TEST(models_of_others_are_not_told_of)
{
    struct exchange exchange;
    fake_init(&exchange, "/v1/models", NULL);
    exchange.denied = true;
    openai_models(&exchange);
    ck_assert_str_eq(exchange.reply.data, "{\"object\":\"list\",\"data\":[]}");
    fake_done(&exchange);
    fake_init(&exchange, "/v1/models/m", NULL);
    exchange.denied = true;
    openai_model(&exchange);
    ck_assert_int_eq(exchange.status, 404);
    ck_assert_ptr_nonnull(strstr(exchange.reply.data, "Valid aliases: none."));
    fake_done(&exchange);
}
END_TEST

/* The header's id, else the body's, else ours. */
START_TEST(ids_come_from_the_client)
{
    static const struct fake_event events[] = {PART(0, 0, "a", PDK_FINISH_STOP), END(0)};
    struct exchange exchange = {.writes_left = SIZE_MAX};
    play(&exchange, "{\"prompt\":\"x\",\"request_id\":\"mine\"}", events, 2);
    ck_assert_ptr_nonnull(strstr(exchange.reply.data, "{\"id\":\"cmpl-mine\","));
    fake_done(&exchange);
    fake_init(&exchange, "/v1/completions", "{\"prompt\":\"x\",\"request_id\":\"mine\"}");
    exchange.request_id_given = true;
    exchange.events = events;
    exchange.event_count = 2;
    openai_completions(&exchange);
    ck_assert_ptr_nonnull(strstr(exchange.reply.data, "{\"id\":\"cmpl-0123456789abcdef\","));
    fake_done(&exchange);
}
END_TEST

START_TEST(health_tells_of_readiness)
{
    struct exchange exchange;
    fake_init(&exchange, "/health", NULL);
    exchange.service.phase = SERVICE_LOADING;
    openai_health(&exchange);
    ck_assert_int_eq(exchange.status, 503);
    fake_done(&exchange);
    fake_init(&exchange, "/ping", NULL);
    exchange.draining = true;
    openai_ping(&exchange);
    ck_assert_int_eq(exchange.status, 503);
    fake_done(&exchange);
    fake_init(&exchange, "/load", NULL);
    exchange.service.channel = (struct channel *)&exchange;
    openai_load(&exchange);
    ck_assert_str_eq(exchange.reply.data, "{\"server_load\":3}");
    fake_done(&exchange);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("openai_stream");
    TCase *tests = tcase_create("stream");
    tcase_add_test(tests, prompts_and_choices_interleave_by_index);
    tcase_add_test(tests, a_failure_before_the_first_byte_has_a_status);
    tcase_add_test(tests, a_failure_after_it_is_an_event);
    tcase_add_test(tests, a_client_that_leaves_gets_no_more);
    tcase_add_test(tests, a_full_queue_is_told);
    tcase_add_test(tests, a_part_of_nobody_ends_the_answer);
    tcase_add_test(tests, echo_repeats_the_last_message_once_a_choice);
    tcase_add_test(tests, two_tokens_of_one_text_are_one_key);
    tcase_add_test(tests, times_are_told_where_the_service_tells_them);
    tcase_add_test(tests, named_tokens_are_all_told_of);
    tcase_add_test(tests, load_is_told_to_balancers);
    tcase_add_test(tests, models_list_what_is_served);
    tcase_add_test(tests, models_of_others_are_not_told_of);
    tcase_add_test(tests, ids_come_from_the_client);
    tcase_add_test(tests, health_tells_of_readiness);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
