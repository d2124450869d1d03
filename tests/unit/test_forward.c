/* runtimes/huggingface/model/forward.c, weights.c, rope.c: the fixtures' logits and greedy ids, whatever the chunks and
 * the company. */
#include "config.h"

#include "check_main.h"
#include "forward_run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* One row of the table of architectures each; the seed's own four of llama and two of OPT first. */
static const char *const models[] = {"llama-mha", "llama-gqa-tied", "llama3-rope", "llama-yarn", "opt-125m-like",
    "opt-350m-like", "mistral", "qwen2", "qwen3", "smollm3", "granite", "olmo2", "stablelm", "starcoder2", "gemma",
    "gemma2", "phi", "phi3", "../walkthrough/facebook/opt-125m", "cohere", "glm4", "gpt2", "gpt-neox", "gptj", "bloom",
    "falcon-mqa", "gemma3"};

enum { MODEL_COUNT = sizeof models / sizeof models[0], PROMPTS = 4 };

static const float tolerance = 2e-4f;

static void check_logits(const struct run_sequence *sequence, const struct safetensors *golden, uint32_t prompt,
    size_t vocabulary, const char *model)
{
    char name[32];
    snprintf(name, sizeof name, "logits_%u", prompt);
    const struct safetensors_tensor *logits = golden_tensor(golden, name);
    ck_assert_ptr_nonnull(logits);
    uint32_t rows = (uint32_t)logits->shape[0], first = sequence->prompt - rows;
    ck_assert_uint_eq(logits->shape[1], vocabulary);
    for (size_t i = 0; i < rows * vocabulary; i++) {
        float want, is = sequence->logits[first * vocabulary + i];
        memcpy(&want, (const uint8_t *)logits->data + i * sizeof want, sizeof want);
        ck_assert_msg(fabsf(is - want) <= tolerance, "%s: prompt %u, row %zu, token %zu is %.7g, not %.7g", model,
            prompt, first + i / vocabulary, i % vocabulary, (double)is, (double)want);
    }
}

static void check_greedy(
    const struct run_sequence *sequence, const struct safetensors *golden, uint32_t prompt, const char *model)
{
    char name[32];
    uint32_t want[64];
    snprintf(name, sizeof name, "greedy_%u", prompt);
    uint32_t count = golden_ids(golden, name, want, 64);
    for (uint32_t i = 0; i < count; i++)
        ck_assert_msg(sequence->tokens[sequence->prompt + i] == want[i], "%s: prompt %u, greedy %u is %u, not %u",
            model, prompt, i, sequence->tokens[sequence->prompt + i], want[i]);
}

static void add_prompt(struct run *run, const struct safetensors *golden, uint32_t prompt)
{
    char name[32];
    uint32_t ids[RUN_TOKENS_MAX], greedy[64];
    snprintf(name, sizeof name, "prompt_%u", prompt);
    uint32_t count = golden_ids(golden, name, ids, RUN_TOKENS_MAX);
    snprintf(name, sizeof name, "greedy_%u", prompt);
    run_add(run, ids, count, golden_ids(golden, name, greedy, 64));
}

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
    char name[128];
    struct run run;
    snprintf(name, sizeof name, "models/%s", model);
    run_open(&run, fixture_path(name));
    size_t vocabulary = model_facts(run.model)->vocabulary_size;
    struct safetensors *golden = NULL;
    snprintf(name, sizeof name, "models/%s/golden.safetensors", model);
    ck_assert_int_eq(safetensors_open(fixture_path(name), &golden, NULL), PDK_OK);

    float *alone[PROMPTS] = {NULL};
    for (uint32_t k = 0; k < PROMPTS; k++) {
        add_prompt(&run, golden, k);
        run_all(&run, 512);
        check_logits(&run.sequences[0], golden, k, vocabulary, model);
        check_greedy(&run.sequences[0], golden, k, model);
        alone[k] = run.sequences[0].logits;
        run.sequences[0].logits = NULL;
        run_clear(&run);
    }
    static const uint32_t chunks[] = {16, 64, 512};
    for (size_t c = 0; c < sizeof chunks / sizeof chunks[0]; c++) {
        for (uint32_t k = 0; k < PROMPTS; k++)
            add_prompt(&run, golden, k);
        run_all(&run, chunks[c]);
        for (uint32_t k = 0; k < PROMPTS; k++)
            check_greedy(&run.sequences[k], golden, k, model);
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
