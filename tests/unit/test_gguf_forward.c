/* A fixture of the llama family written as GGUF, as llama.cpp's converter does (query and key rows in pairs), in every
 * type that is read: float32 gives the fixture's own logits, the others those of their dequantised weights. */
#include "config.h"

#include "check_main.h"
#include "forward_run.h"
#include "gguf_write.h"
#include "runtimes/huggingface/model/numbers.h"
#include "runtimes/huggingface/model/rope.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LAYERS = 3, HIDDEN = 32, INNER = 56, VOCABULARY = 320, PROMPT = 33, VALUES_MAX = VOCABULARY * HIDDEN };

/* ggml's numbers. */
static const struct {
    int32_t type;
    uint32_t ggml;
} types[] = {{PDK_TYPE_F32, 0}, {PDK_TYPE_F16, 1}, {PDK_TYPE_BF16, 30}, {PDK_TYPE_Q8_0, 8}, {PDK_TYPE_Q4_0, 2},
    {PDK_TYPE_Q4_1, 3}};

struct fixture {
    const char *name;
    uint32_t heads, kv_heads, head_dim;
    float theta;
    bool tied;
};

static float float_of(uint16_t half)
{
    float value;
    numbers_to_floats(PDK_TYPE_F16, &half, 1, &value);
    return value;
}

static int code(float value, float least, float scale, int low, int high)
{
    int q = scale == 0 ? 0 : (int)lrintf((value - least) / scale);
    return q < low ? low : q > high ? high : q;
}

static void put_block(struct buffer *out, int32_t type, const float *x)
{
    float low = x[0], high = x[0];
    for (int i = 1; i < 32; i++) {
        low = fminf(low, x[i]);
        high = fmaxf(high, x[i]);
    }
    float far = fabsf(low) > fabsf(high) ? low : high;
    float step = type == PDK_TYPE_Q8_0 ? fabsf(far) / 127 : type == PDK_TYPE_Q4_0 ? far / -8 : (high - low) / 15;
    uint16_t d = half_of(step), m = half_of(low);
    float scale = float_of(d), least = type == PDK_TYPE_Q4_1 ? float_of(m) : type == PDK_TYPE_Q4_0 ? -8 * scale : 0;
    buffer_put(out, &d, sizeof d);
    if (type == PDK_TYPE_Q4_1)
        buffer_put(out, &m, sizeof m);
    if (type == PDK_TYPE_Q8_0) {
        for (int i = 0; i < 32; i++)
            buffer_putc(out, (char)code(x[i], 0, scale, -127, 127));
        return;
    }
    for (int i = 0; i < 16; i++)
        buffer_putc(out, (char)(code(x[i], least, scale, 0, 15) | code(x[i + 16], least, scale, 0, 15) << 4));
}

static void put_values(struct buffer *out, int32_t type, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i += number_block(type)) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        uint16_t half = type == PDK_TYPE_F16 ? half_of(x[i]) : (uint16_t)(bits >> 16);
        if (type == PDK_TYPE_F32)
            buffer_put(out, &x[i], sizeof x[i]);
        else if (number_block(type) == 1)
            buffer_put(out, &half, sizeof half);
        else
            put_block(out, type, &x[i]);
    }
}

struct writer {
    struct buffer entries, data;
    const struct safetensors *from;
    const struct fixture *fixture;
    int32_t type;
    bool dequantise;       /* write the values that the type keeps, as float32 */
    const char *extra_key; /* one more value, or NULL */
    uint32_t extra_value;
    const char *const *tokens; /* a vocabulary of three, or NULL */
    bool value_as_half;        /* attention's value matrices in F16 beside the other type */
    uint64_t count;
};

static uint32_t ggml_type(int32_t type)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].type == type)
            return types[i].ggml;
    ck_abort();
}

