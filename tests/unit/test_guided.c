/* runtimes/huggingface/guided: grammars and their notations, the automaton against a plain matcher, masks against
 * trying each token, and what hostile texts may take. */
#include "config.h"

#include "core/base/clock.h"
#include "core/base/file.h"
#include "runtimes/huggingface/guided/mask.h"
#include "runtimes/huggingface/guided/readers.h"

#include "check_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct grammar *new_grammar(size_t bytes)
{
    struct grammar_budget budget = {.memory_bytes = bytes, .deadline_ms = thread_ms() + 20000};
    struct grammar *grammar = NULL;
    ck_assert_int_eq(grammar_new(&budget, &grammar, NULL), PDK_OK);
    return grammar;
}

static int64_t soon_us(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID) / 1000 + 20000000;
}

static struct automaton *new_automaton(struct grammar *grammar, struct program **ret_program)
{
    pdk_error err = {0};
    struct automaton *automaton = NULL;
    pdk_status status = program_new(grammar, ret_program, &err);
    ck_assert_msg(status == PDK_OK, "%s", err.message);
    ck_assert_int_eq(automaton_new(*ret_program, 64 << 20, soon_us(), &automaton, &err), PDK_OK);
    return automaton;
}

/* 'y': the text may end here; 'p': it may go on; 'n': neither. */
static char judge(struct automaton *automaton, const char *text, size_t length)
{
    state_id state = automaton->start;
    for (size_t i = 0; i < length; i++) {
        state = automaton_step(automaton, state, (uint8_t)text[i]);
        ck_assert_uint_ne(state, STATE_UNKNOWN);
        if (state == STATE_DEAD)
            return 'n';
    }
    ck_assert(automaton_close(automaton, state));
    return automaton_ends(automaton, state) ? 'y' : 'p';
}

static const struct {
    const char *grammar;
    const char *verdicts[10]; /* each "y:text", "p:text" or "n:text" */
} texts[] = {
    {"root ::= \"ab\" | \"ac\"", {"p:a", "y:ab", "y:ac", "n:ad", "n:abc", "p:"}},
    {"root ::= [a-c]+ \"!\"?", {"y:abc", "y:a!", "n:!", "n:a!!", "p:"}},
    {"root ::= root \"a\" | \"b\"", {"y:b", "y:baaaa", "n:a", "n:bb"}},
    {"root ::= \"a\" root | \"b\"", {"y:b", "y:aaab", "p:aaa", "n:ba"}},
    {"root ::= root", {NULL}},
    {"root ::= root | \"x\"", {"y:x", "n:xx"}},
    {"root ::= root root | \"a\" | \"\"", {"y:", "y:a", "y:aaaaaaaaaa", "n:b"}},
    {"root ::= x y\nx ::= y x | \"a\"\ny ::= x | \"\"", {"y:a", "y:aa", "y:aaa", "n:b"}},
    {"root ::= \"(\" root \")\" root | \"\"", {"y:", "y:()", "y:(())()", "p:((", "n:)", "n:(]"}},
    {"root ::= [^\"\\\\\\n]*", {"y:", "y:hé€😀", "n:\"", "p:\xC3", "n:\x80", "n:\xED\xA0\x80", "n:\xF4\x90"}},
    {"root ::= \"a\"{3}", {"p:aa", "y:aaa", "n:aaaa"}},
    {"root ::= \"a\"{2,}", {"p:a", "y:aa", "y:aaaaaaaaa"}},
    {"root ::= ([a-z] [0-9]){2,100} \".\"", {"p:a1", "p:a1b2", "y:a1b2.", "n:a1.", "y:a1b2c3d4."}},
    {"root ::= (\"a\" | \"aa\" | \"\"){0,5000} \"b\"", {"y:b", "y:aaab", "p:aaa"}},
    {"root ::= (\"a\"*)* \"b\"", {"y:b", "y:aab", "p:a", "n:bb"}},
    {"root ::= .{2}", {"p:\xE2\x82\xAC", "y:\xE2\x82\xAC\n", "n:abc"}},
    {"root ::= a b # comment \" ::=\na::=\"x\"\n\n b ::= (\"y\" |\n  \"z\")", {"y:xy", "y:xz", "n:x#"}},
    {"root ::= \"\\x41\\u00e9\\U0001F600\\t\\\"\\\\\" [\\]\\-a]", {"y:Aé😀\t\"\\-", "y:Aé😀\t\"\\]", "n:Aé😀\t\"\\b"}},
    {"root ::= \"yes\" | nothing\nnothing ::= \"x\" nothing", {"y:yes", "n:x"}},
    {"start: \"a\" | \"b\" start", {"y:a", "y:bba", "n:c"}},
    {"start: WORD (\",\" WORD)*\nWORD: /[a-z]+/\n%ignore \" \"", {"y:ab", "y:ab, cd", "y: ab ,cd ", "n:a b", "p:a,"}},
    {"?start: x -> alias\n!x.2: \"No\"i DIGIT~2..3 [\"!\"]\n%import common.DIGIT",
        {"y:no12", "y:NO123!", "n:no1!", "n:no1234"}},
    {"start: A~2 | \"x\"..\"z\" // comment\nA: \"a\" | B\nB: /b\\/[/]/", {"y:aa", "y:ab//", "y:y", "n:w", "p:a"}},
    {"start: N\n%import common (SIGNED_NUMBER, WS)\n%import common.SIGNED_NUMBER -> N",
        {"y:-1.5e3", "y:7", "p:-", "n:a"}},
};

