/* runtimes/huggingface/tokenizer: every case that the reference library recorded. */
#include "config.h"

#include "runtimes/huggingface/tokenizer/tokenizer.h"

#include "core/base/file.h"
#include "core/base/json.h"

#include "check_main.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static const char *const families[] = {"bert-cased", "bert-uncased", "deepseek", "gemma", "gpt2", "llama2", "llama3",
    "mistral", "o200k", "opt", "qwen2", "roberta", "smollm", "t5", "xlm-roberta"};

static const char *fixtures(void)
{
    const char *folder = getenv("PADDOCK_FIXTURES");
    return folder != NULL ? folder : ".";
}

static struct tokenizer *load(const char *family)
{
    char path[512];
    struct buffer text = {0};
    pdk_error err = {0};
    struct tokenizer *tokenizer = NULL;
    snprintf(path, sizeof path, "%s/tokenizers/%s/tokenizer.json", fixtures(), family);
    ck_assert_msg(file_read(path, 1 << 20, &text, &err) == PDK_OK, "%s", err.message);
    pdk_status status = tokenizer_from_json(text.data, text.length, NULL, 0, &tokenizer, &err);
    ck_assert_msg(status == PDK_OK, "%s: %s", family, err.message);
    buffer_done(&text);
    return tokenizer;
}

static void expect_ids(const char *what, const struct json *want, const struct token_list *got)
{
    const struct json *at = want->child;
    for (size_t i = 0; i < got->count || at != NULL; i++, at = at->next) {
        int64_t id = -1;
        json_int64(at, &id);
        ck_assert_msg(at != NULL && i < got->count && got->ids[i] == id, "%s: token %zu is %d, not %d (%zu of %u)",
            what, i, i < got->count ? (int)got->ids[i] : -1, (int)id, got->count, want->count);
    }
}

static void expect_text(const char *what, const struct json *want, const struct buffer *got)
{
    const char *text = got->data != NULL ? got->data : "";
    ck_assert_msg(want->length == got->length && memcmp(want->text, text, got->length) == 0, "%s: '%s', not '%s'", what,
        text, want->text);
}

static void run_case(const struct tokenizer *tokenizer, const char *family, unsigned number, const struct json *test)
{
    char what[64];
    pdk_error err = {0};
    struct token_list ids = {0}, plain = {0};
    struct buffer text = {0};
    const struct json *given = json_get(test, "text");
    snprintf(what, sizeof what, "%s case %u", family, number);
    pdk_status status = tokenizer_encode(tokenizer, given->text, given->length, NULL, 0, true, &ids, &err);
    ck_assert_msg(status == PDK_OK, "%s: %s", what, err.message);
    expect_ids(what, json_get(test, "ids"), &ids);
    status = tokenizer_encode(tokenizer, given->text, given->length, NULL, 0, false, &plain, &err);
    ck_assert_msg(status == PDK_OK, "%s: %s", what, err.message);
    expect_ids(what, json_get(test, "ids_plain"), &plain);
    ck_assert_int_eq(tokenizer_decode(tokenizer, ids.ids, ids.count, false, &text, &err), PDK_OK);
    expect_text(what, json_get(test, "decoded"), &text);
    buffer_clear(&text);
    ck_assert_int_eq(tokenizer_decode(tokenizer, ids.ids, ids.count, true, &text, &err), PDK_OK);
    expect_text(what, json_get(test, "decoded_skip"), &text);
    struct detokenizer *stream = NULL;
    ck_assert_int_eq(detokenizer_new(tokenizer, NULL, 0, true, true, &stream, &err), PDK_OK);
    const struct json *delta = json_get(test, "deltas")->child;
    for (size_t i = 0; i < plain.count; i++, delta = delta->next) {
        buffer_clear(&text);
        ck_assert_int_eq(detokenizer_next(stream, plain.ids[i], &text, &err), PDK_OK);
        expect_text(what, delta, &text);
    }
    detokenizer_free(stream);
    token_list_done(&ids);
    token_list_done(&plain);
    buffer_done(&text);
}

