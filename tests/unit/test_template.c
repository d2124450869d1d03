/* runtimes/huggingface/template: chat templates of real models, and the language's rules. */
#include "config.h"

#include "runtimes/huggingface/template/template.h"

#include "core/base/file.h"
#include "core/base/json.h"

#include "check_main.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

enum { NOW = 1767323045 }; /* 2026-01-02 03:04:05 UTC, as the fixtures have it */

static const char *fixtures(void)
{
    const char *folder = getenv("PADDOCK_FIXTURES");
    return folder != NULL ? folder : ".";
}

/* What the reference says, without the name of Python's exception, or with our own place behind it. */
static bool same_error(const char *want, const char *got)
{
    static const char *const prefixes[] = {"TypeError: ", "ValueError: ", "KeyError: ", "AttributeError: "};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        if (strncmp(want, prefixes[i], strlen(prefixes[i])) == 0)
            want += strlen(prefixes[i]);
    }
    return strncmp(want, got, strlen(want)) == 0;
}

static unsigned run_case(const struct template *template, const char *file, const struct json *test)
{
    struct template_output output = {0};
    pdk_error err = {0};
    const char *name = "", *error = NULL;
    const struct json *want = json_get(test, "output");
    json_string(json_get(test, "name"), &name);
    json_string(json_get(test, "error"), &error);
    pdk_status status =
        template_render(template, json_get(test, "input"), NOW, &template_budget_default, &output, &err);
    bool same;
    if (want == NULL)
        same = status == PDK_INVALID && same_error(error, err.message);
    else
        same = status == PDK_OK && output.text.length == want->length &&
               memcmp(output.text.data, want->text, want->length) == 0;
    if (!same)
        printf("%s, %s:\n  got  %s\n  want %s\n", file, name, status == PDK_OK ? output.text.data : err.message,
            want != NULL ? want->text : error);
    size_t covered = 0;
    for (size_t i = 0; i < output.run_count; i++)
        covered += output.runs[i].length;
    ck_assert_uint_eq(covered, output.text.length);
    template_output_done(&output);
    return !same;
}

static unsigned run_file(const char *folder, const char *name)
{
    char path[1024];
    struct buffer text = {0};
    struct json_document *document = NULL;
    struct template *template = NULL;
    pdk_error err = {0};
    unsigned failed = 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_msg(file_read(path, 16 << 20, &text, &err) == PDK_OK, "%s", err.message);
    ck_assert_msg(
        json_read(text.data, text.length, &json_limits_default, &document, &err) == PDK_OK, "%s", err.message);
    const struct json *source = json_get(json_root(document), "template");
    if (template_parse(source->text, source->length, &template, &err) != PDK_OK) {
        printf("%s: %s\n", name, err.message);
        failed = 1;
    } else {
        for (const struct json *at = json_get(json_root(document), "cases")->child; at != NULL; at = at->next)
            failed += run_case(template, name, at);
    }
    template_free(template);
    json_document_free(document);
    buffer_done(&text);
    return failed;
}

START_TEST(real_templates_render_as_in_python)
{
    char folder[512];
    unsigned failed = 0, files = 0;
    snprintf(folder, sizeof folder, "%s/templates", fixtures());
    DIR *listing = opendir(folder);
    if (listing == NULL) {
        printf("skipped: real templates, there is no %s\n", folder);
        return;
    }
    for (struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        if (entry->d_name[0] == '.')
            continue;
        failed += run_file(folder, entry->d_name);
        files++;
    }
    closedir(listing);
    ck_assert_msg(failed == 0, "%u cases of %u files differ", failed, files);
}
END_TEST

/* Templates with the variables of `variables`, checked against Jinja2 3.1. An expected text that starts with "!" is an
 * error. */