START_TEST(grammars_in_both_notations)
{
    struct grammar *grammar = new_grammar(64 << 20);
    struct program *program = NULL;
    grammar_node root = GRAMMAR_FAILED;
    pdk_error err = {0};
    pdk_guide what = {.text = {texts[_i].grammar, strlen(texts[_i].grammar)}};
    pdk_status status = read_grammar(grammar, &what, &root, &err);
    ck_assert_msg(status == PDK_OK, "%s", err.message);
    grammar_set_root(grammar, root);
    if (texts[_i].verdicts[0] == NULL) {
        ck_assert_int_eq(program_new(grammar, &program, &err), PDK_INVALID);
        ck_assert_str_eq(err.message, "no text matches it");
    } else {
        struct automaton *automaton = new_automaton(grammar, &program);
        for (size_t i = 0; i < 10 && texts[_i].verdicts[i] != NULL; i++) {
            const char *verdict = texts[_i].verdicts[i];
            char found = judge(automaton, verdict + 2, strlen(verdict) - 2);
            ck_assert_msg(found == verdict[0], "'%s' is %c for %s", verdict, found, texts[_i].grammar);
        }
        automaton_free(automaton);
        program_free(program);
    }
    grammar_free(grammar);
}
END_TEST

static const struct {
    int kind;
    const char *text, *message;
} refused[] = {
    {PDK_GUIDE_GRAMMAR, "root ::= \"a", "line 1: a string without its closing quote, at '\"a'"},
    {PDK_GUIDE_GRAMMAR, "root ::= a\nb ::= \"x\"", "line 1: rule 'a' is not defined"},
    {PDK_GUIDE_GRAMMAR, "a ::= \"x\"", "there is no rule 'root'"},
    {PDK_GUIDE_GRAMMAR, "root ::= \"x\"\nroot ::= \"y\"",
        "line 2: a rule that was defined before, at 'root ::= \"y\"'"},
    {PDK_GUIDE_GRAMMAR, "root ::= (\"x\"", "line 1: a group wants its ')', but the text ends"},
    {PDK_GUIDE_GRAMMAR, "root ::= \"x\")", "line 1: a ')' without its '(', at ')'"},
    {PDK_GUIDE_GRAMMAR, "root ::= [a-", "line 1: a class without its closing bracket, at '[a-'"},
    {PDK_GUIDE_GRAMMAR, "root ::= [z-a]", "line 1: a range that ends before it begins, at 'z-a]'"},
    {PDK_GUIDE_GRAMMAR, "root ::= \"a\"{3,1}", "line 1: a count whose least is more than its most, at '{3,1}'"},
    {PDK_GUIDE_GRAMMAR, "root ::= \"a\"{99999999999}", "line 1: a count is too large, at '99999999999}'"},
    {PDK_GUIDE_GRAMMAR, "root ::= \"\\uD800\"", "line 1: an escape names no character, at 'D800\"'"},
    {PDK_GUIDE_GRAMMAR, "root ::= \"\\q\"", "line 1: an escape that is not known, at '\\q\"'"},
    {PDK_GUIDE_GRAMMAR, "root ::= (=\"a\")", "line 1: lookahead assertions are not supported, at '(=\"a\")'"},
    {PDK_GUIDE_GRAMMAR, "root ::= <think>", "line 1: tokens by name or number are not supported, at '<think>'"},
    {PDK_GUIDE_GRAMMAR, "root ::= \"a\" ;", "line 1: a string, a class, a rule's name or a group is wanted, at ';'"},
    {PDK_GUIDE_GRAMMAR, "nonsense", "line 1: a rule wants a name and ':', at 'nonsense'"},
    {PDK_GUIDE_GRAMMAR, "root ::= \xFF", "byte 9 is no UTF-8"},
    {PDK_GUIDE_GRAMMAR, "start: x{a}\nx: \"a\"", "line 1: templates are not supported, at 'x{a}'"},
    {PDK_GUIDE_GRAMMAR, "start: \"a\"\n%declare X", "line 2: this directive is not supported, at '%declare X'"},
    {PDK_GUIDE_GRAMMAR, "start: A\nA: b\nb: \"x\"", "line 2: a terminal cannot use a rule, at 'b'"},
    {PDK_GUIDE_GRAMMAR, "start: X\n%import common.X", "line 2: the common library has no such terminal, at 'X'"},
    {PDK_GUIDE_GRAMMAR, "start: X\n%import python.X", "line 2: only 'common' can be imported from, at 'python.X'"},
    {PDK_GUIDE_CHOICE, "[]", "the choices are no list of strings, or an empty one"},
    {PDK_GUIDE_CHOICE, "[\"a\",1]", "choice 1 is a number, not a string"},
    {PDK_GUIDE_STRUCTURAL_TAG, "{\"type\":\"structural_tag\"}",
        "it has neither 'format' nor 'structures' (line 1, column 1)"},
    {PDK_GUIDE_STRUCTURAL_TAG, "{\"format\":{\"type\":\"qwen_xml_parameter\"}}",
        "format 'qwen_xml_parameter' is not supported (line 1)"},
    {PDK_GUIDE_STRUCTURAL_TAG, "{\"format\":{\"type\":\"tag\",\"content\":{\"type\":\"any_text\"},\"end\":\"x\"}}",
        "a tag wants a 'begin', a string (line 1, column 2)"},
    {PDK_GUIDE_STRUCTURAL_TAG,
        "{\"format\":{\"type\":\"triggered_tags\",\"triggers\":[\"<x\"],\"tags\":[{\"begin\":\"<a>\","
        "\"content\":{\"type\":\"any_text\"},\"end\":\"x\"}]}}",
        "no tag begins with this trigger (line 1, column 48)"},
};

