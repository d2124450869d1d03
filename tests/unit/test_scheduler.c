/* runtimes/huggingface/engine/scheduler.c, block_pool.c, cost_model.c: random histories, and single rules */
#include "config.h"

#include "runtimes/huggingface/engine/scheduler.h"

#include "check_main.h"

#include <stdio.h>
#include <string.h>

enum { LIVE_MAX = 60 };
static const struct siphash_key key = {1, 2};

static struct scheduler_config plain_config(uint32_t sequences, uint32_t rows, uint32_t length)
{
    return (struct scheduler_config){.max_sequences = sequences,
        .max_rows = rows,
        .max_outputs = sequences + 64,
        .max_length = length,
        .prefill_interval = 1,
        .reserve_prompt = true,
        .chunked = true};
}

static uint64_t random_state;
static uint32_t pick(uint32_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % below;
}

/* Few different prefixes, so that the cache is met. */
static struct sequence *make_sequence(uint32_t prompt, uint32_t limit, uint32_t family, uint64_t tenant)
{
    struct sequence *sequence = calloc(1, sizeof *sequence);
    *sequence = (struct sequence){.tokens = calloc(limit, sizeof(uint32_t)),
        .prompt_count = prompt,
        .limit = limit,
        .tenant = tenant,
        .total = prompt};
    for (uint32_t i = 0; i < prompt; i++)
        sequence->tokens[i] = family * 1000 + i;
    return sequence;
}

static void free_sequence(struct sequence *sequence)
{
    free(sequence->tokens);
    free(sequence);
}

static void must_hold(const struct scheduler *s)
{
    const char *what = "";
    bool holds = scheduler_check(s, &what);
    ck_assert_msg(holds, "%s", what);
}

/* Plays the engine: appends a token where the plan drew one. Returns rows made. */
static uint32_t play(struct scheduler *s, struct sequence **live, uint32_t *count)
{
    const struct plan *plan = scheduler_plan(s);
    must_hold(s);
    uint32_t rows = 0, outputs = 0;
    for (uint32_t i = 0; i < plan->entry_count; i++) {
        const struct plan_entry *entry = &plan->entries[i];
        ck_assert_uint_gt(entry->count, 0);
        ck_assert(!entry->sequence->held);
        ck_assert_uint_eq(entry->first, entry->sequence->computed);
        uint32_t end = entry->first + entry->count;
        ck_assert(end % BLOCK_TOKENS == 0 || end == sequence_goal(entry->sequence));
        ck_assert_uint_ge(entry->sequence->blocks * BLOCK_TOKENS, end);
        rows += entry->count;
        outputs += plan_outputs(entry->sequence, entry->first, entry->count);
        for (uint32_t j = 0; j < i; j++)
            ck_assert_ptr_ne(plan->entries[j].sequence, entry->sequence);
    }
    ck_assert_uint_eq(rows, plan->rows);
    ck_assert_uint_eq(outputs, plan->outputs);
    struct sequence *ended[LIVE_MAX];
    uint32_t ended_count = 0;
    scheduler_observe(s, 1e-4 * (1 + rows));
    scheduler_commit(s);
    for (uint32_t i = 0; i < plan->entry_count; i++) {
        struct sequence *sequence = plan->entries[i].sequence;
        uint32_t end = plan->entries[i].first + plan->entries[i].count;
        if (sequence->scores && end > sequence->scored)
            sequence->scored = end < sequence->prompt_count - 1 ? end : sequence->prompt_count - 1;
        if (end == sequence->total && sequence->total < sequence->limit)
            sequence->tokens[sequence->total++] = 7;
        if (sequence->total == sequence->limit)
            ended[ended_count++] = sequence;
    }
    for (uint32_t i = 0; i < ended_count; i++) {
        scheduler_remove(s, ended[i]);
        for (uint32_t j = 0; j < *count; j++) {
            if (live[j] != ended[i])
                continue;
            for (uint32_t k = 0; k < *count; k++)
                if (live[k]->leader == ended[i])
                    live[k]->leader = NULL;
            live[j] = live[--*count];
            free_sequence(ended[i]);
            break;
        }
    }
    must_hold(s);
    return rows;
}

