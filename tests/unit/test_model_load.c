/* runtimes/huggingface/model/source.c, weight_plan.c, weights.c, model.c: which files make a model, and what a model
 * that is not what its configuration says is told. */
#include "config.h"

#include "check_main.h"
#include "forward_run.h"
#include "gguf_write.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
    char last[400];
    double fraction;
    uint32_t count;
} told;

static void note(void *context, const char *text)
{
    (void)context;
    snprintf(told.last, sizeof told.last, "%s", text);
}

static void progress(void *context, double fraction)
{
    (void)context;
    ck_assert(fraction > told.fraction && fraction <= 1);
    told.fraction = fraction;
    told.count++;
}

static pdk_status try_load(const char *path, const char *overrides, uint64_t budget, pdk_error *err)
{
    struct run run;
    const struct model_request request = {.path = path,
        .overrides = overrides,
        .memory_bytes = budget,
        .note = note,
        .progress = progress,
        .use_generation_config = true};
    told.fraction = 0;
    told.count = 0;
    told.last[0] = '\0';
    pdk_status status = run_try(&run, &request, err);
    run_close(&run);
    return status;
}

static const struct {
    const char *model; /* a fixture; with a '/', of the source tree */
    const char *overrides;
    uint64_t budget;
    pdk_status status;
    const char *message;
} cases[] = {
    {"llama-mha", NULL, 0, PDK_OK, ""},
    {"llama-mha", NULL, 1 << 20, PDK_OK, ""},
    {"llama-mha", NULL, 1 << 16, PDK_NO_MEMORY, "the weights need 0.2 MiB, limit 0.1 MiB"},
    {"llama-mha", "{\"num_hidden_layers\":4}", 0, PDK_INVALID,
        "the model has no tensor model.layers.3.input_layernorm.weight"},
    {"llama-mha", "{\"num_hidden_layers\":2}", 0, PDK_UNSUPPORTED,
        "the model has a tensor that LlamaForCausalLM has no use for: model.layers.2."},
    {"llama-mha", "{\"intermediate_size\":64}", 0, PDK_INVALID,
        "model.layers.0.mlp.gate_proj.weight is 56 x 32; by the configuration it is 64 x 32"},
    {"llama-mha", "{\"num_key_value_heads\":2}", 0, PDK_INVALID,
        "self_attn.k_proj.weight is 32 x 32; by the configuration"},
    {"llama-mha",
        "{\"hidden_size\":262144,\"num_attention_heads\":4096,\"num_key_value_heads\":4096,\"head_dim\":null}", 0,
        PDK_INVALID, "model.embed_tokens.weight is 320 x 32; by the configuration it is 320 x 262144"},
    {"llama-mha", "{\"vocab_size\":321}", 0, PDK_INVALID, "by the configuration it is 321 x 32"},
    {"llama-mha", "{\"architectures\":[\"Qwen2ForCausalLM\"]}", 0, PDK_INVALID,
        "the model has no tensor model.layers.0.self_attn.q_proj.bias"},
    {"qwen2", "{\"architectures\":[\"MistralForCausalLM\"]}", 0, PDK_UNSUPPORTED,
        "no use for: model.layers.0.self_attn.k_proj.bias"},
    {"llama-mha", "{\"nonsense\":1}", 0, PDK_INVALID, "'nonsense' has no effect"},
    {"llama-mha", "[1]", 0, PDK_INVALID, "--hf-overrides must be a JSON object, not array"},
    {"llama-mha", "{", 0, PDK_INVALID, "--hf-overrides: "},
    {"opt-350m-like", "{\"max_position_embeddings\":256}", 0, PDK_INVALID,
        "is 514 x 32; by the configuration it is 258 x 32"},
    {"mixtral", NULL, 0, PDK_OK, ""},
    {"mixtral", "{\"num_experts_per_tok\":5}", 0, PDK_INVALID,
        "num_experts_per_tok is 5; it may be 1 to the number of experts, 4"},
    {"mixtral", "{\"num_local_experts\":5}", 0, PDK_INVALID,
        "model.layers.0.block_sparse_moe.gate.weight is 4 x 32; by the configuration it is 5 x 32"},
    {"mixtral", "{\"num_local_experts\":1025}", 0, PDK_INVALID, "num_local_experts is 1025; it may be 0 to 1024"},
    {"mixtral", "{\"intermediate_size\":48}", 0, PDK_INVALID,
        "model.layers.0.block_sparse_moe.experts.0.w1.weight is 56 x 32; by the configuration it is 48 x 32"},
    {"variants/qwen3-moe-sparse", "{\"decoder_sparse_step\":1}", 0, PDK_INVALID,
        "the model has no tensor model.layers.0.mlp.gate.weight"},
    {"variants/qwen3-moe-listed", "{\"mlp_only_layers\":[1]}", 0, PDK_INVALID,
        "no tensor model.layers.0.mlp.gate.weight"},
    {"variants/qwen3-moe-listed", "{\"mlp_only_layers\":1}", 0, PDK_INVALID,
        "mlp_only_layers must be a list of layers"},
    {"variants/gpt-oss-limit", "{\"intermediate_size\":48}", 0, PDK_INVALID,
        "model.layers.0.mlp.experts.gate_up_proj is 4 x 32 x 64; by the configuration it is 4 x 32 x 96"},
    {"variants/deepseek-v3-yarn", "{\"n_group\":3}", 0, PDK_INVALID, "n_group is 3; it must divide the 8 experts"},
    {"variants/deepseek-v3-yarn", "{\"n_group\":8}", 0, PDK_INVALID,
        "n_group is 8; groups chosen by their two best experts need two of the 8 each"},
    {"variants/deepseek-v3-yarn", "{\"topk_group\":3}", 0, PDK_INVALID,
        "topk_group is 3; so many of the 2 groups of 4 experts must hold the 3 that are chosen"},
    {"variants/deepseek-v3-yarn", "{\"topk_method\":\"best\"}", 0, PDK_UNSUPPORTED,
        "topk_method 'best' is not known; known are"},
    {"variants/deepseek-v3-yarn", "{\"scoring_func\":\"tanh\"}", 0, PDK_UNSUPPORTED,
        "scoring_func 'tanh' is not known"},
    {"variants/deepseek-v3-yarn", "{\"kv_lora_rank\":8}", 0, PDK_INVALID,
        "kv_a_proj_with_mqa.weight is 24 x 16; by the configuration it is 12 x 16"},
    {"variants/deepseek-v3-yarn", "{\"qk_rope_head_dim\":3}", 0, PDK_INVALID,
        "qk_rope_head_dim is 3; numbers turn in pairs"},
    {"variants/deepseek-v3-yarn", "{\"num_hidden_layers\":2}", 0, PDK_OK, ""},
    {"variants/deepseek-v3-yarn", "{\"num_hidden_layers\":2,\"num_nextn_predict_layers\":0}", 0, PDK_UNSUPPORTED,
        "a tensor that DeepseekV3ForCausalLM has no use for: model.layers.2."},
    {"bert", NULL, 0, PDK_OK, ""},
    {"bert", "{\"architectures\":[\"BertForMaskedLM\"]}", 0, PDK_OK, ""},
    {"bert", "{\"architectures\":[\"ElectraModel\"]}", 0, PDK_UNSUPPORTED, "architecture 'ElectraModel' is not known"},
    {"bert", "{\"architectures\":[\"BertLMHeadModel\"]}", 0, PDK_UNSUPPORTED, "'BertLMHeadModel' is not known"},
    {"bert", "{\"architectures\":[\"BertForQuestionAnswering\"]}", 0, PDK_UNSUPPORTED, "is not known"},
    {"bert", "{\"architectures\":[\"BertForSequenceClassification\"]}", 0, PDK_INVALID,
        "the model has no tensor classifier.weight, which its classes need"},
    {"bert", "{\"is_decoder\":true}", 0, PDK_UNSUPPORTED, "an encoder used as a decoder is not supported"},
    {"bert", "{\"position_embedding_type\":\"relative_key\"}", 0, PDK_UNSUPPORTED,
        "position_embedding_type 'relative_key' is not supported"},
    {"bert", "{\"type_vocab_size\":3}", 0, PDK_INVALID, "is 2 x 32; by the configuration it is 3 x 32"},
    {"bert-classify", "{\"problem_type\":\"guess\"}", 0, PDK_UNSUPPORTED, "problem type 'guess' is not known"},
    {"bert-classify", "{\"id2label\":{\"a\":\"b\"}}", 0, PDK_INVALID, "id2label: 'a' is no class number below 65536"},
    {"roberta", "{\"max_position_embeddings\":2}", 0, PDK_INVALID,
        "max_position_embeddings is 2; the positions behind that of pad_token_id leave none"},
    {"modernbert", "{\"local_attention\":0}", 0, PDK_INVALID, "local_attention is 0; it may be 1 to"},
    {"llama-mha", "{\"architectures\":[\"LlamaModel\"]}", 0, PDK_OK, ""},
    {"llama-mha", "{\"architectures\":[\"LlamaForSequenceClassification\"]}", 0, PDK_INVALID,
        "the model has no tensor score.weight"},
    {"nothing-here", NULL, 0, PDK_NOT_FOUND, "cannot open"},
};