START_TEST(what_is_wrong_is_named)
{
    static guide_reader *const readers[] = {[PDK_GUIDE_CHOICE] = read_choice,
        [PDK_GUIDE_GRAMMAR] = read_grammar,
        [PDK_GUIDE_STRUCTURAL_TAG] = read_structural_tag};
    struct grammar *grammar = new_grammar(64 << 20);
    grammar_node root = 77;
    pdk_error err = {0};
    pdk_guide what = {.kind = refused[_i].kind, .text = {refused[_i].text, strlen(refused[_i].text)}};
    pdk_status status = readers[refused[_i].kind](grammar, &what, &root, &err);
    ck_assert_msg(status == PDK_INVALID || status == PDK_UNSUPPORTED, "%s", refused[_i].text);
    ck_assert_str_eq(err.message, refused[_i].message);
    ck_assert_uint_eq(root, 77);
    grammar_free(grammar);
}
END_TEST

static const struct {
    const char *text;
    const char *verdicts[10];
} tags[] = {
    {"{\"type\":\"structural_tag\",\"format\":{\"type\":\"const_string\",\"value\":\"abc\"}}",
        {"y:abc", "p:ab", "n:b"}},
    {"{\"format\":{\"type\":\"tag\",\"begin\":\"<a>\",\"content\":{\"type\":\"any_text\"},\"end\":\"</a>\"}}",
        {"y:<a></a>", "y:<a>x<<</a>", "p:<a>x</a", "n:<a></a>x", "n:x"}},
    {"{\"format\":{\"type\":\"tag\",\"begin\":\"<\",\"content\":{\"type\":\"regex\",\"pattern\":\"[0-9]+\"},"
     "\"end\":[\">\",\"}\"]}}",
        {"y:<12>", "y:<1}", "n:<>", "p:<1"}},
    {"{\"format\":{\"type\":\"sequence\",\"elements\":[{\"type\":\"const_string\",\"value\":\"a\"},{\"type\":\"or\","
     "\"elements\":[{\"type\":\"const_string\",\"value\":\"b\"},{\"type\":\"grammar\",\"grammar\":\"root ::= "
     "[x-z]{2}\"}]}]}}",
        {"y:ab", "y:axz", "p:ax", "n:b"}},
    {"{\"format\":{\"type\":\"triggered_tags\",\"triggers\":[\"<f=\"],\"tags\":[{\"begin\":\"<f=a>\",\"content\":"
     "{\"type\":\"const_string\",\"value\":\"1\"},\"end\":\"</f>\"},{\"begin\":\"<f=b>\",\"content\":{\"type\":"
     "\"any_text\"},\"end\":\"</f>\"}]}}",
        {"y:", "y:free <f> text", "p:x<f=", "y:x<f=a>1</f>", "y:<f=a>1</f>then<f=b>any</f>", "n:<f=c", "n:<f=a>2"}},
    {"{\"format\":{\"type\":\"triggered_tags\",\"triggers\":[\"<\"],\"tags\":[{\"begin\":\"<a>\",\"content\":"
     "{\"type\":\"const_string\",\"value\":\"\"},\"end\":\"!\"}],\"at_least_one\":true,\"stop_after_first\":true}}",
        {"p:", "p:text", "y:text<a>!", "n:<a>!x"}},
    {"{\"format\":{\"type\":\"tags_with_separator\",\"separator\":\",\",\"tags\":[{\"begin\":\"<\",\"content\":"
     "{\"type\":\"regex\",\"pattern\":\"x\"},\"end\":\">\"}]}}",
        {"y:", "y:<x>", "y:<x>,<x>", "p:<x>,", "n:<x><x>"}},
    {"{\"format\":{\"type\":\"tag\",\"begin\":\"[\",\"content\":{\"type\":\"triggered_tags\",\"triggers\":[\"<\"],"
     "\"tags\":[{\"begin\":\"<\",\"content\":{\"type\":\"any_text\"},\"end\":\">\"}]},\"end\":\"]\"}}",
        {"y:[]", "y:[a<]>b]", "p:[a<]", "n:[]]", "p:["}},
};

