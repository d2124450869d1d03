/* runtimes/huggingface as a whole, answering PDK_KIND_POOL: the fixtures' hidden states, vectors and scores, whatever
 * else runs; tasks, pairs, cuts and refusals. */
#include "config.h"

#include "core/base/cleanup.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "runtimes/huggingface/model/safetensors.h"

#include "check_main.h"
#include "runtime_desk.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PROMPTS = 4, ROOM = 256 };

static struct desk desk;
static const float tolerance = 2e-4f;

static pdk_status try_load(const char *name, const char *const *arguments, pdk_error *err)
{
    char folder[64];
    snprintf(folder, sizeof folder, "models/%s", name);
    const char *path = desk_fixture(folder);
    desk_open(&desk);
    return desk_load(&desk, path, arguments, NULL, err);
}

static void load(const char *name, const char *const *arguments)
{
    pdk_error err = {0};
    ck_assert_msg(try_load(name, arguments, &err) == PDK_OK, "%s", err.message);
}

static pdk_request pool(uint64_t id, int32_t task, int32_t activation)
{
    return (pdk_request){.size = sizeof(pdk_request),
        .kind = PDK_KIND_POOL,
        .id = id,
        .flags = PDK_FLAG_TRUNCATE_RIGHT,
        .pooling = {.task = task, .use_activation = activation},
        .sampling = {.size = sizeof(pdk_sampling), .n = 1}};
}

static pdk_request pool_ids(uint64_t id, int32_t task, int32_t activation, const uint32_t *ids, size_t count)
{
    pdk_request request = pool(id, task, activation);
    request.token_ids = ids;
    request.token_count = count;
    return request;
}

static pdk_request pool_text(uint64_t id, int32_t task, int32_t activation, const char *text)
{
    pdk_request request = pool(id, task, activation);
    request.text = (pdk_string){text, strlen(text)};
    return request;
}

static void ask(const pdk_request *request, struct desk_answer *answer)
{
    memset(answer, 0, sizeof *answer);
    desk_submit(&desk, request, answer);
    desk_wait(answer);
}

static void expect_answer(const pdk_request *request, struct desk_answer *answer, uint32_t rows, uint32_t columns)
{
    ask(request, answer);
    ck_assert_msg(answer->error.status == PDK_OK, "%s", answer->error.message);
    ck_assert_uint_eq(answer->value_rows, rows);
    ck_assert_uint_eq(answer->value_columns, columns);
}

static void expect_refusal(const pdk_request *request, pdk_status status, const char *message)
{
    struct desk_answer answer;
    ask(request, &answer);
    ck_assert_int_eq(answer.error.status, status);
    ck_assert_str_eq(answer.error.message, message);
    ck_assert_ptr_null(answer.values);
    desk_answer_done(&answer);
}

static const struct safetensors_tensor *golden(const struct safetensors *file, const char *what, int i)
{
    char name[32];
    snprintf(name, sizeof name, "%s_%d", what, i);
    for (size_t at = 0; at < safetensors_count(file); at++)
        if (strcmp(safetensors_at(file, at)->name, name) == 0)
            return safetensors_at(file, at);
    ck_abort_msg("no %s", name);
    return NULL;
}

static size_t golden_prompt(const struct safetensors *file, int i, uint32_t ids[ROOM])
{
    const struct safetensors_tensor *tensor = golden(file, "prompt", i);
    ck_assert_uint_le(tensor->bytes / 8, ROOM);
    for (uint64_t k = 0; k < tensor->bytes / 8; k++)
        memcpy(&ids[k], (const uint8_t *)tensor->data + k * 8, sizeof ids[k]);
    return tensor->bytes / 8;
}

static void check_golden(const struct safetensors *file, const char *what, int i, const struct desk_answer *answer)
{
    const struct safetensors_tensor *tensor = golden(file, what, i);
    size_t count = tensor->bytes / sizeof(float);
    ck_assert_uint_eq((size_t)answer->value_rows * answer->value_columns, count);
    for (size_t k = 0; k < count; k++) {
        float want;
        memcpy(&want, (const uint8_t *)tensor->data + k * sizeof want, sizeof want);
        ck_assert_msg(fabsf(answer->values[k] - want) <= tolerance, "%s_%d[%zu] is %.7g, not %.7g", what, i, k,
            (double)answer->values[k], (double)want);
    }
}

