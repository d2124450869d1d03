/* See the header. */
#include "config.h"

#include "core/spec/yaml_scalar.h"

#include "core/base/error.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *word;
    enum json_type type;
} words[] = {
    {"", JSON_NULL},
    {"~", JSON_NULL},
    {"null", JSON_NULL},
    {"Null", JSON_NULL},
    {"NULL", JSON_NULL},
    {"true", JSON_TRUE},
    {"True", JSON_TRUE},
    {"TRUE", JSON_TRUE},
    {"yes", JSON_TRUE},
    {"Yes", JSON_TRUE},
    {"YES", JSON_TRUE},
    {"on", JSON_TRUE},
    {"On", JSON_TRUE},
    {"ON", JSON_TRUE},
    {"false", JSON_FALSE},
    {"False", JSON_FALSE},
    {"FALSE", JSON_FALSE},
    {"no", JSON_FALSE},
    {"No", JSON_FALSE},
    {"NO", JSON_FALSE},
    {"off", JSON_FALSE},
    {"Off", JSON_FALSE},
    {"OFF", JSON_FALSE},
};

/* [-+]? (0x HEX | 0o OCTAL | 0 OCTAL | 0b BINARY | DECIMAL): *ret_base is 0 when it is none of them. */
static const char *integer_digits(const char *text, bool *ret_negative, int *ret_base)
{
    static const char digits[] = "0123456789abcdef";
    *ret_negative = *text == '-';
    const char *at = text + (*text == '-' || *text == '+');
    int base = 10;
    if (at[0] == '0' && at[1] != '\0') {
        base = at[1] == 'x' ? 16 : at[1] == 'b' ? 2 : 8;
        at += at[1] == 'x' || at[1] == 'b' || at[1] == 'o' ? 2 : 1;
    }
    *ret_base = *at != '\0' ? base : 0;
    for (const char *c = at; *c != '\0'; c++) {
        const char *found = strchr(digits, tolower((unsigned char)*c));
        if (found == NULL || found - digits >= base)
            *ret_base = 0;
    }
    return at;
}

static pdk_status write_integer(
    const char *text, const char *digits, bool negative, int base, char *number, pdk_error *err)
{
    errno = 0;
    uint64_t magnitude = strtoull(digits, NULL, base);
    if (errno != 0 || (negative && magnitude > (uint64_t)INT64_MAX + 1))
        return pdk_error_value(err, PDK_INVALID, "yaml", text, "the number %.64s does not fit 64 bits", text);
    snprintf(number, YAML_NUMBER_MAX, "%s%" PRIu64, negative && magnitude != 0 ? "-" : "", magnitude);
    return PDK_OK;
}

/* [-+]? (digits [. digits*] | . digits) [eE [-+]? digits] */
static bool is_real(const char *text)
{
    const char *at = text + (*text == '-' || *text == '+');
    size_t whole = strspn(at, "0123456789");
    at += whole;
    size_t fraction = 0;
    if (*at == '.') {
        fraction = strspn(at + 1, "0123456789");
        at += 1 + fraction;
    }
    if (whole + fraction == 0)
        return false;
    if (*at == 'e' || *at == 'E') {
        at += 1 + (at[1] == '-' || at[1] == '+');
        size_t exponent = strspn(at, "0123456789");
        if (exponent == 0)
            return false;
        at += exponent;
    }
    return *at == '\0';
}

static bool is_special_real(const char *text)
{
    static const char *const specials[] = {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"};
    const char *at = text + (*text == '-' || *text == '+');
    for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++)
        if (strcmp(at, specials[i]) == 0)
            return true;
    return false;
}

pdk_status yaml_scalar(
    const char *text, size_t length, enum json_type *ret_type, char number[YAML_NUMBER_MAX], pdk_error *err)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strlen(words[i].word) == length && memcmp(words[i].word, text, length) == 0) {
            *ret_type = words[i].type;
            return PDK_OK;
        }
    }
    char copy[512]; /* no number is written with more */
    *ret_type = JSON_STRING;
    if (length >= sizeof copy || strchr("0123456789+-.", text[0]) == NULL)
        return PDK_OK;
    memcpy(copy, text, length);
    copy[length] = '\0';
    bool negative;
    int base;
    const char *digits = integer_digits(copy, &negative, &base);
    if (base != 0) {
        *ret_type = JSON_NUMBER;
        return write_integer(copy, digits, negative, base, number, err);
    }
    if (is_special_real(copy))
        return pdk_error_value(
            err, PDK_INVALID, "yaml", copy, "%s is no number here; quote it to make it a text", copy);
    if (!is_real(copy))
        return PDK_OK;
    double value = strtod(copy, NULL);
    if (!isfinite(value))
        return pdk_error_value(err, PDK_INVALID, "yaml", copy, "the number %.64s is out of range", copy);
    *ret_type = JSON_NUMBER;
    snprintf(number, YAML_NUMBER_MAX, "%.17g", value);
    return PDK_OK;
}
