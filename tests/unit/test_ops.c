/* plugins/cpu, every op of every instruction set that the machine has, against kernels/reference over random shapes. */
#include "config.h"

#include "ops_rig.h"

#include "check_main.h"

enum { TYPES = WEIGHT_TYPES - 1, ROUNDS = 12 };

static uint32_t random_columns(struct random *random, int type)
{
    uint32_t columns = 1 + random_below(random, 200), block = (uint32_t)weight_block(type);
    return block == 1 ? columns : (columns / block + 1) * block;
}

/* One linear of random shape: plain, fused of two matrices, or gated. The second matrix is of type `other`. */
static void check_linear(struct rig *rig, struct random *random, int type, int other)
{
    struct plain_batch plain;
    uint32_t rows = 1 + random_below(random, 40),
             columns = random_columns(random, weight_block(type) > weight_block(other) ? type : other),
             n = 1 + random_below(random, 70);
    bool gated = random_below(random, 2) != 0, has_bias = random_below(random, 2) != 0,
         adds = random_below(random, 2) != 0;
    pdk_matrix matrices[2] = {random_matrix(random, type, n, columns),
        random_matrix(random, other, gated ? n : 1 + random_below(random, 40), columns)};
    uint32_t outputs = gated ? n : n + matrices[1].rows;
    float *x = random_floats(random, (size_t)rows * columns, 1), *bias = random_floats(random, n + matrices[1].rows, 1);
    float *residual = random_floats(random, (size_t)rows * outputs, 1);
    float *expected = random_floats(random, (size_t)rows * outputs, 0),
          *found = random_floats(random, (size_t)rows * outputs, 0);

    pdk_rows *in = rig_rows(rig, rows, columns, x), *add = rig_rows(rig, rows, outputs, residual);
    pdk_rows *out = adds && random_below(random, 2) != 0 ? add : rig_rows(rig, rows, outputs, NULL);
    pdk_vector *vector = rig_vector(rig, bias, n + matrices[1].rows);
    pdk_linear op = {.in = in, .out = out, .activation = (int32_t)random_below(random, 5), .scale = 0.75f};
    pdk_weight *weight = rig_weight(rig, matrices, 2, gated ? PDK_WEIGHT_GATED : PDK_WEIGHT_LINEAR);
    op.weight = weight;
    op.bias = has_bias ? vector : NULL;
    op.residual = adds ? add : NULL;
    plain_batch_set(&plain, &rig->batch, rows);
    rig_begin(rig);
    rig->ops->linear(rig->queue, &op);
    rig_run(rig);
    rig->ops->rows_read(rig->self, out, 0, rows, found);

    struct reference_matrix first = plain_matrix(&matrices[0]), second = plain_matrix(&matrices[1]);
    for (size_t r = 0; r < rows; r++) {
        const float *extra = adds ? residual + r * outputs : NULL, *b = has_bias ? bias : NULL;
        float *to = expected + r * outputs;
        if (gated) {
            reference_gated(&first, &second, x + r * columns, b, op.activation, op.scale, extra, to);
            continue;
        }
        reference_linear(&first, x + r * columns, b, op.activation, op.scale, extra, to);
        reference_linear(&second, x + r * columns, b != NULL ? b + n : NULL, op.activation, op.scale,
            extra != NULL ? extra + n : NULL, to + n);
    }
    assert_near(found, expected, (size_t)rows * outputs, 3e-6, gated ? "gated" : "linear");

    rig->ops->weight_free(rig->self, weight);
    rig->ops->vector_free(rig->self, vector);
    rig->ops->rows_free(rig->self, in);
    if (out != add)
        rig->ops->rows_free(rig->self, out);
    rig->ops->rows_free(rig->self, add);
    free(x);
    free(bias);
    free(residual);
    free(expected);
    free(found);
    free((void *)(uintptr_t)matrices[0].data);
    free((void *)(uintptr_t)matrices[1].data);
}

START_TEST(linear_of_each_type)
{
    int isa = _i / TYPES, type = 1 + _i % TYPES;
    if (!rig_has(isa))
        return;
    struct rig rig = rig_open(isa, 2, 64);
    struct random random = {(uint64_t)_i + 1};
    for (int round = 0; round < ROUNDS; round++)
        check_linear(&rig, &random, type, round % 3 != 0 ? type : 1 + (int)random_below(&random, TYPES));
    rig_close(&rig);
}
END_TEST

