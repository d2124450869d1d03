/* The Responses API: what becomes of its bodies, and its objects and events. */
#include "config.h"

#include "check_main.h"
#include "fake_exchange.h"

#include "core/gateway/responses/responses.h"
#include "core/gateway/responses/store.h"

#include <stdio.h>
#include <string.h>

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
            .reasoning_tokens = 3,                    \
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
    struct response_store *store = exchange->responses;
    fake_init(exchange, "/v1/responses", body);
    exchange->responses = store;
    exchange->ready.auto_tools = exchange->ready.forced_tools = exchange->ready.parses_reasoning = true;
    exchange->ready.api_flags = store == NULL ? 0 : PDK_API_STORE;
    exchange->events = events;
    exchange->event_count = count;
    responses_create(exchange);
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
    {"{\"input\":\"hi\",\"instructions\":\"be kind\"}",
        "message={\"role\":\"system\",\"content\":\"be kind\"} message={\"role\":\"user\",\"content\":\"hi\"} "},
    {"{\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"a\"}]}]}",
        "message={\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}]} "},
    {"{\"input\":[{\"type\":\"message\",\"role\":\"developer\",\"content\":\"a\"}]}",
        "message={\"role\":\"system\",\"content\":\"a\"} "},
    {"{\"input\":[{\"type\":\"reasoning\",\"summary\":[],\"content\":[{\"type\":\"reasoning_text\",\"text\":\"hm\"}]},"
     "{\"role\":\"assistant\",\"content\":\"yes\"},{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\","
     "\"arguments\":\"{}\"},{\"type\":\"function_call\",\"call_id\":\"d\",\"name\":\"g\",\"arguments\":\"[]\"},"
     "{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":\"7\"}]}",
        "message={\"role\":\"assistant\",\"content\":\"yes\",\"reasoning\":\"hm\",\"tool_calls\":[{\"id\":\"c\","
        "\"type\":"
        "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},{\"id\":\"d\",\"type\":\"function\","
        "\"function\":{\"name\":\"g\",\"arguments\":\"[]\"}}]} message={\"role\":\"tool\",\"tool_call_id\":\"c\","
        "\"content\":\"7\"} "},
    {"{\"input\":\"a\",\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":{\"a\":1},\"strict\":true}]}",
        "tools=[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"a\":1},\"strict\":true}}] "
        "choice=1"},
    {"{\"input\":\"a\",\"tools\":[{\"type\":\"function\",\"name\":\"f\"}],\"tool_choice\":{\"type\":\"function\","
     "\"name\":\"f\"}}",
        "choice=3 tool=f "},
    {"{\"input\":\"a\",\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"x\",\"schema\":{\"b\":1}}}}",
        "guide=1/0 guided={\"b\":1} "},
    {"{\"input\":\"a\",\"text\":{\"format\":{\"type\":\"json_object\"}}}", "guide=2/0 "},
    {"{\"input\":\"a\",\"reasoning\":{\"effort\":\"low\"}}",
        "vars={\"reasoning_effort\":\"low\",\"enable_thinking\":true}"},
    {"{\"input\":\"a\",\"structured_outputs\":{\"regex\":\"a\"}}", "guide=3/0 guided=a "},
};

START_TEST(a_body_becomes_a_chat)
{
    for (size_t i = 0; i < sizeof arrivals / sizeof *arrivals; i++) {
        struct exchange exchange = {0};
        play(&exchange, arrivals[i].body, words, 3);
        ck_assert_msg(exchange.status == 200 && strstr(exchange.seen.data, arrivals[i].holds) != NULL,
            "%s\n gives %s %s", arrivals[i].body, exchange.seen.data, exchange.reply.data);
        fake_done(&exchange);
    }
}
END_TEST

static const struct {
    const char *body;
    int status;
    const char *holds;
} refusals[] = {
    {"{}", 400, "\"param\":\"body.input\""},
    {"{\"input\":5}", 400, "\"param\":\"body.input\""},
    {"{\"input\":[5]}", 400, "\"param\":\"body.input.0\""},
    {"{\"input\":[{\"type\":\"web_search_call\"}]}", 400, "\"type\":\"invalid_request_error\""},
    {"{\"input\":\"a\",\"tools\":[{\"type\":\"web_search\"}]}", 400, "tools[0] is no function"},
    {"{\"input\":\"a\",\"tool_choice\":\"required\"}", 400,
        "Tool choice 'required' must be specified with 'tools' parameter."},
    {"{\"input\":\"a\",\"prompt\":{\"id\":\"x\"}}", 400, "prompt template is not supported"},
    {"{\"input\":\"a\",\"background\":true}", 400, "background is known and not served here"},
    {"{\"input\":\"a\",\"previous_response_id\":\"resp_x\"}", 404, "Response with id 'resp_x' not found."},
    {"{\"input\":\"a\",\"temperature\":3}", 400, "temperature must be in [0, 2], got 3.0."},
    {"{\"input\":\"a\",\"max_output_tokens\":0}", 400, "max_tokens must be at least 1, got 0."},
    {"{\"input\":\"a\",\"max_output_tokens\":\"x\"}", 400, "\"param\":\"body.max_output_tokens\""},
    {"{\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_image\",\"image_url\":\"x\"}]}]}", 400,
        "m is not a multimodal model"},
    {"{\"input\":\"a\",\"model\":\"x\"}", 404, "The model `x` does not exist."},
};

