/* runtimes/huggingface/model/model_config.c, config_reader.c, rope_config.c, generation_config.c: ranges, divisors,
 * unknown names; each by a change to a good configuration. */
#include "config.h"

#include "check_main.h"
#include "runtimes/huggingface/model/generation_config.h"
#include "runtimes/huggingface/model/model_config.h"
#include "runtimes/huggingface/model/rope.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char base[] =
    "{\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"llama\",\"hidden_size\":32,\"num_hidden_layers\":3,"
    "\"num_attention_heads\":4,\"num_key_value_heads\":2,\"intermediate_size\":56,\"vocab_size\":320,\"hidden_act\":"
    "\"silu\","
    "\"max_position_embeddings\":512,\"rms_norm_eps\":1e-6,\"rope_theta\":10000.0,\"bos_token_id\":1,\"eos_token_id\":["
    "2,7],"
    "\"pad_token_id\":null,\"tie_word_embeddings\":true}";

static const struct {
    const char *changes; /* merged over `base`, as --hf-overrides are */
    pdk_status status;
    const char *message;
} cases[] = {
    {"{}", PDK_OK, ""},
    {"{\"num_hidden_layers\":0}", PDK_INVALID, "num_hidden_layers is 0; it may be 1 to 1024"},
    {"{\"num_hidden_layers\":-1}", PDK_INVALID, "num_hidden_layers is -1; it may be 1 to 1024"},
    {"{\"num_hidden_layers\":2.5}", PDK_INVALID, "num_hidden_layers is 2.5; it must be a whole number"},
    {"{\"num_hidden_layers\":\"3\"}", PDK_INVALID, "num_hidden_layers must be a whole number, not string"},
    {"{\"num_hidden_layers\":null}", PDK_INVALID, "the configuration has no num_hidden_layers"},
    {"{\"hidden_size\":1000000000000}", PDK_INVALID, "hidden_size is 1000000000000; it may be 1 to 262144"},
    {"{\"hidden_size\":4294967328}", PDK_INVALID, "hidden_size is 4294967328; it may be 1 to 262144"},
    {"{\"hidden_size\":33}", PDK_INVALID, "num_attention_heads is 4; it must divide hidden_size (33)"},
    {"{\"num_attention_heads\":0}", PDK_INVALID, "num_attention_heads is 0; it may be 1 to 4096"},
    {"{\"num_attention_heads\":3,\"num_key_value_heads\":2}", PDK_INVALID,
        "num_key_value_heads is 2; it must divide the 3 heads"},
    {"{\"num_key_value_heads\":0}", PDK_INVALID, "num_key_value_heads is 0; it may be 1 to 4096"},
    {"{\"head_dim\":4096,\"num_attention_heads\":4096,\"num_key_value_heads\":1}", PDK_INVALID, "are too wide"},
    {"{\"head_dim\":7}", PDK_INVALID, "7 of a head's 7 numbers are turned; it must be an even share"},
    {"{\"v_head_dim\":16}", PDK_UNSUPPORTED, "values of 16 beside keys of 8 numbers a head"},
    {"{\"vocab_size\":1e18}", PDK_INVALID, "vocab_size is 1e+18; it may be 1 to 16777216"},
    {"{\"rms_norm_eps\":-1}", PDK_INVALID, "rms_norm_eps is -1; it may be 0 to 1"},
    {"{\"tie_word_embeddings\":1}", PDK_INVALID, "tie_word_embeddings must be true or false, not number"},
    {"{\"hidden_act\":\"mish\"}", PDK_UNSUPPORTED, "activation 'mish' is not known; known are relu,"},
    {"{\"architectures\":[\"MambaForCausalLM\"]}", PDK_UNSUPPORTED,
        "architecture 'MambaForCausalLM' is not known; known are LlamaForCausalLM, MistralForCausalLM"},
    {"{\"architectures\":[\"LlamaForSequenceClassification\"]}", PDK_OK, ""},
    {"{\"architectures\":[\"LlamaForObjectDetection\"]}", PDK_UNSUPPORTED, "is not known"},
    {"{\"architectures\":null,\"model_type\":\"mamba\"}", PDK_UNSUPPORTED, "architecture 'mamba' is not known"},
    {"{\"architectures\":null,\"model_type\":null}", PDK_INVALID, "neither 'architectures' nor 'model_type'"},
    {"{\"architectures\":[\"a\",\"b\"]}", PDK_INVALID, "architectures must be a list of one name"},
    {"{\"quantization_config\":{\"quant_method\":\"bitsandbytes\"}}", PDK_UNSUPPORTED,
        "bitsandbytes' is not read; known: "},
    {"{\"rope_scaling\":{\"rope_type\":\"longrope\",\"factor\":2}}", PDK_INVALID,
        "rope.short_factor must be a list of 4 numbers"},
    {"{\"rope_scaling\":{\"type\":\"su\",\"long_factor\":[1,2,3,0]},\"original_max_position_embeddings\":64}",
        PDK_INVALID, "rope.long_factor[3] must be a number from 0.001 to 1e6"},
    {"{\"rope_scaling\":{\"type\":\"mrope\"}}", PDK_UNSUPPORTED, "rope type 'mrope' is not known"},
    {"{\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4,\"twist\":1}}", PDK_UNSUPPORTED,
        "rope_scaling.twist is not known"},
    {"{\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":0}}", PDK_INVALID,
        "rope.factor is 0; it may be 1 to 1000000"},
    {"{\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8}}", PDK_INVALID,
        "rope type llama3 needs original_max_position"},
    {"{\"rope_scaling\":[]}", PDK_INVALID, "rope_scaling must be an object, not array"},
    {"{\"rope_theta\":0}", PDK_INVALID, "rope_theta is 0; it may be 2 to 1000000000000"},
    {"{\"partial_rotary_factor\":0.1}", PDK_INVALID, "0 of a head's 8 numbers are turned"},
    {"{\"layer_types\":[\"full_attention\"]}", PDK_INVALID, "layer_types must be a list of 3 names"},
    {"{\"layer_types\":[\"full_attention\",\"linear_attention\",\"full_attention\"]}", PDK_UNSUPPORTED,
        "layer type 'linear_attention' is not known"},
    {"{\"layer_types\":[\"full_attention\",\"sliding_attention\",\"full_attention\"]}", PDK_INVALID,
        "layer_types[1] is sliding_attention, and sliding_window is not set"},
    {"{\"no_rope_layers\":[1,1,2]}", PDK_INVALID, "no_rope_layers[2] must be 0 or 1"},
    {"{\"eos_token_id\":-2}", PDK_INVALID, "eos_token_id must be a token id or a list of them"},
    {"{\"eos_token_id\":[1,4294967296]}", PDK_INVALID, "eos_token_id is 4294967296; it may be 0 to 2147483647"},
    {"{\"bos_token_id\":\"<s>\"}", PDK_INVALID, "bos_token_id must be a token id"},
    {"{\"add_cross_attention\":true}", PDK_UNSUPPORTED, "add_cross_attention is not supported"},
    {"{\"architectures\":[\"Gemma3ForConditionalGeneration\"]}", PDK_INVALID, "text_config must be an object"},
    {"{\"architectures\":[\"FalconForCausalLM\"],\"num_ln_in_parallel_attn\":3}", PDK_INVALID,
        "num_ln_in_parallel_attn is 3; it may be 1 to 2"},
    {"{\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"x\"}}}", PDK_UNSUPPORTED, "rope type 'x' is not known"},
    {"{\"rope_parameters\":{\"full_attention\":{},\"sliding_attention\":[]}}", PDK_INVALID,
        "sliding_attention must be an object, not array"},
    {"{\"made_up\":1}", PDK_INVALID, "--hf-overrides: 'made_up' has no effect on this model"},
};

