/* runtimes/huggingface/model/forward.c, weights.c, rope.c: the fixtures' logits and greedy ids, whatever the chunks and
 * the company. */
#include "config.h"

#include "check_main.h"
#include "golden_check.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One row of the table of architectures each; the seed's own four of llama and two of OPT first. */
static const char *const models[] = {"llama-mha", "llama-gqa-tied", "llama3-rope", "llama-yarn", "opt-125m-like",
    "opt-350m-like", "mistral", "qwen2", "qwen3", "smollm3", "granite", "olmo2", "stablelm", "starcoder2", "gemma",
    "gemma2", "phi", "phi3", "../walkthrough/facebook/opt-125m", "cohere", "glm4", "gpt2", "gpt-neox", "gptj", "bloom",
    "falcon-mqa", "gemma3", "mixtral", "qwen3-moe", "gpt-oss", "deepseek-v2", "deepseek-v3"};

enum { MODEL_COUNT = sizeof models / sizeof models[0], PROMPTS = GOLDEN_PROMPTS };

/* A request's numbers are the same to the bit whoever shares its steps and however its prompt was cut. */
static void check_same(const struct run *run, float *const first[PROMPTS], size_t vocabulary, const char *model)
{
    for (uint32_t k = 0; k < run->count; k++) {
        const struct run_sequence *sequence = &run->sequences[k];
        ck_assert_msg(memcmp(sequence->logits, first[k], sequence->prompt * vocabulary * sizeof(float)) == 0,
            "%s: prompt %u has other bits than alone", model, k);
    }
}

START_TEST(logits_and_greedy_ids_are_the_references)
{
    const char *model = models[_i];
    char name[4096];
    struct run run;
    snprintf(name, sizeof name, "%s/%s/config.json", fixture_path("models"), model);
    if (access(name, R_OK) != 0) {
        printf("skipped: no fixture %s\n", model);
        return;
    }
    snprintf(name, sizeof name, "models/%s", model);
    run_open(&run, fixture_path(name));
    size_t vocabulary = model_facts(run.model)->vocabulary_size;
    struct safetensors *golden = golden_open(fixture_path(name));

    float *alone[PROMPTS] = {NULL};
    for (uint32_t k = 0; k < PROMPTS; k++) {
        golden_add(&run, golden, k);
        run_all(&run, 512);
        golden_check_logits(&run.sequences[0], golden, k, vocabulary, model);
        golden_check_greedy(&run.sequences[0], golden, k, model);
        alone[k] = run.sequences[0].logits;
        run.sequences[0].logits = NULL;
        run_clear(&run);
    }
    static const uint32_t chunks[] = {16, 64, 512};
    for (size_t c = 0; c < sizeof chunks / sizeof chunks[0]; c++) {
        for (uint32_t k = 0; k < PROMPTS; k++)
            golden_add(&run, golden, k);
        run_all(&run, chunks[c]);
        for (uint32_t k = 0; k < PROMPTS; k++)
            golden_check_greedy(&run.sequences[k], golden, k, model);
        check_same(&run, alone, vocabulary, model);
        run_clear(&run);
    }
    for (uint32_t k = 0; k < PROMPTS; k++)
        free(alone[k]);
    safetensors_close(golden);
    run_close(&run);
}
END_TEST

int main(void)
{
    fixture_path("models");
    Suite *suite = suite_create("forward");
    TCase *tests = tcase_create("forward");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, logits_and_greedy_ids_are_the_references, 0, MODEL_COUNT);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
