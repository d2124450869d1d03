/* Character classes of regular expressions, with Unicode's properties out of utf8proc. */
#include "config.h"

#include "runtimes/huggingface/guided/regex_tree.h"

#include "core/base/array.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

void range_list_add(struct range_list *list, uint32_t first, uint32_t last)
{
    if (list->count > 0 && list->ranges[list->count - 1].last + 1 == first) {
        list->ranges[list->count - 1].last = last;
        return;
    }
    if (list->failed || !array_grow(&list->ranges, &list->room, list->count + 1)) {
        list->failed = true;
        return;
    }
    list->ranges[list->count++] = (struct code_range){first, last};
}

static int compare_ranges(const void *left, const void *right)
{
    const struct code_range *a = left, *b = right;
    return a->first < b->first ? -1 : a->first > b->first;
}

void range_list_sort(struct range_list *list)
{
    struct code_range *ranges = list->ranges;
    if (list->count == 0)
        return;
    qsort(ranges, list->count, sizeof *ranges, compare_ranges);
    size_t kept = 0;
    for (size_t i = 1; i < list->count; i++) {
        if (ranges[i].first <= ranges[kept].last + 1) {
            if (ranges[i].last > ranges[kept].last)
                ranges[kept].last = ranges[i].last;
        } else {
            ranges[++kept] = ranges[i];
        }
    }
    list->count = 0;
    size_t sorted = kept + 1;
    for (size_t i = 0; i < sorted; i++) {
        struct code_range range = ranges[i];
        if (range.last < SURROGATE_FIRST || range.first > SURROGATE_LAST) {
            ranges[list->count++] = range;
            continue;
        }
        /* One range at most crosses the surrogates; it becomes two at most, and only it can need the extra room. */
        struct code_range below = {range.first, SURROGATE_FIRST - 1}, above = {SURROGATE_LAST + 1, range.last};
        bool has_below = range.first<SURROGATE_FIRST, has_above = range.last> SURROGATE_LAST;
        if (has_below && has_above) {
            if (!array_grow(&list->ranges, &list->room, sorted + 1)) {
                list->failed = true;
                return;
            }
            ranges = list->ranges;
            memmove(&ranges[i + 1], &ranges[i], (sorted - i) * sizeof *ranges);
            sorted++;
            i++;
            ranges[list->count++] = below;
            ranges[list->count++] = above;
        } else if (has_below) {
            ranges[list->count++] = below;
        } else if (has_above) {
            ranges[list->count++] = above;
        }
    }
}

void range_list_invert(struct range_list *list)
{
    struct range_list inverse = {0};
    uint32_t from = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (list->ranges[i].first > from)
            range_list_add(&inverse, from, list->ranges[i].first - 1);
        from = list->ranges[i].last + 1;
    }
    if (from <= CODE_LAST)
        range_list_add(&inverse, from, CODE_LAST);
    inverse.failed = inverse.failed || list->failed;
    free(list->ranges);
    *list = inverse;
    range_list_sort(list);
}

typedef bool category_filter(utf8proc_category_t category, const void *context);

enum { UNASSIGNED_FIRST = 0x40000, UNASSIGNED_LAST = 0xDFFFF };

static void add_where(struct range_list *list, category_filter *wanted, const void *context)
{
    uint32_t first = 0;
    bool inside = false;
    for (uint32_t code = 0; code <= CODE_LAST + 1; code++) {
        if (code == UNASSIGNED_FIRST + 1)
            code = UNASSIGNED_LAST; /* whole planes of which the first is like all others */
        bool now = code <= CODE_LAST && (code < SURROGATE_FIRST || code > SURROGATE_LAST) &&
                   wanted(utf8proc_category((utf8proc_int32_t)code), context);
        if (now && !inside)
            first = code;
        if (!now && inside)
            range_list_add(list, first, code - 1);
        inside = now;
    }
}

/* What Python counts as a word's letter or digit, and what a later Unicode may make one. */
static bool any_word(utf8proc_category_t category, const void *context)
{
    (void)context;
    return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) ||
           (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO) || category == UTF8PROC_CATEGORY_SO ||
           category == UTF8PROC_CATEGORY_CN;
}

static bool any_digit(utf8proc_category_t category, const void *context)
{
    (void)context;
    return category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_CN;
}

static void add_table(struct range_list *list, const struct code_range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        range_list_add(list, ranges[i].first, ranges[i].last);
}

void range_list_add_escape(struct range_list *list, char letter, bool loose)
{
    static const struct code_range spaces[] = {{0x09, 0x0D}, {' ', ' '}, {0xA0, 0xA0}, {0x1680, 0x1680},
        {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}};
    static const struct code_range some_spaces[] = {{0x1C, 0x1F}, {0x85, 0x85}, {0xFEFF, 0xFEFF}};
    switch (letter) {
    case 'd':
        range_list_add(list, '0', '9');
        if (loose)
            add_where(list, any_digit, NULL);
        break;
    case 'w':
        range_list_add(list, '0', '9');
        range_list_add(list, 'A', 'Z');
        range_list_add(list, '_', '_');
        range_list_add(list, 'a', 'z');
        if (loose)
            add_where(list, any_word, NULL);
        break;
    default:
        add_table(list, spaces, sizeof spaces / sizeof *spaces);
        if (loose)
            add_table(list, some_spaces, sizeof some_spaces / sizeof *some_spaces);
    }
}

