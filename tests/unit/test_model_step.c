/* runtimes/huggingface/model/forward.c: what a step promises beside its numbers: no allocation, blocks copied first,
 * logits only of the rows that are wanted. */
#include "config.h"

#include "check_main.h"
#include "forward_run.h"

#include <stdatomic.h>
#include <string.h>

enum { TOKENS = 20, STRIDE = 4, VOCABULARY = 320 };

static atomic_bool watched;     /* a step is running */
static atomic_uint allocations; /* while it was */

#ifndef PADDOCK_SANITIZERS
/* Stands before libc's allocator. The sanitizers bring one of their own. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

void *malloc(size_t size)
{
    allocations += watched;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    allocations += watched;
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    allocations += watched;
    return __libc_realloc(old, size);
}
#endif

/* One sequence's rows [first, first + count), whose blocks are `table`. */
static void step(struct run *run, const uint32_t *table, uint32_t first, uint32_t count, const uint32_t (*copies)[2],
    size_t copy_count, pdk_sample_row *sample, uint32_t output_row)
{
    uint32_t tokens[TOKENS], positions[TOKENS], slots[TOKENS], sequence_of[TOKENS] = {0};
    for (uint32_t i = 0; i < count; i++) {
        positions[i] = first + i;
        tokens[i] = 3 + positions[i] * 41 % (VOCABULARY - 3);
        slots[i] = table[positions[i] / PDK_KV_BLOCK_TOKENS] * PDK_KV_BLOCK_TOKENS + positions[i] % PDK_KV_BLOCK_TOKENS;
    }
    const uint32_t row_starts[] = {0, count}, length = first + count;
    const pdk_batch batch = {
        .row_count = count,
        .sequence_count = 1,
        .output_count = 1,
        .table_stride = STRIDE,
        .tokens = tokens,
        .positions = positions,
        .slots = slots,
        .sequence_of = sequence_of,
        .row_starts = row_starts,
        .context_lengths = &length,
        .tables = table,
        .output_rows = &output_row,
    };
    pdk_error err = {0};
    watched = true;
    pdk_status status = model_step(run->model, &batch, copies, copy_count, sample, sample != NULL, &err);
    watched = false;
    ck_assert_msg(status == PDK_OK, "%s", err.message);
}

START_TEST(a_forked_sequence_goes_on_from_copied_blocks)
{
    static const uint32_t first[STRIDE] = {7, 3}, second[STRIDE] = {7, 12}, copies[][2] = {{3, 12}};
    static float alone[VOCABULARY], forked[VOCABULARY], again[VOCABULARY];
    struct run run;
    run_open(&run, fixture_path("models/llama-gqa-tied"));
    step(&run, first, 0, 18, NULL, 0, NULL, 17); /* the second block is partly filled */
    step(&run, second, 18, 1, copies, 1, NULL, 0);
    model_logits(run.model, 0, 1, forked);
    step(&run, first, 18, 1, NULL, 0, NULL, 0);
    model_logits(run.model, 0, 1, alone);
    ck_assert_int_eq(memcmp(alone, forked, sizeof alone), 0);
    /* And what the fork wrote is its own: without the copy the second block would lack the first two tokens. */
    static const uint32_t other[STRIDE] = {7, 14};
    step(&run, other, 18, 1, NULL, 0, NULL, 0);
    model_logits(run.model, 0, 1, again);
    ck_assert_int_ne(memcmp(alone, again, sizeof alone), 0);
    run_close(&run);
}
END_TEST

START_TEST(logits_are_those_of_the_row_wanted)
{
    static const uint32_t table[STRIDE] = {0, 1};
    static float early[VOCABULARY], late[VOCABULARY], want[VOCABULARY];
    struct run run;
    run_open(&run, fixture_path("models/opt-350m-like"));
    step(&run, table, 0, 5, NULL, 0, NULL, 4);
    model_logits(run.model, 0, 1, want);
    step(&run, table, 0, TOKENS, NULL, 0, NULL, 4);
    model_logits(run.model, 0, 1, early);
    step(&run, table, 0, TOKENS, NULL, 0, NULL, 5);
    model_logits(run.model, 0, 1, late);
    ck_assert_int_eq(memcmp(want, early, sizeof want), 0);
    ck_assert_int_ne(memcmp(want, late, sizeof want), 0);
    run_close(&run);
}
END_TEST

START_TEST(a_step_allocates_nothing)
{
    static const uint32_t table[STRIDE] = {0, 1};
    pdk_sample_row sample = {.temperature = 0, .top_p = 1, .repetition_penalty = 1};
    struct run run;
    run_open(&run, fixture_path("models/llama-gqa-tied"));
    step(&run, table, 0, TOKENS, NULL, 0, &sample, TOKENS - 1); /* threads start with the first one */
    allocations = 0;
    step(&run, table, 0, TOKENS, NULL, 0, &sample, TOKENS - 1);
    ck_assert_uint_eq(allocations, 0);
    ck_assert_uint_lt(sample.token, VOCABULARY);
    run_close(&run);
}
END_TEST

int main(void)
{
    fixture_path("models");
    Suite *suite = suite_create("model step");
    TCase *tests = tcase_create("model step");
    tcase_add_test(tests, a_forked_sequence_goes_on_from_copied_blocks);
    tcase_add_test(tests, logits_are_those_of_the_row_wanted);
    tcase_add_test(tests, a_step_allocates_nothing);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
