/* runtimes/huggingface as a whole, with the cpu plugin, on the fixtures' models: by token ids and by text. */
#include "config.h"

#include "runtimes/huggingface/model/safetensors.h"

#include "check_main.h"
#include "runtime_desk.h"

#include <stdio.h>
#include <string.h>

static struct desk desk;

static const char *const small_pool[] = {
    "--num-gpu-blocks-override=40", "--max-num-seqs=16", "--max-num-batched-tokens=64", NULL};

static void load(const char *name, const char *const *arguments)
{
    const char *path = desk_fixture(name);
    desk_open(&desk);
    pdk_error err = {0};
    pdk_status status = desk_load(&desk, path, arguments, NULL, &err);
    ck_assert_msg(status == PDK_OK, "%s", err.message);
}

static pdk_request generate(uint64_t id, const uint32_t *tokens, size_t count, int32_t most)
{
    return (pdk_request){.size = sizeof(pdk_request),
        .kind = PDK_KIND_GENERATE,
        .id = id,
        .token_ids = tokens,
        .token_count = count,
        .sampling = {
            .size = sizeof(pdk_sampling), .has = PDK_HAS_TEMPERATURE | PDK_HAS_MAX_TOKENS, .max_tokens = most, .n = 1}};
}

static pdk_request generate_text(uint64_t id, const char *text, int32_t most)
{
    pdk_request request = generate(id, NULL, 0, most);
    request.text = (pdk_string){text, strlen(text)};
    return request;
}

static uint32_t golden(const struct safetensors *file, const char *prefix, int i, uint32_t *ids, uint32_t room)
{
    char name[32];
    snprintf(name, sizeof name, "%s_%d", prefix, i);
    for (size_t at = 0; at < safetensors_count(file); at++) {
        const struct safetensors_tensor *tensor = safetensors_at(file, at);
        if (strcmp(tensor->name, name) != 0)
            continue;
        ck_assert_uint_le(tensor->bytes / 8, room);
        for (uint64_t k = 0; k < tensor->bytes / 8; k++)
            ids[k] = (uint32_t)((const int64_t *)tensor->data)[k];
        return (uint32_t)(tensor->bytes / 8);
    }
    ck_abort_msg("no %s", name);
    return 0;
}

static void start_quiet(struct desk_answer *answer)
{
    memset(answer, 0, sizeof *answer);
}

/* The reference's greedy ids, all prompts at once, in small steps. */
START_TEST(greedy_ids_are_the_references)
{
    static const char *const models[] = {"models/llama-gqa-tied", "models/llama-mha", "models/opt-125m-like"};
    char path[256];
    snprintf(path, sizeof path, "%s/golden.safetensors", models[_i]);
    struct safetensors *file = NULL;
    ck_assert_int_eq(safetensors_open(desk_fixture(path), &file, NULL), PDK_OK);
    load(models[_i], small_pool);
    struct desk_answer answers[4];
    uint32_t prompts[4][256], wanted[4][64], wanted_count[4];
    pdk_request requests[4];
    for (int i = 0; i < 4; i++) {
        uint32_t count = golden(file, "prompt", i, prompts[i], 256);
        wanted_count[i] = golden(file, "greedy", i, wanted[i], 64);
        requests[i] = generate((uint64_t)i + 1, prompts[i], count, (int32_t)wanted_count[i]);
        requests[i].flags = PDK_FLAG_STREAM;
        start_quiet(&answers[i]);
        desk_submit(&desk, &requests[i], &answers[i]);
    }
    for (int i = 0; i < 4; i++) {
        desk_wait(&answers[i]);
        ck_assert_msg(answers[i].error.status == PDK_OK, "%s", answers[i].error.message);
        ck_assert_uint_le(answers[i].choices[0].id_count, wanted_count[i]);
        ck_assert_mem_eq(answers[i].choices[0].ids, wanted[i], answers[i].choices[0].id_count * sizeof(uint32_t));
        if (answers[i].choices[0].id_count < wanted_count[i])
            ck_assert_int_eq(answers[i].choices[0].finish, PDK_FINISH_STOP);
        ck_assert_uint_eq(answers[i].prompt_tokens, requests[i].token_count);
        desk_answer_done(&answers[i]);
    }
    safetensors_close(file);
    desk_close(&desk);
}
END_TEST

enum { STORM = 48 };