static const struct {
    const char *model, *what;
    int32_t task, activation;
} goldens[] = {
    {"bert", "hidden", PDK_POOL_TOKEN_EMBED, 0},
    {"bert", "pooled", PDK_POOL_DEFAULT, -1},
    {"bert-classify", "scores", PDK_POOL_CLASSIFY, 0},
    {"distilbert", "hidden", PDK_POOL_TOKEN_EMBED, 0},
    {"distilbert", "pooled", PDK_POOL_EMBED, 1},
    {"roberta", "pooled", PDK_POOL_EMBED, -1},
    {"xlm-roberta-rerank", "scores", PDK_POOL_SCORE, 0},
    {"modernbert", "hidden", PDK_POOL_TOKEN_EMBED, 0},
    {"modernbert", "pooled", PDK_POOL_EMBED, -1},
};
enum { GOLDENS = sizeof goldens / sizeof goldens[0] };

static const char *const means[] = {
    "--pooler-config={\"pooling_type\": \"MEAN\"}", "--max-num-batched-tokens=256", "--max-num-seqs=16", NULL};
static const char *const classes[] = {"--max-num-batched-tokens=256", "--max-num-seqs=16", NULL};

/* The reference's values, all prompts at once and each alone: the same bits. */
START_TEST(values_are_the_references)
{
    char path[64];
    struct safetensors *file = NULL;
    struct desk_answer together[8 * PROMPTS], alone;
    static uint32_t prompts[PROMPTS][ROOM];
    static pdk_request requests[8 * PROMPTS];
    snprintf(path, sizeof path, "models/%s/golden.safetensors", goldens[_i].model);
    ck_assert_int_eq(safetensors_open(desk_fixture(path), &file, NULL), PDK_OK);
    load(goldens[_i].model, strcmp(goldens[_i].what, "scores") == 0 ? classes : means);
    size_t counts[PROMPTS];
    for (int i = 0; i < PROMPTS; i++) /* requests borrow them */
        counts[i] = golden_prompt(file, i, prompts[i]);
    for (int i = 0; i < 8 * PROMPTS; i++) {
        requests[i] = pool_ids(
            (uint64_t)i + 1, goldens[_i].task, goldens[_i].activation, prompts[i % PROMPTS], counts[i % PROMPTS]);
        memset(&together[i], 0, sizeof together[i]);
        desk_submit(&desk, &requests[i], &together[i]);
    }
    for (int i = 0; i < 8 * PROMPTS; i++) {
        desk_wait(&together[i]);
        ck_assert_msg(together[i].error.status == PDK_OK, "%s", together[i].error.message);
        check_golden(file, goldens[_i].what, i % PROMPTS, &together[i]);
        ck_assert_uint_eq(together[i].prompt_tokens, requests[i].token_count);
        ck_assert_uint_eq(together[i].parts, 1);
    }
    for (int i = 0; i < 8 * PROMPTS; i++) {
        requests[i].id += 1000;
        ask(&requests[i], &alone);
        ck_assert_mem_eq(
            alone.values, together[i].values, (size_t)alone.value_rows * alone.value_columns * sizeof(float));
        desk_answer_done(&alone);
        desk_answer_done(&together[i]);
    }
    safetensors_close(file);
    desk_close(&desk);
}
END_TEST

/* tests/fixtures/encoders: what differs within the families, by the task that shows the most of it. */
static const struct {
    const char *name, *what;
    int32_t task;
} variants[] = {
    {"bert-older", "hidden", PDK_POOL_TOKEN_EMBED},
    {"bert-masked-lm", "hidden", PDK_POOL_TOKEN_EMBED},
    {"bert-one-class", "scores", PDK_POOL_SCORE},
    {"bert-tokens", "scores", PDK_POOL_DEFAULT},
    {"distilbert-classes", "scores", PDK_POOL_CLASSIFY},
    {"distilbert-masked-lm", "hidden", PDK_POOL_TOKEN_EMBED},
    {"roberta-pad", "hidden", PDK_POOL_TOKEN_EMBED},
    {"roberta-tokens", "scores", PDK_POOL_TOKEN_CLASSIFY},
    {"camembert", "hidden", PDK_POOL_TOKEN_EMBED},
    {"modernbert-older", "hidden", PDK_POOL_TOKEN_EMBED},
    {"modernbert-biased", "hidden", PDK_POOL_TOKEN_EMBED},
    {"modernbert-mean", "scores", PDK_POOL_CLASSIFY},
    {"modernbert-cls", "scores", PDK_POOL_SCORE},
    {"llama-model", "hidden", PDK_POOL_TOKEN_EMBED},
    {"llama-score", "scores", PDK_POOL_SCORE},
    {"qwen2-classes", "scores", PDK_POOL_CLASSIFY},
    {"gpt2-model", "hidden", PDK_POOL_TOKEN_EMBED},
    {"opt-narrow", "hidden", PDK_POOL_TOKEN_EMBED},
};
enum { VARIANTS = sizeof variants / sizeof variants[0] };