START_TEST(gives_what_the_reference_gives)
{
    const char *family = families[_i];
    char path[512];
    struct buffer text = {0};
    struct json_document *cases = NULL;
    pdk_error err = {0};
    snprintf(path, sizeof path, "%s/tokenizers/%s/cases.json", fixtures(), family);
    ck_assert_msg(file_read(path, 16 << 20, &text, &err) == PDK_OK, "%s", err.message);
    struct json_limits limits = json_limits_default;
    limits.allow_nul = true;
    ck_assert_msg(json_read(text.data, text.length, &limits, &cases, &err) == PDK_OK, "%s", err.message);
    struct tokenizer *tokenizer = load(family);
    unsigned number = 0;
    for (const struct json *at = json_root(cases)->child; at != NULL; at = at->next)
        run_case(tokenizer, family, number++, at);
    tokenizer_free(tokenizer);
    json_document_free(cases);
    buffer_done(&text);
}
END_TEST

/* A vocabulary of letters; %s is put in at the marked places. */
/* Special tokens keep their places whatever is cut. */
static void run_pair(const struct json *test)
{
    const char *family = json_get(test, "tokenizer")->text;
    struct token_list halves[2] = {0}, list = {0}, types = {0};
    struct buffer bytes = {0};
    uint64_t length = 0;
    bool special = false;
    struct tokenizer *tokenizer = load(family);
    json_uint64(json_get(test, "length"), &length);
    json_bool(json_get(test, "special"), &special);
    const struct json *text = json_get(test, "texts")->child;
    for (int i = 0; i < 2; i++, text = text->next)
        ck_assert_int_eq(
            tokenizer_encode(tokenizer, text->text, text->length, NULL, 0, false, &halves[i], NULL), PDK_OK);
    if (length != 0)
        token_lists_cut(&halves[0], &halves[1], length - tokenizer_frame_size(tokenizer, true), true);
    ck_assert_int_eq(tokenizer_frame(tokenizer, &halves[0], &halves[1], special, &list, &bytes, NULL), PDK_OK);
    expect_ids(family, json_get(test, "ids"), &list);
    types.ids = calloc(bytes.length + 1, sizeof *types.ids);
    ck_assert_ptr_nonnull(types.ids);
    for (; types.count < bytes.length; types.count++)
        types.ids[types.count] = (uint8_t)bytes.data[types.count];
    expect_ids(family, json_get(test, "types"), &types);
    token_list_done(&halves[0]);
    token_list_done(&halves[1]);
    token_list_done(&list);
    token_list_done(&types);
    buffer_done(&bytes);
    tokenizer_free(tokenizer);
}

START_TEST(pairs_are_what_the_reference_makes)
{
    char path[512];
    struct buffer text = {0};
    struct json_document *document = NULL;
    snprintf(path, sizeof path, "%s/tokenizers/pairs.json", fixtures());
    if (access(path, R_OK) != 0) {
        printf("skipped: there is no %s\n", path);
        return;
    }
    ck_assert_int_eq(file_read(path, 1 << 20, &text, NULL), PDK_OK);
    ck_assert_int_eq(json_read(text.data, text.length, &json_limits_default, &document, NULL), PDK_OK);
    for (const struct json *test = json_root(document)->child; test != NULL; test = test->next)
        run_pair(test);
    json_document_free(document);
    buffer_done(&text);
}
END_TEST

static pdk_status load_text(const char *text, struct tokenizer **ret_tokenizer, pdk_error *err)
{
    return tokenizer_from_json(text, strlen(text), NULL, 0, ret_tokenizer, err);
}

#define BPE(vocab, merges) "{\"model\":{\"type\":\"BPE\",\"vocab\":{" vocab "},\"merges\":[" merges "]}}"
#define WITH(part)         "{" part ",\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}"

