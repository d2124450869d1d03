/* Rows of a quantised linear as the backend takes them: codes in rows, scales and zeros [rows][groups]. */
#include "config.h"

#include "runtimes/huggingface/model/quantised.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "runtimes/huggingface/model/numbers.h"
#include "runtimes/huggingface/model/printable.h"

#include <stdlib.h>
#include <string.h>

/* Where AWQ puts each of eight outputs in a word. */
static const uint8_t awq_place[8] = {0, 4, 1, 5, 2, 6, 3, 7};

static uint32_t word_at(const uint8_t *words, size_t i)
{
    uint32_t word;
    memcpy(&word, words + 4 * i, 4);
    return word;
}

/* The code of a row and of the column of the file. */
static unsigned code_at(const struct quantised *q, const uint8_t *codes, size_t row, size_t column)
{
    size_t each = 32 / q->bits;
    unsigned mask = (1u << q->bits) - 1;
    switch (q->layout) {
    case CODES_AWQ: return word_at(codes, column * (q->rows / 8) + row / 8) >> 4 * awq_place[row % 8] & mask;
    case CODES_GPTQ: return word_at(codes, column / each * q->rows + row) >> q->bits * (column % each) & mask;
    case CODES_PACKED_ROWS:
        return word_at(codes, row * ((q->columns + each - 1) / each) + column / each) >> q->bits * (column % each) &
               mask;
    default: return codes[row * q->columns + column];
    }
}

/* Codes of 8 bits become s8: 128 is taken from them, and from their zeros. */
static int shift_of(const struct quantised *q)
{
    return q->layout != CODES_ROWS && q->bits == 8 ? 128 : 0;
}

static int zero_at(const struct quantised *q, size_t row, size_t group)
{
    const uint8_t *zeros = q->zeros.data;
    size_t each = 32 / q->bits, word = row / each, per_group = (q->rows + each - 1) / each;
    unsigned mask = (1u << q->bits) - 1;
    if (zeros == NULL) /* codes with an offset of half their range */
        return 1 << (q->bits - 1);
    switch (q->layout) {
    case CODES_AWQ: return (int)(word_at(zeros, group * per_group + word) >> 4 * awq_place[row % 8] & mask);
    case CODES_GPTQ:
        return (int)(word_at(zeros, group * per_group + word) >> q->bits * (row % each) & mask) + q->zero_offset;
    case CODES_PACKED_ROWS: return (int)(word_at(zeros, word * q->groups + group) >> q->bits * (row % each) & mask);
    default: return (int8_t)zeros[row / q->scale_rows * q->groups + group];
    }
}

static void unpack_codes(const struct tensor *tensor, uint32_t first_row, uint32_t rows, uint8_t *out)
{
    const struct quantised *q = tensor->quantised;
    bool nibbles = tensor->type == PDK_TYPE_U4;
    int shift = shift_of(q);
    for (size_t r = 0; r < rows; r++)
        for (size_t k = 0; k < q->columns; k++) {
            unsigned code = code_at(q, tensor->data, first_row + r, q->inputs != NULL ? q->inputs[k] : k);
            if (!nibbles)
                *out++ = (uint8_t)((int)code - shift);
            else if (k % 2 == 0)
                *out = (uint8_t)code;
            else
                *out++ |= (uint8_t)(code << 4);
        }
}

static void unpack_scales(const struct quantised *q, uint32_t first_row, uint32_t rows, uint8_t *scales, int16_t *zeros)
{
    size_t width = q->scales.type == PDK_TYPE_F32 ? 4 : 2;
    for (size_t r = first_row; r < (size_t)first_row + rows; r++)
        for (size_t g = 0; g < q->groups; g++) {
            size_t from = q->scales_by_column ? g * q->rows + r : r / q->scale_rows * q->groups + g;
            memcpy(scales, q->scales.data + from * width, width);
            scales += width;
            if (zeros != NULL)
                *zeros++ = (int16_t)(zero_at(q, r, g) - shift_of(q));
        }
}

static bool has_zeros(const struct quantised *q)
{
    return q->layout == CODES_ROWS ? q->zeros.data != NULL
                                   : q->zeros.data != NULL || q->bits != 8; /* 128 is taken already */
}

pdk_matrix quantised_shape(const struct tensor *tensor, uint32_t rows)
{
    const struct quantised *q = tensor->quantised;
    return (pdk_matrix){.type = tensor->type,
        .rows = rows,
        .columns = q->columns,
        .data = tensor->data,
        .scales = q->scales.data,
        .zeros = has_zeros(q) ? (const int16_t *)(const void *)q->scales.data : NULL,
        .inputs = q->inputs,
        .group = q->group,
        .scale_type = q->scales.type};
}

static pdk_status refuse_nan(const struct tensor *tensor, const uint8_t *codes, size_t count, pdk_error *err)
{
    for (size_t i = 0; tensor->type == PDK_TYPE_F8 && i < count; i++)
        if ((codes[i] & 0x7f) == 0x7f)
            return pdk_error_value(
                err, PDK_INVALID, "tensors", tensor->name.data, "%s holds a NaN", printable(tensor->name.data).text);
    return PDK_OK;
}

pdk_status quantised_unpack(const struct tensor *tensor, uint32_t first_row, uint32_t rows, pdk_matrix *ret_matrix,
    void **ret_buffer, pdk_error *err)
{
    const struct quantised *q = tensor->quantised;
    pdk_matrix matrix = quantised_shape(tensor, rows);
    bool in_place = q->layout == CODES_ROWS && q->inputs == NULL;
    size_t codes, scales, groups, total;
    if (__builtin_mul_overflow((size_t)rows, (size_t)q->columns / number_block(tensor->type), &codes) ||
        __builtin_mul_overflow((size_t)rows, (size_t)q->groups, &groups) || codes > SIZE_MAX / 2 ||
        groups > SIZE_MAX / 32)
        return pdk_error_set(err, PDK_NO_MEMORY, "model", "a weight is too large to unpack");
    codes = in_place ? 0 : (codes + 15) / 16 * 16;
    scales = (groups * 4 + 15) / 16 * 16;
    total = codes + scales + groups * sizeof(int16_t) + 1;
    uint8_t *buffer = malloc(total);
    if (buffer == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "model", "no memory for %zu bytes of unpacked weights", total);
    int16_t *zeros = matrix.zeros != NULL ? (int16_t *)(void *)(buffer + codes + scales) : NULL;
    if (!in_place)
        unpack_codes(tensor, first_row, rows, buffer);
    unpack_scales(q, first_row, rows, buffer + codes, zeros);
    matrix.data = in_place ? tensor->data + (size_t)first_row * q->columns : buffer;
    matrix.scales = buffer + codes;
    matrix.zeros = zeros;
    pdk_status status = refuse_nan(tensor, matrix.data, (size_t)rows * q->columns, err);
    if (status != PDK_OK) {
        free(buffer);
        return status;
    }
    *ret_buffer = buffer;
    *ret_matrix = matrix;
    return PDK_OK;
}

/* e4m3 is a half with four exponent bits less before it: half of its bits shifted, times 2^8. */