START_TEST(variants_are_the_references)
{
    char folder[4096], path[4200];
    const char *top = getenv("top_srcdir");
    struct safetensors *file = NULL;
    pdk_error err = {0};
    ck_assert_msg(top != NULL, "top_srcdir is not set");
    snprintf(folder, sizeof folder, "%s/tests/fixtures/encoders/%s", top, variants[_i].name);
    snprintf(path, sizeof path, "%s/golden.safetensors", folder);
    ck_assert_int_eq(safetensors_open(path, &file, NULL), PDK_OK);
    desk_open(&desk);
    ck_assert_msg(desk_load(&desk, folder, NULL, NULL, &err) == PDK_OK, "%s", err.message);
    for (int k = 0; k < 3; k++) {
        uint32_t ids[ROOM];
        struct desk_answer answer;
        size_t count = golden_prompt(file, k, ids);
        pdk_request request = pool_ids((uint64_t)k + 1, variants[_i].task, 0, ids, count);
        ask(&request, &answer);
        ck_assert_msg(answer.error.status == PDK_OK, "%s", answer.error.message);
        check_golden(file, variants[_i].what, k, &answer);
        desk_answer_done(&answer);
    }
    safetensors_close(file);
    desk_close(&desk);
}
END_TEST

START_TEST(activations_are_as_asked)
{
    static const uint32_t ids[] = {5, 6, 7, 8};
    struct desk_answer raw, plain, off;
    load("bert-classify", classes);
    pdk_request request = pool_ids(1, PDK_POOL_DEFAULT, 0, ids, 4);
    expect_answer(&request, &raw, 1, 3);
    request = pool_ids(2, PDK_POOL_CLASSIFY, -1, ids, 4);
    expect_answer(&request, &plain, 1, 3);
    double total = 0, sum = 0;
    for (int i = 0; i < 3; i++)
        total += exp((double)raw.values[i]);
    for (int i = 0; i < 3; i++) {
        ck_assert_double_eq_tol((double)plain.values[i], exp((double)raw.values[i]) / total, 1e-6);
        sum += (double)plain.values[i];
    }
    ck_assert_double_eq_tol(sum, 1, 1e-6);
    request = pool_ids(3, PDK_POOL_TOKEN_CLASSIFY, -1, ids, 4);
    expect_answer(&request, &off, 4, 3);
    ck_assert_mem_eq(off.values, plain.values, 3 * sizeof(float));
    request = pool_ids(4, PDK_POOL_EMBED, -1, ids, 4);
    expect_refusal(
        &request, PDK_UNSUPPORTED, "Unsupported task: 'embed' Supported tasks: {'classify', 'token_classify'}");
    desk_answer_done(&raw);
    desk_answer_done(&plain);
    desk_answer_done(&off);
    desk_close(&desk);
}
END_TEST

START_TEST(a_model_tells_what_it_gives)
{
    pdk_model_info info = {.size = sizeof info};
    load("bert-classify", classes);
    ck_assert_int_eq(desk.model->describe(desk.self, &info, NULL), PDK_OK);
    ck_assert_int_eq(info.pooling_only, 1);
    ck_assert_uint_eq(info.pooling_tasks, 1u << PDK_POOL_CLASSIFY | 1u << PDK_POOL_TOKEN_CLASSIFY);
    ck_assert_uint_eq(info.class_count, 3);
    ck_assert_str_eq(info.class_labels[2], "LABEL_2");
    desk_close(&desk);

    static const char *const cut[] = {"--hf-overrides={\"matryoshka_dimensions\": [8, 16]}", NULL};
    load("roberta", cut);
    ck_assert_int_eq(desk.model->describe(desk.self, &info, NULL), PDK_OK);
    ck_assert_uint_eq(info.pooling_tasks, 1u << PDK_POOL_EMBED | 1u << PDK_POOL_TOKEN_EMBED | 1u << PDK_POOL_SCORE);
    ck_assert(info.scores_pairs_by_cosine && info.matryoshka);
    ck_assert_uint_eq(info.pooled_size, 32);
    ck_assert_uint_eq(info.max_model_len, 512);
    ck_assert_uint_eq(info.dimension_count, 2);
    ck_assert_uint_eq(info.dimensions[1], 16);
    desk_close(&desk);

    load("llama-mha", NULL);
    ck_assert_int_eq(desk.model->describe(desk.self, &info, NULL), PDK_OK);
    ck_assert_int_eq(info.pooling_only, 0);
    ck_assert_uint_eq(info.pooling_tasks, 0);
    desk_close(&desk);
}
END_TEST