START_TEST(loads_or_says_why)
{
    char path[4096];
    pdk_error err = {0};
    if (strchr(cases[_i].model, '/') != NULL)
        snprintf(path, sizeof path, "%s", source_path(cases[_i].model));
    else
        snprintf(path, sizeof path, "%s/%s", fixture_path("models"), cases[_i].model);
    ck_assert_msg(try_load(path, cases[_i].overrides, cases[_i].budget, &err) == cases[_i].status, "%s", err.message);
    ck_assert_msg(strstr(err.message, cases[_i].message) != NULL, "'%s' lacks '%s'", err.message, cases[_i].message);
    if (cases[_i].status == PDK_OK)
        ck_assert(told.fraction == 1 && told.count > 10);
}
END_TEST

START_TEST(facts_are_told)
{
    struct run run;
    run_open(&run, fixture_path("models/opt-125m-like"));
    const struct model_facts *facts = model_facts(run.model);
    ck_assert_str_eq(facts->architecture, "OPTForCausalLM");
    ck_assert(
        facts->vocabulary_size == 320 && facts->context_length == 512 && facts->layers == 3 && facts->hidden == 32);
    ck_assert(facts->bos_id == 2 && facts->pad_id == 1 && facts->eos_count == 1 && facts->eos_ids[0] == 2);
    ck_assert(facts->weight_type == PDK_TYPE_F32 && facts->weight_bytes > 200000 && facts->content_hash != 0);
    ck_assert_uint_gt(model_activation_bytes(run.model, 64, 8), 64 * 32 * 4);
    ck_assert_uint_ge(model_kv_block_bytes(run.model, PDK_TYPE_F32), 3 * 2 * 32 * 16 * 4);
    ck_assert_ptr_null(model_gguf(run.model));
    run_close(&run);
}
END_TEST

