/* Every family that llama.cpp names, written as its converter does by tests/fixtures/make_gguf.py: the logits are those
 * of the safetensors that it was made of. */
#include "config.h"

#include "check_main.h"
#include "gguf_write.h"
#include "golden_check.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
    const char *folder; /* of models/ where it has no '/' */
    const char *option; /* of make_gguf.py, or NULL */
    uint32_t context, first;
} models[] = {{"llama-mha", NULL, 0, 0}, {"llama-gqa-tied", "--parts=3", 0, 0}, {"llama3-rope", NULL, 0, 0},
    {"llama-yarn", NULL, 0, 0}, {"mistral", NULL, 0, 0}, {"qwen2", NULL, 0, 0}, {"qwen3", NULL, 0, 0},
    {"smollm3", NULL, 0, 0}, {"granite", NULL, 0, 0}, {"olmo2", NULL, 0, 0}, {"stablelm", NULL, 0, 0},
    {"starcoder2", NULL, 0, 0}, {"gemma", NULL, 0, 0}, {"gemma2", NULL, 0, 0}, {"gemma3", NULL, 0, 0},
    {"phi", NULL, 0, 0}, {"phi", "--fused", 0, 0}, {"phi3", NULL, 0, 0}, {"cohere", NULL, 0, 0}, {"glm4", NULL, 0, 0},
    {"glm4", "--fused", 0, 0}, {"gpt2", NULL, 0, 0}, {"gpt-neox", NULL, 0, 0}, {"gptj", NULL, 0, 0},
    {"bloom", NULL, 0, 0}, {"falcon-mqa", NULL, 0, 0}, {"variants/neox-serial", NULL, 0, 0},
    {"variants/neox-nobias", NULL, 0, 0}, {"variants/falcon-new", NULL, 0, 0}, {"variants/falcon-new-1ln", NULL, 0, 0},
    {"variants/gptj-tied", NULL, 0, 0}, {"variants/gemma3-types", NULL, 0, 0}, {"variants/cohere-qk", NULL, 0, 0},
    {"variants/stablelm-qk", NULL, 0, 0}, {"variants/stablelm-parallel", NULL, 0, 0},
    {"variants/phi3-long", NULL, 0, 2}, {"variants/phi3-short", NULL, 192, 0}, {"variants/llama-biases", NULL, 0, 0},
    {"variants/llama-linear", NULL, 0, 0}, {"variants/llama-yarn-all", NULL, 0, 0},
    {"variants/starcoder2-window", NULL, 0, 0}};

/* The exit status of python3 with these arguments. */
static int run_python(const char *const *arguments)
{
    pid_t child = fork();
    if (child == 0) {
        execvp("python3", (char *const *)arguments);
        _exit(127);
    }
    int status;
    bool ended = child > 0 && waitpid(child, &status, 0) == child;
    return ended && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(gives_the_safetensors_logits)
{
    char folder[4096], script[4096], file[4096];
    const char *name = models[_i].folder, *option = models[_i].option;
    bool here = strchr(name, '/') != NULL;
    snprintf(file, sizeof file, here ? "%s" : "models/%s", name);
    snprintf(folder, sizeof folder, "%s", here ? source_path(file) : fixture_path(file));
    snprintf(script, sizeof script, "%s", source_path("make_gguf.py"));
    snprintf(file, sizeof file, "%s/model.gguf", temporary_folder());
    const char *const arguments[] = {"python3", "-B", script, folder, file, option, NULL};
    ck_assert_msg(run_python(arguments) == 0, "%s: make_gguf.py failed", name);

    struct run run;
    run_open_for(&run, temporary_folder(), models[_i].context);
    ck_assert_ptr_nonnull(model_gguf(run.model));
    struct safetensors *golden = golden_open(folder);
    golden_check_all(&run, golden, models[_i].first, 64, name);
    safetensors_close(golden);
    run_close(&run);
}
END_TEST

int main(void)
{
    fixture_path("models");
    static const char *const nothing[] = {"python3", "-c", "", NULL};
    if (run_python(nothing) != 0) {
        printf("skipped: no python3\n");
        return 77;
    }
    Suite *suite = suite_create("gguf families");
    TCase *tests = tcase_create("gguf families");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, gives_the_safetensors_logits, 0, sizeof models / sizeof models[0]);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