static void add_random(struct scheduler *s, struct sequence **live, uint32_t *count)
{
    uint32_t prompt = 1 + pick(pick(4) == 0 ? 200 : 40), limit = prompt + 1 + pick(60);
    struct sequence *leader = *count > 0 && pick(4) == 0 ? live[pick(*count)] : NULL;
    struct sequence *sequence;
    if (leader != NULL && leader->leader == NULL) {
        sequence = make_sequence(leader->prompt_count, leader->prompt_count + 1 + pick(60), 0, leader->tenant);
        memcpy(sequence->tokens, leader->tokens, leader->prompt_count * sizeof(uint32_t));
        sequence->leader = leader;
    } else {
        sequence = make_sequence(prompt, limit, pick(3), pick(5));
        sequence->scores = pick(8) == 0;
    }
    sequence->priority = (int32_t)pick(2);
    if (leader != NULL)
        sequence->priority = leader->priority;
    live[(*count)++] = sequence;
    scheduler_add(s, sequence);
}

/* Adds, cancels, stalls, preempts in random order; at the end everything that was added ends. */
START_TEST(random_histories_hold_the_invariants)
{
    random_state = 77 + (uint64_t)_i;
    struct block_pool *pool = NULL;
    struct scheduler *s = NULL;
    ck_assert_int_eq(block_pool_new(18 + 6 * (uint32_t)_i, _i % 3 != 0, &key, &pool, NULL), PDK_OK);
    struct scheduler_config config = plain_config(4 + 3 * (uint32_t)_i, 64 + 100 * (uint32_t)_i, 280);
    config.watermark = _i % 2 != 0 ? 0.05 : 0;
    config.reserve_prompt = _i % 4 != 1;
    config.chunked = _i != 5; /* whose steps hold the longest prompt */
    config.max_outputs = config.max_sequences + BLOCK_TOKENS;
    ck_assert_int_eq(scheduler_new(&config, pool, &s, NULL), PDK_OK);
    struct sequence *live[LIVE_MAX];
    uint32_t count = 0;
    for (int step = 0; step < 3000; step++) {
        if (count < LIVE_MAX && pick(3) == 0)
            add_random(s, live, &count);
        if (count > 0 && pick(20) == 0)
            live[pick(count)]->held ^= true;
        if (count > 0 && pick(40) == 0) {
            uint32_t at = pick(count);
            struct sequence *gone = live[at];
            scheduler_remove(s, gone);
            for (uint32_t k = 0; k < count; k++)
                if (live[k]->leader == gone)
                    live[k]->leader = NULL;
            live[at] = live[--count];
            free_sequence(gone);
        }
        play(s, live, &count);
    }
    ck_assert_uint_gt(scheduler_counts(s).preemptions, 0);
    for (uint32_t i = 0; i < count; i++)
        live[i]->held = false;
    for (int step = 0; count > 0; step++) {
        ck_assert_int_lt(step, 20000);
        ck_assert_uint_gt(play(s, live, &count), 0);
    }
    ck_assert(scheduler_idle(s));
    ck_assert_uint_eq(block_pool_left(pool), block_pool_size(pool));
    scheduler_free(s);
    block_pool_free(pool);
}
END_TEST

static void setup(struct scheduler_config config, uint32_t blocks, struct block_pool **pool, struct scheduler **s)
{
    ck_assert_int_eq(block_pool_new(blocks, true, &key, pool, NULL), PDK_OK);
    ck_assert_int_eq(scheduler_new(&config, *pool, s, NULL), PDK_OK);
}

static void teardown(struct block_pool *pool, struct scheduler *s)
{
    scheduler_free(s);
    block_pool_free(pool);
}

START_TEST(a_long_prompt_does_not_stall_decoding_rows)
{
    struct block_pool *pool;
    struct scheduler *s;
    setup(plain_config(8, 2048, 4096), 400, &pool, &s);
    struct sequence *live[LIVE_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < 4; i++)
        scheduler_add(s, live[count++] = make_sequence(8, 2000, i, 1));
    for (int step = 0; step < 20; step++)
        play(s, live, &count);
    struct sequence *prompt = live[count++] = make_sequence(3000, 3010, 9, 1);
    scheduler_add(s, prompt);
    while (prompt->computed < 3000) {
        uint32_t before[4];
        for (int i = 0; i < 4; i++)
            before[i] = live[i]->total;
        uint32_t rows = play(s, live, &count);
        for (int i = 0; i < 4; i++)
            ck_assert_uint_eq(live[i]->total, before[i] + 1);
        ck_assert_uint_le(rows, 4 + 64); /* not the 2048 that would fit */
    }
    for (uint32_t i = 0; i < count; i++) {
        scheduler_remove(s, live[i]);
        free_sequence(live[i]);
    }
    teardown(pool, s);
}
END_TEST