START_TEST(a_missing_op_is_refused_by_name)
{
    struct run run;
    pdk_error err = {0};
    const struct model_request request = {.path = fixture_path("models/llama-mha")};
    ck_assert_int_eq(run_try(&run, &request, &err), PDK_OK);
    pdk_ops ops = *run.ops;
    ops.attention = NULL;
    struct model_request lacking = {.path = request.path, .ops = &ops, .compute = run.compute};
    struct model *model = NULL;
    ck_assert_int_eq(model_load(&lacking, &model, &err), PDK_UNSUPPORTED);
    ck_assert_str_eq(err.message, "the compute plugin lacks 'attention', which LlamaForCausalLM needs");
    ops = *run.ops;
    ops.size = (uint32_t)offsetof(pdk_ops, kv_copy); /* built before kv_copy was added */
    ck_assert_int_eq(model_load(&lacking, &model, &err), PDK_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.message, "lacks 'kv_copy'"));
    ck_assert_ptr_null(model);
    run_close(&run);
}
END_TEST

/* A folder's files, by name and content; the last one has no name. */
static const struct {
    const char *files[4][2];
    pdk_status status;
    const char *message;
} folders[] = {
    {{{NULL}}, PDK_NOT_FOUND, "or exactly one GGUF file; it holds nothing"},
    {{{"config.json", "{}"}}, PDK_NOT_FOUND, "it holds config.json"},
    {{{"pytorch_model.bin", "x"}, {"config.json", "{}"}}, PDK_UNSUPPORTED,
        "pytorch_model.bin: pickle weights are never executed"},
    {{{"a.gguf", "x"}, {"b.gguf", "x"}}, PDK_NOT_FOUND, "it holds a.gguf, b.gguf"},
    {{{"a.gguf", "x"}}, PDK_INVALID, "not a GGUF file"},
    {{{"m-00001-of-00002.gguf", "x"}, {"m-00002-of-00002.gguf", "x"}}, PDK_INVALID,
        "m-00001-of-00002.gguf: not a GGUF"},
    {{{"config.json", "{}"}, {"a.safetensors", "x"}, {"b.safetensors", "x"}}, PDK_NOT_FOUND,
        "a.safetensors, b.safetensors"},
    {{{"config.json", "[]"}, {"model.safetensors", "x"}}, PDK_INVALID, "config.json must hold an object, not array"},
    {{{"config.json", "{\"a\":1"}, {"model.safetensors", "x"}}, PDK_INVALID, "config.json: unexpected end"},
    {{{"config.json", "{}"}, {"model.safetensors", "x"}}, PDK_INVALID, "1 bytes are too few for a safetensors file"},
    {{{"config.json", "{}"}, {"model.safetensors.index.json", "{}"}}, PDK_INVALID, "has no 'weight_map'"},
    {{{"config.json", "{}"}, {"model.safetensors.index.json", "{\"weight_map\":{\"a\":\"../a.safetensors\"}}"}},
        PDK_INVALID, "weight_map['a'] must be the name of a .safetensors file in the same folder"},
    {{{"config.json", "{}"}, {"model.safetensors.index.json", "{\"weight_map\":{\"a\":\"a.bin\"}}"}}, PDK_INVALID,
        "weight_map['a'] must be the name of"},
    {{{"config.json", "{}"}, {"model.safetensors.index.json", "{\"weight_map\":{\"a\":\"a.safetensors\"}}"}},
        PDK_NOT_FOUND, "a.safetensors"},
};

