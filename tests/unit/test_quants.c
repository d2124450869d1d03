/* kernels/reference/dequantize.c and kernels/cpu/pack.c against the values that the format's own implementation gives,
 * to the bit. */
#include "config.h"

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/span.h"
#include "kernels/cpu/packed.h"
#include "kernels/reference/reference.h"

#include "check_main.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 4, COLUMNS = 512, FILE_MAX = 8 << 20 };

static const struct {
    const char *name;
    int type;
} formats[] = {{"F32", WEIGHT_F32}, {"F16", WEIGHT_F16}, {"BF16", WEIGHT_BF16}, {"Q4_0", WEIGHT_Q4_0},
    {"Q4_1", WEIGHT_Q4_1}, {"Q5_0", WEIGHT_Q5_0}, {"Q5_1", WEIGHT_Q5_1}, {"Q8_0", WEIGHT_Q8_0}, {"Q2_K", WEIGHT_Q2_K},
    {"Q3_K", WEIGHT_Q3_K}, {"Q4_K", WEIGHT_Q4_K}, {"Q5_K", WEIGHT_Q5_K}, {"Q6_K", WEIGHT_Q6_K}, {"IQ1_S", WEIGHT_IQ1_S},
    {"IQ1_M", WEIGHT_IQ1_M}, {"IQ2_XXS", WEIGHT_IQ2_XXS}, {"IQ2_XS", WEIGHT_IQ2_XS}, {"IQ2_S", WEIGHT_IQ2_S},
    {"IQ3_XXS", WEIGHT_IQ3_XXS}, {"IQ3_S", WEIGHT_IQ3_S}, {"IQ4_NL", WEIGHT_IQ4_NL}, {"IQ4_XS", WEIGHT_IQ4_XS},
    {"TQ1_0", WEIGHT_TQ1_0}, {"TQ2_0", WEIGHT_TQ2_0}, {"MXFP4", WEIGHT_MXFP4}, {"NVFP4", WEIGHT_NVFP4}};

static char path[1024];

/* The data of tensor FORMAT.WHAT, which must have `size` bytes. */
static const uint8_t *tensor(
    const struct json *head, struct span data, const char *format, const char *what, size_t size)
{
    char name[32];
    snprintf(name, sizeof name, "%s.%s", format, what);
    const struct json *offsets = json_get(json_get(head, name), "data_offsets");
    ck_assert_ptr_nonnull(offsets);
    uint64_t begin = 0, end = 0;
    ck_assert(json_uint64(offsets->child, &begin) && json_uint64(offsets->child->next, &end));
    ck_assert(end - begin == size && end <= data.left);
    return data.at + begin;
}

START_TEST(values_are_the_formats_own)
{
    struct buffer file = {0};
    pdk_error err = {0};
    ck_assert_msg(file_read(path, FILE_MAX, &file, &err) == PDK_OK, "%s", err.message);
    struct span span = span_of(file.data, file.length);
    const uint8_t *text = NULL;
    size_t head_bytes = 0;
    struct json_document *document = NULL;
    ck_assert(span_u64_size(&span, &head_bytes) && span_take(&span, head_bytes, &text));
    ck_assert_int_eq(json_read((const char *)text, head_bytes, &json_limits_default, &document, &err), PDK_OK);
    const struct json *head = json_root(document);

    int type = formats[_i].type;
    size_t row_bytes = weight_row_bytes(type, COLUMNS);
    const uint8_t *raw = tensor(head, span, formats[_i].name, "raw", ROWS * row_bytes);
    const uint8_t *values = tensor(head, span, formats[_i].name, "values", ROWS * COLUMNS * sizeof(float));
    uint8_t *panel = calloc(1, panel_bytes(type, COLUMNS));
    for (size_t r = 0; r < ROWS; r++)
        panel_put(type, raw + r * row_bytes, r + 5, COLUMNS, panel);
    for (size_t r = 0; r < ROWS; r++) {
        float plain[COLUMNS], packed[COLUMNS];
        reference_dequantize(type, raw + r * row_bytes, COLUMNS, plain);
        panel_row(type, panel, r + 5, COLUMNS, 1, false, packed);
        ck_assert_mem_eq(plain, values + r * sizeof plain, sizeof plain);
        ck_assert_mem_eq(packed, values + r * sizeof packed, sizeof packed);
    }
    free(panel);
    json_document_free(document);
    buffer_done(&file);
}
END_TEST

static const struct {
    uint16_t half;
    float value;
} halves[] = {{0x0000, 0.0f}, {0x8000, -0.0f}, {0x3c00, 1.0f}, {0xc000, -2.0f}, {0x7bff, 65504.0f}, {0x0001, 0x1p-24f},
    {0x03ff, 0x1.ff8p-15f}, {0x8200, -0x1p-15f}, {0x0400, 0x1p-14f}, {0x7c00, INFINITY}, {0xfc00, -INFINITY}};

START_TEST(sixteen_bit_floats)
{
    for (size_t i = 0; i < sizeof halves / sizeof *halves; i++)
        ck_assert_uint_eq(bits_of_float(float_of_half(halves[i].half)), bits_of_float(halves[i].value));
    ck_assert(isnan(float_of_half(0x7e00)));
    ck_assert_uint_eq(bfloat_of_float(1.0f), 0x3f80);
    ck_assert_uint_eq(bfloat_of_float(float_of_bits(0x3f808000)), 0x3f80); /* ties to even */
    ck_assert_uint_eq(bfloat_of_float(float_of_bits(0x3f818000)), 0x3f82);
    ck_assert_uint_eq(bfloat_of_float(float_of_bits(0x3f808001)), 0x3f81);
    ck_assert_uint_eq(bfloat_of_float(float_of_bits(0x7f7fffff)), 0x7f80);
    ck_assert(isnan(float_of_bfloat(bfloat_of_float(float_of_bits(0x7f800001)))));
}
END_TEST

int main(void)
{
    const char *fixtures = getenv("PADDOCK_FIXTURES");
    snprintf(path, sizeof path, "%s/quants.safetensors", fixtures != NULL ? fixtures : "");
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        printf("skipped: no fixture quants.safetensors\n");
        return 77;
    }
    fclose(file);
    Suite *suite = suite_create("quants");
    TCase *tests = tcase_create("quants");
    tcase_add_loop_test(tests, values_are_the_formats_own, 0, sizeof formats / sizeof *formats);
    tcase_add_test(tests, sixteen_bit_floats);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