static pdk_request storm_request(uint32_t i, uint32_t *tokens)
{
    uint32_t count = 1 + i * 29 % 120;
    for (uint32_t k = 0; k < count; k++)
        tokens[k] = 3 + (i % 5 * 31 + k * 7) % 300;
    pdk_request request = generate(1000 + i, tokens, count, 1 + (int32_t)(i * 13 % 60));
    request.sampling.has |= PDK_HAS_SEED | PDK_HAS_FREQUENCY_PENALTY;
    request.sampling.temperature = i % 3 == 0 ? 0 : 0.9;
    request.sampling.seed = (int64_t)i;
    request.sampling.frequency_penalty = i % 2 == 0 ? 0.5 : 0;
    request.sampling.n = i % 3 == 0 ? 1 : 1 + i % 3;
    request.tenant = i % 4;
    return request;
}

/* Together with others, out of a pool that is too small, a request gets the tokens that it gets alone. */
START_TEST(a_storm_equals_each_alone)
{
    load("models/llama-gqa-tied", small_pool);
    static struct desk_answer together[STORM], alone;
    static uint32_t tokens[STORM][128];
    static pdk_request requests[STORM];
    for (uint32_t i = 0; i < STORM; i++) {
        requests[i] = storm_request(i, tokens[i]);
        start_quiet(&together[i]);
        desk_submit(&desk, &requests[i], &together[i]);
    }
    for (uint32_t i = 0; i < STORM; i++)
        desk_wait(&together[i]);
    ck_assert_double_gt(desk_metric(&desk, "vllm:num_preemptions_total"), 0);
    ck_assert_double_gt(desk_metric(&desk, "vllm:prefix_cache_hits_total"), 0);
    for (uint32_t i = 0; i < STORM; i++) {
        start_quiet(&alone);
        requests[i].id += 10000;
        desk_submit(&desk, &requests[i], &alone);
        desk_wait(&alone);
        ck_assert_int_eq(alone.error.status, PDK_OK);
        for (uint32_t c = 0; c < requests[i].sampling.n; c++) {
            ck_assert_uint_eq(alone.choices[c].id_count, together[i].choices[c].id_count);
            ck_assert_mem_eq(
                alone.choices[c].ids, together[i].choices[c].ids, alone.choices[c].id_count * sizeof(uint32_t));
            ck_assert_uint_eq(alone.choices[c].completion_tokens, alone.choices[c].id_count);
        }
        desk_answer_done(&alone);
        desk_answer_done(&together[i]);
    }
    desk_close(&desk);
}
END_TEST

START_TEST(cancelled_in_every_way)
{
    load("models/llama-gqa-tied", small_pool);
    static struct desk_answer answers[STORM];
    static uint32_t tokens[STORM][128];
    static pdk_request requests[STORM];
    for (uint32_t i = 0; i < STORM; i++) {
        requests[i] = storm_request(i, tokens[i]);
        requests[i].flags = PDK_FLAG_STREAM;
        start_quiet(&answers[i]);
        answers[i].cancel_at = i % 4 == 1 ? 3 : 0;
        desk_submit(&desk, &requests[i], &answers[i]);
        if (i % 4 == 0)
            desk.generate->cancel(desk.self, requests[i].id);
        if (i % 4 == 2 && i > 8)
            desk.generate->cancel(desk.self, requests[i - 8].id);
    }
    for (uint32_t i = 0; i < STORM; i++) {
        desk_wait(&answers[i]);
        bool whole = answers[i].choices[0].finish != PDK_FINISH_NONE;
        ck_assert(answers[i].error.status == (i % 4 != 3 && !whole ? PDK_CANCELLED : answers[i].error.status));
        if (i % 4 == 3)
            ck_assert_int_eq(answers[i].error.status, PDK_OK);
        desk.generate->cancel(desk.self, requests[i].id); /* late: nothing */
        desk_answer_done(&answers[i]);
    }
    desk_close(&desk);
}
END_TEST