START_TEST(structural_tags)
{
    struct grammar *grammar = new_grammar(64 << 20);
    struct program *program = NULL;
    grammar_node root = GRAMMAR_FAILED;
    pdk_error err = {0};
    pdk_guide what = {.kind = PDK_GUIDE_STRUCTURAL_TAG, .text = {tags[_i].text, strlen(tags[_i].text)}};
    pdk_status status = read_structural_tag(grammar, &what, &root, &err);
    ck_assert_msg(status == PDK_OK, "%s", err.message);
    grammar_set_root(grammar, root);
    struct automaton *automaton = new_automaton(grammar, &program);
    for (size_t i = 0; i < 10 && tags[_i].verdicts[i] != NULL; i++) {
        const char *verdict = tags[_i].verdicts[i];
        char found = judge(automaton, verdict + 2, strlen(verdict) - 2);
        ck_assert_msg(found == verdict[0], "'%s' is %c for %s", verdict, found, tags[_i].text);
    }
    automaton_free(automaton);
    program_free(program);
    grammar_free(grammar);
}
END_TEST

/* Random grammars, kept beside as plain trees for a matcher that knows nothing of automata. */
enum { PLAIN_MAX = 48, PLAIN_RULES = 3, PLAIN_TEXT = 7 };
struct plain {
    enum { PLAIN_BYTE, PLAIN_SEQUENCE, PLAIN_EITHER, PLAIN_REPEAT, PLAIN_CALL } kind;
    uint32_t a, b, least, most;
};
struct plain_grammar {
    struct plain nodes[PLAIN_MAX];
    grammar_node made[PLAIN_MAX];
    uint32_t count, bodies[PLAIN_RULES];
};

static uint32_t random_below(uint64_t *seed, uint32_t limit)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)(*seed >> 33) % limit;
}

static uint32_t random_plain(struct plain_grammar *plain, uint64_t *seed, int depth)
{
    struct plain node = {.kind = depth == 0 ? PLAIN_BYTE : (int)random_below(seed, 5)};
    if (plain->count + 3 * (uint32_t)depth + 3 > PLAIN_MAX)
        node.kind = PLAIN_BYTE;
    switch (node.kind) {
    case PLAIN_BYTE: node.a = 'a' + random_below(seed, 2); break;
    case PLAIN_CALL: node.a = random_below(seed, PLAIN_RULES); break;
    case PLAIN_REPEAT:
        node.a = random_plain(plain, seed, depth - 1);
        node.least = random_below(seed, 3);
        node.most = random_below(seed, 2) ? 100 : node.least + random_below(seed, 70);
        break;
    default:
        node.a = random_plain(plain, seed, depth - 1);
        node.b = random_plain(plain, seed, depth - 1);
        break;
    }
    plain->nodes[plain->count] = node;
    return plain->count++;
}