static struct json_document *read_text(const char *text)
{
    struct json_document *document = NULL;
    const struct json_limits limits = {.bytes = 1 << 20, .depth = 16, .nodes = 10000, .allow_nan = true};
    pdk_error err = {0};
    ck_assert_msg(json_read(text, strlen(text), &limits, &document, &err) == PDK_OK, "%s", err.message);
    return document;
}

static uint32_t wanted_context; /* of the requests to be served; each test has its own process */

static pdk_status read_config(const char *file, const char *changes, struct model_config *ret_config, pdk_error *err)
{
    struct json_document *config = read_text(file), *overrides = read_text(changes);
    struct config_reader reader;
    pdk_status status = config_reader_init(&reader, json_root(config), NULL, json_root(overrides), err);
    reader.wanted_context = wanted_context;
    if (status == PDK_OK)
        status = model_config_read(&reader, ret_config, err);
    if (status == PDK_OK)
        status = config_reader_finish(&reader, err);
    json_document_free(config);
    json_document_free(overrides);
    return status;
}

START_TEST(reads_or_says_why)
{
    static struct model_config config;
    pdk_error err = {0};
    ck_assert_int_eq(read_config(base, cases[_i].changes, &config, &err), cases[_i].status);
    ck_assert_msg(strstr(err.message, cases[_i].message) != NULL, "'%s' lacks '%s'", err.message, cases[_i].message);
}
END_TEST

