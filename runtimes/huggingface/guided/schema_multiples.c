/* multipleOf: remainders as states. A step of p / 10^d divides a text when its digits, d of them behind the point, come
 * to a multiple of p.
 *
 * Validators divide doubles. That agrees with the decimal texts for steps that a double holds exactly (0.5, 3.0); for
 * others (0.01) a text is offered only where the division was tried, or for integers where it is proven to agree. */
#include "config.h"

#include "runtimes/huggingface/guided/regular_set.h"
#include "runtimes/huggingface/guided/schema_decimal.h"
#include "runtimes/huggingface/guided/schema_terms.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Texts whose quotients a double may round to an integer. */
static const char long_numbers[] = "-?[1-9][0-9]{8,}(?:\\.[0-9]+)?|-?(?:0|[1-9][0-9]*)(?:\\.[0-9]+)?[eE][+-]?[0-9]+";

enum { STEP_STATES_MAX = 15000, TRIED_MAX = 5000, TEXT_MAX = 40 };

struct step {
    uint64_t digits; /* p */
    uint32_t places; /* d */
};

static bool read_step(const struct json *number, struct step *ret_step)
{
    struct decimal decimal;
    if (!decimal_read(number, &decimal) || decimal.negative)
        return false;
    struct step step = {.places = (uint32_t)strlen(decimal.part)};
    const char *halves[] = {decimal.whole, decimal.part};
    for (int half = 0; half < 2; half++) {
        for (const char *at = halves[half]; *at != '\0'; at++) {
            if (__builtin_mul_overflow(step.digits, 10, &step.digits) ||
                __builtin_add_overflow(step.digits, (uint64_t)(*at - '0'), &step.digits))
                return false;
        }
    }
    *ret_step = step;
    return step.digits > 0;
}

/* States: 0 the start, 1 behind a sign, then for each count of places behind the point (0: before it) and remainder. */
struct machine {
    struct step step;
    uint32_t places; /* that a text may have before only zeros may come */
    bool points;     /* whether a point may be written */
};

static uint32_t state_of(const struct machine *machine, uint32_t places, uint64_t remainder, bool leading)
{
    return 2 + (uint32_t)(places * machine->step.digits + remainder) * 2 + leading;
}

/* Whether a number that ends here is a multiple: its missing places are zeros. */
static bool is_multiple(const struct machine *machine, uint32_t places, uint64_t remainder)
{
    for (uint32_t i = places; i < machine->step.places; i++)
        remainder = remainder * 10 % machine->step.digits;
    return remainder == 0;
}

/* Before the point. `zero`: a single 0, behind which no digit may come. */
static void whole_state(struct regular_builder *builder, const struct machine *machine, uint64_t remainder, bool zero)
{
    regular_builder_state(builder, is_multiple(machine, 0, remainder));
    if (machine->points)
        regular_builder_edge(builder, '.', '.', state_of(machine, 1, remainder, true));
    for (uint32_t digit = 0; digit < 10 && !zero; digit++)
        regular_builder_edge(builder, '0' + digit, '0' + digit,
            state_of(machine, 0, (remainder * 10 + digit) % machine->step.digits, false));
}

/* Behind the point, `places` - 1 digits there and (not `fresh`) one at least. */
static void part_state(
    struct regular_builder *builder, const struct machine *machine, uint32_t places, uint64_t remainder, bool fresh)
{
    uint32_t had = places - 1;
    uint64_t scale = machine->step.digits;
    regular_builder_state(builder, !fresh && is_multiple(machine, had, remainder));
    if (had >= machine->step.places) {
        regular_builder_edge(builder, '0', '0', state_of(machine, places, remainder, false));
        return;
    }
    for (uint32_t digit = 0; digit < 10; digit++)
        regular_builder_edge(
            builder, '0' + digit, '0' + digit, state_of(machine, places + 1, (remainder * 10 + digit) % scale, false));
}

static void first_state(struct regular_builder *builder, const struct machine *machine, bool sign)
{
    regular_builder_state(builder, false);
    if (sign)
        regular_builder_edge(builder, '-', '-', 1);
    regular_builder_edge(builder, '0', '0', state_of(machine, 0, 0, true));
    for (uint32_t digit = 1; digit < 10; digit++)
        regular_builder_edge(
            builder, '0' + digit, '0' + digit, state_of(machine, 0, digit % machine->step.digits, false));
}

static pdk_status exact_multiples(
    struct schema *schema, const struct json *where, struct machine machine, const struct regular **ret_set)
{
    uint64_t states = machine.step.digits * 2;
    if (machine.step.digits > STEP_STATES_MAX || states * (machine.step.places + 2) > STEP_STATES_MAX * 2)
        return schema_fail(schema, PDK_UNSUPPORTED, where, "multipleOf",
            "a step of %" PRIu64 " at %u places is too large to be enforced", machine.step.digits, machine.step.places);
    struct regular_builder builder = {.states_max = STEP_STATES_MAX * 2 + 2};
    struct regular *set = NULL;
    first_state(&builder, &machine, true);
    first_state(&builder, &machine, false);
    for (uint32_t places = 0; places <= machine.step.places + 1; places++) {
        for (uint64_t remainder = 0; remainder < machine.step.digits; remainder++) {
            for (int leading = 0; leading < 2; leading++) {
                if (places == 0)
                    whole_state(&builder, &machine, remainder, leading);
                else
                    part_state(&builder, &machine, places, remainder, leading);
            }
        }
    }
    pdk_status status = regular_builder_finish(&builder, &set, schema->err);
    return status != PDK_OK ? status : schema_keep(schema, set, ret_set);
}