/* A hundred requests of one tenant wait; one of another comes. It is admitted next but one at the latest. */
START_TEST(a_light_tenant_is_not_starved)
{
    struct block_pool *pool;
    struct scheduler *s;
    setup(plain_config(2, 64, 256), 64, &pool, &s);
    struct sequence *live[LIVE_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < 50; i++)
        scheduler_add(s, live[count++] = make_sequence(48, 60, i, 1));
    for (int step = 0; step < 10; step++)
        play(s, live, &count);
    struct sequence *light = live[count++] = make_sequence(48, 60, 99, 2);
    scheduler_add(s, light);
    uint32_t before = count, ended = 0;
    while (light->state == SEQUENCE_WAITING) {
        play(s, live, &count);
        ended = before - count;
        ck_assert_uint_le(ended, 2);
    }
    for (uint32_t i = 0; i < count; i++) {
        scheduler_remove(s, live[i]);
        free_sequence(live[i]);
    }
    teardown(pool, s);
}
END_TEST

START_TEST(choices_share_the_prompt_and_copy_before_writing)
{
    struct block_pool *pool;
    struct scheduler *s;
    setup(plain_config(4, 256, 256), 32, &pool, &s);
    struct sequence *live[LIVE_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < 3; i++) {
        live[count] = make_sequence(40, 50, 0, 1);
        live[count]->leader = i > 0 ? live[0] : NULL;
        scheduler_add(s, live[count++]);
    }
    ck_assert_uint_eq(play(s, live, &count), 40);
    const struct plan *plan = scheduler_plan(s);
    ck_assert_uint_eq(plan->rows, 3); /* one decoding, two that take the last prompt token again */
    ck_assert_uint_eq(plan->copy_count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        const uint32_t *own = scheduler_table(s, live[i]), *other = scheduler_table(s, live[2]);
        ck_assert_uint_eq(own[0], other[0]);
        ck_assert_uint_eq(own[1], other[1]);
        ck_assert_uint_ne(own[2], other[2]);
    }
    ck_assert_uint_eq(block_pool_left(pool), 32 - 5);
    must_hold(s);
    for (uint32_t i = 0; i < count; i++) {
        scheduler_remove(s, live[i]);
        free_sequence(live[i]);
    }
    teardown(pool, s);
}
END_TEST

START_TEST(what_never_fits_is_refused_with_the_numbers)
{
    struct block_pool *pool;
    ck_assert_int_eq(block_pool_new(4, true, &key, &pool, NULL), PDK_OK);
    pdk_error err = {0};
    ck_assert_int_eq(scheduler_fits(pool, 65, &err), PDK_OK);
    ck_assert_int_eq(scheduler_fits(pool, 66, &err), PDK_INVALID);
    ck_assert_str_eq(err.message,
        "prompt and answer of up to 66 tokens need 5 blocks of the key-value cache, which has 4 (64 "
        "tokens). Please reduce the length of the prompt or max_tokens.");
    block_pool_free(pool);
}
END_TEST

START_TEST(a_prefix_outlives_its_continuation)
{
    struct block_pool *pool;
    struct scheduler *s;
    setup(plain_config(4, 256, 256), 8, &pool, &s);
    struct sequence *live[LIVE_MAX];
    uint32_t count = 0;
    scheduler_add(s, live[count++] = make_sequence(64, 66, 1, 1)); /* 4 full blocks and one */
    while (count > 0)
        play(s, live, &count);
    scheduler_add(s, live[count++] = make_sequence(90, 92, 2, 1)); /* 6 blocks: 4 empty ones and the last 2 cached */
    while (count > 0)
        play(s, live, &count);
    struct sequence *again = live[count++] = make_sequence(64, 66, 1, 1);
    scheduler_add(s, again);
    play(s, live, &count);
    ck_assert_uint_eq(again->cached, 32);
    for (uint32_t i = 0; i < count; i++) {
        scheduler_remove(s, live[i]);
        free_sequence(live[i]);
    }
    teardown(pool, s);
}
END_TEST

