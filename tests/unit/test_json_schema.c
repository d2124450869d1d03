/* runtimes/huggingface/guided: JSON schemas, by texts that their grammars allow or not, and by what is said of those
 * that cannot be enforced. Random texts of the public suite's schemas are judged in
 * tests/integration/test_json_schema.py. */
#include "config.h"

#include "core/base/buffer.h"
#include "core/base/clock.h"
#include "runtimes/huggingface/guided/automaton.h"
#include "runtimes/huggingface/guided/json_schema.h"

#include "check_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEMORY_MAX = 64 << 20 };

struct compiled {
    struct json_document *document;
    struct grammar *grammar;
    struct program *program;
    pdk_error err;
    pdk_status status;
};

static struct compiled compile_styled(const char *schema, size_t length, const struct json_style *style)
{
    struct compiled all = {0};
    struct json_limits limits = json_limits_default;
    limits.depth = 200;
    ck_assert_int_eq(json_read(schema, length, &limits, &all.document, &all.err), PDK_OK);
    struct grammar_budget budget = {.memory_bytes = MEMORY_MAX, .deadline_ms = thread_ms() + 20000};
    grammar_node root = GRAMMAR_FAILED;
    ck_assert_int_eq(grammar_new(&budget, &all.grammar, NULL), PDK_OK);
    all.status = json_schema_node(all.grammar, json_root(all.document), style, &root, &all.err);
    if (all.status == PDK_OK) {
        grammar_set_root(all.grammar, root);
        all.status = grammar_status(all.grammar, &all.err);
    }
    if (all.status == PDK_OK)
        all.status = program_new(all.grammar, &all.program, &all.err);
    return all;
}

static void compiled_done(struct compiled *all)
{
    program_free(all->program);
    grammar_free(all->grammar);
    json_document_free(all->document);
}

static bool allows(const struct program *program, const char *text)
{
    struct automaton *automaton = NULL;
    ck_assert_int_eq(automaton_new(program, MEMORY_MAX, INT64_MAX, &automaton, NULL), PDK_OK);
    state_id state = automaton->start;
    for (const char *at = text; *at != '\0' && state != STATE_DEAD; at++) {
        state = automaton_step(automaton, state, (uint8_t)*at);
        ck_assert_uint_ne(state, STATE_UNKNOWN);
    }
    bool ends = state != STATE_DEAD && automaton_close(automaton, state) && automaton_ends(automaton, state);
    automaton_free(automaton);
    return ends;
}