static const struct {
    const char *text;
    pdk_status status;
    const char *message;
} hostile[] = {
    {"{}", PDK_INVALID, "tokenizer.json: has no model"},
    {"[]", PDK_INVALID, "tokenizer.json: has no model"},
    {BPE("\"a\":0,\"b\":1", "[\"a\",\"b\"]"), PDK_INVALID, "tokenizer.json: merge 0 names 'ab', which is no token"},
    {BPE("\"a\":0,\"b\":1", "\"a c\""), PDK_INVALID, "tokenizer.json: merge 0 names 'c', which is no token"},
    {BPE("\"a\":0", "\"ab\""), PDK_INVALID, "tokenizer.json: merge 0 is not two tokens and a space between"},
    {BPE("\"a\":0", "[\"a\"]"), PDK_INVALID, "tokenizer.json: merge 0 is not two tokens"},
    {BPE("\"a\":-1", ""), PDK_INVALID, "tokenizer.json: id -1 of a token is outside 0 to 4194303"},
    {BPE("\"a\":4194304", ""), PDK_INVALID, "tokenizer.json: id 4194304 of a token is outside 0 to 4194303"},
    {BPE("\"a\":1.5", ""), PDK_INVALID, "tokenizer.json: the id of 'a' is no integer"},
    {BPE("\"a\":0,\"b\":0", ""), PDK_INVALID, "tokenizer.json: id 0 belongs to two tokens: 'a' and 'b'"},
    {"{\"model\":{\"type\":\"Nonsense\"}}", PDK_UNSUPPORTED, "tokenizer.json: model 'Nonsense' is not supported"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[],\"end_of_word_suffix\":\"</w>\"}}", PDK_UNSUPPORTED,
        "tokenizer.json: BPE with end_of_word_suffix is not supported"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[],\"unk_token\":\"u\"}}", PDK_INVALID,
        "tokenizer.json: unk_token 'u' is no token"},
    {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",-1],[\"a\",-2]]}}", PDK_INVALID,
        "tokenizer.json: tokens 0 and 1 are equal: 'a'"},
    {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\"]]}}", PDK_INVALID,
        "tokenizer.json: entry 0 is not a piece and its score"},
    {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",1]],\"unk_id\":7}}", PDK_INVALID,
        "tokenizer.json: must be an id below 1"},
    {WITH("\"normalizer\":{\"type\":\"Mystery\"}"), PDK_UNSUPPORTED,
        "tokenizer.json: normalizer 'Mystery' is not supported"},
    {WITH("\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"////\"}"), PDK_INVALID,
        "tokenizer.json: trie of 0 bytes in a map of 3"},
    {WITH("\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"\"},\"content\":\"x\"}"), PDK_INVALID,
        "tokenizer.json: Replace of an empty text"},
    {WITH("\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}"), PDK_UNSUPPORTED,
        "tokenizer.json: pre-tokenizer 'UnicodeScripts' is not supported"},
    {WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a(\"},\"behavior\":\"Isolated\"}"),
        PDK_INVALID, "tokenizer.json: missing closing parenthesis at byte 2 of the expression"},
    {WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\C\"},\"behavior\":\"Isolated\"}"),
        PDK_INVALID, "tokenizer.json: using \\C is disabled by the application at byte 2 of the expression"},
    {WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[a&&b]\"},\"behavior\":\"Isolated\"}"),
        PDK_UNSUPPORTED, "tokenizer.json: intersections of classes (&&) are not supported"},
    {WITH("\"decoder\":{\"type\":\"CTC\"}"), PDK_UNSUPPORTED, "tokenizer.json: decoder 'CTC' is not supported"},
    {WITH("\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":[\"x\",9],\"sep\":[\"y\",0]}"), PDK_INVALID,
        "tokenizer.json: the id of a special token is no token (1 tokens)"},
    {WITH("\"added_tokens\":[{\"content\":\"b\",\"id\":0}]"), PDK_INVALID,
        "tokenizer.json: added token: id 0 belongs to two tokens: 'a' and 'b'"},
    {WITH("\"added_tokens\":[{\"content\":\"\",\"id\":1}]"), PDK_INVALID,
        "tokenizer.json: token 1 has 0 bytes; allowed are 1 to 512"},
};

START_TEST(hostile_files_are_refused_by_name)
{
    struct tokenizer *tokenizer = NULL;
    pdk_error err = {0};
    ck_assert_msg(
        load_text(hostile[_i].text, &tokenizer, &err) == hostile[_i].status, "%s: %s", hostile[_i].text, err.message);
    ck_assert_str_eq(err.message, hostile[_i].message);
    ck_assert_ptr_null(tokenizer);
}
END_TEST