START_TEST(wrong_requests_are_refused)
{
    struct response_store *store = response_store_new();
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct exchange exchange = {.responses = store};
        play(&exchange, refusals[i].body, NULL, 0);
        ck_assert_msg(exchange.status == refusals[i].status && has(&exchange, refusals[i].holds), "%s\n gives %d %s",
            refusals[i].body, exchange.status, exchange.reply.data);
        fake_done(&exchange);
    }
    response_store_free(store);
}
END_TEST

static const pdk_delta thought[] = {{.kind = PDK_DELTA_REASONING, .text = TEXT("hm")}};
static const pdk_delta rest[] = {{.kind = PDK_DELTA_REASONING, .text = TEXT("m")},
    {.kind = PDK_DELTA_CONTENT, .text = TEXT("So")}, {.kind = PDK_DELTA_CALL, .text = TEXT("f")},
    {.kind = PDK_DELTA_ARGUMENTS, .text = TEXT("{}")}};
static const struct fake_event parsed[] = {
    PARSED(thought, PDK_FINISH_NONE, 0), PARSED(rest, PDK_FINISH_STOP, PDK_PART_CALLED), END};

#define FUNCTION ",\"tools\":[{\"type\":\"function\",\"name\":\"f\"}]"

START_TEST(items_come_in_order)
{
    struct exchange exchange = {0};
    play(&exchange, "{\"input\":\"a\",\"user\":\"me\",\"metadata\":{\"k\":\"v\"}" FUNCTION "}", parsed, 3);
    const char *reasoning = strstr(exchange.reply.data, "{\"id\":\"rs_"),
               *message = strstr(exchange.reply.data, "{\"id\":\"msg_"),
               *call = strstr(exchange.reply.data, "{\"arguments\":\"{}\",\"call_id\":\"chatcmpl-tool-");
    ck_assert(reasoning != NULL && message > reasoning && call > message);
    ck_assert(has(&exchange, "\"summary\":[],\"type\":\"reasoning\",\"content\":[{\"text\":\"hmm\",\"type\":"
                             "\"reasoning_text\"}],\"encrypted_content\":null,\"status\":null}"));
    ck_assert(has(&exchange, "\"name\":\"f\",\"type\":\"function_call\",\"id\":\"fc_"));
    ck_assert(has(&exchange, "\"status\":\"completed\",\"text\":null"));
    ck_assert(has(&exchange, "\"output_tokens\":6,\"output_tokens_details\":{\"reasoning_tokens\":3,"));
    ck_assert(has(&exchange, "\"metadata\":{\"k\":\"v\"}") && has(&exchange, "\"user\":\"me\""));
    ck_assert(has(&exchange, "\"tool_choice\":\"auto\",\"tools\":[{\"type\":\"function\",\"name\":\"f\"}]"));
    ck_assert(has(&exchange, "\"max_output_tokens\":2043,"));
    fake_done(&exchange);
}
END_TEST

START_TEST(events_open_and_close_items)
{
    static const char *const order[] = {"event: response.created\n", "event: response.in_progress\n",
        "event: response.output_item.added\ndata: {\"item\":{\"id\":\"rs_", "event: response.content_part.added\n",
        "event: response.reasoning_text.delta\ndata: {\"content_index\":0,\"delta\":\"hm\"",
        "event: response.reasoning_text.delta\n", "event: response.reasoning_text.done\n",
        "event: response.content_part.done\n", "event: response.output_item.done\n",
        "event: response.output_item.added\ndata: {\"item\":{\"id\":\"msg_",
        "event: response.output_text.delta\ndata: {\"content_index\":0,\"delta\":\"So\"",
        "event: response.output_item.done\n",
        "event: response.output_item.added\ndata: {\"item\":{\"arguments\":\"\",\"call_id\":\"chatcmpl-tool-",
        "event: response.function_call_arguments.delta\ndata: {\"delta\":\"{}\",\"item_id\":\"fc_",
        "event: response.function_call_arguments.done\ndata: {\"arguments\":\"{}\",\"item_id\":\"fc_",
        "\"name\":\"f\",\"output_index\":2,", "event: response.output_item.done\n", "event: response.completed\n",
        "\"type\":\"response.completed\"}\n\n"};
    struct exchange exchange = {0};
    play(&exchange, "{\"input\":\"a\",\"stream\":true" FUNCTION "}", parsed, 3);
    const char *at = exchange.reply.data;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        at = strstr(at, order[i]);
        ck_assert_msg(at != NULL, "%s\n is not where it should be in\n%s", order[i], exchange.reply.data);
    }
    ck_assert(!has(&exchange, "[DONE]"));
    fake_done(&exchange);
}
END_TEST

