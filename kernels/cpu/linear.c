/* Matrix times rows over panels. There is one product, of float weights [k][16] with some rows; the types differ in how
 * a cell becomes such weights. Since the sums are the same chain whichever way the weights came, a row's result is the
 * same alone and in any batch. Here are the types that are met most, their unpacking compiled into the product. */
#include "kernels/cpu/linear_by.h"

/* Rows of a tile: as many as leave registers for the weights. */
#if defined(__AVX512F__)
#define TILE_ROWS 8
#elif defined(__AVX2__)
#define TILE_ROWS 5
#else
#define TILE_ROWS 2
#endif

/* sums[r] = x[r] * weights for `rows` rows, a constant where this is inlined. */
LANES_INLINE void multiply_tile(
    const float *weights, size_t count, const float *x, size_t stride, const int rows, float *sums)
{
    lanes sum[TILE_ROWS];
    for (int r = 0; r < rows; r++)
        sum[r] = lanes_set(0);
    for (size_t k = 0; k < count; k++) {
        lanes weight = lanes_load(&weights[k * LANES]);
        for (int r = 0; r < rows; r++)
            sum[r] = lanes_fma(weight, lanes_set(x[(size_t)r * stride + k]), sum[r]);
    }
    for (int r = 0; r < rows; r++)
        lanes_store(&sums[r * LANES], sum[r]);
}

static void multiply_some(const float *weights, size_t count, const float *x, size_t stride, size_t rows, float *sums)
{
    switch (rows) {
    case 1: multiply_tile(weights, count, x, stride, 1, sums); break;
    case 2: multiply_tile(weights, count, x, stride, 2, sums); break;
#if TILE_ROWS > 2
    case 3: multiply_tile(weights, count, x, stride, 3, sums); break;
    case 4: multiply_tile(weights, count, x, stride, 4, sums); break;
    case 5: multiply_tile(weights, count, x, stride, 5, sums); break;
#endif
#if TILE_ROWS > 5
    case 6: multiply_tile(weights, count, x, stride, 6, sums); break;
    case 7: multiply_tile(weights, count, x, stride, 7, sums); break;
    case 8: multiply_tile(weights, count, x, stride, 8, sums); break;
#endif
    default: break;
    }
}

void KERNEL(linear_f32)(
    const uint8_t *panel, size_t cells, const float *x, size_t stride, size_t rows, float *unpacked, float *sums)
{
    (void)unpacked;
    const float *weights = (const float *)(const void *)panel;
    for (size_t r = 0; r < rows; r += TILE_ROWS) {
        size_t tile = rows - r < TILE_ROWS ? rows - r : TILE_ROWS;
        multiply_some(weights, cells * CELL_COLUMNS, x + r * stride, stride, tile, sums + r * LANES);
    }
}

LANES_INLINE void unpack_f16(const uint8_t *panel, size_t c, float *weights)
{
    const uint8_t *cell = panel + c * 1024;
    for (int g = 0; g < 16; g++) {
        uint16_t even[LANES], odd[LANES];
        for (int r = 0; r < LANES; r++) {
            even[r] = load_u16(cell + (g * LANES + r) * 4);
            odd[r] = load_u16(cell + (g * LANES + r) * 4 + 2);
        }
        lanes_store(&weights[2 * g * LANES], lanes_of_halves(even));
        lanes_store(&weights[(2 * g + 1) * LANES], lanes_of_halves(odd));
    }
}

LANES_INLINE void unpack_bf16(const uint8_t *panel, size_t c, float *weights)
{
    const uint8_t *cell = panel + c * 1024;
    for (int g = 0; g < 16; g++) {
        ints pair = ints_load(cell + g * 64);
        lanes_store(&weights[2 * g * LANES], lanes_of_bits(ints_left(pair, 16)));
        lanes_store(&weights[(2 * g + 1) * LANES], lanes_of_bits(ints_and(pair, ints_set((int32_t)0xffff0000u))));
    }
}

LANES_INLINE void unpack_q8_0(const uint8_t *panel, size_t c, float *weights)
{
    const uint8_t *cell = panel + c * 576;
    lanes d = lanes_of_halves(cell + CELL_Q8_SCALES);
    for (int g = 0; g < 8; g++) {
        ints codes = ints_load(cell + g * 64);
        for (int j = 0; j < 4; j++) {
            ints code = ints_right(ints_left(codes, 24 - 8 * j), 24);
            lanes_store(&weights[(4 * g + j) * LANES], lanes_mul(d, lanes_of_ints(code)));
        }
    }
}

