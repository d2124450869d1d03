/* runtimes/huggingface/model/families_encoder.c, encoder_config.c, classes.c, value_head.c: the fixtures' hidden
 * states, pooled vectors and scores, alone and in company, under each instruction set. */
#include "config.h"

#include "check_main.h"
#include "forward_run.h"
#include "runtimes/huggingface/engine/pooled.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const models[] = {
    "bert", "bert-classify", "distilbert", "roberta", "xlm-roberta-rerank", "modernbert"};
static const char *const isas[] = {"generic", "avx2", "avx512"};

enum { MODELS = sizeof models / sizeof models[0], ISAS = sizeof isas / sizeof isas[0], PROMPTS = 4 };

static const float tolerance = 2e-4f;

static const float *golden_floats(
    const struct safetensors *golden, const char *what, uint32_t prompt, size_t *ret_count)
{
    char name[32];
    snprintf(name, sizeof name, "%s_%u", what, prompt);
    const struct safetensors_tensor *tensor = golden_tensor(golden, name);
    if (tensor == NULL)
        return NULL;
    *ret_count = tensor->bytes / sizeof(float);
    return (const float *)(const void *)tensor->data;
}

static void check_near(const float *is, const struct safetensors *golden, const char *what, uint32_t prompt,
    size_t count, const char *model)
{
    size_t want_count = 0;
    const float *want = golden_floats(golden, what, prompt, &want_count);
    ck_assert_msg(want != NULL && want_count == count, "%s: %s_%u has %zu numbers, not %zu", model, what, prompt,
        want_count, count);
    for (size_t i = 0; i < count; i++) {
        float value;
        memcpy(&value, &want[i], sizeof value);
        ck_assert_msg(fabsf(is[i] - value) <= tolerance, "%s: %s_%u[%zu] is %.7g, not %.7g", model, what, prompt, i,
            (double)is[i], (double)value);
    }
}

static void pool(const struct run_sequence *sequence, size_t columns, enum pool_rows rows, float *out)
{
    struct pooled pooled = {0};
    ck_assert_int_eq(pooled_init(&pooled, rows, (uint32_t)columns, sequence->prompt, NULL), PDK_OK);
    uint32_t first = 0, count = sequence->prompt;
    pooled_wants(&pooled, &first, &count);
    pooled_take(&pooled, first, count, sequence->logits + first * columns);
    memcpy(out, pooled.values, columns * sizeof *out);
    pooled_done(&pooled);
}

static void check_pooled(const struct run_sequence *sequence, const struct safetensors *golden, uint32_t prompt,
    size_t columns, const char *model)
{
    float mean[256];
    double length = 0;
    pool(sequence, columns, POOL_MEAN, mean);
    for (size_t i = 0; i < columns; i++)
        length += (double)mean[i] * (double)mean[i];
    for (size_t i = 0; i < columns; i++)
        mean[i] = (float)(mean[i] / sqrt(length));
    check_near(sequence->logits, golden, "hidden", prompt, sequence->prompt * columns, model);
    check_near(mean, golden, "pooled", prompt, columns, model);
}

static void check_scores(const struct run *run, const struct run_sequence *sequence, const struct safetensors *golden,
    uint32_t prompt, const char *model)
{
    float first[256], scores[16];
    const struct value_head *classes = model_classes(run->model);
    uint32_t count = value_head_width(classes, 0);
    ck_assert_uint_le(count, 16);
    pool(sequence, run_columns(run), POOL_FIRST, first);
    ck_assert_int_eq(value_head_apply(classes, first, (uint32_t)run_columns(run), scores, NULL), PDK_OK);
    check_near(scores, golden, "scores", prompt, count, model);
}

static void add_prompt(struct run *run, const struct safetensors *golden, uint32_t prompt)
{
    char name[32];
    uint32_t ids[RUN_TOKENS_MAX];
    snprintf(name, sizeof name, "prompt_%u", prompt);
    run_add(run, ids, golden_ids(golden, name, ids, RUN_TOKENS_MAX), 0);
}

START_TEST(hidden_states_and_scores_are_the_references)
{
    const char *model = models[_i % MODELS];
    char name[128];
    struct run run;
    setenv("PADDOCK_ISA", isas[_i / MODELS], 1);
    snprintf(name, sizeof name, "models/%s/golden.safetensors", model);
    struct safetensors *golden = NULL;
    ck_assert_int_eq(safetensors_open(fixture_path(name), &golden, NULL), PDK_OK);
    snprintf(name, sizeof name, "models/%s", model);
    run_open(&run, fixture_path(name));
    size_t columns = run_columns(&run);
    ck_assert(model_facts(run.model)->encoder);

    float *alone[PROMPTS] = {NULL};
    for (uint32_t k = 0; k < PROMPTS; k++) {
        add_prompt(&run, golden, k);
        run_all(&run, RUN_TOKENS_MAX);
        if (model_facts(run.model)->use == USE_EMBED)
            check_pooled(&run.sequences[0], golden, k, columns, model);
        else
            check_scores(&run, &run.sequences[0], golden, k, model);
        alone[k] = run.sequences[0].logits;
        run.sequences[0].logits = NULL;
        run_clear(&run);
    }
    for (uint32_t k = 0; k < PROMPTS; k++)
        add_prompt(&run, golden, PROMPTS - 1 - k);
    run_all(&run, RUN_TOKENS_MAX);
    for (uint32_t k = 0; k < PROMPTS; k++) {
        const struct run_sequence *sequence = &run.sequences[PROMPTS - 1 - k];
        ck_assert_msg(memcmp(sequence->logits, alone[k], sequence->prompt * columns * sizeof(float)) == 0,
            "%s: prompt %u has other bits than alone", model, k);
        free(alone[k]);
    }
    safetensors_close(golden);
    run_close(&run);
}
END_TEST

int main(void)
{
    fixture_path("models");
    Suite *suite = suite_create("encoder");
    TCase *tests = tcase_create("encoder");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, hidden_states_and_scores_are_the_references, 0, MODELS * ISAS);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