START_TEST(a_full_reader_pauses_and_goes_on)
{
    load("models/llama-gqa-tied", small_pool);
    uint32_t tokens[] = {5, 6, 7};
    pdk_request request = generate(1, tokens, 3, 60);
    request.flags = PDK_FLAG_STREAM | PDK_FLAG_IGNORE_EOS;
    struct desk_answer answer, other;
    start_quiet(&answer);
    answer.full_at = 2;
    desk_submit(&desk, &request, &answer);
    desk_wait_parts(&answer, 2);
    pdk_request second = generate(2, tokens, 3, 60);
    second.flags = PDK_FLAG_IGNORE_EOS;
    start_quiet(&other);
    desk_submit(&desk, &second, &other);
    desk_wait(&other);
    mutex_lock(&desk.lock);
    ck_assert_uint_eq(answer.parts, 2);
    ck_assert_uint_eq(answer.finishes, 0);
    answer.is_full = false;
    mutex_unlock(&desk.lock);
    desk.generate->writable(desk.self, 1);
    desk_wait(&answer);
    ck_assert_uint_eq(answer.choices[0].id_count, 60);
    ck_assert_mem_eq(answer.choices[0].ids, other.choices[0].ids, 60 * sizeof(uint32_t));
    desk_answer_done(&answer);
    desk_answer_done(&other);
    desk_close(&desk);
}
END_TEST

static void expect_error(pdk_request *request, pdk_status status, const char *field, const char *message)
{
    struct desk_answer answer;
    start_quiet(&answer);
    desk_submit(&desk, request, &answer);
    desk_wait(&answer);
    ck_assert_int_eq(answer.error.status, status);
    ck_assert_str_eq(answer.error.field, field);
    ck_assert_str_eq(answer.error.message, message);
    ck_assert_uint_eq(answer.parts, 0);
    desk_answer_done(&answer);
}

START_TEST(what_a_model_refuses_is_told_in_vllms_words)
{
    static const char *const arguments[] = {"--max-model-len=64", "--num-gpu-blocks-override=3", NULL};
    load("models/llama-gqa-tied", arguments);
    uint32_t tokens[80] = {0};
    pdk_request request = generate(1, tokens, 80, 5);
    expect_error(&request, PDK_INVALID, "input_tokens",
        "This model's maximum context length is 64 tokens. However, your prompt contains 80 input tokens, which "
        "exceeds this "
        "limit even without any output tokens. Please reduce the length of the input prompt.");
    request = generate(2, tokens, 64, 5);
    expect_error(&request, PDK_INVALID, "",
        "The decoder prompt (length 64) plus the number of requested output tokens (at least 1) is longer than the "
        "maximum "
        "model length of 64. Make sure that `max_model_len` is no smaller than the number of text tokens (prompt + "
        "requested "
        "output tokens).");
    request = generate(3, tokens, 0, 5);
    expect_error(&request, PDK_INVALID, "", "The decoder prompt cannot be empty");
    tokens[1] = 1000000000;
    request = generate(4, tokens, 3, 5);
    expect_error(&request, PDK_INVALID, "", "Token id 1000000000 is out of vocabulary");
    tokens[1] = 0;
    request = generate(5, tokens, 40, 20);
    expect_error(&request, PDK_INVALID, "",
        "prompt and answer of up to 60 tokens need 4 blocks of the key-value cache, which has 3 (48 tokens). Please "
        "reduce "
        "the length of the prompt or max_tokens.");
    request = generate_text(6, "hello", 5);
    expect_error(&request, PDK_INVALID, "", "this model has no tokenizer: the prompt must be token ids");
    request = generate(7, tokens, 3, 5);
    request.priority = 2;
    expect_error(&request, PDK_INVALID, "", "Got priority 2 but Priority scheduling is not enabled.");
    request = generate(8, tokens, 3, 5);
    request.sampling.has |= PDK_HAS_LOGPROBS;
    request.sampling.logprobs = 50;
    expect_error(
        &request, PDK_INVALID, "logprobs", "Requested sample logprobs of 50, which is greater than max allowed: 20");
    /* truncated to the last tokens it fits */
    request = generate(9, tokens, 80, 4);
    request.sampling.has |= PDK_HAS_TRUNCATE_PROMPT;
    request.sampling.truncate_prompt = 20;
    struct desk_answer answer;
    start_quiet(&answer);
    desk_submit(&desk, &request, &answer);
    desk_wait(&answer);
    ck_assert_uint_eq(answer.prompt_tokens, 20);
    desk_answer_done(&answer);
    desk_close(&desk);
}
END_TEST

