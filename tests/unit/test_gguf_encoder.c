/* Encoders written as GGUF, as llama.cpp's converter does it: the fixtures' own hidden states and scores. */
#include "config.h"

#include "check_main.h"
#include "forward_run.h"
#include "gguf_write.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* `from` is behind the family's word. A '%' is the layer. */
static const struct {
    const char *from, *to;
} names[] = {
    {"embeddings.word_embeddings", "token_embd"},
    {"embeddings.position_embeddings", "position_embd"},
    {"embeddings.token_type_embeddings", "token_types"},
    {"embeddings.LayerNorm", "token_embd_norm"},
    {"encoder.layer.%.attention.self.query", "blk.%.attn_q"},
    {"encoder.layer.%.attention.self.key", "blk.%.attn_k"},
    {"encoder.layer.%.attention.self.value", "blk.%.attn_v"},
    {"encoder.layer.%.attention.output.dense", "blk.%.attn_output"},
    {"encoder.layer.%.attention.output.LayerNorm", "blk.%.attn_output_norm"},
    {"encoder.layer.%.intermediate.dense", "blk.%.ffn_up"},
    {"encoder.layer.%.output.dense", "blk.%.ffn_down"},
    {"encoder.layer.%.output.LayerNorm", "blk.%.layer_output_norm"},
    {"pooler.dense", "cls"},
    {"classifier", "cls.output"},
    {"classifier.dense", "cls"},
    {"classifier.out_proj", "cls.output"},
};

static const struct fixture {
    const char *model, *prefix;
    uint32_t offset, types, pooling; /* rows of padding before the positions; pooling_type: 1 mean, 4 rank */
} fixtures[] = {
    {"bert", "", 0, 2, 1},
    {"bert-classify", "bert.", 0, 2, 4},
    {"roberta", "", 2, 1, 1},
    {"xlm-roberta-rerank", "roberta.", 2, 1, 4},
};

struct writer {
    struct buffer entries, data;
    uint64_t count;
};

static void fill_layer(const char *pattern, uint32_t layer, const char *ending, char name[128])
{
    const char *mark = strchr(pattern, '%');
    if (mark == NULL)
        snprintf(name, 128, "%s%s", pattern, ending);
    else
        snprintf(name, 128, "%.*s%u%s%s", (int)(mark - pattern), pattern, layer, mark + 1, ending);
}

static void put(struct writer *w, const struct safetensors_tensor *tensor, const char *name, uint32_t skip)
{
    size_t row = tensor->rank > 1 ? tensor->shape[1] * sizeof(float) : 0;
    uint64_t shape[2] = {tensor->shape[tensor->rank - 1], tensor->shape[0] - skip};
    put_tensor(&w->entries, name, tensor->rank, shape, 0, w->data.length);
    buffer_put(&w->data, (const char *)tensor->data + skip * row, tensor->bytes - skip * row);
    put_padding(&w->data, 32);
    w->count++;
}

