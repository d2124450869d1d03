/* See the header. */
#include "config.h"

#include "golden_check.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const float tolerance = 2e-4f;

void golden_check_logits(const struct run_sequence *sequence, const struct safetensors *golden, uint32_t prompt,
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

void golden_check_greedy(
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

void golden_add(struct run *run, const struct safetensors *golden, uint32_t prompt)
{
    char name[32];
    uint32_t ids[RUN_TOKENS_MAX], greedy[64];
    snprintf(name, sizeof name, "prompt_%u", prompt);
    uint32_t count = golden_ids(golden, name, ids, RUN_TOKENS_MAX);
    snprintf(name, sizeof name, "greedy_%u", prompt);
    run_add(run, ids, count, golden_ids(golden, name, greedy, 64));
}

struct safetensors *golden_open(const char *folder)
{
    char name[4096];
    struct safetensors *golden = NULL;
    snprintf(name, sizeof name, "%s/golden.safetensors", folder);
    ck_assert_msg(safetensors_open(name, &golden, NULL) == PDK_OK, "%s cannot be read", name);
    return golden;
}

void golden_check_all(
    struct run *run, const struct safetensors *golden, uint32_t first, uint32_t chunk, const char *model)
{
    for (uint32_t k = first; k < GOLDEN_PROMPTS; k++) {
        golden_add(run, golden, k);
        run_all(run, chunk);
        golden_check_logits(&run->sequences[0], golden, k, model_facts(run->model)->vocabulary_size, model);
        golden_check_greedy(&run->sequences[0], golden, k, model);
        run_clear(run);
    }
}