/* '+': allowed; '-': not. */
static const struct {
    const char *schema;
    const char *texts[12];
} rows[] = {
    {"true", {"+null", "+{\"a\": [1, \"x\"]}", "-", "-nul", "+{}", "+[]"}},
    {"{\"type\":\"integer\"}", {"+0", "+-12", "-1.5", "-01", "-\"1\"", "-1.0", "-1e3"}},
    {"{\"type\":\"number\"}", {"+0", "+-12.5", "+1e10", "+6.02E+23", "-.5", "-1.", "-+1"}},
    {"{\"type\":[\"string\",\"null\"]}", {"+null", "+\"\"", "+\"a\\n\\u00e9\"", "-1", "-\"\n\""}},
    {"{\"enum\":[1,\"a\",null,[true],{\"k\":2}]}",
        {"+1", "+\"a\"", "+null", "+[true]", "+{\"k\":2}", "-2", "-[]", "-{}"}},
    {"{\"const\":1.50}", {"+1.5", "+1.50", "-1", "-1.55"}},
    {"{\"type\":\"integer\",\"minimum\":-3,\"maximum\":12}", {"+-3", "+0", "+12", "-13", "--4", "-100"}},
    {"{\"type\":\"number\",\"exclusiveMinimum\":0,\"maximum\":2.5}",
        {"+0.1", "+2.5", "+2.49", "-0", "-2.51", "--1", "-0.0"}},
    {"{\"type\":\"integer\",\"minimum\":1,\"exclusiveMinimum\":true}", {"+2", "-1"}},
    {"{\"type\":\"integer\",\"multipleOf\":3}", {"+0", "+9", "+-12", "-10"}},
    {"{\"type\":\"number\",\"multipleOf\":0.5}", {"+1.5", "+2", "-1.25"}},
    /* A double of 0.07 / 0.01 is no integer. */
    {"{\"type\":\"number\",\"multipleOf\":0.01}", {"+0.03", "-0.07", "-0.005", "+12"}},
    {"{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}",
        {"+\"ab\"", "+\"é😀x\"", "+\"a\\n\"", "-\"a\"", "-\"abcd\""}},
    {"{\"type\":\"string\",\"pattern\":\"^a\",\"maxLength\":3}", {"+\"abc\"", "-\"ba\"", "-\"abcd\""}},
    {"{\"type\":\"string\",\"format\":\"date\"}", {"+\"2024-02-28\"", "-\"2024-02-30\"", "-\"2024-13-01\""}},
    {"{\"type\":\"string\",\"format\":\"uuid\"}", {"+\"123e4567-e89b-12d3-a456-426614174000\"", "-\"123e4567\""}},
    {"{\"type\":\"string\",\"format\":\"no such format\"}", {"+\"x\""}},
    {"{\"type\":\"string\",\"not\":{\"pattern\":\"b\"}}", {"+\"a\"", "-\"ab\""}},
    {"{\"not\":{\"type\":[\"object\",\"array\",\"string\"]}}", {"+1", "+null", "-{}", "-\"\"", "-[]"}},
    {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"const\":1}},\"required\":[\"b\"],"
     "\"additionalProperties\":false}",
        {"+{\"a\":2,\"b\":1}", "+{ \"b\": 1 }", "+{\n  \"a\": 2,\n  \"b\": 1\n}", "-{\"a\":2}", "-{\"b\":1,\"a\":2}",
            "-{\"b\":1,\"c\":1}", "-{\"b\":1,}", "-{}"}},
    {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}}}",
        {"+{}", "+{\"a\":1,\"b\":[]}", "-{\"a\":\"x\"}", "-{\"b\":1,\"a\":1}", "-{\"b\":1,\"a\":\"x\"}"}},
    {"{\"type\":\"object\",\"properties\":{\"a\":{}},\"patternProperties\":{\"^x\":{\"type\":\"null\"}},"
     "\"additionalProperties\":{\"type\":\"boolean\"}}",
        {"+{\"a\":1,\"xy\":null,\"b\":true}", "-{\"xy\":1}", "-{\"b\":1}"}},
    {"{\"type\":\"object\",\"propertyNames\":{\"pattern\":\"^[a-c]$\"}}", {"+{\"a\":1,\"c\":2}", "+{}", "-{\"d\":1}"}},
    {"{\"type\":\"object\",\"minProperties\":1,\"maxProperties\":2}",
        {"+{\"a\":1}", "+{\"a\":1,\"b\":1}", "-{}", "-{\"a\":1,\"b\":1,\"c\":1}"}},
    /* Two properties of free names have names of different lengths, so that they are two. */
    {"{\"type\":\"object\",\"minProperties\":2}", {"+{\"ab\":1,\"a\":1}", "-{\"a\":1,\"a\":1}", "-{\"a\":1}"}},
    {"{\"type\":\"object\",\"dependentRequired\":{\"a\":[\"b\"]},\"properties\":{\"a\":{},\"b\":{}},"
     "\"additionalProperties\":false}",
        {"+{}", "+{\"b\":1}", "+{\"a\":1,\"b\":1}", "-{\"a\":1}"}},
    {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":1,\"maxItems\":3}",
        {"+[1]", "+[1, 2,3]", "+[ 1,\n  2 ]", "-[]", "-[1,2,3,4]", "-[\"a\"]", "-[1,]"}},
    {"{\"type\":\"array\",\"prefixItems\":[{\"type\":\"null\"},{\"const\":1}],\"items\":false}",
        {"+[]", "+[null]", "+[null,1]", "-[1]", "-[null,1,1]"}},
    {"{\"type\":\"array\",\"items\":[{\"type\":\"null\"}],\"additionalItems\":{\"type\":\"boolean\"}}",
        {"+[null,true]", "-[true]", "-[null,null]"}},
    {"{\"type\":\"array\",\"contains\":{\"const\":1},\"maxContains\":1,\"items\":{\"enum\":[1,2]}}",
        {"+[1]", "+[2,1,2]", "-[2]", "-[1,1]", "-[]"}},
    {"{\"type\":\"array\",\"items\":{\"enum\":[\"a\",\"b\",\"c\"]},\"uniqueItems\":true,\"minItems\":1}",
        {"+[\"a\"]", "+[\"a\",\"c\"]", "-[\"a\",\"a\"]", "-[]"}},
    {"{\"$ref\":\"#/$defs/n\",\"$defs\":{\"n\":{\"type\":\"object\",\"properties\":{\"next\":{\"anyOf\":[{\"$ref\":"
     "\"#/$defs/n\"},{\"type\":\"null\"}]}},\"required\":[\"next\"],\"additionalProperties\":false}}}",
        {"+{\"next\":null}", "+{\"next\":{\"next\":null}}", "-{}", "-{\"next\":1}"}},
    {"{\"$ref\":\"#item\",\"$defs\":{\"a~/b\":{\"$anchor\":\"item\",\"$ref\":\"#/$defs/x%25\"},\"x%\":{\"const\":1}}}",
        {"+1", "-2"}},
    {"{\"allOf\":[{\"properties\":{\"a\":{\"type\":\"integer\"}},\"required\":[\"a\"]},{\"properties\":{\"b\":{"
     "\"type\":"
     "\"null\"}}}],\"type\":\"object\",\"unevaluatedProperties\":false}",
        {"+{\"a\":1,\"b\":null}", "+{\"a\":1}", "-{\"b\":null}", "-{\"a\":1,\"c\":1}"}},
    {"{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"number\",\"minimum\":2}]}", {"+1", "+2.5", "-3", "-1.5"}},
    {"{\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}],\"type\":\"object\",\"properties\":{\"a\":{},\"b\":{}}"
     "}",
        {"+{\"a\":1}", "+{\"b\":1}", "-{\"a\":1,\"b\":1}", "-{}"}},
    {"{\"type\":\"object\",\"properties\":{\"k\":{\"enum\":[\"s\",\"n\"]},\"v\":{}},\"required\":[\"k\",\"v\"],"
     "\"if\":{\"properties\":{\"k\":{\"const\":\"s\"}}},\"then\":{\"properties\":{\"v\":{\"type\":\"string\"}}},"
     "\"else\":{\"properties\":{\"v\":{\"type\":\"integer\"}}}}",
        {"+{\"k\":\"s\",\"v\":\"x\"}", "+{\"k\":\"n\",\"v\":1}", "-{\"k\":\"s\",\"v\":1}",
            "-{\"k\":\"n\",\"v\":\"x\"}"}},
};

