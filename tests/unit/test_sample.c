/* Sampling: the backend against the reference over random requests, and both against what the parameters promise. */
#include "config.h"

#include "kernels/noise.h"
#include "kernels/reference/sample.h"
#include "ops_rig.h"

#include "check_main.h"

static const pdk_sample_row plain_row = {
    .temperature = 1, .top_p = 1, .repetition_penalty = 1, .seed = 7}; /* everything off */

/* Runs rows over logits [count][vocabulary], row i of them for row i. */
static void sample_rows(int isa, const float *logits, uint32_t count, uint32_t vocabulary, pdk_sample_row *rows)
{
    struct rig rig = rig_open(isa, 2, count);
    pdk_rows *in = rig_rows(&rig, count, vocabulary, logits);
    for (uint32_t i = 0; i < count; i++)
        rows[i].logits_row = i;
    rig_begin(&rig);
    rig.ops->sample(rig.queue, &(pdk_sample){.logits = in, .rows = rows, .row_count = count});
    rig_run(&rig);
    rig.ops->rows_free(rig.self, in);
    rig_close(&rig);
}

static pdk_sample_row sample_one(const float *logits, uint32_t vocabulary, pdk_sample_row row)
{
    sample_rows(rig_has(2) ? 2 : 0, logits, 1, vocabulary, &row);
    return row;
}

/* How often each of up to 16 tokens comes in `draws` positions. */
static void count_draws(
    const float *logits, uint32_t vocabulary, const pdk_sample_row *row, uint32_t draws, uint32_t *counts)
{
    struct rig rig = rig_open(0, 1, 1);
    pdk_rows *in = rig_rows(&rig, 1, vocabulary, logits);
    pdk_sample_row one = *row;
    memset(counts, 0, vocabulary * sizeof *counts);
    for (uint32_t i = 0; i < draws; i++) {
        one.counter = i;
        rig_begin(&rig);
        rig.ops->sample(rig.queue, &(pdk_sample){.logits = in, .rows = &one, .row_count = 1});
        if (rig.ops->queue_submit(rig.queue, NULL) != PDK_OK || rig.ops->queue_wait(rig.queue, NULL) != PDK_OK)
            ck_abort_msg("draw %u did not run", i);
        counts[one.token]++;
    }
    rig.ops->rows_free(rig.self, in);
    rig_close(&rig);
}

/* Within four standard deviations: seeds are fixed, so it holds always or never. */
static void assert_drawn(const uint32_t *counts, const double *probabilities, uint32_t vocabulary, uint32_t draws)
{
    for (uint32_t t = 0; t < vocabulary; t++) {
        double expected = probabilities[t] * draws, deviation = sqrt(expected * (1 - probabilities[t]));
        ck_assert_msg(fabs(counts[t] - expected) <= 4 * deviation, "token %u came %u times of %u, not about %.1f", t,
            counts[t], draws, expected);
    }
}

enum { DRAWS = 20000 };
static const float six[6] = {2.0f, 1.0f, 0.5f, 1.0f, -1.0f, -3.0f};

static void softmax_of(const float *logits, const bool *kept, double temperature, uint32_t n, double *ret_probabilities)
{
    double total = 0;
    for (uint32_t t = 0; t < n; t++)
        total += ret_probabilities[t] = kept[t] ? exp(logits[t] / temperature) : 0;
    for (uint32_t t = 0; t < n; t++)
        ret_probabilities[t] /= total;
}

/* e^2 : e : e^0.5 : e : e^-1 : e^-3, so shares of .495 .182 .110 .182 .025 .003 */
static const struct {
    float temperature, top_p, min_p;
    int32_t top_k;
    bool kept[6];
} filters[] = {
    {1, 1, 0, 0, {1, 1, 1, 1, 1, 1}},
    {2, 1, 0, 0, {1, 1, 1, 1, 1, 1}},
    {0.5f, 1, 0, -1, {1, 1, 1, 1, 1, 1}},
    {1, 1, 0, 1, {1, 0, 0, 0, 0, 0}},
    {1, 1, 0, 2, {1, 1, 0, 1, 0, 0}}, /* ties at the border stay */
    {1, 1, 0, 4, {1, 1, 1, 1, 0, 0}},
    {1, 1, 0, 6, {1, 1, 1, 1, 1, 1}},
    {1, 0.49f, 0, 0, {1, 0, 0, 0, 0, 0}},
    {1, 0.6f, 0, 0, {1, 1, 0, 0, 0, 0}}, /* of equals, the smaller id is the better */
    {1, 0.7f, 0, 0, {1, 1, 0, 1, 0, 0}},
    {1, 1e-6f, 0, 0, {1, 0, 0, 0, 0, 0}},
    {1, 0.85f, 0, 4, {1, 1, 0, 1, 0, 0}}, /* of the .970 that top_k leaves, .859 are enough */
    {1, 1, 0.3f, 0, {1, 1, 0, 1, 0, 0}},
    {1, 1, 0.22f, 0, {1, 1, 1, 1, 0, 0}},
    {1, 1, 1, 0, {1, 0, 0, 0, 0, 0}},
};

