/* Reading a number's digits. */
#include "config.h"

#include "runtimes/huggingface/guided/schema_decimal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool decimal_is_integer_text(const struct json *number)
{
    return strcspn(number->text, ".eE") == number->length;
}

/* The shortest text that a double reads back from: 17 digits at most. */
static bool shortest(double value, char *out, size_t room)
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, room, "%.*e", digits - 1, value);
        if (strtod(out, NULL) == value)
            return true;
    }
    return false;
}

/* An exponent, no further than it matters. */
static long read_exponent(const char *text)
{
    enum { FAR = 100000 };
    bool negative = *text == '-';
    long exponent = 0;
    for (text += *text == '-' || *text == '+'; *text >= '0' && *text <= '9'; text++)
        exponent = exponent < FAR ? exponent * 10 + (*text - '0') : exponent;
    return negative ? -exponent : exponent;
}

bool decimal_read(const struct json *number, struct decimal *ret_decimal)
{
    char text[64], digits[DECIMAL_DIGITS_MAX * 2] = "";
    const char *at = number->text;
    struct decimal decimal = {0};
    int count = 0;
    long exponent = 0, point = 0;
    if (!decimal_is_integer_text(number)) {
        double value = strtod(number->text, NULL);
        if (!isfinite(value) || !shortest(value, text, sizeof text))
            return false;
        at = text;
    }
    decimal.negative = *at == '-';
    at += *at == '-';
    bool behind = false;
    for (; *at != '\0' && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            behind = true;
            continue;
        }
        if (count == DECIMAL_DIGITS_MAX)
            return false;
        digits[count++] = *at;
        point += !behind;
    }
    if (*at != '\0')
        exponent = read_exponent(at + 1);
    point += exponent;
    if (point > DECIMAL_DIGITS_MAX || point < -DECIMAL_DIGITS_MAX || count - point > DECIMAL_DIGITS_MAX)
        return false;
    int whole = 0, part = 0;
    for (long i = 0; i < point; i++) {
        char digit = i < count ? digits[i] : '0';
        if (whole > 0 || digit != '0')
            decimal.whole[whole++] = digit;
    }
    for (long i = point; i < count; i++)
        decimal.part[part++] = i < 0 ? '0' : digits[i];
    while (part > 0 && decimal.part[part - 1] == '0')
        decimal.part[--part] = '\0';
    if (whole == 0)
        decimal.whole[0] = '0';
    if (strcmp(decimal.whole, "0") == 0 && part == 0)
        decimal.negative = false;
    *ret_decimal = decimal;
    return true;
}
