/* Matrix times rows over panels of GGUF's other block types. A weight is scale * code + added, each rounded where the
 * format rounds it: what a cell becomes has the bits of the reference's values. */
#include "kernels/blocks/blocks.h"
#include "kernels/cpu/linear_by.h"

/* How the codes of a type lie and what is taken from them; constants where inlined. */
struct code_shape {
    bool nibbles, pairs, bits;
    int centre;
};

/* Bits of a mask, brought from `from` to `to`. */
LANES_INLINE ints bits_moved(ints x, int from, int to, int mask)
{
    ints moved = from > to ? ints_right(x, from - to) : ints_left(x, to - from);
    return ints_and(moved, ints_set(mask << to));
}

/* Code k = 16h + 4g + j of the cell, in lanes. */
LANES_INLINE ints code_at(const uint8_t *cell, const struct code_shape shape, int h, int g, int j)
{
    const uint8_t *pairs = cell + (shape.nibbles ? NIBBLES_BYTES : 0), *bits = pairs + (shape.pairs ? PAIRS_BYTES : 0);
    int width = 0;
    ints code = ints_set(0);
    if (shape.nibbles) {
        code = ints_and(ints_right(ints_load(cell + g * 64), 8 * j + 4 * h), ints_set(15));
        width = 4;
    }
    if (shape.pairs) {
        code = ints_add(code, bits_moved(ints_load(pairs + h * 64), 8 * j + 2 * g, width, 3));
        width += 2;
    }
    if (shape.bits)
        code = ints_add(code, bits_moved(ints_load(bits), 8 * j + 4 * h + g, width, 1));
    return shape.centre != 0 ? ints_sub(code, ints_set(shape.centre)) : code;
}

/* scale[h] * code, plus added[h] where there is such, for the halves of k. */
LANES_INLINE void unpack_scaled(
    const uint8_t *cell, const struct code_shape shape, const lanes *scale, const lanes *added, float *weights)
{
    for (int h = 0; h < 2; h++)
        for (int g = 0; g < 4; g++)
            for (int j = 0; j < 4; j++) {
                lanes code = lanes_of_ints(code_at(cell, shape, h, g, j));
                lanes_store(&weights[(16 * h + 4 * g + j) * LANES],
                    added != NULL ? lanes_fma(scale[h], code, added[h]) : lanes_mul(scale[h], code));
            }
}

/* scale[h] * table[code] of nibbles. */
LANES_INLINE void unpack_table(const uint8_t *cell, const int8_t *table, float unit, const lanes *scale, float *weights)
{
    static const struct code_shape nibbles = {true, false, false, 0};
    float values[16];
    for (int i = 0; i < 16; i++)
        values[i] = (float)table[i] * unit;
    for (int h = 0; h < 2; h++)
        for (int g = 0; g < 4; g++)
            for (int j = 0; j < 4; j++)
                lanes_store(&weights[(16 * h + 4 * g + j) * LANES],
                    lanes_mul(scale[h], lanes_of_table(values, code_at(cell, nibbles, h, g, j))));
}

static void unpack_q5_0(const uint8_t *panel, size_t c, float *weights)
{
    const uint8_t *cell = panel + c * 352;
    lanes d = lanes_of_halves(cell + 320);
    unpack_scaled(cell, (struct code_shape){true, false, true, 16}, (lanes[]){d, d}, NULL, weights);
}

static void unpack_q5_1(const uint8_t *panel, size_t c, float *weights)
{
    const uint8_t *cell = panel + c * 384;
    lanes d = lanes_of_halves(cell + 320), m = lanes_of_halves(cell + 352);
    unpack_scaled(cell, (struct code_shape){true, false, true, 0}, (lanes[]){d, d}, (lanes[]){m, m}, weights);
}

/* A cell of a block of eight: where it lies, and what follows its block. */
LANES_INLINE const uint8_t *cell_of_eight(
    const uint8_t *panel, size_t c, size_t cell_size, size_t tail, const uint8_t **ret_tail)
{
    const uint8_t *block = panel + c / 8 * (8 * cell_size + tail);
    *ret_tail = block + 8 * cell_size;
    return block + c % 8 * cell_size;
}

LANES_INLINE lanes negative(lanes x)
{
    return lanes_sub(lanes_set(0), x);
}

/* q4_K and q5_K: 32 weights have one scale and one minimum. */
LANES_INLINE void unpack_k_wide(const uint8_t *panel, size_t c, bool bits, float *weights)
{
    const uint8_t *tail, *cell = cell_of_eight(panel, c, bits ? 352 : 288, 64, &tail),
                         *scales = cell + (bits ? 320 : 256);
    lanes scale = lanes_mul(lanes_of_halves(tail), lanes_of_ints(ints_of_bytes(scales)));
    lanes added = negative(lanes_mul(lanes_of_halves(tail + 32), lanes_of_ints(ints_of_bytes(scales + 16))));
    unpack_scaled(
        cell, (struct code_shape){true, false, bits, 0}, (lanes[]){scale, scale}, (lanes[]){added, added}, weights);
}

static void unpack_q4_k(const uint8_t *panel, size_t c, float *weights)
{
    unpack_k_wide(panel, c, false, weights);
}