START_TEST(good_values_arrive)
{
    static struct model_config config;
    ck_assert_int_eq(read_config(base, "{}", &config, NULL), PDK_OK);
    ck_assert(
        config.hidden == 32 && config.layers == 3 && config.heads == 4 && config.kv_heads == 2 && config.head_dim == 8);
    ck_assert(
        config.inner == 56 && config.vocabulary == 320 && config.context == 512 && config.tied && !config.parallel);
    ck_assert(config.bos_id == 1 && config.pad_id == -1 && config.eos_count == 2 && config.eos_ids[1] == 7);
    ck_assert(config.rope.dims == 8 && config.rope.theta == 10000 && config.rope.type == ROPE_DEFAULT);
    ck_assert(fabs(config.attention_scale - 1 / sqrt(8)) < 1e-12 && config.final_norm && !config.windowed[0]);
}
END_TEST

START_TEST(rope_is_read_old_and_new)
{
    static struct model_config config;
    ck_assert_int_eq(
        read_config(base, "{\"rope_scaling\":{\"type\":\"linear\",\"factor\":4.0}}", &config, NULL), PDK_OK);
    ck_assert(config.rope.type == ROPE_LINEAR && config.rope.factor == 4 && config.context == 2048);
    static const char parameters[] = "{\"rope_parameters\":{\"rope_type\":\"yarn\",\"factor\":4,\"rope_theta\":5000,"
                                     "\"original_max_position_embeddings\":64}}";
    ck_assert_int_eq(read_config(base, parameters, &config, NULL), PDK_OK);
    ck_assert(config.rope.type == ROPE_YARN && config.rope.theta == 5000 && config.context == 256);
    ck_assert_int_eq(read_config(base, "{\"rope_theta\":123}", &config, NULL), PDK_OK);
    ck_assert(config.rope.theta == 123);
    /* An override says how to scale; the file's own base and share stay. */
    char file[sizeof base + 128];
    snprintf(
        file, sizeof file, "{\"rope_parameters\":{\"rope_theta\":7000,\"partial_rotary_factor\":0.5},%s", base + 1);
    char *old = strstr(file, "\"rope_theta\":10000.0,");
    memmove(old, old + 21, strlen(old + 21) + 1);
    ck_assert_int_eq(
        read_config(file, "{\"rope_scaling\":{\"type\":\"linear\",\"factor\":4.0}}", &config, NULL), PDK_OK);
    ck_assert(config.rope.type == ROPE_LINEAR && config.rope.theta == 7000 && config.rope.dims == 4);
}
END_TEST

static void check_frequencies(const struct rope_config *rope, const double want[4], double magnitude)
{
    float is[4];
    ck_assert_uint_eq(rope->dims, 8);
    rope_frequencies(rope, NULL, is);
    for (int i = 0; i < 4; i++)
        ck_assert_msg(fabs(is[i] / want[i] - 1) < 1e-5, "frequency %d is %.9g, not %.9g", i, (double)is[i], want[i]);
    ck_assert(fabs((double)rope_magnitude(rope) / magnitude - 1) < 1e-6);
}

