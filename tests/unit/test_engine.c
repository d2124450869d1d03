/* runtimes/huggingface/engine/engine.c with a toy model: whatever else runs, a request's tokens are those it gets
 * alone. */
#include "config.h"

#include "runtimes/huggingface/engine/engine.h"

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/thread.h"

#include "check_main.h"
#include "toy_model.h"

#include <assert.h>
#include <string.h>

static const uint32_t eos_ids[] = {999, 998};
static const struct sampling_model sampling_model = {
    .vocabulary = TOY_VOCABULARY, .eos_ids = eos_ids, .eos_count = 2, .max_logprobs = 20};

/* How often the engine's thread asked for memory: never, whatever it does. Sanitizers have allocators of their own. */
static _Atomic uint64_t engine_allocations;

#ifndef PADDOCK_SANITIZERS
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

void *malloc(size_t size)
{
    engine_allocations += thread_is(THREAD_ENGINE);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    engine_allocations += thread_is(THREAD_ENGINE);
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    engine_allocations += thread_is(THREAD_ENGINE);
    return __libc_realloc(memory, size);
}
#endif

/* The front's side: counts what was released; consumes at once unless told to stall. */
struct desk {
    struct toy_model toy;
    struct engine *engine;
    struct mutex lock;
    struct condition changed;
    uint32_t released;
    uint32_t lazy_prompt; /* leave the results of prompts of this length alone; 0: of none */
    uint32_t drop_after;  /* drop a generation once it has so many tokens; 0: never */
    struct engine_figures last;
};

/* The toy knows no masks: its token says which of the allowed ones it is. */
static void keep_to_mask(pdk_sample_row *row)
{
    uint32_t count = 0;
    for (uint32_t token = 0; token < TOY_VOCABULARY; token++)
        count += row->allowed[token / 64] >> token % 64 & 1;
    assert(count > 0);
    uint32_t left = row->token % count, token = 0;
    for (;; token++)
        if ((row->allowed[token / 64] >> token % 64 & 1) != 0 && left-- == 0)
            break;
    row->token = token;
}

static pdk_status step(void *context, const pdk_batch *batch, const uint32_t (*copies)[2], size_t copy_count,
    pdk_sample_row *samples, uint32_t sample_count, pdk_error *err)
{
    struct desk *desk = context;
    if (desk->toy.fail_at != 0 && desk->toy.steps + 1 == desk->toy.fail_at) {
        desk->toy.steps++;
        return pdk_error_set(err, PDK_IO, NULL, "the device failed");
    }
    if (!toy_step(&desk->toy, batch, copies, copy_count, samples, sample_count))
        return pdk_error_set(err, PDK_INTERNAL, NULL, "a row reads what was not written");
    for (uint32_t i = 0; i < sample_count; i++)
        if (samples[i].allowed != NULL)
            keep_to_mask(&samples[i]);
    return PDK_OK;
}

static void news(void *context, struct generation *first)
{
    struct desk *desk = context;
    mutex_lock(&desk->lock);
    for (struct generation *at = first, *next; at != NULL; at = next) {
        next = at->news_next;
        for (uint32_t i = 0; i < at->choice_count && at->prompt_count != desk->lazy_prompt; i++) {
            struct choice *choice = &at->choices[i];
            uint32_t published = atomic_load_explicit(&choice->published, memory_order_acquire);
            atomic_store_explicit(&choice->consumed, published, memory_order_release);
        }
        if (desk->drop_after != 0 && !at->released &&
            atomic_load(&at->choices[0].published) >= at->prompt_count + desk->drop_after) {
            atomic_store(&at->dropped, true);
            engine_nudge(desk->engine, at);
        }
        desk->released += at->released;
    }
    condition_broadcast(&desk->changed);
    mutex_unlock(&desk->lock);
}

static void figures(void *context, const struct engine_figures *now)
{
    struct desk *desk = context;
    mutex_lock(&desk->lock);
    desk->last = *now;
    mutex_unlock(&desk->lock);
}

static void alive(void *context)
{
    (void)context;
}