START_TEST(tenants_never_meet_in_the_cache)
{
    struct block_pool *pool;
    ck_assert_int_eq(block_pool_new(4, true, &key, &pool, NULL), PDK_OK);
    struct siphash128 one = block_pool_salt(pool, 1, "", 0, "", 0), two = block_pool_salt(pool, 2, "", 0, "", 0);
    struct siphash128 salted = block_pool_salt(pool, 1, "", 0, "ab", 2),
                      shifted = block_pool_salt(pool, 1, "ab", 2, "", 0);
    uint32_t tokens[BLOCK_TOKENS] = {5}, other[BLOCK_TOKENS] = {6}, block, found;
    ck_assert(block_pool_take(pool, BLOCK_NONE, 1, &block));
    block_pool_publish(pool, block, block_pool_hash(pool, one, tokens), tokens, 1);
    ck_assert(block_pool_find(pool, block_pool_hash(pool, one, tokens), tokens, &found));
    ck_assert_uint_eq(found, block);
    ck_assert(!block_pool_find(pool, block_pool_hash(pool, two, tokens), tokens, &found));
    ck_assert(!block_pool_find(pool, block_pool_hash(pool, salted, tokens), tokens, &found));
    ck_assert(!block_pool_find(pool, block_pool_hash(pool, shifted, tokens), tokens, &found));
    /* the same hash with other tokens: an attacker's collision is no hit */
    ck_assert(!block_pool_find(pool, block_pool_hash(pool, one, tokens), other, &found));
    block_pool_free(pool);
}
END_TEST

/* One tenant fills the cache with prefixes; the other's is still found, since a tenant above its share reuses its own.
 */
START_TEST(a_tenant_above_its_share_evicts_its_own)
{
    struct block_pool *pool;
    ck_assert_int_eq(block_pool_new(16, true, &key, &pool, NULL), PDK_OK);
    struct siphash128 salt = block_pool_salt(pool, 1, "", 0, "", 0), light = block_pool_salt(pool, 2, "", 0, "", 0);
    uint32_t mine[BLOCK_TOKENS] = {1}, block;
    ck_assert(block_pool_take(pool, BLOCK_NONE, 2, &block));
    block_pool_publish(pool, block, block_pool_hash(pool, light, mine), mine, 2);
    block_pool_unref(pool, block);
    for (uint32_t i = 0; i < 100; i++) {
        uint32_t tokens[BLOCK_TOKENS] = {2, i};
        ck_assert(block_pool_take(pool, BLOCK_NONE, 1, &block));
        block_pool_publish(pool, block, block_pool_hash(pool, salt, tokens), tokens, 1);
        block_pool_unref(pool, block);
    }
    ck_assert(block_pool_find(pool, block_pool_hash(pool, light, mine), mine, &block));
    const char *what;
    ck_assert(block_pool_check(pool, 1, &what));
    block_pool_free(pool);
}
END_TEST

START_TEST(the_cost_model_finds_both_slopes)
{
    struct cost_model model;
    cost_model_init(&model);
    random_state = 3;
    for (int i = 0; i < 400; i++) {
        uint32_t rows = 1 + pick(200), context = pick(8000);
        cost_model_observe(&model, rows, context, 2e-3 + 1e-4 * rows + 1e-7 * context);
    }
    ck_assert_double_eq_tol(cost_model_predict(&model, 100, 4000), 2e-3 + 1e-2 + 4e-4, 1e-4);
    /* twice the step of 10 rows: as much again for prompts, at 1e-4 s a row */
    ck_assert_uint_ge(cost_model_budget(&model, 10, 0, 16, 2048), 28);
    ck_assert_uint_le(cost_model_budget(&model, 10, 0, 16, 2048), 32);
    ck_assert_uint_eq(cost_model_budget(&model, 0, 0, 16, 2048), 512);
    ck_assert_uint_eq(cost_model_budget(&model, 0, 0, 16, 100), 100);
    double before = cost_model_predict(&model, 10, 0);
    cost_model_observe(&model, 10, 0, 5.0); /* a step that was late once */
    ck_assert_double_eq(cost_model_predict(&model, 10, 0), before);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scheduler");
    TCase *tests = tcase_create("scheduler");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, random_histories_hold_the_invariants, 0, 6);
    tcase_add_test(tests, a_long_prompt_does_not_stall_decoding_rows);
    tcase_add_test(tests, a_light_tenant_is_not_starved);
    tcase_add_test(tests, choices_share_the_prompt_and_copy_before_writing);
    tcase_add_test(tests, what_never_fits_is_refused_with_the_numbers);
    tcase_add_test(tests, a_prefix_outlives_its_continuation);
    tcase_add_test(tests, tenants_never_meet_in_the_cache);
    tcase_add_test(tests, a_tenant_above_its_share_evicts_its_own);
    tcase_add_test(tests, the_cost_model_finds_both_slopes);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