static void unpack_q5_k(const uint8_t *panel, size_t c, float *weights)
{
    unpack_k_wide(panel, c, true, weights);
}

/* q6_K and q3_K: 16 weights have one scale. */
LANES_INLINE void unpack_k_centred(
    const uint8_t *panel, size_t c, size_t cell_size, const struct code_shape shape, float *weights)
{
    const uint8_t *tail, *cell = cell_of_eight(panel, c, cell_size, 32, &tail), *scales = cell + cell_size - 32;
    lanes d = lanes_of_halves(tail);
    lanes scale[] = {lanes_mul(d, lanes_of_ints(ints_of_signed_bytes(scales))),
        lanes_mul(d, lanes_of_ints(ints_of_signed_bytes(scales + 16)))};
    unpack_scaled(cell, shape, scale, NULL, weights);
}

static void unpack_q6_k(const uint8_t *panel, size_t c, float *weights)
{
    unpack_k_centred(panel, c, 416, (struct code_shape){true, true, false, 32}, weights);
}

static void unpack_q3_k(const uint8_t *panel, size_t c, float *weights)
{
    unpack_k_centred(panel, c, 224, (struct code_shape){false, true, true, 4}, weights);
}

/* q2_K and the ternary types: 16 weights have a scale and a minimum, which share a byte. */
static void unpack_q2_k(const uint8_t *panel, size_t c, float *weights)
{
    const uint8_t *tail, *cell = cell_of_eight(panel, c, 160, 64, &tail);
    lanes d = lanes_of_halves(tail), least = lanes_of_halves(tail + 32), scale[2], added[2];
    for (int h = 0; h < 2; h++) {
        ints both = ints_of_bytes(cell + 128 + 16 * h);
        scale[h] = lanes_mul(d, lanes_of_ints(ints_and(both, ints_set(15))));
        added[h] = negative(lanes_mul(least, lanes_of_ints(ints_right(both, 4))));
    }
    unpack_scaled(cell, (struct code_shape){false, true, false, 0}, scale, added, weights);
}

static void unpack_iq4_nl(const uint8_t *panel, size_t c, float *weights)
{
    const uint8_t *cell = panel + c * 288;
    lanes d = lanes_of_halves(cell + 256);
    unpack_table(cell, weight_table_iq4, 1, (lanes[]){d, d}, weights);
}

/* The scale is the bits of a float's exponent; the two smallest are subnormal, and made by shifts too. */
static void unpack_mxfp4(const uint8_t *panel, size_t c, float *weights)
{
    const uint8_t *cell = panel + c * 272;
    float d[LANES];
    for (int r = 0; r < LANES; r++)
        d[r] = half_of_e8m0(cell[256 + r]);
    lanes scale = lanes_load(d);
    unpack_table(cell, weight_table_e2m1, 1, (lanes[]){scale, scale}, weights);
}

static void unpack_nvfp4(const uint8_t *panel, size_t c, float *weights)
{
    const uint8_t *cell = panel + c * 320;
    lanes scale[] = {lanes_of_halves(cell + 256), lanes_of_halves(cell + 288)};
    unpack_table(cell, weight_table_e2m1, 1, scale, weights);
}

/* The iq types with blocks of 256. */
LANES_INLINE void unpack_iq(const uint8_t *panel, size_t c, int type, bool by_halves, float *weights)
{
    const uint8_t *tail, *cell = cell_of_eight(panel, c, by_halves ? 288 : 272, 32, &tail), *scales = cell + 256;
    lanes d = lanes_of_halves(tail);
    lanes first = lanes_mul(d, lanes_of_ints(ints_of_signed_bytes(scales)));
    lanes second = by_halves ? lanes_mul(d, lanes_of_ints(ints_of_signed_bytes(scales + 16))) : first;
    unpack_table(cell, block_table(type), block_unit(type), (lanes[]){first, second}, weights);
}

#define DEFINE_IQ(type, TYPE, by_halves)                                      \
    static void unpack_##type(const uint8_t *panel, size_t c, float *weights) \
    {                                                                         \
        unpack_iq(panel, c, WEIGHT_##TYPE, by_halves, weights);               \
    }                                                                         \
    DEFINE_LINEAR_BY(type)

DEFINE_LINEAR_BY(q5_0)
DEFINE_LINEAR_BY(q5_1)
DEFINE_LINEAR_BY(q2_k)
DEFINE_LINEAR_BY(q3_k)
DEFINE_LINEAR_BY(q4_k)
DEFINE_LINEAR_BY(q5_k)
DEFINE_LINEAR_BY(q6_k)
DEFINE_LINEAR_BY(iq4_nl)
DEFINE_LINEAR_BY(mxfp4)
DEFINE_LINEAR_BY(nvfp4)
DEFINE_IQ(iq1, IQ1_S, false)
DEFINE_IQ(iq1_m, IQ1_M, true)
DEFINE_IQ(iq2_xxs, IQ2_XXS, false)
DEFINE_IQ(iq2, IQ2_S, true)
DEFINE_IQ(iq3_xxs, IQ3_XXS, false)
DEFINE_IQ(iq3_s, IQ3_S, false)
DEFINE_IQ(iq4_xs, IQ4_XS, false)
