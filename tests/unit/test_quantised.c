/* runtimes/huggingface/model/quantis*.c: checkpoints in codes give the logits of their dequantised weights, packed
 * small; what is not read is refused by name. The checkpoints are the source tree's own: tests/fixtures/quantised. */
#include "config.h"

#include "core/base/buffer.h"
#include "core/base/file.h"

#include "check_main.h"
#include "forward_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const float tolerance = 2e-4f;

static const struct {
    const char *name, *method;
    double bits; /* of a weight of the linears, at most; panels of 64 columns have much head */
} formats[] = {
    {"awq-g32", "awq", 7.3},
    {"gptq-4", "gptq", 6},
    {"gptq-4-act-order", "gptq", 6},
    {"gptq-4-v2-whole", "gptq", 6},
    {"gptq-8", "gptq", 10},
    {"gptq-2-g16", "gptq", 33}, /* its groups are no whole cells */
    {"fp8-tensor", "fp8", 9.1},
    {"fp8-block", "fp8", 12},
    {"ct-int8", "compressed-tensors", 9.1},
    {"ct-int8-asym", "compressed-tensors", 10},
    {"ct-fp8-channel", "compressed-tensors", 9.1},
    {"ct-fp8-tensor", "compressed-tensors", 9.1},
    {"ct-int4", "compressed-tensors", 6},
    {"ct-int4-asym", "compressed-tensors", 6},
    {"ct-int8-packed", "compressed-tensors", 9.1},
};
enum { FORMATS = sizeof formats / sizeof formats[0], PROMPTS = 3 };

static const char *own_fixture(const char *name)
{
    static char path[4096];
    const char *top = getenv("top_srcdir");
    snprintf(path, sizeof path, "%s/tests/fixtures/quantised/%s", top != NULL ? top : ".", name);
    return path;
}

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

static void check_greedy(const struct run_sequence *sequence, const uint32_t *want, uint32_t count, const char *model)
{
    for (uint32_t i = 0; i < count; i++)
        ck_assert_msg(sequence->tokens[sequence->prompt + i] == want[i], "%s: greedy %u is %u, not %u", model, i,
            sequence->tokens[sequence->prompt + i], want[i]);
}

START_TEST(logits_are_the_dequantised_weights)
{
    const char *model = formats[_i].name;
    struct run run;
    run_open(&run, own_fixture(model));
    const struct model_facts *facts = model_facts(run.model);
    ck_assert_str_eq(facts->quantisation, formats[_i].method);
    struct safetensors *golden = NULL;
    char name[128];
    snprintf(name, sizeof name, "%s/golden.safetensors", model);
    ck_assert_int_eq(safetensors_open(own_fixture(name), &golden, NULL), PDK_OK);
    for (uint32_t k = 0; k < PROMPTS; k++) {
        uint32_t ids[RUN_TOKENS_MAX], greedy[64];
        snprintf(name, sizeof name, "prompt_%u", k);
        uint32_t count = golden_ids(golden, name, ids, RUN_TOKENS_MAX);
        snprintf(name, sizeof name, "greedy_%u", k);
        uint32_t wanted = golden_ids(golden, name, greedy, 64);
        run_add(&run, ids, count, wanted);
        run_all(&run, 16);
        check_logits(&run.sequences[0], golden, k, facts->vocabulary_size, model);
        check_greedy(&run.sequences[0], greedy, wanted, model);
        run_clear(&run);
    }
    /* Embedding and head are halves, padded to whole panels they have 64 rows; norms are floats. */
    double linears = 64 * 64 + 2 * 32 * 64 + 64 * 64 + 3 * 96 * 64, others = 2 * 64 * 64 * 2 + 3 * 64 * 4;
    ck_assert_double_le((double)facts->weight_bytes - others, linears * formats[_i].bits / 8);
    safetensors_close(golden);
    run_close(&run);
}
END_TEST