/* ends[node][i]: bit j: the node matches text[i, j). Grown until nothing changes. */
static bool plain_matches(const struct plain_grammar *plain, const char *text, uint32_t length)
{
    static uint16_t ends[PLAIN_MAX][PLAIN_TEXT + 1];
    memset(ends, 0, sizeof ends);
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t n = 0; n < plain->count; n++) {
            const struct plain *node = &plain->nodes[n];
            for (uint32_t i = 0; i <= length; i++) {
                uint32_t now = 0;
                switch (node->kind) {
                case PLAIN_BYTE: now = i < length && text[i] == (char)node->a ? 1u << (i + 1) : 0; break;
                case PLAIN_CALL: now = ends[plain->bodies[node->a]][i]; break;
                case PLAIN_EITHER: now = ends[node->a][i] | ends[node->b][i]; break;
                case PLAIN_SEQUENCE:
                    for (uint32_t j = i; j <= length; j++)
                        if ((ends[node->a][i] >> j & 1) != 0)
                            now |= ends[node->b][j];
                    break;
                case PLAIN_REPEAT: {
                    uint32_t at = 1u << i;
                    for (uint32_t times = 0; times <= node->most && at != 0; times++) {
                        now |= times >= node->least ? at : 0;
                        uint32_t then = 0;
                        for (uint32_t j = i; j <= length; j++)
                            if ((at >> j & 1) != 0)
                                then |= ends[node->a][j];
                        at = then;
                    }
                    break;
                }
                }
                changed |= (now | ends[n][i]) != ends[n][i];
                ends[n][i] |= (uint16_t)now;
            }
        }
    }
    return (ends[plain->bodies[0]][0] >> length & 1) != 0;
}

static void make_plain(struct plain_grammar *plain, struct grammar *grammar)
{
    grammar_node rules[PLAIN_RULES];
    for (uint32_t i = 0; i < PLAIN_RULES; i++)
        rules[i] = grammar_rule(grammar);
    for (uint32_t n = 0; n < plain->count; n++) {
        const struct plain *node = &plain->nodes[n];
        grammar_node pair[2] = {0};
        switch (node->kind) {
        case PLAIN_BYTE: plain->made[n] = grammar_bytes(grammar, (uint8_t)node->a, (uint8_t)node->a); break;
        case PLAIN_CALL: plain->made[n] = rules[node->a]; break;
        case PLAIN_REPEAT:
            plain->made[n] = grammar_repeat(grammar, plain->made[node->a], node->least, node->most);
            break;
        default:
            pair[0] = plain->made[node->a];
            pair[1] = plain->made[node->b];
            plain->made[n] =
                node->kind == PLAIN_SEQUENCE ? grammar_sequence(grammar, pair, 2) : grammar_either(grammar, pair, 2);
        }
    }
    for (uint32_t i = 0; i < PLAIN_RULES; i++)
        grammar_define(grammar, rules[i], plain->made[plain->bodies[i]]);
    grammar_set_root(grammar, rules[0]);
}

/* All texts of up to 7 letters, of a few hundred random grammars: recursive on both sides, ambiguous, empty. */
START_TEST(the_automaton_agrees_with_a_plain_matcher)
{
    uint64_t seed = (uint64_t)_i * 977 + 5;
    for (int round = 0; round < 40; round++) {
        struct plain_grammar plain = {0};
        struct grammar *grammar = new_grammar(64 << 20);
        struct program *program = NULL;
        struct automaton *automaton = NULL;
        for (uint32_t i = 0; i < PLAIN_RULES; i++)
            plain.bodies[i] = random_plain(&plain, &seed, 3);
        make_plain(&plain, grammar);
        bool any = program_new(grammar, &program, NULL) == PDK_OK;
        if (any)
            ck_assert_int_eq(automaton_new(program, 64 << 20, soon_us(), &automaton, NULL), PDK_OK);
        for (uint32_t length = 0; length <= PLAIN_TEXT; length++)
            for (uint32_t bits = 0; bits < 1u << length; bits++) {
                char text[PLAIN_TEXT + 1] = {0};
                for (uint32_t i = 0; i < length; i++)
                    text[i] = (char)('a' + (bits >> i & 1));
                bool wanted = plain_matches(&plain, text, length);
                bool found = any && judge(automaton, text, length) == 'y';
                ck_assert_msg(found == wanted, "case %d, round %d: '%s' is %d", _i, round, text, found);
            }
        automaton_free(automaton);
        program_free(program);
        grammar_free(grammar);
    }
}
END_TEST

static struct tokenizer *load_tokenizer(const char *name)
{
    const char *fixtures = getenv("PADDOCK_FIXTURES");
    char path[512];
    struct buffer text = {0};
    struct tokenizer *tokenizer = NULL;
    ck_assert_ptr_nonnull(fixtures);
    snprintf(path, sizeof path, "%s/tokenizers/%s/tokenizer.json", fixtures, name);
    ck_assert_int_eq(file_read(path, 64 << 20, &text, NULL), PDK_OK);
    ck_assert_int_eq(tokenizer_from_json(text.data, text.length, NULL, 0, &tokenizer, NULL), PDK_OK);
    buffer_done(&text);
    return tokenizer;
}

