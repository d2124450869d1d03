/* Structured output through runtimes/huggingface as built, on the fixtures' models: what comes out is what was asked
 * for, whatever else is asked and whatever else runs. */
#include "config.h"

#include "check_main.h"
#include "runtime_desk.h"

#include <stdio.h>
#include <string.h>

static struct desk desk;
static const char model[] = "walkthrough/facebook/opt-125m";
static const char *const tight[] = {
    "--num-gpu-blocks-override=24", "--max-num-seqs=16", "--max-num-batched-tokens=64", NULL};

static void load(const char *const *arguments)
{
    pdk_error err = {0};
    desk_open(&desk);
    pdk_status status = desk_load(&desk, desk_fixture(model), arguments, NULL, &err);
    ck_assert_msg(status == PDK_OK, "%s", err.message);
}

static pdk_request ask(uint64_t id, int kind, const char *text)
{
    static const char prompt[] = "One thing about Denver is ";
    return (pdk_request){.size = sizeof(pdk_request),
        .kind = PDK_KIND_GENERATE,
        .id = id,
        .text = {prompt, sizeof prompt - 1},
        .guide = {.kind = kind, .text = {text, strlen(text)}},
        .sampling = {.size = sizeof(pdk_sampling),
            .has = PDK_HAS_TEMPERATURE | PDK_HAS_MAX_TOKENS | PDK_HAS_SEED,
            .temperature = 1,
            .seed = (int64_t)id,
            .max_tokens = 60,
            .n = 1}};
}

static void run(const pdk_request *request, struct desk_answer *answer)
{
    memset(answer, 0, sizeof *answer);
    desk_submit(&desk, request, answer);
    desk_wait(answer);
}

static const char *text_of(const struct desk_answer *answer, uint32_t choice)
{
    const struct buffer *text = &answer->choices[choice].text;
    return text->data != NULL ? text->data : "";
}

static bool is_one_of(const char *text, const char *const *list)
{
    for (; *list != NULL; list++)
        if (strcmp(text, *list) == 0)
            return true;
    return false;
}

static const char moods[] = "[\"positive\",\"negative\",\"neutral\"]";
static const char *const mood_list[] = {"positive", "negative", "neutral", NULL};

START_TEST(a_choice_is_one_of_the_list)
{
    load(NULL);
    for (uint64_t i = 0; i < 12; i++) {
        struct desk_answer answer;
        pdk_request request = ask(i + 1, PDK_GUIDE_CHOICE, moods);
        request.sampling.n = 3;
        request.sampling.temperature = i % 2 == 0 ? 0 : 1.5;
        run(&request, &answer);
        ck_assert_msg(answer.error.status == PDK_OK, "%s", answer.error.message);
        for (uint32_t c = 0; c < 3; c++) {
            ck_assert_msg(is_one_of(text_of(&answer, c), mood_list), "'%s'", text_of(&answer, c));
            ck_assert_int_eq(answer.choices[c].finish, PDK_FINISH_STOP);
            ck_assert_int_eq(answer.choices[c].stop_kind, PDK_STOP_NONE);
        }
        desk_answer_done(&answer);
    }
    desk_close(&desk);
}
END_TEST