/* A copy of a checkpoint whose config.json has `from` replaced by `to`. */
static const char *changed(const char *model, const char *from, const char *to)
{
    static char folder[64], path[256];
    struct buffer config = {0}, weights = {0}, out = {0};
    char name[128];
    pdk_error err = {0};
    snprintf(folder, sizeof folder, "/tmp/paddock-quantised-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(name, sizeof name, "%s/config.json", model);
    ck_assert_int_eq(file_read(own_fixture(name), 1 << 20, &config, &err), PDK_OK);
    snprintf(name, sizeof name, "%s/model.safetensors", model);
    ck_assert_int_eq(file_read(own_fixture(name), 1 << 20, &weights, &err), PDK_OK);
    const char *found = strstr(config.data, from);
    ck_assert_msg(found != NULL, "%s: config.json lacks %s", model, from);
    buffer_printf(&out, "%.*s%s%s", (int)(found - (const char *)config.data), config.data, to, found + strlen(from));
    snprintf(path, sizeof path, "%s/config.json", folder);
    ck_assert_int_eq(file_replace(path, out.data, out.length, 0600, NULL), PDK_OK);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    ck_assert_int_eq(file_replace(path, weights.data, weights.length, 0600, NULL), PDK_OK);
    buffer_done(&config);
    buffer_done(&weights);
    buffer_done(&out);
    return folder;
}

static const struct {
    const char *model, *from, *to;
    pdk_status status;
    const char *message;
} refused[] = {
    {"awq-g32", "\"awq\"", "\"bitsandbytes\"", PDK_UNSUPPORTED,
        "quantization_config: quant_method 'bitsandbytes' is not read; known: awq, gptq, fp8, compressed-tensors, "
        "mxfp4"},
    {"awq-g32", "\"gemm\"", "\"gemv\"", PDK_UNSUPPORTED,
        "quantization_config: version 'gemv' is not read; known: gemm"},
    {"awq-g32", "\"bits\": 4", "\"bits\": 3", PDK_UNSUPPORTED,
        "quantization_config: awq of 3 bits is not read; known: 4"},
    {"awq-g32", "\"group_size\": 32", "\"group_size\": 64", PDK_INVALID,
        "scales (F16, 3 x 64) does not fit the codes it belongs to"},
    {"awq-g32", "\"group_size\": 32", "\"group_size\": -7", PDK_INVALID,
        "quantization_config: group_size must be a whole number from -1 to 16777216"},
    {"gptq-4", "\"bits\": 4", "\"bits\": 3", PDK_UNSUPPORTED,
        "quantization_config: gptq of 3 bits is not read; known: 2, 4, 8"},
    {"gptq-4", "\"bits\": 4", "\"bits\": 8", PDK_INVALID, "does not fit the codes it belongs to"},
    {"gptq-4", "\"sym\": true", "\"checkpoint_format\": \"marlin\"", PDK_UNSUPPORTED,
        "checkpoint_format 'marlin' is not read; known: gptq, gptq_v2"},
    {"gptq-4", "\"sym\": true", "\"dynamic\": {\"-:.*up\": {}}", PDK_UNSUPPORTED,
        "quantization_config: 'dynamic', settings of single modules, is not read"},
    {"fp8-tensor", "\"static\"", "\"static\", \"fmt\": \"e5m2\"", PDK_UNSUPPORTED,
        "fmt 'e5m2' is not read; known: e4m3"},
    {"fp8-block", "32,\n   32", "0,\n   32", PDK_INVALID,
        "quantization_config: weight_block_size must be two whole numbers from 1 to 16777216"},
    {"fp8-block", "32,\n   32", "64,\n   64", PDK_INVALID, "does not fit the codes it belongs to"},
    {"ct-int8", "\"int-quantized\"", "\"marlin-24\"", PDK_UNSUPPORTED,
        "quantization_config: format 'marlin-24' is not read; known: int-quantized, float-quantized, pack-quantized, "
        "naive-quantized"},
    {"ct-int8", "\"num_bits\": 8", "\"num_bits\": 6", PDK_UNSUPPORTED,
        "weights of type int with 6 bits are not read; known: int of 4 and 8, float of 8"},
    {"ct-int4", "\"pack-quantized\"", "\"pack-quantized\", \"sparsity_config\": {\"format\": \"sparse-24-bitmask\"}",
        PDK_UNSUPPORTED, "sparsity_config.format 'sparse-24-bitmask' is not read; known: dense"},
    {"ct-int4", "\"quantization_config\"", "\"quantisation_config\"", PDK_INVALID, "the model has no tensor"},
};

START_TEST(what_is_not_read_is_named)
{
    struct run run;
    pdk_error err = {0};
    const char *folder = changed(refused[_i].model, refused[_i].from, refused[_i].to);
    const struct model_request request = {.path = folder};
    ck_assert_msg(run_try(&run, &request, &err) != PDK_OK, "%s with %s loads", refused[_i].model, refused[_i].to);
    ck_assert_msg(
        strstr(err.message, refused[_i].message) != NULL, "'%s' lacks '%s'", err.message, refused[_i].message);
    ck_assert_int_eq(err.status, refused[_i].status);
    run_close(&run);
    folder_remove(-100, folder);
}
END_TEST

static char notes[1024];

static void take_note(void *context, const char *text)
{
    (void)context;
    snprintf(notes + strlen(notes), sizeof notes - strlen(notes), "%s\n", text);
}

START_TEST(what_has_no_effect_is_said)
{
    struct run run;
    pdk_error err = {0};
    struct model_request request = {.path = own_fixture("fp8-tensor"), .note = take_note};
    ck_assert_msg(run_try(&run, &request, &err) == PDK_OK, "%s", err.message);
    ck_assert_ptr_nonnull(strstr(notes, "activations stay float"));
    ck_assert_ptr_null(strstr(notes, "kv_cache_scheme"));
    run_close(&run);
    const char *folder = changed("ct-int8", "\"ignore\"", "\"kv_cache_scheme\": {\"num_bits\": 8}, \"ignore\"");
    request.path = folder;
    ck_assert_msg(run_try(&run, &request, &err) == PDK_OK, "%s", err.message);
    ck_assert_ptr_nonnull(strstr(notes, "kv_cache_scheme has no effect"));
    run_close(&run);
    folder_remove(-100, folder);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("quantised");
    TCase *tests = tcase_create("quantised");
    tcase_add_loop_test(tests, logits_are_the_dequantised_weights, 0, FORMATS);
    tcase_add_loop_test(tests, what_is_not_read_is_named, 0, sizeof refused / sizeof refused[0]);
    tcase_add_test(tests, what_has_no_effect_is_said);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