static void expect_failure(const char *file, const char *text, size_t length, pdk_status want, const char *message)
{
    struct tokenizer *tokenizer = NULL;
    struct token_list list = {0};
    pdk_error err = {0};
    ck_assert_msg(load_text(file, &tokenizer, &err) == PDK_OK, "%s", err.message);
    ck_assert_int_eq(tokenizer_encode(tokenizer, text, length, NULL, 0, true, &list, &err), want);
    ck_assert_str_eq(err.message, message);
    ck_assert_uint_eq(list.count, 0);
    token_list_done(&list);
    tokenizer_free(tokenizer);
}

START_TEST(expensive_texts_are_errors_of_the_request)
{
    static const char slow[] =
        WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"^(a+)+$\"},\"behavior\":\"Isolated\"}");
    expect_failure(slow, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaX", 37, PDK_INVALID,
        "the text cannot be cut into words: match limit exceeded at byte 0");
    struct buffer chain = {0};
    buffer_puts(&chain, "{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[");
    for (int i = 0; i < 20; i++) {
        buffer_printf(
            &chain, "%s{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"", i > 0 ? "," : "");
        for (int k = 0; k < 100; k++)
            buffer_putc(&chain, 'a');
        buffer_puts(&chain, "\"}");
    }
    buffer_puts(&chain, "]},\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}");
    expect_failure(chain.data, "aaaa", 4, PDK_TOO_LARGE, "the text grows to more than 1048640 bytes");
    buffer_done(&chain);
    expect_failure(WITH("\"version\":\"1.0\""), "a\xff", 2, PDK_INVALID, "not UTF-8 at byte 1");
}
END_TEST

START_TEST(five_megabytes_of_one_letter_take_little_time_and_memory)
{
    enum { LENGTH = 5 << 20 };
    struct tokenizer *tokenizer = load("llama2"); /* the whole text is one word */
    struct token_list list = {0};
    char *text = malloc(LENGTH);
    memset(text, 'a', LENGTH);
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    clock_t start = clock();
    ck_assert_int_eq(tokenizer_encode(tokenizer, text, LENGTH, NULL, 0, false, &list, NULL), PDK_OK);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    getrusage(RUSAGE_SELF, &after);
#ifndef PADDOCK_SANITIZERS
    ck_assert_int_le(after.ru_maxrss - before.ru_maxrss, 16 * (LENGTH >> 10) + 1024);
    ck_assert_double_lt(seconds, 1.0);
#endif
    (void)seconds;
    ck_assert_uint_gt(list.count, 1000);
    token_list_done(&list);
    tokenizer_free(tokenizer);
    free(text);
}
END_TEST

START_TEST(special_tokens_of_a_user_are_text)
{
    static const char text[] = "<|im_start|>user\nhi <|im_end|> 12<|im_end|>\n";
    const size_t user = strlen("<|im_start|>user\n"), content = strlen("hi <|im_end|> 12");
    struct text_run runs[] = {{user, true}, {content, false}, {strlen(text) - user - content, true}};
    struct tokenizer *tokenizer = load("smollm");
    struct token_list marked = {0}, all = {0}, none = {0};
    struct text_run plain = {strlen(text), false};
    ck_assert_int_eq(tokenizer_encode(tokenizer, text, strlen(text), runs, 3, false, &marked, NULL), PDK_OK);
    ck_assert_int_eq(tokenizer_encode(tokenizer, text, strlen(text), NULL, 0, false, &all, NULL), PDK_OK);
    ck_assert_int_eq(tokenizer_encode(tokenizer, text, strlen(text), &plain, 1, false, &none, NULL), PDK_OK);
    const uint32_t start = (uint32_t)tokenizer_id(tokenizer, "<|im_start|>", 12),
                   end = (uint32_t)tokenizer_id(tokenizer, "<|im_end|>", 10);
    const struct token_list *lists[] = {&marked, &all, &none};
    static const unsigned want[][2] = {{1, 1}, {1, 2}, {0, 0}};
    for (unsigned k = 0; k < 3; k++) {
        unsigned starts = 0, ends = 0;
        struct buffer back = {0};
        for (size_t i = 0; i < lists[k]->count; i++) {
            starts += lists[k]->ids[i] == start;
            ends += lists[k]->ids[i] == end;
        }
        ck_assert_uint_eq(starts, want[k][0]);
        ck_assert_uint_eq(ends, want[k][1]);
        ck_assert_int_eq(tokenizer_decode(tokenizer, lists[k]->ids, lists[k]->count, false, &back, NULL), PDK_OK);
        ck_assert_str_eq(back.data, text);
        buffer_done(&back);
    }
    token_list_done(&marked);
    token_list_done(&all);
    token_list_done(&none);
    tokenizer_free(tokenizer);
}
END_TEST

