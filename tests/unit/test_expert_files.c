/* Experts and latent attention in every form that files have them in, rewritten from fixtures by tests/fixtures'
 * make_gguf_experts.py and make_stacked.py: the numbers are those of the file that was rewritten. */
#include "config.h"

#include "check_main.h"
#include "gguf_write.h"
#include "golden_check.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
    const char *folder; /* of models/ where it has no '/', and then it may be missing */
    const char *script, *option;
} rewritten[] = {
    {"mixtral", "make_gguf_experts.py", NULL},
    {"mixtral", "make_gguf_experts.py", "--old"},
    {"mixtral", "make_stacked.py", "--stacked"},
    {"qwen3-moe", "make_gguf_experts.py", NULL},
    {"gpt-oss", "make_gguf_experts.py", NULL},
    {"deepseek-v2", "make_gguf_experts.py", NULL},
    {"deepseek-v3", "make_gguf_experts.py", NULL},
    {"variants/mixtral-window", "make_gguf_experts.py", NULL},
    {"variants/qwen2-moe", "make_gguf_experts.py", NULL},
    {"variants/qwen2-moe", "make_stacked.py", "--stacked"},
    {"variants/qwen3-moe-sparse", "make_stacked.py", "--stacked"},
    {"variants/deepseek-v2-lite", "make_gguf_experts.py", NULL},
    {"variants/deepseek-v2-lite", "make_gguf_experts.py", "--old"},
    {"variants/deepseek-v3-yarn", "make_gguf_experts.py", NULL},
    {"variants/deepseek-v3-yarn", "make_gguf_experts.py", "--old"},
    {"variants/deepseek-v3-yarn", "make_stacked.py", "--stacked"},
};

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

static void rewrite(const char *script, const char *folder, const char *out, const char *option)
{
    char path[4096];
    snprintf(path, sizeof path, "%s", source_path(script));
    const char *const arguments[] = {"python3", "-B", path, folder, out, option, NULL};
    ck_assert_msg(run_python(arguments) == 0, "%s: %s failed", folder, script);
}

/* False: the fixture is not there. */
static bool find_folder(const char *name, char folder[4096])
{
    if (strchr(name, '/') != NULL)
        snprintf(folder, 4096, "%s", source_path(name));
    else
        snprintf(folder, 4096, "%s/%s", fixture_path("models"), name);
    if (access(folder, R_OK) == 0)
        return true;
    printf("skipped: no fixture %s\n", name);
    return false;
}

START_TEST(gives_the_logits_of_what_it_was)
{
    char folder[4096], out[4096];
    bool gguf = strstr(rewritten[_i].script, "gguf") != NULL;
    if (!find_folder(rewritten[_i].folder, folder))
        return;
    snprintf(out, sizeof out, "%s%s", temporary_folder(), gguf ? "/model.gguf" : "");
    rewrite(rewritten[_i].script, folder, out, rewritten[_i].option);
    struct run run;
    run_open(&run, out);
    ck_assert((model_gguf(run.model) != NULL) == gguf);
    struct safetensors *golden = golden_open(folder);
    golden_check_all(&run, golden, 0, 64, rewritten[_i].folder);
    safetensors_close(golden);
    run_close(&run);
}
END_TEST

static void run_prompt(struct run *run, const char *path)
{
    static const uint32_t prompt[] = {3, 17, 30, 4, 44, 9, 21, 40, 11};
    run_open(run, path);
    run_add(run, prompt, sizeof prompt / sizeof prompt[0], 8);
    run_all(run, 4);
}

START_TEST(mxfp4_is_what_it_unpacks_to)
{
    char folder[4096], packed[4096], plain[4096];
    struct run run, same;
    snprintf(folder, sizeof folder, "%s", source_path("variants/gpt-oss-limit"));
    snprintf(packed, sizeof packed, "%s/packed", temporary_folder());
    snprintf(plain, sizeof plain, "%s/plain", temporary_folder());
    rewrite("make_stacked.py", folder, packed, "--mxfp4");
    rewrite("make_stacked.py", folder, plain, "--unpacked");
    run_prompt(&run, packed);
    run_prompt(&same, plain);
    const struct run_sequence *a = &run.sequences[0], *b = &same.sequences[0];
    ck_assert_int_eq(memcmp(a->tokens, b->tokens, a->count * sizeof a->tokens[0]), 0);
    size_t count = (size_t)a->prompt * model_facts(run.model)->vocabulary_size;
    ck_assert_msg(memcmp(a->logits, b->logits, count * sizeof *a->logits) == 0, "logits differ");
    run_close(&run);
    run_close(&same);
    for (int i = 0; i < 2; i++) {
        char file[4200];
        snprintf(file, sizeof file, "%s/model.safetensors", i == 0 ? packed : plain);
        unlink(file);
        snprintf(file, sizeof file, "%s/config.json", i == 0 ? packed : plain);
        unlink(file);
        rmdir(i == 0 ? packed : plain);
    }
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
    Suite *suite = suite_create("expert files");
    TCase *tests = tcase_create("expert files");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, gives_the_logits_of_what_it_was, 0, sizeof rewritten / sizeof rewritten[0]);
    tcase_add_test(tests, mxfp4_is_what_it_unpacks_to);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