START_TEST(what_schemas_allow)
{
    struct json_style style = {0};
    struct compiled all = compile_styled(rows[_i].schema, strlen(rows[_i].schema), &style);
    ck_assert_msg(all.status == PDK_OK, "%s: %s", rows[_i].schema, all.err.message);
    for (size_t i = 0; i < 12 && rows[_i].texts[i] != NULL; i++) {
        const char *text = rows[_i].texts[i];
        ck_assert_msg(allows(all.program, text + 1) == (text[0] == '+'), "%s: %s", rows[_i].schema, text);
    }
    compiled_done(&all);
}
END_TEST

static const struct {
    const char *schema;
    pdk_status status;
    const char *message;
} refused[] = {
    {"false", PDK_INVALID, "the JSON schema: no value can satisfy it"},
    {"{\"enum\":[]}", PDK_INVALID, "the JSON schema: no value can satisfy it"},
    {"{\"type\":\"string\",\"const\":1}", PDK_INVALID, "the JSON schema: no value can satisfy it"},
    {"{\"type\":\"strnig\"}", PDK_INVALID, "Invalid type: strnig"},
    {"{\"properties\":{\"a/b\":{\"minLength\":-1}},\"type\":\"object\"}", PDK_INVALID,
        "the JSON schema at /properties/a~1b/minLength: it must be a whole number that is not negative"},
    {"{\"items\":[1],\"type\":\"array\"}", PDK_INVALID,
        "the JSON schema at /items/0: a schema must be an object or a boolean, and this is of type number"},
    {"{\"anyOf\":[]}", PDK_INVALID, "the JSON schema at /anyOf: it must be an array of schemas that is not empty"},
    {"{\"pattern\":\"(\"}", PDK_INVALID,
        "the JSON schema at /pattern: a group without its closing parenthesis at byte 0 of the pattern"},
    {"{\"pattern\":\"(a)\\\\1\"}", PDK_UNSUPPORTED,
        "the JSON schema at /pattern: a back reference at byte 3 of the pattern cannot be enforced"},
    {"{\"pattern\":\"\\\\p{L}\"}", PDK_UNSUPPORTED,
        "the JSON schema at /pattern: Unicode properties cannot be enforced, as validators do not agree on them; list "
        "the ranges"},
    {"{\"$ref\":\"#\"}", PDK_UNSUPPORTED, "the JSON schema at /$ref: a schema refers to itself without end"},
    {"{\"$ref\":\"#/$defs/a\"}", PDK_INVALID,
        "the JSON schema at /$ref: \"#/$defs/a\" leads to nothing in this document"},
    {"{\"items\":{\"$ref\":\"http://example.com/x\"}}", PDK_UNSUPPORTED,
        "the JSON schema at /items/$ref: \"http://example.com/x\" is not in this document, and others are not fetched"},
    {"{\"type\":\"array\",\"uniqueItems\":true}", PDK_UNSUPPORTED,
        "the JSON schema at /uniqueItems: it cannot be enforced but for elements from a list of at most 256 values"},
    {"{\"type\":\"array\",\"not\":{\"uniqueItems\":true}}", PDK_UNSUPPORTED,
        "the JSON schema at /not/uniqueItems: its opposite (by not, if or oneOf) cannot be enforced"},
    {"{\"type\":\"integer\",\"multipleOf\":0}", PDK_INVALID,
        "the JSON schema at /multipleOf: 0 is no step that can be enforced; it must be above 0 and of few digits"},
    {"{\"type\":\"object\",\"minProperties\":1000}", PDK_UNSUPPORTED,
        "the JSON schema at /minProperties: more than 64 properties that are not named cannot be enforced"},
    {"{\"type\":\"string\",\"pattern\":\"(a|b)*a(a|b){30}\"}", PDK_TOO_LARGE,
        "the JSON schema at /pattern: the pattern needs more than 20000 states; simplify it"},
};