/* Numbers of transformers' modeling_rope_utils. */
START_TEST(ropes_follow_the_context_to_be_served)
{
    static struct model_config config;
    static const char dynamic[] = "{\"rope_scaling\":{\"rope_type\":\"dynamic\",\"factor\":3}}";
    static const char phi3[] =
        "{\"architectures\":[\"Phi3ForCausalLM\"],\"original_max_position_embeddings\":64,\"rope_scaling\":{\"type\":"
        "\"longrope\",\"short_factor\":[1,1.5,2,3],\"long_factor\":[2,4,6,8]}}";
    ck_assert_int_eq(read_config(base, dynamic, &config, NULL), PDK_OK);
    check_frequencies(&config.rope, (const double[]){1, 0.1, 0.01, 0.001}, 1);
    ck_assert_int_eq(read_config(base, phi3, &config, NULL), PDK_OK);
    ck_assert_uint_eq(config.context, 512);
    check_frequencies(&config.rope, (const double[]){0.5, 2.5e-2, 1.66666667e-3, 1.25e-4}, 1.224744871391589);
    wanted_context = 64;
    ck_assert_int_eq(read_config(base, phi3, &config, NULL), PDK_OK);
    check_frequencies(&config.rope, (const double[]){1, 6.66666667e-2, 5e-3, 3.33333333e-4}, 1.224744871391589);
    wanted_context = 1024;
    ck_assert_int_eq(read_config(base, dynamic, &config, NULL), PDK_OK);
    ck_assert_uint_eq(config.context, 1536);
    check_frequencies(
        &config.rope, (const double[]){1, 0.06299605220556259, 0.00396850286051631, 0.00025000001187436}, 1);
}
END_TEST

/* What a text_config leaves out is what the first release had; what stands around it counts too. */
START_TEST(a_text_config_is_read_with_its_defaults)
{
    static const char nested[] =
        "{\"architectures\":[\"Gemma3ForConditionalGeneration\"],\"eos_token_id\":[1,106],\"text_config\":{"
        "\"hidden_size\":64,\"intermediate_size\":96,\"num_hidden_layers\":7,\"sliding_window\":16,\"rope_scaling\":{"
        "\"factor\":8.0,\"rope_type\":\"linear\"}}}";
    static struct model_config config;
    ck_assert_int_eq(read_config(nested, "{}", &config, NULL), PDK_OK);
    ck_assert(config.heads == 8 && config.kv_heads == 4 && config.head_dim == 256 && config.vocabulary == 262208);
    ck_assert(config.context == 131072 && config.tied && config.eos_count == 2 && config.eos_ids[1] == 106);
    ck_assert(fabs(config.attention_scale - 1.0 / 16) < 1e-12 && config.embedding_scale == 8);
    ck_assert(config.windowed[4] && !config.windowed[5] && config.windowed[6] && config.window == 16);
    ck_assert(config.rope.type == ROPE_LINEAR && config.rope.factor == 8 && config.rope.theta == 1e6);
    ck_assert(config.local_rope.type == ROPE_DEFAULT && config.local_rope.theta == 10000);
    ck_assert_int_eq(
        read_config(nested, "{\"sliding_window_pattern\":3,\"rope_local_base_freq\":500}", &config, NULL), PDK_OK);
    ck_assert(!config.windowed[2] && config.windowed[3] && !config.windowed[5] && config.local_rope.theta == 500);
}
END_TEST

/* Falcon's three shapes: which heads, and which norms a block lacks. */
START_TEST(switches_shape_a_block)
{
    static const struct {
        const char *changes;
        uint32_t kv_heads;
        bool parallel, has_mlp_norm;
    } shapes[] = {
        {"{\"num_kv_heads\":4}", 1, true, false},
        {"{\"parallel_attn\":false}", 1, false, true},
        {"{\"multi_query\":false,\"parallel_attn\":true}", 2, true, false},
        {"{\"new_decoder_architecture\":true,\"parallel_attn\":false}", 2, true, true},
        {"{\"new_decoder_architecture\":true,\"num_ln_in_parallel_attn\":1}", 2, true, false},
    };
    static struct model_config config;
    char falcon[sizeof base + 32];
    snprintf(falcon, sizeof falcon, "{\"architectures\":[\"FalconForCausalLM\"],%s", strchr(base, ',') + 1);
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        ck_assert_int_eq(read_config(falcon, shapes[i].changes, &config, NULL), PDK_OK);
        bool has = (config.absent & ROLE_BIT(ROLE_MLP_NORM)) == 0;
        ck_assert_msg(config.kv_heads == shapes[i].kv_heads && config.parallel == shapes[i].parallel &&
                          has == shapes[i].has_mlp_norm,
            "%s", shapes[i].changes);
    }
}
END_TEST

