/* Numbers as sets of their texts, so that ranges, multiples and their opposites combine like strings do.
 *
 * A fact about numbers takes texts without an exponent, all that have the right value ("1", "1.0", "1.00"); of those
 * with one it is not known. What is offered in the end is narrower: integers of up to 19 digits, decimals of up to 15
 * digits, which every double tells apart, and exponents where any number will do. */
#include "config.h"

#include "runtimes/huggingface/guided/schema_decimal.h"
#include "runtimes/huggingface/guided/schema_terms.h"

#include "core/base/buffer.h"
#include "core/base/cleanup.h"

#include <stdlib.h>
#include <string.h>

#define WITHOUT_SIGN  "(?:0|[1-9][0-9]*)(?:\\.[0-9]+)?"
#define WITH_EXPONENT "-?" WITHOUT_SIGN "[eE][+-]?[0-9]+"

static const char with_exponent[] = WITH_EXPONENT;
/* 1.0 is an integer too, but not to everyone who will read it: plain ones are offered. */
static const char integer[] = "-?(?:0|[1-9][0-9]*)";
static const char any_integer[] = "-?(?:0|[1-9][0-9]*)(?:\\.0+)?";
static const char any_number[] = "-?" WITHOUT_SIGN "|" WITH_EXPONENT;
static const char offered[] = "0|-?[1-9][0-9]{0,18}|-?[1-9][0-9]{0,8}\\.[0-9]{1,6}|0\\.[0-9]{1,15}"
                              "|-0\\.0{0,6}[1-9][0-9]{0,8}|-?[1-9](?:\\.[0-9]{1,6})?[eE][+-]?[0-9]{1,2}";

static pdk_status with_exponents(
    struct schema *schema, const struct regular *sure, const struct regular *plain, uint32_t *ret_pair)
{
    const struct regular *exponents, *perhaps;
    pdk_status status = schema_fixed(schema, with_exponent, &exponents);
    if (status == PDK_OK)
        status = schema_either(schema, plain, exponents, &perhaps);
    return status != PDK_OK ? status : schema_pair(schema, sure, perhaps, ret_pair);
}

pdk_status number_integers(struct schema *schema, uint32_t *ret_pair)
{
    const struct regular *plain, *any;
    pdk_status status = schema_fixed(schema, integer, &plain);
    if (status == PDK_OK)
        status = schema_fixed(schema, any_integer, &any);
    return status != PDK_OK ? status : with_exponents(schema, plain, any, ret_pair);
}

/* Digits from `first` to `last`, as a class; false: there are none. */
static bool put_digits(struct buffer *out, char first, char last)
{
    if (first > last)
        return false;
    buffer_printf(out, "[%c-%c]", first, last);
    return true;
}

/* Ways for the whole part to have as many digits as `whole` and to be beyond it. */
static void put_whole_beyond(struct buffer *out, const char *whole, bool greater)
{
    size_t length = strlen(whole);
    for (size_t i = 0; i < length; i++) {
        char least = i == 0 && length > 1 ? '1' : '0';
        struct buffer way = {0};
        buffer_printf(&way, "%.*s", (int)i, whole);
        if (greater ? put_digits(&way, (char)(whole[i] + 1), '9') : put_digits(&way, least, (char)(whole[i] - 1)))
            buffer_printf(out, "|%s[0-9]{%zu}(?:\\.[0-9]+)?", way.data, length - i - 1);
        out->failed = out->failed || way.failed;
        buffer_done(&way);
    }
}

/* Ways for the whole part to be the same and the rest to be beyond `part`. */
static void put_part_beyond(struct buffer *out, const char *whole, const char *part, bool greater)
{
    size_t length = strlen(part);
    for (size_t i = 0; i < length; i++) {
        if (greater && part[i] < '9')
            buffer_printf(out, "|%s\\.%.*s[%c-9][0-9]*", whole, (int)i, part, part[i] + 1);
        if (!greater && part[i] > '0')
            buffer_printf(out, "|%s\\.%.*s[0-%c][0-9]*", whole, (int)i, part, part[i] - 1);
        /* A shorter one is less: `part` has no zeros at its end. */
        if (!greater && i == 0)
            buffer_printf(out, "|%s", whole);
        else if (!greater)
            buffer_printf(out, "|%s\\.%.*s", whole, (int)i, part);
    }
    if (greater && length == 0)
        buffer_printf(out, "|%s\\.[0-9]*[1-9][0-9]*", whole);
    else if (greater)
        buffer_printf(out, "|%s\\.%s[0-9]*[1-9][0-9]*", whole, part);
}

/* Texts without sign of more (or less) than the bound's absolute value, as alternatives. */
static void put_beyond(struct buffer *out, const struct decimal *bound, bool greater, bool equal)
{
    size_t length = strlen(bound->whole);
    buffer_puts(out, "(?:[^0-9a]a"); /* matches no number: each way begins with its bar */
    if (greater)
        buffer_printf(out, "|[1-9][0-9]{%zu,}(?:\\.[0-9]+)?", length);
    else if (length > 1)
        buffer_printf(out, "|(?:0|[1-9][0-9]{0,%zu})(?:\\.[0-9]+)?", length - 2);
    put_whole_beyond(out, bound->whole, greater);
    put_part_beyond(out, bound->whole, bound->part, greater);
    if (equal && bound->part[0] == '\0')
        buffer_printf(out, "|%s(?:\\.0+)?", bound->whole);
    else if (equal)
        buffer_printf(out, "|%s\\.%s0*", bound->whole, bound->part);
    buffer_puts(out, ")");
}