START_TEST(text_in_and_text_out)
{
    load("walkthrough/facebook/opt-125m", NULL);
    pdk_model_info info = {.size = sizeof info};
    ck_assert_int_eq(desk.model->describe(desk.self, &info, NULL), PDK_OK);
    ck_assert(info.has_tokenizer && !info.has_template);
    ck_assert_str_eq(info.served_names[0], "service");
    ck_assert_uint_eq(info.vocabulary_size, 1500);
    ck_assert_uint_eq(info.max_model_len, 512);

    static const char text[] = "One thing about Denver is ";
    pdk_request request = generate_text(1, text, 8);
    request.flags = PDK_FLAG_ECHO | PDK_FLAG_IGNORE_EOS;
    request.sampling.has |= PDK_HAS_LOGPROBS | PDK_HAS_PROMPT_LOGPROBS;
    request.sampling.logprobs = 2;
    request.sampling.prompt_logprobs = 1;
    struct desk_answer answer;
    start_quiet(&answer);
    desk_submit(&desk, &request, &answer);
    desk_wait(&answer);
    ck_assert_msg(answer.error.status == PDK_OK, "%s", answer.error.message);
    ck_assert_str_eq(answer.prompt.text.data, text);
    ck_assert_uint_eq(answer.prompt.id_count, answer.prompt_tokens);
    ck_assert_uint_eq(answer.choices[0].id_count, 8);
    ck_assert_int_eq(answer.choices[0].finish, PDK_FINISH_LENGTH);
    ck_assert(answer.prompt.logprobs.data[0] == '|'); /* nothing is known of the first token */
    ck_assert_double_lt(answer.choices[0].logprob_sum, 0);

    /* The streamed text is the whole text. */
    pdk_request streamed = request;
    streamed.id = 2;
    streamed.flags = PDK_FLAG_STREAM | PDK_FLAG_IGNORE_EOS;
    struct desk_answer other;
    start_quiet(&other);
    desk_submit(&desk, &streamed, &other);
    desk_wait(&other);
    ck_assert_uint_gt(other.parts, 1);
    ck_assert_str_eq(other.choices[0].text.data, answer.choices[0].text.data);
    ck_assert_str_eq(other.choices[0].logprobs.data, answer.choices[0].logprobs.data);
    desk_answer_done(&other);

    /* A stop string out of the middle of it: cut before, tokens up to it counted. */
    const char *whole = answer.choices[0].text.data;
    size_t length = strlen(whole);
    ck_assert_uint_gt(length, 6);
    pdk_string stop = {whole + length / 2, 2};
    pdk_request stopped = generate_text(3, text, 8);
    stopped.flags = PDK_FLAG_IGNORE_EOS | PDK_FLAG_STREAM;
    stopped.stop = &stop;
    stopped.stop_count = 1;
    start_quiet(&other);
    desk_submit(&desk, &stopped, &other);
    desk_wait(&other);
    ck_assert_int_eq(other.choices[0].finish, PDK_FINISH_STOP);
    ck_assert_int_eq(other.choices[0].stop_kind, PDK_STOP_STRING);
    ck_assert_mem_eq(other.choices[0].stop_string, stop.data, 2);
    ck_assert_ptr_null(strstr(other.choices[0].text.data, other.choices[0].stop_string));
    ck_assert_mem_eq(other.choices[0].text.data, whole, other.choices[0].text.length);
    ck_assert_uint_eq(other.choices[0].id_count, other.choices[0].completion_tokens);
    ck_assert_mem_eq(other.choices[0].ids, answer.choices[0].ids, other.choices[0].id_count * sizeof(uint32_t));
    desk_answer_done(&other);
    desk_answer_done(&answer);
    desk_close(&desk);
}
END_TEST

START_TEST(tokenizes_and_back)
{
    load("walkthrough/facebook/opt-125m", NULL);
    static const char text[] = "One thing about Denver";
    pdk_request request = generate_text(1, text, 0);
    request.kind = PDK_KIND_TOKENIZE;
    request.flags = PDK_FLAG_TOKEN_STRINGS | PDK_FLAG_NO_SPECIAL_TOKENS;
    struct desk_answer answer, back;
    start_quiet(&answer);
    desk_submit(&desk, &request, &answer);
    desk_wait(&answer);
    ck_assert_int_eq(answer.error.status, PDK_OK);
    ck_assert_uint_gt(answer.choices[0].id_count, 0);
    ck_assert_uint_eq(answer.pieces, answer.choices[0].id_count);
    pdk_request other = generate(2, answer.choices[0].ids, answer.choices[0].id_count, 0);
    other.kind = PDK_KIND_DETOKENIZE;
    start_quiet(&back);
    desk_submit(&desk, &other, &back);
    desk_wait(&back);
    ck_assert_str_eq(back.choices[0].text.data, text);
    desk_answer_done(&answer);
    desk_answer_done(&back);
    desk_close(&desk);
}
END_TEST

