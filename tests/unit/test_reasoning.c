/* Reasoning and content of each format, however the text arrives, and how many tokens the reasoning had. */
#include "config.h"

#include "check_main.h"
#include "reader_run.h"

static const struct {
    const char *format, *text, *wanted;
} texts[] = {
    {"deepseek_r1", "because</think>So.", "r:because|c:So."},
    {"deepseek_r1", "<think>because</think>\n\nSo.", "r:because|c:\n\nSo."},
    {"deepseek_r1", "\n<think>\nbecause\n</think>", "r:\nbecause\n"},
    {"deepseek_r1", "never ended", "r:never ended"},
    {"deepseek_r1", "a </thin k> b </think>", "r:a </thin k> b "},
    {"deepseek_r1", "a</think>b</think>c", "r:a|c:b</think>c"},
    {"qwen3", "<think>\nhm\n</think>\n\nHi", "r:\nhm\n|c:\n\nHi"},
    {"olmo3", "<think>a</think>b", "r:a|c:b"},
    {"granite", "Here is my thought process: a Here is my response: b", "r: a |c: b"},
    {"granite", "Here's my thought process:a Here's my response:b", "r:a |c:b"},
    {"granite", "Here is my", "c:Here is my"},
    {"nemotron_v3", "a</think>\nb", "r:a|c:b"},
    {"step3p5", "a\n</think>\nb\n</think>", "r:a|c:b\n</think>"},
    {"mistral", "[THINK]a[/THINK]b", "r:a|c:b"},
    {"mistral", "plain", "c:plain"},
    {"mistral", "[THINK]a[TOOL_CALLS]f", "r:a|c:[TOOL_CALLS]f"},
    {"kimi_k2", "a<|tool_calls_section_begin|>b", "r:a|c:<|tool_calls_section_begin|>b"},
    {"hunyuan_a13b", "<think>\na\n</think>\n<answer>\nb\n</answer>", "r:a|c:b"},
    {"ernie45", "a\n</think>\n\n<response>\nb\nc\n</response>\n", "r:a\n|c:b\nc"},
    {"seed_oss", "<seed:think>a</seed:think>b", "r:a|c:b"},
    {"minimax_m2", "a</think>b", "r:a|c:b"},
    {"minimax_m2_append_think", "a</think>b", "c:<think>a</think>b"},
    {"cohere_command3", "<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>b<|END_RESPONSE|>", "r:a|c:b"},
    {"openai_gptoss", "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b",
        "r:a|c:b"},
    {"openai_gptoss", "<|channel|>final<|message|>b<|return|>", "c:b"},
    {"gemma4", "a", "c:a"},
};

START_TEST(reasoning_is_split_however_it_arrives)
{
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct reader_run run;
        reader_run_open(&run, NULL, texts[i].format);
        const char *got = reader_run_all(&run, texts[i].text);
        ck_assert_msg(strcmp(got, texts[i].wanted) == 0, "%s: '%s'\n got %s\nwant %s", texts[i].format, texts[i].text,
            got, texts[i].wanted);
        run.spec.whole = true;
        got = reader_run_text(&run, texts[i].text, strlen(texts[i].text), 1, 1);
        ck_assert_msg(strcmp(got, texts[i].wanted) == 0, "%s: '%s' as a whole\n got %s\nwant %s", texts[i].format,
            texts[i].text, got, texts[i].wanted);
        reader_run_close(&run);
    }
}
END_TEST

