/* runtimes/huggingface/sampling: rules.c, sampler.c, stop_text.c */
#include "config.h"

#include "runtimes/huggingface/sampling/sampler.h"
#include "runtimes/huggingface/sampling/stop_text.h"

#include "check_main.h"

#include <string.h>

static const uint32_t eos_ids[] = {2, 7};
static const struct sampling_model plain_model = {
    .vocabulary = 100, .eos_ids = eos_ids, .eos_count = 2, .max_logprobs = 20};

static pdk_request plain_request(void)
{
    return (pdk_request){.size = sizeof(pdk_request), .kind = PDK_KIND_GENERATE, .sampling = {.n = 1}};
}

static void resolve(struct sampling_rules *rules, const pdk_request *request, const struct sampling_model *model)
{
    memset(rules, 0, sizeof *rules);
    pdk_error err = {0};
    pdk_status status = rules_resolve(rules, request, model, &err);
    ck_assert_msg(status == PDK_OK, "%s", err.message);
}

START_TEST(defaults_come_in_order)
{
    struct sampling_model model = plain_model;
    model.defaults = (pdk_sampling){
        .has = PDK_HAS_TEMPERATURE | PDK_HAS_TOP_P | PDK_HAS_TOP_K, .temperature = 0.6, .top_p = 0.9, .top_k = 40};
    struct sampling_rules rules;
    pdk_request request = plain_request();
    resolve(&rules, &request, &plain_model);
    ck_assert_float_eq(rules.temperature, 1);
    ck_assert_float_eq(rules.top_p, 1);
    ck_assert_float_eq(rules.repetition_penalty, 1);
    rules_done(&rules);

    request.sampling.has = PDK_HAS_TOP_P;
    request.sampling.top_p = 0.5;
    resolve(&rules, &request, &model);
    ck_assert_float_eq(rules.temperature, 0.6f);
    ck_assert_float_eq(rules.top_p, 0.5f);
    ck_assert_int_eq(rules.top_k, 40);
    rules_done(&rules);

    /* between 0 and 0.01 is 0.01; below 1e-5 is greedy, and filters are off */
    request.sampling.has |= PDK_HAS_TEMPERATURE;
    request.sampling.temperature = 0.003;
    resolve(&rules, &request, &model);
    ck_assert_float_eq(rules.temperature, 0.01f);
    rules_done(&rules);
    request.sampling.temperature = 0;
    resolve(&rules, &request, &model);
    ck_assert_float_eq(rules.temperature, 0);
    ck_assert_float_eq(rules.top_p, 1);
    ck_assert_int_eq(rules.top_k, 0);
    rules_done(&rules);
}
END_TEST

START_TEST(seeds_and_logprob_modes)
{
    struct sampling_rules rules;
    struct sampling_model model = plain_model;
    model.mode = LOGITS_PROCESSED;
    pdk_request request = plain_request();
    request.sampling.has = PDK_HAS_SEED | PDK_HAS_LOGPROBS | PDK_HAS_PROMPT_LOGPROBS;
    request.sampling.seed = -1;
    request.sampling.logprobs = 3;
    resolve(&rules, &request, &model);
    ck_assert(!rules.seeded);
    ck_assert_uint_eq(rules.row_flags, PDK_SAMPLE_RAW_LOGITS | PDK_SAMPLE_PROCESSED);
    ck_assert_uint_eq(rules.score_flags, PDK_SAMPLE_SCORE | PDK_SAMPLE_RAW_LOGITS);
    ck_assert_uint_eq(rules.top_wanted, 3);
    rules_done(&rules);
    request.sampling.seed = -7;
    request.sampling.logprobs = -1;
    model.max_logprobs = UINT32_MAX;
    resolve(&rules, &request, &model);
    ck_assert(rules.seeded);
    ck_assert_uint_eq(rules.top_wanted, 100);
    rules_done(&rules);
}
END_TEST