/* A tied table of each type: rows looked up, with positions, then multiplied by as a head on some rows. */
START_TEST(embed_and_head_share_a_table)
{
    enum { ROWS = 9, VOCABULARY = 45, COLUMNS = 256 };
    int isa = _i / TYPES, type = 1 + _i % TYPES;
    if (!rig_has(isa))
        return;
    struct rig rig = rig_open(isa, 2, 64);
    struct random random = {(uint64_t)_i + 50};
    struct plain_batch plain;
    pdk_matrix matrix = random_matrix(&random, type, VOCABULARY, COLUMNS),
               places = random_matrix(&random, type, 12, COLUMNS), kinds = random_matrix(&random, type, 2, COLUMNS);
    matrix.inputs = places.inputs = kinds.inputs = NULL; /* a table has its inputs' order */
    pdk_weight *table = rig_weight(&rig, &matrix, 1, PDK_WEIGHT_TIED);
    pdk_weight *positions = rig_weight(&rig, &places, 1, PDK_WEIGHT_TABLE);
    pdk_weight *segments = rig_weight(&rig, &kinds, 1, PDK_WEIGHT_TABLE);
    const uint32_t segment_of[ROWS] = {0, 0, 1, 1, 0, 1, 1, 0, 1};
    float *bias_values = random_floats(&random, VOCABULARY, 1);
    pdk_vector *bias = rig_vector(&rig, bias_values, VOCABULARY);
    pdk_rows *x = rig_rows(&rig, ROWS, COLUMNS, NULL), *logits = rig_rows(&rig, ROWS, VOCABULARY, NULL);
    plain_batch_set(&plain, &rig.batch, ROWS);
    for (uint32_t r = 0; r < ROWS; r++)
        plain.tokens[r] = random_below(&random, VOCABULARY);
    rig.batch.output_count = 3;
    plain.output_rows[0] = 1;
    plain.output_rows[1] = 4;
    plain.output_rows[2] = 8;
    rig.batch.types = segment_of;
    rig_begin(&rig);
    rig.ops->embed(rig.queue,
        &(pdk_embed){
            .out = x, .table = table, .positions = positions, .position_offset = 2, .scale = 1.5f, .types = segments});
    rig.ops->head(
        rig.queue, &(pdk_head){.in = x, .weight = table, .bias = bias, .logits = logits, .scale = 0.5f, .soft_cap = 3});
    rig_run(&rig);

    struct reference_matrix plain_table = plain_matrix(&matrix), plain_places = plain_matrix(&places),
                            plain_kinds = plain_matrix(&kinds);
    float embedded[ROWS][COLUMNS], found[ROWS][COLUMNS], expected[VOCABULARY], found_logits[3][VOCABULARY];
    rig.ops->rows_read(rig.self, x, 0, ROWS, found[0]);
    rig.ops->rows_read(rig.self, logits, 0, 3, found_logits[0]);
    for (size_t r = 0; r < ROWS; r++) {
        reference_embed(
            &plain_table, plain.tokens[r], 1.5f, &plain_places, r + 2, &plain_kinds, segment_of[r], embedded[r]);
        assert_near(found[r], embedded[r], COLUMNS, 2e-7, "embed");
    }
    for (int i = 0; i < 3; i++) {
        reference_head(&plain_table, embedded[plain.output_rows[i]], bias_values, 0.5f, 3, expected);
        assert_near(found_logits[i], expected, VOCABULARY, 1e-5, "head");
    }
    rig.ops->rows_free(rig.self, x);
    rig.ops->rows_free(rig.self, logits);
    rig.ops->weight_free(rig.self, table);
    rig.ops->weight_free(rig.self, positions);
    rig.ops->weight_free(rig.self, segments);
    rig.ops->vector_free(rig.self, bias);
    free(bias_values);
    free((void *)(uintptr_t)matrix.data);
    free((void *)(uintptr_t)places.data);
    free((void *)(uintptr_t)kinds.data);
    rig_close(&rig);
}
END_TEST