static void desk_open(struct desk *desk, uint32_t blocks, uint32_t sequences, uint32_t rows, bool caching)
{
    memset(desk, 0, sizeof *desk);
    toy_model_init(&desk->toy, blocks);
    mutex_init(&desk->lock);
    condition_init(&desk->changed);
    struct engine_config config = {
        .scheduler = {.max_sequences = sequences,
            .max_rows = rows,
            .max_outputs = sequences + 64,
            .max_length = 512,
            .prefill_interval = 1,
            .reserve_prompt = true,
            .chunked = true},
        .blocks = blocks,
        .caching = caching,
        .context = desk,
        .step = step,
        .news = news,
        .figures = figures,
        .alive = alive,
    };
    ck_assert_int_eq(engine_start(&config, &desk->engine, NULL), PDK_OK);
}

static void desk_close(struct desk *desk)
{
    engine_stop(desk->engine);
    free(desk->toy.cache);
    condition_done(&desk->changed);
    mutex_done(&desk->lock);
}

static void wait_released(struct desk *desk, uint32_t count)
{
    mutex_lock(&desk->lock);
    int64_t deadline = monotonic_ms() + 60000;
    while (desk->released < count)
        ck_assert(condition_wait_until(&desk->changed, &desk->lock, deadline));
    mutex_unlock(&desk->lock);
}

struct order {
    uint32_t prompt, answer, choices, family;
    uint64_t seed;
    int32_t prompt_logprobs;
    bool ignore_eos;
    struct guide *guide; /* or NULL */
};

static void fill_prompt(uint32_t *prompt, const struct order *order)
{
    for (uint32_t i = 0; i < order->prompt; i++)
        prompt[i] = (order->family * 131 + i * 7) % TOY_VOCABULARY;
}

static struct generation *order_new(struct desk *desk, const struct order *order)
{
    struct generation *generation = calloc(1, sizeof *generation);
    uint32_t prompt[512];
    fill_prompt(prompt, order);
    pdk_request request = {.size = sizeof request, .flags = order->ignore_eos ? PDK_FLAG_IGNORE_EOS : 0};
    if (order->prompt_logprobs != 0) {
        request.sampling.has |= PDK_HAS_PROMPT_LOGPROBS;
        request.sampling.prompt_logprobs = order->prompt_logprobs;
    }
    ck_assert_int_eq(rules_resolve(&generation->rules, &request, &sampling_model, NULL), PDK_OK);
    struct generation_spec spec = {.prompt = prompt,
        .prompt_count = order->prompt,
        .limit = order->prompt + order->answer,
        .choices = order->choices,
        .seed = order->seed,
        .tenant = order->family % 3,
        .guide = order->guide,
        .salt = engine_salt(desk->engine, order->family % 3, (pdk_string){0}, (pdk_string){0})};
    ck_assert_int_eq(generation_init(generation, &spec, NULL), PDK_OK);
    engine_add(desk->engine, generation);
    return generation;
}

/* What the toy gives alone. */
static void must_equal_alone(const struct generation *generation, const struct order *order)
{
    for (uint32_t c = 0; c < order->choices; c++) {
        const struct choice *choice = &generation->choices[c];
        uint32_t tokens[1024];
        fill_prompt(tokens, order);
        uint32_t total = order->prompt;
        int32_t finish = PDK_FINISH_LENGTH, kind = PDK_STOP_NONE;
        while (total < order->prompt + order->answer && finish == PDK_FINISH_LENGTH) {
            tokens[total] = toy_next(tokens, total, order->seed + c);
            if (tokens[total] == 999 && !order->ignore_eos)
                finish = PDK_FINISH_STOP;
            if (tokens[total] == 998 && !order->ignore_eos) {
                finish = PDK_FINISH_STOP;
                kind = PDK_STOP_TOKEN;
            }
            total++;
        }
        ck_assert_uint_eq(choice->sequence.total, total);
        ck_assert_mem_eq(choice->sequence.tokens, tokens, total * sizeof *tokens);
        ck_assert_int_eq(choice->finish, finish);
        ck_assert_int_eq(choice->stop_kind, kind);
    }
}

static void order_free(struct generation *generation)
{
    generation_done(generation);
    free(generation);
}

enum { STORM = 60 };

static struct order random_order(uint32_t i)
{
    return (struct order){.prompt = 1 + i * 37 % 150,
        .answer = 1 + i * 13 % 90,
        .choices = 1 + i % 4,
        .family = i % 7,
        .seed = i,
        .prompt_logprobs = i % 5 == 0 ? 3 : 0};
}