START_TEST(a_folder_is_a_model_or_listed)
{
    pdk_error err = {0};
    for (size_t i = 0; i < 4 && folders[_i].files[i][0] != NULL; i++)
        temporary_file(folders[_i].files[i][0], folders[_i].files[i][1], strlen(folders[_i].files[i][1]));
    ck_assert_int_eq(try_load(temporary_folder(), NULL, 0, &err), folders[_i].status);
    ck_assert_msg(
        strstr(err.message, folders[_i].message) != NULL, "'%s' lacks '%s'", err.message, folders[_i].message);
}
END_TEST

START_TEST(a_path_to_a_file_is_checked_too)
{
    pdk_error err = {0};
    ck_assert_int_eq(try_load(temporary_file("w.pt", "x", 1), NULL, 0, &err), PDK_UNSUPPORTED);
    ck_assert_str_eq(err.message, "w.pt: pickle weights are never executed; convert the model to safetensors or GGUF");
    ck_assert_int_eq(try_load(temporary_file("w.safetensors", "x", 1), NULL, 0, &err), PDK_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "name the folder that holds it"));
}
END_TEST

static void copy_fixture(const char *from, const char *to)
{
    struct buffer content = {0};
    FILE *file = fopen(fixture_path(from), "rb");
    ck_assert_ptr_nonnull(file);
    char piece[4096];
    for (size_t got = fread(piece, 1, sizeof piece, file); got > 0; got = fread(piece, 1, sizeof piece, file))
        buffer_put(&content, piece, got);
    fclose(file);
    temporary_file(to, content.data, content.length);
    buffer_done(&content);
}

START_TEST(code_of_a_checkpoint_is_named_and_not_run)
{
    struct buffer config = {0};
    pdk_error err = {0};
    copy_fixture("models/llama-mha/model.safetensors", "model.safetensors");
    buffer_puts(&config,
        "{\"auto_map\":{\"AutoModelForCausalLM\":\"evil.Model\"},\"model_type\":\"llama\",\"hidden_size\":32,"
        "\"num_hidden_layers\":3,\"num_attention_heads\":4,\"intermediate_size\":56,\"vocab_size\":320,"
        "\"max_position_embeddings\":512,\"rms_norm_eps\":1e-6,\"eos_token_id\":900}");
    temporary_file("config.json", config.data, config.length);
    static const char generation[] = "{\"top_k\":3,\"eos_token_id\":[5,6]}";
    temporary_file("generation_config.json", generation, strlen(generation));
    struct run run;
    const struct model_request request = {.path = temporary_folder(), .use_generation_config = true, .note = note};
    ck_assert_msg(run_try(&run, &request, &err) == PDK_OK, "%s", err.message);
    ck_assert_str_eq(told.last, "an eos_token_id past the vocabulary was left out");
    const struct model_facts *facts = model_facts(run.model);
    ck_assert(facts->eos_count == 2 && facts->eos_ids[0] == 5 && facts->eos_ids[1] == 6);
    ck_assert(facts->defaults.has == PDK_HAS_TOP_K && facts->defaults.top_k == 3);
    run_close(&run);
    buffer_done(&config);
}
END_TEST

/* Every second of the fixture's tensors from `first` on as a file, in F32, BF16 or F16; `index` gets their names. Data
 * begin at an odd address where `odd`. */
