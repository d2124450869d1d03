/* See the header. */
#include "config.h"

#include "runtimes/huggingface/model/gather.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "runtimes/huggingface/model/numbers.h"
#include "runtimes/huggingface/model/quantised.h"

#include <stdlib.h>
#include <string.h>

enum { MXFP4_RUN = 32, MXFP4_BYTES = 16 };

int32_t gather_type(const struct tensor *tensor, const struct gather *gather)
{
    if (gather->kind == GATHER_MXFP4)
        return PDK_TYPE_MXFP4;
    return tensor->quantised == NULL && number_block(tensor->type) == 1 ? tensor->type : PDK_TYPE_F32;
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

static pdk_status row_to_floats(const struct tensor *tensor, size_t row, uint32_t width, float *to, pdk_error *err)
{
    if (tensor->quantised != NULL)
        return quantised_to_floats(tensor, (uint32_t)row, to, err);
    if (!number_is_plain(tensor->type))
        return pdk_error_set(
            err, PDK_UNSUPPORTED, "tensors", "type %s is not read where columns become rows", tensor->type_name);
    size_t bytes = width / number_block(tensor->type) * (size_t)number_block_bytes(tensor->type);
    numbers_to_floats(tensor->type, tensor->data + row * bytes, width, to);
    return PDK_OK;
}

/* Numbers become float32 on the way, as those of a block or a group share a scale. */
static pdk_status transpose_floats(const struct tensor *tensor, const struct gather *gather, uint32_t rows,
    uint32_t columns, float *to, pdk_error *err)
{
    PDK_AUTO_FREE float *row = calloc(gather->width, sizeof *row);
    if (row == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "model", "no memory for a row of %u numbers", gather->width);
    for (uint32_t k = 0; k < columns; k++) {
        pdk_status status = row_to_floats(tensor, gather->first + k, gather->width, row, err);
        if (status != PDK_OK)
            return status;
        for (uint32_t r = 0; r < rows; r++)
            to[(size_t)r * columns + k] = row[gather->offset + (size_t)r * gather->step];
    }
    return PDK_OK;
}

/* To GGUF's blocks: the scale, then codes i and i + 16 in a byte. In the file codes 2i and 2i + 1 share one. */
static void pack_mxfp4(
    const struct tensor *codes, const struct gather *gather, uint32_t rows, uint32_t columns, uint8_t *to)
{
    size_t runs = columns / MXFP4_RUN;
    for (uint32_t r = 0; r < rows; r++) {
        size_t row = gather->first + (size_t)r * gather->step;
        for (size_t run = 0; run < runs; run++) {
            const uint8_t *code = codes->data + (row * runs + run) * MXFP4_BYTES;
            *to++ = gather->scales->data[row * runs + run];
            for (int i = 0; i < MXFP4_BYTES; i++) {
                int low = code[i / 2] >> 4 * (i % 2) & 15, high = code[8 + i / 2] >> 4 * (i % 2) & 15;
                *to++ = (uint8_t)(low | high << 4);
            }
        }
    }
}

pdk_status gather_rows(const struct tensor *tensor, const struct gather *gather, uint32_t rows, uint32_t columns,
    int32_t type, void *to, pdk_error *err)
{
    if (gather->kind == GATHER_MXFP4) {
        pack_mxfp4(tensor, gather, rows, columns, to);
        return PDK_OK;
    }
    if (type != tensor->type || tensor->quantised != NULL)
        return transpose_floats(tensor, gather, rows, columns, to, err);
    transpose_numbers(tensor->data, gather, rows, columns, number_block_bytes(type), to);
    return PDK_OK;
}