pdk_status number_bound(struct schema *schema, const struct json *where, const char *keyword, const struct json *bound,
    bool greater, bool equal, uint32_t *ret_pair)
{
    struct decimal decimal;
    if (!decimal_read(bound, &decimal))
        return schema_fail(
            schema, PDK_UNSUPPORTED, where, keyword, "%.60s has too many digits to be enforced", bound->text);
    struct buffer regex = {0};
    /* On the other side of zero it is the sign that decides; on the same side, with a sign the order turns round. */
    bool zero = strcmp(decimal.whole, "0") == 0 && decimal.part[0] == '\0';
    if (zero) {
        buffer_puts(&regex, greater ? "" : "-");
        put_beyond(&regex, &decimal, true, false);
        if (equal)
            buffer_puts(&regex, "|-?0(?:\\.0+)?");
    } else if (!decimal.negative) {
        put_beyond(&regex, &decimal, greater, equal);
        if (!greater)
            buffer_puts(&regex, "|-" WITHOUT_SIGN);
    } else {
        buffer_puts(&regex, "-");
        put_beyond(&regex, &decimal, !greater, equal);
        if (greater)
            buffer_puts(&regex, "|" WITHOUT_SIGN);
    }
    const struct regular *set;
    pdk_status status = regex.failed ? schema_no_memory(schema) : schema_regex(schema, regex.data, &set);
    buffer_done(&regex);
    return status != PDK_OK ? status : with_exponents(schema, set, set, ret_pair);
}

/* The canonical texts of a value: all with its whole part, its part and any zeros behind. */
static void put_value(struct buffer *out, const struct decimal *value)
{
    if (strcmp(value->whole, "0") == 0 && value->part[0] == '\0')
        buffer_puts(out, "|-?0(?:\\.0+)?");
    else if (value->part[0] == '\0')
        buffer_printf(out, "|%s%s(?:\\.0+)?", value->negative ? "-" : "", value->whole);
    else
        buffer_printf(out, "|%s%s\\.%s0*", value->negative ? "-" : "", value->whole, value->part);
}

pdk_status number_values(struct schema *schema, const struct json *const *values, size_t count, uint32_t *ret_pair)
{
    PDK_AUTO_FREE struct regular_text *texts = calloc(count + 1, 2 * sizeof *texts);
    PDK_AUTO_FREE char *canonical = calloc(count + 1, 2 * DECIMAL_DIGITS_MAX + 4);
    PDK_CLEANUP(buffer_done) struct buffer regex = {0};
    size_t text_count = 0;
    bool known = true;
    if (texts == NULL || canonical == NULL)
        return schema_no_memory(schema);
    buffer_puts(&regex, WITH_EXPONENT);
    for (size_t i = 0; i < count; i++) {
        struct decimal decimal;
        texts[text_count++] = (struct regular_text){values[i]->text, values[i]->length};
        if (!decimal_read(values[i], &decimal)) {
            known = false;
            continue;
        }
        put_value(&regex, &decimal);
        char *text = canonical + i * (2 * DECIMAL_DIGITS_MAX + 4);
        size_t length = 0;
        if (decimal.negative)
            text[length++] = '-';
        memcpy(text + length, decimal.whole, strlen(decimal.whole));
        length += strlen(decimal.whole);
        size_t part = strlen(decimal.part);
        /* Beyond what doubles tell apart the text as written is safer. */
        if (!decimal_is_integer_text(values[i]) && length + part > 15)
            continue;
        if (part > 0)
            text[length++] = '.';
        memcpy(text + length, decimal.part, part);
        texts[text_count++] = (struct regular_text){text, length + part};
    }
    if (regex.failed)
        return schema_no_memory(schema);
    struct regular *sure = NULL;
    const struct regular *kept, *perhaps = schema->all;
    pdk_status status = regular_of_texts(texts, text_count, &schema->budget, &sure, schema->err);
    if (status == PDK_OK)
        status = schema_keep(schema, sure, &kept);
    if (status == PDK_OK && known)
        status = schema_regex(schema, regex.data, &perhaps);
    return status != PDK_OK ? status : schema_pair(schema, kept, perhaps, ret_pair);
}

pdk_status number_possible(struct schema *schema, const struct regular *set, const struct regular **ret_set)
{
    const struct regular *numbers;
    pdk_status status = schema_fixed(schema, any_number, &numbers);
    return status != PDK_OK ? status : schema_both(schema, set, numbers, ret_set);
}

pdk_status number_offered(struct schema *schema, const struct regular *set, const struct regular **ret_set)
{
    enum { WRITTEN_MAX = 100000 };
    const struct regular *numbers;
    pdk_status status = schema_fixed(schema, offered, &numbers);
    if (status == PDK_OK)
        status = schema_both(schema, set, numbers, &numbers);
    if (status == PDK_OK && numbers == schema->none) {
        /* Values of enum or const that are written otherwise. */
        status = number_possible(schema, set, &numbers);
        if (status == PDK_OK && regular_count(numbers, WRITTEN_MAX) > WRITTEN_MAX)
            return schema_fail(
                schema, PDK_UNSUPPORTED, schema->root, "", "its numbers have more digits than doubles tell apart");
    }
    if (status == PDK_OK)
        *ret_set = numbers;
    return status;
}