START_TEST(draws_follow_the_filtered_distribution)
{
    pdk_sample_row row = plain_row;
    uint32_t counts[6];
    double probabilities[6];
    row.temperature = filters[_i].temperature;
    row.top_p = filters[_i].top_p;
    row.min_p = filters[_i].min_p;
    row.top_k = filters[_i].top_k;
    softmax_of(six, filters[_i].kept, row.temperature, 6, probabilities);
    count_draws(six, 6, &row, DRAWS, counts);
    assert_drawn(counts, probabilities, 6, DRAWS);
}
END_TEST

START_TEST(noise_is_exponential_and_its_own)
{
    double sum = 0, squares = 0;
    uint32_t below = 0;
    for (uint32_t i = 0; i < 100000; i++) {
        double noise = noise_exponential(noise_key(i / 1000, i / 100), i * 7919);
        sum += noise;
        squares += noise * noise;
        below += noise < 0.1;
    }
    ck_assert_double_eq_tol(sum / 100000, 1, 0.02);
    ck_assert_double_eq_tol(squares / 100000, 2, 0.08);
    ck_assert_double_eq_tol(below / 100000.0, 0.0951626, 0.004);
    ck_assert_uint_ne(noise_bits(noise_key(1, 2), 3), noise_bits(noise_key(2, 1), 3));
    ck_assert_uint_ne(noise_bits(noise_key(0, 1), 0), noise_bits(noise_key(0, 0), 1));
    ck_assert_uint_eq(noise_bits(noise_key(1, 2), 3), 0x3f10c782u); /* a seed means the same text in every release */
}
END_TEST

START_TEST(greedy_takes_the_first_of_equals)
{
    static const float equal[5] = {1, 3, -2, 3, 3};
    pdk_sample_row row = plain_row;
    row.temperature = 0.9e-5f;
    row.top_k = 1;
    ck_assert_uint_eq(sample_one(equal, 5, row).token, 1);
    row.temperature = 2e-5f; /* not greedy: 0.01 */
    uint32_t counts[5];
    count_draws(equal, 5, &row, 3000, counts);
    ck_assert_uint_gt(counts[1], 800);
    ck_assert_uint_gt(counts[3], 800);
    ck_assert_uint_gt(counts[4], 800);
}
END_TEST

START_TEST(masks_bans_and_biases)
{
    static const uint64_t allowed[1] = {0x3a}; /* 1 3 4 5 */
    static const uint32_t banned[1] = {1};
    static const pdk_bias biases[2] = {{4, 5}, {2, 100}};
    pdk_sample_row row = plain_row;
    row.temperature = 0;
    ck_assert_uint_eq(sample_one(six, 6, row).token, 0);
    row.allowed = allowed;
    ck_assert_uint_eq(sample_one(six, 6, row).token, 1);
    row.banned = banned;
    row.banned_count = 1;
    ck_assert_uint_eq(sample_one(six, 6, row).token, 3);
    row.biases = biases;
    row.bias_count = 2;
    pdk_sample_row drawn = sample_one(six, 6, row); /* a bias does not bring back what may not come */
    ck_assert_uint_eq(drawn.token, 4);
    ck_assert_int_eq(drawn.rank, 5); /* of the raw logits */
}
END_TEST

/* l = {2, 1, .5, 1, -1, -3}, repetition 2 and so on, told by the processed logits. */
START_TEST(penalties_by_formula)
{
    static const pdk_token_count counts[4] = {{0, 3, 1}, {1, 0, 1}, {4, 1, 0}, {5, 0, 0}};
    static const uint32_t all[6] = {0, 1, 2, 3, 4, 5};
    static const float expected[6] = {1 - 3 * 0.25f - 0.5f, 0.5f, 0.5f, 1, -2 - 0.25f - 0.5f, -3};
    int32_t ranks[6];
    float values[6];
    pdk_sample_row row = plain_row;
    row.temperature = 0;
    row.flags = PDK_SAMPLE_PROCESSED | PDK_SAMPLE_RAW_LOGITS;
    row.repetition_penalty = 2;
    row.frequency_penalty = 0.25f;
    row.presence_penalty = 0.5f;
    row.counts = counts;
    row.count_count = 4;
    row.report = all;
    row.report_count = 6;
    row.report_ranks = ranks;
    row.report_logprobs = values;
    ck_assert_uint_eq(sample_one(six, 6, row).token, 3);
    assert_same(values, expected, 6, "penalised logits");
    ck_assert_int_eq(ranks[3], 1);
    ck_assert_int_eq(ranks[1], 2);
    ck_assert_int_eq(ranks[2], 2);
    ck_assert_int_eq(ranks[0], 4);
}
END_TEST

