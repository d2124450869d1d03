/* runtimes/huggingface/engine/guiding.c: where a guide begins when an answer has reasoning, and how that is ended. The
 * vocabulary is a toy: each letter a token. */
#include "config.h"

#include "runtimes/huggingface/engine/guiding.h"

#include "core/base/buffer.h"

#include "check_main.h"

#include <string.h>

enum { EOS = 0, THINK = 1, UNTHINK = 2, A = 3 /* … 'z' */, TOKENS = 29, LIMIT = 64 };

static struct tokenizer *tokenizer;
static struct guide_vocabulary *vocabulary;
static const uint32_t eos_ids[] = {EOS}, start[] = {THINK}, end[] = {UNTHINK}, long_end[] = {A + 25, A + 24, A + 25};

static void set_up(void)
{
    struct buffer json = {0};
    buffer_puts(&json, "{\"added_tokens\":[");
    static const char *const added[] = {"<end>", "<think>", "</think>"};
    for (int i = 0; i < 3; i++)
        buffer_printf(&json, "%s{\"id\":%d,\"content\":\"%s\",\"special\":true}", i > 0 ? "," : "", i, added[i]);
    buffer_puts(&json, "],\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{");
    for (int i = 0; i < 26; i++)
        buffer_printf(&json, "%s\"%c\":%d", i > 0 ? "," : "", 'a' + i, A + i);
    buffer_puts(&json, "},\"merges\":[]}}");
    pdk_error err = {0};
    pdk_status status = tokenizer_from_json(json.data, json.length, NULL, 0, &tokenizer, &err);
    ck_assert_msg(status == PDK_OK, "%s", err.message);
    buffer_done(&json);
    ck_assert_int_eq(guide_vocabulary_new(tokenizer, TOKENS, eos_ids, 1, &vocabulary, NULL), PDK_OK);
}

static void tear_down(void)
{
    guide_vocabulary_free(vocabulary);
    tokenizer_free(tokenizer);
}

struct run {
    struct sampling_model model;
    struct sampling_rules rules;
    struct sampler sampler;
    struct guiding guiding;
    uint32_t tokens[LIMIT], prompt, total;
};

/* `prompt`: letters, '<' and '>' for the marks of reasoning. `regex` NULL: no guide. */
static void begin(struct run *run, const char *prompt, const char *regex, const pdk_sampling *sampling, uint32_t flags)
{
    pdk_request request = {.size = sizeof request, .sampling = *sampling, .flags = flags};
    pdk_guide what = {.kind = PDK_GUIDE_REGEX, .text = {regex, regex != NULL ? strlen(regex) : 0}};
    struct guide *guide = NULL;
    pdk_error err = {0};
    run->model.vocabulary = TOKENS;
    run->model.eos_ids = eos_ids;
    run->model.eos_count = 1;
    for (; prompt[run->total] != 0; run->total++)
        run->tokens[run->total] = prompt[run->total] == '<'   ? THINK
                                  : prompt[run->total] == '>' ? UNTHINK
                                                              : (uint32_t)(A + prompt[run->total] - 'a');
    run->prompt = run->total;
    ck_assert_int_eq(rules_resolve(&run->rules, &request, &run->model, &err), PDK_OK);
    ck_assert_int_eq(
        sampler_init(&run->sampler, &run->rules, 1, run->tokens, run->prompt, run->total, LIMIT, &err), PDK_OK);
    if (regex != NULL)
        ck_assert_int_eq(guide_new(vocabulary, &what, &guide, &err), PDK_OK);
    pdk_status status = guiding_init(&run->guiding, guide, &run->sampler, run->tokens, run->prompt, run->total, &err);
    ck_assert_msg(status == PDK_OK, "%s", err.message);
    guide_release(guide);
}

static void finish(struct run *run)
{
    guiding_done(&run->guiding);
    sampler_done(&run->sampler);
    rules_done(&run->rules);
}

/* What may be drawn: "*" is all, else the tokens in order, with < > for the marks and $ for the end. */
static const char *allowed(const struct run *run)
{
    static char text[TOKENS + 1];
    pdk_sample_row row = {0};
    size_t length = 0;
    guiding_limit(&run->guiding, &row);
    if (row.allowed == NULL)
        return "*";
    for (uint32_t i = 0; i < TOKENS; i++)
        if ((row.allowed[i / 64] >> i % 64 & 1) != 0)
            text[length++] = (char)(i == EOS ? '$' : i == THINK ? '<' : i == UNTHINK ? '>' : 'a' + (int)i - A);
    text[length] = 0;
    return text;
}

