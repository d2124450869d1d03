/* See the header. */
#include "config.h"

#include "runtimes/huggingface/model/gather.h"

#include "runtimes/huggingface/model/numbers.h"

#include <string.h>

enum { MXFP4_RUN = 32, MXFP4_BYTES = 16 };

int32_t gather_type(const struct tensor *tensor, const struct gather *gather)
{
    if (gather->kind == GATHER_MXFP4)
        return PDK_TYPE_MXFP4;
    return gather_needs_backend(tensor, gather) ? PDK_TYPE_F32 : tensor->type;
}

bool gather_needs_backend(const struct tensor *tensor, const struct gather *gather)
{
    return gather->kind == GATHER_TRANSPOSED && (tensor->quantised != NULL || number_block(tensor->type) != 1);
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

/* Element 2i of a run is the low half of byte i of the codes, element 2i + 1 the high one; the packed type has a run's
 * first half in the low halves, its second in the high ones, behind the scale. */
static void repack_mxfp4(
    const struct tensor *codes, const struct gather *gather, uint32_t rows, uint32_t columns, uint8_t *to)
{
    size_t runs = columns / MXFP4_RUN;
    for (uint32_t r = 0; r < rows; r++) {
        size_t run = (gather->first + (size_t)r * gather->step) * runs;
        for (size_t end = run + runs; run < end; run++) {
            const uint8_t *low = codes->data + run * MXFP4_BYTES, *high = low + MXFP4_BYTES / 2;
            *to++ = gather->scales->data[run];
            for (int i = 0; i < MXFP4_BYTES; i++) {
                int shift = i % 2 * 4;
                *to++ = (uint8_t)((low[i / 2] >> shift & 15) | (high[i / 2] >> shift & 15) << 4);
            }
        }
    }
}

void gather_rows(const struct tensor *tensor, const struct gather *gather, uint32_t rows, uint32_t columns, void *to)
{
    if (gather->kind == GATHER_MXFP4)
        repack_mxfp4(tensor, gather, rows, columns, to);
    else
        transpose_numbers(tensor->data, gather, rows, columns, number_block_bytes(tensor->type), to);
}
