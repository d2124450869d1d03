/* tests/unit/ops_rig.h: a cpu backend per instruction set, and random things to feed it. Included by the programs that
 * test ops. */
#pragma once

#include "core/base/cpu.h"
#include "kernels/reference/reference.h"

#include <check.h>
#include <math.h>
#include <paddock/compute.h>
#include <paddock/draft/ops.h>
#include <stdlib.h>

static const char *const rig_isas[] = {"generic", "avx2", "avx512"};
enum { RIG_ISAS = 3 };

static inline bool rig_has(int isa)
{
    static const uint32_t needs[RIG_ISAS] = {0, CPU_AVX2, CPU_AVX512};
    return (cpu_features() & needs[isa]) == needs[isa];
}

struct rig {
    const pdk_ops *ops;
    void *self;
    pdk_queue *queue;
    pdk_batch batch;
};

static inline struct rig rig_open(int isa, uint32_t threads, uint32_t max_rows)
{
    struct rig rig = {0};
    pdk_compute_config config = {.size = sizeof config, .threads = threads};
    pdk_error err = {0};
    setenv("PADDOCK_ISA", rig_isas[isa], 1);
    ck_assert_msg(pdk_compute_entry.init(&config, &rig.self, &err) == PDK_OK, "%s", err.message);
    rig.ops = pdk_compute_entry.get_extension(rig.self, PDK_EXT_OPS);
    ck_assert_ptr_nonnull(rig.ops);
    ck_assert_int_eq(rig.ops->queue_new(rig.self, max_rows, 16, &rig.queue, &err), PDK_OK);
    return rig;
}

static inline void rig_close(struct rig *rig)
{
    rig->ops->queue_free(rig->self, rig->queue);
    pdk_compute_entry.done(rig->self);
}

static inline void rig_begin(struct rig *rig)
{
    rig->ops->queue_begin(rig->queue, &rig->batch);
}

static inline void rig_run(struct rig *rig)
{
    pdk_error err = {0};
    ck_assert_msg(rig->ops->queue_submit(rig->queue, &err) == PDK_OK, "%s", err.message);
    ck_assert_int_eq(rig->ops->queue_wait(rig->queue, &err), PDK_OK);
}

static inline pdk_rows *rig_rows(struct rig *rig, uint32_t count, uint32_t columns, const float *values)
{
    pdk_rows *rows = NULL;
    ck_assert_int_eq(rig->ops->rows_new(rig->self, count, columns, &rows, NULL), PDK_OK);
    if (values != NULL)
        rig->ops->rows_write(rig->self, rows, 0, count, values);
    return rows;
}

static inline pdk_vector *rig_vector(struct rig *rig, const float *values, size_t count)
{
    pdk_vector *vector = NULL;
    ck_assert_int_eq(rig->ops->vector_load(rig->self, values, count, &vector, NULL), PDK_OK);
    return vector;
}

static inline pdk_weight *rig_weight(struct rig *rig, const pdk_matrix *matrices, size_t count, int32_t use)
{
    pdk_weight *weight = NULL;
    pdk_error err = {0};
    ck_assert_msg(rig->ops->weight_load(rig->self, matrices, count, use, &weight, &err) == PDK_OK, "%s", err.message);
    return weight;
}

/* Random things: the same in every run. */
struct random {
    uint64_t state;
};

static inline uint32_t random_bits(struct random *random)
{
    random->state = random->state * 6364136223846793005u + 1442695040888963407u;
    uint32_t x = (uint32_t)(random->state >> 33) ^ (uint32_t)(random->state >> 20);
    return x ^ x >> 15;
}

static inline uint32_t random_below(struct random *random, uint32_t limit)
{
    return (uint32_t)((uint64_t)random_bits(random) * limit >> 32);
}

/* About normal: the sum of four uniform numbers, variance 1. */
static inline float random_normal(struct random *random)
{
    float sum = 0;
    for (int i = 0; i < 4; i++)
        sum += (float)random_bits(random) * 0x1p-32f - 0.5f;
    return sum * 1.7320508f;
}