/* Cut first, then normalised. */
START_TEST(shorter_embeddings_are_whole_ones_cut)
{
    static const char *const cut[] = {"--hf-overrides={\"matryoshka_dimensions\": [8, 16]}", NULL};
    static const uint32_t ids[] = {0, 9, 10, 11, 2};
    struct desk_answer whole, part;
    load("roberta", cut);
    pdk_request request = pool_ids(1, PDK_POOL_EMBED, 0, ids, 5);
    expect_answer(&request, &whole, 1, 32);
    request = pool_ids(2, PDK_POOL_EMBED, -1, ids, 5);
    request.pooling.dimensions = 8;
    expect_answer(&request, &part, 1, 8);
    double length = 0;
    for (int i = 0; i < 8; i++)
        length += (double)whole.values[i] * (double)whole.values[i];
    for (int i = 0; i < 8; i++)
        ck_assert_double_eq_tol((double)part.values[i], (double)whole.values[i] / sqrt(length), 1e-6);
    request.pooling.dimensions = 9;
    request.id = 3;
    expect_refusal(&request, PDK_INVALID,
        "Model 'service' does not support 9 dimensions: it is not among its matryoshka_dimensions");
    desk_answer_done(&whole);
    desk_answer_done(&part);
    desk_close(&desk);

    load("roberta", NULL);
    request.id = 4;
    expect_refusal(&request, PDK_INVALID,
        "Model 'service' does not support Matryoshka embeddings; dimensions must be unset (received dimensions=9).");
    desk_close(&desk);
}
END_TEST

static const char *tokenizer_of(const char *name)
{
    static char argument[4200];
    char file[128];
    snprintf(file, sizeof file, "tokenizers/%s/tokenizer.json", name);
    snprintf(argument, sizeof argument, "--tokenizer=%s", desk_fixture(file));
    return argument;
}

/* Ids below the model's vocabulary: the first letters of the alphabet are single pieces there. */
static uint32_t ids_of(const char *text, uint32_t *ids)
{
    pdk_request request = pool_text(900, 0, 0, text);
    struct desk_answer answer;
    request.kind = PDK_KIND_TOKENIZE;
    request.flags = PDK_FLAG_NO_SPECIAL_TOKENS;
    ask(&request, &answer);
    ck_assert_msg(answer.error.status == PDK_OK, "%s", answer.error.message);
    uint32_t count = (uint32_t)answer.choices[0].id_count;
    ck_assert_uint_le(count, ROOM / 4);
    memcpy(ids, answer.choices[0].ids, count * sizeof *ids);
    desk_answer_done(&answer);
    return count;
}

/* A pair of texts is what its post-processor makes of it: RoBERTa's has two separators between. */
START_TEST(a_cross_encoder_reads_a_pair_as_one)
{
    const char *arguments[] = {tokenizer_of("roberta"), NULL};
    static uint32_t ids[ROOM];
    struct desk_answer pair, same, cut;
    load("xlm-roberta-rerank", arguments);
    uint32_t first = ids_of("a b", ids + 1), second = ids_of("c", ids + 1 + first + 2);
    ids[0] = 0;
    ids[1 + first] = ids[2 + first] = ids[3 + first + second] = 2;
    pdk_request request = pool_text(1, PDK_POOL_SCORE, -1, "a b");
    request.pair_text = (pdk_string){"c", 1};
    expect_answer(&request, &pair, 1, 1);
    ck_assert_uint_eq(pair.prompt_tokens, first + second + 4);
    pdk_request plain = pool_ids(2, PDK_POOL_CLASSIFY, -1, ids, first + second + 4);
    expect_answer(&plain, &same, 1, 1);
    ck_assert_mem_eq(pair.values, same.values, sizeof(float));
    ck_assert(pair.values[0] > 0 && pair.values[0] < 1);

    request.id = 3;
    request.sampling.has = PDK_HAS_TRUNCATE_PROMPT;
    request.sampling.truncate_prompt = 6; /* a token of each text between the four special ones */
    expect_answer(&request, &cut, 1, 1);
    ck_assert_uint_eq(cut.prompt_tokens, 6);
    desk_answer_done(&pair);
    desk_answer_done(&same);
    desk_answer_done(&cut);
    desk_close(&desk);
}
END_TEST

