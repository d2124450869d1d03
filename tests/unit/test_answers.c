/* Reasoning and tool calls through the runtime as it is built: a random model's answer is begun for it by tokens that
 * another replica has made, so that its text is known. */
#include "config.h"

#include "check_main.h"
#include "runtime_desk.h"

#include <stdio.h>
#include <string.h>

static struct desk desk;

#define TEMPLATE "--chat-template={% for m in messages %}[{{ m.role }}|{{ m.content }}]{% endfor %}"
#define TOOLS    "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}}]"

static pdk_string string_of(const char *text)
{
    return (pdk_string){text, strlen(text)};
}

static void load(const char *const *arguments)
{
    pdk_error err = {0};
    const char *path = desk_fixture("walkthrough/facebook/opt-125m");
    desk_open(&desk);
    pdk_status status = desk_load(&desk, path, arguments, NULL, &err);
    ck_assert_msg(status == PDK_OK, "%s", err.message);
}

static pdk_message hello = {.json = {"{\"role\":\"user\",\"content\":\"Hi\"}", 30}};

static pdk_request chat(int32_t most)
{
    return (pdk_request){.size = sizeof(pdk_request),
        .kind = PDK_KIND_GENERATE,
        .id = 7,
        .messages = &hello,
        .message_count = 1,
        .sampling = {
            .size = sizeof(pdk_sampling), .has = PDK_HAS_TEMPERATURE | PDK_HAS_MAX_TOKENS, .max_tokens = most, .n = 1}};
}

static void tokens_of(const char *text, struct desk_answer *answer)
{
    pdk_request request = {.size = sizeof request,
        .kind = PDK_KIND_TOKENIZE,
        .id = 1,
        .text = string_of(text),
        .flags = PDK_FLAG_NO_SPECIAL_TOKENS};
    memset(answer, 0, sizeof *answer);
    desk_submit(&desk, &request, answer);
    desk_wait(answer);
    ck_assert_int_eq(answer->error.status, PDK_OK);
}

/* An answer that begins with `text`, and one token more. */
static void answer_to(pdk_request *request, const char *text, struct desk_answer *answer)
{
    struct desk_answer tokens;
    tokens_of(text, &tokens);
    request->produced_ids = tokens.choices[0].ids;
    request->produced_count = tokens.choices[0].id_count;
    request->sampling.max_tokens = (int32_t)request->produced_count + 1;
    memset(answer, 0, sizeof *answer);
    desk_submit(&desk, request, answer);
    desk_wait(answer);
    desk_answer_done(&tokens);
}

static const char *const hermes[] = {
    TEMPLATE, "--tool-call-parser=hermes", "--enable-auto-tool-choice", "--reasoning-parser=deepseek_r1", NULL};

START_TEST(calls_and_reasoning_come_apart)
{
    load(hermes);
    pdk_request request = chat(0);
    request.tools = PDK_TOOLS_AUTO;
    request.tools_json = string_of(TOOLS);
    struct desk_answer answer;
    answer_to(&request, "Hm.</think>\nYes\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\":\"b\"}}\n</tool_call>",
        &answer);
    const struct desk_choice *choice = &answer.choices[0];
    ck_assert_msg(answer.error.status == PDK_OK, "%s", answer.error.message);
    ck_assert(choice->parsed && choice->called);
    ck_assert_str_eq(choice->seen.data, "r:Hm.|c:\nYes\n|0 f:{\"a\": \"b\"}");
    ck_assert_uint_gt(choice->reasoning_tokens, 0);
    ck_assert_uint_lt(choice->reasoning_tokens, choice->completion_tokens);
    desk_answer_done(&answer);

    request.flags = PDK_FLAG_NO_REASONING;
    answer_to(&request, "Hm.</think>Yes<tool_call>{\"name\": \"f\"}</tool_call>", &answer);
    ck_assert_int_eq(answer.error.status, PDK_OK);
    ck_assert(answer.choices[0].parsed && !answer.choices[0].called);
    ck_assert_int_eq(strncmp(answer.choices[0].seen.data, "c:Yes<tool_call>{\"name\": \"f\"}</tool_call>", 41), 0);
    desk_answer_done(&answer);
    desk_close(&desk);
}
END_TEST