static inline float *random_floats(struct random *random, size_t count, float scale)
{
    float *values = calloc(count + 1, sizeof *values);
    ck_assert_ptr_nonnull(values);
    for (size_t i = 0; i < count; i++)
        values[i] = random_normal(random) * scale;
    return values;
}

/* A half between 2^-8 and 2^-4, of either sign. */
static inline uint16_t random_half(struct random *random)
{
    return (uint16_t)((random_bits(random) & 0x83ffu) | (7 + random_below(random, 4)) << 10);
}

/* Where the halves of a block type's scales lie, from its beginning or (below 0) its end; 99: there is none. */
static inline void random_scales(struct random *random, int type, uint8_t *block)
{
    static const int8_t places[WEIGHT_TYPES][2] = {[WEIGHT_Q4_1] = {0, 2},
        [WEIGHT_Q5_1] = {0, 2},
        [WEIGHT_Q2_K] = {-4, -2},
        [WEIGHT_Q3_K] = {-2, -2},
        [WEIGHT_Q4_K] = {0, 2},
        [WEIGHT_Q5_K] = {0, 2},
        [WEIGHT_Q6_K] = {-2, -2},
        [WEIGHT_TQ1_0] = {-2, -2},
        [WEIGHT_TQ2_0] = {-2, -2},
        [WEIGHT_IQ1_M] = {99, 99},
        [WEIGHT_MXFP4] = {99, 99},
        [WEIGHT_NVFP4] = {99, 99}};
    for (int i = 0; i < 2; i++) {
        int at = places[type][i];
        uint16_t half = random_half(random);
        if (at != 99)
            memcpy(block + (at < 0 ? (int)weight_block_bytes(type) + at : at), &half, 2);
    }
    for (int i = 0; i < 4; i++) {
        if (type == WEIGHT_IQ1_M) /* a half in the upper four bits of four words, the largest last */
            block[49 + 2 * i] = (uint8_t)((block[49 + 2 * i] & 15) | (i == 3 ? 0x20 : 0x10));
        if (type == WEIGHT_NVFP4)
            block[i] &= 0x3f;
    }
    if (type == WEIGHT_MXFP4)
        block[0] = (uint8_t)(120 + block[0] % 8);
}

static inline void random_block(struct random *random, int type, uint8_t *block)
{
    float value = random_normal(random) * 0.1f;
    uint32_t bits = bits_of_float(value);
    if (type == WEIGHT_F32) {
        memcpy(block, &value, sizeof value);
        return;
    }
    for (size_t i = 0; i < weight_block_bytes(type); i++)
        block[i] = (uint8_t)random_bits(random);
    uint16_t half = type == WEIGHT_BF16 ? (uint16_t)(bits >> 16) : random_half(random);
    if (weight_block(type) == 1 && weight_block_bytes(type) == 2)
        memcpy(block, &half, 2);
    else if (type == WEIGHT_F8)
        block[0] = (uint8_t)((block[0] & 0x80u) | block[0] % 0x58u);
    else if (!weight_is_grouped(type))
        random_scales(random, type, block);
}

/* Scales, zeros and the order of inputs, which stand behind the codes. */
static inline void random_groups(struct random *random, uint8_t *at, pdk_matrix *matrix)
{
    static const int32_t scale_types[] = {PDK_TYPE_F32, PDK_TYPE_F16, PDK_TYPE_BF16};
    static const uint32_t groups[] = {32, 64, 128, 20, 1u << 20};
    matrix->scale_type = scale_types[random_below(random, 3)];
    matrix->group = groups[random_below(random, 5)];
    size_t count = matrix->rows * (((size_t)matrix->columns + matrix->group - 1) / matrix->group);
    float *scales = (float *)(void *)at;
    uint16_t *halves = (uint16_t *)(void *)at;
    int16_t *zeros = (int16_t *)(void *)(at + count * sizeof(float));
    uint32_t *inputs = (uint32_t *)(void *)(at + (2 * count + 1) * sizeof(float));
    for (size_t i = 0; i < count; i++) {
        float value = random_normal(random) * 0.1f;
        if (matrix->scale_type == PDK_TYPE_F32)
            scales[i] = value;
        else
            halves[i] = matrix->scale_type == PDK_TYPE_F16 ? random_half(random) : bfloat_of_float(value);
        zeros[i] = (int16_t)random_below(random, 17);
    }
    for (uint32_t k = 0; k < matrix->columns; k++) {
        uint32_t other = random_below(random, k + 1);
        inputs[k] = inputs[other];
        inputs[other] = k;
    }
    matrix->scales = at;
    matrix->zeros = matrix->type != PDK_TYPE_F8 && random_below(random, 3) != 0 ? zeros : NULL;
    matrix->inputs = random_below(random, 2) != 0 ? inputs : NULL;
}