START_TEST(an_embedding_model_scores_a_pair_by_cosine)
{
    const char *arguments[] = {tokenizer_of("roberta"), NULL};
    struct desk_answer score, a, b;
    load("roberta", arguments);
    pdk_request request = pool_text(1, PDK_POOL_SCORE, -1, "a b");
    request.pair_text = (pdk_string){"c", 1};
    expect_answer(&request, &score, 1, 1);
    request = pool_text(2, PDK_POOL_EMBED, -1, "a b");
    expect_answer(&request, &a, 1, 32);
    request = pool_text(3, PDK_POOL_EMBED, -1, "c");
    expect_answer(&request, &b, 1, 32);
    double dot = 0;
    for (int i = 0; i < 32; i++)
        dot += (double)a.values[i] * (double)b.values[i];
    ck_assert_double_eq_tol((double)score.values[0], dot, 1e-6);
    ck_assert_uint_eq(score.prompt_tokens, a.prompt_tokens + b.prompt_tokens);
    desk_answer_done(&score);
    desk_answer_done(&a);
    desk_answer_done(&b);
    desk_close(&desk);
}
END_TEST

/* BERT tells the texts of a pair apart. */
START_TEST(the_second_text_has_a_type_of_its_own)
{
    const char *arguments[] = {tokenizer_of("bert-uncased"), NULL};
    static uint32_t ids[ROOM];
    struct desk_answer pair, plain;
    load("bert-classify", arguments);
    uint32_t first = ids_of("a b", ids + 1), second = ids_of("c", ids + 1 + first + 1);
    ids[0] = 2;
    ids[1 + first] = ids[2 + first + second] = 3;
    pdk_request request = pool_text(1, PDK_POOL_CLASSIFY, 0, "a b");
    request.pair_text = (pdk_string){"c", 1};
    expect_answer(&request, &pair, 1, 3);
    request = pool_ids(2, PDK_POOL_CLASSIFY, 0, ids, first + second + 3);
    expect_answer(&request, &plain, 1, 3);
    ck_assert_uint_eq(pair.prompt_tokens, plain.prompt_tokens);
    ck_assert(fabsf(pair.values[0] - plain.values[0]) > 1e-4f);
    desk_answer_done(&pair);
    desk_answer_done(&plain);
    desk_close(&desk);
}
END_TEST

START_TEST(texts_are_cut_between_special_tokens)
{
    const char *arguments[] = {tokenizer_of("bert-uncased"), "--max-model-len=16", NULL};
    struct desk_answer whole, cut, same;
    load("bert", arguments);
    pdk_request request = pool_text(1, PDK_POOL_EMBED, -1, "a b c d e f g h");
    request.sampling.has = PDK_HAS_TRUNCATE_PROMPT;
    request.sampling.truncate_prompt = 5;
    expect_answer(&request, &cut, 1, 32);
    ck_assert_uint_eq(cut.prompt_tokens, 5);
    request = pool_text(2, PDK_POOL_EMBED, -1, "a b c");
    expect_answer(&request, &same, 1, 32);
    ck_assert_mem_eq(cut.values, same.values, 32 * sizeof(float));
    request = pool_text(3, PDK_POOL_EMBED, -1, "a b c d e f g h a b c d e f g h");
    expect_refusal(&request, PDK_INVALID,
        "This model's maximum context length is 16 tokens. However, your prompt contains 18 input tokens, which "
        "exceeds "
        "this limit even without any output tokens. Please reduce the length of the input prompt.");
    request.id = 4;
    request.sampling.has = PDK_HAS_TRUNCATE_PROMPT;
    request.sampling.truncate_prompt = -1;
    expect_answer(&request, &whole, 1, 32);
    ck_assert_uint_eq(whole.prompt_tokens, 16);
    desk_answer_done(&whole);
    desk_answer_done(&cut);
    desk_answer_done(&same);
    desk_close(&desk);
}
END_TEST