static void check_norm(struct rig *rig, struct random *random)
{
    struct plain_batch plain;
    uint32_t rows = 1 + random_below(random, 6), group = 1 + random_below(random, 70),
             groups = 1 + random_below(random, 4);
    bool grouped = random_below(random, 2) != 0, adds = random_below(random, 2) != 0,
         layer = random_below(random, 2) != 0;
    uint32_t skipped = grouped ? 5 : 0, columns = grouped ? skipped + group * groups : group;
    float *in = random_floats(random, (size_t)rows * columns, 2),
          *add = random_floats(random, (size_t)rows * columns, 1);
    bool own = grouped && random_below(random, 2) != 0; /* each group has weights of its own */
    uint32_t numbers = own ? group * groups : group;
    float *weight = random_floats(random, numbers, 1), *bias = random_floats(random, numbers, 1);
    float *found = random_floats(random, (size_t)rows * columns, 0),
          *sums = random_floats(random, (size_t)rows * columns, 0);
    pdk_rows *in_rows = rig_rows(rig, rows, columns, in), *add_rows = rig_rows(rig, rows, columns, add);
    pdk_rows *out = grouped ? in_rows : rig_rows(rig, rows, columns, NULL);
    pdk_vector *weights = rig_vector(rig, weight, numbers), *biases = rig_vector(rig, bias, numbers);
    bool has_bias = random_below(random, 2) != 0, has_weight = random_below(random, 4) != 0;
    plain_batch_set(&plain, &rig->batch, rows);
    rig_begin(rig);
    rig->ops->norm(rig->queue, &(pdk_norm){.in = in_rows,
                                   .add = adds ? add_rows : NULL,
                                   .out = out,
                                   .weight = has_weight ? weights : NULL,
                                   .bias = has_bias ? biases : NULL,
                                   .kind = layer ? PDK_NORM_LAYER : PDK_NORM_RMS,
                                   .epsilon = 1e-5f,
                                   .group = grouped ? group : 0,
                                   .first = skipped,
                                   .count = group * groups,
                                   .each_group = own});
    rig_run(rig);
    rig->ops->rows_read(rig->self, out, 0, rows, found);
    rig->ops->rows_read(rig->self, in_rows, 0, rows, sums);

    float *expected = random_floats(random, (size_t)rows * columns, 0);
    for (size_t r = 0; r < rows; r++) {
        memcpy(expected + r * columns, in + r * columns, skipped * sizeof(float));
        for (size_t at = r * columns + skipped; at < (r + 1) * columns; at += group) {
            size_t from = own ? at - r * columns - skipped : 0;
            (layer ? reference_norm_layer : reference_norm_rms)(in + at, adds ? add + at : NULL,
                has_weight ? weight + from : NULL, has_bias ? bias + from : NULL, group, 1e-5f, expected + at);
        }
    }
    assert_near(found, expected, (size_t)rows * columns, 1e-5, layer ? "layer norm" : "rms norm");
    if (!grouped)
        assert_near(sums, in, (size_t)rows * columns, 1e-7, "sum");
    rig->ops->rows_free(rig->self, in_rows);
    rig->ops->rows_free(rig->self, add_rows);
    if (out != in_rows)
        rig->ops->rows_free(rig->self, out);
    rig->ops->vector_free(rig->self, weights);
    rig->ops->vector_free(rig->self, biases);
    free(in);
    free(add);
    free(weight);
    free(bias);
    free(found);
    free(sums);
    free(expected);
}

START_TEST(norms)
{
    if (!rig_has(_i))
        return;
    struct rig rig = rig_open(_i, 2, 64);
    struct random random = {(uint64_t)_i + 100};
    for (int round = 0; round < 60; round++)
        check_norm(&rig, &random);
    rig_close(&rig);
}
END_TEST

/* A layer's attention on two sequences of random lengths, their blocks in random order among blocks full of NaN. */
struct attention_case {
    uint32_t heads, kv_heads, head_dim, window, rope_dims;
    float soft_cap;
    bool slopes, sinks, pairs, bfloat, bidirectional;
};