static const char variables[] = "{\"s\": \"a b\", \"n\": 5, \"x\": 1.5, \"none\": null, \"l\": [3, 1, 2], \"d\": "
                                "{\"b\": 1, \"a\": [1, {\"k\": \"v\"}]},"
                                "\"u\": \"na\u00efve \u4f60\", \"people\": [{\"name\": \"Bo\", \"age\": 3}, {\"name\": "
                                "\"al\", \"age\": 2}, {\"name\": \"Cy\"}],"
                                "\"q\": \"it's \\\"q\\\"\", \"bos_token\": \"<s>\"}";

static const struct {
    const char *source, *want;
} language[] = {
    {"a\n", "a"},
    {"a\n\n", "a\n"},
    {"{% if true %}\nx\n{% endif %}\ny", "x\ny"},
    {"  {% if true %}x{% endif %}", "x"},
    {"a  {%+ if true %}x{% endif %}", "a  x"},
    {" a {%- if true -%} x {%- endif %} b", " ax b"},
    {"{# c #}\nx{#- c -#} y", "xy"},
    {"{% raw %}{{ x }}{% endraw %}", "{{ x }}"},
    {"a{% raw %}\nb{% endraw %}\nc", "a\nbc"},
    {"{{ 1 + 2 * 3 ** 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** -1 }}", "19 3 -4 2 3.5 0.5"},
    {"{{ 1e16 }} {{ 1.0 }} {{ 0.1 + 0.2 }} {{ 1e-5 }} {{ 123456789012.5 }}",
        "1e+16 1.0 0.30000000000000004 1e-05 123456789012.5"},
    {"{{ 'a' ~ 1 ~ none ~ undefined }}", "a1None"},
    {"{{ 'a' 'b' }} {{ \"x\\ny\" }}", "ab x\ny"},
    {"{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 2 in l }} {{ 'b' not in d }}", "True False True False"},
    {"{{ not true or true and false }} {{ 0 or 'z' }} {{ 'y' if n > 4 else 'n' }}|{{ 'y' if n > 9 }}", "False z y|"},
    {"{{ l[0] }}{{ l[-1] }} {{ l[1:] }} {{ l[::-1] }} {{ s[0] }}{{ s[::-1] }} {{ u[-1:] }} {{ d.a[1].k }} {{ d['b'] }}",
        "32 [1, 2] [2, 1, 3] ab a 你 v 1"},
    {"{{ (1, 'a', none, true, 1.0, {'k': [q]}) }}", "(1, 'a', None, True, 1.0, {'k': ['it\\'s \"q\"']})"},
    {"{{ d }} {{ (1,) }} {{ [] }} {{ {} }}", "{'b': 1, 'a': [1, {'k': 'v'}]} (1,) [] {}"},
    {"{% for i in l if i > 1 %}{{ loop.index }}/{{ loop.length }}:{{ i }}{{ ',' if not loop.last }}{% endfor %}",
        "1/2:3,2/2:2"},
    {"{% for k, v in d.items() %}{{ k }}{% endfor %}{% for k in d %}{{ k }}{% endfor %}{% for c in 'xy' %}{{ c }}.{% "
     "endfor %}",
        "babax.y."},
    {"{% for i in [] %}x{% else %}none{% endfor %}{% for i in nothing %}x{% endfor %}", "none"},
    {"{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 4 %}{% break %}{% endif %}{{ i }}{% "
     "endfor %}",
        "013"},
    {"{% for i in l %}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.cycle('a', 'b') }}{{ loop.changed(i) }} {% endfor "
     "%}",
        "1aTrue 32bTrue 1aTrue "},
    {"{% set x = 1 %}{% for i in l %}{% set x = i %}{% endfor %}{{ x }}", "1"},
    {"{% set ns = namespace(x=1) %}{% for i in l %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}", "7"},
    {"{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set t | upper %}x{{ a }}{% endset %}{{ t }}", "12X1"},
    {"{% macro m(a, b=2) %}[{{ a }}{{ b }}{{ caller() if caller }}]{% endmacro %}{{ m(1) }}{{ m(b=3, a=4) }}{% call "
     "m(5) %}c{% endcall %}",
        "[12][43][52c]"},
    {"{% filter upper | trim %} x {% endfilter %}{% with a = 1, b = n %}{{ a }}{{ b }}{% endwith %}", "X15"},
    {"{% generation %}x{% set y = 1 %}{% endgeneration %}{{ y is defined }}", "xFalse"},
    {"{{ l | sort }} {{ l | sort(reverse=true) | first }} {{ l | max }}{{ l | min }}{{ l | sum }} {{ l | reverse | "
     "list }} {{ l | join('-') }}",
        "[1, 2, 3] 3 316 [2, 1, 3] 3-1-2"},
    {"{{ people | map(attribute='name') | sort | join(',') }} {{ people | selectattr('age') | list | length }} {{ "
     "people[:2] | selectattr('age', 'gt', 2) | map(attribute='name') | first }} {{ people | rejectattr('age', "
     "'defined') | map(attribute='name') | list }}",
        "al,Bo,Cy 2 Bo ['Cy']"},
    {"{{ ['B', 'a', 'b'] | unique | list }} {{ [1, 2, 3] | batch(2) | list }} {{ d | dictsort }} {{ l | map('string') "
     "| list }} {{ [0, 1] | select | list }}",
        "['B', 'a'] [[1, 2], [3]] [('a', [1, {'k': 'v'}]), ('b', 1)] ['3', '1', '2'] [1]"},
    {"{% for k, g in [{'t': 1}, {'t': 2}, {'t': 1}] | groupby('t') %}{{ k }}:{{ g | length }} {% endfor %}",
        "1:2 2:1 "},
    {"{{ ' x ' | trim }}|{{ 'xax' | trim('x') }}|{{ 'ab' | upper }}|{{ 'a b' | title }}|{{ 'aB' | capitalize }}|{{ "
     "'aa' | replace('a', 'b', 1) }}|{{ 'a b c' | wordcount }}",
        "x|a|AB|A B|Ab|ba|3"},
    {"{{ 'a\nb\n\nc' | indent(2) }}|{{ 'a\nb' | indent(1, true) }}", "a\n  b\n\n  c| a\n b"},
    {"{{ '3' | int + 1 }} {{ 'x' | int(7) }} {{ '2.5' | float }} {{ 2.567 | round(1) }} {{ 2.5 | round }} {{ -3 | abs "
     "}} {{ 3.9 | int }}",
        "4 7 2.5 2.6 2.0 3 3"},
    {"{{ nothing | default('d') }} {{ '' | default('d', true) }} {{ none | default('d') }} {{ nothing | length }} {{ u "
     "| length }}",
        "d d None 0 7"},
    {"{{ '<a>' | e }} {{ '<a>' | safe }} {{ '%s-%d' | format('a', 3) }} {{ '%05.1f' % 2.25 }}",
        "&lt;a&gt; <a> a-3 002.2"},
    {"{{ d | tojson }} {{ u | tojson }} {{ q | tojson }} {{ d | tojson(indent=1) }}",
        "{\"b\": 1, \"a\": [1, {\"k\": \"v\"}]} \"naïve 你\" \"it's \\\"q\\\"\" {\n \"b\": 1,\n \"a\": [\n  1,\n  {\n  "
        " \"k\": \"v\"\n  }\n ]\n}"},
    {"{{ [1, true, none, 1.0] | tojson(separators=(',', ':')) }} {{ u | tojson(ensure_ascii=true) }} {{ d | "
     "tojson(sort_keys=true) }}",
        "[1,true,null,1.0] \"na\\u00efve \\u4f60\" {\"a\": [1, {\"k\": \"v\"}], \"b\": 1}"},
    {"{{ 'a,b,,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a,b,c'.split(',', 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ "
     "'a\nb'.splitlines() }}",
        "['a', 'b', '', 'c'] ['a', 'b'] ['a', 'b,c'] ['a,b', 'c'] ['a', 'b']"},
    {"{{ 'abc'.startswith(('x', 'a')) }} {{ 'abc'.endswith('c') }} {{ 'abcb'.find('b') }}{{ 'abcb'.rfind('b') }} {{ "
     "'aXb'.lower() }} {{ '-'.join(['a', 'b']) }} {{ '{} {} {k}'.format(1, 2, k=3) }}",
        "True True 13 axb a-b 1 2 3"},
    {"{{ 'xxa'.lstrip('x') }} {{ 'abc'.removeprefix('a') }} {{ 'aba'.count('a') }} {{ '12'.isdigit() }} {{ 'a'.upper() "
     "}}",
        "a bc 2 True A"},
    {"{{ d.get('z', 9) }} {{ d.get('z') }} {{ d.keys() | list }} {{ d.values() | list | length }} {{ d.items is "
     "defined }} {{ {'items': 1}['items'] }}",
        "9 None ['b', 'a'] 2 True 1"},
    {"{{ n is number }} {{ s is string }} {{ d is mapping }} {{ l is sequence }} {{ none is none }} {{ zz is undefined "
     "}} {{ 4 is even }} {{ 4 is divisibleby 2 }} {{ s is iterable }} {{ true is boolean }} {{ 1 is true }}",
        "True True True True True True True True True True False"},
    {"{{ strftime_now('%d %b %Y %H:%M') }}", "02 Jan 2026 03:04"},
    {"{{ dict(a=1) }} {{ dict([(1, 2)]) }} {{ range(3) | list }} {{ range(5, 1, -2) | list }}",
        "{'a': 1} {1: 2} [0, 1, 2] [5, 3]"},
    {"{{ raise_exception('No way: ' ~ n) }}", "!No way: 5"},
    {"x\n{{ zz.a }}", "!'zz' is undefined at line 2, column 6"},
    {"{{ d.zz.a }}", "!'dict object' has no attribute 'zz' at line 1, column 8"},
    {"{{ l[7] + 1 }}", "!list object has no element 7 at line 1, column 9"},
    {"{{ 'a' + 1 }}", "!can only concatenate str (not \"int\") to str at line 1, column 8"},
    {"{{ 1 in 2 }}", "!argument of type 'int' is not iterable"},
    {"{{ l.append(1) }}", "!access to attribute 'append' of 'list' object is unsafe."},
    {"{{ s | nofilter }}", "!No filter named 'nofilter' found."},
    {"{{ s is notest }}", "!No test named 'notest' found."},
    {"{{ zz() }}", "!'zz' is undefined"},
    {"{{ ([] | first).x }}", "!No first item, sequence was empty."},
    {"{{ ([] | max).x }}", "!No aggregated item, sequence was empty."},
    {"{{ 1 // 0 }}", "!integer division or modulo by zero"},
    {"{{ 9223372036854775807 + 1 }}", "!integer out of range"},
    {"{% for a, b in [1] %}{% endfor %}", "!cannot unpack non-iterable int object"},
    {"{% for a, b in [(1, 2, 3)] %}{% endfor %}", "!too many values to unpack (expected 2)"},
    {"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "!macros call each other deeper than 64 levels"},
    {"{% for i in range(1000000000) %}{% endfor %}",
        "!Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000)."},
    {"{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "!more than 1000000 steps"},
    {"{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}{% for i in range(40) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "!more than 4194304 bytes of text"},
    {"{{ 'a' * 1000000000 }}", "!more than"},
    {"{{ [0] * 1000000000 }}", "!more than 1000000 steps"},
    {"{{ 'x' | indent(100000000) | length }}{{ '%099999d' | format(1) }}", "!a conversion of the format is too wide"},
};

START_TEST(the_language_is_jinjas)
{
    struct json_document *document = NULL;
    ck_assert_int_eq(json_read(variables, strlen(variables), &json_limits_default, &document, NULL), PDK_OK);
    for (size_t i = 0; i < sizeof language / sizeof language[0]; i++) {
        struct template *template = NULL;
        struct template_output output = {0};
        pdk_error err = {0};
        const char *want = language[i].want, *source = language[i].source;
        pdk_status status = template_parse(source, strlen(source), &template, &err);
        ck_assert_msg(status == PDK_OK, "%s: %s", source, err.message);
        status = template_render(template, json_root(document), NOW, &template_budget_default, &output, &err);
        if (want[0] == '!')
            ck_assert_msg(status == PDK_INVALID && strncmp(err.message, want + 1, strlen(want + 1)) == 0, "%s: %s",
                source, status == PDK_OK ? output.text.data : err.message);
        else
            ck_assert_msg(status == PDK_OK && strcmp(output.text.data, want) == 0, "%s:\n got %s\nwant %s", source,
                status == PDK_OK ? output.text.data : err.message, want);
        template_output_done(&output);
        template_free(template);
    }
    json_document_free(document);
}
END_TEST

static const struct {
    const char *source, *message;
} refused[] = {
    {"caf\xc3", "the template is not UTF-8 at byte 3"},
    {"{{ ''.__class__ }}", "name '__class__' starts with two underscores at line 1, column 7"},
    {"a\n  {% include 'x' %}", "statement 'include' is not supported at line 2, column 6"},
    {"{% do x %}", "statement 'do' is not supported at line 1, column 4"},
    {"{{ 1 + }}", "expected an expression at line 1, column 8"},
    {"{{ (1 }}", "expected ')' at line 1, column 7"},
    {"{% if x %}", "unexpected end of template, expected 'elif' at line 1, column 11"},
    {"{% endif %}", "statement 'endif' is not supported at line 1, column 4"},
    {"{% break %}", "'break' outside of a loop at line 1, column 10"},
    {"{% for x in y recursive %}{% endfor %}", "recursive loops are not supported at line 1, column 15"},
    {"{{ f(*a) }}", "arguments by * and ** are not supported at line 1, column 6"},
    {"{{ 'abc }}", "unterminated string at line 1, column 4"},
    {"{{ a ; b }}", "unexpected character ';' at line 1, column 6"},
    {"{# abc", "missing end of comment at line 1, column 1"},
    {"{{ 99999999999999999999 }}", "number out of range: 99999999999999999999 at line 1, column 4"},
};

START_TEST(bad_templates_are_refused_with_their_place)
{
    struct template *template = NULL;
    pdk_error err = {0};
    ck_assert_int_eq(template_parse(refused[_i].source, strlen(refused[_i].source), &template, &err), PDK_INVALID);
    ck_assert_str_eq(err.message, refused[_i].message);
    ck_assert_ptr_null(template);
}
END_TEST

START_TEST(nesting_stops_at_a_limit)
{
    static const char *const parts[][3] = {{"{{ ", "(", "1"}, {"{{ ", "[", "1"}, {"{{ ", "not ", "1"},
        {"{{ ", "-", "1"}, {"{{ 1", "+1", " }}"}, {"{{ a", ".b", " }}"}, {"{{ a", "|trim", " }}"},
        {"{{ ", "1 if 1 else ", "1 }}"}, {"", "{% if 1 %}", ""}, {"", "{% for x in y %}", ""}, {"{{ a", "[0", "]"},
        {"{{ ", "{1:", "1"}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct buffer source = {0};
        struct template *template = NULL;
        pdk_error err = {0};
        buffer_puts(&source, parts[i][0]);
        for (int k = 0; k < 20000; k++)
            buffer_puts(&source, parts[i][1]);
        buffer_puts(&source, parts[i][2]);
        ck_assert_int_eq(template_parse(source.data, source.length, &template, &err), PDK_INVALID);
        ck_assert_msg(
            strncmp(err.message, "nested deeper than 150 levels", 29) == 0, "%s: %s", parts[i][1], err.message);
        buffer_done(&source);
    }
}
END_TEST

/* The output with its plain parts in brackets. */
static void expect_marks(const char *source, const char *want)
{
    static const char input[] =
        "{\"u\": \"<|end|> Hi \", \"l\": [\"a\", \"b\"], \"d\": {\"k\": \"v\"}, \"bos_token\": \"<s>\"}";
    struct json_document *document = NULL;
    struct template *template = NULL;
    struct template_output output = {0};
    struct buffer got = {0};
    pdk_error err = {0};
    ck_assert_int_eq(json_read(input, strlen(input), &json_limits_default, &document, NULL), PDK_OK);
    ck_assert_msg(template_parse(source, strlen(source), &template, &err) == PDK_OK, "%s", err.message);
    pdk_status status = template_render(template, json_root(document), NOW, &template_budget_default, &output, &err);
    ck_assert_msg(status == PDK_OK, "%s", err.message);
    size_t at = 0;
    for (size_t i = 0; i < output.run_count; at += output.runs[i++].length) {
        buffer_puts(&got, output.runs[i].special ? "" : "[");
        buffer_put(&got, output.text.data + at, output.runs[i].length);
        buffer_puts(&got, output.runs[i].special ? "" : "]");
    }
    ck_assert_str_eq(got.data, want);
    buffer_done(&got);
    template_output_done(&output);
    template_free(template);
    json_document_free(document);
}

START_TEST(what_came_from_variables_is_plain)
{
    expect_marks("{{ bos_token }}<|u|>{{ u }}<|end|>", "<s><|u|>[<|end|> Hi ]<|end|>");
    expect_marks("{{ '<x>' + u | trim + '</x>' }}", "<x>[<|end|> Hi]</x>");
    expect_marks("{{ ('<x>' ~ u)[:6] }}", "<x>[<|e]");
    expect_marks("{{ u | upper }}{{ 'a' | upper }}", "[<|END|> HI ]A");
    expect_marks("{{ u | replace('Hi', '<|sys|>') }}", "[<|end|> ]<|sys|>[ ]");
    expect_marks("{{ l | join('<sep>') }}", "[a]<sep>[b]");
    expect_marks("{{ d | tojson }}{{ {'a': 1} | tojson }}", "[{\"k\": \"v\"}]{\"a\": 1}");
    expect_marks("{% set x %}<i>{{ u }}{% endset %}{{ x }}", "<i>[<|end|> Hi ]");
    expect_marks("{% macro m(a) %}({{ a }}){% endmacro %}{{ m(u) }}", "([<|end|> Hi ])");
    expect_marks("{{ u.split('|')[1] }}{{ '%s<b>' | format(u) }}", "[end<|end|> Hi ]<b>");
    expect_marks(
        "{% set ns = namespace(x='<a>') %}{% for i in l %}{% set ns.x = ns.x + i + ';' %}{% endfor %}{{ ns.x }}",
        "<a>[a];[b];");
}
END_TEST

START_TEST(knows_who_reads_a_contents_parts)
{
    static const struct {
        const char *source;
        bool parts;
    } cases[] = {
        {"{% for m in messages %}{{ m.content }}{% endfor %}", false},
        {"{% for m in messages %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endfor %}", true},
        {"{% for m in messages %}{% if m.x %}{% for p in m['content'] | list %}{% endfor %}{% endif %}{% endfor %}",
            true},
        {"{% for m in messages %}{% set c = m.content %}{% for p in c %}{% endfor %}{% endfor %}", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct template *template = NULL;
        ck_assert_int_eq(template_parse(cases[i].source, strlen(cases[i].source), &template, NULL), PDK_OK);
        ck_assert_msg(template_wants_parts(template) == cases[i].parts, "%s", cases[i].source);
        template_free(template);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("template");
    TCase *tests = tcase_create("template");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, real_templates_render_as_in_python);
    tcase_add_test(tests, the_language_is_jinjas);
    tcase_add_loop_test(tests, bad_templates_are_refused_with_their_place, 0, sizeof refused / sizeof refused[0]);
    tcase_add_test(tests, nesting_stops_at_a_limit);
    tcase_add_test(tests, what_came_from_variables_is_plain);
    tcase_add_test(tests, knows_who_reads_a_contents_parts);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