START_TEST(windows_follow_layer_types_and_switches)
{
    static struct model_config config;
    ck_assert_int_eq(
        read_config(base,
            "{\"sliding_window\":9,\"layer_types\":[\"full_attention\",\"sliding_attention\",\"full_attention\"]}",
            &config, NULL),
        PDK_OK);
    ck_assert(config.window == 9 && !config.windowed[0] && config.windowed[1] && !config.windowed[2]);
    static const char qwen[] =
        "{\"architectures\":[\"Qwen2ForCausalLM\"],\"sliding_window\":9,\"use_sliding_window\":false}";
    ck_assert_int_eq(read_config(base, qwen, &config, NULL), PDK_OK);
    ck_assert(config.window == 0 && !config.windowed[0]);
    static const char on[] =
        "{\"architectures\":[\"Qwen2ForCausalLM\"],\"sliding_window\":9,\"use_sliding_window\":true,"
        "\"max_window_layers\":2}";
    ck_assert_int_eq(read_config(base, on, &config, NULL), PDK_OK);
    ck_assert(config.window == 9 && !config.windowed[1] && config.windowed[2]);
}
END_TEST

static const struct {
    const char *text;
    const char *message; /* "": taken */
    uint32_t has;
} generations[] = {
    {"{\"temperature\":0.6,\"top_p\":0.9,\"top_k\":20,\"do_sample\":true}", "",
        PDK_HAS_TEMPERATURE | PDK_HAS_TOP_P | PDK_HAS_TOP_K},
    {"{\"min_p\":0.05,\"repetition_penalty\":1.1,\"max_new_tokens\":77}", "",
        PDK_HAS_MIN_P | PDK_HAS_REPETITION_PENALTY | PDK_HAS_MAX_TOKENS},
    {"{\"temperature\":null,\"eos_token_id\":2}", "", 0},
    {"{\"temperature\":-1}", "g: temperature is -1; it may be 0 to 2", 0},
    {"{\"top_p\":0}", "g: top_p is 0; it may be", 0},
    {"{\"top_p\":NaN}", "g: top_p is nan; it may be", 0},
    {"{\"top_k\":1.5}", "g: top_k must be a whole number", 0},
    {"{\"max_new_tokens\":1e30}", "g: max_new_tokens is 1e+30", 0},
    {"{\"temperature\":\"0.6\"}", "g: temperature must be a number, not string", 0},
};

START_TEST(generation_defaults_have_ranges)
{
    struct json_document *document = read_text(generations[_i].text);
    pdk_sampling sampling = {0};
    pdk_error err = {0};
    pdk_status status = generation_config_read(json_root(document), "g: ", &sampling, &err);
    ck_assert_int_eq(status, generations[_i].message[0] == '\0' ? PDK_OK : PDK_INVALID);
    ck_assert_msg(strstr(err.message, generations[_i].message) != NULL, "%s", err.message);
    if (status == PDK_OK)
        ck_assert_uint_eq(sampling.has, generations[_i].has);
    if (sampling.has & PDK_HAS_TOP_K)
        ck_assert(sampling.top_k == 20 && sampling.temperature == 0.6);
    json_document_free(document);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model config");
    TCase *tests = tcase_create("model config");
    tcase_add_loop_test(tests, reads_or_says_why, 0, sizeof cases / sizeof cases[0]);
    tcase_add_test(tests, good_values_arrive);
    tcase_add_test(tests, rope_is_read_old_and_new);
    tcase_add_test(tests, ropes_follow_the_context_to_be_served);
    tcase_add_test(tests, a_text_config_is_read_with_its_defaults);
    tcase_add_test(tests, switches_shape_a_block);
    tcase_add_test(tests, windows_follow_layer_types_and_switches);
    tcase_add_loop_test(tests, generation_defaults_have_ranges, 0, sizeof generations / sizeof generations[0]);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