static const struct attention_case attention_cases[] = {
    {9, 3, 64, 0, 64, 0, false, false, false, true, false},
    {9, 3, 64, 0, 64, 0, false, false, false, false, false},
    {4, 4, 8, 0, 8, 0, false, false, true, false, false},
    {4, 4, 8, 0, 8, 0, false, false, true, true, false},
    {8, 1, 24, 20, 12, 0, false, false, false, false, false},
    {5, 1, 40, 20, 20, 0, false, false, false, true, false},
    {4, 2, 16, 0, 16, 5, false, true, false, true, false},
    {4, 2, 16, 7, 16, 0, false, true, false, false, false},
    {6, 2, 32, 0, 0, 0, true, false, false, false, false},
    {6, 3, 20, 300, 20, 30, true, true, false, true, false},
    {4, 4, 8, 0, 8, 0, .bidirectional = true},
    {12, 12, 64, 0, 0, 0, .bidirectional = true},
    {6, 2, 32, 17, 32, 0, .bidirectional = true},
    {4, 1, 16, 300, 16, 0, .bfloat = true, .bidirectional = true},
};
enum {
    ATTENTION_CASES = sizeof attention_cases / sizeof *attention_cases,
    CONTEXT = 400,
    SEQUENCES = 2,
    TABLE = 40,
    BLOCKS = 90
};

struct attention_run {
    struct rig *rig;
    const struct attention_case *shape;
    pdk_kv *kv;
    pdk_vector *frequencies, *slopes, *sinks;
    uint32_t tables[SEQUENCES * TABLE];
    struct reference_cache cache;
    float *frequency_values, *slope_values, *sink_values;
};

static struct reference_attention task_at(
    const struct attention_run *run, uint32_t sequence, uint32_t position, uint32_t context)
{
    const struct attention_case *shape = run->shape;
    return (struct reference_attention){
        .heads = shape->heads,
        .table = &run->tables[sequence * TABLE],
        .position = position,
        .window = shape->window,
        .context = shape->bidirectional ? context : 0,
        .scale = 0.3f,
        .soft_cap = shape->soft_cap,
        .slopes = shape->slopes ? run->slope_values : NULL,
        .sinks = shape->sinks ? run->sink_values : NULL,
    };
}

/* Rows first..first+counts[s] of each sequence, in one batch; compares attention's output with the reference's. */
static void attention_step(struct attention_run *run, const uint32_t *first, const uint32_t *counts, const float *qkv)
{
    const struct attention_case *shape = run->shape;
    struct rig *rig = run->rig;
    struct plain_batch plain;
    uint32_t rows = counts[0] + counts[1], columns = (shape->heads + 2 * shape->kv_heads) * shape->head_dim, r = 0;
    uint32_t out_columns = shape->heads * shape->head_dim;
    plain_batch_set(&plain, &rig->batch, rows);
    for (uint32_t s = 0; s < SEQUENCES; s++)
        for (uint32_t i = 0; i < counts[s]; i++, r++) {
            plain.positions[r] = first[s] + i;
            plain.sequence_of[r] = s;
            plain.slots[r] = run->tables[s * TABLE + plain.positions[r] / 16] * 16 + plain.positions[r] % 16;
        }
    rig->batch.tables = run->tables;
    rig->batch.table_stride = TABLE;
    rig->batch.sequence_count = SEQUENCES;
    const uint32_t contexts[SEQUENCES] = {first[0] + counts[0], first[1] + counts[1]};
    rig->batch.context_lengths = contexts;
    pdk_rows *in = rig_rows(rig, rows, columns, qkv), *out = rig_rows(rig, rows, out_columns, NULL);
    rig_begin(rig);
    rig->ops->rope_kv(rig->queue, &(pdk_rope_kv){.qkv = in,
                                      .kv = run->kv,
                                      .frequencies = shape->rope_dims != 0 ? run->frequencies : NULL,
                                      .layer = 1,
                                      .heads = shape->heads,
                                      .kv_heads = shape->kv_heads,
                                      .head_dim = shape->head_dim,
                                      .rope_dims = shape->rope_dims,
                                      .order = shape->pairs ? PDK_ROPE_PAIRS : PDK_ROPE_HALVES,
                                      .magnitude = 1.25f});
    rig->ops->attention(rig->queue, &(pdk_attention){.qkv = in,
                                        .kv = run->kv,
                                        .out = out,
                                        .slopes = shape->slopes ? run->slopes : NULL,
                                        .sinks = shape->sinks ? run->sinks : NULL,
                                        .layer = 1,
                                        .heads = shape->heads,
                                        .kv_heads = shape->kv_heads,
                                        .head_dim = shape->head_dim,
                                        .window = shape->window,
                                        .scale = 0.3f,
                                        .soft_cap = shape->soft_cap,
                                        .bidirectional = shape->bidirectional});
    rig_run(rig);

    float *plain_qkv = calloc(rows, columns * sizeof(float)), *turned = calloc(rows, columns * sizeof(float));
    float *expected = calloc(out_columns, sizeof(float)), *found = calloc(rows, out_columns * sizeof(float));
    memcpy(plain_qkv, qkv, (size_t)rows * columns * sizeof(float));
    rig->ops->rows_read(rig->self, in, 0, rows, turned);
    rig->ops->rows_read(rig->self, out, 0, rows, found);
    for (r = 0; r < rows; r++) {
        float *row = plain_qkv + (size_t)r * columns, *keys = row + out_columns;
        for (uint32_t h = 0; shape->rope_dims != 0 && h < shape->heads + shape->kv_heads; h++)
            reference_rope(row + h * shape->head_dim, run->frequency_values, shape->rope_dims, plain.positions[r],
                1.25f, shape->pairs);
        assert_near(turned + (size_t)r * columns, row, columns, 3e-7, "rope");
        /* from the plugin's own numbers, as one rounding to bfloat may go either way */
        memcpy(row, turned + (size_t)r * columns, columns * sizeof(float));
        reference_kv_write(&run->cache, plain.slots[r], keys, keys + shape->kv_heads * shape->head_dim, shape->bfloat);
    }
    for (r = 0; r < rows; r++) {
        uint32_t s = plain.sequence_of[r];
        struct reference_attention task = task_at(run, s, plain.positions[r], first[s] + counts[s]);
        reference_attend(&task, &run->cache, plain_qkv + (size_t)r * columns, expected);
        assert_near(found + (size_t)r * out_columns, expected, out_columns, 5e-6, "attention");
    }
    rig->ops->rows_free(rig->self, in);
    rig->ops->rows_free(rig->self, out);
    free(plain_qkv);
    free(turned);
    free(expected);
    free(found);
}