/* How far the double is from the step, of the step; long double has 11 bits more. */
static bool divides_integers_exactly(const struct step *step, double value)
{
    long double exact = (long double)step->digits;
    for (uint32_t i = 0; i < step->places; i++)
        exact /= 10;
    long double off = (long double)value / exact - 1;
    /* Half of what may turn a quotient below 2^53 into its neighbour, less the error made here. */
    return step->places < 20 && (off < 0 ? -off : off) < 0x1p-54L * 0.9L;
}

/* The text of k steps. */
static size_t put_multiple(const struct step *step, uint64_t k, char *out)
{
    char digits[TEXT_MAX];
    size_t length = (size_t)snprintf(digits, sizeof digits, "%0*" PRIu64, (int)step->places + 1, k * step->digits);
    size_t whole = length - step->places;
    memcpy(out, digits, whole);
    if (step->places == 0)
        return length;
    out[whole] = '.';
    memcpy(out + whole + 1, digits + whole, step->places);
    length++;
    while (out[length - 1] == '0')
        length--;
    return out[length - 1] == '.' ? length - 1 : length;
}

/* Multiples whose quotient, as doubles have it, was tried. */
static pdk_status tried_multiples(
    struct schema *schema, const struct step *step, double value, const struct regular **ret_set)
{
    PDK_AUTO_FREE char *bytes = calloc(TRIED_MAX, 2 * TEXT_MAX);
    PDK_AUTO_FREE struct regular_text *texts = calloc(TRIED_MAX, 2 * sizeof *texts);
    size_t count = 0;
    /* As many as fit in the states of a set, if no two shared one. */
    uint64_t tries = STEP_STATES_MAX / (2 * (step->places + 4)), k_most = TRIED_MAX;
    tries = tries < k_most ? tries : k_most;
    if (bytes == NULL || texts == NULL)
        return schema_no_memory(schema);
    for (uint64_t k = 0; k < tries && step->places < 16 && k * step->digits < 1000000000000000u; k++) {
        char *text = bytes + 2 * TEXT_MAX * k;
        text[0] = '-';
        size_t length = put_multiple(step, k, text + 1);
        text[length + 1] = '\0';
        double quotient = strtod(text + 1, NULL) / value;
        if (quotient != floor(quotient))
            continue;
        texts[count++] = (struct regular_text){text + 1, length};
        if (k > 0)
            texts[count++] = (struct regular_text){text, length + 1};
    }
    struct regular *set = NULL;
    pdk_status status = regular_of_texts(texts, count, &schema->budget, &set, schema->err);
    return status != PDK_OK ? status : schema_keep(schema, set, ret_set);
}

/* Integers, few enough digits that quotients stay exact. */
static pdk_status integer_multiples(struct schema *schema, const struct json *where, const struct step *step,
    double value, const struct regular **ret_set)
{
    const struct regular *short_ones;
    char regex[64];
    int digits = 15 + (int)floor(log10(value));
    *ret_set = schema->none;
    if (!divides_integers_exactly(step, value) || digits < 1)
        return PDK_OK;
    pdk_status status = exact_multiples(schema, where, (struct machine){.step = *step}, ret_set);
    snprintf(regex, sizeof regex, "0|-?[1-9][0-9]{0,%d}", (digits > 15 ? 15 : digits) - 1);
    if (status == PDK_OK)
        status = schema_regex(schema, regex, &short_ones);
    return status != PDK_OK ? status : schema_both(schema, *ret_set, short_ones, ret_set);
}

static bool is_exact(const struct json *number, const struct step *step)
{
    uint64_t digits = step->digits;
    uint32_t fives = step->places;
    for (; fives > 0 && digits % 5 == 0; fives--)
        digits /= 5;
    return decimal_is_integer_text(number) || fives == 0;
}

pdk_status number_multiples(
    struct schema *schema, const struct json *where, const struct json *number, uint32_t *ret_pair)
{
    struct step step;
    const struct regular *exact, *more, *long_ones;
    if (!read_step(number, &step))
        return schema_fail(schema,
            number->text[0] == '-' || strtod(number->text, NULL) == 0 ? PDK_INVALID : PDK_UNSUPPORTED, where,
            "multipleOf", "%.60s is no step that can be enforced; it must be above 0 and of few digits", number->text);
    double value = strtod(number->text, NULL);
    pdk_status status;
    if (is_exact(number, &step)) {
        status = exact_multiples(schema, where, (struct machine){.step = step, .points = true}, &exact);
        if (status == PDK_OK) /* quotients of large numbers are rounded to integers */
            status = schema_fixed(schema, long_numbers, &long_ones);
        if (status == PDK_OK)
            status = schema_either(schema, exact, long_ones, &more);
        return status != PDK_OK ? status : schema_pair(schema, exact, more, ret_pair);
    }
    status = tried_multiples(schema, &step, value, &exact);
    if (status == PDK_OK && step.digits <= STEP_STATES_MAX / (step.places + 2)) {
        status = integer_multiples(schema, where, &step, value, &more);
        if (status == PDK_OK)
            status = schema_either(schema, exact, more, &exact);
    }
    return status != PDK_OK ? status : schema_pair(schema, exact, schema->all, ret_pair);
}
