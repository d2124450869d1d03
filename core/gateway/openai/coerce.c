/* See coerce.h. */
#include "config.h"

#include "core/gateway/openai/coerce.h"

#include "core/gateway/openai/refusal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NUMBER_TEXT_MAX = 64 };

/* A string's characters without the white space around them; false when that is nothing, or too long for a number. */
static bool stripped(const struct json *value, char *out)
{
    size_t from = 0, to = value->length;
    while (from < to && strchr(" \t\n\r", value->text[from]) != NULL)
        from++;
    while (to > from && strchr(" \t\n\r", value->text[to - 1]) != NULL)
        to--;
    if (from == to || to - from >= NUMBER_TEXT_MAX || memchr(value->text + from, '\0', to - from) != NULL)
        return false;
    memcpy(out, value->text + from, to - from);
    out[to - from] = '\0';
    return true;
}

pdk_status coerce_bool(const struct json *value, const char *location, bool *ret_value, pdk_error *err)
{
    static const char *const yes[] = {"1", "on", "t", "true", "y", "yes"};
    static const char *const no[] = {"0", "off", "f", "false", "n", "no"};
    const char *text;
    int64_t number;
    if (json_bool(value, ret_value))
        return PDK_OK;
    if (json_int64(value, &number) && (number == 0 || number == 1)) {
        *ret_value = number == 1;
        return PDK_OK;
    }
    for (size_t i = 0; json_string(value, &text) && i < sizeof yes / sizeof *yes; i++) {
        bool is_yes = strcasecmp(text, yes[i]) == 0;
        if (is_yes || strcasecmp(text, no[i]) == 0) {
            *ret_value = is_yes;
            return PDK_OK;
        }
    }
    if (value->type == JSON_STRING || value->type == JSON_NUMBER)
        return refuse_type(err, location, "bool_parsing", "Input should be a valid boolean, unable to interpret input");
    return refuse_type(err, location, "bool_type", "Input should be a valid boolean");
}

static bool int_of_text(const struct json *value, int64_t *ret_value)
{
    char text[NUMBER_TEXT_MAX];
    if (!stripped(value, text))
        return false;
    size_t digits = strspn(text + (text[0] == '-' || text[0] == '+'), "0123456789");
    const char *rest = text + (text[0] == '-' || text[0] == '+') + digits;
    if (*rest == '.') /* "5.0" is a whole number too */
        rest += 1 + strspn(rest + 1, "0");
    if (digits == 0 || *rest != '\0')
        return false;
    const char *number = text[0] == '+' ? text + 1 : text;
    return json_int64(&(struct json){.type = JSON_NUMBER, .text = number, .length = strlen(number)}, ret_value);
}

pdk_status coerce_int(const struct json *value, const char *location, int64_t *ret_value, pdk_error *err)
{
    double real;
    if (json_int64(value, ret_value))
        return PDK_OK;
    switch (value->type) {
    case JSON_TRUE:
    case JSON_FALSE: *ret_value = value->type == JSON_TRUE; return PDK_OK;
    case JSON_STRING:
        if (int_of_text(value, ret_value))
            return PDK_OK;
        return refuse_type(
            err, location, "int_parsing", "Input should be a valid integer, unable to parse string as an integer");
    case JSON_NUMBER:
        if (json_double(value, &real) && real == floor(real))
            return refuse_type(
                err, location, "int_parsing_size", "Unable to parse input string as an integer, exceeded maximum size");
        return refuse_type(
            err, location, "int_from_float", "Input should be a valid integer, got a number with a fractional part");
    default: return refuse_type(err, location, "int_type", "Input should be a valid integer");
    }
}

pdk_status coerce_real(const struct json *value, const char *location, double *ret_value, pdk_error *err)
{
    if (json_double(value, ret_value))
        return PDK_OK;
    char text[NUMBER_TEXT_MAX], *end;
    switch (value->type) {
    case JSON_TRUE:
    case JSON_FALSE: *ret_value = value->type == JSON_TRUE; return PDK_OK;
    case JSON_STRING:
        if (stripped(value, text) && strpbrk(text, "xX") == NULL) {
            double number = strtod(text, &end);
            if (*end == '\0') {
                *ret_value = number;
                return PDK_OK;
            }
        }
        return refuse_type(
            err, location, "float_parsing", "Input should be a valid number, unable to parse string as a number");
    default: return refuse_type(err, location, "float_type", "Input should be a valid number");
    }
}

pdk_status coerce_type(const struct json *value, enum json_type type, const char *location, pdk_error *err)
{
    if (value->type == type)
        return PDK_OK;
    switch (type) {
    case JSON_STRING: return refuse_type(err, location, "string_type", "Input should be a valid string");
    case JSON_ARRAY: return refuse_type(err, location, "list_type", "Input should be a valid list");
    default: return refuse_type(err, location, "dict_type", "Input should be a valid dictionary");
    }
}