static enum guiding_result draw(struct run *run, char c)
{
    run->tokens[run->total++] = c == '$' ? EOS : c == '<' ? THINK : c == '>' ? UNTHINK : (uint32_t)(A + c - 'a');
    enum guiding_result result = guiding_add(&run->guiding, &run->sampler, run->tokens, run->total, true);
    if (result == GUIDING_LATER)
        result = guiding_add(&run->guiding, &run->sampler, run->tokens, run->total, false);
    return result;
}

static const pdk_sampling plain = {.size = sizeof plain, .n = 1};

/* Steps: "c" draws a letter, then what may follow. */
static const struct {
    const char *prompt, *regex;
    bool marks, open;
    int32_t budget; /* -1: none */
    const char *steps[12];
} cases[] = {
    {"ab", "x+y", false, false, -1, {"", "x", "x", "xy", "y", "$"}},
    /* open reasoning in the prompt: the guide waits for its end */
    {"ab<", "xy", true, false, -1, {"", "*", "q", "*", ">", "x", "x", "y", "y", "$"}},
    {"ab", "xy", true, true, -1, {"", "*", "q", "*", ">", "x"}},
    /* closed in the prompt: it begins at once; but not when that was an earlier answer's */
    {"ab<q>", "xy", true, false, -1, {"", "x"}},
    {"a<q>bcdefghi", "xy", true, true, -1, {"", "*", "q", "*", ">", "x"}},
    /* not said: reasoning may begin in the guide's place */
    {"ab", "xy", true, false, -1, {"", "<x", "<", "*", "q", "*", ">", "x"}},
    {"ab", "xy", true, false, -1, {"", "<x", "x", "y"}},
    /* a budget ends reasoning */
    {"ab<", NULL, true, false, 2, {"", "*", "q", "*", "q", ">", ">", "*", "<", "*", "q", "*"}},
    {"ab<", "xy", true, false, 0, {"", ">", ">", "x"}},
    {"ab<qrs", "xy", true, false, 3, {"", ">", ">", "x"}},
    {"ab", NULL, true, false, 1, {"", "*", "q", "*", "<", "*", "q", ">", ">", "*"}},
};

START_TEST(guides_begin_behind_reasoning)
{
    struct run run = {0};
    pdk_sampling sampling = plain;
    if (cases[_i].marks) {
        run.model.think_start = start;
        run.model.think_end = end;
        run.model.think_start_count = run.model.think_end_count = 1;
        run.model.think_open = cases[_i].open;
    }
    if (cases[_i].budget >= 0) {
        sampling.has |= PDK_HAS_THINKING_BUDGET;
        sampling.thinking_budget = cases[_i].budget;
    }
    begin(&run, cases[_i].prompt, cases[_i].regex, &sampling, 0);
    for (int i = 0; i < 12 && cases[_i].steps[i] != NULL; i += 2) {
        if (cases[_i].steps[i][0] != 0)
            ck_assert_int_eq(draw(&run, cases[_i].steps[i][0]), GUIDING_READY);
        ck_assert_msg(strcmp(allowed(&run), cases[_i].steps[i + 1]) == 0, "step %d: '%s'", i, allowed(&run));
    }
    finish(&run);
}
END_TEST

/* A mark of several tokens is forced one after the other, from where the answer had begun it. */
START_TEST(long_marks_are_forced_one_by_one)
{
    struct run run = {
        .model = {.think_start = start, .think_start_count = 1, .think_end = long_end, .think_end_count = 3}};
    pdk_sampling sampling = plain;
    sampling.has |= PDK_HAS_THINKING_BUDGET;
    sampling.thinking_budget = 2;
    begin(&run, "ab<", "x", &sampling, 0);
    draw(&run, 'q');
    ck_assert_str_eq(allowed(&run), "*");
    draw(&run, 'z');
    ck_assert_str_eq(allowed(&run), "y");
    draw(&run, 'y');
    ck_assert_str_eq(allowed(&run), "z");
    draw(&run, 'z');
    ck_assert_str_eq(allowed(&run), "x");
    draw(&run, 'x');
    ck_assert_str_eq(allowed(&run), "$");
    ck_assert_int_eq(draw(&run, '$'), GUIDING_OVER);
    finish(&run);
}
END_TEST