static const char json_text[] =
    "root ::= value\n"
    "value ::= object | array | string | number | \"true\" | \"null\"\n"
    "object ::= \"{\" ws (string ws \":\" ws value (ws \",\" ws string ws \":\" ws value)*)? ws \"}\"\n"
    "array ::= \"[\" ws (value (ws \",\" ws value)*)? ws \"]\"\n"
    "string ::= \"\\\"\" ([^\"\\\\\\x00-\\x1F] | \"\\\\\" ([\"\\\\/bfnrt] | \"u\" [0-9a-f]{4})){0,40} \"\\\"\"\n"
    "number ::= \"-\"? ([0-9] | [1-9] [0-9]{1,15}) (\".\" [0-9]+)?\n"
    "ws ::= [ \\n]{0,3}\n";
static const char nested_text[] =
    "root ::= \"x\" item\nitem ::= word (\" \" item | \"(\" item \")\" | \"\")\nword ::= [a-z] word | [a-z]\n";

static const struct {
    const char *tokenizer;
    pdk_guide what;
} walks[] = {
    {"llama3", {.kind = PDK_GUIDE_GRAMMAR, .text = {json_text, sizeof json_text - 1}}},
    {"llama2", {.kind = PDK_GUIDE_GRAMMAR, .text = {json_text, sizeof json_text - 1}}},
    {"gemma", {.kind = PDK_GUIDE_GRAMMAR, .text = {nested_text, sizeof nested_text - 1}}},
    {"t5", {.kind = PDK_GUIDE_GRAMMAR, .text = {nested_text, sizeof nested_text - 1}}},
    {"gpt2", {.kind = PDK_GUIDE_CHOICE, .text = {"[\"positive\",\"negative\",\"neutral\",\"posit\"]", 41}}},
    {"qwen2", {.kind = PDK_GUIDE_REGEX, .text = {"(foo|[0-9]{2,4}|é+) (bar|ba)*", 30}}},
};

/* Whether each token of the mask, and no other, leads somewhere, byte by byte. */
static void check_mask(
    struct automaton *automaton, state_id state, const struct guide_vocabulary *vocabulary, const uint64_t *mask)
{
    for (uint32_t token = 0; token < vocabulary->size; token++) {
        bool allowed = (mask[token / 64] >> token % 64 & 1) != 0, ends = false;
        for (uint32_t i = 0; i < vocabulary->eos_count; i++)
            ends |= vocabulary->eos_ids[i] == token;
        state_id to = vocabulary->offsets[token] == vocabulary->offsets[token + 1] ? STATE_DEAD : state;
        for (uint32_t i = vocabulary->offsets[token]; i < vocabulary->offsets[token + 1] && to > STATE_DEAD; i++)
            to = automaton_step(automaton, to, (uint8_t)vocabulary->text[i]);
        ck_assert_uint_ne(to, STATE_UNKNOWN);
        bool wanted = ends ? automaton_ends(automaton, state) : to > STATE_DEAD;
        ck_assert_msg(allowed == wanted, "token %u is %d", (unsigned)token, allowed);
    }
}

static uint32_t pick(const uint64_t *mask, uint32_t size, uint64_t *seed)
{
    uint32_t start = random_below(seed, size);
    for (uint32_t i = 0; i < size; i++) {
        uint32_t token = (start + i) % size;
        if ((mask[token / 64] >> token % 64 & 1) != 0)
            return token;
    }
    ck_abort_msg("nothing may come");
    return 0;
}

static struct guide_vocabulary *new_vocabulary(const struct tokenizer *tokenizer)
{
    struct guide_vocabulary *vocabulary = NULL;
    uint32_t eos = tokenizer_eos(tokenizer) >= 0 ? (uint32_t)tokenizer_eos(tokenizer) : 1;
    ck_assert_int_eq(
        guide_vocabulary_new(tokenizer, (uint32_t)tokenizer_size(tokenizer), &eos, 1, &vocabulary, NULL), PDK_OK);
    return vocabulary;
}

static struct grammar *read_walk(const pdk_guide *what)
{
    static guide_reader *const readers[] = {
        [PDK_GUIDE_CHOICE] = read_choice, [PDK_GUIDE_GRAMMAR] = read_grammar, [PDK_GUIDE_REGEX] = read_regex};
    struct grammar *grammar = new_grammar(64 << 20);
    grammar_node root = GRAMMAR_FAILED;
    ck_assert_int_eq(readers[what->kind](grammar, what, &root, NULL), PDK_OK);
    grammar_set_root(grammar, root);
    return grammar;
}