static void fill_with_nan(struct attention_run *run, struct random *random)
{
    const struct attention_case *shape = run->shape;
    uint32_t columns = (shape->heads + 2 * shape->kv_heads) * shape->head_dim;
    float *qkv = random_floats(random, 16 * (size_t)columns, 1);
    for (size_t i = 0; i < 16 * (size_t)columns; i++)
        qkv[i] = NAN;
    struct rig *rig = run->rig;
    struct plain_batch plain;
    pdk_rows *in = rig_rows(rig, 16, columns, qkv);
    for (uint32_t block = 0; block < BLOCKS; block++) {
        plain_batch_set(&plain, &rig->batch, 16);
        for (uint32_t r = 0; r < 16; r++)
            plain.slots[r] = block * 16 + r;
        rig_begin(rig);
        rig->ops->rope_kv(rig->queue, &(pdk_rope_kv){.qkv = in,
                                          .kv = run->kv,
                                          .layer = 1,
                                          .heads = shape->heads,
                                          .kv_heads = shape->kv_heads,
                                          .head_dim = shape->head_dim,
                                          .magnitude = 1});
        rig_run(rig);
    }
    rig->ops->rows_free(rig->self, in);
    free(qkv);
}

static void check_attention(struct rig *rig, const struct attention_case *shape, struct random *random)
{
    struct attention_run run = {.rig = rig, .shape = shape};
    pdk_kv_shape kv_shape = {2, shape->kv_heads, shape->head_dim, shape->bfloat ? PDK_TYPE_BF16 : PDK_TYPE_F32, 0, 0};
    ck_assert_int_eq(rig->ops->kv_new(rig->self, &kv_shape, BLOCKS, &run.kv, NULL), PDK_OK);
    size_t side = (size_t)BLOCKS * 16 * shape->kv_heads * shape->head_dim;
    run.cache = (struct reference_cache){
        calloc(side, sizeof(float)), calloc(side, sizeof(float)), shape->kv_heads, shape->head_dim};
    run.frequency_values = random_floats(random, shape->rope_dims / 2, 0.3f);
    run.slope_values = random_floats(random, shape->heads, 0.1f);
    run.sink_values = random_floats(random, shape->heads, 1);
    run.frequencies = rig_vector(rig, run.frequency_values, shape->rope_dims / 2);
    run.slopes = rig_vector(rig, run.slope_values, shape->heads);
    run.sinks = rig_vector(rig, run.sink_values, shape->heads);
    for (uint32_t i = 0; i < SEQUENCES * TABLE; i++)
        run.tables[i] = (i * 37 + 11) % BLOCKS; /* 37 and 90 have no common factor */
    fill_with_nan(&run, random);

    uint32_t columns = (shape->heads + 2 * shape->kv_heads) * shape->head_dim, first[SEQUENCES] = {0, 0};
    for (uint32_t step = 0; first[0] < CONTEXT - 32; step++) {
        uint32_t counts[SEQUENCES] = {random_below(random, 31), 1 + random_below(random, 12)};
        float *qkv = random_floats(random, (size_t)(counts[0] + counts[1]) * columns, 1);
        attention_step(&run, first, counts, qkv);
        first[0] += counts[0];
        first[1] += counts[1];
        free(qkv);
    }
    rig->ops->kv_free(rig->self, run.kv);
    rig->ops->vector_free(rig->self, run.frequencies);
    rig->ops->vector_free(rig->self, run.slopes);
    rig->ops->vector_free(rig->self, run.sinks);
    free(run.cache.keys);
    free(run.cache.values);
    free(run.frequency_values);
    free(run.slope_values);
    free(run.sink_values);
}

