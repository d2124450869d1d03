/* plugins/cpu: a row has the same bits alone and in any company, however a prompt was cut, on any number of threads. */
#include "config.h"

#include "ops_rig.h"

#include "check_main.h"

enum { TYPES = WEIGHT_TYPES - 1 };

/* 33 rows of a gated linear in batches of 1 to 18, 23, 28 and 33, on 1 to 3 threads. */
START_TEST(rows_of_any_batch_are_equal)
{
    enum { ROWS = 33, COLUMNS = 256, OUTPUTS = 75 };
    int isa = _i / TYPES, type = 1 + _i % TYPES;
    if (!rig_has(isa))
        return;
    struct random random = {(uint64_t)_i + 1};
    pdk_matrix matrices[2] = {
        random_matrix(&random, type, OUTPUTS, COLUMNS), random_matrix(&random, type, OUTPUTS, COLUMNS)};
    float *x = random_floats(&random, (size_t)ROWS * COLUMNS, 1), expected[ROWS * OUTPUTS], found[ROWS * OUTPUTS];
    for (uint32_t threads = 1; threads <= 3; threads++) {
        struct rig rig = rig_open(isa, threads, ROWS);
        struct plain_batch plain;
        pdk_weight *weight = rig_weight(&rig, matrices, 2, PDK_WEIGHT_GATED);
        pdk_rows *in = rig_rows(&rig, ROWS, COLUMNS, NULL), *out = rig_rows(&rig, ROWS, OUTPUTS, NULL);
        for (uint32_t size = 1; size <= ROWS; size += size < 18 ? 1 : 5) {
            for (uint32_t first = 0; first < ROWS; first += size) {
                uint32_t rows = ROWS - first < size ? ROWS - first : size;
                rig.ops->rows_write(rig.self, in, 0, rows, x + first * COLUMNS);
                plain_batch_set(&plain, &rig.batch, rows);
                rig_begin(&rig);
                rig.ops->linear(rig.queue,
                    &(pdk_linear){.in = in, .weight = weight, .out = out, .activation = PDK_ACT_SILU, .scale = 1});
                rig_run(&rig);
                rig.ops->rows_read(rig.self, out, 0, rows, found + first * OUTPUTS);
            }
            if (threads == 1 && size == 1)
                memcpy(expected, found, sizeof expected);
            assert_same(found, expected, ROWS * OUTPUTS, "linear");
        }
        rig.ops->weight_free(rig.self, weight);
        rig.ops->rows_free(rig.self, in);
        rig.ops->rows_free(rig.self, out);
        rig_close(&rig);
    }
    free(x);
    free((void *)(uintptr_t)matrices[0].data);
    free((void *)(uintptr_t)matrices[1].data);
}
END_TEST

/* A small layer: norm, qkv, rope, attention, output projection; a prompt of 300 tokens in chunks. */
enum { PROMPT = 300, HIDDEN = 96, HEADS = 6, KV_HEADS = 2, DIM = 16, QKV = (HEADS + 2 * KV_HEADS) * DIM, TABLE = 20 };

struct layer {
    pdk_weight *qkv, *out;
    pdk_vector *norm, *frequencies;
    pdk_rows *hidden, *normed, *projected, *attended;
    pdk_kv *kv;
};

static struct layer layer_new(struct rig *rig, const pdk_matrix *qkv, const pdk_matrix *out, const float *norm,
    const float *frequencies, int32_t kv_type)
{
    struct layer layer = {
        .qkv = rig_weight(rig, qkv, 1, PDK_WEIGHT_LINEAR), .out = rig_weight(rig, out, 1, PDK_WEIGHT_LINEAR)};
    layer.norm = rig_vector(rig, norm, HIDDEN);
    layer.frequencies = rig_vector(rig, frequencies, DIM / 2);
    layer.hidden = rig_rows(rig, PROMPT, HIDDEN, NULL);
    layer.normed = rig_rows(rig, PROMPT, HIDDEN, NULL);
    layer.projected = rig_rows(rig, PROMPT, QKV, NULL);
    layer.attended = rig_rows(rig, PROMPT, HEADS * DIM, NULL);
    ck_assert_int_eq(
        rig->ops->kv_new(rig->self, &(pdk_kv_shape){1, KV_HEADS, DIM, kv_type, 0, 0}, TABLE, &layer.kv, NULL), PDK_OK);
    return layer;
}

