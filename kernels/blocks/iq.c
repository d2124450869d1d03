/* The iq types: eight or four weights at a time are an entry of a grid of sizes, with signs of their own; iq4_xs has a
 * table instead. Scales are odd numbers, with the power of two in the type's unit. */
#include "kernels/blocks/blocks.h"

static const int8_t sizes_iq2[4] = {8, 25, 43, 0};
static const int8_t sizes_iq3_xxs[8] = {4, 12, 20, 28, 36, 44, 52, 62};

static const int8_t table_iq1[16] = {-9, -7, -1, 1, 7, 9};
static const int8_t table_iq2[16] = {-43, -25, -8, 8, 25, 43};
static const int8_t table_iq3_xxs[16] = {-62, -52, -44, -36, -28, -20, -12, -4, 4, 12, 20, 28, 36, 44, 52, 62};
static const int8_t table_iq3_s[16] = {-15, -13, -11, -9, -7, -5, -3, -1, 1, 3, 5, 7, 9, 11, 13, 15};

const int8_t *block_table(int type)
{
    switch (type) {
    case WEIGHT_IQ1_S:
    case WEIGHT_IQ1_M: return table_iq1;
    case WEIGHT_IQ2_XXS:
    case WEIGHT_IQ2_XS:
    case WEIGHT_IQ2_S: return table_iq2;
    case WEIGHT_IQ3_XXS: return table_iq3_xxs;
    case WEIGHT_IQ3_S: return table_iq3_s;
    case WEIGHT_MXFP4:
    case WEIGHT_NVFP4: return weight_table_e2m1;
    default: return weight_table_iq4;
    }
}

float block_unit(int type)
{
    switch (type) {
    case WEIGHT_IQ1_S:
    case WEIGHT_IQ1_M:
    case WEIGHT_IQ2_XXS:
    case WEIGHT_IQ2_XS:
    case WEIGHT_IQ2_S: return 0.125f;
    case WEIGHT_IQ3_XXS: return 0.25f;
    default: return 1;
    }
}

/* Seven signs are given; the eighth makes the number of minus signs even. */
static unsigned even_signs(unsigned seven)
{
    unsigned parity = seven ^ seven >> 4;
    parity ^= parity >> 2;
    parity ^= parity >> 1;
    return seven | (parity & 1) << 7;
}

static void put_eight(unsigned grid, unsigned signs, int16_t *codes)
{
    for (int i = 0; i < 8; i++)
        codes[i] = (int16_t)(signs >> i & 1 ? -sizes_iq2[grid >> 2 * i & 3] : sizes_iq2[grid >> 2 * i & 3]);
}

static void put_four(unsigned grid, bool is_s, unsigned signs, int16_t *codes)
{
    for (int i = 0; i < 4; i++) {
        unsigned place = grid >> 4 * i & 7;
        int size = is_s ? 2 * (int)place + 1 : sizes_iq3_xxs[place];
        codes[i] = (int16_t)(signs >> i & 1 ? -size : size);
    }
}

/* iq1: -1, 0 or 1, an eighth more or less. */
static void put_shifted(unsigned grid, bool less, int16_t *codes)
{
    for (int i = 0; i < 8; i++)
        codes[i] = (int16_t)(8 * ((int)(grid >> 2 * i & 3) - 1) + (less ? -1 : 1));
}

static void set_scale(struct block_numbers *out, int run, int count, unsigned bits)
{
    for (int i = 0; i < count; i++)
        out->scales[run + i] = (int16_t)(2 * bits + 1);
}

static void read_iq1_s(const uint8_t *block, struct block_numbers *out)
{
    for (int b = 0; b < 8; b++) {
        unsigned high = load_u16(block + 34 + 2 * b);
        set_scale(out, 2 * b, 2, high >> 12 & 7);
        for (int n = 0; n < 4; n++)
            put_shifted(block_grid_iq1[block[2 + 4 * b + n] | (high >> 3 * n & 7) << 8], high >> 15,
                &out->codes[32 * b + 8 * n]);
    }
}

static void read_iq1_m(const uint8_t *block, struct block_numbers *out)
{
    out->d = 0;
    for (int i = 0; i < 4; i++) {
        unsigned scales = load_u16(block + 48 + 2 * i);
        out->d = (uint16_t)(out->d | (scales >> 12) << 4 * i);
        for (int k = 0; k < 4; k++)
            set_scale(out, 4 * i + k, 1, scales >> 3 * k & 7);
    }
    for (int n = 0; n < 32; n++) {
        unsigned high = block[32 + n / 2] >> 4 * (n % 2) & 15u;
        put_shifted(block_grid_iq1[block[n] | (high & 7) << 8], high >> 3, &out->codes[8 * n]);
    }
}