/* A stream that another replica began goes on as if it had not moved, and shows no text twice. */
START_TEST(a_stream_moves_in_the_middle)
{
    load("walkthrough/facebook/opt-125m", NULL);
    static const char text[] = "One thing about Denver is ";
    pdk_request request = generate_text(1, text, 24);
    request.flags = PDK_FLAG_IGNORE_EOS | PDK_FLAG_STREAM;
    request.sampling.has |= PDK_HAS_SEED | PDK_HAS_PRESENCE_PENALTY;
    request.sampling.temperature = 0.8;
    request.sampling.presence_penalty = 0.7;
    request.sampling.seed = 11;
    struct desk_answer whole, rest;
    start_quiet(&whole);
    desk_submit(&desk, &request, &whole);
    desk_wait(&whole);
    ck_assert_uint_eq(whole.choices[0].id_count, 24);
    for (size_t cut = 1; cut < 24; cut += 5) {
        pdk_request moved = request;
        moved.id = 100 + cut;
        moved.produced_ids = whole.choices[0].ids;
        moved.produced_count = cut;
        start_quiet(&rest);
        desk_submit(&desk, &moved, &rest);
        desk_wait(&rest);
        ck_assert_int_eq(rest.error.status, PDK_OK);
        ck_assert_uint_eq(rest.choices[0].id_count, 24 - cut);
        ck_assert_mem_eq(rest.choices[0].ids, whole.choices[0].ids + cut, (24 - cut) * sizeof(uint32_t));
        ck_assert_uint_eq(rest.choices[0].completion_tokens, 24);
        size_t tail = rest.choices[0].text.length, all = whole.choices[0].text.length;
        ck_assert_uint_le(tail, all);
        ck_assert_mem_eq(rest.choices[0].text.data, whole.choices[0].text.data + (all - tail), tail);
        desk_answer_done(&rest);
    }
    desk_answer_done(&whole);
    desk_close(&desk);
}
END_TEST

#define USER "{\"role\":\"user\",\"content\":"
static const struct {
    const char *messages[2]; /* as JSON */
    const char *variables;
    uint32_t flags;
    pdk_status status;
    const char *text; /* the rendered prompt, or the error */
} chats[] = {
    {{USER "\"Hi\"}"}, "", 0, PDK_OK, "[user|Hi]>"},
    {{USER "[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]}"}, "", 0, PDK_OK, "[user|a\nb]>"},
    {{USER "\"Hi\"}", "{\"role\":\"assistant\",\"content\":\"Well, \"}"}, "", PDK_FLAG_CONTINUE_FINAL, PDK_OK,
        "[user|Hi][assistant|Well, "},
    {{USER "\"Hi\"}"}, "", PDK_FLAG_NO_GENERATION_PROMPT, PDK_OK, "[user|Hi]"},
    {{USER "\"Hi\"}"}, "{\"mood\":\"glad\"}", 0, PDK_OK, "[user|Hi]glad>"},
    {{USER "\"Hi\"}"}, "{\"messages\":[]}", 0, PDK_INVALID, "chat_template_kwargs cannot set 'messages'"},
    {{USER "[{\"type\":\"image_url\",\"image_url\":{}}]}"}, "", 0, PDK_INVALID,
        "this model takes text only, not content parts of type 'image_url'"},
    {{"{\"role\":\"tool\",\"content\":\"x\"}"}, "", 0, PDK_INVALID, "no tools here"},
};

START_TEST(messages_go_through_the_template)
{
    static const char *const arguments[] = {
        "--chat-template={% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('no tools here') }}{% "
        "endif %}"
        "[{{ m.role }}|{{ m.content }}]{% endfor %}{{ mood }}{% if add_generation_prompt %}>{% endif %}",
        NULL};
    load("walkthrough/facebook/opt-125m", arguments);
    pdk_message messages[2] = {0};
    size_t count = 0;
    for (; count < 2 && chats[_i].messages[count] != NULL; count++)
        messages[count].json = (pdk_string){chats[_i].messages[count], strlen(chats[_i].messages[count])};
    pdk_request request = generate(1, NULL, 0, 2);
    request.messages = messages;
    request.message_count = count;
    request.template_vars_json = (pdk_string){chats[_i].variables, strlen(chats[_i].variables)};
    request.flags = chats[_i].flags | PDK_FLAG_PROMPT_TEXT;
    struct desk_answer answer;
    start_quiet(&answer);
    desk_submit(&desk, &request, &answer);
    desk_wait(&answer);
    ck_assert_int_eq(answer.error.status, chats[_i].status);
    ck_assert_str_eq(answer.error.status == PDK_OK ? answer.prompt.text.data : answer.error.message, chats[_i].text);
    desk_answer_done(&answer);
    desk_close(&desk);
}
END_TEST