/* What variables and the prompt's end say about where an answer begins. */
START_TEST(prompts_and_variables_decide_the_start)
{
    static const struct {
        const char *format, *prompt;
        int switched;
        enum reasoning_start start;
    } cases[] = {
        {"deepseek_r1", "", -1, REASONING_STARTS_INSIDE},
        {"deepseek_r1", "x<think>\n\n</think>\n\n", -1, REASONING_STARTS_OFF},
        {"qwen3", "x", -1, REASONING_STARTS_INSIDE},
        {"qwen3", "x", 0, REASONING_STARTS_OFF},
        {"deepseek_v3", "x", -1, REASONING_STARTS_OFF},
        {"deepseek_v3", "x", 1, REASONING_STARTS_INSIDE},
        {"gemma4", "x", 1, REASONING_STARTS_OUTSIDE},
        {"mistral", "x", -1, REASONING_STARTS_OUTSIDE},
        {"mistral", "x[THINK]", -1, REASONING_STARTS_INSIDE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        ck_assert_msg(reasoning_start(reasoning_format_find(cases[i].format),
                          (pdk_string){cases[i].prompt, strlen(cases[i].prompt)}, cases[i].switched) == cases[i].start,
            "case %zu", i);
}
END_TEST

/* Where only the template speaks of reasoning, an answer has it if it begins with it. */
START_TEST(reasoning_may_be_the_first_thing)
{
    struct reader_run run;
    reader_run_open(&run, NULL, "qwen3");
    run.spec.start = REASONING_STARTS_EITHER;
    ck_assert_str_eq(reader_run_all(&run, "\n<think>a</think>b"), "r:a|c:b");
    ck_assert_str_eq(reader_run_all(&run, "\nThe <think> tag"), "c:\nThe <think> tag");
    ck_assert_str_eq(reader_run_all(&run, " <thin"), "c: <thin");
    ck_assert_uint_eq(run.reasoning_tokens, 0);
    reader_run_close(&run);
}
END_TEST

START_TEST(calls_are_read_behind_reasoning)
{
    struct reader_run run;
    reader_run_open(&run, "hermes", "qwen3");
    ck_assert_str_eq(reader_run_all(&run, "a <tool_call>no</think>\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}"
                                          "\n</tool_call>"),
        "r:a <tool_call>no|c:\n|0 f:{}");
    run.spec.hide_reasoning = true;
    ck_assert_str_eq(reader_run_all(&run, "a</think>b"), "c:b");
    run.spec.whole = true;
    ck_assert_str_eq(reader_run_all(&run, "a</think>b<tool_call>x"), "c:b<tool_call>x");
    reader_run_close(&run);
}
END_TEST

/* Without an end it was an answer, where the format wants both marks; known of a whole text only. */
START_TEST(unended_reasoning_is_content_in_some_formats)
{
    struct reader_run run;
    reader_run_open(&run, NULL, "granite");
    run.spec.whole = true;
    ck_assert_str_eq(reader_run_all(&run, "Here is my thought process: a"), "c:Here is my thought process: a");
    reader_run_close(&run);
    reader_run_open(&run, NULL, "nemotron_v3");
    run.spec.whole = run.spec.lone_reasoning = true;
    ck_assert_str_eq(reader_run_all(&run, "all of it"), "c:all of it");
    reader_run_close(&run);
}
END_TEST

/* Of tokens of `size` bytes. */
static uint32_t count(struct reader_run *run, const char *text, size_t size)
{
    (void)reader_run_text(run, text, strlen(text), size, size);
    return run->reasoning_tokens;
}

START_TEST(tokens_between_the_marks_are_counted)
{
    struct reader_run run;
    reader_run_open(&run, NULL, "deepseek_r1");
    ck_assert_uint_eq(count(&run, "abcd</think>xyz", 1), 4);
    ck_assert_uint_eq(count(&run, "<think>abcd</think>xyz", 1), 4);
    ck_assert_uint_eq(count(&run, "abcd</think>xyz", 2), 2);
    ck_assert_uint_eq(count(&run, "abcd", 1), 4);
    ck_assert_uint_eq(count(&run, "</think>abcd", 1), 0);
    reader_run_close(&run);
    reader_run_open(&run, NULL, "mistral");
    ck_assert_uint_eq(count(&run, "xy[THINK]abc[/THINK]z", 1), 3);
    ck_assert_uint_eq(count(&run, "xyz", 1), 0);
    reader_run_close(&run);
    reader_run_open(&run, NULL, "openai_gptoss");
    ck_assert_uint_eq(count(&run, "<|channel|>analysis<|message|>abc<|end|><|channel|>final<|message|>d", 1), 3);
    reader_run_close(&run);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reasoning");
    TCase *tcase = tcase_create("reasoning");
    tcase_add_test(tcase, reasoning_is_split_however_it_arrives);
    tcase_add_test(tcase, prompts_and_variables_decide_the_start);
    tcase_add_test(tcase, reasoning_may_be_the_first_thing);
    tcase_add_test(tcase, calls_are_read_behind_reasoning);
    tcase_add_test(tcase, unended_reasoning_is_content_in_some_formats);
    tcase_add_test(tcase, tokens_between_the_marks_are_counted);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