static void write_half(const struct safetensors *whole, size_t first, size_t stride, const char *dtype, bool odd,
    const char *name, struct buffer *index)
{
    struct buffer header = {0}, file = {0}, data = {0};
    buffer_putc(&header, '{');
    for (size_t i = first; i < safetensors_count(whole); i += stride) {
        const struct safetensors_tensor *tensor = safetensors_at(whole, i);
        buffer_printf(
            &header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", data.length == 0 ? "" : ",", tensor->name, dtype);
        for (uint32_t k = 0; k < tensor->rank; k++)
            buffer_printf(&header, "%s%llu", k == 0 ? "" : ",", (unsigned long long)tensor->shape[k]);
        buffer_printf(&header, "],\"data_offsets\":[%zu,", data.length);
        for (size_t k = 0; k < tensor->bytes / sizeof(float); k++) {
            float value;
            uint32_t bits;
            memcpy(&value, (const uint8_t *)tensor->data + k * sizeof value, sizeof value);
            memcpy(&bits, &value, sizeof bits);
            uint16_t half = strcmp(dtype, "F16") == 0 ? half_of(value) : (uint16_t)(bits >> 16);
            buffer_put(
                &data, dtype[0] == 'F' && dtype[1] == '3' ? (const void *)&value : &half, dtype[1] == '3' ? 4 : 2);
        }
        buffer_printf(&header, "%zu]}", data.length);
        buffer_printf(index, "%s\"%s\":\"%s\"", index->length == 0 ? "" : ",", tensor->name, name);
    }
    buffer_putc(&header, '}');
    if ((header.length % 2 != 0) != odd)
        buffer_putc(&header, ' ');
    put_u64(&file, header.length);
    buffer_put(&file, header.data, header.length);
    buffer_put(&file, data.data, data.length);
    temporary_file(name, file.data, file.length);
    buffer_done(&header);
    buffer_done(&file);
    buffer_done(&data);
}

/* The least cosine of the two models' logits of four tokens. */
static double compare_models(const char *one, const char *other)
{
    static const uint32_t prompt[] = {5, 9, 200, 31};
    const char *paths[] = {one, other};
    struct run runs[2];
    for (size_t i = 0; i < 2; i++) {
        run_open(&runs[i], paths[i]);
        run_add(&runs[i], prompt, 4, 0);
        run_all(&runs[i], 4);
    }
    double least = 1;
    for (size_t r = 0; r < 4; r++) {
        const float *x = runs[0].sequences[0].logits + r * 320, *y = runs[1].sequences[0].logits + r * 320;
        double xy = 0, xx = 0, yy = 0;
        for (size_t i = 0; i < 320; i++) {
            xy += (double)x[i] * (double)y[i];
            xx += (double)x[i] * (double)x[i];
            yy += (double)y[i] * (double)y[i];
        }
        least = fmin(least, xy / sqrt(xx * yy));
    }
    run_close(&runs[0]);
    run_close(&runs[1]);
    return least;
}

/* The fixture's tensors in two files with an index load as one, in each type, also from odd addresses. */
START_TEST(an_index_joins_files)
{
    static const char *const dtypes[] = {"F32", "BF16", "F16"};
    struct safetensors *whole = NULL;
    struct buffer names = {0}, index = {0};
    ck_assert_int_eq(safetensors_open(fixture_path("models/llama-mha/model.safetensors"), &whole, NULL), PDK_OK);
    write_half(whole, 0, 2, dtypes[_i], false, "part-0.safetensors", &names);
    write_half(whole, 1, 2, dtypes[_i], true, "part-1.safetensors", &names);
    safetensors_close(whole);
    buffer_printf(&index, "{\"metadata\":{},\"weight_map\":{%s}}", names.data);
    copy_fixture("models/llama-mha/config.json", "config.json");
    temporary_file("model.safetensors.index.json", index.data, index.length);
    double cosine = compare_models(temporary_folder(), fixture_path("models/llama-mha"));
    ck_assert_msg(cosine >= (_i == 0 ? 0.9999999 : 0.995), "%s: cosine %.9f", dtypes[_i], cosine);
    buffer_done(&names);
    buffer_done(&index);
}
END_TEST

int main(void)
{
    fixture_path("models");
    Suite *suite = suite_create("model load");
    TCase *tests = tcase_create("model load");
    tcase_add_loop_test(tests, loads_or_says_why, 0, sizeof cases / sizeof cases[0]);
    tcase_add_test(tests, facts_are_told);
    tcase_add_test(tests, a_missing_op_is_refused_by_name);
    tcase_add_loop_test(tests, a_folder_is_a_model_or_listed, 0, sizeof folders / sizeof folders[0]);
    tcase_add_test(tests, a_path_to_a_file_is_checked_too);
    tcase_add_test(tests, code_of_a_checkpoint_is_named_and_not_run);
    tcase_add_loop_test(tests, an_index_joins_files, 0, 3);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