START_TEST(a_border_of_runs_cuts_no_word)
{
    static const char text[] = "The quick brown fox jumps";
    struct text_run runs[] = {{6, true}, {1, false}, {0, true}, {strlen(text) - 7, false}};
    static const char *const names[] = {"smollm", "llama2", "llama3", "xlm-roberta"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct tokenizer *tokenizer = load(names[i]);
        struct token_list cut = {0}, whole = {0};
        ck_assert_int_eq(tokenizer_encode(tokenizer, text, strlen(text), runs, 4, true, &cut, NULL), PDK_OK);
        ck_assert_int_eq(tokenizer_encode(tokenizer, text, strlen(text), NULL, 0, true, &whole, NULL), PDK_OK);
        ck_assert_uint_eq(cut.count, whole.count);
        ck_assert_mem_eq(cut.ids, whole.ids, whole.count * sizeof *whole.ids);
        token_list_done(&cut);
        token_list_done(&whole);
        tokenizer_free(tokenizer);
    }
}
END_TEST

START_TEST(a_stream_keeps_the_space_behind_the_prompt)
{
    struct tokenizer *tokenizer = load("llama2");
    struct token_list prompt = {0}, rest = {0};
    struct detokenizer *stream = NULL;
    struct buffer text = {0}, alone = {0};
    ck_assert_int_eq(tokenizer_encode(tokenizer, "The quick brown", 15, NULL, 0, true, &prompt, NULL), PDK_OK);
    ck_assert_int_eq(tokenizer_encode(tokenizer, "fox", 3, NULL, 0, false, &rest, NULL), PDK_OK);
    ck_assert_int_eq(detokenizer_new(tokenizer, prompt.ids, prompt.count, true, true, &stream, NULL), PDK_OK);
    for (size_t i = 0; i < rest.count; i++)
        ck_assert_int_eq(detokenizer_next(stream, rest.ids[i], &text, NULL), PDK_OK);
    ck_assert_str_eq(text.data, " fox");
    ck_assert_int_eq(tokenizer_decode(tokenizer, rest.ids, rest.count, true, &alone, NULL), PDK_OK);
    ck_assert_str_eq(alone.data, "fox");
    detokenizer_free(stream);
    token_list_done(&prompt);
    token_list_done(&rest);
    buffer_done(&text);
    buffer_done(&alone);
    tokenizer_free(tokenizer);
}
END_TEST

START_TEST(log_probability_texts_wait_for_whole_characters)
{
    struct tokenizer *tokenizer = load("gpt2");
    struct token_list ids = {0};
    struct detokenizer *stream = NULL;
    struct buffer text = {0}, all = {0}, next = {0};
    static const char emoji[] = "a\xF0\x9F\x9A\x80";
    ck_assert_int_eq(tokenizer_encode(tokenizer, emoji, strlen(emoji), NULL, 0, false, &ids, NULL), PDK_OK);
    ck_assert_uint_gt(ids.count, 2); /* the rocket is several tokens */
    ck_assert_int_eq(detokenizer_new(tokenizer, NULL, 0, true, true, &stream, NULL), PDK_OK);
    for (size_t i = 0; i < ids.count; i++) {
        buffer_clear(&text);
        ck_assert_int_eq(detokenizer_peek(stream, ids.ids[i], &text, NULL), PDK_OK);
        buffer_clear(&next);
        ck_assert_int_eq(detokenizer_next(stream, ids.ids[i], &next, NULL), PDK_OK);
        ck_assert_uint_eq(text.length, next.length);
        buffer_put(&all, text.length == 0 ? "" : text.data, text.length);
    }
    ck_assert_str_eq(all.data, emoji);
    detokenizer_free(stream);
    token_list_done(&ids);
    buffer_done(&text);
    buffer_done(&next);
    buffer_done(&all);
    tokenizer_free(tokenizer);
}
END_TEST