/* A decoder's last hidden state, in chunks, with and without the cache, in a pool too small for all. */
START_TEST(a_decoder_embeds_the_same_however_it_is_run)
{
    static const char *const whole[] = {"--runner=pooling", "--no-enable-prefix-caching", NULL};
    static const char *const pieces[] = {
        "--convert=embed", "--max-num-batched-tokens=32", "--max-num-seqs=8", "--num-gpu-blocks-override=24", NULL};
    enum { MANY = 24 };
    static uint32_t ids[ROOM];
    static struct desk_answer alone[MANY], crowd[MANY];
    static pdk_request requests[MANY];
    static const char *const models[] = {"qwen3", "opt-350m-like"};
    for (uint32_t i = 0; i < ROOM; i++)
        ids[i] = 3 + i * 37 % 300;
    load(models[_i], whole);
    for (uint32_t i = 0; i < MANY; i++) {
        int32_t task = i % 3 == 0 ? PDK_POOL_TOKEN_EMBED : PDK_POOL_EMBED;
        requests[i] = pool_ids(i + 1, task, i % 2 == 0 ? -1 : 0, ids, 1 + i * 53 % 200);
        ask(&requests[i], &alone[i]);
        ck_assert_msg(alone[i].error.status == PDK_OK, "%s", alone[i].error.message);
        ck_assert_uint_eq(alone[i].value_rows, i % 3 == 0 ? requests[i].token_count : 1);
    }
    desk_close(&desk);
    load(models[_i], pieces);
    for (uint32_t i = 0; i < MANY; i++) {
        memset(&crowd[i], 0, sizeof crowd[i]);
        desk_submit(&desk, &requests[i], &crowd[i]);
    }
    for (uint32_t i = 0; i < MANY; i++) {
        desk_wait(&crowd[i]);
        ck_assert_msg(crowd[i].error.status == PDK_OK, "%s", crowd[i].error.message);
        ck_assert_uint_eq(crowd[i].value_columns, alone[i].value_columns);
        ck_assert_mem_eq(
            crowd[i].values, alone[i].values, (size_t)alone[i].value_rows * alone[i].value_columns * sizeof(float));
        desk_answer_done(&alone[i]);
        desk_answer_done(&crowd[i]);
    }
    ck_assert_double_gt(desk_metric(&desk, "vllm:prefix_cache_hits_total"), 0);
    desk_close(&desk);
}
END_TEST

START_TEST(what_cannot_be_is_refused)
{
    static const uint32_t ids[] = {5, 999};
    static const char *const generate[] = {"--runner=generate", NULL};
    static const char *const unknown[] = {"--pooler-config={\"poling_type\": \"MEAN\"}", NULL};
    static const char *const task[] = {"--task=fill_mask", NULL};
    pdk_error err = {0};
    ck_assert_int_eq(try_load("bert", generate, &err), PDK_INVALID);
    ck_assert_str_eq(err.message, "--runner: generate was asked for, and this model (BertModel) generates no text; it "
                                  "can be run with pooling");
    desk_close(&desk);
    ck_assert_int_eq(try_load("bert", unknown, &err), PDK_UNSUPPORTED);
    ck_assert_str_eq(err.message, "--pooler-config: 'poling_type' is not supported");
    desk_close(&desk);
    ck_assert_int_eq(try_load("bert", task, &err), PDK_UNSUPPORTED);
    ck_assert_str_eq(err.message, "--task: Unsupported task: fill_mask. Currently supported tasks are: "
                                  "text_generation, text_embedding, sequence_classification, token_classification");
    desk_close(&desk);
    load("bert", NULL);
    pdk_request request = pool_ids(1, PDK_POOL_EMBED, -1, ids, 2);
    expect_refusal(&request, PDK_INVALID, "Token id 999 is out of vocabulary");
    request = pool_text(2, PDK_POOL_EMBED, -1, "a");
    expect_refusal(&request, PDK_INVALID, "this model has no tokenizer: the prompt must be token ids");
    request = pool_ids(3, PDK_POOL_EMBED, -1, ids, 1);
    request.kind = PDK_KIND_GENERATE;
    expect_refusal(
        &request, PDK_UNSUPPORTED, "this model gives embeddings or classes; it has no answer to requests of kind 1");
    desk_close(&desk);
}
END_TEST

