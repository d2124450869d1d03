/* core/gateway/pooling/vectors.h: the forms in which a client may have its vectors. */
#pragma once

#include "core/base/buffer.h"
#include "core/base/json.h"
#include "core/gateway/openai/fields.h"

enum vector_encoding { VECTOR_FLOAT, VECTOR_BASE64, VECTOR_BYTES, VECTOR_BYTES_ONLY };
enum vector_type { VECTOR_F32, VECTOR_F16, VECTOR_BF16, VECTOR_E4M3, VECTOR_E5M2 };

struct vector_form {
    enum vector_encoding encoding;
    enum vector_type type;
    bool big;              /* the most significant byte first */
    const char *type_name; /* as the client wrote it */
    const char *endianness;
};

/* encoding_format, embed_dtype and endianness. PDK_INVALID in the words of refuse_type. */
pdk_status vector_form_read(const struct fields *fields, struct vector_form *ret_form, pdk_error *err);
size_t vector_number_bytes(const struct vector_form *form);
/* Appends numbers as bytes. */
void vector_put_bytes(struct buffer *out, const struct vector_form *form, const float *values, size_t count);
/* Appends bytes in base64, padded. */
void vector_put_base64(struct buffer *out, const void *bytes, size_t length);
/* A number in `exponent` and `mantissa` bits below a sign, rounded to the nearest, ties to even. `finite`: the largest
 * exponent holds numbers too, and its last pattern is NaN; else it holds infinity. */
uint16_t vector_narrow(float value, unsigned exponent, unsigned mantissa, bool finite);