START_TEST(attention_of_each_kind)
{
    int isa = _i / ATTENTION_CASES;
    if (!rig_has(isa))
        return;
    struct rig rig = rig_open(isa, 2, 64);
    struct random random = {(uint64_t)_i + 200};
    check_attention(&rig, &attention_cases[_i % ATTENTION_CASES], &random);
    rig_close(&rig);
}
END_TEST

START_TEST(copied_blocks_answer_the_same)
{
    enum { DIM = 16, COLUMNS = 3 * DIM };
    struct rig rig = rig_open(0, 2, 64);
    struct random random = {300};
    struct plain_batch plain;
    pdk_kv *kv = NULL;
    ck_assert_int_eq(rig.ops->kv_new(rig.self, &(pdk_kv_shape){3, 1, DIM, PDK_TYPE_BF16, 0, 0}, 4, &kv, NULL), PDK_OK);
    float *qkv = random_floats(&random, 10 * COLUMNS, 1), found[2][10 * DIM];
    uint32_t tables[2] = {2, 3};
    plain_batch_set(&plain, &rig.batch, 10);
    for (uint32_t r = 0; r < 10; r++)
        plain.slots[r] = 2 * 16 + r;
    rig.batch.tables = tables;
    rig.batch.table_stride = 1;
    pdk_rows *in = rig_rows(&rig, 10, COLUMNS, qkv), *out = rig_rows(&rig, 10, DIM, NULL);
    pdk_attention op = {
        .qkv = in, .kv = kv, .out = out, .layer = 2, .heads = 1, .kv_heads = 1, .head_dim = DIM, .scale = 1};
    rig_begin(&rig);
    rig.ops->rope_kv(rig.queue,
        &(pdk_rope_kv){.qkv = in, .kv = kv, .layer = 2, .heads = 1, .kv_heads = 1, .head_dim = DIM, .magnitude = 1});
    rig.ops->attention(rig.queue, &op);
    rig.ops->kv_copy(rig.queue, kv, 2, 3);
    rig_run(&rig);
    rig.ops->rows_read(rig.self, out, 0, 10, found[0]);
    tables[0] = 3;
    rig_begin(&rig);
    rig.ops->attention(rig.queue, &op);
    rig_run(&rig);
    rig.ops->rows_read(rig.self, out, 0, 10, found[1]);
    assert_same(found[1], found[0], 10 * DIM, "attention over copied blocks");
    rig.ops->rows_free(rig.self, in);
    rig.ops->rows_free(rig.self, out);
    rig.ops->kv_free(rig.self, kv);
    free(qkv);
    rig_close(&rig);
}
END_TEST