static void read_iq2_xxs(const uint8_t *block, struct block_numbers *out)
{
    for (int b = 0; b < 8; b++) {
        const uint8_t *at = block + 2 + 8 * b;
        uint32_t bits = load_u32(at + 4);
        set_scale(out, 2 * b, 2, bits >> 28);
        for (int n = 0; n < 4; n++)
            put_eight(block_grid_iq2_xxs[at[n]], even_signs(bits >> 7 * n & 127), &out->codes[32 * b + 8 * n]);
    }
}

static void read_iq2_xs(const uint8_t *block, struct block_numbers *out)
{
    for (int i = 0; i < BLOCK_RUNS; i++)
        set_scale(out, i, 1, block[66 + i / 2] >> 4 * (i % 2) & 15u);
    for (int n = 0; n < 32; n++) {
        unsigned code = load_u16(block + 2 + 2 * n);
        put_eight(block_grid_iq2_xs[code & 511], even_signs(code >> 9), &out->codes[8 * n]);
    }
}

static void read_iq2_s(const uint8_t *block, struct block_numbers *out)
{
    for (int i = 0; i < BLOCK_RUNS; i++)
        set_scale(out, i, 1, block[74 + i / 2] >> 4 * (i % 2) & 15u);
    for (int n = 0; n < 32; n++) {
        unsigned high = block[66 + n / 4] >> 2 * (n % 4) & 3u;
        put_eight(block_grid_iq2_s[block[2 + n] | high << 8], block[34 + n], &out->codes[8 * n]);
    }
}

static void read_iq3_xxs(const uint8_t *block, struct block_numbers *out)
{
    for (int b = 0; b < 8; b++) {
        uint32_t bits = load_u32(block + 66 + 4 * b);
        set_scale(out, 2 * b, 2, bits >> 28);
        for (int n = 0; n < 8; n++)
            put_four(block_grid_iq3_xxs[block[2 + 8 * b + n]], false,
                even_signs(bits >> 7 * (n / 2) & 127) >> 4 * (n % 2), &out->codes[32 * b + 4 * n]);
    }
}

static void read_iq3_s(const uint8_t *block, struct block_numbers *out)
{
    for (int b = 0; b < 8; b++)
        set_scale(out, 2 * b, 2, block[106 + b / 2] >> 4 * (b % 2) & 15u);
    for (int n = 0; n < 64; n++) {
        unsigned high = block[66 + n / 8] >> n % 8 & 1u;
        put_four(
            block_grid_iq3_s[block[2 + n] | high << 8], true, block[74 + n / 2] >> 4 * (n % 2), &out->codes[4 * n]);
    }
}

static void read_iq4_xs(const uint8_t *block, struct block_numbers *out)
{
    unsigned high = load_u16(block + 2);
    for (int b = 0; b < 8; b++) {
        unsigned low = block[4 + b / 2] >> 4 * (b % 2) & 15u;
        out->scales[2 * b] = out->scales[2 * b + 1] = (int16_t)((int)(low | (high >> 2 * b & 3) << 4) - 32);
        for (int i = 0; i < 16; i++) {
            out->codes[32 * b + i] = weight_table_iq4[block[8 + 16 * b + i] & 15];
            out->codes[32 * b + 16 + i] = weight_table_iq4[block[8 + 16 * b + i] >> 4];
        }
    }
}

void block_read_iq(int type, const uint8_t *block, struct block_numbers *out)
{
    *out = (struct block_numbers){.d = load_u16(block), .unit = block_unit(type)};
    switch (type) {
    case WEIGHT_IQ1_S: read_iq1_s(block, out); break;
    case WEIGHT_IQ1_M: read_iq1_m(block, out); break;
    case WEIGHT_IQ2_XXS: read_iq2_xxs(block, out); break;
    case WEIGHT_IQ2_XS: read_iq2_xs(block, out); break;
    case WEIGHT_IQ2_S: read_iq2_s(block, out); break;
    case WEIGHT_IQ3_XXS: read_iq3_xxs(block, out); break;
    case WEIGHT_IQ3_S: read_iq3_s(block, out); break;
    default: read_iq4_xs(block, out); break;
    }
}
