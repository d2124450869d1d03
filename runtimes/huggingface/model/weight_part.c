/* A part of a planned weight as the backend takes it: in the file where it lies so, else put together in memory. */
#include "config.h"

#include "runtimes/huggingface/model/weight_plan.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "runtimes/huggingface/model/numbers.h"
#include "runtimes/huggingface/model/quantised.h"

#include <stdlib.h>
#include <string.h>

static size_t row_bytes(int32_t type, uint32_t columns)
{
    return (size_t)columns / number_block(type) * number_block_bytes(type);
}

pdk_string weight_part_bytes(const struct weight_part *part)
{
    const struct tensor *tensor = part->tensor;
    uint64_t first = 0, bytes = tensor->bytes;
    if (tensor->quantised == NULL && part->gather.kind != GATHER_NONE) {
        gather_extent(tensor, &part->gather, part->rows, part->columns, &first, &bytes);
    } else if (tensor->quantised == NULL) {
        uint64_t row = row_bytes(tensor->type, part->columns);
        first = part->first_row * row;
        bytes = part->rows * row;
    }
    return (pdk_string){(const char *)tensor->data + first, bytes};
}

pdk_matrix weight_part_shape(const struct weight_part *part)
{
    if (part->tensor->quantised != NULL && part->gather.kind == GATHER_NONE)
        return quantised_shape(part->tensor, part->rows);
    return (pdk_matrix){
        .type = part->type, .rows = part->rows, .columns = part->columns, .data = weight_part_bytes(part).data};
}

/* Codes, scales and zeros in a weight's order of rows. */
static pdk_status reorder(const struct model_config *config, const struct weight_part *part, pdk_matrix *matrix,
    void **buffer, pdk_error *err)
{
    size_t codes = row_bytes(matrix->type, matrix->columns), groups = (matrix->columns - 1) / matrix->group + 1;
    size_t scales = groups * (matrix->scale_type == PDK_TYPE_F32 ? 4 : 2), rows = matrix->rows;
    size_t codes_room = (codes * rows + 15) / 16 * 16, scales_room = (scales * rows + 15) / 16 * 16;
    size_t zeros_room = rows * groups * sizeof(int16_t);
    uint8_t *to = malloc(codes_room + scales_room + zeros_room);
    if (to == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "model", "no memory to put a weight in order");
    layout_copy(part->layout, config, matrix->data, matrix->rows, (uint32_t)codes, 1, to);
    layout_copy(part->layout, config, matrix->scales, matrix->rows, (uint32_t)scales, 1, to + codes_room);
    if (matrix->zeros != NULL)
        layout_copy(part->layout, config, matrix->zeros, matrix->rows, (uint32_t)groups, sizeof(int16_t),
            to + codes_room + scales_room);
    matrix->data = to;
    matrix->scales = to + codes_room;
    matrix->zeros = matrix->zeros != NULL ? (const int16_t *)(void *)(to + codes_room + scales_room) : NULL;
    free(*buffer);
    *buffer = to;
    return PDK_OK;
}

static pdk_status read_quantised(const struct model_config *config, const struct weight_part *part,
    pdk_matrix *ret_matrix, void **ret_buffer, pdk_error *err)
{
    pdk_matrix matrix;
    PDK_AUTO_FREE void *buffer = NULL;
    pdk_status status = quantised_unpack(part->tensor, (uint32_t)part->first_row, part->rows, &matrix, &buffer, err);
    if (status == PDK_OK && part->layout != LAYOUT_ROWS)
        status = reorder(config, part, &matrix, &buffer, err);
    if (status != PDK_OK)
        return status;
    *ret_buffer = PDK_STEAL(buffer);
    *ret_matrix = matrix;
    return PDK_OK;
}

pdk_status weight_part_read(const struct model_config *config, const struct weight_part *part, pdk_matrix *ret_matrix,
    void **ret_buffer, pdk_error *err)
{
    if (part->tensor->quantised != NULL && part->gather.kind == GATHER_NONE)
        return read_quantised(config, part, ret_matrix, ret_buffer, err);
    pdk_matrix matrix = weight_part_shape(part);
    size_t bytes = row_bytes(part->type, part->columns);
    if (part->gather.kind == GATHER_NONE && part->layout == LAYOUT_ROWS && (uintptr_t)matrix.data % 2 == 0) {
        *ret_matrix = matrix;
        return PDK_OK;
    }
    if (__builtin_mul_overflow(bytes, part->rows, &bytes))
        return pdk_error_set(err, PDK_NO_MEMORY, "model", "a weight is too large to convert");
    PDK_AUTO_FREE void *buffer = malloc(bytes);
    if (buffer == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "model", "no memory for %zu bytes of converted weights", bytes);
    if (part->gather.kind != GATHER_NONE)
        gather_rows(part->tensor, &part->gather, part->rows, part->columns, buffer);
    else
        layout_copy(part->layout, config, matrix.data, part->rows, part->columns / number_block(part->type),
            number_block_bytes(part->type), buffer);
    matrix.data = buffer;
    *ret_buffer = PDK_STEAL(buffer);
    *ret_matrix = matrix;
    return PDK_OK;
}