/* In utf8proc's order. */
static const struct {
    const char *brief, *full;
} categories[] = {
    [UTF8PROC_CATEGORY_CN] = {"Cn", "Unassigned"},
    [UTF8PROC_CATEGORY_LU] = {"Lu", "Uppercase_Letter"},
    [UTF8PROC_CATEGORY_LL] = {"Ll", "Lowercase_Letter"},
    [UTF8PROC_CATEGORY_LT] = {"Lt", "Titlecase_Letter"},
    [UTF8PROC_CATEGORY_LM] = {"Lm", "Modifier_Letter"},
    [UTF8PROC_CATEGORY_LO] = {"Lo", "Other_Letter"},
    [UTF8PROC_CATEGORY_MN] = {"Mn", "Nonspacing_Mark"},
    [UTF8PROC_CATEGORY_MC] = {"Mc", "Spacing_Mark"},
    [UTF8PROC_CATEGORY_ME] = {"Me", "Enclosing_Mark"},
    [UTF8PROC_CATEGORY_ND] = {"Nd", "Decimal_Number"},
    [UTF8PROC_CATEGORY_NL] = {"Nl", "Letter_Number"},
    [UTF8PROC_CATEGORY_NO] = {"No", "Other_Number"},
    [UTF8PROC_CATEGORY_PC] = {"Pc", "Connector_Punctuation"},
    [UTF8PROC_CATEGORY_PD] = {"Pd", "Dash_Punctuation"},
    [UTF8PROC_CATEGORY_PS] = {"Ps", "Open_Punctuation"},
    [UTF8PROC_CATEGORY_PE] = {"Pe", "Close_Punctuation"},
    [UTF8PROC_CATEGORY_PI] = {"Pi", "Initial_Punctuation"},
    [UTF8PROC_CATEGORY_PF] = {"Pf", "Final_Punctuation"},
    [UTF8PROC_CATEGORY_PO] = {"Po", "Other_Punctuation"},
    [UTF8PROC_CATEGORY_SM] = {"Sm", "Math_Symbol"},
    [UTF8PROC_CATEGORY_SC] = {"Sc", "Currency_Symbol"},
    [UTF8PROC_CATEGORY_SK] = {"Sk", "Modifier_Symbol"},
    [UTF8PROC_CATEGORY_SO] = {"So", "Other_Symbol"},
    [UTF8PROC_CATEGORY_ZS] = {"Zs", "Space_Separator"},
    [UTF8PROC_CATEGORY_ZL] = {"Zl", "Line_Separator"},
    [UTF8PROC_CATEGORY_ZP] = {"Zp", "Paragraph_Separator"},
    [UTF8PROC_CATEGORY_CC] = {"Cc", "Control"},
    [UTF8PROC_CATEGORY_CF] = {"Cf", "Format"},
    [UTF8PROC_CATEGORY_CS] = {"Cs", "Surrogate"},
    [UTF8PROC_CATEGORY_CO] = {"Co", "Private_Use"},
};
enum { CATEGORY_COUNT = sizeof categories / sizeof *categories };

static bool named(const char *name, size_t length, const char *wanted)
{
    return length == strlen(wanted) && memcmp(name, wanted, length) == 0;
}

/* The categories of a name, as bits. */
static uint32_t category_bits(const char *name, size_t length)
{
    static const struct {
        const char *brief, *full;
    } groups[] = {{"L", "Letter"}, {"M", "Mark"}, {"N", "Number"}, {"P", "Punctuation"}, {"S", "Symbol"},
        {"Z", "Separator"}, {"C", "Other"}};
    uint32_t bits = 0;
    for (int c = 0; c < CATEGORY_COUNT; c++) {
        bool hit = named(name, length, categories[c].brief) || named(name, length, categories[c].full);
        for (size_t g = 0; g < sizeof groups / sizeof *groups && !hit; g++)
            hit = groups[g].brief[0] == categories[c].brief[0] &&
                  (named(name, length, groups[g].brief) || named(name, length, groups[g].full));
        if (named(name, length, "LC") || named(name, length, "Cased_Letter"))
            hit = c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LT;
        if (hit)
            bits |= 1u << c;
    }
    return bits;
}

static bool in_bits(utf8proc_category_t category, const void *context)
{
    return *(const uint32_t *)context >> category & 1;
}

bool range_list_add_property(struct range_list *list, const char *name, size_t length)
{
    if (named(name, length, "Any")) {
        range_list_add(list, 0, CODE_LAST);
        return true;
    }
    if (named(name, length, "ASCII")) {
        range_list_add(list, 0, 0x7F);
        return true;
    }
    uint32_t bits = category_bits(name, length);
    if (named(name, length, "Assigned"))
        bits = ((1u << CATEGORY_COUNT) - 1) & ~(1u << UTF8PROC_CATEGORY_CN);
    if (bits == 0)
        return false;
    add_where(list, in_bits, &bits);
    return true;
}

void range_list_add_cases(struct range_list *list)
{
    enum { CASED_LAST = 0x1E943 }; /* the last letter with case, of Adlam */
    size_t count = list->count;
    for (size_t i = 0; i < count; i++) {
        struct code_range range = list->ranges[i];
        for (uint32_t code = range.first; code <= range.last && code <= CASED_LAST; code++) {
            uint32_t lower = (uint32_t)utf8proc_tolower((utf8proc_int32_t)code);
            uint32_t upper = (uint32_t)utf8proc_toupper((utf8proc_int32_t)code);
            if (lower != code)
                range_list_add(list, lower, lower);
            if (upper != code)
                range_list_add(list, upper, upper);
        }
    }
    range_list_sort(list);
}