/* "the" end of sequence gives no reason; the model's others and the request's give their id. */
START_TEST(ends_by_eos_and_stop_tokens)
{
    struct sampling_rules rules;
    pdk_request request = plain_request();
    uint32_t stops[] = {5, 5};
    request.stop_token_ids = stops;
    request.stop_token_count = 2;
    int32_t kind = -1;
    resolve(&rules, &request, &plain_model);
    ck_assert(rules_end(&rules, 2, 1, &kind) && kind == PDK_STOP_NONE);
    ck_assert(rules_end(&rules, 7, 1, &kind) && kind == PDK_STOP_TOKEN);
    ck_assert(rules_end(&rules, 5, 1, &kind) && kind == PDK_STOP_TOKEN);
    ck_assert(!rules_end(&rules, 6, 1, &kind));
    rules_done(&rules);

    request.flags = PDK_FLAG_IGNORE_EOS;
    request.sampling.has = PDK_HAS_MIN_TOKENS;
    request.sampling.min_tokens = 3;
    resolve(&rules, &request, &plain_model);
    ck_assert(!rules_end(&rules, 2, 5, &kind) && !rules_end(&rules, 7, 5, &kind));
    ck_assert(!rules_end(&rules, 5, 2, &kind));
    ck_assert(rules_end(&rules, 5, 3, &kind));
    ck_assert_uint_eq(rules.withheld_count, 3); /* masked all the same */
    rules_done(&rules);
}
END_TEST

static const uint32_t outside[] = {100};
static const pdk_bias outside_bias[] = {{100, 1}};
static const struct {
    pdk_request request;
    const char *field, *message;
} refused[] = {
    {{.stop_token_ids = outside, .stop_token_count = 1}, "stop_token_ids",
        "token_id(s) [100] in stop_token_ids contain out-of-vocab token ids. Vocabulary size: 100"},
    {{.biases = outside_bias, .bias_count = 1}, "logit_bias",
        "token_id(s) [100] in logit_bias contain out-of-vocab token ids. Vocabulary size: 100"},
    {{.logprob_token_ids = outside, .logprob_token_count = 1}, "logprob_token_ids",
        "token_id(s) [100] in logprob_token_ids contain out-of-vocab token ids. Vocabulary size: 100"},
    {{.allowed_token_ids = outside, .allowed_token_count = 1, .sampling = {.has = PDK_HAS_ALLOWED_TOKENS}},
        "allowed_token_ids", "allowed_token_ids contains out-of-vocab token id!"},
    {{.sampling = {.has = PDK_HAS_ALLOWED_TOKENS}}, "allowed_token_ids", "allowed_token_ids is not None and empty!"},
    {{.sampling = {.has = PDK_HAS_LOGPROBS, .logprobs = 21}}, "logprobs",
        "Requested sample logprobs of 21, which is greater than max allowed: 20"},
    {{.sampling = {.has = PDK_HAS_PROMPT_LOGPROBS, .prompt_logprobs = -1}}, "prompt_logprobs",
        "Requested prompt logprobs of 100, which is greater than max allowed: 20"},
};

START_TEST(lists_are_checked_against_the_vocabulary)
{
    struct sampling_rules rules = {0};
    pdk_error err = {0};
    ck_assert_int_eq(rules_resolve(&rules, &refused[_i].request, &plain_model, &err), PDK_INVALID);
    ck_assert_str_eq(err.field, refused[_i].field);
    ck_assert_str_eq(err.message, refused[_i].message);
    rules_done(&rules);
}
END_TEST

static const pdk_token_count *count_of(const pdk_sample_row *row, uint32_t token)
{
    for (size_t i = 0; i < row->count_count; i++)
        if (row->counts[i].token == token)
            return &row->counts[i];
    return NULL;
}