START_TEST(a_stream_of_broken_bytes_still_moves)
{
    struct tokenizer *tokenizer = load("gpt2");
    struct detokenizer *stream = NULL;
    struct buffer text = {0};
    int64_t half = tokenizer_id(tokenizer, "\xC3\xB0", 2); /* the byte F0 */
    ck_assert_int_ge(half, 0);
    ck_assert_int_eq(detokenizer_new(tokenizer, NULL, 0, true, true, &stream, NULL), PDK_OK);
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(detokenizer_next(stream, (uint32_t)half, &text, NULL), PDK_OK);
    ck_assert_uint_gt(text.length, 900 * 3);
    ck_assert_int_eq(detokenizer_next(stream, UINT32_MAX, &text, NULL), PDK_OK); /* no token */
    detokenizer_free(stream);
    buffer_done(&text);
    tokenizer_free(tokenizer);
}
END_TEST

START_TEST(the_config_names_tokens_and_template)
{
    static const char file[] =
        WITH("\"added_tokens\":[{\"content\":\"<s>\",\"id\":1,\"special\":true},{\"content\":\"<e>\",\"id\":2}]");
    static const char config[] =
        "{\"bos_token\":\"<s>\",\"eos_token\":{\"content\":\"<e>\"},\"model_max_length\":1e30,"
        "\"chat_template\":[{\"name\":\"tools\",\"template\":\"t\"},{\"name\":\"default\",\"template\":\"d\"}]}";
    struct tokenizer *tokenizer = NULL;
    pdk_error err = {0};
    ck_assert_msg(
        tokenizer_from_json(file, strlen(file), config, strlen(config), &tokenizer, &err) == PDK_OK, "%s", err.message);
    ck_assert_int_eq(tokenizer_bos(tokenizer), 1);
    ck_assert_int_eq(tokenizer_eos(tokenizer), 2);
    ck_assert_str_eq(tokenizer_template(tokenizer), "d");
    ck_assert_uint_eq(tokenizer_size(tokenizer), 3);
    ck_assert(tokenizer_is_special(tokenizer, 1) && !tokenizer_is_special(tokenizer, 2) &&
              !tokenizer_is_special(tokenizer, 99));
    ck_assert_uint_eq(tokenizer_piece(tokenizer, 99).length, 0);
    tokenizer_free(tokenizer);
}
END_TEST

int main(void)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/tokenizers", fixtures());
    if (access(path, R_OK) != 0) {
        printf("skipped: there is no %s\n", path);
        return 77;
    }
    Suite *suite = suite_create("tokenizer");
    TCase *tests = tcase_create("tokenizer");
    tcase_add_loop_test(tests, gives_what_the_reference_gives, 0, sizeof families / sizeof families[0]);
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, hostile_files_are_refused_by_name, 0, sizeof hostile / sizeof hostile[0]);
    tcase_add_test(tests, pairs_are_what_the_reference_makes);
    tcase_add_test(tests, expensive_texts_are_errors_of_the_request);
    tcase_add_test(tests, five_megabytes_of_one_letter_take_little_time_and_memory);
    tcase_add_test(tests, special_tokens_of_a_user_are_text);
    tcase_add_test(tests, a_border_of_runs_cuts_no_word);
    tcase_add_test(tests, a_stream_keeps_the_space_behind_the_prompt);
    tcase_add_test(tests, log_probability_texts_wait_for_whole_characters);
    tcase_add_test(tests, a_stream_of_broken_bytes_still_moves);
    tcase_add_test(tests, the_config_names_tokens_and_template);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