/* With each of these, the text is still one of the list and the choice still stops. */
static void with_ignore_eos(pdk_request *request)
{
    request->flags |= PDK_FLAG_IGNORE_EOS;
}
static void with_min_tokens(pdk_request *request)
{
    request->sampling.has |= PDK_HAS_MIN_TOKENS;
    request->sampling.min_tokens = 50;
}
static void with_both(pdk_request *request)
{
    with_ignore_eos(request);
    with_min_tokens(request);
}
static void with_penalties(pdk_request *request)
{
    request->sampling.has |= PDK_HAS_REPETITION_PENALTY | PDK_HAS_FREQUENCY_PENALTY | PDK_HAS_PRESENCE_PENALTY;
    request->sampling.repetition_penalty = 1.8;
    request->sampling.frequency_penalty = 2;
    request->sampling.presence_penalty = -2;
}
static void with_bias(pdk_request *request)
{
    static const pdk_bias biases[] = {{5, 100}, {300, 100}, {2, 100}};
    request->biases = biases;
    request->bias_count = 3;
}
static void with_logprobs(pdk_request *request)
{
    request->sampling.has |= PDK_HAS_LOGPROBS | PDK_HAS_TOP_K | PDK_HAS_TOP_P | PDK_HAS_MIN_P;
    request->sampling.logprobs = 5;
    request->sampling.top_k = 2;
    request->sampling.top_p = 0.3;
    request->sampling.min_p = 0.9;
}
static void with_bad_words(pdk_request *request)
{
    static const pdk_string words[] = {{"positive", 8}, {"Denver", 6}};
    request->bad_words = words;
    request->bad_word_count = 2;
}
static void (*const options[])(pdk_request *request) = {
    with_ignore_eos, with_min_tokens, with_both, with_penalties, with_bias, with_logprobs, with_bad_words};

START_TEST(other_options_leave_it_so)
{
    load(NULL);
    for (uint64_t i = 0; i < 6; i++) {
        struct desk_answer answer;
        pdk_request request = ask(i + 1, PDK_GUIDE_CHOICE, moods);
        options[_i](&request);
        run(&request, &answer);
        ck_assert_msg(answer.error.status == PDK_OK, "%s", answer.error.message);
        ck_assert_msg(is_one_of(text_of(&answer, 0), mood_list), "'%s'", text_of(&answer, 0));
        ck_assert_int_eq(answer.choices[0].finish, PDK_FINISH_STOP);
        desk_answer_done(&answer);
    }
    desk_close(&desk);
}
END_TEST

START_TEST(free_and_bounded_texts)
{
    static const char regex[] = "[a-z]{3,6} (one|two) [0-9]{4}";
    static const char list[] = "root ::= \"[\" item (\",\" item)* \"]\"\nitem ::= [0-9]{1,3} | \"(\" root \")\"";
    load(NULL);
    for (uint64_t i = 0; i < 10; i++) {
        struct desk_answer answer;
        pdk_request request = ask(i + 1, PDK_GUIDE_REGEX, regex);
        char word[7];
        unsigned number;
        int length = 0;
        run(&request, &answer);
        ck_assert_msg(answer.error.status == PDK_OK, "%s", answer.error.message);
        const char *text = text_of(&answer, 0);
        size_t letters = strspn(text, "abcdefghijklmnopqrstuvwxyz");
        ck_assert_msg(letters >= 3 && letters <= 6 && text[letters] == ' ', "'%s'", text);
        memcpy(word, text, letters);
        word[letters] = 0;
        text += letters + 1;
        ck_assert(strncmp(text, "one ", 4) == 0 || strncmp(text, "two ", 4) == 0);
        number = (unsigned)strspn(text + 4, "0123456789");
        length = (int)strlen(text + 4);
        ck_assert(number == 4 && length == 4);
        desk_answer_done(&answer);

        request = ask(i + 50, PDK_GUIDE_GRAMMAR, list);
        run(&request, &answer);
        ck_assert_msg(answer.error.status == PDK_OK, "%s", answer.error.message);
        text = text_of(&answer, 0);
        ck_assert_int_eq(text[0], '[');
        ck_assert_uint_eq(strspn(text, "[](),0123456789"), strlen(text));
        if (answer.choices[0].finish == PDK_FINISH_STOP)
            ck_assert_int_eq(text[strlen(text) - 1], ']');
        else
            ck_assert_uint_eq(answer.choices[0].completion_tokens, 60);
        desk_answer_done(&answer);
    }
    desk_close(&desk);
}
END_TEST

enum { CROWD = 24 };