/* Row-major a [m][k] or its transpose, and so on. */
START_TEST(gemm_of_both_types)
{
    enum { M = 7, N = 5, K = 11, STRIDE = 13 };
    struct rig rig = rig_open(0, 1, 4);
    struct random random = {(uint64_t)_i + 400};
    struct reference_gemm shape = {M, N, K, STRIDE, STRIDE, STRIDE, 0.5, _i % 2, (_i & 2) != 0, (_i & 4) != 0};
    pdk_gemm op = {.m = M,
        .n = N,
        .k = K,
        .a_stride = STRIDE,
        .b_stride = STRIDE,
        .c_stride = STRIDE,
        .alpha = 0.5,
        .beta = _i % 2,
        .transpose_a = shape.transpose_a,
        .transpose_b = shape.transpose_b};
    float a[STRIDE * STRIDE], b[STRIDE * STRIDE], c[STRIDE * STRIDE], expected[STRIDE * STRIDE];
    double wide[4][STRIDE * STRIDE];
    for (int i = 0; i < STRIDE * STRIDE; i++) {
        wide[0][i] = a[i] = random_normal(&random);
        wide[1][i] = b[i] = random_normal(&random);
        wide[2][i] = wide[3][i] = c[i] = expected[i] = random_normal(&random);
    }
    op.a = a;
    op.b = b;
    op.c = c;
    ck_assert_int_eq(rig.ops->gemm(rig.self, &op, NULL), PDK_OK);
    reference_gemm_f32(&shape, a, b, expected);
    assert_near(c, expected, STRIDE * STRIDE, 1e-6, "gemm f32");
    op.a = wide[0];
    op.b = wide[1];
    op.c = wide[2];
    op.is_double = 1;
    ck_assert_int_eq(rig.ops->gemm(rig.self, &op, NULL), PDK_OK);
    reference_gemm_f64(&shape, wide[0], wide[1], wide[3]);
    for (int i = 0; i < STRIDE * STRIDE; i++)
        ck_assert_double_eq_tol(wide[2][i], wide[3][i], 1e-13);
    rig_close(&rig);
}
END_TEST

static const struct {
    pdk_matrix matrices[2];
    int32_t use;
    pdk_status status;
    const char *message;
} refused[] = {
    {{{.type = 99, .rows = 4, .columns = 32, .data = "x"}, {0}}, PDK_WEIGHT_TABLE, PDK_UNSUPPORTED,
        "weight type 99: the cpu plugin has 1 to 29"},
    {{{.type = PDK_TYPE_Q4_0, .rows = 4, .columns = 48, .data = "x"}, {0}}, PDK_WEIGHT_TABLE, PDK_INVALID,
        "48 columns; the type's blocks have 32"},
    {{{.type = PDK_TYPE_Q4_K, .rows = 4, .columns = 128, .data = "x"}, {0}}, PDK_WEIGHT_TABLE, PDK_INVALID,
        "128 columns; the type's blocks have 256"},
    {{{.type = PDK_TYPE_F32, .rows = 4, .columns = 32, .data = "x"},
         {.type = PDK_TYPE_F16, .rows = 4, .columns = 64, .data = "x"}},
        PDK_WEIGHT_LINEAR, PDK_INVALID, "a matrix has 64 columns, the first one 32"},
    {{{.type = PDK_TYPE_F32, .rows = 4, .columns = 32, .data = "x"},
         {.type = PDK_TYPE_F16, .rows = 4, .columns = 32, .data = "x"}},
        PDK_WEIGHT_TABLE, PDK_UNSUPPORTED, "a table's matrices are of several types"},
    {{{.type = PDK_TYPE_F32, .rows = 4, .columns = 32, .data = "x"},
         {.type = PDK_TYPE_F32, .rows = 5, .columns = 32, .data = "x"}},
        PDK_WEIGHT_GATED, PDK_INVALID, "a gated weight is two matrices of equal shape"},
    {{{.type = PDK_TYPE_F32, .rows = 0, .columns = 32, .data = "x"}, {0}}, PDK_WEIGHT_TABLE, PDK_INVALID,
        "0 outputs of 32 inputs cannot be packed"},
    {{{.type = PDK_TYPE_U4, .rows = 4, .columns = 32, .data = "x"}, {0}}, PDK_WEIGHT_LINEAR, PDK_INVALID,
        "a weight of type 27 has no scales"},
    {{{.type = PDK_TYPE_S8,
          .rows = 1,
          .columns = 2,
          .data = "x",
          .scales = "x",
          .group = 32,
          .scale_type = PDK_TYPE_Q8_0},
         {0}},
        PDK_WEIGHT_LINEAR, PDK_UNSUPPORTED, "scales of type 4; known are f32, f16, bf16"},
    {{{.type = PDK_TYPE_S8,
          .rows = 1,
          .columns = 2,
          .data = "x",
          .scales = "x",
          .group = 32,
          .scale_type = PDK_TYPE_F16,
          .inputs = (const uint32_t[]){1, 0}},
         {0}},
        PDK_WEIGHT_TABLE, PDK_UNSUPPORTED, "a table's columns cannot stand in another order"},
    {{{.type = PDK_TYPE_S8,
          .rows = 1,
          .columns = 2,
          .data = "x",
          .scales = "x",
          .group = 32,
          .scale_type = PDK_TYPE_F16,
          .inputs = (const uint32_t[]){1, 2}},
         {0}},
        PDK_WEIGHT_LINEAR, PDK_INVALID, "input 2 of a matrix of 2 columns"},
};