/* What a stream gives in pieces is what the whole gives, for any text the model makes. */
START_TEST(streams_come_to_the_whole)
{
    load(hermes);
    pdk_request request = chat(24);
    request.tools = PDK_TOOLS_AUTO;
    request.tools_json = string_of(TOOLS);
    struct desk_answer whole, stream;
    memset(&whole, 0, sizeof whole);
    memset(&stream, 0, sizeof stream);
    desk_submit(&desk, &request, &whole);
    desk_wait(&whole);
    request.flags = PDK_FLAG_STREAM;
    desk_submit(&desk, &request, &stream);
    desk_wait(&stream);
    ck_assert_int_eq(whole.error.status, PDK_OK);
    ck_assert_uint_gt(whole.choices[0].seen.length, 2);
    ck_assert_str_eq(whole.choices[0].seen.data, stream.choices[0].seen.data);
    ck_assert_uint_eq(whole.choices[0].reasoning_tokens, stream.choices[0].reasoning_tokens);
    desk_answer_done(&stream);
    request.flags = PDK_FLAG_STREAM | PDK_FLAG_NO_REASONING;
    desk_submit(&desk, &request, &stream);
    desk_wait(&stream);
    ck_assert_uint_eq(stream.choices[0].id_count, 0); /* all of it was reasoning */
    ck_assert_uint_eq(stream.choices[0].completion_tokens, whole.choices[0].completion_tokens);
    desk_answer_done(&stream);
    desk_answer_done(&whole);
    desk_close(&desk);
}
END_TEST

START_TEST(completions_and_tools_of_none_are_plain)
{
    static const char *const arguments[] = {TEMPLATE, "--tool-call-parser=hermes", NULL};
    load(arguments);
    pdk_request request = chat(0);
    request.tools_json = string_of(TOOLS);
    struct desk_answer answer;
    answer_to(&request, "<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>", &answer);
    ck_assert_int_eq(answer.error.status, PDK_OK);
    ck_assert(!answer.choices[0].parsed);
    desk_answer_done(&answer);
    pdk_model_info info = {.size = sizeof info};
    ck_assert_int_eq(desk.model->describe(desk.self, &info, NULL), PDK_OK);
    ck_assert_int_eq(info.auto_tools, 0); /* it was not enabled */
    ck_assert_int_eq(info.parses_reasoning, 0);
    desk_close(&desk);
}
END_TEST

/* The template tells the formats where arguments do not. */
START_TEST(templates_tell_the_formats)
{
    static const char *const arguments[] = {
        "--chat-template={% if tools %}<tool_call>{{ tools }}</tool_call>{% endif %}{{ messages[0].content }}"
        "{% if add_generation_prompt and not enable_thinking %}<think></think>{% endif %}",
        NULL};
    load(arguments);
    pdk_model_info info = {.size = sizeof info};
    ck_assert_int_eq(desk.model->describe(desk.self, &info, NULL), PDK_OK);
    ck_assert_int_eq(info.auto_tools, 1);
    ck_assert_int_eq(info.parses_reasoning, 1);
    pdk_request request = chat(0);
    struct desk_answer answer;
    answer_to(&request, "</think>a", &answer); /* the prompt has closed it */
    ck_assert_int_eq(strncmp(answer.choices[0].seen.data, "c:</think>a", 11), 0);
    desk_answer_done(&answer);
    request.template_vars_json = string_of("{\"enable_thinking\":true}");
    answer_to(&request, "<think>a</think>b", &answer);
    ck_assert_int_eq(strncmp(answer.choices[0].seen.data, "r:a|c:b", 7), 0);
    desk_answer_done(&answer);
    desk_close(&desk);
}
END_TEST

