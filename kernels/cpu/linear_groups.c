/* Matrix times rows over panels of the grouped types: scale * (code - zero), the difference exact, the product rounded
 * once. */
#include "kernels/cpu/linear_by.h"

/* The scales and zeros of a cell's group, in lanes. */
struct group_lanes {
    lanes scale;
    ints zero;
};

LANES_INLINE struct group_lanes load_group(const uint8_t *panel, const uint8_t *scales)
{
    struct group_head head;
    memcpy(&head, panel, sizeof head);
    struct group_lanes group = {.zero = ints_set(0)};
    if (head.scale_type == WEIGHT_F32)
        group.scale = lanes_load((const float *)(const void *)scales);
    else if (head.scale_type == WEIGHT_F16)
        group.scale = lanes_of_halves(scales);
    else
        group.scale = lanes_of_bfloats(scales);
    const uint8_t *zeros = scales + PANEL_ROWS * (head.scale_type == WEIGHT_F32 ? 4 : 2);
    if (head.zero_bytes != 0)
        group.zero = head.zero_bytes == 1 ? ints_of_bytes(zeros) : ints_of_shorts(zeros);
    return group;
}

static void unpack_u4(const uint8_t *panel, size_t c, float *weights)
{
    const uint8_t *scales, *cell = group_cell(WEIGHT_U4, panel, c, &scales);
    struct group_lanes group = load_group(panel, scales);
    for (int g = 0; g < 4; g++) {
        ints codes = ints_load(cell + g * 64);
        for (int j = 0; j < 8; j++) {
            ints code = ints_sub(ints_and(ints_right(codes, 4 * j), ints_set(15)), group.zero);
            int k = (j % 2) * 16 + 4 * g + j / 2;
            lanes_store(&weights[k * LANES], lanes_mul(group.scale, lanes_of_ints(code)));
        }
    }
}

static void unpack_s8(const uint8_t *panel, size_t c, float *weights)
{
    const uint8_t *scales, *cell = group_cell(WEIGHT_S8, panel, c, &scales);
    struct group_lanes group = load_group(panel, scales);
    for (int g = 0; g < 8; g++) {
        ints codes = ints_load(cell + g * 64);
        for (int j = 0; j < 4; j++) {
            ints code = ints_sub(ints_right(ints_left(codes, 24 - 8 * j), 24), group.zero);
            lanes_store(&weights[(4 * g + j) * LANES], lanes_mul(group.scale, lanes_of_ints(code)));
        }
    }
}

/* Exponent and mantissa move to a float's; those of exponent 0 are integers of 2^-9. A code that is no number is not
 * looked for: weights with such are refused when they are loaded. */
LANES_INLINE lanes floats_of_e4m3(ints code)
{
    ints size = ints_and(code, ints_set(127)), sign = ints_left(ints_and(code, ints_set(128)), 24);
    lanes normal = lanes_of_bits(ints_add(ints_left(size, 20), ints_set(120 << 23)));
    lanes small = lanes_mul(lanes_of_ints(size), lanes_set(0x1p-9f));
    ints is_small = lanes_less(lanes_of_ints(size), lanes_set(8));
    return lanes_of_bits(ints_add(bits_of_lanes(lanes_pick(is_small, small, normal)), sign));
}

static void unpack_f8(const uint8_t *panel, size_t c, float *weights)
{
    const uint8_t *scales, *cell = group_cell(WEIGHT_F8, panel, c, &scales);
    struct group_lanes group = load_group(panel, scales);
    for (int g = 0; g < 8; g++) {
        ints codes = ints_load(cell + g * 64);
        for (int j = 0; j < 4; j++) {
            lanes code = floats_of_e4m3(ints_and(ints_right(codes, 8 * j), ints_set(255)));
            lanes_store(&weights[(4 * g + j) * LANES], lanes_mul(group.scale, code));
        }
    }
}

DEFINE_LINEAR_BY(u4)
DEFINE_LINEAR_BY(s8)
DEFINE_LINEAR_BY(f8)
