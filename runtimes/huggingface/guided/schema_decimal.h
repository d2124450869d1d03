/* runtimes/huggingface/guided/schema_decimal.h: a JSON number's exact value, as decimal digits. */
#pragma once

#include "core/base/json.h"

enum { DECIMAL_DIGITS_MAX = 64 };

struct decimal {
    bool negative;                      /* not for zero */
    char whole[DECIMAL_DIGITS_MAX + 1]; /* no leading zeros; "0" */
    char part[DECIMAL_DIGITS_MAX + 1];  /* behind the point; no zeros at its end; "" */
};

/* False: it has more digits than this holds. A number written with a point or an exponent is what a double makes of it,
 * as validators read it. */
bool decimal_read(const struct json *number, struct decimal *ret_decimal);
/* Whether it was written as an integer. */
bool decimal_is_integer_text(const struct json *number);
