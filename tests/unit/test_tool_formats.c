/* Tool calls out of each format's text, however it arrives: a stream's pieces come to what the whole comes to. */
#include "config.h"

#include "check_main.h"
#include "reader_run.h"

#define WEATHER "0 get_weather:{\"city\": \"Tokyo\"}"

static const char tools[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"parameters\":{\"type\":\"object\",\"properties\":"
    "{"
    "\"city\":{\"type\":\"string\"},\"days\":{\"type\":\"integer\"},\"scale\":{\"type\":\"number\"},\"on\":{\"type\":"
    "\"boolean\"},\"where\":{\"type\":\"object\"},\"list\":{\"type\":\"array\"},\"maybe\":{\"anyOf\":[{\"type\":"
    "\"integer\"},{\"type\":\"null\"}]},\"any\":{}}}}}]";

/* Well-formed texts: `streamed` is also what the whole gives. */
static const struct {
    const char *format, *text, *wanted;
} good[] = {
    {"hermes", "no call at all", "c:no call at all"},
    {"hermes", "", ""},
    {"hermes", "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Tokyo\"}}\n</tool_call>", WEATHER},
    {"hermes", "<tool_call>{\"name\":\"get_weather\",\"arguments\":{\"city\":\"Tokyo\"}}", WEATHER},
    {"hermes", "Sure.\n<tool_call>\n{\"arguments\": {\"city\":\"Tokyo\"}, \"name\": \"get_weather\"}\n</tool_call>\n",
        "c:Sure.\n|" WEATHER},
    {"hermes",
        "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>\n<tool_call>\n{\"name\": \"g\", "
        "\"arguments\": {\"a\":[1,2.50,-0,1e3,true,null,\"\\u00e9\\n\\/\"]}}\n</tool_call>",
        "0 f:{}|1 g:{\"a\": [1, 2.5, 0, 1000.0, true, null, \"\xC3\xA9\\n/\"]}"},
    {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": \"n\"}</tool_call>", "0 f:\"n\""},
    {"hermes",
        "<tool_call>{\"id\": {\"name\": 1}, \"name\": \"f\", \"arguments\": {\"x\": \"</tool_call>\"}}</tool_call>",
        "0 f:{\"x\": \"</tool_call>\"}"},
    {"hermes", "a <tool box and <tool_cal", "c:a <tool box and <tool_cal"},
    {"qwen3_json", "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"\\ud83d\\ude80 \\ud83d\"}}\n</tool_call>",
        "0 f:{\"a\": \"\xF0\x9F\x9A\x80 \\ud83d\"}"},
    {"llama3_json", "{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Tokyo\"}}", WEATHER},
    {"llama3_json", "<|python_tag|>{\"name\": \"f\", \"parameters\": {}}; {\"name\": \"g\", \"arguments\": {\"a\": 1}}",
        "0 f:{}|1 g:{\"a\": 1}"},
    {"llama3_json", "{\"name\": \"Ann\", \"age\": 5}", "c:{\"name\": \"Ann\", \"age\": 5}"},
    {"llama3_json", "a { b {\"name\": \"f\", \"parameters\": {}} c", "c:a { b |0 f:{}"},
    {"llama4_json", "hello {", "c:hello {"},
    {"mistral", "[TOOL_CALLS] [{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Tokyo\"}}]", WEATHER},
    {"mistral", "[TOOL_CALLS]get_weather[ARGS]{\"city\": \"Tokyo\"}", WEATHER},
    {"mistral", "Hm. [TOOL_CALLS]get_weather{\"city\": \"Tokyo\"}[TOOL_CALLS]g[CALL_ID]a1[ARGS]{\"b\":1}",
        "c:Hm. |" WEATHER "|1 g:{\"b\":1}"},
    {"qwen3_coder",
        "<tool_call>\n<function=get_weather>\n<parameter=city>\nTokyo\n</parameter>\n</function>\n</tool_call>",
        WEATHER},
    {"qwen3_xml",
        "Well.\n<tool_call>\n<function=get_weather>\n<parameter=city>\na\n\nb\n</parameter>\n<parameter=days>\n3\n"
        "</parameter>\n<parameter=scale>\n2.0\n</parameter>\n<parameter=on>\nTrue\n</parameter>\n<parameter=where>\n"
        "{'x': [1]}\n</parameter>\n<parameter=maybe>\nnull\n</parameter>\n<parameter=other>\n7\n</parameter>\n"
        "</function>\n</tool_call>",
        "c:Well.\n|0 get_weather:{\"city\": \"a\\n\\nb\", \"days\": 3, \"scale\": 2, \"on\": true, \"where\": {\"x\": "
        "[1]}, \"maybe\": null, \"other\": \"7\"}"},
    {"qwen3_coder", "<function=get_weather>\n<parameter=city>Tokyo</function>", WEATHER},
    {"qwen3_coder", "<tool_call><function=f></function><function=g></function></tool_call>", "0 f:{}|1 g:{}"},
    {"seed_oss",
        "<seed:tool_call>\n<function=get_weather>\n<parameter=city>Tokyo</parameter>\n</function>\n</seed:tool_call>",
        WEATHER},
    {"pythonic", "[get_weather(city='Tokyo'), get_time(tz=\"JST\")]", WEATHER "|1 get_time:{\"tz\": \"JST\"}"},
    {"pythonic", " [a.f(x=[1, -2.5, {'k': None,}], y=True, z='it\\'s \"q\" \\q')] ",
        "0 a.f:{\"x\": [1, -2.5, {\"k\": null}], \"y\": true, \"z\": \"it's \\\"q\\\" \\\\q\"}"},
    {"pythonic", "[f()]", "0 f:{}"},
    {"pythonic", "see [f(x=1)]", "c:see [f(x=1)]"},
    {"llama4_pythonic", "<|python_start|>[get_weather(city='Tokyo')]<|python_end|>", WEATHER},
    {"llama4_pythonic", "[get_weather(city='Tokyo')]", WEATHER},
    {"olmo3", "<function_calls>get_weather(city=\"Tokyo\")\nget_time(tz=\"JST\", on=true)</function_calls>",
        WEATHER "|1 get_time:{\"tz\": \"JST\", \"on\": true}"},
    {"phi4_mini_json", "functools[{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Tokyo\"}}]", WEATHER},
    {"granite", "<|tool_call|> [{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Tokyo\"}}]", WEATHER},
    {"granite", "<tool_call> [{\"name\": \"f\", \"arguments\": {}}, {\"name\": \"g\", \"arguments\": {}}]",
        "0 f:{}|1 g:{}"},
    {"granite4",
        "One.<tool_call> {\"name\": \"f\", \"arguments\": {}} </tool_call>Two.<tool_call>{\"name\": \"g\", "
        "\"arguments\": "
        "{}}</tool_call>Three.",
        "c:One.|0 f:{}|c:Two.|1 g:{}|c:Three."},
    {"granite-20b-fc",
        "<function_call> {\"name\": \"f\", \"arguments\": {}}<function_call> {\"name\": \"g\", \"arguments\": {}}",
        "0 f:{}|1 g:{}"},
    {"internlm", "Text<|action_start|><|plugin|>{\"name\": \"f\", \"parameters\": {\"a\": 1}}<|action_end|>",
        "c:Text|0 f:{\"a\": 1}"},
    {"jamba",
        "<tool_calls>[\n    {\"name\": \"f\", \"arguments\": {}},\n    {\"name\": \"g\", \"arguments\": "
        "{}}\n]</tool_calls>",
        "0 f:{}|1 g:{}"},
    {"hunyuan_a13b", "<tool_calls>[{\"name\": \"f\", \"arguments\": {}}]</tool_calls>", "0 f:{}"},
    {"lfm2", "<|tool_call_start|>[get_weather(city=\"Tokyo\")]<|tool_call_end|>", WEATHER},
    {"functiongemma", "<start_function_call>call:get_weather{city:<escape>Tokyo<escape>}<end_function_call>", WEATHER},
    {"gemma4",
        "<|tool_call>call:get_weather{city:<|\"|>To,}kyo<|\"|>,n:42,o:{a:[1,<|\"|>x<|\"|>,true],b:{}}}<tool_call|>",
        "0 get_weather:{\"city\": \"To,}kyo\", \"n\": 42, \"o\": {\"a\": [1, \"x\", true], \"b\": {}}}"},
    {"deepseek_v3",
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n{\"city\": "
        "\"Tokyo\"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>g\n```json\n{\"a\":1}\n"
        "```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        WEATHER "|1 g:{\"a\":1}"},
    {"deepseek_v31",
        "x<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{\"city\": \"Tokyo\"}<｜tool▁call▁end｜>"
        "<｜tool▁calls▁end｜>",
        "c:x|" WEATHER},
    {"deepseek_v32",
        "<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"get_weather\">\n<｜DSML｜parameter name=\"city\" "
        "string=\"true\">Tokyo</｜DSML｜parameter>\n<｜DSML｜parameter name=\"any\" string=\"false\">[1, "
        "2]</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>",
        "0 get_weather:{\"city\": \"Tokyo\", \"any\": [1, 2]}"},
    {"deepseek_v4",
        "<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"get_weather\">\n<｜DSML｜parameter name=\"city\" "
        "string=\"true\">Tokyo</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>",
        WEATHER},
    {"glm45",
        "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Tokyo</arg_value>\n<arg_key>days</arg_key>\n"
        "<arg_value>2</arg_value>\n</tool_call>\n<tool_call>g</tool_call>",
        "0 get_weather:{\"city\": \"Tokyo\", \"days\": 2}|1 g:{}"},
    {"glm47", "<tool_call>get_weather<arg_key>city</arg_key><arg_value>Tokyo</arg_value></tool_call>", WEATHER},
    {"poolside_v1", "<tool_call>write\n<arg_key>content</arg_key>\n<arg_value>x</arg_value>\n</tool_call>",
        "0 write:{\"content\": \"x\"}"},
    {"hy_v3",
        "<tool_calls><tool_call>get_weather<tool_sep><arg_key>city</arg_key><arg_value>Tokyo</arg_value></tool_call>"
        "</tool_calls>",
        WEATHER},
    {"kimi_k2",
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>{\"city\": "
        "\"Tokyo\"}<|tool_call_end|><|tool_calls_section_end|>",
        WEATHER},
    {"minimax_m2",
        "<minimax:tool_call>\n<invoke name=\"get_weather\">\n<parameter name=\"city\">Tokyo</parameter>\n</invoke>\n"
        "</minimax:tool_call>",
        WEATHER},
    {"dots",
        "<dots_function_call><invoke name=\"f\"><parameter "
        "name=\"city\">Tokyo</parameter></invoke></dots_function_call>",
        "0 f:{\"city\": \"Tokyo\"}"},
    {"step3",
        "<｜tool_calls_begin｜><｜tool_call_begin｜>function<｜tool_sep｜><steptml:invoke name=\"get_weather\">"
        "<steptml:parameter name=\"city\">Tokyo</steptml:parameter></steptml:invoke><｜tool_call_end｜>"
        "<｜tool_calls_end｜>",
        WEATHER},
    {"ernie45", "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Tokyo\"}}\n</tool_call>",
        WEATHER},
    {"longcat", "<longcat_tool_call>{\"name\": \"f\", \"arguments\": {}}</longcat_tool_call>", "0 f:{}"},
    {"gigachat3", "text<|message_sep|>\n\nfunction call<|role_sep|>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}",
        "c:text|0 f:{\"a\": 1}"},
    {"gigachat3", "<|function_call|>{\"name\": \"f\", \"arguments\": {}}", "0 f:{}"},
    {"apertus", "<|tools_prefix|>[{\"get_weather\": {\"city\": \"Tokyo\"}}, {\"g\": {}}]<|tools_suffix|>",
        WEATHER "|1 g:{}"},
    {"minicpm5", "<function name=\"get_weather\"><param name=\"city\">Tokyo</param></function>", WEATHER},
    {"k2_horizon",
        "<ifm|tool_calls><ifm|tool_call>{\"name\": \"f\", \"arguments\": {}}</ifm|tool_call></ifm|tool_calls>",
        "0 f:{}"},
    {"xlam", "[{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Tokyo\"}}]", WEATHER},
    {"xlam", "```json\n[{\"name\": \"f\", \"arguments\": {}}]\n```", "0 f:{}"},
    {"xlam", "<tool_call>[{\"name\": \"f\", \"arguments\": {}}]</tool_call>", "0 f:{}"},
    {"xlam", "a list [1, 2]", "c:a list [1, 2]"},
    {"openai",
        "<|channel|>analysis<|message|>thinking<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather "
        "<|constrain|>json<|message|>{\"city\": \"Tokyo\"}<|call|>",
        "r:thinking|" WEATHER},
    {"openai", "<|start|>assistant to=functions.f<|channel|>commentary json<|message|>{\"a\":1}", "0 f:{\"a\":1}"},
    {"openai",
        "<|channel|>commentary<|message|>I look.<|end|><|start|>assistant<|channel|>final<|message|>answer<|return|>",
        "c:I look.answer"},
};

static void open_format(struct reader_run *run, const char *format)
{
    reader_run_open(run, format, NULL);
    run->spec.tools_json = (pdk_string){tools, strlen(tools)};
    run->spec.reasoning = true;
}

START_TEST(calls_are_read_however_they_arrive)
{
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct reader_run run;
        open_format(&run, good[i].format);
        const char *got = reader_run_all(&run, good[i].text);
        ck_assert_msg(strcmp(got, good[i].wanted) == 0, "%s: '%s'\n got %s\nwant %s", good[i].format, good[i].text, got,
            good[i].wanted);
        run.spec.whole = true;
        got = reader_run_text(&run, good[i].text, strlen(good[i].text), 1, 1);
        ck_assert_msg(strcmp(got, good[i].wanted) == 0, "%s: '%s' as a whole\n got %s\nwant %s", good[i].format,
            good[i].text, got, good[i].wanted);
        ck_assert_int_eq(run.called, good[i].wanted[0] == '0' || strstr(good[i].wanted, "|0 ") != NULL);
        reader_run_close(&run);
    }
}
END_TEST

/* Broken calls: a whole answer is content; a stream keeps what was said, and never less than the text before. */
static const struct {
    const char *format, *text, *streamed;
} broken[] = {
    {"hermes", "Hi <tool_call>{\"name\": \"f\"}</tool_call> there",
        "c:Hi <tool_call>{\"name\": \"f\"}</tool_call> there"},
    {"hermes", "<tool_call>nothing</tool_call>", "c:<tool_call>nothing</tool_call>"},
    {"hermes", "<tool_call>{\"name\": 5, \"arguments\": {}}</tool_call>",
        "c:<tool_call>{\"name\": 5, \"arguments\": {}}</tool_call>"},
    {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": tru", "0 f:{\"a\": "},
    {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"unterminated", "0 f:{\"a\": \"unterminated"},
    {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 01}}</tool_call>", "0 f:{\"a\": "},
    {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"line\nbreak\"}}</tool_call>",
        "0 f:{\"a\": \"line"},
    {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {}} more</tool_call>", "0 f:{}"},
    {"hermes", "<tool_call>{\"name\": \"\", \"arguments\": {}}</tool_call>",
        "c:<tool_call>{\"name\": \"\", \"arguments\": {}}</tool_call>"},
    {"pythonic", "[f(x=1), g(2)]", "0 f:{\"x\": 1}"},
    {"pythonic", "[f(x=1)] and more", "0 f:{\"x\": 1}"},
    {"pythonic", "[f(x=open('a'))]", "0 f:{\"x\": "},
    {"pythonic", "[1, 2]", "c:[1, 2]"},
    {"qwen3_coder", "<tool_call>\nwhat?\n</tool_call>", "c:<tool_call>\nwhat?\n</tool_call>"},
    {"deepseek_v31", "<｜tool▁calls▁begin｜>none<｜tool▁calls▁end｜>",
        "c:<｜tool▁calls▁begin｜>none<｜tool▁calls▁end｜>"},
    {"gemma4", "<|tool_call>call:f{a:}<tool_call|>.", "c:<|tool_call>call:f{a:}<tool_call|>."},
    {"jamba", "<tool_calls>[]</tool_calls>", "c:<tool_calls>[]</tool_calls>"},
};

START_TEST(broken_calls_are_content_of_a_whole_answer)
{
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        struct reader_run run;
        struct buffer wanted = {0};
        open_format(&run, broken[i].format);
        const char *got = reader_run_all(&run, broken[i].text);
        ck_assert_msg(strcmp(got, broken[i].streamed) == 0, "%s: '%s'\n got %s\nwant %s", broken[i].format,
            broken[i].text, got, broken[i].streamed);
        run.spec.whole = true;
        buffer_printf(&wanted, "c:%s", broken[i].text);
        ck_assert_str_eq(reader_run_all(&run, broken[i].text), wanted.data);
        ck_assert(!run.called);
        buffer_done(&wanted);
        reader_run_close(&run);
    }
}
END_TEST

START_TEST(one_call_may_be_asked_for)
{
    struct reader_run run;
    open_format(&run, "hermes");
    run.spec.one_call = true;
    ck_assert_str_eq(reader_run_all(&run, "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1}}</tool_call>"
                                          "<tool_call>{\"name\": \"g\", \"arguments\": {\"b\": 2}}</tool_call>"),
        "0 f:{\"a\": 1}");
    reader_run_close(&run);
}
END_TEST

START_TEST(forced_calls_are_a_list_or_the_arguments)
{
    struct reader_run run;
    open_format(&run, "hermes");
    run.spec.tools = PDK_TOOLS_REQUIRED;
    ck_assert_str_eq(
        reader_run_all(&run, "[{\"name\": \"f\", \"parameters\": {\"a\":1}},{\"name\":\"g\",\"parameters\":{}}]"),
        "0 f:{\"a\": 1}|1 g:{}");
    ck_assert(run.called);
    run.spec.tools = PDK_TOOLS_NAMED;
    run.spec.tool_name = (pdk_string){"f", 1};
    ck_assert_str_eq(reader_run_all(&run, "{\"a\":1}"), "0 f:{\"a\":1}");
    ck_assert(!run.called);
    reader_run_close(&run);
}
END_TEST

/* A special token is a mark only where it is one; others are left out of content and of strings. */
START_TEST(special_tokens_are_left_out)
{
    struct reader_run run;
    open_format(&run, "hermes");
    ck_assert_str_eq(reader_run_all(&run, "a\xFF<pad>\xFE"
                                          "b"),
        "c:ab");
    run.spec.keep_special = true;
    ck_assert_str_eq(reader_run_all(&run, "a\xFF<pad>\xFE"
                                          "b"),
        "c:a<pad>b");
    run.spec.keep_special = false;
    ck_assert_str_eq(
        reader_run_all(&run, "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"x\xFF<pad>\xFEy\"}}</tool_call>"),
        "0 f:{\"a\": \"xy\"}");
    reader_run_close(&run);
}
END_TEST

/* Where the vocabulary has a mark as a special token, words that spell it are words. */
START_TEST(special_marks_are_tokens)
{
    static const char json[] =
        "{\"added_tokens\":[{\"id\":2,\"content\":\"<tool_call>\",\"special\":true},{\"id\":3,\"content\":"
        "\"</tool_call>\",\"special\":true},{\"id\":4,\"content\":\"<think>\",\"special\":false}],\"model\":{\"type\":"
        "\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"<tool_call>\":2,\"</tool_call>\":3,\"<think>\":4},\"merges\":[]}}";
    struct tokenizer *tokenizer = NULL;
    struct reader_run run = {0};
    pdk_error err = {0};
    pdk_status status = tokenizer_from_json(json, sizeof json - 1, NULL, 0, &tokenizer, &err);
    ck_assert_msg(status == PDK_OK, "%s", err.message);
    run.parsers.tool_format = tool_format_find("hermes");
    ck_assert_int_eq(parsers_init(&run.parsers, tokenizer, NULL), PDK_OK);
    run.spec = (struct reader_spec){.parsers = &run.parsers, .tools = PDK_TOOLS_AUTO};
    ck_assert_str_eq(reader_run_all(&run, "say <tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>"),
        "c:say <tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>");
    ck_assert_str_eq(reader_run_all(&run, "so \xFF<tool_call>\xFE{\"name\": \"f\", \"arguments\": "
                                          "{\"a\": \"</tool_call>\"}}\xFF</tool_call>\xFE"),
        "c:so |0 f:{\"a\": \"</tool_call>\"}");
    struct buffer mark = {0};
    marker_put(&mark, tokenizer, "<think><tool_call>x");
    ck_assert_str_eq(mark.data, "<think>\xFF<tool_call>\xFEx");
    buffer_done(&mark);
    reader_run_close(&run);
    tokenizer_free(tokenizer);
}
END_TEST

static char *repeated(const char *text, size_t times)
{
    struct buffer out = {0};
    for (size_t i = 0; i < times; i++)
        buffer_puts(&out, text);
    return buffer_take(&out);
}

/* Deep, endless and unfinished texts end, and end fast. */
START_TEST(hostile_texts_end)
{
    static const char *const formats[] = {"hermes", "llama3_json", "mistral", "qwen3_coder", "pythonic", "xlam",
        "gemma4", "glm45", "deepseek_v3", "kimi_k2", "lfm2", "openai", "step3", "granite4"};
    static const char *const begins[] = {"",
        "<tool_call>{\"name\": \"f\", \"arguments\": ", "{\"name\": \"f\", \"parameters\": ", "[TOOL_CALLS]f[ARGS]",
        "<tool_call><function=f><parameter=a>", "[f(a=", "[", "<|tool_call>call:f{a:", "<tool_call>f\n<arg_key>",
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>", "<|channel|>"};
    static const char *const bodies[] = {"[", "{\"a\":", "{", "\"", "\"\\", "<", "<tool_call>", "<function=", "1", "(",
        "[[\"", "{\"a\":1,", "{\"{\":\"", "<arg_key>a</arg_key>", "<|start|>", "\n", "<|\"|>", "[f(", "-", "\\u"};
    for (size_t f = 0; f < sizeof formats / sizeof formats[0]; f++)
        for (size_t b = 0; b < sizeof begins / sizeof begins[0]; b++)
            for (size_t k = 0; k < sizeof bodies / sizeof bodies[0]; k++) {
                struct reader_run run;
                struct buffer text = {0};
                char *body = repeated(bodies[k], 3000);
                open_format(&run, formats[f]);
                buffer_printf(&text, "%s%s", begins[b], body);
                char *whole = strdup(reader_run_text(&run, text.data, text.length, 0, 0));
                const char *pieces = reader_run_text(&run, text.data, text.length, 7, 7);
                ck_assert_msg(strcmp(whole, pieces) == 0, "%s: %s and %s", formats[f], begins[b], bodies[k]);
                free(whole);
                free(body);
                buffer_done(&text);
                reader_run_close(&run);
            }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tool formats");
    TCase *tcase = tcase_create("tool formats");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, calls_are_read_however_they_arrive);
    tcase_add_test(tcase, broken_calls_are_content_of_a_whole_answer);
    tcase_add_test(tcase, one_call_may_be_asked_for);
    tcase_add_test(tcase, forced_calls_are_a_list_or_the_arguments);
    tcase_add_test(tcase, special_tokens_are_left_out);
    tcase_add_test(tcase, special_marks_are_tokens);
    tcase_add_test(tcase, hostile_texts_end);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
