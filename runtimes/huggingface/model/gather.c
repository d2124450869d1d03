/* See the header. */
#include "config.h"

#include "runtimes/huggingface/model/gather.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "runtimes/huggingface/model/numbers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MXFP4_RUN = 32, MXFP4_BYTES = 16, MXFP4_BIAS = 127 };

int32_t gather_type(const struct tensor *tensor, const struct gather *gather)
{
    if (gather->kind == GATHER_MXFP4)
        return PDK_TYPE_BF16;
    return number_block(tensor->type) == 1 ? tensor->type : PDK_TYPE_F32;
}

void gather_extent(const struct tensor *tensor, const struct gather *gather, uint32_t rows, uint32_t columns,
    uint64_t *ret_first, uint64_t *ret_bytes)
{
    uint64_t row = columns / MXFP4_RUN * MXFP4_BYTES, count = (uint64_t)(rows - 1) * gather->step + 1;
    if (gather->kind == GATHER_TRANSPOSED) {
        row = gather->width / number_block(tensor->type) * (uint64_t)number_block_bytes(tensor->type);
        count = columns;
    }
    *ret_first = gather->first * row;
    *ret_bytes = count * row;
}

/* Numbers are moved as they are. */
static void transpose_numbers(
    const uint8_t *from, const struct gather *gather, uint32_t rows, uint32_t columns, size_t size, uint8_t *to)
{
    for (uint32_t k = 0; k < columns; k++) {
        const uint8_t *at = from + ((gather->first + k) * gather->width + gather->offset) * size;
        for (uint32_t r = 0; r < rows; r++, at += gather->step * size)
            memcpy(to + ((size_t)r * columns + k) * size, at, size);
    }
}

/* Numbers become float32 on the way, as those of a block share a scale. */
static pdk_status transpose_floats(const struct tensor *tensor, const struct gather *gather, uint32_t rows,
    uint32_t columns, float *to, pdk_error *err)
{
    size_t bytes = gather->width / number_block(tensor->type) * (size_t)number_block_bytes(tensor->type);
    PDK_AUTO_FREE float *row = calloc(gather->width, sizeof *row);
    if (row == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "model", "no memory for a row of %u numbers", gather->width);
    for (uint32_t k = 0; k < columns; k++) {
        numbers_to_floats(tensor->type, tensor->data + (gather->first + k) * bytes, gather->width, row);
        for (uint32_t r = 0; r < rows; r++)
            to[(size_t)r * columns + k] = row[gather->offset + (size_t)r * gather->step];
    }
    return PDK_OK;
}

/* Element 2i of a run is the low half of byte i, element 2i + 1 the high one; 1 sign, 2 exponent and 1 mantissa bit.
 * A power of two times that is a bfloat16 to the bit. */
static void unpack_mxfp4(
    const struct tensor *codes, const struct gather *gather, uint32_t rows, uint32_t columns, bool as_float, void *to)
{
    static const float values[16] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6};
    size_t runs = columns / MXFP4_RUN, at = 0;
    for (uint32_t r = 0; r < rows; r++) {
        size_t row = gather->first + (size_t)r * gather->step;
        for (size_t run = 0; run < runs; run++) {
            const uint8_t *code = codes->data + (row * runs + run) * MXFP4_BYTES;
            int exponent = gather->scales->data[row * runs + run] - MXFP4_BIAS;
            for (int i = 0; i < MXFP4_RUN; i++, at++) {
                float value = ldexpf(values[i % 2 == 0 ? code[i / 2] & 15 : code[i / 2] >> 4], exponent);
                uint32_t bits;
                memcpy(&bits, &value, sizeof bits);
                if (as_float)
                    ((float *)to)[at] = value;
                else
                    ((uint16_t *)to)[at] = (uint16_t)(bits >> 16);
            }
        }
    }
}

pdk_status gather_rows(const struct tensor *tensor, const struct gather *gather, uint32_t rows, uint32_t columns,
    int32_t type, void *to, pdk_error *err)
{
    if (gather->kind == GATHER_MXFP4) {
        unpack_mxfp4(tensor, gather, rows, columns, type == PDK_TYPE_F32, to);
        return PDK_OK;
    }
    if (type != tensor->type)
        return transpose_floats(tensor, gather, rows, columns, to, err);
    transpose_numbers(tensor->data, gather, rows, columns, number_block_bytes(type), to);
    return PDK_OK;
}