static void put_data(
    struct writer *w, const char *name, int32_t type, const float *values, uint32_t rank, const uint64_t *shape)
{
    size_t count = (size_t)(shape[0] * (rank > 1 ? shape[1] : 1));
    struct buffer bytes = {0};
    put_values(&bytes, type, values, count);
    if (w->dequantise) {
        static float kept[VALUES_MAX];
        numbers_to_floats(type, bytes.data, count, kept);
        buffer_clear(&bytes);
        put_values(&bytes, PDK_TYPE_F32, kept, count);
        type = PDK_TYPE_F32;
    }
    put_tensor(&w->entries, name, rank, shape, ggml_type(type), w->data.length);
    buffer_put(&w->data, bytes.data, bytes.length);
    put_padding(&w->data, 32);
    w->count++;
    buffer_done(&bytes);
}

/* Row h*d + half*(d/2) + i of a head becomes row h*d + 2i + half. */
static void pair_rows(float *values, size_t rows, uint32_t head_dim, size_t columns)
{
    static float paired[VALUES_MAX];
    for (size_t r = 0; r < rows; r++) {
        size_t head = r / head_dim, at = r % head_dim, side = at / (head_dim / 2), i = at % (head_dim / 2);
        memcpy(&paired[(head * head_dim + 2 * i + side) * columns], &values[r * columns], columns * sizeof *values);
    }
    memcpy(values, paired, rows * columns * sizeof *values);
}

static void put_from(struct writer *w, const char *from, const char *to)
{
    static float values[VALUES_MAX];
    const struct safetensors_tensor *tensor = golden_tensor(w->from, from);
    ck_assert_msg(tensor != NULL && tensor->bytes <= sizeof values, "%s", from);
    memcpy(values, tensor->data, tensor->bytes);
    uint64_t shape[2] = {tensor->shape[tensor->rank - 1], tensor->shape[0]};
    if (strstr(to, "attn_q") != NULL || strstr(to, "attn_k") != NULL)
        pair_rows(values, tensor->shape[0], w->fixture->head_dim, tensor->shape[1]);
    /* As the converter does: what does not divide into blocks, and vectors, stay floats. */
    int32_t type = w->value_as_half && strstr(to, "attn_v") != NULL ? PDK_TYPE_F16 : w->type;
    if (tensor->rank == 1 || shape[0] % number_block(type) != 0)
        type = PDK_TYPE_F32;
    put_data(w, to, type, values, tensor->rank, shape);
}