static pdk_request crowd_request(uint32_t i)
{
    static const struct {
        int kind;
        const char *text;
    } guides[] = {
        {PDK_GUIDE_CHOICE, moods},
        {PDK_GUIDE_REGEX, "([a-z]+ ){5,40}[.]"},
        {PDK_GUIDE_GRAMMAR, "root ::= \"(\" root \")\" root | [a-z ]{2,9}"},
        {PDK_GUIDE_NONE, ""},
        {PDK_GUIDE_REGEX, "[0-9]{100}"},
    };
    pdk_request request = ask(100 + i, guides[i % 5].kind, guides[i % 5].text);
    request.sampling.n = 1 + i % 3;
    request.sampling.seed = (int64_t)i * 7;
    request.sampling.max_tokens = 20 + (int32_t)(i * 11 % 60);
    if (i % 4 == 1)
        with_penalties(&request);
    if (i % 4 == 2)
        with_min_tokens(&request);
    return request;
}

/* Out of a pool that is too small, with preemptions, everyone gets what they get alone. */
START_TEST(a_crowd_equals_each_alone)
{
    static struct desk_answer together[CROWD], alone;
    static pdk_request requests[CROWD];
    load(tight);
    for (uint32_t i = 0; i < CROWD; i++) {
        requests[i] = crowd_request(i);
        memset(&together[i], 0, sizeof together[i]);
        desk_submit(&desk, &requests[i], &together[i]);
    }
    for (uint32_t i = 0; i < CROWD; i++)
        desk_wait(&together[i]);
    ck_assert_double_gt(desk_metric(&desk, "vllm:num_preemptions_total"), 0);
    for (uint32_t i = 0; i < CROWD; i++) {
        requests[i].id += 10000;
        run(&requests[i], &alone);
        ck_assert_msg(alone.error.status == PDK_OK, "%s", alone.error.message);
        for (uint32_t c = 0; c < requests[i].sampling.n; c++) {
            ck_assert_uint_eq(alone.choices[c].id_count, together[i].choices[c].id_count);
            ck_assert_mem_eq(
                alone.choices[c].ids, together[i].choices[c].ids, alone.choices[c].id_count * sizeof(uint32_t));
            ck_assert_int_eq(alone.choices[c].finish, together[i].choices[c].finish);
        }
        desk_answer_done(&alone);
        desk_answer_done(&together[i]);
    }
    desk_close(&desk);
}
END_TEST

/* A request that another replica has begun goes on where that one stopped. */
START_TEST(produced_tokens_are_gone_through)
{
    load(NULL);
    struct desk_answer whole, rest;
    pdk_request request = ask(3, PDK_GUIDE_REGEX, "([a-z]+-){3,9}[0-9]+");
    run(&request, &whole);
    ck_assert_int_eq(whole.error.status, PDK_OK);
    ck_assert_uint_gt(whole.choices[0].id_count, 6);
    for (size_t cut = 1; cut < 6; cut++) {
        request.id++;
        request.produced_ids = whole.choices[0].ids;
        request.produced_count = cut;
        run(&request, &rest);
        ck_assert_msg(rest.error.status == PDK_OK, "%s", rest.error.message);
        ck_assert_uint_eq(rest.choices[0].id_count + cut, whole.choices[0].id_count);
        ck_assert_mem_eq(rest.choices[0].ids, whole.choices[0].ids + cut, rest.choices[0].id_count * sizeof(uint32_t));
        desk_answer_done(&rest);
    }
    desk_answer_done(&whole);
    desk_close(&desk);
}
END_TEST

static const struct {
    int kind;
    const char *text, *message;
} refused[] = {
    {PDK_GUIDE_GRAMMAR, "root ::= x", "Invalid grammar specification. line 1: rule 'x' is not defined"},
    {PDK_GUIDE_REGEX, "a(b", NULL},
    {PDK_GUIDE_REGEX, "(a)\\1", NULL},
    {PDK_GUIDE_CHOICE, "[]",
        "Failed to transform choices into a grammar: the choices are no list of strings, or an empty one"},
    {PDK_GUIDE_STRUCTURAL_TAG, "{}",
        "Invalid response_format structural_tag specification. it has neither 'format' nor 'structures' (line 1, "
        "column "
        "1)"},
    {PDK_GUIDE_JSON_SCHEMA, "{", NULL},
    {99, "", NULL},
};

