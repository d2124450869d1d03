/* runtimes/huggingface/guided: regular expressions and the sets that they become. */
#include "config.h"

#include "core/base/clock.h"
#include "runtimes/huggingface/guided/automaton.h"
#include "runtimes/huggingface/guided/regular.h"

#include "check_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct regular_budget budget(void)
{
    return (struct regular_budget){.states = 20000, .deadline_ms = thread_ms() + 20000};
}

static struct regular *compile(const char *pattern, enum regex_anchoring anchoring)
{
    struct regular_budget all = budget();
    struct regular *set = NULL;
    pdk_error err = {0};
    pdk_status status = regular_of_regex(pattern, strlen(pattern), anchoring, &all, &set, &err);
    ck_assert_msg(status == PDK_OK, "%s: %s", pattern, err.message);
    return set;
}

/* '+': in the set; '-': not in it. */
static const struct {
    const char *pattern;
    enum regex_anchoring anchoring;
    const char *texts[10];
} sets[] = {
    {"", REGEX_WHOLE, {"+", "-a"}},
    {"", REGEX_SEARCH, {"+", "+a"}},
    {"ab|c", REGEX_WHOLE, {"+ab", "+c", "-ac", "-abc"}},
    {"b", REGEX_SEARCH, {"+abc", "+b", "-ac", "-"}},
    {"^b", REGEX_SEARCH, {"+bc", "-ab"}},
    {"b$", REGEX_SEARCH, {"+ab", "-ba", "-b\n"}},
    {"^a*$", REGEX_SEARCH, {"+", "+aaa", "-ab"}},
    {"a{2}b{1,3}c{2,}", REGEX_WHOLE, {"+aabcc", "+aabbbccc", "-abcc", "-aabbbbcc", "-aabc"}},
    {"a{,2}", REGEX_WHOLE, {"+", "+aa", "-aaa"}},
    {"a{x}", REGEX_WHOLE, {"+a{x}", "-a"}},
    {"a*?b+?c??", REGEX_WHOLE, {"+b", "+aabbc", "-ac"}},
    {"[a-c_-]", REGEX_WHOLE, {"+b", "+-", "+_", "-d"}},
    {"[^a-c]", REGEX_WHOLE, {"+d", "+é", "+\n", "-b", "-dd"}},
    {"\\d\\D\\w\\W\\s\\S", REGEX_WHOLE, {"+1ab- x", "-aab- x"}},
    /* Where dialects differ, what all of them match. */
    {"\\d", REGEX_WHOLE, {"+7", "-\xD9\xA3"}},
    {"\\D", REGEX_WHOLE, {"+a", "-7", "-\xD9\xA3"}},
    {"\\w", REGEX_WHOLE, {"+a", "-é"}},
    {"[^\\w]", REGEX_WHOLE, {"+-", "-a", "-é"}},
    {".", REGEX_WHOLE, {"+a", "+😀", "-\n", "-\r", "-\xE2\x80\xA8"}},
    {"(?s).", REGEX_WHOLE, {"+\n", "+a"}},
    {"(?i)aé(?-i:b)", REGEX_WHOLE, {"+AÉb", "+aéb", "-aéB"}},
    {"(?m)^b$", REGEX_SEARCH, {"+a\nb\nc", "+b", "-ab"}},
    {"\\u0041\\x42\\u{1F600}\\uD83D\\uDE00\\t\\/", REGEX_WHOLE, {"+AB😀😀\t/"}},
    {"\\p{Lu}\\p{L}\\P{L}[\\p{N}x]", REGEX_WHOLE, {"+Éa1x", "+Aé-2", "-aa1x"}},
    {"(?<year>[0-9]{4})-(?P<month>[0-9]{2})(?:-(?#day)[0-9]{2})?", REGEX_WHOLE, {"+2024-05", "+2024-05-06", "-24-05"}},
    {"\\bfoo\\b", REGEX_SEARCH, {"+foo", "+a foo b", "+foo-bar", "-foobar", "-afoo", "-éfoo"}},
    {"a\\Bb", REGEX_SEARCH, {"+ab", "-a b"}},
    {"(?=.*[A-Z])(?=.*[0-9]).{4,}", REGEX_WHOLE, {"+aB1c", "+1BBB", "-ab1c", "-B1a"}},
    {"(?!foo).*", REGEX_WHOLE, {"+fo", "+bar", "+", "-foo", "-foobar"}},
    {"(a(?=b)|b)*", REGEX_WHOLE, {"+abab", "+bb", "-aab", "-a"}},
    {"a(?<=a)b(?<!bb)c", REGEX_WHOLE, {"+abc", "-ac"}},
    {"(?<=a)b", REGEX_SEARCH, {"+ab", "-b", "-cb"}},
    {"a++b", REGEX_WHOLE, {"+aab", "-b"}},
    {"a++ab", REGEX_WHOLE, {"-aab", "-ab"}},
    {"(a*)*(b|)*", REGEX_WHOLE, {"+", "+aabb", "-ba"}},
    {"a|^b|c$", REGEX_SEARCH, {"+xax", "+bx", "+xc", "-xb", "-cx"}},
    {"^$|^x", REGEX_SEARCH, {"+", "+xy", "-y"}},
    {"[\\]\\-\\\\]", REGEX_WHOLE, {"+]", "+-", "+\\", "-["}},
};