/* `data` is for free(); all else that a matrix has lies behind it. */
static inline pdk_matrix random_matrix(struct random *random, int type, uint32_t rows, uint32_t columns)
{
    size_t blocks = rows * (columns / weight_block(type)), bytes = weight_block_bytes(type);
    size_t behind = ((blocks * bytes + 63) / 64) * 64;
    size_t more = weight_is_grouped(type) ? ((size_t)rows * columns * 2 + columns + 2) * sizeof(float) : 0;
    uint8_t *data = calloc(1, behind + more + 64);
    ck_assert_ptr_nonnull(data);
    for (size_t i = 0; i < blocks; i++)
        random_block(random, type, data + i * bytes);
    pdk_matrix matrix = {.type = type, .rows = rows, .columns = columns, .data = data};
    if (weight_is_grouped(type))
        random_groups(random, data + behind, &matrix);
    return matrix;
}

static inline struct reference_matrix plain_matrix(const pdk_matrix *matrix)
{
    return (struct reference_matrix){.type = matrix->type,
        .rows = matrix->rows,
        .columns = matrix->columns,
        .data = matrix->data,
        .groups = {.scales = matrix->scales,
            .zeros = matrix->zeros,
            .inputs = matrix->inputs,
            .columns = matrix->group,
            .scale_type = matrix->scale_type}};
}

/* Check writes a line for every assertion that holds, so runs of numbers are compared before they are asserted. */

/* Every number within `tolerance` of the largest expected one: rounding is relative to what was summed. */
static inline void assert_near(
    const float *found, const float *expected, size_t count, double tolerance, const char *what)
{
    double largest = 1e-3;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, fabs((double)expected[i]));
    for (size_t i = 0; i < count; i++)
        if (!(fabs((double)found[i] - expected[i]) <= tolerance * largest))
            ck_abort_msg("%s: number %zu is %.9g, not %.9g", what, i, (double)found[i], (double)expected[i]);
}

static inline void assert_same(const float *found, const float *expected, size_t count, const char *what)
{
    for (size_t i = 0; i < count; i++)
        if (bits_of_float(found[i]) != bits_of_float(expected[i]))
            ck_abort_msg("%s: number %zu is %a, not %a", what, i, (double)found[i], (double)expected[i]);
}

/* A batch of one sequence: rows at positions first, first + 1, ... */
struct plain_batch {
    uint32_t positions[64], slots[64], sequence_of[64], tokens[64], output_rows[64], row_starts[2], context[1];
};

static inline void plain_batch_set(struct plain_batch *plain, pdk_batch *batch, uint32_t rows)
{
    for (uint32_t r = 0; r < rows; r++) {
        plain->positions[r] = plain->slots[r] = plain->output_rows[r] = r;
        plain->sequence_of[r] = 0;
    }
    plain->row_starts[0] = 0;
    plain->row_starts[1] = plain->context[0] = rows;
    *batch = (pdk_batch){
        .row_count = rows,
        .sequence_count = 1,
        .output_count = rows,
        .tokens = plain->tokens,
        .positions = plain->positions,
        .slots = plain->slots,
        .sequence_of = plain->sequence_of,
        .row_starts = plain->row_starts,
        .context_lengths = plain->context,
        .output_rows = plain->output_rows,
    };
}
