/* See vectors.h. */
#include "config.h"

#include "core/gateway/pooling/vectors.h"

#include "core/gateway/openai/refusal.h"

#include <math.h>
#include <string.h>

static const char *const encodings[] = {
    [VECTOR_FLOAT] = "float", [VECTOR_BASE64] = "base64", [VECTOR_BYTES] = "bytes", [VECTOR_BYTES_ONLY] = "bytes_only"};
static const char *const types[] = {[VECTOR_F32] = "float32",
    [VECTOR_F16] = "float16",
    [VECTOR_BF16] = "bfloat16",
    [VECTOR_E4M3] = "fp8_e4m3",
    [VECTOR_E5M2] = "fp8_e5m2"};

static bool find(const struct json *given, const char *const *names, size_t count, size_t *ret_at)
{
    *ret_at = 0;
    for (size_t i = 0; given != NULL && i < count; i++)
        if (strcmp(given->text, names[i]) == 0) {
            *ret_at = i;
            return true;
        }
    return given == NULL;
}

pdk_status vector_form_read(const struct fields *fields, struct vector_form *ret_form, pdk_error *err)
{
    static const char *const orders[] = {"native", "little", "big"};
    size_t encoding, type, order;
    if (!find(fields->encoding_format, encodings, sizeof encodings / sizeof *encodings, &encoding))
        return refuse_type(err, "body.encoding_format", "literal_error",
            "Input should be \"float\", \"base64\", \"bytes\" or \"bytes_only\"");
    if (!find(fields->embed_dtype, types, sizeof types / sizeof *types, &type))
        return refuse_type(err, "body.embed_dtype", "literal_error",
            "Input should be \"float32\", \"float16\", \"bfloat16\", \"fp8_e4m3\" or \"fp8_e5m2\"");
    if (!find(fields->endianness, orders, sizeof orders / sizeof *orders, &order))
        return refuse_type(
            err, "body.endianness", "literal_error", "Input should be \"native\", \"little\" or \"big\"");
    *ret_form = (struct vector_form){.encoding = (enum vector_encoding)encoding,
        .type = (enum vector_type)type,
        .big = order == 2 || (order == 0 && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__),
        .type_name = types[type],
        .endianness = orders[order]};
    return PDK_OK;
}

size_t vector_number_bytes(const struct vector_form *form)
{
    return form->type == VECTOR_F32 ? 4 : form->type == VECTOR_F16 || form->type == VECTOR_BF16 ? 2 : 1;
}

uint16_t vector_narrow(float value, unsigned exponent, unsigned mantissa, bool finite)
{
    unsigned bias = (1u << (exponent - 1)) - 1, top = (1u << exponent) - 1;
    uint16_t sign = signbit(value) ? (uint16_t)(1u << (exponent + mantissa)) : 0;
    uint16_t not_number = (uint16_t)(sign | (top << mantissa) | ((1u << mantissa) - 1));
    uint16_t infinite = finite ? not_number : (uint16_t)(sign | (top << mantissa));
    if (isnan(value))
        return not_number;
    if (isinf(value))
        return infinite;
    if (value == 0)
        return sign;
    int power;
    double fraction = frexp(fabs((double)value), &power); /* [0.5, 1) x 2^power */
    int stored = power - 1 + (int)bias;
    /* The number in units of its last bit; below the smallest exponent the unit stays. */
    int unit = (stored > 0 ? stored : 1) - (int)bias - (int)mantissa;
    double scaled = nearbyint(ldexp(fraction, power - unit));
    uint64_t bits = (uint64_t)scaled;
    if (stored > 0)
        bits += (uint64_t)(stored - 1) << mantissa; /* the leading one adds the last of the exponent */
    uint64_t most = ((uint64_t)top << mantissa) + (finite ? (1u << mantissa) - 2 : 0);
    if (finite ? bits > most : bits >= most)
        return infinite;
    return (uint16_t)(sign | bits);
}

static uint32_t number_bits(enum vector_type type, float value)
{
    uint32_t bits;
    switch (type) {
    case VECTOR_F16: return vector_narrow(value, 5, 10, false);
    case VECTOR_BF16: return vector_narrow(value, 8, 7, false);
    case VECTOR_E4M3: return vector_narrow(value, 4, 3, true);
    case VECTOR_E5M2: return vector_narrow(value, 5, 2, false);
    case VECTOR_F32: break;
    }
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

void vector_put_bytes(struct buffer *out, const struct vector_form *form, const float *values, size_t count)
{
    size_t width = vector_number_bytes(form);
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = number_bits(form->type, values[i]);
        char bytes[4];
        for (size_t b = 0; b < width; b++)
            bytes[form->big ? width - 1 - b : b] = (char)(bits >> (8 * b));
        buffer_put(out, bytes, width);
    }
}

void vector_put_base64(struct buffer *out, const void *bytes, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *at = bytes;
    for (size_t i = 0; i < length; i += 3) {
        size_t left = length - i;
        uint32_t group = (uint32_t)at[i] << 16 | (left > 1 ? (uint32_t)at[i + 1] << 8 : 0) | (left > 2 ? at[i + 2] : 0);
        char four[4] = {digits[group >> 18], digits[group >> 12 & 63], left > 1 ? digits[group >> 6 & 63] : '=',
            left > 2 ? digits[group & 63] : '='};
        buffer_put(out, four, sizeof four);
    }
}