/* A pool of a quarter of what they want at once: batches, chunks, cache hits, forks and preemptions all happen. */
START_TEST(together_equals_alone)
{
    struct desk desk;
    desk_open(&desk, 40 + 20 * (uint32_t)_i, 12, 64, _i % 2 == 0);
    struct generation *generations[STORM];
    for (uint32_t i = 0; i < STORM; i++) {
        struct order order = random_order(i);
        generations[i] = order_new(&desk, &order);
    }
    wait_released(&desk, STORM);
    for (uint32_t i = 0; i < STORM; i++) {
        struct order order = random_order(i);
        must_equal_alone(generations[i], &order);
        for (uint32_t p = 0; order.prompt_logprobs != 0 && p + 1 < order.prompt; p++) {
            ck_assert_int_eq(generations[i]->scores[p].rank, (int32_t)p + 1);
            ck_assert_uint_eq(generations[i]->scores[p].top_count, 3);
        }
        order_free(generations[i]);
    }
    mutex_lock(&desk.lock);
    if (_i < 2)
        ck_assert_uint_gt(desk.last.counts.preemptions, 0);
    ck_assert_uint_eq(desk.last.blocks_used, 0);
    ck_assert_uint_eq(desk.last.counts.running, 0);
    if (_i % 2 == 0)
        ck_assert_uint_gt(desk.last.counts.cache_hits, 0);
    mutex_unlock(&desk.lock);
    ck_assert_uint_gt(desk.toy.copies, 0);
    ck_assert_uint_eq(engine_allocations, 0);
    ck_assert_uint_le(desk.toy.most_rows, 64);
    desk_close(&desk);
}
END_TEST

START_TEST(cancelled_ones_leave_the_rest_alone)
{
    struct desk desk;
    desk_open(&desk, 60, 16, 128, true);
    struct generation *generations[STORM];
    for (uint32_t i = 0; i < STORM; i++) {
        struct order order = random_order(i);
        generations[i] = order_new(&desk, &order);
        if (i % 3 == 0) {
            atomic_store(&generations[i]->dropped, true);
            engine_nudge(desk.engine, generations[i]);
        }
    }
    wait_released(&desk, STORM);
    for (uint32_t i = 0; i < STORM; i++) {
        struct order order = random_order(i);
        if (i % 3 != 0)
            must_equal_alone(generations[i], &order);
        order_free(generations[i]);
    }
    desk_close(&desk);
}
END_TEST

START_TEST(a_drop_in_the_middle_is_released_once)
{
    struct desk desk;
    desk_open(&desk, 60, 16, 128, true);
    desk.drop_after = 5;
    struct generation *generations[STORM];
    for (uint32_t i = 0; i < STORM; i++) {
        struct order order = random_order(i);
        order.answer = 200;
        generations[i] = order_new(&desk, &order);
    }
    wait_released(&desk, STORM);
    mutex_lock(&desk.lock);
    ck_assert_uint_eq(desk.released, STORM);
    mutex_unlock(&desk.lock);
    for (uint32_t i = 0; i < STORM; i++)
        order_free(generations[i]);
    desk_close(&desk);
}
END_TEST

/* A front that takes no results stops a choice after RESULTS_HELD tokens, nobody else, and it goes on when told. */
START_TEST(a_reader_that_stalls_pauses_its_choice)
{
    struct desk desk;
    desk_open(&desk, 60, 16, 128, true);
    mutex_lock(&desk.lock);
    desk.lazy_prompt = 20;
    mutex_unlock(&desk.lock);
    struct order order = {.prompt = 20, .answer = 100, .choices = 1, .family = 1, .seed = 5, .ignore_eos = true};
    struct generation *generation = order_new(&desk, &order);
    struct choice *choice = &generation->choices[0];
    mutex_lock(&desk.lock);
    while (atomic_load(&choice->published) < 20 + RESULTS_HELD)
        ck_assert(condition_wait_until(&desk.changed, &desk.lock, monotonic_ms() + 20000));
    mutex_unlock(&desk.lock);
    struct order other = {.prompt = 21, .answer = 50, .choices = 1, .family = 2, .seed = 6};
    struct generation *second = order_new(&desk, &other);
    wait_released(&desk, 1);
    must_equal_alone(second, &other);
    ck_assert_uint_eq(atomic_load(&choice->published), 20 + RESULTS_HELD);
    mutex_lock(&desk.lock);
    desk.lazy_prompt = 0;
    mutex_unlock(&desk.lock);
    atomic_store_explicit(&choice->consumed, 20 + RESULTS_HELD, memory_order_release);
    engine_nudge(desk.engine, generation);
    wait_released(&desk, 2);
    must_equal_alone(generation, &order);
    order_free(generation);
    order_free(second);
    desk_close(&desk);
}
END_TEST