START_TEST(reports_raw_and_processed)
{
    uint32_t tops[6];
    float values[6];
    pdk_sample_row row = plain_row;
    row.flags = PDK_SAMPLE_SCORE;
    row.token = 3;
    row.temperature = 0.5f;
    row.top_k = 1;
    row.top_wanted = 4;
    row.top_tokens = tops;
    row.top_logprobs = values;
    double total = 0;
    for (int t = 0; t < 6; t++)
        total += exp(six[t]);
    pdk_sample_row scored = sample_one(six, 6, row);
    ck_assert_uint_eq(scored.token, 3);
    ck_assert_int_eq(scored.rank, 2); /* ties share the better one */
    ck_assert_double_eq_tol(scored.logprob, 1 - log(total), 1e-6);
    ck_assert_uint_eq(scored.top_count, 4);
    ck_assert(tops[0] == 0 && tops[1] == 1 && tops[2] == 3 && tops[3] == 2);
    ck_assert_double_eq_tol(values[3], 0.5 - log(total), 1e-6);

    row.flags |= PDK_SAMPLE_PROCESSED;
    row.top_wanted = 99;
    uint32_t all_tops[99];
    float all_values[99];
    row.top_tokens = all_tops;
    row.top_logprobs = all_values;
    scored = sample_one(six, 6, row);
    ck_assert_float_infinite(scored.logprob); /* filtered away */
    ck_assert_uint_eq(scored.top_count, 6);
    ck_assert_uint_eq(all_tops[0], 0);
    ck_assert_double_eq_tol(all_values[0], 0, 1e-6);
}
END_TEST

START_TEST(nothing_left_gives_token_0)
{
    static const uint64_t none[1] = {0};
    float bad[6] = {NAN, NAN, NAN, NAN, NAN, NAN};
    pdk_sample_row row = plain_row;
    row.allowed = none;
    row.top_k = 2;
    row.top_p = 0.5f;
    row.min_p = 0.1f;
    ck_assert_uint_eq(sample_one(six, 6, row).token, 0);
    row.allowed = NULL;
    pdk_sample_row drawn = sample_one(bad, 6, row);
    ck_assert_uint_eq(drawn.token, 0);
    ck_assert(!isnan(drawn.logprob));
    bad[4] = 1; /* a NaN is no candidate */
    ck_assert_uint_eq(sample_one(bad, 6, row).token, 4);
}
END_TEST

enum { TOPS = 40, LISTED = 50 };
struct random_request {
    pdk_sample_row row;
    pdk_token_count counts[LISTED];
    pdk_bias biases[LISTED];
    uint32_t banned[LISTED], report[LISTED], tops[2][TOPS];
    int32_t ranks[2][LISTED];
    float values[2][LISTED], top_values[2][TOPS];
    uint64_t *allowed;
};

static void request_make(struct random_request *request, struct random *random, uint32_t vocabulary)
{
    static const float temperatures[] = {0, 0.3f, 1, 1.7f}, top_ps[] = {1, 0.9f, 0.5f}, min_ps[] = {0, 0, 0.05f};
    static const int32_t top_ks[] = {0, 1, 20, 300, 5000};
    request->row = (pdk_sample_row){.temperature = temperatures[random_below(random, 4)],
        .top_p = top_ps[random_below(random, 3)],
        .min_p = min_ps[random_below(random, 3)],
        .top_k = top_ks[random_below(random, 5)],
        .repetition_penalty = 1.3f,
        .frequency_penalty = 0.2f,
        .presence_penalty = -0.4f,
        .seed = random_bits(random),
        .counter = random_bits(random),
        .flags = random_below(random, 4) * 2,
        .top_wanted = random_below(random, TOPS + 1)};
    for (uint32_t i = 0; i < LISTED; i++) {
        uint32_t token = (i * 4099 + random_below(random, 4000)) % vocabulary;
        request->counts[i] = (pdk_token_count){token, random_below(random, 3), random_below(random, 2)};
        request->biases[i] = (pdk_bias){random_below(random, vocabulary), random_normal(random) * 3};
        request->banned[i] = random_below(random, vocabulary);
        request->report[i] = random_below(random, vocabulary);
    }
    pdk_sample_row *row = &request->row;
    row->counts = request->counts;
    row->count_count = random_below(random, 2) * LISTED;
    for (size_t i = 1; i < row->count_count; i++)
        for (size_t j = 0; j < i; j++)
            if (request->counts[i].token == request->counts[j].token)
                row->count_count = i; /* a token is counted once */
    row->biases = request->biases;
    row->bias_count = random_below(random, 2) * LISTED;
    row->banned = request->banned;
    row->banned_count = random_below(random, 2) * LISTED;
    row->report = request->report;
    row->report_count = LISTED;
    size_t words = (vocabulary + 63) / 64;
    request->allowed = calloc(words, sizeof *request->allowed);
    for (size_t i = 0; i < words; i++)
        request->allowed[i] = i % 3 == 0 ? UINT64_MAX : (uint64_t)random_bits(random) << 32 | random_bits(random);
    row->allowed = random_below(random, 2) != 0 ? request->allowed : NULL;
    row->top_tokens = request->tops[0];
    row->top_logprobs = request->top_values[0];
    row->report_ranks = request->ranks[0];
    row->report_logprobs = request->values[0];
}

