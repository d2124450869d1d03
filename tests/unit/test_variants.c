/* runtimes/huggingface/model: what configurations change within a family: each variant of tests/fixtures/variants gives
 * the reference's logits and greedy ids. */
#include "config.h"

#include "check_main.h"
#include "golden_check.h"

#include <stdio.h>

static const struct {
    const char *name;
    uint32_t context; /* the longest request that is to be served; 0: the model's own */
    uint32_t first; /* the reference chooses rope factors by each prompt: those before this one it computed otherwise */
} variants[] = {{"neox-serial", 0, 0}, {"neox-nobias", 0, 0}, {"falcon-new", 0, 0}, {"falcon-new-1ln", 0, 0},
    {"falcon-alibi", 0, 0}, {"falcon-serial", 0, 0}, {"bloom-post", 0, 0}, {"gpt2-inverse", 0, 0},
    {"gpt2-unscaled", 0, 0}, {"gptj-tied", 0, 0}, {"gemma3-types", 0, 0}, {"gemma3-nested", 0, 0}, {"cohere-qk", 0, 0},
    {"stablelm-qk", 0, 0}, {"stablelm-parallel", 0, 0}, {"phi-qk", 0, 0}, {"phi3-long", 0, 2}, {"phi3-short", 192, 0},
    {"qwen2-window", 0, 0}, {"llama-biases", 0, 0}, {"llama-linear", 0, 0}, {"llama-dynamic", 0, 0},
    {"llama-yarn-all", 0, 0}, {"llama-yarn-mscale", 0, 0}, {"galactica", 0, 0}, {"opt-nofinal", 0, 0},
    {"starcoder2-window", 0, 0}, {"smollm3-window", 0, 0}, {"mixtral-window", 0, 0}, {"qwen2-moe", 0, 0},
    {"qwen3-moe-sparse", 0, 0}, {"qwen3-moe-listed", 0, 0}, {"gpt-oss-limit", 0, 0}, {"deepseek-v2-lite", 0, 0},
    {"deepseek-v2-yarn", 0, 0}, {"deepseek-v3-halves", 0, 0}, {"deepseek-v3-yarn", 0, 0}};

START_TEST(logits_and_greedy_ids_are_the_references)
{
    char name[128];
    struct run run;
    snprintf(name, sizeof name, "variants/%s", variants[_i].name);
    run_open_for(&run, source_path(name), variants[_i].context);
    struct safetensors *golden = golden_open(source_path(name));
    golden_check_all(&run, golden, variants[_i].first, 512, variants[_i].name);
    golden_check_all(&run, golden, variants[_i].first, 16, variants[_i].name);
    safetensors_close(golden);
    run_close(&run);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("variants");
    TCase *tests = tcase_create("variants");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, logits_and_greedy_ids_are_the_references, 0, sizeof variants / sizeof variants[0]);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