START_TEST(weights_that_cannot_be)
{
    struct rig rig = rig_open(0, 1, 4);
    pdk_weight *weight = NULL;
    pdk_error err = {0};
    size_t count = refused[_i].matrices[1].type != 0 ? 2 : 1;
    ck_assert_int_eq(rig.ops->weight_load(rig.self, refused[_i].matrices, count, refused[_i].use, &weight, &err),
        refused[_i].status);
    ck_assert_str_eq(err.message, refused[_i].message);
    ck_assert_ptr_null(weight);
    ck_assert_uint_eq(rig.ops->weight_bytes(rig.self, refused[_i].matrices, count, refused[_i].use), 0);
    rig_close(&rig);
}
END_TEST

START_TEST(memory_has_a_limit)
{
    pdk_compute_config config = {.size = sizeof config, .threads = 1, .memory_bytes = 1 << 20};
    void *self = NULL;
    pdk_error err = {0};
    ck_assert_int_eq(pdk_compute_entry.init(&config, &self, &err), PDK_OK);
    const pdk_ops *ops = pdk_compute_entry.get_extension(self, PDK_EXT_OPS);
    pdk_kv *kv = NULL;
    pdk_kv_shape shape = {2, 2, 64, PDK_TYPE_BF16, 0, 0};
    ck_assert_uint_eq(ops->kv_block_bytes(self, &shape), 2 * 2 * 64 * 16 * 2 * 2);
    ck_assert_int_eq(ops->kv_new(self, &shape, 1000, &kv, &err), PDK_NO_MEMORY);
    ck_assert_str_eq(
        err.message, "key-value cache needs 16384000 bytes beside the 0 in use; the limit is 1048576 bytes");
    ck_assert_int_eq(ops->kv_new(self, &shape, 32, &kv, &err), PDK_OK);
    ops->kv_free(self, kv);
    ck_assert_int_eq(ops->kv_new(self, &shape, 32, &kv, &err), PDK_OK); /* what was freed is there again */
    ops->kv_free(self, kv);
    shape.head_dim = 513;
    ck_assert_int_eq(ops->kv_new(self, &shape, 1, &kv, &err), PDK_UNSUPPORTED);
    ck_assert_str_eq(err.message, "heads of 513 numbers; the cpu plugin has 1 to 512, for bf16 even ones");
    pdk_compute_entry.done(self);
}
END_TEST

START_TEST(isa_by_name)
{
    pdk_compute_config config = {.size = sizeof config, .threads = 1};
    void *self = NULL;
    pdk_error err = {0};
    setenv("PADDOCK_ISA", "mmx", 1);
    ck_assert_int_eq(pdk_compute_entry.init(&config, &self, &err), PDK_INVALID);
    ck_assert_str_eq(err.field, "PADDOCK_ISA");
    ck_assert_str_eq(err.value, "mmx");
    ck_assert_str_eq(err.message, "no instruction set of this build; it has generic, avx2, avx512");
    ck_assert_ptr_null(self);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ops");
    TCase *tests = tcase_create("ops");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, linear_of_each_type, 0, RIG_ISAS * TYPES);
    tcase_add_loop_test(tests, embed_and_head_share_a_table, 0, RIG_ISAS * TYPES);
    tcase_add_loop_test(tests, norms, 0, RIG_ISAS);
    tcase_add_loop_test(tests, attention_of_each_kind, 0, RIG_ISAS * ATTENTION_CASES);
    tcase_add_test(tests, copied_blocks_answer_the_same);
    tcase_add_loop_test(tests, gemm_of_both_types, 0, 8);
    tcase_add_loop_test(tests, weights_that_cannot_be, 0, sizeof refused / sizeof *refused);
    tcase_add_test(tests, memory_has_a_limit);
    tcase_add_test(tests, isa_by_name);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
