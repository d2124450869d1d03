/* runtimes/huggingface/model/layout.c: rows by key head come out stacked, inputs x outputs come out turned. */
#include "config.h"

#include "check_main.h"
#include "runtimes/huggingface/model/layout.h"

#include <string.h>

/* Three key heads of two queries, two numbers a head: what each row of a stack is in the file. */
START_TEST(queries_keys_and_values_are_stacked)
{
    static struct model_config config = {.heads = 6, .kv_heads = 3, .head_dim = 2};
    static const uint32_t want[] = {
        0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, /* queries */
        4, 5, 12, 13, 20, 21,                     /* keys */
        6, 7, 14, 15, 22, 23                      /* values */
    };
    uint16_t in[24][2], out[24][2];
    for (uint16_t i = 0; i < 24; i++)
        in[i][0] = in[i][1] = i;
    layout_copy(LAYOUT_BY_KEY_HEAD, &config, in, 24, 2, sizeof in[0][0], out);
    for (uint32_t row = 0; row < 24; row++) {
        ck_assert_uint_eq(layout_row_by_key_head(&config, row), want[row]);
        ck_assert(out[row][0] == want[row] && out[row][1] == want[row]);
    }
}
END_TEST

/* Sizes around the square in which it is walked. */
START_TEST(transposed_is_turned)
{
    static const uint32_t sizes[][2] = {{1, 1}, {3, 5}, {32, 32}, {33, 31}, {64, 1}, {1, 65}, {40, 70}};
    static float in[70 * 70], out[70 * 70];
    static struct model_config config;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint32_t rows = sizes[i][0], columns = sizes[i][1];
        for (uint32_t k = 0; k < rows * columns; k++)
            in[k] = (float)k;
        memset(out, 0xff, sizeof out);
        layout_copy(LAYOUT_TRANSPOSED, &config, in, rows, columns, sizeof in[0], out);
        for (uint32_t r = 0; r < rows; r++)
            for (uint32_t c = 0; c < columns; c++)
                ck_assert(out[r * columns + c] == in[c * rows + r]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("layout");
    TCase *tests = tcase_create("layout");
    tcase_add_test(tests, queries_keys_and_values_are_stacked);
    tcase_add_test(tests, transposed_is_turned);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