START_TEST(what_schemas_are_refused)
{
    struct json_style style = {0};
    struct compiled all = compile_styled(refused[_i].schema, strlen(refused[_i].schema), &style);
    ck_assert_int_eq(all.status, refused[_i].status);
    ck_assert_str_eq(all.err.message, refused[_i].message);
    compiled_done(&all);
}
END_TEST

START_TEST(a_schema_too_deep_is_refused)
{
    struct buffer text = {0};
    struct json_style style = {0};
    for (int i = 0; i < 65; i++)
        buffer_puts(&text, "{\"not\":");
    buffer_puts(&text, "true");
    for (int i = 0; i < 65; i++)
        buffer_puts(&text, "}");
    struct compiled all = compile_styled(text.data, text.length, &style);
    ck_assert_int_eq(all.status, PDK_INVALID);
    ck_assert_str_eq(
        all.err.message, "The JSON schema is nested too deeply: objects and arrays may nest at most 64 levels");
    compiled_done(&all);
    buffer_done(&text);
}
END_TEST

static const struct {
    struct json_style style;
    const char *text;
    bool allowed;
} styles[] = {
    {{.no_whitespace = true}, "{\"a\":[1,2]}", true},
    {{.no_whitespace = true}, "{\"a\": [1,2]}", false},
    {{.no_whitespace = true}, "{\"a\":[1,2],\"b\":1}", true},
    {{.closed_objects = true}, "{\"a\": [1, 2]}", true},
    {{.closed_objects = true}, "{\"a\": [1, 2], \"b\": 1}", false},
    {{.whitespace = "_?", .whitespace_length = 2}, "{_\"a\"_:_[_1_,2]_}", true},
    {{.whitespace = "_?", .whitespace_length = 2}, "{ \"a\":[1]}", false},
    {{0}, "{\n\t\"a\": [\n\t\t1,\n\t\t2\n\t]\n}", true},
    {{0}, "{  \"a\": [1]}", false},
};

START_TEST(styles_of_writing)
{
    static const char schema[] =
        "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}}}";
    struct compiled all = compile_styled(schema, strlen(schema), &styles[_i].style);
    ck_assert_int_eq(all.status, PDK_OK);
    ck_assert_msg(allows(all.program, styles[_i].text) == styles[_i].allowed, "%s", styles[_i].text);
    compiled_done(&all);
}
END_TEST