START_TEST(what_patterns_match)
{
    struct regular *set = compile(sets[_i].pattern, sets[_i].anchoring), *inverse = NULL;
    ck_assert_int_eq(regular_not(set, &inverse, NULL), PDK_OK);
    for (size_t i = 0; i < 10 && sets[_i].texts[i] != NULL; i++) {
        const char *text = sets[_i].texts[i] + 1;
        bool wanted = sets[_i].texts[i][0] == '+';
        ck_assert_msg(
            regular_has(set, text, strlen(text)) == wanted, "'%s' and '%s': not %d", sets[_i].pattern, text, wanted);
        ck_assert(regular_has(inverse, text, strlen(text)) != regular_has(set, text, strlen(text)));
    }
    regular_free(set);
    regular_free(inverse);
}
END_TEST

static const struct {
    const char *pattern;
    pdk_status status;
    const char *message;
} refused[] = {
    {"(a", PDK_INVALID, "a group without its closing parenthesis at byte 0 of the pattern"},
    {"a)", PDK_INVALID, "a closing parenthesis without its opening one at byte 1 of the pattern"},
    {"[a", PDK_INVALID, "a class without its closing bracket at byte 0 of the pattern"},
    {"[z-a]", PDK_INVALID, "a range whose ends are out of order at byte 2 of the pattern"},
    {"a{3,1}", PDK_INVALID, "a repeat whose bounds are out of order at byte 1 of the pattern"},
    {"*a", PDK_INVALID, "a repeat of nothing at byte 0 of the pattern"},
    {"a**", PDK_INVALID, "a repeat of a repeat at byte 2 of the pattern"},
    {"a\\", PDK_INVALID, "a backslash at the end at byte 1 of the pattern"},
    {"\\q", PDK_INVALID, "an unknown escape at byte 0 of the pattern"},
    {"\\x4", PDK_INVALID, "an unknown escape at byte 0 of the pattern"},
    {"a\xFF", PDK_INVALID, "no UTF-8 at byte 1 of the pattern"},
    {"\\p{L", PDK_INVALID, "a property without its closing brace at byte 0 of the pattern"},
    {"(a)\\1", PDK_UNSUPPORTED, "a back reference at byte 3 of the pattern cannot be enforced"},
    {"(?P=x)", PDK_UNSUPPORTED, "a back reference at byte 0 of the pattern cannot be enforced"},
    {"(?>a)", PDK_UNSUPPORTED, "an atomic group at byte 0 of the pattern cannot be enforced"},
    {"(?x)a", PDK_UNSUPPORTED, "the flag x at byte 0 of the pattern cannot be enforced"},
    {"\\p{Script=Greek}", PDK_UNSUPPORTED,
        "a Unicode property other than a general category at byte 0 of the pattern cannot be enforced"},
    {"[[:alpha:]]", PDK_UNSUPPORTED, "a POSIX class at byte 1 of the pattern cannot be enforced"},
    {"[]", PDK_UNSUPPORTED,
        "an empty class, which dialects read differently, at byte 0 of the pattern cannot be enforced"},
    {"(ab)++", PDK_UNSUPPORTED,
        "a possessive quantifier of more than a character at byte 5 of the pattern cannot be enforced"},
    {"(?=a\\b)", PDK_UNSUPPORTED, "an assertion inside a lookaround cannot be enforced"},
    {"((((a{1,50}){1,50}){1,50}){1,50}){1,50}", PDK_TOO_LARGE,
        "the pattern is too large: its repeats come to more than 200000 steps"},
    {"(a|b)*a(a|b){20}", PDK_TOO_LARGE, "the pattern needs more than 20000 states; simplify it"},
};