/* Along random walks every mask is what trying each token gives; sweeping in between changes nothing. */
START_TEST(masks_are_what_trying_gives)
{
    struct tokenizer *tokenizer = load_tokenizer(walks[_i].tokenizer);
    struct guide_vocabulary *vocabulary = new_vocabulary(tokenizer);
    struct grammar *grammar = read_walk(&walks[_i].what);
    struct program *program = NULL;
    struct automaton *automaton = new_automaton(grammar, &program);
    struct masks masks;
    ck_assert_int_eq(masks_init(&masks, vocabulary, automaton, NULL), PDK_OK);
    uint64_t seed = 3;
    for (int round = 0; round < 6; round++) {
        state_id state = automaton->start;
        for (int step = 0; step < 40; step++) {
            const uint64_t *mask = masks_of(&masks, state);
            ck_assert_ptr_nonnull(mask);
            check_mask(automaton, state, vocabulary, mask);
            uint32_t token = pick(mask, vocabulary->size, &seed);
            if (vocabulary->offsets[token] == vocabulary->offsets[token + 1])
                break;
            for (uint32_t i = vocabulary->offsets[token]; i < vocabulary->offsets[token + 1]; i++)
                state = automaton_step(automaton, state, (uint8_t)vocabulary->text[i]);
            ck_assert(automaton_close(automaton, state));
            if (step % 7 == 3) {
                automaton->bytes_max = automaton->bytes; /* full: all that is not needed goes */
                masks_tidy(&masks, &state, 1);
                automaton->bytes_max = 64 << 20;
            }
        }
    }
    masks_done(&masks);
    automaton_free(automaton);
    program_free(program);
    grammar_free(grammar);
    guide_vocabulary_free(vocabulary);
    tokenizer_free(tokenizer);
}
END_TEST

/* The text of a walk, decoded as an answer is, matches the guide from beginning to end. */
START_TEST(walks_end_and_match)
{
    struct tokenizer *tokenizer = load_tokenizer(walks[_i].tokenizer);
    struct guide_vocabulary *vocabulary = new_vocabulary(tokenizer);
    struct grammar *grammar = read_walk(&walks[_i].what);
    struct program *program = NULL;
    struct automaton *automaton = new_automaton(grammar, &program);
    struct guide *guide = NULL;
    uint64_t seed = 99 + (uint64_t)_i;
    ck_assert_int_eq(guide_new(vocabulary, &walks[_i].what, &guide, NULL), PDK_OK);
    for (int round = 0; round < 20; round++) {
        struct guide_walker *walker = NULL;
        struct buffer text = {0};
        ck_assert_int_eq(guide_walker_new(guide, &walker, NULL), PDK_OK);
        for (int step = 0; step < 400 && !guide_walker_ended(walker); step++) {
            const uint64_t *mask = NULL;
            ck_assert_int_eq(guide_walker_mask(walker, &mask, NULL), PDK_OK);
            uint32_t token = pick(mask, vocabulary->size, &seed);
            if (step % 2 == 0 || !guide_walker_add_quick(walker, token, &mask))
                ck_assert_int_eq(guide_walker_add(walker, token, NULL), PDK_OK);
            if (!guide_walker_ended(walker))
                tokenizer_token_bytes(tokenizer, token, &text);
        }
        const char *bytes = text.data != NULL ? text.data : "";
        ck_assert_int_eq(judge(automaton, bytes, text.length), guide_walker_ended(walker) ? 'y' : 'p');
        if (guide_walker_ended(walker))
            ck_assert_int_eq(guide_walker_add(walker, 0, NULL), PDK_INVALID);
        guide_walker_free(walker);
        buffer_done(&text);
    }
    guide_release(guide);
    automaton_free(automaton);
    program_free(program);
    grammar_free(grammar);
    guide_vocabulary_free(vocabulary);
    tokenizer_free(tokenizer);
}
END_TEST

static void put_times(struct buffer *text, const char *what, int times)
{
    for (int i = 0; i < times; i++)
        buffer_puts(text, what);
}

static void deep_groups(struct buffer *text)
{
    buffer_puts(text, "root ::= ");
    put_times(text, "(", 50000);
    put_times(text, ")", 50000);
}

static void many_rules(struct buffer *text)
{
    buffer_puts(text, "root ::= r0\n");
    for (int i = 0; i < 200000; i++)
        buffer_printf(text, "r%d ::= r%d\n", i, i + 1);
}

static void long_chain(struct buffer *text)
{
    buffer_puts(text, "root ::= r0\n");
    for (int i = 0; i < 9000; i++)
        buffer_printf(text, "r%d ::= r%d | r%d \"a\" | \"b\" r0 | [c-z ]\n", i, (i + 1) % 9000, (i * 7 + 3) % 9000);
}

static void ambiguous(struct buffer *text)
{
    buffer_puts(text, "root ::= root root root | root root | [a-z ] | \"\"");
}

static void nested_counts(struct buffer *text)
{
    buffer_puts(text, "root ::= (((([a-z ]{0,10000} | [a-y]){0,10000} | [b-z]){0,10000}){3,10000} [a-z]*){7,10000}");
}