static void put_layer(struct writer *w, uint32_t layer)
{
    static const char *const names[][2] = {{"input_layernorm", "attn_norm"}, {"self_attn.q_proj", "attn_q"},
        {"self_attn.k_proj", "attn_k"}, {"self_attn.v_proj", "attn_v"}, {"self_attn.o_proj", "attn_output"},
        {"post_attention_layernorm", "ffn_norm"}, {"mlp.gate_proj", "ffn_gate"}, {"mlp.up_proj", "ffn_up"},
        {"mlp.down_proj", "ffn_down"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char from[96], to[96];
        snprintf(from, sizeof from, "model.layers.%u.%s.weight", layer, names[i][0]);
        snprintf(to, sizeof to, "blk.%u.%s.weight", layer, names[i][1]);
        put_from(w, from, to);
    }
}

/* What a llama3-scaled model's frequencies are divided by. */
static void put_rope_factors(struct writer *w)
{
    struct rope_config rope = {.type = ROPE_DEFAULT,
        .dims = w->fixture->head_dim,
        .theta = w->fixture->theta,
        .factor = 8,
        .original_context = 64,
        .low_frequency_factor = 1,
        .high_frequency_factor = 4};
    float plain[64], scaled[64], factors[64];
    rope_frequencies(&rope, NULL, plain);
    rope.type = ROPE_LLAMA3;
    rope_frequencies(&rope, NULL, scaled);
    for (uint32_t i = 0; i < rope.dims / 2; i++)
        factors[i] = plain[i] / scaled[i];
    const uint64_t shape[] = {rope.dims / 2};
    put_data(w, "rope_freqs.weight", PDK_TYPE_F32, factors, 1, shape);
}

static void put_metadata(struct buffer *out, const struct writer *w)
{
    bool yarn = strcmp(w->fixture->name, "llama-yarn") == 0;
    put_head(out, 3, w->count, (yarn ? 14u : 11u) + (w->extra_key != NULL) + (w->tokens != NULL));
    put_value_string(out, "general.architecture", "llama");
    put_value_u32(out, "llama.block_count", LAYERS);
    put_value_u32(out, "llama.context_length", 512);
    put_value_u32(out, "llama.embedding_length", HIDDEN);
    put_value_u32(out, "llama.feed_forward_length", INNER);
    put_value_u32(out, "llama.attention.head_count", w->fixture->heads);
    put_value_u32(out, "llama.attention.head_count_kv", w->fixture->kv_heads);
    put_value_u32(out, "llama.attention.key_length", w->fixture->head_dim);
    put_value_f32(out, "llama.attention.layer_norm_rms_epsilon", 1e-6f);
    put_value_f32(out, "llama.rope.freq_base", w->fixture->theta);
    put_value_u32(out, "tokenizer.ggml.eos_token_id", 2);
    if (w->extra_key != NULL)
        put_value_u32(out, w->extra_key, w->extra_value);
    if (w->tokens != NULL) {
        put_string(out, "tokenizer.ggml.tokens");
        put_u32(out, 9);
        put_u32(out, 8);
        put_u64(out, 3);
        for (size_t i = 0; i < 3; i++)
            put_string(out, w->tokens[i]);
    }
    if (yarn) {
        put_value_string(out, "llama.rope.scaling.type", "yarn");
        put_value_f32(out, "llama.rope.scaling.factor", 4);
        put_value_u32(out, "llama.rope.scaling.original_context_length", 64);
    }
}

static const char *write_gguf(struct writer *w)
{
    char name[128];
    struct buffer file = {0};
    snprintf(name, sizeof name, "models/%s/model.safetensors", w->fixture->name);
    struct safetensors *from = NULL;
    ck_assert_int_eq(safetensors_open(fixture_path(name), &from, NULL), PDK_OK);
    w->from = from;
    put_from(w, "model.embed_tokens.weight", "token_embd.weight");
    put_from(w, "model.norm.weight", "output_norm.weight");
    if (!w->fixture->tied)
        put_from(w, "lm_head.weight", "output.weight");
    if (strcmp(w->fixture->name, "llama3-rope") == 0)
        put_rope_factors(w);
    for (uint32_t layer = 0; layer < LAYERS; layer++)
        put_layer(w, layer);
    put_metadata(&file, w);
    buffer_put(&file, w->entries.data, w->entries.length);
    put_padding(&file, 32);
    buffer_put(&file, w->data.data, w->data.length);
    snprintf(name, sizeof name, "%s-%d-%d.gguf", w->fixture->name, (int)w->type, (int)w->dequantise);
    const char *path = temporary_file(name, file.data, file.length);
    safetensors_close(from);
    buffer_done(&file);
    buffer_done(&w->entries);
    buffer_done(&w->data);
    return path;
}

static void run_prompt(struct run *run, const char *path)
{
    uint32_t prompt[PROMPT];
    for (uint32_t i = 0; i < PROMPT; i++)
        prompt[i] = 3 + i * 37 % (VOCABULARY - 3);
    run_open(run, path);
    run_add(run, prompt, PROMPT, 0);
    run_all(run, 16);
}

/* Cosine of the two logits of each row: a backend may round activations where weights are not float32. */
static void check_alike(const struct run *a, const struct run *b, double least, const char *what)
{
    for (size_t r = 0; r < PROMPT; r++) {
        const float *x = a->sequences[0].logits + r * VOCABULARY, *y = b->sequences[0].logits + r * VOCABULARY;
        double xy = 0, xx = 0, yy = 0;
        for (size_t i = 0; i < VOCABULARY; i++) {
            xy += (double)x[i] * (double)y[i];
            xx += (double)x[i] * (double)x[i];
            yy += (double)y[i] * (double)y[i];
        }
        ck_assert_msg(xy / sqrt(xx * yy) >= least, "%s: row %zu has cosine %.9f", what, r, xy / sqrt(xx * yy));
    }
}

static const struct fixture fixtures[] = {{"llama-mha", 4, 4, 8, 10000, false},
    {"llama-gqa-tied", 4, 2, 8, 100000, true}, {"llama3-rope", 4, 1, 32, 500000, false},
    {"llama-yarn", 4, 2, 8, 10000, false}};

START_TEST(float32_gives_the_fixtures_logits)
{
    char name[128];
    struct run run, same;
    struct writer w = {.fixture = &fixtures[_i], .type = PDK_TYPE_F32};
    run_prompt(&run, write_gguf(&w));
    snprintf(name, sizeof name, "models/%s", fixtures[_i].name);
    run_prompt(&same, fixture_path(name));
    ck_assert_ptr_nonnull(model_gguf(run.model));
    ck_assert_str_eq(model_facts(run.model)->architecture, "LlamaForCausalLM");
    ck_assert_uint_eq(model_facts(run.model)->context_length, model_facts(same.model)->context_length);
    for (size_t i = 0; i < PROMPT * VOCABULARY; i++) {
        float is = run.sequences[0].logits[i], want = same.sequences[0].logits[i];
        ck_assert_msg(fabsf(is - want) <= 2e-4f, "%s: %.7g, not %.7g", fixtures[_i].name, (double)is, (double)want);
    }
    run_close(&run);
    run_close(&same);
}
END_TEST

START_TEST(each_type_gives_its_dequantised_weights_logits)
{
    struct run run, same;
    struct writer w = {.fixture = &fixtures[1], .type = types[_i].type};
    struct writer plain = {.fixture = &fixtures[1], .type = types[_i].type, .dequantise = true};
    run_prompt(&run, write_gguf(&w));
    run_prompt(&same, write_gguf(&plain));
    ck_assert_int_eq(model_facts(same.model)->weight_type, PDK_TYPE_F32);
    check_alike(&run, &same, 0.999, number_type_name(types[_i].type));
    run_close(&run);
    run_close(&same);
}
END_TEST

/* Query and key in one type, value in another: they still become one weight. */
START_TEST(mixed_types_are_joined)
{
    struct run run, same;
    struct writer w = {.fixture = &fixtures[0], .type = PDK_TYPE_Q8_0, .value_as_half = true};
    struct writer plain = {.fixture = &fixtures[0], .type = PDK_TYPE_Q8_0, .value_as_half = true, .dequantise = true};
    run_prompt(&run, write_gguf(&w));
    run_prompt(&same, write_gguf(&plain));
    check_alike(&run, &same, 0.999, "mixed");
    run_close(&run);
    run_close(&same);
}
END_TEST

START_TEST(what_a_gguf_says_is_checked)
{
    static const char *const same[] = {"<s>", "a", "<s>"}, *const other[] = {"<s>", "a", "b"};
    static const struct {
        const char *key;
        uint32_t value;
        const char *const *tokens;
        const char *overrides;
        pdk_status status;
        const char *message;
    } rows[] = {
        {NULL, 0, same, NULL, PDK_INVALID, "tokens 0 and 2 are the same text"},
        {NULL, 0, other, NULL, PDK_OK, ""},
        {"llama.rope.scaling.attn_factor", 1, NULL, NULL, PDK_OK, ""},
        {"llama.rope.scaling.yarn_ext_factor", 0, NULL, NULL, PDK_INVALID,
            "llama.rope.scaling.yarn_ext_factor is 0; it may be 1 to 1"},
        {"llama.vocab_size", 321, NULL, NULL, PDK_INVALID, "is 320 x 32; by the configuration it is 321 x 32"},
        {"llama.rope.dimension_count", 1, NULL, NULL, PDK_INVALID,
            "llama.rope.dimension_count is 1; it may be 2 to 4096"},
        {"llama.rope.scaling.factor", 0, NULL, NULL, PDK_INVALID, "llama.rope.scaling.factor is 0; it may be 1 to"},
        {NULL, 0, NULL, "{\"num_hidden_layers\":4}", PDK_INVALID, "the model has no tensor blk.3.attn_norm.weight"},
        {NULL, 0, NULL, "{\"rope_theta\":500}", PDK_OK, ""},
        {NULL, 0, NULL, "{\"bos\\n\":500}", PDK_INVALID, "'bos?' has no effect on this model"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct writer w = {.fixture = &fixtures[0],
            .type = PDK_TYPE_F32,
            .extra_key = rows[i].key,
            .extra_value = rows[i].value,
            .tokens = rows[i].tokens};
        struct run run;
        pdk_error err = {0};
        const struct model_request request = {.path = write_gguf(&w), .overrides = rows[i].overrides};
        ck_assert_msg(run_try(&run, &request, &err) == rows[i].status, "row %zu: %s", i, err.message);
        ck_assert_msg(
            strstr(err.message, rows[i].message) != NULL, "row %zu: '%s' lacks '%s'", i, err.message, rows[i].message);
        run_close(&run);
    }
}
END_TEST

/* A factor without a type is linear scaling, which lengthens the context. */
START_TEST(a_bare_factor_is_linear)
{
    struct writer w = {
        .fixture = &fixtures[0], .type = PDK_TYPE_F32, .extra_key = "llama.rope.scaling.factor", .extra_value = 4};
    struct run run;
    run_open(&run, write_gguf(&w));
    ck_assert_uint_eq(model_facts(run.model)->context_length, 2048);
    run_close(&run);
}
END_TEST

/* The published values of each type, to the bit. */
START_TEST(dequantises_as_published)
{
    static float want[4 * 512], is[4 * 512];
    const char *type = number_type_name(types[_i].type);
    char name[32];
    struct safetensors *quants = NULL;
    ck_assert_int_eq(safetensors_open(fixture_path("quants.safetensors"), &quants, NULL), PDK_OK);
    snprintf(name, sizeof name, "%s.raw", type);
    const struct safetensors_tensor *raw = golden_tensor(quants, name);
    snprintf(name, sizeof name, "%s.values", type);
    const struct safetensors_tensor *values = golden_tensor(quants, name);
    ck_assert(raw != NULL && values != NULL && values->bytes == sizeof want);
    memcpy(want, values->data, sizeof want);
    numbers_to_floats(types[_i].type, raw->data, 4 * 512, is);
    for (size_t i = 0; i < 4 * 512; i++)
        ck_assert_msg(fabsf(is[i] - want[i]) <= 1e-6f * fabsf(want[i]), "%s: value %zu is %.9g, not %.9g", type, i,
            (double)is[i], (double)want[i]);
    safetensors_close(quants);
}
END_TEST

int main(void)
{
    fixture_path("models");
    fixture_path("quants.safetensors");
    Suite *suite = suite_create("gguf forward");
    TCase *tests = tcase_create("gguf forward");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, float32_gives_the_fixtures_logits, 0, sizeof fixtures / sizeof fixtures[0]);
    tcase_add_loop_test(tests, each_type_gives_its_dequantised_weights_logits, 0, sizeof types / sizeof types[0]);
    tcase_add_test(tests, mixed_types_are_joined);
    tcase_add_test(tests, what_a_gguf_says_is_checked);
    tcase_add_test(tests, a_bare_factor_is_linear);
    tcase_add_loop_test(tests, dequantises_as_published, 0, sizeof types / sizeof types[0]);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