START_TEST(a_failure_in_a_stream_is_an_event)
{
    static const struct fake_event broken[] = {
        WORDS("Hi", PDK_FINISH_NONE), {.status = PDK_UNAVAILABLE, .message = "the replica died"}};
    struct exchange exchange = {0};
    play(&exchange, "{\"input\":\"a\",\"stream\":true}", broken, 2);
    ck_assert(
        has(&exchange, "event: error\ndata: {\"code\":\"ServiceUnavailableError\",\"message\":\"the replica died\","
                       "\"param\":null,\"sequence_number\":5,\"type\":\"error\"}"));
    fake_done(&exchange);
}
END_TEST

START_TEST(an_empty_answer_is_an_empty_message)
{
    static const struct fake_event nothing[] = {WORDS("", PDK_FINISH_STOP), END};
    struct exchange exchange = {0};
    play(&exchange, "{\"input\":\"a\"}", nothing, 2);
    ck_assert(has(&exchange, "\"content\":[{\"annotations\":[],\"text\":\"\",\"type\":\"output_text\""));
    fake_done(&exchange);
    play(&exchange, "{\"input\":\"a\",\"stream\":true}", nothing, 2);
    ck_assert(has(&exchange, "event: response.output_text.done\n"));
    fake_done(&exchange);
}
END_TEST

/* The text between `before` and the next quote. */
static void copy_id(const struct exchange *exchange, const char *before, char *id, size_t room)
{
    const char *at = strstr(exchange->reply.data, before);
    ck_assert_ptr_nonnull(at);
    snprintf(id, room, "%.*s", (int)strcspn(at + strlen(before), "\""), at + strlen(before));
}

START_TEST(kept_answers_are_gone_on_from)
{
    struct response_store *store = response_store_new();
    struct exchange exchange = {.responses = store};
    char id[64], body[160];
    play(&exchange, "{\"input\":\"a\",\"instructions\":\"once\"}", words, 3);
    copy_id(&exchange, "{\"id\":\"", id, sizeof id);
    fake_done(&exchange);
    snprintf(body, sizeof body,
        "{\"input\":\"b\",\"previous_response_id\":\"%s\",\"store\":false,\"request_id\":\"two\"}", id);
    play(&exchange, body, words, 3);
    ck_assert_ptr_nonnull(strstr(exchange.seen.data,
        " message={\"role\":\"user\",\"content\":\"a\"} message={\"role\":\"assistant\",\"content\":\"Hi.\"} "
        "message={\"role\":\"user\",\"content\":\"b\"} "));
    ck_assert_ptr_null(strstr(exchange.seen.data, "once"));
    fake_done(&exchange);

    fake_init(&exchange, "/v1/responses/x", NULL);
    exchange.responses = store;
    exchange.segment = id;
    responses_get(&exchange);
    ck_assert_int_eq(exchange.status, 200);
    ck_assert(has(&exchange, "\"text\":\"Hi.\""));
    fake_done(&exchange);
    fake_init(&exchange, "/v1/responses/x", NULL);
    exchange.responses = store;
    exchange.segment = "resp_two"; /* store: false */
    responses_get(&exchange);
    ck_assert_int_eq(exchange.status, 404);
    ck_assert(has(&exchange, "\"type\":\"invalid_request_error\",\"param\":\"response_id\""));
    fake_done(&exchange);
    fake_init(&exchange, "/v1/responses/x/cancel", NULL);
    exchange.responses = store;
    exchange.segment = id;
    responses_cancel(&exchange);
    ck_assert_int_eq(exchange.status, 400);
    ck_assert(has(&exchange, "Cannot cancel a synchronous response."));
    fake_done(&exchange);
    response_store_free(store);
}
END_TEST

START_TEST(the_store_is_bounded_and_each_tenants_own)
{
    struct response_store *store = response_store_new();
    struct buffer text = {0}, none = {0}, found = {0};
    char id[16];
    buffer_puts(&text, "{}");
    for (int i = 0; i < 1030; i++) {
        snprintf(id, sizeof id, "r%d", i);
        response_store_put(store, 1, id, &text, &none);
    }
    ck_assert(!response_store_find(store, 1, "r0", NULL, NULL));
    ck_assert(response_store_find(store, 1, "r1029", &found, NULL));
    ck_assert_str_eq(found.data, "{}");
    ck_assert(!response_store_find(store, 2, "r1029", NULL, NULL));
    buffer_done(&text);
    buffer_done(&found);
    response_store_free(store);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("responses_api");
    TCase *tests = tcase_create("responses");
    tcase_add_test(tests, a_body_becomes_a_chat);
    tcase_add_test(tests, wrong_requests_are_refused);
    tcase_add_test(tests, items_come_in_order);
    tcase_add_test(tests, events_open_and_close_items);
    tcase_add_test(tests, a_failure_in_a_stream_is_an_event);
    tcase_add_test(tests, an_empty_answer_is_an_empty_message);
    tcase_add_test(tests, kept_answers_are_gone_on_from);
    tcase_add_test(tests, the_store_is_bounded_and_each_tenants_own);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