START_TEST(a_budget_needs_marks)
{
    struct sampling_model model = {.vocabulary = TOKENS, .eos_ids = eos_ids, .eos_count = 1};
    struct sampling_rules rules = {0};
    pdk_error err = {0};
    pdk_request request = {.size = sizeof request,
        .sampling = {.size = sizeof(pdk_sampling), .has = PDK_HAS_THINKING_BUDGET, .thinking_budget = 5}};
    ck_assert_int_eq(rules_resolve(&rules, &request, &model, &err), PDK_INVALID);
    ck_assert_str_eq(err.field, "thinking_token_budget");
    rules_done(&rules);
    request.sampling.thinking_budget = -1;
    memset(&rules, 0, sizeof rules);
    ck_assert_int_eq(rules_resolve(&rules, &request, &model, &err), PDK_OK);
    rules_done(&rules);
}
END_TEST

/* With ignore_eos the end is no way on: what can only end is over. */
START_TEST(ignoring_the_end)
{
    struct run run = {0};
    begin(&run, "ab", "xy?z?", &plain, PDK_FLAG_IGNORE_EOS);
    ck_assert_str_eq(allowed(&run), "x");
    ck_assert_int_eq(draw(&run, 'x'), GUIDING_READY);
    ck_assert_str_eq(allowed(&run), "yz");
    ck_assert_int_eq(draw(&run, 'z'), GUIDING_OVER);
    finish(&run);
}
END_TEST

START_TEST(an_end_withheld_comes_back_when_nothing_else_is_left)
{
    struct run run = {0};
    pdk_sampling sampling = plain;
    sampling.has |= PDK_HAS_MIN_TOKENS;
    sampling.min_tokens = 30;
    begin(&run, "ab", "x*y", &sampling, 0);
    ck_assert_str_eq(allowed(&run), "xy");
    ck_assert_int_eq(draw(&run, 'y'), GUIDING_READY);
    ck_assert_str_eq(allowed(&run), "$");
    finish(&run);
    memset(&run, 0, sizeof run);
    begin(&run, "ab", "x*", &sampling, 0);
    ck_assert_str_eq(allowed(&run), "x");
    finish(&run);
}
END_TEST

/* In a structural tag a special token counts as its text, where the tag names it. */
START_TEST(special_tokens_of_a_tag)
{
    static const char text[] = "{\"format\":{\"type\":\"tag\",\"begin\":\"<think>\",\"content\":{\"type\":\"regex\","
                               "\"pattern\":\"[ab]\"},\"end\":\"</think>\"}}";
    pdk_guide what = {.kind = PDK_GUIDE_STRUCTURAL_TAG, .text = {text, sizeof text - 1}};
    struct guide *guide = NULL;
    struct guide_walker *walker = NULL;
    const uint64_t *mask = NULL;
    ck_assert_int_eq(guide_new(vocabulary, &what, &guide, NULL), PDK_OK);
    ck_assert_int_eq(guide_walker_new(guide, &walker, NULL), PDK_OK);
    ck_assert_int_eq(guide_walker_mask(walker, &mask, NULL), PDK_OK);
    ck_assert_uint_eq(mask[0], 1u << THINK);
    ck_assert_int_eq(guide_walker_add(walker, THINK, NULL), PDK_OK);
    ck_assert_int_eq(guide_walker_add(walker, UNTHINK, NULL), PDK_INVALID);
    ck_assert_int_eq(guide_walker_add(walker, A, NULL), PDK_OK);
    ck_assert_int_eq(guide_walker_add(walker, UNTHINK, NULL), PDK_OK);
    ck_assert(guide_walker_complete(walker));
    guide_walker_free(walker);
    guide_release(guide);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guiding");
    TCase *tests = tcase_create("guiding");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, guides_begin_behind_reasoning, 0, (int)(sizeof cases / sizeof cases[0]));
    tcase_add_test(tests, long_marks_are_forced_one_by_one);
    tcase_add_test(tests, a_budget_needs_marks);
    tcase_add_test(tests, ignoring_the_end);
    tcase_add_test(tests, an_end_withheld_comes_back_when_nothing_else_is_left);
    tcase_add_test(tests, special_tokens_of_a_tag);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