static const struct {
    const char *argument;
    const char *environment;
    const char *message;
} refusals[] = {
    {"--max-modle-len=5", NULL, "unknown argument --max-modle-len; did you mean 'max-model-len'?"},
    {"--tensor-parallel-size=2", NULL,
        "--tensor-parallel-size: this machine has 1 device usable by one replica; set replicas instead"},
    {"--max-model-len=4096", NULL,
        "--max-model-len (4096) is more than the 512 tokens that the model was made for; "
        "VLLM_ALLOW_LONG_MAX_MODEL_LEN=1 in "
        "the environment allows that"},
    {"--seed=1", "VLLM_CPU_KVCACHE_SPACE=0.5",
        "VLLM_CPU_KVCACHE_SPACE: '0.5' is not a whole number of GiB up to 999999"},
    {"--load-format=gguf", NULL, "--load-format: gguf was asked for, and the model is safetensors"},
    {"--quantization=awq", NULL,
        "--quantization: 'awq' is not how this model (not quantized) is stored; supported: awq, gptq, fp8, "
        "compressed-tensors, mxfp4, gguf, none"},
    {"--max-num-batched-tokens=8", NULL, "--max-num-batched-tokens (8) must be at least 16"},
    {"--tokenizer=/nonexistent", NULL, "tokenizer: cannot open /nonexistent: No such file or directory"},
};

START_TEST(a_load_is_refused_by_name)
{
    const char *path = desk_fixture("walkthrough/facebook/opt-125m");
    desk_open(&desk);
    const char *arguments[] = {refusals[_i].argument, NULL}, *environment[] = {refusals[_i].environment, NULL};
    pdk_error err = {0};
    ck_assert_int_ne(desk_load(&desk, path, arguments, environment, &err), PDK_OK);
    ck_assert_str_eq(err.message, refusals[_i].message);
    desk_close(&desk);
}
END_TEST

START_TEST(the_environment_sizes_the_cache)
{
    const char *path = desk_fixture("walkthrough/facebook/opt-125m");
    desk_open(&desk);
    static const char *const arguments[] = {"--model_name=opt-125", "--model_id=facebook/opt-125m",
        "--trust-remote-code", NULL},
                             *const environment[] = {"VLLM_CPU_KVCACHE_SPACE=1", NULL};
    ck_assert_int_eq(desk_load(&desk, path, arguments, environment, NULL), PDK_OK);
    pdk_model_info info = {.size = sizeof info};
    ck_assert_int_eq(desk.model->describe(desk.self, &info, NULL), PDK_OK);
    ck_assert_str_eq(info.served_names[0], "opt-125");
    ck_assert_str_eq(info.root, "facebook/opt-125m");
    ck_assert_uint_gt(info.memory_bytes, (uint64_t)1 << 30);
    ck_assert_uint_lt(info.memory_bytes, (uint64_t)5 << 28);
    ck_assert_ptr_nonnull(
        strstr(desk.log.data, "argument --trust-remote-code has no effect here: no checkpoint code is ever run"));
    desk_close(&desk);
}
END_TEST

int main(void)
{
    desk_fixture("models/llama-gqa-tied/config.json");
    desk_need_plugins();
    Suite *suite = suite_create("huggingface");
    TCase *tests = tcase_create("huggingface");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, greedy_ids_are_the_references, 0, 3);
    tcase_add_test(tests, a_storm_equals_each_alone);
    tcase_add_test(tests, cancelled_in_every_way);
    tcase_add_test(tests, a_full_reader_pauses_and_goes_on);
    tcase_add_test(tests, what_a_model_refuses_is_told_in_vllms_words);
    tcase_add_test(tests, text_in_and_text_out);
    tcase_add_test(tests, tokenizes_and_back);
    tcase_add_test(tests, a_stream_moves_in_the_middle);
    tcase_add_loop_test(tests, messages_go_through_the_template, 0, sizeof chats / sizeof chats[0]);
    tcase_add_loop_test(tests, a_load_is_refused_by_name, 0, sizeof refusals / sizeof refusals[0]);
    tcase_add_test(tests, the_environment_sizes_the_cache);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