START_TEST(what_patterns_are_refused)
{
    struct regular_budget all = budget();
    struct regular *set = NULL;
    pdk_error err = {0};
    const char *pattern = refused[_i].pattern;
    ck_assert_int_eq(regular_of_regex(pattern, strlen(pattern), REGEX_WHOLE, &all, &set, &err), refused[_i].status);
    ck_assert_str_eq(err.message, refused[_i].message);
    ck_assert_ptr_null(set);
}
END_TEST

START_TEST(loose_sets_hold_what_any_dialect_matches)
{
    struct regular_budget all = budget();
    struct regular *set = NULL;
    ck_assert_int_eq(regular_of_regex_loosely("^\\w\\d.$", 7, REGEX_SEARCH, &all, &set, NULL), PDK_OK);
    static const char *const texts[] = {"é7a", "a\xD9\xA3\r", "a7a\n"};
    for (size_t i = 0; i < 3; i++)
        ck_assert_msg(regular_has(set, texts[i], strlen(texts[i])), "%s", texts[i]);
    ck_assert(!regular_has(set, "-7a", 3));
    regular_free(set);
}
END_TEST

START_TEST(deep_groups_are_refused)
{
    struct regular_budget all = budget();
    char pattern[600];
    memset(pattern, '(', sizeof pattern);
    struct regular *set = NULL;
    pdk_error err = {0};
    ck_assert_int_eq(regular_of_regex(pattern, sizeof pattern, REGEX_WHOLE, &all, &set, &err), PDK_TOO_LARGE);
    ck_assert_str_eq(err.message, "the pattern nests groups more than 100 deep");
}
END_TEST

START_TEST(sets_combine)
{
    struct regular_budget all = budget();
    struct regular *letters = compile("[a-z]+", REGEX_WHOLE), *even = compile("(..)*", REGEX_WHOLE);
    struct regular *both = NULL, *either = NULL, *lengths = NULL, *short_ones = NULL, *nothing = NULL;
    ck_assert_int_eq(regular_both(letters, even, &all, &both, NULL), PDK_OK);
    ck_assert_int_eq(regular_either(letters, even, &all, &either, NULL), PDK_OK);
    ck_assert_int_eq(regular_of_length(2, 3, &lengths, NULL), PDK_OK);
    ck_assert_int_eq(regular_both(letters, lengths, &all, &short_ones, NULL), PDK_OK);
    ck_assert(regular_has(both, "ab", 2) && !regular_has(both, "abc", 3) && !regular_has(both, "1a", 2));
    ck_assert(regular_has(either, "abc", 3) && regular_has(either, "12", 2) && !regular_has(either, "123", 3));
    ck_assert(
        regular_has(short_ones, "abc", 3) && !regular_has(short_ones, "a", 1) && !regular_has(short_ones, "abcd", 4));
    ck_assert_uint_eq(regular_count(short_ones, 100000), 26 * 26 + 26 * 26 * 26);
    ck_assert_uint_eq(regular_count(letters, 50), 51);
    regular_free(lengths);
    ck_assert_int_eq(regular_of_length(0, 0, &lengths, NULL), PDK_OK);
    ck_assert_int_eq(regular_both(letters, lengths, &all, &nothing, NULL), PDK_OK);
    ck_assert(regular_is_empty(nothing) && !regular_is_empty(letters));
    struct regular *sets_[] = {letters, even, both, either, lengths, short_ones, nothing};
    for (size_t i = 0; i < sizeof sets_ / sizeof *sets_; i++)
        regular_free(sets_[i]);
}
END_TEST

START_TEST(characters_count_not_bytes)
{
    struct regular *set = NULL, *inverse = NULL;
    ck_assert_int_eq(regular_of_length(2, 2, &set, NULL), PDK_OK);
    ck_assert(regular_has(set, "é😀", strlen("é😀")) && !regular_has(set, "é", 2) && !regular_has(set, "a\xFF", 2));
    ck_assert_int_eq(regular_not(set, &inverse, NULL), PDK_OK);
    ck_assert(regular_has(inverse, "é", 2) && !regular_has(inverse, "ab", 2) && regular_has(inverse, "abc", 3));
    regular_free(set);
    regular_free(inverse);
}
END_TEST