START_TEST(any_object)
{
    struct grammar_budget budget = {.memory_bytes = MEMORY_MAX, .deadline_ms = thread_ms() + 20000};
    struct json_style style = {0};
    struct grammar *grammar = NULL;
    struct program *program = NULL;
    grammar_node root = GRAMMAR_FAILED;
    ck_assert_int_eq(grammar_new(&budget, &grammar, NULL), PDK_OK);
    ck_assert_int_eq(json_object_node(grammar, &style, &root, NULL), PDK_OK);
    grammar_set_root(grammar, root);
    ck_assert_int_eq(program_new(grammar, &program, NULL), PDK_OK);
    ck_assert(
        allows(program, "{\"a\": [{\"b\": null}, 1.5, \"x\"]}") && !allows(program, "[]") && allows(program, "{}"));
    program_free(program);
    grammar_free(grammar);
}
END_TEST

/* A piece, so many times, between two others. */
static const struct {
    const char *before, *piece, *after;
    unsigned times;
} hostile[] = {
    {"{\"type\":\"object\",\"properties\":{", "\"p%u\":{\"type\":\"integer\"},", "\"z\":{}}}", 5000},
    {"{\"enum\":[", "\"value %u\",", "0]}", 100000},
    {"{\"enum\":[", "{\"a\":%u},", "0]}", 3000},
    {"{\"allOf\":[", "{\"anyOf\":[{\"required\":[\"a%1$u\"]},{\"required\":[\"b%1$u\"]},{\"minProperties\":%1$u}]},",
        "true]}", 40},
    {"{\"oneOf\":[", "{\"properties\":{\"v%u\":{\"type\":\"integer\"}}},", "true]}", 60},
    {"{\"dependentRequired\":{", "\"a%1$u\":[\"b%1$u\"],", "\"z\":[\"y\"]}}", 60},
    {"{\"$ref\":\"#/$defs/d0\",\"$defs\":{",
        "\"d%u\":{\"anyOf\":[{\"$ref\":\"#/$defs/e\"},{\"not\":{\"$ref\":\"#\"}}]},", "\"e\":{\"type\":\"string\"}}}",
        2000},
    {"{\"type\":\"object\",\"patternProperties\":{", "\"[a-z]{%u}\":{\"minimum\":%1$u},", "\"z\":{}}}", 100},
    {"{\"type\":\"string\",\"pattern\":\"", "(?=.*%u)", "\"}", 40},
    {"{\"type\":\"string\",\"pattern\":\"", "\\\\bx%u\\\\w|", "\"}", 500},
    {"{\"anyOf\":[", "{\"properties\":{\"a%u\":{}}},", "true],\"unevaluatedProperties\":false}", 300},
    {"{\"type\":\"array\",\"prefixItems\":[", "{\"const\":%u},", "true],\"contains\":{\"const\":1}}", 30000},
};

START_TEST(hostile_schemas_stay_inside_their_budget)
{
    struct buffer text = {0};
    struct json_style style = {0};
    buffer_puts(&text, hostile[_i].before);
    for (unsigned i = 0; i < hostile[_i].times; i++) {
        /* "%u" and "%1$u" both are the count; the compiler wants a literal format. */
        for (const char *at = hostile[_i].piece; *at != '\0'; at++) {
            if (*at != '%') {
                buffer_putc(&text, *at);
                continue;
            }
            at = strchr(at, 'u');
            buffer_printf(&text, "%u", i);
        }
    }
    buffer_puts(&text, hostile[_i].after);
    int64_t begin = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    struct compiled all = compile_styled(text.data, text.length, &style);
    double spent = (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin) / 1e9;
#ifndef __SANITIZE_ADDRESS__
    ck_assert_msg(spent < 1.0, "%f s: %s", spent, all.err.message);
#endif
    ck_assert_msg(all.status == PDK_OK || all.err.message[0] != '\0', "%f", spent);
    compiled_done(&all);
    buffer_done(&text);
}
END_TEST

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

int main(void)
{
    Suite *suite = suite_create("json_schema");
    TCase *tests = tcase_create("schemas");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, what_schemas_allow, 0, ROWS(rows));
    tcase_add_loop_test(tests, what_schemas_are_refused, 0, ROWS(refused));
    tcase_add_test(tests, a_schema_too_deep_is_refused);
    tcase_add_loop_test(tests, styles_of_writing, 0, ROWS(styles));
    tcase_add_test(tests, any_object);
    tcase_add_loop_test(tests, hostile_schemas_stay_inside_their_budget, 0, ROWS(hostile));
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
