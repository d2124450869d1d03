/* A quantity is a decimal number and a suffix. It is taken as digits and a power of ten, so that no fraction is lost.
 */
#include "config.h"

#include "core/spec/quantity.h"

#include "core/base/error.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* value = digits * 10^exponent * factor */
struct quantity {
    uint64_t digits;
    int exponent;
    uint64_t factor;
};

static const struct {
    const char *suffix;
    int exponent;
    uint64_t factor;
} suffixes[] = {
    {"", 0, 1},
    {"n", -9, 1},
    {"u", -6, 1},
    {"m", -3, 1},
    {"k", 3, 1},
    {"M", 6, 1},
    {"G", 9, 1},
    {"T", 12, 1},
    {"P", 15, 1},
    {"E", 18, 1},
    {"Ki", 0, UINT64_C(1) << 10},
    {"Mi", 0, UINT64_C(1) << 20},
    {"Gi", 0, UINT64_C(1) << 30},
    {"Ti", 0, UINT64_C(1) << 40},
    {"Pi", 0, UINT64_C(1) << 50},
    {"Ei", 0, UINT64_C(1) << 60},
};

static pdk_status fail(const char *field, const char *text, pdk_error *err)
{
    return pdk_error_value(err, PDK_INVALID, field, text,
        "'%.40s' is no quantity: a number like 4 or 0.5, then nothing or one of m k M G T P E Ki Mi Gi Ti Pi Ei", text);
}

static bool parse_suffix(const char *at, struct quantity *quantity)
{
    if ((*at == 'e' || *at == 'E') && at[1] != '\0' && at[1] != 'i') {
        bool negative = at[1] == '-';
        const char *digit = at + 1 + (at[1] == '-' || at[1] == '+');
        size_t length = strspn(digit, "0123456789");
        if (length == 0 || length > 2 || digit[length] != '\0')
            return false;
        int exponent = length == 1 ? digit[0] - '0' : (digit[0] - '0') * 10 + digit[1] - '0';
        quantity->exponent += negative ? -exponent : exponent;
        return true;
    }
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        if (strcmp(at, suffixes[i].suffix) != 0)
            continue;
        quantity->exponent += suffixes[i].exponent;
        quantity->factor = suffixes[i].factor;
        return true;
    }
    return false;
}

static pdk_status parse(const struct json *value, const char *field, struct quantity *ret_quantity, pdk_error *err)
{
    if (value == NULL || (value->type != JSON_STRING && value->type != JSON_NUMBER))
        return pdk_error_set(err, PDK_INVALID, field, "wants a quantity like \"4Gi\", is %s", json_type_name(value));
    const char *at = value->text + (*value->text == '+');
    if (*at == '-')
        return pdk_error_value(err, PDK_INVALID, field, value->text, "the quantity %.40s is negative", value->text);
    struct quantity quantity = {.factor = 1};
    bool any = false, fraction = false;
    for (; isdigit((unsigned char)*at) || (*at == '.' && !fraction); at++) {
        if (*at == '.') {
            fraction = true;
            continue;
        }
        any = true;
        if (__builtin_mul_overflow(quantity.digits, 10, &quantity.digits) ||
            __builtin_add_overflow(quantity.digits, (uint64_t)(*at - '0'), &quantity.digits))
            return pdk_error_value(
                err, PDK_INVALID, field, value->text, "the quantity %.40s is too large", value->text);
        quantity.exponent -= fraction;
    }
    if (!any || !parse_suffix(at, &quantity))
        return fail(field, value->text, err);
    *ret_quantity = quantity;
    return PDK_OK;
}

/* digits * factor * 10^exponent, rounded up. */
static pdk_status scale(const struct json *value, const char *field, int more, uint64_t *ret_value, pdk_error *err)
{
    struct quantity quantity = {0};
    pdk_status status = parse(value, field, &quantity, err);
    if (status != PDK_OK)
        return status;
    unsigned __int128 result = (unsigned __int128)quantity.digits * quantity.factor;
    int exponent = quantity.exponent + more;
    for (; exponent > 0 && result <= UINT64_MAX; exponent--)
        result *= 10;
    bool rest = false;
    for (; exponent < 0 && result != 0; exponent++) {
        rest |= result % 10 != 0;
        result /= 10;
    }
    result += rest;
    if (result > INT64_MAX)
        return pdk_error_value(err, PDK_INVALID, field, value->text, "the quantity %.40s is too large", value->text);
    *ret_value = (uint64_t)result;
    return PDK_OK;
}

pdk_status quantity_cpu(const struct json *value, const char *field, uint64_t *ret_milli, pdk_error *err)
{
    return scale(value, field, 3, ret_milli, err);
}

pdk_status quantity_bytes(const struct json *value, const char *field, uint64_t *ret_bytes, pdk_error *err)
{
    return scale(value, field, 0, ret_bytes, err);
}

pdk_status quantity_check(const struct json *value, const char *field, pdk_error *err)
{
    uint64_t bytes;
    return scale(value, field, 0, &bytes, err);
}

void quantity_print_bytes(uint64_t bytes, char text[24])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1024 && unit < 6; unit++)
        value /= 1024;
    bool whole = unit == 0 || value == (double)(uint64_t)value;
    snprintf(text, 24, whole ? "%.0f %s" : "%.1f %s", value, units[unit]);
}