START_TEST(a_list_of_texts)
{
    struct regular_budget all = budget();
    struct regular_text texts[] = {{"abc", 3}, {"ab", 2}, {"", 0}, {"é", 2}, {"ab", 2}};
    struct regular *set = NULL;
    ck_assert_int_eq(regular_of_texts(texts, 5, &all, &set, NULL), PDK_OK);
    ck_assert(regular_has(set, "", 0) && regular_has(set, "ab", 2) && regular_has(set, "é", 2));
    ck_assert(!regular_has(set, "a", 1) && !regular_has(set, "abcd", 4));
    ck_assert_uint_eq(regular_count(set, 10), 4);
    regular_free(set);
    ck_assert_int_eq(regular_of_texts(texts, 0, &all, &set, NULL), PDK_OK);
    ck_assert(regular_is_empty(set));
    regular_free(set);
}
END_TEST

/* Whether the set's node allows the whole text. */
static bool node_allows(const struct regular *set, bool quoted, const char *text)
{
    struct grammar_budget limits = {.memory_bytes = 64 << 20, .deadline_ms = thread_ms() + 20000};
    struct grammar *grammar = NULL;
    struct program *program = NULL;
    struct automaton *automaton = NULL;
    ck_assert_int_eq(grammar_new(&limits, &grammar, NULL), PDK_OK);
    grammar_set_root(grammar, regular_node(grammar, set, quoted));
    ck_assert_int_eq(program_new(grammar, &program, NULL), PDK_OK);
    ck_assert_int_eq(automaton_new(program, 64 << 20, INT64_MAX, &automaton, NULL), PDK_OK);
    state_id state = automaton->start;
    for (const char *at = text; *at != '\0' && state != STATE_DEAD; at++)
        state = automaton_step(automaton, state, (uint8_t)*at);
    bool allows = state != STATE_DEAD && automaton_close(automaton, state) && automaton_ends(automaton, state);
    automaton_free(automaton);
    program_free(program);
    grammar_free(grammar);
    return allows;
}

static const struct {
    const char *pattern, *text;
    bool quoted, allowed;
} nodes[] = {
    {"a[é-ü]*", "aéü", false, true},
    {"a[é-ü]*", "\"a\"", false, false},
    {"a[é-ü]*", "\"aéü\"", true, true},
    {"a[é-ü]*", "aéü", true, false},
    {"(?s).*", "\"\\n\\u000b\\\"\\\\\\/ \\t\"", true, true},
    {"(?s).*", "\"\n\"", true, false},
    {"(?s).*", "\"\\\"", true, false},
    {"(?s).*", "\"\\u00e9\\u20AC\\uD83D\\uDE00\"", true, true},
    {"(?s).*", "\"\\uD83D\"", true, false},
    {"(?s).*", "\"\\uDE00\\uD83D\"", true, false},
    {"(?s).*", "\"\\u0041\"", true, false},
    {"\"", "\"\\\"\"", true, true},
    {"\"", "\"\"\"", true, false},
    {"a+", "\"\"", true, false},
};

START_TEST(sets_as_grammar)
{
    struct regular *set = compile(nodes[_i].pattern, REGEX_WHOLE);
    ck_assert_msg(node_allows(set, nodes[_i].quoted, nodes[_i].text) == nodes[_i].allowed, "%s and %s",
        nodes[_i].pattern, nodes[_i].text);
    regular_free(set);
}
END_TEST

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

int main(void)
{
    Suite *suite = suite_create("regular");
    TCase *tests = tcase_create("sets");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, what_patterns_match, 0, ROWS(sets));
    tcase_add_loop_test(tests, what_patterns_are_refused, 0, ROWS(refused));
    tcase_add_test(tests, loose_sets_hold_what_any_dialect_matches);
    tcase_add_test(tests, deep_groups_are_refused);
    tcase_add_test(tests, sets_combine);
    tcase_add_test(tests, characters_count_not_bytes);
    tcase_add_test(tests, a_list_of_texts);
    tcase_add_loop_test(tests, sets_as_grammar, 0, ROWS(nodes));
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