/* One whose stop string was found ends alone; its siblings go on. */
START_TEST(a_dropped_choice_leaves_its_siblings)
{
    struct desk desk;
    desk_open(&desk, 60, 16, 128, true);
    mutex_lock(&desk.lock);
    desk.lazy_prompt = 20; /* so that it cannot run to its end first */
    mutex_unlock(&desk.lock);
    struct order order = {.prompt = 20, .answer = 100, .choices = 2, .family = 1, .seed = 5, .ignore_eos = true};
    struct generation *generation = order_new(&desk, &order);
    struct choice *cut = &generation->choices[1];
    mutex_lock(&desk.lock);
    while (atomic_load(&cut->published) < 24)
        ck_assert(condition_wait_until(&desk.changed, &desk.lock, monotonic_ms() + 20000));
    desk.lazy_prompt = 0;
    mutex_unlock(&desk.lock);
    atomic_store_explicit(&cut->dropped, true, memory_order_release);
    for (int i = 0; i < 2; i++)
        atomic_store_explicit(&generation->choices[i].consumed, 24, memory_order_release);
    engine_nudge(desk.engine, generation);
    wait_released(&desk, 1);
    ck_assert_int_eq(cut->stop_kind, PDK_STOP_STRING);
    ck_assert_uint_lt(cut->sequence.total, 120);
    order.choices = 1;
    must_equal_alone(generation, &order);
    order_free(generation);
    desk_close(&desk);
}
END_TEST

START_TEST(a_failed_step_fails_its_requests_only)
{
    struct desk desk;
    desk_open(&desk, 60, 16, 128, true);
    desk.toy.fail_at = 3;
    struct order order = {.prompt = 20, .answer = 30, .choices = 2, .family = 1, .seed = 5};
    struct generation *generation = order_new(&desk, &order);
    wait_released(&desk, 1);
    ck_assert(atomic_load(&generation->failed));
    ck_assert_str_eq(generation->error.message, "the device failed");
    struct generation *second = order_new(&desk, &order);
    wait_released(&desk, 2);
    must_equal_alone(second, &order);
    order_free(generation);
    order_free(second);
    desk_close(&desk);
}
END_TEST

START_TEST(an_answer_of_no_tokens_scores_the_prompt)
{
    struct desk desk;
    desk_open(&desk, 60, 16, 128, true);
    struct order orders[] = {{.prompt = 90, .choices = 1, .family = 1, .prompt_logprobs = 2},
        {.prompt = 1, .choices = 1, .family = 2, .prompt_logprobs = 2}, {.prompt = 33, .choices = 2, .family = 3}};
    struct generation *generations[3];
    for (uint32_t i = 0; i < 3; i++)
        generations[i] = order_new(&desk, &orders[i]);
    wait_released(&desk, 3);
    for (uint32_t i = 0; i < 3; i++)
        must_equal_alone(generations[i], &orders[i]);
    ck_assert_int_eq(generations[0]->scores[88].rank, 89);
    for (uint32_t i = 0; i < 3; i++)
        order_free(generations[i]);
    desk_close(&desk);
}
END_TEST

/* A request that another replica began goes on where it stopped. */
START_TEST(produced_tokens_are_gone_on_from)
{
    struct desk desk;
    desk_open(&desk, 60, 16, 128, true);
    struct order order = {.prompt = 20, .answer = 60, .choices = 1, .family = 1, .seed = 5, .ignore_eos = true};
    struct generation *whole = order_new(&desk, &order);
    wait_released(&desk, 1);
    for (uint32_t cut = 1; cut < 60; cut += 19) {
        struct generation *rest = calloc(1, sizeof *rest);
        pdk_request request = {.size = sizeof request, .flags = PDK_FLAG_IGNORE_EOS};
        ck_assert_int_eq(rules_resolve(&rest->rules, &request, &sampling_model, NULL), PDK_OK);
        const uint32_t *tokens = whole->choices[0].sequence.tokens;
        struct generation_spec spec = {.prompt = tokens,
            .prompt_count = 20,
            .produced = tokens + 20,
            .produced_count = cut,
            .limit = 80,
            .choices = 1,
            .seed = 5};
        ck_assert_int_eq(generation_init(rest, &spec, NULL), PDK_OK);
        engine_add(desk.engine, rest);
        wait_released(&desk, 2 + cut / 19);
        must_equal_alone(rest, &order);
        order_free(rest);
    }
    order_free(whole);
    desk_close(&desk);
}
END_TEST

