/* runtimes/huggingface/model/turned.c: a matrix of each kind of type, turned, then read back by multiplication. */
#include "config.h"

#include "runtimes/huggingface/model/numbers.h"
#include "runtimes/huggingface/model/turned.h"

#include "check_main.h"
#include "core/base/cleanup.h"

#include <check.h>
#include <paddock/compute.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 11, SKIPPED = 3, COLUMNS = 64, ALL = ROWS + SKIPPED };

static const int32_t types[] = {PDK_TYPE_Q8_0, PDK_TYPE_Q4_0, PDK_TYPE_Q4_1};

static void fill(uint8_t *data, size_t bytes)
{
    uint32_t state = 7;
    for (size_t i = 0; i < bytes; i++) {
        state = state * 1664525 + 1013904223;
        data[i] = (uint8_t)(state >> 24);
    }
}

/* Scales of half floats that are small numbers. */
static void calm_scales(int32_t type, uint8_t *data, size_t blocks)
{
    for (size_t b = 0; b < blocks; b++, data += number_block_bytes(type)) {
        data[1] = (uint8_t)(0x28 | (data[1] & 0x83));
        if (type == PDK_TYPE_Q4_1)
            data[3] = (uint8_t)(0x28 | (data[3] & 0x83));
    }
}

START_TEST(columns_become_rows)
{
    static float plain[ALL * COLUMNS], is[ROWS * COLUMNS], unit[ROWS * ROWS];
    int32_t type = types[_i];
    size_t blocks = ALL * COLUMNS / number_block(type), bytes = blocks * number_block_bytes(type);
    PDK_AUTO_FREE uint8_t *data = calloc(bytes, 1);
    ck_assert_ptr_nonnull(data);
    fill(data, bytes);
    calm_scales(type, data, blocks);
    numbers_to_floats(type, data, (size_t)ALL * COLUMNS, plain);

    struct model model = {0};
    const pdk_compute_config config = {.size = sizeof config, .threads = 2};
    pdk_error err = {0};
    ck_assert_int_eq(pdk_compute_entry.init(&config, &model.compute, &err), PDK_OK);
    model.ops = pdk_compute_entry.get_extension(model.compute, PDK_EXT_OPS);
    pdk_weight *turned = NULL;
    struct tensor tensor = {.type = type, .type_name = number_type_name(type), .rank = 2, .data = data, .bytes = bytes};
    struct planned_weight weight = {.slot = &turned, .use = PDK_WEIGHT_LINEAR, .part_count = 1};
    weight.parts[0].tensor = &tensor;
    weight.parts[0].rows = COLUMNS;
    weight.parts[0].columns = ROWS;
    weight.parts[0].gather = (struct gather){.kind = GATHER_TRANSPOSED, .first = SKIPPED, .width = COLUMNS, .step = 1};
    ck_assert(gather_needs_backend(&tensor, &weight.parts[0].gather));
    ck_assert_msg(turned_load(&model, &weight, &err) == PDK_OK, "%s", err.message);

    pdk_rows *in = NULL, *out = NULL;
    pdk_queue *queue = NULL;
    ck_assert_int_eq(model.ops->rows_new(model.compute, ROWS, ROWS, &in, &err), PDK_OK);
    ck_assert_int_eq(model.ops->rows_new(model.compute, ROWS, COLUMNS, &out, &err), PDK_OK);
    ck_assert_int_eq(model.ops->queue_new(model.compute, ROWS, 1, &queue, &err), PDK_OK);
    for (size_t i = 0; i < ROWS; i++)
        unit[i * ROWS + i] = 1;
    model.ops->rows_write(model.compute, in, 0, ROWS, unit);
    model.ops->queue_begin(queue, &(pdk_batch){.row_count = ROWS});
    model.ops->linear(queue, &(pdk_linear){.in = in, .weight = turned, .out = out, .scale = 1});
    ck_assert_int_eq(model.ops->queue_submit(queue, &err), PDK_OK);
    ck_assert_int_eq(model.ops->queue_wait(queue, &err), PDK_OK);
    model.ops->rows_read(model.compute, out, 0, ROWS, is);
    for (size_t r = 0; r < ROWS; r++)
        for (size_t k = 0; k < COLUMNS; k++)
            if (is[r * COLUMNS + k] != plain[(SKIPPED + r) * COLUMNS + k])
                ck_abort_msg("row %zu, column %zu is %g, not %g", r, k, (double)is[r * COLUMNS + k],
                    (double)plain[(SKIPPED + r) * COLUMNS + k]);
    model.ops->queue_free(model.compute, queue);
    model.ops->rows_free(model.compute, in);
    model.ops->rows_free(model.compute, out);
    model.ops->weight_free(model.compute, turned);
    pdk_compute_entry.done(model.compute);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("turned");
    TCase *tests = tcase_create("turned");
    tcase_add_loop_test(tests, columns_become_rows, 0, sizeof types / sizeof types[0]);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
