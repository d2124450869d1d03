/* Reads what matches one character: itself, an escape, a dot, a class in brackets. */
#include "config.h"

#include "runtimes/huggingface/guided/regex_read.h"

#include "core/base/array.h"
#include "core/base/clock.h"
#include "core/base/utf8.h"

#include <stdlib.h>
#include <string.h>

pdk_status regex_class_node(struct regex_reader *reader, struct range_list *ranges, uint32_t *ret_node)
{
    struct regex_tree *tree = reader->tree;
    range_list_sort(ranges);
    if (thread_ms() > reader->budget->deadline_ms) {
        free(ranges->ranges);
        return regular_too_large(reader->budget, reader->err);
    }
    if (ranges->failed || !array_grow(&tree->classes, &tree->class_room, (size_t)tree->class_count + 1)) {
        free(ranges->ranges);
        return regex_no_memory(reader);
    }
    tree->classes[tree->class_count++] =
        (struct regex_class){.ranges = ranges->ranges, .count = (uint32_t)ranges->count};
    pdk_status status = regex_new_node(reader, REGEX_CLASS, ret_node);
    if (status == PDK_OK)
        tree->nodes[*ret_node].class_number = tree->class_count - 1;
    return status;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Exactly `digits` hexadecimal digits. */
static bool take_hex(struct regex_reader *reader, int digits, uint32_t *ret_code)
{
    uint32_t code = 0;
    if (reader->end - reader->at < digits)
        return false;
    for (int i = 0; i < digits; i++) {
        int digit = hex_digit(reader->at[i]);
        if (digit < 0)
            return false;
        code = code << 4 | (uint32_t)digit;
    }
    reader->at += digits;
    *ret_code = code;
    return true;
}

/* Behind \u: four digits, digits in braces, or a pair of surrogates. */
static bool take_unicode(struct regex_reader *reader, uint32_t *ret_code)
{
    uint32_t code = 0, low = 0;
    if (regex_take(reader, "{")) {
        const char *first = reader->at;
        while (reader->at != reader->end && hex_digit(*reader->at) >= 0 && reader->at - first < 8)
            code = code << 4 | (uint32_t)hex_digit(*reader->at++);
        *ret_code = code;
        return reader->at != first && regex_take(reader, "}") && code <= CODE_LAST;
    }
    if (!take_hex(reader, 4, &code))
        return false;
    const char *back = reader->at;
    if (code >= 0xD800 && code < 0xDC00 && regex_take(reader, "\\u") && take_hex(reader, 4, &low) && low >= 0xDC00 &&
        low <= 0xDFFF)
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    else
        reader->at = back;
    *ret_code = code;
    return true;
}

static void add_ranges(struct range_list *to, const struct range_list *from)
{
    for (size_t i = 0; i < from->count; i++)
        range_list_add(to, from->ranges[i].first, from->ranges[i].last);
    to->failed = to->failed || from->failed;
}

/* \p{…} and \P{…}: the reader stands behind the letter. */
static pdk_status read_property(struct regex_reader *reader, bool negative, struct range_list *list)
{
    const char *start = reader->at - 2;
    const char *name = reader->at;
    size_t length = 1;
    if (reader->at == reader->end)
        return regex_fail(reader, PDK_INVALID, start, "a property without a name");
    if (*reader->at == '{') {
        name++;
        const char *close = memchr(name, '}', (size_t)(reader->end - name));
        if (close == NULL)
            return regex_fail(reader, PDK_INVALID, start, "a property without its closing brace");
        length = (size_t)(close - name);
        reader->at = close + 1;
    } else {
        reader->at++;
    }
    bool inverse = length > 1 && *name == '^';
    static const char *const prefixes[] = {"General_Category=", "gc="};
    for (size_t i = 0; i < 2; i++) {
        size_t prefix = strlen(prefixes[i]);
        if (length > prefix && memcmp(name, prefixes[i], prefix) == 0) {
            name += prefix;
            length -= prefix;
        }
    }
    struct range_list own = {0};
    if (!range_list_add_property(&own, name + inverse, length - inverse)) {
        free(own.ranges);
        return regex_fail(reader, PDK_UNSUPPORTED, start, "a Unicode property other than a general category");
    }
    if (negative != inverse)
        range_list_invert(&own);
    add_ranges(list, &own);
    free(own.ranges);
    return PDK_OK;
}

/* \d or its like, or their opposites, for which strict and loose change places. */
static void add_escape(struct regex_reader *reader, char letter, struct range_list *list)
{
    bool negative = letter >= 'A' && letter <= 'Z', loose = reader->loose != negative;
    char lower = negative ? (char)(letter + ('a' - 'A')) : letter;
    struct range_list *known = &reader->escapes.lists[lower == 'd' ? 0 : lower == 'w' ? 1 : 2][loose];
    if (known->count == 0) {
        range_list_add_escape(known, lower, loose);
        range_list_sort(known);
    }
    if (!negative) {
        add_ranges(list, known);
        return;
    }
    struct range_list inverse = {0};
    add_ranges(&inverse, known);
    range_list_invert(&inverse);
    add_ranges(list, &inverse);
    free(inverse.ranges);
}

/* The code of an escape for one character; false: `letter` is none. */
static bool simple_escape(struct regex_reader *reader, char letter, bool in_class, uint32_t *ret_code)
{
    static const char letters[] = "tnvfra", codes[] = "\t\n\v\f\r\a";
    const char *found = letter == '\0' ? NULL : strchr(letters, letter);
    if (found != NULL) {
        *ret_code = (uint32_t)codes[found - letters];
        return true;
    }
    switch (letter) {
    case 'b': *ret_code = 8; return in_class;
    case '0': *ret_code = 0; return reader->at == reader->end || *reader->at < '0' || *reader->at > '9';
    case 'x': return take_hex(reader, 2, ret_code);
    case 'u': return take_unicode(reader, ret_code);
    case 'U': return take_hex(reader, 8, ret_code) && *ret_code <= CODE_LAST;
    case 'c':
        if (reader->at == reader->end || (*reader->at | 0x20) < 'a' || (*reader->at | 0x20) > 'z')
            return false;
        *ret_code = (uint32_t)*reader->at++ & 0x1F;
        return true;
    default:
        *ret_code = (uint32_t)(unsigned char)letter;
        /* Punctuation stands for itself. */
        return (letter > ' ' && letter < '0') || (letter > '9' && letter < 'A') || (letter > 'Z' && letter < 'a') ||
               (letter > 'z' && letter < 0x7F) || letter == ' ';
    }
}

/* One item of a class or a character outside of one: *ret_single with its code, or ranges put in `list`. */
static pdk_status read_item(
    struct regex_reader *reader, bool in_class, struct range_list *list, bool *ret_single, uint32_t *ret_code)
{
    const char *start = reader->at;
    *ret_single = true;
    if (*start != '\\') {
        size_t step = utf8_decode(start, (size_t)(reader->end - start), ret_code);
        if (step == 0)
            return regex_fail(reader, PDK_INVALID, start, "no UTF-8");
        reader->at += step;
        return PDK_OK;
    }
    if (reader->end - start < 2)
        return regex_fail(reader, PDK_INVALID, start, "a backslash at the end");
    char letter = start[1];
    reader->at += 2;
    if ((unsigned char)letter >= 0x80) {
        reader->at = start + 1;
        return read_item(reader, in_class, list, ret_single, ret_code);
    }
    if (strchr("dDwWsS", letter) != NULL && letter != '\0') {
        *ret_single = false;
        add_escape(reader, letter, list);
        return PDK_OK;
    }
    if (letter == 'p' || letter == 'P') {
        *ret_single = false;
        return read_property(reader, letter == 'P', list);
    }
    if ((letter >= '1' && letter <= '9') || letter == 'k')
        return regex_fail(reader, PDK_UNSUPPORTED, start, "a back reference");
    if (letter == 'N' || letter == 'X' || letter == 'R' || letter == 'K' || letter == 'G')
        return regex_fail(reader, PDK_UNSUPPORTED, start, "this escape");
    if (!simple_escape(reader, letter, in_class, ret_code))
        return regex_fail(reader, PDK_INVALID, start, "an unknown escape");
    return PDK_OK;
}

static pdk_status read_class_items(struct regex_reader *reader, struct range_list *list)
{
    const char *start = reader->at;
    while (reader->at != reader->end && *reader->at != ']') {
        bool single = false, last_single = false;
        uint32_t first = 0, last = 0;
        if (*reader->at == '[' && reader->end - reader->at > 1 &&
            (reader->at[1] == ':' || reader->at[1] == '.' || reader->at[1] == '='))
            return regex_fail(reader, PDK_UNSUPPORTED, reader->at, "a POSIX class");
        pdk_status status = read_item(reader, true, list, &single, &first);
        if (status != PDK_OK)
            return status;
        last = first;
        const char *dash = reader->at;
        if (single && reader->end - dash > 1 && dash[0] == '-' && dash[1] != ']') {
            reader->at++;
            status = read_item(reader, true, list, &last_single, &last);
            if (status != PDK_OK)
                return status;
            if (!last_single || last < first)
                return regex_fail(reader, PDK_INVALID, dash, "a range whose ends are out of order");
        }
        if (single)
            range_list_add(list, first, last);
    }
    if (!regex_take(reader, "]"))
        return regex_fail(reader, PDK_INVALID, start - 1, "a class without its closing bracket");
    return PDK_OK;
}

pdk_status regex_read_class(struct regex_reader *reader, uint32_t *ret_node)
{
    const char *start = reader->at;
    struct range_list list = {0};
    reader->at++;
    bool negative = regex_take(reader, "^");
    if (regex_next_is(reader, ']'))
        return regex_fail(reader, PDK_UNSUPPORTED, start, "an empty class, which dialects read differently,");
    /* What is left out must be left out in every dialect. */
    reader->loose = reader->loose != negative;
    pdk_status status = read_class_items(reader, &list);
    reader->loose = reader->loose != negative;
    if (status != PDK_OK) {
        free(list.ranges);
        return status;
    }
    range_list_sort(&list);
    if (reader->flags.ignore_case)
        range_list_add_cases(&list);
    if (negative)
        range_list_invert(&list);
    return regex_class_node(reader, &list, ret_node);
}

pdk_status regex_read_dot(struct regex_reader *reader, uint32_t *ret_node)
{
    struct range_list list = {0};
    reader->at++;
    if (!reader->flags.dot_all) {
        range_list_add(&list, '\n', '\n');
        if (!reader->loose) {
            range_list_add(&list, '\r', '\r');
            range_list_add(&list, 0x2028, 0x2029);
        }
        range_list_sort(&list);
    }
    range_list_invert(&list);
    return regex_class_node(reader, &list, ret_node);
}

pdk_status regex_read_character(struct regex_reader *reader, uint32_t *ret_node)
{
    struct range_list list = {0};
    bool single = false;
    uint32_t code = 0;
    pdk_status status = read_item(reader, false, &list, &single, &code);
    if (status != PDK_OK) {
        free(list.ranges);
        return status;
    }
    if (single)
        range_list_add(&list, code, code);
    range_list_sort(&list);
    if (reader->flags.ignore_case)
        range_list_add_cases(&list);
    return regex_class_node(reader, &list, ret_node);
}