/* Both q4 types: d * (code + zero) + m; for q4_0 zero is -8 and m -0, for q4_1 zero is 0. */
LANES_INLINE void unpack_q4(const uint8_t *cell, bool has_minimum, float *weights)
{
    lanes d = lanes_of_halves(cell + CELL_Q4_SCALES);
    lanes m = has_minimum ? lanes_of_halves(cell + CELL_Q4_SCALES + 32) : lanes_set(0);
    for (int g = 0; g < 4; g++) {
        ints codes = ints_load(cell + g * 64);
        for (int j = 0; j < 8; j++) {
            ints code = ints_and(ints_right(codes, 4 * j), ints_set(15));
            lanes q = lanes_of_ints(has_minimum ? code : ints_sub(code, ints_set(8)));
            int k = (j % 2) * 16 + 4 * g + j / 2;
            lanes_store(&weights[k * LANES], has_minimum ? lanes_fma(d, q, m) : lanes_mul(d, q));
        }
    }
}

LANES_INLINE void unpack_q4_0(const uint8_t *panel, size_t c, float *weights)
{
    unpack_q4(panel + c * 288, false, weights);
}

LANES_INLINE void unpack_q4_1(const uint8_t *panel, size_t c, float *weights)
{
    unpack_q4(panel + c * 320, true, weights);
}

/* Few rows: a cell at a time, its weights staying in the first-level cache. */
LANES_INLINE void multiply_few(
    unpack *unpack_cell, const uint8_t *panel, size_t cells, const float *x, size_t stride, const int rows, float *sums)
{
    _Alignas(64) float weights[CELL_WEIGHTS];
    lanes sum[TILE_ROWS];
    for (int r = 0; r < rows; r++)
        sum[r] = lanes_set(0);
    for (size_t c = 0; c < cells; c++) {
        unpack_cell(panel, c, weights);
        for (int k = 0; k < CELL_COLUMNS; k++) {
            lanes weight = lanes_load(&weights[k * LANES]);
            for (int r = 0; r < rows; r++)
                sum[r] = lanes_fma(weight, lanes_set(x[(size_t)r * stride + c * CELL_COLUMNS + k]), sum[r]);
        }
    }
    for (int r = 0; r < rows; r++)
        lanes_store(&sums[r * LANES], sum[r]);
}

LANES_INLINE void multiply(unpack *unpack_cell, const uint8_t *panel, size_t cells, const float *x, size_t stride,
    size_t rows, float *unpacked, float *sums)
{
    switch (rows <= TILE_ROWS ? rows : 0) {
    case 1: multiply_few(unpack_cell, panel, cells, x, stride, 1, sums); return;
    case 2: multiply_few(unpack_cell, panel, cells, x, stride, 2, sums); return;
#if TILE_ROWS > 2
    case 3: multiply_few(unpack_cell, panel, cells, x, stride, 3, sums); return;
    case 4: multiply_few(unpack_cell, panel, cells, x, stride, 4, sums); return;
    case 5: multiply_few(unpack_cell, panel, cells, x, stride, 5, sums); return;
#endif
#if TILE_ROWS > 5
    case 6: multiply_few(unpack_cell, panel, cells, x, stride, 6, sums); return;
    case 7: multiply_few(unpack_cell, panel, cells, x, stride, 7, sums); return;
    case 8: multiply_few(unpack_cell, panel, cells, x, stride, 8, sums); return;
#endif
    default: break;
    }
    for (size_t c = 0; c < cells; c++)
        unpack_cell(panel, c, unpacked + c * CELL_WEIGHTS);
    KERNEL(linear_f32)((const uint8_t *)unpacked, cells, x, stride, rows, NULL, sums);
}

#define DEFINE_LINEAR(type)                                                                                           \
    void KERNEL(linear_##type)(                                                                                       \
        const uint8_t *panel, size_t cells, const float *x, size_t stride, size_t rows, float *unpacked, float *sums) \
    {                                                                                                                 \
        multiply(unpack_##type, panel, cells, x, stride, rows, unpacked, sums);                                       \
    }

DEFINE_LINEAR(f16)
DEFINE_LINEAR(bf16)
DEFINE_LINEAR(q8_0)
DEFINE_LINEAR(q4_0)
DEFINE_LINEAR(q4_1)

void KERNEL(linear_by)(unpack *unpack_cell, const uint8_t *panel, size_t cells, const float *x, size_t stride,
    size_t rows, float *unpacked, float *sums)
{
    multiply(unpack_cell, panel, cells, x, stride, rows, unpacked, sums);
}