START_TEST(rows_carry_counts_bans_and_masks)
{
    pdk_request request = plain_request();
    uint32_t allowed[] = {0, 64, 99};
    request.allowed_token_ids = allowed;
    request.allowed_token_count = 3;
    request.sampling.has = PDK_HAS_REPETITION_PENALTY | PDK_HAS_MIN_TOKENS | PDK_HAS_ALLOWED_TOKENS;
    request.sampling.repetition_penalty = 1.2;
    request.sampling.min_tokens = 3;
    struct sampling_rules rules;
    resolve(&rules, &request, &plain_model);
    uint32_t word[] = {10, 11}, single[] = {12};
    ck_assert_int_eq(rules_ban(&rules, word, 2, NULL), PDK_OK);
    ck_assert_int_eq(rules_ban(&rules, single, 1, NULL), PDK_OK);

    uint32_t tokens[20] = {10, 10, 3};
    struct sampler sampler;
    ck_assert_int_eq(sampler_init(&sampler, &rules, 42, tokens, 3, 3, 20, NULL), PDK_OK);
    pdk_sample_row row;
    sampler_draw(&sampler, tokens, 3, &row);
    ck_assert_uint_eq(row.seed, 42);
    ck_assert_uint_eq(row.counter, 3);
    ck_assert_uint_eq(count_of(&row, 10)->in_prompt, 1);
    ck_assert_uint_eq(count_of(&row, 10)->in_output, 0);
    /* 12 always; 11 not, since only output counts; both ends before min_tokens */
    ck_assert_uint_eq(row.banned_count, 3);
    ck_assert_uint_eq(row.banned[0], 12);
    ck_assert_uint_eq(row.allowed[0], 1);
    ck_assert_uint_eq(row.allowed[1], 1 | UINT64_C(1) << 35);

    tokens[3] = 10;
    sampler_add(&sampler, 10);
    sampler_draw(&sampler, tokens, 4, &row);
    ck_assert_uint_eq(count_of(&row, 10)->in_output, 1);
    ck_assert_uint_eq(row.banned_count, 4);
    ck_assert_uint_eq(row.banned[0], 11);

    /* the same after a start from the middle */
    tokens[4] = tokens[5] = 10;
    struct sampler again;
    ck_assert_int_eq(sampler_init(&again, &rules, 42, tokens, 3, 6, 20, NULL), PDK_OK);
    sampler_draw(&again, tokens, 6, &row);
    ck_assert_uint_eq(count_of(&row, 10)->in_output, 3);
    ck_assert_uint_eq(row.banned_count, 2); /* min_tokens are reached */
    sampler_done(&again);
    sampler_done(&sampler);
    rules_done(&rules);
}
END_TEST

START_TEST(counts_stay_within_what_may_come)
{
    pdk_request request = plain_request();
    request.sampling.has = PDK_HAS_PRESENCE_PENALTY;
    request.sampling.presence_penalty = 1;
    struct sampling_rules rules;
    resolve(&rules, &request, &plain_model);
    static uint32_t tokens[1000] = {1};
    struct sampler sampler;
    ck_assert_int_eq(sampler_init(&sampler, &rules, 1, tokens, 1, 1, 1000, NULL), PDK_OK);
    for (uint32_t i = 1; i < 1000; i++)
        sampler_add(&sampler, tokens[i] = i * 37 % 100);
    pdk_sample_row row;
    sampler_draw(&sampler, tokens, 1000, &row);
    ck_assert_uint_eq(row.count_count, 100); /* no more than the vocabulary */
    uint32_t sum = 0;
    for (size_t i = 0; i < row.count_count; i++)
        sum += row.counts[i].in_output;
    ck_assert_uint_eq(sum, 999);
    sampler_done(&sampler);
    rules_done(&rules);
}
END_TEST

START_TEST(bad_words_have_limits)
{
    struct sampling_rules rules = {0};
    uint32_t token = 1;
    pdk_error err = {0};
    for (int i = 0; i < BAD_WORDS_MAX; i++)
        ck_assert_int_eq(rules_ban(&rules, &token, 1, NULL), PDK_OK);
    ck_assert_int_eq(rules_ban(&rules, &token, 1, &err), PDK_INVALID);
    ck_assert_str_eq(err.message, "bad_words make more than 128 token sequences");
    rules_done(&rules);
    uint32_t many[BAD_WORD_TOKENS_MAX] = {0};
    ck_assert_int_eq(rules_ban(&rules, many, BAD_WORD_TOKENS_MAX, NULL), PDK_OK);
    ck_assert_int_eq(rules_ban(&rules, many, 1, &err), PDK_INVALID);
    ck_assert_str_eq(err.message, "bad_words have more than 1024 tokens in all");
    rules_done(&rules);
}
END_TEST