START_TEST(cancelled_requests_end_and_disturb_no_other)
{
    enum { MANY = 64 };
    static uint32_t ids[ROOM];
    static struct desk_answer answers[MANY];
    static pdk_request requests[MANY];
    struct desk_answer alone;
    for (uint32_t i = 0; i < ROOM; i++)
        ids[i] = 3 + i * 37 % 300;
    load("bert", classes);
    pdk_request request = pool_ids(1000, PDK_POOL_EMBED, -1, ids, 200);
    expect_answer(&request, &alone, 1, 32);
    for (uint32_t i = 0; i < MANY; i++) {
        requests[i] = pool_ids(i + 1, PDK_POOL_EMBED, -1, ids, 200);
        memset(&answers[i], 0, sizeof answers[i]);
        desk_submit(&desk, &requests[i], &answers[i]);
        if (i % 2 == 0)
            desk.pool->cancel(desk.self, i + 1);
    }
    for (uint32_t i = 0; i < MANY; i++) {
        desk_wait(&answers[i]);
        bool ended = answers[i].error.status == PDK_CANCELLED && i % 2 == 0;
        ck_assert_msg(ended || answers[i].error.status == PDK_OK, "%s", answers[i].error.message);
        if (!ended)
            ck_assert_mem_eq(answers[i].values, alone.values, 32 * sizeof(float));
        desk_answer_done(&answers[i]);
    }
    desk_answer_done(&alone);
    desk_close(&desk);
}
END_TEST

/* all-MiniLM-L6-v2 by text, against the vectors of the reference. */
START_TEST(real_embeddings_are_the_references)
{
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    ck_assert_int_eq(file_read(desk_fixture("real/minilm.json"), 1 << 20, &text, NULL), PDK_OK);
    ck_assert_int_eq(json_read(text.data, text.length, &json_limits_default, &document, NULL), PDK_OK);
    pdk_error err = {0};
    desk_open(&desk);
    ck_assert_msg(desk_load(&desk, getenv("PADDOCK_MINILM"), NULL, NULL, &err) == PDK_OK, "%s", err.message);
    for (const struct json *at = json_root(document)->child; at != NULL; at = at->next) {
        struct desk_answer answer;
        uint64_t tokens;
        pdk_request request = pool_text(1, PDK_POOL_EMBED, -1, json_get(at, "text")->text);
        request.sampling.has = PDK_HAS_TRUNCATE_PROMPT;
        request.sampling.truncate_prompt = -1;
        expect_answer(&request, &answer, 1, 384);
        ck_assert(json_uint64(json_get(at, "tokens"), &tokens));
        ck_assert_uint_eq(answer.prompt_tokens, tokens);
        double dot = 0, value;
        const struct json *number = json_get(at, "vector")->child;
        for (int i = 0; i < 384; i++, number = number->next) {
            ck_assert(json_double(number, &value));
            dot += value * (double)answer.values[i];
        }
        ck_assert_msg(dot > 0.9999, "%s: cosine %.6f", request.text.data, dot);
        desk_answer_done(&answer);
    }
    desk_close(&desk);
}
END_TEST

int main(void)
{
    desk_need_plugins();
    desk_fixture("models");
    Suite *suite = suite_create("huggingface pooling");
    TCase *tests = tcase_create("pooling");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, values_are_the_references, 0, GOLDENS);
    tcase_add_loop_test(tests, variants_are_the_references, 0, VARIANTS);
    tcase_add_test(tests, activations_are_as_asked);
    tcase_add_test(tests, a_model_tells_what_it_gives);
    tcase_add_test(tests, shorter_embeddings_are_whole_ones_cut);
    tcase_add_test(tests, a_cross_encoder_reads_a_pair_as_one);
    tcase_add_test(tests, an_embedding_model_scores_a_pair_by_cosine);
    tcase_add_test(tests, the_second_text_has_a_type_of_its_own);
    tcase_add_test(tests, texts_are_cut_between_special_tokens);
    tcase_add_loop_test(tests, a_decoder_embeds_the_same_however_it_is_run, 0, 2);
    tcase_add_test(tests, what_cannot_be_is_refused);
    tcase_add_test(tests, cancelled_requests_end_and_disturb_no_other);
    if (getenv("PADDOCK_MINILM") != NULL)
        tcase_add_test(tests, real_embeddings_are_the_references);
    else
        puts("skipped: real embeddings; PADDOCK_MINILM names no folder of all-MiniLM-L6-v2");
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