static void overlapping_counts(struct buffer *text)
{
    buffer_puts(text, "root ::= ([a-z ] | [a-z ] [a-z ] | [a-z ]{3}){90000,100000} \"!\"");
}

static void huge_count(struct buffer *text)
{
    buffer_puts(text, "root ::= ([a-z ] [a-z ]? root?){2000000000,2000000001}");
}

static void palindromes(struct buffer *text)
{
    buffer_puts(text, "root ::= ");
    for (char c = 'a'; c <= 'z'; c++)
        buffer_printf(text, "\"%c\" root \"%c\" | root \"%c\" root | ", c, c, c);
    buffer_puts(text, "\" \"");
}

static void long_literals(struct buffer *text)
{
    buffer_puts(text, "root ::= (");
    for (int i = 0; i < 2000; i++) {
        put_times(text, i == 0 ? "\"" : " | \"", 1);
        put_times(text, "abcdefghijklmnopqrstuvwxyz", 40);
        buffer_printf(text, "%d\"", i);
    }
    buffer_puts(text, ")*");
}

static void all_characters(struct buffer *text)
{
    buffer_puts(text, "root ::= ");
    put_times(text, "[^a-c\u1234\U00012345]{1,500} ", 500);
}

static void (*const hostile[])(struct buffer *text) = {deep_groups, many_rules, long_chain, ambiguous, nested_counts,
    overlapping_counts, huge_count, palindromes, long_literals, all_characters};

/* Whatever a text asks for, compiling and all masks stay inside their time and memory, or end in an error that says
 * which of the two. */
START_TEST(hostile_grammars_stay_inside_their_budget)
{
    enum { STEPS = 60 };
    struct tokenizer *tokenizer = load_tokenizer("llama3");
    struct guide_vocabulary *vocabulary = new_vocabulary(tokenizer);
    struct buffer text = {0};
    hostile[_i](&text);
    pdk_guide what = {.kind = PDK_GUIDE_GRAMMAR, .text = {text.data, text.length}};
    struct guide *guide = NULL;
    struct guide_walker *walker = NULL;
    pdk_error err = {0};
    uint64_t seed = 5;
    int64_t started_us = clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1000;
    pdk_status status = guide_new(vocabulary, &what, &guide, &err);
    if (status == PDK_OK)
        ck_assert_int_eq(guide_walker_new(guide, &walker, &err), PDK_OK);
    for (int step = 0; step < STEPS && status == PDK_OK && !guide_walker_ended(walker); step++) {
        const uint64_t *mask = NULL;
        status = guide_walker_mask(walker, &mask, &err);
        if (status == PDK_OK)
            status = guide_walker_add(walker, pick(mask, vocabulary->size, &seed), &err);
    }
    int64_t spent_us = clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1000 - started_us;
    ck_assert_msg(status == PDK_OK || status == PDK_TOO_LARGE || status == PDK_INVALID, "%d %s", status, err.message);
    if (status == PDK_TOO_LARGE)
        ck_assert_msg(strstr(err.message, "time") != NULL || strstr(err.message, "MiB") != NULL, "%s", err.message);
#ifndef PADDOCK_SANITIZERS
    /* A second to compile, one for masks, and what the tokens give back. */
    ck_assert_int_lt(spent_us, 2500000);
#else
    (void)spent_us;
#endif
    if (getenv("GUIDED_VERBOSE") != NULL)
        printf("%d: %lld us, %d %s\n", _i, (long long)spent_us, status, err.message);
    guide_walker_free(walker);
    guide_release(guide);
    guide_vocabulary_free(vocabulary);
    tokenizer_free(tokenizer);
    buffer_done(&text);
}
END_TEST

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

int main(void)
{
    if (getenv("PADDOCK_FIXTURES") == NULL) {
        fprintf(stderr, "PADDOCK_FIXTURES is not set\n");
        return 77;
    }
    Suite *suite = suite_create("guided");
    TCase *tests = tcase_create("guided");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, grammars_in_both_notations, 0, ROWS(texts));
    tcase_add_loop_test(tests, what_is_wrong_is_named, 0, ROWS(refused));
    tcase_add_loop_test(tests, structural_tags, 0, ROWS(tags));
    tcase_add_loop_test(tests, the_automaton_agrees_with_a_plain_matcher, 0, 8);
    tcase_add_loop_test(tests, masks_are_what_trying_gives, 0, ROWS(walks));
    tcase_add_loop_test(tests, walks_end_and_match, 0, ROWS(walks));
    tcase_add_loop_test(tests, hostile_grammars_stay_inside_their_budget, 0, ROWS(hostile));
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