/* A vocabulary of letters, pairs of letters and numbers; the last two are ends. */
static struct tokenizer *letters_tokenizer(void)
{
    struct buffer json = {0};
    struct tokenizer *tokenizer = NULL;
    pdk_error err = {0};
    buffer_puts(
        &json, "{\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":{\"a\":0");
    for (int i = 1; i < TOY_VOCABULARY; i++)
        if (i < 26)
            buffer_printf(&json, ",\"%c\":%d", 'a' + i, i);
        else if (i < 702)
            buffer_printf(&json, ",\"%c%c\":%d", 'a' + i / 26 - 1, 'a' + i % 26, i);
        else
            buffer_printf(&json, ",\"%d\":%d", i - 702, i);
    buffer_puts(&json, "}}}");
    pdk_status status = tokenizer_from_json(json.data, json.length, NULL, 0, &tokenizer, &err);
    ck_assert_msg(status == PDK_OK, "%s", err.message);
    buffer_done(&json);
    return tokenizer;
}

/* Runs orders with a guide each, all at once or one by one, and gives what came of them. */
static void run_guided(const struct guide_vocabulary *vocabulary, bool together, struct generation **generations)
{
    static const char *const patterns[] = {
        "([a-m]{3,30}(n|o)+z)+[0-9]{2,7}", "(foo|ba+r)*[0-9]{40}", "[^q]{1,9}(x[0-9])*", "(ab|a|b){70}c"};
    struct desk desk;
    desk_open(&desk, 60, 12, 64, true);
    for (uint32_t i = 0; i < 24; i++) {
        struct order order = random_order(i);
        pdk_guide what = {.kind = PDK_GUIDE_REGEX, .text = {patterns[i % 4], strlen(patterns[i % 4])}};
        order.prompt_logprobs = 0;
        if (i % 5 != 0)
            ck_assert_int_eq(guide_new(vocabulary, &what, &order.guide, NULL), PDK_OK);
        generations[i] = order_new(&desk, &order);
        guide_release(order.guide);
        if (!together)
            wait_released(&desk, i + 1);
    }
    wait_released(&desk, 24);
    desk_close(&desk);
}

/* Masks are found on another thread, sooner or later; what is drawn does not depend on when. */
START_TEST(guided_together_equals_alone)
{
    struct tokenizer *tokenizer = letters_tokenizer();
    struct guide_vocabulary *vocabulary = NULL;
    struct generation *together[24], *alone[24];
    ck_assert_int_eq(guide_vocabulary_new(tokenizer, TOY_VOCABULARY, eos_ids, 2, &vocabulary, NULL), PDK_OK);
    run_guided(vocabulary, true, together);
    run_guided(vocabulary, false, alone);
    for (uint32_t i = 0; i < 24; i++) {
        for (uint32_t c = 0; c < alone[i]->choice_count; c++) {
            const struct choice *a = &together[i]->choices[c], *b = &alone[i]->choices[c];
            ck_assert(!together[i]->failed && !alone[i]->failed);
            ck_assert_uint_eq(a->sequence.total, b->sequence.total);
            ck_assert_mem_eq(a->sequence.tokens, b->sequence.tokens, a->sequence.total * sizeof(uint32_t));
            ck_assert_int_eq(a->finish, b->finish);
        }
        order_free(together[i]);
        order_free(alone[i]);
    }
    guide_vocabulary_free(vocabulary);
    tokenizer_free(tokenizer);
#ifndef PADDOCK_SANITIZERS
    ck_assert_uint_eq(engine_allocations, 0);
#endif
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine");
    TCase *tests = tcase_create("engine");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, together_equals_alone, 0, 4);
    tcase_add_test(tests, cancelled_ones_leave_the_rest_alone);
    tcase_add_test(tests, a_drop_in_the_middle_is_released_once);
    tcase_add_test(tests, a_reader_that_stalls_pauses_its_choice);
    tcase_add_test(tests, a_dropped_choice_leaves_its_siblings);
    tcase_add_test(tests, a_failed_step_fails_its_requests_only);
    tcase_add_test(tests, an_answer_of_no_tokens_scores_the_prompt);
    tcase_add_test(tests, produced_tokens_are_gone_on_from);
    tcase_add_test(tests, guided_together_equals_alone);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