enum { PIECES = 6, STOPS = 3 };
static const struct {
    const char *stops[STOPS];
    bool include;
    const char *pieces[PIECES];
    const char *shown[PIECES]; /* after each piece; the last one at the end */
    int found;                 /* in the last piece, or -1 */
} texts[] = {
    {{NULL}, false, {"a", "b"}, {"a", "b"}, -1},
    {{"."}, false, {"Den", "ver is.", NULL}, {"Den", "ver is"}, 0},
    {{"."}, true, {"Den", "ver is. Or", NULL}, {"Den", "ver is."}, 0},
    {{"END"}, false, {"abc", "dE", "N", "x"}, {"a", "bc", "d", "ENx"}, -1},
    {{"END"}, false, {"abc", "dE", "ND"}, {"a", "bc", "d"}, 0},
    {{"END"}, true, {"abc", "dE", "NDx"}, {"abc", "dE", "ND"}, 0},
    /* the one that ends first wins, of equals the first listed */
    {{"long stop", "g s"}, false, {"a long stop"}, {"a lon"}, 1},
    {{"bc", "abc"}, false, {"xabc"}, {"xa"}, 0},
    {{"abc", "bc"}, false, {"xabc"}, {"x"}, 0},
    /* held back are characters, not bytes */
    {{"\xc3\xa9\xc3\xa9"}, false, {"\xc3\xa4\xc3\xb6", "\xc3\xa9", "\xc3\xa9"}, {"\xc3\xa4", "\xc3\xb6", ""}, 0},
    {{"ab"}, false, {"a", "a", "b"}, {"", "a", ""}, 0},
};

START_TEST(text_is_held_back_and_cut)
{
    pdk_string stops[STOPS];
    size_t stop_count = 0, pieces = 0;
    for (; stop_count < STOPS && texts[_i].stops[stop_count] != NULL; stop_count++)
        stops[stop_count] = (pdk_string){texts[_i].stops[stop_count], strlen(texts[_i].stops[stop_count])};
    while (pieces < PIECES && texts[_i].pieces[pieces] != NULL)
        pieces++;
    struct stop_text text;
    stop_text_init(&text, stops, stop_count, texts[_i].include);
    for (size_t i = 0; i < pieces; i++) {
        int found = stop_text_add(&text, texts[_i].pieces[i], strlen(texts[_i].pieces[i]), true);
        ck_assert_int_eq(found, i + 1 == pieces ? texts[_i].found : -1);
        pdk_string shown = stop_text_show(&text, i + 1 == pieces);
        ck_assert_uint_eq(shown.length, strlen(texts[_i].shown[i]));
        ck_assert_mem_eq(shown.data, texts[_i].shown[i], shown.length);
    }
    stop_text_done(&text);
}
END_TEST

START_TEST(a_stop_passed_over_is_not_found_later)
{
    pdk_string stop = {"ab", 2};
    struct stop_text text;
    stop_text_init(&text, &stop, 1, false);
    ck_assert_int_eq(stop_text_add(&text, "xab", 3, false), -1);
    ck_assert_int_eq(stop_text_add(&text, "c", 1, true), -1);
    ck_assert_int_eq(stop_text_add(&text, "ab", 2, true), 0);
    pdk_string shown = stop_text_show(&text, true);
    ck_assert_uint_eq(shown.length, 4);
    ck_assert_mem_eq(shown.data, "xabc", 4);
    stop_text_done(&text);
}
END_TEST

START_TEST(a_long_answer_is_not_kept)
{
    pdk_string stop = {"never found", 11};
    struct stop_text text;
    stop_text_init(&text, &stop, 1, false);
    size_t shown = 0;
    for (int i = 0; i < 100000; i++) {
        ck_assert_int_eq(stop_text_add(&text, "word ", 5, true), -1);
        shown += stop_text_show(&text, false).length;
    }
    ck_assert_uint_lt(text.text.room, 32 << 10);
    shown += stop_text_show(&text, true).length;
    ck_assert_uint_eq(shown, 500000);
    ck_assert_int_eq(stop_text_add(&text, "never found", 11, true), 0);
    stop_text_done(&text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sampling");
    TCase *tests = tcase_create("sampling");
    tcase_add_test(tests, defaults_come_in_order);
    tcase_add_test(tests, seeds_and_logprob_modes);
    tcase_add_test(tests, ends_by_eos_and_stop_tokens);
    tcase_add_loop_test(tests, lists_are_checked_against_the_vocabulary, 0, sizeof refused / sizeof refused[0]);
    tcase_add_test(tests, rows_carry_counts_bans_and_masks);
    tcase_add_test(tests, counts_stay_within_what_may_come);
    tcase_add_test(tests, bad_words_have_limits);
    tcase_add_loop_test(tests, text_is_held_back_and_cut, 0, sizeof texts / sizeof texts[0]);
    tcase_add_test(tests, a_stop_passed_over_is_not_found_later);
    tcase_add_test(tests, a_long_answer_is_not_kept);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