static struct sample_task plain_task(struct random_request *request, const float *logits, uint32_t vocabulary)
{
    const pdk_sample_row *row = &request->row;
    return (struct sample_task){.logits = logits,
        .vocabulary = vocabulary,
        .flags = row->flags,
        .temperature = row->temperature,
        .top_p = row->top_p,
        .min_p = row->min_p,
        .repetition_penalty = row->repetition_penalty,
        .frequency_penalty = row->frequency_penalty,
        .presence_penalty = row->presence_penalty,
        .top_k = row->top_k,
        .seed = row->seed,
        .counter = row->counter,
        .counts = (const struct sample_count *)request->counts,
        .count_count = row->count_count,
        .biases = (const struct sample_bias *)request->biases,
        .bias_count = row->bias_count,
        .banned = row->banned,
        .banned_count = row->banned_count,
        .allowed = row->allowed,
        .report = row->report,
        .report_count = row->report_count,
        .top_wanted = row->top_wanted,
        .top_tokens = request->tops[1],
        .top_logprobs = request->top_values[1],
        .report_ranks = request->ranks[1],
        .report_logprobs = request->values[1]};
}

static void assert_value(float found, float expected)
{
    if (found != expected && !(fabsf(found - expected) < 2e-5f))
        ck_abort_msg("%g, not %g", (double)found, (double)expected);
}

START_TEST(agrees_with_the_reference)
{
    enum { ROWS = 20 };
    static const uint32_t vocabularies[] = {49152, 1000, 50, 1};
    int isa = _i / 4;
    uint32_t vocabulary = vocabularies[_i % 4];
    if (!rig_has(isa))
        return;
    struct random random = {(uint64_t)_i + 1};
    struct random_request *requests = calloc(ROWS, sizeof *requests);
    pdk_sample_row rows[ROWS];
    float *logits = random_floats(&random, (size_t)ROWS * vocabulary, 4),
          *values = random_floats(&random, vocabulary, 0);
    uint32_t *order = calloc(vocabulary, sizeof *order);
    for (size_t i = 0; i < (size_t)ROWS * vocabulary; i += 5)
        logits[i] = roundf(logits[i]); /* ties */
    for (uint32_t i = 0; i < ROWS; i++) {
        request_make(&requests[i], &random, vocabulary);
        rows[i] = requests[i].row;
    }
    sample_rows(isa, logits, ROWS, vocabulary, rows);
    for (uint32_t i = 0; i < ROWS; i++) {
        struct random_request *request = &requests[i];
        struct sample_task task = plain_task(request, logits + (size_t)i * vocabulary, vocabulary);
        reference_sample(&task, values, order);
        ck_assert_uint_eq(rows[i].token, task.token);
        ck_assert_int_eq(rows[i].rank, task.rank);
        assert_value(rows[i].logprob, task.logprob);
        ck_assert_uint_eq(rows[i].top_count, task.top_count);
        for (size_t t = 0; t < task.top_count; t++) {
            if (request->tops[0][t] != request->tops[1][t])
                ck_abort_msg("alternative %zu is %u, not %u", t, request->tops[0][t], request->tops[1][t]);
            assert_value(request->top_values[0][t], request->top_values[1][t]);
        }
        for (size_t t = 0; t < LISTED; t++) {
            ck_assert_int_eq(request->ranks[0][t], request->ranks[1][t]);
            assert_value(request->values[0][t], request->values[1][t]);
        }
        free(request->allowed);
    }
    free(requests);
    free(logits);
    free(values);
    free(order);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sample");
    TCase *tests = tcase_create("sample");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, draws_follow_the_filtered_distribution, 0, sizeof filters / sizeof *filters);
    tcase_add_test(tests, noise_is_exponential_and_its_own);
    tcase_add_test(tests, greedy_takes_the_first_of_equals);
    tcase_add_test(tests, masks_bans_and_biases);
    tcase_add_test(tests, penalties_by_formula);
    tcase_add_test(tests, reports_raw_and_processed);
    tcase_add_test(tests, nothing_left_gives_token_0);
    tcase_add_loop_test(tests, agrees_with_the_reference, 0, RIG_ISAS * 4);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