/* Every tensor of the fixture that the converter keeps. */
static void put_tensors(struct writer *w, const struct safetensors *file, const struct fixture *fixture)
{
    static const char *const endings[] = {".weight", ".bias"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        for (uint32_t layer = 0; layer < (strchr(names[i].from, '%') != NULL ? 3u : 1u); layer++)
            for (size_t e = 0; e < 2; e++) {
                char from[128], whole[160], to[128];
                fill_layer(names[i].from, layer, endings[e], from);
                fill_layer(names[i].to, layer, endings[e], to);
                snprintf(whole, sizeof whole, "%s%s", fixture->prefix, from);
                const struct safetensors_tensor *tensor = golden_tensor(file, whole);
                if (tensor == NULL)
                    tensor = golden_tensor(file, from);
                bool classes = strncmp(to, "cls", 3) == 0 && fixture->pooling != 4;
                if (tensor != NULL && !classes)
                    put(w, tensor, to, strcmp(to, "position_embd.weight") == 0 ? fixture->offset : 0);
            }
}

static const char *write_gguf(const struct fixture *fixture)
{
    char name[128];
    struct writer w = {0};
    struct buffer file = {0};
    struct safetensors *from = NULL;
    snprintf(name, sizeof name, "models/%s/model.safetensors", fixture->model);
    ck_assert_int_eq(safetensors_open(fixture_path(name), &from, NULL), PDK_OK);
    put_tensors(&w, from, fixture);
    put_head(&file, 3, w.count, 9);
    put_value_string(&file, "general.architecture", "bert");
    put_value_u32(&file, "bert.block_count", 3);
    put_value_u32(&file, "bert.context_length", 512);
    put_value_u32(&file, "bert.embedding_length", 32);
    put_value_u32(&file, "bert.feed_forward_length", 64);
    put_value_u32(&file, "bert.attention.head_count", 4);
    put_value_f32(&file, "bert.attention.layer_norm_epsilon", 1e-12f);
    put_value_u32(&file, "bert.pooling_type", fixture->pooling);
    put_value_u32(&file, "tokenizer.ggml.token_type_count", fixture->types);
    buffer_put(&file, w.entries.data, w.entries.length);
    put_padding(&file, 32);
    buffer_put(&file, w.data.data, w.data.length);
    const char *path = temporary_file("encoder.gguf", file.data, file.length);
    safetensors_close(from);
    buffer_done(&w.entries);
    buffer_done(&w.data);
    buffer_done(&file);
    return path;
}

static void check(const struct run *run, const struct safetensors *golden, const char *what, uint32_t prompt)
{
    char name[32];
    snprintf(name, sizeof name, "%s_%u", what, prompt);
    const struct safetensors_tensor *tensor = golden_tensor(golden, name);
    ck_assert_ptr_nonnull(tensor);
    float scores[16];
    const float *is = run->sequences[0].logits;
    if (strcmp(what, "scores") == 0) { /* of the first token */
        ck_assert_int_eq(
            value_head_apply(model_classes(run->model), is, (uint32_t)run_columns(run), scores, NULL), PDK_OK);
        is = scores;
    }
    for (size_t i = 0; i < tensor->bytes / sizeof(float); i++) {
        float want;
        memcpy(&want, (const uint8_t *)tensor->data + i * sizeof want, sizeof want);
        ck_assert_msg(fabsf(is[i] - want) <= 2e-4f, "%s[%zu] is %.7g, not %.7g", name, i, (double)is[i], (double)want);
    }
}

START_TEST(a_gguf_gives_the_fixtures_values)
{
    const struct fixture *fixture = &fixtures[_i];
    char name[128];
    struct run run;
    struct safetensors *golden = NULL;
    run_open(&run, write_gguf(fixture));
    ck_assert_int_eq(model_facts(run.model)->use, fixture->pooling == 4 ? USE_CLASSIFY : USE_EMBED);
    ck_assert_int_eq(model_pooling(run.model)->kind, fixture->pooling == 4 ? POOLING_RANK : POOLING_MEAN);
    snprintf(name, sizeof name, "models/%s/golden.safetensors", fixture->model);
    ck_assert_int_eq(safetensors_open(fixture_path(name), &golden, NULL), PDK_OK);
    for (uint32_t k = 0; k < 4; k++) {
        uint32_t ids[RUN_TOKENS_MAX];
        snprintf(name, sizeof name, "prompt_%u", k);
        run_add(&run, ids, golden_ids(golden, name, ids, RUN_TOKENS_MAX), 0);
        run_all(&run, RUN_TOKENS_MAX);
        check(&run, golden, fixture->pooling == 4 ? "scores" : "hidden", k);
        run_clear(&run);
    }
    safetensors_close(golden);
    run_close(&run);
}
END_TEST

int main(void)
{
    fixture_path("models/bert");
    Suite *suite = suite_create("gguf_encoder");
    TCase *tests = tcase_create("gguf_encoder");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, a_gguf_gives_the_fixtures_values, 0, sizeof fixtures / sizeof fixtures[0]);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