START_TEST(what_cannot_be_is_refused)
{
    load(NULL);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct desk_answer answer;
        pdk_request request = ask(i + 1, refused[i].kind, refused[i].text);
        run(&request, &answer);
        ck_assert_int_eq(answer.error.status, PDK_INVALID);
        if (refused[i].message != NULL)
            ck_assert_str_eq(answer.error.message, refused[i].message);
        ck_assert_uint_eq(answer.parts, 0);
        desk_answer_done(&answer);
    }
    desk_close(&desk);
}
END_TEST

/* What nothing can follow ends its own request with an error, and no other. */
START_TEST(a_dead_end_ends_its_request_alone)
{
    static const uint32_t only[] = {5, 6, 7};
    load(NULL);
    struct desk_answer answer, other;
    pdk_request bystander = ask(77, PDK_GUIDE_NONE, "");
    bystander.flags = PDK_FLAG_IGNORE_EOS;
    memset(&other, 0, sizeof other);
    desk_submit(&desk, &bystander, &other);
    pdk_request request = ask(1, PDK_GUIDE_REGEX, "[0-9]+");
    request.sampling.has |= PDK_HAS_ALLOWED_TOKENS;
    request.allowed_token_ids = only;
    request.allowed_token_count = 3;
    run(&request, &answer);
    ck_assert_int_eq(answer.error.status, PDK_INVALID);
    ck_assert_str_eq(answer.error.message, "structured output: no token of the vocabulary may come next");
    desk_answer_done(&answer);
    desk_wait(&other);
    ck_assert_int_eq(other.error.status, PDK_OK);
    ck_assert_uint_eq(other.choices[0].completion_tokens, 60);
    desk_answer_done(&other);
    desk_close(&desk);
}
END_TEST

START_TEST(repetition_ends_a_choice)
{
    load(NULL);
    struct desk_answer answer;
    pdk_request request = ask(1, PDK_GUIDE_REGEX, "(ab ){100}");
    request.sampling.repetition_min_pattern = 1;
    request.sampling.repetition_max_pattern = 8;
    request.sampling.repetition_min_count = 4;
    run(&request, &answer);
    ck_assert_int_eq(answer.error.status, PDK_OK);
    ck_assert_int_eq(answer.choices[0].finish, PDK_FINISH_REPETITION);
    ck_assert_uint_lt(answer.choices[0].completion_tokens, 60);
    desk_answer_done(&answer);
    request.id++;
    with_min_tokens(&request);
    run(&request, &answer);
    ck_assert_int_eq(answer.choices[0].finish, PDK_FINISH_REPETITION);
    ck_assert_uint_ge(answer.choices[0].completion_tokens, 50);
    desk_answer_done(&answer);
    desk_close(&desk);
}
END_TEST

int main(void)
{
    desk_need_plugins();
    desk_fixture(model);
    Suite *suite = suite_create("guided serving");
    TCase *tests = tcase_create("guided serving");
    tcase_set_timeout(tests, 180);
    tcase_add_test(tests, a_choice_is_one_of_the_list);
    tcase_add_loop_test(tests, other_options_leave_it_so, 0, (int)(sizeof options / sizeof options[0]));
    tcase_add_test(tests, free_and_bounded_texts);
    tcase_add_test(tests, a_crowd_equals_each_alone);
    tcase_add_test(tests, produced_tokens_are_gone_through);
    tcase_add_test(tests, what_cannot_be_is_refused);
    tcase_add_test(tests, a_dead_end_ends_its_request_alone);
    tcase_add_test(tests, repetition_ends_a_choice);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