static void layer_free(struct rig *rig, struct layer *layer)
{
    rig->ops->weight_free(rig->self, layer->qkv);
    rig->ops->weight_free(rig->self, layer->out);
    rig->ops->vector_free(rig->self, layer->norm);
    rig->ops->vector_free(rig->self, layer->frequencies);
    rig->ops->rows_free(rig->self, layer->hidden);
    rig->ops->rows_free(rig->self, layer->normed);
    rig->ops->rows_free(rig->self, layer->projected);
    rig->ops->rows_free(rig->self, layer->attended);
    rig->ops->kv_free(rig->self, layer->kv);
}

static void layer_step(struct rig *rig, struct layer *layer, uint32_t first, uint32_t rows, const float *x, float *out)
{
    static uint32_t positions[PROMPT], slots[PROMPT], sequence_of[PROMPT], table[TABLE];
    for (uint32_t i = 0; i < TABLE; i++)
        table[i] = (i * 7 + 3) % TABLE;
    for (uint32_t r = 0; r < rows; r++) {
        positions[r] = first + r;
        slots[r] = table[positions[r] / 16] * 16 + positions[r] % 16;
    }
    rig->batch = (pdk_batch){.row_count = rows,
        .sequence_count = 1,
        .table_stride = TABLE,
        .positions = positions,
        .slots = slots,
        .sequence_of = sequence_of,
        .tables = table};
    rig->ops->rows_write(rig->self, layer->hidden, 0, rows, x + (size_t)first * HIDDEN);
    rig_begin(rig);
    rig->ops->norm(rig->queue,
        &(pdk_norm){
            .in = layer->hidden, .out = layer->normed, .weight = layer->norm, .next = layer->qkv, .epsilon = 1e-5f});
    rig->ops->linear(
        rig->queue, &(pdk_linear){.in = layer->normed, .weight = layer->qkv, .out = layer->projected, .scale = 1});
    rig->ops->rope_kv(rig->queue, &(pdk_rope_kv){.qkv = layer->projected,
                                      .kv = layer->kv,
                                      .frequencies = layer->frequencies,
                                      .heads = HEADS,
                                      .kv_heads = KV_HEADS,
                                      .head_dim = DIM,
                                      .rope_dims = DIM,
                                      .magnitude = 1});
    rig->ops->attention(rig->queue, &(pdk_attention){.qkv = layer->projected,
                                        .kv = layer->kv,
                                        .out = layer->attended,
                                        .heads = HEADS,
                                        .kv_heads = KV_HEADS,
                                        .head_dim = DIM,
                                        .scale = 0.25f});
    rig->ops->linear(rig->queue,
        &(pdk_linear){
            .in = layer->attended, .weight = layer->out, .residual = layer->hidden, .out = layer->hidden, .scale = 1});
    rig_run(rig);
    rig->ops->rows_read(rig->self, layer->hidden, 0, rows, out + (size_t)first * HIDDEN);
}

START_TEST(a_prompt_in_chunks_is_the_same_prompt)
{
    static const uint32_t chunks[] = {PROMPT, 1, 16, 37, 64, 256};
    static float expected[PROMPT * HIDDEN], found[PROMPT * HIDDEN];
    int isa = _i / 2;
    if (!rig_has(isa))
        return;
    struct random random = {(uint64_t)_i + 70};
    pdk_matrix qkv = random_matrix(&random, WEIGHT_Q4_1, QKV, HIDDEN),
               out = random_matrix(&random, WEIGHT_F16, HIDDEN, HEADS * DIM);
    float *x = random_floats(&random, PROMPT * HIDDEN, 1), *norm = random_floats(&random, HIDDEN, 1);
    float *frequencies = random_floats(&random, DIM / 2, 0.5f);
    for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
        struct rig rig = rig_open(isa, 1 + (uint32_t)c % 3, PROMPT);
        struct layer layer = layer_new(&rig, &qkv, &out, norm, frequencies, _i % 2 != 0 ? PDK_TYPE_BF16 : PDK_TYPE_F32);
        for (uint32_t first = 0; first < PROMPT; first += chunks[c])
            layer_step(&rig, &layer, first, PROMPT - first < chunks[c] ? PROMPT - first : chunks[c], x, found);
        if (c == 0)
            memcpy(expected, found, sizeof expected);
        assert_same(found, expected, PROMPT * HIDDEN, "layer");
        layer_free(&rig, &layer);
        rig_close(&rig);
    }
    free(x);
    free(norm);
    free(frequencies);
    free((void *)(uintptr_t)qkv.data);
    free((void *)(uintptr_t)out.data);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("invariance");
    TCase *tests = tcase_create("invariance");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, rows_of_any_batch_are_equal, 0, RIG_ISAS * TYPES);
    tcase_add_loop_test(tests, a_prompt_in_chunks_is_the_same_prompt, 0, RIG_ISAS * 2);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
