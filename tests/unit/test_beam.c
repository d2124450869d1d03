/* Beam search against a search that is written straight down: lists of whole texts, sorted. */
#include "config.h"

#include "runtimes/huggingface/front/beam.h"

#include "check_main.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 7, END = 3, WIDTH_MAX = 4, ROUNDS_MAX = 6, TOP = 2 * WIDTH_MAX, TEXTS_MAX = 4096 };

/* A model: the log probability of a word depends on all words before it. */
static double log_of(const uint32_t *text, uint32_t length, uint32_t word, uint64_t seed)
{
    uint64_t hash = seed + word * 0x9E3779B97F4A7C15u;
    for (uint32_t i = 0; i < length; i++)
        hash = (hash ^ text[i]) * 0xBF58476D1CE4E5B9u ^ hash >> 29;
    hash = (hash ^ hash >> 31) * 0x94D049BB133111EBu;
    return -0.1 - 4.0 * (double)(hash >> 40) / (1 << 24);
}

struct likely {
    uint32_t words[WORDS];
    float logs[WORDS];
};

static struct likely likeliest(const uint32_t *text, uint32_t length, uint64_t seed)
{
    struct likely likely;
    for (uint32_t word = 0; word < WORDS; word++) {
        float value = (float)log_of(text, length, word, seed);
        uint32_t at = word;
        for (; at > 0 && likely.logs[at - 1] < value; at--) {
            likely.words[at] = likely.words[at - 1];
            likely.logs[at] = likely.logs[at - 1];
        }
        likely.words[at] = word;
        likely.logs[at] = value;
    }
    return likely;
}

struct text {
    uint32_t words[ROUNDS_MAX];
    uint32_t length; /* the end included */
    bool ended;
    double total, score;
};

static int by_total(const void *a, const void *b)
{
    const struct text *x = a, *y = b;
    return x->total > y->total ? -1 : x->total < y->total;
}

static int by_score(const void *a, const void *b)
{
    const struct text *x = a, *y = b;
    return x->score > y->score ? -1 : x->score < y->score;
}

/* All texts that are complete or alive at the end, best first. */
static size_t search(uint32_t width, uint32_t rounds, double penalty, bool ends, uint64_t seed, struct text *found)
{
    static struct text live[WIDTH_MAX], next[WIDTH_MAX * WORDS];
    size_t live_count = 1, found_count = 0;
    live[0] = (struct text){0};
    for (uint32_t round = 0; round < rounds; round++) {
        size_t next_count = 0;
        for (size_t i = 0; i < live_count; i++) {
            struct likely likely = likeliest(live[i].words, live[i].length, seed);
            for (uint32_t k = 0; k < 2 * width && k < WORDS; k++) {
                struct text text = live[i];
                text.words[text.length++] = likely.words[k];
                text.total += (double)likely.logs[k];
                text.ended = ends && likely.words[k] == END;
                if (text.ended)
                    found[found_count++] = text;
                else
                    next[next_count++] = text;
            }
        }
        qsort(next, next_count, sizeof *next, by_total);
        live_count = next_count < width ? next_count : width;
        memcpy(live, next, live_count * sizeof *live);
    }
    for (size_t i = 0; i < live_count; i++)
        found[found_count++] = live[i];
    for (size_t i = 0; i < found_count; i++)
        found[i].score = found[i].total / pow(found[i].length, penalty);
    qsort(found, found_count, sizeof *found, by_score);
    return found_count < width ? found_count : width;
}

static void run(struct beam_search *beam, uint64_t seed, uint32_t rounds)
{
    static const uint32_t prompt_length = 1;
    for (uint32_t round = 0; round < rounds; round++) {
        const uint32_t *const *lines;
        uint32_t length, tokens[WIDTH_MAX], count = beam_round(beam, &lines, &length);
        struct drawn drawn[WIDTH_MAX];
        struct likely likely[WIDTH_MAX];
        if (count == 0)
            break;
        ck_assert_uint_eq(length, prompt_length + round);
        for (uint32_t i = 0; i < count; i++) {
            ck_assert_uint_eq(lines[i][0], 99);
            likely[i] = likeliest(lines[i] + prompt_length, length - prompt_length, seed);
            uint32_t known = beam_wanted(beam) < WORDS ? beam_wanted(beam) : WORDS;
            tokens[i] = likely[i].words[0];
            drawn[i] = (struct drawn){.rank = 1,
                .logprob = likely[i].logs[0],
                .top_count = known,
                .top_tokens = likely[i].words,
                .top_logprobs = likely[i].logs};
        }
        ck_assert_int_eq(beam_take(beam, tokens, drawn, NULL), PDK_OK);
    }
}

START_TEST(test_equals_plain_search)
{
    static struct text found[TEXTS_MAX];
    uint64_t seed = (uint64_t)_i;
    uint32_t width = 1 + (uint32_t)_i % WIDTH_MAX, rounds = 1 + (uint32_t)(_i / 4) % ROUNDS_MAX;
    double penalty = 0.5 * (_i % 5);
    bool ends = _i % 3 != 0;
    static const uint32_t prompt[] = {99}, end[] = {END};
    struct beam_spec spec = {.prompt = prompt,
        .prompt_count = 1,
        .width = width,
        .rounds = rounds,
        .top = 3,
        .length_penalty = penalty,
        .ends = end,
        .end_count = ends ? 1 : 0};
    struct beam_search *beam = NULL;
    ck_assert_int_eq(beam_new(&spec, &beam, NULL), PDK_OK);
    run(beam, seed, rounds);
    size_t wanted = search(width, rounds, penalty, ends, seed, found);
    ck_assert_uint_eq(beam_finish(beam), wanted);
    for (uint32_t i = 0; i < wanted; i++) {
        struct beam_answer answer = beam_answer(beam, i);
        ck_assert_int_eq(answer.end, found[i].ended ? END : -1);
        ck_assert_uint_eq(answer.count, found[i].length - found[i].ended);
        ck_assert_mem_eq(answer.tokens, found[i].words, answer.count * sizeof(uint32_t));
        ck_assert(fabs(answer.total - found[i].total) < 1e-9);
        for (uint32_t at = 0; at < answer.count; at++) {
            struct likely likely = likeliest(found[i].words, at, seed);
            struct drawn report = beam_report(beam, at);
            ck_assert_uint_eq(report.top_count, width == 1 ? 2 : 3);
            ck_assert_uint_eq(report.top_tokens[0], likely.words[0]);
            ck_assert_uint_eq(likely.words[report.rank - 1], answer.tokens[at]);
        }
    }
    beam_free(beam);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("beam");
    TCase *tcase = tcase_create("beam");
    tcase_add_loop_test(tcase, test_equals_plain_search, 0, 240);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