#define STRICT_TOOLS                                                                                           \
    "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":" \
    "{\"a\":{\"enum\":[\"x\"]}},\"required\":[\"a\"],\"additionalProperties\":false}}}]"

/* A random model makes the call it is asked for. */
static const struct {
    int32_t tools;
    uint32_t flags;
    bool called;
} forced[] = {
    {PDK_TOOLS_REQUIRED, PDK_FLAG_ONE_TOOL_CALL, true},
    {PDK_TOOLS_REQUIRED, PDK_FLAG_ONE_TOOL_CALL | PDK_FLAG_STREAM, true},
    {PDK_TOOLS_NAMED, 0, false},
    {PDK_TOOLS_NAMED, PDK_FLAG_STREAM, false},
};

START_TEST(forced_calls_are_made)
{
    static const char *const arguments[] = {TEMPLATE, "--tool-call-parser=hermes", NULL};
    load(arguments);
    pdk_model_info info = {.size = sizeof info};
    ck_assert_int_eq(desk.model->describe(desk.self, &info, NULL), PDK_OK);
    ck_assert_int_eq(info.forced_tools, 1);
    pdk_request request = chat(300);
    request.tools = forced[_i].tools;
    request.flags = forced[_i].flags;
    request.tool_name = string_of("f");
    request.tools_json = string_of(STRICT_TOOLS);
    struct desk_answer answer;
    memset(&answer, 0, sizeof answer);
    desk_submit(&desk, &request, &answer);
    desk_wait(&answer);
    const struct desk_choice *choice = &answer.choices[0];
    ck_assert_msg(answer.error.status == PDK_OK, "%s", answer.error.message);
    ck_assert_msg(choice->finish == PDK_FINISH_STOP, "%s", choice->seen.data);
    ck_assert_int_eq(strncmp(choice->seen.data, "0 f:{", 5), 0);
    ck_assert_ptr_nonnull(strstr(choice->seen.data, "\"x\""));
    ck_assert_int_eq(choice->called, forced[_i].called);
    desk_answer_done(&answer);
    desk_close(&desk);
}
END_TEST

/* The guide begins behind the reasoning, where there is any. */
START_TEST(guides_wait_for_the_end_of_reasoning)
{
    load(hermes);
    pdk_request request = chat(0);
    request.guide = (pdk_guide){.kind = PDK_GUIDE_REGEX, .text = string_of("yes")};
    struct desk_answer answer;
    answer_to(&request, "Let me see</think>", &answer);
    ck_assert_msg(answer.error.status == PDK_OK, "%s", answer.error.message);
    ck_assert_int_eq(strncmp(answer.choices[0].seen.data, "r:Let me see|c:y", 16), 0);
    desk_answer_done(&answer);
    desk_close(&desk);
}
END_TEST

static const struct {
    const char *arguments[2], *begin;
} refusals[] = {
    {{"--tool-call-parser=hermse"}, "invalid tool call parser: hermse (chose from { hermes,qwen3_json,"},
    {{"--reasoning-parser=r2"}, "invalid reasoning parser: r2 (chose from { deepseek_r1,"},
    {{"--enable-auto-tool-choice", TEMPLATE}, "Error: --enable-auto-tool-choice requires --tool-call-parser"},
};

START_TEST(unknown_formats_are_refused)
{
    const char *const arguments[] = {refusals[_i].arguments[0], refusals[_i].arguments[1], NULL};
    pdk_error err = {0};
    const char *path = desk_fixture("walkthrough/facebook/opt-125m");
    desk_open(&desk);
    ck_assert_int_eq(desk_load(&desk, path, arguments, NULL, &err), PDK_INVALID);
    ck_assert_msg(strncmp(err.message, refusals[_i].begin, strlen(refusals[_i].begin)) == 0, "%s", err.message);
    ck_assert(_i == 2 || err.message[strlen(err.message) - 1] == ')'); /* the whole list is there */
    desk_close(&desk);
}
END_TEST

/* Histories: arguments are objects, ids are cut, reasoning has both names, tools may be hidden. */
static const struct {
    const char *message, *argument, *prompt;
    int32_t tools;
} histories[] = {
    {"{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"call_123456789abc\",\"function\":{\"name\":"
     "\"f\","
     "\"arguments\":\"{\\\"a\\\": [1]}\"}}]}",
        NULL, "call_123456789abc/1//1", PDK_TOOLS_AUTO},
    {"{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"call_123456789abc\",\"function\":{\"name\":"
     "\"f\","
     "\"arguments\":\"{\\\"a\\\": [1]}\"}}]}",
        "--tool-call-parser=mistral", "456789abc/1//1", PDK_TOOLS_AUTO},
    {"{\"role\":\"assistant\",\"content\":\"x\",\"reasoning_content\":\"why\"}", NULL, "//whywhy/1", PDK_TOOLS_AUTO},
    {"{\"role\":\"assistant\",\"content\":\"x\",\"reasoning\":\"why\"}", "--exclude-tools-when-tool-choice-none",
        "//whywhy/0", PDK_TOOLS_NONE},
};

START_TEST(histories_reach_the_template)
{
    const char *const arguments[] = {
        "--chat-template={% for m in messages %}{% for c in m.tool_calls %}{{ c.id }}/{{ c.function.arguments.a[0] }}"
        "{% else %}/{% endfor %}/{{ m.reasoning }}{{ m.reasoning_content }}/{% endfor %}{{ 1 if tools else 0 }}",
        histories[_i].argument, NULL};
    load(arguments);
    pdk_message message = {.json = string_of(histories[_i].message)};
    pdk_request request = chat(1);
    request.messages = &message;
    request.tools = histories[_i].tools;
    request.tools_json = string_of(TOOLS);
    request.flags = PDK_FLAG_PROMPT_TEXT;
    struct desk_answer answer;
    memset(&answer, 0, sizeof answer);
    desk_submit(&desk, &request, &answer);
    desk_wait(&answer);
    ck_assert_msg(answer.error.status == PDK_OK, "%s", answer.error.message);
    ck_assert_str_eq(answer.prompt.text.data, histories[_i].prompt);
    desk_answer_done(&answer);
    desk_close(&desk);
}
END_TEST

int main(void)
{
    desk_need_plugins();
    Suite *suite = suite_create("answers");
    TCase *tests = tcase_create("answers");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, calls_and_reasoning_come_apart);
    tcase_add_test(tests, streams_come_to_the_whole);
    tcase_add_test(tests, completions_and_tools_of_none_are_plain);
    tcase_add_test(tests, templates_tell_the_formats);
    tcase_add_loop_test(tests, forced_calls_are_made, 0, sizeof forced / sizeof forced[0]);
    tcase_add_test(tests, guides_wait_for_the_end_of_reasoning);
    tcase_add_loop_test(tests, unknown_formats_are_refused, 0, sizeof refusals / sizeof refusals[0]);
    tcase_add_loop_test(tests, histories_reach_the_template, 0, sizeof histories / sizeof histories[0]);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
