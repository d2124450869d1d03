/* Rows of grouped types between file and panel. */
#include "kernels/cpu/packed.h"

bool panel_can_group(const struct weight_groups *groups, size_t columns)
{
    return groups->columns >= columns || groups->columns % CELL_COLUMNS == 0;
}

static struct group_head head_of(int type, const struct weight_groups *groups, size_t columns)
{
    struct group_head head = {.scale_type = groups->scale_type};
    if (groups->zeros != NULL)
        head.zero_bytes = type == WEIGHT_U4 ? 1 : 2;
    head.cells = (uint32_t)panel_cells(groups->columns < columns ? groups->columns : columns);
    head.group_bytes =
        (uint32_t)(group_scales_bytes(groups->scale_type, head.zero_bytes) + head.cells * cell_bytes(type));
    return head;
}

size_t panel_bytes_grouped(int type, const struct weight_groups *groups, size_t columns)
{
    struct group_head head = head_of(type, groups, columns);
    size_t scales = group_scales_bytes(groups->scale_type, head.zero_bytes);
    return GROUP_HEAD_BYTES + weight_group_count(groups, columns) * scales + panel_cells(columns) * cell_bytes(type);
}

void panel_put_grouped(int type, const struct weight_groups *groups, const uint8_t *codes, size_t row, size_t r,
    size_t columns, uint8_t *panel)
{
    struct group_head head = head_of(type, groups, columns);
    size_t count = weight_group_count(groups, columns), width = groups->scale_type == WEIGHT_F32 ? 4 : 2;
    memcpy(panel, &head, sizeof head);
    for (size_t g = 0; g < count; g++) {
        uint8_t *group = panel + GROUP_HEAD_BYTES + g * head.group_bytes;
        memcpy(group + r * width, (const uint8_t *)groups->scales + (row * count + g) * width, width);
        if (head.zero_bytes == 1)
            group[PANEL_ROWS * width + r] = (uint8_t)groups->zeros[row * count + g];
        else if (head.zero_bytes == 2)
            memcpy(group + PANEL_ROWS * width + 2 * r, &groups->zeros[row * count + g], 2);
    }
    for (size_t k = 0; k < columns; k++) {
        const uint8_t *scales;
        uint8_t *cell = panel + (group_cell(type, panel, k / CELL_COLUMNS, &scales) - panel);
        size_t i = k % CELL_COLUMNS;
        if (type == WEIGHT_U4) {
            unsigned code = codes[k / 2] >> 4 * (k % 2) & 15u;
            uint8_t *byte = &cell[(i % 16 / 4 * PANEL_ROWS + r) * 4 + i % 4];
            *byte = (uint8_t)(*byte | code << (i < 16 ? 0 : 4));
        } else {
            cell[(i / 4 * PANEL_ROWS + r) * 4 + i % 4] = codes[k];
        }
    }
}

static float scale_at(int type, const uint8_t *scales, size_t i)
{
    float value;
    if (type == WEIGHT_F16)
        return float_of_half(load_u16(scales + 2 * i));
    if (type == WEIGHT_BF16)
        return float_of_bfloat(load_u16(scales + 2 * i));
    memcpy(&value, scales + 4 * i, sizeof value);
    return value;
}

void panel_grouped_numbers(
    int type, const struct weight_groups *groups, const uint8_t *codes, size_t row, size_t columns, float *out)
{
    size_t count = weight_group_count(groups, columns);
    for (size_t k = 0; k < columns; k++) {
        size_t i = row * count + k / groups->columns;
        float zero = groups->zeros != NULL ? groups->zeros[i] : 0;
        float code = type == WEIGHT_U4   ? (float)(codes[k / 2] >> 4 * (k % 2) & 15u)
                     : type == WEIGHT_S8 ? (float)(int8_t)codes[k]
                                         : float_of_e4m3(codes[k]);
        out[groups->inputs != NULL ? groups->inputs[k] : k] =
            scale_at(groups->scale_type, groups->scales, i) * (code - zero);
    }
}

void group_cell_row(int type, const uint8_t *panel, size_t c, size_t r, float *out)
{
    const uint8_t *scales, *cell = group_cell(type, panel, c, &scales);
    struct group_head head;
    memcpy(&head, panel, sizeof head);
    float scale = scale_at(head.scale_type, scales, r), zero = 0;
    const uint8_t *zeros = scales + PANEL_ROWS * (head.scale_type == WEIGHT_F32 ? 4 : 2);
    if (head.zero_bytes != 0)
        zero = head.zero_bytes == 1 ? zeros[r] : (int16_t)load_u16(zeros + 2 * r);
    for (size_t k = 0; k < CELL_COLUMNS; k++) {
        uint8_t byte = type == WEIGHT_U4 ? cell[(k % 16 / 4 * PANEL_ROWS + r) * 4 + k % 4]
                                         : cell[(k / 4 * PANEL_ROWS + r) * 4 + k % 4];
        float code = type == WEIGHT_U4   ? (float)(k < 16 ? byte & 15 : byte >> 4)
                     : type == WEIGHT_S8 ? (float)(int8_t)byte
                                         : float_of_e4m3(byte);
        out[k] = scale * (code - zero);
    }
}
